/* SPDX-License-Identifier: Apache-2.0 */
#include "spool_files.h"
#include "user/core/option.h"
#include "user/core/stats.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define NAME_BYTES 80
#define TIME_BYTES 17 /* 20260131T235959Z and NUL */
#define SUFFIX ".ndjson"
#define LOG_INTERVAL_NS UINT64_C(10000000000)

static const char *const stream_names[CH_SPOOL_STREAMS] = {
	[CH_SPOOL_EVENTS] = "events",
	[CH_SPOOL_NOTIFICATIONS] = "notifications",
	[CH_SPOOL_REPLIES] = "replies",
};

/** The file a stream is written to. */
struct active {
	enum ch_spool_stream stream;
	int fd;	       /**< -1: opening failed, tried again on the next append */
	uint64_t size; /**< bytes of whole lines */
	bool torn;     /**< bytes behind @size that could not be cut off yet */
	bool dirty;    /**< written since the last fdatasync */
};

/** A finished file. Its name is made of its fields. */
struct rotated {
	uint64_t number; /**< grows over all streams and restarts: the order of age, whatever the
			    clock did */
	uint64_t bytes;
	enum ch_spool_stream stream;
	char time[TIME_BYTES];
};

struct counters {
	_Atomic uint64_t written[CH_SPOOL_STREAMS];
	_Atomic uint64_t bytes;
	_Atomic uint64_t dropped;
	_Atomic uint64_t errors;
	_Atomic uint64_t removed_files;
	_Atomic uint64_t rotations;
	_Atomic uint64_t torn_lines;
};

struct ch_spool_files {
	const struct ch_spool_ops *ops;
	const struct ch_log *log;
	char *directory;
	int dir_fd;
	uint64_t max_bytes;
	uint64_t file_bytes;
	uint64_t total; /**< bytes of all files */
	struct active active[CH_SPOOL_STREAMS];
	struct rotated *rotated; /**< oldest first, from @rotated_first on */
	size_t rotated_first;
	size_t rotated_end;
	size_t rotated_cap;
	uint64_t next_number;
	uint64_t log_after_ns; /**< no log line before */
	uint64_t log_held;     /**< errors without a line since the last one */
	struct counters counters;
};

static uint64_t monotonic_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static const struct ch_spool_ops system_ops = {
	.write = write,
	.ftruncate = ftruncate,
	.fdatasync = fdatasync,
	.now_ns = monotonic_ns,
};

static void active_name(enum ch_spool_stream stream, char name[NAME_BYTES])
{
	snprintf(name, NAME_BYTES, "%s" SUFFIX, stream_names[stream]);
}

static void rotated_name(const struct rotated *file, char name[NAME_BYTES])
{
	snprintf(name, NAME_BYTES, "%s-%s-%" PRIu64 SUFFIX, stream_names[file->stream], file->time,
		 file->number);
}

/** Counts a failure; a full disk fails thousands of times, so only one line per 10 s is logged. */
static void report(struct ch_spool_files *files, const char *what, const char *name, int err)
{
	uint64_t now = files->ops->now_ns();

	ch_count(&files->counters.errors, 1);
	if (now < files->log_after_ns) {
		files->log_held++;
		return;
	}
	ch_log(files->log, CH_LOG_ERROR,
	       "event=spool-error what=%s file=%s/%s err=\"%s\" dropped=%" PRIu64 " held=%" PRIu64,
	       what, files->directory, name, ch_error_text(err), ch_stat(&files->counters.dropped),
	       files->log_held);
	files->log_held = 0;
	files->log_after_ns = now + LOG_INTERVAL_NS;
}

static void report_active(struct ch_spool_files *files, const char *what, const struct active *file,
			  int err)
{
	char name[NAME_BYTES];

	active_name(file->stream, name);
	report(files, what, name, err);
}

/* --- opening and repair --- */

