/* SPDX-License-Identifier: Apache-2.0 */
#include "identity.h"

#include <openssl/err.h>
#include <openssl/sha.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static const char *const kind_names[] = {
	[CH_IDENTIFIER_CN] = "cn",
	[CH_IDENTIFIER_SERIAL_NUMBER] = "serialNumber",
	[CH_IDENTIFIER_SAN_DNS] = "san-dns",
	[CH_IDENTIFIER_SAN_URI] = "san-uri",
	[CH_IDENTIFIER_HARDWARE_MODULE] = "hardwareModuleName",
};

#define KINDS (sizeof(kind_names) / sizeof(kind_names[0]))

const char *ch_identifier_kind_name(enum ch_identifier_kind kind)
{
	return (size_t)kind < KINDS ? kind_names[kind] : "unknown";
}

int ch_identifier_kind_parse(const char *name, enum ch_identifier_kind *kind)
{
	for (size_t i = 0; i < KINDS; i++) {
		if (strcmp(name, kind_names[i]) == 0) {
			*kind = (enum ch_identifier_kind)i;
			return 0;
		}
	}
	return CH_E_SYNTAX;
}

static int spki_hash(X509 *cert, uint8_t sha256[32])
{
	uint8_t *der = NULL;
	int len = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(cert), &der);

	if (len <= 0)
		return CH_E_SYNTAX;
	SHA256(der, (size_t)len, sha256);
	OPENSSL_free(der);
	return 0;
}

int64_t ch_time_of(const ASN1_TIME *time)
{
	struct tm tm;

	return ASN1_TIME_to_tm(time, &tm) == 1 ? (int64_t)timegm(&tm) : INT64_MIN;
}

int ch_identity_init(struct ch_identity *identity, X509 *cert)
{
	int64_t end = ch_time_of(X509_get0_notAfter(cert));

	memset(identity, 0, sizeof(*identity));
	identity->manufacturer = CH_MANUFACTURER_NONE;
	if (spki_hash(cert, identity->spki_sha256) != 0 ||
	    X509_digest(cert, EVP_sha256(), identity->cert_sha256, NULL) != 1 || end == INT64_MIN)
		return CH_E_SYNTAX;
	identity->not_after = end > 0 ? (uint64_t)end : 0;
	return 0;
}

int ch_identity_facts(X509 *cert, struct ch_certificate_facts *facts)
{
	if (X509_digest(cert, EVP_sha256(), facts->sha256, NULL) != 1)
		return CH_E_CRYPTO;
	facts->not_after = ch_time_of(X509_get0_notAfter(cert));
	X509_NAME_oneline(X509_get_subject_name(cert), facts->subject, sizeof(facts->subject));
	return 0;
}

/* Any string type, as UTF-8 without a NUL byte. */
static int copy_string(const ASN1_STRING *string, char identifier[CH_IDENTIFIER_MAX + 1])
{
	uint8_t *utf8 = NULL;
	int len = ASN1_STRING_to_UTF8(&utf8, string);
	int err = CH_E_UNKNOWN;

	if (len > 0 && len <= CH_IDENTIFIER_MAX && memchr(utf8, 0, (size_t)len) == NULL) {
		memcpy(identifier, utf8, (size_t)len);
		identifier[len] = '\0';
		err = 0;
	}
	if (len >= 0)
		OPENSSL_free(utf8);
	return err;
}

static int read_subject(X509 *cert, int nid, char identifier[CH_IDENTIFIER_MAX + 1])
{
	const X509_NAME *subject = X509_get_subject_name(cert);
	int at = X509_NAME_get_index_by_NID(subject, nid, -1);

	if (at < 0 || X509_NAME_get_index_by_NID(subject, nid, at) >= 0)
		return CH_E_UNKNOWN;
	return copy_string(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)), identifier);
}

