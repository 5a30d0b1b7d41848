/* SPDX-License-Identifier: Apache-2.0 */
#include "crl_fixture.h"

#include <errno.h>
#include <openssl/ocsp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static void must(bool holds, const char *what)
{
	if (holds)
		return;
	fprintf(stderr, "crl fixture: %s\n", what);
	abort();
}

static ASN1_TIME *moment(int offset_s)
{
	ASN1_TIME *made = ASN1_TIME_set(NULL, time(NULL) + offset_s);

	must(made != NULL, "time");
	return made;
}

static void set_times(X509_CRL *crl, const struct fx_crl *fields)
{
	bool given = fields->from_s != 0 || fields->to_s != 0;
	ASN1_TIME *from = moment(given ? fields->from_s : -3600);
	ASN1_TIME *to = moment(given ? fields->to_s : 86400);

	must(X509_CRL_set1_lastUpdate(crl, from) == 1 && X509_CRL_set1_nextUpdate(crl, to) == 1,
	     "dates");
	ASN1_TIME_free(from);
	ASN1_TIME_free(to);
}

static void add_entries(X509_CRL *crl, X509 *const *certs, bool removed)
{
	ASN1_TIME *when = moment(-7200);

	for (; certs != NULL && *certs != NULL; certs++) {
		X509_REVOKED *entry = X509_REVOKED_new();
		ASN1_ENUMERATED *reason = ASN1_ENUMERATED_new();

		X509_REVOKED_set_serialNumber(entry,
					      (ASN1_INTEGER *)X509_get0_serialNumber(*certs));
		X509_REVOKED_set_revocationDate(entry, when);
		ASN1_ENUMERATED_set(reason, removed ? CRL_REASON_REMOVE_FROM_CRL
						    : CRL_REASON_KEY_COMPROMISE);
		must(X509_REVOKED_add1_ext_i2d(entry, NID_crl_reason, reason, 0, 0) == 1 &&
			     X509_CRL_add0_revoked(crl, entry) == 1,
		     "entry");
		ASN1_ENUMERATED_free(reason);
	}
	ASN1_TIME_free(when);
}

static void add_number(X509_CRL *crl, int nid, long number)
{
	ASN1_INTEGER *value = ASN1_INTEGER_new();

	if (number != 0) {
		ASN1_INTEGER_set(value, number);
		must(X509_CRL_add1_ext_i2d(crl, nid, value, nid == NID_delta_crl, 0) == 1,
		     "number");
	}
	ASN1_INTEGER_free(value);
}

static void add_extension(X509_CRL *crl, int nid, const char *text)
{
	X509_EXTENSION *extension;
	X509V3_CTX ctx;

	if (text == NULL)
		return;
	X509V3_set_ctx(&ctx, NULL, NULL, NULL, crl, 0);
	extension = X509V3_EXT_nconf_nid(NULL, &ctx, nid, text);
	must(extension != NULL && X509_CRL_add_ext(crl, extension, -1) == 1, text);
	X509_EXTENSION_free(extension);
}

static void add_unknown(X509_CRL *crl, const char *oid)
{
	ASN1_OCTET_STRING *value;
	X509_EXTENSION *extension;
	ASN1_OBJECT *object;

	if (oid == NULL)
		return;
	object = OBJ_txt2obj(oid, 1);
	value = ASN1_OCTET_STRING_new();
	ASN1_OCTET_STRING_set(value, (const uint8_t *)"\5", 2);
	extension = X509_EXTENSION_create_by_OBJ(NULL, object, 1, value);
	must(extension != NULL && X509_CRL_add_ext(crl, extension, -1) == 1, oid);
	X509_EXTENSION_free(extension);
	ASN1_OCTET_STRING_free(value);
	ASN1_OBJECT_free(object);
}

static X509_CRL *make(const struct fx_crl *fields)
{
	X509_CRL *crl = X509_CRL_new();

	must(crl != NULL && X509_CRL_set_version(crl, 1) == 1 &&
		     X509_CRL_set_issuer_name(crl, X509_get_subject_name(fields->issuer)) == 1,
	     "list");
	set_times(crl, fields);
	add_entries(crl, fields->revoked, false);
	add_entries(crl, fields->removed, true);
	add_number(crl, NID_crl_number, fields->number);
	add_number(crl, NID_delta_crl, fields->base);
	add_extension(crl, NID_issuing_distribution_point, fields->point);
	add_unknown(crl, fields->extension);
	must(X509_CRL_sign(crl, fields->key, fields->sha1 ? EVP_sha1() : EVP_sha256()) > 0, "sign");
	return crl;
}

static void append_bio(BIO *bio, struct ch_buf *out)
{
	char *data;
	long len = BIO_get_mem_data(bio, &data);

	must(ch_buf_append(out, data, (size_t)len) == 0, "memory");
	BIO_free(bio);
}

void fx_crl(const struct fx_crl *fields, struct ch_buf *out)
{
	X509_CRL *crl = make(fields);
	BIO *bio = BIO_new(BIO_s_mem());

	must((fields->pem ? PEM_write_bio_X509_CRL(bio, crl) : i2d_X509_CRL_bio(bio, crl)) == 1,
	     "write");
	append_bio(bio, out);
	X509_CRL_free(crl);
}

/* Puts the header of an element in front of what @body holds, onto @out. */
static void wrap(uint8_t tag, const void *body, size_t len, struct ch_buf *out)
{
	uint8_t header[6] = {
		tag,	     0x84, (uint8_t)(len >> 24), (uint8_t)(len >> 16), (uint8_t)(len >> 8),
		(uint8_t)len};
	uint8_t brief[2] = {tag, (uint8_t)len};

	must((len < 0x80 ? ch_buf_append(out, brief, 2) : ch_buf_append(out, header, 6)) == 0 &&
		     ch_buf_append(out, body, len) == 0,
	     "memory");
}

