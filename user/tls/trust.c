/* SPDX-License-Identifier: Apache-2.0 */
#include "trust.h"

#include "anchors.h"
#include "identity.h"

#include <dirent.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* The CAs are the operator's, but a whole system bundle of them is a mistake worth naming. */
#define ANCHORS_MAX 64

/* Handed to PEM readers: a passphrase prompt would block the daemon on its terminal. */
static char no_passphrase[] = "";

int ch_trust_new(struct ch_trust **trust)
{
	*trust = calloc(1, sizeof(**trust));
	return *trust == NULL ? -ENOMEM : 0;
}

static void manufacturer_deinit(struct ch_manufacturer *manufacturer)
{
	free(manufacturer->name);
	sk_X509_pop_free(manufacturer->anchors, X509_free);
	free(manufacturer->digests);
	X509_STORE_free(manufacturer->store);
}

void ch_trust_free(struct ch_trust *trust)
{
	if (trust == NULL)
		return;
	for (size_t i = 0; i < trust->count; i++)
		manufacturer_deinit(&trust->manufacturers[i]);
	free(trust->manufacturers);
	free(trust);
}

void ch_trust_set_revocation(struct ch_trust *trust, size_t index, enum ch_revocation_mode mode,
			     enum ch_stale_policy stale)
{
	trust->manufacturers[index].revocation = mode;
	trust->manufacturers[index].stale = stale;
}

int ch_trust_anchor(const struct ch_trust *trust, size_t manufacturer, size_t index,
		    struct ch_certificate_facts *facts)
{
	STACK_OF(X509) *anchors = trust->manufacturers[manufacturer].anchors;

	if (index >= (size_t)sk_X509_num(anchors))
		return CH_E_UNKNOWN;
	return ch_identity_facts(sk_X509_value(anchors, (int)index), facts);
}

size_t ch_trust_count(const struct ch_trust *trust)
{
	return trust->count;
}

uint32_t ch_trust_by_anchor(const struct ch_trust *trust, const uint8_t sha256[32])
{
	for (size_t m = 0; m < trust->count; m++) {
		const struct ch_manufacturer *manufacturer = &trust->manufacturers[m];

		for (int i = 0; i < sk_X509_num(manufacturer->anchors); i++)
			if (memcmp(manufacturer->digests[i], sha256, 32) == 0)
				return (uint32_t)m;
	}
	return CH_MANUFACTURER_NONE;
}

bool ch_manufacturer_has(const struct ch_manufacturer *manufacturer, X509 *cert)
{
	for (int i = 0; i < sk_X509_num(manufacturer->anchors); i++)
		if (X509_cmp(sk_X509_value(manufacturer->anchors, i), cert) == 0)
			return true;
	return false;
}

uint32_t ch_trust_claimed(const struct ch_trust *trust, X509 *cert)
{
	for (size_t m = 0; m < trust->count; m++) {
		STACK_OF(X509) *anchors = trust->manufacturers[m].anchors;

		for (int i = 0; i < sk_X509_num(anchors); i++)
			if (X509_check_issued(sk_X509_value(anchors, i), cert) == X509_V_OK ||
			    X509_cmp(sk_X509_value(anchors, i), cert) == 0)
				return (uint32_t)m;
	}
	return CH_MANUFACTURER_NONE;
}

/*
 * Neither the same anchor nor one of the same name under two manufacturers: a certificate surely
 * tells its issuer's name only, so that it would not be clear whose policy holds for it (SC3).
 */
static int check_unique(const struct ch_trust *trust, X509 *anchor, const char *ca_file,
			char *error)
{
	const X509_NAME *name = X509_get_subject_name(anchor);
	char subject[100];

	for (size_t m = 0; m < trust->count; m++) {
		const struct ch_manufacturer *other = &trust->manufacturers[m];

		for (int i = 0; i < sk_X509_num(other->anchors); i++) {
			X509 *theirs = sk_X509_value(other->anchors, i);

			if (X509_NAME_cmp(X509_get_subject_name(theirs), name) != 0)
				continue;
			X509_NAME_oneline(name, subject, sizeof(subject));
			snprintf(error, CH_ERROR_TEXT,
				 "%.80s: the CA %.60s is already of manufacturer %.30s: "
				 "an anchor must belong to one manufacturer only",
				 ca_file, subject, other->name);
			return CH_E_CONFIG;
		}
	}
	return 0;
}

/* The anchor that is pushed next. */
static bool remember_digest(struct ch_manufacturer *made, X509 *anchor)
{
	size_t count = (size_t)sk_X509_num(made->anchors) + 1;
	uint8_t (*more)[32] = realloc(made->digests, count * sizeof(*more));

	if (more == NULL)
		return false;
	made->digests = more;
	return X509_digest(anchor, EVP_sha256(), more[count - 1], NULL) == 1;
}

