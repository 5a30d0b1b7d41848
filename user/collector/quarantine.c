/* SPDX-License-Identifier: Apache-2.0 */
#include "quarantine.h"
#include "user/core/hash.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* uthash's own hash is unseeded; a peer chooses what we key by. */
#define HASH_FUNCTION(key, len, value) ((value) = (unsigned)ch_hash(key, len))
#include <uthash.h>

/* Key, manufacturer and identifier: what is accepted is what was shown. */
#define PENDING_KEY                                                                                \
	(offsetof(struct ch_quarantine_view, peer) -                                               \
	 offsetof(struct ch_quarantine_view, spki_sha256))
_Static_assert(PENDING_KEY == 32 + 64 + 256, "no padding inside the key");

struct entry {
	struct ch_quarantine_view view;
	bool changed; /**< pending: since it was saved. What changed is behind what did not. */
	UT_hash_handle hh;
};

struct ch_quarantine {
	pthread_mutex_t lock;
	/* uthash keeps insertion order: the first was seen longest ago. */
	struct entry *pending;
	struct entry *rejected; /* by the key alone */
	uint64_t max;
	void (*fn)(void *ctx); /**< somebody saves the pending ones; NULL = nobody */
	void *ctx;
};

static struct entry *newest(const struct ch_quarantine *q)
{
	return q->pending != NULL ? ELMT_FROM_HH(q->pending->hh.tbl, q->pending->hh.tbl->tail)
				  : NULL;
}

int ch_quarantine_new(uint64_t max, struct ch_quarantine **quarantine)
{
	struct ch_quarantine *q = calloc(1, sizeof(*q));

	if (q == NULL)
		return -ENOMEM;
	q->max = max;
	pthread_mutex_init(&q->lock, NULL);
	*quarantine = q;
	return 0;
}

static void drop(struct entry **table, struct entry *entry)
{
	HASH_DEL(*table, entry);
	free(entry);
}

void ch_quarantine_free(struct ch_quarantine *q)
{
	if (q == NULL)
		return;
	while (q->pending != NULL)
		drop(&q->pending, q->pending);
	while (q->rejected != NULL)
		drop(&q->rejected, q->rejected);
	pthread_mutex_destroy(&q->lock);
	free(q);
}

static bool room_for_one(const struct ch_quarantine *q, struct entry **table)
{
	if (q->max == 0)
		return false;
	while (HASH_COUNT(*table) >= q->max)
		drop(table, *table);
	return true;
}

bool ch_quarantine_note(struct ch_quarantine *q, const struct ch_identity *identity,
			const char *manufacturer, const struct ch_address *peer, uint64_t unix_ns)
{
	struct ch_quarantine_view view = {.first_unix_ns = unix_ns};
	struct entry *entry;
	bool added = false;
	bool news = false;

	memcpy(view.spki_sha256, identity->spki_sha256, 32);
	snprintf(view.manufacturer, sizeof(view.manufacturer), "%s", manufacturer);
	snprintf(view.identifier, sizeof(view.identifier), "%s", identity->identifier);
	pthread_mutex_lock(&q->lock);
	HASH_FIND(hh, q->pending, view.spki_sha256, PENDING_KEY, entry);
	if (entry != NULL) {
		/* Out and in again: moves it to the end of the order. */
		HASH_DEL(q->pending, entry);
	} else if (room_for_one(q, &q->pending)) {
		entry = malloc(sizeof(*entry));
		added = entry != NULL;
		if (added)
			entry->view = view;
	}
	if (entry != NULL) {
		ch_address_format(peer, entry->view.peer);
		memcpy(entry->view.cert_sha256, identity->cert_sha256, 32);
		entry->view.last_unix_ns = unix_ns;
		entry->view.count++;
		news = newest(q) == NULL || !newest(q)->changed;
		entry->changed = true;
		HASH_ADD(hh, q->pending, view.spki_sha256, PENDING_KEY, entry);
	}
	pthread_mutex_unlock(&q->lock);
	if (news && q->fn != NULL)
		q->fn(q->ctx);
	return added;
}

void ch_quarantine_on_change(struct ch_quarantine *q, void (*fn)(void *ctx), void *ctx)
{
	q->fn = fn;
	q->ctx = ctx;
}

size_t ch_quarantine_changed(struct ch_quarantine *q, size_t most, struct ch_quarantine_view *views)
{
	struct entry *first = NULL;
	size_t copied = 0;

	pthread_mutex_lock(&q->lock);
	for (struct entry *e = newest(q); e != NULL && e->changed; e = e->hh.prev)
		first = e;
	for (; first != NULL && copied < most; first = first->hh.next)
		views[copied++] = first->view;
	pthread_mutex_unlock(&q->lock);
	return copied;
}

