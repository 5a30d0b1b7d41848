/* SPDX-License-Identifier: Apache-2.0 */
/* links: collector guard kernel tls core */
#include "user/collector/config.h"
#include "user/collector/config_load.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A second of configuration time. */
#define S UINT64_C(1000000000)

/* The rest of a usable file, for tests of one section: three lines without positions of interest. */
#define REST                                                                                       \
	"trust: {manufacturers: [{name: acme, ca: a.pem, identifier: cn}]}\n"                      \
	"credentials: [{name: default, tls-cert: c.pem, tls-key: c.key}]\n"                        \
	"devices: {file: d.csv}\n"

static int parse(const char *yaml, struct ch_config **config, char error[4096])
{
	struct ch_buf said = {0};
	int err;

	*config = NULL;
	err = ch_config_parse("dir/c.yaml", (const uint8_t *)yaml, strlen(yaml), config, &said);
	snprintf(error, 4096, "%.*s", (int)said.len, said.len > 0 ? (const char *)said.data : "");
	ch_buf_deinit(&said);
	return err;
}

static struct ch_config *parse_well(const char *yaml)
{
	struct ch_config *config;
	char error[4096];

	cr_assert_eq(parse(yaml, &config, error), 0, "%s", error);
	cr_assert_str_eq(error, "");
	return config;
}

static const char whole_file[] =
	"listen:\n"
	"  - {name: tls, address: \"127.0.0.1:4335\", transport: netconf-tls}\n"
	"trust:\n"
	"  manufacturers:\n"
	"    - {name: acme, ca: acme-ca.pem, identifier: serialNumber}     # cn | serialNumber | "
	"san-dns | san-uri | hardwareModuleName\n"
	"    - {name: borg, ca: borg-ca.pem, identifier: cn}\n"
	"credentials:\n"
	"  - {name: default, tls-cert: client.pem, tls-key: client.key}     # tls-cert may hold the "
	"chain\n"
	"profiles:\n"
	"  - {name: default, on-connect: [get-config, subscribe]}\n"
	"devices: {file: devices.csv, unknown: reject}                      # reject | quarantine\n"
	"control: {socket: callhomed.sock}\n"
	"spool: {directory: spool, max-bytes: 1GiB}\n";

Test(config, reads_the_file_of_the_manual)
{
	struct ch_config *c = parse_well(whole_file);
	char address[CH_ADDRESS_TEXT];

	cr_expect_str_eq(c->file, "dir/c.yaml");
	cr_expect_str_eq(c->directory, "dir");
	cr_assert_eq(c->listener_count, 1);
	cr_expect_str_eq(c->listeners[0].name, "tls");
	ch_address_format(&c->listeners[0].address, address);
	cr_expect_str_eq(address, "127.0.0.1:4335");
	cr_expect_eq(c->listeners[0].line, 2);
	cr_expect_eq(c->listeners[0].column, 5);
	cr_expect_not(c->listeners[0].optional);
	cr_assert_eq(c->manufacturer_count, 2);
	cr_expect_str_eq(c->manufacturers[0].name, "acme");
	cr_expect_str_eq(c->manufacturers[0].ca, "dir/acme-ca.pem");
	cr_expect_eq(c->manufacturers[0].identifier, CH_IDENTIFIER_SERIAL_NUMBER);
	cr_expect_str_eq(c->manufacturers[1].name, "borg");
	cr_expect_eq(c->manufacturers[1].identifier, CH_IDENTIFIER_CN);
	cr_assert_eq(c->credential_count, 1);
	cr_expect_str_eq(c->credentials[0].name, "default");
	cr_expect_str_eq(c->credentials[0].tls_cert, "dir/client.pem");
	cr_expect_str_eq(c->credentials[0].tls_key, "dir/client.key");
	cr_assert_eq(c->profile_count, 1);
	cr_expect_eq(c->profiles[0].on_connect, CH_ON_CONNECT_GET_CONFIG | CH_ON_CONNECT_SUBSCRIBE);
	cr_expect_str_eq(c->devices_file, "dir/devices.csv");
	cr_expect_eq(c->unknown, CH_UNKNOWN_REJECT);
	cr_expect_str_eq(c->control_socket, "dir/callhomed.sock");
	cr_expect_str_eq(c->spool_directory, "dir/spool");
	cr_expect_eq(c->spool_max_bytes, UINT64_C(1) << 30);
	cr_expect_eq(c->spool_file_bytes, UINT64_C(64) << 20);
	cr_expect_eq(c->warnings.len, 0);
	ch_config_free(c);
}

/* row: HB7 9645 */
Test(config, reads_the_keepalives_of_rfc_9645)
{
	struct ch_config *c =
		parse_well(REST "keepalives:\n"
				"  peer-allowed-to-send: true\n"
				"  test-peer-aliveness: {max-wait: 5s, max-attempts: 7}\n");

	cr_expect(c->peer_allowed_to_send);
	cr_expect_eq(c->heartbeat_max_wait_ns, 5 * S);
	cr_expect_eq(c->heartbeat_max_attempts, 7);
	cr_expect_eq(c->warnings.len, 0);
	ch_config_free(c);
	c = parse_well(REST "keepalives: {test-peer-aliveness: {max-wait: 0}}\n");
	cr_expect_eq(c->heartbeat_max_wait_ns, 0);
	ch_config_free(c);
}

