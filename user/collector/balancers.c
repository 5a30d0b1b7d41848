/* SPDX-License-Identifier: Apache-2.0 */
#include "balancers.h"
#include "user/guard/prefixes.h"

#include <string.h>

_Static_assert(CH_PREFIX_TEXT <= CH_ADDRESS_TEXT, "a name is an address alone");

void ch_balancers_init(struct ch_balancers *b)
{
	memset(b, 0, sizeof(*b));
	pthread_mutex_init(&b->lock, NULL);
}

void ch_balancers_deinit(struct ch_balancers *b)
{
	pthread_mutex_destroy(&b->lock);
}

/* From entry @from on. @return behind the last entry: it is not there */
static uint32_t find(const struct ch_balancers *b, const char *name, uint32_t from)
{
	uint32_t count = atomic_load_explicit(&b->count, memory_order_acquire);

	while (from < count && strcmp(b->names[from], name) != 0)
		from++;
	return from;
}

uint8_t ch_balancers_add(struct ch_balancers *b, const struct ch_address *address)
{
	struct guard_prefix prefix = {.bits = 128};
	char name[CH_PREFIX_TEXT];
	uint32_t at;

	ch_source_whole(address, &prefix.source);
	ch_prefix_format(&prefix, name);
	at = find(b, name, 0);
	if (at < atomic_load(&b->count))
		return (uint8_t)(at + 1);
	pthread_mutex_lock(&b->lock);
	at = find(b, name, at);
	if (at == atomic_load(&b->count) && at < CH_BALANCERS_MAX) {
		memcpy(b->names[at], name, sizeof(name));
		atomic_store_explicit(&b->count, at + 1, memory_order_release);
	}
	pthread_mutex_unlock(&b->lock);
	return at < CH_BALANCERS_MAX ? (uint8_t)(at + 1) : CH_BALANCER_NONE;
}

const char *ch_balancers_name(const struct ch_balancers *b, uint8_t id)
{
	uint32_t count = atomic_load_explicit(&b->count, memory_order_acquire);

	return id != CH_BALANCER_NONE && id <= count ? b->names[id - 1] : NULL;
}
