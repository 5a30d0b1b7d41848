/* SPDX-License-Identifier: Apache-2.0 */
#include "collector.h"
#include "guarding.h"
#include "crl_watch.h"
#include "host.h"
#include "kernel/probe.h"
#include "kernel/sock.h"
#include "publish.h"
#include "reload.h"
#include "user/core/hash.h"

#include <errno.h>
#include <stdio.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#define WORKERS_MAX 128 /* an owner word has 8 bits for them */
_Static_assert(WORKERS_MAX <= GUARD_WORKERS, "each worker has its doors");
/* Descriptors kept for listeners, rings, spool, control clients and the libraries. */
#define NOFILE_RESERVE 512
#define RING_ENTRIES 4096
#define PROBE_TRIES 20
#define PROBE_PAUSE_US 100000
#define LONGEST_WAIT_NS (60ull * 1000000000)

static void write_log(void *ctx, enum ch_log_level level, const char *line)
{
	struct ch_collector *c = ctx;

	if (c->log != NULL)
		c->log(c->log_ctx, (int)level, line);
}

/* Hands the text to the caller as a malloc'ed string. */
static void give_error(struct ch_buf *text, char **error)
{
	if (ch_buf_append(text, "", 1) == 0 && error != NULL) {
		*error = (char *)text->data;
		*text = (struct ch_buf){0};
	}
	ch_buf_deinit(text);
}

static int seed_hash(void)
{
	uint8_t key[16];

	if (getrandom(key, sizeof(key), 0) != (ssize_t)sizeof(key))
		return -EIO;
	ch_hash_set_key(key);
	return 0;
}

static int load_policy(struct ch_collector *c, struct ch_buf *text)
{
	struct ch_devices *devices;
	const struct ch_devices_input from = {.config = c->config,
					      .database_file = c->config->devices_database};
	int err = ch_devices_load(&from, &devices, text);

	if (err != 0)
		return err;
	err = ch_policy_new(c->config, devices, 1, &c->shared.policy);
	if (err != 0) {
		ch_devices_free(devices);
		return err;
	}
	return ch_policy_load_revocation(c->shared.policy, NULL, &c->shared.log, text);
}

int ch_collector_new(const char *config_file, ch_log_fn log, void *log_ctx,
		     struct ch_collector **collector, char **error)
{
	struct ch_collector *c = calloc(1, sizeof(*c));
	struct ch_buf text = {0};
	int err;

	*collector = NULL;
	if (error != NULL)
		*error = NULL;
	if (c == NULL)
		return -ENOMEM;
	c->log = log;
	c->log_ctx = log_ctx;
	pthread_mutex_init(&c->lock, NULL);
	pthread_cond_init(&c->cond, NULL);
	ch_balancers_init(&c->shared.balancers);
	err = seed_hash();
	if (err == 0)
		err = ch_config_load(config_file, &c->config, &text);
	if (err == 0) {
		c->shared.log = (struct ch_log){c->config->log_level, write_log, c};
		err = load_policy(c, &text);
	}
	if (err == 0)
		err = ch_registry_new(ch_devices_count(c->shared.policy->devices),
				      &c->shared.registry);
	if (err == 0)
		err = ch_quarantine_new(c->config->quarantine_max, &c->shared.quarantine);
	if (err == 0)
		err = ch_authorities_new(&c->shared.authorities);
	if (err != 0) {
		give_error(&text, error);
		ch_collector_free(c);
		return err;
	}
	ch_buf_deinit(&text);
	c->shared.config = c->config;
	ch_config_log_warnings(c->config, &c->shared.log);
	*collector = c;
	return 0;
}

void ch_collector_on_prepared(struct ch_collector *c, int (*fn)(void *ctx), void *ctx)
{
	c->prepared_fn = fn;
	c->prepared_ctx = ctx;
}