/* row: C4-off */
Test(config, warns_that_no_heartbeats_do_not_conform)
{
	struct ch_config *c = parse_well(REST "keepalives:\n"
					      "  peer-allowed-to-send: false\n");

	cr_expect_not(c->peer_allowed_to_send);
	cr_assert_gt(c->warnings.len, 0);
	cr_expect_not_null(memmem(c->warnings.data, c->warnings.len, "RFC 8071", 8));
	ch_config_free(c);
}

Test(config, reads_on_which_interfaces_the_guard_works_early)
{
	struct ch_config *c = parse_well(REST "guard: {early: xdp, interface: \"eth0,eth1\"}\n");

	cr_expect_eq(c->guard.early, CH_GATE_EARLY_XDP);
	cr_expect_str_eq(c->guard.interfaces, "eth0,eth1");
	ch_config_free(c);
	c = parse_well(REST "guard: {mode: require, early: xdp-generic, interface: bond0.100}\n");
	cr_expect_eq(c->guard.early, CH_GATE_EARLY_XDP_GENERIC);
	ch_config_free(c);
}

Test(config, lets_a_rule_that_limits_do_without_a_rate)
{
	struct ch_config *c = parse_well(REST "guard: {rules: [{name: all, action: drop, prefix: "
					      "0.0.0.0/0}, {name: ours, prefix: 192.0.2.0/24}]}\n");

	cr_expect_eq(c->guard.rule_count, 2);
	cr_expect_eq(c->guard.rules[1].action, CH_GATE_ACTION_LIMIT);
	cr_expect_eq(c->guard.rules[1].rate, 0);
	ch_config_free(c);
}

Test(config, passes_over_a_byte_order_mark)
{
	ch_config_free(parse_well("\xef\xbb\xbf" REST));
}

/* row: 9645 */
Test(config, has_defaults_for_all_that_may_be_left_out)
{
	struct ch_config *c = parse_well(REST);
	char address[CH_ADDRESS_TEXT];

	cr_assert_eq(c->listener_count, 2);
	ch_address_format(&c->listeners[0].address, address);
	cr_expect_str_eq(address, "0.0.0.0:4335");
	cr_expect_not(c->listeners[0].optional);
	ch_address_format(&c->listeners[1].address, address);
	cr_expect_str_eq(address, "[::]:4335");
	cr_expect(c->listeners[1].optional);
	cr_assert_eq(c->profile_count, 1);
	cr_expect_str_eq(c->profiles[0].name, "default");
	cr_expect_eq(c->profiles[0].on_connect, 0);
	cr_expect_not(c->profiles[0].subscribe_without_interleave);
	cr_expect_eq(c->profiles[0].probe_interval_ns, 0);
	cr_expect(c->peer_allowed_to_send);
	cr_expect_eq(c->heartbeat_max_wait_ns, 30 * S);
	cr_expect_eq(c->heartbeat_max_attempts, 3);
	cr_expect_str_eq(c->control_socket, "/run/callhome/callhomed.sock");
	cr_expect_null(c->spool_directory);
	cr_expect_eq(c->threads, 0);
	cr_expect_eq(c->max_sessions, 16384);
	cr_expect_eq(c->max_handshakes, 1024);
	cr_expect_eq(c->login_timeout_ns, 10 * S);
	cr_expect_eq(c->first_byte_timeout_ns, 5 * S);
	cr_expect_eq(c->handshake_timeout_ns, 0);
	cr_expect_eq(c->max_message, 16u << 20);
	cr_expect_eq(c->max_chunks, 1u << 20);
	cr_expect_eq(c->max_depth, 128);
	cr_expect_eq(c->max_send_queue, 2u << 20);
	cr_expect_eq(c->byte_budget, 0);
	cr_expect_eq(c->rpc_timeout_ns, 60 * S);
	cr_expect_eq(c->shutdown_timeout_ns, 10 * S);
	cr_expect_eq(c->keepalive_idle_s, 60);
	cr_expect_eq(c->keepalive_interval_s, 15);
	cr_expect_eq(c->keepalive_count, 4);
	cr_expect_eq(c->user_timeout_ms, 120000);
	cr_expect_eq(c->backlog, 4096);
	cr_expect_eq(c->receive_buffers, 1024);
	cr_expect_eq(c->quarantine_max, 1024);
	cr_expect_eq(c->log_level, CH_LOG_INFO);
	ch_config_free(c);
}

