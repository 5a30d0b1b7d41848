/* SPDX-License-Identifier: Apache-2.0 */
#include "device.h"

#include <err.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BASE "urn:ietf:params:xml:ns:netconf:base:1.0"
#define NOTIFICATION "urn:ietf:params:xml:ns:netconf:notification:1.0"
#define EOM "]]>]]>"
#define HELLO_WAIT_MS 5000
#define LINGER_MS 5000

/* How the same XML looks from devices of different make. */
static const struct style {
	const char *name;
	const char *hello_head; /**< before <hello> */
	const char *head;	/**< before each other message */
	const char *tail;	/**< behind the delimiter in end-of-message framing */
	const char *prefix;	/**< of the base namespace */
	const char *xmlns;	/**< attribute that binds it */
	char quote;		/**< of the message-id */
} styles[] = {
	{"plain", "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n", "", "", "", "xmlns=\"" BASE "\"",
	 '"'},
	{"junos", "<!-- No zombies were killed during the creation of this user interface -->\n",
	 "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n", "\n", "nc:", "xmlns:nc=\"" BASE "\"", '"'},
	{"prefix", "\n  ", "<?pi x?><!-- > -->", "\n\n",
	 "netconf-1.0.a:", "xmlns:netconf-1.0.a = '" BASE "'", '\''},
};

struct device {
	struct options options;
	struct wire wire;
	struct tls *tls;
	const struct style *style;
	FILE *record;
	char *in; /**< plaintext that was received, not judged yet */
	size_t in_len;
	bool chunked;
	bool open; /**< the collector's hello came */
	bool subscribed;
	bool closing;	    /**< the collector asked for close-session */
	unsigned long sent; /**< notifications */
	unsigned long messages;
};

static volatile sig_atomic_t hang_up;

static void on_signal(int number)
{
	(void)number;
	hang_up = 1;
}

/* A growing string. */
struct text {
	char *data;
	size_t len;
};

__attribute__((format(printf, 2, 3))) static void say(struct text *text, const char *format, ...)
{
	va_list args;
	char *piece;
	int len;

	va_start(args, format);
	len = vasprintf(&piece, format, args);
	va_end(args);
	if (len < 0)
		err(1, "vasprintf");
	text->data = realloc(text->data, text->len + (size_t)len + 1);
	if (text->data == NULL)
		err(1, "realloc");
	memcpy(text->data + text->len, piece, (size_t)len + 1);
	text->len += (size_t)len;
	free(piece);
}

static void fill(struct text *text, size_t bytes)
{
	text->data = realloc(text->data, text->len + bytes + 1);
	if (text->data == NULL)
		err(1, "realloc");
	for (size_t i = 0; i < bytes; i++)
		text->data[text->len++] = "0123456789 ]"[i % 12];
	text->data[text->len] = '\0';
}

static void log_line(const char *what, const char *more)
{
	printf("%s%s%s\n", what, *more ? " " : "", more);
	fflush(stdout);
}

/* ---- sending ---- */

static void keep_record(const struct device *device, const char *data, size_t len)
{
	if (device->record == NULL)
		return;
	fwrite(data, 1, len, device->record);
	fflush(device->record);
}

static void write_plain(struct device *device, const char *data, size_t len)
{
	size_t piece = device->options.piece;

	keep_record(device, data, len);
	for (size_t at = 0; at < len;) {
		size_t take = piece != 0 && piece < len - at ? piece : len - at;

		if (tls_write(device->tls, data + at, take) != TLS_OK)
			errx(4, "write: %s", tls_error(device->tls));
		at += take;
	}
}

static void frame(const struct device *device, const char *message, size_t len, struct text *framed)
{
	size_t chunk = device->options.chunk != 0 ? device->options.chunk : len;

	if (!device->chunked) {
		say(framed, "%s" EOM "%s", message, device->style->tail);
		return;
	}
	for (size_t at = 0; at < len; at += chunk) {
		size_t take = chunk < len - at ? chunk : len - at;

		say(framed, "\n#%zu\n%.*s", take, (int)take, message + at);
	}
	say(framed, "\n##\n");
}

/* Sends a message and frees its text. */
static void send_message(struct device *device, struct text *message)
{
	const struct options *options = &device->options;
	struct text framed = {NULL, 0};

	frame(device, message->data, message->len, &framed);
	write_plain(device, framed.data, framed.len);
	free(framed.data);
	free(message->data);
	*message = (struct text){NULL, 0};
	if (options->key_update != 0 && ++device->messages % options->key_update == 0 &&
	    tls_key_update(device->tls, options->key_update_asks) != TLS_OK)
		errx(4, "key update: %s", tls_error(device->tls));
}

