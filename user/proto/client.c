/* SPDX-License-Identifier: Apache-2.0 */
#include "client.h"

#include "xml.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NOTIFICATION_NS "urn:ietf:params:xml:ns:netconf:notification:1.0"

/**
 * An unfinished start tag is looked at again with every fragment while it is this small, later when
 * it has doubled (so that the cost stays linear), and beyond the second only in the whole message.
 */
#define HEAD_SMALL_BYTES 512
#define HEAD_MAX_BYTES 16384
#define NEVER UINT32_MAX

/** Entry of close-session, so that 8 requests without answer cannot keep a session from closing. */
#define CLOSE_ENTRY CH_CLIENT_OUTSTANDING
#define ENTRIES (CH_CLIENT_OUTSTANDING + 1)
#define TIMED_OUT UINT64_MAX

/** What the next feed has to do first. */
enum { DUE_NOTHING, DUE_RELEASE, DUE_REPLY };

/** What clients without a request share; nobody writes it. */
static const struct ch_request no_requests[ENTRIES];

static bool client_is_idle(const struct ch_client *client)
{
	return client->requests == no_requests;
}

static void client_forget_requests(struct ch_client *client)
{
	if (client->requests != NULL && !client_is_idle(client))
		free(client->requests);
	client->requests = (struct ch_request *)(uintptr_t)no_requests;
}

/** Memory for requests. @return 0 or -ENOMEM */
static int client_hold_requests(struct ch_client *client)
{
	struct ch_request *made;

	if (!client_is_idle(client))
		return 0;
	made = calloc(ENTRIES, sizeof(*made));
	if (made == NULL)
		return -ENOMEM;
	client->requests = made;
	return 0;
}

/** Gives the memory back once no request is out. */
static void client_release_requests(struct ch_client *client)
{
	for (int i = 0; i < ENTRIES; i++)
		if (client->requests[i].id != 0)
			return;
	client_forget_requests(client);
}

void ch_client_init(struct ch_client *client, const struct ch_client_limits *limits,
		    struct ch_budget *budget)
{
	memset(client, 0, sizeof(*client));
	client->limits = limits;
	client->partial.budget = budget;
	client->next_id = 1;
	client->state = CH_CLIENT_HELLO;
	client->streaming = -1;
	client_forget_requests(client);
	ch_framer_init(&client->framer, &limits->framing);
}

void ch_client_deinit(struct ch_client *client)
{
	ch_buf_deinit(&client->partial);
	client_forget_requests(client);
}

int ch_client_start(struct ch_client *client, struct ch_buf *out)
{
	struct ch_buf hello = {.max = CH_HELLO_MAX_BYTES};
	int err;

	(void)client;
	err = ch_hello_build(&hello, 0, CH_CAP_BASE_1_0 | CH_CAP_BASE_1_1, NULL, 0);
	if (err == 0)
		err = ch_frame(CH_FRAMING_EOM, (struct ch_slice){hello.data, hello.len}, out);
	ch_buf_deinit(&hello);
	return err;
}

/* ---- receiving ---- */

static enum ch_client_result client_fail(struct ch_client *client, enum ch_reason reason)
{
	client->state = CH_CLIENT_FAILED;
	client->reason = (uint8_t)reason;
	ch_buf_deinit(&client->partial);
	return CH_CLIENT_ERROR;
}

static enum ch_client_result client_fail_error(struct ch_client *client, int err)
{
	if (err == CH_E_BUDGET)
		return client_fail(client, CH_REASON_BYTE_BUDGET);
	if (err == CH_E_SYNTAX)
		return client_fail(client, CH_REASON_BAD_MESSAGE);
	return client_fail(client,
			   err == CH_E_LIMIT ? CH_REASON_MESSAGE_LIMIT : CH_REASON_INTERNAL);
}

static enum ch_client_result client_event(const struct ch_request *request,
					  enum ch_client_event_kind kind, struct ch_slice message,
					  struct ch_client_event *event)
{
	event->kind = kind;
	event->id = request != NULL ? request->id : 0;
	event->cookie = request != NULL ? request->cookie : 0;
	event->message = message;
	return CH_CLIENT_EVENT;
}

/** The request that @message_id answers, -1 = none. Only the very text that we sent counts. */
static int client_find(const struct ch_client *client, struct ch_slice message_id)
{
	uint64_t id = 0;
	size_t at;
	int i;

	if (message_id.len == 0 || message_id.len > 10 || message_id.data[0] == '0')
		return -1;
	for (at = 0; at < message_id.len; at++) {
		if (message_id.data[at] < '0' || message_id.data[at] > '9')
			return -1;
		id = id * 10 + (uint64_t)(message_id.data[at] - '0');
	}
	for (i = 0; i < ENTRIES; i++)
		if (client->requests[i].id == id)
			return i;
	return -1;
}

