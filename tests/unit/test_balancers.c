/* SPDX-License-Identifier: Apache-2.0 */
/* links: collector guard kernel core */
#include "user/collector/balancers.h"

#include <criterion/criterion.h>
#include <stdio.h>

static struct ch_balancers balancers;

static void start(void)
{
	ch_balancers_init(&balancers);
}

static void stop(void)
{
	ch_balancers_deinit(&balancers);
}

TestSuite(balancers, .init = start, .fini = stop);

static uint8_t add(const char *endpoint)
{
	struct ch_address address;

	cr_assert_eq(ch_address_parse(endpoint, &address), 0);
	return ch_balancers_add(&balancers, &address);
}

Test(balancers, one_that_is_known_keeps_its_id_whatever_its_port)
{
	uint8_t first = add("192.0.2.1:1000");
	uint8_t second = add("[2001:db8::1]:1000");

	cr_assert_neq(first, CH_BALANCER_NONE);
	cr_assert_neq(second, first);
	cr_expect_eq(add("192.0.2.1:2000"), first);
	cr_expect_eq(add("[2001:db8::1]:2000"), second);
	cr_expect_str_eq(ch_balancers_name(&balancers, first), "192.0.2.1");
	cr_expect_str_eq(ch_balancers_name(&balancers, second), "2001:db8::1");
	cr_expect_null(ch_balancers_name(&balancers, CH_BALANCER_NONE));
	cr_expect_null(ch_balancers_name(&balancers, 3));
}

Test(balancers, a_full_table_keeps_what_it_has)
{
	char endpoint[32];

	for (int i = 0; i < 300; i++) {
		snprintf(endpoint, sizeof(endpoint), "10.0.%d.%d:1", i / 250, i % 250);
		cr_assert_eq(add(endpoint), i < CH_BALANCERS_MAX ? i + 1 : CH_BALANCER_NONE);
	}
	cr_expect_eq(add("10.0.0.0:1"), 1);
	cr_expect_eq(add("10.0.1.4:1"), CH_BALANCERS_MAX);
	cr_expect_str_eq(ch_balancers_name(&balancers, CH_BALANCERS_MAX), "10.0.1.4");
}
