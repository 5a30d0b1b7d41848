/* SPDX-License-Identifier: Apache-2.0 */
#include "reload.h"
#include "guarding.h"
#include "collector.h"
#include "config_diff.h"
#include "crl_watch.h"
#include "kernel/sock.h"
#include "swap.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FULL_PAUSE_US 1000

struct request {
	struct request *next;
	enum ch_reload_kind kind;
	ch_reload_fn fn;
	void *ctx;
};

struct ch_reload {
	struct ch_collector *collector;
	pthread_t thread;
	pthread_mutex_t lock; /* of all below */
	pthread_cond_t wake;  /* the thread has something to do, or a worker is done */
	struct request *requests;
	struct ch_judge *retired;
	uint32_t judging; /* workers that are not done */
	bool stopping;
	bool joined;
	struct ch_reload_view view;
};

/* One reload on its way. */
struct run {
	struct ch_collector *c;
	enum ch_reload_kind kind;
	bool lists; /* read the revocation lists too */
	struct ch_policy *before;
	struct ch_config *config;
	struct ch_policy *policy;
	struct ch_swap *swaps; /* one per worker */
	struct ch_reload_result result;
	struct ch_buf text;
};

static bool reusable(void *ctx, uint32_t index)
{
	struct ch_registry *registry = ctx;

	/* The row is gone in the generation that all workers run: nobody new comes to its cell. */
	if (ch_registry_held(registry, index))
		return false;
	ch_registry_reset(registry, index);
	return true;
}

/* Where the table of devices comes from. */
static int load_devices(struct run *run, struct ch_devices **devices)
{
	const struct ch_devices_input from = {
		.config = run->config,
		.previous = run->before->devices,
		.reusable = reusable,
		.reusable_ctx = run->c->shared.registry,
		/* A change of the database must not publish a file that is being edited. */
		.keep_file = run->kind == CH_RELOAD_DEVICES,
		/* Another one needs a restart: its writer opened this one. */
		.database_file = run->c->config->devices_database,
	};

	return ch_devices_load(&from, devices, &run->text);
}

static bool row_is_same(const struct run *run, const struct ch_config *config,
			const struct ch_device *now, const struct ch_device *before)
{
	const struct ch_config *old = run->before->config;
	const char *credential =
		now->credential == CH_DEVICE_NONE ? "" : config->credentials[now->credential].name;
	const char *credential_before = before->credential == CH_DEVICE_NONE
						? ""
						: old->credentials[before->credential].name;

	return strcmp(credential, credential_before) == 0 &&
	       strcmp(config->profiles[now->profile].name, old->profiles[before->profile].name) ==
		       0;
}

static void count_changes(struct run *run)
{
	const struct ch_devices *now = run->policy->devices;
	const struct ch_devices *before = run->before->devices;

	run->result.devices = ch_devices_live(now);
	for (uint32_t i = 0; i < ch_devices_count(now); i++) {
		const struct ch_device *row = ch_devices_at(now, i);
		const struct ch_device *old =
			i < ch_devices_count(before) ? ch_devices_at(before, i) : NULL;
		bool is = !ch_device_gone(row);
		bool was = old != NULL && !ch_device_gone(old);

		run->result.added += is && !was;
		run->result.removed += was && !is;
		run->result.changed +=
			is && was && !row_is_same(run, run->policy->config, row, old);
	}
}

/* As before, or read anew. */
static int load_lists(struct run *run)
{
	struct ch_revocation *before = run->before->revocation;

	if (run->lists)
		return ch_policy_load_revocation(run->policy, before, &run->c->shared.log,
						 &run->text);
	run->policy->revocation = ch_revocation_take(before);
	return 0;
}

/* Nothing but the revocation lists is read. */
static int build_lists(struct run *run)
{
	int err = ch_policy_next(run->before, &run->policy);

	run->config = ch_config_hold(run->before->config);
	if (err == 0)
		err = load_lists(run);
	run->swaps = calloc(run->c->shared.worker_count, sizeof(*run->swaps));
	return err == 0 && run->swaps == NULL ? -ENOMEM : err;
}

