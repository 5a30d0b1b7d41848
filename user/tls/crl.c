/* SPDX-License-Identifier: Apache-2.0 */
#include "crl.h"

#include <openssl/asn1.h>
#include <openssl/err.h>
#include <openssl/objects.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum {
	TAG_BOOLEAN = 0x01,
	TAG_INTEGER = 0x02,
	TAG_BITS = 0x03,
	TAG_OCTETS = 0x04,
	TAG_OID = 0x06,
	TAG_ENUMERATED = 0x0a,
	TAG_UTC_TIME = 0x17,
	TAG_GENERALIZED_TIME = 0x18,
	TAG_SEQUENCE = 0x30,
	TAG_CONTEXT_0 = 0xa0,
};

#define REASON_REMOVE_FROM_CRL 8

static bool equal(struct ch_slice a, struct ch_slice b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

/* The tag of the next element, or -1 at the end. */
static int peek(const struct ch_slice *in)
{
	return in->len == 0 ? -1 : in->data[0];
}

/* Takes one element with definite length off @in; @body and @whole (with its header) may be NULL.
 */
static bool take(struct ch_slice *in, int tag, struct ch_slice *body, struct ch_slice *whole)
{
	size_t header = 2;
	size_t len;

	if (in->len < 2 || in->data[0] != tag)
		return false;
	len = in->data[1];
	if (len >= 0x80) {
		size_t bytes = len & 0x7f;

		if (bytes == 0 || bytes > 4 || in->len < 2 + bytes)
			return false;
		len = 0;
		for (size_t i = 0; i < bytes; i++)
			len = len << 8 | in->data[2 + i];
		header += bytes;
	}
	if (len > in->len - header)
		return false;
	if (body != NULL)
		*body = (struct ch_slice){in->data + header, len};
	if (whole != NULL)
		*whole = (struct ch_slice){in->data, header + len};
	in->data += header + len;
	in->len -= header + len;
	return true;
}

/* A Time as seconds since 1970. */
static bool take_time(struct ch_slice *in, int64_t *seconds)
{
	ASN1_TIME *parsed = NULL;
	const unsigned char *at;
	struct ch_slice whole;
	struct tm tm;
	bool fine;

	if (peek(in) != TAG_UTC_TIME && peek(in) != TAG_GENERALIZED_TIME)
		return false;
	if (!take(in, peek(in), NULL, &whole))
		return false;
	at = whole.data;
	parsed = d2i_ASN1_TIME(NULL, &at, (long)whole.len);
	fine = parsed != NULL && ASN1_TIME_to_tm(parsed, &tm) == 1;
	if (fine)
		*seconds = timegm(&tm);
	ASN1_TIME_free(parsed);
	ERR_clear_error();
	return fine;
}

/* A non-negative INTEGER of at most CH_CRL_NUMBER bytes. */
static bool take_number(struct ch_slice *in, uint8_t number[CH_CRL_NUMBER])
{
	struct ch_slice body;

	if (!take(in, TAG_INTEGER, &body, NULL) || body.len == 0 || (body.data[0] & 0x80) != 0)
		return false;
	while (body.len > 1 && body.data[0] == 0) {
		body.data++;
		body.len--;
	}
	if (body.len > CH_CRL_NUMBER)
		return false;
	memset(number, 0, CH_CRL_NUMBER);
	memcpy(number + CH_CRL_NUMBER - body.len, body.data, body.len);
	return true;
}

struct extension {
	struct ch_slice oid; /* content */
	struct ch_slice id;  /* the whole element */
	struct ch_slice value;
	bool critical;
};

static bool take_extension(struct ch_slice *in, struct extension *extension)
{
	struct ch_slice body;
	struct ch_slice flag;

	*extension = (struct extension){0};
	if (!take(in, TAG_SEQUENCE, &body, NULL) ||
	    !take(&body, TAG_OID, &extension->oid, &extension->id))
		return false;
	if (peek(&body) == TAG_BOOLEAN) {
		if (!take(&body, TAG_BOOLEAN, &flag, NULL) || flag.len != 1)
			return false;
		extension->critical = flag.data[0] != 0;
	}
	return take(&body, TAG_OCTETS, &extension->value, NULL) && body.len == 0;
}

/* The last arc of an extension of X.509 (2.5.29.x), or -1. */
static int arc_of(struct ch_slice oid)
{
	return oid.len == 3 && oid.data[0] == 0x55 && oid.data[1] == 0x1d ? oid.data[2] : -1;
}

enum {
	ARC_CRL_NUMBER = 20,
	ARC_REASON_CODE = 21,
	ARC_DELTA_INDICATOR = 27,
	ARC_ISSUING_POINT = 28,
	ARC_CERTIFICATE_ISSUER = 29,
};

static int refuse_extension(const struct extension *extension, char *error)
{
	const unsigned char *at = extension->id.data;
	ASN1_OBJECT *oid = d2i_ASN1_OBJECT(NULL, &at, (long)extension->id.len);
	char text[64] = "?";

	if (oid != NULL)
		OBJ_obj2txt(text, sizeof(text), oid, 1);
	ASN1_OBJECT_free(oid);
	ERR_clear_error();
	snprintf(error, CH_CRL_ERROR, "has the critical extension %s, which is not known", text);
	return CH_E_UNSUPPORTED;
}

static int malformed(char *error, const char *what)
{
	snprintf(error, CH_CRL_ERROR, "is malformed: %s", what);
	return CH_E_SYNTAX;
}

/* [tag] IMPLICIT BOOLEAN; absent is false. */
static bool take_flag(struct ch_slice *in, int tag, bool *flag)
{
	struct ch_slice body;

	*flag = false;
	if (peek(in) != tag)
		return true;
	if (!take(in, tag, &body, NULL) || body.len != 1)
		return false;
	*flag = body.data[0] != 0;
	return true;
}

/* IssuingDistributionPoint: of which certificates the list tells. */
static int read_scope(struct ch_slice value, struct ch_crl *crl, char *error)
{
	struct ch_slice body;
	bool users, authorities, indirect, attributes;

	if (!take(&value, TAG_SEQUENCE, &body, NULL) || value.len != 0)
		return malformed(error, "its issuing distribution point");
	if (peek(&body) == TAG_CONTEXT_0 && !take(&body, TAG_CONTEXT_0, NULL, &crl->point))
		return malformed(error, "its distribution point name");
	if (!take_flag(&body, 0x81, &users) || !take_flag(&body, 0x82, &authorities))
		return malformed(error, "its issuing distribution point");
	if (peek(&body) == 0x83) {
		snprintf(error, CH_CRL_ERROR,
			 "tells of some revocation reasons only: use one that holds all");
		return CH_E_UNSUPPORTED;
	}
	if (!take_flag(&body, 0x84, &indirect) || !take_flag(&body, 0x85, &attributes) ||
	    body.len != 0)
		return malformed(error, "its issuing distribution point");
	if (indirect || attributes) {
		snprintf(error, CH_CRL_ERROR,
			 indirect ? "is an indirect one: use the list of each issuer itself"
				  : "tells of attribute certificates only");
		return CH_E_UNSUPPORTED;
	}
	if (crl->point.len > CH_CRL_POINT_MAX)
		return malformed(error, "its distribution point name is too long");
	crl->users = !authorities;
	crl->authorities = !users;
	return 0;
}

static int read_extensions(struct ch_slice all, struct ch_crl *crl, char *error)
{
	struct extension extension;
	int err = 0;

	while (all.len > 0 && err == 0) {
		if (!take_extension(&all, &extension))
			return malformed(error, "its extensions");
		switch (arc_of(extension.oid)) {
		case ARC_CRL_NUMBER:
			if (!take_number(&extension.value, crl->number))
				err = malformed(error, "its number");
			break;
		case ARC_DELTA_INDICATOR:
			crl->delta = true;
			if (!take_number(&extension.value, crl->base))
				err = malformed(error, "the number of its base");
			break;
		case ARC_ISSUING_POINT:
			err = read_scope(extension.value, crl, error);
			break;
		default:
			if (extension.critical)
				err = refuse_extension(&extension, error);
			break;
		}
	}
	return err;
}

/* TBSCertList. */
static int read_list(struct ch_slice in, struct ch_crl *crl, char *error)
{
	struct ch_slice algorithm;
	struct ch_slice version;
	struct ch_slice body;
	struct ch_slice all;

	if (peek(&in) == TAG_INTEGER &&
	    (!take(&in, TAG_INTEGER, &version, NULL) || version.len != 1 || version.data[0] != 1))
		return malformed(error, "its version");
	if (!take(&in, TAG_SEQUENCE, NULL, &algorithm) || !equal(algorithm, crl->algorithm))
		return malformed(error, "its two signature algorithms differ");
	if (!take(&in, TAG_SEQUENCE, NULL, &crl->issuer))
		return malformed(error, "its issuer");
	if (!take_time(&in, &crl->this_update))
		return malformed(error, "its thisUpdate");
	if ((peek(&in) == TAG_UTC_TIME || peek(&in) == TAG_GENERALIZED_TIME) &&
	    !take_time(&in, &crl->next_update))
		return malformed(error, "its nextUpdate");
	if (peek(&in) == TAG_SEQUENCE && !take(&in, TAG_SEQUENCE, &crl->entries, NULL))
		return malformed(error, "its list of certificates");
	if (crl->next_update == 0) {
		snprintf(error, CH_CRL_ERROR,
			 "has no nextUpdate: nobody could tell when it is old");
		return CH_E_UNSUPPORTED;
	}
	if (in.len == 0)
		return 0;
	if (!take(&in, TAG_CONTEXT_0, &body, NULL) || in.len != 0 ||
	    !take(&body, TAG_SEQUENCE, &all, NULL) || body.len != 0)
		return malformed(error, "its extensions");
	return read_extensions(all, crl, error);
}

int ch_crl_parse(struct ch_slice der, struct ch_crl *crl, char error[CH_CRL_ERROR])
{
	struct ch_slice bits;
	struct ch_slice body;
	struct ch_slice list;

	*crl = (struct ch_crl){.users = true, .authorities = true};
	if (!take(&der, TAG_SEQUENCE, &body, NULL))
		return malformed(error, "it is no DER sequence, or cut");
	if (der.len != 0)
		return malformed(error, "bytes behind its end");
	crl->tbs = body;
	if (!take(&body, TAG_SEQUENCE, &list, &crl->tbs) ||
	    !take(&body, TAG_SEQUENCE, NULL, &crl->algorithm) ||
	    !take(&body, TAG_BITS, &bits, NULL) || body.len != 0)
		return malformed(error, "it is no signed list");
	if (bits.len < 2 || bits.data[0] != 0)
		return malformed(error, "its signature");
	crl->signature = (struct ch_slice){bits.data + 1, bits.len - 1};
	return read_list(list, crl, error);
}

static int read_entry_extensions(struct ch_slice all, struct ch_crl_entry *entry, char *error)
{
	struct extension extension;
	struct ch_slice reason;

	while (all.len > 0) {
		if (!take_extension(&all, &extension))
			return malformed(error, "the extensions of an entry");
		if (arc_of(extension.oid) == ARC_REASON_CODE) {
			if (!take(&extension.value, TAG_ENUMERATED, &reason, NULL) ||
			    reason.len != 1)
				return malformed(error, "the reason of an entry");
			entry->removed = reason.data[0] == REASON_REMOVE_FROM_CRL;
		} else if (arc_of(extension.oid) == ARC_CERTIFICATE_ISSUER) {
			snprintf(error, CH_CRL_ERROR,
				 "holds certificates of other issuers: use the list of each "
				 "issuer itself");
			return CH_E_UNSUPPORTED;
		} else if (extension.critical) {
			return refuse_extension(&extension, error);
		}
	}
	return 0;
}

int ch_crl_next(struct ch_slice *entries, struct ch_crl_entry *entry, char error[CH_CRL_ERROR])
{
	struct ch_slice body;
	struct ch_slice all;
	int err;

	*entry = (struct ch_crl_entry){0};
	if (entries->len == 0)
		return 0;
	if (!take(entries, TAG_SEQUENCE, &body, NULL) ||
	    !take(&body, TAG_INTEGER, &entry->serial, NULL) || entry->serial.len == 0 ||
	    entry->serial.len > CH_CRL_NUMBER + 1)
		return malformed(error, "an entry");
	if (peek(&body) != TAG_UTC_TIME && peek(&body) != TAG_GENERALIZED_TIME)
		return malformed(error, "the date of an entry");
	if (!take(&body, peek(&body), NULL, NULL))
		return malformed(error, "the date of an entry");
	if (body.len == 0)
		return 1;
	if (!take(&body, TAG_SEQUENCE, &all, NULL) || body.len != 0)
		return malformed(error, "an entry");
	err = read_entry_extensions(all, entry, error);
	return err != 0 ? err : 1;
}
