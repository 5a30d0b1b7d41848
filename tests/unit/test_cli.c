/* SPDX-License-Identifier: Apache-2.0 */
/* The whole program as a process of its own, against a control socket in another one. */
/* links: collector guard kernel proto core */
/* sources: tests/unit/fake_collector.c user/cli/ban.c user/cli/change.c user/cli/clean.c */
/* sources: user/cli/cli.c user/cli/config.c user/cli/devices.c user/cli/doctor.c */
/* sources: user/cli/guard.c user/cli/http.c user/cli/input.c user/cli/inventory.c */
/* sources: user/cli/kill.c user/cli/listing.c user/cli/output.c user/cli/reload.c */
/* sources: user/cli/rpc.c user/cli/show.c user/cli/status.c */
#include "cli_rig.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>

TestSuite(cli, .init = setup, .fini = teardown, .timeout = 60);
TestSuite(cli_alone, .init = setup_without, .fini = teardown, .timeout = 60);

/* --- reading --- */

#define R0_START                                                                                   \
	"{\"index\":0,\"name\":\"r0\",\"state\":\"connected\",\"peer\":\"127.0.0.1:40000\","       \
	"\"transport\":\"netconf-tls\",\"tls_version\":\"TLSv1.3\","                               \
	"\"cipher\":\"TLS_AES_128_GCM_SHA256\",\"record_layer\":\"user\","                         \
	"\"since\":\"2026-01-01T00:00:00.123Z\",\"reason\":\"none\",\"identifier\":\"SN-0\","      \
	"\"manufacturer\":\"acme\",\"profile\":\"core\",\"session_id\":100,\"notifications\":0,"   \
	"\"replies\":0,\"login_ms\":12.345"

Test(cli, devices_are_a_table_with_aligned_columns)
{
	expect("devices --limit 5", 0,
	       "NAME  STATE         PEER             TLS      CIPHER                  LAYER  "
	       "SINCE                 REASON\n"
	       "r0    connected     127.0.0.1:40000  TLSv1.3  TLS_AES_128_GCM_SHA256  user   "
	       "2026-01-01T00:00:00Z  -\n"
	       "r1    never         -                -        -                       -      "
	       "-                     -\n"
	       "r2    connecting    127.0.0.3:40002  TLSv1.3  TLS_AES_128_GCM_SHA256  user   "
	       "2026-01-01T00:00:00Z  -\n"
	       "r3    disconnected  127.0.0.4:40003  TLSv1.3  TLS_AES_128_GCM_SHA256  user   "
	       "2026-01-01T00:00:00Z  closed-by-device\n"
	       "r4    refused       127.0.0.5:40004  TLSv1.3  TLS_AES_128_GCM_SHA256  user   "
	       "2026-01-01T00:00:00Z  certificate-expired\n",
	       "");
}

Test(cli, devices_json_passes_lines_through)
{
	expect("devices --json --name r0", 0, R0_START "}\n", "");
}

static void expect_lines(const char *line, unsigned lines)
{
	unsigned found = 0;

	run_with(line, "");
	cr_expect_eq(outcome.exit, 0, "%s", outcome.err);
	for (const char *c = outcome.out; *c != '\0'; c++)
		found += *c == '\n';
	cr_expect_eq(found, lines, "%s: %u lines", line, found);
}

Test(cli, devices_can_be_filtered)
{
	expect_lines("devices --json", 13);
	expect_lines("devices --json --state connected,refused", 5);
	expect_lines("devices --json --name r1*", 3);
	expect_lines("devices --json --profile core --manufacturer acme", 3);
	expect_lines("devices --json --limit 4", 4);
	expect("devices --name nothing", 0, "", "no device matches\n");
	expect("devices --state up", 2, "",
	       "callhome: 'state' must be a comma-separated list of never, connecting, connected, "
	       "disconnected, refused\n");
	expect("devices --limit 0", 2, "",
	       "callhome: --limit must be a number from 1 to 4294967295, not '0'; see 'callhome "
	       "devices --help'\n");
}

