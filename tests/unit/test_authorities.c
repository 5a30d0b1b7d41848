/* SPDX-License-Identifier: Apache-2.0 */
/* links: collector guard kernel core */
/* The names of CA certificates, by two bytes each. */
#include "user/collector/authorities.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static struct ch_authorities *authorities;

static void setup(void)
{
	cr_assert_eq(ch_authorities_new(&authorities), 0);
}

static void teardown(void)
{
	ch_authorities_free(authorities);
}

TestSuite(authorities, .init = setup, .fini = teardown);

static void key_of(unsigned number, uint8_t key[CH_PROOF_ELEMENT])
{
	memset(key, 0, CH_PROOF_ELEMENT);
	key[3] = (uint8_t)(number >> 8);
	key[15] = (uint8_t)number;
}

static uint16_t add(unsigned number)
{
	struct ch_certificate_facts facts = {.not_after = number};
	uint8_t key[CH_PROOF_ELEMENT];

	key_of(number, key);
	snprintf(facts.subject, sizeof(facts.subject), "/CN=%u", number);
	return ch_authorities_add(authorities, key, &facts);
}

Test(authorities, one_that_is_known_keeps_its_id)
{
	struct ch_certificate_facts facts;
	uint8_t key[CH_PROOF_ELEMENT];
	uint16_t id = add(7);

	cr_assert_neq(id, CH_AUTHORITY_NONE);
	cr_assert_eq(add(7), id);
	cr_assert_neq(add(8), id);
	key_of(7, key);
	cr_assert_eq(ch_authorities_find(authorities, key), id);
	key_of(9, key);
	cr_assert_eq(ch_authorities_find(authorities, key), CH_AUTHORITY_NONE);
	cr_assert(ch_authorities_read(authorities, id, &facts));
	cr_assert_str_eq(facts.subject, "/CN=7");
	cr_assert_eq(facts.not_after, 7);
	cr_assert_not(ch_authorities_read(authorities, CH_AUTHORITY_NONE, &facts));
	cr_assert_not(ch_authorities_read(authorities, 3, &facts));
}

Test(authorities, a_full_table_keeps_what_it_has)
{
	struct ch_certificate_facts facts;

	for (unsigned i = 0; i < CH_AUTHORITIES_MAX; i++)
		cr_assert_eq(add(i), i + 1);
	cr_assert_eq(add(CH_AUTHORITIES_MAX), CH_AUTHORITY_NONE);
	cr_assert_eq(add(5), 6);
	cr_assert(ch_authorities_read(authorities, CH_AUTHORITIES_MAX, &facts));
	cr_assert_not(ch_authorities_read(authorities, CH_AUTHORITIES_MAX + 1, &facts));
}