static enum ch_client_result client_hello(struct ch_client *client, struct ch_slice xml,
					  struct ch_client_event *event)
{
	enum ch_reason reason = ch_hello_parse_server(xml, &client->hello);

	if (reason != CH_REASON_NONE)
		return client_fail(client, reason);
	if ((client->hello.capabilities & CH_CAP_BASE_1_1) != 0)
		ch_framer_set(&client->framer, CH_FRAMING_CHUNKED);
	client->state = CH_CLIENT_OPEN;
	return client_event(NULL, CH_CLIENT_UP, xml, event);
}

/** The answer to create-subscription decides what the session may do; a late one too. */
static int client_subscription(struct ch_client *client, struct ch_slice xml)
{
	struct ch_reply_info info;
	int err = ch_reply_inspect(xml, client->limits->max_depth, &info);

	client->subscribe_id = 0;
	client->subscribed = err == 0 && info.ok && !info.error;
	return err;
}

/** The request @index is answered: its entry is free again. */
static struct ch_request client_settle(struct ch_client *client, int index)
{
	struct ch_request request = client->requests[index];

	memset(&client->requests[index], 0, sizeof(request));
	client->streaming = -1;
	client_release_requests(client);
	return request;
}

static enum ch_client_result client_reply(struct ch_client *client, int index, struct ch_slice xml,
					  struct ch_client_event *event)
{
	struct ch_request request = client->requests[index];
	int err = 0;

	if (request.stream && request.deadline_ns != TIMED_OUT) {
		client->streaming = (int8_t)index;
		client->due = DUE_REPLY;
		return client_event(&request, CH_CLIENT_REPLY_PART, xml, event);
	}
	if (request.id == client->subscribe_id)
		err = client_subscription(client, xml);
	if (err != 0)
		return client_fail_error(client, err);
	(void)client_settle(client, index);
	if (request.deadline_ns == TIMED_OUT)
		return CH_CLIENT_MORE;
	return client_event(&request, index == CLOSE_ENTRY ? CH_CLIENT_CLOSED : CH_CLIENT_REPLY,
			    xml, event);
}

/** Judges a start tag. @return MORE with @index (-1: a notification), or ERROR */
static enum ch_client_result client_judge(struct ch_client *client,
					  const struct ch_message *message, int *index)
{
	*index = -1;
	if (message->kind == CH_MESSAGE_NOTIFICATION)
		return CH_CLIENT_MORE;
	if (message->kind != CH_MESSAGE_RPC_REPLY)
		return client_fail(client, CH_REASON_BAD_MESSAGE);
	*index = client_find(client, message->message_id);
	return *index < 0 ? client_fail(client, CH_REASON_UNEXPECTED_REPLY) : CH_CLIENT_MORE;
}

/** A whole message. @return MORE: it was dropped */
static enum ch_client_result client_message(struct ch_client *client, struct ch_slice xml,
					    struct ch_client_event *event)
{
	struct ch_message message;
	int index;

	if (client->state == CH_CLIENT_HELLO)
		return client_hello(client, xml, event);
	ch_message_scan(xml, &message);
	if (client_judge(client, &message, &index) == CH_CLIENT_ERROR)
		return CH_CLIENT_ERROR;
	if (index < 0)
		return client_event(NULL, CH_CLIENT_NOTIFICATION, xml, event);
	return client_reply(client, index, xml, event);
}

/**
 * Looks at the beginning of a message: a bad one ends here, before it is collected; a reply that is
 * streamed, or that nobody waits for any more, sets @client->streaming.
 */
static enum ch_client_result client_head(struct ch_client *client, struct ch_slice head)
{
	const struct ch_request *request;
	struct ch_message message;
	int index;

	client->next_scan = NEVER;
	if (!ch_message_scan_head(head, &message)) {
		if (head.len < HEAD_SMALL_BYTES)
			client->next_scan = (uint32_t)head.len + 1;
		else if (head.len < HEAD_MAX_BYTES)
			client->next_scan = 2 * (uint32_t)head.len;
		return CH_CLIENT_MORE;
	}
	if (client->state == CH_CLIENT_HELLO)
		return message.kind == CH_MESSAGE_HELLO ? CH_CLIENT_MORE
							: client_fail(client, CH_REASON_BAD_HELLO);
	if (client_judge(client, &message, &index) == CH_CLIENT_ERROR)
		return CH_CLIENT_ERROR;
	if (index < 0)
		return CH_CLIENT_MORE;
	request = &client->requests[index];
	if (request->id != client->subscribe_id &&
	    (request->stream || request->deadline_ns == TIMED_OUT))
		client->streaming = (int8_t)index;
	return CH_CLIENT_MORE;
}

