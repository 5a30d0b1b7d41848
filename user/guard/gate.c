/* SPDX-License-Identifier: Apache-2.0 */
#include "gate.h"
#include "gate_inside.h"
#include "kernel/sock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---------------------------------------------------------------- names */

const char *ch_gate_verdict_name(unsigned verdict)
{
	static const char *const names[CH_GATE_VERDICTS] = {
		[GUARD_PASS] = "pass",
		[GUARD_PERMIT] = "permit",
		[GUARD_BANNED] = "banned",
		[GUARD_DENIED] = "denied",
		[GUARD_REJECTED] = "rejected",
		[GUARD_RULE_LIMIT] = "rule-limit",
		[GUARD_SOURCE_LIMIT] = "source-limit",
		[GUARD_UNREADABLE] = "unreadable",
		[GUARD_EVENT_LOST] = "event-lost",
		[CH_GATE_PENDING] = "source-logins",
	};

	return verdict < CH_GATE_VERDICTS ? names[verdict] : "unknown";
}

const char *ch_gate_action_name(enum ch_gate_action action)
{
	static const char *const names[] = {
		[CH_GATE_ACTION_LIMIT] = "limit",	  [CH_GATE_ACTION_PERMIT] = "permit",
		[CH_GATE_ACTION_NEVER_BAN] = "never-ban", [CH_GATE_ACTION_DROP] = "drop",
		[CH_GATE_ACTION_REJECT] = "reject",	  [CH_GATE_ACTION_PROXY] = "proxy",
	};

	return names[action];
}

/* ---------------------------------------------------------------- rules */

static void rules_free(struct ch_gate_rules *rules)
{
	if (rules == NULL)
		return;
	ch_prefixes_free(rules->prefixes);
	free(rules);
}

/* The number of a rule's name, old or new. @return 0 = none is free, or no memory */
static uint32_t number_of(struct ch_gate *gate, const char *name)
{
	uint32_t number = 0;

	for (uint32_t i = 1; i < GUARD_RULES; i++) {
		if (gate->states[i].name == NULL)
			number = number == 0 ? i : number;
		else if (strcmp(gate->states[i].name, name) == 0)
			return i;
	}
	if (number != 0)
		gate->states[number].name = strdup(name);
	return gate->states[number].name != NULL ? number : 0;
}

static int read_rule(struct ch_gate *gate, const struct ch_gate_rule *rule,
		     struct ch_gate_rules *rules, struct ch_prefix_list *list, struct ch_buf *error)
{
	uint32_t number = number_of(gate, rule->name);
	struct guard_prefix prefix;
	size_t before = list->written;
	int err = 0;

	if (number == 0)
		return ch_buf_printf(error, "guard.rules: more than %d names since the start; restart "
				     "the collector\n", GUARD_RULES - 1) != 0 ? -ENOMEM : CH_E_CONFIG;
	rules->rules[number] = *rule;
	rules->rules[number].name = gate->states[number].name;
	if (rule->prefix != NULL && ch_prefix_parse(rule->prefix, &prefix) != 0)
		err = ch_buf_printf(error, "guard.rules: %s: \"%.64s\" is no prefix; write 192.0.2.0/24 or "
				    "2001:db8::/32, with zeros behind the length\n", rule->name,
				    rule->prefix) != 0 ? -ENOMEM : CH_E_CONFIG;
	else if (rule->prefix != NULL)
		err = ch_prefix_list_add(list, &prefix, number);
	if (err == 0 && rule->file != NULL)
		err = ch_prefix_list_read(list, rule->file, number, error);
	rules->prefix_counts[number] = list->written - before;
	return err;
}

/* First of all: of equal prefixes the last counts, so that a rule of the operator's goes before. */
static int add_bogons(struct ch_gate *gate, struct ch_gate_rules *rules,
		      struct ch_prefix_list *list, struct ch_buf *error)
{
	const struct ch_gate_rule rule = {.name = CH_GATE_BOGONS, .action = CH_GATE_ACTION_DROP};
	int err = read_rule(gate, &rule, rules, list, error);
	uint32_t number = err == 0 ? number_of(gate, CH_GATE_BOGONS) : 0;

	if (err == 0)
		err = ch_prefix_list_add_bogons(list, number);
	if (err == 0)
		rules->prefix_counts[number] = list->written;
	return err;
}

