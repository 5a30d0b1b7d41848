/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include <callhome/error.h>
#include <stddef.h>
#include <stdint.h>

/** The version of the TLS library that runs, as it calls itself: "OpenSSL 3.0.17 1 Jul 2025". */
const char *ch_tls_library(void);

/** Fills @into with random bytes. @return 0 or CH_E_CRYPTO */
CH_NODISCARD int ch_tls_random(uint8_t *into, size_t len);
