/* SPDX-License-Identifier: Apache-2.0 */
#include "tls_fixture.h"

#include <openssl/asn1t.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static void must(bool fine, const char *what)
{
	if (fine)
		return;
	fprintf(stderr, "fixture: %s\n", what);
	abort();
}

/* RSA keys take 50 ms each: one per size serves a process. */
static EVP_PKEY *shared_rsa(unsigned bits)
{
	static EVP_PKEY *keys[2];
	EVP_PKEY **key = &keys[bits == 2048];

	if (*key == NULL)
		*key = EVP_RSA_gen(bits);
	must(*key != NULL, "RSA key");
	EVP_PKEY_up_ref(*key);
	return *key;
}

EVP_PKEY *fx_key(enum fx_key type)
{
	EVP_PKEY *key;

	if (type == FX_RSA2048 || type == FX_RSA1024)
		return shared_rsa(type == FX_RSA2048 ? 2048 : 1024);
	key = EVP_EC_gen(type == FX_P256 ? "P-256" : "P-384");
	must(key != NULL, "EC key");
	return key;
}

/* @set: -1 = into the RDN before */
static void add_name(X509_NAME *name, const char *field, const char *value, int set)
{
	if (value != NULL)
		must(X509_NAME_add_entry_by_txt(name, field, MBSTRING_UTF8,
						(const unsigned char *)value, -1, -1, set) == 1,
		     "name");
}

static void add_extension(X509 *cert, X509 *issuer, int nid, const char *value)
{
	X509_EXTENSION *extension;
	X509V3_CTX ctx;

	if (value == NULL)
		return;
	X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
	extension = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	must(extension != NULL && X509_add_ext(cert, extension, -1) == 1, "extension");
	X509_EXTENSION_free(extension);
}

static void add_padding(X509 *cert, long bytes)
{
	ASN1_OCTET_STRING *value = ASN1_OCTET_STRING_new();
	ASN1_OBJECT *oid = OBJ_txt2obj("1.3.6.1.4.1.32473.1", 1);
	uint8_t *data = calloc(1, (size_t)bytes);
	X509_EXTENSION *extension;

	ASN1_OCTET_STRING_set(value, data, (int)bytes);
	extension = X509_EXTENSION_create_by_OBJ(NULL, oid, 0, value);
	must(extension != NULL && X509_add_ext(cert, extension, -1) == 1, "padding");
	X509_EXTENSION_free(extension);
	ASN1_OBJECT_free(oid);
	ASN1_OCTET_STRING_free(value);
	free(data);
}

static ASN1_TYPE *asn1_type(int type, void *value)
{
	ASN1_TYPE *made = ASN1_TYPE_new();

	ASN1_TYPE_set(made, type, value);
	return made;
}

/* SAN otherName 1.3.6.1.5.5.7.8.4 with SEQUENCE { hwType, hwSerialNum }. */
static void add_module(X509 *cert, const struct fx_cert *fields)
{
	GENERAL_NAMES *names = GENERAL_NAMES_new();
	GENERAL_NAME *name = GENERAL_NAME_new();
	ASN1_SEQUENCE_ANY *parts = sk_ASN1_TYPE_new_null();
	ASN1_OCTET_STRING *serial = ASN1_OCTET_STRING_new();
	ASN1_STRING *sequence = ASN1_STRING_type_new(V_ASN1_SEQUENCE);
	uint8_t *der = NULL;
	int len;

	ASN1_OCTET_STRING_set(serial, fields->module_serial, fields->module_serial_len);
	sk_ASN1_TYPE_push(parts, asn1_type(V_ASN1_OBJECT, OBJ_txt2obj(fields->module_oid, 1)));
	sk_ASN1_TYPE_push(parts, asn1_type(V_ASN1_OCTET_STRING, serial));
	len = i2d_ASN1_SEQUENCE_ANY(parts, &der);
	must(len > 0, "module");
	ASN1_STRING_set0(sequence, der, len);
	must(GENERAL_NAME_set0_othername(name, OBJ_txt2obj("1.3.6.1.5.5.7.8.4", 1),
					 asn1_type(V_ASN1_SEQUENCE, sequence)) == 1,
	     "otherName");
	sk_GENERAL_NAME_push(names, name);
	must(X509_add1_ext_i2d(cert, NID_subject_alt_name, names, 0, 0) == 1, "SAN");
	GENERAL_NAMES_free(names);
	sk_ASN1_TYPE_pop_free(parts, ASN1_TYPE_free);
}

