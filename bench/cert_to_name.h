/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The user of a client certificate (RFC 7589 section 7, in the words of ietf-x509-cert-to-name): an
 * ordered list of fingerprints, each with the way to the name. The first entry whose fingerprint is
 * that of the certificate, or of a CA above it, and whose way leads to a name, decides.
 *
 * A list is a text file, one entry per line, # begins a comment:
 *   ID FINGERPRINT MAP-TYPE [NAME]
 * with FINGERPRINT as x509c2n:tls-fingerprint (04: and SHA-256, 05: SHA-384, 06: SHA-512, in
 * hexadecimal, colons in between) and MAP-TYPE specified (the NAME), san-rfc822-name, san-dns-name,
 * san-ip-address, san-any or common-name. Entries count in the order of their IDs.
 */
#include <callhome/error.h>
#include "user/core/buf.h"

#define SIM_NAME_MAX 256 /**< bytes of a name with its NUL */
#define SIM_NAMES_MAX 64 /**< entries of a list */
#define SIM_NAMES_ERROR 512

struct sim_names;

/** @return 0, or an error with one sentence in @error that names file and line */
CH_NODISCARD int sim_names_load(const char *file, struct sim_names **names,
				char error[SIM_NAMES_ERROR]);
void sim_names_free(struct sim_names *names);

/**
 * The user of the verified chain @chain: DER, the client's own certificate first.
 * @return 0, or CH_E_UNKNOWN when no entry leads to a name
 */
CH_NODISCARD int sim_names_find(const struct sim_names *names, const struct ch_slice *chain,
				size_t count, char name[SIM_NAME_MAX]);
