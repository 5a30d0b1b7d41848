/* SPDX-License-Identifier: Apache-2.0 */
#include "config_load.h"
#include "text.h"

#include <string.h>

static const char *kind_name(const struct ch_node *node)
{
	switch (node->kind) {
	case CH_NODE_MAPPING:
		return "a mapping";
	case CH_NODE_LIST:
		return "a list";
	case CH_NODE_SCALAR:
		return node->empty ? "nothing" : "a single value";
	}
	return "nothing";
}

/* "limits.": what goes before a key in an error text. */
static const char *prefix(enum ch_section_id section)
{
	return section == CH_SECTION_ROOT ? "" : ch_sections[section].path;
}

static const char *dot(enum ch_section_id section)
{
	return section == CH_SECTION_ROOT ? "" : ".";
}

static void suggest_keys(struct ch_nearest *nearest, enum ch_section_id section, const char *word)
{
	for (size_t i = 0; i < ch_option_count; i++) {
		if (ch_options[i].section == section)
			ch_nearest_try(nearest, word, ch_options[i].key);
	}
	for (int s = CH_SECTION_ROOT + 1; s < CH_SECTION_COUNT; s++) {
		if (ch_sections[s].parent == section)
			ch_nearest_try(nearest, word, ch_sections[s].key);
	}
}

static const char *home_of(const char *key)
{
	for (size_t i = 0; i < ch_option_count; i++) {
		if (strcmp(ch_options[i].key, key) == 0)
			return ch_sections[ch_options[i].section].path;
	}
	for (int s = CH_SECTION_ROOT + 1; s < CH_SECTION_COUNT; s++) {
		if (strcmp(ch_sections[s].key, key) == 0)
			return ch_sections[s].parent == CH_SECTION_ROOT
				       ? "the top level"
				       : ch_sections[ch_sections[s].parent].path;
	}
	return NULL;
}

static void report_unknown(struct ch_config_load *load, const struct ch_node *node,
			   enum ch_section_id section)
{
	struct ch_nearest nearest = {0};
	const char *home = home_of(node->key);

	suggest_keys(&nearest, section, node->key);
	if (nearest.word != NULL)
		ch_diag_add(&load->diag, node->key_at, "unknown key %s%s%s; did you mean \"%s\"?",
			    prefix(section), dot(section), node->key, nearest.word);
	else if (home != NULL)
		ch_diag_add(&load->diag, node->key_at, "unknown key %s%s%s; \"%s\" belongs in %s",
			    prefix(section), dot(section), node->key, node->key, home);
	else
		ch_diag_add(&load->diag, node->key_at,
			    "unknown key %s%s%s; callhomed --help-config lists all keys",
			    prefix(section), dot(section), node->key);
}

static void check_option(struct ch_config_load *load, const struct ch_option *option,
			 const struct ch_node *node)
{
	const struct ch_index *index = &load->index;
	char path[64];

	ch_option_path(option, path);
	if (node->kind == CH_NODE_SCALAR && node->empty) {
		ch_diag_add(&load->diag, node->key_at,
			    "%s has no value; write \"%s: %s\" or remove the key", path, option->key,
			    ch_option_example(option));
	} else if (option->type != CH_OPTION_FLAGS) {
		if (node->kind != CH_NODE_SCALAR)
			ch_diag_add(&load->diag, node->at,
				    "%s must be a single value, not %s; write \"%s: %s\"", path,
				    kind_name(node), option->key, ch_option_example(option));
	} else if (node->kind != CH_NODE_LIST) {
		ch_diag_add(&load->diag, node->at,
			    "%s must be a list, not %s; put the value in [brackets]", path,
			    kind_name(node));
	} else if (node->children == 0) {
		ch_diag_add(&load->diag, node->at, "%s is an empty list; remove the key", path);
	} else {
		for (uint32_t i = node->first; i != CH_INDEX_NONE; i = index->nodes[i].next) {
			if (index->nodes[i].kind != CH_NODE_SCALAR || index->nodes[i].empty)
				ch_diag_add(&load->diag, index->nodes[i].at,
					    "%s: an item must be a single value, not %s", path,
					    kind_name(&index->nodes[i]));
		}
	}
}

static void check_mapping(struct ch_config_load *load, const struct ch_node *node,
			  enum ch_section_id section);

static void check_list(struct ch_config_load *load, const struct ch_node *node,
		       enum ch_section_id id)
{
	const struct ch_section *section = &ch_sections[id];
	const struct ch_index *index = &load->index;