static void set_dates(X509 *cert, const struct fx_cert *fields)
{
	if (fields->not_before != NULL)
		must(ASN1_TIME_set_string(X509_getm_notBefore(cert), fields->not_before) == 1,
		     "date");
	else
		X509_gmtime_adj(X509_getm_notBefore(cert), -3600);
	if (fields->not_after != NULL)
		must(ASN1_TIME_set_string(X509_getm_notAfter(cert), fields->not_after) == 1,
		     "date");
	else
		X509_gmtime_adj(X509_getm_notAfter(cert), 86400);
}

static void set_subject(X509 *cert, const struct fx_cert *fields)
{
	X509_NAME *name = X509_get_subject_name(cert);

	add_name(name, "CN", fields->cn, 0);
	add_name(name, "CN", fields->cn2, fields->one_rdn ? -1 : 0);
	add_name(name, "serialNumber", fields->serial, fields->one_rdn ? -1 : 0);
	if (fields->raw != NULL)
		must(X509_NAME_add_entry_by_NID(name, NID_commonName, fields->raw_type, fields->raw,
						fields->raw_len, -1, 0) == 1,
		     "raw name");
}

X509 *fx_cert(const struct fx_cert *fields)
{
	X509 *cert = X509_new();
	X509 *issuer = fields->issuer != NULL ? fields->issuer : cert;
	EVP_PKEY *signer = fields->issuer_key != NULL ? fields->issuer_key : fields->key;
	uint64_t number = 0;

	must(cert != NULL && RAND_bytes((uint8_t *)&number, sizeof(number)) == 1, "certificate");
	X509_set_version(cert, X509_VERSION_3);
	ASN1_INTEGER_set_uint64(X509_get_serialNumber(cert), number >> 1);
	set_dates(cert, fields);
	set_subject(cert, fields);
	X509_set_pubkey(cert, fields->key);
	X509_set_issuer_name(cert, X509_get_subject_name(issuer));
	if (fields->ca)
		add_extension(cert, issuer, NID_basic_constraints, "critical,CA:TRUE");
	add_extension(cert, issuer, NID_key_usage,
		      fields->key_usage != NULL ? fields->key_usage
		      : fields->ca		? "critical,keyCertSign,cRLSign"
						: NULL);
	if (!fields->no_key_ids) {
		add_extension(cert, issuer, NID_subject_key_identifier, "hash");
		if (issuer != cert)
			add_extension(cert, issuer, NID_authority_key_identifier, "keyid");
	}
	add_extension(cert, issuer, NID_subject_alt_name, fields->san);
	add_extension(cert, issuer, NID_ext_key_usage, fields->eku);
	if (fields->module_oid != NULL)
		add_module(cert, fields);
	if (fields->padding > 0)
		add_padding(cert, fields->padding);
	must(X509_sign(cert, signer, fields->sha1 ? EVP_sha1() : EVP_sha256()) > 0, "signature");
	return cert;
}

static struct fx_text text_of(BIO *bio)
{
	struct fx_text text;
	char *data;
	long len = BIO_get_mem_data(bio, &data);

	text.data = malloc((size_t)len + 1);
	must(text.data != NULL, "memory");
	memcpy(text.data, data, (size_t)len);
	text.len = (size_t)len;
	BIO_free(bio);
	return text;
}

struct fx_text fx_pem_certs(X509 *const *certs)
{
	BIO *bio = BIO_new(BIO_s_mem());

	for (; *certs != NULL; certs++)
		must(PEM_write_bio_X509(bio, *certs) == 1, "PEM");
	return text_of(bio);
}

struct fx_text fx_pem_key(EVP_PKEY *key)
{
	BIO *bio = BIO_new(BIO_s_mem());

	must(PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) == 1, "PEM");
	return text_of(bio);
}

struct fx_text fx_der(X509 *cert)
{
	BIO *bio = BIO_new(BIO_s_mem());

	must(i2d_X509_bio(bio, cert) == 1, "DER");
	return text_of(bio);
}

