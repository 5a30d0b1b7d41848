/* SPDX-License-Identifier: Apache-2.0 */
/* links: collector guard kernel proto core */
/* sources: tests/unit/fake_collector.c */
#include "control_rig.h"
#include "user/collector/control_rpc.h"

#include <fcntl.h>
#include <jansson.h>
#include <pthread.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>

TestSuite(control, .init = setup_open, .fini = teardown, .timeout = 60);
TestSuite(control_socket, .init = setup, .fini = teardown, .timeout = 60);

/* --- reading --- */

Test(control, healthz_says_ok)
{
	struct answer answer = request("GET", "/healthz", NULL);

	cr_expect_eq(answer.status, 200);
	cr_expect_str_eq(answer.body, "ok\n");
	free(answer.text);
}

Test(control, status_is_one_object_with_counters_and_reasons_apart)
{
	struct answer answer = request("GET", "/v1/status", NULL);
	json_t *json = json_loads(answer.body, 0, NULL);
	json_int_t uptime = -1;

	cr_assert_not_null(json, "%s", answer.text);
	cr_expect_not_null(strstr(answer.text, "Content-Type: application/json\r\n"));
	uptime = json_integer_value(json_object_get(json, "uptime_s"));
	cr_expect(uptime >= 0 && uptime < 60);
	cr_expect_str_eq(json_string_value(json_object_get(json, "version")), ch_version());
	json_object_set_new(json, "version", json_string("VERSION"));
	json_object_set_new(json, "uptime_s", json_integer(0));
	json_object_del(json, "guard"); /* test_control_guard.c has it */
	free(answer.text);
	answer.text = json_dumps(json, JSON_COMPACT);
	cr_expect_str_eq(answer.text,
			 "{\"version\":\"VERSION\",\"started\":\"2026-01-01T00:00:00.000Z\","
			 "\"uptime_s\":0,\"threads\":2,\"devices\":13,\"record_layer\":\"user\","
			 "\"max_sessions\":10000,\"max_handshakes\":500,\"byte_budget\":1073741824,"
			 "\"byte_budget_used\":4096,\"counters\":{\"accepted\":1234,\"up\":987,"
			 "\"tickets\":0},"
			 "\"reasons\":{\"silent\":3,\"unknown-ca\":0},\"spool\":{\"events\":11,"
			 "\"notifications\":22,\"replies\":33,\"dropped\":4,\"errors\":5},"
			 "\"login\":{\"p50_us\":2100,\"p99_us\":98700},\"quarantined\":20,"
			 "\"expiry\":{\"credential_days\":29},"
			 "\"privileges\":{\"capabilities\":\"none\",\"no_new_privileges\":true},"
			 "\"reload\":{\"generation\":3,\"loaded\":\"2026-01-01T00:00:00.000Z\","
			 "\"failed\":null,\"error\":\"\"}}");
	free(answer.text);
	json_decref(json);
}

#define R0_MEMBERS                                                                                 \
	"\"index\":0,\"name\":\"r0\",\"state\":\"connected\",\"peer\":\"127.0.0.1:40000\","        \
	"\"transport\":\"netconf-tls\",\"tls_version\":\"TLSv1.3\","                               \
	"\"cipher\":\"TLS_AES_128_GCM_SHA256\",\"record_layer\":\"user\","                         \
	"\"since\":\"2026-01-01T00:00:00.123Z\",\"reason\":\"none\",\"identifier\":\"SN-0\","      \
	"\"manufacturer\":\"acme\",\"profile\":\"core\",\"session_id\":100,\"notifications\":0,"   \
	"\"replies\":0,\"login_ms\":12.345"

Test(control, devices_are_one_object_per_line)
{
	struct answer answer = request("GET", "/v1/devices?limit=2", NULL);

	cr_expect_eq(answer.status, 200);
	cr_expect_not_null(strstr(answer.text, "Content-Type: application/x-ndjson\r\n"));
	cr_expect_str_eq(
		answer.body,
		"{" R0_MEMBERS "}\n"
		"{\"index\":1,\"name\":\"r1\",\"state\":\"never\",\"peer\":\"\","
		"\"transport\":\"netconf-tls\",\"tls_version\":\"\",\"cipher\":\"\","
		"\"record_layer\":\"\",\"since\":null,\"reason\":\"none\","
		"\"identifier\":\"SN-1\",\"manufacturer\":\"borg\",\"profile\":\"edge\","
		"\"session_id\":0,\"notifications\":10,\"replies\":1,\"login_ms\":0.000}\n");
	free(answer.text);
}

