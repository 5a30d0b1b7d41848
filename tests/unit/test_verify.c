/* SPDX-License-Identifier: Apache-2.0 */
/* links: tls core */
/* sources: tests/unit/tls_fixture.c */
/* The judgement over a device, through whole handshakes of both versions. */
#include "world_rig.h"
#include "user/tls/credential.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static const uint16_t versions[] = {CH_TLS_1_2, CH_TLS_1_3};

TestSuite(verify, .init = setup, .fini = teardown);

/** What one handshake came to. */
struct outcome {
	enum ch_handshake_status status;
	enum ch_reason reason;
	char detail[256];
	char device_detail[256]; /**< what the device says of it */
	bool identified;
	bool proven;
	bool device_has_certificate; /**< our credential reached it */
	struct ch_identity identity;
	unsigned pin_lookups;
	unsigned lookups;
};

static void attempt(uint16_t version, const struct ch_credential *device, struct outcome *outcome)
{
	struct ch_tls_server_options options = {
		.min_version = version, .max_version = version, .request_client_certificate = true};
	struct ch_tls_context *server;
	struct fx_pair pair;
	uint8_t sha256[32];

	memset(outcome, 0, sizeof(*outcome));
	world.inventory.pin_lookups = 0;
	world.inventory.lookups = 0;
	cr_assert_eq(ch_tls_server_new(&options, &server), 0);
	fx_pair_init(&pair, world.collector, server, device);
	fx_pair_run(&pair);
	outcome->status = pair.client_status;
	outcome->reason = ch_handshake_reason(pair.client);
	snprintf(outcome->detail, sizeof(outcome->detail), "%s", ch_handshake_detail(pair.client));
	snprintf(outcome->device_detail, sizeof(outcome->device_detail), "%s",
		 ch_handshake_detail(pair.server));
	outcome->proven = ch_handshake_proven(pair.client);
	outcome->device_has_certificate = ch_handshake_client_certificate(pair.server, sha256);
	outcome->identified = ch_handshake_identity(pair.client) != NULL;
	if (outcome->identified)
		outcome->identity = *ch_handshake_identity(pair.client);
	cr_assert_eq(outcome->identified, ch_handshake_match(pair.client) != NULL);
	outcome->pin_lookups = world.inventory.pin_lookups;
	outcome->lookups = world.inventory.lookups;
	fx_pair_deinit(&pair);
	ch_tls_context_free(server);
}

static void expect_welcome(const struct ch_credential *device)
{
	struct outcome outcome;

	for (unsigned v = 0; v < 2; v++) {
		attempt(versions[v], device, &outcome);
		cr_assert_eq(outcome.reason, CH_REASON_NONE, "%s: %s",
			     ch_reason_name(outcome.reason), outcome.detail);
		cr_assert_eq(outcome.status, CH_HANDSHAKE_DONE);
		cr_assert(outcome.identified && outcome.proven && outcome.device_has_certificate);
	}
}

/** Refused in the verify callback: no proof, no identity, nothing of ours sent. */
static void expect_refusal(const struct ch_credential *device, enum ch_reason reason,
			   const char *detail, const char *alert, unsigned lookups)
{
	struct outcome outcome;

	for (unsigned v = 0; v < 2; v++) {
		attempt(versions[v], device, &outcome);
		cr_assert_eq(outcome.status, CH_HANDSHAKE_FAILED);
		cr_assert_str_eq(ch_reason_name(outcome.reason), ch_reason_name(reason));
		cr_assert_str_eq(outcome.detail, detail);
		cr_assert_str_eq(outcome.device_detail, alert);
		cr_assert_not(outcome.identified);
		cr_assert_not(outcome.proven);
		cr_assert_not(outcome.device_has_certificate);
		cr_assert_eq(outcome.lookups, lookups);
	}
}

/** The same for a device that is used only once. */
static void expect_refused_once(struct ch_credential *device, enum ch_reason reason,
				const char *detail, const char *alert, unsigned lookups)
{
	expect_refusal(device, reason, detail, alert, lookups);
	ch_credential_free(device);
}

