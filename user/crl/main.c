/* SPDX-License-Identifier: Apache-2.0 */
/* callhome-crl: fetches revocation lists for callhomed, which never fetches anything itself. */
#include "fetch.h"
#include "user/core/option.h"

#include <curl/curl.h>
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SOURCES_MAX 1024
#define LINE_MAX_BYTES 2200
#define MIB (UINT64_C(1) << 20)
#define SECOND UINT64_C(1000000000)
#define HOUR (3600 * SECOND)

enum { EXIT_FINE, EXIT_SOME_FAILED, EXIT_USAGE };
enum { OPT_MAX_BYTES = 256, OPT_TIMEOUT, OPT_REDIRECTS, OPT_CA };

struct job {
	const char *directory, *list, *ca;
	uint64_t interval_ns;
	struct crl_limits limits;
	struct crl_source sources[SOURCES_MAX];
	size_t count;
};

static const struct option long_options[] = {
	{"directory", required_argument, NULL, 'd'},
	{"list", required_argument, NULL, 'l'},
	{"interval", required_argument, NULL, 'i'},
	{"ca", required_argument, NULL, OPT_CA},
	{"max-bytes", required_argument, NULL, OPT_MAX_BYTES},
	{"timeout", required_argument, NULL, OPT_TIMEOUT},
	{"max-redirects", required_argument, NULL, OPT_REDIRECTS},
	{"help", no_argument, NULL, 'h'},
	{NULL, 0, NULL, 0},
};

static void help(void)
{
	fputs("callhome-crl: fetches certificate revocation lists for callhomed (trust.crl)\n"
	      "\n"
	      "usage: callhome-crl -d DIRECTORY [-l FILE] [-i DURATION] [--ca FILE] [NAME=URL]...\n"
	      "\n"
	      "  -d, --directory DIR      where callhomed reads them\n"
	      "  -l, --list FILE          lines \"NAME URL\"; # begins a comment\n"
	      "  -i, --interval DURATION  go on, with so much time between two rounds (1min to "
	      "30d)\n"
	      "      --ca FILE            each list must be signed by a CA of this PEM file or "
	      "directory\n"
	      "      --max-bytes SIZE     of one list (default 256MiB)\n"
	      "      --timeout DURATION   for one list (default 60s)\n"
	      "      --max-redirects N    http and https only (default 3)\n"
	      "  -h, --help               this text\n"
	      "\n"
	      "A list takes the place of the one before by a rename, and only if it reads as a "
	      "list and is\n"
	      "not older. Proxies of the environment are not used.\n"
	      "\n"
	      "exit status: 0 every list is there, 1 some could not be fetched, 2 usage\n",
	      stdout);
}

static int usage(const char *what, const char *value)
{
	fprintf(stderr, "callhome-crl: %s%s; callhome-crl --help tells how it is used\n", what,
		value);
	return EXIT_USAGE;
}

static int add_source(struct job *job, char *name, char *url)
{
	if (!crl_name_is_valid(name))
		return usage(
			"a name is a file of the directory, without '/' and not with a dot first: ",
			name);
	if (strncasecmp(url, "http://", 7) != 0 && strncasecmp(url, "https://", 8) != 0)
		return usage("not an http or https address: ", url);
	for (size_t i = 0; i < job->count; i++)
		if (strcmp(job->sources[i].file, name) == 0)
			return usage("twice the same name: ", name);
	if (job->count == SOURCES_MAX)
		return usage("more than 1024 lists", "");
	job->sources[job->count].file = strdup(name);
	job->sources[job->count].url = strdup(url);
	if (job->sources[job->count].file == NULL || job->sources[job->count].url == NULL)
		return usage("out of memory", "");
	job->count++;
	return EXIT_FINE;
}

static int read_line(struct job *job, char *line)
{
	char *rest = NULL;
	char *name;
	char *url;

	line[strcspn(line, "#\n")] = '\0';
	name = strtok_r(line, " \t", &rest);
	url = strtok_r(NULL, " \t", &rest);
	if (name == NULL)
		return EXIT_FINE;
	if (url == NULL || strtok_r(NULL, " \t", &rest) != NULL)
		return usage("a line is \"NAME URL\": ", name);
	return add_source(job, name, url);
}

