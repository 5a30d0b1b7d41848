/* SPDX-License-Identifier: Apache-2.0 */
/* links: tls core */
/* sources: tests/unit/tls_fixture.c */
/* Chains of every length and order, and which of several mistakes a device is told. */
#include "world_rig.h"
#include "user/tls/credential.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

TestSuite(chain, .init = setup, .fini = teardown);

struct outcome {
	enum ch_reason reason;
	char detail[256];
};

static struct outcome attempt(uint16_t version, const struct ch_credential *device)
{
	struct ch_tls_server_options options = {
		.min_version = version, .max_version = version, .request_client_certificate = true};
	struct ch_tls_context *server;
	struct outcome outcome;
	struct fx_pair pair;

	cr_assert_eq(ch_tls_server_new(&options, &server), 0);
	fx_pair_init(&pair, world.collector, server, device);
	fx_pair_run(&pair);
	outcome.reason = ch_handshake_reason(pair.client);
	snprintf(outcome.detail, sizeof(outcome.detail), "%s", ch_handshake_detail(pair.client));
	cr_assert_eq(pair.client_status == CH_HANDSHAKE_DONE, outcome.reason == CH_REASON_NONE);
	fx_pair_deinit(&pair);
	ch_tls_context_free(server);
	return outcome;
}

/* ---- length and order ---- */

#define CAS 3

/** acme's root, @count intermediates below it, and a device below the last. */
struct line {
	EVP_PKEY *keys[CAS];
	X509 *cas[CAS];
	EVP_PKEY *key;
	X509 *leaf;
};

static void line_init(struct line *line, unsigned count)
{
	X509 *issuer = world.acme_root;
	EVP_PKEY *issuer_key = world.acme_root_key;
	char name[] = "ca 0";

	memset(line, 0, sizeof(*line));
	for (unsigned i = 0; i < count; i++) {
		name[3] = (char)('0' + i);
		line->keys[i] = fx_key(FX_P256);
		line->cas[i] = fx_cert(&(struct fx_cert){.key = line->keys[i],
							 .issuer = issuer,
							 .issuer_key = issuer_key,
							 .cn = name,
							 .ca = true});
		issuer = line->cas[i];
		issuer_key = line->keys[i];
	}
	line->key = fx_key(FX_P256);
	line->leaf = fx_cert(&(struct fx_cert){
		.key = line->key, .issuer = issuer, .issuer_key = issuer_key, .serial = "SN1"});
}

static void line_deinit(struct line *line)
{
	for (unsigned i = 0; i < CAS; i++) {
		X509_free(line->cas[i]);
		EVP_PKEY_free(line->keys[i]);
	}
	X509_free(line->leaf);
	EVP_PKEY_free(line->key);
}

static void expect(const struct line *line, X509 *const *presented, enum ch_reason reason)
{
	struct ch_credential *device = fx_credential(presented, line->key);
	static const uint16_t versions[] = {CH_TLS_1_2, CH_TLS_1_3};

	for (unsigned v = 0; v < 2; v++) {
		struct outcome outcome = attempt(versions[v], device);

		cr_assert_str_eq(ch_reason_name(outcome.reason), ch_reason_name(reason), "%s",
				 outcome.detail);
	}
	ch_credential_free(device);
}

/* row: S4 S4-root */
Test(chain, up_to_three_intermediates_are_followed)
{
	for (unsigned count = 0; count <= CAS; count++) {
		struct line line;

		line_init(&line, count);
		expect(&line, (X509 *[]){line.leaf, line.cas[0], line.cas[1], line.cas[2], NULL},
		       CH_REASON_NONE);
		/* the root may come along */
		if (count == CAS)
			expect(&line,
			       (X509 *[]){line.leaf, line.cas[2], line.cas[1], line.cas[0],
					  world.acme_root, NULL},
			       CH_REASON_NONE);
		line_deinit(&line);
	}
}