Test(verify, a_known_device_of_its_manufacturer_is_welcome)
{
	struct ch_credential *device = fx_acme_device(&world, NULL);
	struct outcome outcome;

	for (unsigned v = 0; v < 2; v++) {
		attempt(versions[v], device, &outcome);
		cr_assert_eq(outcome.status, CH_HANDSHAKE_DONE);
		cr_assert_eq(outcome.pin_lookups, 1);
		cr_assert_eq(outcome.lookups, 1);
		cr_assert_eq(outcome.identity.manufacturer, 0);
		cr_assert_str_eq(outcome.identity.identifier, "SN1");
		cr_assert(outcome.device_has_certificate);
	}
	ch_credential_free(device);
}

/* row: 802.1AR */
Test(verify, an_idevid_without_an_end_of_validity_is_welcome)
{
	struct ch_credential *device = fx_acme_device(
		&world, &(struct fx_cert){.serial = "SN1", .not_after = "99991231235959Z"});

	expect_welcome(device);
	ch_credential_free(device);
}

/* row: C5a C5a-nothing C5a-reasons 7589-5 */
Test(verify, an_unknown_ca_is_refused_without_asking_the_inventory)
{
	EVP_PKEY *key = fx_key(FX_P256);
	X509 *ca = fx_cert(&(struct fx_cert){.key = key, .cn = "other CA", .ca = true});

	expect_refused_once(
		fx_acme_device(&world,
			       &(struct fx_cert){.serial = "SN1", .issuer = ca, .issuer_key = key}),
		CH_REASON_UNKNOWN_CA, "", "alert unknown_ca", 0);
	X509_free(ca);
	EVP_PKEY_free(key);
}

static struct ch_credential *self_signed(EVP_PKEY *key, const char *not_after)
{
	X509 *cert = fx_cert(&(struct fx_cert){
		.key = key, .cn = "SN1", .serial = "SN1", .not_after = not_after});
	struct ch_credential *credential = fx_credential((X509 *[]){cert, NULL}, key);

	X509_free(cert);
	return credential;
}

/* row: C5a-nothing C5a-reasons */
Test(verify, a_self_signed_certificate_is_named_so)
{
	EVP_PKEY *key = fx_key(FX_P256);

	expect_refused_once(self_signed(key, NULL), CH_REASON_SELF_SIGNED, "", "alert unknown_ca",
			    0);
	EVP_PKEY_free(key);
}

static void pin(const struct ch_credential *device)
{
	uint8_t *spki = NULL;
	int len = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(device->cert), &spki);

	EVP_Digest(spki, (size_t)len, world.inventory.pin, NULL, EVP_sha256(), NULL);
	OPENSSL_free(spki);
	world.inventory.identifier = NULL;
}

/* row: C5b C5b-overrides SC2 */
Test(verify, a_pin_stands_for_the_chain)
{
	EVP_PKEY *key = fx_key(FX_P256);
	struct ch_credential *device = self_signed(key, NULL);
	struct outcome outcome;

	pin(device);
	expect_welcome(device);
	attempt(CH_TLS_1_3, device, &outcome);
	cr_assert_eq(outcome.pin_lookups, 1);
	cr_assert_eq(outcome.lookups, 0);
	cr_assert_eq(outcome.identity.manufacturer, CH_MANUFACTURER_NONE);
	cr_assert_str_eq(outcome.identity.identifier, "");
	cr_assert_eq(memcmp(outcome.identity.spki_sha256, world.inventory.pin, 32), 0);
	ch_credential_free(device);
	EVP_PKEY_free(key);
}

/* row: C5b-changed */
Test(verify, a_pin_is_of_the_key_and_not_of_the_subject)
{
	EVP_PKEY *key = fx_key(FX_P256);
	EVP_PKEY *other = fx_key(FX_P256);
	struct ch_credential *device = self_signed(key, NULL);

	pin(device);
	expect_refused_once(self_signed(other, NULL), CH_REASON_SELF_SIGNED, "", "alert unknown_ca",
			    0);
	ch_credential_free(device);
	EVP_PKEY_free(key);
	EVP_PKEY_free(other);
}

