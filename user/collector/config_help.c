/* SPDX-License-Identifier: Apache-2.0 */
#include "config_load.h"

#include <string.h>

enum { WIDTH = 92 };

/* Words of @text broken at WIDTH, each line behind @indent blanks. */
static int wrap(struct ch_buf *out, const char *text, int indent)
{
	int err = 0, column = 0;

	while (*text != '\0' && err == 0) {
		int len = (int)strcspn(text, " ");

		if (column > 0 && column + 1 + len > WIDTH) {
			err = ch_buf_append_str(out, "\n");
			column = 0;
		}
		if (err == 0)
			err = ch_buf_printf(out, "%*s%.*s", column == 0 ? indent : 1, "", len, text);
		column += len + (column == 0 ? indent : 1);
		text += len;
		text += strspn(text, " ");
	}
	return err == 0 ? ch_buf_append_str(out, "\n") : err;
}

static int add_choices(struct ch_buf *line, const struct ch_option *option)
{
	const char *between = option->type == CH_OPTION_FLAGS ? ", " : " | ";
	int err = ch_buf_append_str(line, option->type == CH_OPTION_FLAGS ? "list of: " : "");

	for (const struct ch_choice *c = option->choices; c->name != NULL && err == 0; c++)
		err = ch_buf_printf(line, "%s%s", c == option->choices ? "" : between, c->name);
	return err;
}

static int add_range(struct ch_buf *line, const struct ch_option *option, const char *noun)
{
	char min[CH_VALUE_TEXT], max[CH_VALUE_TEXT];
	int err = ch_buf_printf(line, "%s, %s to %s", noun,
				ch_option_bound(option, option->min, min),
				ch_option_bound(option, option->max, max));

	if (err == 0 && option->zero != NULL)
		err = ch_buf_printf(line, "; 0 = %s", option->zero);
	return err;
}

static int add_type(struct ch_buf *line, const struct ch_option *option)
{
	switch (option->type) {
	case CH_OPTION_NAME:
		return ch_buf_append_str(line, "name");
	case CH_OPTION_PATH:
		return ch_buf_append_str(line, "path");
	case CH_OPTION_PREFIX:
		return ch_buf_append_str(line, "prefix");
	case CH_OPTION_INTERFACES:
		return ch_buf_append_str(line, "interfaces");
	case CH_OPTION_ADDRESS:
		return ch_buf_append_str(line, "address:port");
	case CH_OPTION_BOOL:
		return ch_buf_append_str(line, "true | false");
	case CH_OPTION_CHOICE:
	case CH_OPTION_FLAGS:
		return add_choices(line, option);
	case CH_OPTION_UINT:
		return add_range(line, option, "number");
	case CH_OPTION_POWER:
		return add_range(line, option, "power of two");
	case CH_OPTION_SIZE:
		return add_range(line, option, "size");
	case CH_OPTION_DURATION:
		return add_range(line, option, "duration");
	}
	return 0;
}

static int add_option(struct ch_buf *out, const struct ch_option *option)
{
	struct ch_buf line = {0};
	int err = ch_buf_printf(out, "  %s\n", option->key);

	if (err == 0)
		err = add_type(&line, option);
	if (err == 0 && option->required)
		err = ch_buf_append_str(&line, " (required)");
	else if (err == 0 && option->fallback != NULL)
		err = ch_buf_printf(&line, " (default %s)", option->fallback);
	if (err == 0)
		err = ch_buf_append(&line, "", 1);
	if (err == 0)
		err = wrap(out, (const char *)line.data, 6);
	if (err == 0)
		err = wrap(out, option->help, 6);
	ch_buf_deinit(&line);
	return err;
}

static int add_section(struct ch_buf *out, enum ch_section_id id)
{
	const struct ch_section *section = &ch_sections[id];
	int err;

	if (id == CH_SECTION_ROOT)
		err = ch_buf_append_str(out, "\nAt the top of the file:\n");
	else
		err = ch_buf_printf(out, "\n%s: (%s%s)\n", section->path,
				    section->list ? "list of mappings" : "mapping",
				    section->required ? ", required" : "");
	if (err == 0 && id != CH_SECTION_ROOT)
		err = wrap(out, section->help, 2);
	for (size_t i = 0; i < ch_option_count && err == 0; i++) {
		if (ch_options[i].section == id)
			err = add_option(out, &ch_options[i]);
	}
	return err;
}

int ch_config_help(struct ch_buf *out)
{
	int err = ch_buf_append_str(
		out, "Numbers are decimal. Sizes take B, KiB, MiB, GiB, TiB (1024) or kB, MB, GB, TB "
		     "(1000);\ndurations take ms, s, min, h or d. Relative paths start where the "
		     "file is.\n");

	for (int s = CH_SECTION_ROOT; s < CH_SECTION_COUNT && err == 0; s++)
		err = add_section(out, (enum ch_section_id)s);
	return err;
}