void ch_quarantine_saved(struct ch_quarantine *q, const struct ch_quarantine_view *views,
			 size_t count)
{
	struct entry *entry;

	pthread_mutex_lock(&q->lock);
	for (size_t i = 0; i < count; i++) {
		HASH_FIND(hh, q->pending, views[i].spki_sha256, PENDING_KEY, entry);
		if (entry != NULL && entry->view.count == views[i].count)
			entry->changed = false;
	}
	pthread_mutex_unlock(&q->lock);
}

int ch_quarantine_restore(struct ch_quarantine *q, const struct ch_quarantine_view *view)
{
	struct entry *entry = malloc(sizeof(*entry));
	struct entry *there;

	if (entry == NULL)
		return -ENOMEM;
	*entry = (struct entry){.view = *view};
	pthread_mutex_lock(&q->lock);
	HASH_FIND(hh, q->pending, view->spki_sha256, PENDING_KEY, there);
	if (there == NULL && room_for_one(q, &q->pending)) {
		HASH_ADD(hh, q->pending, view.spki_sha256, PENDING_KEY, entry);
		entry = NULL;
	}
	pthread_mutex_unlock(&q->lock);
	free(entry);
	return 0;
}

bool ch_quarantine_is_rejected(struct ch_quarantine *q, const uint8_t spki_sha256[32])
{
	struct entry *entry;

	pthread_mutex_lock(&q->lock);
	HASH_FIND(hh, q->rejected, spki_sha256, 32, entry);
	pthread_mutex_unlock(&q->lock);
	return entry != NULL;
}

size_t ch_quarantine_find(struct ch_quarantine *q, const uint8_t fingerprint[32],
			  struct ch_quarantine_view *view)
{
	struct entry *tables[2];
	size_t found = 0;

	pthread_mutex_lock(&q->lock);
	tables[0] = q->pending;
	tables[1] = q->rejected;
	for (int i = 0; i < 2; i++) {
		for (struct entry *e = tables[i]; e != NULL; e = e->hh.next) {
			if (memcmp(e->view.spki_sha256, fingerprint, 32) != 0 &&
			    memcmp(e->view.cert_sha256, fingerprint, 32) != 0)
				continue;
			*view = e->view;
			found++;
		}
	}
	pthread_mutex_unlock(&q->lock);
	return found;
}

static void forget(struct entry **table, const uint8_t spki_sha256[32])
{
	struct entry *entry;
	struct entry *next;

	HASH_ITER(hh, *table, entry, next)
	{
		if (memcmp(entry->view.spki_sha256, spki_sha256, 32) == 0)
			drop(table, entry);
	}
}

void ch_quarantine_forget(struct ch_quarantine *q, const uint8_t spki_sha256[32])
{
	pthread_mutex_lock(&q->lock);
	forget(&q->pending, spki_sha256);
	forget(&q->rejected, spki_sha256);
	pthread_mutex_unlock(&q->lock);
}

int ch_quarantine_reject(struct ch_quarantine *q, const struct ch_quarantine_view *view)
{
	struct entry *entry = malloc(sizeof(*entry));

	if (entry == NULL)
		return -ENOMEM;
	entry->view = *view;
	entry->view.rejected = true;
	pthread_mutex_lock(&q->lock);
	forget(&q->pending, view->spki_sha256);
	forget(&q->rejected, view->spki_sha256);
	if (room_for_one(q, &q->rejected)) {
		HASH_ADD(hh, q->rejected, view.spki_sha256, 32, entry);
		entry = NULL;
	}
	pthread_mutex_unlock(&q->lock);
	free(entry);
	return 0;
}

uint64_t ch_quarantine_count(struct ch_quarantine *q)
{
	uint64_t count;

	pthread_mutex_lock(&q->lock);
	count = HASH_COUNT(q->pending);
	pthread_mutex_unlock(&q->lock);
	return count;
}

size_t ch_quarantine_copy(struct ch_quarantine *q, size_t first, size_t most,
			  struct ch_quarantine_view *views)
{
	struct entry *tables[2];
	size_t at = 0;
	size_t copied = 0;

	pthread_mutex_lock(&q->lock);
	tables[0] = q->pending;
	tables[1] = q->rejected;
	for (int i = 0; i < 2; i++) {
		for (struct entry *e = tables[i]; e != NULL && copied < most; e = e->hh.next) {
			if (at++ >= first)
				views[copied++] = e->view;
		}
	}
	pthread_mutex_unlock(&q->lock);
	return copied;
}