Test(cli_alone, devices_are_fetched_page_by_page)
{
	setenv("CALLHOME_SOCKET", path, 1);
	start_server(2500);
	expect_lines("devices", 2501);
	cr_expect_not_null(strstr(outcome.out, "\nr2497 "));
	cr_expect_not_null(strstr(outcome.out, "\npe/1 % "),
			   "the last but one, from the third page");
	expect_lines("devices --limit 1001 --state connected,never,refused", 1002);
	expect_lines("devices --limit 2000", 2001);
}

Test(cli, show_lists_all_that_is_known)
{
	expect("show r4", 0,
	       "name            r4\n"
	       "state           refused\n"
	       "since           2026-01-01T00:00:00.123Z\n"
	       "reason          certificate-expired\n"
	       "                a certificate of the chain expired\n"
	       "peer            127.0.0.5:40004\n"
	       "via             balancers\n"
	       "transport       netconf-tls\n"
	       "TLS version     TLSv1.3\n"
	       "cipher          TLS_AES_128_GCM_SHA256\n"
	       "key exchange    X25519\n"
	       "signature       ecdsa-sha256\n"
	       "extended master yes\n"
	       "record layer    user\n"
	       "                the kernel does not do TLS\n"
	       "TLS heartbeats  peer-allowed-to-send\n"
	       "manufacturer    acme\n"
	       "identifier      SN-4\n"
	       "identities      acme,SN-4 (file)\n"
	       "certificate     cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc\n"
	       "ends            9999-12-31T23:59:59Z\n"
	       "issuers         /CN=factory /CN=root\n"
	       "anchor          aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n"
	       "shown to it     current\n"
	       "profile         edge\n"
	       "session-id      104\n"
	       "capabilities    base:1.1 notification interleave\n"
	       "login (ms)      12.345\n"
	       "sessions        1\n"
	       "notifications   40\n"
	       "replies         4\n"
	       "bytes received  1000\n"
	       "bytes sent      500\n"
	       "thread          0\n",
	       "");
	expect("show --json r0", 0,
	       R0_START ",\"reason_text\":\"\"," FAKE_R0_IDENTITIES FAKE_TLS_MEMBERS
			"\"record_layer_why\":"
			"\"the kernel does not do TLS\",\"heartbeat\":\"peer-allowed-to-send\","
			"\"capabilities\":[\"base:1.1\",\"notification\","
			"\"interleave\"],\"worker\":0,\"sessions\":1,\"received_bytes\":1000,"
			"\"sent_bytes\":500}\n",
	       "");
	run_with("show r0", "");
	cr_expect(strstr(outcome.out,
			 "\nidentities      acme,SN-0 (file) operator,L-0 (database, used)\n") !=
			  NULL,
		  "%s", outcome.out);
	expect("show nobody", 4, "",
	       "callhome: no device is called 'nobody'; see 'callhome devices' for the names\n");
	expect("show ..", 4, "",
	       "callhome: no device is called '..'; see 'callhome devices' for the names\n");
}

Test(cli, a_name_is_escaped_in_the_request)
{
	char *argv[] = {(char *)"callhome", (char *)"show", (char *)"pe/1 %", NULL};
	int out = open_in("out", O_RDWR | O_CREAT | O_TRUNC);
	pid_t child;

	fflush(NULL);
	child = fork();
	if (child == 0) {
		dup2(out, STDOUT_FILENO);
		_exit(ch_cli(3, argv));
	}
	cr_expect_eq(exit_of(child), 0);
	close(out);
	slurp("out", outcome.out, sizeof(outcome.out));
	cr_expect_eq(strncmp(outcome.out, "name            pe/1 %\n", 23), 0, "%s", outcome.out);
}

