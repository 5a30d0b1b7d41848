/* SPDX-License-Identifier: Apache-2.0 */
#include "gate.h"
#include "gate_inside.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SECOND 1000000000ull

/* ---------------------------------------------------------------- operators */

/* "192.0.2.1", "2001:db8::/64": exactly what counts as one source. */
static int parse_source(const struct ch_gate *gate, const char *text, struct guard_source *source)
{
	struct guard_prefix prefix;
	int err = ch_prefix_parse(text, &prefix);
	uint32_t bits;

	if (err == CH_E_SYNTAX)
		return err;
	if (err != 0)
		return CH_E_RANGE;
	bits = ch_source_is_v4(&prefix.source) ? 96 + gate->v4_bits : gate->v6_bits;
	/* An address alone stands for its source. */
	if (prefix.bits == 128)
		ch_source_cut(&prefix.source, bits);
	else if (prefix.bits != bits)
		return CH_E_RANGE;
	*source = prefix.source;
	return 0;
}

void ch_gate_address_of(const struct guard_source *source, struct ch_address *address)
{
	bool v4 = ch_source_is_v4(source);

	*address = (struct ch_address){.family = v4 ? 4 : 6};
	memcpy(address->ip, &source->bytes[v4 ? 12 : 0], v4 ? 4 : 16);
}

int ch_gate_ban(struct ch_gate *gate, const char *text, uint64_t seconds, uint64_t now_ns)
{
	struct ch_ban ban = {.since_ns = now_ns, .until_ns = UINT64_MAX, .cause = CH_BAN_OPERATOR};
	struct ch_ban_change change;
	struct ch_address address;
	int err = parse_source(gate, text, &ban.source);

	if (err != 0)
		return err;
	if (gate->mode == CH_GATE_OFF)
		return CH_E_UNSUPPORTED;
	ch_gate_address_of(&ban.source, &address);
	if (ch_gate_never_bans(gate, &address))
		return CH_E_STATE;
	if (seconds != 0 && seconds < (UINT64_MAX - now_ns) / SECOND)
		ban.until_ns = now_ns + seconds * SECOND;
	err = ch_sources_ban(gate->sources, &ban, &change);
	if (err == 0)
		ch_gate_tell_ban(gate, &change);
	return err;
}

int ch_gate_unban(struct ch_gate *gate, const char *text)
{
	struct guard_source source;
	int err = parse_source(gate, text, &source);

	if (err == 0)
		err = ch_sources_unban(gate->sources, &source);
	if (err == 0 && gate->guard != NULL)
		ch_guard_unban(gate->guard, &source);
	if (err == 0)
		atomic_store(&gate->bans_file.changed, true);
	return err;
}

int ch_gate_canonical(const struct ch_gate *gate, const char *source, char text[CH_SOURCE_TEXT])
{
	struct guard_source parsed;
	int err = parse_source(gate, source, &parsed);

	if (err == 0)
		ch_source_format(gate->sources, &parsed, text);
	return err;
}

void ch_gate_format(const struct ch_gate *gate, const struct guard_source *source,
		    char text[CH_SOURCE_TEXT])
{
	ch_source_format(gate->sources, source, text);
}

static void fill_ban_view(struct ch_gate *gate, const struct ch_ban *ban, struct ch_ban_view *view)
{
	*view = (struct ch_ban_view){
		.since_ns = ban->since_ns,
		.until_ns = ban->until_ns,
		.level = ban->level,
		.cause = ban->cause == CH_BAN_OPERATOR ? "operator" : "failures",
		.hits = gate->guard != NULL ? ch_guard_ban_hits(gate->guard, &ban->source) : 0,
	};
	ch_source_format(gate->sources, &ban->source, view->source);
}

static int by_source(const void *a, const void *b)
{
	return memcmp(&((const struct ch_ban *)a)->source, &((const struct ch_ban *)b)->source,
		      sizeof(struct guard_source));
}