/* RFC 4108: SEQUENCE { hwType OBJECT IDENTIFIER, hwSerialNum OCTET STRING } */
static int copy_module(const ASN1_TYPE *type, const ASN1_TYPE *serial,
		       char identifier[CH_IDENTIFIER_MAX + 1])
{
	const uint8_t *data;
	size_t at;
	int len;

	if (type->type != V_ASN1_OBJECT || serial->type != V_ASN1_OCTET_STRING)
		return CH_E_UNKNOWN;
	len = OBJ_obj2txt(identifier, CH_IDENTIFIER_MAX + 1, type->value.object, 1);
	data = ASN1_STRING_get0_data(serial->value.octet_string);
	if (len <= 0 || ASN1_STRING_length(serial->value.octet_string) <= 0)
		return CH_E_UNKNOWN;
	at = (size_t)len;
	if (at + 1 + 2 * (size_t)ASN1_STRING_length(serial->value.octet_string) > CH_IDENTIFIER_MAX)
		return CH_E_UNKNOWN;
	identifier[at++] = ':';
	for (int i = 0; i < ASN1_STRING_length(serial->value.octet_string); i++, at += 2)
		snprintf(identifier + at, CH_IDENTIFIER_MAX + 1 - at, "%02x", data[i]);
	return 0;
}

static int read_module(const OTHERNAME *name, char identifier[CH_IDENTIFIER_MAX + 1])
{
	ASN1_SEQUENCE_ANY *parts = NULL;
	const ASN1_STRING *der;
	const uint8_t *at;
	int err = CH_E_UNKNOWN;

	if (name->value == NULL || name->value->type != V_ASN1_SEQUENCE)
		return CH_E_UNKNOWN;
	der = name->value->value.sequence;
	at = ASN1_STRING_get0_data(der);
	parts = d2i_ASN1_SEQUENCE_ANY(NULL, &at, ASN1_STRING_length(der));
	if (parts != NULL && sk_ASN1_TYPE_num(parts) == 2)
		err = copy_module(sk_ASN1_TYPE_value(parts, 0), sk_ASN1_TYPE_value(parts, 1),
				  identifier);
	sk_ASN1_TYPE_pop_free(parts, ASN1_TYPE_free);
	return err;
}

static bool is_of_kind(const GENERAL_NAME *name, enum ch_identifier_kind kind)
{
	char oid[32];

	if (kind == CH_IDENTIFIER_SAN_DNS)
		return name->type == GEN_DNS;
	if (kind == CH_IDENTIFIER_SAN_URI)
		return name->type == GEN_URI;
	/* id-on-hardwareModuleName has no NID in OpenSSL 3.0. */
	return name->type == GEN_OTHERNAME &&
	       OBJ_obj2txt(oid, sizeof(oid), name->d.otherName->type_id, 1) > 0 &&
	       strcmp(oid, "1.3.6.1.5.5.7.8.4") == 0;
}

static int read_alternative(X509 *cert, enum ch_identifier_kind kind,
			    char identifier[CH_IDENTIFIER_MAX + 1])
{
	GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
	const GENERAL_NAME *only = NULL;
	int found = 0;
	int err = CH_E_UNKNOWN;

	for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
		const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);

		if (is_of_kind(name, kind)) {
			only = name;
			found++;
		}
	}
	if (found == 1)
		err = kind == CH_IDENTIFIER_HARDWARE_MODULE
			      ? read_module(only->d.otherName, identifier)
			      : copy_string(only->d.ia5, identifier);
	GENERAL_NAMES_free(names);
	return err;
}

int ch_identity_read(X509 *cert, enum ch_identifier_kind kind,
		     char identifier[CH_IDENTIFIER_MAX + 1])
{
	int err;

	if (kind == CH_IDENTIFIER_CN)
		err = read_subject(cert, NID_commonName, identifier);
	else if (kind == CH_IDENTIFIER_SERIAL_NUMBER)
		err = read_subject(cert, NID_serialNumber, identifier);
	else
		err = read_alternative(cert, kind, identifier);
	if (err != 0)
		identifier[0] = '\0';
	ERR_clear_error();
	return err;
}
