/* SPDX-License-Identifier: Apache-2.0 */
#include "xml.h"

#include <errno.h>
#include <expat.h>

/** expat counts in int; large enough that a token is never parsed over and over again. */
#define PIECE_BYTES ((size_t)1 << 24)

struct parse {
	XML_Parser parser;
	const struct ch_xml_handlers *handlers;
	void *ctx;
	unsigned depth;
	unsigned max_depth;
	bool stopped;
};

static void parse_stop(struct parse *parse)
{
	parse->stopped = true;
	(void)XML_StopParser(parse->parser, XML_FALSE);
}

static void XMLCALL on_start(void *ctx, const XML_Char *name, const XML_Char **attributes)
{
	struct parse *parse = ctx;

	(void)attributes;
	if (parse->stopped)
		return;
	parse->depth++;
	if (parse->depth > parse->max_depth ||
	    !parse->handlers->start(parse->ctx, parse->depth, name))
		parse_stop(parse);
}

/* expat may still end an empty element after it was stopped in its start */
static void XMLCALL on_end(void *ctx, const XML_Char *name)
{
	struct parse *parse = ctx;

	(void)name;
	if (parse->stopped)
		return;
	if (!parse->handlers->end(parse->ctx, parse->depth))
		parse_stop(parse);
	parse->depth--;
}

static void XMLCALL on_text(void *ctx, const XML_Char *data, int len)
{
	struct parse *parse = ctx;

	if (!parse->stopped && !parse->handlers->text(parse->ctx, parse->depth, data, (size_t)len))
		parse_stop(parse);
}

static void XMLCALL on_doctype(void *ctx, const XML_Char *name, const XML_Char *system_id,
			       const XML_Char *public_id, int has_internal_subset)
{
	(void)name;
	(void)system_id;
	(void)public_id;
	(void)has_internal_subset;
	parse_stop(ctx);
}

int ch_xml_parse(struct ch_slice xml, unsigned max_depth, const struct ch_xml_handlers *handlers,
		 void *ctx)
{
	struct parse parse = {.handlers = handlers, .ctx = ctx, .max_depth = max_depth};
	enum XML_Status status;
	size_t at = 0;
	int err = 0;

	parse.parser = XML_ParserCreateNS("UTF-8", CH_XML_SEPARATOR);
	if (parse.parser == NULL)
		return -ENOMEM;
	XML_SetUserData(parse.parser, &parse);
	XML_SetElementHandler(parse.parser, on_start, on_end);
	XML_SetCharacterDataHandler(parse.parser, on_text);
	XML_SetStartDoctypeDeclHandler(parse.parser, on_doctype);
	do {
		size_t piece = xml.len - at < PIECE_BYTES ? xml.len - at : PIECE_BYTES;

		status = XML_Parse(parse.parser, (const char *)xml.data + at, (int)piece,
				   at + piece == xml.len);
		at += piece;
	} while (status == XML_STATUS_OK && at < xml.len);
	if (status != XML_STATUS_OK)
		err = XML_GetErrorCode(parse.parser) == XML_ERROR_NO_MEMORY ? -ENOMEM : CH_E_SYNTAX;
	XML_ParserFree(parse.parser);
	return err;
}
