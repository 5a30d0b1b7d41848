/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet.h"
#include "call.h"

#include "kernel/probe.h"
#include "kernel/sock.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define STEP_BUDGET_NS 2000000ull /* of handshakes per turn, so that sessions are served in between */
#define PUBLISH_NS 100000000ull
#define ARRIVALS 64  /* calls begun per turn */
#define COMPLETIONS 512
#define HANG_UPS 64 /* between two looks at the ring */
#define BUFFERS 512
#define ENTRIES 4096

uint64_t sim_random(struct sim_fleet *fleet, uint64_t bound)
{
	/* xorshift64: jitter, no secrets */
	uint64_t x = fleet->random;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	fleet->random = x;
	return bound ? x % bound : 0;
}

static void on_completion(void *ctx, const struct ch_completion *done)
{
	struct sim_fleet *fleet = ctx;

	if (ch_user_data_op(done->user_data) == CALL_OP_WAKE) {
		int err = fleet->ring->ops->wake(fleet->ring, fleet->wake_fd,
						 ch_user_data(CALL_OP_WAKE, 0, 0));
		if (err)
			fleet->error = err;
		return;
	}
	call_on_completion(fleet, done);
	if (done->buffered)
		fleet->ring->ops->recycle(fleet->ring, done->buffer);
}

static void on_timer(struct ch_timer *timer, void *ctx)
{
	struct call *call = (struct call *)(void *)((char *)timer - offsetof(struct call, timer));

	call_on_timer(ctx, call, ch_now_ns());
}

static uint32_t arrivals_left(const struct sim_fleet *fleet)
{
	return fleet->options.devices - fleet->next_device + fleet->impostor_count -
	       fleet->next_impostor;
}

/* When the next call is due: a steady rate from the start, whatever the collector does. */
static uint64_t next_arrival_ns(const struct sim_fleet *fleet)
{
	uint64_t number = (uint64_t)fleet->next_device + fleet->next_impostor;

	if (fleet->options.attack)
		return call_attack_due_ns(fleet);
	if (arrivals_left(fleet) == 0 || fleet->command != SIM_COMMAND_RUN)
		return UINT64_MAX;
	if (fleet->options.rate <= 0)
		return fleet->start_ns;
	return fleet->start_ns + (uint64_t)((double)number * 1e9 / fleet->options.rate);
}

/* Impostors are spread evenly among the devices: the k-th of n comes after (k + 1) / (n + 1) of them. */
static struct call *next_arrival(struct sim_fleet *fleet)
{
	uint64_t devices = fleet->options.devices;
	uint64_t due_impostors = devices == 0 ? fleet->impostor_count
					      : (uint64_t)fleet->next_device *
							(fleet->impostor_count + 1) / devices;
	bool impostor = fleet->next_impostor < fleet->impostor_count &&
			(due_impostors > fleet->next_impostor || fleet->next_device == devices);

	if (impostor)
		return &fleet->calls[devices + fleet->next_impostor++];
	return &fleet->calls[fleet->next_device++];
}

static void begin_due_calls(struct sim_fleet *fleet, uint64_t now_ns)
{
	for (int i = 0; i < ARRIVALS; i++) {
		uint64_t due_ns = next_arrival_ns(fleet);
		if (due_ns > now_ns)
			return;
		if (fleet->options.attack)
			call_attack_begin(fleet, now_ns);
		else
			call_begin(fleet, next_arrival(fleet), due_ns, now_ns);
	}
}

static uint64_t run_steps(struct sim_fleet *fleet, uint64_t now_ns)
{
	uint64_t until_ns = now_ns + STEP_BUDGET_NS;

	while (fleet->steps && now_ns < until_ns) {
		struct call *call = fleet->steps;
		fleet->steps = call->next_step;
		if (!fleet->steps)
			fleet->steps_tail = &fleet->steps;
		call_step(fleet, call, now_ns);
		now_ns = ch_now_ns();
	}
	return now_ns;
}

static uint32_t count_busy(const struct sim_fleet *fleet)
{
	uint32_t busy = 0;

	for (uint32_t i = 0; i < fleet->options.devices; i++) {
		const struct call *call = &fleet->calls[i];
		bool open = call->phase == CALL_CONNECTED && call->device.state == SIM_OPEN;
		bool sends = call->device.out.len > 0 || call->flight.len > 0;
		busy += call->phase == CALL_CONNECTING || call->phase == CALL_ENDING ||
			(call->phase == CALL_CONNECTED && !open) || (open && sends);
	}
	return busy;
}

