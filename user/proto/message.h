/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What a NETCONF message is, from its first start tag (RFC 6241, RFC 5277); no XML parser on the
 * hot path. Prefixes are accepted, namespaces are not resolved here.
 */
#include "user/core/buf.h"
#include <stdbool.h>

enum ch_message_kind {
	CH_MESSAGE_OTHER, /**< well-formed start tag with another name */
	CH_MESSAGE_HELLO,
	CH_MESSAGE_RPC,
	CH_MESSAGE_RPC_REPLY,
	CH_MESSAGE_NOTIFICATION,
	CH_MESSAGE_MALFORMED, /**< no start tag, a DOCTYPE, or not XML */
};

struct ch_message {
	enum ch_message_kind kind;
	struct ch_slice message_id; /**< raw attribute value; data == NULL when absent */
	struct ch_slice body; /**< what follows the first start tag (empty if it is self-closing) */
};

/**
 * Reads the first start tag of a whole message. Skips BOM, XML declaration, comments, PIs; bounded
 * by @xml.
 */
void ch_message_scan(struct ch_slice xml, struct ch_message *message);

/**
 * As ch_message_scan, on the beginning of a message. @return false: the start tag is not complete
 * and not wrong so far (@message then says MALFORMED): come back with more
 */
bool ch_message_scan_head(struct ch_slice head, struct ch_message *message);

/**
 * Local name of the first child element of @body (operation of an rpc, first element of a reply);
 * empty if none.
 */
struct ch_slice ch_message_first_child(struct ch_slice body);

struct ch_reply_info {
	bool ok;		 /**< has <ok/> */
	bool error;		 /**< has an rpc-error with severity error (or none) */
	char error_tag[64];	 /**< error-tag of the first rpc-error, "" if none */
	char error_message[256]; /**< UTF-8, cut */
};

/**
 * Finds rpc-error in a whole <rpc-reply>. A plain search first: replies without the word cost no
 * parser; else expat, with @max_depth. @return 0; CH_E_SYNTAX: not well-formed or too deep;
 * -ENOMEM. Elements count in the base namespace or in none.
 */
CH_NODISCARD int ch_reply_inspect(struct ch_slice xml, unsigned max_depth,
				  struct ch_reply_info *info);
