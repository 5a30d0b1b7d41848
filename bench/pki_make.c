/* SPDX-License-Identifier: Apache-2.0 */
#include "pki.h"
#include "pki_files.h"
#include "pki_status.h"

#include <errno.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define LONG_CHAIN (CH_CHAIN_MAX - 1) /* intermediates of the huge chain; repeated when it is loaded */

struct issuer {
	X509 *cert;
	EVP_PKEY *key;
};

/* Everything that exists while a directory is made. */
struct maker {
	const struct sim_pki_spec *spec;
	char *error;
	struct issuer acme_root, acme, borg, evil, collector;
	struct issuer withdrawn; /* below acme's root, and on its list */
	X509 *revoked, *stapled; /* devices below acme */
	struct issuer chain[LONG_CHAIN];
	EVP_PKEY *acme_keys[SIM_KEYS];
	EVP_PKEY *borg_keys[SIM_KEYS];
};

struct cert_spec {
	const char *cn;
	const char *serial;	     /* subject serialNumber, NULL = none */
	const struct issuer *issuer; /* NULL = self-signed */
	EVP_PKEY *key;
	int from_days, to_days; /* validity, relative to now */
	const char *usage;	/* extended key usage, NULL = a CA */
};

static int fail(struct maker *maker, const char *what, const char *name)
{
	snprintf(maker->error, SIM_PKI_ERROR, "%.60s %.120s: %.60s", what, name,
		 errno ? strerror(errno) : "OpenSSL refused");
	return CH_E_CRYPTO;
}

static int add_extension(X509 *cert, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX context;
	X509V3_set_ctx(&context, issuer, cert, NULL, NULL, 0);
	X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
	int added = extension && X509_add_ext(cert, extension, -1);
	X509_EXTENSION_free(extension);
	return added;
}

static int set_subject(X509 *cert, const struct cert_spec *spec)
{
	X509_NAME *name = X509_get_subject_name(cert);
	const unsigned char *cn = (const unsigned char *)spec->cn;
	const unsigned char *serial = (const unsigned char *)spec->serial;
	return X509_NAME_add_entry_by_NID(name, NID_commonName, MBSTRING_UTF8, cn, -1, -1, 0) &&
	       (!serial || X509_NAME_add_entry_by_NID(name, NID_serialNumber, MBSTRING_UTF8, serial,
						      -1, -1, 0));
}

static int set_serial(X509 *cert)
{
	uint64_t number = 0;
	if (RAND_bytes((unsigned char *)&number, sizeof(number)) != 1)
		return 0;
	return ASN1_INTEGER_set_uint64(X509_get_serialNumber(cert), number >> 1 | 1);
}

static int add_extensions(X509 *cert, X509 *issuer, const char *usage)
{
	if (!usage)
		return add_extension(cert, issuer, NID_basic_constraints, "critical,CA:TRUE") &&
		       add_extension(cert, issuer, NID_key_usage, "critical,keyCertSign,cRLSign");
	return add_extension(cert, issuer, NID_basic_constraints, "critical,CA:FALSE") &&
	       add_extension(cert, issuer, NID_key_usage, "critical,digitalSignature,keyEncipherment") &&
	       add_extension(cert, issuer, NID_ext_key_usage, usage);
}

static X509 *make_cert(const struct cert_spec *spec)
{
	X509 *cert = X509_new();
	X509 *issuer = spec->issuer ? spec->issuer->cert : cert;
	EVP_PKEY *signer = spec->issuer ? spec->issuer->key : spec->key;

	if (cert && X509_set_version(cert, X509_VERSION_3) && set_serial(cert) &&
	    X509_time_adj_ex(X509_getm_notBefore(cert), spec->from_days, 0, NULL) &&
	    X509_time_adj_ex(X509_getm_notAfter(cert), spec->to_days, 0, NULL) &&
	    X509_set_pubkey(cert, spec->key) && set_subject(cert, spec) &&
	    X509_set_issuer_name(cert, X509_get_subject_name(issuer)) &&
	    add_extensions(cert, issuer, spec->usage) && X509_sign(cert, signer, EVP_sha256()))
		return cert;
	X509_free(cert);
	return NULL;
}

static X509 *make_device(const struct issuer *issuer, EVP_PKEY *key, const char *cn,
			 const char *serial)
{
	const struct cert_spec spec = {cn, serial, issuer, key, -1, 3650, "serverAuth,clientAuth"};
	return make_cert(&spec);
}

