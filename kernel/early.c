/* SPDX-License-Identifier: Apache-2.0 */
#include "early.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <ifaddrs.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SECOND 1000000000ull
/* A driver that refused is asked again: it may have been busy, or another program has gone. */
#define RETRY_NS (30 * SECOND)

_Static_assert(CH_EARLY_NAME == IF_NAMESIZE, "a name fits");

struct place {
	struct ch_early_state state;
	int link;	/**< -1 = not attached */
	unsigned tried; /**< index of the interface that refused; 0 = none did */
	uint64_t retry_ns;
};

struct ch_early {
	pthread_mutex_t lock; /**< of all below */
	int program, map;
	bool generic;
	char why[CH_EARLY_WHY]; /**< of there being no program */
	struct place places[CH_EARLY_INTERFACES];
	size_t count;
	struct guard_source *fixed; /**< addresses of the listeners */
	size_t fixed_count;
	struct guard_source *locals; /**< as the kernel has them, in order */
	size_t local_count;
	int locals_err; /**< why they cannot be listed */
};

/* ---------------------------------------------------------------- names */

const char *ch_early_name(const char *list, char name[CH_EARLY_NAME])
{
	size_t len = strcspn(list, ",");

	/* As the kernel wants them, but for what would not survive in a log line. */
	if (len == 0 || len >= CH_EARLY_NAME || strcspn(list, " /:\"'\\\t\n") < len ||
	    (list[0] == '.' && (len == 1 || (len == 2 && list[1] == '.'))))
		return NULL;
	for (size_t i = 0; i < len; i++)
		if (list[i] <= ' ' || list[i] > '~')
			return NULL;
	memcpy(name, list, len);
	name[len] = '\0';
	list += len;
	if (*list == '\0')
		return list;
	return list[1] != '\0' ? list + 1 : NULL;
}

bool ch_early_is_valid(const char *list)
{
	char names[CH_EARLY_INTERFACES][CH_EARLY_NAME];
	size_t count = 0;

	do {
		if (count == CH_EARLY_INTERFACES)
			return false;
		list = ch_early_name(list, names[count]);
		for (size_t i = 0; list != NULL && i < count; i++)
			if (strcmp(names[i], names[count]) == 0)
				return false;
		count++;
	} while (list != NULL && *list != '\0');
	return list != NULL;
}

bool ch_early_is_there(const char *interface)
{
	return if_nametoindex(interface) != 0;
}

/* ---------------------------------------------------------------- addresses */

static int by_bytes(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct guard_source));
}

static bool address_of(const struct sockaddr *from, struct guard_source *address)
{
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;

	*address = (struct guard_source){.bytes = {[10] = 0xff, [11] = 0xff}};
	if (from != NULL && from->sa_family == AF_INET) {
		memcpy(&v4, from, sizeof(v4));
		memcpy(&address->bytes[12], &v4.sin_addr, 4);
		return true;
	}
	if (from == NULL || from->sa_family != AF_INET6)
		return false;
	memcpy(&v6, from, sizeof(v6));
	memcpy(address->bytes, &v6.sin6_addr, 16);
	return true;
}

/* In order, each once; what has no room is judged at the socket only. @return how many, or < 0 */
static long list_addresses(const struct ch_early *early, struct guard_source *list)
{
	struct ifaddrs *all;
	size_t count = 0;
	size_t unique = 0;

	memcpy(list, early->fixed, early->fixed_count * sizeof(*list));
	count = early->fixed_count;
	if (getifaddrs(&all) != 0)
		return -errno;
	for (const struct ifaddrs *at = all; at != NULL && count < GUARD_LOCALS; at = at->ifa_next)
		count += address_of(at->ifa_addr, &list[count]);
	freeifaddrs(all);
	qsort(list, count, sizeof(*list), by_bytes);
	for (size_t i = 0; i < count; i++)
		if (i == 0 || memcmp(&list[i], &list[i - 1], sizeof(*list)) != 0)
			list[unique++] = list[i];
	return (long)unique;
}

/* Old ones first: the new ones need their room. */
static void tell_addresses(struct ch_early *early, const struct guard_source *list, size_t count)
{
	const uint32_t present = 1;

	for (size_t i = 0; i < early->local_count; i++)
		if (bsearch(&early->locals[i], list, count, sizeof(*list), by_bytes) == NULL)
			(void)bpf_map_delete_elem(early->map, &early->locals[i]);
	for (size_t i = 0; i < count; i++)
		if (bsearch(&list[i], early->locals, early->local_count, sizeof(*list), by_bytes) ==
		    NULL)
			(void)bpf_map_update_elem(early->map, &list[i], &present, BPF_ANY);
}

static void follow_addresses(struct ch_early *early)
{
	struct guard_source *list = malloc(GUARD_LOCALS * sizeof(*list));
	long count = list != NULL ? list_addresses(early, list) : -ENOMEM;

	early->locals_err = count < 0 ? (int)count : 0;
	if (count < 0 && early->local_count == 0 && list != NULL) {
		count = (long)early->fixed_count; /* better than none */
		memcpy(list, early->fixed, early->fixed_count * sizeof(*list));
		qsort(list, early->fixed_count, sizeof(*list), by_bytes);
	}
	if (count < 0 || ((size_t)count == early->local_count &&
			  memcmp(list, early->locals, (size_t)count * sizeof(*list)) == 0)) {
		free(list);
		return;
	}
	tell_addresses(early, list, (size_t)count);
	free(early->locals);
	early->locals = list;
	early->local_count = (size_t)count;
}