Test(cli, status_is_for_people)
{
	char *up;

	run_with("status", "");
	cr_expect_eq(outcome.exit, 0, "%s", outcome.err);
	up = strstr(outcome.out, ", up ");
	cr_assert_not_null(up);
	*up = '\0';
	cr_expect_eq(strncmp(outcome.out, "callhome ", 9), 0);
	cr_expect_not_null(strstr(outcome.out, ", started 2026-01-01T00:00:00Z"));
	cr_expect_str_eq(
		strchr(up + 1, '\n') + 1,
		"devices        13 known, 987 up, 0 logging in, 20 in quarantine\n"
		"logins         0, p50 2.1 ms, p99 98.7 ms\n"
		"guard          in the kernel, and at accept (guard.mode: auto)\n"
		"limits         987 of 10000 sessions, 13 of 500 logging in, 1200 of 16384 "
		"sources, 2 of 1024 bans\n"
		"threads        2\n"
		"record layer   user\n"
		"capabilities   none\n"
		"judged by      generation 3, loaded 2026-01-01T00:00:00Z\n"
		"certificates   the first client certificate ends in 29 days\n"
		"held for peers 4.0 KiB of 1.0 GiB\n"
		"spool          11 events, 22 notifications, 33 replies; 4 lines dropped, "
		"5 errors\n"
		"ended by                  3  silent\n"
		"counters               1234  accepted\n"
		"                        987  up\n");
	expect_lines("status --json", 1);
	cr_expect_not_null(strstr(outcome.out, "\"counters\":{\"accepted\":1234,"));
}

Test(cli, doctor_names_what_is_wrong)
{
	run_with("doctor", "");
	cr_expect_eq(outcome.exit, 1);
	cr_expect_not_null(strstr(outcome.out, "ok    callhomed answers on its control socket\n"));
	cr_expect_not_null(strstr(outcome.out,
				  "WRONG the spool was written without errors: look for "
				  "event=spool-error in the log of callhomed; is the "
				  "disk full?\n"));
	cr_expect_not_null(strstr(outcome.out, "WRONG no line of the spool was dropped: "));
	cr_expect_not_null(
		strstr(outcome.out, "ok    no connection was refused for max-sessions\n"));
	cr_expect_not_null(strstr(outcome.out, "ok    callhomed gave up the privileges"));
}

Test(cli, doctor_gives_each_finding_as_json)
{
	unsigned wrong = 0;
	char *rest = NULL;

	run_with("doctor --json", "");
	cr_expect_eq(outcome.exit, 1, "as without: something is wrong");
	cr_expect_eq(strstr(outcome.out, "{\"ok\":true,\"finding\":\"callhomed answers on its "
					 "control socket\"}\n"),
		     outcome.out, "%s", outcome.out);
	cr_expect_not_null(strstr(outcome.out,
				  "\n{\"ok\":false,\"finding\":\"the spool was written without "
				  "errors\",\"advice\":\"look for event=spool-error in the log "
				  "of callhomed; is the disk full?\"}\n"));
	for (char *line = strtok_r(outcome.out, "\n", &rest); line != NULL;
	     line = strtok_r(NULL, "\n", &rest)) {
		json_t *json = json_loads(line, 0, NULL);

		cr_expect_not_null(json, "%s", line);
		wrong += json_is_false(json_object_get(json, "ok"));
		json_decref(json);
	}
	cr_expect_gt(wrong, 1, "%u findings are wrong", wrong);
}

/* --- doing --- */

Test(cli, reload_tells_what_changed_and_every_mistake)
{
	expect("reload --wait", 0, "generation 4: 1000 devices, 3 added, 2 removed, 1 changed\n",
	       "callhome: warning: c.yaml: listen.address was changed\n");
	expect("reload --wait", 1, "",
	       "callhome: c.yaml:1:2: one\ncallhome: d.csv:3: two\n"
	       "callhome: nothing was changed; mend the mistakes and reload again\n");
	expect("reload", 1, "", "callhome: the collector is stopping\n");
	expect("reload", 0, "", "");
	expect("reload x", 2, "",
	       "callhome: unexpected argument 'x'; see 'callhome reload --help'\n");
	expect("config chek", 2, "",
	       "callhome: name what to do and a file: config check FILE; see 'callhome config "
	       "--help'\n");
}

