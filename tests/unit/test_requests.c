/* SPDX-License-Identifier: Apache-2.0 */
/* links: collector guard tls proto kernel core */
/* sources: tests/unit/fake_ring.c tests/unit/tls_fixture.c */
/* Requests of applications, and how sessions are ended by us. */
#include "worker_rig.h"

TestSuite(requests, .init = setup, .fini = teardown);

/* What an application's request brought. */
struct answer {
	char text[256];
	size_t len;
	int status;
	int done;
};

static void on_answer(void *ctx, const uint8_t *data, size_t len, bool done, int status)
{
	struct answer *a = ctx;

	if (len > 0 && a->len + len < sizeof(a->text)) {
		memcpy(a->text + a->len, data, len);
		a->len += len;
	}
	a->done += done;
	a->status = status;
}

static void post_request(struct ch_conn *conn, const char *xml, struct answer *a)
{
	struct ch_job *job = calloc(1, sizeof(*job) + strlen(xml));
	struct ch_mail mail = {.kind = CH_MAIL_REQUEST, .job = job};

	*job = (struct ch_job){.fn = on_answer, .ctx = a, .timeout_ns = 1000000000};
	job->len = strlen(xml);
	memcpy(job->operation, xml, job->len);
	mail.owner = ch_worker_owner(&worker, conn);
	cr_assert_eq(ch_worker_post(&worker, &mail), 0);
}

Test(requests, request_of_an_application_is_answered_once)
{
	struct answer a = {0};
	struct device *d = &pool[0];
	struct ch_conn *conn = log_in(d);

	post_request(conn, "<get/>", &a);
	pump(d);
	cr_assert_not_null(memmem(d->plain.data, d->plain.len, "<get/>", 6));
	device_say(d, "<rpc-reply xmlns=\"urn:ietf:params:xml:ns:netconf:base:1.0\" "
		      "message-id=\"1\"><ok/></rpc-reply>]]>]]>");
	pump(d);
	cr_assert_eq(a.done, 1);
	cr_assert_eq(a.status, 0);
	cr_assert_not_null(strstr(a.text, "<ok/>"));
	cr_assert_eq(ch_stat(&worker.stats.replies), 1);
}

Test(requests, request_fails_when_the_device_goes)
{
	struct answer a = {0};
	struct device *d = &pool[0];
	struct ch_conn *conn = log_in(d);

	post_request(conn, "<get/>", &a);
	pump(d);
	fake_complete(&ring, fake_find(&ring, FAKE_RECV), -ECONNRESET, false);
	settle();
	cr_assert_eq(a.done, 1);
	cr_assert_eq(a.status, CH_E_NOT_CONNECTED);
	check_baseline();
}

Test(requests, request_for_a_session_that_is_gone_is_refused)
{
	struct answer a = {0};
	struct device *d = &pool[0];
	struct ch_conn *conn = log_in(d);

	post_request(conn, "<get/>", &a);
	fake_complete(&ring, fake_find(&ring, FAKE_RECV), -ECONNRESET, false);
	settle();
	cr_assert_eq(a.done, 1);
	cr_assert_eq(a.status, CH_E_NOT_CONNECTED);
}

Test(requests, device_that_does_not_read_ends_as_stalled)
{
	struct answer a[8] = {0};
	char big[20000];
	struct device *d = &pool[0];
	struct ch_conn *conn = log_in(d);

	memset(big, 'x', sizeof(big) - 1);
	big[0] = '<';
	big[sizeof(big) - 2] = '>';
	big[sizeof(big) - 1] = '\0';
	for (int i = 0; i < 4; i++)
		post_request(conn, big, &a[i]);
	turn();
	cr_assert_eq(reason_count(CH_REASON_READER_STALLED), 1);
	cr_assert_eq(a[0].done, 1);
	cr_assert_eq(a[3].done, 1);
}

/* row: 7589-4 */
Test(requests, kill_says_close_session_and_waits_for_the_answer)
{
	struct device *d = &pool[0];
	struct ch_conn *conn = log_in(d);
	struct ch_mail mail = {.kind = CH_MAIL_KILL, .owner = ch_worker_owner(&worker, conn)};

	cr_assert_eq(ch_worker_post(&worker, &mail), 0);
	pump(d);
	cr_assert_eq(conn->state, CH_CONN_CLOSING);
	cr_assert_eq(reason_count(CH_REASON_KILLED), 1);
	cr_assert_not_null(memmem(d->plain.data, d->plain.len, "<close-session/>", 16));
	device_say(d, "<rpc-reply xmlns=\"urn:ietf:params:xml:ns:netconf:base:1.0\" "
		      "message-id=\"1\"><ok/></rpc-reply>]]>]]>");
	pump(d);
	cr_assert_eq(conn->state, CH_CONN_DRAIN);
	fake_complete(&ring, fake_find(&ring, FAKE_RECV), 0, false);
	settle();
	check_baseline();
}