/** The names that a listing gives, joined by blanks. */
static void expect_names(const char *target, const char *expected)
{
	struct answer answer = request("GET", target, NULL);
	char names[1024] = "";
	char *rest = NULL;

	cr_expect_eq(answer.status, 200, "%s", answer.text);
	for (char *line = strtok_r((char *)answer.body, "\n", &rest); line != NULL;
	     line = strtok_r(NULL, "\n", &rest)) {
		json_t *json = json_loads(line, 0, NULL);

		cr_assert_not_null(json, "%s", line);
		snprintf(names + strlen(names), sizeof(names) - strlen(names), "%s%s",
			 names[0] != '\0' ? " " : "",
			 json_string_value(json_object_get(json, "name")));
		json_decref(json);
	}
	cr_expect_str_eq(names, expected, "%s", target);
	free(answer.text);
}

Test(control, devices_can_be_filtered)
{
	expect_names("/v1/devices?state=connected", "r0 r5 r10");
	expect_names("/v1/devices?state=connected,refused", "r0 r4 r5 r9 r10");
	expect_names("/v1/devices?state=connected%2Crefused&manufacturer=borg", "r5 r9");
	expect_names("/v1/devices?profile=core", "r0 r3 r6 r9 r12");
	expect_names("/v1/devices?name=r1*", "r1 r10 r12");
	expect_names("/v1/devices?name=r%5B2-4%5D", "r2 r3 r4");
	expect_names("/v1/devices?name=nothing", "");
	expect_names("/v1/devices?name=pe/1+%25", "pe/1 %");
}

Test(control, devices_are_paged_by_index)
{
	expect_names("/v1/devices?after=8&limit=2", "r9 r10");
	expect_names("/v1/devices?after=0&limit=2&state=connected", "r5 r10");
	expect_names("/v1/devices?after=12", "");
	expect_names("/v1/devices?after=4294967295", "");
}

Test(control, bad_parameters_are_named)
{
	expect_error("GET", "/v1/devices?state=connected,up", NULL, 400, "bad-parameter",
		     "'state' must be a comma-separated list of never, connecting, connected, "
		     "disconnected, refused");
	expect_error("GET", "/v1/devices?state=", NULL, 400, "bad-parameter",
		     "'state' must be a comma-separated list of never, connecting, connected, "
		     "disconnected, refused");
	expect_error("GET", "/v1/devices?limit=0", NULL, 400, "bad-parameter",
		     "'limit' must be a number from 1 to 4294967295");
	expect_error("GET", "/v1/devices?after=-1", NULL, 400, "bad-parameter",
		     "'after' must be the index of a device, 0 to 4294967295");
	expect_error("GET", "/v1/devices?name=%0", NULL, 400, "bad-parameter",
		     "'name' must be at most 1023 bytes with %XX escapes");
	expect_error("GET", "/v1/devices?sate=never", NULL, 400, "bad-parameter",
		     "'sate' is no parameter of this resource");
	expect_error("GET", "/v1/status?x=1", NULL, 400, "bad-parameter",
		     "'x' is no parameter of this resource");
}

Test(control, a_hundred_thousand_devices_are_streamed)
{
	struct ch_collector *many = fake_new(100000);
	struct ch_control *second = NULL;
	struct answer answer;
	size_t lines = 0;

	ch_control_close(control);
	control = NULL;
	cr_assert_eq(ch_control_open(many, path, &second, error), 0, "%s", error);
	answer = request("GET", "/v1/devices", NULL);
	for (size_t i = 0; i < answer.len; i++)
		lines += answer.body[i] == '\n';
	cr_expect_eq(lines, 100000);
	cr_expect_not_null(strstr(answer.body, "{\"index\":99999,\"name\":\"r99999\","));
	free(answer.text);
	ch_control_close(second);
	fake_free(many);
}

