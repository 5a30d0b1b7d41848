/* SPDX-License-Identifier: Apache-2.0 */
/* The guard behind the public API: its gate, and events about what operators do. */
#include <callhome/guard.h>
#include "collector.h"
#include "guarding.h"
#include "kernel/probe.h"
#include "kernel/sock.h"
#include "publish.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SECOND 1000000000ull
#define POST_TRIES 100
#define POST_PAUSE_US 1000

_Static_assert(CH_SOURCE_TEXT <= CH_COLLECTOR_SOURCE, "a source fits");
_Static_assert(CH_ADDRESS_TEXT <= CH_COLLECTOR_SOURCE, "a listener fits");
_Static_assert(CH_GUARD_WHY <= sizeof(((struct ch_collector_guard *)0)->why), "the reason fits");
_Static_assert(CH_GUARD_WHY <= sizeof(((struct ch_collector_guard *)0)->doors_why), "and that one");
_Static_assert(CH_EARLY_INTERFACES == CH_COLLECTOR_INTERFACES, "the interfaces fit");
_Static_assert(CH_EARLY_NAME == sizeof(((struct ch_collector_interface *)0)->name), "and names");
_Static_assert(CH_EARLY_WHY == sizeof(((struct ch_collector_interface *)0)->why), "and reasons");
_Static_assert((int)CH_GATE_VERDICTS <= CH_COLLECTOR_VERDICTS, "the verdicts fit");
_Static_assert(GUARD_RULES == CH_COLLECTOR_RULES, "the rules fit");
_Static_assert(GUARD_LISTENERS == CH_COLLECTOR_LISTENERS, "the listeners fit");

/* --- bans --- */

static uint64_t to_unix(uint64_t at_ns, const struct ch_clocks *clocks)
{
	if (at_ns == UINT64_MAX)
		return 0;
	return at_ns > clocks->now_ns ? clocks->unix_ns + (at_ns - clocks->now_ns)
				      : clocks->unix_ns - (clocks->now_ns - at_ns);
}

int ch_collector_bans(const struct ch_collector *c, const char *after, size_t most,
		      struct ch_collector_ban *bans, size_t *count)
{
	const struct ch_clocks clocks = {ch_now_ns(), ch_unix_ns()};
	struct ch_ban_view *views = calloc(most + 1, sizeof(*views));
	int err;

	*count = 0;
	if (views == NULL)
		return -ENOMEM;
	err = ch_gate_bans(c->shared.gate, clocks.now_ns, after, most, views, count);
	for (size_t i = 0; i < *count; i++) {
		const struct ch_ban_view *view = &views[i];

		bans[i] = (struct ch_collector_ban){
			.since_unix_ns = to_unix(view->since_ns, &clocks),
			.until_unix_ns = to_unix(view->until_ns, &clocks),
			.level = view->level,
			.cause = view->cause,
			.hits = view->hits,
		};
		snprintf(bans[i].source, sizeof(bans[i].source), "%s", view->source);
	}
	free(views);
	return err;
}

/* The first thread writes it down. @return it will */
static bool post(struct ch_collector *c, const struct ch_ban_notice *notice)
{
	struct ch_mail mail = {.kind = CH_MAIL_BAN, .ban = malloc(sizeof(*notice))};

	if (mail.ban == NULL)
		return false;
	*mail.ban = *notice;
	for (int i = 0; i < POST_TRIES; i++) {
		if (ch_worker_post(&c->shared.workers[0], &mail) == 0)
			return true;
		usleep(POST_PAUSE_US); /* a full queue is being read */
	}
	free(mail.ban);
	return false;
}

static void tell(struct ch_collector *c, struct ch_ban_notice *notice, const char *by)
{
	const char *name = ch_event_name(notice->kind);
	char length[32] = "";

	snprintf(notice->user, sizeof(notice->user), "%s", by);
	if (notice->seconds != 0)
		snprintf(length, sizeof(length), " seconds=%llu",
			 (unsigned long long)notice->seconds);
	ch_log(&c->shared.log, CH_LOG_INFO, "event=%s source=%s%s cause=operator user=\"%s\"", name,
	       notice->source, length, notice->user);
	if (!post(c, notice))
		ch_log(&c->shared.log, CH_LOG_WARNING, "event=event-lost lost=%s source=%s", name,
		       notice->source);
}

int ch_collector_ban(struct ch_collector *c, const char *source, uint64_t seconds, const char *by)
{
	struct ch_ban_notice notice = {.kind = CH_EVENT_BANNED, .seconds = seconds};
	int err = ch_gate_canonical(c->shared.gate, source, notice.source);

	if (err == 0)
		err = ch_gate_ban(c->shared.gate, source, seconds, ch_now_ns());
	if (err == 0)
		tell(c, &notice, by);
	return err;
}

int ch_collector_unban(struct ch_collector *c, const char *source, const char *by)
{
	struct ch_ban_notice notice = {.kind = CH_EVENT_UNBANNED};
	int err = ch_gate_canonical(c->shared.gate, source, notice.source);

	if (err == 0)
		err = ch_gate_unban(c->shared.gate, source);
	if (err == 0)
		tell(c, &notice, by);
	return err;
}

/* --- what it counted --- */