static struct guard_rule kernel_rule(const struct ch_gate_rule *rule)
{
	struct guard_rule made = {.limit = rule->limit, .log_one_in = rule->log_one_in};

	/* What a SYN of a balancer says of who is behind it is nothing. */
	if (rule->action == CH_GATE_ACTION_PERMIT)
		made.action = GUARD_ACTION_PERMIT;
	else if (rule->action == CH_GATE_ACTION_PROXY)
		made.action = GUARD_ACTION_PROXY;
	else if (rule->action == CH_GATE_ACTION_DROP)
		made.action = GUARD_ACTION_DROP;
	else if (rule->action == CH_GATE_ACTION_REJECT)
		made.action = GUARD_ACTION_REJECT;
	return made;
}

static int tell_rules(struct ch_gate *gate, const struct ch_gate_rules *rules,
		      const struct ch_prefix_list *list, struct ch_buf *error)
{
	struct guard_rule told[GUARD_RULES] = {0};
	int err;

	if (gate->guard == NULL)
		return 0;
	for (uint32_t i = 1; i < GUARD_RULES; i++)
		if (rules->rules[i].name != NULL)
			told[i] = kernel_rule(&rules->rules[i]);
	err = ch_guard_rules(gate->guard, told, list->items, list->count);
	if (err != 0 && ch_buf_printf(error, "guard.rules: the kernel does not take them: %s\n",
				      ch_error_text(err)) != 0)
		return -ENOMEM;
	return err;
}

/* Builds the rules of @options and puts them in force, kernel first. */
static int load_rules(struct ch_gate *gate, const struct ch_gate_options *options,
		      struct ch_buf *error)
{
	struct ch_prefix_list list = {0};
	struct ch_gate_rules *made = calloc(1, sizeof(*made));
	struct ch_gate_rules *before;
	int err = made != NULL ? 0 : -ENOMEM;

	if (err == 0 && options->bogons == CH_GATE_BOGONS_DROP)
		err = add_bogons(gate, made, &list, error);
	for (size_t i = 0; i < options->rule_count && err == 0; i++)
		err = read_rule(gate, &options->rules[i], made, &list, error);
	if (err == 0)
		err = ch_prefixes_new(&list, &made->prefixes);
	if (err == 0)
		err = tell_rules(gate, made, &list, error);
	if (err == 0) {
		pthread_rwlock_wrlock(&gate->lock);
		before = gate->rules;
		gate->rules = made;
		pthread_rwlock_unlock(&gate->lock);
		made = before;
	}
	rules_free(made);
	ch_prefix_list_deinit(&list);
	return err;
}

uint32_t ch_gate_find_rule(struct ch_gate *gate, const struct ch_address *peer,
			   struct ch_gate_rule *rule)
{
	struct guard_source whole;
	uint32_t number;

	ch_source_whole(peer, &whole);
	pthread_rwlock_rdlock(&gate->lock);
	number = ch_prefixes_find(gate->rules->prefixes, &whole);
	*rule = gate->rules->rules[number];
	pthread_rwlock_unlock(&gate->lock);
	return number;
}

bool ch_gate_is_dry_run(struct ch_gate *gate)
{
	bool dry_run;

	pthread_rwlock_rdlock(&gate->lock);
	dry_run = gate->dry_run;
	pthread_rwlock_unlock(&gate->lock);
	return dry_run;
}

/* ---------------------------------------------------------------- the kernel */

static void fill_settings(struct ch_gate *gate, const struct ch_gate_options *options)
{
	struct guard_settings *set = &gate->settings;

	set->source = options->sources.unknown;
	set->v4_bits = gate->v4_bits;
	set->v6_bits = gate->v6_bits;
	set->dry_run = options->dry_run;
	set->log = 1;
}

/* Of the start, as the sockets are: their numbers are those of the counters. */
static void fill_listeners(struct ch_gate *gate, const struct ch_gate_options *options)
{
	struct guard_settings *set = &gate->settings;

	for (size_t i = 0; i < options->listener_count && i < GUARD_LISTENERS; i++) {
		const struct ch_address *address = &options->listeners[i];
		static const uint8_t zeros[16];
		struct guard_listener *l = &set->listeners[i];

		ch_source_whole(address, &l->address);
		l->port = address->port;
		l->v4 = address->family == 4;
		l->any = memcmp(address->ip, zeros, l->v4 ? 4 : 16) == 0;
	}
}

