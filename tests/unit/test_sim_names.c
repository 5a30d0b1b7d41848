/* SPDX-License-Identifier: Apache-2.0 */
/* links: kernel tls proto core */
/* sources: tests/unit/tls_fixture.c bench/cert_to_name.c */
/* Which user a client certificate is (RFC 7589 section 7). */
#include "bench/cert_to_name.h"
#include "tls_fixture.h"

#include <criterion/criterion.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

static EVP_PKEY *key;
static X509 *ca, *leaf;
static struct fx_text ders[2];
static struct ch_slice chain[2];
static char of_leaf[256], of_ca[256], of_nobody[256];

/* x509c2n:tls-fingerprint */
static void fingerprint(const struct ch_slice *der, int algorithm, const EVP_MD *digest, char *text)
{
	uint8_t hash[EVP_MAX_MD_SIZE];
	unsigned len;

	cr_assert_eq(EVP_Digest(der->data, der->len, hash, &len, digest, NULL), 1);
	snprintf(text, 3, "%02x", (unsigned)algorithm);
	for (unsigned i = 0; i < len; i++)
		snprintf(text + 2 + i * 3, 4, i % 2 ? ":%02x" : ":%02X", hash[i]);
}

static void setup(void)
{
	key = fx_key(FX_P256);
	ca = fx_cert(&(struct fx_cert){.key = key, .cn = "CA", .ca = true});
	leaf = fx_cert(&(struct fx_cert){.key = key,
					 .issuer = ca,
					 .cn = "the collector",
					 .san = "URI:urn:x,DNS:NOC.Example.COM,email:Op@EXAMPLE."
						"com,IP:192.0.2.1,IP:2001:db8::1"});
	ders[0] = fx_der(leaf);
	ders[1] = fx_der(ca);
	for (int i = 0; i < 2; i++)
		chain[i] = (struct ch_slice){ders[i].data, ders[i].len};
	fingerprint(&chain[0], 4, EVP_sha256(), of_leaf);
	fingerprint(&chain[1], 5, EVP_sha384(), of_ca);
	fingerprint(&(struct ch_slice){(const uint8_t *)"x", 1}, 6, EVP_sha512(), of_nobody);
}

static void teardown(void)
{
	fx_text_free(&ders[0]);
	fx_text_free(&ders[1]);
	X509_free(ca);
	X509_free(leaf);
	EVP_PKEY_free(key);
}

TestSuite(sim_names, .init = setup, .fini = teardown);

static struct sim_names *names_of(const char *list)
{
	struct sim_names *names = NULL;
	char error[SIM_NAMES_ERROR];

	cr_assert_eq(sim_names_load(fx_file(list, strlen(list)), &names, error), 0, "%s", error);
	return names;
}

/* @expected NULL: no match */
static void expect(const char *list, const char *expected)
{
	struct sim_names *names = names_of(list);
	char name[SIM_NAME_MAX] = "";

	cr_assert_eq(sim_names_find(names, chain, 2, name), expected ? 0 : CH_E_UNKNOWN, "%s",
		     list);
	if (expected)
		cr_assert_str_eq(name, expected, "%s", list);
	sim_names_free(names);
}

/* One entry: id, fingerprint, and the rest of the line. */
static void expect_one(const char *print, const char *rest, const char *expected)
{
	char list[1024];

	snprintf(list, sizeof(list), "1 %s %s\n", print, rest);
	expect(list, expected);
}

/* row: 7589-7 */
Test(sim_names, each_map_type_reads_its_own_field)
{
	expect_one(of_leaf, "specified admin of the night", "admin of the night");
	expect_one(of_leaf, "common-name", "the collector");
	expect_one(of_leaf, "san-rfc822-name", "Op@example.com");
	expect_one(of_leaf, "san-dns-name", "noc.example.com");
	expect_one(of_leaf, "san-ip-address", "192.0.2.1");
	expect_one(of_leaf, "san-any", "noc.example.com");
}

/* row: 7589-7 */
Test(sim_names, an_address_of_version_6_is_32_digits)
{
	X509 *v6 = fx_cert(&(struct fx_cert){.key = key, .cn = "x", .san = "IP:2001:db8::1"});
	struct fx_text der = fx_der(v6);
	const struct ch_slice alone = {der.data, der.len};
	char print[256], list[512], name[SIM_NAME_MAX];

	fingerprint(&alone, 6, EVP_sha512(), print);
	snprintf(list, sizeof(list), "1 %s san-ip-address", print);
	struct sim_names *names = names_of(list);
	cr_assert_eq(sim_names_find(names, &alone, 1, name), 0);
	cr_assert_str_eq(name, "20010db8000000000000000000000001");
	sim_names_free(names);
	fx_text_free(&der);
	X509_free(v6);
}

