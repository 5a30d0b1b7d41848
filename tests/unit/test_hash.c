/* SPDX-License-Identifier: Apache-2.0 */
/* links: core */
#include "user/core/hash.h"

#include <criterion/criterion.h>
#include <string.h>

/* As CPython 3.11 hashes bytes (SipHash-1-3) with PYTHONHASHSEED=0, the zero key. */
Test(hash, is_siphash_1_3)
{
	cr_assert_eq(ch_hash("abc", 3), 0xc03bc3a0042630f2ULL);
	cr_assert_eq(ch_hash("12345678", 8), 0x3489982430560a87ULL);
	cr_assert_eq(ch_hash("the quick brown fox", 19), 0x5a17575ad3449cbaULL);
}

Test(hash, depends_on_the_key)
{
	uint8_t key[16];

	for (uint8_t i = 0; i < 16; i++)
		key[i] = i;
	ch_hash_set_key(key);
	cr_assert_eq(ch_hash("", 0), 0xabac0158050fc4dcULL);
	cr_assert_neq(ch_hash("abc", 3), 0xc03bc3a0042630f2ULL);
}

Test(hash, reads_any_alignment_and_every_byte)
{
	uint8_t data[80] = {0};

	for (size_t offset = 0; offset < 8; offset++) {
		memset(data, 0x5a, sizeof(data));
		for (size_t i = 0; i < 64; i++) {
			uint64_t before = ch_hash(data + offset, 64);

			data[offset + i] ^= 1;
			cr_assert_neq(ch_hash(data + offset, 64), before, "byte %zu", i);
		}
	}
}

Test(hash, length_is_part_of_the_hash)
{
	const uint8_t zeros[16] = {0};

	for (size_t len = 0; len < 16; len++)
		cr_assert_neq(ch_hash(zeros, len), ch_hash(zeros, len + 1));
}
