/* SPDX-License-Identifier: Apache-2.0 */
/* links: core */
#include "user/core/crc32c.h"

#include <criterion/criterion.h>
#include <string.h>

static uint32_t sum(const void *data, size_t len)
{
	return ch_crc32c(0, data, len);
}

Test(crc32c, gives_the_sums_of_rfc_3720)
{
	uint8_t bytes[32] = {0};

	cr_expect_eq(sum(bytes, 32), 0x8a9136aa);
	memset(bytes, 0xff, sizeof(bytes));
	cr_expect_eq(sum(bytes, 32), 0x62a8ab43);
	for (uint8_t i = 0; i < 32; i++)
		bytes[i] = i;
	cr_expect_eq(sum(bytes, 32), 0x46dd794e);
	for (uint8_t i = 0; i < 32; i++)
		bytes[i] = (uint8_t)(31 - i);
	cr_expect_eq(sum(bytes, 32), 0x113fdb5c);
	cr_expect_eq(sum("123456789", 9), 0xe3069283);
	cr_expect_eq(sum("", 0), 0);
}

Test(crc32c, goes_on_from_any_byte)
{
	static const uint8_t text[] = "123456789";

	for (size_t split = 0; split <= 9; split++)
		cr_expect_eq(ch_crc32c(ch_crc32c(0, text, split), text + split, 9 - split),
			     0xe3069283);
}
