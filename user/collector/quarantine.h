/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Unknown devices whose key was proven: one record per certificate, at most @max of them; a new one
 * replaces the one seen longest ago. Threads: any (a mutex: each call stands behind a handshake).
 */
#include <callhome/callhome.h>
#include "user/core/address.h"
#include "user/tls/trust.h"

struct ch_quarantine;

CH_NODISCARD int ch_quarantine_new(uint64_t max, struct ch_quarantine **quarantine);
void ch_quarantine_free(struct ch_quarantine *quarantine);

/** @return true when this certificate was not in the table. */
bool ch_quarantine_note(struct ch_quarantine *quarantine, const struct ch_identity *identity,
			const char *manufacturer, const struct ch_address *peer, uint64_t unix_ns);

uint64_t ch_quarantine_count(struct ch_quarantine *quarantine);
size_t ch_quarantine_copy(struct ch_quarantine *quarantine, size_t first, size_t most,
			  struct ch_quarantine_view *views);
