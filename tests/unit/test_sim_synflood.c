/* SPDX-License-Identifier: Apache-2.0 */
/* links: kernel core */
/* sources: bench/synflood.c */
#include "bench/synflood.h"

#include <criterion/criterion.h>
#include <net/if.h>
#include <string.h>

/* The sum over 16-bit words with the checksum among them is all ones. */
static uint32_t sum(const uint8_t *data, size_t len, uint32_t start)
{
	uint32_t total = start;

	for (size_t i = 0; i + 1 < len; i += 2)
		total += (uint32_t)data[i] << 8 | data[i + 1];
	while (total >> 16)
		total = (total & 0xffff) + (total >> 16);
	return total;
}

Test(sim_synflood, frames_are_syns_with_right_checksums)
{
	uint8_t frame[SIM_SYN_FRAME];
	static const uint8_t addresses[8] = {198, 19, 1, 2, 198, 18, 0, 1};

	sim_syn_frame(frame, 0xc6130102, 40000, 0xc6120001, 4335, 0xdeadbeef);
	cr_assert_eq(frame[12] << 8 | frame[13], 0x0800);
	cr_assert_arr_eq(frame + 26, addresses, 8);
	cr_assert_eq(frame[34] << 8 | frame[35], 40000);
	cr_assert_eq(frame[36] << 8 | frame[37], 4335);
	cr_assert_eq(frame[47], 0x02, "SYN and nothing else");
	cr_assert_eq(sum(frame + 14, 20, 0), 0xffff);
	/* pseudo header: the addresses, which stand in the IP header, protocol and length */
	cr_assert_eq(sum(frame + 34, 20, sum(frame + 26, 8, 6 + 20)), 0xffff);
}

/* Whoever runs this has other interfaces than the loopback, or could not leave it anyway. */
Test(sim_synflood, refuses_where_frames_could_get_out)
{
	const struct sim_synflood_options options = {.port = 1, .rate = 1, .duration_ns = 1};
	struct sim_synflood_result result;
	char error[SIM_SYNFLOOD_ERROR];
	struct if_nameindex *all = if_nameindex();
	bool alone = all[1].if_index == 0;

	if_freenameindex(all);
	if (alone)
		cr_skip_test("the loopback is the only interface here");
	cr_assert_eq(sim_synflood(&options, &result, error), CH_E_STATE);
	cr_assert_not_null(strstr(error, "only where the loopback is the only interface"), "%s",
			   error);
	cr_assert_eq(result.sent, 0);
}
