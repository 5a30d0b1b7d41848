/* SPDX-License-Identifier: Apache-2.0 */
#include "prefixes.h"
#include "user/core/hash.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINE_MAX_BYTES 256
#define MISTAKES_MAX 20

void ch_source_cut(struct guard_source *source, uint32_t bits)
{
	for (uint32_t i = 0; i < 16; i++) {
		uint32_t left = bits > i * 8 ? bits - i * 8 : 0;

		if (left < 8)
			source->bytes[i] &= (uint8_t)(0xff00u >> left);
	}
}

void ch_source_whole(const struct ch_address *address, struct guard_source *source)
{
	memset(source, 0, sizeof(*source));
	if (address->family == 4) {
		source->bytes[10] = 0xff;
		source->bytes[11] = 0xff;
		memcpy(&source->bytes[12], address->ip, 4);
	} else {
		memcpy(source->bytes, address->ip, 16);
	}
}

bool ch_source_is_v4(const struct guard_source *source)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

	return memcmp(source->bytes, mapped, sizeof(mapped)) == 0;
}

/* @return the bits behind '/', or -1 */
static int parse_bits(const char *text, int most)
{
	int bits = 0;

	if (*text == '\0' || (text[0] == '0' && text[1] != '\0'))
		return -1;
	for (; *text != '\0'; text++) {
		if (*text < '0' || *text > '9')
			return -1;
		bits = bits * 10 + (*text - '0');
		if (bits > most)
			return -1;
	}
	return bits;
}

int ch_prefix_parse(const char *text, struct guard_prefix *prefix)
{
	const char *slash = strchr(text, '/');
	size_t len = slash != NULL ? (size_t)(slash - text) : strlen(text);
	struct ch_address address;
	struct guard_source whole;
	char endpoint[CH_ADDRESS_TEXT];
	int most;
	int bits;

	if (len > 46)
		return CH_E_SYNTAX;
	snprintf(endpoint, sizeof(endpoint), memchr(text, ':', len) != NULL ? "[%.*s]:1" : "%.*s:1",
		 (int)len, text);
	if (ch_address_parse(endpoint, &address) != 0)
		return CH_E_SYNTAX;
	most = address.family == 4 ? 32 : 128;
	bits = slash != NULL ? parse_bits(slash + 1, most) : most;
	if (bits < 0)
		return CH_E_SYNTAX;
	prefix->bits = (uint32_t)(address.family == 4 ? 96 + bits : bits);
	ch_source_whole(&address, &whole);
	prefix->source = whole;
	ch_source_cut(&prefix->source, prefix->bits);
	return memcmp(&whole, &prefix->source, sizeof(whole)) == 0 ? 0 : CH_E_RANGE;
}

void ch_prefix_format(const struct guard_prefix *prefix, char text[CH_PREFIX_TEXT])
{
	bool v4 = prefix->bits >= 96 && ch_source_is_v4(&prefix->source);
	struct ch_address address = {.family = v4 ? 4 : 6};
	uint32_t bits = v4 ? prefix->bits - 96 : prefix->bits;
	char endpoint[CH_ADDRESS_TEXT];
	int len;

	memcpy(address.ip, &prefix->source.bytes[v4 ? 12 : 0], v4 ? 4 : 16);
	ch_address_format(&address, endpoint);
	/* Without the port, and without the brackets that are there for it. */
	len = (int)(strrchr(endpoint, ':') - endpoint);
	if (v4)
		len = snprintf(text, CH_PREFIX_TEXT, "%.*s", len, endpoint);
	else
		len = snprintf(text, CH_PREFIX_TEXT, "%.*s", len - 2, endpoint + 1);
	if (bits != (v4 ? 32u : 128u))
		snprintf(text + len, CH_PREFIX_TEXT - (size_t)len, "/%u", bits);
}

static int append(struct ch_prefix_list *list, const struct guard_prefix *prefix, uint32_t rule)
{
	if (list->count == CH_PREFIXES_MAX)
		return CH_E_LIMIT;
	if (list->count == list->cap) {
		size_t cap = list->cap != 0 ? list->cap * 2 : 64;
		struct ch_guard_prefix *items = realloc(list->items, cap * sizeof(*items));

		if (items == NULL)
			return -ENOMEM;
		list->items = items;
		list->cap = cap;
	}
	list->items[list->count++] = (struct ch_guard_prefix){*prefix, rule};
	return 0;
}

/*
 * An IPv6 prefix such as ::/0 spans the v4-mapped addresses too, but whoever writes it does not mean
 * IPv4: all of it but ::ffff:0:0/96, as the siblings on the way there.
 */
static int append_around_v4(struct ch_prefix_list *list, const struct guard_prefix *prefix,
			    uint32_t rule)
{
	int err = 0;

	for (uint32_t bit = prefix->bits; bit < 96 && err == 0; bit++) {
		struct guard_prefix sibling = {.bits = bit + 1};

		for (uint32_t i = 80; i < bit; i++)
			sibling.source.bytes[i / 8] |= (uint8_t)(0x80u >> i % 8);
		if (bit < 80)
			sibling.source.bytes[bit / 8] |= (uint8_t)(0x80u >> bit % 8);
		err = append(list, &sibling, rule);
	}
	return err;
}

