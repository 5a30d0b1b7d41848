/* SPDX-License-Identifier: Apache-2.0 */
#include "text.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Decodes one UTF-8 character. @return its length, 0 = malformed (RFC 3629: no overlong, no surrogate). */
static size_t decode(const unsigned char *s, size_t len, uint32_t *code)
{
	size_t need = s[0] < 0x80 ? 1 : s[0] < 0xc2 ? 0 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;

	if (need == 0 || need > len || s[0] > 0xf4)
		return 0;
	*code = need == 1 ? s[0] : s[0] & (0x7fu >> need);
	for (size_t i = 1; i < need; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		*code = *code << 6 | (s[i] & 0x3fu);
	}
	if ((need == 3 && *code < 0x800) || (need == 4 && (*code < 0x10000 || *code > 0x10ffff)))
		return 0;
	return *code >= 0xd800 && *code <= 0xdfff ? 0 : need;
}

static bool is_control(uint32_t code)
{
	return code < 0x20 || (code >= 0x7f && code < 0xa0) || (code >= 0x2028 && code <= 0x202e) ||
	       (code >= 0x2066 && code <= 0x2069) || code == 0x200e || code == 0x200f ||
	       code == 0x061c || code == 0xfeff;
}

enum ch_text_fault ch_text_check(const char *text, size_t len)
{
	const unsigned char *s = (const unsigned char *)text;

	for (size_t i = 0; i < len;) {
		uint32_t code;
		size_t n = decode(s + i, len - i, &code);

		if (n == 0)
			return CH_TEXT_NOT_UTF8;
		if (is_control(code))
			return CH_TEXT_CONTROL;
		i += n;
	}
	return CH_TEXT_FINE;
}

static bool is_alnum(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

bool ch_name_is_valid(const char *name)
{
	size_t i = 0;

	if (!is_alnum(name[0]))
		return false;
	while (is_alnum(name[i]) || name[i] == '.' || name[i] == '_' || name[i] == '-')
		i++;
	return name[i] == '\0' && i <= CH_NAME_MAX;
}

enum { WORD_MAX = 64 };

static unsigned least(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

unsigned ch_text_distance(const char *a, const char *b)
{
	size_t la = strnlen(a, WORD_MAX + 1), lb = strnlen(b, WORD_MAX + 1);
	unsigned rows[3][WORD_MAX + 1];
	unsigned *before = rows[0], *last = rows[1], *row = rows[2];

	if (la > WORD_MAX || lb > WORD_MAX)
		return UINT_MAX;
	for (unsigned j = 0; j <= lb; j++)
		last[j] = j;
	for (unsigned i = 1; i <= la; i++) {
		unsigned *spare = before;

		row[0] = i;
		for (unsigned j = 1; j <= lb; j++) {
			unsigned cost = a[i - 1] == b[j - 1] ? 0 : 1;

			row[j] = least(least(last[j], row[j - 1]) + 1, last[j - 1] + cost);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				row[j] = least(row[j], before[j - 2] + 1);
		}
		before = last;
		last = row;
		row = spare;
	}
	return last[lb];
}

void ch_nearest_try(struct ch_nearest *nearest, const char *word, const char *candidate)
{
	unsigned distance = ch_text_distance(word, candidate);
	size_t len = strnlen(candidate, WORD_MAX);

	if (distance > len / 3 + (len < 3 ? 1 : 0))
		return;
	if (nearest->word == NULL || distance < nearest->distance)
		*nearest = (struct ch_nearest){candidate, distance};
}

char *ch_path_resolve(const char *directory, const char *path)
{
	struct ch_buf buf = {0};

	if (path[0] == '/' || strcmp(directory, ".") == 0)
		return strdup(path);
	if (ch_buf_printf(&buf, "%s%s%s", directory,
			  directory[strlen(directory) - 1] == '/' ? "" : "/", path) != 0 ||
	    ch_buf_append(&buf, "", 1) != 0)
		ch_buf_deinit(&buf);
	return (char *)buf.data;
}

char *ch_path_directory(const char *path)
{
	const char *slash = strrchr(path, '/');

	if (slash == NULL)
		return strdup(".");
	return strndup(path, slash == path ? 1 : (size_t)(slash - path));
}

static int read_all(int fd, size_t max, struct ch_buf *into)
{
	for (;;) {
		ssize_t n;
		int err = ch_buf_reserve(into, 65536 + 1);

		if (err != 0)
			return err;
		n = read(fd, into->data + into->len, into->cap - into->len - 1);
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n == 0)
			return 0;
		if (n > 0)
			into->len += (size_t)n;
		if (into->len > max)
			return CH_E_LIMIT;
	}
}

int ch_file_read(const char *path, size_t max, struct ch_buf *into)
{
	struct stat st;
	/* O_NONBLOCK: opening a FIFO must not hang. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	int err = 0;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) != 0)
		err = -errno;
	else if (!S_ISREG(st.st_mode))
		err = S_ISDIR(st.st_mode) ? -EISDIR : -EINVAL;
	else if ((uint64_t)st.st_size > max)
		err = CH_E_LIMIT;
	else
		err = ch_buf_reserve(into, (size_t)st.st_size + 65536 + 2);
	if (err == 0)
		err = read_all(fd, max, into);
	close(fd);
	return err;
}
