/* SPDX-License-Identifier: Apache-2.0 */
#include "issuers.h"

#include <errno.h>
#include <openssl/x509v3.h>
#include <stdlib.h>

/* A search compares names one by one; more issuers than this are verified each time. */
#define ISSUERS_MAX 64

struct ch_issuers {
	struct ch_issuer known[ISSUERS_MAX];
	size_t count;
};

int ch_issuers_new(struct ch_issuers **issuers)
{
	*issuers = calloc(1, sizeof(**issuers));
	return *issuers == NULL ? -ENOMEM : 0;
}

void ch_issuers_free(struct ch_issuers *issuers)
{
	if (issuers == NULL)
		return;
	for (size_t i = 0; i < issuers->count; i++) {
		X509_free(issuers->known[i].cert);
		X509_free(issuers->known[i].anchor);
		X509_STORE_free(issuers->known[i].store);
	}
	free(issuers);
}

static bool is_in_time(X509 *cert)
{
	return X509_cmp_current_time(X509_get0_notBefore(cert)) < 0 &&
	       X509_cmp_current_time(X509_get0_notAfter(cert)) > 0;
}

/*
 * Of several that could have issued @leaf path validation takes the first in time. It may not be
 * the one that was verified: then the short way would come to another verdict.
 */
static X509 *presented_issuer(X509 *leaf, STACK_OF(X509) * chain)
{
	for (int i = 0; i < sk_X509_num(chain); i++) {
		X509 *cert = sk_X509_value(chain, i);

		if (X509_check_issued(cert, leaf) == X509_V_OK && is_in_time(cert))
			return cert;
	}
	return NULL;
}

const struct ch_issuer *ch_issuers_find(const struct ch_issuers *issuers,
					const struct ch_manufacturer *manufacturer, X509 *leaf,
					STACK_OF(X509) * chain)
{
	X509 *presented = issuers->count > 0 ? presented_issuer(leaf, chain) : NULL;

	for (size_t i = 0; presented != NULL && i < issuers->count; i++) {
		const struct ch_issuer *issuer = &issuers->known[i];

		if (issuer->manufacturer == manufacturer &&
		    X509_cmp(issuer->cert, presented) == 0 && is_in_time(issuer->anchor))
			return issuer;
	}
	return NULL;
}

static bool has_name_constraints(X509 *cert)
{
	return X509_get_ext_by_NID(cert, NID_name_constraints, -1) >= 0;
}

void ch_issuers_learn(struct ch_issuers *issuers, const struct ch_manufacturer *manufacturer,
		      STACK_OF(X509) * chain, const struct ch_path *path)
{
	struct ch_issuer made = {.manufacturer = manufacturer};

	if (issuers->count == ISSUERS_MAX || sk_X509_num(chain) != 3)
		return;
	made.cert = sk_X509_value(chain, 1);
	made.anchor = sk_X509_value(chain, 2);
	ch_path_behind(path, &made.behind);
	if (has_name_constraints(made.cert) || has_name_constraints(made.anchor))
		return;
	made.store = X509_STORE_new();
	if (made.store == NULL || X509_STORE_add_cert(made.store, made.cert) != 1) {
		X509_STORE_free(made.store);
		return;
	}
	X509_up_ref(made.cert);
	X509_up_ref(made.anchor);
	issuers->known[issuers->count++] = made;
}
