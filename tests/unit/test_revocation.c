/* SPDX-License-Identifier: Apache-2.0 */
/* links: tls core */
/* sources: tests/unit/tls_fixture.c tests/unit/crl_fixture.c */
/* Sets of revocation lists, and what whole handshakes of both versions make of them. */
#include "crl_fixture.h"
#include "user/tls/credential.h"
#include "user/tls/path.h"
#include "user/tls/revocation_set.h"

#include <criterion/criterion.h>
#include <openssl/ocsp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const uint16_t versions[] = {CH_TLS_1_2, CH_TLS_1_3};

static struct fx_world world;
static char dir[64];
static struct ch_revocation *set;
static char warnings[4096];
static struct ch_credential *device, *borg;
static X509 *leaf;

static void on_log(void *ctx, enum ch_log_level level, const char *line)
{
	(void)ctx;
	cr_assert_eq(level, CH_LOG_WARNING);
	snprintf(warnings + strlen(warnings), sizeof(warnings) - strlen(warnings), "%s\n", line);
}

static const struct ch_log test_log = {CH_LOG_WARNING, on_log, NULL};

static void setup(void)
{
	snprintf(dir, sizeof(dir), "/tmp/callhome-crl.XXXXXX");
	cr_assert_not_null(mkdtemp(dir));
	fx_world_init(&world);
	device = fx_acme_device(&world, NULL);
	borg = fx_borg_device(&world, NULL);
	leaf = device->cert;
	warnings[0] = '\0';
	set = NULL;
}

static void teardown(void)
{
	char command[128];

	ch_revocation_drop(set);
	ch_credential_free(device);
	ch_credential_free(borg);
	fx_world_deinit(&world);
	snprintf(command, sizeof(command), "rm -r %s", dir);
	cr_assert_eq(system(command), 0);
}

TestSuite(revocation, .init = setup, .fini = teardown);

/* Builds the set anew from the directory and gives it to the collector. */
static void load(void)
{
	struct ch_revocation_options options = {
		.path = dir, .trust = world.trust, .old = set, .log = &test_log};
	struct ch_revocation *made = NULL;
	char error[CH_ERROR_TEXT];

	cr_assert_eq(ch_revocation_build(&options, &made, error), 0, "%s", error);
	ch_revocation_drop(set);
	set = made;
	ch_tls_client_revocation(world.collector, set);
}

static struct ch_revocation_info info(void)
{
	struct ch_revocation_info all;

	ch_revocation_info(set, time(NULL), &all);
	return all;
}

static struct fx_crl of_ca(long number)
{
	return (struct fx_crl){.issuer = world.acme_ca, .key = world.acme_key, .number = number};
}

static struct fx_crl of_root(long number)
{
	return (struct fx_crl){
		.issuer = world.acme_root, .key = world.acme_root_key, .number = number};
}

static enum ch_crl_status ask(X509 *cert)
{
	return ch_revocation_ask(set, cert, NULL, time(NULL));
}

struct outcome {
	enum ch_reason reason;
	char detail[160];
	char device_detail[160];
	bool device_has_certificate;
	struct ch_handshake_info info;
};

static struct outcome attempt(uint16_t version, const struct ch_credential *credential,
			      const struct ch_buf *staple)
{
	struct ch_tls_server_options options = {
		.min_version = version, .max_version = version, .request_client_certificate = true};
	struct outcome outcome = {0};
	struct ch_tls_context *server;
	struct fx_pair pair;
	uint8_t sha256[32];

	if (staple != NULL) {
		options.staple = staple->data;
		options.staple_len = staple->len;
	}
	cr_assert_eq(ch_tls_server_new(&options, &server), 0);
	fx_pair_init(&pair, world.collector, server, credential);
	fx_pair_run(&pair);
	outcome.reason = ch_handshake_reason(pair.client);
	snprintf(outcome.detail, sizeof(outcome.detail), "%s", ch_handshake_detail(pair.client));
	snprintf(outcome.device_detail, sizeof(outcome.device_detail), "%s",
		 ch_handshake_detail(pair.server));
	outcome.device_has_certificate = ch_handshake_client_certificate(pair.server, sha256);
	if (pair.client_status == CH_HANDSHAKE_DONE)
		ch_handshake_info(pair.client, &outcome.info);
	cr_assert_eq(outcome.reason == CH_REASON_NONE, pair.client_status == CH_HANDSHAKE_DONE);
	fx_pair_deinit(&pair);
	ch_tls_context_free(server);
	return outcome;
}

