/* SPDX-License-Identifier: Apache-2.0 */
#include "fake_ring.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct fake_op *op_new(struct ch_ring *ring, enum fake_kind kind, uint64_t user_data)
{
	struct fake_ring *fake = (struct fake_ring *)ring;

	for (unsigned i = 0; i < FAKE_OPS; i++) {
		if (fake->ops[i].kind == FAKE_FREE) {
			fake->ops[i] = (struct fake_op){.kind = kind, .user_data = user_data};
			return &fake->ops[i];
		}
	}
	assert(!"too many operations for the fake ring");
	return NULL;
}

static int fake_accept(struct ch_ring *ring, int fd, uint64_t user_data)
{
	op_new(ring, FAKE_ACCEPT, user_data)->file.index = fd;
	return 0;
}

static int fake_connect(struct ch_ring *ring, int fd, const struct ch_address *to,
			uint64_t user_data)
{
	(void)ring, (void)fd, (void)to, (void)user_data;
	return -EOPNOTSUPP;
}

static int fake_recv_exact(struct ch_ring *ring, struct ch_file file, void *into, uint32_t len,
			   uint64_t user_data)
{
	struct fake_op *op = op_new(ring, FAKE_RECV_EXACT, user_data);

	op->file = file;
	op->into = into;
	op->len = len;
	return 0;
}

static uint32_t fake_take(struct ch_ring *ring, struct ch_file file, void *into, uint32_t len)
{
	struct fake_ring *fake = (struct fake_ring *)ring;

	(void)file;
	if (len > fake->there_len)
		len = fake->there_len;
	if (len > 0)
		memcpy(into, fake->there, len);
	fake->there += len;
	fake->there_len -= len;
	return len;
}

static int fake_recv(struct ch_ring *ring, struct ch_file file, uint64_t user_data)
{
	op_new(ring, FAKE_RECV, user_data)->file = file;
	return 0;
}

static int fake_send(struct ch_ring *ring, struct ch_file file, const void *data, uint32_t len,
		     uint64_t user_data)
{
	struct fake_op *op = op_new(ring, FAKE_SEND, user_data);

	op->file = file;
	op->data = data;
	op->len = len;
	return 0;
}

static int fake_send_record(struct ch_ring *ring, struct ch_file file, uint8_t type,
			    const void *data, uint32_t len, struct ch_ring_message *scratch,
			    uint64_t user_data)
{
	struct fake_op *op = op_new(ring, FAKE_SEND_RECORD, user_data);

	memset(scratch, 0xee, sizeof(*scratch));
	op->file = file;
	op->data = data;
	op->len = len;
	op->record_type = type;
	return 0;
}

static int fake_rekey(struct ch_ring *ring, struct ch_file file, enum ch_ktls_direction direction,
		      const uint8_t *info, uint32_t len, uint64_t user_data)
{
	struct fake_op *op = op_new(ring, FAKE_REKEY, user_data);

	op->file = file;
	op->data = info;
	op->len = len;
	op->direction = direction;
	return 0;
}

static int fake_wake(struct ch_ring *ring, int fd, uint64_t user_data)
{
	op_new(ring, FAKE_WAKE, user_data)->file.index = fd;
	return 0;
}

static int fake_cancel(struct ch_ring *ring, uint64_t target, uint64_t user_data)
{
	op_new(ring, FAKE_CANCEL, user_data)->target = target;
	return 0;
}

static int fake_close(struct ch_ring *ring, struct ch_file file, uint64_t user_data)
{
	op_new(ring, FAKE_CLOSE, user_data)->file = file;
	return 0;
}

static int fake_install(struct ch_ring *ring, uint32_t slot, int fd)
{
	struct fake_ring *fake = (struct fake_ring *)ring;
	int err = fake->fail_install;

	(void)slot, (void)fd;
	fake->fail_install = 0;
	fake->installs += err == 0;
	return err;
}

static void fake_recycle(struct ch_ring *ring, uint16_t buffer)
{
	(void)buffer;
	((struct fake_ring *)ring)->recycled++;
}

