/* SPDX-License-Identifier: Apache-2.0 */
#include "cert_to_name.h"

#include "user/core/option.h"

#include <ctype.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINE_MAX_BYTES 1024

enum map_type { MAP_SPECIFIED, MAP_EMAIL, MAP_DNS, MAP_IP, MAP_ANY, MAP_CN };

static const char *const map_names[] = {
	[MAP_SPECIFIED] = "specified", [MAP_EMAIL] = "san-rfc822-name", [MAP_DNS] = "san-dns-name",
	[MAP_IP] = "san-ip-address",   [MAP_ANY] = "san-any",		[MAP_CN] = "common-name",
};

struct entry {
	uint64_t id;
	const EVP_MD *digest;
	uint8_t fingerprint[EVP_MAX_MD_SIZE];
	enum map_type type;
	char name[SIM_NAME_MAX]; /* of MAP_SPECIFIED */
};

struct sim_names {
	struct entry entries[SIM_NAMES_MAX];
	size_t count;
};

/* ---- the file ---- */

static int hex_digit(char c)
{
	const char *digits = "0123456789abcdef", *at = strchr(digits, tolower((unsigned char)c));
	return c != '\0' && at ? (int)(at - digits) : -1;
}

/* @return what is wrong, or NULL */
static const char *read_fingerprint(const char *text, struct entry *entry)
{
	uint8_t bytes[1 + EVP_MAX_MD_SIZE];
	size_t count = 0;

	for (; count < sizeof(bytes); text += 3) {
		int high = hex_digit(text[0]), low = high < 0 ? -1 : hex_digit(text[1]);
		if (low < 0)
			return "the fingerprint is pairs of hexadecimal digits with colons in "
			       "between";
		bytes[count++] = (uint8_t)(high << 4 | low);
		if (text[2] != ':')
			break;
	}
	if (bytes[0] < 4 || bytes[0] > 6)
		return "the fingerprint begins with 04 (SHA-256), 05 (SHA-384) or 06 (SHA-512)";
	entry->digest = bytes[0] == 4 ? EVP_sha256() : bytes[0] == 5 ? EVP_sha384() : EVP_sha512();
	if (text[2] != '\0' || count != 1 + (size_t)EVP_MD_get_size(entry->digest))
		return "the fingerprint has another length than its hash";
	memcpy(entry->fingerprint, bytes + 1, count - 1);
	return NULL;
}

static const char *read_type(const char *text, struct entry *entry)
{
	for (size_t i = 0; i < sizeof(map_names) / sizeof(map_names[0]); i++) {
		if (text && strcmp(text, map_names[i]) == 0) {
			entry->type = (enum map_type)i;
			return NULL;
		}
	}
	return "the map type is specified, san-rfc822-name, san-dns-name, san-ip-address, san-any "
	       "or "
	       "common-name";
}

/* @return what is wrong, or NULL; @line is cut to pieces */
static const char *read_entry(char *line, struct entry *entry)
{
	char *rest = NULL, *id = strtok_r(line, " \t\n", &rest);
	char *fingerprint = strtok_r(NULL, " \t\n", &rest), *type = strtok_r(NULL, " \t\n", &rest);
	const char *name = rest + strspn(rest, " \t");
	size_t len = strcspn(name, "\n");
	while (len > 0 && (name[len - 1] == ' ' || name[len - 1] == '\t'))
		len--;
	const char *wrong;

	if (ch_parse_uint(id, 0, UINT32_MAX, &entry->id) != 0)
		return "the id is a number";
	wrong = fingerprint ? read_fingerprint(fingerprint, entry) : "the fingerprint is missing";
	if (!wrong)
		wrong = read_type(type, entry);
	if (wrong)
		return wrong;
	if ((entry->type == MAP_SPECIFIED) != (len > 0))
		return "a name stands behind specified, and behind no other map type";
	if (len >= sizeof(entry->name))
		return "the name is longer than 255 bytes";
	memcpy(entry->name, name, len);
	entry->name[len] = '\0';
	return NULL;
}

static int by_id(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;
	return x->id < y->id ? -1 : x->id > y->id;
}

static int read_file(struct sim_names *names, FILE *file, const char *path,
		     char error[SIM_NAMES_ERROR])
{
	char line[LINE_MAX_BYTES];

	for (unsigned number = 1; fgets(line, sizeof(line), file); number++) {
		const char *wrong = NULL;
		line[strcspn(line, "#\r")] = '\0';
		if (line[strspn(line, " \t\n")] == '\0')
			continue;
		if (names->count == SIM_NAMES_MAX)
			wrong = "there are more than 64 entries";
		else
			wrong = read_entry(line, &names->entries[names->count++]);
		if (wrong) {
			snprintf(error, SIM_NAMES_ERROR, "%.200s:%u: %s", path, number, wrong);
			return CH_E_SYNTAX;
		}
	}
	qsort(names->entries, names->count, sizeof(names->entries[0]), by_id);
	return 0;
}

