/* SPDX-License-Identifier: Apache-2.0 */
/* links: tls core */
/* sources: tests/unit/tls_fixture.c */
#include "world_rig.h"
#include "user/tls/anchors.h"
#include "user/tls/identity.h"

#include <criterion/criterion.h>
#include <openssl/sha.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- identifiers ---- */

/** Reads the identifier of a certificate with those fields; NULL expected: there is none. */
static void expect_identifier(struct fx_cert fields, enum ch_identifier_kind kind,
			      const char *expected)
{
	char identifier[CH_IDENTIFIER_MAX + 1] = "untouched";
	EVP_PKEY *key = fx_key(FX_P256);
	X509 *cert;
	int err;

	fields.key = key;
	cert = fx_cert(&fields);
	err = ch_identity_read(cert, kind, identifier);
	cr_assert_eq(err, expected != NULL ? 0 : CH_E_UNKNOWN);
	cr_assert_str_eq(identifier, expected != NULL ? expected : "");
	X509_free(cert);
	EVP_PKEY_free(key);
}

/* row: C6b-kinds 802.1AR */
Test(trust, each_kind_reads_its_own_field_only)
{
	static const uint8_t serial[] = {0xde, 0xad, 0x00, 0x0f};
	struct fx_cert names = {
		.cn = "the cn", .serial = "the serial", .san = "DNS:a.example,URI:urn:x:1"};
	struct fx_cert module = {.cn = "the cn",
				 .module_oid = "1.3.6.1.4.1.32473.7",
				 .module_serial = serial,
				 .module_serial_len = sizeof(serial)};

	expect_identifier(names, CH_IDENTIFIER_CN, "the cn");
	expect_identifier(names, CH_IDENTIFIER_SERIAL_NUMBER, "the serial");
	expect_identifier(names, CH_IDENTIFIER_SAN_DNS, "a.example");
	expect_identifier(names, CH_IDENTIFIER_SAN_URI, "urn:x:1");
	expect_identifier(names, CH_IDENTIFIER_HARDWARE_MODULE, NULL);
	expect_identifier(module, CH_IDENTIFIER_HARDWARE_MODULE, "1.3.6.1.4.1.32473.7:dead000f");
	expect_identifier(module, CH_IDENTIFIER_SERIAL_NUMBER, NULL);
	expect_identifier(module, CH_IDENTIFIER_SAN_DNS, NULL);
	expect_identifier(module, CH_IDENTIFIER_SAN_URI, NULL);
	expect_identifier((struct fx_cert){.serial = "s"}, CH_IDENTIFIER_CN, NULL);
}

/* row: C6b-encodings */
Test(trust, several_values_are_ambiguous)
{
	expect_identifier((struct fx_cert){.cn = "a", .cn2 = "b"}, CH_IDENTIFIER_CN, NULL);
	expect_identifier((struct fx_cert){.cn = "a", .cn2 = "a"}, CH_IDENTIFIER_CN, NULL);
	expect_identifier((struct fx_cert){.cn = "a", .san = "DNS:a,DNS:b"}, CH_IDENTIFIER_SAN_DNS,
			  NULL);
	expect_identifier((struct fx_cert){.cn = "a", .san = "URI:urn:a,URI:urn:b,DNS:c"},
			  CH_IDENTIFIER_SAN_URI, NULL);
	expect_identifier((struct fx_cert){.cn = "a", .san = "URI:urn:a,URI:urn:b,DNS:c"},
			  CH_IDENTIFIER_SAN_DNS, "c");
}

/* row: C6b-encodings */
Test(trust, a_multi_valued_rdn_is_read_value_by_value)
{
	struct fx_cert both = {.cn = "the cn", .serial = "the serial", .one_rdn = true};
	struct fx_cert twice = {.cn = "a", .cn2 = "b", .serial = "s", .one_rdn = true};

	expect_identifier(both, CH_IDENTIFIER_CN, "the cn");
	expect_identifier(both, CH_IDENTIFIER_SERIAL_NUMBER, "the serial");
	expect_identifier(twice, CH_IDENTIFIER_CN, NULL);
	expect_identifier(twice, CH_IDENTIFIER_SERIAL_NUMBER, "s");
}

static void expect_raw(int type, const void *bytes, int len, const char *expected)
{
	expect_identifier((struct fx_cert){.raw = bytes, .raw_len = len, .raw_type = type},
			  CH_IDENTIFIER_CN, expected);
}