/* In both versions, and over the long and the short way to the anchor. */
static struct outcome expect(const struct ch_credential *credential, const struct ch_buf *staple,
			     enum ch_reason reason, const char *detail)
{
	struct outcome outcome = {0};

	for (unsigned round = 0; round < 4; round++) {
		outcome = attempt(versions[round % 2], credential, staple);
		cr_assert_str_eq(ch_reason_name(outcome.reason), ch_reason_name(reason), "%s",
				 outcome.detail);
		cr_assert_eq(outcome.device_has_certificate, reason == CH_REASON_NONE);
		cr_assert(detail == NULL || strcmp(outcome.detail, detail) == 0, "%s",
			  outcome.detail);
	}
	return outcome;
}

static void require(enum ch_stale_policy stale)
{
	ch_trust_set_revocation(world.trust, 0, CH_REVOCATION_REQUIRE, stale);
}

/* --- the set --- */

/* row: C5c */
Test(revocation, pem_and_der_of_one_directory_make_one_set)
{
	struct fx_crl root = of_root(1), ca = of_ca(1);

	ca.pem = true;
	ca.revoked = (X509 *[]){leaf, NULL};
	fx_crl_file(dir, "root.crl", &root);
	fx_crl_file(dir, "ca.pem", &ca);
	load();
	cr_assert_eq(info().lists, 2);
	cr_assert_eq(info().entries, 1);
	cr_assert_eq(info().refused, 0);
	cr_assert_str_eq(warnings, "");
}

Test(revocation, an_element_is_that_of_a_proof)
{
	struct fx_crl ca = of_ca(1);
	uint8_t element[CH_PROOF_ELEMENT];

	ca.revoked = (X509 *[]){leaf, NULL};
	fx_crl_file(dir, "ca.crl", &ca);
	load();
	cr_assert_eq(ch_path_element(leaf, element), 0);
	cr_assert_eq(memcmp(set->hits[0].element, element, CH_PROOF_ELEMENT), 0);
}

/* row: C5c */
Test(revocation, the_list_of_an_intermediate_counts_once_its_key_was_seen)
{
	struct fx_crl ca = of_ca(1);

	ca.revoked = (X509 *[]){leaf, NULL};
	fx_crl_file(dir, "ca.crl", &ca);
	load();
	cr_assert_eq(info().pending, 1);
	cr_assert_eq(ask(leaf), CH_CRL_MISSING);
	ch_revocation_learn(set, world.acme_ca, "acme");
	cr_assert_eq(ask(leaf), CH_CRL_REVOKED);
	cr_assert_eq(info().pending, 0);
	/* And at once in the sets that follow. */
	load();
	cr_assert_eq(info().pending, 0);
	cr_assert_eq(ask(leaf), CH_CRL_REVOKED);
}

Test(revocation, a_list_with_a_wrong_signature_does_not_count)
{
	struct fx_crl root = of_root(1);

	root.key = world.acme_key;
	root.revoked = (X509 *[]){world.acme_ca, NULL};
	fx_crl_file(dir, "root.crl", &root);
	load();
	cr_assert_eq(ask(world.acme_ca), CH_CRL_MISSING);
	cr_assert_eq(info().pending, 1);
}

Test(revocation, a_ca_without_crl_sign_signs_no_list)
{
	X509 *ca = fx_cert(&(struct fx_cert){.key = world.acme_key,
					     .issuer = world.acme_root,
					     .issuer_key = world.acme_root_key,
					     .cn = "acme factory",
					     .ca = true,
					     .key_usage = "critical,keyCertSign"});
	struct fx_crl list = of_ca(1);

	fx_crl_file(dir, "ca.crl", &list);
	load();
	ch_revocation_learn(set, ca, "acme");
	cr_assert_eq(info().pending, 1);
	X509_free(ca);
}