/* row: S4-order S4-root */
Test(chain, any_order_of_the_issuers_will_do)
{
	static const uint8_t orders[6][4] = {{0, 1, 2, 3}, {3, 2, 1, 0}, {1, 3, 0, 2},
					     {2, 0, 3, 1}, {3, 0, 2, 1}, {0, 2, 1, 3}};
	struct line line;

	line_init(&line, CAS);
	for (unsigned i = 0; i < 6; i++) {
		X509 *all[] = {line.cas[0], line.cas[1], line.cas[2], world.acme_root};
		X509 *presented[6] = {line.leaf};

		for (unsigned j = 0; j < 4; j++)
			presented[1 + j] = all[orders[i][j]];
		expect(&line, presented, CH_REASON_NONE);
	}
	line_deinit(&line);
}

/* row: S4-missing */
Test(chain, a_gap_anywhere_is_an_unknown_ca)
{
	struct line line;

	line_init(&line, CAS);
	expect(&line, (X509 *[]){line.leaf, line.cas[1], line.cas[0], NULL}, CH_REASON_UNKNOWN_CA);
	expect(&line, (X509 *[]){line.leaf, line.cas[2], line.cas[0], NULL}, CH_REASON_UNKNOWN_CA);
	expect(&line, (X509 *[]){line.leaf, line.cas[2], line.cas[1], NULL}, CH_REASON_UNKNOWN_CA);
	expect(&line, (X509 *[]){line.leaf, NULL}, CH_REASON_UNKNOWN_CA);
	/* the whole line was seen before: nothing of it is taken from memory */
	expect(&line, (X509 *[]){line.leaf, line.cas[2], line.cas[1], line.cas[0], NULL},
	       CH_REASON_NONE);
	expect(&line, (X509 *[]){line.leaf, line.cas[1], line.cas[0], NULL}, CH_REASON_UNKNOWN_CA);
	line_deinit(&line);
}

/* ---- the order of reasons ---- */

/* As in docs/identity.md. */
enum flaw {
	TOO_LONG,
	WEAK_LEAF_KEY,
	UNKNOWN_CA,
	NO_IDENTIFIER,
	UNKNOWN_DEVICE,
	LEAF_EXPIRED,
	LEAF_USAGE,
	CA_USAGE,
	WEAK_SIGNATURE,
	CA_SIGNATURE,
	CA_EXPIRED,
	LEAF_SIGNATURE,
	FLAWS
};

static const struct {
	enum ch_reason reason;
	const char *detail;
} told[FLAWS] = {
	[TOO_LONG] = {CH_REASON_CHAIN_LIMIT, "9 certificates"},
	[WEAK_LEAF_KEY] = {CH_REASON_WEAK_KEY, "1024-bit key: 80 bits of security, 112 are needed"},
	[UNKNOWN_CA] = {CH_REASON_UNKNOWN_CA, ""},
	[NO_IDENTIFIER] = {CH_REASON_NO_IDENTIFIER, "manufacturer acme, no single serialNumber"},
	[UNKNOWN_DEVICE] = {CH_REASON_UNKNOWN_DEVICE, "manufacturer acme, serialNumber \"SN2\""},
	[LEAF_EXPIRED] = {CH_REASON_EXPIRED, "depth 0: certificate has expired"},
	[LEAF_USAGE] = {CH_REASON_WRONG_USAGE, "depth 0: unsuitable certificate purpose"},
	[CA_USAGE] = {CH_REASON_WRONG_USAGE, "depth 1: invalid CA certificate"},
	[WEAK_SIGNATURE] = {CH_REASON_WEAK_KEY, "depth 1: CA signature digest algorithm too weak"},
	[CA_SIGNATURE] = {CH_REASON_BAD_CERT, "depth 1: certificate signature failure"},
	[CA_EXPIRED] = {CH_REASON_EXPIRED, "depth 1: certificate has expired"},
	[LEAF_SIGNATURE] = {CH_REASON_BAD_CERT, "depth 0: certificate signature failure"},
};

#define HAS(flaw) ((flaws >> (flaw)&1) != 0)

