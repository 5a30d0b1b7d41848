/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The generated streams of tests/unit/streams.h over sockets of a kernel with TLS: what the kernel
 * opens is what user/tls/record opens of the same bytes, and what the kernel seals opens there as
 * it was. In the words of an integration test: "ok NAME", "not ok NAME", "done".
 *
 * record-layers [STREAMS [FIRST]]: so many per suite and direction, from that seed on.
 */
#include "kernel/ktls.h"
#include "kernel/ring.h"
#include "pair.h"
#include "tests/unit/streams.h"
#include "user/proto/tlsmsg.h"
#include "user/tls/keys.h"

#include <err.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define STREAMS 20
#define WAIT_NS 2000000000ull

static struct ch_ktls_support support;
static struct ch_record_engine *engine;
static struct ch_ring *ring;

struct suite {
	const char *name;
	uint16_t version;
	uint8_t aead;
	uint8_t secret_len;
};

static const struct suite suites[] = {
	{"TLS 1.2 AES-128-GCM", CH_TLS_1_2, CH_AEAD_AES_128_GCM, 0},
	{"TLS 1.2 AES-256-GCM", CH_TLS_1_2, CH_AEAD_AES_256_GCM, 0},
	{"TLS 1.2 ChaCha20-Poly1305", CH_TLS_1_2, CH_AEAD_CHACHA20_POLY1305, 0},
	{"TLS 1.3 AES-128-GCM", CH_TLS_1_3, CH_AEAD_AES_128_GCM, 32},
	{"TLS 1.3 AES-256-GCM", CH_TLS_1_3, CH_AEAD_AES_256_GCM, 48},
	{"TLS 1.3 ChaCha20-Poly1305", CH_TLS_1_3, CH_AEAD_CHACHA20_POLY1305, 32},
};

static void must(int error, const char *what)
{
	if (error != 0)
		errx(1, "%s: %d", what, error);
}

/* ---- what one side makes of a stream ---- */

enum end { END_NONE, END_FIN, END_BAD_RECORD, END_UNEXPECTED, END_ENDLESS };

static const char *const end_names[] = {"none", "FIN", "bad record", "unexpected record",
					"endless"};

struct side {
	struct ch_buf log; /**< per event type, length, bytes; data in a row is one event */
	size_t data_at;	   /**< the event of data that can still grow; SIZE_MAX = none */
	struct ch_tlsmsg stream;
	enum end end;
	unsigned updates;
	struct ch_record record; /**< its keys */
	int fd;			 /**< whose kernel keys follow; -1 = none */
	uint64_t random;
};

static void side_init(struct side *side, const struct suite *suite, uint64_t seed, bool writes)
{
	struct ch_record_keys keys = {
		.version = suite->version, .aead = suite->aead, .secret_len = suite->secret_len};
	struct ch_direction_keys *one = writes ? &keys.tx : &keys.rx;

	memset(side, 0, sizeof(*side));
	for (size_t i = 0; i < sizeof(one->secret); i++)
		one->secret[i] = (uint8_t)(seed + i);
	if (suite->secret_len > 0) {
		must(ch_keys_from_secret(suite->aead, suite->secret_len, one), "keys");
	} else {
		memcpy(one->key, one->secret, ch_aead_key_bytes(suite->aead));
		memset(one->iv, (int)seed, suite->aead == CH_AEAD_CHACHA20_POLY1305 ? 12 : 4);
		one->sequence = one->explicit_nonce = seed;
	}
	ch_record_init(&side->record, engine, &keys, NULL);
	ch_tlsmsg_init(&side->stream, suite->version == CH_TLS_1_3);
	side->data_at = SIZE_MAX;
	side->fd = -1;
	side->random = seed;
}

static void side_deinit(struct side *side)
{
	ch_buf_deinit(&side->log);
	ch_record_deinit(&side->record);
}

static void note(struct side *side, uint8_t type, const uint8_t *data, size_t len)
{
	uint32_t length = (uint32_t)len;

	if (type != CH_RECORD_DATA || side->data_at == SIZE_MAX) {
		side->data_at = type == CH_RECORD_DATA ? side->log.len : SIZE_MAX;
		must(ch_buf_append(&side->log, &type, 1), "log");
		must(ch_buf_append(&side->log, &length, sizeof(length)), "log");
	} else {
		memcpy(&length, side->log.data + side->data_at + 1, sizeof(length));
		length += (uint32_t)len;
		memcpy(side->log.data + side->data_at + 1, &length, sizeof(length));
	}
	must(ch_buf_append(&side->log, data, len), "log");
}