Test(control, a_listing_of_http_1_1_is_chunked_and_ends)
{
	static const char text[] = "GET /v1/devices?name=r0 HTTP/1.1\r\nHost: x\r\n"
				   "Connection: close\r\n\r\n";
	struct answer answer;
	int fd = dial();

	send_all(fd, text, sizeof(text) - 1);
	answer = read_answer(fd);
	cr_expect_eq(answer.status, 200);
	cr_expect_not_null(strstr(answer.text, "Transfer-Encoding: chunked\r\n"));
	cr_expect_not_null(strstr(answer.body, R0_MEMBERS));
	cr_assert_geq(answer.len, 5);
	cr_expect_str_eq(answer.body + answer.len - 5, "0\r\n\r\n");
	free(answer.text);
}

Test(control, one_device_is_shown_whole)
{
	struct answer answer = request("GET", "/v1/devices/r0", NULL);

	cr_expect_eq(answer.status, 200);
	cr_expect_str_eq(
		answer.body,
		"{" R0_MEMBERS ",\"reason_text\":\"\"," FAKE_R0_IDENTITIES FAKE_TLS_MEMBERS
		"\"record_layer_why\":\"the kernel does not do TLS\","
		"\"heartbeat\":\"peer-allowed-to-send\","
		"\"capabilities\":[\"base:1.1\",\"notification\",\"interleave\"],"
		"\"worker\":0,\"sessions\":1,\"received_bytes\":1000,\"sent_bytes\":500}\n");
	free(answer.text);
	answer = request("GET", "/v1/devices/r4", NULL);
	cr_expect_not_null(strstr(answer.body, "\"reason\":\"certificate-expired\""));
	cr_expect_not_null(
		strstr(answer.body, "\"reason_text\":\"a certificate of the chain expired\""));
	free(answer.text);
}

Test(control, a_name_in_the_path_is_percent_decoded)
{
	struct answer answer = request("GET", "/v1/devices/pe%2F1%20%25", NULL);

	cr_expect_eq(answer.status, 200);
	cr_expect_not_null(strstr(answer.body, "\"name\":\"pe/1 %\""));
	free(answer.text);
	expect_error("GET", "/v1/devices/r9%3Cx%3E", NULL, 404, "unknown-device",
		     "no device is called 'r9<x>'; see 'callhome devices' for the names");
	expect_error("GET", "/v1/devices/r0%00", NULL, 404, "not-found",
		     "there is no /v1/devices/r0%00 here; see docs/control-api.md");
	expect_error("GET", "/v1/devices/r0%4", NULL, 404, "not-found",
		     "there is no /v1/devices/r0%4 here; see docs/control-api.md");
}

Test(control, hostile_strings_are_escaped)
{
	struct answer answer = request("GET", "/v1/devices/r12", NULL);
	json_t *json = json_loads(answer.body, 0, NULL);

	cr_assert_not_null(json, "%s", answer.body);
	cr_expect_null(strchr(answer.body, 0x1b));
	cr_expect_str_eq(json_string_value(json_object_get(json, "identifier")),
			 "\x1b[31mX\x07\xc2\x9bY\xef\xbf\xbd\xe2\x80\xaeZ\xc3\xa9");
	json_decref(json);
	free(answer.text);
}

Test(control, quarantine_lists_every_record)
{
	struct answer answer = request("GET", "/v1/quarantine", NULL);
	const char *first =
		"{\"spki_sha256\":"
		"\"abababababababababababababababababababababababababababababababab\","
		"\"cert_sha256\":"
		"\"cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd\","
		"\"manufacturer\":\"acme\",\"identifier\":\"Q0\",\"peer\":\"127.0.0.9:9\","
		"\"first\":\"2026-01-01T00:00:00.000Z\",\"last\":\"2026-01-01T00:00:01.000Z\","
		"\"count\":7,\"state\":\"pending\"}\n";
	size_t lines = 0;

	cr_expect_eq(strncmp(answer.body, first, strlen(first)), 0, "%s", answer.body);
	for (size_t i = 0; i < answer.len; i++)
		lines += answer.body[i] == '\n';
	cr_expect_eq(lines, 20);
	cr_expect_not_null(strstr(answer.body, "\"Q19\""));
	free(answer.text);
}

