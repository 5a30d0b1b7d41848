/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libcyaml reads the file into "slots": one per key of a mapping, in the order of the option
 * table, with every scalar as a string. Its own number parsing is never used: it reads 010 as
 * eight, -1 as a huge number and 1GiB as 1.
 */
#include "config_load.h"

#include <cyaml/cyaml.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct slot {
	void *data; /* string, mapping or list; NULL = the key is not there */
	uint64_t count;
};

struct schema {
	cyaml_schema_field_t fields[CH_SECTION_COUNT][CH_SECTION_KEYS_MAX + 1];
	cyaml_schema_value_t items[CH_SECTION_COUNT]; /* of the sections that are lists */
	uint32_t slots[CH_SECTION_COUNT];
};

static const cyaml_schema_value_t string_value = {
	CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char, 0, CH_INDEX_SCALAR_MAX),
};

static cyaml_schema_field_t *next_field(struct schema *schema, enum ch_section_id section,
					const char *key)
{
	uint32_t slot = schema->slots[section]++;
	cyaml_schema_field_t *field = &schema->fields[section][slot];

	field->key = key;
	field->data_offset = (uint32_t)(slot * sizeof(struct slot) + offsetof(struct slot, data));
	field->count_offset = (uint32_t)(slot * sizeof(struct slot) + offsetof(struct slot, count));
	field->count_size = sizeof(uint64_t);
	field->value.flags = CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL;
	return field;
}

static void add_option(struct schema *schema, const struct ch_option *option)
{
	cyaml_schema_field_t *field = next_field(schema, option->section, option->key);

	if (option->type == CH_OPTION_FLAGS) {
		field->value.type = CYAML_SEQUENCE;
		field->value.data_size = sizeof(char *);
		field->value.sequence.entry = &string_value;
		field->value.sequence.max = CYAML_UNLIMITED;
	} else {
		field->value.type = CYAML_STRING;
		field->value.data_size = sizeof(char);
		field->value.string.max = CH_INDEX_SCALAR_MAX;
	}
}

/* Sections come after their parents in the table, so going backwards finds all below complete. */
static void add_section(struct schema *schema, enum ch_section_id id)
{
	cyaml_schema_field_t *field =
		next_field(schema, ch_sections[id].parent, ch_sections[id].key);

	field->value.data_size = (uint32_t)(schema->slots[id] * sizeof(struct slot));
	if (!ch_sections[id].list) {
		field->value.type = CYAML_MAPPING;
		field->value.mapping.fields = schema->fields[id];
		return;
	}
	schema->items[id].type = CYAML_MAPPING;
	schema->items[id].data_size = field->value.data_size;
	schema->items[id].mapping.fields = schema->fields[id];
	field->value.type = CYAML_SEQUENCE;
	field->value.sequence.entry = &schema->items[id];
	field->value.sequence.max = ch_sections[id].most;
}

static void make_schema(struct schema *schema, cyaml_schema_value_t *root)
{
	for (size_t i = 0; i < ch_option_count; i++)
		add_option(schema, &ch_options[i]);
	for (int s = CH_SECTION_COUNT - 1; s > CH_SECTION_ROOT; s--)
		add_section(schema, (enum ch_section_id)s);
	root->type = CYAML_MAPPING;
	root->flags = CYAML_FLAG_POINTER;
	root->data_size = (uint32_t)(schema->slots[CH_SECTION_ROOT] * sizeof(struct slot));
	root->mapping.fields = schema->fields[CH_SECTION_ROOT];
}

/* The slot that next_field gave to @key. */
static const struct slot *slot_of(const struct schema *schema, enum ch_section_id section,
				  const struct slot *slots, const char *key)
{
	for (uint32_t i = 0; slots != NULL && i < schema->slots[section]; i++) {
		if (strcmp(schema->fields[section][i].key, key) == 0)
			return slots[i].data != NULL ? &slots[i] : NULL;
	}
	return NULL;
}

static void read_flags(struct ch_config_load *load, const struct ch_option *option, void *base,
		       const struct slot *slot, uint32_t node)
{
	char *const *texts = slot->data;

	for (uint64_t i = 0; i < slot->count; i++)
		ch_option_set_flag(load, option, base, texts[i],
				   ch_index_at(&load->index,
					       ch_index_item(&load->index, node, i)));
}

