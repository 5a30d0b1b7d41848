/* SPDX-License-Identifier: Apache-2.0 */
#include "fetch.h"

#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define NAME_MAX_BYTES 200
#define CONNECT_MS 10000L

/* One fetch on its way. */
struct fetch {
	const struct crl_source *source;
	const struct ch_trust *trust;
	const struct crl_limits *limits;
	struct ch_buf content;
	char path[PATH_MAX];  /* of the file */
	char fresh[PATH_MAX]; /* of the new one beside it, which callhomed does not read */
	char *text;
};

static enum crl_outcome failed(struct fetch *fetch, const char *what, const char *why)
{
	snprintf(fetch->text, CH_ERROR_TEXT, "%s%s%.160s", what, why[0] != '\0' ? ": " : "", why);
	return CRL_FAILED;
}

bool crl_name_is_valid(const char *file)
{
	size_t len = strlen(file);

	return len > 0 && len <= NAME_MAX_BYTES && file[0] != '.' && strchr(file, '/') == NULL;
}

static size_t on_bytes(char *data, size_t size, size_t count, void *ctx)
{
	struct fetch *fetch = ctx;

	/* Also where the server does not tell the length beforehand. */
	return ch_buf_append(&fetch->content, data, size * count) == 0 ? size * count : 0;
}

static bool configure(CURL *curl, struct fetch *fetch, char *error)
{
	const struct crl_limits *limits = fetch->limits;
	bool secure = strncasecmp(fetch->source->url, "https:", 6) == 0;

	return curl_easy_setopt(curl, CURLOPT_URL, fetch->source->url) == CURLE_OK &&
	       curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK &&
	       /* What began under TLS may not leave it. */
	       curl_easy_setopt(curl, CURLOPT_REDIR_PROTOCOLS_STR,
				secure ? "https" : "http,https") == CURLE_OK &&
	       curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 1L) == CURLE_OK &&
	       curl_easy_setopt(curl, CURLOPT_MAXREDIRS, (long)limits->redirects) == CURLE_OK &&
	       curl_easy_setopt(curl, CURLOPT_PROXY, "") == CURLE_OK &&
	       curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
	       curl_easy_setopt(curl, CURLOPT_FAILONERROR, 1L) == CURLE_OK &&
	       curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_MS) == CURLE_OK &&
	       curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)(limits->timeout_ns / 1000000)) ==
		       CURLE_OK &&
	       curl_easy_setopt(curl, CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)limits->max_bytes) ==
		       CURLE_OK &&
	       curl_easy_setopt(curl, CURLOPT_USERAGENT, "callhome-crl") == CURLE_OK &&
	       curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, error) == CURLE_OK &&
	       curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_bytes) == CURLE_OK &&
	       curl_easy_setopt(curl, CURLOPT_WRITEDATA, fetch) == CURLE_OK;
}

static enum crl_outcome download(struct fetch *fetch)
{
	char error[CURL_ERROR_SIZE] = "";
	CURL *curl = curl_easy_init();
	CURLcode code = CURLE_OUT_OF_MEMORY;

	fetch->content.max = fetch->limits->max_bytes;
	if (curl != NULL && configure(curl, fetch, error))
		code = curl_easy_perform(curl);
	curl_easy_cleanup(curl);
	if (code == CURLE_OK)
		return CRL_FETCHED;
	if (code == CURLE_WRITE_ERROR || code == CURLE_FILESIZE_EXCEEDED)
		return failed(fetch, "more bytes than --max-bytes", "");
	return failed(fetch, "cannot be fetched",
		      error[0] != '\0' ? error : curl_easy_strerror(code));
}

static int write_whole(int fd, const uint8_t *data, size_t len)
{
	while (len > 0) {
		ssize_t wrote = write(fd, data, len);

		if (wrote <= 0)
			return wrote < 0 ? -errno : -EIO;
		data += wrote;
		len -= (size_t)wrote;
	}
	return fsync(fd) == 0 ? 0 : -errno;
}

static enum crl_outcome write_fresh(struct fetch *fetch)
{
	int fd;
	int err;