static void publish(struct sim_fleet *fleet, uint64_t now_ns, bool running)
{
	/* counted over all calls only when somebody waits for it */
	uint32_t busy = fleet->command == SIM_COMMAND_RUN ? 0 : count_busy(fleet);

	fleet->publish_ns = now_ns + PUBLISH_NS;
	pthread_mutex_lock(&fleet->mutex);
	fleet->published.counters = fleet->shared.counters;
	fleet->published.login_us = fleet->login_us;
	fleet->published.connect_us = fleet->connect_us;
	fleet->published.waiting = arrivals_left(fleet);
	fleet->published.busy = busy;
	fleet->published.open = fleet->open;
	fleet->published.running = running;
	fleet->published.error = fleet->error;
	memcpy(fleet->published.user, fleet->shared.user, sizeof(fleet->published.user));
	pthread_mutex_unlock(&fleet->mutex);
}

static void set_event_time(struct sim_fleet *fleet)
{
	time_t second = (time_t)(ch_unix_ns() / 1000000000);
	struct tm utc;

	if ((uint64_t)second == fleet->second)
		return;
	fleet->second = (uint64_t)second;
	if (gmtime_r(&second, &utc))
		(void)strftime(fleet->shared.event_time, sizeof(fleet->shared.event_time),
			       "%Y-%m-%dT%H:%M:%SZ", &utc);
}

static void obey(struct sim_fleet *fleet, uint64_t now_ns)
{
	int told = atomic_load(&fleet->told);

	if (told == fleet->command)
		return;
	fleet->command = told;
	/* what was announced before is not news to who asks now */
	fleet->publish_ns = 0;
	if (told != SIM_COMMAND_CLOSE)
		return;
	for (uint32_t i = 0; i < fleet->call_count; i++)
		call_close(fleet, &fleet->calls[i], now_ns);
}

static uint64_t wait_ns(const struct sim_fleet *fleet, uint64_t now_ns)
{
	uint64_t until = ch_wheel_next(&fleet->wheel);
	uint64_t arrival = next_arrival_ns(fleet);

	if (fleet->steps)
		return 0;
	if (arrival < until)
		until = arrival;
	if (fleet->publish_ns < until)
		until = fleet->publish_ns;
	return until > now_ns ? until - now_ns : 0;
}

static void turn(struct sim_fleet *fleet)
{
	uint64_t now_ns = ch_now_ns();

	fleet->shared.now_ns = now_ns;
	obey(fleet, now_ns);
	set_event_time(fleet);
	begin_due_calls(fleet, now_ns);
	(void)ch_wheel_expire(&fleet->wheel, now_ns, on_timer, fleet);
	now_ns = run_steps(fleet, now_ns);
	if (now_ns >= fleet->publish_ns)
		publish(fleet, now_ns, true);
	int err = fleet->ring->ops->run(fleet->ring, wait_ns(fleet, now_ns), COMPLETIONS,
					on_completion, fleet);
	if (err < 0)
		fleet->error = err;
}

static int make_ring(struct sim_fleet *fleet)
{
	const struct ch_ring_options options = {
		.entries = ENTRIES,
		.fixed_files = fleet->options.devices ? fleet->options.devices : 1,
		.buffers = BUFFERS,
	};
	int err = ch_ring_new(&options, &fleet->ring);

	ch_ktls_probe(&fleet->ktls);
	fleet->shared.rekey = fleet->ktls.rekey;
	if (!err)
		err = fleet->ring->ops->wake(fleet->ring, fleet->wake_fd,
					     ch_user_data(CALL_OP_WAKE, 0, 0));
	return err;
}

static void on_left(void *ctx, const struct ch_completion *done)
{
	struct sim_fleet *fleet = ctx;

	if (done->buffered)
		fleet->ring->ops->recycle(fleet->ring, done->buffer);
}

static void drain(struct sim_fleet *fleet)
{
	while (fleet->ring->ops->run(fleet->ring, 0, COMPLETIONS, on_left, fleet) > 0)
		continue;
}

/*
 * Some at a time. A ring that is freed cancels all that is in flight at once, and for thousands of
 * connections that keeps everybody else on this core waiting for half a second.
 */