static int read_list(struct job *job)
{
	char line[LINE_MAX_BYTES];
	FILE *file = fopen(job->list, "re");
	int code = EXIT_FINE;

	if (file == NULL)
		return usage("cannot read the list: ", strerror(errno));
	while (code == EXIT_FINE && fgets(line, sizeof(line), file) != NULL)
		code = read_line(job, line);
	fclose(file);
	return code;
}

static int read_argument(struct job *job, char *argument)
{
	char *equals = strchr(argument, '=');

	if (equals == NULL)
		return usage("not NAME=URL: ", argument);
	*equals = '\0';
	return add_source(job, argument, equals + 1);
}

static int read_option(struct job *job, int option)
{
	uint64_t redirects = job->limits.redirects;
	int err = 0;

	switch (option) {
	case 'd':
		job->directory = optarg;
		break;
	case 'l':
		job->list = optarg;
		break;
	case 'i':
		err = ch_parse_duration(optarg, 60 * SECOND, 720 * HOUR, &job->interval_ns);
		break;
	case OPT_CA:
		job->ca = optarg;
		break;
	case OPT_MAX_BYTES:
		err = ch_parse_size(optarg, 1024, 1024 * MIB, &job->limits.max_bytes);
		break;
	case OPT_TIMEOUT:
		err = ch_parse_duration(optarg, SECOND, HOUR, &job->limits.timeout_ns);
		break;
	case OPT_REDIRECTS:
		err = ch_parse_uint(optarg, 0, 10, &redirects);
		job->limits.redirects = (unsigned)redirects;
		break;
	default:
		return usage("an option is not understood", "");
	}
	return err == 0 ? EXIT_FINE : usage("not allowed: ", optarg);
}

static int read_options(struct job *job, int argc, char **argv)
{
	int code = EXIT_FINE;
	int option;

	while (code == EXIT_FINE &&
	       (option = getopt_long(argc, argv, "d:l:i:h", long_options, NULL)) != -1) {
		if (option == 'h') {
			help();
			exit(EXIT_FINE);
		}
		code = read_option(job, option);
	}
	if (code == EXIT_FINE && job->list != NULL)
		code = read_list(job);
	for (; code == EXIT_FINE && optind < argc; optind++)
		code = read_argument(job, argv[optind]);
	if (code == EXIT_FINE && job->directory == NULL)
		code = usage("--directory is needed", "");
	if (code == EXIT_FINE && job->count == 0)
		code = usage("nothing to fetch: give NAME=URL or --list", "");
	return code;
}

static int fetch_all(const struct job *job, const struct ch_trust *trust)
{
	int code = EXIT_FINE;

	for (size_t i = 0; i < job->count; i++) {
		char text[CH_ERROR_TEXT] = "";
		enum crl_outcome outcome =
			crl_fetch(&job->sources[i], job->directory, trust, &job->limits, text);

		fprintf(stderr, "%s: %s%s\n", job->sources[i].file,
			outcome == CRL_FAILED ? "failed: " : "", text);
		if (outcome == CRL_FAILED)
			code = EXIT_SOME_FAILED;
	}
	return code;
}

static void pause_for(uint64_t ns)
{
	struct timespec left = {(time_t)(ns / SECOND), (long)(ns % SECOND)};

	while (nanosleep(&left, &left) != 0 && errno == EINTR)
		;
}

static int run(const struct job *job)
{
	struct ch_trust *trust = NULL;
	char error[CH_ERROR_TEXT] = "out of memory";
	int code = EXIT_FINE;

	if (job->ca != NULL && (ch_trust_new(&trust) != 0 ||
				ch_trust_add(trust, "ca", job->ca, CH_IDENTIFIER_CN, error) != 0))
		code = usage(error, "");
	while (code != EXIT_USAGE) {
		code = fetch_all(job, trust);
		if (job->interval_ns == 0)
			break;
		pause_for(job->interval_ns);
	}
	ch_trust_free(trust);
	return code;
}

int main(int argc, char **argv)
{
	static struct job job = {
		.limits = {.max_bytes = 256 * MIB, .timeout_ns = 60 * SECOND, .redirects = 3}};
	int code = read_options(&job, argc, argv);

	if (code == EXIT_FINE && curl_global_init(CURL_GLOBAL_DEFAULT) != 0)
		code = usage("out of memory", "");
	if (code == EXIT_FINE) {
		code = run(&job);
		curl_global_cleanup();
	}
	for (size_t i = 0; i < job.count; i++) {
		free((char *)job.sources[i].file);
		free((char *)job.sources[i].url);
	}
	return code;
}
