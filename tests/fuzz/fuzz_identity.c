/* SPDX-License-Identifier: Apache-2.0 */
/* links: tls core */
/*
 * Reading who a device is out of a certificate. Input: a certificate in DER. An identifier is one
 * field of its kind, valid UTF-8 of 1 to 255 bytes without NUL; what is none leaves nothing behind.
 */
#include "fuzz.h"
#include "user/tls/identity.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>

#define KINDS 5

/** By RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF. */
static bool is_utf8(const char *text)
{
	const uint8_t *at = (const uint8_t *)text;

	while (*at != 0) {
		unsigned more = *at < 0x80 ? 0 : *at < 0xe0 ? 1 : *at < 0xf0 ? 2 : 3;
		uint32_t c = more == 0 ? *at : *at & (0x3fu >> more);
		static const uint32_t least[] = {0, 0x80, 0x800, 0x10000};

		if (*at >= 0x80 && (*at < 0xc0 || *at > 0xf7))
			return false;
		at++;
		for (unsigned i = 0; i < more; i++, at++) {
			if ((*at & 0xc0) != 0x80)
				return false;
			c = c << 6 | (*at & 0x3f);
		}
		if (c < least[more] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
			return false;
	}
	return true;
}

static bool is_module(const char *text)
{
	const char *colon = strchr(text, ':');
	size_t digits = colon != NULL ? strlen(colon + 1) : 0;

	return colon != NULL && colon > text && digits > 0 && digits % 2 == 0 &&
	       strspn(text, "0123456789.") == (size_t)(colon - text) &&
	       strspn(colon + 1, "0123456789abcdef") == digits;
}

/** Is it the only entry of its kind, and all of it? */
static bool is_the_name(X509 *cert, int nid, const char *identifier)
{
	const X509_NAME *subject = X509_get_subject_name(cert);
	unsigned same = 0;
	unsigned count = 0;

	for (int i = 0; i < X509_NAME_entry_count(subject); i++) {
		const X509_NAME_ENTRY *entry = X509_NAME_get_entry(subject, i);
		uint8_t *utf8 = NULL;
		int len;

		if (OBJ_obj2nid(X509_NAME_ENTRY_get_object(entry)) != nid)
			continue;
		len = ASN1_STRING_to_UTF8(&utf8, X509_NAME_ENTRY_get_data(entry));
		same += len == (int)strlen(identifier) &&
			memcmp(utf8, identifier, (size_t)len) == 0;
		count++;
		OPENSSL_free(utf8);
	}
	return count == 1 && same == 1;
}

static int count_alternatives(X509 *cert, int type)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
	int count = 0;

	for (int i = 0; i < sk_GENERAL_NAME_num(names); i++)
		count += sk_GENERAL_NAME_value(names, i)->type == type;
	GENERAL_NAMES_free(names);
	return count;
}

static void read_kind(X509 *cert, enum ch_identifier_kind kind)
{
	char identifier[CH_IDENTIFIER_MAX + 1];
	char again[CH_IDENTIFIER_MAX + 1];
	int err;

	memset(identifier, 'x', sizeof(identifier));
	err = ch_identity_read(cert, kind, identifier);
	check(memchr(identifier, 0, sizeof(identifier)) != NULL);
	check(ch_identity_read(cert, kind, again) == err && strcmp(again, identifier) == 0);
	check(err == 0 || err == CH_E_UNKNOWN);
	check((err == 0) == (identifier[0] != '\0'));
	check(is_utf8(identifier));
	if (err != 0)
		return;
	if (kind == CH_IDENTIFIER_CN)
		check(is_the_name(cert, NID_commonName, identifier));
	if (kind == CH_IDENTIFIER_SERIAL_NUMBER)
		check(is_the_name(cert, NID_serialNumber, identifier));
	if (kind == CH_IDENTIFIER_SAN_DNS)
		check(count_alternatives(cert, GEN_DNS) == 1);
	if (kind == CH_IDENTIFIER_SAN_URI)
		check(count_alternatives(cert, GEN_URI) == 1);
	if (kind == CH_IDENTIFIER_HARDWARE_MODULE)
		check(is_module(identifier) && count_alternatives(cert, GEN_OTHERNAME) >= 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *at = data;
	X509 *cert = d2i_X509(NULL, &at, (long)size);
	struct ch_identity identity;
	int err;

	/* What an error leaves in the queue would look like a leak of this input. */
	ERR_clear_error();
	if (cert == NULL)
		return 0;
	err = ch_identity_init(&identity, cert);
	check(err == 0 || err == CH_E_SYNTAX);
	check(identity.manufacturer == CH_MANUFACTURER_NONE && identity.identifier[0] == '\0');
	for (int kind = 0; kind < KINDS; kind++)
		read_kind(cert, (enum ch_identifier_kind)kind);
	X509_free(cert);
	ERR_clear_error();
	return 0;
}