Test(control, unknown_paths_and_methods_are_refused)
{
	expect_error("GET", "/", NULL, 404, "not-found",
		     "there is no / here; see docs/control-api.md");
	expect_error("GET", "/v1/devices/", NULL, 404, "not-found",
		     "there is no /v1/devices/ here; see docs/control-api.md");
	expect_error("GET", "/v1/devices/r0/frobnicate", NULL, 404, "not-found",
		     "there is no /v1/devices/r0/frobnicate here; see docs/control-api.md");
	expect_error("POST", "/v1/status", NULL, 405, "method-not-allowed",
		     "this resource takes GET, not POST");
	expect_error("GET", "/v1/devices/r0/rpc", NULL, 405, "method-not-allowed",
		     "this resource takes POST, not GET");
	expect_error("POST", "/v1/devices/r0/session", "", 405, "method-not-allowed",
		     "this resource takes DELETE, not POST");
}

/* --- kill --- */

Test(control, kill_is_accepted_once)
{
	struct answer answer = request("DELETE", "/v1/devices/r0/session", NULL);

	cr_expect_eq(answer.status, 202);
	cr_expect_str_eq(answer.body, "{\"accepted\":true}\n");
	free(answer.text);
	expect_error("DELETE", "/v1/devices/r0/session", NULL, 409, "not-connected",
		     "device 'r0' is not connected; it must call home first");
	expect_error("DELETE", "/v1/devices/nobody/session", NULL, 404, "unknown-device",
		     "no device is called 'nobody'; see 'callhome devices' for the names");
}

/* --- reload --- */

Test(control, reload_tells_what_changed_or_what_is_wrong)
{
	struct answer answer = request("POST", "/v1/reload", NULL);

	cr_expect_eq(answer.status, 200, "%s", answer.text);
	cr_expect_str_eq(answer.body, "{\"generation\":4,\"devices\":1000,\"added\":3,"
				      "\"removed\":2,\"changed\":1,"
				      "\"warnings\":[\"c.yaml: listen.address was changed\"]}\n");
	free(answer.text);
	answer = request("POST", "/v1/reload?wait=true", NULL);
	cr_expect_eq(answer.status, 422, "%s", answer.text);
	cr_expect_str_eq(answer.body, "{\"error\":\"bad-configuration\",\"message\":\"nothing was "
				      "changed; mend the mistakes and reload again\","
				      "\"mistakes\":[\"c.yaml:1:2: one\",\"d.csv:3: two\"]}\n");
	free(answer.text);
	expect_error("POST", "/v1/reload", NULL, 503, "stopping", "the collector is stopping");
	answer = request("POST", "/v1/reload?wait=false", NULL);
	cr_expect_eq(answer.status, 202, "%s", answer.text);
	cr_expect_str_eq(answer.body, "{\"accepted\":true}\n");
	free(answer.text);
	expect_error("POST", "/v1/reload?wait=maybe", NULL, 400, "bad-parameter",
		     "'wait' must be true or false");
}

/* --- rpc --- */

Test(control, rpc_gives_the_reply_of_the_device)
{
	struct answer answer =
		request("POST", "/v1/devices/r0/rpc?timeout=1500ms",
			"<?xml version=\"1.0\"?>\n<!-- c --><get x=\"1\"><a/></get>\n");

	cr_expect_eq(answer.status, 200, "%s", answer.text);
	cr_expect_not_null(strstr(answer.text, "Content-Type: application/xml\r\n"));
	cr_expect_not_null(strstr(answer.text, "X-Callhome-RPC: ok\r\n"));
	cr_expect_str_eq(answer.body, "<rpc-reply message-id=\"1\"><ok/><echo>"
				      "<get x=\"1\"><a/></get></echo></rpc-reply>");
	cr_expect_str_eq(fake_operation(fake), "<get x=\"1\"><a/></get>");
	cr_expect_eq(fake_timeout_ns(fake), UINT64_C(1500000000));
	free(answer.text);
}

Test(control, rpc_waits_thirty_seconds_unless_told)
{
	free(request("POST", "/v1/devices/r0/rpc", "<get/>").text);
	cr_expect_eq(fake_timeout_ns(fake), UINT64_C(30000000000));
	expect_error("POST", "/v1/devices/r0/rpc?timeout=61min", "<get/>", 400, "bad-parameter",
		     "'timeout' must be a duration from 1ms to 1h, such as 30s");
	expect_error("POST", "/v1/devices/r0/rpc?timeout=0", "<get/>", 400, "bad-parameter",
		     "'timeout' must be a duration from 1ms to 1h, such as 30s");
}