static void hang_up(struct sim_fleet *fleet)
{
	uint32_t some = 0;

	for (uint32_t i = 0; i < fleet->call_count; i++) {
		const struct ch_file *file = &fleet->calls[i].file;

		if (file->index < 0 || file->fixed)
			continue;
		ch_sock_shutdown(file->index);
		if (++some % HANG_UPS == 0)
			drain(fleet);
	}
	drain(fleet);
}

/* A descriptor that is left open dies with the ring's cancellation of what is in flight. */
static void abandon(struct sim_fleet *fleet)
{
	if (fleet->ring && !fleet->error)
		hang_up(fleet);
	if (fleet->ring)
		fleet->ring->ops->free(fleet->ring);
	fleet->ring = NULL;
	for (uint32_t i = 0; i < fleet->call_count; i++) {
		struct call *call = &fleet->calls[i];
		if (call->file.index >= 0 && !call->file.fixed)
			ch_sock_close(call->file.index);
		sim_device_reset(&call->device);
		ch_buf_deinit(&call->flight);
		call_drop_keys(call, CH_KTLS_RX);
		call_drop_keys(call, CH_KTLS_TX);
		ch_buf_deinit(&call->beat);
		free(call->message);
	}
}

static void *run(void *ctx)
{
	struct sim_fleet *fleet = ctx;
	int err = make_ring(fleet);

	pthread_mutex_lock(&fleet->mutex);
	fleet->error = err;
	fleet->published.error = err;
	fleet->published.running = !err;
	fleet->started = true;
	pthread_cond_signal(&fleet->started_cond);
	pthread_mutex_unlock(&fleet->mutex);

	fleet->start_ns = ch_now_ns();
	ch_wheel_init(&fleet->wheel, fleet->start_ns);
	if (fleet->options.anchor_unix_ns > 0)
		fleet->start_ns =
			sim_schedule_anchor(fleet->options.anchor_unix_ns, fleet->options.period_ns,
					    ch_unix_ns(), fleet->start_ns);
	fleet->attack_ns = fleet->start_ns;
	while (!fleet->error && fleet->command != SIM_COMMAND_STOP)
		turn(fleet);
	publish(fleet, ch_now_ns(), false);
	abandon(fleet);
	return NULL;
}

static int make_calls(struct sim_fleet *fleet)
{
	const struct sim_fleet_options *options = &fleet->options;

	for (uint32_t i = 0; i < options->plan_count; i++)
		fleet->impostor_count += options->plans[i].count;
	fleet->call_count = options->attack ? options->attack->connections
					    : options->devices + fleet->impostor_count;
	fleet->calls = calloc(fleet->call_count + 1, sizeof(*fleet->calls));
	fleet->impostors = calloc(fleet->impostor_count + 1, sizeof(*fleet->impostors));
	if (!fleet->calls || !fleet->impostors)
		return -ENOMEM;
	for (uint32_t i = 0; i < fleet->call_count; i++) {
		struct call *call = &fleet->calls[i];
		call->slot = i;
		call->file.index = -1;
		if (i < options->devices)
			sim_device_init(&call->device, &fleet->shared,
					options->first + i * options->stride, NULL);
	}
	return 0;
}

/*
 * One of each kind in turn, so that kinds with many do not come last. The index, which decides about
 * identity, source address and TLS version, counts within the kind: of two one speaks TLS 1.2.
 */
static void deal_impostors(struct sim_fleet *fleet)
{
	const struct sim_fleet_options *options = &fleet->options;
	uint32_t dealt = 0;

	for (uint32_t round = 0; dealt < fleet->impostor_count; round++) {
		uint32_t before = 0;
		for (uint32_t i = 0; i < options->plan_count; i++) {
			const struct sim_plan *plan = &options->plans[i];
			if (plan->count > round) {
				struct call *call = &fleet->calls[options->devices + dealt];
				fleet->impostors[dealt].kind = plan->kind;
				call->impostor = dealt++;
				sim_device_init(&call->device, &fleet->shared, before + round,
						plan->kind);
			}
			before += plan->count;
		}
	}
}

static int start_thread(struct sim_fleet *fleet)
{
	int err = -pthread_create(&fleet->thread, NULL, run, fleet);
	if (err)
		return err;
	fleet->joined = false;
	pthread_mutex_lock(&fleet->mutex);
	while (!fleet->started)
		pthread_cond_wait(&fleet->started_cond, &fleet->mutex);
	err = fleet->published.error;
	pthread_mutex_unlock(&fleet->mutex);
	return err;
}

