/* SPDX-License-Identifier: Apache-2.0 */
#include "enrolment.h"
#include "collector.h"
#include "devices_parse.h"
#include "devices_table.h"
#include "inventory.h"
#include "kernel/sock.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/** Changes that may wait. */
#define JOBS_MOST 64
/** Keys that called for the first time or again are written once in so long, so many at a time. */
#define SAVE_NS 1000000000ull
#define SAVE_MOST 1024

/** A change on its way, with copies of all that it points to behind it. */
struct job {
	struct job *next;
	struct ch_change change;
	ch_change_fn fn;
	void *ctx;
	int error;
	struct ch_buf text; /**< for whoever asked */
	struct ch_buf csv;
	struct ch_quarantine_view view; /**< ACCEPT, REJECT */
	char strings[];
};

struct ch_enrolment {
	struct ch_collector *collector;
	struct ch_inventory *inventory; /**< the thread's */
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	struct job *head; /**< under @lock, as all below */
	struct job **tail;
	unsigned waiting;
	bool stopping;
	bool unsaved;				     /**< the quarantine has changed */
	bool save_failed;			     /**< the thread's: the last attempt */
	uint64_t saved_ns;			     /**< the thread's: when it was written last */
	struct ch_quarantine_view saving[SAVE_MOST]; /**< the thread's */
};

/* --- words for whoever asked --- */

static int CH_PRINTF(3, 4) say(struct job *job, int error, const char *fmt, ...)
{
	va_list args;
	char text[1024];

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	return ch_buf_append_str(&job->text, text) != 0 ? -ENOMEM : error;
}

static int say_inventory(struct ch_enrolment *e, struct job *job, int error)
{
	if (error != 0)
		job->text.len = 0; /* what was said before did not come true */
	return error == CH_E_CONFIG ? say(job, error, "%s", ch_inventory_error(e->inventory))
				    : error;
}

/* --- one kind of change each; inside a transaction --- */

/* What the file says already need not be said again in the database. */
static bool file_says_so(const struct ch_devices *devices, const struct ch_devices_row *row)
{
	struct ch_devices_probe probe = {.text = row->text, .manufacturer = row->manufacturer};
	uint32_t found = ch_devices_find_identity(devices, &probe);
	const struct ch_device *device;

	if (found == CH_DEVICE_NONE || devices->identities[found].database)
		return false;
	device = &devices->rows[devices->identities[found].device];
	return strcmp(device->name, row->name) == 0 && device->credential == row->credential &&
	       device->profile == row->profile;
}

static int put_row(struct ch_enrolment *e, const struct ch_config *config,
		   const struct ch_devices_row *row)
{
	const struct ch_inventory_row put = {
		.manufacturer = ch_devices_manufacturer_name(config, row->manufacturer),
		.identifier = row->text,
		.name = row->name,
		.credential = row->credential == CH_DEVICE_NONE
				      ? ""
				      : config->credentials[row->credential].name,
		.profile = config->profiles[row->profile].name,
	};

	return ch_inventory_put(e->inventory, &put, ch_unix_ns());
}

static int put_rows(struct ch_enrolment *e, const struct ch_policy *policy, struct job *job,
		    const struct ch_devices_reading *reading)
{
	uint32_t skipped = 0;
	int err = 0;

	for (uint32_t i = 0; err == 0 && i < reading->count; i++) {
		const struct ch_devices_row *row = &reading->rows[i];

		if (job->change.kind == CH_CHANGE_PUT && strcmp(row->name, job->change.name) != 0)
			return say(job, CH_E_CONFIG,
				   "line %u is about \"%.64s\", but the request about \"%.64s\"",
				   row->line, row->name, job->change.name);
		if (job->change.kind == CH_CHANGE_IMPORT && file_says_so(policy->devices, row))
			skipped++;
		else
			err = say_inventory(e, job, put_row(e, policy->config, row));
	}
	if (err != 0)
		return err;
	err = say(job, 0, "%u identities are in the database now", reading->count - skipped);
	if (err == 0 && skipped > 0)
		err = say(job, 0, ", %u more were in %s already", skipped,
			  policy->config->devices_file);
	return err;
}

