/* SPDX-License-Identifier: Apache-2.0 */
#include "control_guard.h"
#include "user/core/option.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/** Each page costs a sort of all bans, so it is large. */
#define PAGE_BANS 4096
#define SECONDS_MOST UINT64_C(315360000) /* ten years: longer is until it is lifted */

/* --- bans --- */

struct bans {
	struct ch_http_list list;
	const struct ch_collector *collector;
	uint64_t left;			    /**< lines that may still be written (limit=) */
	char after[CH_HTTP_VALUE_MOST + 1]; /**< the last source that was written; "" = none */
};

static int put_ban(struct ch_buf *page, const struct ch_collector_ban *ban)
{
	struct ch_json json;

	ch_json_init(&json, page);
	ch_json_object(&json, NULL);
	ch_json_str(&json, "source", ban->source);
	ch_json_time(&json, "since", ban->since_unix_ns);
	ch_json_time(&json, "until", ban->until_unix_ns);
	ch_json_str(&json, "cause", ban->cause);
	ch_json_uint(&json, "level", ban->level);
	ch_json_uint(&json, "hits", ban->hits);
	ch_json_object_end(&json);
	return json.err != 0 ? json.err : ch_buf_append_str(page, "\n");
}

static int fill_bans(struct ch_http_list *list)
{
	struct bans *bans = (struct bans *)list;
	size_t most = bans->left < PAGE_BANS ? (size_t)bans->left : PAGE_BANS;
	struct ch_collector_ban *views = calloc(most + 1, sizeof(*views));
	size_t count = 0;
	int err = views != NULL ? 0 : -ENOMEM;

	if (err == 0)
		err = ch_collector_bans(bans->collector,
					bans->after[0] != '\0' ? bans->after : NULL, most, views,
					&count);
	for (size_t i = 0; i < count && err == 0; i++)
		err = put_ban(&list->page, &views[i]);
	if (count > 0)
		memcpy(bans->after, views[count - 1].source, sizeof(views[count - 1].source));
	bans->left -= count;
	free(views);
	return err;
}

/** @return NULL, or the parameter that is wrong, with what it @should be */
static const char *read_paging(struct MHD_Connection *connection, struct bans *bans,
			       const char **should)
{
	char value[CH_HTTP_VALUE_MOST + 1];
	int found = ch_http_query(connection, "limit", value);
	size_t count;

	*should = "a number from 1 to 4294967295";
	if (found < 0 || (found > 0 && ch_parse_uint(value, 1, UINT32_MAX, &bans->left) != 0))
		return "limit";
	found = ch_http_query(connection, "after", bans->after);
	*should = "the source of a ban, such as 192.0.2.1 or 2001%3Adb8%3A%3A%2F64";
	if (found < 0 ||
	    (found > 0 && ch_collector_bans(bans->collector, bans->after, 0, NULL, &count) != 0))
		return "after";
	return NULL;
}

enum MHD_Result ch_control_bans(struct MHD_Connection *connection,
				const struct ch_collector *collector)
{
	struct bans *bans = calloc(1, sizeof(*bans));
	const char *should;
	const char *wrong;

	if (bans == NULL)
		return MHD_NO;
	bans->collector = collector;
	bans->list.fill = fill_bans;
	bans->left = UINT64_MAX;
	wrong = read_paging(connection, bans, &should);
	if (wrong == NULL)
		return ch_http_stream(connection, &bans->list);
	ch_http_list_free(&bans->list);
	return ch_http_error(connection, MHD_HTTP_BAD_REQUEST, "bad-parameter", "'%s' must be %s",
			     wrong, should);
}

static enum MHD_Result refuse(struct MHD_Connection *connection,
			      const struct ch_collector *collector, int err, const char *source)
{
	struct ch_collector_guard guard;

	ch_collector_guard(collector, &guard);
	switch (err) {
	case CH_E_SYNTAX:
		return ch_http_error(connection, MHD_HTTP_BAD_REQUEST, "bad-source",
				     "'%s' is no source: write an IPv4 or IPv6 address", source);
	case CH_E_RANGE:
		return ch_http_error(connection, MHD_HTTP_BAD_REQUEST, "bad-source",
				     "'%s' is not one source: that is an IPv4 /%u or an IPv6 /%u "
				     "here (guard.v4-prefix, guard.v6-prefix); for other prefixes "
				     "make a rule with the action drop",
				     source, guard.v4_prefix, guard.v6_prefix);
	case CH_E_STATE:
		return ch_http_error(connection, MHD_HTTP_CONFLICT, "never-banned",
				     "%s is never banned: a rule with the action permit or "
				     "never-ban holds for it; see 'callhome guard rules'",
				     source);
	case CH_E_UNSUPPORTED:
		return ch_http_error(connection, MHD_HTTP_CONFLICT, "guard-off",
				     "nobody can be banned: guard.mode is off");
	case CH_E_FULL:
		return ch_http_error(connection, MHD_HTTP_CONFLICT, "full",
				     "all %llu bans are in use, and all of them end later than "
				     "this one would; lift some, or raise guard.max-bans",
				     (unsigned long long)guard.max_bans);
	case CH_E_UNKNOWN:
		return ch_http_error(connection, MHD_HTTP_NOT_FOUND, "unknown-source",
				     "%s is not banned; see 'callhome ban ls'", source);
	default:
		return ch_http_error(connection, MHD_HTTP_INTERNAL_SERVER_ERROR, "internal-error",
				     "%s", ch_error_text(err));
	}
}

