/* SPDX-License-Identifier: Apache-2.0 */
/* links: collector guard tls proto kernel core */
/* sources: tests/unit/fake_ring.c tests/unit/tls_fixture.c tests/unit/streams.c */
/*
 * The two record layers make the same of the same streams: the same messages, counters and answers,
 * and the same reason at the end. The user layer gets the sealed bytes in pieces of any size, the
 * kernel's what a kernel with TLS tells of them (tests/vm/record_layers.c has a real one tell it).
 * Heartbeats are not negotiated here: how many are answered depends on how fast answers leave.
 */
#include "streams.h"
#include "worker_rig.h"

#define STREAMS 200

static int tls_setsockopt(int fd, int level, int name, const void *value, socklen_t len)
{
	(void)fd, (void)level, (void)name, (void)value, (void)len;
	return 0;
}

static void begin(void)
{
	setup();
	ch_sys.setsockopt = tls_setsockopt;
	shared.ktls = (struct ch_ktls_support){.rekey = true};
}

TestSuite(layers, .init = begin, .fini = teardown);

/* How the bytes came, not what they say. A kernel does not tell of empty data records. */
static const char *const of_transport[] = {"received_bytes", "sent_bytes",   "copied_bytes",
					   "records",	     "recv_rearmed", "handshake_steps",
					   "control_records"};

static const char *const stat_names[] = {
#define X(name, kind, help) #name,
	CH_STATS(X)
#undef X
};
#define STATS (sizeof(stat_names) / sizeof(stat_names[0]))

struct outcome {
	uint64_t stats[STATS + CH_REASON_COUNT];
	enum ch_reason reason;
	struct ch_buf messages; /**< spool lines from the device on: without time and number */
	struct ch_buf said;	/**< application data of the collector */
	struct ch_buf controls; /**< its other records: type, length, bytes */
	size_t last_control;	/**< where the last of them begins */
};

static void outcome_deinit(struct outcome *outcome)
{
	ch_buf_deinit(&outcome->messages);
	ch_buf_deinit(&outcome->said);
	ch_buf_deinit(&outcome->controls);
}

static void read_stats(uint64_t stats[STATS + CH_REASON_COUNT])
{
	size_t at = 0;

#define X(name, kind, help) stats[at++] = ch_stat(&worker.stats.name);
	CH_STATS(X)
#undef X
	for (size_t i = 0; i < CH_REASON_COUNT; i++)
		stats[at++] = ch_stat(&worker.stats.reasons[i]);
}

/* ---- one session ---- */

struct run {
	const struct stream *stream;
	struct device *device;
	bool kernel;
	uint64_t random;
	struct outcome *outcome;
};

/* The batch is taken out before anything of it can be due for the spool, which does not exist. */
static void take_messages(struct outcome *outcome)
{
	struct ch_buf *lines = &worker.batch.lines[CH_SPOOL_NOTIFICATIONS];
	char *line;
	char *at;

	cr_assert_eq(ch_buf_append(lines, "", 1), 0);
	line = (char *)lines->data;
	while ((at = strstr(line, "\"device\"")) != NULL) {
		char *end = strchr(at, '\n');

		cr_assert_eq(ch_buf_append(&outcome->messages, at, (size_t)(end + 1 - at)), 0);
		line = end + 1;
	}
	for (size_t i = 0; i < CH_SPOOL_STREAMS; i++) {
		worker.batch.lines[i].len = 0;
		worker.batch.count[i] = 0;
	}
	worker.batch_since_ns = 0;
}

static void note_answer(struct outcome *outcome, uint8_t type, const void *data, size_t len)
{
	const uint8_t head[2] = {type, (uint8_t)len};

	if (type == CH_RECORD_DATA) {
		cr_assert_eq(ch_buf_append(&outcome->said, data, len), 0);
		return;
	}
	outcome->last_control = outcome->controls.len;
	cr_assert_eq(ch_buf_append(&outcome->controls, head, 2), 0);
	cr_assert_eq(ch_buf_append(&outcome->controls, data, len), 0);
}