#define KEY "ab0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1ecd"

Test(cli, accept_says_whose_key_it_is_and_what_the_device_gets)
{
	expect("accept " KEY " --name pe/1 --credential c --profile p", 0,
	       "accept name=pe/1 cred=c prof=p src=- abcd \n", "");
	expect("accept --name r1 " KEY, 0, "accept name=r1 cred=- prof=- src=- abcd \n", "");
	expect("accept " KEY, 2, "",
	       "callhome: say with --name which device has this key; see 'callhome accept "
	       "--help'\n");
	expect("accept --name r1", 2, "",
	       "callhome: name one key by its fingerprint; see 'callhome accept --help'\n");
	expect("accept 12 --name r1", 2, "",
	       "callhome: a fingerprint is the SHA-256 of a public key or certificate in 64 "
	       "hexadecimal digits\n");
	expect("accept " KEY " --name ours", 1, "",
	       "callhome: accept name=ours cred=- prof=- src=- abcd \n");
	expect("accept " KEY " --name nobody", 4, "",
	       "callhome: accept name=nobody cred=- prof=- src=- abcd \n");
	expect("reject " KEY, 0, "reject name= cred=- prof=- src=- abcd \n", "");
}

Test(cli, devices_import_sends_a_file_and_prints_every_mistake)
{
	expect_rpc("devices import -", "acme,1,r1,,", 0,
		   "import name= cred=- prof=- src=- 0000 acme,1,r1,,\n", "");
	expect_rpc("devices import -", "bad", 1, "",
		   "callhome: x.csv:1: one\ncallhome: x.csv:2: two\n"
		   "callhome: nothing was changed\n");
	expect("devices import", 2, "",
	       "callhome: name one CSV file (- is standard input); see 'callhome devices "
	       "--help'\n");
	expect("devices import /nonexistent", 2, "",
	       "callhome: cannot open /nonexistent: No such file or directory\n");
	expect("devices remove pe/1", 0, "remove name=pe/1 cred=- prof=- src=- 0000 \n", "");
	expect("devices export", 0,
	       "manufacturer,identifier,name,credential,profile\nacme,SN-0,r0,c,p\n", "");
	expect("devices export x", 2, "",
	       "callhome: unexpected argument 'x'; see 'callhome devices --help'\n");
}

Test(cli, devices_pending_and_rejected_list_keys)
{
	run_with("devices --pending", "");
	cr_expect_eq(outcome.exit, 0);
	cr_expect_eq(strncmp(outcome.out, "FINGERPRINT ", 12), 0);
	cr_expect_not_null(strstr(outcome.out, "abababab  acme          Q16 "));
	cr_expect_null(strstr(outcome.out, " Q17 "));
	run_with("devices --rejected --json", "");
	cr_expect_eq(outcome.exit, 0);
	cr_expect_not_null(strstr(outcome.out, "\"identifier\":\"Q19\""));
	cr_expect_null(strstr(outcome.out, "Q16"));
	expect("devices --pending --name r1", 2, "",
	       "callhome: --pending and --rejected list keys, which none of the other options is "
	       "about; see 'callhome devices --help'\n");
}

Test(cli, kill_ends_a_session)
{
	expect("kill r0", 0, "", "");
	expect_lines("devices --json --state connected", 2);
	expect("kill r0", 4, "",
	       "callhome: device 'r0' is not connected; it must call home first\n");
	expect("kill nobody", 4, "",
	       "callhome: no device is called 'nobody'; see 'callhome devices' for the names\n");
	expect("kill", 2, "", "callhome: name one device; see 'callhome kill --help'\n");
}

Test(cli, rpc_prints_the_reply)
{
	static const char reply[] =
		"<rpc-reply message-id=\"1\"><ok/><echo><get/></echo></rpc-reply>\n";

	expect_rpc("rpc r0", "<get/>", 0, reply, "");
	expect_rpc("rpc r0 -f - --timeout 5s", "<get/>", 0, reply, "");
}