/* Limits, for the kernel and for those who write its buckets. */
static int set_limits(struct ch_gate *gate, const struct ch_gate_options *options)
{
	fill_settings(gate, options);
	pthread_rwlock_wrlock(&gate->lock);
	gate->dry_run = options->dry_run;
	gate->kernel_burst_ns = options->sources.unknown.burst_ns;
	pthread_rwlock_unlock(&gate->lock);
	return gate->guard != NULL ? ch_guard_set(gate->guard, &gate->settings) : 0;
}

static int open_guard(struct ch_gate *gate, const struct ch_gate_options *options,
		      struct ch_buf *error)
{
	/* Room behind the bans in force: they are exchanged one by one. */
	const struct ch_guard_options kernel = {.bans = options->sources.bans_most + 64,
						.sources = ch_sources_room(options->sources.most),
						.early = options->early != CH_GATE_EARLY_OFF};
	int err;

	if (gate->mode == CH_GATE_USERSPACE || gate->mode == CH_GATE_OFF)
		return 0;
	err = ch_guard_open(&kernel, &gate->guard, gate->why);
	if (err == 0)
		err = set_limits(gate, options);
	if (err == 0)
		return 0;
	ch_guard_close(gate->guard);
	gate->guard = NULL;
	if (gate->mode == CH_GATE_REQUIRE)
		return ch_buf_printf(error, "guard.mode is require, but: %s\n", gate->why) != 0
			       ? -ENOMEM
			       : err;
	ch_log(gate->log, CH_LOG_WARNING, "event=guard-in-user-space why=\"%s\"", gate->why);
	return 0;
}

/*
 * The kernel is told of a change only: sources of the first rank have a bit of their own, which
 * stays as it was where the kernel has no room.
 */
static bool tell_first(void *ctx, const struct guard_source *source, bool first)
{
	struct ch_gate *gate = ctx;

	if (first)
		return ch_guard_know(gate->guard, source) == 0;
	ch_guard_forget(gate->guard, source);
	return true;
}

void ch_gate_tell_ban(struct ch_gate *gate, const struct ch_ban_change *change)
{
	atomic_store(&gate->bans_file.changed, true);
	if (gate->guard == NULL)
		return;
	if (change->displaces)
		ch_guard_unban(gate->guard, &change->displaced);
	if (ch_guard_ban(gate->guard, &change->ban.source, change->ban.until_ns) != 0)
		atomic_fetch_add(&gate->bans_failed, 1);
}

/* ---------------------------------------------------------------- life */

int ch_gate_new(const struct ch_gate_options *options, const struct ch_log *log,
		struct ch_gate **gate, struct ch_buf *error)
{
	struct ch_gate *g = calloc(1, sizeof(*g));
	struct ch_sources_options sources = options->sources;
	int err;

	if (g == NULL)
		return -ENOMEM;
	g->mode = options->mode;
	g->dry_run = options->dry_run;
	g->v4_bits = options->sources.v4_bits;
	g->v6_bits = options->sources.v6_bits;
	g->log = log;
	g->bans_most = sources.bans_most;
	g->sources_most = sources.most;
	g->known_ns = sources.known_ns;
	pthread_rwlock_init(&g->lock, NULL);
	pthread_mutex_init(&g->baseline_lock, NULL);
	fill_listeners(g, options);
	sources.dry_run = options->dry_run;
	err = ch_sources_new(&sources, &g->sources);
	if (err == 0)
		err = open_guard(g, options, error);
	if (err == 0 && ch_gate_has_doors(g))
		ch_sources_follow(g->sources, tell_first, g);
	if (err == 0)
		err = load_rules(g, options, error);
	if (err == 0)
		err = ch_gate_open_files(g, options, error);
	if (err == 0)
		err = ch_gate_open_early(g, options, error);
	if (err == 0)
		*gate = g;
	else
		ch_gate_free(g);
	return err;
}

void ch_gate_free(struct ch_gate *gate)
{
	if (gate == NULL)
		return;
	ch_early_free(gate->early);
	ch_guard_close(gate->guard);
	ch_sources_free(gate->sources);
	rules_free(gate->rules);
	for (uint32_t i = 0; i < GUARD_RULES; i++)
		free(gate->states[i].name);
	ch_gate_close_files(gate);
	pthread_rwlock_destroy(&gate->lock);
	pthread_mutex_destroy(&gate->baseline_lock);
	free(gate);
}