Test(requests, stop_ends_every_session_and_then_itself)
{
	struct device *d = &pool[0];
	struct ch_mail stop = {.kind = CH_MAIL_STOP};

	log_in(d);
	cr_assert_eq(ch_worker_post(&worker, &stop), 0);
	turn();
	cr_assert_eq(reason_count(CH_REASON_SHUTDOWN), 1);
	shared.aborting = true;
	turn();
	fake_settle(&ring);
	turn();
	fake_settle(&ring);
	cr_assert(!ch_worker_turn(&worker, 0), "nothing is left");
	check_baseline();
}

Test(requests, budget_ends_the_largest_holder_not_the_next_caller)
{
	struct device *d = &pool[0];
	struct ch_conn *conn;
	char half[60000];

	shared.client_limits.framing.max_message = 1 << 20;
	conn = log_in(d);
	memset(half, ' ', sizeof(half));
	memcpy(half, "<notification>", 14);
	half[sizeof(half) - 1] = '\0';
	for (int i = 0; i < 3; i++) {
		device_say(d, half);
		pump(d);
	}
	cr_assert_gt(conn->client.partial.cap, 65536);
	shared.budget.limit = shared.budget.used + 1000;
	worker.shed_ns = 0;
	ch_worker_shed(&worker);
	settle();
	cr_assert_eq(reason_count(CH_REASON_BYTE_BUDGET), 1);
	check_baseline();
}

/* row: C6-enrol */
Test(requests, unknown_device_is_remembered_only_with_proven_key)
{
	struct ch_quarantine_view view;
	struct device *d = &pool[0];

	config.unknown = CH_UNKNOWN_QUARANTINE;
	stranger_init(d);
	accept_one();
	for (int i = 0; i < 20 && reason_count(CH_REASON_UNKNOWN_DEVICE) == 0; i++) {
		turn();
		if (reason_count(CH_REASON_UNKNOWN_DEVICE) == 0)
			move(d);
	}
	cr_assert_eq(reason_count(CH_REASON_UNKNOWN_DEVICE), 1);
	cr_assert_eq(ch_quarantine_copy(shared.quarantine, 0, 1, &view), 1);
	cr_assert_str_eq(view.identifier, "SN999");
	cr_assert_str_eq(view.manufacturer, "acme");
}

Test(requests, unknown_device_is_refused_without_a_trace_under_reject)
{
	struct device *d = &pool[0];

	stranger_init(d);
	accept_one();
	for (int i = 0; i < 20 && reason_count(CH_REASON_UNKNOWN_DEVICE) == 0; i++) {
		turn();
		if (reason_count(CH_REASON_UNKNOWN_DEVICE) == 0)
			move(d);
	}
	cr_assert_eq(reason_count(CH_REASON_UNKNOWN_DEVICE), 1);
	cr_assert_eq(ch_quarantine_count(shared.quarantine), 0);
}

/* The stranger calls, and is refused with @reason for the @n-th time. */
static void stranger_calls(struct device *d, const struct ch_credential *key, enum ch_reason reason,
			   uint64_t n)
{
	device_init(d, CH_TLS_1_3);
	ch_handshake_free(d->handshake);
	cr_assert_eq(ch_handshake_server(d->context, key, &d->handshake), 0);
	accept_one();
	for (int i = 0; i < 40 && reason_count(reason) < n; i++) {
		turn();
		if (reason_count(reason) < n)
			move(d);
	}
	cr_assert_eq(reason_count(reason), n);
	/* It reads our alert and hangs up. */
	for (int i = 0; i < 4; i++) {
		struct fake_op *send = fake_find(&ring, FAKE_SEND);
		struct fake_op *receive;

		if (send != NULL)
			fake_complete(&ring, send, (int32_t)send->len, false);
		turn();
		receive = fake_find(&ring, FAKE_RECV_EXACT);
		if (receive != NULL)
			fake_complete(&ring, receive, 0, false);
		settle();
	}
	check_baseline();
}

/* row: C6-reject */
Test(requests, an_unknown_key_is_news_once_and_a_rejected_one_never)
{
	struct ch_quarantine_view view;
	struct ch_credential *key = fx_acme_device(&world, &(struct fx_cert){.serial = "SN999"});
	uint64_t published;

	config.unknown = CH_UNKNOWN_QUARANTINE;
	stranger_calls(&pool[0], key, CH_REASON_UNKNOWN_DEVICE, 1);
	published = worker.sequence;
	cr_assert_gt(published, 0);
	stranger_calls(&pool[0], key, CH_REASON_UNKNOWN_DEVICE, 2);
	cr_assert_eq(worker.sequence, published);
	cr_assert_eq(ch_quarantine_copy(shared.quarantine, 0, 1, &view), 1);
	cr_assert_eq(view.count, 2);
	cr_assert_eq(ch_quarantine_reject(shared.quarantine, &view), 0);
	stranger_calls(&pool[0], key, CH_REASON_REJECTED, 1);
	cr_assert_eq(reason_count(CH_REASON_REJECTED), 1);
	cr_assert_eq(worker.sequence, published);
	cr_assert_eq(ch_quarantine_count(shared.quarantine), 0);
	device_init(&pool[0], CH_TLS_1_3);
	ch_credential_free(key);
}