/* What the device opens of the collector's bytes. */
static void open_answers(struct run *run)
{
	struct device *d = run->device;
	struct ch_record_event event;
	size_t used;

	while (ch_record_open(&d->record, d->in.data, d->in.len, &used, &event) ==
	       CH_RECORD_EVENT) {
		note_answer(run->outcome, event.type, event.data, event.len);
		if (event.type == CH_RECORD_HANDSHAKE)
			cr_assert_eq(ch_record_rekey(&d->record, false), 0);
		ch_buf_consume(&d->in, used);
	}
	cr_assert_eq(d->record.reason, CH_REASON_NONE);
	ch_buf_consume(&d->in, used);
}

static void on_send(struct run *run, struct fake_op *op)
{
	if (run->kernel) {
		note_answer(run->outcome,
			    op->kind == FAKE_SEND_RECORD ? op->record_type : CH_RECORD_DATA,
			    op->data, op->len);
	} else {
		cr_assert_eq(ch_buf_append(&run->device->in, op->data, op->len), 0);
		open_answers(run);
	}
	fake_complete(&ring, op, (int32_t)op->len, false);
}

/* Takes turns until the collector has nothing more to say. */
static void answer(struct run *run)
{
	struct fake_op *op;

	do {
		turn();
		take_messages(run->outcome);
		op = fake_find(&ring, FAKE_SEND);
		if (op == NULL)
			op = fake_find(&ring, FAKE_SEND_RECORD);
		if (op != NULL)
			on_send(run, op);
		else if ((op = fake_find(&ring, FAKE_REKEY)) != NULL)
			fake_complete(&ring, op, 0, false);
	} while (op != NULL || ring.ready_count > 0);
}

static bool hears(void)
{
	const struct ch_conn *conn = only_conn();

	return conn != NULL && (conn->state == CH_CONN_OPEN || conn->state == CH_CONN_HELLO_WAIT);
}

static struct fake_op *receive(void)
{
	struct fake_op *op = fake_find(&ring, FAKE_RECV);

	cr_assert_not_null(op, "a session that is up receives");
	return op;
}

/* ---- the user layer: bytes ---- */

static void send_bytes(struct run *run)
{
	static const uint32_t most[] = {1, 40, 700, CH_RING_PAYLOAD};
	struct device *d = run->device;
	size_t at = 0;

	stream_seal(run->stream, &d->record, &d->out);
	while (at < d->out.len && hears()) {
		size_t len = 1 + stream_pick(&run->random, most[stream_pick(&run->random, 4)]);
		/* A device that dribbles costs a turn each time: only now and then. */
		if (len < 600 && stream_pick(&run->random, 8) != 0)
			len += 1400;
		if (len > d->out.len - at)
			len = d->out.len - at;
		fake_payload(&ring, receive(), d->out.data + at, (uint32_t)len,
			     stream_pick(&run->random, 10) != 0);
		at += len;
		answer(run);
	}
	d->out.len = 0;
}

/* ---- the kernel's layer: what it tells ---- */

/* Data records that wait together come together. @return the records used */
static size_t tell_data(struct run *run, size_t first)
{
	const struct stream *stream = run->stream;
	const struct stream_item *item = &stream->items[first];
	uint32_t len = item->len;
	size_t count = 1;

	while (first + count < stream->count && stream_pick(&run->random, 3) != 0) {
		const struct stream_item *next = &item[count];
		bool whole = first + count + 1 < stream->count || stream->missing == 0;

		if (next->type != CH_RECORD_DATA || next->tampered || !whole ||
		    len + next->len > CH_RING_PAYLOAD)
			break;
		len += next->len;
		count++;
	}
	if (len > 0) /* an empty one is not told */
		fake_record(&ring, receive(), CH_RECORD_DATA, stream->text.data + item->at, len);
	return count;
}

