/* SPDX-License-Identifier: Apache-2.0 */
/* links: collector guard kernel core */
#include "user/collector/spool.h"
#include "user/collector/spool_files.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char directory[64];

/** The disk of the tests: every call goes through, unless a fault is set. */
static struct {
	size_t room;	    /**< bytes that still fit; then ENOSPC. SIZE_MAX = no limit */
	size_t most;	    /**< most bytes one write takes */
	int interrupts;	    /**< writes that end in EINTR first */
	int truncate_fails; /**< ftruncate calls that fail */
	unsigned writes;
	unsigned truncates;
	unsigned syncs;
	uint64_t now_ns;
} disk;

static ssize_t faulty_write(int fd, const void *data, size_t len)
{
	ssize_t n;

	if (disk.interrupts > 0) {
		disk.interrupts--;
		errno = EINTR;
		return -1;
	}
	disk.writes++;
	if (disk.room == 0) {
		errno = ENOSPC;
		return -1;
	}
	len = len < disk.most ? len : disk.most;
	len = len < disk.room ? len : disk.room;
	n = write(fd, data, len);
	if (n > 0 && disk.room != SIZE_MAX)
		disk.room -= (size_t)n;
	return n;
}

static int faulty_ftruncate(int fd, off_t len)
{
	disk.truncates++;
	if (disk.truncate_fails > 0) {
		disk.truncate_fails--;
		errno = EIO;
		return -1;
	}
	return ftruncate(fd, len);
}

static int counted_fdatasync(int fd)
{
	disk.syncs++;
	return fdatasync(fd);
}

static uint64_t set_clock(void)
{
	return disk.now_ns;
}

static const struct ch_spool_ops faulty = {faulty_write, faulty_ftruncate, counted_fdatasync,
					   set_clock};

static struct {
	unsigned lines;
	char last[1024];
} logged;

static void log_write(void *ctx, enum ch_log_level level, const char *line)
{
	(void)ctx;
	cr_assert_eq(level, CH_LOG_ERROR);
	logged.lines++;
	snprintf(logged.last, sizeof(logged.last), "%s", line);
}

static const struct ch_log test_log = {CH_LOG_INFO, log_write, NULL};

static void setup(void)
{
	snprintf(directory, sizeof(directory), "/tmp/callhome-spool-XXXXXX");
	cr_assert_not_null(mkdtemp(directory));
	memset(&disk, 0, sizeof(disk));
	memset(&logged, 0, sizeof(logged));
	disk.room = SIZE_MAX;
	disk.most = SIZE_MAX;
}

static void teardown(void)
{
	DIR *dir = opendir(directory);
	const struct dirent *entry;

	while (dir != NULL && (entry = readdir(dir)) != NULL)
		unlinkat(dirfd(dir), entry->d_name, 0);
	if (dir != NULL)
		closedir(dir);
	rmdir(directory);
}

TestSuite(spool, .init = setup, .fini = teardown);

static struct ch_spool_options options_of(uint64_t max_bytes, uint64_t file_bytes)
{
	return (struct ch_spool_options){.directory = directory,
					 .max_bytes = max_bytes,
					 .file_bytes = file_bytes,
					 .log = &test_log,
					 .ops = &faulty};
}

static struct ch_spool_files *open_files(uint64_t max_bytes, uint64_t file_bytes)
{
	struct ch_spool_options options = options_of(max_bytes, file_bytes);
	struct ch_spool_files *files = NULL;
	char error[256] = "";

	cr_assert_eq(ch_spool_files_open(&options, &files, error), 0, "%s", error);
	return files;
}

static void append(struct ch_spool_files *files, const char *text)
{
	uint32_t lines = 0;

	for (const char *c = text; *c != '\0'; c++)
		lines += *c == '\n';
	ch_spool_files_append(files, CH_SPOOL_EVENTS,
			      (struct ch_slice){(const uint8_t *)text, strlen(text)}, lines);
}

static struct ch_spool_counters counters_of(const struct ch_spool_files *files)
{
	struct ch_spool_counters counters;

