/* SPDX-License-Identifier: Apache-2.0 */
/* links: collector guard kernel tls core */
#include "user/collector/config_diff.h"
#include "user/collector/config_load.h"

#include <criterion/criterion.h>
#include <string.h>

#define TRUST "trust: {manufacturers: [{name: acme, ca: a.pem, identifier: cn}]}\n"
#define CREDENTIALS "credentials: [{name: default, tls-cert: c.pem, tls-key: c.key}]\n"
#define DEVICES "devices: {file: d.csv}\n"
#define REST TRUST CREDENTIALS DEVICES

static struct ch_config *parse(const char *yaml)
{
	struct ch_config *config = NULL;
	struct ch_buf error = {0};

	cr_assert_eq(
		ch_config_parse("c.yaml", (const uint8_t *)yaml, strlen(yaml), &config, &error), 0,
		"%.*s", (int)error.len, (const char *)error.data);
	return config;
}

static void expect(const char *running, const char *next, const char *lines)
{
	struct ch_config *a = parse(running);
	struct ch_config *b = parse(next);
	struct ch_buf said = {0};

	cr_assert_eq(ch_config_diff(a, b, &said), 0);
	cr_assert_eq(ch_buf_append(&said, "", 1), 0);
	cr_expect_str_eq((const char *)said.data, lines);
	ch_buf_deinit(&said);
	ch_config_free(a);
	ch_config_free(b);
}

#define CHANGED(key) "c.yaml: " key " was changed; it takes effect with a restart\n"

Test(config_diff, the_same_file_needs_nothing)
{
	expect(REST, REST, "");
	expect(REST, "limits: {backlog: 4096}\n" REST, "");
}

Test(config_diff, keys_that_need_a_restart_are_named)
{
	expect("limits: {backlog: 100}\nspool: {directory: a}\nrecord-layer: user\n" REST,
	       "limits: {backlog: 101}\nlog: {level: debug}\n" REST,
	       CHANGED("record-layer") CHANGED("spool.directory") CHANGED("limits.backlog")
		       CHANGED("log.level"));
}

Test(config_diff, each_listener_counts)
{
	const char *two = "listen: [{name: a, address: \"127.0.0.1:1\"}, "
			  "{name: b, address: \"127.0.0.1:2\"}]\n" REST;

	expect(two, two, "");
	expect(two,
	       "listen: [{name: a, address: \"127.0.0.1:1\"}, "
	       "{name: b, address: \"127.0.0.1:3\"}]\n" REST,
	       CHANGED("listen.address"));
	expect(two, "listen: [{name: a, address: \"127.0.0.1:1\"}]\n" REST,
	       CHANGED("listen.name") CHANGED("listen.address") CHANGED("listen.transport"));
}

Test(config_diff, what_a_reload_applies_is_not_named)
{
	expect(REST,
	       "trust: {manufacturers: [{name: borg, ca: b.pem, identifier: san-dns}]}\n"
	       "credentials: [{name: other, tls-cert: x.pem, tls-key: x.key}]\n"
	       "profiles: [{name: p, on-connect: [subscribe], probe-interval: 5s}]\n"
	       "devices: {file: e.csv, unknown: quarantine}\n",
	       "");
}

#define WITH_DATABASE(name)                                                                        \
	"trust: {manufacturers: [{name: borg, ca: b.pem, identifier: san-dns}]}\n"                 \
	"credentials: [{name: other, tls-cert: x.pem, tls-key: x.key}]\n"                          \
	"devices: {file: e.csv, database: " name "}\n"

Test(config_diff, what_of_the_guard_needs_a_restart_is_named)
{
	expect(REST,
	       "guard: {mode: require, early: xdp, interface: eth0, v4-prefix: 24, v6-prefix: 48, "
	       "max-sources: 100, max-bans: 100, bans-file: bans, known-file: known, source-rate: "
	       "7}\n" REST,
	       CHANGED("guard.mode") CHANGED("guard.early") CHANGED("guard.interface")
		       CHANGED("guard.v4-prefix") CHANGED("guard.v6-prefix")
			       CHANGED("guard.max-sources") CHANGED("guard.max-bans")
				       CHANGED("guard.bans-file") CHANGED("guard.known-file"));
}

Test(config_diff, another_database_needs_a_restart)
{
	expect(WITH_DATABASE("a.db"), WITH_DATABASE("a.db"), "");
	expect(WITH_DATABASE("a.db"), WITH_DATABASE("b.db"), CHANGED("devices.database"));
}
