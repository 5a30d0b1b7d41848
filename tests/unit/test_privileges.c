/* SPDX-License-Identifier: Apache-2.0 */
/* links: kernel core */
#include "kernel/privileges.h"

#include <criterion/criterion.h>
#include <string.h>
#include <unistd.h>

/* Each test is a process of its own, so that what it gives up is gone for it alone. */
Test(privileges, are_gone_after_the_drop_and_stay_away)
{
	const char *left = geteuid() == 0 ? "dac_override" : "none";
	struct ch_privileges have;
	bool had_override;

	ch_privileges_read(&have);
	had_override = strstr(have.capabilities, "dac_override") != NULL;
	cr_assert_eq(ch_privileges_drop(), 0);
	ch_privileges_read(&have);
	cr_assert_str_eq(have.capabilities, had_override ? left : "none");
	cr_assert(have.no_new);
	cr_assert_eq(ch_privileges_drop(), 0, "a second time is fine");
}

Test(privileges, of_many_the_text_ends_with_dots)
{
	struct ch_privileges have;

	ch_privileges_read(&have);
	cr_assert_lt(strlen(have.capabilities), sizeof(have.capabilities));
	if (geteuid() == 0 && strlen(have.capabilities) > 100)
		cr_assert_str_eq(have.capabilities + strlen(have.capabilities) - 4, ",...");
}