	ch_spool_files_counters(files, &counters);
	return counters;
}

static void content(const char *name, char text[4096])
{
	char path[512];
	FILE *file;
	size_t len;

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	file = fopen(path, "r");
	cr_assert_not_null(file, "%s", path);
	len = fread(text, 1, 4095, file);
	text[len] = '\0';
	fclose(file);
}

static void put_file(const char *name, const char *text)
{
	char path[512];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	file = fopen(path, "w");
	cr_assert_not_null(file);
	fputs(text, file);
	fclose(file);
}

#define cr_expect_content(name, expected)                                                          \
	do {                                                                                       \
		char text_[4096];                                                                  \
		content(name, text_);                                                              \
		cr_expect_str_eq(text_, expected);                                                 \
	} while (0)

static int by_name(const void *a, const void *b)
{
	return strcmp(a, b);
}

/** Names of the rotated files, sorted by their number (the tests stay below 10). */
static size_t rotated_names(char names[16][128])
{
	DIR *dir = opendir(directory);
	const struct dirent *entry;
	size_t count = 0;

	while ((entry = readdir(dir)) != NULL) {
		if (strchr(entry->d_name, '-') != NULL && count < 16)
			snprintf(names[count++], 128, "%.127s", entry->d_name);
	}
	closedir(dir);
	qsort(names, count, 128, by_name);
	return count;
}

static uint64_t bytes_on_disk(void)
{
	DIR *dir = opendir(directory);
	const struct dirent *entry;
	uint64_t bytes = 0;
	struct stat st;

	while ((entry = readdir(dir)) != NULL) {
		if (entry->d_name[0] != '.' && fstatat(dirfd(dir), entry->d_name, &st, 0) == 0)
			bytes += (uint64_t)st.st_size;
	}
	closedir(dir);
	return bytes;
}

Test(spool, writes_a_batch_with_one_write)
{
	struct ch_spool_files *files = open_files(1 << 20, 1 << 16);

	append(files, "one\ntwo\nthree\n");
	cr_expect_eq(disk.writes, 1);
	cr_expect_eq(counters_of(files).written[CH_SPOOL_EVENTS], 3);
	cr_expect_eq(counters_of(files).written[CH_SPOOL_REPLIES], 0);
	cr_expect_eq(counters_of(files).bytes, 14);
	ch_spool_files_close(files);
	cr_expect_content("events.ndjson", "one\ntwo\nthree\n");
	cr_expect_content("replies.ndjson", "");
	cr_expect_eq(disk.syncs, 1, "close syncs what was written, and only that");
}

Test(spool, files_are_private_to_user_and_group)
{
	struct ch_spool_files *files;
	char inner[96];
	struct stat st;
	struct ch_spool_options options = options_of(1 << 20, 1 << 16);
	char error[256];

	umask(0);
	snprintf(inner, sizeof(inner), "%s/new", directory);
	options.directory = inner;
	cr_assert_eq(ch_spool_files_open(&options, &files, error), 0);
	cr_assert_eq(stat(inner, &st), 0);
	cr_expect_eq(st.st_mode & 07777, 0750);
	ch_spool_files_close(files);
	snprintf(inner, sizeof(inner), "%s/new/events.ndjson", directory);
	cr_assert_eq(stat(inner, &st), 0);
	cr_expect_eq(st.st_mode & 07777, 0640);
	for (int i = 0; i < 3; i++) {
		static const char *const names[] = {"events", "notifications", "replies"};

		snprintf(inner, sizeof(inner), "%s/new/%s.ndjson", directory, names[i]);
		unlink(inner);
	}
	snprintf(inner, sizeof(inner), "%s/new", directory);
	rmdir(inner);
}

Test(spool, a_short_write_goes_on)
{
	struct ch_spool_files *files = open_files(1 << 20, 1 << 16);

	disk.most = 5;
	disk.interrupts = 2;
	append(files, "one\ntwo\nthree\n");
	cr_expect_eq(disk.writes, 3);
	cr_expect_eq(counters_of(files).written[CH_SPOOL_EVENTS], 3);
	cr_expect_eq(counters_of(files).errors, 0);
	ch_spool_files_close(files);
	cr_expect_content("events.ndjson", "one\ntwo\nthree\n");
}

