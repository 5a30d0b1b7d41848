/* SPDX-License-Identifier: Apache-2.0 */
/* links: collector guard kernel proto core */
/* sources: tests/unit/fake_collector.c */
/* Changes of the inventory over the control socket. */
#include "control_rig.h"

TestSuite(control_change, .init = setup_open, .fini = teardown, .timeout = 60);

#define HEX32 "ab0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1ecd"

static const struct {
	const char *method, *target, *body, *answer;
} changes[] = {
	{"PUT", "/v1/devices/r9", "acme,1,r9,,",
	 "put name=r9 cred=- prof=- src=- 0000 acme,1,r9,,"},
	{"DELETE", "/v1/devices/pe%2F1%20%25", NULL,
	 "remove name=pe/1 % cred=- prof=- src=- 0000 "},
	{"POST", "/v1/inventory?source=fleet.csv", "acme,1,r9,,",
	 "import name= cred=- prof=- src=fleet.csv 0000 acme,1,r9,,"},
	{"POST", "/v1/quarantine/" HEX32 "/accept?name=r9&credential=c%201&profile=p", NULL,
	 "accept name=r9 cred=c 1 prof=p src=- abcd "},
	{"POST",
	 "/v1/quarantine/AB:01:02:03:04:05:06:07:08:09:0A:0B:0C:0D:0E:0F:"
	 "10:11:12:13:14:15:16:17:18:19:1A:1B:1C:1D:1E:CD/reject",
	 NULL, "reject name="},
};

Test(control_change, passes_changes_of_the_inventory_on)
{
	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		struct answer answer =
			request(changes[i].method, changes[i].target, changes[i].body);

		cr_expect_eq(answer.status, 200, "%s", answer.text);
		cr_expect(strstr(answer.body, changes[i].answer) != NULL, "%s", answer.body);
		free(answer.text);
	}
}

Test(control_change, says_why_the_inventory_was_not_changed)
{
	struct answer answer;

	expect_error("PUT", "/v1/devices/full", "x", 429, "busy",
		     "too many changes of the inventory are waiting; try again");
	expect_error("PUT", "/v1/devices/none", "x", 409, "no-database",
		     "the inventory cannot be changed: the configuration has no devices.database; "
		     "add one and restart");
	expect_error("DELETE", "/v1/devices/nobody", NULL, 404, "unknown-device",
		     "remove name=nobody cred=- prof=- src=- 0000 ");
	expect_error("DELETE", "/v1/devices/ours", NULL, 409, "conflict",
		     "remove name=ours cred=- prof=- src=- 0000 ");
	expect_error("POST", "/v1/quarantine/" HEX32 "/accept", NULL, 400, "bad-parameter",
		     "'name' must say which device has this key");
	expect_error("POST", "/v1/quarantine/" HEX32 "ff/accept?name=r1", NULL, 400,
		     "bad-fingerprint",
		     "a fingerprint is the SHA-256 of a public key or certificate in 64 "
		     "hexadecimal digits");
	expect_error("GET", "/v1/quarantine?state=lost", NULL, 400, "bad-parameter",
		     "'state' must be pending or rejected");
	expect_error("POST", "/v1/devices/r1", NULL, 405, "method-not-allowed",
		     "this resource takes GET, PUT, DELETE, not POST");
	answer = request("POST", "/v1/inventory", "bad");
	cr_expect_eq(answer.status, 422);
	cr_expect_str_eq(answer.body,
			 "{\"error\":\"bad-inventory\",\"message\":\"nothing was changed\","
			 "\"mistakes\":[\"x.csv:1: one\",\"x.csv:2: two\"]}\n");
	free(answer.text);
}

Test(control_change, takes_an_inventory_that_is_larger_than_an_operation_may_be)
{
	size_t len = 3 << 20;
	char *body = malloc(len + 1);
	struct answer answer;

	memset(body, 'x', len);
	body[len] = '\0';
	answer = request("POST", "/v1/inventory", body);
	cr_expect_eq(answer.status, 200, "%s", answer.text);
	free(answer.text);
	free(body);
}

Test(control_change, exports_the_inventory_as_csv)
{
	struct answer answer = request("GET", "/v1/inventory", NULL);

	cr_expect_eq(answer.status, 200);
	cr_expect(strstr(answer.text, "text/csv") != NULL);
	cr_expect_str_eq(answer.body, "manufacturer,identifier,name,credential,profile\n"
				      "acme,SN-0,r0,c,p\n");
	free(answer.text);
}

static size_t lines_of(const char *target)
{
	struct answer answer = request("GET", target, NULL);
	size_t lines = 0;

	cr_expect_eq(answer.status, 200);
	for (size_t i = 0; i < answer.len; i++)
		lines += answer.body[i] == '\n';
	free(answer.text);
	return lines;
}

Test(control_change, lists_keys_that_wait_and_rejected_ones_apart)
{
	cr_expect_eq(lines_of("/v1/quarantine"), 20);
	cr_expect_eq(lines_of("/v1/quarantine?state=pending"), 17);
	cr_expect_eq(lines_of("/v1/quarantine?state=rejected"), 3);
}