/* row: C6b-encodings */
Test(trust, every_string_type_becomes_utf8)
{
	expect_raw(V_ASN1_PRINTABLESTRING, "ABC-1", 5, "ABC-1");
	expect_raw(V_ASN1_UTF8STRING, "\xc3\xa4", 2, "\xc3\xa4");
	expect_raw(V_ASN1_BMPSTRING, "\0A\0\xe4\x20\xac", 6, "A\xc3\xa4\xe2\x82\xac");
	expect_raw(V_ASN1_T61STRING, "A\xe4", 2, "A\xc3\xa4");
	expect_raw(V_ASN1_UNIVERSALSTRING, "\0\0\0A\0\1\xf6\0", 8, "A\xf0\x9f\x98\x80");
}

/* row: C6b-encodings */
Test(trust, bytes_are_kept_exactly)
{
	expect_raw(V_ASN1_UTF8STRING, " Sn 1 ", 6, " Sn 1 ");
	expect_raw(V_ASN1_UTF8STRING, "sN1", 3, "sN1");
}

/* row: C6b-encodings */
Test(trust, nul_bytes_and_empty_strings_are_no_identifier)
{
	expect_raw(V_ASN1_UTF8STRING, "SN1\0evil", 8, NULL);
	expect_raw(V_ASN1_UTF8STRING, "SN1\0", 4, NULL);
	expect_raw(V_ASN1_BMPSTRING, "\0S\0\0", 4, NULL);
	expect_raw(V_ASN1_UTF8STRING, "", 0, NULL);
}

Test(trust, an_identifier_has_at_most_255_bytes)
{
	char text[CH_IDENTIFIER_MAX + 2];

	memset(text, 'x', sizeof(text));
	text[CH_IDENTIFIER_MAX] = '\0';
	expect_raw(V_ASN1_UTF8STRING, text, CH_IDENTIFIER_MAX, text);
	text[CH_IDENTIFIER_MAX] = 'x';
	expect_raw(V_ASN1_UTF8STRING, text, CH_IDENTIFIER_MAX + 1, NULL);
}

static void expect_module(int serial_len, const char *expected)
{
	static const uint8_t serial[200] = {0};

	expect_identifier((struct fx_cert){.cn = "x",
					   .module_oid = "1.2.3",
					   .module_serial = serial,
					   .module_serial_len = serial_len},
			  CH_IDENTIFIER_HARDWARE_MODULE, expected);
}

Test(trust, a_hardware_module_needs_a_serial_that_fits)
{
	char longest[6 + 249 + 1] = "1.2.3:";

	memset(longest + 6, '0', 2 * 124);
	expect_module(1, "1.2.3:00");
	expect_module(124, longest);
	expect_module(125, NULL);
	expect_module(0, NULL);
}

Test(trust, a_hardware_module_of_another_shape_is_no_identifier)
{
	static const char *const shapes[] = {
		"otherName:1.3.6.1.5.5.7.8.4;UTF8:1.2.3:00",
		"otherName:1.3.6.1.5.5.7.8.5;UTF8:x",
		"DNS:x",
	};

	for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++)
		expect_identifier((struct fx_cert){.cn = "x", .san = shapes[i]},
				  CH_IDENTIFIER_HARDWARE_MODULE, NULL);
}

Test(trust, kinds_have_names)
{
	static const char *const names[] = {"cn", "serialNumber", "san-dns", "san-uri",
					    "hardwareModuleName"};
	enum ch_identifier_kind kind;

	for (unsigned i = 0; i < 5; i++) {
		cr_assert_str_eq(ch_identifier_kind_name((enum ch_identifier_kind)i), names[i]);
		cr_assert_eq(ch_identifier_kind_parse(names[i], &kind), 0);
		cr_assert_eq(kind, i);
	}
	cr_assert_eq(ch_identifier_kind_parse("CN", &kind), CH_E_SYNTAX);
	cr_assert_eq(ch_identifier_kind_parse("", &kind), CH_E_SYNTAX);
}