/** Cuts an unfinished last line off (the process or the machine died in the middle of a write). */
static int repair(struct ch_spool_files *files, int fd, uint64_t *size)
{
	static const char newline = '\n';
	char block[4096];
	uint64_t end = *size;

	while (end > 0) {
		size_t len = end < sizeof(block) ? (size_t)end : sizeof(block);
		ssize_t got = pread(fd, block, len, (off_t)(end - len));
		char *last;

		if (got < 0)
			return -errno;
		if ((size_t)got != len)
			return -EIO;
		last = memrchr(block, newline, len);
		if (last != NULL) {
			end = end - len + (uint64_t)(last - block) + 1;
			break;
		}
		end -= len;
	}
	if (end == *size)
		return 0;
	if (files->ops->ftruncate(fd, (off_t)end) != 0)
		return -errno;
	ch_count(&files->counters.torn_lines, 1);
	*size = end;
	return 0;
}

static int open_active(struct ch_spool_files *files, struct active *file)
{
	char name[NAME_BYTES];
	struct stat st;
	uint64_t size = 0;
	int err = 0;
	int fd;

	active_name(file->stream, name);
	fd = openat(files->dir_fd, name,
		    O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0640);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) != 0) {
		err = -errno;
		goto out;
	}
	if (!S_ISREG(st.st_mode)) {
		err = -EINVAL;
		goto out;
	}
	size = (uint64_t)st.st_size;
	err = repair(files, fd, &size);
out:
	if (err != 0) {
		close(fd);
		return err;
	}
	file->fd = fd;
	file->size = size;
	file->torn = false;
	files->total += size;
	return 0;
}

/** A rotated file of ours? Anything else in the directory is left alone. */
static bool parse_rotated(const char *name, struct rotated *file)
{
	for (unsigned s = 0; s < CH_SPOOL_STREAMS; s++) {
		size_t prefix = strlen(stream_names[s]);
		const char *digits = name + prefix + 1 + TIME_BYTES; /* '-' and time and '-' */
		const char *end;
		char number[24];

		if (strncmp(name, stream_names[s], prefix) != 0 ||
		    strlen(name) <= prefix + 1 + TIME_BYTES + strlen(SUFFIX) ||
		    name[prefix] != '-' || digits[-1] != '-')
			continue;
		end = name + strlen(name) - strlen(SUFFIX);
		if (strcmp(end, SUFFIX) != 0 || (size_t)(end - digits) >= sizeof(number))
			return false;
		memcpy(number, digits, (size_t)(end - digits));
		number[end - digits] = '\0';
		memcpy(file->time, name + prefix + 1, TIME_BYTES - 1);
		file->time[TIME_BYTES - 1] = '\0';
		file->stream = (enum ch_spool_stream)s;
		return strspn(file->time, "0123456789TZ") == TIME_BYTES - 1 &&
		       ch_parse_uint(number, 1, UINT64_MAX - 1, &file->number) == 0;
	}
	return false;
}

static int reserve_rotated(struct ch_spool_files *files)
{
	size_t used = files->rotated_end - files->rotated_first;
	size_t cap;
	struct rotated *more;

	if (files->rotated_end < files->rotated_cap)
		return 0;
	if (files->rotated_first > files->rotated_cap / 2) {
		memmove(files->rotated, files->rotated + files->rotated_first,
			used * sizeof(*files->rotated));
		files->rotated_first = 0;
		files->rotated_end = used;
		return 0;
	}
	cap = files->rotated_cap == 0 ? 64 : files->rotated_cap * 2;
	more = reallocarray(files->rotated, cap, sizeof(*more));
	if (more == NULL)
		return -ENOMEM;
	files->rotated = more;
	files->rotated_cap = cap;
	return 0;
}

static int by_number(const void *left, const void *right)
{
	const struct rotated *a = left;
	const struct rotated *b = right;

	return (a->number > b->number) - (a->number < b->number);
}