	if (node->kind != CH_NODE_LIST) {
		ch_diag_add(&load->diag, node->kind == CH_NODE_SCALAR ? node->key_at : node->at,
			    "%s must be a list, not %s; write \"%s\" below it", section->path,
			    kind_name(node), section->example);
		return;
	}
	if (node->children == 0)
		ch_diag_add(&load->diag, node->at, "%s is an empty list; %s \"%s\"", section->path,
			    section->required ? "add" : "remove the key, or add", section->example);
	if (node->children > section->most)
		ch_diag_add(&load->diag, node->at, "%s has %u items; at most %u are allowed",
			    section->path, node->children, section->most);
	for (uint32_t i = node->first; i != CH_INDEX_NONE; i = index->nodes[i].next) {
		if (index->nodes[i].kind == CH_NODE_MAPPING)
			check_mapping(load, &index->nodes[i], id);
		else
			ch_diag_add(&load->diag, index->nodes[i].at,
				    "%s: an item must be a mapping, not %s; write \"%s\"",
				    section->path, kind_name(&index->nodes[i]), section->example);
	}
}

static void check_section(struct ch_config_load *load, const struct ch_node *node,
			  enum ch_section_id id)
{
	const struct ch_section *section = &ch_sections[id];

	if (section->list)
		check_list(load, node, id);
	else if (node->kind == CH_NODE_MAPPING)
		check_mapping(load, node, id);
	else
		ch_diag_add(&load->diag, node->kind == CH_NODE_SCALAR ? node->key_at : node->at,
			    "%s must be a mapping, not %s; write \"%s\" below it%s", section->path,
			    kind_name(node), section->example,
			    section->required ? "" : ", or remove the key");
}

static void check_missing(struct ch_config_load *load, const struct ch_node *node,
			  enum ch_section_id section)
{
	uint32_t self = (uint32_t)(node - load->index.nodes);
	char path[64];

	for (size_t i = 0; i < ch_option_count; i++) {
		const struct ch_option *option = &ch_options[i];

		if (option->section == section && option->required &&
		    ch_index_entry(&load->index, self, option->key) == CH_INDEX_NONE)
			ch_diag_add(&load->diag, node->at, "%s is missing; add \"%s: %s\"",
				    ch_option_path(option, path), option->key,
				    ch_option_example(option));
	}
	for (int s = CH_SECTION_ROOT + 1; s < CH_SECTION_COUNT; s++) {
		const struct ch_section *below = &ch_sections[s];

		if (below->parent == section && below->required &&
		    ch_index_entry(&load->index, self, below->key) == CH_INDEX_NONE)
			ch_diag_add(&load->diag, node->at, "%s is missing; add \"%s:\" with \"%s\"",
				    below->path, below->key, below->example);
	}
}

static void check_mapping(struct ch_config_load *load, const struct ch_node *node,
			  enum ch_section_id section)
{
	const struct ch_index *index = &load->index;
	uint32_t self = (uint32_t)(node - index->nodes);

	/* Keys are compared with each other below: their number must be small. */
	if (node->children > CH_SECTION_KEYS_MAX) {
		ch_diag_add(&load->diag, node->at, "%u keys in one mapping; at most %d are allowed",
			    node->children, CH_SECTION_KEYS_MAX);
		return;
	}
	for (uint32_t i = node->first; i != CH_INDEX_NONE; i = index->nodes[i].next) {
		const struct ch_node *entry = &index->nodes[i];
		const struct ch_option *option = ch_option_find(section, entry->key);
		enum ch_section_id below = ch_section_find(section, entry->key);
		uint32_t first = ch_index_entry(index, self, entry->key);

		if (first != i)
			ch_diag_add(&load->diag, entry->key_at,
				    "key %s%s%s again, after line %u; remove one", prefix(section),
				    dot(section), entry->key, index->nodes[first].key_at.line);
		else if (option != NULL)
			check_option(load, option, entry);
		else if (below != CH_SECTION_ROOT)
			check_section(load, entry, below);
		else
			report_unknown(load, entry, section);
	}
	check_missing(load, node, section);
}

void ch_config_check_shape(struct ch_config_load *load)
{
	static const struct ch_position top = {1, 1};

	if (load->index.count == 0 || load->index.nodes[0].empty)
		ch_diag_add(&load->diag, top,
			    "the file is empty; docs/config.md shows a small configuration");
	else if (load->index.nodes[0].kind != CH_NODE_MAPPING)
		ch_diag_add(&load->diag, load->index.nodes[0].at,
			    "the file must be a mapping (key: value lines), not %s",
			    kind_name(&load->index.nodes[0]));
	else
		check_mapping(load, &load->index.nodes[0], CH_SECTION_ROOT);
}