/* ---------------------------------------------------------------- interfaces */

static void explain(struct place *place, int err)
{
	char *why = place->state.why;
	const char *name = place->state.interface;

	if (err == -ENODEV)
		snprintf(why, CH_EARLY_WHY,
			 "there is no interface %s; it is guarded as soon as it is there", name);
	else if (err == -EBUSY || err == -EEXIST)
		snprintf(why, CH_EARLY_WHY,
			 "another XDP program is on %s; take it off (ip link set dev %s xdp off)",
			 name, name);
	else
		snprintf(why, CH_EARLY_WHY, "%s takes no XDP program (%s); name another interface",
			 name, strerror(-err));
}

static int attach_as(const struct ch_early *early, unsigned index, uint32_t flags)
{
	LIBBPF_OPTS(bpf_link_create_opts, options, .flags = flags);
	int link = bpf_link_create(early->program, (int)index, BPF_XDP, &options);

	return link >= 0 ? link : -errno;
}

static void attach(const struct ch_early *early, struct place *place, uint64_t now_ns)
{
	unsigned index = if_nametoindex(place->state.interface);
	int link = -ENODEV;

	if (index != 0 && index == place->tried && now_ns < place->retry_ns)
		return;
	place->tried = index;
	place->retry_ns = now_ns + RETRY_NS;
	place->state.mode = "native";
	place->state.native_err = 0;
	if (index != 0 && !early->generic)
		link = attach_as(early, index, XDP_FLAGS_DRV_MODE);
	if (index != 0 && link < 0 && link != -EBUSY && link != -EEXIST) {
		place->state.mode = "generic";
		place->state.native_err = early->generic ? 0 : link;
		link = attach_as(early, index, XDP_FLAGS_SKB_MODE);
	}
	place->state.why[0] = '\0';
	place->link = link >= 0 ? link : -1;
	if (link >= 0)
		return;
	place->state.mode = NULL;
	explain(place, link);
}

/* The kernel takes the program off an interface that goes. */
static bool is_lost(const struct place *place)
{
	struct bpf_link_info info = {0};
	uint32_t len = sizeof(info);

	return bpf_obj_get_info_by_fd(place->link, &info, &len) == 0 && info.xdp.ifindex == 0;
}

static void tend_place(const struct ch_early *early, struct place *place, uint64_t now_ns)
{
	if (early->why[0] != '\0') {
		memcpy(place->state.why, early->why, sizeof(early->why));
		return;
	}
	if (place->link >= 0 && is_lost(place)) {
		close(place->link);
		place->link = -1;
		place->tried = 0;
		place->state.mode = NULL;
	}
	if (place->link < 0)
		attach(early, place, now_ns);
	if (place->link < 0)
		return;
	place->state.why[0] = '\0';
	if (early->locals_err != 0)
		snprintf(place->state.why, CH_EARLY_WHY,
			 "the addresses of this host cannot be listed (%s), so that only listeners "
			 "with an address of their own are guarded; systemd: add AF_NETLINK to "
			 "RestrictAddressFamilies",
			 strerror(-early->locals_err));
}

void ch_early_tend(struct ch_early *early, uint64_t now_ns, ch_early_fn fn, void *ctx)
{
	pthread_mutex_lock(&early->lock);
	if (early->why[0] == '\0')
		follow_addresses(early);
	for (size_t i = 0; i < early->count; i++) {
		struct place *place = &early->places[i];
		struct ch_early_state before = place->state;

		tend_place(early, place, now_ns);
		if (place->state.mode != before.mode || strcmp(place->state.why, before.why) != 0)
			fn(ctx, &place->state);
	}
	pthread_mutex_unlock(&early->lock);
}

size_t ch_early_read(struct ch_early *early, struct ch_early_state states[CH_EARLY_INTERFACES])
{
	pthread_mutex_lock(&early->lock);
	for (size_t i = 0; i < early->count; i++)
		states[i] = early->places[i].state;
	pthread_mutex_unlock(&early->lock);
	return early->count;
}

/* ---------------------------------------------------------------- life */

int ch_early_new(const struct ch_early_options *options, struct ch_early **early)
{
	struct ch_early *made = calloc(1, sizeof(*made));
	const char *list = options->interfaces;

	if (made == NULL)
		return -ENOMEM;
	pthread_mutex_init(&made->lock, NULL);
	made->program = options->program;
	made->map = options->locals;
	made->generic = options->generic;
	snprintf(made->why, sizeof(made->why), "%s", options->why);
	made->fixed_count = options->listener_count;
	made->fixed = calloc(options->listener_count + 1, sizeof(*made->fixed));
	made->locals = calloc(1, sizeof(*made->locals));
	if (made->fixed == NULL || made->locals == NULL) {
		ch_early_free(made);
		return -ENOMEM;
	}
	for (size_t i = 0; i < options->listener_count; i++)
		made->fixed[i] = options->listeners[i];
	while (list != NULL && *list != '\0' && made->count < CH_EARLY_INTERFACES) {
		struct place *place = &made->places[made->count];

		place->link = -1;
		list = ch_early_name(list, place->state.interface);
		made->count += list != NULL;
	}
	*early = made;
	return 0;
}

void ch_early_free(struct ch_early *early)
{
	if (early == NULL)
		return;
	for (size_t i = 0; i < early->count; i++)
		if (early->places[i].link >= 0)
			close(early->places[i].link);
	free(early->fixed);
	free(early->locals);
	pthread_mutex_destroy(&early->lock);
	free(early);
}
