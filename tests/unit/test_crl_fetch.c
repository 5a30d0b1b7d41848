/* SPDX-License-Identifier: Apache-2.0 */
/* links: tls core */
/* sources: tests/unit/tls_fixture.c tests/unit/crl_fixture.c user/crl/fetch.c */
/* Fetching revocation lists from servers that are well, slow, endless, elsewhere or lying. */
#include "crl_fixture.h"
#include "user/crl/fetch.h"

#include <criterion/criterion.h>
#include <curl/curl.h>
#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static struct fx_world world;
static struct MHD_Daemon *server;
static uint16_t port;
static char dir[64];
static struct ch_buf list; /* what /list serves */
static char text[CH_ERROR_TEXT];

static ssize_t endless(void *ctx, uint64_t at, char *into, size_t len)
{
	(void)ctx;
	(void)at;
	memset(into, 'x', len);
	return (ssize_t)len;
}

static ssize_t trickle(void *ctx, uint64_t at, char *into, size_t len)
{
	struct timespec pause = {0, 200000000};

	(void)ctx;
	(void)at;
	(void)len;
	nanosleep(&pause, NULL);
	into[0] = '0';
	return 1;
}

static enum MHD_Result redirect(struct MHD_Connection *connection, const char *to)
{
	struct MHD_Response *response =
		MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
	enum MHD_Result result;

	MHD_add_response_header(response, "Location", to);
	result = MHD_queue_response(connection, 302, response);
	MHD_destroy_response(response);
	return result;
}

static enum MHD_Result on_request(void *ctx, struct MHD_Connection *connection, const char *url,
				  const char *method, const char *version, const char *data,
				  size_t *data_len, void **state)
{
	struct MHD_Response *response;
	enum MHD_Result result;

	(void)ctx;
	(void)method;
	(void)version;
	(void)data;
	(void)data_len;
	(void)state;
	if (strcmp(url, "/loop") == 0)
		return redirect(connection, "/loop");
	if (strcmp(url, "/away") == 0)
		return redirect(connection, "file:///etc/passwd");
	if (strcmp(url, "/moved") == 0)
		return redirect(connection, "/list");
	if (strcmp(url, "/endless") == 0)
		response = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, 65536, endless, NULL,
							     NULL);
	else if (strcmp(url, "/slow") == 0)
		response = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, 65536, trickle, NULL,
							     NULL);
	else
		response =
			MHD_create_response_from_buffer(list.len, list.data, MHD_RESPMEM_MUST_COPY);
	result = MHD_queue_response(connection, strcmp(url, "/missing") == 0 ? 404 : 200, response);
	MHD_destroy_response(response);
	return result;
}

static void setup(void)
{
	snprintf(dir, sizeof(dir), "/tmp/callhome-fetch.XXXXXX");
	cr_assert_not_null(mkdtemp(dir));
	curl_global_init(CURL_GLOBAL_DEFAULT);
	fx_world_init(&world);
	for (port = 25100; server == NULL && port < 25200; port++)
		server = MHD_start_daemon(MHD_USE_INTERNAL_POLLING_THREAD |
						  MHD_USE_THREAD_PER_CONNECTION,
					  port, NULL, NULL, on_request, NULL, MHD_OPTION_END);
	port--;
	cr_assert_not_null(server);
}

static void teardown(void)
{
	char command[128];

	MHD_stop_daemon(server);
	server = NULL;
	ch_buf_deinit(&list);
	fx_world_deinit(&world);
	snprintf(command, sizeof(command), "rm -r %s", dir);
	cr_assert_eq(system(command), 0);
}

TestSuite(crl_fetch, .init = setup, .fini = teardown);

static void serve(long number)
{
	list.len = 0;
	fx_crl(&(struct fx_crl){.issuer = world.acme_root,
				.key = world.acme_root_key,
				.number = number},
	       &list);
}

static enum crl_outcome fetch_with(const char *path, const struct ch_trust *trust)
{
	static const struct crl_limits limits = {
		.max_bytes = 1 << 20, .timeout_ns = 1500000000, .redirects = 3};
	char url[128];
	struct crl_source source = {"acme.crl", url};

	snprintf(url, sizeof(url), "http://127.0.0.1:%u%s", port, path);
	return crl_fetch(&source, dir, trust, &limits, text);
}

static enum crl_outcome fetch(const char *path)
{
	return fetch_with(path, NULL);
}

static bool is_there(const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return access(path, F_OK) == 0;
}

/* Refused with @why, and nothing is left behind. */
static void refuse(const char *url, const char *why)
{
	cr_assert_eq(fetch(url), CRL_FAILED);
	cr_assert_not_null(strstr(text, why), "%s", text);
	cr_assert_not(is_there(".acme.crl.new"));
	cr_assert_not(is_there("acme.crl"));
}

Test(crl_fetch, a_list_is_put_in_place_and_a_second_time_left_alone)
{
	serve(1);
	cr_assert_eq(fetch("/list"), CRL_FETCHED, "%s", text);
	cr_assert(is_there("acme.crl"));
	cr_assert_not(is_there(".acme.crl.new"));
	cr_assert_eq(fetch("/moved"), CRL_UNCHANGED, "%s", text);
	serve(2);
	cr_assert_eq(fetch("/list"), CRL_FETCHED, "%s", text);
}

Test(crl_fetch, what_is_no_list_is_refused)
{
	cr_assert_eq(ch_buf_append_str(&list, "<html>welcome</html>"), 0);
	refuse("/list", "holds no revocation list");
	refuse("/missing", "404");
}

Test(crl_fetch, more_bytes_than_allowed_are_refused)
{
	refuse("/endless", "more bytes than --max-bytes");
}

Test(crl_fetch, a_server_that_takes_for_ever_is_left)
{
	struct timespec began, ended;

	clock_gettime(CLOCK_MONOTONIC, &began);
	refuse("/slow", "cannot be fetched");
	clock_gettime(CLOCK_MONOTONIC, &ended);
	cr_assert_lt(ended.tv_sec - began.tv_sec, 10);
}

Test(crl_fetch, redirects_are_bounded_and_lead_to_http_only)
{
	refuse("/loop", "redirect");
	refuse("/away", "cannot be fetched");
}

Test(crl_fetch, an_older_list_does_not_take_the_place_of_a_newer)
{
	serve(5);
	cr_assert_eq(fetch("/list"), CRL_FETCHED);
	serve(4);
	cr_assert_eq(fetch("/list"), CRL_FAILED);
	cr_assert_str_eq(text, "is older than the one in place");
	cr_assert(is_there("acme.crl"));
}

Test(crl_fetch, a_list_of_another_signer_is_refused_where_the_ca_is_given)
{
	serve(5);
	cr_assert_eq(fetch_with("/list", world.trust), CRL_FETCHED, "%s", text);
	list.len = 0;
	fx_crl(&(struct fx_crl){.issuer = world.acme_root, .key = world.acme_key, .number = 6},
	       &list);
	cr_assert_eq(fetch_with("/list", world.trust), CRL_FAILED);
	cr_assert_str_eq(text, "is signed by none of the CAs of --ca");
}

Test(crl_fetch, a_name_stays_inside_the_directory)
{
	cr_assert(crl_name_is_valid("acme.crl"));
	cr_assert_not(crl_name_is_valid("../acme.crl"));
	cr_assert_not(crl_name_is_valid(".acme.crl"));
	cr_assert_not(crl_name_is_valid("a/b"));
	cr_assert_not(crl_name_is_valid(""));
}
