/* SPDX-License-Identifier: Apache-2.0 */
#include "status.h"

#include "staple.h"

#include <stdio.h>
#include <time.h>

static enum ch_reason reject(struct ch_verdict *verdict, enum ch_reason reason, unsigned depth,
			     const char *why)
{
	snprintf(verdict->detail, sizeof(verdict->detail), "depth %u: %s", depth, why);
	return reason;
}

/*
 * The device's own certificate may still get its status from a staple; a CA's comes from lists
 * only.
 */
static enum ch_reason lack(struct ch_verdict *verdict, enum ch_reason reason, unsigned depth)
{
	if (depth == 0) {
		verdict->lacking = reason;
		return CH_REASON_NONE;
	}
	return reject(verdict, reason, depth,
		      reason == CH_REASON_REVOCATION_STALE
			      ? "the revocation list of its issuer is out of date"
			      : "no revocation list of its issuer that is verified");
}

static enum ch_reason judge(const struct ch_manufacturer *manufacturer, enum ch_crl_status status,
			    unsigned depth, struct ch_verdict *verdict)
{
	switch (status) {
	case CH_CRL_REVOKED:
		return reject(verdict, CH_REASON_REVOKED, depth, "on its issuer's revocation list");
	case CH_CRL_GOOD:
		break;
	case CH_CRL_STALE:
		if (manufacturer == NULL)
			break;
		if (manufacturer->stale == CH_STALE_REFUSE)
			return lack(verdict, CH_REASON_REVOCATION_STALE, depth);
		verdict->stale = true;
		break;
	case CH_CRL_MISSING:
		if (manufacturer != NULL && manufacturer->revocation == CH_REVOCATION_REQUIRE)
			return lack(verdict, CH_REASON_REVOCATION_UNKNOWN, depth);
		break;
	}
	return CH_REASON_NONE;
}

enum ch_reason ch_status_lists(const struct ch_verifier *verifier,
			       const struct ch_manufacturer *manufacturer, X509 *const *way,
			       unsigned count, struct ch_verdict *verdict)
{
	struct ch_revocation *set = verifier->revocation;
	const char *owner = manufacturer != NULL ? manufacturer->name : NULL;
	enum ch_reason reason = CH_REASON_NONE;
	int64_t now = time(NULL);

	if (manufacturer != NULL && manufacturer->revocation == CH_REVOCATION_OFF)
		return CH_REASON_NONE;
	for (unsigned i = 1; set != NULL && owner != NULL && i < count; i++)
		ch_revocation_learn(set, way[i], owner);
	/* From the anchor down: a revoked CA may vouch for nobody. */
	for (unsigned i = count; i-- > 0 && reason == CH_REASON_NONE;) {
		enum ch_crl_status status =
			set != NULL ? ch_revocation_ask(set, way[i], owner, now) : CH_CRL_MISSING;

		reason = judge(manufacturer, status, i, verdict);
	}
	if (reason == CH_REASON_NONE && manufacturer != NULL) {
		verdict->issuer = way[1];
		X509_up_ref(verdict->issuer);
		verdict->refuse_stale = manufacturer->stale == CH_STALE_REFUSE;
	}
	return reason;
}

enum ch_reason ch_status_staple(struct ch_verdict *verdict, X509 *leaf, struct ch_slice response)
{
	enum ch_staple_status status = CH_STAPLE_NONE;
	const char *why = "no revocation list of its issuer that is verified, and no staple";

	/* By a pin there is nobody whose signature would count. */
	if (verdict->issuer != NULL && response.len > 0)
		status = ch_staple_check(response, leaf, verdict->issuer, time(NULL), &why);
	switch (status) {
	case CH_STAPLE_GOOD:
		verdict->stapled = true;
		return CH_REASON_NONE;
	case CH_STAPLE_REVOKED:
		return reject(verdict, CH_REASON_REVOKED, 0, why);
	case CH_STAPLE_UNKNOWN:
		return reject(verdict, CH_REASON_REVOCATION_UNKNOWN, 0, why);
	case CH_STAPLE_BAD:
		return reject(verdict, CH_REASON_BAD_STAPLE, 0, why);
	case CH_STAPLE_STALE:
		if (verdict->refuse_stale)
			return reject(verdict, CH_REASON_REVOCATION_STALE, 0, why);
		verdict->stale = true;
		break;
	case CH_STAPLE_NONE:
		if (verdict->lacking == CH_REASON_REVOCATION_STALE)
			why = "the revocation list of its issuer is out of date, and no staple";
		break;
	}
	if (verdict->lacking != CH_REASON_NONE)
		return reject(verdict, verdict->lacking, 0, why);
	return CH_REASON_NONE;
}