/** A piece of a streamed reply. */
static enum ch_client_result client_stream(struct ch_client *client, struct ch_slice piece,
					   bool last, struct ch_client_event *event)
{
	struct ch_request request = client->requests[client->streaming];

	if (request.deadline_ns == TIMED_OUT) {
		ch_buf_deinit(&client->partial);
		if (last)
			(void)client_settle(client, client->streaming);
		return CH_CLIENT_MORE;
	}
	if (piece.len > 0) {
		client->due = last ? DUE_REPLY : DUE_RELEASE;
		return client_event(&request, CH_CLIENT_REPLY_PART, piece, event);
	}
	if (!last)
		return CH_CLIENT_MORE;
	(void)client_settle(client, client->streaming);
	return client_event(&request, CH_CLIENT_REPLY, piece, event);
}

/** A fragment of a message that straddles inputs. */
static enum ch_client_result client_collect(struct ch_client *client,
					    const struct ch_fragment *fragment,
					    struct ch_client_event *event)
{
	enum ch_client_result result = CH_CLIENT_MORE;
	struct ch_buf *partial = &client->partial;
	int err;

	if (client->state == CH_CLIENT_HELLO && fragment->len > CH_HELLO_MAX_BYTES - partial->len)
		return client_fail(client, CH_REASON_BAD_HELLO);
	err = ch_buf_append(partial, fragment->data, fragment->len);
	if (err != 0)
		return client_fail_error(client, err);
	client->copied += fragment->len;
	if (fragment->last) {
		result = client_message(client, (struct ch_slice){partial->data, partial->len},
					event);
		if (result == CH_CLIENT_MORE)
			ch_buf_deinit(partial);
		else if (client->due == DUE_NOTHING)
			client->due = DUE_RELEASE;
		return result;
	}
	if (client->next_scan == NEVER || partial->len < client->next_scan)
		return CH_CLIENT_MORE;
	result = client_head(client, (struct ch_slice){partial->data, partial->len});
	if (result == CH_CLIENT_ERROR || client->streaming < 0)
		return result;
	return client_stream(client, (struct ch_slice){partial->data, partial->len}, false, event);
}

static enum ch_client_result client_fragment(struct ch_client *client,
					     const struct ch_fragment *fragment,
					     struct ch_client_event *event)
{
	struct ch_slice piece = {fragment->data, fragment->len};

	if (fragment->first && fragment->last)
		return client_message(client, piece, event);
	if (fragment->first && client_head(client, piece) == CH_CLIENT_ERROR)
		return CH_CLIENT_ERROR;
	if (client->streaming >= 0)
		return client_stream(client, piece, fragment->last, event);
	return client_collect(client, fragment, event);
}

/** Does what the last event left to do. @return EVENT, or MORE to go on */
static enum ch_client_result client_resume(struct ch_client *client, size_t *used,
					   struct ch_client_event *event)
{
	uint8_t due = client->due;

	*used = client->owed ? 1 : 0;
	client->owed = false;
	client->due = DUE_NOTHING;
	if (due != DUE_NOTHING)
		ch_buf_deinit(&client->partial);
	if (due != DUE_REPLY)
		return CH_CLIENT_MORE;
	return client_stream(client, (struct ch_slice){NULL, 0}, true, event);
}

enum ch_client_result ch_client_feed(struct ch_client *client, const uint8_t *in, size_t len,
				     size_t *used, struct ch_client_event *event)
{
	enum ch_client_result result;
	struct ch_fragment fragment;
	size_t consumed;

	*used = 0;
	if (client->state == CH_CLIENT_FAILED)
		return CH_CLIENT_ERROR;
	if (len == 0)
		return CH_CLIENT_MORE;
	result = client_resume(client, used, event);
	while (result == CH_CLIENT_MORE) {
		switch (ch_framer_feed(&client->framer, in + *used, len - *used, &consumed,
				       &fragment)) {
		case CH_FRAMER_MORE:
			*used = len;
			return CH_CLIENT_MORE;
		case CH_FRAMER_ERROR:
			return client_fail(client, (enum ch_reason)client->framer.reason);
		case CH_FRAMER_FRAGMENT:
			break;
		}
		*used += consumed;
		result = client_fragment(client, &fragment, event);
		if (result == CH_CLIENT_EVENT && fragment.last && client->due != DUE_NOTHING) {
			/* its delimiter ended in this input, so there is a byte to hold back */
			client->owed = true;
			*used -= 1;
		}
	}
	return result;
}

/* ---- sending ---- */