/* A manufacturer must not be able to revoke the devices of another (SC3). */
Test(revocation, a_list_counts_for_its_manufacturer_only)
{
	struct fx_crl ca = of_ca(1);

	ca.revoked = (X509 *[]){leaf, NULL};
	fx_crl_file(dir, "ca.crl", &ca);
	load();
	ch_revocation_learn(set, world.acme_ca, "borg");
	cr_assert_eq(ch_revocation_ask(set, leaf, "acme", time(NULL)), CH_CRL_MISSING);
	ch_revocation_learn(set, world.acme_ca, "acme");
	cr_assert_eq(ch_revocation_ask(set, leaf, "acme", time(NULL)), CH_CRL_REVOKED);
}

static void check_refused(const struct fx_crl *list, const char *why)
{
	fx_crl_file(dir, "x.crl", list);
	load();
	cr_assert_eq(info().lists, 0);
	cr_assert_eq(info().refused, 1);
	cr_assert_not_null(strstr(warnings, why), "%s", warnings);
	cr_assert_not_null(strstr(warnings, "/x.crl"), "%s", warnings);
	warnings[0] = '\0';
}

Test(revocation, lists_that_would_be_misread_are_refused_with_a_sentence)
{
	struct fx_crl list = of_root(1);

	list.extension = "1.3.6.1.4.1.32473.7";
	check_refused(&list, "has the critical extension 1.3.6.1.4.1.32473.7, which is not known");
	list.extension = NULL;
	list.point = "critical,indirectCRL:TRUE";
	check_refused(&list, "is an indirect one");
	list.point = "critical,onlysomereasons:keyCompromise";
	check_refused(&list, "tells of some revocation reasons only");
	list.point = "critical,onlyAA:TRUE";
	check_refused(&list, "tells of attribute certificates only");
	list.point = NULL;
	list.sha1 = true;
	check_refused(&list, "only RSA (PKCS #1) and ECDSA with SHA-2 are taken");
}

Test(revocation, files_that_hold_no_list_are_refused_with_a_sentence)
{
	struct ch_buf content = {0};
	struct fx_crl root = of_root(1);

	cr_assert_eq(ch_buf_append_str(&content, "hello"), 0);
	fx_write(dir, "text", &content);
	content.len = 0;
	fx_crl(&root, &content);
	content.len -= 5;
	fx_write(dir, "cut", &content);
	ch_buf_deinit(&content);
	load();
	cr_assert_eq(info().refused, 2);
	cr_assert_not_null(strstr(warnings, "holds no revocation list"));
	cr_assert_not_null(strstr(warnings, "it is no DER sequence, or cut"));
}

Test(revocation, a_path_that_is_not_there_is_an_error)
{
	struct ch_revocation_options options = {.path = "/tmp/callhome-no-such-path"};
	struct ch_revocation *made = NULL;
	char error[CH_ERROR_TEXT];

	cr_assert_eq(ch_revocation_build(&options, &made, error), CH_E_CONFIG);
	cr_assert_str_eq(error,
			 "/tmp/callhome-no-such-path cannot be read: No such file or directory");
	cr_assert_null(made);
}

/* row: C5c */
Test(revocation, a_delta_revokes_and_takes_back)
{
	X509 *other = fx_cert(&(struct fx_cert){.key = world.acme_key,
						.issuer = world.acme_root,
						.issuer_key = world.acme_root_key,
						.cn = "other",
						.ca = true});
	struct fx_crl base = of_root(5), delta = of_root(6);

	base.revoked = (X509 *[]){world.acme_ca, NULL};
	delta.base = 5;
	delta.revoked = (X509 *[]){other, NULL};
	delta.removed = (X509 *[]){world.acme_ca, NULL};
	fx_crl_file(dir, "base.crl", &base);
	load();
	cr_assert_eq(ask(world.acme_ca), CH_CRL_REVOKED);
	cr_assert_eq(ask(other), CH_CRL_GOOD);
	fx_crl_file(dir, "delta.crl", &delta);
	load();
	cr_assert_eq(ask(world.acme_ca), CH_CRL_GOOD);
	cr_assert_eq(ask(other), CH_CRL_REVOKED);
	X509_free(other);
}

