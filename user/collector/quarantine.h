/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Unknown devices whose key was proven: one record per key and identity, at most @max of them; a
 * new one replaces the one seen longest ago. Beside them the keys that an operator rejected, at
 * most @max too. Threads: any (a mutex: each call stands behind a handshake).
 *
 * Somebody else may keep the pending ones over a restart: he is woken when one changed, asks for
 * those that changed, and says when they are safe.
 */
#include <callhome/callhome.h>
#include "user/core/address.h"
#include "user/tls/trust.h"

struct ch_quarantine;

CH_NODISCARD int ch_quarantine_new(uint64_t max, struct ch_quarantine **quarantine);
void ch_quarantine_free(struct ch_quarantine *quarantine);

/** @return true when this key was not in the table with this identity. */
bool ch_quarantine_note(struct ch_quarantine *quarantine, const struct ch_identity *identity,
			const char *manufacturer, const struct ch_address *peer, uint64_t unix_ns);

/** Was the key rejected? */
bool ch_quarantine_is_rejected(struct ch_quarantine *quarantine, const uint8_t spki_sha256[32]);

/**
 * The record of a key, pending or rejected. @fingerprint: SHA-256 of the public key or certificate.
 * @return how many there are (a key may come with several identities); @view is one of them
 */
size_t ch_quarantine_find(struct ch_quarantine *quarantine, const uint8_t fingerprint[32],
			  struct ch_quarantine_view *view);

/** Forgets a key, with all its identities, pending or rejected. */
void ch_quarantine_forget(struct ch_quarantine *quarantine, const uint8_t spki_sha256[32]);

/**
 * Forgets the key as pending and keeps it as rejected. @return 0 or -ENOMEM
 */
CH_NODISCARD int ch_quarantine_reject(struct ch_quarantine *quarantine,
				      const struct ch_quarantine_view *view);

/**
 * @fn is called, with no lock held, when a pending record changed and none had before. Set before
 * others use the quarantine.
 */
void ch_quarantine_on_change(struct ch_quarantine *quarantine, void (*fn)(void *ctx), void *ctx);
/** Copies pending records that changed, from the one seen longest ago. @return how many */
size_t ch_quarantine_changed(struct ch_quarantine *quarantine, size_t most,
			     struct ch_quarantine_view *views);
/** @views are safe; one that changed again since has changed still. */
void ch_quarantine_saved(struct ch_quarantine *quarantine, const struct ch_quarantine_view *views,
			 size_t count);
/** Puts a pending record back that was safe, as the one seen last. @return 0 or -ENOMEM */
CH_NODISCARD int ch_quarantine_restore(struct ch_quarantine *quarantine,
				       const struct ch_quarantine_view *view);

/** Those that wait for an operator. */
uint64_t ch_quarantine_count(struct ch_quarantine *quarantine);
/** Pending ones, then rejected ones, each from the one seen longest ago. */
size_t ch_quarantine_copy(struct ch_quarantine *quarantine, size_t first, size_t most,
			  struct ch_quarantine_view *views);