	(void)unlink(fetch->fresh);
	fd = open(fetch->fresh, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
	err = fd < 0 ? -errno : write_whole(fd, fetch->content.data, fetch->content.len);
	if (fd >= 0 && close(fd) != 0 && err == 0)
		err = -errno;
	return err == 0 ? CRL_FETCHED : failed(fetch, "cannot be written", ch_error_text(err));
}

/* The reason of callhomed's own reader. */
static void keep_why(void *ctx, enum ch_log_level level, const char *line)
{
	const char *why = strstr(line, " why=");

	(void)level;
	snprintf(ctx, CH_ERROR_TEXT, "%s", why != NULL ? why + 5 : line);
}

static int read_set(const char *path, const struct ch_trust *trust, struct ch_revocation **set,
		    char why[CH_ERROR_TEXT])
{
	const struct ch_log log = {CH_LOG_WARNING, keep_why, why};
	const struct ch_revocation_options options = {.path = path, .trust = trust, .log = &log};

	why[0] = '\0';
	return ch_revocation_build(&options, set, why);
}

/* Would callhomed take it, and is it not a step back? */
static enum crl_outcome judge(struct fetch *fetch)
{
	struct ch_revocation *fresh = NULL;
	struct ch_revocation *before = NULL;
	struct ch_revocation_info info;
	enum crl_outcome outcome = CRL_FETCHED;
	char why[CH_ERROR_TEXT];
	char ignored[CH_ERROR_TEXT];

	if (read_set(fetch->fresh, fetch->trust, &fresh, why) != 0)
		return failed(fetch, "cannot be read back", why);
	ch_revocation_info(fresh, time(NULL), &info);
	if (info.lists == 0 || info.refused > 0)
		outcome = failed(fetch, "is no usable list", why);
	else if (fetch->trust != NULL && info.pending > 0)
		outcome = failed(fetch, "is signed by none of the CAs of --ca", "");
	else if (read_set(fetch->path, fetch->trust, &before, ignored) == 0 &&
		 ch_revocation_is_older(fresh, before))
		outcome = failed(fetch, "is older than the one in place", "");
	else
		snprintf(fetch->text, CH_ERROR_TEXT, "%llu entries",
			 (unsigned long long)info.entries);
	ch_revocation_drop(fresh);
	ch_revocation_drop(before);
	return outcome;
}

static bool is_unchanged(const struct fetch *fetch)
{
	uint8_t block[65536];
	size_t at = 0;
	ssize_t got = 0;
	int fd = open(fetch->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	bool same = fd >= 0;

	while (same && (got = read(fd, block, sizeof(block))) > 0) {
		same = (size_t)got <= fetch->content.len - at &&
		       memcmp(block, fetch->content.data + at, (size_t)got) == 0;
		at += (size_t)got;
	}
	if (fd >= 0)
		close(fd);
	return same && got == 0 && at == fetch->content.len;
}

static enum crl_outcome put_in_place(struct fetch *fetch)
{
	enum crl_outcome outcome = write_fresh(fetch);

	if (outcome == CRL_FETCHED)
		outcome = judge(fetch);
	if (outcome == CRL_FETCHED && rename(fetch->fresh, fetch->path) != 0)
		outcome = failed(fetch, "cannot be put in place", strerror(errno));
	if (outcome != CRL_FETCHED)
		(void)unlink(fetch->fresh);
	return outcome;
}

enum crl_outcome crl_fetch(const struct crl_source *source, const char *directory,
			   const struct ch_trust *trust, const struct crl_limits *limits,
			   char text[CH_ERROR_TEXT])
{
	struct fetch fetch = {.source = source, .trust = trust, .limits = limits, .text = text};
	enum crl_outcome outcome;

	if (snprintf(fetch.path, PATH_MAX, "%s/%s", directory, source->file) >= PATH_MAX ||
	    snprintf(fetch.fresh, PATH_MAX, "%s/.%s.new", directory, source->file) >= PATH_MAX)
		return failed(&fetch, "the path is too long", "");
	outcome = download(&fetch);
	if (outcome == CRL_FETCHED && is_unchanged(&fetch)) {
		snprintf(text, CH_ERROR_TEXT, "unchanged");
		outcome = CRL_UNCHANGED;
	} else if (outcome == CRL_FETCHED) {
		outcome = put_in_place(&fetch);
	}
	ch_buf_deinit(&fetch.content);
	return outcome;
}
