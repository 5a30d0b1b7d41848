/* SPDX-License-Identifier: Apache-2.0 */
#include "config_index.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

struct builder {
	struct ch_index *index;
	struct ch_diag *diag;
	uint32_t open[CH_INDEX_DEPTH_MAX]; /* mappings and lists that are not ended */
	uint32_t depth;
	bool have_key; /* of the innermost mapping */
	char key[CH_INDEX_KEY_MAX + 1];
	struct ch_position key_at;
	uint32_t documents;
};

static struct ch_position position(yaml_mark_t mark)
{
	return (struct ch_position){(uint32_t)mark.line + 1, (uint32_t)mark.column + 1};
}

static int add_node(struct builder *b, enum ch_node_kind kind, struct ch_position at,
		    uint32_t *added)
{
	struct ch_index *index = b->index;
	struct ch_node node = {.kind = kind, .key_at = at, .at = at, .first = CH_INDEX_NONE,
			       .last = CH_INDEX_NONE, .next = CH_INDEX_NONE};

	if (index->count == index->cap) {
		uint32_t cap = index->cap == 0 ? 64 : index->cap * 2;
		struct ch_node *nodes = realloc(index->nodes, cap * sizeof(*nodes));

		if (nodes == NULL)
			return -ENOMEM;
		index->nodes = nodes;
		index->cap = cap;
	}
	if (b->have_key) {
		memcpy(node.key, b->key, sizeof(node.key));
		node.key_at = b->key_at;
		b->have_key = false;
	}
	*added = index->count++;
	index->nodes[*added] = node;
	if (b->depth > 0) {
		struct ch_node *parent = &index->nodes[b->open[b->depth - 1]];

		if (parent->children++ == 0)
			parent->first = *added;
		else
			index->nodes[parent->last].next = *added;
		parent->last = *added;
	}
	return 0;
}

static bool wants_key(const struct builder *b)
{
	return b->depth > 0 && !b->have_key &&
	       b->index->nodes[b->open[b->depth - 1]].kind == CH_NODE_MAPPING;
}

static bool is_null(const yaml_event_t *event)
{
	const char *text = (const char *)event->data.scalar.value;

	return event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
	       (text[0] == '\0' || strcmp(text, "~") == 0 || strcmp(text, "null") == 0);
}

static bool has_control(const yaml_event_t *event)
{
	for (size_t i = 0; i < event->data.scalar.length; i++) {
		if (event->data.scalar.value[i] < 0x20 || event->data.scalar.value[i] == 0x7f)
			return true;
	}
	return false;
}

static int on_scalar(struct builder *b, const yaml_event_t *event)
{
	struct ch_position at = position(event->start_mark);
	uint32_t node;
	int err;

	if (event->data.scalar.length > CH_INDEX_SCALAR_MAX)
		ch_diag_add(b->diag, at, "a value of more than %d bytes", CH_INDEX_SCALAR_MAX);
	if (has_control(event))
		ch_diag_add(b->diag, at, "a control character or line break in a value; remove it");
	if (wants_key(b)) {
		snprintf(b->key, sizeof(b->key), "%s", (const char *)event->data.scalar.value);
		b->key_at = at;
		b->have_key = true;
		return 0;
	}
	err = add_node(b, CH_NODE_SCALAR, at, &node);
	if (err == 0)
		b->index->nodes[node].empty = is_null(event);
	return err;
}

/* The parser stops at the first mistake that this reports: what follows could not be placed. */
static int on_open(struct builder *b, enum ch_node_kind kind, struct ch_position at)
{
	uint32_t node;
	int err;

	if (wants_key(b)) {
		ch_diag_add(b->diag, at, "a key must be a plain word, not a list or mapping");
		return 0;
	}
	if (b->depth == CH_INDEX_DEPTH_MAX) {
		ch_diag_add(b->diag, at, "nested more than %d deep", CH_INDEX_DEPTH_MAX);
		return 0;
	}
	err = add_node(b, kind, at, &node);
	if (err == 0)
		b->open[b->depth++] = node;
	return err;
}

static void refuse_extras(struct builder *b, struct ch_position at, const yaml_char_t *anchor,
			  const yaml_char_t *tag)
{
	if (anchor != NULL)
		ch_diag_add(b->diag, at, "anchors (&%.64s) are not supported; write the value out "
					 "where it is needed", (const char *)anchor);
	if (tag != NULL)
		ch_diag_add(b->diag, at, "tags (%.64s) are not supported; remove it",
			    (const char *)tag);
}

