/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Fetches one revocation list into the directory that callhomed reads. Everything is bounded,
 * nothing is followed but http and https, and a file takes the place of the one before only when it
 * reads as a list and is not older.
 */
#include "user/core/buf.h"
#include "user/tls/revocation.h"

struct crl_limits {
	uint64_t max_bytes;
	uint64_t timeout_ns; /**< for one list, redirects included */
	unsigned redirects;
};

struct crl_source {
	const char *file; /**< name in the directory */
	const char *url;
};

enum crl_outcome { CRL_FETCHED, CRL_UNCHANGED, CRL_FAILED };

/** Is this a name that callhomed reads and that stays inside the directory? */
bool crl_name_is_valid(const char *file);

/**
 * Fetches @source into @directory. With @trust (NULL = any) each list must be signed by one of its
 * CAs.
 * @text: what came of it, for people
 */
enum crl_outcome crl_fetch(const struct crl_source *source, const char *directory,
			   const struct ch_trust *trust, const struct crl_limits *limits,
			   char text[CH_ERROR_TEXT]);
