/* SPDX-License-Identifier: Apache-2.0 */
#include "sources.h"
#include "recent.h"
#include "prefixes.h"
#include "user/core/hash.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* uthash's own hash is unseeded; a peer chooses what we key by. */
#define HASH_FUNCTION(key, len, value) ((value) = (unsigned)ch_hash(key, len))
#include <uthash.h>

#define STRIPES CH_SOURCES_PARTS
#define LEVEL_MOST 31
/* Sessions that last so long without a fault are good ones. */
#define GOOD_NS 2000000000ull
/* A source calls seldom with fewer calls than one in so long, but for some at once. */
#define SELDOM_MS 1000
#define SELDOM_BURST 5
#define SELDOM_MOST (2 * SELDOM_BURST) /* so soon a busy one counts as seldom again, in SELDOM_MS */

/* So many changes are told under a lock: each is a system call. */
#define TELL_STEP 16

struct stripe {
	pthread_mutex_t lock;
	struct ch_recent recent;
};

/* Kept for a while behind its end: a source that comes back fails at the next level. */
struct kept_ban {
	struct ch_ban ban;
	UT_hash_handle hh;
};

struct ch_sources {
	uint32_t v4_bits, v6_bits;
	struct ch_sources_options options; /**< replaced under all locks */
	struct stripe stripes[STRIPES];
	pthread_mutex_t ban_lock;
	struct kept_ban *bans;
	ch_sources_first_fn *first_fn; /**< may be NULL */
	void *first_ctx;
	uint32_t reviewed; /**< stripe that is looked at next */
};

int ch_sources_new(const struct ch_sources_options *options, struct ch_sources **sources)
{
	struct ch_sources *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return -ENOMEM;
	s->v4_bits = options->v4_bits;
	s->v6_bits = options->v6_bits;
	s->options = *options;
	for (int i = 0; i < STRIPES; i++)
		pthread_mutex_init(&s->stripes[i].lock, NULL);
	pthread_mutex_init(&s->ban_lock, NULL);
	*sources = s;
	return 0;
}

void ch_sources_free(struct ch_sources *s)
{
	struct kept_ban *ban;
	struct kept_ban *next_ban;

	if (s == NULL)
		return;
	for (int i = 0; i < STRIPES; i++) {
		ch_recent_deinit(&s->stripes[i].recent);
		pthread_mutex_destroy(&s->stripes[i].lock);
	}
	HASH_ITER (hh, s->bans, ban, next_ban) {
		HASH_DEL(s->bans, ban);
		free(ban);
	}
	pthread_mutex_destroy(&s->ban_lock);
	free(s);
}

void ch_sources_configure(struct ch_sources *s, const struct ch_sources_options *options)
{
	for (int i = 0; i < STRIPES; i++)
		pthread_mutex_lock(&s->stripes[i].lock);
	pthread_mutex_lock(&s->ban_lock);
	s->options = *options;
	pthread_mutex_unlock(&s->ban_lock);
	for (int i = STRIPES - 1; i >= 0; i--)
		pthread_mutex_unlock(&s->stripes[i].lock);
}

void ch_sources_follow(struct ch_sources *s, ch_sources_first_fn *fn, void *ctx)
{
	s->first_fn = fn;
	s->first_ctx = ctx;
}

void ch_source_of(const struct ch_sources *s, const struct ch_address *address,
		  struct guard_source *source)
{
	ch_source_whole(address, source);
	ch_source_cut(source, address->family == 4 ? 96 + s->v4_bits : s->v6_bits);
}

static uint32_t bits_of(const struct ch_sources *s, const struct guard_source *source)
{
	return ch_source_is_v4(source) ? 96 + s->v4_bits : s->v6_bits;
}

void ch_source_format(const struct ch_sources *s, const struct guard_source *source,
		      char text[CH_SOURCE_TEXT])
{
	struct guard_prefix prefix = {.source = *source};

	prefix.bits = bits_of(s, source);
	ch_prefix_format(&prefix, text);
}

static struct stripe *lock_stripe(struct ch_sources *s, const struct guard_source *source)
{
	/* Other bits of the hash than the table of the stripe uses. */
	struct stripe *stripe = &s->stripes[ch_hash(source, sizeof(*source)) >> 59];

	pthread_mutex_lock(&stripe->lock);
	return stripe;
}

static struct ch_recent_entry *find(struct stripe *stripe, const struct guard_source *source)
{
	return ch_recent_find(&stripe->recent, source);
}