Test(config, reads_every_limit)
{
	struct ch_config *c = parse_well(REST "limits:\n"
					      "  threads: 3\n"
					      "  max-sessions: 100000\n"
					      "  max-handshakes: 2000\n"
					      "  login-timeout: 1500ms\n"
					      "  max-message: 1MB\n"
					      "  max-chunks: 77\n"
					      "  max-depth: 9\n"
					      "  max-send-queue: 100kB\n"
					      "  byte-budget: \"2GiB\"\n"
					      "  rpc-timeout: 2min\n"
					      "  shutdown-timeout: 3s\n"
					      "  keepalive-idle: 0\n"
					      "  keepalive-interval: 1min\n"
					      "  keepalive-count: 127\n"
					      "  user-timeout: 1h\n"
					      "  backlog: 100\n"
					      "  receive-buffers: 32768\n"
					      "  quarantine-max: 5\n"
					      "log: {level: debug}\n");

	cr_expect_eq(c->threads, 3);
	cr_expect_eq(c->max_sessions, 100000);
	cr_expect_eq(c->max_handshakes, 2000);
	cr_expect_eq(c->login_timeout_ns, 1500000000);
	cr_expect_eq(c->max_message, 1000000);
	cr_expect_eq(c->max_chunks, 77);
	cr_expect_eq(c->max_depth, 9);
	cr_expect_eq(c->max_send_queue, 100000);
	cr_expect_eq(c->byte_budget, UINT64_C(2) << 30);
	cr_expect_eq(c->rpc_timeout_ns, 120 * S);
	cr_expect_eq(c->shutdown_timeout_ns, 3 * S);
	cr_expect_eq(c->keepalive_idle_s, 0);
	cr_expect_eq(c->keepalive_interval_s, 60);
	cr_expect_eq(c->keepalive_count, 127);
	cr_expect_eq(c->user_timeout_ms, 3600000);
	cr_expect_eq(c->backlog, 100);
	cr_expect_eq(c->receive_buffers, 32768);
	cr_expect_eq(c->quarantine_max, 5);
	cr_expect_eq(c->log_level, CH_LOG_DEBUG);
	ch_config_free(c);
}

Test(config, defaults_give_way_to_smaller_ceilings)
{
	struct ch_config *c = parse_well(REST "limits: {max-sessions: 10, byte-budget: 1MiB}\n"
					      "spool: {directory: /s, max-bytes: 8MiB}\n");

	cr_expect_eq(c->max_handshakes, 10);
	cr_expect_eq(c->max_message, 1u << 20);
	cr_expect_eq(c->spool_file_bytes, 1u << 20);
	cr_expect_str_eq(c->spool_directory, "/s");
	ch_config_free(c);
}

Test(config, reads_lists_of_profiles_and_choices)
{
	struct ch_config *c = parse_well(
		REST "profiles:\n"
		     "- {name: a, on-connect: [subscribe], subscribe-without-interleave: yes}\n"
		     "- name: b\n"
		     "  probe-interval: 5min\n");

	cr_assert_eq(c->profile_count, 2);
	cr_expect_eq(c->profiles[0].on_connect, CH_ON_CONNECT_SUBSCRIBE);
	cr_expect(c->profiles[0].subscribe_without_interleave);
	cr_expect_eq(c->profiles[1].on_connect, 0);
	cr_expect_eq(c->profiles[1].probe_interval_ns, 300 * S);
	ch_config_free(c);
}

/* row: C6b */
Test(config, knows_the_identifier_kinds_of_the_trust_module)
{
	const struct ch_choice *choice =
		ch_option_find(CH_SECTION_MANUFACTURERS, "identifier")->choices;
	int count = 0;

	for (; choice->name != NULL; choice++, count++)
		cr_expect_str_eq(choice->name,
				 ch_identifier_kind_name((enum ch_identifier_kind)choice->value));
	cr_expect_eq(count, 5);
}

struct mistake {
	const char *yaml;
	const char *error;
};

static void check_mistakes(const struct mistake *rows, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct ch_config *config;
		char error[4096];

		cr_expect_eq(parse(rows[i].yaml, &config, error), CH_E_CONFIG, "%s", rows[i].yaml);
		cr_expect_str_eq(error, rows[i].error, "%s gave\n%s\nnot\n%s", rows[i].yaml, error,
				 rows[i].error);
		cr_expect_null(config);
	}
}
#define CHECK(rows) check_mistakes(rows, sizeof(rows) / sizeof(rows[0]))