/* row: C5b-overrides */
Test(verify, a_pin_does_not_stand_for_the_dates)
{
	EVP_PKEY *key = fx_key(FX_P256);
	struct ch_credential *device = self_signed(key, "20200101000000Z");

	pin(device);
	expect_refused_once(device, CH_REASON_EXPIRED, "depth 0: certificate has expired",
			    "alert certificate_expired", 0);
	device = fx_acme_device(&world, &(struct fx_cert){.serial = "SN1",
							  .not_before = "20991231235959Z",
							  .not_after = "21991231235959Z"});
	pin(device);
	expect_refused_once(device, CH_REASON_NOT_YET_VALID,
			    "depth 0: certificate is not yet valid", "alert bad_certificate", 0);
	EVP_PKEY_free(key);
}

/* row: C6a SC2 */
Test(verify, an_unknown_serial_under_a_good_ca_is_an_unknown_device)
{
	expect_refused_once(fx_acme_device(&world, &(struct fx_cert){.serial = "SN2"}),
			    CH_REASON_UNKNOWN_DEVICE, "manufacturer acme, serialNumber \"SN2\"",
			    "alert bad_certificate", 1);
	/* the look-up comes before the signatures and dates */
	expect_refused_once(
		fx_borg_device(&world,
			       &(struct fx_cert){.cn = "S\"2\n", .not_after = "20200101000000Z"}),
		CH_REASON_UNKNOWN_DEVICE, "manufacturer borg, cn \"S?2?\"", "alert bad_certificate",
		1);
}

/* row: C6a-issuer SC3 */
Test(verify, a_serial_under_the_other_manufacturer_does_not_cross)
{
	struct ch_credential *borg = fx_borg_device(&world, NULL);

	expect_refusal(borg, CH_REASON_WRONG_MANUFACTURER, "manufacturer borg, cn \"SN1\"",
		       "alert bad_certificate", 1);
	/* not even with the other's CA among the presented certificates */
	sk_X509_push(borg->chain, world.acme_ca);
	sk_X509_push(borg->chain, world.acme_root);
	X509_up_ref(world.acme_ca);
	X509_up_ref(world.acme_root);
	expect_refusal(borg, CH_REASON_WRONG_MANUFACTURER, "manufacturer borg, cn \"SN1\"",
		       "alert bad_certificate", 1);
	ch_credential_free(borg);
	world.inventory.manufacturer = 1;
	borg = fx_borg_device(&world, NULL);
	expect_welcome(borg);
	ch_credential_free(borg);
	expect_refused_once(fx_acme_device(&world, NULL), CH_REASON_WRONG_MANUFACTURER,
			    "manufacturer acme, serialNumber \"SN1\"", "alert bad_certificate", 1);
}

/* row: C6b */
Test(verify, an_identifier_in_another_field_is_none)
{
	expect_refused_once(fx_acme_device(&world, &(struct fx_cert){.cn = "SN1"}),
			    CH_REASON_NO_IDENTIFIER, "manufacturer acme, no single serialNumber",
			    "alert bad_certificate", 0);
	expect_refused_once(fx_borg_device(&world, &(struct fx_cert){.cn = "SN1", .cn2 = "SN1"}),
			    CH_REASON_NO_IDENTIFIER, "manufacturer borg, no single cn",
			    "alert bad_certificate", 0);
}

/* row: C5a-nothing C5a-reasons */
Test(verify, dates_of_a_known_device_are_named)
{
	expect_refused_once(
		fx_acme_device(&world,
			       &(struct fx_cert){.serial = "SN1", .not_after = "20200101000000Z"}),
		CH_REASON_EXPIRED, "depth 0: certificate has expired", "alert certificate_expired",
		1);
	expect_refused_once(
		fx_acme_device(&world, &(struct fx_cert){.serial = "SN1",
							 .not_before = "20991231235959Z",
							 .not_after = "21991231235959Z"}),
		CH_REASON_NOT_YET_VALID, "depth 0: certificate is not yet valid",
		"alert bad_certificate", 1);
}

