/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* CRC-32C (Castagnoli), as iSCSI and SCTP have it. */
#include <stddef.h>
#include <stdint.h>

/** Of @data behind what @crc is the sum of; 0 begins. */
uint32_t ch_crc32c(uint32_t crc, const uint8_t *data, size_t len);