static int change_lines(struct ch_enrolment *e, const struct ch_policy *policy, struct job *job)
{
	struct ch_devices_reading reading = {
		.config = policy->config,
		.diag = {.file = job->change.source, .out = &job->text},
	};
	bool removed;
	int err;

	ch_devices_read(&reading, &job->csv);
	err = ch_diag_end(&reading.diag);
	if (reading.err != 0)
		err = reading.err;
	if (err == 0 && reading.count == 0)
		err = say(job, CH_E_CONFIG, "%s has no lines with identities", job->change.source);
	if (err == 0 && job->change.kind == CH_CHANGE_PUT)
		err = say_inventory(e, job,
				    ch_inventory_remove(e->inventory, job->change.name, &removed));
	if (err == 0)
		err = put_rows(e, policy, job, &reading);
	free(reading.rows);
	return err;
}

static int change_remove(struct ch_enrolment *e, const struct ch_policy *policy, struct job *job)
{
	const char *name = job->change.name;
	bool removed;
	int err = say_inventory(e, job, ch_inventory_remove(e->inventory, name, &removed));

	if (err != 0)
		return err;
	if (removed)
		return say(job, 0, "device \"%.64s\" left the database", name);
	if (ch_devices_by_name(policy->devices, name) == CH_DEVICE_NONE)
		return say(job, CH_E_UNKNOWN, "no device is called \"%.64s\"", name);
	return say(job, CH_E_STATE,
		   "device \"%.64s\" is from %s, which callhome never writes; remove its lines "
		   "there and reload",
		   name, policy->config->devices_file);
}

/* Finds the key in quarantine. */
static int find_key(struct ch_enrolment *e, struct job *job)
{
	size_t found = ch_quarantine_find(e->collector->shared.quarantine, job->change.fingerprint,
					  &job->view);

	if (found == 0)
		return say(job, CH_E_UNKNOWN,
			   "no such key in quarantine; 'callhome devices --pending' has them, once "
			   "their devices called (a device of an unknown CA never gets there)");
	if (found > 1)
		return say(job, CH_E_STATE,
			   "this key came with %zu different identities; name one by the "
			   "fingerprint of its certificate",
			   found);
	return 0;
}

/* The credential for a new identity of @device. */
static int choose_credential(const struct ch_policy *policy, struct job *job,
			     const struct ch_device *device, const char **name)
{
	const struct ch_config *config = policy->config;

	*name = job->change.credential;
	if (*name != NULL)
		return 0;
	if (device != NULL) {
		*name = device->credential == CH_DEVICE_NONE
				? ""
				: config->credentials[device->credential].name;
		return 0;
	}
	if (config->credential_count != 1)
		return say(job, CH_E_CONFIG,
			   "there are %zu credentials; say which one the device is to see "
			   "(--credential)",
			   config->credential_count);
	*name = config->credentials[0].name;
	return 0;
}

static int change_accept(struct ch_enrolment *e, const struct ch_policy *policy, struct job *job)
{
	const struct ch_config *config = policy->config;
	uint32_t index = ch_devices_by_name(policy->devices, job->change.name);
	const struct ch_device *device =
		index == CH_DEVICE_NONE ? NULL : ch_devices_at(policy->devices, index);
	struct ch_inventory_row row = {.name = job->change.name, .profile = job->change.profile};
	int err = find_key(e, job);

	if (err == 0)
		err = choose_credential(policy, job, device, &row.credential);
	if (err != 0)
		return err;
	if (row.profile == NULL)
		row.profile = config->profiles[device != NULL ? device->profile : 0].name;
	row.manufacturer = job->view.manufacturer;
	row.identifier = job->view.identifier;
	err = say_inventory(e, job, ch_inventory_put(e->inventory, &row, ch_unix_ns()));
	if (err == 0)
		err = say_inventory(e, job,
				    ch_inventory_forgive(e->inventory, job->view.spki_sha256));
	if (err == 0)
		err = say_inventory(e, job,
				    ch_inventory_unpend(e->inventory, job->view.spki_sha256));
	if (err != 0)
		return err;
	return say(job, 0, "%s,%.64s is %s \"%.64s\" from its next call on", row.manufacturer,
		   row.identifier, device != NULL ? "one more identity of" : "device", row.name);
}