static void read_options(struct ch_config_load *load, const struct schema *schema,
			 enum ch_section_id section, void *base, const struct slot *slots,
			 uint32_t node)
{
	for (size_t i = 0; i < ch_option_count; i++) {
		const struct ch_option *option = &ch_options[i];
		const struct slot *slot;
		uint32_t entry;

		if (option->section != section)
			continue;
		slot = slot_of(schema, section, slots, option->key);
		entry = ch_index_entry(&load->index, node, option->key);
		if (slot != NULL && option->type == CH_OPTION_FLAGS)
			read_flags(load, option, base, slot, entry);
		else if (slot != NULL)
			ch_option_set(load, option, base, slot->data,
				      ch_index_at(&load->index, entry));
		else if (option->fallback != NULL)
			ch_option_set(load, option, base, option->fallback,
				      ch_index_at(&load->index, node));
	}
}

static void read_list(struct ch_config_load *load, const struct schema *schema,
		      enum ch_section_id id, const struct slot *list, uint32_t node)
{
	const struct ch_section *section = &ch_sections[id];
	char *config = (char *)load->config;
	uint32_t item_node = ch_index_item(&load->index, node, 0);
	char *items = calloc(list->count, section->item_size);

	if (items == NULL) {
		load->err = -ENOMEM;
		return;
	}
	*(void **)(config + section->items_offset) = items;
	*(size_t *)(config + section->count_offset) = list->count;
	for (uint64_t i = 0; i < list->count; i++) {
		const struct slot *all = list->data;

		read_options(load, schema, id, items + i * section->item_size,
			     all + i * schema->slots[id], item_node);
		item_node = load->index.nodes[item_node].next;
	}
}

/* The sections form a tree of the table's depth; @slots is NULL where the file has no such key. */
static void read_section(struct ch_config_load *load, const struct schema *schema,
			 enum ch_section_id id, const struct slot *slots, uint32_t node)
{
	read_options(load, schema, id, load->config, slots, node);
	for (int s = CH_SECTION_ROOT + 1; s < CH_SECTION_COUNT; s++) {
		const struct ch_section *below = &ch_sections[s];
		const struct slot *slot = slot_of(schema, id, slots, below->key);
		uint32_t entry = ch_index_entry(&load->index, node, below->key);

		if (below->parent != id)
			continue;
		if (!below->list)
			read_section(load, schema, (enum ch_section_id)s,
				     slot != NULL ? slot->data : NULL, entry);
		else if (slot != NULL)
			read_list(load, schema, (enum ch_section_id)s, slot, entry);
	}
}

/* Keeps libcyaml's first complaint; the shape was checked before, so none is expected. */
static void on_cyaml_log(cyaml_log_t level, void *ctx, const char *fmt, va_list args)
{
	char *text = ctx;

	if (level >= CYAML_LOG_ERROR && text[0] == '\0')
		vsnprintf(text, 256, fmt, args);
}

void ch_config_read_values(struct ch_config_load *load, const uint8_t *yaml, size_t len)
{
	char complaint[256] = "";
	cyaml_config_t cyaml = {
		.log_fn = on_cyaml_log,
		.log_ctx = complaint,
		.mem_fn = cyaml_mem,
		.log_level = CYAML_LOG_ERROR,
		.flags = CYAML_CFG_NO_ALIAS,
	};
	struct schema *schema = calloc(1, sizeof(*schema));
	cyaml_schema_value_t root = {0};
	cyaml_data_t *data = NULL;
	cyaml_err_t err;

	if (schema == NULL) {
		load->err = -ENOMEM;
		return;
	}
	make_schema(schema, &root);
	err = cyaml_load_data(yaml, len, &cyaml, &root, &data, NULL);
	if (err == CYAML_OK)
		read_section(load, schema, CH_SECTION_ROOT, data, 0);
	else if (err == CYAML_ERR_OOM)
		load->err = -ENOMEM;
	else
		ch_diag_add(&load->diag, (struct ch_position){1, 1}, "%s: %s", cyaml_strerror(err),
			    complaint);
	if (data != NULL)
		cyaml_free(&cyaml, &root, data, 0);
	free(schema);
}