/* The entry of a source that shows signs of life; NULL without memory. */
static struct ch_recent_entry *touch(struct ch_sources *s, struct stripe *stripe,
				     const struct guard_source *source)
{
	struct ch_recent *recent = &stripe->recent;
	struct ch_recent_entry *entry =
		ch_recent_touch(recent, source, ch_sources_room(s->options.most) / STRIPES);

	if (recent->lost_first)
		s->first_fn(s->first_ctx, &recent->lost, false);
	return entry;
}

/* Under the lock of its stripe. @return it was news */
static bool tell(struct ch_sources *s, struct ch_recent_entry *entry, bool first)
{
	if (s->first_fn == NULL || entry->first == first)
		return false;
	if (s->first_fn(s->first_ctx, &entry->source, first))
		entry->first = first;
	return true;
}

static bool is_banned(struct ch_sources *s, const struct guard_source *source, uint64_t now_ns)
{
	struct kept_ban *kept;
	bool banned;

	pthread_mutex_lock(&s->ban_lock);
	HASH_FIND(hh, s->bans, source, sizeof(*source), kept);
	banned = kept != NULL && kept->ban.until_ns > now_ns;
	pthread_mutex_unlock(&s->ban_lock);
	return banned;
}

static bool is_known(const struct ch_recent_entry *entry, uint64_t now_ns)
{
	return entry->known_until_ns > now_ns ||
	       (entry->open > 0 && now_ns >= entry->since_ns + GOOD_NS);
}

/*
 * How far ahead of calling seldom a call now takes the source. GCRA in milliseconds, in 32 bits that
 * wrap: for a source that is heard of again after 24 days the answer may be wrong, for the seconds of
 * SELDOM_MOST.
 */
static int32_t seldom_ahead_ms(const struct ch_recent_entry *entry, uint64_t now_ns)
{
	int32_t ahead_ms = (int32_t)(entry->seldom_ms - (uint32_t)(now_ns / 1000000));

	if (ahead_ms < 0)
		ahead_ms = 0;
	ahead_ms += SELDOM_MS;
	return ahead_ms < SELDOM_MOST * SELDOM_MS ? ahead_ms : SELDOM_MOST * SELDOM_MS;
}

static bool is_busy(int32_t ahead_ms)
{
	return ahead_ms > SELDOM_BURST * SELDOM_MS;
}

static bool is_first(const struct ch_recent_entry *entry, uint64_t now_ns)
{
	return is_known(entry, now_ns) && !is_busy(seldom_ahead_ms(entry, now_ns));
}

bool ch_sources_is_first(struct ch_sources *s, const struct guard_source *source, uint64_t now_ns)
{
	struct stripe *stripe = lock_stripe(s, source);
	const struct ch_recent_entry *entry = find(stripe, source);
	bool first = entry != NULL && is_first(entry, now_ns);

	pthread_mutex_unlock(&stripe->lock);
	return first;
}

static enum ch_rank rank_of(struct ch_recent_entry *entry, uint64_t now_ns)
{
	int32_t ahead_ms = seldom_ahead_ms(entry, now_ns);
	bool busy = is_busy(ahead_ms);

	entry->seldom_ms = (uint32_t)(now_ns / 1000000) + (uint32_t)ahead_ms;
	if (is_known(entry, now_ns))
		return busy ? CH_RANK_KNOWN_BUSY : CH_RANK_KNOWN;
	return busy ? CH_RANK_STRANGER_BUSY : CH_RANK_STRANGER;
}

static enum ch_arrival judge(struct ch_sources *s, struct ch_recent_entry *entry, uint64_t now_ns,
			     struct ch_arrival_info *info)
{
	bool known = ch_rank_is_known(info->rank);
	const struct guard_limit *limit = known ? &s->options.known : &s->options.unknown;
	uint32_t most = known ? s->options.pending_known : s->options.pending;
	bool allowed;

	entry->tat_ns = guard_limit_clamp(limit, entry->tat_ns, now_ns);
	allowed = guard_limit_allows(limit, entry->tat_ns, now_ns);
	if (allowed && limit->interval_ns != 0)
		entry->tat_ns = guard_limit_charge(limit, entry->tat_ns, now_ns);
	if (!guard_limit_allows(limit, entry->tat_ns, now_ns))
		info->again_ns = entry->tat_ns - limit->burst_ns;
	if (!allowed)
		return CH_ARRIVAL_RATE;
	return most != 0 && entry->pending >= most ? CH_ARRIVAL_PENDING : CH_ARRIVAL_WELCOME;
}