static int change_reject(struct ch_enrolment *e, const struct ch_policy *policy, struct job *job)
{
	struct ch_inventory_rejected rejected = {.unix_ns = ch_unix_ns()};
	int err = find_key(e, job);

	if (err != 0)
		return err;
	memcpy(rejected.spki_sha256, job->view.spki_sha256, 32);
	memcpy(rejected.cert_sha256, job->view.cert_sha256, 32);
	snprintf(rejected.manufacturer, sizeof(rejected.manufacturer), "%s",
		 job->view.manufacturer);
	snprintf(rejected.identifier, sizeof(rejected.identifier), "%s", job->view.identifier);
	err = say_inventory(
		e, job,
		ch_inventory_reject(e->inventory, &rejected, policy->config->quarantine_max));
	if (err == 0)
		err = say_inventory(e, job,
				    ch_inventory_unpend(e->inventory, rejected.spki_sha256));
	return err != 0 ? err
			: say(job, 0, "%s,%.64s is refused from now on", rejected.manufacturer,
			      rejected.identifier);
}

static int change(struct ch_enrolment *e, const struct ch_policy *policy, struct job *job)
{
	switch (job->change.kind) {
	case CH_CHANGE_IMPORT:
	case CH_CHANGE_PUT:
		return change_lines(e, policy, job);
	case CH_CHANGE_REMOVE:
		return change_remove(e, policy, job);
	case CH_CHANGE_ACCEPT:
		return change_accept(e, policy, job);
	case CH_CHANGE_REJECT:
		return change_reject(e, policy, job);
	}
	return CH_E_STATE;
}

/* Do file and database still make an inventory together? What is not read now is not read at the
 * next start either. */
static int try_it(struct ch_enrolment *e, const struct ch_policy *policy, struct job *job)
{
	struct ch_devices *devices = NULL;
	struct ch_buf rows = {0};
	struct ch_buf error = {0};
	const struct ch_devices_input input = {
		.config = policy->config,
		.previous = policy->devices,
		.database = &rows,
		.database_file = e->collector->config->devices_database,
	};
	int err = say_inventory(e, job, ch_inventory_rows(e->inventory, &rows));

	/* The reader of CSV writes one byte behind the text. */
	if (err == 0 && ch_buf_reserve(&rows, 1) != 0)
		err = -ENOMEM;
	if (err == 0)
		err = ch_devices_build(&input, &devices, &error);
	if (err == CH_E_CONFIG) {
		job->text.len = 0;
		err = ch_buf_append(&job->text, error.data, error.len) != 0 ? -ENOMEM : err;
	}
	ch_devices_free(devices);
	ch_buf_deinit(&rows);
	ch_buf_deinit(&error);
	return err;
}

/* The whole of one change up to the disk. */
static int commit(struct ch_enrolment *e, const struct ch_policy *policy, struct job *job)
{
	int err = say_inventory(e, job, ch_inventory_begin(e->inventory));

	if (err != 0)
		return err;
	err = change(e, policy, job);
	if (err == 0 && job->change.kind != CH_CHANGE_REJECT)
		err = try_it(e, policy, job);
	if (err == 0)
		err = say_inventory(e, job, ch_inventory_commit(e->inventory));
	if (err != 0)
		ch_inventory_rollback(e->inventory);
	return err;
}

/* --- the thread --- */

/* What is on the disk comes into force. */
static void put_into_force(struct ch_enrolment *e, struct job *jobs)
{
	struct ch_quarantine *quarantine = e->collector->shared.quarantine;
	bool reload = false;
	char *text = NULL;
	int err = 0;

	for (struct job *job = jobs; job != NULL; job = job->next)
		reload |= job->error == 0 && job->change.kind != CH_CHANGE_REJECT;
	if (reload)
		err = ch_collector_reload(e->collector, CH_RELOAD_DEVICES, &text);
	for (struct job *job = jobs; job != NULL; job = job->next) {
		if (job->error != 0)
			continue;
		if (job->change.kind == CH_CHANGE_REJECT) {
			job->error = ch_quarantine_reject(quarantine, &job->view);
			continue;
		}
		/* Only now: a call before would have put it there again. */
		if (job->change.kind == CH_CHANGE_ACCEPT)
			ch_quarantine_forget(quarantine, job->view.spki_sha256);
		if (err == CH_E_STATE)
			job->error = -ECANCELED;
		else if (err != 0)
			job->error = say(job, err, "; it is in the database, but not in force: %s",
					 text != NULL ? text : ch_error_text(err));
	}
	free(text);
}

