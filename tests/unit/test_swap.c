/* SPDX-License-Identifier: Apache-2.0 */
/* links: collector guard proto tls kernel core */
/* sources: tests/unit/fake_ring.c tests/unit/tls_fixture.c */
#include "worker_rig.h"
#include "user/collector/swap.h"

TestSuite(swap, .init = setup, .fini = teardown);

static struct ch_config next_config;
static struct ch_config_manufacturer next_manufacturers[2];
static struct ch_swap swap;
static unsigned done;

static void count_done(struct ch_swap *ended)
{
	cr_assert_eq(ended, &swap);
	done++;
}

/* The next generation has the manufacturers of next_config and this inventory. */
static void load_next(const char *csv, bool judge)
{
	struct ch_buf text = {0};
	struct ch_buf error = {0};
	const struct ch_devices_input from = {
		.config = &next_config, .previous = worker.policy->devices, .file = &text};
	struct ch_devices *devices;

	cr_assert_eq(ch_buf_reserve(&text, strlen(csv) + 1), 0);
	cr_assert_eq(ch_buf_append_str(&text, csv), 0);
	cr_assert_eq(ch_devices_build(&from, &devices, &error), 0, "%.*s", (int)error.len,
		     (const char *)error.data);
	swap = (struct ch_swap){.done = count_done};
	cr_assert_eq(ch_registry_grow(shared.registry, ch_devices_count(devices)), 0);
	cr_assert_eq(
		ch_policy_new(&next_config, devices, worker.policy->generation + 1, &swap.policy),
		0);
	if (judge)
		cr_assert_eq(ch_judge_new(swap.policy, &swap.judge, &error), 0);
}

static void same_config(void)
{
	next_config = config;
	next_config.holders = 0;
	memcpy(next_manufacturers, manufacturers, sizeof(manufacturers));
	next_config.manufacturers = next_manufacturers;
}

/* Hands it over by mail, as the loader does, and lets the worker run until it is done. */
static void swap_to(const char *csv, bool judge)
{
	struct ch_mail mail = {.kind = CH_MAIL_SWAP, .swap = &swap};
	struct ch_policy *before = ch_policy_hold(worker.judge->policy);
	unsigned want = done + 1;

	load_next(csv, judge);
	cr_assert_eq(ch_worker_post(&worker, &mail), 0);
	for (int i = 0; i < 100 && done < want; i++)
		turn();
	cr_assert_eq(done, want);
	cr_assert_eq(worker.policy, swap.policy);
	ch_policy_drop(before);
	ch_policy_drop(swap.policy);
}

#define SAME "acme,SN1,dev1,default,default\n"

Test(swap, session_stays_when_nothing_changed_and_the_old_judge_goes)
{
	struct ch_conn *conn = log_in(&pool[0]);
	struct ch_judge *before = worker.judge;

	same_config();
	swap_to(SAME, true);
	cr_assert_neq(worker.judge, before);
	cr_assert_eq(conn->state, CH_CONN_OPEN);
	cr_assert_eq(worker.policy->generation, 2);
	swap_to(SAME, false);
	cr_assert_eq(conn->state, CH_CONN_OPEN);
	cr_assert_eq(worker.policy->generation, 3);
}

/* row: SC2 */
Test(swap, session_of_a_removed_device_is_closed_with_its_name)
{
	struct ch_conn *conn = log_in(&pool[0]);

	same_config();
	swap_to("acme,SN2,dev2,default,default\n", true);
	cr_assert_eq(conn->state, CH_CONN_CLOSING);
	cr_assert_eq(reason_count(CH_REASON_DEVICE_REMOVED), 1);
	cr_assert_str_eq(ch_devices_at(worker.policy->devices, conn->device)->name, "dev1");
	cr_assert(ch_registry_held(shared.registry, conn->device));
}

Test(swap, inventory_alone_is_swapped_under_the_same_judge)
{
	struct ch_conn *conn = log_in(&pool[0]);
	struct ch_judge *before;

	same_config();
	swap_to(SAME, true);
	before = worker.judge;
	swap_to("acme,SN2,dev2,default,default\n", false);
	cr_assert_eq(worker.judge, before);
	cr_assert_eq(conn->state, CH_CONN_CLOSING);
	cr_assert_eq(reason_count(CH_REASON_DEVICE_REMOVED), 1);
}

Test(swap, other_identity_under_the_name_closes)
{
	struct ch_conn *conn = log_in(&pool[0]);

	same_config();
	swap_to("acme,SN7,dev1,default,default\n", true);
	cr_assert_eq(conn->state, CH_CONN_DRAIN);
	cr_assert_eq(reason_count(CH_REASON_TRUST_CHANGED), 1);
}

Test(swap, one_identity_more_for_the_device_stays)
{
	struct ch_conn *conn = log_in(&pool[0]);

	same_config();
	swap_to("acme,SN7,dev1,default,default\n" SAME, true);
	cr_assert_eq(conn->state, CH_CONN_OPEN);
}

