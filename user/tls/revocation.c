/* SPDX-License-Identifier: Apache-2.0 */
#include "revocation.h"

#include "path.h"
#include "revocation_set.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

/* Clocks differ: a list may be from so many seconds ahead. */
#define SKEW_S 300

struct ch_revocation *ch_revocation_take(struct ch_revocation *set)
{
	if (set != NULL)
		atomic_fetch_add(&set->references, 1);
	return set;
}

static void free_list(struct ch_crl_list *list)
{
	if (list == NULL)
		return;
	free(list->file);
	free(list->point);
	free(list->signature);
	free(list);
}

void ch_revocation_drop(struct ch_revocation *set)
{
	if (set == NULL || atomic_fetch_sub(&set->references, 1) != 1)
		return;
	for (uint32_t i = 0; i < set->list_count; i++)
		free_list(set->lists[i]);
	free(set->lists);
	free(set->hits);
	free(set->anchors);
	ch_crl_issuers_drop(set->issuers);
	free(set);
}

uint64_t ch_revocation_scanned(const struct ch_revocation *set)
{
	return set != NULL ? set->scanned : 0;
}

void ch_revocation_learn(struct ch_revocation *set, X509 *ca, const char *owner)
{
	/* What cannot be remembered leaves its lists unverified: they do not count. */
	if (ch_crl_issuers_learn(set->issuers, ca, owner) != 0)
		ERR_clear_error();
}

/* The entries of one element: they lie side by side. */
struct hits {
	const struct ch_crl_hit *first;
	size_t count;
};

