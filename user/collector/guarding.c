/* SPDX-License-Identifier: Apache-2.0 */
#include "guarding.h"
#include "kernel/sock.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#define SECOND 1000000000ull
/* The ring buffer of the kernel holds a thousand events, of which a source makes one a second. */
#define TICK_NS (250ull * 1000000)

struct ch_guarding {
	struct ch_gate *gate;
	pthread_t thread;
	bool running;
	bool stopping; /**< under @lock */
	pthread_mutex_t lock;
	pthread_cond_t wake; /**< on CLOCK_MONOTONIC */
};

static struct guard_limit limit_of(uint64_t rate, uint64_t burst)
{
	uint64_t interval = rate != 0 ? SECOND / rate : 0;

	return (struct guard_limit){interval, (burst - 1) * interval};
}

static struct ch_sources_options sources_of(const struct ch_config_guard *guard)
{
	return (struct ch_sources_options){
		.unknown = limit_of(guard->source_rate, guard->source_burst),
		.known = limit_of(guard->known_rate, guard->known_burst),
		.pending = (uint32_t)guard->source_logins,
		.pending_known = (uint32_t)guard->known_logins,
		.failures = (uint32_t)guard->ban_after,
		.window_ns = guard->ban_window_ns,
		.ban_ns = guard->ban_time_ns,
		.ban_most_ns = guard->ban_time_max_ns,
		.known_ns = guard->known_time_ns,
		.v4_bits = (uint32_t)guard->v4_prefix,
		.v6_bits = (uint32_t)guard->v6_prefix,
		.most = (uint32_t)guard->max_sources,
		.bans_most = (uint32_t)guard->max_bans,
	};
}

/* What the options point to, beside the configuration. */
struct material {
	struct ch_gate_options options;
	struct ch_gate_rule *rules;
	struct ch_address *listeners;
};

static int material_init(struct material *m, const struct ch_config *config)
{
	const struct ch_config_guard *guard = &config->guard;

	m->rules = calloc(guard->rule_count + 1, sizeof(*m->rules));
	m->listeners = calloc(config->listener_count + 1, sizeof(*m->listeners));
	if (m->rules == NULL || m->listeners == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < guard->rule_count; i++) {
		const struct ch_config_rule *from = &guard->rules[i];

		m->rules[i] = (struct ch_gate_rule){
			.name = from->name,
			.action = from->action,
			.limit = limit_of(from->rate, from->burst),
			.log_one_in = (uint32_t)from->log_one_in,
			.prefix = from->prefix,
			.file = from->file,
		};
	}
	for (size_t i = 0; i < config->listener_count; i++)
		m->listeners[i] = config->listeners[i].address;
	m->options = (struct ch_gate_options){
		.mode = guard->mode,
		.early = guard->early,
		.interfaces = guard->interfaces,
		.dry_run = guard->dry_run,
		.sources = sources_of(guard),
		.bogons = guard->bogons,
		.rules = m->rules,
		.rule_count = guard->rule_count,
		.bans_file = guard->bans_file,
		.known_file = guard->known_file,
		.listeners = m->listeners,
		.listener_count = config->listener_count,
	};
	return 0;
}

static void material_deinit(struct material *m)
{
	free(m->rules);
	free(m->listeners);
}

int ch_guarding_new(const struct ch_config *config, const struct ch_log *log,
		    struct ch_guarding **guarding, struct ch_buf *error)
{
	struct ch_guarding *g = calloc(1, sizeof(*g));
	pthread_condattr_t attributes;
	struct material material = {0};
	int err;

	if (g == NULL)
		return -ENOMEM;
	pthread_mutex_init(&g->lock, NULL);
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&g->wake, &attributes);
	pthread_condattr_destroy(&attributes);
	err = material_init(&material, config);
	if (err == 0)
		err = ch_gate_new(&material.options, log, &g->gate, error);
	material_deinit(&material);
	if (err == 0)
		*guarding = g;
	else
		ch_guarding_free(g);
	return err;
}

static struct ch_clocks clocks(void)
{
	return (struct ch_clocks){ch_now_ns(), ch_unix_ns()};
}

static void *guarding_main(void *arg)
{
	struct ch_guarding *g = arg;

	pthread_mutex_lock(&g->lock);
	while (!g->stopping) {
		uint64_t at = ch_now_ns() + TICK_NS;
		struct timespec until = {(time_t)(at / SECOND), (long)(at % SECOND)};
		struct ch_clocks now = clocks();

		pthread_mutex_unlock(&g->lock);
		ch_gate_tick(g->gate, &now);
		pthread_mutex_lock(&g->lock);
		if (!g->stopping)
			pthread_cond_timedwait(&g->wake, &g->lock, &until);
	}
	pthread_mutex_unlock(&g->lock);
	return NULL;
}

int ch_guarding_start(struct ch_guarding *g)
{
	int err = -pthread_create(&g->thread, NULL, guarding_main, g);

	g->running = err == 0;
	return err;
}

void ch_guarding_free(struct ch_guarding *g)
{
	struct ch_clocks now = clocks();

	if (g == NULL)
		return;
	if (g->running) {
		pthread_mutex_lock(&g->lock);
		g->stopping = true;
		pthread_cond_signal(&g->wake);
		pthread_mutex_unlock(&g->lock);
		pthread_join(g->thread, NULL);
		ch_gate_flush(g->gate, &now);
	}
	ch_gate_free(g->gate);
	pthread_cond_destroy(&g->wake);
	pthread_mutex_destroy(&g->lock);
	free(g);
}

int ch_guarding_reload(struct ch_guarding *g, const struct ch_config *config, struct ch_buf *error)
{
	struct material material = {0};
	int err = material_init(&material, config);

	if (err == 0)
		err = ch_gate_reload(g->gate, &material.options, error);
	material_deinit(&material);
	return err;
}

struct ch_gate *ch_guarding_gate(struct ch_guarding *g)
{
	return g->gate;
}