/* One write per line, as the threads share the file. */
static void write_certificate(void *ctx, const struct sim_device *device, const uint8_t sha256[32])
{
	char name[32];
	char hex[65];

	sim_pki_name(device->index, name);
	for (int i = 0; i < 32; i++)
		snprintf(hex + 2 * i, 3, "%02x", sha256[i]);
	fprintf(ctx, "%s %s\n", name, hex);
}

int sim_fleet_start(const struct sim_fleet_options *options, struct sim_fleet **started)
{
	struct sim_fleet *fleet = calloc(1, sizeof(*fleet));
	if (!fleet)
		return -ENOMEM;

	fleet->options = *options;
	fleet->random = options->seed * 2 + 1;
	fleet->joined = true;
	fleet->steps_tail = &fleet->steps;
	if (options->notify_rate > 0)
		fleet->notify_interval_ns = (uint64_t)(1e9 / options->notify_rate);
	pthread_mutex_init(&fleet->mutex, NULL);
	pthread_cond_init(&fleet->started_cond, NULL);
	fleet->wake_fd = ch_sock_eventfd();
	int err = fleet->wake_fd < 0 ? fleet->wake_fd : 0;
	if (!err)
		err = sim_shared_init(&fleet->shared, options->pki, options->reply_bytes);
	if (!err)
		err = make_calls(fleet);
	if (!err) {
		fleet->shared.tls_choice = options->tls;
		fleet->shared.framing = options->framing;
		fleet->shared.on_certificate = options->certificates ? write_certificate : NULL;
		fleet->shared.certificate_ctx = options->certificates;
		fleet->shared.names = options->names;
		fleet->shared.key_update_every = options->key_update_every;
		fleet->shared.key_update_asks = options->key_update_asks;
		fleet->shared.heartbeat_mode = options->heartbeat_mode;
		fleet->shared.heartbeat_test = options->heartbeat_test;
		if (options->attack)
			call_attack_init(fleet);
		else
			deal_impostors(fleet);
		err = start_thread(fleet);
	}
	if (err) {
		sim_fleet_free(fleet);
		return err;
	}
	*started = fleet;
	return 0;
}

void sim_fleet_tell(struct sim_fleet *fleet, enum sim_command command)
{
	atomic_store(&fleet->told, command);
	ch_sock_wake(fleet->wake_fd);
}

static void add_counters(struct sim_counters *sum, const struct sim_counters *more)
{
	/* nothing but uint64_t in it */
	_Static_assert(sizeof(*sum) % sizeof(uint64_t) == 0, "counters are all uint64_t");
	uint64_t *to = (uint64_t *)(void *)sum;
	const uint64_t *from = (const uint64_t *)(const void *)more;

	for (size_t i = 0; i < sizeof(*sum) / sizeof(uint64_t); i++)
		to[i] += from[i];
}

void sim_fleet_add(struct sim_fleet *fleet, struct sim_snapshot *sum)
{
	pthread_mutex_lock(&fleet->mutex);
	const struct sim_snapshot *more = &fleet->published;
	add_counters(&sum->counters, &more->counters);
	ch_hist_merge(&sum->login_us, &more->login_us);
	ch_hist_merge(&sum->connect_us, &more->connect_us);
	sum->waiting += more->waiting;
	sum->busy += more->busy;
	sum->open += more->open;
	sum->running |= more->running;
	if (!sum->error)
		sum->error = more->error;
	if (more->user[0] != '\0')
		memcpy(sum->user, more->user, sizeof(sum->user));
	pthread_mutex_unlock(&fleet->mutex);
}

void sim_fleet_join(struct sim_fleet *fleet)
{
	if (fleet->joined)
		return;
	sim_fleet_tell(fleet, SIM_COMMAND_STOP);
	pthread_join(fleet->thread, NULL);
	fleet->joined = true;
}

uint32_t sim_fleet_impostors(const struct sim_fleet *fleet, const struct sim_impostor_view **views)
{
	*views = fleet->impostors;
	return fleet->impostor_count;
}

void sim_fleet_free(struct sim_fleet *fleet)
{
	if (!fleet)
		return;
	sim_fleet_join(fleet);
	if (fleet->wake_fd >= 0)
		ch_sock_close(fleet->wake_fd);
	pthread_mutex_destroy(&fleet->mutex);
	pthread_cond_destroy(&fleet->started_cond);
	sim_shared_deinit(&fleet->shared);
	free(fleet->calls);
	free(fleet->impostors);
	free(fleet);
}