void ch_sources_arrive(struct ch_sources *s, const struct guard_source *source, uint64_t now_ns,
		       struct ch_arrival_info *info)
{
	struct stripe *stripe;
	struct ch_recent_entry *entry;

	*info = (struct ch_arrival_info){.verdict = CH_ARRIVAL_WELCOME,
					 .rank = CH_RANK_STRANGER};
	if (is_banned(s, source, now_ns))
		info->verdict = CH_ARRIVAL_BANNED;
	if (info->verdict != CH_ARRIVAL_WELCOME && !s->options.dry_run)
		return;
	stripe = lock_stripe(s, source);
	entry = touch(s, stripe, source);
	/* Without memory nobody is judged: the caps of the collector hold all the same. */
	if (entry != NULL) {
		info->rank = rank_of(entry, now_ns);
		tell(s, entry, info->rank == CH_RANK_KNOWN);
		info->pending = entry->pending;
		if (info->verdict == CH_ARRIVAL_WELCOME)
			info->verdict = judge(s, entry, now_ns, info);
		if (info->verdict == CH_ARRIVAL_WELCOME || s->options.dry_run)
			entry->pending++;
	}
	pthread_mutex_unlock(&stripe->lock);
}

void ch_sources_leave(struct ch_sources *s, const struct guard_source *source)
{
	struct stripe *stripe = lock_stripe(s, source);
	struct ch_recent_entry *entry = find(stripe, source);

	if (entry != NULL && entry->pending > 0)
		entry->pending--;
	pthread_mutex_unlock(&stripe->lock);
}

static void soften(struct ch_sources *s, const struct guard_source *source)
{
	struct kept_ban *kept;

	pthread_mutex_lock(&s->ban_lock);
	HASH_FIND(hh, s->bans, source, sizeof(*source), kept);
	if (kept != NULL && kept->ban.level > 0)
		kept->ban.level--;
	pthread_mutex_unlock(&s->ban_lock);
}

void ch_sources_succeed(struct ch_sources *s, const struct guard_source *source, uint64_t now_ns)
{
	struct stripe *stripe = lock_stripe(s, source);
	struct ch_recent_entry *entry = touch(s, stripe, source);

	if (entry != NULL) {
		if (entry->open == 0)
			entry->since_ns = now_ns;
		entry->open += entry->open < CH_RECENT_OPEN_MAX;
		entry->failures = 0;
	}
	pthread_mutex_unlock(&stripe->lock);
	soften(s, source);
}

void ch_sources_end(struct ch_sources *s, const struct guard_source *source,
		    enum ch_session_end end, uint64_t now_ns)
{
	struct stripe *stripe = lock_stripe(s, source);
	struct ch_recent_entry *entry = touch(s, stripe, source);

	if (entry != NULL) {
		bool known = is_known(entry, now_ns);

		/* It may have been forgotten meanwhile. */
		entry->open -= entry->open > 0;
		if (end == CH_SESSION_GOOD || (known && end == CH_SESSION_ENDED))
			entry->known_until_ns = now_ns + s->options.known_ns;
		else if (end == CH_SESSION_FAULT && entry->open == 0)
			entry->known_until_ns = 0;
		if (end == CH_SESSION_FAULT)
			entry->since_ns = now_ns;
		tell(s, entry, is_first(entry, now_ns));
	}
	pthread_mutex_unlock(&stripe->lock);
}

/* @return where it goes on */
static uint32_t review_step(struct ch_sources *s, struct stripe *stripe, uint32_t number,
			    uint64_t now_ns)
{
	uint32_t end = number + CH_KNOWN_STEP;
	int told = 0;

	pthread_mutex_lock(&stripe->lock);
	for (; number < end && number < stripe->recent.count && told < TELL_STEP; number++) {
		struct ch_recent_entry *entry = ch_recent_at(&stripe->recent, number);

		told += tell(s, entry, is_first(entry, now_ns));
	}
	end = number < stripe->recent.count ? number : 0;
	pthread_mutex_unlock(&stripe->lock);
	return end;
}

void ch_sources_review(struct ch_sources *s, uint64_t now_ns)
{
	struct stripe *stripe = &s->stripes[s->reviewed++ % STRIPES];
	uint32_t number = 0;

	do
		number = review_step(s, stripe, number, now_ns);
	while (number != 0);
}