Test(config, names_what_is_not_yaml_or_not_wanted)
{
	static const struct mistake rows[] = {
		{"", "dir/c.yaml:1:1: the file is empty; docs/config.md shows a small configuration"},
		{"# only\n",
		 "dir/c.yaml:1:1: the file is empty; docs/config.md shows a small configuration"},
		{"~\n", "dir/c.yaml:1:1: the file is empty; docs/config.md shows a small configuration"},
		{"- a\n", "dir/c.yaml:1:1: the file must be a mapping (key: value lines), not a list"},
		{"hello\n",
		 "dir/c.yaml:1:1: the file must be a mapping (key: value lines), not a single value"},
		{"limits: {a: b\nlog: x\n",
		 "dir/c.yaml:2:4: not valid YAML: did not find expected ',' or '}' while parsing a "
		 "flow mapping (line 1); check indentation and quotes"},
		{"a: 'b\n",
		 "dir/c.yaml:2:1: not valid YAML: found unexpected end of stream while scanning a "
		 "quoted scalar (line 1); check indentation and quotes"},
		{"limits:\n\tthreads: 1\n",
		 "dir/c.yaml:2:1: not valid YAML: found character that cannot start any token while "
		 "scanning for the next token (line 2); check indentation and quotes"},
		{"a: b\nc: \xff\n", "dir/c.yaml:2:4: not readable as text: invalid leading UTF-8 octet; "
				    "save the file as UTF-8"},
		{"a: \x01\n", "dir/c.yaml:1:4: not readable as text: control characters are not "
			      "allowed; save the file as UTF-8"},
		{"a: b\n---\nc: d\n", "dir/c.yaml:2:1: a second document; a configuration is one, "
				      "remove the \"---\""},
		{"a: &x b\n", "dir/c.yaml:1:4: anchors (&x) are not supported; write the value out "
			      "where it is needed"},
		{"a: *x\n", "dir/c.yaml:1:4: aliases (*x) are not supported; write the value out"},
		{"a: !!int 3\n",
		 "dir/c.yaml:1:4: tags (tag:yaml.org,2002:int) are not supported; remove it"},
		{"? [a]\n: b\n", "dir/c.yaml:1:3: a key must be a plain word, not a list or mapping"},
		{"a: [[[[[[[[[x]]]]]]]]]\n", "dir/c.yaml:1:11: nested more than 8 deep"},
		{"a: \"x\\ny\"\n", "dir/c.yaml:1:4: a control character or line break in a value; "
				   "remove it"},
		{"a: \"x\\0y\"\n", "dir/c.yaml:1:4: a control character or line break in a value; "
				   "remove it"},
	};

	CHECK(rows);
}

Test(config, names_what_an_early_stage_lacks)
{
	static const struct mistake rows[] = {
		{REST "guard: {early: xdp}\n", "dir/c.yaml:4:16: guard.early: on which interface? Add "
						"\"interface: eth0\""},
		{REST "guard: {interface: eth0}\n",
		 "dir/c.yaml:4:20: guard.interface: without an early stage nothing is done there; add "
		 "\"early: xdp\" or remove it"},
		{REST "guard: {mode: userspace, early: xdp, interface: eth0}\n",
		 "dir/c.yaml:4:33: guard.early: it works in the kernel, and guard.mode does not let it; "
		 "set that to auto or require, or remove this"},
		{REST "guard: {mode: off, early: xdp, interface: eth0}\n",
		 "dir/c.yaml:4:27: guard.early: it works in the kernel, and guard.mode does not let it; "
		 "set that to auto or require, or remove this"},
		{REST "guard: {early: tc, interface: eth0}\n",
		 "dir/c.yaml:4:16: guard.early: \"tc\" is not allowed; write one of: off, xdp, "
		 "xdp-generic"},
		{REST "guard: {early: xdp, interface: \"eth0,eth0\"}\n",
		 "dir/c.yaml:4:32: guard.interface: \"eth0,eth0\" is not a list of interfaces; write "
		 "eth0, or up to eight different ones with commas between: eth0,eth1"},
	};

	CHECK(rows);
}

Test(config, names_unknown_keys_and_what_was_meant)
{
	static const struct mistake rows[] = {
		{"lisetn: []\n" REST,
		 "dir/c.yaml:1:1: unknown key lisetn; did you mean \"listen\"?"},
		{REST "limits:\n  max-sesions: 1\n",
		 "dir/c.yaml:5:3: unknown key limits.max-sesions; did you mean \"max-sessions\"?"},
		{REST "max-sessions: 1\n",
		 "dir/c.yaml:4:1: unknown key max-sessions; \"max-sessions\" belongs in limits"},
		{REST "limits: {profiles: []}\n",
		 "dir/c.yaml:4:10: unknown key limits.profiles; \"profiles\" belongs in the top level"},
		{REST "manufacturers: []\n",
		 "dir/c.yaml:4:1: unknown key manufacturers; \"manufacturers\" belongs in trust"},
		{REST "colour: blue\n", "dir/c.yaml:4:1: unknown key colour; callhomed --help-config "
					"lists all keys"},
		{REST "profiles:\n- {name: a, onconnect: [subscribe]}\n",
		 "dir/c.yaml:5:13: unknown key profiles.onconnect; did you mean \"on-connect\"?"},
		{REST "log: {level: info}\nlog: {level: debug}\n",
		 "dir/c.yaml:5:1: key log again, after line 4; remove one"},
		{REST "log: {level: info, level: info}\n",
		 "dir/c.yaml:4:20: key log.level again, after line 4; remove one"},
		{REST "limits: {max-sesions: 1, thraeds: 2}\n",
		 "dir/c.yaml:4:10: unknown key limits.max-sesions; did you mean \"max-sessions\"?\n"
		 "dir/c.yaml:4:26: unknown key limits.thraeds; did you mean \"threads\"?"},
	};

	CHECK(rows);
}

