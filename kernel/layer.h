/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Which record layer a session gets, per direction, and why: policy of the configuration against
 * what the start-up probe found. Pure.
 */
#include "ktls.h"

/** What the configuration asks for. */
enum ch_layer_policy { CH_LAYER_POLICY_AUTO, CH_LAYER_POLICY_KERNEL, CH_LAYER_POLICY_USER };

enum ch_layer {
	CH_LAYER_NONE, /**< no session yet */
	CH_LAYER_USER,
	CH_LAYER_KERNEL,
	CH_LAYER_KERNEL_RX, /**< receiving in the kernel, sending in user space */
	CH_LAYER_KERNEL_TX,
};

/** Why a direction is not in the kernel. */
enum ch_layer_why {
	CH_WHY_NONE,	/**< it is, or no session yet */
	CH_WHY_POLICY,	/**< record-layer: user */
	CH_WHY_NO_TLS,	/**< the kernel does not do TLS */
	CH_WHY_REKEY,	/**< auto: the kernel cannot do KeyUpdate */
	CH_WHY_CIPHER,	/**< the kernel lacks the cipher */
	CH_WHY_REFUSED, /**< the kernel refused this socket or these keys */
};

struct ch_layer_plan {
	bool rx; /**< try the kernel */
	bool tx;
	enum ch_layer_why why; /**< when one of them is false */
};

struct ch_layer_plan ch_layer_plan(enum ch_layer_policy policy,
				   const struct ch_ktls_support *support, uint16_t version,
				   uint8_t aead);

/** Shall TCP_ULP be set on accepted sockets? */
bool ch_layer_wants_ulp(enum ch_layer_policy policy, const struct ch_ktls_support *support);

enum ch_layer ch_layer_of(bool armed, bool rx, bool tx);

/** "", "user", "kernel", "kernel-rx", "kernel-tx". */
const char *ch_layer_name(enum ch_layer layer);
/** A sentence, "" for CH_WHY_NONE. */
const char *ch_layer_why_text(enum ch_layer_why why);

/** What new sessions get: "user", "kernel", or "kernel (TLS 1.2), user (TLS 1.3)". */
const char *ch_layer_summary(enum ch_layer_policy policy, const struct ch_ktls_support *support);