static void clamp(struct ch_collector *c, const char *limit, uint64_t *value, uint64_t usable,
		  const char *fix)
{
	if (*value <= usable)
		return;
	ch_log(&c->shared.log, CH_LOG_WARNING,
	       "event=limit-clamped limit=%s asked=%llu used=%llu fix=\"%s\"", limit,
	       (unsigned long long)*value, (unsigned long long)usable, fix);
	*value = usable;
}

/* Those that we may use: a container or a service often has fewer than the machine. */
static uint64_t count_cores(void)
{
	long online = sysconf(_SC_NPROCESSORS_ONLN);
	cpu_set_t usable;

	if (sched_getaffinity(0, sizeof(usable), &usable) == 0)
		return (uint64_t)CPU_COUNT(&usable);
	return online > 0 ? (uint64_t)online : 1;
}

static void set_limits(struct ch_collector *c, uint64_t nofile)
{
	struct ch_shared *s = &c->shared;
	const struct ch_config *config = c->config;
	uint64_t usable = nofile > 2 * NOFILE_RESERVE ? nofile - NOFILE_RESERVE : nofile / 2;
	long pages = sysconf(_SC_PHYS_PAGES);
	uint64_t workers;

	s->slots = (uint32_t)(config->max_sessions < usable ? config->max_sessions : usable);
	workers = config->threads != 0 ? config->threads : count_cores();
	if (workers * s->slots < config->max_sessions && config->threads == 0)
		workers = (config->max_sessions + s->slots - 1) / s->slots;
	s->worker_count = (uint32_t)(workers < WORKERS_MAX ? workers : WORKERS_MAX);
	s->sessions.limit = config->max_sessions;
	s->handshakes.limit = config->max_handshakes;
	/* A connection that logs in holds a descriptor; afterwards only where the kernel wants it.
	 */
	clamp(c, "max-handshakes", &s->handshakes.limit, usable, "raise RLIMIT_NOFILE");
	if (!s->fixed)
		clamp(c, "max-sessions", &s->sessions.limit, usable,
		      "raise RLIMIT_NOFILE; newer kernels need no descriptor per session");
	s->budget.limit = config->byte_budget != 0
				  ? config->byte_budget
				  : (uint64_t)pages * (uint64_t)sysconf(_SC_PAGESIZE) / 8;
	s->heartbeat_test = (struct ch_heartbeat_test){
		.max_wait_ns = config->heartbeat_max_wait_ns,
		.max_attempts = (uint32_t)config->heartbeat_max_attempts,
	};
	s->client_limits = (struct ch_client_limits){
		.framing = {.max_message = config->max_message,
			    .max_chunks = (uint32_t)config->max_chunks},
		.max_depth = (uint32_t)config->max_depth,
	};
}

/*
 * Is the address free? The kernel tears the ring of a daemon that was killed down in the
 * background, so that its port stays busy for a moment: a restart waits for it.
 */
static int probe_address(const struct ch_address *address)
{
	int err = ch_sock_probe(address);

	for (int i = 0; err == -EADDRINUSE && i < PROBE_TRIES; i++) {
		usleep(PROBE_PAUSE_US);
		err = ch_sock_probe(address);
	}
	return err;
}

/* Nobody else may listen there: with SO_REUSEPORT a second daemon would take half of the fleet. */
static int probe_listeners(struct ch_collector *c, struct ch_buf *text)
{
	char address[CH_ADDRESS_TEXT];
	int err;

	for (size_t i = 0; i < c->config->listener_count; i++) {
		const struct ch_config_listener *l = &c->config->listeners[i];

		ch_address_format(&l->address, address);
		err = probe_address(&l->address);
		if (err == 0)
			continue;
		if (l->optional && (err == -EAFNOSUPPORT || err == -EADDRNOTAVAIL)) {
			ch_log(&c->shared.log, CH_LOG_WARNING,
			       "event=listener-skipped address=%s err=\"%s\"", address,
			       ch_error_text(err));
			continue;
		}
		if (ch_buf_printf(text, "cannot listen on %s (listener %s): %s%s\n", address,
				  l->name, ch_error_text(err),
				  err == -EADDRINUSE ? "; is another callhomed running?" : "") != 0)
			return -ENOMEM;
		return err;
	}
	return 0;
}

