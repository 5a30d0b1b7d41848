/* SPDX-License-Identifier: Apache-2.0 */
/* links: collector guard kernel core */
#include "user/collector/csv.h"
#include "user/collector/text.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Renders all records: fields in <>, records with their line, errors as "!". */
static void render(const char *in, size_t len, char out[1024])
{
	char *text = malloc(len + 1);
	struct ch_csv csv = {.text = text, .len = len};
	struct ch_csv_record record;
	size_t used = 0;

	memcpy(text, in, len);
	out[0] = '\0';
	while (ch_csv_next(&csv, &record)) {
		used += (size_t)snprintf(out + used, 1024 - used, "%u:", record.line);
		if (record.error != NULL)
			used += (size_t)snprintf(out + used, 1024 - used, "!%s", record.error);
		for (uint32_t i = 0; i < record.count; i++)
			used += (size_t)snprintf(out + used, 1024 - used, "<%s>",
						 record.fields[i].text);
		used += (size_t)snprintf(out + used, 1024 - used, ";");
	}
	free(text);
}

struct row {
	const char *in;
	const char *out;
};

static void check_rows(const struct row *rows, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		char out[1024];

		render(rows[i].in, strlen(rows[i].in), out);
		cr_expect_str_eq(out, rows[i].out, "%s gave %s", rows[i].in, out);
	}
}
#define CHECK(rows) check_rows(rows, sizeof(rows) / sizeof(rows[0]))

Test(csv, splits_records_and_fields)
{
	static const struct row rows[] = {
		{"", ""},
		{"a", "1:<a>;"},
		{"a,b\nc,d\n", "1:<a><b>;2:<c><d>;"},
		{"a,b\r\nc,d\r\n", "1:<a><b>;2:<c><d>;"},
		{"a,,\n,\n", "1:<a><><>;2:<><>;"},
		{"\xef\xbb\xbf" "a,b", "1:<a><b>;"},
		{"1,2,3,4,5,6,7,8", "1:<1><2><3><4><5><6><7><8>;"},
		{"\xc3\xa4,\xe2\x82\xac,\xf0\x9f\x98\x80", "1:<\xc3\xa4><\xe2\x82\xac><\xf0\x9f\x98\x80>;"},
	};

	CHECK(rows);
}

Test(csv, passes_over_comments_and_blank_lines_but_counts_them)
{
	static const struct row rows[] = {
		{"# c\n\n \t\r\na\n#\nb", "4:<a>;6:<b>;"},
		{"a,#b\n", "1:<a><#b>;"},
		{"#\xff\x01\n", ""},
		{"\"#\",a\n", "1:<#><a>;"},
	};

	CHECK(rows);
}

Test(csv, unquotes_as_rfc_4180)
{
	static const struct row rows[] = {
		{"\"a\",b", "1:<a><b>;"},
		{"\"a,b\",c", "1:<a,b><c>;"},
		{"\"a \"\"b\"\" c\",d\n", "1:<a \"b\" c><d>;"},
		{"\"\",\"\"\"\"\n", "1:<><\">;"},
		{"\" a \"", "1:< a >;"},
	};

	CHECK(rows);
}

Test(csv, names_what_is_wrong_and_goes_on_with_the_next_line)
{
	static const struct row rows[] = {
		{"\"a\nb\n", "1:!a quoted field does not end on its line; close the quote;2:<b>;"},
		{"\"a\"b\nc\n", "1:!text after a closing quote; put a comma there, or double the quotes "
				"inside;2:<c>;"},
		{"a\"b\nc\n", "1:!a quote inside a field; put the whole field in quotes and double "
			      "those inside;2:<c>;"},
		{"a, b\nc\n", "1:!a blank before or after a field; remove it, or put the field in "
			      "quotes;2:<c>;"},
		{"a ,b\n", "1:!a blank before or after a field; remove it, or put the field in quotes;"},
		{"1,2,3,4,5,6,7,8,9\nc\n", "1:!more than 8 fields;2:<c>;"},
		{"a\tb\nc\n", "1:!a control character (a tab, perhaps); remove it;2:<c>;"},
		{"a\rb\n", "1:!a control character (a tab, perhaps); remove it;"},
		{"a\x7f\n", "1:!a control character (a tab, perhaps); remove it;"},
		{"a\xc2\x85\n", "1:!a control character (a tab, perhaps); remove it;"},
		{"a\xe2\x80\xae\n", "1:!a control character (a tab, perhaps); remove it;"},
		{"a\xff\nc\n", "1:!not UTF-8; save the file as UTF-8 text;2:<c>;"},
		{"\xc0\xaf\n", "1:!not UTF-8; save the file as UTF-8 text;"},
		{"\xed\xa0\x80\n", "1:!not UTF-8; save the file as UTF-8 text;"},
		{"\xf4\x90\x80\x80\n", "1:!not UTF-8; save the file as UTF-8 text;"},
		{"a\xe2\x82\n", "1:!not UTF-8; save the file as UTF-8 text;"},
	};
	char out[1024];

	CHECK(rows);
	render("a\0b\nc", 5, out);
	cr_expect_str_eq(out, "1:!a NUL byte; save the file as UTF-8 text;2:<c>;");
}