/* Everything that can fail. */
static int build(struct run *run)
{
	struct ch_shared *s = &run->c->shared;
	struct ch_devices *devices = NULL;
	int err = 0;

	if (run->kind == CH_RELOAD_REVOCATION)
		return build_lists(run);
	if (run->kind == CH_RELOAD_ALL)
		err = ch_config_load(s->config->file, &run->config, &run->text);
	else
		run->config = ch_config_hold(run->before->config);
	if (err == 0)
		err = load_devices(run, &devices);
	if (err == 0)
		err = ch_policy_new(run->config, devices, run->before->generation + 1,
				    &run->policy);
	if (err != 0) {
		ch_devices_free(devices);
		return err;
	}
	err = load_lists(run);
	if (err == 0)
		err = ch_registry_grow(s->registry, ch_devices_count(devices));
	run->swaps = calloc(s->worker_count, sizeof(*run->swaps));
	if (err == 0 && run->swaps == NULL)
		err = -ENOMEM;
	for (uint32_t i = 0; err == 0 && run->kind == CH_RELOAD_ALL && i < s->worker_count; i++)
		err = ch_judge_new(run->policy, &run->swaps[i].judge, &run->text);
	/* Behind all that can fail elsewhere; it keeps its rules if it fails itself. */
	if (err == 0 && run->kind == CH_RELOAD_ALL)
		err = ch_guarding_reload(run->c->guarding, run->config, &run->text);
	return err;
}

/* Of a worker. */
static void swap_done(struct ch_swap *swap)
{
	struct ch_reload *r = swap->ctx;

	pthread_mutex_lock(&r->lock);
	r->judging--;
	pthread_cond_signal(&r->wake);
	pthread_mutex_unlock(&r->lock);
}

static void post(struct ch_worker *w, const struct ch_mail *mail)
{
	while (ch_worker_post(w, mail) != 0)
		usleep(FULL_PAUSE_US); /* a full queue is being read */
}

static void hand_over(struct ch_reload *r, struct run *run)
{
	struct ch_shared *s = &run->c->shared;

	r->judging = s->worker_count;
	for (uint32_t i = 0; i < s->worker_count; i++) {
		struct ch_mail mail = {.kind = CH_MAIL_SWAP, .swap = &run->swaps[i]};

		run->swaps[i].policy = run->policy;
		run->swaps[i].done = swap_done;
		run->swaps[i].ctx = r;
		post(&s->workers[i], &mail);
	}
	pthread_mutex_lock(&r->lock);
	while (r->judging > 0)
		pthread_cond_wait(&r->wake, &r->lock);
	pthread_mutex_unlock(&r->lock);
}

static void log_lines(const struct ch_log *log, enum ch_log_level level, const char *event,
		      const char *text)
{
	while (*text != '\0') {
		size_t len = strcspn(text, "\n");

		ch_log(log, level, "event=%s text=\"%.*s\"", event, (int)len, text);
		text += len + (text[len] == '\n');
	}
}

static void publish(struct run *run)
{
	const char *text = run->result.text;
	struct ch_notice *notice = malloc(sizeof(*notice) + strlen(text) + 1);
	struct ch_mail mail = {.kind = CH_MAIL_NOTICE, .notice = notice};

	if (notice == NULL)
		return;
	notice->kind = run->result.error == 0 ? CH_EVENT_RELOADED : CH_EVENT_RELOAD_FAILED;
	notice->result = run->result;
	memcpy(notice->text, text, strlen(text) + 1);
	notice->result.text = notice->text;
	post(&run->c->shared.workers[0], &mail);
}

static void tell(struct ch_reload *r, struct run *run)
{
	const struct ch_reload_result *result = &run->result;
	const struct ch_log *log = &run->c->shared.log;

	if (result->error == 0)
		ch_log(log, CH_LOG_INFO,
		       "event=reloaded generation=%llu devices=%u added=%u removed=%u changed=%u",
		       (unsigned long long)result->generation, result->devices, result->added,
		       result->removed, result->changed);
	log_lines(log, CH_LOG_WARNING, result->error == 0 ? "reload-warning" : "reload-failed",
		  result->text);
	publish(run);
	pthread_mutex_lock(&r->lock);
	r->view = (struct ch_reload_view){0};
	if (result->error != 0) {
		r->view.failed_unix_ns = ch_unix_ns();
		snprintf(r->view.error, sizeof(r->view.error), "%s", result->text);
	}
	pthread_mutex_unlock(&r->lock);
}