Test(config, names_wrong_kinds_of_values)
{
	static const struct mistake rows[] = {
		{REST "limits: 5\n", "dir/c.yaml:4:1: limits must be a mapping, not a single value; "
				     "write \"max-sessions: 16384\" below it, or remove the key"},
		{REST "limits:\n", "dir/c.yaml:4:1: limits must be a mapping, not nothing; write "
				   "\"max-sessions: 16384\" below it, or remove the key"},
		{REST "limits: [1]\n", "dir/c.yaml:4:9: limits must be a mapping, not a list; write "
				       "\"max-sessions: 16384\" below it, or remove the key"},
		{REST "listen: {name: a}\n",
		 "dir/c.yaml:4:9: listen must be a list, not a mapping; write \"- {name: tls, address: "
		 "\"0.0.0.0:4335\"}\" below it"},
		{REST "listen: [x]\n", "dir/c.yaml:4:10: listen: an item must be a mapping, not a "
				       "single value; write \"- {name: tls, address: "
				       "\"0.0.0.0:4335\"}\""},
		{REST "limits: {threads: [1]}\n", "dir/c.yaml:4:19: limits.threads must be a single "
						  "value, not a list; write \"threads: 0\""},
		{REST "limits: {threads: {a: 1}}\n",
		 "dir/c.yaml:4:19: limits.threads must be a single value, not a mapping; write "
		 "\"threads: 0\""},
		{REST "limits: {threads: }\n", "dir/c.yaml:4:10: limits.threads has no value; write "
					       "\"threads: 0\" or remove the key"},
		{REST "limits: {threads: ~}\n", "dir/c.yaml:4:10: limits.threads has no value; write "
						"\"threads: 0\" or remove the key"},
		{REST "profiles: [{name: a, on-connect: subscribe}]\n",
		 "dir/c.yaml:4:34: profiles.on-connect must be a list, not a single value; put the "
		 "value in [brackets]"},
		{REST "profiles: [{name: a, on-connect: [[subscribe]]}]\n",
		 "dir/c.yaml:4:35: profiles.on-connect: an item must be a single value, not a list"},
		{REST "profiles: [{name: a, on-connect: []}]\n",
		 "dir/c.yaml:4:34: profiles.on-connect is an empty list; remove the key"},
		{REST "listen: []\n", "dir/c.yaml:4:9: listen is an empty list; remove the key, or add "
				      "\"- {name: tls, address: \"0.0.0.0:4335\"}\""},
		{"trust: {manufacturers: []}\ncredentials: []\ndevices: {file: d}\n",
		 "dir/c.yaml:1:24: trust.manufacturers is an empty list; add \"- {name: acme, ca: "
		 "acme-ca.pem, identifier: serialNumber}\"\n"
		 "dir/c.yaml:2:14: credentials is an empty list; add \"- {name: default, tls-cert: "
		 "client.pem, tls-key: client.key}\""},
	};

	CHECK(rows);
}

Test(config, names_what_is_missing)
{
	static const struct mistake rows[] = {
		{"log: {level: info}\n",
		 "dir/c.yaml:1:1: credentials is missing; add \"credentials:\" with \"- {name: default, "
		 "tls-cert: client.pem, tls-key: client.key}\"\n"
		 "dir/c.yaml:1:1: devices is missing; add \"devices:\" with \"file: devices.csv\""},
		{REST "listen:\n- {name: tls}\n",
		 "dir/c.yaml:5:3: listen.address is missing; add \"address: ADDRESS:PORT\""},
		{"trust: {}\ncredentials: [{name: a, tls-cert: b}]\ndevices: {unknown: reject}\n",
		 "dir/c.yaml:1:8: trust.manufacturers is missing; add \"manufacturers:\" with \"- "
		 "{name: acme, ca: acme-ca.pem, identifier: serialNumber}\"\n"
		 "dir/c.yaml:2:15: credentials.tls-key is missing; add \"tls-key: PATH\"\n"
		 "dir/c.yaml:3:10: devices.file is missing; add \"file: PATH\""},
		{"trust: {manufacturers: [{name: a, ca: b}]}\ncredentials: [{name: a, tls-cert: b, "
		 "tls-key: c}]\ndevices: {file: d}\nspool: {max-bytes: 1GiB}\n",
		 "dir/c.yaml:1:25: trust.manufacturers.identifier is missing; add \"identifier: cn\"\n"
		 "dir/c.yaml:4:8: spool.directory is missing; add \"directory: PATH\""},
	};

	CHECK(rows);
}

#define NUMBER "limits.max-sessions: \"%s\" is not a number; write decimal digits only"

Test(config, reads_numbers_as_people_mean_them)
{
	static const char *const bad[] = {"ten", "-1", "+1", "010", "0x10", "1e3", "1.0", "1 000",
					  "1_000", "1GiB", "\"\"", "true"};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		char yaml[512], error[4096], want[256];
		struct ch_config *config;

		snprintf(yaml, sizeof(yaml), REST "limits: {max-sessions: %s}\n", bad[i]);
		cr_expect_eq(parse(yaml, &config, error), CH_E_CONFIG, "%s", bad[i]);
		snprintf(want, sizeof(want), "dir/c.yaml:4:24: " NUMBER,
			 strcmp(bad[i], "\"\"") == 0 ? "" : bad[i]);
		cr_expect_str_eq(error, want, "%s: %s", bad[i], error);
	}
}

