/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The table of options: what the configuration file may hold. The libcyaml schema, the check of
 * the file's shape, defaults, ranges, help and docs/config.md all come from it; to add an option,
 * add a field to struct ch_config and a row to config_option.c.
 */
#include "config.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** The mappings of the file; a row in ch_sections each. */
enum ch_section_id {
	CH_SECTION_ROOT,
	CH_SECTION_LISTEN,
	CH_SECTION_TRUST,
	CH_SECTION_MANUFACTURERS,
	CH_SECTION_CREDENTIALS,
	CH_SECTION_PROFILES,
	CH_SECTION_DEVICES,
	CH_SECTION_KEEPALIVES,
	CH_SECTION_ALIVENESS,
	CH_SECTION_GUARD,
	CH_SECTION_RULES,
	CH_SECTION_CONTROL,
	CH_SECTION_SPOOL,
	CH_SECTION_LIMITS,
	CH_SECTION_LOG,
	CH_SECTION_COUNT
};

struct ch_section {
	const char *key;
	const char *path;	   /**< from the root: "trust.manufacturers" */
	enum ch_section_id parent; /**< the root is its own */
	bool list;		   /**< a list of mappings; its options are of an item */
	bool required;
	bool live;		   /**< a reload applies its options; others need a restart */
	uint32_t most;		   /**< items of a list; at least one if the key is there */
	size_t items_offset;	   /**< list: pointer to the array in struct ch_config */
	size_t count_offset;	   /**< list: size_t in struct ch_config */
	size_t item_size;	   /**< list: bytes of an item */
	const char *example;	   /**< one line of YAML for the error texts */
	const char *help;
};

enum ch_option_type {
	CH_OPTION_NAME,	      /**< char *: ch_name_is_valid, unique in its list */
	CH_OPTION_PATH,	      /**< char *: resolved against the file's directory */
	CH_OPTION_PREFIX,     /**< char *: as ch_prefix_parse reads it */
	CH_OPTION_INTERFACES, /**< char *: as ch_early_is_valid takes it */
	CH_OPTION_ADDRESS,    /**< struct ch_address with a port */
	CH_OPTION_UINT,	      /**< uint64_t */
	CH_OPTION_POWER,      /**< uint64_t, a power of two */
	CH_OPTION_SIZE,	      /**< uint64_t bytes */
	CH_OPTION_DURATION,   /**< uint64_t in units of @unit_ns */
	CH_OPTION_BOOL,	      /**< bool */
	CH_OPTION_CHOICE,     /**< an enum, from @choices */
	CH_OPTION_FLAGS,      /**< uint32_t: a list of @choices, their values or-ed */
};

struct ch_choice {
	const char *name; /**< NULL ends the array */
	uint32_t value;
};

struct ch_option {
	enum ch_section_id section;
	const char *key;
	enum ch_option_type type;
	size_t offset;	      /**< in struct ch_config, or in the item of a list */
	uint64_t min, max;    /**< inclusive; numbers, bytes or nanoseconds */
	uint64_t unit_ns;     /**< duration: nanoseconds per stored unit */
	const char *fallback; /**< the default as a person would write it; NULL = none */
	bool required;	      /**< where its section is present */
	bool restart;	      /**< a reload does not apply it, though its section is live */
	const char *zero;     /**< what 0 means where 0 is allowed outside of @min..@max */
	const struct ch_choice *choices;
	const char *help;
};

extern const struct ch_section ch_sections[CH_SECTION_COUNT];
extern const struct ch_option ch_options[];
extern const size_t ch_option_count;

/** The most options and sections directly in one section. */
#define CH_SECTION_KEYS_MAX 32

/** @return the option, or NULL */
const struct ch_option *ch_option_find(enum ch_section_id section, const char *key);
/** @return the section below @parent, or CH_SECTION_ROOT if there is none of that name */
enum ch_section_id ch_section_find(enum ch_section_id parent, const char *key);
/** The option as "limits.max-sessions". @return @path */
const char *ch_option_path(const struct ch_option *option, char path[64]);
/** The example that error texts and help show for a type: "30s". */
const char *ch_option_example(const struct ch_option *option);