Test(revocation, a_delta_for_another_base_takes_nothing_back)
{
	struct fx_crl base = of_root(5), delta = of_root(8);

	base.revoked = (X509 *[]){world.acme_ca, NULL};
	delta.base = 7;
	delta.removed = (X509 *[]){world.acme_ca, NULL};
	fx_crl_file(dir, "base.crl", &base);
	fx_crl_file(dir, "delta.crl", &delta);
	load();
	cr_assert_eq(ask(world.acme_ca), CH_CRL_REVOKED);
}

Test(revocation, of_two_lists_the_newer_counts)
{
	struct fx_crl older = of_root(5), newer = of_root(300);

	older.revoked = (X509 *[]){world.acme_ca, NULL};
	fx_crl_file(dir, "a.crl", &older);
	fx_crl_file(dir, "b.crl", &newer);
	load();
	cr_assert_eq(ask(world.acme_ca), CH_CRL_GOOD);
}

/* row: C5c */
Test(revocation, a_list_behind_its_next_update_is_stale_and_still_revokes)
{
	struct fx_crl root = of_root(1);

	root.from_s = -7200;
	root.to_s = -3600;
	root.revoked = (X509 *[]){world.acme_ca, NULL};
	fx_crl_file(dir, "root.crl", &root);
	load();
	cr_assert_eq(info().stale, 1);
	cr_assert_eq(ask(world.acme_ca), CH_CRL_REVOKED);
	root.revoked = NULL;
	root.number = 2;
	fx_crl_file(dir, "root.crl", &root);
	load();
	cr_assert_eq(ask(world.acme_ca), CH_CRL_STALE);
}

Test(revocation, a_list_of_users_says_nothing_of_a_ca)
{
	struct fx_crl root = of_root(1);

	root.point = "critical,onlyuser:TRUE";
	fx_crl_file(dir, "root.crl", &root);
	load();
	cr_assert_eq(ask(world.acme_ca), CH_CRL_MISSING);
}

/* Another part of the same issuer's list may hold it. */
Test(revocation, a_list_of_one_distribution_point_vouches_for_nobody_else)
{
	struct fx_crl root = of_root(1);

	root.point = "critical,fullname:URI:http://crl.example/1";
	fx_crl_file(dir, "root.crl", &root);
	load();
	cr_assert_eq(ask(world.acme_ca), CH_CRL_MISSING);
	root.revoked = (X509 *[]){world.acme_ca, NULL};
	root.number = 2;
	fx_crl_file(dir, "root.crl", &root);
	load();
	cr_assert_eq(ask(world.acme_ca), CH_CRL_REVOKED);
}

/* --- refreshing --- */

Test(revocation, a_file_that_went_bad_keeps_its_last_good_list)
{
	struct fx_crl root = of_root(5);
	struct ch_buf garbage = {0};

	root.revoked = (X509 *[]){world.acme_ca, NULL};
	fx_crl_file(dir, "root.crl", &root);
	load();
	cr_assert_eq(ch_buf_append_str(&garbage, "<html>404"), 0);
	fx_write(dir, "root.crl", &garbage);
	ch_buf_deinit(&garbage);
	load();
	cr_assert_eq(ask(world.acme_ca), CH_CRL_REVOKED);
	cr_assert_eq(info().kept, 1);
	/* Still so when it is read once more. */
	load();
	cr_assert_eq(ask(world.acme_ca), CH_CRL_REVOKED);
}