static struct hits find_hits(const struct ch_revocation *set,
			     const uint8_t element[CH_PROOF_ELEMENT])
{
	uint64_t low = 0;
	uint64_t high = set->hit_count;
	struct hits found = {NULL, 0};

	if (set->hit_count == 0)
		return found;
	while (low < high) {
		uint64_t middle = low + (high - low) / 2;

		if (memcmp(set->hits[middle].element, element, CH_PROOF_ELEMENT) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	found = (struct hits){set->hits + low, 0};
	while (low + found.count < set->hit_count &&
	       memcmp(found.first[found.count].element, element, CH_PROOF_ELEMENT) == 0)
		found.count++;
	return found;
}

static const struct ch_crl_hit *hit_of(struct hits hits, uint32_t list)
{
	for (size_t i = 0; i < hits.count; i++)
		if (hits.first[i].list == list)
			return &hits.first[i];
	return NULL;
}

/* One issuer's lists for one distribution point: the newest that is good, and its newest delta. */
struct scope {
	uint32_t base; /**< index, or UINT32_MAX */
	uint32_t delta;
	uint32_t end; /**< index behind the last list of the scope */
};

static bool is_newer(const struct ch_crl_list *list, const struct ch_crl_list *than)
{
	int order = memcmp(list->number, than->number, CH_CRL_NUMBER);

	return order > 0 || (order == 0 && list->this_update > than->this_update);
}

/* May the delta be applied to @base (RFC 5280 section 5.2.4)? Without one it stands for itself. */
static bool applies(const struct ch_crl_list *delta, const struct ch_crl_list *base)
{
	return base == NULL || (memcmp(delta->base, base->number, CH_CRL_NUMBER) <= 0 &&
				memcmp(delta->number, base->number, CH_CRL_NUMBER) > 0);
}

static void newest(const struct ch_revocation *set, struct scope *scope, uint32_t first, bool delta,
		   const char *owner)
{
	const struct ch_crl_list *base = scope->base != UINT32_MAX ? set->lists[scope->base] : NULL;
	uint32_t *best = delta ? &scope->delta : &scope->base;

	for (uint32_t i = first; i < scope->end; i++) {
		const struct ch_crl_list *list = set->lists[i];

		if (list->delta != delta || !ch_crl_list_is_of(list, owner) ||
		    (delta && !applies(list, base)))
			continue;
		if (*best == UINT32_MAX || is_newer(list, set->lists[*best]))
			*best = i;
	}
}

static struct scope find_scope(const struct ch_revocation *set, uint32_t first, const char *owner)
{
	const struct ch_crl_list *list = set->lists[first];
	struct scope scope = {UINT32_MAX, UINT32_MAX, first};

	while (scope.end < set->list_count &&
	       memcmp(set->lists[scope.end]->name, list->name, 16) == 0 &&
	       memcmp(set->lists[scope.end]->scope, list->scope, 16) == 0)
		scope.end++;
	newest(set, &scope, first, false, owner);
	newest(set, &scope, first, true, owner);
	return scope;
}

static bool is_revoked(const struct scope *scope, struct hits hits)
{
	const struct ch_crl_hit *hit =
		scope->delta != UINT32_MAX ? hit_of(hits, scope->delta) : NULL;

	if (hit != NULL)
		return hit->removed == 0;
	hit = scope->base != UINT32_MAX ? hit_of(hits, scope->base) : NULL;
	return hit != NULL && hit->removed == 0;
}

/* The first list of the issuer, or list_count. */
static uint32_t find_name(const struct ch_revocation *set, const uint8_t name[16])
{
	uint32_t low = 0;
	uint32_t high = set->list_count;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (memcmp(set->lists[middle]->name, name, 16) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* A list of one distribution point tells only of certificates that name it. */
static bool names_point(X509 *cert, const struct ch_crl_list *list)
{
	int at = X509_get_ext_by_NID(cert, NID_crl_distribution_points, -1);
	const ASN1_OCTET_STRING *value;

	if (list->point_len == 0)
		return true;
	if (at < 0)
		return false;
	value = X509_EXTENSION_get_data(X509_get_ext(cert, at));
	return memmem(ASN1_STRING_get0_data(value), (size_t)ASN1_STRING_length(value), list->point,
		      list->point_len) != NULL;
}

static bool is_fresh(const struct ch_crl_list *list, int64_t now)
{
	return list->this_update <= now + SKEW_S && now <= list->next_update;
}

/* What a scope that does not revoke the certificate says of it. */
static enum ch_crl_status status_of(const struct ch_revocation *set, const struct scope *scope,
				    X509 *cert, int64_t now)
{
	const struct ch_crl_list *base;
	bool authority = X509_check_ca(cert) != 0;

	if (scope->base == UINT32_MAX)
		return CH_CRL_MISSING;
	base = set->lists[scope->base];
	if ((authority ? !base->authorities : !base->users) || !names_point(cert, base))
		return CH_CRL_MISSING;
	if (is_fresh(base, now) ||
	    (scope->delta != UINT32_MAX && is_fresh(set->lists[scope->delta], now)))
		return CH_CRL_GOOD;
	return CH_CRL_STALE;
}

enum ch_crl_status ch_revocation_ask(struct ch_revocation *set, X509 *cert, const char *owner,
				     int64_t now)
{
	enum ch_crl_status best = CH_CRL_MISSING;
	uint8_t element[CH_PROOF_ELEMENT];
	struct ch_slice issuer;
	uint8_t name[16];
	struct hits hits;
	uint32_t at;

	if (X509_NAME_get0_der(X509_get_issuer_name(cert), &issuer.data, &issuer.len) != 1 ||
	    ch_crl_hash(issuer, name) != 0 || ch_path_element(cert, element) != 0)
		return CH_CRL_MISSING;
	ch_crl_issuers_settle(set);
	at = find_name(set, name);
	hits = find_hits(set, element);
	while (at < set->list_count && memcmp(set->lists[at]->name, name, 16) == 0) {
		struct scope scope = find_scope(set, at, owner);
		enum ch_crl_status status;

		if (is_revoked(&scope, hits))
			return CH_CRL_REVOKED;
		status = status_of(set, &scope, cert, now);
		if (status < best)
			best = status;
		at = scope.end;
	}
	return best;
}

static const char *owner_of(const struct ch_revocation *set, const struct ch_proof *proof)
{
	for (size_t i = 0; i < set->anchor_count; i++)
		if (memcmp(set->anchors[i].sha256, proof->anchor_sha256, 32) == 0)
			return set->anchors[i].owner;
	return NULL;
}

static bool element_is_revoked(const struct ch_revocation *set, const char *owner,
			       const uint8_t element[CH_PROOF_ELEMENT])
{
	struct hits hits = find_hits(set, element);

	for (size_t i = 0; i < hits.count; i++) {
		uint32_t first = hits.first[i].list;
		struct scope scope;

		while (first > 0 &&
		       memcmp(set->lists[first - 1]->name, set->lists[first]->name, 16) == 0 &&
		       memcmp(set->lists[first - 1]->scope, set->lists[first]->scope, 16) == 0)
			first--;
		scope = find_scope(set, first, owner);
		if (is_revoked(&scope, hits))
			return true;
	}
	return false;
}

bool ch_revocation_hits(struct ch_revocation *set, const struct ch_proof *proof)
{
	const char *owner;

	if (set == NULL || set->hit_count == 0)
		return false;
	ch_crl_issuers_settle(set);
	owner = owner_of(set, proof);
	for (uint8_t i = 0; i < proof->count; i++)
		if (element_is_revoked(set, owner, ch_proof_at(proof, i)))
			return true;
	return false;
}

static bool has_newer(const struct ch_revocation *set, const struct ch_crl_list *list)
{
	for (uint32_t i = 0; i < set->list_count; i++) {
		const struct ch_crl_list *other = set->lists[i];

		if (other->delta == list->delta && memcmp(other->name, list->name, 16) == 0 &&
		    memcmp(other->scope, list->scope, 16) == 0 && !is_newer(list, other))
			return true;
	}
	return false;
}

bool ch_revocation_is_older(const struct ch_revocation *set, const struct ch_revocation *before)
{
	for (uint32_t i = 0; i < before->list_count; i++)
		if (!has_newer(set, before->lists[i]))
			return true;
	return false;
}

static void count_scope(const struct ch_revocation *set, const struct scope *scope, int64_t now,
			struct ch_revocation_info *info)
{
	const struct ch_crl_list *base;
	int64_t until;

	if (scope->base == UINT32_MAX)
		return;
	base = set->lists[scope->base];
	until = base->next_update;
	if (scope->delta != UINT32_MAX && set->lists[scope->delta]->next_update > until)
		until = set->lists[scope->delta]->next_update;
	info->stale += until < now;
	if (info->oldest == 0 || base->this_update < info->oldest)
		info->oldest = base->this_update;
	if (info->next_stale == 0 || until < info->next_stale)
		info->next_stale = until;
}

void ch_revocation_info(struct ch_revocation *set, int64_t now, struct ch_revocation_info *info)
{
	*info = (struct ch_revocation_info){0};
	if (set == NULL)
		return;
	ch_crl_issuers_settle(set);
	info->lists = set->list_count;
	info->refused = set->refused;
	info->kept = set->kept;
	info->entries = set->hit_count;
	info->bytes = sizeof(*set) + set->hit_count * sizeof(*set->hits) +
		      set->list_count * (sizeof(*set->lists) + sizeof(**set->lists));
	info->build_ns = set->build_ns;
	info->built_unix_ns = set->built_unix_ns;
	for (uint32_t i = 0; i < set->list_count; i++)
		info->pending += set->lists[i]->issuer == NULL;
	for (uint32_t i = 0; i < set->list_count;) {
		struct scope scope = find_scope(set, i, NULL);

		count_scope(set, &scope, now, info);
		i = scope.end;
	}
}