static void end(struct job *job)
{
	const char *text = "";

	if (job->text.len == 0 && job->error != 0)
		text = ch_error_text(job->error);
	else if (ch_buf_append(&job->text, "", 1) == 0)
		text = (const char *)job->text.data;
	job->fn(job->ctx, job->error, text);
	ch_buf_deinit(&job->text);
	ch_buf_deinit(&job->csv);
	free(job);
}

static void log_change(struct ch_enrolment *e, const struct job *job)
{
	static const char *const kinds[] = {
		[CH_CHANGE_IMPORT] = "import", [CH_CHANGE_PUT] = "put",
		[CH_CHANGE_REMOVE] = "remove", [CH_CHANGE_ACCEPT] = "accept",
		[CH_CHANGE_REJECT] = "reject",
	};

	ch_log(&e->collector->shared.log, CH_LOG_INFO,
	       "event=inventory-change kind=%s device=%s manufacturer=%s identifier=%s",
	       kinds[job->change.kind], job->change.name[0] != '\0' ? job->change.name : "-",
	       job->view.manufacturer[0] != '\0' ? job->view.manufacturer : "-",
	       job->view.identifier[0] != '\0' ? job->view.identifier : "-");
}

static void serve(struct ch_enrolment *e, struct job *jobs)
{
	struct ch_policy *policy = ch_collector_policy(e->collector);
	struct job *next;

	for (struct job *job = jobs; job != NULL; job = job->next)
		job->error = commit(e, policy, job);
	ch_policy_drop(policy);
	put_into_force(e, jobs);
	for (struct job *job = jobs; job != NULL; job = next) {
		next = job->next;
		if (job->error == 0)
			log_change(e, job);
		end(job);
	}
}

/* @count of e->saving, in one transaction. */
static int save_some(struct ch_enrolment *e, size_t count)
{
	int err = ch_inventory_begin(e->inventory);

	for (size_t i = 0; err == 0 && i < count; i++)
		err = ch_inventory_pend(e->inventory, &e->saving[i]);
	if (err == 0)
		err = ch_inventory_pend_most(e->inventory, e->collector->config->quarantine_max);
	if (err == 0)
		err = ch_inventory_commit(e->inventory);
	if (err != 0)
		ch_inventory_rollback(e->inventory);
	return err;
}

/* Writes keys in quarantine that called. @return is there more to be written? */
static bool save_quarantine(struct ch_enrolment *e)
{
	struct ch_quarantine *quarantine = e->collector->shared.quarantine;
	size_t count = ch_quarantine_changed(quarantine, SAVE_MOST, e->saving);
	int err = count > 0 ? save_some(e, count) : 0;

	if (err == 0) {
		ch_quarantine_saved(quarantine, e->saving, count);
		e->save_failed = false;
		return count == SAVE_MOST;
	}
	/* Tried again in a while; said once, for it may go on for long. */
	if (!e->save_failed)
		ch_log(&e->collector->shared.log, CH_LOG_WARNING,
		       "event=quarantine-not-saved err=\"%s\"",
		       err == CH_E_CONFIG ? ch_inventory_error(e->inventory) : ch_error_text(err));
	e->save_failed = true;
	return true;
}

static void unsaved(void *ctx)
{
	struct ch_enrolment *e = ctx;

	pthread_mutex_lock(&e->lock);
	e->unsaved = true;
	pthread_cond_signal(&e->wake);
	pthread_mutex_unlock(&e->lock);
}