Test(control, rpc_tells_an_rpc_error_apart)
{
	struct answer answer = request("POST", "/v1/devices/r0/rpc", "<error/>");

	cr_expect_eq(answer.status, 200);
	cr_expect_not_null(strstr(answer.text, "X-Callhome-RPC: rpc-error\r\n"));
	cr_expect_not_null(strstr(answer.body, "<error-tag>access-denied</error-tag>"));
	free(answer.text);
	answer = request("POST", "/v1/devices/r0/rpc", "<junk/>");
	cr_expect_eq(answer.status, 502);
	cr_expect_not_null(strstr(answer.text, "X-Callhome-RPC: malformed\r\n"));
	cr_expect_str_eq(answer.body, "<rpc-reply><rpc-error>\x1b[31m</rpc-reply>");
	free(answer.text);
}

Test(control, rpc_collects_a_large_reply)
{
	struct answer answer = request("POST", "/v1/devices/r5/rpc", "<large/>");

	cr_expect_eq(answer.status, 200);
	cr_expect_eq(answer.len, 17 + 1000000 + 19);
	free(answer.text);
}

Test(control, rpc_failures_have_their_own_status)
{
	expect_error("POST", "/v1/devices/nobody/rpc", "<get/>", 404, "unknown-device",
		     "no device is called 'nobody'; see 'callhome devices' for the names");
	expect_error("POST", "/v1/devices/r1/rpc", "<get/>", 409, "not-connected",
		     "device 'r1' is not connected; it must call home first");
	expect_error("POST", "/v1/devices/r0/rpc", "<gone/>", 409, "not-connected",
		     "device 'r0' is not connected; it must call home first");
	expect_error("POST", "/v1/devices/r0/rpc", "<state/>", 409, "not-possible",
		     "device 'r0' takes no requests in its present state (subscribed without "
		     ":interleave, or closing)");
	expect_error("POST", "/v1/devices/r0/rpc", "<timeout/>", 504, "timeout",
		     "device 'r0' did not answer in time; ask with a longer timeout");
	expect_error("POST", "/v1/devices/r0/rpc", "<limit/>", 502, "limit",
		     "the reply of device 'r0' is larger than a limit, or too many requests to it "
		     "are under way");
	expect_error("POST", "/v1/devices/r0/rpc", "<syntax/>", 400, "bad-operation",
		     "the operation holds the end-of-message mark of base:1.0, the only framing "
		     "that device 'r0' speaks");
	expect_error("POST", "/v1/devices/r0/rpc", "<full/>", 503, "busy",
		     "the thread that serves device 'r0' is busy; try again");
	expect_error("POST", "/v1/devices/r0/rpc", "<empty/>", 502, "empty-reply",
		     "device 'r0' answered with an empty message");
}

Test(control, rpc_refuses_what_is_no_operation)
{
	expect_error("POST", "/v1/devices/r0/rpc", "", 400, "bad-operation",
		     "the body is empty; it must be the operation, for example "
		     "<get xmlns=\"urn:ietf:params:xml:ns:netconf:base:1.0\"/>");
	expect_error("POST", "/v1/devices/r0/rpc",
		     "<rpc message-id=\"1\" "
		     "xmlns=\"urn:ietf:params:xml:ns:netconf:base:1.0\"><get/></rpc>",
		     400, "bad-operation",
		     "send the operation alone, for example <get-config>...</get-config>, not the "
		     "<rpc> around it: callhome adds that with its own message-id");
	cr_expect_str_eq(fake_operation(fake), "", "nothing reached the device");
}

Test(control, a_body_over_the_limit_is_refused)
{
	size_t len = CH_RPC_BODY_MOST + 1;
	char *body = malloc(len + 1);
	char head[128];
	struct answer answer;
	int fd;

	memset(body, ' ', len);
	body[len] = '\0';
	expect_error("POST", "/v1/devices/r0/rpc", body, 413, "too-large",
		     "the body is larger than 1048576 bytes");
	/* the same without a Content-Length */
	fd = dial();
	snprintf(head, sizeof(head),
		 "POST /v1/devices/r0/rpc HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
		 "Transfer-Encoding: chunked\r\n\r\n%zx\r\n",
		 len);
	send_all(fd, head, strlen(head));
	send_all(fd, body, len);
	send_all(fd, "\r\n0\r\n\r\n", 7);
	answer = read_answer(fd);
	cr_expect_eq(answer.status, 413, "%s", answer.text);
	free(answer.text);
	free(body);
}