enum MHD_Result ch_control_ban(struct MHD_Connection *connection, struct ch_collector *collector,
			       const char *by)
{
	char source[CH_HTTP_VALUE_MOST + 1];
	char value[CH_HTTP_VALUE_MOST + 1];
	uint64_t seconds = 0;
	int found = ch_http_query(connection, "seconds", value);
	int err;

	if (ch_http_query(connection, "source", source) != 1)
		return ch_http_error(connection, MHD_HTTP_BAD_REQUEST, "bad-parameter",
				     "'source' must say who is banned: an IPv4 or IPv6 address");
	if (found < 0 || (found > 0 && ch_parse_uint(value, 0, SECONDS_MOST, &seconds) != 0))
		return ch_http_error(connection, MHD_HTTP_BAD_REQUEST, "bad-parameter",
				     "'seconds' must be a number from 0 (until it is lifted) to "
				     "315360000 (ten years)");
	err = ch_collector_ban(collector, source, seconds, by);
	if (err != 0)
		return refuse(connection, collector, err, source);
	if (seconds == 0)
		return ch_http_done(connection, "%s is banned until the ban is lifted", source);
	return ch_http_done(connection, "%s is banned for %llu s", source,
			    (unsigned long long)seconds);
}

enum MHD_Result ch_control_unban(struct MHD_Connection *connection, struct ch_collector *collector,
				 const char *source, const char *by)
{
	int err = ch_collector_unban(collector, source, by);

	if (err != 0)
		return refuse(connection, collector, err, source);
	return ch_http_done(connection, "%s is not banned any more", source);
}

/* --- counters --- */

static void put_load(struct ch_json *json, const char *key, uint64_t used, uint64_t most)
{
	ch_json_object(json, key);
	ch_json_uint(json, "used", used);
	ch_json_uint(json, "limit", most);
	ch_json_object_end(json);
}

static void put_early(struct ch_json *json, const struct ch_collector_guard *view)
{
	ch_json_object(json, "early");
	ch_json_str(json, "stage", view->early);
	ch_json_array(json, "interfaces");
	for (uint32_t i = 0; i < view->interface_count; i++) {
		const struct ch_collector_interface *interface = &view->interfaces[i];

		ch_json_object(json, NULL);
		ch_json_str(json, "interface", interface->name);
		ch_json_str(json, "mode", interface->mode != NULL ? interface->mode : "none");
		ch_json_str(json, "why", interface->why);
		ch_json_object_end(json);
	}
	ch_json_array_end(json);
	ch_json_object_end(json);
}

static void put_state(struct ch_json *json, const struct ch_collector_guard *view)
{
	ch_json_str(json, "mode", view->mode);
	ch_json_str(json, "where", view->where);
	ch_json_str(json, "why", view->why);
	ch_json_uint(json, "doors", view->doors);
	ch_json_str(json, "doors_why", view->doors_why);
	put_early(json, view);
	ch_json_bool(json, "dry_run", view->dry_run);
	ch_json_object(json, "limits");
	put_load(json, "sessions", view->sessions, view->max_sessions);
	put_load(json, "handshakes", view->handshakes, view->max_handshakes);
	put_load(json, "sources", view->sources, view->max_sources);
	put_load(json, "bans", view->bans, view->max_bans);
	ch_json_object_end(json);
	ch_json_object(json, "host");
	ch_json_bool(json, "syncookies", view->syncookies);
	ch_json_uint(json, "backlog", view->backlog);
	ch_json_uint(json, "somaxconn", view->somaxconn);
	ch_json_object_end(json);
}

/* Of each place where a connection is judged, in the order in which it comes there. */
struct counts {
	uint64_t early, kernel, accept;
};

static void put_counts(struct ch_json *json, struct counts since, struct counts total)
{
	ch_json_uint(json, "early", since.early);
	ch_json_uint(json, "kernel", since.kernel);
	ch_json_uint(json, "accept", since.accept);
	ch_json_uint(json, "early_total", total.early);
	ch_json_uint(json, "kernel_total", total.kernel);
	ch_json_uint(json, "accept_total", total.accept);
}