int ch_gate_reload(struct ch_gate *gate, const struct ch_gate_options *options,
		   struct ch_buf *error)
{
	struct ch_sources_options sources = options->sources;
	int err = load_rules(gate, options, error);

	if (err != 0)
		return err;
	/* The tables of the kernel have the sizes of the start. */
	sources.most = (uint32_t)gate->sources_most;
	sources.bans_most = (uint32_t)gate->bans_most;
	sources.dry_run = options->dry_run;
	ch_sources_configure(gate->sources, &sources);
	gate->known_ns = sources.known_ns;
	return set_limits(gate, options);
}

bool ch_gate_has_doors(const struct ch_gate *gate)
{
	return gate->guard != NULL && ch_guard_steers(gate->guard);
}

int ch_gate_listen(struct ch_gate *gate, int listen_fd, const struct ch_gate_place *place)
{
	const struct ch_guard_place at = {place->listener, place->worker, place->door};
	bool is_door = ch_gate_has_doors(gate) && place->listener < GUARD_LISTENERS;
	int err = 0;

	if (gate->guard == NULL)
		return 0;
	if (is_door && gate->settings.workers != place->workers) {
		gate->settings.workers = place->workers;
		err = ch_guard_set(gate->guard, &gate->settings);
	}
	return err == 0 ? ch_guard_attach(gate->guard, listen_fd, is_door ? &at : NULL) : err;
}

/* ---------------------------------------------------------------- arrivals */

static void count(struct ch_gate *gate, unsigned verdict)
{
	atomic_fetch_add_explicit(&gate->verdicts[verdict], 1, memory_order_relaxed);
}

static void log_rule(struct ch_gate *gate, uint32_t number, const struct ch_gate_rule *rule,
		     const struct ch_address *peer, unsigned verdict)
{
	char text[CH_ADDRESS_TEXT];

	if (rule->log_one_in == 0 ||
	    atomic_fetch_add(&gate->states[number].logged, 1) % rule->log_one_in != 0)
		return;
	ch_address_format(peer, text);
	ch_log(gate->log, CH_LOG_INFO, "event=guard rule=%s verdict=%s at=accept peer=%s",
	       rule->name, ch_gate_verdict_name(verdict), text);
}

/* Takes one from the bucket that all sources of a rule share. @return was there one? */
static bool charge_rule(struct ch_gate *gate, uint32_t number, const struct guard_limit *limit,
			uint64_t now_ns)
{
	_Atomic uint64_t *bucket = &gate->states[number].tat_ns;
	uint64_t tat = atomic_load(bucket);
	uint64_t next;

	if (limit->interval_ns == 0)
		return true;
	do {
		if (!guard_limit_allows(limit, guard_limit_clamp(limit, tat, now_ns), now_ns))
			return false;
		next = guard_limit_charge(limit, guard_limit_clamp(limit, tat, now_ns), now_ns);
	} while (!atomic_compare_exchange_weak(bucket, &tat, next));
	if (gate->guard != NULL && !guard_limit_allows(limit, next, now_ns))
		ch_guard_limit_rule(gate->guard, number, next);
	return true;
}

/* What the rule says by itself; GUARD_PASS = bans and limits go on. */
static unsigned judge_rule(struct ch_gate *gate, uint32_t number, const struct ch_gate_rule *rule,
			   uint64_t now_ns)
{
	switch (rule->action) {
	case CH_GATE_ACTION_PERMIT:
		return number != 0 ? GUARD_PERMIT : GUARD_PASS;
	case CH_GATE_ACTION_PROXY:
		return GUARD_PERMIT;
	case CH_GATE_ACTION_DROP:
		return GUARD_DENIED;
	case CH_GATE_ACTION_REJECT:
		return GUARD_REJECTED;
	case CH_GATE_ACTION_LIMIT:
	case CH_GATE_ACTION_NEVER_BAN:
		break;
	}
	return charge_rule(gate, number, &rule->limit, now_ns) ? GUARD_PASS : GUARD_RULE_LIMIT;
}