/* Until there is something to do, under the lock. @return is it time to save? */
static bool wait_for_work(struct ch_enrolment *e)
{
	while (e->head == NULL && !e->stopping) {
		uint64_t due_ns = e->saved_ns + SAVE_NS;
		const struct timespec due = {(time_t)(due_ns / 1000000000),
					     (long)(due_ns % 1000000000)};

		if (e->unsaved && ch_now_ns() >= due_ns)
			break;
		if (e->unsaved)
			pthread_cond_timedwait(&e->wake, &e->lock, &due);
		else
			pthread_cond_wait(&e->wake, &e->lock);
	}
	return e->unsaved && ch_now_ns() >= e->saved_ns + SAVE_NS;
}

static void save(struct ch_enrolment *e)
{
	bool more;

	pthread_mutex_lock(&e->lock);
	e->unsaved = false; /* first: what changes from here on sets it again */
	pthread_mutex_unlock(&e->lock);
	more = save_quarantine(e);
	e->saved_ns = ch_now_ns();
	if (more)
		unsaved(e);
}

static void *run(void *arg)
{
	struct ch_enrolment *e = arg;
	struct job *jobs;
	bool stopping;
	bool saving;

	do {
		pthread_mutex_lock(&e->lock);
		saving = wait_for_work(e);
		jobs = e->head;
		e->head = NULL;
		e->tail = &e->head;
		e->waiting = 0;
		stopping = e->stopping;
		pthread_mutex_unlock(&e->lock);
		if (saving && !stopping)
			save(e);
		if (!stopping && jobs != NULL)
			serve(e, jobs);
	} while (!stopping);
	while (jobs != NULL) {
		struct job *next = jobs->next;

		jobs->error = -ECANCELED;
		end(jobs);
		jobs = next;
	}
	return NULL;
}

/* --- from outside --- */

/* Appends @text to @strings. @return the copy */
static const char *keep(char **strings, const char *text)
{
	char *copy = *strings;
	size_t len;

	if (text == NULL)
		return NULL;
	len = strlen(text) + 1;
	memcpy(copy, text, len);
	*strings += len;
	return copy;
}

static size_t room_for(const char *text)
{
	return text != NULL ? strlen(text) + 1 : 0;
}

static struct job *new_job(const struct ch_change *change, ch_change_fn fn, void *ctx)
{
	const char *name = change->name != NULL ? change->name : "";
	const char *source = change->source != NULL ? change->source : "import";
	struct job *job =
		calloc(1, sizeof(*job) + room_for(name) + room_for(source) +
				  room_for(change->credential) + room_for(change->profile));
	char *strings;

	if (job == NULL)
		return NULL;
	strings = job->strings;
	job->change = *change;
	job->change.name = keep(&strings, name);
	job->change.source = keep(&strings, source);
	job->change.credential = keep(&strings, change->credential);
	job->change.profile = keep(&strings, change->profile);
	job->fn = fn;
	job->ctx = ctx;
	if (ch_buf_reserve(&job->csv, change->csv_len + 1) != 0 ||
	    ch_buf_append(&job->csv, change->csv, change->csv_len) != 0) {
		ch_buf_deinit(&job->csv);
		free(job);
		return NULL;
	}
	return job;
}

int ch_collector_change(struct ch_collector *c, const struct ch_change *change, ch_change_fn fn,
			void *ctx)
{
	struct ch_enrolment *e = c->enrolment;
	struct job *job;
	int err = 0;

	if (e == NULL)
		return c->config->devices_database == NULL ? CH_E_UNSUPPORTED : CH_E_STATE;
	job = new_job(change, fn, ctx);
	if (job == NULL)
		return -ENOMEM;
	pthread_mutex_lock(&e->lock);
	if (e->stopping)
		err = CH_E_STATE;
	else if (e->waiting == JOBS_MOST)
		err = CH_E_FULL;
	if (err == 0) {
		*e->tail = job;
		e->tail = &job->next;
		e->waiting++;
		pthread_cond_signal(&e->wake);
	}
	pthread_mutex_unlock(&e->lock);
	if (err != 0) {
		ch_buf_deinit(&job->csv);
		free(job);
	}
	return err;
}