static int on_event(struct builder *b, const yaml_event_t *event)
{
	struct ch_position at = position(event->start_mark);

	switch (event->type) {
	case YAML_DOCUMENT_START_EVENT:
		if (++b->documents > 1)
			ch_diag_add(b->diag, at, "a second document; a configuration is one, "
						 "remove the \"---\"");
		return 0;
	case YAML_ALIAS_EVENT:
		ch_diag_add(b->diag, at, "aliases (*%.64s) are not supported; write the value out",
			    (const char *)event->data.alias.anchor);
		return 0;
	case YAML_SCALAR_EVENT:
		refuse_extras(b, at, event->data.scalar.anchor, event->data.scalar.tag);
		return on_scalar(b, event);
	case YAML_SEQUENCE_START_EVENT:
		refuse_extras(b, at, event->data.sequence_start.anchor,
			      event->data.sequence_start.tag);
		return on_open(b, CH_NODE_LIST, at);
	case YAML_MAPPING_START_EVENT:
		refuse_extras(b, at, event->data.mapping_start.anchor,
			      event->data.mapping_start.tag);
		return on_open(b, CH_NODE_MAPPING, at);
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT:
		b->depth--;
		return 0;
	case YAML_NO_EVENT:
	case YAML_STREAM_START_EVENT:
	case YAML_STREAM_END_EVENT:
	case YAML_DOCUMENT_END_EVENT:
		return 0;
	}
	return 0;
}

/* libyaml gives a byte offset, not a mark, for what it cannot decode at all. */
static struct ch_position offset_position(const uint8_t *yaml, size_t len, size_t offset)
{
	struct ch_position at = {1, 1};

	for (size_t i = 0; i < len && i < offset; i++) {
		at.column++;
		if (yaml[i] == '\n')
			at = (struct ch_position){at.line + 1, 1};
	}
	return at;
}

static void report_syntax(struct ch_diag *diag, const yaml_parser_t *parser, const uint8_t *yaml,
			  size_t len)
{
	const char *problem = parser->problem != NULL ? parser->problem : "not YAML";

	if (parser->error == YAML_READER_ERROR)
		ch_diag_add(diag, offset_position(yaml, len, parser->problem_offset),
			    "not readable as text: %s; save the file as UTF-8", problem);
	else if (parser->context != NULL)
		ch_diag_add(diag, position(parser->problem_mark),
			    "not valid YAML: %s %s (line %zu); check indentation and quotes",
			    problem, parser->context, parser->context_mark.line + 1);
	else
		ch_diag_add(diag, position(parser->problem_mark),
			    "not valid YAML: %s; check indentation and quotes", problem);
}

static int run(struct builder *b, yaml_parser_t *parser, const uint8_t *yaml, size_t len)
{
	bool end = false;
	int err = 0;

	while (!end && err == 0 && b->diag->count == 0) {
		yaml_event_t event;

		if (!yaml_parser_parse(parser, &event)) {
			if (parser->error == YAML_MEMORY_ERROR)
				return -ENOMEM;
			report_syntax(b->diag, parser, yaml, len);
			return 0;
		}
		end = event.type == YAML_STREAM_END_EVENT;
		if (b->index->count == CH_INDEX_NODES_MAX)
			ch_diag_add(b->diag, position(event.start_mark),
				    "more than %d values in one file", CH_INDEX_NODES_MAX);
		else
			err = on_event(b, &event);
		yaml_event_delete(&event);
	}
	return err;
}

int ch_index_build(struct ch_index *index, const uint8_t *yaml, size_t len, struct ch_diag *diag)
{
	struct builder b = {.index = index, .diag = diag};
	yaml_parser_t parser;
	int err;

	if (!yaml_parser_initialize(&parser))
		return -ENOMEM;
	yaml_parser_set_input_string(&parser, yaml, len);
	err = run(&b, &parser, yaml, len);
	yaml_parser_delete(&parser);
	return err;
}

void ch_index_deinit(struct ch_index *index)
{
	free(index->nodes);
	*index = (struct ch_index){0};
}

uint32_t ch_index_entry(const struct ch_index *index, uint32_t node, const char *key)
{
	uint32_t child = node == CH_INDEX_NONE ? CH_INDEX_NONE : index->nodes[node].first;

	while (child != CH_INDEX_NONE && strcmp(index->nodes[child].key, key) != 0)
		child = index->nodes[child].next;
	return child;
}

uint32_t ch_index_item(const struct ch_index *index, uint32_t node, size_t item)
{
	uint32_t child = node == CH_INDEX_NONE ? CH_INDEX_NONE : index->nodes[node].first;

	for (; child != CH_INDEX_NONE && item > 0; item--)
		child = index->nodes[child].next;
	return child;
}

struct ch_position ch_index_at(const struct ch_index *index, uint32_t node)
{
	return node == CH_INDEX_NONE ? (struct ch_position){0, 0} : index->nodes[node].at;
}