Test(cli, rpc_reads_a_file)
{
	char line[160];
	int fd = open_in("in", O_RDWR | O_CREAT | O_TRUNC);

	close(fd);
	snprintf(line, sizeof(line), "rpc r0 --file %s/in", directory);
	expect_rpc(line, "<get/>", 0,
		   "<rpc-reply message-id=\"1\"><ok/><echo><get/></echo></rpc-reply>\n", "");
	expect_rpc("rpc r0 -f /nonexistent/x", "", 2, "",
		   "callhome: cannot open /nonexistent/x: No such file or directory\n");
	expect_rpc("rpc r0 -f /", "", 2, "", "callhome: cannot read /: Is a directory\n");
}

Test(cli, rpc_tells_results_apart_by_exit_code)
{
	expect_rpc("rpc r0", "<error/>", 5,
		   "<rpc-reply message-id=\"1\"><rpc-error><error-type>application</error-type>"
		   "<error-tag>access-denied</error-tag><error-severity>error</error-severity>"
		   "</rpc-error></rpc-reply>\n",
		   "callhome: the device answered with rpc-error\n");
	expect_rpc("rpc r1", "<get/>", 4, "",
		   "callhome: device 'r1' is not connected; it must call home first\n");
	expect_rpc(
		"rpc nobody", "<get/>", 4, "",
		"callhome: no device is called 'nobody'; see 'callhome devices' for the names\n");
	expect_rpc("rpc r0", "<timeout/>", 1, "",
		   "callhome: device 'r0' did not answer in time; ask with a longer timeout\n");
	expect_rpc("rpc r0", "<full/>", 1, "",
		   "callhome: the thread that serves device 'r0' is busy; try again\n");
	expect_rpc("rpc r0", "<junk/>", 1, "<rpc-reply><rpc-error>\x1b[31m</rpc-reply>\n",
		   "callhome: the reply of the device is not well-formed XML\n");
	expect_rpc("rpc r0", "<rpc><get/></rpc>", 2, "",
		   "callhome: send the operation alone, for example <get-config>...</get-config>, "
		   "not the <rpc> around it: callhome adds that with its own message-id\n");
	expect_rpc("rpc r0", "", 2, "",
		   "callhome: the body is empty; it must be the operation, for example "
		   "<get xmlns=\"urn:ietf:params:xml:ns:netconf:base:1.0\"/>\n");
	expect_rpc(
		"rpc r0 --timeout 2", "<get/>", 2, "",
		"callhome: --timeout must be a duration from 1ms to 1h, such as 90s, not '2'; see "
		"'callhome rpc --help'\n");
}

Test(cli, rpc_refuses_more_than_a_mebibyte)
{
	char *input = malloc(1024 * 1024 + 2);

	memset(input, ' ', 1024 * 1024 + 1);
	memcpy(input, "<get/>", 6);
	input[1024 * 1024 + 1] = '\0';
	expect_rpc("rpc r0", input, 2, "", "callhome: the operation has more than 1048576 bytes\n");
	input[1024 * 1024] = '\0';
	run_with("rpc r0", input);
	cr_expect_eq(outcome.exit, 0, "%s", outcome.err);
	free(input);
}

Test(cli, an_interrupt_ends_it_with_130)
{
	char *much = calloc(1, 200000);
	int pipes[2];
	int out = open_in("out", O_RDWR | O_CREAT | O_TRUNC);
	pid_t child;

	cr_assert_eq(pipe2(pipes, O_CLOEXEC), 0);
	child = fork();
	if (child == 0)
		become("rpc r0", pipes[0], out, out);
	/* More than a pipe holds: when write returns, the program runs and reads. */
	memset(much, ' ', 200000);
	cr_assert_eq(write(pipes[1], much, 200000), 200000);
	kill(child, SIGINT);
	cr_expect_eq(exit_of(child), 130);
	close(pipes[0]);
	close(pipes[1]);
	close(out);
	free(much);
}