int ch_gate_bans(struct ch_gate *gate, uint64_t now_ns, const char *after, size_t most,
		 struct ch_ban_view *views, size_t *count)
{
	size_t cap = ch_sources_bans(gate->sources, now_ns, NULL, 0);
	struct ch_ban last;
	struct ch_ban *bans;
	size_t there;
	int err = after != NULL ? parse_source(gate, after, &last.source) : 0;

	*count = 0;
	if (err != 0)
		return err;
	bans = calloc(cap + 1, sizeof(*bans));
	if (bans == NULL)
		return -ENOMEM;
	there = ch_sources_bans(gate->sources, now_ns, bans, cap);
	if (there > cap)
		there = cap; /* more came meanwhile */
	qsort(bans, there, sizeof(*bans), by_source);
	for (size_t i = 0; i < there && *count < most; i++)
		if (after == NULL || by_source(&bans[i], &last) > 0)
			fill_ban_view(gate, &bans[i], &views[(*count)++]);
	free(bans);
	return 0;
}

/* ---------------------------------------------------------------- views */

/* All counters of now, as a baseline of later. @return NULL without memory */
static struct ch_gate_baseline *take_counters(struct ch_gate *gate)
{
	struct ch_gate_baseline *now = calloc(1, sizeof(*now));

	if (now == NULL)
		return NULL;
	if (gate->guard != NULL && ch_guard_counters(gate->guard, &now->kernel) != 0)
		memset(&now->kernel, 0, sizeof(now->kernel));
	for (unsigned v = 0; v < CH_GATE_VERDICTS; v++)
		now->accept[v] = atomic_load(&gate->verdicts[v]);
	for (uint32_t r = 0; r < GUARD_RULES; r++)
		for (uint32_t l = 0; l <= GUARD_LISTENERS; l++)
			now->accepted[r][l] = atomic_load(&gate->states[r].accepted[l]);
	return now;
}

/* Counters that could not be read are zero: less than at the reset. */
static uint64_t since(uint64_t now, uint64_t then)
{
	return now > then ? now - then : 0;
}

static void read_verdicts(struct ch_gate *gate, struct ch_gate_view *view)
{
	struct ch_gate_baseline *now = take_counters(gate);
	const struct ch_gate_baseline *base = &gate->baseline;

	if (now == NULL)
		return;
	pthread_mutex_lock(&gate->baseline_lock);
	view->reset_unix_ns = base->unix_ns;
	for (unsigned v = 0; v < CH_GATE_VERDICTS; v++) {
		view->accept_verdicts[v] = now->accept[v];
		view->accept_since[v] = since(now->accept[v], base->accept[v]);
	}
	for (uint32_t l = 0; l < GUARD_LISTENERS; l++) {
		for (uint32_t v = 0; v < GUARD_VERDICTS; v++) {
			view->early_verdicts[v] += now->kernel.early_verdicts[l][v];
			view->early_since[v] += since(now->kernel.early_verdicts[l][v],
						      base->kernel.early_verdicts[l][v]);
			view->kernel_verdicts[v] += now->kernel.verdicts[l][v];
			view->kernel_since[v] +=
				since(now->kernel.verdicts[l][v], base->kernel.verdicts[l][v]);
		}
	}
	pthread_mutex_unlock(&gate->baseline_lock);
	free(now);
}

void ch_gate_read(struct ch_gate *gate, uint64_t now_ns, struct ch_gate_view *view)
{
	*view = (struct ch_gate_view){
		.mode = gate->mode,
		.kernel = gate->guard != NULL,
		.doors = ch_gate_has_doors(gate),
		.v4_bits = gate->v4_bits,
		.v6_bits = gate->v6_bits,
		.sources_most = gate->sources_most,
		.bans_most = gate->bans_most,
		.bans_failed = atomic_load(&gate->bans_failed),
	};
	memcpy(view->why, gate->why, sizeof(view->why));
	if (gate->guard != NULL)
		memcpy(view->doors_why, ch_guard_steers_why(gate->guard), sizeof(view->doors_why));
	view->early = gate->early_stage;
	if (gate->early != NULL)
		view->interface_count = ch_early_read(gate->early, view->interfaces);
	view->dry_run = ch_gate_is_dry_run(gate);
	read_verdicts(gate, view);
	ch_sources_load(gate->sources, now_ns, &view->load);
}