/* A rejected key of the database; that it is rejected is all that matters before its next call. */
static void remember(void *ctx, const struct ch_inventory_rejected *rejected)
{
	struct ch_enrolment *e = ctx;
	struct ch_quarantine_view view = {.first_unix_ns = rejected->unix_ns,
					  .last_unix_ns = rejected->unix_ns};

	memcpy(view.spki_sha256, rejected->spki_sha256, 32);
	memcpy(view.cert_sha256, rejected->cert_sha256, 32);
	memcpy(view.manufacturer, rejected->manufacturer, sizeof(view.manufacturer));
	memcpy(view.identifier, rejected->identifier, sizeof(view.identifier));
	if (ch_quarantine_reject(e->collector->shared.quarantine, &view) != 0)
		ch_log(&e->collector->shared.log, CH_LOG_WARNING,
		       "event=rejected-key-lost err=\"out of memory\"");
}

/* It may have been written into the inventory's file since. */
static bool still_unknown(const struct ch_policy *policy, const struct ch_quarantine_view *view)
{
	const struct ch_devices *devices = policy->devices;
	const struct ch_config *config = policy->config;
	uint32_t m = 0;

	while (m < config->manufacturer_count &&
	       strcmp(config->manufacturers[m].name, view->manufacturer) != 0)
		m++;
	return m < config->manufacturer_count &&
	       ch_devices_by_identifier(devices, m, view->identifier) == CH_DEVICE_NONE &&
	       ch_devices_by_pin(devices, view->spki_sha256) == CH_DEVICE_NONE &&
	       ch_devices_by_cert(devices, view->cert_sha256) == CH_DEVICE_NONE;
}

static void remember_pending(void *ctx, const struct ch_quarantine_view *view)
{
	struct ch_enrolment *e = ctx;

	if (!still_unknown(e->collector->shared.policy, view))
		return;
	if (ch_quarantine_restore(e->collector->shared.quarantine, view) != 0)
		ch_log(&e->collector->shared.log, CH_LOG_WARNING,
		       "event=pending-key-lost err=\"out of memory\"");
}

static int remember_keys(struct ch_enrolment *e)
{
	int err = ch_inventory_rejected(e->inventory, remember, e);

	if (err == 0)
		err = ch_inventory_pending(e->inventory, remember_pending, e);
	return err;
}

/* Its waits end by the clock that nobody sets. */
static void init_wake(struct ch_enrolment *e)
{
	pthread_condattr_t attributes;

	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&e->wake, &attributes);
	pthread_condattr_destroy(&attributes);
}

int ch_enrolment_new(struct ch_collector *collector, struct ch_enrolment **enrolment,
		     struct ch_buf *error)
{
	struct ch_enrolment *e = calloc(1, sizeof(*e));
	char text[CH_INVENTORY_ERROR] = "";
	int err;

	if (e == NULL)
		return -ENOMEM;
	e->collector = collector;
	e->tail = &e->head;
	pthread_mutex_init(&e->lock, NULL);
	init_wake(e);
	err = ch_inventory_open(collector->config->devices_database, &e->inventory, text);
	if (err == 0) {
		err = remember_keys(e);
		if (err == CH_E_CONFIG)
			snprintf(text, sizeof(text), "%s", ch_inventory_error(e->inventory));
	}
	if (err == 0)
		err = -pthread_create(&e->thread, NULL, run, e);
	if (err == 0) {
		ch_quarantine_on_change(collector->shared.quarantine, unsaved, e);
		*enrolment = e;
		return 0;
	}
	ch_inventory_close(e->inventory);
	pthread_cond_destroy(&e->wake);
	pthread_mutex_destroy(&e->lock);
	free(e);
	return text[0] != '\0' && ch_buf_printf(error, "%s\n", text) != 0 ? -ENOMEM : err;
}

void ch_enrolment_stop(struct ch_enrolment *e)
{
	if (e == NULL)
		return;
	pthread_mutex_lock(&e->lock);
	e->stopping = true;
	pthread_cond_signal(&e->wake);
	pthread_mutex_unlock(&e->lock);
	pthread_join(e->thread, NULL);
}

void ch_enrolment_free(struct ch_enrolment *e)
{
	if (e == NULL)
		return;
	/* Those that called last. Nobody calls any more. */
	while (save_quarantine(e) && !e->save_failed)
		;
	ch_inventory_close(e->inventory);
	pthread_cond_destroy(&e->wake);
	pthread_mutex_destroy(&e->lock);
	free(e);
}
