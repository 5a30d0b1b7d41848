/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A whole XML document through expat, the one way this project does it: UTF-8, namespaces, no DTD
 * (so no entity is ever expanded), bounded nesting. Names come as "NAMESPACE|LOCAL", or "LOCAL"
 * without a namespace.
 */
#include "user/core/buf.h"
#include <stdbool.h>

#define CH_XML_BASE_NS "urn:ietf:params:xml:ns:netconf:base:1.0"
#define CH_XML_SEPARATOR '|'

/** @depth: 1 = root. A handler that returns false stops the parser: CH_E_SYNTAX. */
struct ch_xml_handlers {
	bool (*start)(void *ctx, unsigned depth, const char *name);
	bool (*end)(void *ctx, unsigned depth);
	/**
	 * @data is not NUL-terminated; one text may come in several calls, never inside a
	 * character.
	 */
	bool (*text)(void *ctx, unsigned depth, const char *data, size_t len);
};

/**
 * @return 0; CH_E_SYNTAX: not well-formed, has a DOCTYPE, nests too deeply, or was stopped; -ENOMEM
 */
CH_NODISCARD int ch_xml_parse(struct ch_slice xml, unsigned max_depth,
			      const struct ch_xml_handlers *handlers, void *ctx);

/** Is @byte white space in XML? */
static inline bool ch_xml_is_space(uint8_t byte)
{
	return byte == ' ' || byte == '\n' || byte == '\r' || byte == '\t';
}