Test(control, a_body_at_the_limit_is_taken)
{
	char *body = malloc(CH_RPC_BODY_MOST + 1);
	struct answer answer;

	memset(body, ' ', CH_RPC_BODY_MOST);
	memcpy(body, "<get/>", 6);
	body[CH_RPC_BODY_MOST] = '\0';
	answer = request("POST", "/v1/devices/r0/rpc", body);
	cr_expect_eq(answer.status, 200);
	cr_expect_str_eq(fake_operation(fake), "<get/>");
	free(answer.text);
	free(body);
}

Test(control, status_answers_while_rpcs_wait_and_the_33rd_is_told_to_come_back)
{
	struct answer answer;
	int fds[32];

	for (int i = 0; i < 32; i++) {
		fds[i] = dial();
		send_request(fds[i], "POST", "/v1/devices/r0/rpc", "<hang/>");
	}
	fake_await_hanging(fake, 32);
	answer = request("GET", "/v1/status", NULL);
	cr_expect_eq(answer.status, 200);
	free(answer.text);
	expect_error("POST", "/v1/devices/r0/rpc", "<get/>", 429, "busy",
		     "32 requests to devices are waiting already; try again");
	fake_finish_hanging(fake);
	for (int i = 0; i < 32; i++) {
		answer = read_answer(fds[i]);
		cr_expect_eq(answer.status, 409);
		free(answer.text);
	}
	answer = request("POST", "/v1/devices/r0/rpc", "<get/>");
	cr_expect_eq(answer.status, 200, "places are given back");
	free(answer.text);
}

Test(control, a_client_that_hangs_up_does_no_harm)
{
	struct answer answer;

	for (int i = 0; i < 8; i++) {
		int fd = dial();

		send_request(fd, "POST", "/v1/devices/r0/rpc", "<hang/>");
		fake_await_hanging(fake, (unsigned)i + 1);
		close(fd);
	}
	fake_finish_hanging(fake);
	answer = request("GET", "/healthz", NULL);
	cr_expect_eq(answer.status, 200);
	free(answer.text);
}

Test(control, close_answers_what_waits_and_outlives_late_replies)
{
	struct answer answer;
	int fd = dial();

	send_request(fd, "POST", "/v1/devices/r0/rpc", "<hang/>");
	fake_await_hanging(fake, 1);
	ch_control_close(control);
	control = NULL;
	answer = read_answer(fd);
	cr_expect_eq(answer.status, 503);
	cr_expect_str_eq(answer.body,
			 "{\"error\":\"stopping\",\"message\":\"the collector is stopping; "
			 "device 'r0' did not answer yet\"}\n");
	free(answer.text);
	fake_finish_hanging(fake); /* its callback comes after the end of the control socket */
}

static void *one_rpc(void *arg)
{
	int *good = arg;

	for (int i = 0; i < 20; i++) {
		struct answer answer = request("POST", "/v1/devices/r10/rpc", "<get/>");

		*good += answer.status == 200;
		free(answer.text);
	}
	return NULL;
}

Test(control, many_clients_at_once_get_their_own_replies)
{
	pthread_t threads[8];
	int good[8] = {0};

	for (int i = 0; i < 8; i++)
		cr_assert_eq(pthread_create(&threads[i], NULL, one_rpc, &good[i]), 0);
	for (int i = 0; i < 8; i++) {
		pthread_join(threads[i], NULL);
		cr_expect_eq(good[i], 20);
	}
}

/* --- the socket --- */

Test(control_socket, has_mode_0600_whatever_the_umask)
{
	struct stat st;

	umask(0);
	cr_assert_eq(ch_control_open(fake, path, &control, error), 0, "%s", error);
	cr_assert_eq(stat(path, &st), 0);
	cr_expect(S_ISSOCK(st.st_mode));
	cr_expect_eq(st.st_mode & 07777, 0600);
	cr_assert_eq(stat(lock_path, &st), 0);
	cr_expect_eq(st.st_mode & 07777, 0600);
}

Test(control_socket, close_removes_socket_and_lock)
{
	cr_assert_eq(ch_control_open(fake, path, &control, error), 0, "%s", error);
	ch_control_close(control);
	control = NULL;
	cr_expect_neq(access(path, F_OK), 0);
	cr_expect_neq(access(lock_path, F_OK), 0);
	ch_control_close(NULL);
}

