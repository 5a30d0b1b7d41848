/* SPDX-License-Identifier: Apache-2.0 */
#include "pki.h"
#include "pki_files.h"

#include "user/core/buf.h"
#include "user/tls/credential.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STAPLE_MAX 4096

/* Certificates as DER, one behind the other: half a kilobyte per device instead of an X509 object. */
struct bundle {
	struct ch_buf der;
	struct ch_buf offsets; /* uint32_t each; one more than certificates */
	uint32_t count;
};

struct sim_pki {
	char client_ca[SIM_PATH_MAX];
	char other_ca[SIM_PATH_MAX];
	struct bundle fleet, spares;
	struct ch_credential *acme[SIM_KEYS]; /* chain and key to derive from */
	struct ch_credential *borg[SIM_KEYS];
	struct ch_credential *hostile[SIM_IDENTITY_COUNT];
	struct ch_buf staples[SIM_STAPLE_COUNT];
};

void sim_pki_name(uint32_t index, char name[32])
{
	snprintf(name, 32, "%s-%06u", sim_pki_is_borg(index) ? "borg" : "acme", index);
}

void sim_pki_identifier(uint32_t index, bool spare, char identifier[32])
{
	snprintf(identifier, 32, "%s-%08u", sim_pki_is_borg(index) ? "BRG" : "ACM",
		 (index + (spare ? 90000000 : 0)) % 100000000);
}

int sim_pki_path(const char *dir, const char *name, char path[SIM_PATH_MAX])
{
	return snprintf(path, SIM_PATH_MAX, "%s/%s", dir, name) < SIM_PATH_MAX ? 0 : -1;
}

static int add_offset(struct bundle *bundle)
{
	uint32_t offset = (uint32_t)bundle->der.len;
	return ch_buf_append(&bundle->offsets, &offset, sizeof(offset));
}

static int read_bundle(struct bundle *bundle, FILE *file)
{
	char *kind = NULL, *header = NULL;
	unsigned char *data = NULL;
	long len;
	int err = add_offset(bundle);

	while (!err && PEM_read(file, &kind, &header, &data, &len) == 1) {
		if (strcmp(kind, PEM_STRING_X509) == 0) {
			err = ch_buf_append(&bundle->der, data, (size_t)len);
			bundle->count++;
			if (!err)
				err = add_offset(bundle);
		}
		OPENSSL_free(kind);
		OPENSSL_free(header);
		OPENSSL_free(data);
	}
	ERR_clear_error(); /* the end of the file is an error to PEM_read */
	return err;
}

static int load_bundle(struct bundle *bundle, const char *dir, const char *name, char *error)
{
	char path[SIM_PATH_MAX] = "";
	int err = -ENAMETOOLONG;
	FILE *file = NULL;

	/* offsets are 32 bits wide */
	bundle->der.max = UINT32_MAX;
	if (sim_pki_path(dir, name, path) == 0) {
		file = fopen(path, "r");
		err = file ? read_bundle(bundle, file) : -errno;
	}
	if (err)
		snprintf(error, SIM_PKI_ERROR, "cannot read %s/%s: %s (make it with gen-certs)", dir,
			 name, ch_error_text(err));
	if (file)
		fclose(file);
	return err;
}

static int load_credential(const char *dir, const char *name, struct ch_credential **credential,
			   char *error)
{
	char cert[SIM_PATH_MAX], key[SIM_PATH_MAX], file[64];

	snprintf(file, sizeof(file), "sim/%s.pem", name);
	int bad = sim_pki_path(dir, file, cert);
	snprintf(file, sizeof(file), "sim/%s.key", name);
	if (bad || sim_pki_path(dir, file, key) != 0) {
		snprintf(error, SIM_PKI_ERROR, "the directory name is too long");
		return -ENAMETOOLONG;
	}
	return ch_credential_load(cert, key, credential, error);
}

static int load_credentials(struct sim_pki *pki, const char *dir, char *error)
{
	char name[32];
	int err = 0;

	for (int i = 0; i < SIM_KEYS && !err; i++) {
		snprintf(name, sizeof(name), "acme-%d", i);
		err = load_credential(dir, name, &pki->acme[i], error);
		snprintf(name, sizeof(name), "borg-%d", i);
		if (!err)
			err = load_credential(dir, name, &pki->borg[i], error);
	}
	for (int i = SIM_IDENTITY_UNKNOWN_CA; i < SIM_IDENTITY_STOLEN && !err; i++) {
		snprintf(name, sizeof(name), "hostile-%02d", i);
		err = load_credential(dir, name, &pki->hostile[i], error);
	}
	return err;
}