void fx_text_free(struct fx_text *text)
{
	free(text->data);
	text->data = NULL;
	text->len = 0;
}

const char *fx_file(const void *data, size_t len)
{
	static char paths[64][32];
	static unsigned used;
	char *path = paths[used++];
	int fd = memfd_create("fixture", 0);

	must(used <= 64 && fd >= 0 && write(fd, data, len) == (ssize_t)len, "file");
	snprintf(path, sizeof(paths[0]), "/proc/self/fd/%d", fd);
	return path;
}

const char *fx_ca_file(X509 *const *certs)
{
	struct fx_text pem = fx_pem_certs(certs);
	const char *path = fx_file(pem.data, pem.len);

	fx_text_free(&pem);
	return path;
}

struct ch_credential *fx_credential(X509 *const *certs, EVP_PKEY *key)
{
	struct fx_text cert_pem = fx_pem_certs(certs);
	struct fx_text key_pem = fx_pem_key(key);
	struct ch_credential *credential = NULL;
	char error[CH_ERROR_TEXT];

	must(ch_credential_from_memory(cert_pem.data, cert_pem.len, key_pem.data, key_pem.len,
				       &credential, error) == 0,
	     error);
	fx_text_free(&cert_pem);
	fx_text_free(&key_pem);
	return credential;
}

enum ch_reason fx_lookup(void *ctx, const struct ch_identity *identity, struct ch_match *match)
{
	struct fx_inventory *inventory = ctx;

	if (identity->manufacturer == CH_MANUFACTURER_NONE) {
		inventory->pin_lookups++;
		if (inventory->identifier != NULL ||
		    memcmp(inventory->pin, identity->spki_sha256, 32) != 0)
			return CH_REASON_UNKNOWN_DEVICE;
		*match = inventory->match;
		return CH_REASON_NONE;
	}
	inventory->lookups++;
	inventory->last = *identity;
	if (inventory->identifier == NULL ||
	    strcmp(inventory->identifier, identity->identifier) != 0)
		return CH_REASON_UNKNOWN_DEVICE;
	if (inventory->manufacturer != identity->manufacturer)
		return CH_REASON_WRONG_MANUFACTURER;
	*match = inventory->match;
	return CH_REASON_NONE;
}

static void make_authorities(struct fx_world *world)
{
	world->acme_root_key = fx_key(FX_P256);
	world->acme_key = fx_key(FX_P256);
	world->borg_key = fx_key(FX_RSA2048);
	world->client_key = fx_key(FX_P256);
	world->acme_root = fx_cert(
		&(struct fx_cert){.key = world->acme_root_key, .cn = "acme root", .ca = true});
	world->acme_ca = fx_cert(&(struct fx_cert){.key = world->acme_key,
						   .issuer = world->acme_root,
						   .issuer_key = world->acme_root_key,
						   .cn = "acme factory",
						   .ca = true});
	world->borg_ca =
		fx_cert(&(struct fx_cert){.key = world->borg_key, .cn = "borg root", .ca = true});
	world->client_cert =
		fx_cert(&(struct fx_cert){.key = world->client_key, .cn = "collector"});
	world->acme_file = fx_ca_file((X509 *[]){world->acme_root, NULL});
	world->borg_file = fx_ca_file((X509 *[]){world->borg_ca, NULL});
	world->client_file = fx_ca_file((X509 *[]){world->client_cert, NULL});
	world->client = fx_credential((X509 *[]){world->client_cert, NULL}, world->client_key);
}

void fx_world_init(struct fx_world *world)
{
	struct ch_tls_client_options options = {.lookup = fx_lookup};
	char error[CH_ERROR_TEXT];

	memset(world, 0, sizeof(*world));
	make_authorities(world);
	must(ch_trust_new(&world->trust) == 0, "trust");
	must(ch_trust_add(world->trust, "acme", world->acme_file, CH_IDENTIFIER_SERIAL_NUMBER,
			  error) == 0,
	     error);
	must(ch_trust_add(world->trust, "borg", world->borg_file, CH_IDENTIFIER_CN, error) == 0,
	     error);
	world->inventory.identifier = "SN1";
	world->inventory.match.device = 7;
	world->inventory.match.credential = world->client;
	options.trust = world->trust;
	options.lookup_ctx = &world->inventory;
	must(ch_tls_client_new(&options, &world->collector) == 0, "collector");
}