/** A device under an intermediate of acme's root with those fields. */
static struct ch_credential *under_intermediate(struct fx_cert fields)
{
	EVP_PKEY *ca_key = fx_key(FX_P256);
	EVP_PKEY *key = fx_key(FX_P256);
	struct ch_credential *device;
	X509 *ca;
	X509 *leaf;

	fields.key = ca_key;
	fields.issuer = world.acme_root;
	fields.issuer_key = world.acme_root_key;
	ca = fx_cert(&fields);
	leaf = fx_cert(&(struct fx_cert){.key = key,
					 .serial = "SN1",
					 .issuer = ca,
					 .issuer_key = ca_key,
					 .no_key_ids = true});
	device = fx_credential((X509 *[]){leaf, ca, NULL}, key);
	X509_free(ca);
	X509_free(leaf);
	EVP_PKEY_free(ca_key);
	EVP_PKEY_free(key);
	return device;
}

Test(verify, the_chain_above_the_device_is_judged_too)
{
	struct ch_credential *good = under_intermediate((struct fx_cert){.cn = "ca", .ca = true});

	expect_welcome(good);
	ch_credential_free(good);
	expect_refused_once(under_intermediate((struct fx_cert){
				    .cn = "ca", .ca = true, .not_after = "20200101000000Z"}),
			    CH_REASON_EXPIRED, "depth 1: certificate has expired",
			    "alert certificate_expired", 1);
	/* a device that issues certificates */
	expect_refused_once(under_intermediate((struct fx_cert){.cn = "SN7", .serial = "SN7"}),
			    CH_REASON_WRONG_USAGE, "depth 1: invalid CA certificate",
			    "alert unsupported_certificate", 1);
	expect_refused_once(
		under_intermediate((struct fx_cert){.cn = "ca", .ca = true, .sha1 = true}),
		CH_REASON_WEAK_KEY, "depth 1: CA signature digest algorithm too weak",
		"alert bad_certificate", 1);
}

/* row: S4-missing */
Test(verify, a_missing_intermediate_is_an_unknown_ca)
{
	struct ch_credential *device = fx_acme_device(&world, NULL);

	X509_free(sk_X509_pop(device->chain));
	expect_refused_once(device, CH_REASON_UNKNOWN_CA, "", "alert unknown_ca", 0);
}

Test(verify, a_forged_ca_of_the_right_name_is_found_by_its_signature)
{
	EVP_PKEY *key = fx_key(FX_P256);

	/* signed by a key that is not acme's, presented with acme's real CA */
	expect_refused_once(fx_acme_device(&world, &(struct fx_cert){.serial = "SN1",
								     .issuer_key = key,
								     .no_key_ids = true}),
			    CH_REASON_BAD_CERT, "depth 0: certificate signature failure",
			    "alert decrypt_error", 1);
	EVP_PKEY_free(key);
}

/* The intermediate is known from here on: that must not make any other verdict milder. */
Test(verify, an_issuer_that_was_verified_before_changes_no_verdict)
{
	struct ch_credential *device = fx_acme_device(&world, NULL);
	EVP_PKEY *key = fx_key(FX_P256);

	expect_welcome(device);
	expect_welcome(device);
	X509_free(sk_X509_pop(device->chain));
	expect_refused_once(device, CH_REASON_UNKNOWN_CA, "", "alert unknown_ca", 0);
	expect_refused_once(fx_acme_device(&world, &(struct fx_cert){.serial = "SN1",
								     .issuer_key = key,
								     .no_key_ids = true}),
			    CH_REASON_BAD_CERT, "depth 0: certificate signature failure",
			    "alert decrypt_error", 1);
	expect_refused_once(
		fx_acme_device(&world,
			       &(struct fx_cert){.serial = "SN1", .not_after = "20200101000000Z"}),
		CH_REASON_EXPIRED, "depth 0: certificate has expired", "alert certificate_expired",
		1);
	EVP_PKEY_free(key);
}