int sim_names_load(const char *path, struct sim_names **loaded, char error[SIM_NAMES_ERROR])
{
	struct sim_names *names = calloc(1, sizeof(*names));
	FILE *file = fopen(path, "r");
	int err = names ? 0 : -ENOMEM;

	if (!err && !file) {
		snprintf(error, SIM_NAMES_ERROR, "cannot read %.200s: %s", path, strerror(errno));
		err = CH_E_CONFIG;
	}
	if (!err)
		err = read_file(names, file, path, error);
	if (file)
		fclose(file);
	if (err)
		sim_names_free(names);
	else
		*loaded = names;
	return err;
}

void sim_names_free(struct sim_names *names)
{
	free(names);
}

/* ---- the certificate ---- */

/* @return false when the name is empty, too long or not all text */
static bool put_name(char name[SIM_NAME_MAX], const void *text, int len)
{
	if (len <= 0 || len >= SIM_NAME_MAX || memchr(text, '\0', (size_t)len))
		return false;
	memcpy(name, text, (size_t)len);
	name[len] = '\0';
	return true;
}

static void lower(char *text)
{
	for (; *text; text++)
		*text = (char)tolower((unsigned char)*text);
}

/* RFC 7407: the host part of an address in lower case; IPv6 as 32 digits. */
static bool name_of_san(const GENERAL_NAME *san, enum map_type type, char name[SIM_NAME_MAX])
{
	const ASN1_STRING *text = san->d.ia5;
	const uint8_t *ip = ASN1_STRING_get0_data(text);

	switch (san->type) {
	case GEN_EMAIL:
		if ((type != MAP_EMAIL && type != MAP_ANY) ||
		    !put_name(name, ip, ASN1_STRING_length(text)) || !strrchr(name, '@'))
			return false;
		lower(strrchr(name, '@'));
		return true;
	case GEN_DNS:
		if ((type != MAP_DNS && type != MAP_ANY) ||
		    !put_name(name, ip, ASN1_STRING_length(text)))
			return false;
		lower(name);
		return true;
	case GEN_IPADD:
		if (type != MAP_IP && type != MAP_ANY)
			return false;
		if (ASN1_STRING_length(text) == 4)
			return snprintf(name, SIM_NAME_MAX, "%u.%u.%u.%u", ip[0], ip[1], ip[2],
					ip[3]) > 0;
		for (int i = 0; i < 16 && ASN1_STRING_length(text) == 16; i++)
			snprintf(name + i * 2, 3, "%02x", ip[i]);
		return ASN1_STRING_length(text) == 16;
	default:
		return false;
	}
}

static bool name_of_sans(X509 *cert, enum map_type type, char name[SIM_NAME_MAX])
{
	GENERAL_NAMES *sans = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
	bool found = false;

	for (int i = 0; i < sk_GENERAL_NAME_num(sans) && !found; i++)
		found = name_of_san(sk_GENERAL_NAME_value(sans, i), type, name);
	GENERAL_NAMES_free(sans);
	return found;
}

static bool name_of_subject(X509 *cert, char name[SIM_NAME_MAX])
{
	const X509_NAME *subject = X509_get_subject_name(cert);
	int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
	unsigned char *text = NULL;

	if (at < 0)
		return false;
	int len = ASN1_STRING_to_UTF8(&text,
				      X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
	bool found = put_name(name, text, len);
	if (len >= 0)
		OPENSSL_free(text);
	return found;
}

static bool name_of(X509 *cert, const struct entry *entry, char name[SIM_NAME_MAX])
{
	if (entry->type == MAP_SPECIFIED)
		return put_name(name, entry->name, (int)strlen(entry->name));
	if (entry->type == MAP_CN)
		return name_of_subject(cert, name);
	return name_of_sans(cert, entry->type, name);
}

static bool is_in_chain(const struct entry *entry, const struct ch_slice *chain, size_t count)
{
	uint8_t hash[EVP_MAX_MD_SIZE];
	unsigned len;

	for (size_t i = 0; i < count; i++) {
		if (EVP_Digest(chain[i].data, chain[i].len, hash, &len, entry->digest, NULL) == 1 &&
		    memcmp(hash, entry->fingerprint, len) == 0)
			return true;
	}
	return false;
}

int sim_names_find(const struct sim_names *names, const struct ch_slice *chain, size_t count,
		   char name[SIM_NAME_MAX])
{
	const unsigned char *cursor = count > 0 ? chain[0].data : NULL;
	X509 *cert = cursor ? d2i_X509(NULL, &cursor, (long)chain[0].len) : NULL;
	bool found = false;

	for (size_t i = 0; cert && i < names->count && !found; i++)
		found = is_in_chain(&names->entries[i], chain, count) &&
			name_of(cert, &names->entries[i], name);
	X509_free(cert);
	ERR_clear_error();
	return found ? 0 : CH_E_UNKNOWN;
}
