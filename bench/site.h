/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A folder of its own with a PKI, a configuration and a callhomed: what demo and resilience run on.
 */
#include "daemon.h"
#include "pki.h"

#include "user/core/address.h"

#define SIM_SITE_PATH 1024
#define SIM_SITE_ERROR 300

struct sim_site {
	char dir[SIM_SITE_PATH / 2];
	char program[SIM_SITE_PATH]; /**< callhomed */
	char config[SIM_SITE_PATH], socket[SIM_SITE_PATH], spool[SIM_SITE_PATH], log[SIM_SITE_PATH];
	struct ch_address address; /**< on 127.0.0.1, for the devices */
	struct sim_pki *pki;
	struct sim_daemon daemon;
};

struct sim_site_spec {
	const char *name;      /**< in the name of a temporary directory */
	const char *keep;      /**< directory to be made; NULL = a temporary one */
	const char *callhomed; /**< NULL = beside this program */
	uint32_t devices, spares;
	bool any_address;   /**< listen on 0.0.0.0, not only on 127.0.0.1 */
	const char *limits; /**< further lines of the configuration */
};

/**
 * Makes the folder and what is in it, and chooses a port that was free a moment ago.
 * @return 0, or an error with one sentence in @error; sim_site_deinit follows in both cases
 */
CH_NODISCARD int sim_site_init(struct sim_site *site, const struct sim_site_spec *spec,
			       char error[SIM_SITE_ERROR]);

/** Starts the daemon and waits until it answers. @return as sim_site_init */
CH_NODISCARD int sim_site_start(struct sim_site *site, char error[SIM_SITE_ERROR]);

/** Ends what runs; @remove: the folder too. */
void sim_site_deinit(struct sim_site *site, bool remove);

/** Removes a folder with everything in it; it need not be there. */
void sim_site_remove(const char *dir);