/* The kernel stops at a KeyUpdate, before or after we have seen it. */
static void tell_key_update(struct run *run, const struct stream_item *item)
{
	struct fake_op *op = receive();

	fake_record(&ring, op, item->type, run->stream->text.data + item->at, item->len);
	if (stream_pick(&run->random, 2) == 0) {
		turn();
		take_messages(run->outcome);
	}
	if (hears())
		fake_complete(&ring, receive(), -EKEYEXPIRED, false);
}

static void tell_records(struct run *run)
{
	const struct stream *stream = run->stream;
	size_t at = 0;

	while (at < stream->count - (stream->missing > 0) && hears()) {
		const struct stream_item *item = &stream->items[at];

		if (item->tampered || item->type == 0) { /* 0: nothing but padding */
			fake_complete(&ring, receive(), -EBADMSG, false);
		} else if (item->type == CH_RECORD_DATA) {
			at += tell_data(run, at) - 1;
		} else if (item->key_update) {
			tell_key_update(run, item);
		} else {
			fake_record(&ring, receive(), item->type, stream->text.data + item->at,
				    item->len);
		}
		at++;
		answer(run);
	}
}

/* ---- both ---- */

static void log_in_as(struct run *run, uint16_t version)
{
	struct device *d = run->device;

	config.record_layer = run->kernel ? CH_LAYER_POLICY_KERNEL : CH_LAYER_POLICY_USER;
	device_init(d, version);
	accept_one();
	do
		turn();
	while (!only_conn()->armed && (move(d) || turns_wait() || ring.ready_count > 0));
	cr_assert(only_conn()->armed);
	cr_assert_eq(only_conn()->rx_kernel, run->kernel);
	cr_assert_eq(only_conn()->tx_kernel, run->kernel);
	if (!run->kernel)
		device_say(d, SERVER_HELLO);
	if (run->kernel)
		fake_record(&ring, receive(), CH_RECORD_DATA, SERVER_HELLO,
			    sizeof(SERVER_HELLO) - 1);
	else
		fake_payload(&ring, receive(), d->out.data, (uint32_t)d->out.len, true);
	d->out.len = 0;
	answer(run);
	cr_assert_eq(only_conn()->state, CH_CONN_OPEN);
}

static void hang_up(struct run *run)
{
	struct fake_op *op = fake_find(&ring, FAKE_RECV);

	/* After a bad record nothing is received any more: the end comes with the deadline. */
	if (op != NULL)
		fake_complete(&ring, op, 0, false);
	else if (only_conn() != NULL && only_conn()->state == CH_CONN_DRAIN)
		ch_conn_event(&worker, only_conn(), CH_EV_DEADLINE);
	answer(run);
	settle();
	take_messages(run->outcome);
	check_baseline();
}

static void run_stream(const struct stream *stream, uint64_t seed, uint16_t version, bool kernel,
		       struct outcome *outcome)
{
	struct run run = {.stream = stream,
			  .device = &pool[0],
			  .kernel = kernel,
			  .random = seed,
			  .outcome = outcome};
	uint64_t before[STATS + CH_REASON_COUNT];

	memset(outcome, 0, sizeof(*outcome));
	read_stats(before);
	log_in_as(&run, version);
	if (kernel)
		tell_records(&run);
	else
		send_bytes(&run);
	hang_up(&run);
	read_stats(outcome->stats);
	for (size_t i = 0; i < STATS + CH_REASON_COUNT; i++) {
		outcome->stats[i] -= before[i];
		if (i >= STATS && outcome->stats[i] > 0)
			outcome->reason = (enum ch_reason)(i - STATS);
	}
}

static bool is_of_transport(const char *name)
{
	for (size_t i = 0; i < sizeof(of_transport) / sizeof(of_transport[0]); i++)
		if (strcmp(of_transport[i], name) == 0)
			return true;
	return false;
}

/*
 * After a record that does not authenticate the kernel sends nothing any more (EBADMSG): only the
 * user layer says bad_record_mac.
 */
