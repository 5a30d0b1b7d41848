/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Keyed hash (SipHash-1-3) for every table whose keys a peer can choose. One random key per
 * process, set once at start before any thread exists.
 */
#include <stddef.h>
#include <stdint.h>

/** Sets the process-wide key; before that it is all zero (fine for tests). */
void ch_hash_set_key(const uint8_t key[16]);

/** SipHash-1-3 of @data under the process-wide key. */
uint64_t ch_hash(const void *data, size_t len);
