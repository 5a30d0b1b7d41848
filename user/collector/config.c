/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"
#include "config_load.h"
#include "text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define FILE_MAX (1024 * 1024)

static int add_default_listeners(struct ch_config *config)
{
	static const struct {
		const char *name;
		const char *address;
		bool optional;
	} defaults[] = {
		{"default-v4", "0.0.0.0:4335", false},
		{"default-v6", "[::]:4335", true},
	};
	const size_t count = sizeof(defaults) / sizeof(defaults[0]);

	config->listeners = calloc(count, sizeof(*config->listeners));
	if (config->listeners == NULL)
		return -ENOMEM;
	config->listener_count = count;
	for (size_t i = 0; i < count; i++) {
		struct ch_config_listener *listener = &config->listeners[i];

		listener->name = strdup(defaults[i].name);
		listener->transport = CH_TRANSPORT_NETCONF_TLS;
		listener->optional = defaults[i].optional;
		if (listener->name == NULL ||
		    ch_address_parse(defaults[i].address, &listener->address) != 0)
			return -ENOMEM;
	}
	return 0;
}

static int add_default_profile(struct ch_config *config)
{
	config->profiles = calloc(1, sizeof(*config->profiles));
	if (config->profiles == NULL)
		return -ENOMEM;
	config->profile_count = 1;
	config->profiles[0].name = strdup("default");
	return config->profiles[0].name != NULL ? 0 : -ENOMEM;
}

static void remember_positions(struct ch_config_load *load)
{
	struct ch_config *config = load->config;
	uint32_t node = ch_index_item(&load->index, ch_index_entry(&load->index, 0, "listen"), 0);

	for (size_t i = 0; i < config->listener_count; i++) {
		config->listeners[i].line = load->index.nodes[node].at.line;
		config->listeners[i].column = load->index.nodes[node].at.column;
		node = load->index.nodes[node].next;
	}
}

static int add_defaults(struct ch_config_load *load)
{
	struct ch_config *config = load->config;
	int err = 0;

	if (config->listener_count > 0)
		remember_positions(load);
	else
		err = add_default_listeners(config);
	if (err == 0 && config->profile_count == 0)
		err = add_default_profile(config);
	return err;
}

static bool goes_on(const struct ch_config_load *load)
{
	return load->err == 0 && load->diag.count == 0;
}

static void run_steps(struct ch_config_load *load, const uint8_t *yaml, size_t len, bool files)
{
	load->err = ch_index_build(&load->index, yaml, len, &load->diag);
	if (goes_on(load))
		ch_config_check_shape(load);
	if (goes_on(load))
		ch_config_read_values(load, yaml, len);
	if (goes_on(load))
		ch_config_check_meaning(load);
	if (goes_on(load) && files)
		ch_config_check_files(load);
	if (goes_on(load))
		load->err = add_defaults(load);
}

static int load_text(const char *file, const uint8_t *yaml, size_t len, bool files,
		     struct ch_config **config, struct ch_buf *error)
{
	struct ch_config_load load = {.diag = {.file = file, .out = error}};
	int err;

	load.config = calloc(1, sizeof(*load.config));
	if (load.config == NULL)
		return -ENOMEM;
	load.config->file = strdup(file);
	load.config->directory = ch_path_directory(file);
	if (load.config->file == NULL || load.config->directory == NULL)
		load.err = -ENOMEM;
	else
		run_steps(&load, yaml, len, files);
	err = ch_diag_end(&load.diag);
	if (load.err != 0)
		err = load.err;
	ch_index_deinit(&load.index);
	if (err == 0)
		*config = load.config;
	else
		ch_config_free(load.config);
	return err;
}

int ch_config_parse(const char *file, const uint8_t *yaml, size_t len, struct ch_config **config,
		    struct ch_buf *error)
{
	return load_text(file, yaml, len, false, config, error);
}

static int report_unreadable(const char *file, int err, struct ch_buf *error)
{
	struct ch_diag diag = {.file = file, .out = error};
	const struct ch_position whole = {0, 0};

	if (err == -ENOMEM)
		return err;
	if (err == CH_E_LIMIT)
		ch_diag_add(&diag, whole, "longer than %d bytes; this is no configuration",
			    FILE_MAX);
	else if (err == -EINVAL)
		ch_diag_add(&diag, whole, "not a regular file");
	else
		ch_diag_add(&diag, whole, "cannot be read: %s; name the configuration with -c FILE",
			    ch_error_text(err));
	return ch_diag_end(&diag);
}

int ch_config_load(const char *file, struct ch_config **config, struct ch_buf *error)
{
	struct ch_buf yaml = {0};
	int err = ch_file_read(file, FILE_MAX, &yaml);

	if (err == 0)
		err = load_text(file, yaml.data, yaml.len, true, config, error);
	else
		err = report_unreadable(file, err, error);
	ch_buf_deinit(&yaml);
	return err;
}

void ch_config_log_warnings(const struct ch_config *config, const struct ch_log *log)
{
	const char *line = (const char *)config->warnings.data;
	size_t left = config->warnings.len;

	while (left > 0) {
		const char *end = memchr(line, '\n', left);
		size_t len = (size_t)(end - line);

		ch_log(log, CH_LOG_WARNING, "event=config-warning text=\"%.*s\"", (int)len, line);
		line = end + 1;
		left -= len + 1;
	}
}

struct ch_config *ch_config_hold(struct ch_config *config)
{
	atomic_fetch_add_explicit(&config->holders, 1, memory_order_relaxed);
	return config;
}

void ch_config_free(struct ch_config *config)
{
	if (config == NULL ||
	    atomic_fetch_sub_explicit(&config->holders, 1, memory_order_acq_rel) > 0)
		return;
	for (size_t i = 0; i < config->listener_count; i++)
		free(config->listeners[i].name);
	for (size_t i = 0; i < config->manufacturer_count; i++) {
		free(config->manufacturers[i].name);
		free(config->manufacturers[i].ca);
	}
	for (size_t i = 0; i < config->credential_count; i++) {
		free(config->credentials[i].name);
		free(config->credentials[i].tls_cert);
		free(config->credentials[i].tls_key);
		free(config->credentials[i].next_tls_cert);
		free(config->credentials[i].next_tls_key);
	}
	for (size_t i = 0; i < config->profile_count; i++)
		free(config->profiles[i].name);
	for (size_t i = 0; i < config->guard.rule_count; i++) {
		free(config->guard.rules[i].name);
		free(config->guard.rules[i].prefix);
		free(config->guard.rules[i].file);
	}
	free(config->guard.rules);
	free(config->guard.bans_file);
	free(config->guard.known_file);
	free(config->guard.interfaces);
	free(config->listeners);
	free(config->manufacturers);
	free(config->credentials);
	free(config->profiles);
	free(config->crl);
	free(config->devices_file);
	free(config->devices_database);
	free(config->control_socket);
	free(config->spool_directory);
	free(config->certificates);
	ch_buf_deinit(&config->warnings);
	free(config->file);
	free(config->directory);
	free(config);
}
