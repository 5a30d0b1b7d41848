/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The library context of our side's handshakes: OpenSSL's default provider, cut down to the
 * algorithms that TLS 1.2 and 1.3 can need here. OpenSSL before 3.2 puts the decoders for a public
 * key together anew for every certificate, and walks over all algorithms it has ever loaded to do
 * so; with a tenth of them left a handshake takes a fifth less CPU time (measured).
 * It is also a policy: what is not here cannot be negotiated.
 */
#include <openssl/types.h>

/** Shared by all handshakes of the process; made at the first call. NULL: out of memory. */
OSSL_LIB_CTX *ch_tls_algorithms(void);
