/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/** The version of the TLS library that runs, as it calls itself: "OpenSSL 3.0.17 1 Jul 2025". */
const char *ch_tls_library(void);