Test(spool, a_full_disk_leaves_whole_lines_and_counts_the_rest)
{
	struct ch_spool_files *files = open_files(1 << 20, 1 << 16);

	append(files, "zero\n");
	disk.room = 6; /* "one\n" and half of "two\n" */
	append(files, "one\ntwo\nthree\n");
	cr_expect_eq(counters_of(files).written[CH_SPOOL_EVENTS], 2);
	cr_expect_eq(counters_of(files).dropped, 2);
	cr_expect_eq(counters_of(files).errors, 1);
	cr_expect_eq(counters_of(files).bytes, 9);
	cr_expect_eq(disk.truncates, 1);
	cr_expect_content("events.ndjson", "zero\none\n");
	disk.room = SIZE_MAX;
	append(files, "four\n");
	cr_expect_eq(counters_of(files).written[CH_SPOOL_EVENTS], 3);
	ch_spool_files_close(files);
	cr_expect_content("events.ndjson", "zero\none\nfour\n");
}

Test(spool, a_tail_that_cannot_be_cut_is_cut_before_the_next_write)
{
	struct ch_spool_files *files = open_files(1 << 20, 1 << 16);

	disk.room = 6;
	disk.truncate_fails = 1;
	append(files, "one\ntwo\n");
	cr_expect_content("events.ndjson", "one\ntw");
	cr_expect_eq(counters_of(files).errors, 2, "the write and the truncation");
	disk.room = SIZE_MAX;
	disk.truncate_fails = 1;
	append(files, "three\n"); /* still cannot cut: nothing may be written behind half a line */
	cr_expect_content("events.ndjson", "one\ntw");
	cr_expect_eq(counters_of(files).dropped, 2);
	append(files, "four\n");
	cr_expect_content("events.ndjson", "one\nfour\n");
	cr_expect_eq(counters_of(files).written[CH_SPOOL_EVENTS], 2);
	ch_spool_files_close(files);
}

Test(spool, errors_are_logged_at_most_once_per_ten_seconds)
{
	struct ch_spool_files *files = open_files(1 << 20, 1 << 16);
	char expected[512];

	disk.room = 0;
	disk.now_ns = 1;
	for (int i = 0; i < 5; i++)
		append(files, "line\n");
	cr_expect_eq(counters_of(files).errors, 5);
	cr_expect_eq(logged.lines, 1);
	snprintf(expected, sizeof(expected),
		 "event=spool-error what=write file=%s/events.ndjson err=\"No space left on "
		 "device\" "
		 "dropped=1 held=0",
		 directory);
	cr_expect_str_eq(logged.last, expected);
	disk.now_ns = UINT64_C(10000000000);
	append(files, "line\n");
	cr_expect_eq(logged.lines, 1);
	disk.now_ns = UINT64_C(10000000001);
	append(files, "line\n");
	cr_expect_eq(logged.lines, 2);
	snprintf(expected, sizeof(expected),
		 "event=spool-error what=write file=%s/events.ndjson err=\"No space left on "
		 "device\" "
		 "dropped=7 held=5",
		 directory);
	cr_expect_str_eq(logged.last, expected);
	disk.room = SIZE_MAX;
	ch_spool_files_close(files);
}

Test(spool, a_file_is_filled_to_the_last_line_that_fits)
{
	struct ch_spool_files *files = open_files(4096, 10);
	char names[16][128];
	char text[4096];

	append(files, "aaaa\n");
	append(files,
	       "bbbb\ncccc\n"); /* b fills the first file to 10 exactly, c starts the second */
	cr_expect_eq(rotated_names(names), 1);
	content(names[0], text);
	cr_expect_str_eq(text, "aaaa\nbbbb\n");
	cr_expect_content("events.ndjson", "cccc\n");
	cr_expect_eq(counters_of(files).written[CH_SPOOL_EVENTS], 3);
	cr_expect_eq(counters_of(files).rotations, 1);
	cr_expect_eq(disk.syncs, 1, "a finished file is on disk before it gets its name");
	ch_spool_files_close(files);
}

