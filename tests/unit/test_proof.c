/* SPDX-License-Identifier: Apache-2.0 */
/* links: tls core */
/* sources: tests/unit/tls_fixture.c */
/* What a session keeps of the chain that let it in. */
#include "world_rig.h"
#include "user/tls/credential.h"
#include "user/tls/path.h"

#include <criterion/criterion.h>
#include <string.h>

TestSuite(proof, .init = setup, .fini = teardown);

/* Of the last login: what is above the device. */
static struct ch_certificate_facts cas[CH_CHAIN_MAX + 1];
static size_t ca_count;

/** The proof of one login of @device. */
static struct ch_proof login(const struct ch_credential *device)
{
	struct ch_tls_server_options options = {.request_client_certificate = true};
	struct ch_proof proof;
	struct ch_tls_context *server;
	struct fx_pair pair;

	cr_assert_eq(ch_tls_server_new(&options, &server), 0);
	fx_pair_init(&pair, world.collector, server, device);
	fx_pair_run(&pair);
	cr_assert_eq(pair.client_status, CH_HANDSHAKE_DONE, "%s", ch_handshake_detail(pair.client));
	cr_assert_eq(ch_handshake_take_proof(pair.client, &proof), 0);
	for (ca_count = 0; ch_handshake_ca(pair.client, ca_count, &cas[ca_count]) == 0;)
		ca_count++;
	fx_pair_deinit(&pair);
	ch_tls_context_free(server);
	return proof;
}

/* Written down anew from the certificate, so that both ends of a look-up are known to agree. */
static void check_element(const uint8_t element[CH_PROOF_ELEMENT], X509 *cert)
{
	const ASN1_INTEGER *number = X509_get0_serialNumber(cert);
	const uint8_t *data = ASN1_STRING_get0_data(number);
	size_t len = (size_t)ASN1_STRING_length(number);
	uint8_t expected[CH_PROOF_ELEMENT];
	uint8_t serial[32] = {0};
	const uint8_t *issuer;
	size_t issuer_len;

	cr_assert_lt(len, sizeof(serial));
	/* two's complement: a first bit that is set needs a zero in front */
	memcpy(serial + (data[0] >> 7), data, len);
	X509_NAME_get0_der(X509_get_issuer_name(cert), &issuer, &issuer_len);
	cr_assert_eq(ch_proof_element(issuer, issuer_len, serial, len + (data[0] >> 7), expected),
		     0);
	cr_assert_arr_eq(element, expected, CH_PROOF_ELEMENT);
}

static void check_digest(const uint8_t sha256[32], X509 *cert)
{
	uint8_t expected[32];

	cr_assert_eq(X509_digest(cert, EVP_sha256(), expected, NULL), 1);
	cr_assert_arr_eq(sha256, expected, 32);
}

static void check_factory_device(const struct ch_proof *proof, const struct ch_credential *device)
{
	uint8_t *spki = NULL;
	int len = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(device->cert), &spki);
	uint8_t expected[32];

	EVP_Digest(spki, (size_t)len, expected, NULL, EVP_sha256(), NULL);
	OPENSSL_free(spki);
	cr_assert_not(ch_proof_is_pin(proof));
	check_digest(proof->anchor_sha256, world.acme_root);
	check_digest(proof->cert_sha256, device->cert);
	cr_assert_arr_eq(proof->spki_sha256, expected, 32);
	cr_assert_eq(ca_count, 2);
	cr_assert_str_eq(cas[0].subject, "/CN=acme factory");
	cr_assert_str_eq(cas[1].subject, "/CN=acme root");
	cr_assert_arr_eq(cas[1].sha256, proof->anchor_sha256, 32);
	cr_assert_eq(proof->count, 2);
	check_element(ch_proof_at(proof, 0), device->cert);
	check_element(ch_proof_at(proof, 1), world.acme_ca);
}

Test(proof, names_device_intermediate_and_anchor_also_when_the_issuer_is_known)
{
	struct ch_credential *device = fx_acme_device(
		&world, &(struct fx_cert){.serial = "SN1", .not_after = "99991231235959Z"});

	for (unsigned i = 0; i < 3; i++) {
		struct ch_proof proof = login(device);

		check_factory_device(&proof, device);
		cr_assert_eq(proof.not_after, 253402300799);
		ch_proof_deinit(&proof);
	}
	ch_credential_free(device);
}

Test(proof, ends_at_the_first_anchor_although_the_root_is_one_too)
{
	struct ch_tls_client_options options = {.lookup = fx_lookup,
						.lookup_ctx = &world.inventory};
	struct ch_credential *device = fx_acme_device(&world, NULL);
	X509 *both[] = {world.acme_root, world.acme_ca, NULL};
	char error[CH_ERROR_TEXT];
	struct ch_trust *trust;

	cr_assert_eq(ch_trust_new(&trust), 0);
	cr_assert_eq(
		ch_trust_add(trust, "acme", fx_ca_file(both), CH_IDENTIFIER_SERIAL_NUMBER, error),
		0);
	options.trust = trust;
	ch_tls_context_free(world.collector);
	cr_assert_eq(ch_tls_client_new(&options, &world.collector), 0);
	for (unsigned i = 0; i < 3; i++) {
		struct ch_proof proof = login(device);

		check_digest(proof.anchor_sha256, world.acme_ca);
		cr_assert_eq(ca_count, 1);
		cr_assert_str_eq(cas[0].subject, "/CN=acme factory");
		cr_assert_eq(proof.count, 1);
		check_element(ch_proof_at(&proof, 0), device->cert);
		ch_proof_deinit(&proof);
	}
	ch_tls_context_free(world.collector);
	world.collector = NULL;
	ch_trust_free(trust);
	ch_credential_free(device);
}

Test(proof, of_a_pinned_device_has_no_anchor)
{
	struct ch_credential *device = fx_acme_device(&world, NULL);
	struct ch_proof proof = login(device);

	memcpy(world.inventory.pin, proof.spki_sha256, sizeof(world.inventory.pin));
	world.inventory.identifier = NULL;
	ch_proof_deinit(&proof);
	proof = login(device);
	cr_assert(ch_proof_is_pin(&proof));
	cr_assert_eq(ca_count, 0);
	cr_assert_eq(proof.count, 1);
	check_element(ch_proof_at(&proof, 0), device->cert);
	check_digest(proof.cert_sha256, device->cert);
	ch_proof_deinit(&proof);
	ch_credential_free(device);
}

Test(proof, holds_chains_of_every_length)
{
	struct ch_path path = {.anchor_sha256 = {7}};
	struct ch_identity identity = {.not_after = 253402300799};
	struct ch_proof proof;

	for (path.count = 1; path.count <= CH_CHAIN_MAX; path.count++) {
		memset(path.chain[path.count - 1], 100 + path.count, CH_PROOF_ELEMENT);
		cr_assert_eq(ch_path_prove(&path, &identity, &proof), 0);
		cr_assert_eq(proof.count, path.count);
		cr_assert_eq(proof.not_after, 253402300799);
		cr_assert_eq(proof.more == NULL, path.count <= CH_PROOF_OWN);
		for (size_t i = 0; i < path.count; i++)
			cr_assert_arr_eq(ch_proof_at(&proof, i), path.chain[i], CH_PROOF_ELEMENT);
		ch_proof_deinit(&proof);
		cr_assert_eq(proof.count, 0);
	}
}
