/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What devices are judged by, in generations. A policy is one generation of it: immutable, shared
 * by all threads. A judge is what one worker needs of OpenSSL for it, built by whoever loads and
 * handed over whole. A handshake ends under the judge it began with; whom it let in is judged again
 * if the generation changed meanwhile, as the sessions are that were up (ch_judge_again).
 */
#include "devices.h"
#include "user/core/log.h"
#include "user/tls/handshake.h"
#include "user/tls/proof.h"

#include <stdatomic.h>

struct ch_policy {
	_Atomic uint32_t holders;
	uint64_t generation; /**< 1 = the one of the start */
	uint64_t unix_ns;    /**< when it was loaded */
	struct ch_config *config;
	struct ch_devices *devices;
	struct ch_policy *owner;	  /**< held: whose @devices are; NULL = they are its own */
	struct ch_revocation *revocation; /**< a reference; NULL = no lists are configured */
};

/** Takes @devices and a hold on @config, unless it fails. The caller holds the result. */
CH_NODISCARD int ch_policy_new(struct ch_config *config, struct ch_devices *devices,
			       uint64_t generation, struct ch_policy **policy);
/** The next generation of @before, which differs in the revocation lists only. */
CH_NODISCARD int ch_policy_next(struct ch_policy *before, struct ch_policy **policy);
/**
 * Reads the revocation lists of the policy's configuration; @before (may be NULL) is the set so far.
 * @return 0; CH_E_CONFIG with a sentence in @error; -ENOMEM
 */
CH_NODISCARD int ch_policy_load_revocation(struct ch_policy *policy, struct ch_revocation *before,
					   const struct ch_log *log, struct ch_buf *error);
struct ch_policy *ch_policy_hold(struct ch_policy *policy);
/** NULL is fine. */
void ch_policy_drop(struct ch_policy *policy);

/** Thread: one at a time; the worker that has it, or the loader. */
struct ch_judge {
	struct ch_policy *policy; /**< held; replaced when only the inventory changed */
	struct ch_trust *trust;
	struct ch_tls_context *tls;
	struct ch_credential **credentials; /**< as in the configuration */
	uint32_t logins;		    /**< connections that began under it and still log in */
	bool retired;			    /**< no new ones: goes with the last of them */
	struct ch_judge *next;
};

/**
 * Reads certificates, keys and anchors of @policy (and holds it).
 * @return 0; CH_E_CONFIG with a sentence in @error; -ENOMEM
 */
CH_NODISCARD int ch_judge_new(struct ch_policy *policy, struct ch_judge **judge,
			      struct ch_buf *error);
void ch_judge_free(struct ch_judge *judge);

/** What a session remembers of the identity it proved, beside its ch_proof. */
struct ch_proven {
	uint64_t identifier_hash;
	uint8_t identifier_kind; /**< enum ch_identifier_kind */
	uint32_t tag;		 /**< ch_devices_identity_tag; also by a pin */
};

/** @identity was proven under @judge. */
struct ch_proven ch_judge_proven(const struct ch_judge *judge, const struct ch_identity *identity);

/**
 * May the session of @device, let in by @proof and @proven under whatever generation, stay?
 * @return NONE, REVOKED, DEVICE_REMOVED or TRUST_CHANGED
 */
enum ch_reason ch_judge_again(const struct ch_judge *judge, const struct ch_proof *proof,
			      struct ch_proven proven, uint32_t device);
