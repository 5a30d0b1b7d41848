/* SPDX-License-Identifier: Apache-2.0 */
/* links: tls core */
#include "user/tls/keys.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static void from_hex(const char *hex, uint8_t *out)
{
	unsigned byte;

	for (; sscanf(hex, "%2x", &byte) == 1; hex += 2)
		*out++ = (uint8_t)byte;
}

static void expect(const uint8_t *data, size_t len, const char *hex)
{
	char shown[2 * 64 + 1];

	for (size_t i = 0; i < len; i++)
		snprintf(shown + 2 * i, 3, "%02x", data[i]);
	cr_assert_str_eq(shown, hex);
}

/* RFC 8448 section 3, "derive write traffic keys for application data". */
Test(keys, tls13_client_keys_are_those_of_rfc8448)
{
	struct ch_direction_keys keys = {.sequence = 9};

	from_hex("9e40646ce79a7f9dc05af8889bce6552875afa0b06df0087f792ebb7c17504a5", keys.secret);
	cr_assert_eq(ch_keys_from_secret(CH_AEAD_AES_128_GCM, 32, &keys), 0);
	expect(keys.key, 16, "17422dda596ed5d9acd890e3c63f5051");
	expect(keys.iv, 12, "5b78923dee08579033e523d9");
	cr_assert_eq(keys.sequence, 0);
}

Test(keys, tls13_server_keys_are_those_of_rfc8448)
{
	struct ch_direction_keys keys = {0};

	from_hex("a11af9f05531f856ad47116b45a950328204b4f44bfb6b3a4b4f1f3fcb631643", keys.secret);
	cr_assert_eq(ch_keys_from_secret(CH_AEAD_AES_128_GCM, 32, &keys), 0);
	expect(keys.key, 16, "9f02283b6c9c07efc26bb9f2ac92e356");
	expect(keys.iv, 12, "cf782b88dd83549aadf1e984");
}

/* Computed with an HKDF of its own (Python's hmac). */
Test(keys, sha384_suites_use_sha384)
{
	struct ch_direction_keys keys = {0};

	for (unsigned i = 0; i < 48; i++)
		keys.secret[i] = (uint8_t)i;
	cr_assert_eq(ch_keys_from_secret(CH_AEAD_AES_256_GCM, 48, &keys), 0);
	expect(keys.key, 32, "6877d022f1c61d24ebb7487c16752d9a4798e40431c75b39320e537c90e23225");
	expect(keys.iv, 12, "42822531a0fe88648fc09e9f");
}

/* From the client secret of RFC 8448, with an HKDF of its own. */
Test(keys, an_update_follows_the_chain_of_secrets)
{
	struct ch_direction_keys keys = {.sequence = 77};

	from_hex("9e40646ce79a7f9dc05af8889bce6552875afa0b06df0087f792ebb7c17504a5", keys.secret);
	cr_assert_eq(ch_keys_update(CH_AEAD_AES_128_GCM, 32, &keys), 0);
	expect(keys.secret, 32, "fcdfcc72725aaee48bf64e4fd8b749cdbdbab39d90da0b26e2245ca6ea167207");
	expect(keys.key, 16, "3879d82f5f14056e623f2ce5bfc66fce");
	expect(keys.iv, 12, "5dfb2c5938c3379b6cc5d1f2");
	cr_assert_eq(keys.sequence, 0);
}

Test(keys, rejects_a_secret_of_no_known_hash)
{
	struct ch_direction_keys keys = {0};

	cr_assert_eq(ch_keys_from_secret(CH_AEAD_AES_128_GCM, 0, &keys), CH_E_CRYPTO);
	cr_assert_eq(ch_keys_from_secret(CH_AEAD_AES_128_GCM, 33, &keys), CH_E_CRYPTO);
	cr_assert_eq(ch_keys_update(CH_AEAD_AES_128_GCM, 64, &keys), CH_E_CRYPTO);
}

struct master_case {
	uint8_t aead;
	bool sha384;
	const char *client_key, *server_key, *client_iv, *server_iv;
};

/* master = 00..2f, client random c0.., server random 50..; P_hash computed with Python's hmac. */
static const struct master_case master_cases[] = {
	{CH_AEAD_AES_128_GCM, false, "f3c783cab3099c1e754aed106febc90b",
	 "76d0472ba4020db749394c205f89cf8e", "4fc383140000000000000000",
	 "3f890f3b0000000000000000"},
	{CH_AEAD_CHACHA20_POLY1305, false,
	 "f3c783cab3099c1e754aed106febc90b76d0472ba4020db749394c205f89cf8e",
	 "4fc383143f890f3b30d0aec89f8ad99a9ce34a4be087d31b4ecd14bfd67858e3",
	 "cfcca88b8a6d2a17e67ff9ac", "f1551d22164c2ad5f7d658ef"},
	{CH_AEAD_AES_256_GCM, true,
	 "ee07a256adb2cf676de457fed7e0598df68e87756c42e15b56601700db9b1802",
	 "30169cc3fc77ffb06ad16407280cd505b1508f017ad0d2fd66cfbfd1fbaa6165",
	 "791f6b550000000000000000", "716854690000000000000000"},
};

static void check_master(const struct master_case *expected, bool client)
{
	struct ch_record_keys keys = {.version = CH_TLS_1_2, .aead = expected->aead};
	const struct ch_direction_keys *client_writes = client ? &keys.tx : &keys.rx;
	const struct ch_direction_keys *server_writes = client ? &keys.rx : &keys.tx;
	uint8_t master[48];
	uint8_t client_random[32];
	uint8_t server_random[32];
	unsigned bytes = ch_aead_key_bytes(expected->aead);

	for (unsigned i = 0; i < 48; i++)
		master[i] = (uint8_t)i;
	for (unsigned i = 0; i < 32; i++) {
		client_random[i] = (uint8_t)(0xc0 + i % 16);
		server_random[i] = (uint8_t)(0x50 + i % 16);
	}
	memset(&keys.tx, 0xff, sizeof(keys.tx));
	memset(&keys.rx, 0xff, sizeof(keys.rx));
	cr_assert_eq(ch_keys_from_master(&keys, master, 48, client_random, server_random,
					 expected->sha384, client),
		     0);
	expect(client_writes->key, bytes, expected->client_key);
	expect(server_writes->key, bytes, expected->server_key);
	expect(client_writes->iv, 12, expected->client_iv);
	expect(server_writes->iv, 12, expected->server_iv);
}

Test(keys, the_tls12_key_block_is_cut_in_the_right_order)
{
	for (size_t i = 0; i < sizeof(master_cases) / sizeof(master_cases[0]); i++) {
		check_master(&master_cases[i], true);
		check_master(&master_cases[i], false);
	}
}