/* row: 7589-7 */
Test(sim_names, the_fingerprint_is_of_the_certificate_or_of_a_ca_above_it)
{
	expect_one(of_ca, "common-name", "the collector");
	expect_one(of_nobody, "common-name", NULL);
	expect_one(of_nobody, "specified admin", NULL);
}

/* row: 7589-7 */
Test(sim_names, the_first_entry_by_id_that_leads_to_a_name_decides)
{
	char list[2048];

	snprintf(list, sizeof(list),
		 "# operators\n\n30 %s specified third\n20 %s specified second # of two\n"
		 "10 %s specified first\n",
		 of_leaf, of_ca, of_nobody);
	expect(list, "second");
	snprintf(list, sizeof(list), "1 %s specified a\n1 %s specified b\n", of_nobody, of_ca);
	expect(list, "b");
	expect("", NULL);
}

/* row: 7589-7 */
Test(sim_names, an_entry_whose_field_is_not_there_is_passed_over)
{
	X509 *plain = fx_cert(&(struct fx_cert){.key = key, .serial = "no cn", .san = "URI:urn:x"});
	struct fx_text der = fx_der(plain);
	const struct ch_slice alone = {der.data, der.len};
	char print[256], list[2048], name[SIM_NAME_MAX];

	fingerprint(&alone, 4, EVP_sha256(), print);
	snprintf(list, sizeof(list),
		 "1 %s common-name\n2 %s san-any\n3 %s san-ip-address\n4 %s specified last\n",
		 print, print, print, print);
	struct sim_names *names = names_of(list);
	cr_assert_eq(sim_names_find(names, &alone, 1, name), 0);
	cr_assert_str_eq(name, "last");
	cr_assert_eq(sim_names_find(names, NULL, 0, name), CH_E_UNKNOWN);
	sim_names_free(names);
	fx_text_free(&der);
	X509_free(plain);
}

static void expect_refused(const char *list, const char *says)
{
	struct sim_names *names = NULL;
	char error[SIM_NAMES_ERROR];

	cr_assert_eq(sim_names_load(fx_file(list, strlen(list)), &names, error), CH_E_SYNTAX, "%s",
		     list);
	cr_assert_not_null(strstr(error, says), "%s", error);
	cr_assert_null(names);
}

Test(sim_names, names_what_is_wrong_with_a_list)
{
	char list[512], error[SIM_NAMES_ERROR];
	struct sim_names *names;

	expect_refused("x 04:00 common-name", ":1: the id is a number");
	expect_refused("\n1", ":2: the fingerprint is missing");
	expect_refused("1 4:00 common-name", "pairs of hexadecimal digits");
	expect_refused("1 04:0g common-name", "pairs of hexadecimal digits");
	expect_refused("1 02:00 common-name", "begins with 04");
	expect_refused("1 04:00 common-name", "another length than its hash");
	snprintf(list, sizeof(list), "1 %s:00 common-name", of_leaf);
	expect_refused(list, "another length than its hash");
	snprintf(list, sizeof(list), "1 %s cn", of_leaf);
	expect_refused(list, "the map type is specified, ");
	snprintf(list, sizeof(list), "1 %s", of_leaf);
	expect_refused(list, "the map type is specified, ");
	snprintf(list, sizeof(list), "1 %s specified", of_leaf);
	expect_refused(list, "a name stands behind specified");
	snprintf(list, sizeof(list), "1 %s common-name admin", of_leaf);
	expect_refused(list, "a name stands behind specified");
	cr_assert_eq(sim_names_load("/nonexistent/names", &names, error), CH_E_CONFIG);
	cr_assert_str_eq(error, "cannot read /nonexistent/names: No such file or directory");
}

Test(sim_names, holds_64_entries_and_names_of_255_bytes)
{
	struct sim_names *names;
	char list[20000], error[SIM_NAMES_ERROR];
	size_t len = 0;

	for (int i = 0; i < 65; i++)
		len += (size_t)snprintf(list + len, sizeof(list) - len, "%d %s specified n\n", i,
					of_leaf);
	cr_assert_eq(sim_names_load(fx_file(list, len), &names, error), CH_E_SYNTAX);
	cr_assert_not_null(strstr(error, ":65: there are more than 64 entries"), "%s", error);
	len = (size_t)snprintf(list, sizeof(list), "1 %s specified ", of_leaf);
	memset(list + len, 'n', 256);
	cr_assert_eq(sim_names_load(fx_file(list, len + 256), &names, error), CH_E_SYNTAX);
	cr_assert_eq(sim_names_load(fx_file(list, len + 255), &names, error), 0);
	sim_names_free(names);
}
