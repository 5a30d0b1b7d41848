/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Key schedule beside OpenSSL's handshake: RFC 8446 section 7, RFC 5246 section 6.3. */
#include "user/core/record_keys.h"
#include <callhome/error.h>
#include <stdbool.h>
#include <stddef.h>

/** key, iv from @direction->secret; sequence becomes 0. @return 0 or CH_E_CRYPTO. */
CH_NODISCARD int ch_keys_from_secret(uint8_t aead, uint8_t secret_len,
				     struct ch_direction_keys *direction);

/** secret = HKDF-Expand-Label(secret, "traffic upd"), then as ch_keys_from_secret. */
CH_NODISCARD int ch_keys_update(uint8_t aead, uint8_t secret_len,
				struct ch_direction_keys *direction);

/**
 * TLS 1.2 key block: fills key and iv of both directions. @sha384: hash of the PRF. @client: we
 * are the client. @return 0 or CH_E_CRYPTO
 */
CH_NODISCARD int ch_keys_from_master(struct ch_record_keys *keys, const uint8_t *master,
				     size_t master_len, const uint8_t client_random[32],
				     const uint8_t server_random[32], bool sha384, bool client);