static int make_ca(struct maker *maker, struct issuer *made, const char *cn, EVP_PKEY *key,
		   const struct issuer *issuer)
{
	const struct cert_spec spec = {cn, NULL, issuer, key, -1, 7300, NULL};
	made->key = key;
	made->cert = key ? make_cert(&spec) : NULL;
	return made->cert ? 0 : fail(maker, "cannot make the CA", cn);
}

static void free_issuer(struct issuer *issuer)
{
	X509_free(issuer->cert);
	EVP_PKEY_free(issuer->key);
}

static FILE *open_file(struct maker *maker, const char *name, const char *mode)
{
	char path[SIM_PATH_MAX];
	FILE *file = NULL;

	errno = ENAMETOOLONG;
	if (sim_pki_path(maker->spec->dir, name, path) == 0)
		file = fopen(path, mode);
	if (!file)
		fail(maker, "cannot write", name);
	return file;
}

/* @return 0 only when every byte reached the file */
static int close_file(struct maker *maker, FILE *file, const char *name, int written)
{
	errno = 0;
	int bad = ferror(file);
	if (fclose(file) != 0 || bad || !written)
		return fail(maker, "cannot write", name);
	return 0;
}

static int write_cert(struct maker *maker, const char *name, X509 *cert, X509 *next)
{
	FILE *file = open_file(maker, name, "w");
	if (!file)
		return CH_E_CRYPTO;
	int written = cert && PEM_write_X509(file, cert) && (!next || PEM_write_X509(file, next));
	return close_file(maker, file, name, written);
}

static int write_key(struct maker *maker, const char *name, EVP_PKEY *key)
{
	FILE *file = open_file(maker, name, "w");
	if (!file)
		return CH_E_CRYPTO;
	int written = fchmod(fileno(file), 0600) == 0 &&
		      PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL);
	return close_file(maker, file, name, written);
}

/* Another way from acme's device CA up to its root: three intermediates, for the devices there are.
 */
static int make_three(struct maker *maker)
{
	const struct cert_spec spec = {
		"acme device CA", NULL, &maker->chain[1], maker->acme.key, -1, 7300, NULL};
	static const char name[] = "sim/acme-three.pem";
	FILE *file = open_file(maker, name, "w");

	if (!file)
		return CH_E_CRYPTO;
	X509 *cert = make_cert(&spec);
	int written = cert && PEM_write_X509(file, cert) &&
		      PEM_write_X509(file, maker->chain[1].cert) &&
		      PEM_write_X509(file, maker->chain[0].cert);
	X509_free(cert);
	return close_file(maker, file, name, written);
}

static int make_authorities(struct maker *maker)
{
	struct maker *m = maker;
	int err = make_ca(m, &m->acme_root, "acme root CA", EVP_EC_gen("P-256"), NULL);
	if (!err)
		err = make_ca(m, &m->acme, "acme device CA", EVP_EC_gen("P-256"), &m->acme_root);
	if (!err)
		err = make_ca(m, &m->borg, "borg root CA", EVP_RSA_gen(2048), NULL);
	if (!err)
		err = make_ca(m, &m->evil, "nobody's CA", EVP_EC_gen("P-256"), NULL);
	if (!err)
		err = make_ca(m, &m->collector, "collector CA", EVP_EC_gen("P-256"), NULL);
	for (int i = 0; i < LONG_CHAIN && !err; i++) {
		char cn[32];
		snprintf(cn, sizeof(cn), "acme sub CA %d", i + 1);
		err = make_ca(m, &m->chain[i], cn, EVP_EC_gen("P-256"),
			      i ? &m->chain[i - 1] : &m->acme_root);
	}
	if (!err)
		err = make_ca(m, &m->withdrawn, "acme withdrawn CA", EVP_EC_gen("P-256"),
			      &m->acme_root);
	if (!err)
		err = make_three(m);
	if (!err)
		err = write_cert(m, "acme-ca.pem", m->acme_root.cert, NULL);
	if (!err)
		err = write_cert(m, "borg-ca.pem", m->borg.cert, NULL);
	/* Whoever wants to try revocation signs lists of their own. */
	if (!err)
		err = write_cert(m, "sim/acme-ca.pem", m->acme.cert, NULL);
	if (!err)
		err = write_key(m, "sim/acme-ca.key", m->acme.key);
	if (!err)
		err = write_cert(m, "sim/collector-ca.pem", m->collector.cert, NULL);
	if (!err)
		err = write_cert(m, "sim/other-ca.pem", m->evil.cert, NULL);
	return err;
}