/* Its standing as of now. @return until when it is known, 0 = it is not */
static uint64_t known_until(const struct ch_sources *s, const struct ch_recent_entry *entry,
			    uint64_t now_ns)
{
	uint64_t until_ns = entry->open > 0 ? now_ns + s->options.known_ns : 0;

	if (!is_known(entry, now_ns))
		return 0;
	return until_ns > entry->known_until_ns ? until_ns : entry->known_until_ns;
}

bool ch_sources_known(struct ch_sources *s, uint64_t now_ns, struct ch_known_walk *walk,
		      struct ch_known known[CH_KNOWN_STEP], size_t *count)
{
	struct stripe *stripe;
	uint32_t end;

	*count = 0;
	if (walk->stripe == STRIPES)
		return false;
	stripe = &s->stripes[walk->stripe];
	pthread_mutex_lock(&stripe->lock);
	for (end = walk->number + CH_KNOWN_STEP;
	     walk->number < end && walk->number < stripe->recent.count; walk->number++) {
		const struct ch_recent_entry *entry = ch_recent_at(&stripe->recent, walk->number);
		uint64_t until_ns = known_until(s, entry, now_ns);

		if (until_ns != 0)
			known[(*count)++] = (struct ch_known){entry->source, until_ns};
		else
			walk->unripe = walk->unripe || entry->open > 0;
	}
	if (walk->number == stripe->recent.count) {
		walk->number = 0;
		walk->stripe++;
	}
	pthread_mutex_unlock(&stripe->lock);
	return true;
}

int ch_sources_know(struct ch_sources *s, const struct guard_prefix *prefix, uint64_t until_ns,
		    uint64_t now_ns)
{
	struct guard_source source = prefix->source;
	uint32_t bits = bits_of(s, &source);
	struct ch_recent_entry *entry;
	struct stripe *stripe;

	if (prefix->bits < bits)
		return 0;
	ch_source_cut(&source, bits);
	stripe = lock_stripe(s, &source);
	entry = touch(s, stripe, &source);
	/* However long they were known before, or how wrong the clock was. */
	if (until_ns > now_ns + s->options.known_ns)
		until_ns = now_ns + s->options.known_ns;
	if (entry != NULL && entry->known_until_ns < until_ns)
		entry->known_until_ns = until_ns;
	if (entry != NULL)
		tell(s, entry, is_first(entry, now_ns));
	pthread_mutex_unlock(&stripe->lock);
	return entry != NULL ? 0 : -ENOMEM;
}

/* Counts a failure. @return are there enough for a ban? */
static bool count_failure(struct ch_sources *s, struct ch_recent_entry *entry, uint64_t now_ns)
{
	if (entry->open > 0 || is_known(entry, now_ns) || s->options.failures == 0)
		return false;
	if (entry->failures == 0 || now_ns - entry->since_ns > s->options.window_ns) {
		entry->failures = 0;
		entry->since_ns = now_ns;
	}
	if (++entry->failures < s->options.failures)
		return false;
	entry->failures = 0;
	return true;
}

/* Under the lock. The ban that ends first makes room, unless all of them end later than @until. */
static struct kept_ban *make_room(struct ch_sources *s, uint64_t until_ns)
{
	struct kept_ban *first = s->bans;

	if (HASH_COUNT(s->bans) < s->options.bans_most)
		return calloc(1, sizeof(*first));
	for (struct kept_ban *at = s->bans; at != NULL; at = at->hh.next)
		if (at->ban.until_ns < first->ban.until_ns)
			first = at;
	if (first == NULL || first->ban.until_ns > until_ns)
		return NULL;
	HASH_DEL(s->bans, first);
	return first;
}

/* Under the lock. */
static int put_ban(struct ch_sources *s, const struct ch_ban *ban, struct ch_ban_change *change)
{
	bool full = HASH_COUNT(s->bans) >= s->options.bans_most;
	struct kept_ban *kept;

	*change = (struct ch_ban_change){.ban = *ban};
	HASH_FIND(hh, s->bans, &ban->source, sizeof(ban->source), kept);
	if (kept != NULL) {
		kept->ban = *ban;
		return 0;
	}
	kept = make_room(s, ban->until_ns);
	if (kept == NULL)
		return full ? CH_E_FULL : -ENOMEM;
	change->displaces = full;
	change->displaced = kept->ban.source;
	memset(kept, 0, sizeof(*kept));
	kept->ban = *ban;
	HASH_ADD(hh, s->bans, ban.source, sizeof(kept->ban.source), kept);
	return 0;
}