Test(config, names_bad_values_with_what_is_allowed)
{
	static const struct mistake rows[] = {
		{REST "limits: {max-sessions: 0}\n",
		 "dir/c.yaml:4:24: limits.max-sessions: 0 is out of range; allowed are 1 to 16777216"},
		{REST "limits: {max-sessions: 16777217}\n",
		 "dir/c.yaml:4:24: limits.max-sessions: 16777217 is out of range; allowed are 1 to "
		 "16777216"},
		{REST "limits: {max-sessions: 99999999999999999999}\n",
		 "dir/c.yaml:4:24: limits.max-sessions: 99999999999999999999 is out of range; allowed "
		 "are 1 to 16777216"},
		{REST "limits: {threads: 129}\n",
		 "dir/c.yaml:4:19: limits.threads: 129 is out of range; allowed are 1 to 128, and 0 "
		 "(one per core that callhomed may use, and more where max-sessions needs more file "
		 "slots)"},
		{REST "limits: {login-timeout: 10}\n",
		 "dir/c.yaml:4:25: limits.login-timeout: \"10\" is not a duration; write a number with "
		 "ms, s, min, h or d"},
		{REST "limits: {login-timeout: 1m}\n",
		 "dir/c.yaml:4:25: limits.login-timeout: \"1m\" is not a duration; write a number with "
		 "ms, s, min, h or d"},
		{REST "limits: {login-timeout: 1ms}\n",
		 "dir/c.yaml:4:25: limits.login-timeout: 1ms is out of range; allowed are 100ms to "
		 "10min"},
		{REST "limits: {login-timeout: 0}\n",
		 "dir/c.yaml:4:25: limits.login-timeout: 0 is out of range; allowed are 100ms to "
		 "10min"},
		{REST "limits: {keepalive-idle: 1500ms}\n",
		 "dir/c.yaml:4:26: limits.keepalive-idle: 1500ms is not a whole number of seconds"},
		{REST "limits: {max-message: 1Gb}\n",
		 "dir/c.yaml:4:23: limits.max-message: \"1Gb\" is not a size; write a number with B, "
		 "KiB, MiB, GiB, TiB, kB, MB, GB or TB"},
		{REST "limits: {max-message: 2GiB}\n",
		 "dir/c.yaml:4:23: limits.max-message: 2GiB is out of range; allowed are 1KiB to 1GiB"},
		{REST "limits: {receive-buffers: 1000}\n",
		 "dir/c.yaml:4:27: limits.receive-buffers: 1000 is not a power of two; write 512"},
		{REST "listen: [{name: a, address: 4335}]\n",
		 "dir/c.yaml:4:29: listen.address: \"4335\" is not an address with a port; write "
		 "192.0.2.1:4335 or [2001:db8::1]:4335"},
		{REST "listen: [{name: a, address: 127.0.0.1}]\n",
		 "dir/c.yaml:4:29: listen.address: \"127.0.0.1\" is not an address with a port; write "
		 "192.0.2.1:4335 or [2001:db8::1]:4335"},
		{REST "listen: [{name: a, address: \"127.0.0.1:0\"}]\n",
		 "dir/c.yaml:4:29: listen.address: port 0 cannot be called; the assigned port is 4335"},
		{REST "listen: [{name: a b, address: \"127.0.0.1:1\"}]\n",
		 "dir/c.yaml:4:17: listen.name: \"a b\" is not a name; write 1 to 63 letters, digits, "
		 "'.', '_' or '-', first a letter or digit"},
		{REST "listen: [{name: a, address: \"127.0.0.1:1\", transport: netconf-ssh}]\n",
		 "dir/c.yaml:4:55: listen.transport: \"netconf-ssh\" is not allowed; did you mean "
		 "\"netconf-tls\"? Allowed: netconf-tls"},
		{REST "profiles: [{name: a, on-connect: [get_config]}]\n",
		 "dir/c.yaml:4:35: profiles.on-connect: \"get_config\" is not allowed; did you mean "
		 "\"get-config\"? Allowed: get-config, subscribe"},
		{REST "profiles: [{name: a, on-connect: [subscribe, subscribe]}]\n",
		 "dir/c.yaml:4:46: profiles.on-connect: \"subscribe\" twice; remove one"},
		{REST "profiles: [{name: a, subscribe-without-interleave: maybe}]\n",
		 "dir/c.yaml:4:52: profiles.subscribe-without-interleave: \"maybe\" is not a yes or no; "
		 "write true or false"},
		{REST "log: {level: loud}\n", "dir/c.yaml:4:14: log.level: \"loud\" is not allowed; "
					      "write one of: error, warning, info, debug"},
		{REST "control: {socket: \"\"}\n",
		 "dir/c.yaml:4:19: control.socket: an empty path; write the name of a file"},
	};

	CHECK(rows);
}

