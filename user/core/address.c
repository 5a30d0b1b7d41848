/* SPDX-License-Identifier: Apache-2.0 */
#include "address.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define GROUPS 8

/** Decimal without leading zeros, at most @max; moves the cursor behind it. */
static bool parse_decimal(const char **cursor, unsigned max, unsigned *value)
{
	const char *c = *cursor;
	unsigned sum = 0;

	for (; *c >= '0' && *c <= '9'; c++) {
		sum = sum * 10 + (unsigned)(*c - '0');
		if (sum > max)
			return false;
	}
	if (c == *cursor || (**cursor == '0' && c - *cursor > 1))
		return false;
	*cursor = c;
	*value = sum;
	return true;
}

static bool parse_v4(const char **cursor, uint8_t ip[4])
{
	for (int i = 0; i < 4; i++) {
		unsigned octet;

		if (i > 0 && *(*cursor)++ != '.')
			return false;
		if (!parse_decimal(cursor, 255, &octet))
			return false;
		ip[i] = (uint8_t)octet;
	}
	return true;
}

/** One to four hexadecimal digits. */
static bool parse_group(const char **cursor, unsigned *value)
{
	unsigned sum = 0;
	int digits = 0;

	for (;; digits++, (*cursor)++) {
		char c = **cursor;
		unsigned digit;

		if (c >= '0' && c <= '9')
			digit = (unsigned)(c - '0');
		else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
			digit = (unsigned)((c | 0x20) - 'a') + 10;
		else
			break;
		if (digits == 4)
			return false;
		sum = sum << 4 | digit;
	}
	*value = sum;
	return digits > 0;
}

/** Is a dotted quad next, rather than a group? */
static bool quad_is_next(const char *text)
{
	return text[strspn(text, "0123456789")] == '.';
}

/** RFC 4291 section 2.2; no zone. Stops behind the last byte it could use. */
static bool parse_v6(const char **cursor, uint8_t ip[16])
{
	uint8_t bytes[16] = {0};
	int len = 0;
	int gap = -1;

	if ((*cursor)[0] == ':' && (*cursor)[1] == ':') {
		gap = 0;
		*cursor += 2;
	}
	while (len < 16 && **cursor != ']') {
		unsigned group;

		if (len <= 12 && quad_is_next(*cursor)) {
			if (!parse_v4(cursor, bytes + len))
				return false;
			len += 4;
			break;
		}
		if (!parse_group(cursor, &group))
			return false;
		bytes[len++] = (uint8_t)(group >> 8);
		bytes[len++] = (uint8_t)group;
		if (**cursor != ':')
			break;
		(*cursor)++;
		if (**cursor == ':' && gap < 0) {
			gap = len;
			(*cursor)++;
		} else if (**cursor == ']') {
			return false;
		}
	}
	if (gap < 0 ? len != 16 : len > 14)
		return false;
	memset(ip, 0, 16);
	if (gap < 0)
		gap = len;
	memcpy(ip, bytes, (size_t)gap);
	memcpy(ip + 16 - (len - gap), bytes + gap, (size_t)(len - gap));
	return true;
}

void ch_address_normalize(struct ch_address *address)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

	if (address->family != 6 || memcmp(address->ip, mapped, sizeof(mapped)) != 0)
		return;
	memmove(address->ip, address->ip + 12, 4);
	memset(address->ip + 4, 0, 12);
	address->family = 4;
}

int ch_address_parse(const char *text, struct ch_address *address)
{
	struct ch_address parsed = {0};
	const char *cursor = text;
	unsigned port;

	if (*cursor == '[') {
		cursor++;
		parsed.family = 6;
		if (!parse_v6(&cursor, parsed.ip) || *cursor++ != ']')
			return CH_E_SYNTAX;
	} else {
		parsed.family = 4;
		if (!parse_v4(&cursor, parsed.ip))
			return CH_E_SYNTAX;
	}
	if (*cursor++ != ':' || !parse_decimal(&cursor, 65535, &port) || *cursor != '\0')
		return CH_E_SYNTAX;
	parsed.port = (uint16_t)port;
	ch_address_normalize(&parsed);
	*address = parsed;
	return 0;
}

/** The longest run of two or more zero groups (RFC 5952 section 4.2); the first one wins. */
static int longest_zero_run(const unsigned groups[GROUPS], int *len)
{
	int best = -1;

	*len = 1;
	for (int i = 0; i < GROUPS; i++) {
		int run = 0;

		while (i + run < GROUPS && groups[i + run] == 0)
			run++;
		if (run > *len) {
			best = i;
			*len = run;
		}
		i += run;
	}
	return best;
}

static void format_v6(const struct ch_address *address, char text[CH_ADDRESS_TEXT])
{
	unsigned groups[GROUPS];
	size_t used = 1;
	int zero_len;
	int zero;

	for (int i = 0; i < GROUPS; i++)
		groups[i] = (unsigned)address->ip[2 * i] << 8 | address->ip[2 * i + 1];
	zero = longest_zero_run(groups, &zero_len);
	text[0] = '[';
	for (int i = 0; i < GROUPS; i++) {
		if (i == zero) {
			text[used++] = ':';
			text[used++] = ':';
			i += zero_len - 1;
			continue;
		}
		if (i > 0 && text[used - 1] != ':')
			text[used++] = ':';
		used += (size_t)snprintf(text + used, CH_ADDRESS_TEXT - used, "%x", groups[i]);
	}
	snprintf(text + used, CH_ADDRESS_TEXT - used, "]:%u", (unsigned)address->port);
}

void ch_address_format(const struct ch_address *address, char text[CH_ADDRESS_TEXT])
{
	const uint8_t *ip = address->ip;

	if (address->family == 6)
		format_v6(address, text);
	else if (address->family == 4)
		snprintf(text, CH_ADDRESS_TEXT, "%u.%u.%u.%u:%u", ip[0], ip[1], ip[2], ip[3],
			 (unsigned)address->port);
	else
		text[0] = '\0';
}