static unsigned judge_source(struct ch_gate *gate, const struct ch_address *peer, uint64_t now_ns,
			     struct ch_pass *pass)
{
	static const unsigned verdicts[] = {
		[CH_ARRIVAL_WELCOME] = GUARD_PASS,
		[CH_ARRIVAL_BANNED] = GUARD_BANNED,
		[CH_ARRIVAL_RATE] = GUARD_SOURCE_LIMIT,
		[CH_ARRIVAL_PENDING] = CH_GATE_PENDING,
	};
	struct ch_arrival_info info;
	struct guard_source source;
	uint64_t burst_ns;

	ch_source_of(gate->sources, peer, &source);
	ch_sources_arrive(gate->sources, &source, now_ns, &info);
	pass->rank = info.rank;
	pass->pending = info.pending;
	/* In the kernel's bucket the limit of unknown sources holds: the end is what counts. */
	if (info.again_ns != 0 && gate->guard != NULL) {
		pthread_rwlock_rdlock(&gate->lock);
		burst_ns = gate->kernel_burst_ns;
		pthread_rwlock_unlock(&gate->lock);
		ch_guard_limit(gate->guard, &source, info.again_ns + burst_ns);
	}
	return verdicts[info.verdict];
}

static enum ch_reason reason_of(unsigned verdict)
{
	switch (verdict) {
	case GUARD_PASS:
	case GUARD_PERMIT:
		return CH_REASON_NONE;
	case GUARD_BANNED:
		return CH_REASON_BANNED;
	case GUARD_DENIED:
	case GUARD_REJECTED:
		return CH_REASON_DENIED;
	case CH_GATE_PENDING:
		return CH_REASON_SOURCE_LOGINS;
	default:
		return CH_REASON_SOURCE_RATE;
	}
}

/* As the kernel numbers them; GUARD_LISTENERS: it has no number. */
static uint32_t listener_of(const struct ch_gate *gate, int fd)
{
	struct guard_source source;
	struct ch_address local;

	if (ch_sock_local(fd, &local) != 0)
		return GUARD_LISTENERS;
	ch_source_whole(&local, &source);
	for (uint32_t i = 0; i < GUARD_LISTENERS; i++) {
		const struct guard_listener *l = &gate->settings.listeners[i];

		if (l->port == local.port && l->v4 == (local.family == 4) &&
		    (l->any || memcmp(&l->address, &source, sizeof(source)) == 0))
			return i;
	}
	return GUARD_LISTENERS;
}