Test(spool, an_exact_fit_does_not_rotate)
{
	struct ch_spool_files *files = open_files(4096, 10);

	append(files, "aaaa\nbbbb\n");
	cr_expect_eq(counters_of(files).rotations, 0);
	append(files, "c\n");
	cr_expect_eq(counters_of(files).rotations, 1);
	cr_expect_content("events.ndjson", "c\n");
	ch_spool_files_close(files);
}

Test(spool, a_line_longer_than_a_file_gets_its_own)
{
	struct ch_spool_files *files = open_files(4096, 10);
	char names[16][128];
	char text[4096];

	append(files, "a\nbbbbbbbbbbbbbbbb\nc\n");
	cr_expect_eq(rotated_names(names), 2);
	content(names[0], text);
	cr_expect_str_eq(text, "a\n");
	content(names[1], text);
	cr_expect_str_eq(text, "bbbbbbbbbbbbbbbb\n");
	cr_expect_content("events.ndjson", "c\n");
	cr_expect_eq(counters_of(files).written[CH_SPOOL_EVENTS], 3);
	ch_spool_files_close(files);
}

Test(spool, rotated_names_carry_utc_time_and_a_number)
{
	struct ch_spool_files *files = open_files(4096, 4);
	char names[16][128];
	int year = 0;
	int number = 0;
	char tail[16] = "";

	append(files, "aaa\nbbb\n");
	cr_assert_eq(rotated_names(names), 1);
	cr_expect_eq(strlen(names[0]), strlen("events-20260101T000000Z-1.ndjson"));
	cr_expect_eq(sscanf(names[0], "events-%4d%*4dT%*6dZ-%d.%15s", &year, &number, tail), 3);
	cr_expect_geq(year, 2024);
	cr_expect_eq(number, 1);
	cr_expect_str_eq(tail, "ndjson");
	ch_spool_files_close(files);
}

Test(spool, the_cap_removes_the_oldest_file_first)
{
	struct ch_spool_files *files = open_files(40, 10);
	char names[16][128];
	char text[4096];

	for (char c = 'a'; c <= 'h'; c++) {
		char line[] = {c, c, c, c, c, c, c, c, c, '\n', '\0'};

		append(files, line);
		cr_expect_leq(bytes_on_disk(), 40);
	}
	cr_expect_eq(bytes_on_disk(), 40);
	cr_expect_eq(rotated_names(names), 3);
	content(names[0], text);
	cr_expect_str_eq(text, "eeeeeeeee\n");
	cr_expect_content("events.ndjson", "hhhhhhhhh\n");
	cr_expect_eq(counters_of(files).removed_files, 4);
	cr_expect_eq(counters_of(files).dropped, 0);
	ch_spool_files_close(files);
}

Test(spool, the_cap_counts_all_streams)
{
	struct ch_spool_files *files = open_files(40, 10);

	ch_spool_files_append(files, CH_SPOOL_REPLIES, CH_LIT("rrrrrrrrr\n"), 1);
	ch_spool_files_append(files, CH_SPOOL_REPLIES, CH_LIT("sssssssss\n"), 1);
	for (int i = 0; i < 6; i++)
		append(files, "eeeeeeeee\n");
	cr_expect_eq(bytes_on_disk(), 40);
	cr_expect_content("replies.ndjson", "sssssssss\n");
	ch_spool_files_close(files);
}

Test(spool, without_rotated_files_the_largest_active_one_makes_room)
{
	struct ch_spool_files *files = open_files(40, 10);

	ch_spool_files_append(files, CH_SPOOL_REPLIES, CH_LIT("rrrrrrrrrrrrrrrrrrrrrrrrrrrrr\n"),
			      1);
	ch_spool_files_append(files, CH_SPOOL_NOTIFICATIONS, CH_LIT("nnnn\n"), 1);
	append(files, "eeeeeeeee\n");
	cr_expect_eq(counters_of(files).removed_files, 1);
	cr_expect_content("notifications.ndjson", "nnnn\n");
	cr_expect_content("events.ndjson", "eeeeeeeee\n");
	cr_expect_leq(bytes_on_disk(), 40);
	ch_spool_files_close(files);
}

