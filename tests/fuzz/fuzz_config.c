/* SPDX-License-Identifier: Apache-2.0 */
/* links: collector guard kernel tls core */
/*
 * Any bytes as configuration: either every number is inside the range of its option and what is
 * needed is there, or each mistake is a line that starts with the file's name.
 */
#include "user/collector/config_load.h"

#include <stdlib.h>
#include <string.h>

static void check_numbers(const struct ch_config *config)
{
	for (size_t i = 0; i < ch_option_count; i++) {
		const struct ch_option *option = &ch_options[i];
		uint64_t unit = option->type == CH_OPTION_DURATION ? option->unit_ns : 1;
		uint64_t value;

		if (ch_sections[option->section].list || option->max == 0)
			continue;
		memcpy(&value, (const char *)config + option->offset, sizeof(value));
		if (value == 0 && option->zero != NULL)
			continue;
		if (value * unit < option->min || value * unit > option->max)
			abort();
	}
}

static void check_config(const struct ch_config *config)
{
	check_numbers(config);
	if (config->listener_count == 0 || config->profile_count == 0 ||
	    config->credential_count == 0 || config->devices_file == NULL ||
	    strlen(config->control_socket) > 107)
		abort();
	for (size_t i = 0; i < config->listener_count; i++) {
		if (config->listeners[i].name == NULL || config->listeners[i].address.port == 0)
			abort();
	}
	for (size_t i = 0; i < config->manufacturer_count; i++) {
		if (config->manufacturers[i].name == NULL || config->manufacturers[i].ca == NULL)
			abort();
	}
}

static void check_error(const struct ch_buf *error)
{
	const char *text = (const char *)error->data;
	size_t lines = 0;

	for (size_t at = 0; at < error->len; lines++) {
		const char *end = memchr(text + at, '\n', error->len - at);

		if (error->len - at < 3 || memcmp(text + at, "f:", 2) != 0)
			abort();
		at = end != NULL ? (size_t)(end - text) + 1 : error->len;
	}
	if (lines == 0 || lines > CH_DIAG_MAX + 1)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ch_config *config = NULL;
	struct ch_buf error = {0};
	int err = ch_config_parse("f", data, size, &config, &error);

	if (err == 0 && error.len == 0)
		check_config(config);
	else if (err == CH_E_CONFIG && config == NULL)
		check_error(&error);
	else
		abort();
	ch_config_free(config);
	ch_buf_deinit(&error);
	return 0;
}