/** Finds the rotated files of earlier runs: they count under the cap. */
static int scan(struct ch_spool_files *files)
{
	int fd = openat(files->dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *entry;
	int err = 0;

	if (dir == NULL) {
		err = -errno;
		if (fd >= 0)
			close(fd);
		return err;
	}
	while (err == 0 && (entry = readdir(dir)) != NULL) {
		struct rotated file;
		struct stat st;

		if (!parse_rotated(entry->d_name, &file) ||
		    fstatat(files->dir_fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0 ||
		    !S_ISREG(st.st_mode))
			continue;
		err = reserve_rotated(files);
		if (err != 0)
			break;
		file.bytes = (uint64_t)st.st_size;
		files->total += file.bytes;
		files->rotated[files->rotated_end++] = file;
	}
	closedir(dir);
	if (files->rotated_end > 0) {
		qsort(files->rotated, files->rotated_end, sizeof(*files->rotated), by_number);
		files->next_number = files->rotated[files->rotated_end - 1].number + 1;
	}
	return err;
}

static int open_directory(struct ch_spool_files *files, char error[256])
{
	int err;

	if (mkdir(files->directory, 0750) != 0 && errno != EEXIST) {
		err = -errno;
		snprintf(error, 256, "cannot create the spool directory %s: %s", files->directory,
			 strerror(-err));
		return err;
	}
	files->dir_fd = open(files->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (files->dir_fd < 0) {
		err = -errno;
		snprintf(error, 256, "cannot open the spool directory %s: %s", files->directory,
			 strerror(-err));
		return err;
	}
	if (flock(files->dir_fd, LOCK_EX | LOCK_NB) != 0) {
		err = errno == EWOULDBLOCK ? -EBUSY : -errno;
		snprintf(error, 256, "cannot lock the spool directory %s: %s", files->directory,
			 err == -EBUSY ? "another callhomed writes to it; give each its own"
				       : strerror(-err));
		return err;
	}
	return 0;
}

/* --- rotation and the cap --- */

static int rotate(struct ch_spool_files *files, struct active *file)
{
	struct rotated done = {
		.number = files->next_number, .bytes = file->size, .stream = file->stream};
	time_t now = time(NULL);
	char from[NAME_BYTES];
	char to[NAME_BYTES];
	struct tm utc;
	int err = reserve_rotated(files);

	gmtime_r(&now, &utc);
	strftime(done.time, sizeof(done.time), "%Y%m%dT%H%M%SZ", &utc);
	active_name(file->stream, from);
	rotated_name(&done, to);
	if (err == 0 && file->dirty && files->ops->fdatasync(file->fd) != 0)
		report(files, "sync", from, -errno);
	if (err == 0 && renameat(files->dir_fd, from, files->dir_fd, to) != 0)
		err = -errno;
	if (err != 0) {
		report(files, "rotate", from, err);
		return err;
	}
	ch_count(&files->counters.rotations, 1);
	files->rotated[files->rotated_end++] = done;
	files->next_number++;
	close(file->fd);
	file->fd = -1;
	file->dirty = false;
	file->size = 0;
	/* Only now are the old and the new name both on disk. */
	if (fsync(files->dir_fd) != 0)
		report(files, "sync", to, -errno);
	return 0;
}

static int remove_oldest(struct ch_spool_files *files)
{
	const struct rotated *file = &files->rotated[files->rotated_first];
	char name[NAME_BYTES];

	rotated_name(file, name);
	if (unlinkat(files->dir_fd, name, 0) == 0) {
		ch_count(&files->counters.removed_files, 1);
	} else if (errno != ENOENT) { /* somebody who ships files away may have removed it */
		int err = -errno;

		report(files, "remove", name, err);
		return err;
	}
	files->total -= file->bytes;
	files->rotated_first++;
	return 0;
}

static struct active *largest_active(struct ch_spool_files *files)
{
	struct active *largest = &files->active[0];

	for (unsigned s = 1; s < CH_SPOOL_STREAMS; s++) {
		if (files->active[s].size > largest->size)
			largest = &files->active[s];
	}
	return largest->size > 0 && largest->fd >= 0 ? largest : NULL;
}

/** Removes old files until @need more bytes stay under the cap. */
static int make_room(struct ch_spool_files *files, uint64_t need)
{
	if (need > files->max_bytes)
		return CH_E_LIMIT;
	while (files->total > files->max_bytes - need) {
		struct active *largest;
		int err;

		if (files->rotated_first < files->rotated_end) {
			err = remove_oldest(files);
		} else {
			largest = largest_active(files);
			err = largest == NULL ? CH_E_LIMIT : rotate(files, largest);
		}
		if (err != 0)
			return err;
	}
	return 0;
}

/* --- writing --- */

static uint32_t count_lines(struct ch_slice text)
{
	const uint8_t *at = text.data;
	const uint8_t *end = text.data + text.len;
	uint32_t lines = 0;

	while (at < end && (at = memchr(at, '\n', (size_t)(end - at))) != NULL) {
		at++;
		lines++;
	}
	return lines;
}

/** After a failed write that left @done bytes: leaves only whole lines. @return bytes that stay. */
static size_t cut_back(struct ch_spool_files *files, struct active *file, struct ch_slice text,
		       size_t done)
{
	const uint8_t *last = done == 0 ? NULL : memrchr(text.data, '\n', done);
	size_t whole = last == NULL ? 0 : (size_t)(last - text.data) + 1;

	if (whole != done && files->ops->ftruncate(file->fd, (off_t)(file->size + whole)) != 0) {
		file->torn = true;
		report_active(files, "truncate", file, -errno);
	}
	return whole;
}

/** Makes @file ready for a write at its end. */
static int prepare(struct ch_spool_files *files, struct active *file)
{
	if (file->fd < 0)
		return open_active(files, file);
	if (file->torn) {
		if (files->ops->ftruncate(file->fd, (off_t)file->size) != 0)
			return -errno;
		file->torn = false;
	}
	return 0;
}

static int write_all(struct ch_spool_files *files, int fd, struct ch_slice text, size_t *done)
{
	while (*done < text.len) {
		ssize_t n = files->ops->write(fd, text.data + *done, text.len - *done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		*done += (size_t)n;
	}
	return 0;
}

static void append_piece(struct ch_spool_files *files, struct active *file, struct ch_slice text,
			 uint32_t lines)
{
	struct counters *counters = &files->counters;
	size_t done = 0;
	uint32_t kept = lines;
	int err = make_room(files, text.len);

	if (err == 0)
		err = prepare(files, file);
	if (err == 0)
		err = write_all(files, file->fd, text, &done);
	if (err != 0) {
		done = cut_back(files, file, text, done);
		kept = count_lines((struct ch_slice){text.data, done});
		ch_count(&counters->dropped, lines - kept);
		report_active(files, "write", file, err);
	}
	if (done == 0)
		return;
	file->size += done;
	file->dirty = true;
	files->total += done;
	ch_count(&counters->bytes, done);
	ch_count(&counters->written[file->stream], kept);
}

/** The whole lines at the front of @text that go into the present file; rotates when none fits. */
static struct ch_slice next_piece(struct ch_spool_files *files, struct active *file,
				  struct ch_slice text)
{
	uint64_t room = file->size < files->file_bytes ? files->file_bytes - file->size : 0;
	const uint8_t *last;

	if (text.len <= room)
		return text;
	last = room == 0 ? NULL : memrchr(text.data, '\n', (size_t)room);
	if (last == NULL && file->size > 0) {
		/* When rotation fails the file grows: better than losing lines. */
		if (file->fd < 0 || rotate(files, file) != 0 || text.len <= files->file_bytes)
			return text;
		last = memrchr(text.data, '\n', (size_t)files->file_bytes);
	}
	if (last == NULL) /* one line longer than a file: it gets its own */
		last = memchr(text.data, '\n', text.len);
	return last == NULL ? text : (struct ch_slice){text.data, (size_t)(last - text.data) + 1};
}

void ch_spool_files_append(struct ch_spool_files *files, enum ch_spool_stream stream,
			   struct ch_slice lines, uint32_t count)
{
	struct active *file = &files->active[stream];

	while (lines.len > 0) {
		struct ch_slice piece = next_piece(files, file, lines);
		uint32_t in_piece = piece.len == lines.len ? count : count_lines(piece);

		append_piece(files, file, piece, in_piece);
		lines.data += piece.len;
		lines.len -= piece.len;
		count -= in_piece;
	}
}

void ch_spool_files_sync(struct ch_spool_files *files)
{
	for (unsigned s = 0; s < CH_SPOOL_STREAMS; s++) {
		struct active *file = &files->active[s];
		struct stat st;

		if (file->fd < 0 || !file->dirty)
			continue;
		file->dirty = false;
		if (files->ops->fdatasync(file->fd) != 0)
			report_active(files, "sync", file, -errno);
		if (fstat(file->fd, &st) != 0 || st.st_nlink > 0)
			continue;
		/* Deleted under our hands: the next append makes a new one. */
		files->total -= file->size;
		file->size = 0;
		close(file->fd);
		file->fd = -1;
	}
}

/* --- life --- */

static int open_all(struct ch_spool_files *files, char error[256])
{
	int err = open_directory(files, error);

	if (err != 0)
		return err;
	err = scan(files);
	if (err != 0) {
		snprintf(error, 256, "cannot read the spool directory %s: %s", files->directory,
			 strerror(-err));
		return err;
	}
	for (unsigned s = 0; s < CH_SPOOL_STREAMS; s++) {
		err = open_active(files, &files->active[s]);
		if (err != 0) {
			snprintf(error, 256, "cannot open %s/%s" SUFFIX " for writing: %s",
				 files->directory, stream_names[s], strerror(-err));
			return err;
		}
	}
	err = make_room(files, 0); /* the cap may be lower than in the earlier run */
	if (err != 0)
		snprintf(error, 256, "cannot bring the spool directory %s under its cap: %s",
			 files->directory, ch_error_text(err));
	return err;
}

int ch_spool_files_open(const struct ch_spool_options *options, struct ch_spool_files **files,
			char error[256])
{
	struct ch_spool_files *new = calloc(1, sizeof(*new));
	uint64_t quarter;
	int err = -ENOMEM;

	if (new == NULL)
		goto out;
	new->ops = options->ops != NULL ? options->ops : &system_ops;
	new->log = options->log;
	new->max_bytes = options->max_bytes != 0 ? options->max_bytes : INT64_MAX;
	quarter = new->max_bytes / 4 > 0 ? new->max_bytes / 4 : 1;
	new->file_bytes = options->file_bytes != 0 && options->file_bytes < quarter
				  ? options->file_bytes
				  : quarter;
	new->next_number = 1;
	new->dir_fd = -1;
	for (unsigned s = 0; s < CH_SPOOL_STREAMS; s++) {
		new->active[s].stream = (enum ch_spool_stream)s;
		new->active[s].fd = -1;
	}
	new->directory = strdup(options->directory);
	if (new->directory == NULL)
		goto out;
	err = open_all(new, error);
out:
	if (err == -ENOMEM)
		snprintf(error, 256, "out of memory for the spool in %s", options->directory);
	if (err != 0) {
		ch_spool_files_close(new);
		return err;
	}
	*files = new;
	return 0;
}

void ch_spool_files_counters(const struct ch_spool_files *files, struct ch_spool_counters *counters)
{
	const struct counters *from = &files->counters;

	for (unsigned s = 0; s < CH_SPOOL_STREAMS; s++)
		counters->written[s] = ch_stat(&from->written[s]);
	counters->bytes = ch_stat(&from->bytes);
	counters->dropped = ch_stat(&from->dropped);
	counters->errors = ch_stat(&from->errors);
	counters->removed_files = ch_stat(&from->removed_files);
	counters->rotations = ch_stat(&from->rotations);
	counters->torn_lines = ch_stat(&from->torn_lines);
}

void ch_spool_files_close(struct ch_spool_files *files)
{
	if (files == NULL)
		return;
	ch_spool_files_sync(files);
	for (unsigned s = 0; s < CH_SPOOL_STREAMS; s++) {
		if (files->active[s].fd >= 0)
			close(files->active[s].fd);
	}
	if (files->dir_fd >= 0)
		close(files->dir_fd);
	free(files->rotated);
	free(files->directory);
	free(files);
}
