/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What the maker and the reader of a PKI directory agree on. */
#include <stdbool.h>
#include <stdint.h>

#define SIM_KEYS 4 /**< shared keys per manufacturer */
#define SIM_PATH_MAX 1024

/** Is device (or spare) @index a borg? Every fourth is: RSA signatures cost a device 20 times as much. */
static inline bool sim_pki_is_borg(uint32_t index)
{
	return index % 4 == 3;
}

/** The identifier in the certificate: "ACM-00000007" or "BRG-00000003"; spares are "…-9000000N". */
void sim_pki_identifier(uint32_t index, bool spare, char identifier[32]);

/** dir/name. @return 0 or -1 when too long */
int sim_pki_path(const char *dir, const char *name, char path[SIM_PATH_MAX]);
