/* SPDX-License-Identifier: Apache-2.0 */
#include "registry.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define RECORD_WORDS (sizeof(struct ch_device_record) / 8)
#define CONFLICT_QUIET_NS (60ull * 1000000000)

_Static_assert(sizeof(struct ch_device_record) % 8 == 0, "copied as words");

/*
 * A sequence lock whose odd value is also the writers' lock. The words are stored with release and
 * loaded with acquire, so no fence is needed.
 */
struct cell {
	_Atomic uint32_t sequence;
	_Atomic uint32_t holders;
	_Atomic uint64_t owner;
	_Atomic uint64_t words[RECORD_WORDS];
	_Atomic uint64_t counters[CH_DEVICE_COUNTERS];
	_Atomic uint64_t conflict_ns;
};

_Static_assert(sizeof(struct cell) <= 168, "one of them per device of a fleet");

/* Segment n has 1024 << n cells and begins at index 1024 * (2^n - 1). */
#define SEGMENT_FIRST 1024u
#define SEGMENT_SHIFT 10
#define SEGMENTS 15

_Static_assert(SEGMENT_FIRST == 1u << SEGMENT_SHIFT && SEGMENT_FIRST << SEGMENTS == CH_REGISTRY_MAX,
	       "the directory covers all indexes but the last SEGMENT_FIRST");

struct ch_registry {
	struct cell *_Atomic segments[SEGMENTS];
};

static unsigned segment_of(uint32_t device)
{
	return 31u - (unsigned)__builtin_clz(device + SEGMENT_FIRST) - SEGMENT_SHIFT;
}

static struct cell *cell_of(const struct ch_registry *registry, uint32_t device)
{
	unsigned segment = segment_of(device);

	struct cell *cells =
		atomic_load_explicit(&registry->segments[segment], memory_order_acquire);

	return &cells[device + SEGMENT_FIRST - (SEGMENT_FIRST << segment)];
}

int ch_registry_new(uint32_t devices, struct ch_registry **registry)
{
	int err;

	*registry = calloc(1, sizeof(**registry));
	if (*registry == NULL)
		return -ENOMEM;
	err = ch_registry_grow(*registry, devices);
	if (err != 0) {
		ch_registry_free(*registry);
		*registry = NULL;
	}
	return err;
}

int ch_registry_grow(struct ch_registry *registry, uint32_t devices)
{
	unsigned needed;

	if (devices > CH_REGISTRY_MAX - SEGMENT_FIRST)
		return CH_E_LIMIT;
	needed = devices == 0 ? 0 : segment_of(devices - 1) + 1;
	for (unsigned i = 0; i < needed; i++) {
		struct cell *cells;

		if (atomic_load_explicit(&registry->segments[i], memory_order_relaxed) != NULL)
			continue;
		cells = calloc((size_t)SEGMENT_FIRST << i, sizeof(*cells));
		if (cells == NULL)
			return -ENOMEM;
		atomic_store_explicit(&registry->segments[i], cells, memory_order_release);
	}
	return 0;
}

void ch_registry_free(struct ch_registry *registry)
{
	if (registry == NULL)
		return;
	for (unsigned i = 0; i < SEGMENTS; i++)
		free(registry->segments[i]);
	free(registry);
}

void ch_registry_hold(struct ch_registry *registry, uint32_t device)
{
	atomic_fetch_add_explicit(&cell_of(registry, device)->holders, 1, memory_order_relaxed);
}

void ch_registry_leave(struct ch_registry *registry, uint32_t device)
{
	atomic_fetch_sub_explicit(&cell_of(registry, device)->holders, 1, memory_order_release);
}

bool ch_registry_held(const struct ch_registry *registry, uint32_t device)
{
	return atomic_load_explicit(&cell_of(registry, device)->holders, memory_order_acquire) > 0;
}

static void cell_lock(struct cell *cell)
{
	uint32_t seen;

	for (;;) {
		seen = atomic_load_explicit(&cell->sequence, memory_order_relaxed);
		if (seen % 2 == 0 && atomic_compare_exchange_weak_explicit(
					     &cell->sequence, &seen, seen + 1, memory_order_acquire,
					     memory_order_relaxed))
			return;
	}
}

static void cell_unlock(struct cell *cell)
{
	atomic_fetch_add_explicit(&cell->sequence, 1, memory_order_release);
}