static void build_hello(const struct device *device, struct text *hello)
{
	const char *p = device->style->prefix;
	unsigned long base = device->options.base;

	say(hello, "%s<%shello %s>\n  <%scapabilities>\n", device->style->hello_head, p,
	    device->style->xmlns, p);
	if (base != 11)
		say(hello, "    <%scapability>urn:ietf:params:netconf:base:1.0</%scapability>\n", p,
		    p);
	if (base != 10)
		say(hello,
		    "    <%scapability>\n\turn:ietf:params:netconf:base:1.1 </%scapability>\n", p,
		    p);
	say(hello,
	    "    <%scapability>urn:ietf:params:netconf:capability:notification:1.0</%scapability>\n"
	    "    <%scapability>urn:ietf:params:netconf:capability:interleave:1.0</%scapability>\n"
	    "    <%scapability>urn:ietf:params:netconf:capability:url:1.0?scheme=http,ftp,file"
	    "</%scapability>\n"
	    "    <%scapability>http://example.com/ns/a?module=a&amp;revision=2020-01-01"
	    "</%scapability>\n  </%scapabilities>\n  <%ssession-id>4294967295</%ssession-id>\n"
	    "</%shello>",
	    p, p, p, p, p, p, p, p, p, p, p, p);
}

static void send_notification(struct device *device)
{
	struct text message = {NULL, 0};

	device->sent++;
	say(&message,
	    "%s<notification xmlns=\"" NOTIFICATION "\"><eventTime>2026-01-01T00:00:00.%06luZ"
	    "</eventTime><tick xmlns=\"urn:example:foreign\"><n>%lu</n><!-- ]]>%s]]> -->"
	    "<text>gr\u00fc\u00df <![CDATA[<&>]]></text><fill>",
	    device->style->head, device->sent % 1000000, device->sent, device->chunked ? "" : "]");
	fill(&message, device->options.size);
	say(&message, "</fill></tick></notification>");
	send_message(device, &message);
}

/* ---- answering ---- */

/* The attributes of <rpc> but those of the namespace, as they came (RFC 6241 section 4.1). */
static void reply_head(const struct device *device, const char *rpc, struct text *reply)
{
	const char *id = strstr(rpc, "message-id=");
	int len = 0;

	if (id == NULL)
		errx(4, "an rpc without message-id: %s", rpc);
	id += strlen("message-id=") + 1;
	len = (int)strcspn(id, "\"'");
	say(reply, "%s<%srpc-reply %s message-id=%c%.*s%c>", device->style->head,
	    device->style->prefix, device->style->xmlns, device->style->quote, len, id,
	    device->style->quote);
}

static void reply_data(const struct device *device, struct text *reply)
{
	const char *p = device->style->prefix;

	say(reply,
	    "<%sdata>\n<system xmlns=\"urn:example:foreign\"><name>caf\u00e9 \U0001f4e1</name>"
	    "<rpc-error-count>0</rpc-error-count><fill>",
	    p);
	fill(reply, device->options.reply_size);
	say(reply, "</fill></system></%sdata>", p);
}

static void reply_error(const struct device *device, struct text *reply)
{
	const char *p = device->style->prefix;

	say(reply,
	    "<%srpc-error><%serror-type>protocol</%serror-type>"
	    "<%serror-tag>operation-not-supported</%serror-tag>"
	    "<%serror-severity>error</%serror-severity>"
	    "<%serror-message>what is that?</%serror-message></%srpc-error>",
	    p, p, p, p, p, p, p, p, p, p);
}

static bool asks(const char *rpc, const char *operation)
{
	char tag[64];

	snprintf(tag, sizeof(tag), "<%s", operation);
	rpc = strstr(rpc, tag);
	return rpc != NULL && strchr(" />\t\n", rpc[strlen(tag)]) != NULL;
}

static void on_rpc(struct device *device, const char *rpc)
{
	struct text reply = {NULL, 0};
	const char *p = device->style->prefix;

	reply_head(device, rpc, &reply);
	if (asks(rpc, "get-config") || asks(rpc, "get"))
		reply_data(device, &reply);
	else if (asks(rpc, "create-subscription") || asks(rpc, "close-session"))
		say(&reply, "<%sok/>", p);
	else
		reply_error(device, &reply);
	say(&reply, "</%srpc-reply>", p);
	send_message(device, &reply);
	if (asks(rpc, "create-subscription")) {
		device->subscribed = true;
		log_line("subscribed", "");
	} else if (asks(rpc, "close-session")) {
		device->closing = true;
		log_line("collector", "close-session");
	}
}