int ch_prefix_list_add(struct ch_prefix_list *list, const struct guard_prefix *prefix,
		       uint32_t rule)
{
	static const struct guard_source v4 = {.bytes = {[10] = 0xff, [11] = 0xff}};
	struct guard_source way = v4;
	int err;

	ch_source_cut(&way, prefix->bits);
	if (prefix->bits < 96 && memcmp(&way, &prefix->source, sizeof(way)) == 0)
		err = append_around_v4(list, prefix, rule);
	else
		err = append(list, prefix, rule);
	list->written += err == 0;
	return err;
}

/* Takes comment and white space off. @return the first character, or NULL: nothing is left */
static char *trim(char *line)
{
	char *end = line + strcspn(line, "#\r\n");

	while (*line == ' ' || *line == '\t')
		line++;
	while (end > line && (end[-1] == ' ' || end[-1] == '\t'))
		end--;
	*end = '\0';
	return end > line ? line : NULL;
}

static int read_line(struct ch_prefix_list *list, const char *word, uint32_t rule, const char **why)
{
	struct guard_prefix prefix;
	int err = ch_prefix_parse(word, &prefix);

	*why = err == CH_E_RANGE ? "has bits behind its prefix length; set them to zero"
				 : "is no address or prefix; write 192.0.2.0/24 or 2001:db8::/32";
	if (err != 0)
		return CH_E_CONFIG;
	err = ch_prefix_list_add(list, &prefix, rule);
	*why = "is one too many: a million prefixes is the most";
	return err == CH_E_LIMIT ? CH_E_CONFIG : err;
}

int ch_prefix_list_read(struct ch_prefix_list *list, const char *file, uint32_t rule,
			struct ch_buf *error)
{
	FILE *in = fopen(file, "re");
	char line[LINE_MAX_BYTES];
	unsigned mistakes = 0;
	unsigned number = 0;
	int err = 0;

	if (in == NULL)
		return ch_buf_printf(error, "%s: cannot be read: %s\n", file, strerror(errno)) != 0
			       ? -ENOMEM
			       : CH_E_CONFIG;
	while (err != -ENOMEM && mistakes < MISTAKES_MAX && fgets(line, sizeof(line), in) != NULL) {
		char *word = trim(line);
		const char *why;

		number++;
		err = word != NULL ? read_line(list, word, rule, &why) : 0;
		if (err != CH_E_CONFIG)
			continue;
		mistakes++;
		if (ch_buf_printf(error, "%s:%u: \"%.64s\" %s\n", file, number, word, why) != 0)
			err = -ENOMEM;
	}
	fclose(in);
	if (err == -ENOMEM)
		return err;
	return mistakes > 0 ? CH_E_CONFIG : 0;
}

void ch_prefix_list_deinit(struct ch_prefix_list *list)
{
	free(list->items);
	*list = (struct ch_prefix_list){0};
}

/* Open addressing, at most half full; lengths that occur are tried from the longest. */
struct ch_prefixes {
	uint8_t lengths[129]; /**< longest first */
	uint32_t length_count;
	uint32_t mask;
	struct ch_guard_prefix slots[]; /**< rule 0 = free */
};

static uint32_t place_of(const struct ch_prefixes *p, const struct guard_prefix *prefix)
{
	uint32_t at = (uint32_t)ch_hash(prefix, sizeof(*prefix)) & p->mask;

	while (p->slots[at].rule != 0 &&
	       memcmp(&p->slots[at].prefix, prefix, sizeof(*prefix)) != 0)
		at = (at + 1) & p->mask;
	return at;
}

int ch_prefixes_new(const struct ch_prefix_list *list, struct ch_prefixes **prefixes)
{
	struct ch_prefixes *p;
	bool seen[129] = {false};
	size_t slots = 16;

	while (slots < 2 * list->count)
		slots *= 2;
	p = calloc(1, sizeof(*p) + slots * sizeof(p->slots[0]));
	if (p == NULL)
		return -ENOMEM;
	p->mask = (uint32_t)slots - 1;
	for (size_t i = 0; i < list->count; i++) {
		p->slots[place_of(p, &list->items[i].prefix)] = list->items[i];
		seen[list->items[i].prefix.bits] = true;
	}
	for (int bits = 128; bits >= 0; bits--)
		if (seen[bits])
			p->lengths[p->length_count++] = (uint8_t)bits;
	*prefixes = p;
	return 0;
}

void ch_prefixes_free(struct ch_prefixes *prefixes)
{
	free(prefixes);
}

uint32_t ch_prefixes_find(const struct ch_prefixes *p, const struct guard_source *source)
{
	for (uint32_t i = 0; i < p->length_count; i++) {
		struct guard_prefix key = {p->lengths[i], *source};
		uint32_t at;

		ch_source_cut(&key.source, key.bits);
		at = place_of(p, &key);
		if (p->slots[at].rule != 0)
			return p->slots[at].rule;
	}
	return 0;
}