static int derive(const struct sim_pki *pki, const struct bundle *bundle, uint32_t index,
		  struct ch_credential **credential, char *error)
{
	const struct ch_credential *base = sim_pki_is_borg(index) ? pki->borg[index % SIM_KEYS]
								  : pki->acme[index % SIM_KEYS];
	uint32_t bounds[2];

	snprintf(error, SIM_PKI_ERROR, "the PKI directory has no such device");
	if (index >= bundle->count)
		return CH_E_RANGE;
	memcpy(bounds, bundle->offsets.data + index * sizeof(uint32_t), sizeof(bounds));
	return ch_credential_with_key(base, bundle->der.data + bounds[0], bounds[1] - bounds[0],
				      credential, error);
}

static int load_staple(struct ch_buf *staple, const char *dir, int kind, char *error)
{
	char name[64], path[SIM_PATH_MAX] = "";
	int err = -ENAMETOOLONG;
	FILE *file = NULL;
	size_t got = 0;

	snprintf(name, sizeof(name), "sim/staple-%d.der", kind);
	if (sim_pki_path(dir, name, path) == 0) {
		file = fopen(path, "r");
		err = file ? ch_buf_reserve(staple, STAPLE_MAX) : -errno;
	}
	if (!err)
		got = fread(staple->data, 1, STAPLE_MAX, file);
	if (!err && (got == 0 || got == STAPLE_MAX))
		err = CH_E_SYNTAX;
	staple->len = got;
	if (err)
		snprintf(error, SIM_PKI_ERROR, "cannot read %.160s/%.20s: %s (make it with gen-certs)", dir,
			 name, ch_error_text(err));
	if (file)
		fclose(file);
	return err;
}

/* The certificate of the first device, with a key that is not its own. */
static int steal(struct sim_pki *pki, char *error)
{
	struct ch_credential *victim = NULL;
	int err = derive(pki, &pki->fleet, 0, &victim, error);

	if (!err)
		err = ch_credential_steal(victim, &pki->hostile[SIM_IDENTITY_STOLEN]);
	ch_credential_free(victim);
	return err;
}

/* More certificates than any file may hold: those of the huge chain again and again. */
static int lengthen(struct ch_credential *credential, char *error)
{
	int certs = sk_X509_num(credential->chain);

	for (int i = 0; i < certs; i++) {
		X509 *cert = sk_X509_value(credential->chain, i);
		if (sk_X509_push(credential->chain, cert) <= 0) {
			snprintf(error, SIM_PKI_ERROR, "out of memory");
			return -ENOMEM;
		}
		X509_up_ref(cert);
	}
	return 0;
}

int sim_pki_load(const char *dir, struct sim_pki **loaded, char error[SIM_PKI_ERROR])
{
	struct sim_pki *pki = calloc(1, sizeof(*pki));
	int err = -ENOMEM;

	snprintf(error, SIM_PKI_ERROR, "out of memory");
	if (!pki)
		return err;
	if (sim_pki_path(dir, "sim/collector-ca.pem", pki->client_ca) != 0 ||
	    sim_pki_path(dir, "sim/other-ca.pem", pki->other_ca) != 0)
		snprintf(error, SIM_PKI_ERROR, "the directory name is too long");
	else
		err = load_bundle(&pki->fleet, dir, "sim/fleet.pem", error);
	if (!err)
		err = load_bundle(&pki->spares, dir, "sim/spares.pem", error);
	if (!err)
		err = load_credentials(pki, dir, error);
	for (int i = SIM_STAPLE_NONE + 1; i < SIM_STAPLE_COUNT && !err; i++)
		err = load_staple(&pki->staples[i], dir, i, error);
	if (!err)
		err = lengthen(pki->hostile[SIM_IDENTITY_HUGE_CHAIN], error);
	if (!err)
		err = steal(pki, error);
	if (err) {
		sim_pki_free(pki);
		return err;
	}
	*loaded = pki;
	error[0] = '\0';
	return 0;
}

const char *const sim_chain_names[SIM_CHAIN_COUNT] = {
	[SIM_CHAIN_AS_ISSUED] = "as-issued", [SIM_CHAIN_THREE] = "three",
	[SIM_CHAIN_REVERSED] = "reversed",   [SIM_CHAIN_GAP] = "gap",
	[SIM_CHAIN_NONE] = "none",	     [SIM_CHAIN_WITH_ROOT] = "with-root",
};

