/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include "devices.h"

/**
 * As ch_devices_load for text that is already in memory. Takes @text: the fields of the devices
 * stay in it. At least one byte more than its length must be allocated.
 */
CH_NODISCARD int ch_devices_parse(const struct ch_config *config, struct ch_buf *text,
				  struct ch_devices **devices, struct ch_buf *error);
