/* SPDX-License-Identifier: Apache-2.0 */
#include "verify.h"

#include <callhome/event.h>

#include <dirent.h>
#include <errno.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct verifier {
	const struct sim_impostor_view *impostors;
	uint32_t impostor_count;
	char (*peers)[CH_ADDRESS_TEXT]; /* of the impostors */
	uint32_t *ends;			/* end events of each impostor */
	enum ch_reason goodbye;
	struct sim_verdict *verdict;
	struct sim_failures *failures;
};

void sim_failures_add(struct sim_failures *failures, const char *fmt, ...)
{
	va_list list;

	if (failures->count < SIM_FAILURES_MAX) {
		va_start(list, fmt);
		vsnprintf(failures->text[failures->count], sizeof(failures->text[0]), fmt, list);
		va_end(list);
	}
	failures->count++;
}

static uint32_t find_impostor(const struct verifier *v, const char *peer)
{
	for (uint32_t i = 0; peer && i < v->impostor_count; i++) {
		if (strcmp(v->peers[i], peer) == 0)
			return i;
	}
	return UINT32_MAX;
}

static void judge_impostor(struct verifier *v, uint32_t index, const char *event,
			   const char *reason)
{
	const struct sim_impostor *kind = v->impostors[index].kind;
	const char *expected = ch_reason_name(kind->reason);

	/* some of them log in first, and the requests of that session fail with it */
	if (!reason)
		return;
	v->ends[index]++;
	if (strcmp(reason, expected) != 0)
		sim_failures_add(v->failures, "impostor %s from %s ended as %s (%s), not as %s",
				 kind->name, v->peers[index], reason, event, expected);
	else if (v->ends[index] == 1)
		v->verdict->right++;
}

static void judge_device(struct verifier *v, const char *event, const char *device,
			 const char *peer, const char *reason)
{
	if (v->goodbye == CH_REASON_NONE)
		return;
	if (strcmp(event, ch_event_name(CH_EVENT_CONNECTED)) == 0) {
		v->verdict->connected++;
		return;
	}
	if (!peer && (strcmp(event, ch_event_name(CH_EVENT_STARTED)) == 0 ||
		      strcmp(event, ch_event_name(CH_EVENT_STOPPED)) == 0))
		return;
	if (reason && strcmp(event, ch_event_name(CH_EVENT_DISCONNECTED)) == 0 &&
	    strcmp(reason, ch_reason_name(v->goodbye)) == 0)
		return;
	sim_failures_add(v->failures, "device %s (%s): %s%s%s", device ? device : "unknown",
			 peer ? peer : "no peer", event, reason ? ", " : "", reason ? reason : "");
}

static void judge_event(struct verifier *v, const char *line, size_t len)
{
	json_t *root = json_loadb(line, len, 0, NULL);
	const char *event = json_string_value(json_object_get(root, "event"));
	const char *peer = json_string_value(json_object_get(root, "peer"));
	const char *reason = json_string_value(json_object_get(root, "reason"));
	const char *device = json_string_value(json_object_get(root, "device"));
	uint32_t impostor = find_impostor(v, peer);

	if (!event)
		sim_failures_add(v->failures, "a line of the events spool is not an event: %.80s",
				 line);
	else if (impostor != UINT32_MAX)
		judge_impostor(v, impostor, event, reason);
	else
		judge_device(v, event, device, peer, reason);
	json_decref(root);
}

/* Counts the lines of a file; @events: and judges each. */
static int read_lines(struct verifier *v, const char *path, bool events, uint64_t *lines)
{
	FILE *file = fopen(path, "r");
	char *line = NULL;
	size_t room = 0;
	ssize_t len;

	if (!file)
		return -errno;
	while ((len = getline(&line, &room, file)) > 0) {
		++*lines;
		if (events)
			judge_event(v, line, (size_t)len);
		else if (line[0] != '{' || line[len - 1] != '\n' || len < 3 || line[len - 2] != '}')
			sim_failures_add(v->failures, "a line of %s is not whole", path);
	}
	int err = ferror(file) ? -EIO : 0;
	free(line);
	fclose(file);
	return err;
}

static bool has_prefix(const char *name, const char *prefix)
{
	return strncmp(name, prefix, strlen(prefix)) == 0;
}

static int read_spool(struct verifier *v, const char *directory)
{
	DIR *dir = opendir(directory);
	const struct dirent *entry;
	uint64_t events = 0;
	int err = 0;

	if (!dir)
		return -errno;
	while (!err && (entry = readdir(dir))) {
		char path[1024];
		const char *end = strrchr(entry->d_name, '.');
		if (!end || strcmp(end, ".ndjson") != 0)
			continue;
		if (snprintf(path, sizeof(path), "%s/%s", directory, entry->d_name) >=
		    (int)sizeof(path))
			err = -ENAMETOOLONG;
		else if (has_prefix(entry->d_name, "events"))
			err = read_lines(v, path, true, &events);
		else if (has_prefix(entry->d_name, "notifications"))
			err = read_lines(v, path, false, &v->verdict->notifications);
		else if (has_prefix(entry->d_name, "replies"))
			err = read_lines(v, path, false, &v->verdict->replies);
	}
	closedir(dir);
	return err;
}

static void judge_missing(struct verifier *v)
{
	for (uint32_t i = 0; i < v->impostor_count; i++) {
		if (v->ends[i] == 0)
			sim_failures_add(v->failures, "impostor %s from %s: the collector told no end",
					 v->impostors[i].kind->name, v->peers[i]);
		else if (v->ends[i] > 1)
			sim_failures_add(v->failures, "impostor %s from %s ended %u times",
					 v->impostors[i].kind->name, v->peers[i], v->ends[i]);
	}
}

int sim_verify(const char *directory, const struct sim_impostor_view *impostors,
	       uint32_t impostor_count, enum ch_reason goodbye, struct sim_verdict *verdict,
	       struct sim_failures *failures)
{
	struct verifier v = {
		.impostors = impostors,
		.impostor_count = impostor_count,
		.peers = calloc(impostor_count + 1, CH_ADDRESS_TEXT),
		.ends = calloc(impostor_count + 1, sizeof(uint32_t)),
		.goodbye = goodbye,
		.verdict = verdict,
		.failures = failures,
	};
	int err = -ENOMEM;

	memset(verdict, 0, sizeof(*verdict));
	if (!v.peers || !v.ends)
		goto out;
	for (uint32_t i = 0; i < impostor_count; i++)
		ch_address_format(&impostors[i].local, v.peers[i]);
	err = read_spool(&v, directory);
	if (err)
		sim_failures_add(failures, "cannot read the spool %s: %s", directory,
				 ch_error_text(err));
	else
		judge_missing(&v);
out:
	free(v.peers);
	free(v.ends);
	return err;
}