static void follow_key_update(struct side *side)
{
	side->updates++;
	must(ch_record_rekey(&side->record, false), "rekey");
	if (side->fd >= 0)
		must(ch_ktls_install(side->fd, CH_KTLS_RX, &side->record.keys, &support),
		     "TLS_RX for a KeyUpdate");
}

static void take_handshake(struct side *side, const uint8_t *data, size_t len)
{
	enum ch_tlsmsg_result result;
	bool requested;
	size_t used;

	do {
		result = ch_tlsmsg_feed(&side->stream, data, len, &used, &requested);
		data += used;
		len -= used;
		if (result == CH_TLSMSG_KEY_UPDATE)
			follow_key_update(side);
	} while (result != CH_TLSMSG_MORE && result != CH_TLSMSG_REFUSED);
	if (result == CH_TLSMSG_REFUSED)
		side->end = END_UNEXPECTED;
}

static void take(struct side *side, uint8_t type, const uint8_t *data, size_t len)
{
	if (type <= CH_RECORD_CCS || type > CH_RECORD_HEARTBEAT) {
		side->end = END_UNEXPECTED;
		return;
	}
	/* The kernel does not tell of empty data records. */
	if (type == CH_RECORD_DATA && len == 0)
		return;
	note(side, type, data, len);
	if (type == CH_RECORD_HANDSHAKE)
		take_handshake(side, data, len);
}

/* The user layer. @return false: at the end */
static bool open_bytes(struct side *side, uint8_t *data, size_t len)
{
	enum ch_record_result result;
	struct ch_record_event event;
	size_t used;

	while (side->end == END_NONE && (result = ch_record_open(&side->record, data, len, &used,
								 &event)) != CH_RECORD_MORE) {
		data += used;
		len -= used;
		if (result == CH_RECORD_EVENT)
			take(side, event.type, event.data, event.len);
		else
			side->end = side->record.reason == CH_REASON_BAD_RECORD ? END_BAD_RECORD
										: END_UNEXPECTED;
	}
	return side->end == END_NONE;
}

/* ---- the kernel opens ---- */

struct receiver {
	struct side side;
	bool armed;
	unsigned expired; /**< receives that ended for want of new keys */
};

static void on_received(void *ctx, const struct ch_completion *c)
{
	struct receiver *receiver = ctx;
	struct side *side = &receiver->side;

	if (c->user_data != 1) /* the cancel */
		return;
	receiver->armed = c->more;
	if (side->end == END_NONE) {
		if (c->buffered)
			take(side, c->record_type, c->payload, c->payload_len);
		else if (c->end)
			side->end = END_FIN;
		else if (c->result == 0)
			take(side, c->record_type, NULL, 0);
		else if (c->result == -EKEYEXPIRED)
			receiver->expired++;
		else if (c->result == -EBADMSG || c->result == -EMSGSIZE || c->result == -EINVAL)
			side->end = END_BAD_RECORD;
		else if (c->result != -ENOBUFS)
			errx(1, "receive: %s", strerror(-c->result));
	}
	if (receiver->expired > side->updates)
		side->end = END_ENDLESS;
	if (c->buffered)
		ring->ops->recycle(ring, c->buffer);
}

static void run(struct receiver *receiver, uint64_t wait_ns)
{
	if (!receiver->armed && receiver->side.end == END_NONE) {
		must(ring->ops->recv(ring, (struct ch_file){.index = receiver->side.fd}, 1),
		     "receive");
		receiver->armed = true;
	}
	if (ring->ops->run(ring, wait_ns, 64, on_received, receiver) < 0)
		errx(1, "ring");
}

static void disarm(struct receiver *receiver)
{
	if (receiver->armed)
		must(ring->ops->cancel(ring, 1, 2), "cancel");
	while (receiver->armed)
		run(receiver, WAIT_NS);
}