/* Under both locks. */
static void fill_rule_view(const struct ch_gate *gate, uint32_t number,
			   const struct ch_gate_baseline *now, struct ch_gate_rule_view *view)
{
	const struct ch_gate_baseline *base = &gate->baseline;

	*view = (struct ch_gate_rule_view){
		.name = gate->rules->rules[number].name,
		.action = gate->rules->rules[number].action,
		.prefixes = gate->rules->prefix_counts[number],
		.reset_unix_ns = base->rule_unix_ns[number],
	};
	for (uint32_t l = 0; l <= GUARD_LISTENERS; l++) {
		view->accepted += now->accepted[number][l];
		view->accepted_since += since(now->accepted[number][l], base->accepted[number][l]);
	}
	for (uint32_t l = 0; l < GUARD_LISTENERS; l++) {
		view->accepted_by[l] = now->accepted[number][l];
		view->accepted_by_since[l] =
			since(now->accepted[number][l], base->accepted[number][l]);
		view->early[l] = now->kernel.early_rules[l][number];
		view->early_since[l] = since(view->early[l], base->kernel.early_rules[l][number]);
		view->hits[l] = now->kernel.rules[l][number];
		view->hits_since[l] = since(view->hits[l], base->kernel.rules[l][number]);
	}
}

size_t ch_gate_rules(struct ch_gate *gate, struct ch_gate_rule_view *views, size_t most)
{
	struct ch_gate_baseline *now = take_counters(gate);
	size_t there = 0;

	if (now == NULL)
		return 0;
	pthread_rwlock_rdlock(&gate->lock);
	pthread_mutex_lock(&gate->baseline_lock);
	for (uint32_t i = 1; i < GUARD_RULES; i++)
		if (gate->rules->rules[i].name != NULL && there++ < most)
			fill_rule_view(gate, i, now, &views[there - 1]);
	pthread_mutex_unlock(&gate->baseline_lock);
	pthread_rwlock_unlock(&gate->lock);
	free(now);
	return there;
}

static uint32_t rule_in_force(struct ch_gate *gate, const char *name)
{
	uint32_t number = 0;

	pthread_rwlock_rdlock(&gate->lock);
	for (uint32_t i = 1; i < GUARD_RULES && number == 0; i++)
		if (gate->rules->rules[i].name != NULL &&
		    strcmp(gate->rules->rules[i].name, name) == 0)
			number = i;
	pthread_rwlock_unlock(&gate->lock);
	return number;
}

static void reset_rule(struct ch_gate *gate, uint32_t number, const struct ch_gate_baseline *now,
		       uint64_t unix_ns)
{
	for (uint32_t l = 0; l < GUARD_LISTENERS; l++) {
		gate->baseline.kernel.rules[l][number] = now->kernel.rules[l][number];
		gate->baseline.kernel.early_rules[l][number] = now->kernel.early_rules[l][number];
	}
	memcpy(gate->baseline.accepted[number], now->accepted[number],
	       sizeof(now->accepted[number]));
	gate->baseline.rule_unix_ns[number] = unix_ns;
}

int ch_gate_reset(struct ch_gate *gate, const char *rule, uint64_t unix_ns)
{
	uint32_t number = rule != NULL ? rule_in_force(gate, rule) : 0;
	struct ch_gate_baseline *now;

	if (rule != NULL && number == 0)
		return CH_E_UNKNOWN;
	now = take_counters(gate);
	if (now == NULL)
		return -ENOMEM;
	pthread_mutex_lock(&gate->baseline_lock);
	if (rule != NULL) {
		reset_rule(gate, number, now, unix_ns);
	} else {
		now->unix_ns = unix_ns;
		for (uint32_t r = 0; r < GUARD_RULES; r++)
			now->rule_unix_ns[r] = unix_ns;
		gate->baseline = *now;
	}
	pthread_mutex_unlock(&gate->baseline_lock);
	free(now);
	return 0;
}
