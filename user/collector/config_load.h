/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The steps of loading a configuration, in order; each stops the load if it found mistakes. */
#include "config_index.h"
#include "config_option.h"
#include "user/core/option.h"

/** One load on its way. */
struct ch_config_load {
	struct ch_config *config;
	struct ch_index index;
	struct ch_diag diag;
	int err; /**< -ENOMEM sticks */
};

/** Does the file hold known keys only, of the right kinds, none missing, none twice? (config_shape.c) */
void ch_config_check_shape(struct ch_config_load *load);

/** Values from @yaml, whose shape is right, into the configuration, with defaults. (config_values.c) */
void ch_config_read_values(struct ch_config_load *load, const uint8_t *yaml, size_t len);

/** Names used twice, limits that contradict each other. (config_check.c) */
void ch_config_check_meaning(struct ch_config_load *load);

/** Certificates, keys, anchors and inventory: are they there and usable? (config_check.c) */
void ch_config_check_files(struct ch_config_load *load);

/**
 * As ch_config_load for text that is already in memory, without looking at other files.
 * @return as ch_config_load
 */
CH_NODISCARD int ch_config_parse(const char *file, const uint8_t *yaml, size_t len,
				 struct ch_config **config, struct ch_buf *error);

/** Sets the field of @option in @base from text; mistakes go to the diag with position @at. */
void ch_option_set(struct ch_config_load *load, const struct ch_option *option, void *base,
		   const char *text, struct ch_position at);

/** Adds one of the choices of a flags option. */
void ch_option_set_flag(struct ch_config_load *load, const struct ch_option *option, void *base,
			const char *text, struct ch_position at);

/** @value as a person would write it for the type of @option: "16MiB", "90s". @return @text */
const char *ch_option_bound(const struct ch_option *option, uint64_t value,
			    char text[CH_VALUE_TEXT]);