Test(config, names_contradictions)
{
	static const struct mistake rows[] = {
		{REST "listen:\n- {name: a, address: \"127.0.0.1:1\"}\n- {name: a, address: "
		      "\"127.0.0.1:2\"}\n",
		 "dir/c.yaml:6:10: listen.name: \"a\" is the name on line 5 too; choose another"},
		{REST "listen:\n- {name: a, address: \"127.0.0.1:1\"}\n- {name: b, address: "
		      "\"127.0.0.1:1\"}\n",
		 "dir/c.yaml:6:22: listen.address: 127.0.0.1:1 is the address on line 5 too; remove "
		 "one"},
		{REST "profiles:\n- name: p\n- name: q\n- name: p\n",
		 "dir/c.yaml:7:9: profiles.name: \"p\" is the name on line 5 too; choose another"},
		{"trust:\n  manufacturers:\n  - {name: m, ca: a, identifier: cn}\n  - {name: m, ca: b, "
		 "identifier: cn}\ncredentials:\n- {name: c, tls-cert: a, tls-key: b}\n- {name: c, "
		 "tls-cert: a, tls-key: b}\ndevices: {file: d}\n",
		 "dir/c.yaml:4:12: trust.manufacturers.name: \"m\" is the name on line 3 too; choose "
		 "another\n"
		 "dir/c.yaml:7:10: credentials.name: \"c\" is the name on line 6 too; choose another"},
		{"credentials:\n- {name: c, tls-cert: a, tls-key: b, next-tls-cert: e}\n"
		 "- {name: d, tls-cert: a, tls-key: b, next-tls-key: e}\ndevices: {file: d}\n",
		 "dir/c.yaml:2:53: credentials: next-tls-cert without next-tls-key; add it\n"
		 "dir/c.yaml:3:52: credentials: next-tls-key without next-tls-cert; add it"},
		{REST "limits: {max-sessions: 10, max-handshakes: 11}\n",
		 "dir/c.yaml:4:44: limits.max-handshakes: 11 is more than 10, the value of "
		 "limits.max-sessions; lower it or raise that"},
		{REST "limits: {byte-budget: 1MiB, max-message: 2MiB}\n",
		 "dir/c.yaml:4:42: limits.max-message: 2MiB is more than 1MiB, the value of "
		 "limits.byte-budget; lower it or raise that"},
		{REST "spool: {directory: s, max-bytes: 8MiB, file-bytes: 2MiB}\n",
		 "dir/c.yaml:4:52: spool.file-bytes: 2MiB is more than 1MiB, an eighth of "
		 "spool.max-bytes; lower it or raise that"},
		{REST "control:\n  socket: "
		      "/2345678901234567890123456789012345678901234567890123456789012345678901234567890"
		      "1234567890123456789012345678\n",
		 "dir/c.yaml:5:11: control.socket: 108 bytes with its directory; a socket path has at "
		 "most 107, choose a shorter one"},
	};

	CHECK(rows);
}

Test(config, counts_the_directory_into_the_socket_path)
{
	char yaml[512], error[4096], name[105];
	struct ch_config *config;

	memset(name, 'x', sizeof(name));
	name[104] = '\0';
	snprintf(yaml, sizeof(yaml), REST "control: {socket: %s}\n", name);
	cr_expect_eq(parse(yaml, &config, error), CH_E_CONFIG);
	cr_expect_str_eq(error, "dir/c.yaml:4:19: control.socket: 108 bytes with its directory; a "
				"socket path has at most 107, choose a shorter one");
	name[103] = '\0';
	snprintf(yaml, sizeof(yaml), REST "control: {socket: %s}\n", name);
	cr_expect_eq(parse(yaml, &config, error), 0, "%s", error);
	ch_config_free(config);
}

Test(config, shows_twenty_mistakes_and_counts_the_rest)
{
	char yaml[1024] = REST "profiles:\n", error[4096];
	struct ch_config *config;
	size_t lines = 1;

	for (int i = 0; i < 22; i++)
		strncat(yaml, "- {name: \"-\"}\n", sizeof(yaml) - strlen(yaml) - 1);
	cr_expect_eq(parse(yaml, &config, error), CH_E_CONFIG);
	for (const char *c = error; (c = strchr(c, '\n')) != NULL; c++)
		lines++;
	cr_expect_eq(lines, 21);
	cr_expect(strstr(error, "dir/c.yaml:24:10: profiles.name: \"-\" is not a name;") != NULL);
	cr_expect_str_eq(strrchr(error, '\n'), "\ndir/c.yaml: and 2 more");
}

static char *repeat(const char *head, const char *piece, size_t times, const char *tail)
{
	struct ch_buf buf = {0};

	cr_assert_eq(ch_buf_append_str(&buf, head), 0);
	for (size_t i = 0; i < times; i++)
		cr_assert_eq(ch_buf_append_str(&buf, piece), 0);
	cr_assert_eq(ch_buf_append(&buf, tail, strlen(tail) + 1), 0);
	return (char *)buf.data;
}

static void expect_refused(char *yaml, const char *want)
{
	struct ch_config *config;
	char error[4096];

	cr_expect_eq(parse(yaml, &config, error), CH_E_CONFIG);
	cr_expect_str_eq(error, want, "%s", error);
	free(yaml);
}

