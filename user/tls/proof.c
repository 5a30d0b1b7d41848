/* SPDX-License-Identifier: Apache-2.0 */
#include "proof.h"

#include "path.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

bool ch_proof_is_pin(const struct ch_proof *proof)
{
	static const uint8_t none[sizeof(proof->anchor_sha256)];

	return memcmp(proof->anchor_sha256, none, sizeof(none)) == 0;
}

int ch_proof_element(const uint8_t *issuer, size_t issuer_len, const uint8_t *serial,
		     size_t serial_len, uint8_t element[CH_PROOF_ELEMENT])
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	uint8_t sha256[32];
	/* A DER name tells its own length: what follows cannot be taken for a part of it. */
	bool fine = ctx != NULL && EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) == 1 &&
		    EVP_DigestUpdate(ctx, issuer, issuer_len) == 1 &&
		    EVP_DigestUpdate(ctx, serial, serial_len) == 1 &&
		    EVP_DigestFinal_ex(ctx, sha256, NULL) == 1;

	EVP_MD_CTX_free(ctx);
	if (!fine)
		return CH_E_CRYPTO;
	memcpy(element, sha256, CH_PROOF_ELEMENT);
	return 0;
}

const uint8_t *ch_proof_at(const struct ch_proof *proof, size_t index)
{
	return index < CH_PROOF_OWN ? proof->own[index] : proof->more[index - CH_PROOF_OWN];
}

void ch_proof_deinit(struct ch_proof *proof)
{
	free(proof->more);
	memset(proof, 0, sizeof(*proof));
}

int ch_path_element(X509 *cert, uint8_t element[CH_PROOF_ELEMENT])
{
	const uint8_t *issuer;
	const uint8_t *serial;
	size_t issuer_len;
	uint8_t *der = NULL;
	int der_len;
	int err = CH_E_CRYPTO;
	long serial_len;
	int tag;
	int class;

	if (X509_NAME_get0_der(X509_get_issuer_name(cert), &issuer, &issuer_len) != 1)
		return CH_E_CRYPTO;
	der_len = i2d_ASN1_INTEGER(X509_get0_serialNumber(cert), &der);
	if (der_len < 0)
		return -ENOMEM;
	serial = der;
	if ((ASN1_get_object(&serial, &serial_len, &tag, &class, der_len) & 0x80) == 0)
		err = ch_proof_element(issuer, issuer_len, serial, (size_t)serial_len, element);
	OPENSSL_free(der);
	return err;
}

int ch_path_append(struct ch_path *path, X509 *cert)
{
	int err;

	if (path->count == CH_CHAIN_MAX)
		return CH_E_LIMIT;
	err = ch_path_element(cert, path->chain[path->count]);
	if (err == 0)
		path->count++;
	return err;
}

int ch_path_end(struct ch_path *path, X509 *anchor)
{
	return X509_digest(anchor, EVP_sha256(), path->anchor_sha256, NULL) == 1 ? 0 : CH_E_CRYPTO;
}

void ch_path_behind(const struct ch_path *path, struct ch_path *behind)
{
	*behind = *path;
	behind->count = (uint8_t)(path->count - 1);
	memcpy(behind->chain, path->chain[1], (size_t)behind->count * CH_PROOF_ELEMENT);
}

void ch_path_join(struct ch_path *path, const struct ch_path *behind)
{
	memcpy(path->anchor_sha256, behind->anchor_sha256, sizeof(path->anchor_sha256));
	memcpy(path->chain[path->count], behind->chain, (size_t)behind->count * CH_PROOF_ELEMENT);
	path->count = (uint8_t)(path->count + behind->count);
}

int ch_path_prove(const struct ch_path *path, const struct ch_identity *identity,
		  struct ch_proof *proof)
{
	size_t own = path->count < CH_PROOF_OWN ? path->count : CH_PROOF_OWN;
	size_t more = path->count - own;
	uint8_t(*behind)[CH_PROOF_ELEMENT] = NULL;

	if (more > 0) {
		behind = malloc(more * CH_PROOF_ELEMENT);
		if (behind == NULL)
			return -ENOMEM;
		memcpy(behind, path->chain[own], more * CH_PROOF_ELEMENT);
	}
	memset(proof, 0, sizeof(*proof));
	memcpy(proof->anchor_sha256, path->anchor_sha256, sizeof(proof->anchor_sha256));
	memcpy(proof->spki_sha256, identity->spki_sha256, sizeof(proof->spki_sha256));
	memcpy(proof->cert_sha256, identity->cert_sha256, sizeof(proof->cert_sha256));
	memcpy(proof->own, path->chain, own * CH_PROOF_ELEMENT);
	proof->not_after = identity->not_after;
	proof->count = path->count;
	proof->more = behind;
	return 0;
}