Test(revocation, an_older_or_forged_list_does_not_take_the_place_of_a_newer)
{
	struct fx_crl root = of_root(5), older = of_root(4), forged = of_root(6);

	root.revoked = (X509 *[]){world.acme_ca, NULL};
	forged.key = world.acme_key;
	fx_crl_file(dir, "root.crl", &root);
	load();
	fx_crl_file(dir, "root.crl", &older);
	load();
	cr_assert_eq(ask(world.acme_ca), CH_CRL_REVOKED);
	fx_crl_file(dir, "root.crl", &forged);
	load();
	cr_assert_eq(ask(world.acme_ca), CH_CRL_REVOKED);
	cr_assert_not_null(strstr(warnings, "the list it held stays"));
}

Test(revocation, a_file_that_was_removed_is_gone)
{
	struct fx_crl root = of_root(5);
	char path[128];

	root.revoked = (X509 *[]){world.acme_ca, NULL};
	fx_crl_file(dir, "root.crl", &root);
	load();
	snprintf(path, sizeof(path), "%s/root.crl", dir);
	cr_assert_eq(unlink(path), 0);
	load();
	cr_assert_eq(info().lists, 0);
	cr_assert_eq(ask(world.acme_ca), CH_CRL_MISSING);
}

/* --- handshakes --- */

/* row: C5c C5d */
Test(revocation, a_revoked_device_is_refused_on_the_long_way_and_on_the_short)
{
	struct fx_crl ca = of_ca(1);
	struct outcome outcome;

	fx_crl_file(dir, "ca.crl", &ca);
	load();
	expect(device, NULL, CH_REASON_NONE, "");
	ca.revoked = (X509 *[]){leaf, NULL};
	ca.number = 2;
	fx_crl_file(dir, "ca.crl", &ca);
	load();
	outcome =
		expect(device, NULL, CH_REASON_REVOKED, "depth 0: on its issuer's revocation list");
	cr_assert_str_eq(outcome.device_detail, "alert certificate_revoked");
}

/* row: C5d-intermediate */
Test(revocation, a_revoked_intermediate_vouches_for_nobody_though_it_was_verified_before)
{
	struct fx_crl root = of_root(1);

	fx_crl_file(dir, "root.crl", &root);
	load();
	expect(device, NULL, CH_REASON_NONE, "");
	root.revoked = (X509 *[]){world.acme_ca, NULL};
	root.number = 2;
	fx_crl_file(dir, "root.crl", &root);
	load();
	expect(device, NULL, CH_REASON_REVOKED, "depth 1: on its issuer's revocation list");
}

/* row: C5d-pin */
Test(revocation, revoked_wins_over_a_pin)
{
	struct fx_crl root = {.issuer = world.borg_ca, .key = world.borg_key, .number = 1};

	uint8_t *der = NULL;
	int len = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(borg->cert), &der);

	cr_assert_eq(EVP_Digest(der, (size_t)len, world.inventory.pin, NULL, EVP_sha256(), NULL),
		     1);
	OPENSSL_free(der);
	world.inventory.identifier = NULL;
	fx_crl_file(dir, "borg.crl", &root);
	load();
	expect(borg, NULL, CH_REASON_NONE, "");
	root.revoked = (X509 *[]){borg->cert, NULL};
	root.number = 2;
	fx_crl_file(dir, "borg.crl", &root);
	load();
	expect(borg, NULL, CH_REASON_REVOKED, NULL);
}

/* row: C5c-policy */
Test(revocation, if_present_takes_a_device_without_any_list)
{
	expect(device, NULL, CH_REASON_NONE, "");
	load();
	expect(device, NULL, CH_REASON_NONE, "");
}

/* row: C5c-policy */
Test(revocation, require_needs_a_status_of_every_certificate_below_the_anchor)
{
	struct fx_crl root = of_root(1), ca = of_ca(1);

	require(CH_STALE_ACCEPT);
	expect(device, NULL, CH_REASON_REVOCATION_UNKNOWN,
	       "depth 1: no revocation list of its issuer that is verified");
	fx_crl_file(dir, "root.crl", &root);
	load();
	expect(device, NULL, CH_REASON_REVOCATION_UNKNOWN,
	       "depth 0: no revocation list of its issuer that is verified, and no staple");
	fx_crl_file(dir, "ca.crl", &ca);
	load();
	expect(device, NULL, CH_REASON_NONE, "");
}

