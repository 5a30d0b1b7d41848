/* SPDX-License-Identifier: Apache-2.0 */
#include "authorities.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct ch_authorities {
	pthread_mutex_t lock;
	uint16_t count;
	uint8_t keys[CH_AUTHORITIES_MAX]
		    [CH_PROOF_ELEMENT]; /* of id 1 and up; searched one by one */
	struct ch_certificate_facts facts[CH_AUTHORITIES_MAX];
};

int ch_authorities_new(struct ch_authorities **authorities)
{
	struct ch_authorities *made = calloc(1, sizeof(*made));

	if (made == NULL)
		return -ENOMEM;
	pthread_mutex_init(&made->lock, NULL);
	*authorities = made;
	return 0;
}

void ch_authorities_free(struct ch_authorities *authorities)
{
	if (authorities == NULL)
		return;
	pthread_mutex_destroy(&authorities->lock);
	free(authorities);
}

static uint16_t find(const struct ch_authorities *authorities, const uint8_t *key)
{
	for (uint16_t i = 0; i < authorities->count; i++)
		if (memcmp(authorities->keys[i], key, CH_PROOF_ELEMENT) == 0)
			return (uint16_t)(i + 1);
	return CH_AUTHORITY_NONE;
}

uint16_t ch_authorities_find(struct ch_authorities *authorities, const uint8_t *key)
{
	uint16_t id;

	pthread_mutex_lock(&authorities->lock);
	id = find(authorities, key);
	pthread_mutex_unlock(&authorities->lock);
	return id;
}

uint16_t ch_authorities_add(struct ch_authorities *authorities, const uint8_t *key,
			    const struct ch_certificate_facts *facts)
{
	uint16_t id;

	pthread_mutex_lock(&authorities->lock);
	id = find(authorities, key);
	if (id == CH_AUTHORITY_NONE && authorities->count < CH_AUTHORITIES_MAX) {
		memcpy(authorities->keys[authorities->count], key, CH_PROOF_ELEMENT);
		authorities->facts[authorities->count] = *facts;
		id = ++authorities->count;
	}
	pthread_mutex_unlock(&authorities->lock);
	return id;
}

bool ch_authorities_read(struct ch_authorities *authorities, uint16_t id,
			 struct ch_certificate_facts *facts)
{
	bool found;

	pthread_mutex_lock(&authorities->lock);
	found = id != CH_AUTHORITY_NONE && id <= authorities->count;
	if (found)
		*facts = authorities->facts[id - 1];
	pthread_mutex_unlock(&authorities->lock);
	return found;
}