/* All workers run it: views follow. @return the generation before, to be dropped */
static struct ch_policy *make_current(struct ch_collector *c, struct ch_policy *policy)
{
	struct ch_policy *before;

	pthread_mutex_lock(&c->lock);
	before = c->shared.policy;
	c->shared.policy = policy;
	pthread_mutex_unlock(&c->lock);
	return before;
}

static int add_warnings(struct run *run)
{
	const struct ch_buf *warnings = &run->config->warnings;
	int err = 0;

	if (run->kind != CH_RELOAD_ALL)
		return 0;
	if (warnings->len > 0)
		err = ch_buf_append(&run->text, warnings->data, warnings->len);
	return err == 0 ? ch_config_diff(run->c->shared.config, run->config, &run->text) : err;
}

static void run_deinit(struct run *run)
{
	for (uint32_t i = 0; run->swaps != NULL && i < run->c->shared.worker_count; i++)
		ch_judge_free(run->swaps[i].judge);
	free(run->swaps);
	ch_policy_drop(run->policy);
	ch_config_free(run->config);
	ch_buf_deinit(&run->text);
}

/* Does one reload. @run holds its result, whose text is its own. */
static void run_reload(struct ch_reload *r, struct run *run)
{
	int err = build(run);

	if (err == 0)
		err = add_warnings(run);
	if (err == 0) {
		hand_over(r, run);
		run->result.generation = run->policy->generation;
		count_changes(run);
		run->policy = make_current(run->c, run->policy);
		ch_crl_watch_look(run->c->crl_watch);
	} else if (run->text.len == 0 && ch_buf_printf(&run->text, "%s", ch_error_text(err)) != 0) {
		err = -ENOMEM;
	}
	run->result.error = err;
	run->result.text = ch_buf_append(&run->text, "", 1) == 0 ? (const char *)run->text.data
								 : "out of memory";
	tell(r, run);
}

static void answer(struct request *requests, const struct ch_reload_result *result)
{
	while (requests != NULL) {
		struct request *next = requests->next;

		if (requests->fn != NULL)
			requests->fn(requests->ctx, result);
		free(requests);
		requests = next;
	}
}

/* Takes those of @kind, or of all kinds, out of @requests. */
static struct request *take(struct request **requests, enum ch_reload_kind kind, bool all)
{
	struct request *taken = NULL;

	while (*requests != NULL) {
		struct request *q = *requests;

		if (!all && q->kind != kind) {
			requests = &q->next;
			continue;
		}
		*requests = q->next;
		q->next = taken;
		taken = q;
	}
	return taken;
}

/*
 * The largest kind does the work of the others too; but when it fails they get a try of their own:
 * a configuration that somebody is editing must not fail an enrolment.
 */
static void serve(struct ch_reload *r, struct request *requests)
{
	while (requests != NULL) {
		struct run run = {.c = r->collector, .before = r->collector->shared.policy};

		for (struct request *q = requests; q != NULL; q = q->next) {
			if (q->kind > run.kind)
				run.kind = q->kind;
			run.lists = run.lists || q->kind != CH_RELOAD_DEVICES;
		}
		run_reload(r, &run);
		answer(take(&requests, run.kind, run.result.error == 0), &run.result);
		run_deinit(&run);
	}
}

static void free_judges(struct ch_judge *judges)
{
	while (judges != NULL) {
		struct ch_judge *next = judges->next;

		ch_judge_free(judges);
		judges = next;
	}
}

static void *reload_main(void *arg)
{
	struct ch_reload *r = arg;
	bool stopping;

	do {
		struct request *requests;
		struct ch_judge *retired;

		pthread_mutex_lock(&r->lock);
		while (r->requests == NULL && r->retired == NULL && !r->stopping)
			pthread_cond_wait(&r->wake, &r->lock);
		stopping = r->stopping;
		requests = r->requests;
		retired = r->retired;
		r->requests = NULL;
		r->retired = NULL;
		pthread_mutex_unlock(&r->lock);
		free_judges(retired);
		if (stopping)
			answer(requests,
			       &(struct ch_reload_result){.error = CH_E_STATE,
							  .text = "the collector is stopping"});
		else if (requests != NULL)
			serve(r, requests);
	} while (!stopping);
	return NULL;
}