static void put_entries(uint32_t count, X509 *revoked, struct ch_buf *out)
{
	/* SEQUENCE { INTEGER of 8 bytes, UTCTime } */
	uint8_t entry[] = {0x30, 25,  2,   8,	0x40, 0,   0,	0,   0,	  0,   0,   0,	 0x17, 13,
			   '2',	 '5', '0', '1', '0',  '1', '0', '0', '0', '0', '0', '0', 'Z'};
	uint8_t *der = NULL;
	struct ch_buf body = {0};
	int len;

	for (uint32_t i = 0; i < count; i++) {
		uint32_t mixed = i * 2654435761u;

		memcpy(entry + 6, &mixed, sizeof(mixed));
		must(ch_buf_append(out, entry, sizeof(entry)) == 0, "memory");
	}
	if (revoked == NULL)
		return;
	len = i2d_ASN1_INTEGER(X509_get0_serialNumber(revoked), &der);
	must(len > 0 && ch_buf_append(&body, der, (size_t)len) == 0 &&
		     ch_buf_append(&body, entry + 12, 15) == 0,
	     "memory");
	wrap(0x30, body.data, body.len, out);
	OPENSSL_free(der);
	ch_buf_deinit(&body);
}

static void sign(EVP_PKEY *key, const struct ch_buf *tbs, struct ch_buf *bits)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	uint8_t signature[512];
	size_t len = sizeof(signature);

	must(EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, key) == 1 &&
		     EVP_DigestSign(ctx, signature, &len, tbs->data, tbs->len) == 1 &&
		     ch_buf_append(bits, "", 1) == 0 && ch_buf_append(bits, signature, len) == 0,
	     "sign");
	EVP_MD_CTX_free(ctx);
}

void fx_crl_big(X509 *issuer, EVP_PKEY *key, uint32_t count, X509 *revoked, struct ch_buf *out)
{
	static const uint8_t ecdsa[] = {0x30, 10, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2};
	struct ch_buf entries = {0}, list = {0}, tbs = {0}, bits = {0}, signed_list = {0};
	const uint8_t *name;
	size_t name_len;
	char now[16], end[16];
	time_t at = time(NULL) - 60, until = at + 86400;
	struct tm tm;

	strftime(now, sizeof(now), "%y%m%d%H%M%SZ", gmtime_r(&at, &tm));
	strftime(end, sizeof(end), "%y%m%d%H%M%SZ", gmtime_r(&until, &tm));
	put_entries(count, revoked, &entries);
	must(X509_NAME_get0_der(X509_get_subject_name(issuer), &name, &name_len) == 1 &&
		     ch_buf_append(&list, "\2\1\1", 3) == 0 &&
		     ch_buf_append(&list, ecdsa, sizeof(ecdsa)) == 0 &&
		     ch_buf_append(&list, name, name_len) == 0,
	     "memory");
	wrap(0x17, now, 13, &list);
	wrap(0x17, end, 13, &list);
	wrap(0x30, entries.data, entries.len, &list);
	wrap(0x30, list.data, list.len, &tbs);
	sign(key, &tbs, &bits);
	must(ch_buf_append(&signed_list, tbs.data, tbs.len) == 0 &&
		     ch_buf_append(&signed_list, ecdsa, sizeof(ecdsa)) == 0,
	     "memory");
	wrap(3, bits.data, bits.len, &signed_list);
	wrap(0x30, signed_list.data, signed_list.len, out);
	ch_buf_deinit(&entries);
	ch_buf_deinit(&list);
	ch_buf_deinit(&tbs);
	ch_buf_deinit(&bits);
	ch_buf_deinit(&signed_list);
}

void fx_write(const char *dir, const char *name, const struct ch_buf *content)
{
	char path[512], other[512];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	snprintf(other, sizeof(other), "%s/.%s", dir, name);
	file = fopen(other, "w");
	must(file != NULL && fwrite(content->data, 1, content->len, file) == content->len &&
		     fclose(file) == 0 && rename(other, path) == 0,
	     path);
}

void fx_crl_file(const char *dir, const char *name, const struct fx_crl *fields)
{
	struct ch_buf content = {0};

	fx_crl(fields, &content);
	fx_write(dir, name, &content);
	ch_buf_deinit(&content);
}

void fx_ocsp(const struct fx_ocsp *fields, struct ch_buf *out)
{
	OCSP_BASICRESP *basic = OCSP_BASICRESP_new();
	bool given = fields->from_s != 0 || fields->to_s != 0;
	ASN1_TIME *from = moment(given ? fields->from_s : -3600);
	ASN1_TIME *to = moment(given ? fields->to_s : 86400);
	OCSP_CERTID *id = OCSP_cert_to_id(fields->sha256 ? EVP_sha256() : EVP_sha1(), fields->leaf,
					  fields->issuer);
	OCSP_RESPONSE *response;
	BIO *bio = BIO_new(BIO_s_mem());

	must(OCSP_basic_add1_status(basic, id, fields->status, 0, from, from, to) != NULL &&
		     OCSP_basic_sign(basic,
				     fields->signer != NULL ? fields->signer : fields->issuer,
				     fields->key, EVP_sha256(), NULL, 0) == 1,
	     "OCSP response");
	response = OCSP_response_create(OCSP_RESPONSE_STATUS_SUCCESSFUL, basic);
	must(response != NULL && i2d_OCSP_RESPONSE_bio(bio, response) == 1, "OCSP response");
	append_bio(bio, out);
	OCSP_RESPONSE_free(response);
	OCSP_BASICRESP_free(basic);
	OCSP_CERTID_free(id);
	ASN1_TIME_free(from);
	ASN1_TIME_free(to);
}
