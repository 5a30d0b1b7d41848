/* SPDX-License-Identifier: Apache-2.0 */
/* links: collector guard tls proto kernel core */
/* sources: tests/unit/tls_fixture.c tests/unit/fake_ring.c tests/unit/crl_fixture.c */
/* What a refresh of the revocation lists does to a worker and to its sessions. */
#include "worker_rig.h"
#include "crl_fixture.h"
#include "user/collector/swap.h"
#include "user/tls/credential.h"

#include <stdio.h>
#include <time.h>

TestSuite(worker_crl, .init = setup, .fini = teardown);

static unsigned done;

static void on_done(struct ch_swap *swap)
{
	(void)swap;
	done++;
}

static uint64_t cpu_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* A generation with the lists of @content. The caller drops it. */
static struct ch_policy *next_policy(const struct ch_buf *content)
{
	struct ch_policy *before = worker.judge->policy;
	struct ch_buf error = {0};
	struct ch_policy *made;

	config.crl = (char *)fx_file(content->data, content->len);
	cr_assert_eq(ch_policy_next(before, &made), 0);
	cr_assert_eq(ch_policy_load_revocation(made, before->revocation, NULL, &error), 0);
	config.crl = NULL;
	return made;
}

/* Hands it over as a reload does. @return the longest turn in nanoseconds of CPU time */
static uint64_t refresh(const struct ch_buf *content)
{
	struct ch_policy *policy = next_policy(content);
	struct ch_swap swap = {.policy = policy, .done = on_done};
	struct ch_mail mail = {.kind = CH_MAIL_SWAP, .swap = &swap};
	uint64_t longest = 0;

	done = 0;
	cr_assert_eq(ch_worker_post(&worker, &mail), 0);
	for (int i = 0; i < 10 && done == 0; i++) {
		uint64_t began = cpu_ns();

		turn();
		if (cpu_ns() - began > longest)
			longest = cpu_ns() - began;
	}
	cr_assert_eq(done, 1);
	ch_policy_drop(policy);
	return longest;
}

static void make_list(X509 *issuer, EVP_PKEY *key, X509 *revoked, struct ch_buf *out)
{
	X509 *const certs[] = {revoked, NULL};

	out->len = 0;
	fx_crl(&(struct fx_crl){.issuer = issuer, .key = key, .revoked = certs, .number = 1}, out);
}

/* row: C5d-open */
Test(worker_crl, a_session_whose_device_is_revoked_is_closed_at_once)
{
	struct device *d = &pool[0];
	struct ch_buf list = {0};

	make_list(world.acme_ca, world.acme_key, NULL, &list);
	refresh(&list);
	log_in(d);
	make_list(world.acme_ca, world.acme_key, d->credential->cert, &list);
	refresh(&list);
	/* No farewell that it may answer or not: it is nobody we would talk to. */
	cr_assert_eq(only_conn()->state, CH_CONN_DRAIN);
	device_say(d, NOTE);
	pump(d);
	cr_assert_eq(ch_stat(&worker.stats.notifications), 0);
	cr_assert_eq(d->alert[0], 2);
	cr_assert_eq(d->alert[1], CH_ALERT_CERTIFICATE_REVOKED);
	settle();
	cr_assert_eq(reason_count(CH_REASON_REVOKED), 1);
	cr_assert_eq(device_state(), CH_DEVICE_DISCONNECTED);
	ch_buf_deinit(&list);
}

/* row: C5d-open */
Test(worker_crl, a_session_below_a_ca_that_is_revoked_is_closed_at_once)
{
	struct device *d = &pool[0];
	struct ch_buf list = {0};

	log_in(d);
	make_list(world.acme_root, world.acme_root_key, world.acme_ca, &list);
	refresh(&list);
	settle();
	cr_assert_eq(reason_count(CH_REASON_REVOKED), 1);
	ch_buf_deinit(&list);
}

/* row: C5d-open */
Test(worker_crl, a_list_of_others_leaves_a_session_alone)
{
	struct device *d = &pool[0];
	struct ch_buf list = {0};

	log_in(d);
	make_list(world.acme_root, world.acme_root_key, world.acme_root, &list);
	refresh(&list);
	settle();
	cr_assert_eq(reason_count(CH_REASON_REVOKED), 0);
	cr_assert_eq(only_conn()->state, CH_CONN_OPEN);
	ch_buf_deinit(&list);
}

/* row: C5d-open */
Test(worker_crl, off_keeps_a_session_though_it_is_on_a_list)
{
	struct device *d = &pool[0];
	struct ch_buf list = {0};

	manufacturers[0].revocation = CH_REVOCATION_OFF;
	log_in(d);
	make_list(world.acme_root, world.acme_root_key, world.acme_ca, &list);
	refresh(&list);
	settle();
	cr_assert_eq(only_conn()->state, CH_CONN_OPEN);
	manufacturers[0].revocation = CH_REVOCATION_IF_PRESENT;
	ch_buf_deinit(&list);
}

/* Judged good by the lists before, and not up yet when the new ones come. */
Test(worker_crl, a_login_that_began_under_the_lists_before_is_judged_by_the_new_ones)
{
	struct device *d = &pool[0];
	struct ch_buf list = {0};

	make_list(world.acme_root, world.acme_root_key, NULL, &list);
	refresh(&list);
	device_init(d, CH_TLS_1_3);
	accept_one();
	do
		turn();
	while (ch_handshake_identity(only_conn()->login->handshake) == NULL && move(d));
	cr_assert_not_null(ch_handshake_identity(only_conn()->login->handshake));
	cr_assert_not(ch_handshake_proven(only_conn()->login->handshake));
	make_list(world.acme_root, world.acme_root_key, world.acme_ca, &list);
	refresh(&list);
	pump(d);
	settle();
	cr_assert_eq(reason_count(CH_REASON_REVOKED), 1);
	ch_buf_deinit(&list);
}

/* row: C5c */
Test(worker_crl, a_million_entries_stall_no_worker)
{
	struct device *d = &pool[0];
	struct ch_buf list = {0};
	uint64_t longest;

	log_in(d);
	fx_crl_big(world.acme_root, world.acme_root_key, 1000000, world.acme_ca, &list);
	longest = refresh(&list);
	settle();
	cr_assert_eq(reason_count(CH_REASON_REVOKED), 1);
	fprintf(stderr, "longest turn with 1,000,000 entries: %llu us\n",
		(unsigned long long)longest / 1000);
	cr_assert_lt(longest, 20000000);
	ch_buf_deinit(&list);
}
