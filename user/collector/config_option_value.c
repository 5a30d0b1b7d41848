/* SPDX-License-Identifier: Apache-2.0 */
#include "config_load.h"
#include "text.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *ch_option_bound(const struct ch_option *option, uint64_t value,
			    char text[CH_VALUE_TEXT])
{
	if (option->type == CH_OPTION_SIZE)
		return ch_size_text(value, text);
	if (option->type == CH_OPTION_DURATION)
		return ch_duration_text(value, text);
	snprintf(text, CH_VALUE_TEXT, "%" PRIu64, value);
	return text;
}

static const char *how_to_write(const struct ch_option *option)
{
	switch (option->type) {
	case CH_OPTION_SIZE:
		return "a size; write a number with B, KiB, MiB, GiB, TiB, kB, MB, GB or TB";
	case CH_OPTION_DURATION:
		return "a duration; write a number with ms, s, min, h or d";
	case CH_OPTION_BOOL:
		return "a yes or no; write true or false";
	case CH_OPTION_UINT:
	case CH_OPTION_POWER:
		return "a number; write decimal digits only";
	case CH_OPTION_NAME:
		return "a name; write 1 to 63 letters, digits, '.', '_' or '-', first a letter or "
		       "digit";
	case CH_OPTION_ADDRESS:
		return "an address with a port; write 192.0.2.1:4335 or [2001:db8::1]:4335";
	case CH_OPTION_PREFIX:
		return "a prefix; write 192.0.2.0/24 or 2001:db8::/32, with zeros behind the "
		       "length";
	case CH_OPTION_INTERFACES:
		return "a list of interfaces; write eth0, or up to eight different ones with "
		       "commas "
		       "between: eth0,eth1";
	case CH_OPTION_PATH:
	case CH_OPTION_CHOICE:
	case CH_OPTION_FLAGS:
		break;
	}
	return "allowed";
}

static void report_syntax(struct ch_config_load *load, const struct ch_option *option,
			  const char *text, struct ch_position at)
{
	char path[64];

	ch_diag_add(&load->diag, at, "%s: \"%.64s\" is not %s", ch_option_path(option, path), text,
		    how_to_write(option));
}

static void report_range(struct ch_config_load *load, const struct ch_option *option,
			 const char *text, struct ch_position at)
{
	char path[64], min[CH_VALUE_TEXT], max[CH_VALUE_TEXT];

	ch_option_path(option, path);
	ch_option_bound(option, option->min, min);
	ch_option_bound(option, option->max, max);
	if (option->zero != NULL)
		ch_diag_add(&load->diag, at,
			    "%s: %.64s is out of range; allowed are %s to %s, and 0 (%s)", path,
			    text, min, max, option->zero);
	else
		ch_diag_add(&load->diag, at, "%s: %.64s is out of range; allowed are %s to %s",
			    path, text, min, max);
}

static void set_number(struct ch_config_load *load, const struct ch_option *option,
		       uint64_t *field, const char *text, struct ch_position at)
{
	uint64_t unit = option->type == CH_OPTION_DURATION ? option->unit_ns : 1;
	uint64_t value = 0;
	char path[64];
	int err;

	if (option->type == CH_OPTION_SIZE)
		err = ch_parse_size(text, 0, UINT64_MAX, &value);
	else if (option->type == CH_OPTION_DURATION)
		err = ch_parse_duration(text, 0, UINT64_MAX, &value);
	else
		err = ch_parse_uint(text, 0, UINT64_MAX, &value);
	if (err == CH_E_SYNTAX) {
		report_syntax(load, option, text, at);
	} else if (err != 0 || ((value < option->min || value > option->max) &&
				(value != 0 || option->zero == NULL))) {
		report_range(load, option, text, at);
	} else if (value % unit != 0) {
		ch_diag_add(&load->diag, at, "%s: %.64s is not a whole number of %s",
			    ch_option_path(option, path), text,
			    unit == 1000000 ? "milliseconds" : "seconds");
	} else if (option->type == CH_OPTION_POWER && (value & (value - 1)) != 0) {
		ch_diag_add(&load->diag, at, "%s: %.64s is not a power of two; write %" PRIu64,
			    ch_option_path(option, path), text,
			    UINT64_C(1) << (63 - __builtin_clzll(value)));
	} else {
		*field = value / unit;
	}
}