/* ---- receiving ---- */

/* Unframes the chunked message at the beginning of the input in place. @return its bytes on the
 * wire, 0 = not complete; @len: bytes of the message */
static size_t unchunk(char *in, size_t in_len, size_t *len)
{
	size_t at = 0;
	char *to = in;

	for (;;) {
		char *line_end;
		unsigned long size;

		if (in_len - at < 4)
			return 0;
		if (in[at] != '\n' || in[at + 1] != '#')
			errx(4, "bad chunk framing from the collector");
		if (in[at + 2] == '#') {
			*len = (size_t)(to - in);
			return at + 4;
		}
		size = strtoul(in + at + 2, &line_end, 10);
		at = (size_t)(line_end - in) + 1;
		if (size == 0 || at + size > in_len)
			return 0;
		memmove(to, in + at, size);
		to += size;
		at += size;
	}
}

/* Is all of the chunked message there? Only then may it be unframed in place. */
static bool chunks_complete(const char *in, size_t in_len)
{
	return in_len >= 4 && memmem(in, in_len, "\n##\n", 4) != NULL;
}

/* Takes the first whole message. @return it, to be freed, or NULL */
static char *next_message(struct device *device)
{
	size_t used = 0;
	size_t len = 0;
	char *message;

	if (device->chunked && device->open) {
		if (chunks_complete(device->in, device->in_len))
			used = unchunk(device->in, device->in_len, &len);
	} else {
		char *end = memmem(device->in, device->in_len, EOM, strlen(EOM));

		if (end != NULL) {
			len = (size_t)(end - device->in);
			used = len + strlen(EOM);
		}
	}
	if (used == 0)
		return NULL;
	message = strndup(device->in, len);
	if (message == NULL)
		err(1, "strndup");
	memmove(device->in, device->in + used, device->in_len - used + 1);
	device->in_len -= used;
	return message;
}

static void on_message(struct device *device, const char *message)
{
	if (device->open) {
		on_rpc(device, message);
		return;
	}
	if (strstr(message, "hello") == NULL || strstr(message, "session-id") != NULL)
		errx(4, "not a client's hello: %s", message);
	device->open = true;
	device->chunked = device->options.base != 10 && strstr(message, "netconf:base:1.1") != NULL;
	log_line("open", device->chunked ? "base:1.1" : "base:1.0");
}

/* Reads and answers all that is there. @return TLS_AGAIN, TLS_CLOSED or TLS_FAILED */
static int read_all(struct device *device)
{
	char *message;
	int got;

	for (;;) {
		device->in = realloc(device->in, device->in_len + 16385);
		if (device->in == NULL)
			err(1, "realloc");
		got = tls_read(device->tls, device->in + device->in_len, 16384);
		if (got <= 0)
			return got;
		device->in_len += (size_t)got;
		device->in[device->in_len] = '\0';
		while ((message = next_message(device)) != NULL) {
			on_message(device, message);
			free(message);
		}
	}
}

/* ---- the end ---- */

/* Waits until the collector has closed, too, and tells how. */
static void see_off(struct device *device, bool closed)
{
	for (int left = LINGER_MS / 50; left > 0; left--) {
		int result = closed ? TLS_AGAIN : read_all(device);

		wire_flush(&device->wire);
		if (result == TLS_CLOSED) {
			log_line("collector", "close_notify");
			closed = true;
		} else if (result == TLS_FAILED) {
			log_line("collector failed:", tls_error(device->tls));
			break;
		}
		if (device->wire.eof || device->wire.reset)
			break;
		wire_wait(&device->wire, 50);
	}
	if (device->wire.fd >= 0)
		log_line("collector", device->wire.reset ? "rst"
				      : device->wire.eof ? "fin"
							 : "stays");
}

/* Half of a record, then FIN. */
static void close_in_record(struct device *device)
{
	device->wire.hold = true;
	send_notification(device);
	device->sent--;
	device->wire.out_len /= 2;
	device->wire.hold = false;
	wire_fin(&device->wire);
}

static bool is(const char *text, const char *other)
{
	return strcmp(text, other) == 0;
}

/* The device closes as it was told to. */
static void close_session(struct device *device)
{
	const char *how = device->options.close;

	if (is(how, "canceled"))
		tls_attack(device->tls, "user-canceled");
	if (is(how, "notify") || is(how, "notify-only") || is(how, "canceled"))
		tls_close_notify(device->tls);
	if (is(how, "rst"))
		wire_rst(&device->wire);
	else if (is(how, "mid-record"))
		close_in_record(device);
	else if (is(how, "notify-only"))
		wire_flush(&device->wire);
	else
		wire_fin(&device->wire);
	log_line("closed", how);
	if (!is(how, "rst"))
		see_off(device, false);
}