/* Only hits of rules are counted by listener: nobody else pays for asking which it is. */
static void count_rule(struct ch_gate *gate, uint32_t number, int fd)
{
	_Atomic uint64_t *counter = &gate->states[number].accepted[listener_of(gate, fd)];

	atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

static struct ch_pass judge(struct ch_gate *gate, int fd, const struct ch_address *peer,
			    uint64_t now_ns)
{
	struct ch_pass pass = {.rank = CH_RANK_STRANGER};
	struct ch_gate_rule rule;
	uint32_t number;
	unsigned verdict;

	if (peer->family == 0)
		return pass;
	number = ch_gate_find_rule(gate, peer, &rule);
	pass.proxied = rule.action == CH_GATE_ACTION_PROXY;
	if (gate->mode == CH_GATE_OFF)
		return pass;
	verdict = judge_rule(gate, number, &rule, now_ns);
	if (number != 0) {
		count_rule(gate, number, fd);
		log_rule(gate, number, &rule, peer, verdict);
	}
	if (verdict == GUARD_PASS)
		verdict = judge_source(gate, peer, now_ns, &pass);
	else if (verdict == GUARD_PERMIT)
		pass.rank = CH_RANK_KNOWN;
	count(gate, verdict);
	if (ch_gate_is_dry_run(gate))
		pass.pending = 0;
	else
		pass.refused = reason_of(verdict);
	return pass;
}

struct ch_pass ch_gate_arrive(struct ch_gate *gate, int fd, const struct ch_address *peer,
			      uint64_t now_ns)
{
	if (gate->guard != NULL)
		ch_guard_detach(fd);
	return judge(gate, fd, peer, now_ns);
}

struct ch_pass ch_gate_arrive_behind(struct ch_gate *gate, int fd, const struct ch_address *source,
				     uint64_t now_ns)
{
	struct ch_pass pass = judge(gate, fd, source, now_ns);

	pass.proxied = false; /* it spoke of itself */
	return pass;
}

bool ch_gate_is_first(struct ch_gate *gate, const struct ch_address *peer, uint64_t now_ns)
{
	struct guard_source source;
	struct ch_gate_rule rule;

	if (gate->mode == CH_GATE_OFF || peer->family == 0)
		return false;
	ch_source_of(gate->sources, peer, &source);
	if (ch_sources_is_first(gate->sources, &source, now_ns))
		return true;
	return ch_gate_find_rule(gate, peer, &rule) != 0 && rule.action == CH_GATE_ACTION_PERMIT;
}

void ch_gate_leave(struct ch_gate *gate, const struct ch_address *peer)
{
	struct guard_source source;

	if (gate->mode == CH_GATE_OFF || peer->family == 0)
		return;
	ch_source_of(gate->sources, peer, &source);
	ch_sources_leave(gate->sources, &source);
}

/* Workers read what is true already rather than pull at the same cache line. */
static void standing_changed(struct ch_gate *gate)
{
	if (!atomic_load_explicit(&gate->known_file.changed, memory_order_relaxed))
		atomic_store(&gate->known_file.changed, true);
}

void ch_gate_succeed(struct ch_gate *gate, const struct ch_address *peer, uint64_t now_ns)
{
	struct guard_source source;

	if (gate->mode == CH_GATE_OFF || peer->family == 0)
		return;
	ch_source_of(gate->sources, peer, &source);
	ch_sources_succeed(gate->sources, &source, now_ns);
	standing_changed(gate);
}

void ch_gate_end(struct ch_gate *gate, const struct ch_address *peer, enum ch_session_end end,
		 uint64_t now_ns)
{
	struct guard_source source;

	if (gate->mode == CH_GATE_OFF || peer->family == 0)
		return;
	ch_source_of(gate->sources, peer, &source);
	ch_sources_end(gate->sources, &source, end, now_ns);
	standing_changed(gate);
}

bool ch_gate_never_bans(struct ch_gate *gate, const struct ch_address *peer)
{
	struct ch_gate_rule rule;

	return ch_gate_find_rule(gate, peer, &rule) != 0 &&
	       (rule.action == CH_GATE_ACTION_PERMIT || rule.action == CH_GATE_ACTION_PROXY ||
		rule.action == CH_GATE_ACTION_NEVER_BAN);
}

bool ch_gate_fail(struct ch_gate *gate, const struct ch_address *peer, uint64_t now_ns,
		  struct ch_ban *ban)
{
	struct guard_source source;
	struct ch_ban_change change;

	if (gate->mode == CH_GATE_OFF || peer->family == 0 || ch_gate_never_bans(gate, peer))
		return false;
	ch_source_of(gate->sources, peer, &source);
	if (!ch_sources_fail(gate->sources, &source, now_ns, &change))
		return false;
	ch_gate_tell_ban(gate, &change);
	*ban = change.ban;
	return true;
}

/* ---------------------------------------------------------------- housekeeping */

static void log_event(void *ctx, const struct guard_event *event)
{
	struct ch_gate *gate = ctx;
	struct ch_address from, to;
	char from_text[CH_ADDRESS_TEXT], to_text[CH_ADDRESS_TEXT];
	const char *rule = event->rule < GUARD_RULES ? gate->states[event->rule].name : NULL;

	ch_gate_address_of(&event->source, &from);
	ch_gate_address_of(&event->destination, &to);
	from.port = event->source_port;
	to.port = event->port;
	ch_address_format(&from, from_text);
	ch_address_format(&to, to_text);
	ch_log(gate->log, CH_LOG_INFO,
	       "event=guard%s verdict=%s at=%s peer=%s local=%s ifindex=%u rule=%s",
	       event->dry_run ? " dry-run=true" : "", ch_gate_verdict_name(event->verdict),
	       event->stage == GUARD_STAGE_EARLY ? "early" : "kernel", from_text, to_text,
	       event->ifindex, rule != NULL ? rule : "none");
}

void ch_gate_tick(struct ch_gate *gate, const struct ch_clocks *clocks)
{
	if (gate->guard != NULL)
		(void)ch_guard_events(gate->guard, log_event, gate);
	ch_gate_tend_early(gate, clocks->now_ns);
	if (ch_gate_has_doors(gate))
		ch_sources_review(gate->sources, clocks->now_ns);
	ch_gate_tend_files(gate, clocks);
}