void fx_world_deinit(struct fx_world *world)
{
	ch_tls_context_free(world->collector);
	ch_trust_free(world->trust);
	ch_credential_free(world->client);
	X509_free(world->acme_root);
	X509_free(world->acme_ca);
	X509_free(world->borg_ca);
	X509_free(world->client_cert);
	EVP_PKEY_free(world->acme_root_key);
	EVP_PKEY_free(world->acme_key);
	EVP_PKEY_free(world->borg_key);
	EVP_PKEY_free(world->client_key);
}

static struct ch_credential *device(X509 *issuer, EVP_PKEY *issuer_key, X509 *intermediate,
				    enum fx_key type, struct fx_cert fields)
{
	struct ch_credential *credential;
	EVP_PKEY *own = fields.key == NULL ? fx_key(type) : NULL;
	X509 *cert;

	if (own != NULL)
		fields.key = own;
	fields.issuer = fields.issuer != NULL ? fields.issuer : issuer;
	fields.issuer_key = fields.issuer_key != NULL ? fields.issuer_key : issuer_key;
	cert = fx_cert(&fields);
	credential = fx_credential((X509 *[]){cert, intermediate, NULL}, fields.key);
	X509_free(cert);
	EVP_PKEY_free(own);
	return credential;
}

struct ch_credential *fx_acme_device(struct fx_world *world, const struct fx_cert *change)
{
	struct fx_cert fields = change != NULL ? *change : (struct fx_cert){.serial = "SN1"};

	return device(world->acme_ca, world->acme_key, world->acme_ca, FX_P256, fields);
}

struct ch_credential *fx_borg_device(struct fx_world *world, const struct fx_cert *change)
{
	struct fx_cert fields = change != NULL ? *change : (struct fx_cert){.cn = "SN1"};

	return device(world->borg_ca, world->borg_key, NULL, FX_RSA2048, fields);
}

void fx_pair_init(struct fx_pair *pair, struct ch_tls_context *client,
		  struct ch_tls_context *server, const struct ch_credential *credential)
{
	memset(pair, 0, sizeof(*pair));
	must(ch_handshake_client(client, &pair->client) == 0, "client");
	must(ch_handshake_server(server, credential, &pair->server) == 0, "server");
	pair->client_status = ch_handshake_step(pair->client, NULL, 0, &pair->to_server);
	pair->server_status = CH_HANDSHAKE_READ;
}

enum ch_handshake_status fx_feed(struct ch_handshake *to, struct ch_buf *from, struct ch_buf *out)
{
	enum ch_handshake_status status;
	uint8_t *record;
	int body;

	must(from->len >= CH_TLS_HEADER, "a header");
	body = ch_handshake_record_length(from->data);
	must(body > 0 && from->len >= CH_TLS_HEADER + (size_t)body, "a whole record");
	/* Of its own, so that ASan sees a read past the end. */
	record = malloc(CH_TLS_HEADER + (size_t)body);
	must(record != NULL, "memory");
	memcpy(record, from->data, CH_TLS_HEADER + (size_t)body);
	status = ch_handshake_step(to, record, CH_TLS_HEADER + (size_t)body, out);
	ch_buf_consume(from, CH_TLS_HEADER + (size_t)body);
	free(record);
	return status;
}

void fx_pair_run(struct fx_pair *pair)
{
	bool moved = true;

	while (moved) {
		moved = false;
		if (pair->server_status == CH_HANDSHAKE_READ && pair->to_server.len > 0) {
			pair->server_status =
				fx_feed(pair->server, &pair->to_server, &pair->to_client);
			moved = true;
		}
		if (pair->client_status == CH_HANDSHAKE_READ && pair->to_client.len > 0) {
			pair->client_status =
				fx_feed(pair->client, &pair->to_client, &pair->to_server);
			pair->client_records++;
			moved = true;
		}
	}
}

void fx_pair_deinit(struct fx_pair *pair)
{
	ch_handshake_free(pair->client);
	ch_handshake_free(pair->server);
	ch_buf_deinit(&pair->to_client);
	ch_buf_deinit(&pair->to_server);
	memset(pair, 0, sizeof(*pair));
}