static int make_collector(struct maker *maker)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	const struct cert_spec spec = {"callhome collector", NULL, &maker->collector, key, -1, 3650,
				       "clientAuth"};
	X509 *cert = key ? make_cert(&spec) : NULL;
	int err = write_cert(maker, "client.pem", cert, NULL);
	if (!err)
		err = write_key(maker, "client.key", key);
	X509_free(cert);
	EVP_PKEY_free(key);
	return err;
}

static int make_keys(struct maker *maker)
{
	int err = 0;

	for (uint32_t i = 0; i < SIM_KEYS && !err; i++) {
		const char *names[2] = {"acme", "borg"};
		maker->acme_keys[i] = EVP_EC_gen("P-256");
		maker->borg_keys[i] = EVP_RSA_gen(2048);
		EVP_PKEY *keys[2] = {maker->acme_keys[i], maker->borg_keys[i]};
		X509 *certs[2] = {make_device(&maker->acme, keys[0], "acme key", "none"),
				  make_device(&maker->borg, keys[1], "borg key", NULL)};
		X509 *issuers[2] = {maker->acme.cert, NULL};
		for (int k = 0; k < 2 && !err; k++) {
			char name[64];
			snprintf(name, sizeof(name), "sim/%s-%u.pem", names[k], i);
			err = write_cert(maker, name, certs[k], issuers[k]);
			snprintf(name, sizeof(name), "sim/%s-%u.key", names[k], i);
			if (!err)
				err = write_key(maker, name, keys[k]);
		}
		X509_free(certs[0]);
		X509_free(certs[1]);
	}
	return err;
}

static X509 *make_inventory_device(struct maker *maker, bool borg, uint32_t index,
				   const char *identifier)
{
	uint32_t key = index % SIM_KEYS;
	return borg ? make_device(&maker->borg, maker->borg_keys[key], identifier, NULL)
		    : make_device(&maker->acme, maker->acme_keys[key], "acme router", identifier);
}

/* The certificates of a bundle, and their rows of the inventory. */
static int make_bundle(struct maker *maker, const char *name, uint32_t count, bool spare, FILE *csv)
{
	FILE *file = open_file(maker, name, "w");
	int written = 1;

	if (!file)
		return CH_E_CRYPTO;
	for (uint32_t i = 0; i < count && written; i++) {
		char device[32], identifier[32];
		bool borg = sim_pki_is_borg(i);
		sim_pki_name(i, device);
		sim_pki_identifier(i, spare, identifier);
		X509 *cert = make_inventory_device(maker, borg, i, identifier);
		written = cert && fprintf(file, "# %s%s\n", spare ? "spare-" : "", device) > 0 &&
			  PEM_write_X509(file, cert) &&
			  fprintf(csv, "%s,%s,%s%s,default,default\n", borg ? "borg" : "acme",
				  identifier, spare ? "spare-" : "", device) > 0;
		X509_free(cert);
	}
	return close_file(maker, file, name, written);
}

static int make_inventory(struct maker *maker)
{
	FILE *csv = open_file(maker, "devices.csv", "w");
	if (!csv)
		return CH_E_CRYPTO;
	int written = fputs("manufacturer,identifier,name,credential,profile\n", csv) >= 0;
	int err = make_bundle(maker, "sim/fleet.pem", maker->spec->devices, false, csv);
	if (!err)
		err = make_bundle(maker, "sim/spares.pem", maker->spec->spares, true, csv);
	int closed = close_file(maker, csv, "devices.csv", written);
	return err ? err : closed;
}

static int make_config(struct maker *maker)
{
	FILE *file = open_file(maker, "callhomed.yaml", "w");
	if (!file)
		return CH_E_CRYPTO;
	int written =
		fprintf(file,
			"listen:\n"
			"  - {name: tls, address: \"%s\", transport: netconf-tls}\n"
			"trust:\n"
			"  crl: crl\n"
			"  manufacturers:\n"
			"    - {name: acme, ca: acme-ca.pem, identifier: serialNumber, stale-crl: refuse}\n"
			"    - {name: borg, ca: borg-ca.pem, identifier: cn}\n"
			"credentials:\n"
			"  - {name: default, tls-cert: client.pem, tls-key: client.key}\n"
			"profiles:\n"
			"  - {name: default, on-connect: [get-config, subscribe]}\n"
			"devices: {file: devices.csv, unknown: reject}\n"
			"control: {socket: callhomed.sock}\n"
			"spool: {directory: spool, max-bytes: 1GiB}\n"
			"%s",
			maker->spec->listen, maker->spec->limits) > 0;
	return close_file(maker, file, "callhomed.yaml", written);
}