/* @return false: close */
static bool on_hang_up(struct device *device)
{
	const struct options *options = &device->options;

	hang_up = 0;
	if (options->attack != NULL) {
		if (is(options->attack, "bad-mac")) {
			device->wire.hold = true;
			send_notification(device);
			device->sent--;
			device->wire.out[device->wire.out_len - 1] ^= 1;
			device->wire.hold = false;
		} else if (tls_attack(device->tls, options->attack) == TLS_FAILED) {
			log_line("cannot", options->attack);
		}
		wire_flush(&device->wire);
		log_line("did", options->attack);
	}
	return is(options->close, "none");
}

/* ---- the session ---- */

static void handshake(struct device *device)
{
	enum tls_result result;

	while ((result = tls_handshake(device->tls)) == TLS_AGAIN) {
		wire_flush(&device->wire);
		if (device->wire.eof || device->wire.reset) {
			log_line("handshake", device->wire.eof ? "fin" : "rst");
			exit(3);
		}
		wire_wait(&device->wire, -1);
	}
	if (result != TLS_OK) {
		wire_flush(&device->wire);
		log_line("handshake failed:", tls_error(device->tls));
		wire_fin(&device->wire);
		for (int i = 0; i < 20 && !device->wire.eof && !device->wire.reset; i++) {
			device->wire.in_len = 0;
			wire_wait(&device->wire, 50);
		}
		exit(3);
	}
	log_line("handshake", tls_describe(device->tls));
}

static void burst(struct device *device)
{
	unsigned long gather = device->options.gather;

	for (unsigned long i = 0; i < gather && device->sent < device->options.notifications; i++)
		send_notification(device);
	if (device->sent == device->options.notifications) {
		printf("sent %lu\n", device->sent);
		fflush(stdout);
		device->subscribed = false;
	}
}

static void serve(struct device *device)
{
	int result;

	for (;;) {
		result = read_all(device);
		wire_flush(&device->wire);
		if (result != TLS_AGAIN || device->wire.eof || device->wire.reset)
			break;
		if (hang_up && !on_hang_up(device)) {
			close_session(device);
			return;
		}
		if (device->subscribed)
			burst(device);
		wire_flush(&device->wire);
		wire_wait(&device->wire, device->subscribed ? 0 : -1);
	}
	/* The collector ends it: answer its close_notify with ours. */
	if (result == TLS_FAILED)
		log_line("collector failed:", tls_error(device->tls));
	if (result == TLS_CLOSED) {
		log_line("collector", "close_notify");
		tls_close_notify(device->tls);
	}
	wire_fin(&device->wire);
	see_off(device, true);
}

static void set_up(struct device *device)
{
	sigset_t ours;

	/* Delivered inside wire_wait only. */
	sigemptyset(&ours);
	sigaddset(&ours, SIGUSR1);
	sigprocmask(SIG_BLOCK, &ours, NULL);
	signal(SIGUSR1, on_signal);
	for (size_t i = 0; i < sizeof(styles) / sizeof(styles[0]); i++)
		if (is(styles[i].name, device->options.style))
			device->style = &styles[i];
	if (device->style == NULL)
		errx(2, "no such style: %s", device->options.style);
	if (device->options.record != NULL)
		device->record = fopen(device->options.record, "we");
	if (device->options.record != NULL && device->record == NULL)
		err(1, "%s", device->options.record);
}

int main(int argc, char **argv)
{
	struct device device = {.in = NULL};
	struct text hello = {NULL, 0};
	struct text framed = {NULL, 0};

	options_parse(&device.options, argc, argv);
	set_up(&device);
	device.wire.dribble = device.options.dribble;
	device.wire.debug = device.options.debug;
	build_hello(&device, &hello);
	frame(&device, hello.data, hello.len, &framed);
	if (device.options.half_rtt) {
		device.options.early = framed.data;
		device.options.early_len = framed.len;
	}
	device.tls = tls_new(&device.options, &device.wire);
	wire_open(&device.wire, device.options.connect, device.options.from);
	handshake(&device);
	if (device.options.half_rtt)
		log_line("half-rtt", tls_sent_early(device.tls) ? "sent" : "not possible");
	if (tls_sent_early(device.tls))
		keep_record(&device, framed.data, framed.len);
	else
		write_plain(&device, framed.data, framed.len);
	serve(&device);
	tls_free(device.tls);
	free(hello.data);
	free(framed.data);
	return 0;
}
