/* SPDX-License-Identifier: Apache-2.0 */
#include "diag.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

static void put(struct ch_diag *diag, struct ch_position at, const char *text)
{
	struct ch_buf *out = diag->out;
	int err = 0;

	if (out->len > 0)
		err = ch_buf_append_str(out, "\n");
	if (err == 0 && at.line == 0)
		err = ch_buf_printf(out, "%s: %s", diag->file, text);
	else if (err == 0 && at.column == 0)
		err = ch_buf_printf(out, "%s:%u: %s", diag->file, at.line, text);
	else if (err == 0)
		err = ch_buf_printf(out, "%s:%u:%u: %s", diag->file, at.line, at.column, text);
	if (err != 0 && diag->err == 0)
		diag->err = err;
}

void ch_diag_add(struct ch_diag *diag, struct ch_position at, const char *fmt, ...)
{
	char text[1024];
	va_list args;

	diag->count++;
	if (diag->count > CH_DIAG_MAX)
		return;
	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	for (char *c = text; *c != '\0'; c++) {
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			*c = '?';
	}
	put(diag, at, text);
}

int ch_diag_end(struct ch_diag *diag)
{
	char text[64];

	if (diag->count > CH_DIAG_MAX) {
		snprintf(text, sizeof(text), "and %u more", diag->count - CH_DIAG_MAX);
		put(diag, (struct ch_position){0, 0}, text);
	}
	if (diag->err != 0)
		return -ENOMEM;
	return diag->count > 0 ? CH_E_CONFIG : 0;
}
