/* SPDX-License-Identifier: Apache-2.0 */
/* links: collector guard tls proto kernel core */
/* sources: tests/unit/fake_ring.c tests/unit/tls_fixture.c */
/* Connections of a load balancer, 10.0.0.1, that says whose they are. */
#include "worker_rig.h"

#include <netinet/in.h>

#define HEADER "\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c"
#define FROM(last) HEADER "\xc0\0\2" last "\x0a\0\0\1\x04\xd2\x10\xef" /* 192.0.2.last:1234 */

static int of_balancer(int fd, struct sockaddr *address, socklen_t *len)
{
	const struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr = {htonl(0x0a000001)}};

	(void)fd;
	memcpy(address, &in, sizeof(in));
	*len = sizeof(in);
	return 0;
}

static void behind_balancer(void)
{
	static const struct ch_gate_rule rule = {
		.name = "balancer", .action = CH_GATE_ACTION_PROXY, .prefix = "10.0.0.0/24"};
	struct ch_buf error = {0};

	setup();
	ch_sys.getpeername = of_balancer;
	gate.rules = &rule;
	gate.rule_count = 1;
	gate.sources.pending = 1;
	cr_assert_eq(ch_gate_reload(shared.gate, &gate, &error), 0);
}

TestSuite(worker_proxy, .init = behind_balancer, .fini = teardown);

/* The read of the connection in the highest slot. */
static struct fake_op *newest_read(void)
{
	struct fake_op *newest = NULL;

	for (size_t i = 0; i < FAKE_OPS; i++) {
		struct fake_op *op = &ring.ops[i];

		if (op->kind == FAKE_RECV_EXACT &&
		    (newest == NULL ||
		     ch_user_data_slot(op->user_data) > ch_user_data_slot(newest->user_data)))
			newest = op;
	}
	return newest;
}

/* What the balancer, or who is behind it, sends on the newest connection. */
static void say(const char *bytes, size_t len)
{
	while (len > 0) {
		struct fake_op *op = newest_read();

		cr_assert_not_null(op);
		cr_assert_leq(op->len, len, "more is read than the header has");
		memcpy(op->into, bytes, op->len);
		bytes += op->len;
		len -= op->len;
		fake_complete(&ring, op, (int32_t)op->len, false);
		turn();
	}
}
#define SAY(text) say(text, sizeof(text) - 1)

Test(worker_proxy, device_behind_it_logs_in_under_its_own_address)
{
	struct device *d = &pool[0];
	char peer[CH_ADDRESS_TEXT];

	device_init(d, CH_TLS_1_3);
	cr_assert_eq(ch_buf_append(&d->out, FROM("\7"), sizeof(FROM("\7")) - 1), 0);
	accept_one();
	cr_assert_null(only_conn()->login->handshake, "nobody is worth one yet");
	pump(d);
	device_say(d, SERVER_HELLO);
	pump(d);
	cr_assert_eq(only_conn()->state, CH_CONN_OPEN);
	ch_address_format(&only_conn()->peer, peer);
	cr_assert_str_eq(peer, "192.0.2.7:1234");
	cr_assert_eq(shared.handshakes.used, 0);
}

Test(worker_proxy, own_connection_of_the_balancer_keeps_its_address)
{
	accept_one();
	SAY("\r\n\r\n\0\r\nQUIT\n\x20\0\0\0");
	cr_assert_eq(only_conn()->peer.ip[0], 10);
	cr_assert_eq(only_conn()->state, CH_CONN_TLS_HANDSHAKE);
}

Test(worker_proxy, ban_hits_who_stands_behind_it_and_no_other)
{
	for (int i = 0; i < 3; i++) {
		accept_one();
		SAY(FROM("\7") "GET /");
		fake_complete(&ring, newest_read(), 0, false); /* it hangs up */
		settle();
	}
	cr_assert_eq(reason_count(CH_REASON_NOT_TLS), 3);
	accept_one();
	SAY(FROM("\7"));
	settle();
	cr_assert_eq(reason_count(CH_REASON_BANNED), 1);
	check_baseline();
	accept_one();
	SAY(FROM("\10"));
	cr_assert_eq(only_conn()->state, CH_CONN_TLS_HANDSHAKE);
}

Test(worker_proxy, one_that_is_refused_frees_no_place_of_its_source)
{
	accept_one();
	SAY(FROM("\7"));
	shared.handshakes.limit = 3;
	for (int i = 0; i < 2; i++) {
		accept_one();
		SAY(FROM("\7"));
		turn();
	}
	cr_assert_eq(reason_count(CH_REASON_SOURCE_LOGINS), 2);
}

Test(worker_proxy, stranger_behind_it_gets_no_place_that_is_kept_for_others)
{
	config.guard.known_share = 50;
	accept_one();
	SAY(FROM("\7"));
	accept_one();
	SAY(FROM("\10"));
	cr_assert_eq(reason_count(CH_REASON_HANDSHAKE_LIMIT), 1);
}

Test(worker_proxy, source_behind_it_takes_no_more_places_than_it_leaves)
{
	struct ch_buf error = {0};

	gate.sources.pending = 8;
	cr_assert_eq(ch_gate_reload(shared.gate, &gate, &error), 0);
	shared.handshakes.limit = 3;
	for (unsigned i = 0; i < 3; i++) {
		accept_one();
		SAY(FROM("\7"));
		cr_assert_eq(reason_count(CH_REASON_HANDSHAKE_LIMIT), i / 2);
	}
}

Test(worker_proxy, broken_header_is_nobodys_fault_behind_it)
{
	for (int i = 0; i < 4; i++) {
		accept_one();
		SAY("GET / HTTP/1.1\r\n");
		settle();
	}
	cr_assert_eq(reason_count(CH_REASON_PROXY_HEADER), 4, "and no ban");
	check_baseline();
}

Test(worker_proxy, header_has_the_time_of_a_first_byte)
{
	accept_one();
	config.first_byte_timeout_ns = 1;
	ch_conn_arm_timer(&worker, only_conn());
	usleep(2000);
	turn();
	settle();
	cr_assert_eq(reason_count(CH_REASON_PROXY_HEADER), 1);
	check_baseline();
}

Test(worker_proxy, balancer_that_hangs_up_leaves_nothing)
{
	accept_one();
	fake_complete(&ring, fake_find(&ring, FAKE_RECV_EXACT), 0, false);
	settle();
	cr_assert_eq(reason_count(CH_REASON_CLOSED_IN_HANDSHAKE), 1);
	check_baseline();
}

Test(worker_proxy, header_of_anybody_else_is_no_tls)
{
	struct ch_buf error = {0};

	gate.rule_count = 0;
	cr_assert_eq(ch_gate_reload(shared.gate, &gate, &error), 0);
	accept_one();
	turn();
	SAY("\r\n\r\n\0");
	cr_assert_eq(reason_count(CH_REASON_NOT_TLS), 1);
}