/* Flips one bit of the signature, which stays well-formed DER. */
static X509 *spoil_signature(X509 *cert)
{
	const ASN1_BIT_STRING *signature = NULL;
	unsigned char *der = NULL;
	X509 *spoiled = NULL;

	if (!cert)
		return NULL;
	X509_get0_signature(&signature, NULL, cert);
	int len = i2d_X509(cert, &der);
	if (signature && len > 0) {
		der[len - 1] ^= 1;
		const unsigned char *cursor = der;
		spoiled = d2i_X509(NULL, &cursor, len);
	}
	OPENSSL_free(der);
	X509_free(cert);
	return spoiled;
}

static X509 *make_hostile_cert(struct maker *maker, enum sim_identity identity, EVP_PKEY *key)
{
	char known[32];
	const char *usage = "serverAuth,clientAuth";
	/* the identifiers of real devices where that is the better disguise */
	sim_pki_identifier(0, false, known);
	const struct cert_spec expired = {"acme router", known, &maker->acme, key, -700, -1, usage};
	const struct cert_spec future = {"acme router", known, &maker->acme, key, 30, 700, usage};
	const struct cert_spec own = {"acme router", known, NULL, key, -1, 700, usage};
	const struct cert_spec client = {"acme router", known, &maker->acme, key, -1, 700, "clientAuth"};

	switch (identity) {
	case SIM_IDENTITY_UNKNOWN_CA:
		return make_device(&maker->evil, key, "acme router", known);
	case SIM_IDENTITY_UNKNOWN_SERIAL:
		return make_device(&maker->acme, key, "acme router", "ACM-99999999");
	case SIM_IDENTITY_OTHER_MANUFACTURER:
		return make_device(&maker->borg, key, known, NULL);
	case SIM_IDENTITY_EXPIRED:
		return make_cert(&expired);
	case SIM_IDENTITY_NOT_YET_VALID:
		return make_cert(&future);
	case SIM_IDENTITY_SELF_SIGNED:
		return make_cert(&own);
	case SIM_IDENTITY_BAD_SIGNATURE:
		return spoil_signature(make_device(&maker->acme, key, "acme router", known));
	case SIM_IDENTITY_NO_IDENTIFIER:
		return make_device(&maker->acme, key, "acme router", NULL);
	case SIM_IDENTITY_WRONG_USAGE:
		return make_cert(&client);
	case SIM_IDENTITY_WEAK_KEY:
		return make_device(&maker->acme, key, "acme router", known);
	case SIM_IDENTITY_HUGE_CHAIN:
		return make_device(&maker->chain[LONG_CHAIN - 1], key, "acme router", known);
	case SIM_IDENTITY_REVOKED:
		return make_device(&maker->acme, key, "acme router", known);
	case SIM_IDENTITY_REVOKED_CA:
		return make_device(&maker->withdrawn, key, "acme router", known);
	case SIM_IDENTITY_STAPLED:
		sim_pki_identifier(0, true, known);
		return make_device(&maker->acme, key, "acme router", known);
	case SIM_IDENTITY_FLEET:
	case SIM_IDENTITY_SPARE:
	case SIM_IDENTITY_SPARE_RSA:
	case SIM_IDENTITY_STOLEN:
	case SIM_IDENTITY_COUNT:
		break; /* made as bundles, or from them when the directory is loaded */
	}
	return NULL;
}

static int write_hostile_chain(struct maker *maker, enum sim_identity identity, const char *name,
			       X509 *cert)
{
	if (identity == SIM_IDENTITY_SELF_SIGNED || identity == SIM_IDENTITY_OTHER_MANUFACTURER ||
	    identity == SIM_IDENTITY_UNKNOWN_CA)
		return write_cert(maker, name, cert, NULL);
	if (identity == SIM_IDENTITY_REVOKED_CA)
		return write_cert(maker, name, cert, maker->withdrawn.cert);
	if (identity != SIM_IDENTITY_HUGE_CHAIN)
		return write_cert(maker, name, cert, maker->acme.cert);

	FILE *file = open_file(maker, name, "w");
	if (!file)
		return CH_E_CRYPTO;
	int written = cert && PEM_write_X509(file, cert);
	for (int i = LONG_CHAIN - 1; i >= 0 && written; i--)
		written = PEM_write_X509(file, maker->chain[i].cert);
	return close_file(maker, file, name, written);
}

