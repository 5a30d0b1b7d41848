/* SPDX-License-Identifier: Apache-2.0 */
#include "recent.h"
#include "user/core/hash.h"

#include <stdlib.h>
#include <string.h>

#define CHUNK 64u
#define SLOTS_LEAST 16u
/* How many of the oldest are looked at for one without connections. */
#define FORGET_TRIES 1024

_Static_assert(sizeof(struct ch_recent_entry) == 64, "one of them per device of a fleet");

static struct ch_recent_entry *entry_at(const struct ch_recent *r, uint32_t number)
{
	return &r->chunks[(number - 1) / CHUNK][(number - 1) % CHUNK];
}

static uint32_t *slot_of(const struct ch_recent *r, const struct guard_source *source)
{
	return &r->slots[ch_hash(source, sizeof(*source)) & r->mask];
}

static uint32_t find_number(const struct ch_recent *r, const struct guard_source *source)
{
	uint32_t number = r->slots != NULL ? *slot_of(r, source) : 0;

	while (number != 0 &&
	       memcmp(&entry_at(r, number)->source, source, sizeof(*source)) != 0)
		number = entry_at(r, number)->next;
	return number;
}

struct ch_recent_entry *ch_recent_find(const struct ch_recent *r, const struct guard_source *source)
{
	uint32_t number = find_number(r, source);

	return number != 0 ? entry_at(r, number) : NULL;
}

/* Into its slot. */
static void chain(struct ch_recent *r, uint32_t number)
{
	struct ch_recent_entry *entry = entry_at(r, number);
	uint32_t *slot = slot_of(r, &entry->source);

	entry->next = *slot;
	*slot = number;
}

static void unchain(struct ch_recent *r, uint32_t number)
{
	uint32_t *link = slot_of(r, &entry_at(r, number)->source);

	while (*link != number)
		link = &entry_at(r, *link)->next;
	*link = entry_at(r, number)->next;
}

/* Out of the order. */
static void unlink_entry(struct ch_recent *r, uint32_t number)
{
	struct ch_recent_entry *entry = entry_at(r, number);

	if (entry->older != 0)
		entry_at(r, entry->older)->newer = entry->newer;
	else
		r->oldest = entry->newer;
	if (entry->newer != 0)
		entry_at(r, entry->newer)->older = entry->older;
	else
		r->newest = entry->older;
}

static void make_newest(struct ch_recent *r, uint32_t number)
{
	struct ch_recent_entry *entry = entry_at(r, number);

	entry->older = r->newest;
	entry->newer = 0;
	if (r->newest != 0)
		entry_at(r, r->newest)->newer = number;
	else
		r->oldest = number;
	r->newest = number;
}

/* As many slots as entries, at least. */
static bool grow_slots(struct ch_recent *r)
{
	uint32_t size = r->slots != NULL ? (r->mask + 1) * 2 : SLOTS_LEAST;
	uint32_t *slots;

	if (r->slots != NULL && r->count <= r->mask)
		return true;
	slots = calloc(size, sizeof(*slots));
	if (slots == NULL)
		return false;
	free(r->slots);
	r->slots = slots;
	r->mask = size - 1;
	for (uint32_t number = 1; number <= r->count; number++)
		chain(r, number);
	return true;
}

static bool grow_chunks(struct ch_recent *r)
{
	uint32_t chunks = r->count / CHUNK;
	struct ch_recent_entry **more;

	if (r->count % CHUNK != 0)
		return true;
	more = realloc(r->chunks, (chunks + 1) * sizeof(*more));
	if (more == NULL)
		return false;
	r->chunks = more;
	r->chunks[chunks] = calloc(CHUNK, sizeof(*r->chunks[chunks]));
	return r->chunks[chunks] != NULL;
}

/* What would be lost: many new sources must not make us forget those that devices log in from. */
static int worth(const struct ch_recent_entry *entry)
{
	if (entry->open > 0 || entry->known_until_ns != 0)
		return 2;
	return entry->pending > 0;
}

/*
 * The oldest that is worth nothing; those before it get a second chance, so that the next one that
 * is forgotten is found at once. @return its number, free now
 */
static uint32_t forget_one(struct ch_recent *r)
{
	uint32_t tries = r->count < FORGET_TRIES ? r->count : FORGET_TRIES;
	uint32_t victim = 0;

	while (tries-- > 0 && worth(entry_at(r, r->oldest)) > 0) {
		uint32_t at = r->oldest;

		if (victim == 0 && worth(entry_at(r, at)) == 1)
			victim = at;
		unlink_entry(r, at);
		make_newest(r, at);
	}
	if (victim == 0 || worth(entry_at(r, r->oldest)) == 0)
		victim = r->oldest;
	r->lost_first = entry_at(r, victim)->first;
	r->lost = entry_at(r, victim)->source;
	unchain(r, victim);
	unlink_entry(r, victim);
	return victim;
}

struct ch_recent_entry *ch_recent_touch(struct ch_recent *r, const struct guard_source *source,
					uint32_t most)
{
	uint32_t number = find_number(r, source);
	struct ch_recent_entry *entry;

	r->lost_first = false;
	if (number != 0) {
		unlink_entry(r, number);
		make_newest(r, number);
		return entry_at(r, number);
	}
	if (r->count >= most && r->count > 0)
		number = forget_one(r);
	else if (grow_slots(r) && grow_chunks(r))
		number = ++r->count;
	if (number == 0)
		return NULL;
	entry = entry_at(r, number);
	*entry = (struct ch_recent_entry){.source = *source};
	chain(r, number);
	make_newest(r, number);
	return entry;
}

struct ch_recent_entry *ch_recent_at(const struct ch_recent *r, uint32_t n)
{
	return entry_at(r, n + 1);
}

void ch_recent_deinit(struct ch_recent *r)
{
	for (uint32_t i = 0; i * CHUNK < r->count; i++)
		free(r->chunks[i]);
	free(r->chunks);
	free(r->slots);
	*r = (struct ch_recent){0};
}