/* Certificates of a PEM file, in its order, behind those of @chain. */
static int read_chain(STACK_OF(X509) * chain, const char *dir, const char *name, char *error)
{
	char path[SIM_PATH_MAX] = "";
	FILE *file = sim_pki_path(dir, name, path) == 0 ? fopen(path, "r") : NULL;
	X509 *cert;
	int before = sk_X509_num(chain);

	while (file && (cert = PEM_read_X509(file, NULL, NULL, NULL)) != NULL) {
		if (sk_X509_push(chain, cert) <= 0)
			X509_free(cert);
	}
	ERR_clear_error(); /* the end of the file is an error to PEM_read_X509 */
	if (file)
		fclose(file);
	if (sk_X509_num(chain) > before)
		return 0;
	snprintf(error, SIM_PKI_ERROR, "cannot read %s/%s: make the directory anew with gen-certs",
		 dir, name);
	return CH_E_CONFIG;
}

static int set_chain(struct ch_credential *credential, const char *dir, bool acme,
		     enum sim_chain kind, char *error)
{
	STACK_OF(X509) *chain = credential->chain;

	if (kind == SIM_CHAIN_WITH_ROOT)
		return read_chain(chain, dir, acme ? "acme-ca.pem" : "borg-ca.pem", error);
	if (kind == SIM_CHAIN_AS_ISSUED || !acme)
		return 0;
	while (sk_X509_num(chain) > 0)
		X509_free(sk_X509_pop(chain));
	if (kind == SIM_CHAIN_NONE)
		return 0;
	int err = read_chain(chain, dir, "sim/acme-three.pem", error);
	if (!err && kind == SIM_CHAIN_GAP)
		X509_free(sk_X509_delete(chain, 1));
	for (int i = 0; !err && kind == SIM_CHAIN_REVERSED && i < sk_X509_num(chain); i++) {
		X509 *last = sk_X509_pop(chain);
		/* there is room: it was just taken out */
		(void)sk_X509_insert(chain, last, i);
	}
	return err;
}

int sim_pki_set_chain(struct sim_pki *pki, const char *dir, enum sim_chain chain,
		      char error[SIM_PKI_ERROR])
{
	int err = 0;

	for (int i = 0; i < SIM_KEYS && !err; i++) {
		err = set_chain(pki->acme[i], dir, true, chain, error);
		if (!err)
			err = set_chain(pki->borg[i], dir, false, chain, error);
	}
	return err;
}

static void free_bundle(struct bundle *bundle)
{
	ch_buf_deinit(&bundle->der);
	ch_buf_deinit(&bundle->offsets);
}

void sim_pki_free(struct sim_pki *pki)
{
	if (!pki)
		return;
	free_bundle(&pki->fleet);
	free_bundle(&pki->spares);
	for (int i = 0; i < SIM_KEYS; i++) {
		ch_credential_free(pki->acme[i]);
		ch_credential_free(pki->borg[i]);
	}
	for (int i = 0; i < SIM_IDENTITY_COUNT; i++)
		ch_credential_free(pki->hostile[i]);
	for (int i = 0; i < SIM_STAPLE_COUNT; i++)
		ch_buf_deinit(&pki->staples[i]);
	free(pki);
}

uint32_t sim_pki_devices(const struct sim_pki *pki)
{
	return pki->fleet.count;
}

const char *sim_pki_client_ca(const struct sim_pki *pki)
{
	return pki->client_ca;
}

struct ch_slice sim_pki_staple(const struct sim_pki *pki, enum sim_staple kind)
{
	return (struct ch_slice){pki->staples[kind].data, pki->staples[kind].len};
}

const char *sim_pki_other_ca(const struct sim_pki *pki)
{
	return pki->other_ca;
}

/* The @number-th spare of a manufacturer, round robin; indices of borg are 3, 7, 11 ... */
static uint32_t spare_index(const struct sim_pki *pki, uint32_t number, bool borg)
{
	uint32_t fours = pki->spares.count / 4;

	if (fours == 0)
		return UINT32_MAX;
	if (borg)
		return number % fours * 4 + 3;
	number %= fours * 3;
	return number / 3 * 4 + number % 3;
}

int sim_pki_credential(const struct sim_pki *pki, enum sim_identity identity, uint32_t index,
		       const struct ch_credential **shown, struct ch_credential **owned)
{
	char error[SIM_PKI_ERROR];
	int err = CH_E_RANGE;

	*owned = NULL;
	if (identity == SIM_IDENTITY_FLEET)
		err = derive(pki, &pki->fleet, index, owned, error);
	else if (identity == SIM_IDENTITY_SPARE || identity == SIM_IDENTITY_SPARE_RSA)
		err = derive(pki, &pki->spares,
			     spare_index(pki, index, identity == SIM_IDENTITY_SPARE_RSA), owned,
			     error);
	else if ((unsigned)identity < SIM_IDENTITY_COUNT)
		err = 0;
	*shown = *owned ? *owned : pki->hostile[identity];
	return err;
}