static int make_hostile(struct maker *maker, enum sim_identity identity)
{
	char name[64];
	EVP_PKEY *key = identity == SIM_IDENTITY_WEAK_KEY ? EVP_RSA_gen(1024) : EVP_EC_gen("P-256");
	X509 *cert = key ? make_hostile_cert(maker, identity, key) : NULL;
	snprintf(name, sizeof(name), "sim/hostile-%02d.pem", identity);
	int err = write_hostile_chain(maker, identity, name, cert);
	snprintf(name, sizeof(name), "sim/hostile-%02d.key", identity);
	if (!err)
		err = write_key(maker, name, key);
	if (identity == SIM_IDENTITY_REVOKED)
		maker->revoked = cert;
	else if (identity == SIM_IDENTITY_STAPLED)
		maker->stapled = cert;
	else
		X509_free(cert);
	EVP_PKEY_free(key);
	return err;
}

static int write_list(struct maker *maker, const char *name, const struct issuer *issuer,
		      X509 *revoked)
{
	FILE *file = open_file(maker, name, "w");
	if (!file)
		return CH_E_CRYPTO;
	int written = sim_pki_write_crl(file, issuer->cert, issuer->key, revoked);
	return close_file(maker, file, name, written);
}

static int write_staple(struct maker *maker, enum sim_staple kind)
{
	char name[64];
	snprintf(name, sizeof(name), "sim/staple-%d.der", kind);
	FILE *file = open_file(maker, name, "w");
	if (!file)
		return CH_E_CRYPTO;
	int written =
		sim_pki_write_staple(file, kind, maker->stapled, maker->acme.cert, maker->acme.key,
				     maker->evil.cert, maker->evil.key);
	return close_file(maker, file, name, written);
}

static int make_status(struct maker *maker)
{
	int err = write_list(maker, "crl/acme-root.crl", &maker->acme_root, maker->withdrawn.cert);
	if (!err)
		err = write_list(maker, "crl/acme.crl", &maker->acme, maker->revoked);
	if (!err)
		err = write_list(maker, "crl/borg.crl", &maker->borg, NULL);
	for (int i = SIM_STAPLE_NONE + 1; i < SIM_STAPLE_COUNT && !err; i++)
		err = write_staple(maker, (enum sim_staple)i);
	return err;
}

static int make_directory(struct maker *maker, const char *name)
{
	char path[SIM_PATH_MAX];

	if (sim_pki_path(maker->spec->dir, name, path) != 0) {
		errno = ENAMETOOLONG;
		return fail(maker, "cannot use", maker->spec->dir);
	}
	if (mkdir(path, 0700) != 0 && errno != EEXIST)
		return fail(maker, "cannot make the directory", path);
	errno = 0;
	return 0;
}

static int make_directories(struct maker *maker)
{
	int err = make_directory(maker, "");
	if (!err)
		err = make_directory(maker, "sim");
	return err ? err : make_directory(maker, "crl");
}

static void free_maker(struct maker *maker)
{
	struct issuer *issuers[] = {&maker->acme_root, &maker->acme, &maker->borg, &maker->evil,
				    &maker->collector, &maker->withdrawn};
	for (size_t i = 0; i < sizeof(issuers) / sizeof(issuers[0]); i++)
		free_issuer(issuers[i]);
	X509_free(maker->revoked);
	X509_free(maker->stapled);
	for (int i = 0; i < LONG_CHAIN; i++)
		free_issuer(&maker->chain[i]);
	for (int i = 0; i < SIM_KEYS; i++) {
		EVP_PKEY_free(maker->acme_keys[i]);
		EVP_PKEY_free(maker->borg_keys[i]);
	}
}

int sim_pki_make(const struct sim_pki_spec *spec, char error[SIM_PKI_ERROR])
{
	struct maker maker = {.spec = spec, .error = error};

	error[0] = '\0';
	int err = make_directories(&maker);
	if (!err)
		err = make_authorities(&maker);
	if (!err)
		err = make_collector(&maker);
	if (!err)
		err = make_keys(&maker);
	if (!err)
		err = make_inventory(&maker);
	for (int i = SIM_IDENTITY_UNKNOWN_CA; i < SIM_IDENTITY_STOLEN && !err; i++)
		err = make_hostile(&maker, (enum sim_identity)i);
	if (!err)
		err = make_status(&maker);
	if (!err)
		err = make_config(&maker);
	free_maker(&maker);
	return err;
}