static void drop_last_alert(struct outcome *user, struct outcome *kernel)
{
	const uint8_t *last = user->controls.data + user->last_control;

	cr_assert_arr_eq(last, "\x15\2\2", 3);
	cr_assert(last[3] == 20 || last[3] == 10, "bad_record_mac, or nothing but padding");
	user->controls.len = user->last_control;
	kernel->controls.len = kernel->last_control;
}

static void expect_same_bytes(const struct ch_buf *user, const struct ch_buf *kernel, uint64_t seed,
			      const char *what)
{
	cr_assert_eq(user->len, kernel->len, "stream %lu, %s", seed, what);
	cr_assert(user->len == 0 || memcmp(user->data, kernel->data, user->len) == 0,
		  "stream %lu, %s", seed, what);
}

static void expect_same(struct outcome *user, struct outcome *kernel, uint64_t seed)
{
	cr_assert_str_eq(ch_reason_name(user->reason), ch_reason_name(kernel->reason),
			 "stream %lu: user %s, kernel %s", seed, ch_reason_name(user->reason),
			 ch_reason_name(kernel->reason));
	for (size_t i = 0; i < STATS; i++)
		cr_assert(is_of_transport(stat_names[i]) || user->stats[i] == kernel->stats[i],
			  "stream %lu, %s: user %lu, kernel %lu", seed, stat_names[i],
			  user->stats[i], kernel->stats[i]);
	if (user->reason == CH_REASON_BAD_RECORD)
		drop_last_alert(user, kernel);
	expect_same_bytes(&user->messages, &kernel->messages, seed, "messages");
	expect_same_bytes(&user->controls, &kernel->controls, seed, "controls");
	expect_same_bytes(&user->said, &kernel->said, seed, "data");
}

/* What the streams of a test brought, so that a generator gone quiet does not look like a proof. */
struct seen {
	unsigned reasons[CH_REASON_COUNT];
	uint64_t notifications, tickets, key_updates;
};

static uint64_t stat_of(const struct outcome *outcome, const char *name)
{
	for (size_t i = 0; i < STATS; i++)
		if (strcmp(stat_names[i], name) == 0)
			return outcome->stats[i];
	cr_assert_fail("no counter %s", name);
	return 0;
}

static void compare(uint64_t seed, uint16_t version, struct seen *seen)
{
	struct outcome user;
	struct outcome kernel;
	struct stream stream;

	stream_make(&stream, seed, version == CH_TLS_1_3, true);
	run_stream(&stream, seed, version, false, &user);
	run_stream(&stream, seed, version, true, &kernel);
	expect_same(&user, &kernel, seed);
	seen->reasons[user.reason]++;
	seen->notifications += stat_of(&user, "notifications");
	seen->tickets += stat_of(&user, "tickets");
	seen->key_updates += stat_of(&user, "key_updates");
	outcome_deinit(&user);
	outcome_deinit(&kernel);
	stream_deinit(&stream);
}

static void compare_all(uint16_t version, struct seen *seen)
{
	static const enum ch_reason ends[] = {
		CH_REASON_CLOSED_BY_DEVICE, CH_REASON_TRUNCATED,	 CH_REASON_TLS_ALERT,
		CH_REASON_BAD_RECORD,	    CH_REASON_UNEXPECTED_RECORD, CH_REASON_BAD_MESSAGE,
	};

	for (uint64_t seed = 1; seed <= STREAMS; seed++)
		compare(seed, version, seen);
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
		cr_assert_gt(seen->reasons[ends[i]], 0, "no stream ended with %s",
			     ch_reason_name(ends[i]));
	cr_assert_gt(seen->notifications, STREAMS);
}

Test(layers, same_events_for_the_same_streams_of_tls13)
{
	struct seen seen = {0};

	compare_all(CH_TLS_1_3, &seen);
	cr_assert_gt(seen.tickets, STREAMS / 4);
	cr_assert_gt(seen.key_updates, STREAMS / 4);
}

Test(layers, same_events_for_the_same_streams_of_tls12)
{
	struct seen seen = {0};

	compare_all(CH_TLS_1_2, &seen);
	cr_assert_eq(seen.key_updates, 0);
}
