/* SPDX-License-Identifier: Apache-2.0 */
#include "library.h"

#include <openssl/crypto.h>
#include <openssl/rand.h>

const char *ch_tls_library(void)
{
	return OpenSSL_version(OPENSSL_VERSION);
}

int ch_tls_random(uint8_t *into, size_t len)
{
	return RAND_bytes(into, (int)len) == 1 ? 0 : CH_E_CRYPTO;
}
