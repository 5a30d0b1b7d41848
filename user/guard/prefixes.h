/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Prefix rules in user space: the same longest match as the kernel's trie, for collectors without
 * eBPF and for what is told at accept. Immutable once built; any thread.
 */
#include <callhome/error.h>
#include "kernel/guard.h"
#include "user/core/address.h"
#include "user/core/buf.h"

#define CH_PREFIXES_MAX 1048576 /**< as many as the kernel's table takes */

/** The address as 16 bytes, IPv4 as v4-mapped. */
void ch_source_whole(const struct ch_address *address, struct guard_source *source);
/** Keeps the first @bits bits of 128. */
void ch_source_cut(struct guard_source *source, uint32_t bits);
bool ch_source_is_v4(const struct guard_source *source);

/** "192.0.2.0/24", "2001:db8::/32" or an address alone. Bits behind the prefix must be zero. */
CH_NODISCARD int ch_prefix_parse(const char *text, struct guard_prefix *prefix);
#define CH_PREFIX_TEXT 64
void ch_prefix_format(const struct guard_prefix *prefix, char text[CH_PREFIX_TEXT]);

/** Growing list, in any order; the last of equal prefixes counts. All zero is empty. */
struct ch_prefix_list {
	struct ch_guard_prefix *items;
	size_t count, cap;
	size_t written; /**< prefixes that were added, of which an IPv6 one may be several items */
};
CH_NODISCARD int ch_prefix_list_add(struct ch_prefix_list *list, const struct guard_prefix *prefix,
				    uint32_t rule);
/**
 * Adds the prefixes of a file: one a line, '#' begins a comment.
 * @return 0; CH_E_CONFIG with "file:line: what" in @error (at most 20 of them); -ENOMEM
 */
CH_NODISCARD int ch_prefix_list_read(struct ch_prefix_list *list, const char *file, uint32_t rule,
				     struct ch_buf *error);
/** Adds what no packet of the Internet comes from. @return 0 or as ch_prefix_list_add */
CH_NODISCARD int ch_prefix_list_add_bogons(struct ch_prefix_list *list, uint32_t rule);
void ch_prefix_list_deinit(struct ch_prefix_list *list);

struct ch_prefixes;
CH_NODISCARD int ch_prefixes_new(const struct ch_prefix_list *list, struct ch_prefixes **prefixes);
void ch_prefixes_free(struct ch_prefixes *prefixes);
/** @return the rule of the longest prefix that holds @source (not cut), 0 = none */
uint32_t ch_prefixes_find(const struct ch_prefixes *prefixes, const struct guard_source *source);
