/* SPDX-License-Identifier: Apache-2.0 */
/* links: kernel core */
#include "kernel/ktls.h"
#include "kernel/sock.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

static struct ch_record_keys keys_of(uint16_t version, uint8_t aead)
{
	struct ch_record_keys keys = {.version = version, .aead = aead};

	for (unsigned i = 0; i < 32; i++)
		keys.tx.key[i] = (uint8_t)(0x40 + i);
	for (unsigned i = 0; i < 12; i++)
		keys.tx.iv[i] = (uint8_t)(0xa0 + i);
	keys.tx.sequence = 0x0102;
	keys.tx.explicit_nonce = 0x1122334455667788;
	return keys;
}

/* Offsets are those of struct tls12_crypto_info_*: version, cipher, iv, key, salt, rec_seq. */
Test(ktls, gcm_of_tls_1_3_splits_the_iv)
{
	struct ch_record_keys keys = keys_of(CH_TLS_1_3, CH_AEAD_AES_128_GCM);
	uint8_t info[CH_KTLS_INFO_MAX];

	cr_assert_eq(ch_ktls_info(&keys, CH_KTLS_TX, info), 40);
	cr_assert_eq(info[0] | info[1] << 8, 0x0304);
	cr_assert_eq(info[2] | info[3] << 8, 51);
	cr_assert_arr_eq(info + 4, keys.tx.iv + 4, 8);
	cr_assert_arr_eq(info + 12, keys.tx.key, 16);
	cr_assert_arr_eq(info + 28, keys.tx.iv, 4);
	cr_assert_arr_eq(info + 32, "\0\0\0\0\0\0\1\2", 8);
}

Test(ktls, gcm_of_tls_1_2_continues_the_explicit_nonce)
{
	struct ch_record_keys keys = keys_of(CH_TLS_1_2, CH_AEAD_AES_256_GCM);
	uint8_t info[CH_KTLS_INFO_MAX];

	cr_assert_eq(ch_ktls_info(&keys, CH_KTLS_TX, info), 56);
	cr_assert_eq(info[0] | info[1] << 8, 0x0303);
	cr_assert_eq(info[2] | info[3] << 8, 52);
	cr_assert_arr_eq(info + 4, "\x11\x22\x33\x44\x55\x66\x77\x88", 8);
	cr_assert_arr_eq(info + 12, keys.tx.key, 32);
	cr_assert_arr_eq(info + 44, keys.tx.iv, 4);
	cr_assert_arr_eq(info + 48, "\0\0\0\0\0\0\1\2", 8);
}

Test(ktls, chacha_takes_the_whole_iv)
{
	struct ch_record_keys keys = keys_of(CH_TLS_1_2, CH_AEAD_CHACHA20_POLY1305);
	uint8_t info[CH_KTLS_INFO_MAX];

	cr_assert_eq(ch_ktls_info(&keys, CH_KTLS_TX, info), 56);
	cr_assert_eq(info[2] | info[3] << 8, 54);
	cr_assert_arr_eq(info + 4, keys.tx.iv, 12);
	cr_assert_arr_eq(info + 16, keys.tx.key, 32);
	cr_assert_arr_eq(info + 48, "\0\0\0\0\0\0\1\2", 8);
}

static const struct ch_ktls_support pads;
static const struct ch_ktls_support no_pad = {.no_pad = true};

Test(ktls, unknown_cipher_is_refused_before_the_kernel_sees_it)
{
	struct ch_record_keys keys = keys_of(CH_TLS_1_3, CH_AEAD_NONE);
	uint8_t info[CH_KTLS_INFO_MAX];

	cr_assert_eq(ch_ktls_info(&keys, CH_KTLS_TX, info), 0);
	cr_assert_eq(ch_ktls_install(-1, CH_KTLS_TX, &keys, &pads), -EINVAL);
}

static int calls;
static int fail_errno;

static int fake_setsockopt(int fd, int level, int name, const void *value, socklen_t len)
{
	(void)fd, (void)level, (void)name, (void)value, (void)len;
	calls++;
	errno = fail_errno;
	return fail_errno != 0 ? -1 : 0;
}

Test(ktls, ulp_that_is_set_already_is_fine)
{
	ch_sys.setsockopt = fake_setsockopt;
	fail_errno = EEXIST;
	cr_assert_eq(ch_ktls_prepare(3), 0);
	fail_errno = ENOENT;
	cr_assert_eq(ch_ktls_prepare(3), -ENOENT);
}

Test(ktls, refused_keys_say_why)
{
	struct ch_record_keys keys = keys_of(CH_TLS_1_3, CH_AEAD_AES_128_GCM);

	ch_sys.setsockopt = fake_setsockopt;
	fail_errno = ENOENT;
	cr_assert_eq(ch_ktls_install(3, CH_KTLS_RX, &keys, &pads), -ENOENT);
	cr_assert_eq(calls, 1);
	fail_errno = 0;
	cr_assert_eq(ch_ktls_install(3, CH_KTLS_RX, &keys, &pads), 0);
	cr_assert_eq(calls, 2, "where padding does harm, it is always expected");
	cr_assert_eq(ch_ktls_install(3, CH_KTLS_RX, &keys, &no_pad), 0);
	cr_assert_eq(calls, 4, "keys, then the hint for zero-copy decryption");
	cr_assert_eq(ch_ktls_install(3, CH_KTLS_TX, &keys, &no_pad), 0);
	cr_assert_eq(calls, 5);
}

Test(ktls, probe_without_the_module_names_its_error_for_every_cipher)
{
	struct ch_ktls_support support;

	ch_sys.setsockopt = fake_setsockopt;
	fail_errno = ENOENT;
	ch_ktls_probe(&support);
	cr_assert_eq(support.ulp, -ENOENT);
	for (int aead = CH_AEAD_AES_128_GCM; aead <= CH_AEAD_CHACHA20_POLY1305; aead++) {
		cr_assert_eq(support.tls12[aead].rx, -ENOENT);
		cr_assert_eq(support.tls13[aead].tx, -ENOENT);
	}
	cr_assert(!support.rekey);
}

Test(ktls, probe_of_this_machine_is_consistent)
{
	struct ch_ktls_support support;

	ch_ktls_probe(&support);
	if (support.ulp != 0)
		cr_assert_eq(support.tls12[CH_AEAD_AES_128_GCM].rx, support.ulp);
	else
		cr_assert_eq(support.tls12[CH_AEAD_AES_128_GCM].tx, 0);
	cr_assert_eq(support.tls12[CH_AEAD_NONE].rx, -EINVAL);
}