/* row: C5c-policy */
Test(revocation, off_looks_nothing_up)
{
	struct fx_crl ca = of_ca(1);

	ca.revoked = (X509 *[]){leaf, NULL};
	fx_crl_file(dir, "ca.crl", &ca);
	load();
	ch_trust_set_revocation(world.trust, 0, CH_REVOCATION_OFF, CH_STALE_REFUSE);
	expect(device, NULL, CH_REASON_NONE, "");
}

/* row: C5c-policy */
Test(revocation, a_stale_list_is_accepted_and_told_or_refused_as_the_policy_says)
{
	struct fx_crl root = of_root(1), ca = of_ca(1);
	struct outcome outcome;

	ca.from_s = -7200;
	ca.to_s = -3600;
	fx_crl_file(dir, "root.crl", &root);
	fx_crl_file(dir, "ca.crl", &ca);
	load();
	outcome = expect(device, NULL, CH_REASON_NONE, "");
	cr_assert(outcome.info.crl_stale);
	require(CH_STALE_ACCEPT);
	expect(device, NULL, CH_REASON_NONE, "");
	require(CH_STALE_REFUSE);
	expect(device, NULL, CH_REASON_REVOCATION_STALE,
	       "depth 0: the revocation list of its issuer is out of date, and no staple");
}

/* --- staples --- */

static struct fx_ocsp about_leaf(int status)
{
	return (struct fx_ocsp){
		.leaf = leaf, .issuer = world.acme_ca, .key = world.acme_key, .status = status};
}

static struct outcome expect_staple(const struct fx_ocsp *fields, enum ch_reason reason,
				    const char *detail)
{
	struct ch_buf staple = {0};
	struct outcome outcome;

	fx_ocsp(fields, &staple);
	outcome = expect(device, &staple, reason, detail);
	ch_buf_deinit(&staple);
	return outcome;
}

/* row: C5c-ocsp */
Test(revocation, a_good_staple_is_the_status_that_is_required)
{
	struct fx_crl root = of_root(1);
	struct fx_ocsp ocsp = about_leaf(V_OCSP_CERTSTATUS_GOOD);

	require(CH_STALE_REFUSE);
	fx_crl_file(dir, "root.crl", &root);
	load();
	expect(device, NULL, CH_REASON_REVOCATION_UNKNOWN, NULL);
	cr_assert(expect_staple(&ocsp, CH_REASON_NONE, "").info.stapled);
	ocsp.sha256 = true;
	expect_staple(&ocsp, CH_REASON_NONE, "");
}

/* row: C5c-ocsp C5d */
Test(revocation, a_staple_that_says_revoked_ends_the_handshake_before_our_certificate)
{
	struct fx_ocsp ocsp = about_leaf(V_OCSP_CERTSTATUS_REVOKED);
	struct outcome outcome = expect_staple(
		&ocsp, CH_REASON_REVOKED, "depth 0: revoked, as its stapled OCSP response says");

	cr_assert_str_eq(outcome.device_detail, "alert bad_certificate_status_response");
}

Test(revocation, a_list_that_revokes_wins_over_a_good_staple)
{
	struct fx_ocsp ocsp = about_leaf(V_OCSP_CERTSTATUS_GOOD);
	struct fx_crl ca = of_ca(1);

	ca.revoked = (X509 *[]){leaf, NULL};
	fx_crl_file(dir, "ca.crl", &ca);
	load();
	expect_staple(&ocsp, CH_REASON_REVOKED, "depth 0: on its issuer's revocation list");
}

/* row: C5c-ocsp */
Test(revocation, an_unknown_staple_is_no_status)
{
	struct fx_ocsp ocsp = about_leaf(V_OCSP_CERTSTATUS_UNKNOWN);

	expect_staple(&ocsp, CH_REASON_REVOCATION_UNKNOWN,
		      "depth 0: the OCSP responder does not know it");
}

