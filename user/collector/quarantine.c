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

struct entry {
	struct ch_quarantine_view view;
	UT_hash_handle hh;
};

struct ch_quarantine {
	pthread_mutex_t lock;
	struct entry *table; /* uthash keeps insertion order: the first was seen longest ago */
	uint64_t max;
};

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

void ch_quarantine_free(struct ch_quarantine *q)
{
	struct entry *entry;
	struct entry *next;

	if (q == NULL)
		return;
	HASH_ITER (hh, q->table, entry, next) {
		HASH_DEL(q->table, entry);
		free(entry);
	}
	pthread_mutex_destroy(&q->lock);
	free(q);
}

static struct entry *entry_new(struct ch_quarantine *q, const struct ch_identity *identity,
			       const char *manufacturer, uint64_t unix_ns)
{
	struct entry *entry;

	if (HASH_COUNT(q->table) >= q->max) {
		entry = q->table;
		HASH_DEL(q->table, entry);
		memset(entry, 0, sizeof(*entry));
	} else {
		entry = calloc(1, sizeof(*entry));
		if (entry == NULL)
			return NULL;
	}
	memcpy(entry->view.cert_sha256, identity->cert_sha256, 32);
	memcpy(entry->view.spki_sha256, identity->spki_sha256, 32);
	snprintf(entry->view.manufacturer, sizeof(entry->view.manufacturer), "%s", manufacturer);
	snprintf(entry->view.identifier, sizeof(entry->view.identifier), "%s", identity->identifier);
	entry->view.first_unix_ns = unix_ns;
	return entry;
}

bool ch_quarantine_note(struct ch_quarantine *q, const struct ch_identity *identity,
			const char *manufacturer, const struct ch_address *peer, uint64_t unix_ns)
{
	struct entry *entry;
	bool added = false;

	pthread_mutex_lock(&q->lock);
	HASH_FIND(hh, q->table, identity->cert_sha256, 32, entry);
	if (entry != NULL) {
		/* Out and in again: moves it to the end of the order. */
		HASH_DEL(q->table, entry);
	} else if (q->max > 0) {
		entry = entry_new(q, identity, manufacturer, unix_ns);
		added = entry != NULL;
	}
	if (entry != NULL) {
		ch_address_format(peer, entry->view.peer);
		entry->view.last_unix_ns = unix_ns;
		entry->view.count++;
		HASH_ADD(hh, q->table, view.cert_sha256, 32, entry);
	}
	pthread_mutex_unlock(&q->lock);
	return added;
}

uint64_t ch_quarantine_count(struct ch_quarantine *q)
{
	uint64_t count;

	pthread_mutex_lock(&q->lock);
	count = HASH_COUNT(q->table);
	pthread_mutex_unlock(&q->lock);
	return count;
}

size_t ch_quarantine_copy(struct ch_quarantine *q, size_t first, size_t most,
			  struct ch_quarantine_view *views)
{
	size_t at = 0;
	size_t copied = 0;

	pthread_mutex_lock(&q->lock);
	for (struct entry *e = q->table; e != NULL && copied < most; e = e->hh.next) {
		if (at++ >= first)
			views[copied++] = e->view;
	}
	pthread_mutex_unlock(&q->lock);
	return copied;
}
