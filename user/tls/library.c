/* SPDX-License-Identifier: Apache-2.0 */
#include "library.h"

#include <openssl/crypto.h>

const char *ch_tls_library(void)
{
	return OpenSSL_version(OPENSSL_VERSION);
}