int ch_reload_new(struct ch_collector *c, struct ch_reload **reload)
{
	struct ch_reload *r = calloc(1, sizeof(*r));
	int err;

	if (r == NULL)
		return -ENOMEM;
	r->collector = c;
	pthread_mutex_init(&r->lock, NULL);
	pthread_cond_init(&r->wake, NULL);
	err = -pthread_create(&r->thread, NULL, reload_main, r);
	if (err == 0) {
		*reload = r;
		return 0;
	}
	r->joined = true;
	ch_reload_free(r);
	return err;
}

void ch_reload_stop(struct ch_reload *r)
{
	if (r == NULL || r->joined)
		return;
	pthread_mutex_lock(&r->lock);
	r->stopping = true;
	pthread_cond_signal(&r->wake);
	pthread_mutex_unlock(&r->lock);
	pthread_join(r->thread, NULL);
	r->joined = true;
}

void ch_reload_free(struct ch_reload *r)
{
	if (r == NULL)
		return;
	ch_reload_stop(r);
	free_judges(r->retired);
	pthread_cond_destroy(&r->wake);
	pthread_mutex_destroy(&r->lock);
	free(r);
}

void ch_reload_retire(struct ch_reload *r, struct ch_judge *judge)
{
	if (r == NULL) {
		ch_judge_free(judge);
		return;
	}
	pthread_mutex_lock(&r->lock);
	judge->next = r->retired;
	r->retired = judge;
	pthread_cond_signal(&r->wake);
	pthread_mutex_unlock(&r->lock);
}

void ch_reload_read(struct ch_reload *r, struct ch_reload_view *view)
{
	*view = (struct ch_reload_view){0};
	if (r == NULL)
		return;
	pthread_mutex_lock(&r->lock);
	*view = r->view;
	pthread_mutex_unlock(&r->lock);
}

int ch_collector_reload_start(struct ch_collector *c, enum ch_reload_kind kind, ch_reload_fn fn,
			      void *ctx)
{
	struct ch_reload *r = c->shared.reload;
	struct request *request = malloc(sizeof(*request));
	int err = CH_E_STATE;

	if (request == NULL)
		return -ENOMEM;
	*request = (struct request){.kind = kind, .fn = fn, .ctx = ctx};
	if (r != NULL) {
		pthread_mutex_lock(&r->lock);
		if (!r->stopping) {
			request->next = r->requests;
			r->requests = request;
			request = NULL;
			err = 0;
			pthread_cond_signal(&r->wake);
		}
		pthread_mutex_unlock(&r->lock);
	}
	free(request);
	return err;
}

struct waiter {
	pthread_mutex_t lock;
	pthread_cond_t cond;
	bool done;
	int error;
	char *text;
};

static void on_waited(void *ctx, const struct ch_reload_result *result)
{
	struct waiter *waiter = ctx;

	pthread_mutex_lock(&waiter->lock);
	waiter->done = true;
	waiter->error = result->error;
	waiter->text = strdup(result->text);
	pthread_cond_signal(&waiter->cond);
	pthread_mutex_unlock(&waiter->lock);
}

int ch_collector_reload(struct ch_collector *c, enum ch_reload_kind kind, char **text)
{
	struct waiter waiter = {.lock = PTHREAD_MUTEX_INITIALIZER,
				.cond = PTHREAD_COND_INITIALIZER};
	int err = ch_collector_reload_start(c, kind, on_waited, &waiter);

	if (text != NULL)
		*text = NULL;
	if (err != 0)
		return err;
	pthread_mutex_lock(&waiter.lock);
	while (!waiter.done)
		pthread_cond_wait(&waiter.cond, &waiter.lock);
	pthread_mutex_unlock(&waiter.lock);
	if (text != NULL)
		*text = waiter.text;
	else
		free(waiter.text);
	return waiter.error;
}
