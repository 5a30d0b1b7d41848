/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The CA certificates that vouched for a device at least once, so that a session needs two bytes to
 * name one. A fleet has few; a table that is full keeps no more, and then names are missing where
 * they are shown. Threads: any.
 */
#include "user/tls/proof.h"

#define CH_AUTHORITIES_MAX 1024
#define CH_AUTHORITY_NONE 0

struct ch_authorities;

CH_NODISCARD int ch_authorities_new(struct ch_authorities **authorities);
void ch_authorities_free(struct ch_authorities *authorities);

/** By a key of CH_PROOF_ELEMENT bytes. @return its id or CH_AUTHORITY_NONE */
uint16_t ch_authorities_find(struct ch_authorities *authorities, const uint8_t *key);

/** Adds one, unless it is there. @return its id, or CH_AUTHORITY_NONE: the table is full */
uint16_t ch_authorities_add(struct ch_authorities *authorities, const uint8_t *key,
			    const struct ch_certificate_facts *facts);

/** @return false: there is none of that id */
bool ch_authorities_read(struct ch_authorities *authorities, uint16_t id,
			 struct ch_certificate_facts *facts);