Test(config, bounds_what_a_file_may_hold)
{
	expect_refused(repeat("a: [", "1,", 70000, "]"),
		       "dir/c.yaml:1:131073: more than 65536 values in one file");
	expect_refused(repeat("a: ", "x", 4097, "\n"),
		       "dir/c.yaml:1:4: a value of more than 4096 bytes");
	expect_refused(repeat("{", "a: b,", 33, "}"),
		       "dir/c.yaml:1:1: 33 keys in one mapping; at most 32 are allowed");
	expect_refused(repeat(REST "listen: [", "{name: a, address: \"1.1.1.1:1\"},", 65, "]"),
		       "dir/c.yaml:4:9: listen has 65 items; at most 64 are allowed");
	expect_refused(repeat("", "[", 100000, ""), "dir/c.yaml:1:9: nested more than 8 deep");
}

Test(config, cuts_long_keys_without_mistaking_them)
{
	expect_refused(repeat(REST "log: {level", "x", 500, ": info}\n"),
		       "dir/c.yaml:4:7: unknown key log.levelxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
		       "xxxxxxxxxxxxxxx; callhomed --help-config lists all keys");
}

/* One table row gives parser, default, range and help: each row's words must agree. */
Test(options, have_defaults_that_their_own_parser_takes)
{
	for (size_t i = 0; i < ch_option_count; i++) {
		const struct ch_option *option = &ch_options[i];
		struct ch_config config = {.directory = (char *)"."};
		struct ch_buf error = {0};
		struct ch_config_load load = {.config = &config,
					      .diag = {.file = "f", .out = &error}};
		union {
			struct ch_config config;
			char bytes[sizeof(struct ch_config)];
		} base = {0};

		cr_expect_not(option->required && option->fallback != NULL, "%s", option->key);
		if (option->fallback == NULL)
			continue;
		ch_option_set(&load, option, base.bytes, option->fallback,
			      (struct ch_position){0, 0});
		cr_expect_eq(load.diag.count, 0, "%s: %s", option->key, option->fallback);
		if (option->type == CH_OPTION_PATH)
			free(*(char **)(base.bytes + option->offset));
		ch_buf_deinit(&error);
	}
}

Test(options, are_named_once_and_stay_inside_their_struct)
{
	for (size_t i = 0; i < ch_option_count; i++) {
		const struct ch_option *option = &ch_options[i];
		const struct ch_section *section = &ch_sections[option->section];

		cr_expect_eq(ch_option_find(option->section, option->key), option);
		cr_expect_eq(ch_section_find(option->section, option->key), CH_SECTION_ROOT);
		cr_expect_lt(option->offset, section->list ? section->item_size
							   : sizeof(struct ch_config));
		cr_expect_leq(option->min, option->max);
		cr_expect_not_null(option->help);
	}
}

Test(options, of_a_section_fit_its_limit_and_come_after_its_parent)
{
	for (int s = 1; s < CH_SECTION_COUNT; s++) {
		uint32_t keys = 0;

		cr_expect_lt((int)ch_sections[s].parent, s);
		for (size_t i = 0; i < ch_option_count; i++)
			keys += ch_options[i].section == (enum ch_section_id)s;
		cr_expect_leq(keys, CH_SECTION_KEYS_MAX);
		cr_expect_not_null(ch_sections[s].help);
	}
}

static char *help_text(void)
{
	struct ch_buf help = {0};

	cr_assert_eq(ch_config_help(&help), 0);
	cr_assert_eq(ch_buf_append(&help, "", 1), 0);
	return (char *)help.data;
}

Test(options, all_appear_in_the_help_with_their_default)
{
	char *help = help_text();

	for (size_t i = 0; i < ch_option_count; i++) {
		char want[128];
		const char *at;

		if (ch_options[i].section == CH_SECTION_ROOT)
			snprintf(want, sizeof(want), "\nAt the top of the file:\n");
		else
			snprintf(want, sizeof(want), "\n%s: (",
				 ch_sections[ch_options[i].section].path);
		at = strstr(help, want);
		cr_assert_not_null(at, "%s", want);
		snprintf(want, sizeof(want), "\n  %s\n", ch_options[i].key);
		at = strstr(at, want);
		cr_assert_not_null(at, "%s", want);
		if (ch_options[i].fallback == NULL)
			continue;
		snprintf(want, sizeof(want), "(default %s)", ch_options[i].fallback);
		cr_expect_not_null(strstr(at, want), "%s", want);
	}
	free(help);
}

Test(options, help_lines_fit_a_terminal)
{
	char *help = help_text();

	for (const char *line = help; *line != '\0'; line += strcspn(line, "\n") + 1)
		cr_expect_leq(strcspn(line, "\n"), 100, "%.100s", line);
	free(help);
}

Test(options, are_in_the_manual_word_for_word)
{
	char *help = help_text();
	static char manual[65536];
	FILE *file = fopen("docs/config.md", "r");

	cr_assert_not_null(file, "run from the root of the repository");
	manual[fread(manual, 1, sizeof(manual) - 1, file)] = '\0';
	fclose(file);
	cr_expect_not_null(strstr(manual, help), "docs/config.md lacks what --help-config prints");
	cr_expect_not_null(strstr(manual, whole_file), "docs/config.md lacks the example above");
	free(help);
}