/* Path validation takes the first certificate that could have issued the device's. */
Test(verify, a_false_twin_of_a_verified_issuer_is_refused_before_and_after)
{
	struct ch_credential *device = fx_acme_device(&world, NULL);
	struct ch_credential *honest = fx_acme_device(&world, NULL);
	X509 *twin = fx_cert(&(struct fx_cert){.key = world.acme_key,
					       .issuer = world.acme_root,
					       .issuer_key = world.acme_root_key,
					       .cn = "acme factory"});

	cr_assert(sk_X509_unshift(device->chain, twin) > 0);
	expect_refusal(device, CH_REASON_WRONG_USAGE, "depth 1: invalid CA certificate",
		       "alert unsupported_certificate", 1);
	expect_welcome(honest);
	expect_welcome(honest);
	expect_refusal(device, CH_REASON_WRONG_USAGE, "depth 1: invalid CA certificate",
		       "alert unsupported_certificate", 1);
	ch_credential_free(device);
	ch_credential_free(honest);
}

/* borg's CA signs a CA of the name of acme's: what is issued by it must never be acme's. */
/* row: SC3 */
Test(verify, a_ca_of_one_manufacturer_cannot_issue_for_the_other)
{
	EVP_PKEY *ca_key = fx_key(FX_P256);
	EVP_PKEY *key = fx_key(FX_P256);
	X509 *fake = fx_cert(&(struct fx_cert){.key = ca_key,
					       .issuer = world.borg_ca,
					       .issuer_key = world.borg_key,
					       .cn = "acme factory",
					       .ca = true,
					       .no_key_ids = true});
	X509 *leaf = fx_cert(&(struct fx_cert){.key = key,
					       .issuer = fake,
					       .issuer_key = ca_key,
					       .cn = "SN1",
					       .serial = "SN1",
					       .no_key_ids = true});

	expect_refused_once(fx_credential((X509 *[]){leaf, fake, NULL}, key),
			    CH_REASON_WRONG_MANUFACTURER, "manufacturer borg, cn \"SN1\"",
			    "alert bad_certificate", 1);
	expect_refused_once(fx_credential((X509 *[]){leaf, fake, world.acme_ca, NULL}, key),
			    CH_REASON_WRONG_MANUFACTURER, "manufacturer borg, cn \"SN1\"",
			    "alert bad_certificate", 1);
	expect_refused_once(fx_credential((X509 *[]){leaf, world.acme_ca, fake, NULL}, key),
			    CH_REASON_BAD_CERT, "depth 0: certificate signature failure",
			    "alert decrypt_error", 1);
	X509_free(fake);
	X509_free(leaf);
	EVP_PKEY_free(ca_key);
	EVP_PKEY_free(key);
}

/* row: C5a-reasons */
Test(verify, usage_must_allow_a_tls_server_where_it_is_stated)
{
	static const char *const welcome[] = {NULL, "serverAuth", "clientAuth,serverAuth"};
	struct ch_credential *device;

	for (unsigned i = 0; i < 3; i++) {
		device = fx_acme_device(&world,
					&(struct fx_cert){.serial = "SN1", .eku = welcome[i]});
		expect_welcome(device);
		ch_credential_free(device);
	}
	expect_refused_once(
		fx_acme_device(&world, &(struct fx_cert){.serial = "SN1", .eku = "clientAuth"}),
		CH_REASON_WRONG_USAGE, "depth 0: unsuitable certificate purpose",
		"alert unsupported_certificate", 1);
	expect_refused_once(
		fx_acme_device(&world, &(struct fx_cert){.serial = "SN1", .eku = "codeSigning"}),
		CH_REASON_WRONG_USAGE, "depth 0: unsuitable certificate purpose",
		"alert unsupported_certificate", 1);
}