Test(control_socket, a_second_daemon_is_refused_by_the_lock)
{
	struct ch_control *second = NULL;
	char expected[256];

	cr_assert_eq(ch_control_open(fake, path, &control, error), 0, "%s", error);
	cr_expect_eq(ch_control_open(fake, path, &second, error), -EADDRINUSE);
	snprintf(expected, sizeof(expected), "another callhomed (pid %d) holds %s", (int)getpid(),
		 lock_path);
	cr_expect_str_eq(error, expected);
	cr_expect_eq(access(path, F_OK), 0, "the first one's socket stays");
	free(request("GET", "/healthz", NULL).text);
}

/** A listener of somebody who knows no lock. */
static int foreign_listener(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	cr_assert_eq(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	cr_assert_eq(listen(fd, 1), 0);
	return fd;
}

Test(control_socket, a_stale_socket_is_replaced)
{
	struct answer answer;

	close(foreign_listener());
	cr_assert_eq(ch_control_open(fake, path, &control, error), 0, "%s", error);
	answer = request("GET", "/healthz", NULL);
	cr_expect_eq(answer.status, 200);
	free(answer.text);
}

Test(control_socket, a_live_socket_of_another_program_is_left_alone)
{
	char expected[256];
	int fd = foreign_listener();

	cr_expect_eq(ch_control_open(fake, path, &control, error), -EADDRINUSE);
	snprintf(expected, sizeof(expected), "another process listens on %s", path);
	cr_expect_str_eq(error, expected);
	cr_expect_eq(access(path, F_OK), 0);
	cr_expect_neq(access(lock_path, F_OK), 0, "the lock is given back");
	close(fd);
}

Test(control_socket, a_file_in_the_way_is_never_removed)
{
	char expected[256];

	close(open(path, O_CREAT | O_WRONLY, 0600));
	cr_expect_eq(ch_control_open(fake, path, &control, error), -EEXIST);
	snprintf(expected, sizeof(expected),
		 "%s exists and is not a socket; remove it or name another path", path);
	cr_expect_str_eq(error, expected);
	cr_expect_eq(access(path, F_OK), 0);
}

Test(control_socket, a_path_of_107_bytes_works_and_108_are_refused)
{
	char name[160];
	char expected[300];

	memset(name, 'x', sizeof(name));
	memcpy(name, directory, strlen(directory));
	name[strlen(directory)] = '/';
	name[108] = '\0';
	cr_expect_eq(ch_control_open(fake, name, &control, error), -ENAMETOOLONG);
	snprintf(
		expected, sizeof(expected),
		"the path of the control socket has 108 bytes, at most 107 are possible: %.100s...",
		name);
	cr_expect_str_eq(error, expected);
	name[107] = '\0';
	cr_assert_eq(ch_control_open(fake, name, &control, error), 0, "%s", error);
	ch_control_close(control);
	control = NULL;
	cr_expect_neq(access(name, F_OK), 0);
}

Test(control_socket, a_missing_directory_is_named)
{
	cr_expect_eq(ch_control_open(fake, "/nonexistent/c.sock", &control, error), -ENOENT);
	cr_expect_str_eq(error, "cannot open /nonexistent/c.sock.lock: No such file or directory");
}

Test(control_socket, another_user_is_refused_even_where_the_mode_lets_him_in)
{
	struct answer answer;
	pid_t child;
	int status;

	if (geteuid() != 0)
		cr_skip_test("only root can become another user");
	cr_assert_eq(ch_control_open(fake, path, &control, error), 0, "%s", error);
	cr_assert_eq(chmod(directory, 0755), 0);
	cr_assert_eq(chmod(path, 0666), 0);
	child = fork();
	if (child == 0) {
		if (setuid(65534) != 0)
			_exit(1);
		answer = request("GET", "/v1/status", NULL);
		_exit(answer.status == 403 &&
				      strcmp(answer.body,
					     "{\"error\":\"forbidden\",\"message\":\"only root "
					     "and uid 0 may use this socket\"}\n") == 0
			      ? 42
			      : 2);
	}
	cr_assert_eq(waitpid(child, &status, 0), child);
	cr_expect(WIFEXITED(status));
	cr_expect_eq(WEXITSTATUS(status), 42);
}