Test(spool, a_line_above_the_cap_is_dropped_and_removes_nothing)
{
	struct ch_spool_files *files = open_files(40, 10);

	append(files, "eeeeeeeee\n");
	append(files, "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\n");
	cr_expect_eq(counters_of(files).dropped, 1);
	cr_expect_eq(counters_of(files).removed_files, 0);
	append(files, "f\n");
	cr_expect_eq(counters_of(files).written[CH_SPOOL_EVENTS], 2);
	ch_spool_files_close(files);
}

Test(spool, a_restart_appends_and_counts_old_files_under_the_cap)
{
	struct ch_spool_files *files;
	char names[16][128];

	put_file("events.ndjson", "old\n");
	put_file("events-20250101T000000Z-7.ndjson", "seven\n");
	put_file("replies-20260101T000000Z-3.ndjson", "three\n");
	put_file("events-20250101T000000Z-7.ndjson.gz", "not ours");
	put_file("events-20250101T00000xZ-8.ndjson", "not ours");
	put_file("notes-20250101T000000Z-1.ndjson", "not ours");
	put_file("events-20250101T000000Z-07.ndjson", "not ours");
	files = open_files(24, 6);
	append(files, "new12\n"); /* 4 + 6 + 6 = 16 of ours before; the file is rotated first */
	cr_expect_eq(counters_of(files).rotations, 1);
	cr_expect_eq(counters_of(files).removed_files, 0);
	append(files, "new34\n"); /* 28 would be over 24: number 3 goes, however new its time */
	cr_expect_eq(counters_of(files).removed_files, 1);
	cr_expect_eq(counters_of(files).rotations, 2);
	ch_spool_files_close(files);
	cr_expect_content("events-20250101T000000Z-7.ndjson", "seven\n");
	cr_expect_content("events.ndjson", "new34\n");
	/* seven; the files 8 and 9 of this run; and four that are not ours */
	cr_expect_eq(rotated_names(names), 7);
}

Test(spool, a_lower_cap_holds_from_the_restart_on)
{
	struct ch_spool_files *files;

	put_file("events-20250101T000000Z-1.ndjson", "12345678901234567890\n");
	put_file("events-20250101T000000Z-2.ndjson", "12345\n");
	files = open_files(20, 5);
	cr_expect_eq(bytes_on_disk(), 6);
	cr_expect_eq(counters_of(files).removed_files, 1);
	ch_spool_files_close(files);
}

Test(spool, a_torn_last_line_is_cut_off_at_restart)
{
	struct ch_spool_files *files;
	char *big = malloc(10002);

	put_file("events.ndjson", "one\ntwo\nthr");
	memset(big, 'x', 10001);
	memcpy(big, "r\n", 2);
	big[10001] = '\0';
	put_file("replies.ndjson", big);
	put_file("notifications.ndjson", "half");
	files = open_files(1 << 20, 1 << 16);
	cr_expect_eq(counters_of(files).torn_lines, 3);
	cr_expect_content("events.ndjson", "one\ntwo\n");
	cr_expect_content("replies.ndjson", "r\n");
	cr_expect_content("notifications.ndjson", "");
	append(files, "three\n");
	cr_expect_content("events.ndjson", "one\ntwo\nthree\n");
	ch_spool_files_close(files);
	free(big);
}

Test(spool, a_file_deleted_by_others_is_made_anew)
{
	struct ch_spool_files *files = open_files(1 << 20, 1 << 16);
	char path[128];

	append(files, "one\n");
	snprintf(path, sizeof(path), "%s/events.ndjson", directory);
	unlink(path);
	ch_spool_files_sync(files);
	append(files, "two\n");
	cr_expect_content("events.ndjson", "two\n");
	ch_spool_files_close(files);
}