Test(swap, other_credential_or_profile_stays)
{
	static struct ch_config_profile more[2] = {{.name = "default"}, {.name = "quiet"}};
	struct ch_conn *conn = log_in(&pool[0]);

	same_config();
	next_config.profiles = more;
	next_config.profile_count = 2;
	swap_to("acme,SN1,dev1,,quiet\n", true);
	cr_assert_eq(conn->state, CH_CONN_OPEN);
	cr_assert_eq(reason_count(CH_REASON_TRUST_CHANGED), 0);
}

/* row: SC3 */
Test(swap, anchor_of_another_manufacturer_closes)
{
	struct ch_conn *conn = log_in(&pool[0]);

	same_config();
	next_manufacturers[0].ca = manufacturers[1].ca;
	next_manufacturers[1].ca = manufacturers[0].ca;
	swap_to(SAME, true);
	cr_assert_eq(conn->state, CH_CONN_DRAIN);
	cr_assert_eq(reason_count(CH_REASON_TRUST_CHANGED), 1);
}

Test(swap, other_place_of_the_identifier_closes)
{
	struct ch_conn *conn = log_in(&pool[0]);

	same_config();
	next_manufacturers[0].identifier = CH_IDENTIFIER_CN;
	swap_to(SAME, true);
	cr_assert_eq(conn->state, CH_CONN_DRAIN);
	cr_assert_eq(reason_count(CH_REASON_TRUST_CHANGED), 1);
}

Test(swap, order_of_the_manufacturers_does_not_matter)
{
	struct ch_conn *conn = log_in(&pool[0]);

	same_config();
	next_manufacturers[0] = manufacturers[1];
	next_manufacturers[1] = manufacturers[0];
	swap_to(SAME, true);
	cr_assert_eq(conn->state, CH_CONN_OPEN);
}

static void hex_of(const uint8_t sha256[32], char text[65])
{
	for (int i = 0; i < 32; i++)
		snprintf(text + 2 * i, 3, "%02x", sha256[i]);
}

/* row: C5b */
Test(swap, pin_lets_a_session_stay_whose_manufacturer_went)
{
	struct ch_conn *conn = log_in(&pool[0]);
	char hex[65];
	char csv[256];

	same_config();
	next_manufacturers[0].ca = manufacturers[1].ca;
	next_config.manufacturer_count = 1;
	hex_of(conn->proof.spki_sha256, hex);
	snprintf(csv, sizeof(csv), "pin:sha256,%s,dev1,default,default\n", hex);
	swap_to(csv, true);
	cr_assert_eq(conn->state, CH_CONN_OPEN);
	snprintf(csv, sizeof(csv), "pin:sha256,%s,dev2,default,default\n" SAME, hex);
	swap_to(csv, true);
	cr_assert_eq(conn->state, CH_CONN_DRAIN);
	cr_assert_eq(reason_count(CH_REASON_TRUST_CHANGED), 1);
}

/* Moves records until the device has said so much, but does not let the worker take a turn. */
static void begin_login(struct device *d, uint16_t version, unsigned rounds)
{
	device_init(d, version);
	accept_one();
	for (unsigned i = 0; i < rounds; i++) {
		turn();
		move(d);
	}
}

Test(swap, login_under_way_ends_under_the_judge_it_began_with)
{
	struct ch_judge *before = worker.judge;

	begin_login(&pool[0], CH_TLS_1_3, 2);
	same_config();
	swap_to(SAME, true);
	cr_assert_eq(only_conn()->login->judge, before);
	pump(&pool[0]);
	device_say(&pool[0], SERVER_HELLO);
	pump(&pool[0]);
	cr_assert_eq(only_conn()->state, CH_CONN_OPEN);
}

static void lose_while_logging_in(uint16_t version, unsigned rounds)
{
	begin_login(&pool[0], version, rounds);
	same_config();
	swap_to("acme,SN2,dev2,default,default\n", true);
	for (int i = 0; i < 20 && only_conn() != NULL && !only_conn()->ended; i++) {
		turn();
		move(&pool[0]);
	}
	cr_assert_eq(reason_count(CH_REASON_DEVICE_REMOVED), 1);
	cr_assert(!pool[0].armed, "our certificate must not leave any more");
	settle();
	check_baseline();
}

Test(swap, login_under_way_of_a_removed_device_ends_before_our_certificate)
{
	lose_while_logging_in(CH_TLS_1_3, 2);
}

Test(swap, the_same_over_tls_1_2)
{
	lose_while_logging_in(CH_TLS_1_2, 2);
}

Test(swap, index_that_a_login_found_is_not_believed_after_a_swap)
{
	/* The device is renamed while it logs in: its old index is a hole then. */
	begin_login(&pool[0], CH_TLS_1_3, 2);
	same_config();
	swap_to("acme,SN1,other,default,default\n", true);
	for (int i = 0; i < 20 && only_conn() != NULL && !only_conn()->ended; i++) {
		turn();
		move(&pool[0]);
	}
	cr_assert_eq(reason_count(CH_REASON_DEVICE_REMOVED), 1);
	settle();
	check_baseline();
	cr_assert(!ch_registry_held(shared.registry, 0));
	cr_assert(!ch_registry_held(shared.registry, 1));
}