Test(verify, weak_keys_and_signatures_are_refused)
{
	EVP_PKEY *weak = fx_key(FX_RSA1024);

	world.inventory.manufacturer = 1;
	expect_refused_once(fx_borg_device(&world, &(struct fx_cert){.cn = "SN1", .key = weak}),
			    CH_REASON_WEAK_KEY, "1024-bit key: 80 bits of security, 112 are needed",
			    "alert bad_certificate", 0);
	expect_refused_once(fx_borg_device(&world, &(struct fx_cert){.cn = "SN1", .sha1 = true}),
			    CH_REASON_WEAK_KEY, "depth 0: CA signature digest algorithm too weak",
			    "alert bad_certificate", 1);
	EVP_PKEY_free(weak);
}

/* row: SC5a */
Test(verify, eight_certificates_are_the_most)
{
	struct ch_credential *device = fx_acme_device(&world, NULL);

	while (sk_X509_num(device->chain) < 7) {
		X509_up_ref(world.acme_root);
		sk_X509_push(device->chain, world.acme_root);
	}
	expect_welcome(device);
	X509_up_ref(world.acme_root);
	sk_X509_push(device->chain, world.acme_root);
	expect_refused_once(device, CH_REASON_CHAIN_LIMIT, "9 certificates", "alert unknown_ca", 0);
}

/* row: SC5a */
Test(verify, the_bytes_of_a_chain_are_limited)
{
	struct ch_credential *device =
		fx_acme_device(&world, &(struct fx_cert){.serial = "SN1", .padding = 64000});
	struct outcome outcome;

	expect_welcome(device);
	ch_credential_free(device);
	device = fx_acme_device(&world, &(struct fx_cert){.serial = "SN1", .padding = 66000});
	for (unsigned v = 0; v < 2; v++) {
		attempt(versions[v], device, &outcome);
		cr_assert_eq(outcome.reason, CH_REASON_CHAIN_LIMIT);
		cr_assert_not_null(strstr(outcome.detail, " bytes"));
		cr_assert_eq(outcome.lookups, 0);
	}
	ch_credential_free(device);
	/* more than OpenSSL takes at all */
	expect_refused_once(
		fx_acme_device(&world, &(struct fx_cert){.serial = "SN1", .padding = 120000}),
		CH_REASON_CHAIN_LIMIT, "excessive message size", "alert illegal_parameter", 0);
}

Test(verify, an_intermediate_may_be_the_anchor)
{
	struct ch_tls_client_options options = {.lookup = fx_lookup,
						.lookup_ctx = &world.inventory};
	struct ch_credential *device = fx_acme_device(&world, NULL);
	struct ch_trust *trust;
	char error[CH_ERROR_TEXT];

	ch_tls_context_free(world.collector);
	cr_assert_eq(ch_trust_new(&trust), 0);
	cr_assert_eq(ch_trust_add(trust, "acme", fx_ca_file((X509 *[]){world.acme_ca, NULL}),
				  CH_IDENTIFIER_SERIAL_NUMBER, error),
		     0);
	options.trust = trust;
	cr_assert_eq(ch_tls_client_new(&options, &world.collector), 0);
	expect_welcome(device);
	X509_free(sk_X509_pop(device->chain));
	expect_welcome(device);
	ch_credential_free(device);
	ch_tls_context_free(world.collector);
	world.collector = NULL;
	ch_trust_free(trust);
}

/* ---- possession ---- */

static void expect_after_proof(enum ch_reason reason)
{
	struct ch_credential *device = fx_acme_device(&world, NULL);
	struct outcome outcome;

	for (unsigned v = 0; v < 2; v++) {
		attempt(versions[v], device, &outcome);
		cr_assert_eq(outcome.status, CH_HANDSHAKE_FAILED);
		cr_assert_str_eq(ch_reason_name(outcome.reason), ch_reason_name(reason));
		cr_assert(outcome.identified);
		cr_assert(outcome.proven);
		cr_assert_str_eq(outcome.identity.identifier, "SN1");
		cr_assert_not(outcome.device_has_certificate);
		cr_assert_str_eq(outcome.device_detail, "alert access_denied");
	}
	ch_credential_free(device);
}