static void cell_store(struct cell *cell, const struct ch_device_record *record)
{
	uint64_t words[RECORD_WORDS];

	memcpy(words, record, sizeof(words));
	for (size_t i = 0; i < RECORD_WORDS; i++)
		atomic_store_explicit(&cell->words[i], words[i], memory_order_release);
}

void ch_registry_connecting(struct ch_registry *registry, uint32_t device,
			    const struct ch_device_record *record)
{
	struct cell *cell = cell_of(registry, device);

	cell_lock(cell);
	if (atomic_load_explicit(&cell->owner, memory_order_relaxed) == CH_OWNER_NONE)
		cell_store(cell, record);
	cell_unlock(cell);
}

uint64_t ch_registry_claim(struct ch_registry *registry, uint32_t device, uint64_t owner,
			   const struct ch_device_record *record)
{
	struct cell *cell = cell_of(registry, device);
	uint64_t before;

	cell_lock(cell);
	before = atomic_exchange_explicit(&cell->owner, owner, memory_order_acq_rel);
	cell_store(cell, record);
	cell_unlock(cell);
	return before;
}

bool ch_registry_ended(struct ch_registry *registry, uint32_t device, uint64_t owner,
		       const struct ch_device_record *record)
{
	struct cell *cell = cell_of(registry, device);
	uint64_t holder;
	bool written = false;

	cell_lock(cell);
	holder = atomic_load_explicit(&cell->owner, memory_order_relaxed);
	if (holder == owner || holder == CH_OWNER_NONE) {
		atomic_store_explicit(&cell->owner, CH_OWNER_NONE, memory_order_release);
		cell_store(cell, record);
		written = true;
	}
	cell_unlock(cell);
	return written;
}

void ch_registry_reset(struct ch_registry *registry, uint32_t device)
{
	const struct ch_device_record never = {.state = CH_DEVICE_NEVER};
	struct cell *cell = cell_of(registry, device);

	cell_lock(cell);
	atomic_store_explicit(&cell->owner, CH_OWNER_NONE, memory_order_release);
	cell_store(cell, &never);
	for (int i = 0; i < CH_DEVICE_COUNTERS; i++)
		atomic_store_explicit(&cell->counters[i], 0, memory_order_relaxed);
	atomic_store_explicit(&cell->conflict_ns, 0, memory_order_relaxed);
	cell_unlock(cell);
}

uint64_t ch_registry_owner(const struct ch_registry *registry, uint32_t device)
{
	return atomic_load_explicit(&cell_of(registry, device)->owner, memory_order_acquire);
}

void ch_registry_count(struct ch_registry *registry, uint32_t device,
		       enum ch_device_counter counter, uint64_t n)
{
	atomic_fetch_add_explicit(&cell_of(registry, device)->counters[counter], n,
				  memory_order_relaxed);
}

uint64_t ch_registry_counter(const struct ch_registry *registry, uint32_t device,
			     enum ch_device_counter counter)
{
	return atomic_load_explicit(&cell_of(registry, device)->counters[counter],
				    memory_order_relaxed);
}

void ch_registry_read(const struct ch_registry *registry, uint32_t device,
		      struct ch_device_record *record)
{
	const struct cell *cell = cell_of(registry, device);
	uint64_t words[RECORD_WORDS];
	uint32_t before;

	for (;;) {
		before = atomic_load_explicit(&cell->sequence, memory_order_acquire);
		for (size_t i = 0; i < RECORD_WORDS; i++)
			words[i] = atomic_load_explicit(&cell->words[i], memory_order_acquire);
		if (before % 2 == 0 &&
		    atomic_load_explicit(&cell->sequence, memory_order_relaxed) == before)
			break;
	}
	memcpy(record, words, sizeof(words));
}

bool ch_registry_conflict(struct ch_registry *registry, uint32_t device, uint64_t now_ns)
{
	struct cell *cell = cell_of(registry, device);
	uint64_t last = atomic_load_explicit(&cell->conflict_ns, memory_order_relaxed);

	if (last != 0 && now_ns - last < CONFLICT_QUIET_NS)
		return false;
	return atomic_compare_exchange_strong_explicit(&cell->conflict_ns, &last, now_ns,
						       memory_order_relaxed, memory_order_relaxed);
}