static int open_spool(struct ch_collector *c, struct ch_buf *text)
{
	struct ch_spool_options options = {
		.directory = c->config->spool_directory,
		.max_bytes = c->config->spool_max_bytes,
		.file_bytes = c->config->spool_file_bytes,
		.log = &c->shared.log,
	};
	char sentence[256] = "";
	int err;

	if (options.directory == NULL)
		return 0;
	err = ch_spool_open(&options, &c->shared.spool, sentence);
	if (err != 0 && ch_buf_printf(text, "%s\n", sentence) != 0)
		return -ENOMEM;
	return err;
}

static void begun(struct ch_collector *c, int err)
{
	pthread_mutex_lock(&c->lock);
	c->begun++;
	if (err != 0 && c->begin_error == 0)
		c->begin_error = err;
	pthread_cond_signal(&c->cond);
	pthread_mutex_unlock(&c->lock);
}

static int worker_begin(struct ch_worker *w)
{
	struct ch_ring_options options = {
		.entries = RING_ENTRIES,
		.fixed_files = w->shared->slots,
		.buffers = (uint32_t)w->shared->config->receive_buffers,
	};
	struct ch_ring *ring;
	int err = ch_ring_new(&options, &ring);

	if (err == 0)
		err = ch_worker_begin(w, ring);
	if (err == 0 && w->index == 0)
		ch_publish_lifecycle(w, CH_EVENT_STARTED);
	return err;
}

static void *worker_main(void *arg)
{
	struct ch_worker *w = arg;
	int err = worker_begin(w);

	begun(w->shared->log.ctx, err);
	if (err != 0)
		return NULL;
	while (ch_worker_turn(w, LONGEST_WAIT_NS))
		;
	/* The ring belongs to this thread: it goes with it. */
	w->ring->ops->free(w->ring);
	w->ring = NULL;
	return NULL;
}

static int init_workers(struct ch_collector *c, struct ch_buf *text)
{
	struct ch_shared *s = &c->shared;
	int err = 0;

	s->workers = calloc(s->worker_count, sizeof(*s->workers));
	if (s->workers == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; err == 0 && i < s->worker_count; i++)
		err = ch_worker_init(&s->workers[i], s, i, text);
	return err;
}

static int start_workers(struct ch_collector *c)
{
	struct ch_shared *s = &c->shared;
	uint32_t started = 0;
	int err = 0;

	for (uint32_t i = 0; err == 0 && i < s->worker_count; i++) {
		err = -pthread_create(&s->workers[i].thread, NULL, worker_main, &s->workers[i]);
		s->workers[i].running = err == 0;
		started += err == 0;
	}
	pthread_mutex_lock(&c->lock);
	while (c->begun < started)
		pthread_cond_wait(&c->cond, &c->lock);
	if (err == 0)
		err = c->begin_error;
	pthread_mutex_unlock(&c->lock);
	return err;
}

static void join_workers(struct ch_collector *c)
{
	struct ch_shared *s = &c->shared;
	struct ch_mail stop = {.kind = CH_MAIL_STOP};

	for (uint32_t i = 0; s->workers != NULL && i < s->worker_count; i++) {
		while (s->workers[i].running && ch_worker_post(&s->workers[i], &stop) != 0)
			usleep(1000); /* a full queue is being read */
	}
	for (uint32_t i = 0; s->workers != NULL && i < s->worker_count; i++) {
		if (s->workers[i].running)
			pthread_join(s->workers[i].thread, NULL);
		s->workers[i].running = false;
	}
}