/* --- the terminal --- */

Test(cli, colours_are_for_terminals_only)
{
	run_on_terminal("devices --name r0", "");
	cr_expect_eq(outcome.exit, 0, "%s", outcome.err);
	cr_expect_not_null(strstr(outcome.out, "\x1b[1mNAME"));
	cr_expect_not_null(strstr(outcome.out, "\x1b[32mr0    connected"));
	setenv("NO_COLOR", "1", 1);
	run_on_terminal("devices --name r0", "");
	cr_expect_null(strchr(outcome.out, 0x1b));
	unsetenv("NO_COLOR");
	setenv("TERM", "dumb", 1);
	run_on_terminal("devices --name r0", "");
	cr_expect_null(strchr(outcome.out, 0x1b));
	cr_expect_not_null(strstr(outcome.out, "r0    connected"));
}

Test(cli, what_a_device_says_cannot_control_a_terminal)
{
	setenv("NO_COLOR", "1", 1);
	run_with("show r12", "");
	cr_expect_not_null(
		strstr(outcome.out,
		       "identifier      \\x1b[31mX\\x07\\u{9b}Y\xef\xbf\xbd\\u{202e}Z\xc3\xa9\n"),
		"%s", outcome.out);
	run_on_terminal("show --json r12", "");
	cr_expect_not_null(strstr(outcome.out, "\"identifier\":\"\\u001b["
					       "31mX\\u0007\\u009bY\xef\xbf\xbd\\u202eZ\xc3\xa9\""),
			   "%s", outcome.out);
	run_on_terminal("rpc r0", "<junk/>");
	cr_expect_not_null(strstr(outcome.out, "<rpc-error>\\x1b[31m</rpc-reply>\r\n"), "%s",
			   outcome.out);
	setenv("LC_ALL", "C", 1);
	run_with("show r12", "");
	cr_expect_not_null(
		strstr(outcome.out,
		       "identifier      \\x1b[31mX\\x07\\u{9b}Y\\u{fffd}\\u{202e}Z\\u{e9}\n"),
		"%s", outcome.out);
}

/* --- without a daemon --- */

Test(cli_alone, a_daemon_that_is_not_there_is_exit_3)
{
	char line[160];
	char err[512];

	if (access("/run/callhome", F_OK) == 0)
		cr_skip_test("a packaged callhomed may run on this machine");
	expect("status", 3, "",
	       "callhome: cannot reach callhomed at /run/callhome/callhomed.sock (No such file or "
	       "directory): start it, or name its control socket with --socket PATH or "
	       "CALLHOME_SOCKET\n");
	snprintf(line, sizeof(line), "--socket %s devices", path);
	snprintf(err, sizeof(err),
		 "callhome: cannot reach callhomed at %s (No such file or directory): start it, or "
		 "name its control socket with --socket PATH or CALLHOME_SOCKET\n",
		 path);
	expect(line, 3, "", err);
	snprintf(line, sizeof(line), "devices --socket=%s", path);
	expect(line, 3, "", err);
}