Test(spool, a_rotated_file_shipped_away_by_others_is_no_error)
{
	struct ch_spool_files *files = open_files(40, 10);
	char names[16][128];
	char path[256];

	for (int i = 0; i < 4; i++)
		append(files, "eeeeeeeee\n");
	cr_assert_eq(rotated_names(names), 3);
	snprintf(path, sizeof(path), "%s/%s", directory, names[0]);
	unlink(path);
	append(files, "eeeeeeeee\n");
	cr_expect_eq(counters_of(files).errors, 0);
	cr_expect_eq(counters_of(files).removed_files, 0);
	cr_expect_eq(bytes_on_disk(), 40);
	ch_spool_files_close(files);
}

Test(spool, a_second_writer_in_the_directory_is_refused)
{
	struct ch_spool_options options = options_of(1 << 20, 1 << 16);
	struct ch_spool_files *files = open_files(1 << 20, 1 << 16);
	struct ch_spool_files *second = NULL;
	char error[256];
	char expected[256];

	cr_expect_eq(ch_spool_files_open(&options, &second, error), -EBUSY);
	snprintf(expected, sizeof(expected),
		 "cannot lock the spool directory %s: another callhomed writes to it; give each "
		 "its own",
		 directory);
	cr_expect_str_eq(error, expected);
	ch_spool_files_close(files);
}

Test(spool, a_missing_parent_directory_is_named)
{
	struct ch_spool_options options = options_of(1 << 20, 1 << 16);
	struct ch_spool *spool = NULL;
	char error[256];

	options.directory = "/nonexistent/callhome/spool";
	cr_expect_eq(ch_spool_open(&options, &spool, error), -ENOENT);
	cr_expect_str_eq(error, "cannot create the spool directory /nonexistent/callhome/spool: "
				"No such file or directory");
	cr_expect_null(spool);
}

Test(spool, a_fifo_in_place_of_a_file_is_refused)
{
	struct ch_spool_options options = options_of(1 << 20, 1 << 16);
	struct ch_spool_files *files = NULL;
	char error[256];
	char expected[256];
	char path[128];

	snprintf(path, sizeof(path), "%s/replies.ndjson", directory);
	cr_assert_eq(mkfifo(path, 0600), 0);
	cr_expect_eq(ch_spool_files_open(&options, &files, error), -EINVAL);
	snprintf(expected, sizeof(expected), "cannot open %s for writing: Invalid argument", path);
	cr_expect_str_eq(error, expected);
}

/* --- with the thread --- */

static void fill(struct ch_spool_batch *batch, enum ch_spool_stream stream, const char *line)
{
	cr_assert_eq(ch_buf_append_str(&batch->lines[stream], line), 0);
	batch->count[stream]++;
}

Test(spool, close_writes_what_was_handed_over)
{
	struct ch_spool_options options = options_of(1 << 20, 1 << 16);
	struct ch_spool_batch batch = {0};
	struct ch_spool *spool = NULL;
	char error[256];

	options.ops = NULL;
	cr_assert_eq(ch_spool_open(&options, &spool, error), 0);
	cr_expect_str_eq(error, "");
	cr_expect_eq(ch_spool_submit(spool, &batch), 0, "an empty batch takes no place");
	fill(&batch, CH_SPOOL_EVENTS, "e1\n");
	fill(&batch, CH_SPOOL_NOTIFICATIONS, "n1\n");
	cr_expect_eq(ch_spool_submit(spool, &batch), 0);
	cr_expect_eq(batch.lines[CH_SPOOL_EVENTS].len, 0);
	cr_expect_eq(batch.count[CH_SPOOL_EVENTS], 0);
	fill(&batch, CH_SPOOL_EVENTS, "e2\n");
	cr_expect_eq(ch_spool_submit(spool, &batch), 0);
	ch_spool_batch_deinit(&batch);
	ch_spool_close(spool);
	cr_expect_content("events.ndjson", "e1\ne2\n");
	cr_expect_content("notifications.ndjson", "n1\n");
}