static int refuse_without_ring(const struct ch_probe *probe, struct ch_buf *text)
{
	const char *advice = ch_probe_advice(probe);

	if (advice != NULL && ch_buf_printf(text, "%s\n", advice) != 0)
		return -ENOMEM;
	return CH_E_UNSUPPORTED;
}

/*
 * Of all that may log in at a time, and of the sessions where the kernel wants a descriptor of
 * each: a table that grows in a storm makes the whole fleet wait.
 */
static void reserve_descriptors(const struct ch_shared *s)
{
	uint64_t count =
		NOFILE_RESERVE + s->handshakes.limit + (uint64_t)s->worker_count * CH_ARRIVALS;
	int err = ch_sock_reserve(s->fixed ? count : count + s->sessions.limit);

	if (err != 0)
		ch_log(&s->log, CH_LOG_WARNING, "event=descriptors-not-reserved err=\"%s\"",
		       ch_error_text(err));
}

/* What may need a privilege: the guard's program, the ports. No thread exists behind it. */
static int prepare(struct ch_collector *c, struct ch_buf *text)
{
	struct ch_probe probe;
	int err;

	ch_probe(&probe);
	ch_host_warn(&probe, c->config, &c->shared.log);
	err = probe.io_uring == 0 ? probe_listeners(c, text) : refuse_without_ring(&probe, text);
	if (err == 0)
		err = ch_guarding_new(c->config, &c->shared.log, &c->guarding, text);
	if (err != 0)
		return err;
	c->shared.gate = ch_guarding_gate(c->guarding);
	c->shared.fixed = probe.fixed_close;
	c->somaxconn = probe.somaxconn;
	set_limits(c, probe.nofile);
	ch_ktls_probe(&c->shared.ktls);
	reserve_descriptors(&c->shared);
	err = init_workers(c, text);
	return err == 0 && c->prepared_fn != NULL ? c->prepared_fn(c->prepared_ctx) : err;
}

/* The rings are made without the privileges that the first probe may have had. */
static int explain_ring(int err, struct ch_buf *text)
{
	struct ch_probe probe = {.io_uring = err};

	if (text->len > 0)
		return err;
	if (err == -ENOMEM)
		return refuse_without_ring(&probe, text);
	if (err != -EPERM)
		return err;
	ch_probe(&probe);
	return probe.io_uring == 0 ? err : refuse_without_ring(&probe, text);
}

static int run(struct ch_collector *c, struct ch_buf *text)
{
	int err = open_spool(c, text);

	if (err == 0 && c->config->devices_database != NULL)
		err = ch_enrolment_new(c, &c->enrolment, text);
	if (err == 0)
		err = explain_ring(start_workers(c), text);
	if (err == 0)
		err = ch_guarding_start(c->guarding);
	if (err == 0)
		err = ch_reload_new(c, &c->shared.reload);
	if (err == 0)
		err = ch_crl_watch_new(c, &c->crl_watch);
	return err;
}

int ch_collector_start(struct ch_collector *c, char **error)
{
	struct ch_buf text = {0};
	int err;

	if (error != NULL)
		*error = NULL;
	err = prepare(c, &text);
	if (err == 0)
		err = run(c, &text);
	if (err != 0) {
		if (text.len == 0 && ch_buf_printf(&text, "cannot start: %s\n", ch_error_text(err)))
			err = -ENOMEM;
		c->shared.aborting = true;
		ch_enrolment_stop(c->enrolment);
		join_workers(c);
		give_error(&text, error);
		return err;
	}
	ch_buf_deinit(&text);
	c->started_unix_ns = ch_unix_ns();
	return 0;
}

/* After the join nobody else touches the batches: the caller's thread hands over what is left. */
static void flush_batches(struct ch_collector *c)
{
	for (uint32_t i = 0; c->shared.workers != NULL && i < c->shared.worker_count; i++) {
		struct ch_worker *w = &c->shared.workers[i];

		if (i == 0) {
			w->unix_ns = ch_unix_ns();
			ch_publish_lifecycle(w, CH_EVENT_STOPPED);
		}
		ch_publish_flush(w, true);
		for (int tries = 0; w->batch_since_ns != 0 && tries < 1000; tries++) {
			usleep(1000); /* the writer is behind; it has a second to catch up */
			ch_publish_flush(w, true);
		}
	}
}

