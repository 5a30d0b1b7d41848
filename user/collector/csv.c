/* SPDX-License-Identifier: Apache-2.0 */
#include "csv.h"
#include "text.h"

#include <string.h>

/* Cuts the next line out, without its end. @return false at the end of the text */
static bool next_line(struct ch_csv *csv, char **line, size_t *len)
{
	const char *end;

	if (csv->at == 0 && csv->len >= 3 && memcmp(csv->text, "\xef\xbb\xbf", 3) == 0)
		csv->at = 3;
	if (csv->at >= csv->len)
		return false;
	*line = csv->text + csv->at;
	end = memchr(*line, '\n', csv->len - csv->at);
	*len = end != NULL ? (size_t)(end - *line) : csv->len - csv->at;
	csv->at += *len + 1;
	csv->line++;
	if (*len > 0 && (*line)[*len - 1] == '\r')
		(*len)--;
	return true;
}

static bool is_blank(const char *line, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (line[i] != ' ' && line[i] != '\t')
			return false;
	}
	return true;
}

static const char *line_fault(const char *line, size_t len)
{
	if (len > CH_CSV_LINE_MAX)
		return "the line is longer than 4096 bytes; is this a CSV file?";
	if (memchr(line, '\0', len) != NULL)
		return "a NUL byte; save the file as UTF-8 text";
	switch (ch_text_check(line, len)) {
	case CH_TEXT_NOT_UTF8:
		return "not UTF-8; save the file as UTF-8 text";
	case CH_TEXT_CONTROL:
		return "a control character (a tab, perhaps); remove it";
	case CH_TEXT_FINE:
		break;
	}
	return NULL;
}

/* Reads the quoted field that starts at @in; @after is where its closing quote was left behind. */
static const char *quoted_field(char *in, const char *end, struct ch_csv_field *field, char **after)
{
	char *out = in;

	*field = (struct ch_csv_field){.text = in, .quoted = true};
	for (in++; in < end; in++) {
		if (*in == '"' && (in + 1 == end || in[1] != '"'))
			break;
		if (*in == '"')
			in++;
		*out++ = *in;
	}
	if (in >= end)
		return "a quoted field does not end on its line; close the quote";
	*after = in + 1;
	if (*after < end && **after != ',')
		return "text after a closing quote; put a comma there, or double the quotes inside";
	field->len = (size_t)(out - field->text);
	return NULL;
}

static const char *plain_field(char *in, const char *end, struct ch_csv_field *field, char **after)
{
	char *comma = memchr(in, ',', (size_t)(end - in));

	*after = comma != NULL ? comma : in + (end - in);
	*field = (struct ch_csv_field){.text = in, .len = (size_t)(*after - in)};
	if (memchr(in, '"', field->len) != NULL)
		return "a quote inside a field; put the whole field in quotes and double those inside";
	if (field->len > 0 && (in[0] == ' ' || in[field->len - 1] == ' '))
		return "a blank before or after a field; remove it, or put the field in quotes";
	return NULL;
}

static const char *split(char *line, size_t len, struct ch_csv_record *record)
{
	char *end = line + len;

	for (char *in = line;; in++) {
		struct ch_csv_field *field = &record->fields[record->count];
		char *after;
		const char *fault;

		if (record->count == CH_CSV_FIELDS_MAX)
			return "more than 8 fields";
		if (in < end && *in == '"')
			fault = quoted_field(in, end, field, &after);
		else
			fault = plain_field(in, end, field, &after);
		if (fault != NULL)
			return fault;
		record->count++;
		if (after == end)
			break;
		in = after;
	}
	/* Only now: the terminators overwrite commas and the end of the line. */
	for (uint32_t i = 0; i < record->count; i++)
		record->fields[i].text[record->fields[i].len] = '\0';
	return NULL;
}

bool ch_csv_next(struct ch_csv *csv, struct ch_csv_record *record)
{
	char *line;
	size_t len;

	while (next_line(csv, &line, &len)) {
		if (is_blank(line, len) || line[0] == '#')
			continue;
		*record = (struct ch_csv_record){.line = csv->line};
		record->error = line_fault(line, len);
		if (record->error == NULL)
			record->error = split(line, len, record);
		if (record->error != NULL)
			record->count = 0;
		return true;
	}
	return false;
}
