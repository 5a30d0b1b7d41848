/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Where everything in a YAML file stands: libcyaml loads values but keeps no positions, so the
 * file is first read as a stream of libyaml events into this small tree. The pass also refuses what
 * we do not want to meet later: aliases (YAML bombs), tags, deep nesting, several documents.
 */
#include "diag.h"

#include <stdbool.h>

#define CH_INDEX_DEPTH_MAX 8
#define CH_INDEX_NODES_MAX 65536
#define CH_INDEX_SCALAR_MAX 4096
#define CH_INDEX_KEY_MAX 63
#define CH_INDEX_NONE UINT32_MAX

enum ch_node_kind { CH_NODE_SCALAR, CH_NODE_MAPPING, CH_NODE_LIST };

struct ch_node {
	enum ch_node_kind kind;
	bool empty;			/**< scalar: nothing, ~ or null, without quotes */
	char key[CH_INDEX_KEY_MAX + 1]; /**< of a mapping entry, cut if longer; "" in a list */
	struct ch_position key_at;	/**< of the key; in a list as @at */
	struct ch_position at;		/**< of the value */
	uint32_t children;
	uint32_t first, last; /**< children; CH_INDEX_NONE = none */
	uint32_t next;	      /**< sibling; CH_INDEX_NONE = none */
};

/** All zero is empty. Node 0 is the root. */
struct ch_index {
	struct ch_node *nodes;
	uint32_t count;
	uint32_t cap;
};

/** Reads @yaml; mistakes go to @diag, and the index is usable if there were none. @return 0 or -ENOMEM */
CH_NODISCARD int ch_index_build(struct ch_index *index, const uint8_t *yaml, size_t len,
				struct ch_diag *diag);
void ch_index_deinit(struct ch_index *index);

/** The entry of mapping @node; @node may be CH_INDEX_NONE. @return the node or CH_INDEX_NONE */
uint32_t ch_index_entry(const struct ch_index *index, uint32_t node, const char *key);
/** The item of list @node, from 0; @node may be CH_INDEX_NONE. @return the node or CH_INDEX_NONE */
uint32_t ch_index_item(const struct ch_index *index, uint32_t node, size_t item);
/** Where the value of @node stands; {0, 0} for CH_INDEX_NONE. */
struct ch_position ch_index_at(const struct ch_index *index, uint32_t node);