static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;

static ssize_t gated_write(int fd, const void *data, size_t len)
{
	ssize_t n;

	pthread_mutex_lock(&gate);
	n = write(fd, data, len);
	pthread_mutex_unlock(&gate);
	return n;
}

Test(spool, a_slow_disk_fills_the_queue_and_never_blocks_a_worker)
{
	static const struct ch_spool_ops gated = {gated_write, ftruncate, fdatasync, set_clock};
	struct ch_spool_options options = options_of(1 << 20, 1 << 16);
	struct ch_spool_batch batch = {.lines[CH_SPOOL_EVENTS].max = 1000};
	struct ch_spool_counters counters;
	struct ch_spool *spool = NULL;
	char error[256];

	options.ops = &gated;
	options.batches = 2;
	cr_assert_eq(ch_spool_open(&options, &spool, error), 0);
	pthread_mutex_lock(&gate);
	for (int i = 0; i < 2; i++) {
		fill(&batch, CH_SPOOL_EVENTS, "line\n");
		cr_expect_eq(ch_spool_submit(spool, &batch), 0);
		cr_expect_eq(batch.lines[CH_SPOOL_EVENTS].max, 1000, "the worker's limit stays");
	}
	fill(&batch, CH_SPOOL_EVENTS, "kept\n");
	cr_expect_eq(ch_spool_submit(spool, &batch), CH_E_FULL);
	cr_expect_eq(batch.count[CH_SPOOL_EVENTS], 1);
	cr_expect_eq(batch.lines[CH_SPOOL_EVENTS].len, 5);
	ch_spool_counters(spool, &counters);
	cr_expect_eq(counters.written[CH_SPOOL_EVENTS], 0, "counted only when written");
	pthread_mutex_unlock(&gate);
	while (ch_spool_submit(spool, &batch) == CH_E_FULL)
		usleep(1000);
	ch_spool_close(spool);
	ch_spool_batch_deinit(&batch);
	cr_expect_content("events.ndjson", "line\nline\nkept\n");
}

#define SUBMITTERS 4
#define LINES_EACH 5000

static void *submitter(void *arg)
{
	struct ch_spool *spool = arg;
	struct ch_spool_batch batch = {0};

	for (int i = 0; i < LINES_EACH; i++) {
		fill(&batch, CH_SPOOL_NOTIFICATIONS, "0123456789\n");
		while (ch_spool_submit(spool, &batch) == CH_E_FULL && i == LINES_EACH - 1)
			usleep(100);
	}
	ch_spool_batch_deinit(&batch);
	return NULL;
}

Test(spool, concurrent_workers_lose_nothing)
{
	struct ch_spool_options options = options_of(UINT64_C(1) << 30, 20000);
	pthread_t threads[SUBMITTERS];
	struct ch_spool_counters counters;
	struct ch_spool *spool = NULL;
	char error[256];

	options.ops = NULL;
	cr_assert_eq(ch_spool_open(&options, &spool, error), 0);
	for (int i = 0; i < SUBMITTERS; i++)
		cr_assert_eq(pthread_create(&threads[i], NULL, submitter, spool), 0);
	for (int i = 0; i < SUBMITTERS; i++)
		pthread_join(threads[i], NULL);
	do
		ch_spool_counters(spool, &counters);
	while (counters.written[CH_SPOOL_NOTIFICATIONS] < SUBMITTERS * LINES_EACH &&
	       usleep(1000) == 0);
	cr_expect_eq(counters.written[CH_SPOOL_NOTIFICATIONS], SUBMITTERS * LINES_EACH);
	cr_expect_eq(counters.bytes, SUBMITTERS * LINES_EACH * 11);
	cr_expect_eq(counters.dropped, 0);
	cr_expect_eq(counters.rotations, SUBMITTERS * LINES_EACH / (20000 / 11));
	ch_spool_close(spool);
	cr_expect_eq(bytes_on_disk(), SUBMITTERS * LINES_EACH * 11);
}
