/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What is known of revoked certificates: an immutable set made of CRL files (RFC 5280; PEM or DER,
 * complete and delta), shared by all threads. It is built in the background: a million entries take
 * about a second and 20 bytes each.
 *
 * A list counts once its signature was verified: by an anchor when the set is built, by an
 * intermediate CA as soon as that was seen in a verified chain (its key is remembered over the
 * sets). The digest is kept for it, so that a handshake pays for one signature and no more. A list
 * counts for the manufacturer whose chain its key is of, and for no other.
 *
 * A file that is there, but unreadable, unverifiable or older than what came from it before,
 * changes nothing: the last good list of it stays, and grows stale in time.
 */
#include "proof.h"
#include "user/core/log.h"

struct ch_revocation;

struct ch_revocation_options {
	const char *path; /**< a file, or a directory of files (names with a leading dot are left
			     out) */
	const struct ch_trust *trust; /**< anchors; read while building only */
	struct ch_revocation *old;    /**< the set so far, or NULL */
	const struct ch_log *log;     /**< a warning per file that cannot be used; NULL = none */
};

/**
 * Builds a set with one reference, which the caller owns.
 * @return 0, -ENOMEM, or CH_E_CONFIG: @path cannot be read at all, with one sentence in @error
 */
CH_NODISCARD int ch_revocation_build(const struct ch_revocation_options *options,
				     struct ch_revocation **set, char error[CH_ERROR_TEXT]);

/**
 * Changes when a file of @path comes, goes or changes; 0 = @path cannot be read. Reads names and
 * dates only.
 */
uint64_t ch_revocation_scan(const char *path);
/** What ch_revocation_scan said just before the set was built; 0 for NULL. */
uint64_t ch_revocation_scanned(const struct ch_revocation *set);

/**
 * Would @set be a step back from @before: a list that is older than one of the same issuer there, or
 * none of it? Signatures do not matter.
 */
bool ch_revocation_is_older(const struct ch_revocation *set, const struct ch_revocation *before);

/** One more reference. @return @set. Any thread; NULL is fine. */
struct ch_revocation *ch_revocation_take(struct ch_revocation *set);
/** Gives a reference back. Any thread; NULL is fine. */
void ch_revocation_drop(struct ch_revocation *set);

/** Is a certificate of the chain that let a session in revoked by now? Microseconds. Any thread. */
bool ch_revocation_hits(struct ch_revocation *set, const struct ch_proof *proof);

struct ch_revocation_info {
	uint32_t lists;	  /**< in the set */
	uint32_t pending; /**< of them not verified yet: their issuer was not seen */
	uint32_t stale;	  /**< of the verified: behind their nextUpdate, and no newer one there */
	uint32_t refused; /**< files, or lists in them, that cannot be used */
	uint32_t kept;	  /**< lists that stay although their file is not good any more */
	uint64_t entries;
	uint64_t bytes;	    /**< of memory */
	int64_t oldest;	    /**< thisUpdate of the oldest verified list; 0 = none */
	int64_t next_stale; /**< nextUpdate that comes first among those in use; 0 = none */
	uint64_t build_ns;  /**< CPU time that building took */
	uint64_t built_unix_ns;
};
/** @now: seconds since 1970. Any thread. */
void ch_revocation_info(struct ch_revocation *set, int64_t now, struct ch_revocation_info *info);
