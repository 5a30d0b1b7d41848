/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What a simulated device says: its hello, its answers, its notifications. */
#include "device.h"

/** The context for @tls, made at first use. @return 0 or an error */
CH_NODISCARD int sim_shared_tls(struct sim_shared *shared, enum sim_tls tls,
				struct ch_tls_context **context);

/** Does the device offer base:1.1? */
bool sim_netconf_offers_chunks(const struct sim_device *device);

/* Each appends to device->out. @return 0 or an error */

CH_NODISCARD int sim_netconf_hello(struct sim_device *device);
/** Answers one rpc; anything else ends the session. */
CH_NODISCARD int sim_netconf_rpc(struct sim_device *device, struct ch_slice message);
CH_NODISCARD int sim_netconf_notification(struct sim_device *device);