/* row: 802.1AR */
Test(trust, an_identity_has_hashes_and_expiry)
{
	EVP_PKEY *key = fx_key(FX_P256);
	X509 *cert =
		fx_cert(&(struct fx_cert){.key = key, .cn = "x", .not_after = "99991231235959Z"});
	struct fx_text der = fx_der(cert);
	struct ch_identity identity;
	uint8_t expected[32];
	uint8_t *spki = NULL;
	int len = i2d_PUBKEY(key, &spki);

	cr_assert_eq(ch_identity_init(&identity, cert), 0);
	cr_assert_eq(identity.manufacturer, CH_MANUFACTURER_NONE);
	cr_assert_str_eq(identity.identifier, "");
	cr_assert_eq(identity.not_after, UINT64_C(253402300799));
	SHA256(der.data, der.len, expected);
	cr_assert_eq(memcmp(identity.cert_sha256, expected, 32), 0);
	SHA256(spki, (size_t)len, expected);
	cr_assert_eq(memcmp(identity.spki_sha256, expected, 32), 0);
	OPENSSL_free(spki);
	fx_text_free(&der);
	X509_free(cert);
	EVP_PKEY_free(key);
}

/* ---- anchors ---- */

TestSuite(anchors, .init = setup, .fini = teardown);

static void expect_refused(const char *ca_file, const char *part)
{
	char error[CH_ERROR_TEXT] = "";

	cr_assert_eq(ch_trust_add(world.trust, "carp", ca_file, CH_IDENTIFIER_CN, error),
		     CH_E_CONFIG);
	cr_assert_not_null(strstr(error, part), "%s", error);
	cr_assert_not_null(strstr(error, ca_file), "%s", error);
	cr_assert_eq(ch_trust_count(world.trust), 2);
}

/* row: SC3 */
Test(anchors, an_anchor_belongs_to_one_manufacturer)
{
	expect_refused(world.acme_file, "already of manufacturer acme");
	expect_refused(world.borg_file, "already of manufacturer borg");
}

/* A device names its issuer and nothing else for certain: the key identifier may be missing. */
/* row: SC3 */
Test(anchors, a_name_of_a_ca_belongs_to_one_manufacturer)
{
	EVP_PKEY *key = fx_key(FX_P256);
	X509 *twin = fx_cert(&(struct fx_cert){.key = key, .cn = "acme root", .ca = true});
	X509 *other = fx_cert(&(struct fx_cert){.key = key, .cn = "Acme Root 2", .ca = true});
	char error[CH_ERROR_TEXT];

	expect_refused(fx_ca_file((X509 *[]){twin, NULL}), "already of manufacturer acme");
	cr_assert_eq(ch_trust_add(world.trust, "carp", fx_ca_file((X509 *[]){other, NULL}),
				  CH_IDENTIFIER_CN, error),
		     0);
	cr_assert_eq(ch_trust_count(world.trust), 3);
	cr_assert_eq(ch_trust_claimed(world.trust, other), 2);
	cr_assert_eq(ch_trust_claimed(world.trust, world.acme_root), 0);
	cr_assert_eq(ch_trust_claimed(world.trust, world.acme_ca), 0);
	cr_assert_eq(ch_trust_claimed(world.trust, world.borg_ca), 1);
	cr_assert_eq(ch_trust_claimed(world.trust, world.client_cert), CH_MANUFACTURER_NONE);
	X509_free(twin);
	X509_free(other);
	EVP_PKEY_free(key);
}

Test(anchors, ca_files_that_are_none_are_named)
{
	EVP_PKEY *key = fx_key(FX_P256);
	X509 *leaf = fx_cert(
		&(struct fx_cert){.key = key, .cn = "leaf", .key_usage = "digitalSignature"});
	struct fx_text pem = fx_pem_certs((X509 *[]){world.client_cert, NULL});

	expect_refused("/nonexistent/ca.pem", "No such file or directory");
	expect_refused(fx_file("", 0), "holds no certificate");
	expect_refused(fx_file("garbage\n", 8), "holds no certificate");
	expect_refused(fx_ca_file((X509 *[]){leaf, NULL}), "certificate 1 is not a CA");
	memcpy(pem.data + 60, "****", 4);
	expect_refused(fx_file(pem.data, pem.len), "certificate 1 is broken");
	fx_text_free(&pem);
	X509_free(leaf);
	EVP_PKEY_free(key);
}