static int listener(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	cr_assert_eq(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	cr_assert_eq(listen(fd, 4), 0);
	return fd;
}

Test(cli_alone, a_stale_socket_is_exit_3)
{
	char err[512];

	close(listener());
	setenv("CALLHOME_SOCKET", path, 1);
	snprintf(err, sizeof(err),
		 "callhome: cannot reach callhomed at %s (Connection refused): start it, or name "
		 "its "
		 "control socket with --socket PATH or CALLHOME_SOCKET\n",
		 path);
	expect("kill r0", 3, "", err);
}

static void answer_once(int fd, const char *text)
{
	int client = accept(fd, NULL, NULL);
	char request[4096];

	if (recv(client, request, sizeof(request), 0) > 0)
		send(client, text, strlen(text), MSG_NOSIGNAL);
	close(client);
	_exit(0);
}

static void expect_from_stranger(const char *answer, const char *line, const char *err_format)
{
	char err[512];
	int fd = listener();
	pid_t child = fork();

	if (child == 0)
		answer_once(fd, answer);
	close(fd);
	setenv("CALLHOME_SOCKET", path, 1);
	snprintf(err, sizeof(err), err_format, path);
	expect(line, 1, "", err);
	waitpid(child, NULL, 0);
	unlink(path);
}

Test(cli_alone, another_program_at_the_socket_is_no_success)
{
	expect_from_stranger("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]", "status",
			     "callhome: %s does not answer as callhomed does\n");
	expect_from_stranger("HTTP/1.1 500 Oops\r\nContent-Length: 4\r\n\r\noops", "kill x",
			     "callhome: %s answers with HTTP status 500; is that callhomed?\n");
	expect_from_stranger("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{\"a\":1}\n\n", "devices",
			     "callhome: the listing is broken after 0 devices\n");
	expect_from_stranger("HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{", "devices --json",
			     "callhome: the exchange with callhomed at %s broke off: Transferred a "
			     "partial file\n");
}

Test(cli_alone, arguments_are_checked)
{
	char line[300];
	char name[200];

	expect("", 2, "", "callhome: a verb is missing; see 'callhome --help'\n");
	expect("frobnicate", 2, "",
	       "callhome: there is no verb 'frobnicate'; see 'callhome --help'\n");
	expect("--bogus", 2, "",
	       "callhome: unrecognized option '--bogus'\nsee 'callhome --help'\n");
	expect("devices --bogus", 2, "",
	       "callhome: unrecognized option '--bogus'\nsee 'callhome devices --help'\n");
	expect("status x", 2, "",
	       "callhome: unexpected argument 'x'; see 'callhome status --help'\n");
	expect("show a b", 2, "", "callhome: name one device; see 'callhome show --help'\n");
	memset(name, 'x', 108);
	name[108] = '\0';
	snprintf(line, sizeof(line), "status --socket %s", name);
	expect(line, 2, "",
	       "callhome: the path of the control socket has 108 bytes, at most 107 are "
	       "possible\n");
}

Test(cli_alone, every_verb_has_help)
{
	static const char *const verbs[] = {"status", "devices", "show",    "rpc",
					    "kill",   "reload",	 "config",  "doctor",
					    "accept", "reject",	 "version", "help"};
	char line[64];
	char first[64];

	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
		snprintf(line, sizeof(line), "%s --help", verbs[i]);
		snprintf(first, sizeof(first), "usage: callhome %s ", verbs[i]);
		run_with(line, "");
		cr_expect_eq(outcome.exit, 0);
		cr_expect_eq(strncmp(outcome.out, first, strlen(first)), 0, "%s", outcome.out);
		run_with("--help", "");
		snprintf(first, sizeof(first), "\n  %s ", verbs[i]);
		cr_expect_not_null(strstr(outcome.out, first), "--help names %s", verbs[i]);
	}
	run_with("help rpc", "");
	cr_expect_eq(strncmp(outcome.out, "usage: callhome rpc NAME [-f FILE|-] [OPTIONS]\n", 47),
		     0);
}

Test(cli_alone, version_needs_no_daemon)
{
	run_with("version", "");
	cr_expect_eq(outcome.exit, 0);
	cr_expect_not_null(strstr(outcome.out, "\nlibcurl "));
	run_with("--version", "");
	cr_expect_eq(strncmp(outcome.out, "callhome ", 9), 0);
}

Test(cli_alone, output_that_cannot_be_written_is_a_failure)
{
	int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
	int err = open_in("err", O_RDWR | O_CREAT | O_TRUNC);
	pid_t child;

	cr_assert_geq(full, 0);
	fflush(NULL);
	child = fork();
	if (child == 0)
		become("help", full, full, err);
	cr_expect_eq(exit_of(child), 1);
	close(err);
	slurp("err", outcome.err, sizeof(outcome.err));
	cr_expect_str_eq(outcome.err,
			 "callhome: cannot write the output: No space left on device\n");
	close(full);
}