static int fake_run(struct ch_ring *ring, uint64_t wait_ns, unsigned most, ch_completion_fn deliver,
		    void *ctx)
{
	struct fake_ring *fake = (struct fake_ring *)ring;
	struct ch_completion now[FAKE_OPS];
	unsigned count = fake->ready_count;

	assert(count <= most);
	fake->last_wait_ns = wait_ns;
	memcpy(now, fake->ready, count * sizeof(now[0]));
	fake->ready_count = 0;
	usleep(fake->run_us);
	fake->run_us = 0;
	for (unsigned i = 0; i < count; i++) {
		deliver(ctx, &now[i]);
		free(now[i].payload);
	}
	return (int)count;
}

static void fake_free(struct ch_ring *ring)
{
	struct fake_ring *fake = (struct fake_ring *)ring;

	for (unsigned i = 0; i < fake->ready_count; i++)
		free(fake->ready[i].payload);
	fake->ready_count = 0;
}

static const struct ch_ring_ops fake_ops = {
	.accept = fake_accept,
	.connect = fake_connect,
	.recv_exact = fake_recv_exact,
	.take = fake_take,
	.recv = fake_recv,
	.send = fake_send,
	.send_record = fake_send_record,
	.rekey = fake_rekey,
	.wake = fake_wake,
	.cancel = fake_cancel,
	.close = fake_close,
	.install = fake_install,
	.recycle = fake_recycle,
	.run = fake_run,
	.free = fake_free,
};

void fake_ring_init(struct fake_ring *ring)
{
	memset(ring, 0, sizeof(*ring));
	ring->base.ops = &fake_ops;
}

struct fake_op *fake_find(struct fake_ring *ring, enum fake_kind kind)
{
	for (unsigned i = 0; i < FAKE_OPS; i++) {
		if (ring->ops[i].kind == kind)
			return &ring->ops[i];
	}
	return NULL;
}

void fake_push(struct fake_ring *ring, const struct ch_completion *completion)
{
	assert(ring->ready_count < FAKE_OPS);
	ring->ready[ring->ready_count++] = *completion;
}

void fake_complete(struct fake_ring *ring, struct fake_op *op, int32_t result, bool more)
{
	struct ch_completion c = {.user_data = op->user_data, .result = result, .more = more};

	/* A receive of nothing is the end of the stream. */
	c.end = op->kind == FAKE_RECV && result == 0;
	fake_push(ring, &c);
	if (!more)
		op->kind = FAKE_FREE;
}

void fake_payload(struct fake_ring *ring, struct fake_op *op, const void *data, uint32_t len,
		  bool more)
{
	struct ch_completion c = {.user_data = op->user_data,
				  .result = (int32_t)len,
				  .more = more,
				  .buffered = true,
				  .payload = malloc(len),
				  .payload_len = len};

	memcpy(c.payload, data, len);
	fake_push(ring, &c);
	if (!more)
		op->kind = FAKE_FREE;
}

void fake_record(struct fake_ring *ring, struct fake_op *op, uint8_t type, const void *data,
		 uint32_t len)
{
	struct ch_completion *c;

	if (len > 0)
		fake_payload(ring, op, data, len, true);
	else
		fake_push(ring, &(struct ch_completion){.user_data = op->user_data, .more = true});
	c = &ring->ready[ring->ready_count - 1];
	c->record_type = type;
}

unsigned fake_settle(struct fake_ring *ring)
{
	unsigned settled = 0;

	for (unsigned i = 0; i < FAKE_OPS; i++) {
		struct fake_op *op = &ring->ops[i];

		if (op->kind == FAKE_CANCEL) {
			for (unsigned j = 0; j < FAKE_OPS; j++) {
				if (j != i && ring->ops[j].kind != FAKE_FREE &&
				    ring->ops[j].user_data == op->target)
					fake_complete(ring, &ring->ops[j], -ECANCELED, false);
			}
			fake_complete(ring, op, 0, false);
			settled++;
		} else if (op->kind == FAKE_CLOSE) {
			ring->closes++;
			fake_complete(ring, op, 0, false);
			settled++;
		}
	}
	return settled;
}
