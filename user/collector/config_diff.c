/* SPDX-License-Identifier: Apache-2.0 */
#include "config_diff.h"
#include "config_option.h"

#include <string.h>

static bool is_same_text(const char *a, const char *b)
{
	return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static bool is_same(const struct ch_option *option, const void *a, const void *b)
{
	switch (option->type) {
	case CH_OPTION_NAME:
	case CH_OPTION_PATH:
	case CH_OPTION_PREFIX:
	case CH_OPTION_INTERFACES:
		return is_same_text(*(char *const *)a, *(char *const *)b);
	case CH_OPTION_ADDRESS: {
		char one[CH_ADDRESS_TEXT];
		char other[CH_ADDRESS_TEXT];

		ch_address_format(a, one);
		ch_address_format(b, other);
		return strcmp(one, other) == 0;
	}
	case CH_OPTION_UINT:
	case CH_OPTION_POWER:
	case CH_OPTION_SIZE:
	case CH_OPTION_DURATION:
		return *(const uint64_t *)a == *(const uint64_t *)b;
	case CH_OPTION_BOOL:
		return *(const bool *)a == *(const bool *)b;
	case CH_OPTION_CHOICE:
	case CH_OPTION_FLAGS:
		return *(const uint32_t *)a == *(const uint32_t *)b;
	}
	return true;
}

/* An option of a list is the same if the lists are as long and each item has the same. */
static bool is_same_in_list(const struct ch_section *section, const struct ch_option *option,
			    const void *running, const void *next)
{
	const char *from = running;
	const char *to = next;
	const size_t count = *(const size_t *)(const void *)(from + section->count_offset);
	const char *items = *(char *const *)(const void *)(from + section->items_offset);
	const char *others = *(char *const *)(const void *)(to + section->items_offset);

	if (*(const size_t *)(const void *)(to + section->count_offset) != count)
		return false;
	for (size_t i = 0; i < count; i++) {
		size_t at = i * section->item_size + option->offset;

		if (!is_same(option, items + at, others + at))
			return false;
	}
	return true;
}

int ch_config_diff(const struct ch_config *running, const struct ch_config *next,
		   struct ch_buf *lines)
{
	char path[64];
	int err = 0;

	for (size_t i = 0; err == 0 && i < ch_option_count; i++) {
		const struct ch_option *option = &ch_options[i];
		const struct ch_section *section = &ch_sections[option->section];
		const char *a = (const char *)running + option->offset;
		const char *b = (const char *)next + option->offset;

		if ((section->live && !option->restart) ||
		    (section->list ? is_same_in_list(section, option, running, next)
				   : is_same(option, a, b)))
			continue;
		err = ch_buf_printf(lines, "%s: %s was changed; it takes effect with a restart\n",
				    next->file, ch_option_path(option, path));
	}
	return err;
}