static const char *mode_name(enum ch_gate_mode mode)
{
	static const char *const names[] = {
		[CH_GATE_AUTO] = "auto",
		[CH_GATE_REQUIRE] = "require",
		[CH_GATE_USERSPACE] = "userspace",
		[CH_GATE_OFF] = "off",
	};

	return names[mode];
}

static const char *early_name(enum ch_gate_early early)
{
	static const char *const names[] = {
		[CH_GATE_EARLY_OFF] = "off",
		[CH_GATE_EARLY_XDP] = "xdp",
		[CH_GATE_EARLY_XDP_GENERIC] = "xdp-generic",
	};

	return names[early];
}

static void view_interfaces(const struct ch_gate_view *gate, struct ch_collector_guard *view)
{
	for (size_t i = 0; i < gate->interface_count; i++) {
		const struct ch_early_state *from = &gate->interfaces[i];
		struct ch_collector_interface *to = &view->interfaces[view->interface_count++];

		memcpy(to->name, from->interface, sizeof(to->name));
		memcpy(to->why, from->why, sizeof(to->why));
		to->mode = from->mode;
	}
}

static void view_verdicts(const struct ch_gate_view *gate, struct ch_collector_guard *view)
{
	for (unsigned v = 0; v < CH_GATE_VERDICTS; v++) {
		struct ch_collector_verdict *verdict = &view->verdicts[view->verdict_count++];

		verdict->name = ch_gate_verdict_name(v);
		verdict->accept = gate->accept_since[v];
		verdict->accept_total = gate->accept_verdicts[v];
		if (v >= GUARD_VERDICTS)
			continue; /* only accept has it */
		verdict->early = gate->early_since[v];
		verdict->early_total = gate->early_verdicts[v];
		verdict->kernel = gate->kernel_since[v];
		verdict->kernel_total = gate->kernel_verdicts[v];
	}
}

void ch_collector_guard(const struct ch_collector *c, struct ch_collector_guard *view)
{
	struct ch_gate_view gate;

	ch_gate_read(c->shared.gate, ch_now_ns(), &gate);
	*view = (struct ch_collector_guard){
		.mode = mode_name(gate.mode),
		.where = gate.mode == CH_GATE_OFF ? "off"
			 : gate.kernel		  ? "kernel"
						  : "accept",
		.doors = gate.doors ? GUARD_DOORS : 1,
		.early = early_name(gate.early),
		.dry_run = gate.dry_run,
		.v4_prefix = gate.v4_bits,
		.v6_prefix = gate.v6_bits,
		.sessions = atomic_load(&c->shared.sessions.used),
		.max_sessions = c->shared.sessions.limit,
		.handshakes = atomic_load(&c->shared.handshakes.used),
		.max_handshakes = c->shared.handshakes.limit,
		.sources = gate.load.sources,
		.max_sources = gate.sources_most,
		.bans = gate.load.bans,
		.max_bans = gate.bans_most,
		.pending = gate.load.pending,
		.bans_failed = gate.bans_failed,
		.syncookies = ch_probe_syncookies(),
		.backlog = c->config->backlog,
		.somaxconn = c->somaxconn,
		.reset_unix_ns = gate.reset_unix_ns,
	};
	memcpy(view->why, gate.why, sizeof(gate.why));
	memcpy(view->doors_why, gate.doors_why, sizeof(gate.doors_why));
	view_interfaces(&gate, view);
	view_verdicts(&gate, view);
}

static void view_rule(const struct ch_gate_rule_view *gate, struct ch_collector_rule *rule)
{
	*rule = (struct ch_collector_rule){
		.name = gate->name,
		.action = ch_gate_action_name(gate->action),
		.prefixes = gate->prefixes,
		.accept = gate->accepted_since,
		.accept_total = gate->accepted,
		.reset_unix_ns = gate->reset_unix_ns,
	};
	for (size_t l = 0; l < GUARD_LISTENERS; l++) {
		rule->listener_kernel[l] = gate->hits_since[l];
		rule->listener_kernel_total[l] = gate->hits[l];
		rule->kernel += gate->hits_since[l];
		rule->kernel_total += gate->hits[l];
		rule->listener_early[l] = gate->early_since[l];
		rule->listener_early_total[l] = gate->early[l];
		rule->listener_accept[l] = gate->accepted_by_since[l];
		rule->listener_accept_total[l] = gate->accepted_by[l];
		rule->early += gate->early_since[l];
		rule->early_total += gate->early[l];
	}
}

size_t ch_collector_rules(const struct ch_collector *c, struct ch_collector_rule *rules,
			  size_t most)
{
	struct ch_gate_rule_view *views = calloc(GUARD_RULES, sizeof(*views));
	size_t count = views != NULL ? ch_gate_rules(c->shared.gate, views, GUARD_RULES) : 0;

	for (size_t i = 0; i < count && i < most; i++)
		view_rule(&views[i], &rules[i]);
	free(views);
	return count;
}

bool ch_collector_listener(const struct ch_collector *c, size_t index,
			   char address[CH_COLLECTOR_SOURCE])
{
	if (index >= c->config->listener_count || index >= GUARD_LISTENERS)
		return false;
	ch_address_format(&c->config->listeners[index].address, address);
	return true;
}

int ch_collector_guard_reset(struct ch_collector *c, const char *rule)
{
	return ch_gate_reset(c->shared.gate, rule, ch_unix_ns());
}