Test(csv, takes_lines_of_4096_bytes_and_no_longer)
{
	char line[4100];
	struct ch_csv csv = {.text = line, .len = 4096};
	struct ch_csv_record record;

	memset(line, 'x', sizeof(line));
	cr_assert(ch_csv_next(&csv, &record));
	cr_expect_null(record.error);
	cr_expect_eq(record.fields[0].len, 4096);
	memset(line, 'x', sizeof(line));
	csv = (struct ch_csv){.text = line, .len = 4097};
	cr_assert(ch_csv_next(&csv, &record));
	cr_expect_str_eq(record.error, "the line is longer than 4096 bytes; is this a CSV file?");
	cr_expect_eq(record.count, 0);
}

Test(csv, tells_quoted_fields)
{
	char text[] = "\"a\",b";
	struct ch_csv csv = {.text = text, .len = 5};
	struct ch_csv_record record;

	cr_assert(ch_csv_next(&csv, &record));
	cr_expect(record.fields[0].quoted);
	cr_expect_not(record.fields[1].quoted);
}

Test(text, counts_edits)
{
	cr_expect_eq(ch_text_distance("", ""), 0);
	cr_expect_eq(ch_text_distance("abc", ""), 3);
	cr_expect_eq(ch_text_distance("max-sesions", "max-sessions"), 1);
	cr_expect_eq(ch_text_distance("lisetn", "listen"), 1);
	cr_expect_eq(ch_text_distance("kitten", "sitting"), 3);
	cr_expect_eq(ch_text_distance("a", "bcd"), 3);
}

Test(text, suggests_only_what_is_near)
{
	struct ch_nearest nearest = {0};

	ch_nearest_try(&nearest, "lisetn", "limits");
	ch_nearest_try(&nearest, "lisetn", "listen");
	ch_nearest_try(&nearest, "lisetn", "log");
	cr_expect_str_eq(nearest.word, "listen");
	nearest = (struct ch_nearest){0};
	ch_nearest_try(&nearest, "bogus", "listen");
	cr_expect_null(nearest.word);
}

Test(text, knows_names)
{
	static const char *const good[] = {"a", "A1", "0", "acme.corp_x-1"};
	static const char *const bad[] = {"", "-a", ".a", "a b", "a/b", "a:b", "\xc3\xa4"};
	char longest[65];

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		cr_expect(ch_name_is_valid(good[i]), "%s", good[i]);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		cr_expect_not(ch_name_is_valid(bad[i]), "%s", bad[i]);
	memset(longest, 'x', 64);
	longest[64] = '\0';
	cr_expect_not(ch_name_is_valid(longest));
	longest[63] = '\0';
	cr_expect(ch_name_is_valid(longest));
}

Test(text, resolves_paths_against_a_directory)
{
	static const char *const rows[][3] = {
		{".", "a", "a"},	  {"/etc", "a", "/etc/a"}, {"/etc/", "a", "/etc/a"},
		{"/", "a", "/a"},	  {"/etc", "/a", "/a"},	   {"x/y", "../a", "x/y/../a"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char *path = ch_path_resolve(rows[i][0], rows[i][1]);

		cr_expect_str_eq(path, rows[i][2]);
		free(path);
	}
}

Test(text, finds_the_directory_of_a_path)
{
	static const char *const rows[][2] = {
		{"a", "."}, {"/a", "/"}, {"/b/a", "/b"}, {"b/a", "b"}, {"./a", "."},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char *path = ch_path_directory(rows[i][0]);

		cr_expect_str_eq(path, rows[i][1]);
		free(path);
	}
}