/** A message-id that no request uses. */
static uint32_t client_next_id(struct ch_client *client)
{
	uint32_t id;
	int i = 0;

	do {
		id = client->next_id++;
		for (i = 0; i < ENTRIES && client->requests[i].id != id; i++)
			;
	} while (id == 0 || i < ENTRIES);
	return id;
}

/** Frames an rpc and takes the entry @index for it. @return the message-id or as ch_frame. */
static int64_t client_send(struct ch_client *client, int index, struct ch_slice operation,
			   struct ch_buf *out)
{
	uint32_t id = client_next_id(client);
	char head[96];
	int len = snprintf(head, sizeof(head), "<rpc xmlns=\"%s\" message-id=\"%u\">",
			   CH_XML_BASE_NS, id);
	struct ch_slice parts[] = {
		{(const uint8_t *)head, (size_t)len},
		operation,
		CH_LIT("</rpc>"),
	};
	int err = client_hold_requests(client);

	if (err == 0)
		err = ch_frame_parts((enum ch_framing)client->framer.framing, parts,
				     sizeof(parts) / sizeof(parts[0]), out);
	if (err == 0)
		client->requests[index].id = id;
	else
		client_release_requests(client);
	return err == 0 ? (int64_t)id : err;
}

static bool client_accepts(const struct ch_client *client)
{
	if (client->state != CH_CLIENT_OPEN)
		return false;
	return (client->hello.capabilities & CH_CAP_INTERLEAVE) != 0 ||
	       (!client->subscribed && client->subscribe_id == 0);
}

int64_t ch_client_request(struct ch_client *client, struct ch_slice operation, uint64_t deadline_ns,
			  bool stream, uint64_t cookie, struct ch_buf *out)
{
	struct ch_request *request;
	int64_t id;
	int free_entry = 0;

	if (!client_accepts(client))
		return CH_E_STATE;
	while (free_entry < CH_CLIENT_OUTSTANDING && client->requests[free_entry].id != 0)
		free_entry++;
	if (free_entry == CH_CLIENT_OUTSTANDING)
		return CH_E_LIMIT;
	id = client_send(client, free_entry, operation, out);
	if (id < 0)
		return id;
	request = &client->requests[free_entry];
	request->cookie = cookie;
	request->stream = stream;
	request->deadline_ns = deadline_ns == TIMED_OUT ? TIMED_OUT - 1 : deadline_ns;
	return id;
}

int64_t ch_client_subscribe(struct ch_client *client, uint64_t deadline_ns, uint64_t cookie,
			    struct ch_buf *out)
{
	int64_t id;

	if (client->state != CH_CLIENT_OPEN || client->subscribed || client->subscribe_id != 0)
		return CH_E_STATE;
	if ((client->hello.capabilities & CH_CAP_NOTIFICATION) == 0)
		return CH_E_UNSUPPORTED;
	id = ch_client_request(client,
			       CH_LIT("<create-subscription xmlns=\"" NOTIFICATION_NS "\">"
				      "<stream>NETCONF</stream></create-subscription>"),
			       deadline_ns, false, cookie, out);
	if (id > 0)
		client->subscribe_id = (uint32_t)id;
	return id;
}

int64_t ch_client_close(struct ch_client *client, uint64_t deadline_ns, struct ch_buf *out)
{
	int64_t id;

	if (client->state != CH_CLIENT_OPEN)
		return CH_E_STATE;
	id = client_send(client, CLOSE_ENTRY, CH_LIT("<close-session/>"), out);
	if (id < 0)
		return id;
	client->requests[CLOSE_ENTRY].deadline_ns =
		deadline_ns == TIMED_OUT ? TIMED_OUT - 1 : deadline_ns;
	client->state = CH_CLIENT_CLOSING;
	return id;
}

/* ---- time ---- */

bool ch_client_pending(const struct ch_client *client)
{
	return client->framer.in_message;
}

uint64_t ch_client_expiry(const struct ch_client *client)
{
	uint64_t expiry = UINT64_MAX;
	int i;

	for (i = 0; i < ENTRIES; i++)
		if (client->requests[i].id != 0 && client->requests[i].deadline_ns < expiry)
			expiry = client->requests[i].deadline_ns;
	return expiry;
}

bool ch_client_expire(struct ch_client *client, uint64_t now_ns, struct ch_client_event *event)
{
	int i;

	for (i = 0; i < ENTRIES; i++) {
		struct ch_request *request = &client->requests[i];

		if (request->id == 0 || request->deadline_ns == TIMED_OUT ||
		    request->deadline_ns > now_ns)
			continue;
		request->deadline_ns = TIMED_OUT;
		(void)client_event(request, CH_CLIENT_TIMEOUT, (struct ch_slice){NULL, 0}, event);
		return true;
	}
	return false;
}