/* row: C5c-ocsp */
Test(revocation, a_stale_staple_goes_by_the_policy)
{
	struct fx_ocsp ocsp = about_leaf(V_OCSP_CERTSTATUS_GOOD);

	ocsp.from_s = -7200;
	ocsp.to_s = -3600;
	cr_assert(expect_staple(&ocsp, CH_REASON_NONE, "").info.crl_stale);
	ch_trust_set_revocation(world.trust, 0, CH_REVOCATION_IF_PRESENT, CH_STALE_REFUSE);
	expect_staple(&ocsp, CH_REASON_REVOCATION_STALE,
		      "depth 0: its stapled OCSP response is out of date");
}

Test(revocation, a_delegated_responder_needs_the_issuers_word_and_the_usage)
{
	EVP_PKEY *key = fx_key(FX_P256);
	struct fx_cert fields = {.key = key,
				 .issuer = world.acme_ca,
				 .issuer_key = world.acme_key,
				 .cn = "responder",
				 .eku = "OCSPSigning"};
	X509 *signer = fx_cert(&fields);
	struct fx_ocsp ocsp = about_leaf(V_OCSP_CERTSTATUS_GOOD);

	ocsp.signer = signer;
	ocsp.key = key;
	expect_staple(&ocsp, CH_REASON_NONE, "");
	X509_free(signer);
	fields.eku = "serverAuth";
	ocsp.signer = signer = fx_cert(&fields);
	expect_staple(&ocsp, CH_REASON_BAD_STAPLE,
		      "depth 0: its stapled OCSP response is not signed by its issuer or whom that "
		      "delegated");
	X509_free(signer);
	fields.eku = "OCSPSigning";
	fields.issuer = world.borg_ca;
	fields.issuer_key = world.borg_key;
	ocsp.signer = signer = fx_cert(&fields);
	expect_staple(&ocsp, CH_REASON_BAD_STAPLE, NULL);
	X509_free(signer);
	EVP_PKEY_free(key);
}

Test(revocation, a_staple_about_another_certificate_or_of_garbage_is_refused)
{
	struct fx_ocsp ocsp = about_leaf(V_OCSP_CERTSTATUS_GOOD);
	struct ch_buf garbage = {0};

	ocsp.leaf = world.acme_ca;
	expect_staple(&ocsp, CH_REASON_BAD_STAPLE,
		      "depth 0: its stapled OCSP response is about another certificate");
	cr_assert_eq(ch_buf_append_str(&garbage, "0123"), 0);
	expect(device, &garbage, CH_REASON_BAD_STAPLE,
	       "depth 0: its stapled OCSP response cannot be parsed");
	ch_buf_deinit(&garbage);
}

/* --- size --- */

/* row: C5c */
Test(revocation, a_million_entries_are_built_in_seconds_and_asked_in_microseconds)
{
	struct ch_buf big = {0};
	struct timespec begin, end;
	struct ch_revocation_info all;
	uint64_t ns;

	fx_crl_big(world.acme_ca, world.acme_key, 1000000, leaf, &big);
	fx_write(dir, "big.crl", &big);
	ch_buf_deinit(&big);
	load();
	all = info();
	cr_assert_eq(all.entries, 1000001);
	cr_assert_lt(all.bytes, 31000000);
	/* The first device pays for the one signature, not for hashing the list. */
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &begin);
	ch_revocation_learn(set, world.acme_ca, "acme");
	cr_assert_eq(ask(leaf), CH_CRL_REVOKED);
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &end);
	ns = (uint64_t)(end.tv_sec - begin.tv_sec) * 1000000000 + (uint64_t)end.tv_nsec -
	     (uint64_t)begin.tv_nsec;
	fprintf(stderr, "built in %llu ms of CPU, %llu bytes; first question %llu us\n",
		(unsigned long long)all.build_ns / 1000000, (unsigned long long)all.bytes,
		(unsigned long long)ns / 1000);
	cr_assert_lt(all.build_ns, 20000000000);
	cr_assert_lt(ns, 20000000);
}
