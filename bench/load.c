/* SPDX-License-Identifier: Apache-2.0 */
#include "load.h"

#include "kernel/layer.h"
#include "user/core/option.h"

#include <stdio.h>
#include <string.h>

#define IMPOSTORS_MAX 100000
#define SPARE_FILES 256 /* descriptors that are no sessions: calls being set up, impostors */

int sim_load_start(struct sim_load *load, const struct sim_fleet_options *options, uint32_t threads)
{
	memset(load, 0, sizeof(*load));
	for (uint32_t i = 0; i < threads; i++) {
		struct sim_fleet_options share = *options;
		share.first = i;
		share.stride = threads;
		share.devices = (options->devices + threads - 1 - i) / threads;
		share.rate = options->rate / threads;
		share.seed = options->seed + i;
		if (i > 0)
			share.plan_count = 0;
		int err = sim_fleet_start(&share, &load->fleets[i]);
		if (err) {
			sim_load_deinit(load);
			return err;
		}
		load->count = i + 1;
	}
	return 0;
}

uint32_t sim_load_threads(uint64_t devices, uint64_t nofile)
{
	uint64_t slots = nofile > 2 * SPARE_FILES ? nofile - SPARE_FILES : SPARE_FILES;
	uint64_t needed = (devices + slots - 1) / slots;

	if (needed > SIM_THREADS)
		return SIM_THREADS;
	return needed > 0 ? (uint32_t)needed : 1;
}

void sim_load_tell(struct sim_load *load, enum sim_command command)
{
	for (uint32_t i = 0; i < load->count; i++)
		sim_fleet_tell(load->fleets[i], command);
}

void sim_load_snapshot(struct sim_load *load, struct sim_snapshot *sum)
{
	memset(sum, 0, sizeof(*sum));
	for (uint32_t i = 0; i < load->count; i++)
		sim_fleet_add(load->fleets[i], sum);
}

void sim_load_join(struct sim_load *load)
{
	for (uint32_t i = 0; i < load->count; i++)
		sim_fleet_join(load->fleets[i]);
}

void sim_load_deinit(struct sim_load *load)
{
	for (uint32_t i = 0; i < load->count; i++)
		sim_fleet_free(load->fleets[i]);
	memset(load, 0, sizeof(*load));
}

static int add_plan(struct sim_plan *plans, uint32_t most, uint32_t *count,
		    const struct sim_impostor *kind, uint32_t number, char error[256])
{
	if (*count == most) {
		snprintf(error, 256, "more than %u kinds of impostors", most);
		return CH_E_SYNTAX;
	}
	plans[(*count)++] = (struct sim_plan){kind, number};
	return 0;
}

static int parse_plan(const char *text, size_t len, struct sim_plan *plans, uint32_t most,
		      uint32_t *count, char error[256])
{
	const char *colon = memchr(text, ':', len);
	size_t name = colon ? (size_t)(colon - text) : len;
	char digits[16] = "1";
	uint64_t number;
	size_t kinds;
	const struct sim_impostor *table = sim_impostors(&kinds);

	if (colon)
		snprintf(digits, sizeof(digits), "%.*s", (int)(len - name - 1), colon + 1);
	if (ch_parse_uint(digits, 1, IMPOSTORS_MAX, &number) != 0) {
		snprintf(error, 256, "%.*s: the count is a number from 1 to %d", (int)len, text,
			 IMPOSTORS_MAX);
		return CH_E_SYNTAX;
	}
	if (name == 3 && memcmp(text, "all", 3) == 0) {
		int err = 0;
		for (size_t i = 0; i < kinds && !err; i++)
			err = add_plan(plans, most, count, &table[i], (uint32_t)number, error);
		return err;
	}
	const struct sim_impostor *kind = sim_impostor_find(text, name);
	if (kind)
		return add_plan(plans, most, count, kind, (uint32_t)number, error);
	snprintf(error, 256, "%.*s is no kind of impostor (callhome-sim impostors lists them)",
		 (int)(name < 40 ? name : 40), text);
	return CH_E_SYNTAX;
}

int sim_plans_parse(const char *text, struct sim_plan *plans, uint32_t most, uint32_t *count,
		    char error[256])
{
	int err = 0;

	*count = 0;
	while (!err) {
		size_t len = strcspn(text, ",");
		err = parse_plan(text, len, plans, most, count, error);
		if (text[len] == '\0')
			break;
		text += len + 1;
	}
	return err;
}

bool sim_address_is_loopback(const struct ch_address *address)
{
	static const uint8_t one[16] = {[15] = 1};

	if (address->family == 4)
		return address->ip[0] == 127;
	return address->family == 6 && memcmp(address->ip, one, sizeof(one)) == 0;
}

/* "192.0.2.0" or "2001:db8::" as an endpoint, which the address parser wants. */
static int parse_host(const char *text, size_t len, struct ch_address *address)
{
	char endpoint[CH_ADDRESS_TEXT];
	const char *format = memchr(text, ':', len) ? "[%.*s]:1" : "%.*s:1";

	if (snprintf(endpoint, sizeof(endpoint), format, (int)len, text) >= (int)sizeof(endpoint))
		return CH_E_SYNTAX;
	return ch_address_parse(endpoint, address);
}

bool sim_address_in_prefix(const struct ch_address *address, const char *prefix)
{
	size_t host = strcspn(prefix, "/");
	struct ch_address base;
	uint64_t bits = 0;

	if (parse_host(prefix, host, &base) != 0 || base.family != address->family)
		return false;
	uint64_t width = base.family == 4 ? 32 : 128;
	if (prefix[host] == '\0')
		bits = width;
	else if (ch_parse_uint(prefix + host + 1, 0, width, &bits) != 0)
		return false;
	size_t bytes = (size_t)bits / 8;
	if (memcmp(address->ip, base.ip, bytes) != 0)
		return false;
	uint8_t mask = (uint8_t)(0xff00u >> (bits % 8));
	return bits % 8 == 0 || ((address->ip[bytes] ^ base.ip[bytes]) & mask) == 0;
}

int sim_layer_parse(const char *text, uint8_t *policy)
{
	static const char *const names[] = {
		[CH_LAYER_POLICY_AUTO] = "auto",
		[CH_LAYER_POLICY_KERNEL] = "kernel",
		[CH_LAYER_POLICY_USER] = "user",
	};

	for (uint8_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcmp(text, names[i]) == 0) {
			*policy = i;
			return 0;
		}
	}
	return CH_E_SYNTAX;
}