int ch_sources_ban(struct ch_sources *s, const struct ch_ban *ban, struct ch_ban_change *change)
{
	int err;

	pthread_mutex_lock(&s->ban_lock);
	err = put_ban(s, ban, change);
	pthread_mutex_unlock(&s->ban_lock);
	return err;
}

static uint64_t ban_length(const struct ch_sources_options *options, uint32_t level)
{
	uint64_t length = options->ban_ns;

	while (level-- > 0 && length < options->ban_most_ns)
		length *= 2;
	return length < options->ban_most_ns ? length : options->ban_most_ns;
}

/* Under the lock. @return false: it is banned already */
static bool next_ban(struct ch_sources *s, const struct guard_source *source, uint64_t now_ns,
		     struct ch_ban *ban)
{
	struct kept_ban *kept;

	*ban = (struct ch_ban){.source = *source, .since_ns = now_ns, .cause = CH_BAN_FAILURES};
	HASH_FIND(hh, s->bans, source, sizeof(*source), kept);
	if (kept != NULL && now_ns < kept->ban.until_ns)
		return false;
	if (kept != NULL && now_ns - kept->ban.until_ns < s->options.ban_most_ns)
		ban->level = kept->ban.level < LEVEL_MOST ? kept->ban.level + 1 : LEVEL_MOST;
	ban->until_ns = now_ns + ban_length(&s->options, ban->level);
	return true;
}

bool ch_sources_fail(struct ch_sources *s, const struct guard_source *source, uint64_t now_ns,
		     struct ch_ban_change *change)
{
	struct stripe *stripe = lock_stripe(s, source);
	struct ch_recent_entry *entry = touch(s, stripe, source);
	bool banned = entry != NULL && count_failure(s, entry, now_ns);
	struct ch_ban ban;

	pthread_mutex_unlock(&stripe->lock);
	if (!banned)
		return false;
	pthread_mutex_lock(&s->ban_lock);
	banned = next_ban(s, source, now_ns, &ban) && put_ban(s, &ban, change) == 0;
	pthread_mutex_unlock(&s->ban_lock);
	return banned;
}

int ch_sources_unban(struct ch_sources *s, const struct guard_source *source)
{
	struct kept_ban *kept;

	pthread_mutex_lock(&s->ban_lock);
	HASH_FIND(hh, s->bans, source, sizeof(*source), kept);
	if (kept != NULL) {
		HASH_DEL(s->bans, kept);
		free(kept);
	}
	pthread_mutex_unlock(&s->ban_lock);
	return kept != NULL ? 0 : CH_E_UNKNOWN;
}

static int by_end(const struct kept_ban *a, const struct kept_ban *b)
{
	if (a->ban.until_ns != b->ban.until_ns)
		return a->ban.until_ns < b->ban.until_ns ? -1 : 1;
	return memcmp(&a->ban.source, &b->ban.source, sizeof(a->ban.source));
}

size_t ch_sources_bans(struct ch_sources *s, uint64_t now_ns, struct ch_ban *bans, size_t most)
{
	size_t count = 0;

	pthread_mutex_lock(&s->ban_lock);
	HASH_SORT(s->bans, by_end);
	for (struct kept_ban *at = s->bans; at != NULL; at = at->hh.next) {
		if (at->ban.until_ns <= now_ns)
			continue;
		if (count < most)
			bans[count] = at->ban;
		count++;
	}
	pthread_mutex_unlock(&s->ban_lock);
	return count;
}

void ch_sources_load(struct ch_sources *s, uint64_t now_ns, struct ch_sources_load *load)
{
	*load = (struct ch_sources_load){0};
	for (int i = 0; i < STRIPES; i++) {
		const struct ch_recent *recent = &s->stripes[i].recent;

		pthread_mutex_lock(&s->stripes[i].lock);
		load->sources += recent->count;
		for (uint32_t n = 0; n < recent->count; n++)
			load->pending += ch_recent_at(recent, n)->pending;
		pthread_mutex_unlock(&s->stripes[i].lock);
	}
	pthread_mutex_lock(&s->ban_lock);
	for (struct kept_ban *at = s->bans; at != NULL; at = at->hh.next)
		load->bans += at->ban.until_ns > now_ns;
	pthread_mutex_unlock(&s->ban_lock);
}