/* Writes the bytes in pieces of any size, and receives between them. */
static void kernel_opens(struct receiver *receiver, int far, const struct ch_buf *wire)
{
	static const uint32_t most[] = {30, 700, 5000, 100000};
	struct side *side = &receiver->side;
	size_t at = 0;

	while (at < wire->len && side->end == END_NONE) {
		size_t len = 1 + stream_pick(&side->random, most[stream_pick(&side->random, 4)]);
		ssize_t sent;

		len = len > wire->len - at ? wire->len - at : len;
		sent = send(far, wire->data + at, len, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (sent < 0 && errno != EAGAIN)
			err(1, "send");
		at += sent > 0 ? (size_t)sent : 0;
		if (sent < 0 || stream_pick(&side->random, 3) == 0)
			run(receiver, sent < 0 ? WAIT_NS : 0);
	}
	shutdown(far, SHUT_WR);
	while (side->end == END_NONE)
		run(receiver, WAIT_NS);
	disarm(receiver);
}

/* Bytes of any length too, for the reference. */
static void user_opens(struct side *side, const struct ch_buf *wire)
{
	struct ch_buf copy = {0};
	size_t at = 0;
	size_t len = 0;

	must(ch_buf_append(&copy, wire->data, wire->len), "copy");
	for (; at < copy.len; at += len) {
		len = 1 + stream_pick(&side->random, 20000);
		len = len > copy.len - at ? copy.len - at : len;
		if (!open_bytes(side, copy.data + at, len))
			break;
	}
	if (side->end == END_NONE)
		side->end = END_FIN;
	ch_buf_deinit(&copy);
}

/* Where they part, for whoever looks into it. */
static void show_difference(const struct side *one, const struct side *other)
{
	size_t len = one->log.len < other->log.len ? one->log.len : other->log.len;
	size_t at = 0;

	while (at < len && one->log.data[at] == other->log.data[at])
		at++;
	printf("#   at %zu:", at);
	for (size_t i = at; i < at + 16 && i < one->log.len; i++)
		printf(" %02x", one->log.data[i]);
	printf(", kernel:");
	for (size_t i = at; i < at + 16 && i < other->log.len; i++)
		printf(" %02x", other->log.data[i]);
	printf("; KeyUpdates: %u and %u\n", one->updates, other->updates);
}

/* @return the same? */
static bool same(const struct side *one, const struct side *other, const struct suite *suite,
		 uint64_t seed)
{
	if (one->end == other->end && one->log.len == other->log.len &&
	    (one->log.len == 0 || memcmp(one->log.data, other->log.data, one->log.len) == 0))
		return true;
	printf("# %s, stream %lu: %s, %zu bytes of events; kernel: %s, %zu bytes\n", suite->name,
	       seed, end_names[one->end], one->log.len, end_names[other->end], other->log.len);
	show_difference(one, other);
	return false;
}

static bool check_opening(const struct suite *suite, uint64_t seed, unsigned ends[])
{
	struct pair pair = pair_new();
	struct receiver kernel = {.armed = false};
	struct ch_buf wire = {0};
	struct stream stream;
	struct side user;
	struct side device;
	bool good;

	stream_make(&stream, seed, suite->version == CH_TLS_1_3, support.rekey);
	side_init(&device, suite, seed, true);
	stream_seal(&stream, &device.record, &wire);
	side_init(&user, suite, seed, false);
	user_opens(&user, &wire);
	side_init(&kernel.side, suite, seed, false);
	kernel.side.fd = pair.near;
	must(ch_ktls_prepare(pair.near), "TCP_ULP");
	must(ch_ktls_install(pair.near, CH_KTLS_RX, &kernel.side.record.keys, &support), "TLS_RX");
	kernel_opens(&kernel, pair.far, &wire);
	good = same(&user, &kernel.side, suite, seed);
	ends[user.end]++;
	side_deinit(&device);
	side_deinit(&user);
	side_deinit(&kernel.side);
	stream_deinit(&stream);
	ch_buf_deinit(&wire);
	pair_free(pair);
	return good;
}

/* ---- the kernel seals ---- */

static void on_sent(void *ctx, const struct ch_completion *c)
{
	*(int32_t *)ctx = c->result;
}

/* One item through the kernel, all of it. */
static void seal_item(struct side *sender, const struct stream_item *item, const uint8_t *data)
{
	struct ch_file file = {.index = sender->fd};
	struct ch_ring_message scratch;
	uint32_t at = 0;

	while (at < item->len) {
		int32_t result = INT32_MIN;

		if (item->type == CH_RECORD_DATA)
			must(ring->ops->send(ring, file, data + at, item->len - at, 1), "send");
		else
			must(ring->ops->send_record(ring, file, item->type, data + at,
						    item->len - at, &scratch, 1),
			     "send");
		while (result == INT32_MIN)
			if (ring->ops->run(ring, WAIT_NS, 64, on_sent, &result) < 0)
				errx(1, "ring");
		if (result <= 0)
			errx(1, "send: %s", strerror(-result));
		at += (uint32_t)result;
	}
	if (!item->key_update)
		return;
	must(ch_record_rekey(&sender->record, true), "rekey");
	must(ch_ktls_install(sender->fd, CH_KTLS_TX, &sender->record.keys, &support),
	     "TLS_TX for a KeyUpdate");
}

/* What has arrived at the device. @return false: no more of it */
static bool read_far(struct side *side, int far, int flags)
{
	static uint8_t bytes[65536];
	ssize_t len = recv(far, bytes, sizeof(bytes), flags);

	if (len < 0 && errno == EAGAIN)
		return true;
	if (len < 0)
		err(1, "recv");
	if (len == 0)
		side->end = END_FIN;
	return len > 0 && open_bytes(side, bytes, (size_t)len);
}

/* An item of 16 kB fits into the buffers of the sockets, so that sending never waits for us. */
static bool check_sealing(const struct suite *suite, uint64_t seed, unsigned ends[])
{
	struct pair pair = pair_new();
	struct stream stream;
	struct side model;
	struct side kernel;
	struct side device;
	bool good;

	stream_make(&stream, seed, suite->version == CH_TLS_1_3, support.rekey);
	side_init(&model, suite, seed, false);
	side_init(&device, suite, seed, false);
	side_init(&kernel, suite, seed, true);
	kernel.fd = pair.near;
	must(ch_ktls_prepare(pair.near), "TCP_ULP");
	must(ch_ktls_install(pair.near, CH_KTLS_TX, &kernel.record.keys, &support), "TLS_TX");
	for (size_t i = 0; i < stream.count && model.end == END_NONE; i++) {
		const struct stream_item *item = &stream.items[i];

		/* The kernel seals no empty record, and its own type 0 is no type. */
		if (item->len == 0 || item->type == 0)
			continue;
		take(&model, item->type, stream.text.data + item->at, item->len);
		seal_item(&kernel, item, stream.text.data + item->at);
		if (device.end == END_NONE)
			read_far(&device, pair.far, MSG_DONTWAIT);
	}
	if (model.end == END_NONE)
		model.end = END_FIN;
	shutdown(pair.near, SHUT_WR);
	while (device.end == END_NONE)
		read_far(&device, pair.far, 0);
	good = same(&model, &device, suite, seed);
	ends[model.end]++;
	side_deinit(&model);
	side_deinit(&kernel);
	side_deinit(&device);
	stream_deinit(&stream);
	pair_free(pair);
	return good;
}

/* ---- all ---- */

static void claim(const struct suite *suite, const char *what, int unsupported, uint64_t first,
		  uint64_t count, bool (*check)(const struct suite *, uint64_t, unsigned[]))
{
	unsigned ends[END_ENDLESS + 1] = {0};
	uint64_t bad = 0;

	if (unsupported != 0) {
		printf("ok %s: %s # SKIP this kernel cannot: %s\n", suite->name, what,
		       strerror(-unsupported));
		return;
	}
	for (uint64_t seed = first; seed < first + count; seed++)
		bad += !check(suite, seed, ends);
	printf("%sok %s: %s, %lu streams\n", bad > 0 ? "not " : "", suite->name, what, count);
	printf("# ends: %u FIN, %u bad record, %u unexpected record\n", ends[END_FIN],
	       ends[END_BAD_RECORD], ends[END_UNEXPECTED]);
	fflush(stdout);
}

int main(int argc, char **argv)
{
	const struct ch_ring_options options = {.entries = 64, .fixed_files = 1, .buffers = 16};
	uint64_t count = argc > 1 ? strtoull(argv[1], NULL, 10) : STREAMS;
	uint64_t first = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;

	ch_ktls_probe(&support);
	must(ch_record_engine_new(&engine), "engine");
	must(ch_ring_new(&options, &ring), "io_uring");
	printf("# TLS keys can%s be changed here\n", support.rekey ? "" : "not");
	for (size_t i = 0; i < sizeof(suites) / sizeof(suites[0]); i++) {
		const struct suite *suite = &suites[i];
		const struct ch_ktls_cipher *cipher = suite->version == CH_TLS_1_3
							      ? &support.tls13[suite->aead]
							      : &support.tls12[suite->aead];

		/* other streams for each */
		claim(suite, "the kernel opens what the user layer opens", cipher->rx,
		      first + i * count, count, check_opening);
		claim(suite, "what the kernel seals is opened as it was", cipher->tx,
		      first + i * count, count, check_sealing);
	}
	ring->ops->free(ring);
	ch_record_engine_free(engine);
	printf("done\n");
	return 0;
}