static void put_pem(const char *directory, const char *name, X509 *cert)
{
	struct fx_text pem = fx_pem_certs((X509 *[]){cert, NULL});
	char path[256];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	file = fopen(path, "w");
	cr_assert_not_null(file);
	cr_assert_eq(fwrite(pem.data, 1, pem.len, file), pem.len);
	cr_assert_eq(fclose(file), 0);
	fx_text_free(&pem);
}

static void clear(const char *directory)
{
	static const char *const names[] = {"b.pem", "a.crt", ".c.pem", "README", "z.cer"};
	char path[256];

	for (unsigned i = 0; i < 5; i++) {
		snprintf(path, sizeof(path), "%s/%s", directory, names[i]);
		unlink(path);
	}
	cr_assert_eq(rmdir(directory), 0);
}

Test(anchors, a_directory_holds_several_files_of_anchors)
{
	char directory[] = "/tmp/callhome-test-XXXXXX";
	EVP_PKEY *key = fx_key(FX_P256);
	X509 *first = fx_cert(&(struct fx_cert){.key = key, .cn = "one", .ca = true});
	X509 *second = fx_cert(&(struct fx_cert){.key = key, .cn = "two", .ca = true});
	struct ch_trust *trust;
	char error[CH_ERROR_TEXT];

	cr_assert_not_null(mkdtemp(directory));
	expect_refused(directory, "holds no .pem, .crt or .cer file");
	put_pem(directory, "b.pem", first);
	put_pem(directory, "a.crt", second);
	put_pem(directory, ".c.pem", world.acme_root);
	put_pem(directory, "README", world.acme_root);
	cr_assert_eq(ch_trust_new(&trust), 0);
	cr_assert_eq(ch_trust_add(trust, "dent", directory, CH_IDENTIFIER_CN, error), 0, "%s",
		     error);
	cr_assert(ch_manufacturer_has(&trust->manufacturers[0], first));
	cr_assert(ch_manufacturer_has(&trust->manufacturers[0], second));
	cr_assert_not(ch_manufacturer_has(&trust->manufacturers[0], world.acme_root));
	cr_assert_eq(X509_cmp(sk_X509_value(trust->manufacturers[0].anchors, 0), second), 0);
	put_pem(directory, "z.cer", world.acme_root);
	expect_refused(directory, "z.cer: the CA /CN=acme root is already of manufacturer acme");
	clear(directory);
	ch_trust_free(trust);
	X509_free(first);
	X509_free(second);
	EVP_PKEY_free(key);
}

Test(anchors, an_anchor_is_found_by_its_digest)
{
	uint8_t sha256[32];

	cr_assert_eq(X509_digest(world.acme_root, EVP_sha256(), sha256, NULL), 1);
	cr_expect_eq(ch_trust_by_anchor(world.trust, sha256), 0);
	cr_assert_eq(X509_digest(world.borg_ca, EVP_sha256(), sha256, NULL), 1);
	cr_expect_eq(ch_trust_by_anchor(world.trust, sha256), 1);
	cr_assert_eq(X509_digest(world.acme_ca, EVP_sha256(), sha256, NULL), 1);
	cr_expect_eq(ch_trust_by_anchor(world.trust, sha256), CH_MANUFACTURER_NONE);
}

Test(anchors, a_ca_file_has_at_most_64_certificates)
{
	EVP_PKEY *key = fx_key(FX_P256);
	X509 *certs[66] = {NULL};
	char error[CH_ERROR_TEXT];
	char name[16];

	for (unsigned i = 0; i < 65; i++) {
		snprintf(name, sizeof(name), "ca %u", i);
		certs[i] = fx_cert(&(struct fx_cert){.key = key, .cn = name, .ca = true});
	}
	expect_refused(fx_ca_file(certs), "more than 64 certificates");
	X509_free(certs[64]);
	certs[64] = NULL;
	cr_assert_eq(ch_trust_add(world.trust, "carp", fx_ca_file(certs), CH_IDENTIFIER_CN, error),
		     0);
	cr_assert_eq(ch_trust_claimed(world.trust, certs[63]), 2);
	for (unsigned i = 0; i < 64; i++)
		X509_free(certs[i]);
	EVP_PKEY_free(key);
}

/* ---- credentials ---- */