static void set_string(struct ch_config_load *load, const struct ch_option *option, char **field,
		       const char *text, struct ch_position at)
{
	char path[64];

	struct guard_prefix prefix;

	if ((option->type == CH_OPTION_NAME && !ch_name_is_valid(text)) ||
	    (option->type == CH_OPTION_PREFIX && ch_prefix_parse(text, &prefix) != 0) ||
	    (option->type == CH_OPTION_INTERFACES && !ch_early_is_valid(text))) {
		report_syntax(load, option, text, at);
	} else if (option->type == CH_OPTION_PATH && text[0] == '\0') {
		ch_diag_add(&load->diag, at, "%s: an empty path; write the name of a file",
			    ch_option_path(option, path));
	} else {
		*field = option->type == CH_OPTION_PATH
				 ? ch_path_resolve(load->config->directory, text)
				 : strdup(text);
		if (*field == NULL)
			load->err = -ENOMEM;
	}
}

static void set_address(struct ch_config_load *load, const struct ch_option *option,
			struct ch_address *field, const char *text, struct ch_position at)
{
	struct ch_address address;
	char path[64];

	if (ch_address_parse(text, &address) != 0)
		report_syntax(load, option, text, at);
	else if (address.port == 0)
		ch_diag_add(&load->diag, at, "%s: port 0 cannot be called; the assigned port is "
					     "4335", ch_option_path(option, path));
	else
		*field = address;
}

static const struct ch_choice *find_choice(struct ch_config_load *load,
					   const struct ch_option *option, const char *text,
					   struct ch_position at)
{
	struct ch_nearest nearest = {0};
	struct ch_buf all = {0};
	char path[64];
	int err = 0;

	for (const struct ch_choice *c = option->choices; c->name != NULL; c++) {
		if (strcmp(c->name, text) == 0)
			return c;
	}
	for (const struct ch_choice *c = option->choices; c->name != NULL && err == 0; c++) {
		ch_nearest_try(&nearest, text, c->name);
		err = ch_buf_printf(&all, "%s%s", all.len > 0 ? ", " : "", c->name);
	}
	if (err != 0)
		load->err = -ENOMEM;
	else if (nearest.word != NULL)
		ch_diag_add(&load->diag, at,
			    "%s: \"%.64s\" is not allowed; did you mean \"%s\"? Allowed: %.*s",
			    ch_option_path(option, path), text, nearest.word, (int)all.len,
			    (const char *)all.data);
	else
		ch_diag_add(&load->diag, at, "%s: \"%.64s\" is not allowed; write one of: %.*s",
			    ch_option_path(option, path), text, (int)all.len,
			    (const char *)all.data);
	ch_buf_deinit(&all);
	return NULL;
}

static void set_choice(struct ch_config_load *load, const struct ch_option *option, uint32_t *field,
		       const char *text, struct ch_position at)
{
	const struct ch_choice *choice = find_choice(load, option, text, at);

	if (choice != NULL)
		*field = choice->value;
}

void ch_option_set_flag(struct ch_config_load *load, const struct ch_option *option, void *base,
			const char *text, struct ch_position at)
{
	uint32_t *field = (uint32_t *)((char *)base + option->offset);
	const struct ch_choice *choice = find_choice(load, option, text, at);
	char path[64];

	if (choice != NULL && (*field & choice->value) != 0)
		ch_diag_add(&load->diag, at, "%s: \"%s\" twice; remove one",
			    ch_option_path(option, path), text);
	else if (choice != NULL)
		*field |= choice->value;
}

void ch_option_set(struct ch_config_load *load, const struct ch_option *option, void *base,
		   const char *text, struct ch_position at)
{
	void *field = (char *)base + option->offset;

	switch (option->type) {
	case CH_OPTION_NAME:
	case CH_OPTION_PATH:
	case CH_OPTION_PREFIX:
	case CH_OPTION_INTERFACES:
		set_string(load, option, field, text, at);
		break;
	case CH_OPTION_ADDRESS:
		set_address(load, option, field, text, at);
		break;
	case CH_OPTION_UINT:
	case CH_OPTION_POWER:
	case CH_OPTION_SIZE:
	case CH_OPTION_DURATION:
		set_number(load, option, field, text, at);
		break;
	case CH_OPTION_BOOL:
		if (ch_parse_bool(text, field) != 0)
			report_syntax(load, option, text, at);
		break;
	case CH_OPTION_CHOICE:
		set_choice(load, option, field, text, at);
		break;
	case CH_OPTION_FLAGS:
		ch_option_set_flag(load, option, base, text, at);
		break;
	}
}