/* row: C7-none */
Test(verify, a_device_without_a_credential_is_refused_after_its_proof)
{
	world.inventory.match.credential = NULL;
	expect_after_proof(CH_REASON_NO_CREDENTIAL);
}

Test(verify, quarantine_is_decided_after_the_proof)
{
	world.inventory.match.refuse = CH_REASON_UNKNOWN_DEVICE;
	expect_after_proof(CH_REASON_UNKNOWN_DEVICE);
}

static void expect_impostor(struct ch_credential *device)
{
	struct ch_credential *stolen;
	struct outcome outcome;

	expect_welcome(device);
	cr_assert_eq(ch_credential_steal(device, &stolen), 0);
	/* OpenSSL on the impostor's side believes that the key belongs to the certificate. */
	cr_assert_eq(X509_check_private_key(stolen->cert, stolen->key), 1);
	for (unsigned v = 0; v < 2; v++) {
		attempt(versions[v], stolen, &outcome);
		cr_assert_eq(outcome.status, CH_HANDSHAKE_FAILED);
		cr_assert_str_eq(ch_reason_name(outcome.reason), "possession-not-proven");
		cr_assert_str_eq(outcome.detail, "bad signature");
		cr_assert_str_eq(outcome.device_detail, "alert decrypt_error");
		cr_assert_not(outcome.proven);
		cr_assert_not(outcome.device_has_certificate);
	}
	ch_credential_free(stolen);
	ch_credential_free(device);
}

/* row: C7-order */
Test(verify, a_stolen_certificate_proves_nothing)
{
	EVP_PKEY *p384 = fx_key(FX_P384);

	expect_impostor(fx_acme_device(&world, NULL));
	expect_impostor(fx_acme_device(&world, &(struct fx_cert){.serial = "SN1", .key = p384}));
	world.inventory.manufacturer = 1;
	expect_impostor(fx_borg_device(&world, NULL));
	EVP_PKEY_free(p384);
}

/* Feeds the device's flight record by record. */
static void watch_proof(uint16_t version)
{
	struct ch_tls_server_options options = {
		.min_version = version, .max_version = version, .request_client_certificate = true};
	struct ch_credential *device = fx_acme_device(&world, NULL);
	struct ch_tls_context *server;
	struct fx_pair pair;
	unsigned unproven = 0;

	world.inventory.lookups = 0;
	cr_assert_eq(ch_tls_server_new(&options, &server), 0);
	fx_pair_init(&pair, world.collector, server, device);
	fx_feed(pair.server, &pair.to_server, &pair.to_client);
	while (pair.to_client.len > 0) {
		bool identified = ch_handshake_identity(pair.client) != NULL;

		cr_assert_eq(world.inventory.lookups, identified);
		cr_assert(identified || !ch_handshake_proven(pair.client));
		unproven += identified && !ch_handshake_proven(pair.client);
		/* nothing of ours goes out before the proof */
		cr_assert(ch_handshake_proven(pair.client) || pair.to_server.len == 0);
		fx_feed(pair.client, &pair.to_client, &pair.to_server);
	}
	/* accepted with the Certificate, proven with the next message */
	cr_assert_geq(unproven, 1);
	cr_assert(ch_handshake_proven(pair.client));
	cr_assert_gt(pair.to_server.len, 0);
	fx_pair_deinit(&pair);
	ch_tls_context_free(server);
	ch_credential_free(device);
}

/* row: C5a C7-order */
Test(verify, possession_is_proven_later_than_the_certificate_is_accepted)
{
	watch_proof(CH_TLS_1_2);
	watch_proof(CH_TLS_1_3);
}