/* Takes one certificate of the file. */
static int add_anchor(const struct ch_trust *trust, struct ch_manufacturer *made, X509 *anchor,
		      const char *ca_file, char *error)
{
	int number = sk_X509_num(made->anchors) + 1;

	if (number > ANCHORS_MAX) {
		snprintf(error, CH_ERROR_TEXT,
			 "%.120s holds more than %d certificates: keep the CAs of manufacturer "
			 "%.40s",
			 ca_file, ANCHORS_MAX, made->name);
		return CH_E_CONFIG;
	}
	/* Also caches what verification needs of the extensions. */
	if (X509_check_ca(anchor) == 0) {
		snprintf(error, CH_ERROR_TEXT,
			 "%.120s: certificate %d is not a CA: pin devices in the inventory instead",
			 ca_file, number);
		return CH_E_CONFIG;
	}
	if (check_unique(trust, anchor, ca_file, error) != 0)
		return CH_E_CONFIG;
	if (remember_digest(made, anchor) && X509_STORE_add_cert(made->store, anchor) == 1 &&
	    sk_X509_push(made->anchors, anchor) > 0)
		return 0;
	snprintf(error, CH_ERROR_TEXT, "%.160s: out of memory", ca_file);
	return CH_E_CONFIG;
}

static int read_file(const struct ch_trust *trust, struct ch_manufacturer *made,
		     const char *ca_file, char *error)
{
	int before = sk_X509_num(made->anchors);
	BIO *bio;
	X509 *anchor;
	int err = 0;

	errno = 0;
	bio = BIO_new_file(ca_file, "r");
	if (bio == NULL) {
		snprintf(error, CH_ERROR_TEXT, "%.160s cannot be read: %s", ca_file,
			 strerror(errno != 0 ? errno : ENOMEM));
		return CH_E_CONFIG;
	}
	ERR_clear_error();
	while (err == 0 && (anchor = PEM_read_bio_X509(bio, NULL, NULL, no_passphrase)) != NULL) {
		err = add_anchor(trust, made, anchor, ca_file, error);
		if (err != 0)
			X509_free(anchor);
	}
	if (err == 0 && ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE) {
		err = CH_E_CONFIG;
		snprintf(error, CH_ERROR_TEXT,
			 "%.160s: certificate %d is broken: write the PEM file anew", ca_file,
			 sk_X509_num(made->anchors) - before + 1);
	} else if (err == 0 && sk_X509_num(made->anchors) == before) {
		err = CH_E_CONFIG;
		snprintf(error, CH_ERROR_TEXT,
			 "%.160s holds no certificate: put the manufacturer's CA there as PEM",
			 ca_file);
	}
	BIO_free(bio);
	return err;
}

static int is_anchor_file(const struct dirent *entry)
{
	const char *dot = strrchr(entry->d_name, '.');

	return dot != NULL && entry->d_name[0] != '.' &&
	       (strcmp(dot, ".pem") == 0 || strcmp(dot, ".crt") == 0 || strcmp(dot, ".cer") == 0);
}

/* By name, so that the same directory yields the same order and the same error every time. */
static int read_directory(const struct ch_trust *trust, struct ch_manufacturer *made,
			  const char *directory, char *error)
{
	struct dirent **entries = NULL;
	int count = scandir(directory, &entries, is_anchor_file, alphasort);
	int err = 0;

	if (count <= 0) {
		snprintf(error, CH_ERROR_TEXT, "%.120s %s", directory,
			 count < 0 ? "cannot be read: let the daemon's user list it"
				   : "holds no .pem, .crt or .cer file: put the manufacturer's CAs "
				     "there");
		err = CH_E_CONFIG;
	}
	for (int i = 0; i < count; i++) {
		char *path = NULL;

		if (err == 0 && asprintf(&path, "%s/%s", directory, entries[i]->d_name) < 0) {
			snprintf(error, CH_ERROR_TEXT, "%.160s: out of memory", directory);
			err = CH_E_CONFIG;
			path = NULL;
		}
		if (err == 0)
			err = read_file(trust, made, path, error);
		free(path);
		free(entries[i]);
	}
	free(entries);
	return err;
}

static int read_anchors(const struct ch_trust *trust, struct ch_manufacturer *made, const char *ca,
			char *error)
{
	struct stat st;

	if (stat(ca, &st) == 0 && S_ISDIR(st.st_mode))
		return read_directory(trust, made, ca, error);
	return read_file(trust, made, ca, error);
}

int ch_trust_add(struct ch_trust *trust, const char *name, const char *ca,
		 enum ch_identifier_kind kind, char error[CH_ERROR_TEXT])
{
	struct ch_manufacturer made = {.kind = kind};
	struct ch_manufacturer *more;
	int err = CH_E_CONFIG;

	snprintf(error, CH_ERROR_TEXT, "%.160s: out of memory", ca);
	more = realloc(trust->manufacturers, (trust->count + 1) * sizeof(*more));
	if (more == NULL)
		goto out;
	trust->manufacturers = more;
	made.name = strdup(name);
	made.anchors = sk_X509_new_null();
	made.store = X509_STORE_new();
	if (made.name == NULL || made.anchors == NULL || made.store == NULL)
		goto out;
	err = read_anchors(trust, &made, ca, error);
	if (err != 0)
		goto out;
	trust->manufacturers[trust->count++] = made;
	memset(&made, 0, sizeof(made));
	error[0] = '\0';
out:
	manufacturer_deinit(&made);
	ERR_clear_error();
	return err;
}