void ch_collector_stop(struct ch_collector *c)
{
	if (c->shared.workers == NULL || !c->shared.workers[0].running)
		return;
	ch_enrolment_stop(c->enrolment);
	ch_reload_stop(c->shared.reload);
	ch_crl_watch_free(c->crl_watch);
	c->crl_watch = NULL;
	join_workers(c);
	flush_batches(c);
}

void ch_collector_abort(struct ch_collector *c)
{
	atomic_store(&c->shared.aborting, true);
	for (uint32_t i = 0; c->shared.workers != NULL && i < c->shared.worker_count; i++)
		ch_sock_wake(c->shared.workers[i].wake_fd);
}

void ch_collector_free(struct ch_collector *c)
{
	if (c == NULL)
		return;
	for (uint32_t i = 0; c->shared.workers != NULL && i < c->shared.worker_count; i++)
		ch_worker_deinit(&c->shared.workers[i]);
	free(c->shared.workers);
	ch_enrolment_free(c->enrolment);
	ch_crl_watch_free(c->crl_watch);
	ch_reload_free(c->shared.reload);
	ch_guarding_free(c->guarding);
	ch_spool_close(c->shared.spool);
	ch_quarantine_free(c->shared.quarantine);
	ch_authorities_free(c->shared.authorities);
	ch_balancers_deinit(&c->shared.balancers);
	ch_registry_free(c->shared.registry);
	ch_policy_drop(c->shared.policy);
	ch_config_free(c->config);
	pthread_cond_destroy(&c->cond);
	pthread_mutex_destroy(&c->lock);
	free(c);
}

/* The worker and owner word of a connected device. */
static int find_owner(struct ch_collector *c, const char *name, struct ch_mail *mail,
		      struct ch_worker **worker)
{
	/* Both under the lock: without it the index could be another device's by now. */
	pthread_mutex_lock(&c->lock);
	mail->device = ch_devices_by_name(c->shared.policy->devices, name);
	if (mail->device != CH_DEVICE_NONE)
		mail->owner = ch_registry_owner(c->shared.registry, mail->device);
	pthread_mutex_unlock(&c->lock);
	if (mail->device == CH_DEVICE_NONE)
		return CH_E_UNKNOWN;
	if (mail->owner == CH_OWNER_NONE)
		return CH_E_NOT_CONNECTED;
	*worker = &c->shared.workers[ch_user_data_op(mail->owner) - 1];
	return 0;
}

int ch_collector_rpc(struct ch_collector *c, const char *device, const char *operation, size_t len,
		     uint64_t timeout_ns, ch_reply_fn fn, void *ctx)
{
	struct ch_mail mail = {.kind = CH_MAIL_REQUEST};
	struct ch_worker *worker;
	struct ch_job *job;
	int err = find_owner(c, device, &mail, &worker);

	if (err != 0)
		return err;
	job = malloc(sizeof(*job) + len);
	if (job == NULL)
		return -ENOMEM;
	*job = (struct ch_job){.fn = fn, .ctx = ctx, .timeout_ns = timeout_ns, .len = len};
	job->device = mail.device;
	memcpy(job->operation, operation, len);
	mail.job = job;
	err = ch_worker_post(worker, &mail);
	if (err != 0)
		free(job);
	return err;
}

int ch_collector_kill(struct ch_collector *c, const char *device)
{
	struct ch_mail mail = {.kind = CH_MAIL_KILL};
	struct ch_worker *worker;
	int err = find_owner(c, device, &mail, &worker);

	return err != 0 ? err : ch_worker_post(worker, &mail);
}
