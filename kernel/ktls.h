/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The kernel's TLS record layer. The handshake happened in user space; this hands the traffic keys
 * over, each direction alone, on a socket whose ULP was set right after accept (later it may be
 * ENOTCONN, when the peer's FIN is in). A direction that is refused stays in user space: the socket
 * is plain TCP for it until its keys are in.
 *
 * Thread: any; the probe is run once at start.
 */
#include <callhome/error.h>
#include "user/core/record_keys.h"

#include <stdbool.h>
#include <stdint.h>

enum ch_ktls_direction { CH_KTLS_RX, CH_KTLS_TX };

/** What one cipher can do here; each value is 0 or a negated errno. */
struct ch_ktls_cipher {
	int rx;
	int tx;
};

/** What this kernel offers, found by trying on a loopback pair with throw-away keys. */
struct ch_ktls_support {
	int ulp; /**< 0, or why TCP_ULP "tls" is refused (-ENOENT: no CONFIG_TLS, or no module) */
	struct ch_ktls_cipher tls12[4]; /**< by enum ch_aead */
	struct ch_ktls_cipher tls13[4];
	/**
	 * TLS 1.3 plaintext can be decrypted straight into our buffer. Not where padding, if it
	 * comes all the same, spoils the record behind it (seen from 6.16 to 6.18).
	 */
	bool no_pad;
	bool rekey; /**< keys of a live TLS 1.3 session can be changed: KeyUpdate works */
};

/** Tries everything; some milliseconds. Without the ULP all ciphers carry its error. */
void ch_ktls_probe(struct ch_ktls_support *support);

/** Sets the ULP on an established socket. @return 0 (also if it was set before) or a negated errno.
 */
CH_NODISCARD int ch_ktls_prepare(int fd);

/**
 * Hands one direction over. Nothing may be buffered in between: sending, every byte of the
 * handshake must have left; receiving, not one byte behind the handshake may have been taken.
 * @return 0; -ENOENT (cipher not in this kernel), -EINVAL, -ENOPROTOOPT, -ENOTCONN, -EBUSY: the
 * direction stays in user space. @support: what the probe found here
 */
CH_NODISCARD int ch_ktls_install(int fd, enum ch_ktls_direction direction,
				 const struct ch_record_keys *keys,
				 const struct ch_ktls_support *support);

/** Bytes of the largest key block below. */
#define CH_KTLS_INFO_MAX 64

/**
 * The kernel's key structure for one direction, as bytes for setsockopt(SOL_TLS, TLS_RX or TLS_TX):
 * pure. Wipe after use. @return its length, 0 for a cipher it does not know
 */
uint32_t ch_ktls_info(const struct ch_record_keys *keys, enum ch_ktls_direction direction,
		      uint8_t info[CH_KTLS_INFO_MAX]);

/** The option name of a direction. */
int ch_ktls_option(enum ch_ktls_direction direction);