static struct ch_credential *flawed(unsigned flaws)
{
	EVP_PKEY *wrong = fx_key(FX_P256);
	EVP_PKEY *ca_key = fx_key(FX_P256);
	EVP_PKEY *key = fx_key(HAS(WEAK_LEAF_KEY) ? FX_RSA1024 : FX_P256);
	X509 *root = HAS(UNKNOWN_CA) ? world.borg_ca : world.acme_root;
	X509 *ca = fx_cert(
		&(struct fx_cert){.key = ca_key,
				  .cn = "ca",
				  .issuer = world.acme_root,
				  .issuer_key = HAS(CA_SIGNATURE) ? wrong : world.acme_root_key,
				  .ca = !HAS(CA_USAGE),
				  .sha1 = HAS(WEAK_SIGNATURE),
				  .no_key_ids = true,
				  .not_after = HAS(CA_EXPIRED) ? "20200101000000Z" : NULL});
	X509 *other = fx_cert(&(struct fx_cert){.key = wrong, .cn = "nobody's", .ca = true});
	X509 *leaf = fx_cert(
		&(struct fx_cert){.key = key,
				  .cn = "device",
				  .serial = HAS(NO_IDENTIFIER)	  ? NULL
					    : HAS(UNKNOWN_DEVICE) ? "SN2"
								  : "SN1",
				  .issuer = HAS(UNKNOWN_CA) ? other : ca,
				  .issuer_key = HAS(LEAF_SIGNATURE) ? wrong : ca_key,
				  .eku = HAS(LEAF_USAGE) ? "codeSigning" : NULL,
				  .no_key_ids = true,
				  .not_after = HAS(LEAF_EXPIRED) ? "20200101000000Z" : NULL});
	struct ch_credential *device = fx_credential((X509 *[]){leaf, ca, NULL}, key);

	while (HAS(TOO_LONG) && sk_X509_num(device->chain) < 8) {
		X509_up_ref(root);
		sk_X509_push(device->chain, root);
	}
	X509_free(leaf);
	X509_free(other);
	X509_free(ca);
	EVP_PKEY_free(key);
	EVP_PKEY_free(ca_key);
	EVP_PKEY_free(wrong);
	return device;
}

static void expect_first(unsigned flaws, unsigned first)
{
	struct ch_credential *device = flawed(flaws);
	struct outcome outcome = attempt(CH_TLS_1_3, device);

	cr_assert_str_eq(ch_reason_name(outcome.reason), ch_reason_name(told[first].reason),
			 "flaw %u with others (%#x): %s", first, flaws, outcome.detail);
	cr_assert_str_eq(outcome.detail, told[first].detail, "flaw %u with others (%#x)", first,
			 flaws);
	ch_credential_free(device);
}

/* row: C5a-reasons SC5a */
Test(chain, the_first_of_several_mistakes_is_told)
{
	for (unsigned first = 0; first < FLAWS; first++) {
		unsigned behind = (1u << FLAWS) - (1u << first);

		expect_first(1u << first, first);
		expect_first(behind, first);
		for (unsigned second = first + 1; second < FLAWS; second++)
			expect_first(1u << first | 1u << second, first);
	}
}

/* ---- encodings of dates ---- */

/* row: 802.1AR */
Test(chain, dates_beyond_2049_and_without_end_are_read)
{
	static const struct {
		const char *not_after;
		uint64_t seconds;
	} dates[] = {
		{"20491231235959Z", 2524607999},   /* the last of UTCTime */
		{"20500101000000Z", 2524608000},   /* the first of GeneralizedTime */
		{"21060207062816Z", 4294967296},   /* beyond 32 bits */
		{"99991231235959Z", 253402300799}, /* IEEE 802.1AR: no end */
	};

	for (unsigned i = 0; i < sizeof(dates) / sizeof(dates[0]); i++) {
		struct ch_credential *device =
			fx_acme_device(&world, &(struct fx_cert){.serial = "SN1",
								 .not_after = dates[i].not_after});
		struct ch_tls_server_options options = {.request_client_certificate = true};
		struct ch_tls_context *server;
		struct ch_proof proof;
		struct fx_pair pair;

		cr_assert_eq(ch_tls_server_new(&options, &server), 0);
		fx_pair_init(&pair, world.collector, server, device);
		fx_pair_run(&pair);
		cr_assert_eq(ch_handshake_reason(pair.client), CH_REASON_NONE);
		cr_assert_eq(ch_handshake_take_proof(pair.client, &proof), 0);
		cr_assert_eq(proof.not_after, dates[i].seconds);
		ch_proof_deinit(&proof);
		fx_pair_deinit(&pair);
		ch_tls_context_free(server);
		ch_credential_free(device);
	}
}
