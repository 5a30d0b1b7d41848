/* SPDX-License-Identifier: Apache-2.0 */
#include "buf.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int ch_budget_take(struct ch_budget *budget, uint64_t bytes)
{
	uint64_t before;

	if (budget == NULL)
		return 0;
	before = atomic_fetch_add_explicit(&budget->used, bytes, memory_order_relaxed);
	if (budget->limit == 0 || before + bytes <= budget->limit)
		return 0;
	atomic_fetch_sub_explicit(&budget->used, bytes, memory_order_relaxed);
	return CH_E_BUDGET;
}

void ch_budget_give(struct ch_budget *budget, uint64_t bytes)
{
	if (budget != NULL)
		atomic_fetch_sub_explicit(&budget->used, bytes, memory_order_relaxed);
}

void ch_buf_deinit(struct ch_buf *buf)
{
	free(buf->data);
	ch_budget_give(buf->budget, buf->cap);
	buf->data = NULL;
	buf->len = 0;
	buf->cap = 0;
}

void ch_buf_wipe(struct ch_buf *buf)
{
	if (buf->data != NULL)
		explicit_bzero(buf->data, buf->cap);
	ch_buf_deinit(buf);
}

int ch_buf_reserve(struct ch_buf *buf, size_t more)
{
	size_t need;
	size_t cap;
	uint8_t *data;
	int err;

	if (more <= buf->cap - buf->len)
		return 0;
	if (__builtin_add_overflow(buf->len, more, &need))
		need = SIZE_MAX;
	if (buf->max != 0 && need > buf->max)
		return CH_E_LIMIT;
	if (need > PTRDIFF_MAX)
		return -ENOMEM;
	cap = buf->cap < 64 ? 64 : buf->cap + buf->cap / 2;
	if (cap < need)
		cap = need;
	if (buf->max != 0 && cap > buf->max)
		cap = buf->max;
	err = ch_budget_take(buf->budget, cap - buf->cap);
	if (err != 0)
		return err;
	data = realloc(buf->data, cap);
	if (data == NULL) {
		ch_budget_give(buf->budget, cap - buf->cap);
		return -ENOMEM;
	}
	buf->data = data;
	buf->cap = cap;
	return 0;
}

int ch_buf_append(struct ch_buf *buf, const void *data, size_t len)
{
	int err;

	if (len == 0)
		return 0;
	err = ch_buf_reserve(buf, len);
	if (err != 0)
		return err;
	memcpy(buf->data + buf->len, data, len);
	buf->len += len;
	return 0;
}

int ch_buf_append_str(struct ch_buf *buf, const char *str)
{
	return ch_buf_append(buf, str, strlen(str));
}

int ch_buf_printf(struct ch_buf *buf, const char *fmt, ...)
{
	char small[256];
	char *text = small;
	va_list args;
	int need;
	int err;

	va_start(args, fmt);
	need = vsnprintf(small, sizeof(small), fmt, args);
	va_end(args);
	if (need < 0)
		return -EINVAL;
	/* Through a copy: the NUL of vsnprintf must not count against @max. */
	if ((size_t)need >= sizeof(small)) {
		text = malloc((size_t)need + 1);
		if (text == NULL)
			return -ENOMEM;
		va_start(args, fmt);
		vsnprintf(text, (size_t)need + 1, fmt, args);
		va_end(args);
	}
	err = ch_buf_append(buf, text, (size_t)need);
	if (text != small)
		free(text);
	return err;
}

void ch_buf_consume(struct ch_buf *buf, size_t len)
{
	buf->len -= len;
	if (buf->len > 0)
		memmove(buf->data, buf->data + len, buf->len);
}

void ch_hex(const uint8_t digest[32], char text[CH_HEX_CAP])
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < 32; i++) {
		text[2 * i] = digits[digest[i] >> 4];
		text[2 * i + 1] = digits[digest[i] & 15];
	}
	text[CH_HEX_CAP - 1] = '\0';
}