void ch_control_put_guard(struct ch_json *json, const struct ch_collector *collector)
{
	struct ch_collector_guard view;

	ch_collector_guard(collector, &view);
	ch_json_object(json, "guard");
	put_state(json, &view);
	ch_json_object_end(json);
}

enum MHD_Result ch_control_guard(struct MHD_Connection *connection,
				 const struct ch_collector *collector)
{
	struct ch_collector_guard view;
	struct ch_buf body = {0};
	struct ch_json json;

	ch_collector_guard(collector, &view);
	ch_json_init(&json, &body);
	ch_json_object(&json, NULL);
	put_state(&json, &view);
	ch_json_uint(&json, "v4_prefix", view.v4_prefix);
	ch_json_uint(&json, "v6_prefix", view.v6_prefix);
	ch_json_uint(&json, "logging_in", view.pending);
	ch_json_uint(&json, "bans_failed", view.bans_failed);
	ch_json_time(&json, "reset", view.reset_unix_ns);
	ch_json_array(&json, "verdicts");
	for (uint32_t i = 0; i < view.verdict_count; i++) {
		const struct ch_collector_verdict *verdict = &view.verdicts[i];

		ch_json_object(&json, NULL);
		ch_json_str(&json, "verdict", verdict->name);
		put_counts(&json, (struct counts){verdict->early, verdict->kernel, verdict->accept},
			   (struct counts){verdict->early_total, verdict->kernel_total,
					   verdict->accept_total});
		ch_json_object_end(&json);
	}
	ch_json_array_end(&json);
	ch_json_object_end(&json);
	return ch_http_json(connection, &json);
}

static void put_listeners(struct ch_json *json, const struct ch_collector *collector,
			  const struct ch_collector_rule *rule)
{
	char address[CH_COLLECTOR_SOURCE];

	ch_json_array(json, "listeners");
	for (size_t l = 0; ch_collector_listener(collector, l, address); l++) {
		ch_json_object(json, NULL);
		ch_json_str(json, "listener", address);
		put_counts(json,
			   (struct counts){rule->listener_early[l], rule->listener_kernel[l],
					   rule->listener_accept[l]},
			   (struct counts){rule->listener_early_total[l],
					   rule->listener_kernel_total[l],
					   rule->listener_accept_total[l]});
		ch_json_object_end(json);
	}
	ch_json_array_end(json);
}

static int put_rule(struct ch_buf *page, const struct ch_collector *collector,
		    const struct ch_collector_rule *rule)
{
	struct ch_json json;

	ch_json_init(&json, page);
	ch_json_object(&json, NULL);
	ch_json_str(&json, "rule", rule->name);
	ch_json_str(&json, "action", rule->action);
	ch_json_uint(&json, "prefixes", rule->prefixes);
	put_counts(&json, (struct counts){rule->early, rule->kernel, rule->accept},
		   (struct counts){rule->early_total, rule->kernel_total, rule->accept_total});
	ch_json_time(&json, "reset", rule->reset_unix_ns);
	put_listeners(&json, collector, rule);
	ch_json_object_end(&json);
	return json.err != 0 ? json.err : ch_buf_append_str(page, "\n");
}

enum MHD_Result ch_control_guard_rules(struct MHD_Connection *connection,
				       const struct ch_collector *collector)
{
	struct ch_collector_rule *rules = calloc(CH_COLLECTOR_RULES, sizeof(*rules));
	size_t count = rules != NULL ? ch_collector_rules(collector, rules, CH_COLLECTOR_RULES) : 0;
	struct ch_buf body = {0};
	int err = rules != NULL ? 0 : -ENOMEM;

	for (size_t i = 0; i < count && err == 0; i++)
		err = put_rule(&body, collector, &rules[i]);
	free(rules);
	if (err == 0)
		return ch_http_answer(connection, MHD_HTTP_OK, "application/x-ndjson", &body);
	ch_buf_deinit(&body);
	return MHD_NO;
}

enum MHD_Result ch_control_guard_reset(struct MHD_Connection *connection,
				       struct ch_collector *collector)
{
	char rule[CH_HTTP_VALUE_MOST + 1];
	int found = ch_http_query(connection, "rule", rule);
	int err = found >= 0 ? ch_collector_guard_reset(collector, found > 0 ? rule : NULL)
			     : CH_E_UNKNOWN;

	if (err == CH_E_UNKNOWN)
		return ch_http_error(connection, MHD_HTTP_NOT_FOUND, "unknown-rule",
				     "no rule of the guard is called '%s'; see 'callhome guard "
				     "rules' for the names",
				     found > 0 ? rule : "");
	if (err != 0)
		return ch_http_error(connection, MHD_HTTP_INTERNAL_SERVER_ERROR, "internal-error",
				     "%s", ch_error_text(err));
	if (found > 0)
		return ch_http_done(connection, "the hits of rule %s are counted anew", rule);
	return ch_http_done(connection, "all rules and verdicts are counted anew");
}