static void expect_unusable(const struct fx_text *cert, const struct fx_text *key, const char *part)
{
	struct ch_credential *credential = NULL;
	char error[CH_ERROR_TEXT] = "";

	cr_assert_eq(ch_credential_from_memory(cert->data, cert->len, key->data, key->len,
					       &credential, error),
		     CH_E_CONFIG);
	cr_assert_not_null(strstr(error, part), "%s", error);
	cr_assert_null(credential);
}

Test(anchors, credentials_that_do_not_work_are_named)
{
	struct fx_text cert = fx_pem_certs((X509 *[]){world.client_cert, NULL});
	struct fx_text key = fx_pem_key(world.client_key);
	struct fx_text other = fx_pem_key(world.acme_key);
	struct fx_text none = {(uint8_t *)"", 0};
	X509 *nine[] = {world.client_cert, world.acme_ca, world.acme_ca, world.acme_ca,
			world.acme_ca,	   world.acme_ca, world.acme_ca, world.acme_ca,
			world.acme_ca,	   NULL};
	struct fx_text chain = fx_pem_certs(nine);

	expect_unusable(&none, &key, "holds no certificate");
	expect_unusable(&key, &key, "holds no certificate");
	expect_unusable(&cert, &none, "holds no private key");
	expect_unusable(&cert, &cert, "holds no private key");
	expect_unusable(&cert, &other, "is not the key of the first certificate");
	expect_unusable(&chain, &key, "more than 8 certificates");
	fx_text_free(&chain);
	fx_text_free(&cert);
	fx_text_free(&key);
	fx_text_free(&other);
}

Test(anchors, credentials_load_from_files_and_name_them)
{
	struct fx_text key_pem = fx_pem_key(world.client_key);
	const char *key = fx_file(key_pem.data, key_pem.len);
	struct ch_credential *credential = NULL;
	char error[CH_ERROR_TEXT];

	cr_assert_eq(ch_credential_load(world.client_file, key, &credential, error), 0);
	ch_credential_free(credential);
	cr_assert_eq(ch_credential_load("/nonexistent/c.pem", key, &credential, error),
		     CH_E_CONFIG);
	cr_assert_str_eq(error, "/nonexistent/c.pem cannot be read: No such file or directory");
	cr_assert_eq(
		ch_credential_load(world.client_file, "/nonexistent/k.pem", &credential, error),
		CH_E_CONFIG);
	cr_assert_str_eq(error, "/nonexistent/k.pem cannot be read: No such file or directory");
	fx_text_free(&key_pem);
}

/* A daemon must not ask its terminal. */
Test(anchors, encrypted_keys_are_refused_without_a_prompt)
{
	static const char encrypted[] =
		"-----BEGIN ENCRYPTED PRIVATE KEY-----\n"
		"MIHsMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAgAAAAAAAAAAAICCAAw\n"
		"-----END ENCRYPTED PRIVATE KEY-----\n";
	struct fx_text cert = fx_pem_certs((X509 *[]){world.client_cert, NULL});
	struct fx_text key = {(uint8_t *)encrypted, sizeof(encrypted) - 1};

	expect_unusable(&cert, &key, "without a passphrase");
	fx_text_free(&cert);
}

Test(anchors, many_certificates_share_one_key)
{
	EVP_PKEY *key = fx_key(FX_RSA2048);
	X509 *first = fx_cert(&(struct fx_cert){.key = key, .cn = "1"});
	X509 *second = fx_cert(&(struct fx_cert){.key = key, .cn = "2"});
	struct ch_credential *owner = fx_credential((X509 *[]){first, NULL}, key);
	struct fx_text der = fx_der(second);
	struct fx_text foreign = fx_der(world.client_cert);
	struct ch_credential *made = NULL;
	char error[CH_ERROR_TEXT];

	cr_assert_eq(ch_credential_with_key(owner, foreign.data, foreign.len, &made, error),
		     CH_E_CONFIG);
	cr_assert_str_eq(error, "the key is not the key of the certificate");
	cr_assert_eq(ch_credential_with_key(owner, der.data, der.len - 1, &made, error),
		     CH_E_CONFIG);
	cr_assert_str_eq(error, "the certificate does not parse");
	cr_assert_null(made);
	cr_assert_eq(ch_credential_with_key(owner, der.data, der.len, &made, error), 0);
	ch_credential_free(owner);
	ch_credential_free(made);
	fx_text_free(&der);
	fx_text_free(&foreign);
	X509_free(first);
	X509_free(second);
	EVP_PKEY_free(key);
}
