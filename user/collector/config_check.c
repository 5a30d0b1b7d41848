/* SPDX-License-Identifier: Apache-2.0 */
#include "config_load.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* sizeof(sun_path) less its NUL. */
#define SOCKET_PATH_MAX 107

static uint32_t section_node(const struct ch_config_load *load, enum ch_section_id id)
{
	uint32_t parent = 0;

	if (ch_sections[id].parent != CH_SECTION_ROOT)
		parent = section_node(load, ch_sections[id].parent);
	return ch_index_entry(&load->index, parent, ch_sections[id].key);
}

/* Where the value of @key stands: in item @item of a list, else in the section itself. */
static struct ch_position place(const struct ch_config_load *load, enum ch_section_id id,
				size_t item, const char *key)
{
	uint32_t node = section_node(load, id);

	if (ch_sections[id].list)
		node = ch_index_item(&load->index, node, item);
	return ch_index_at(&load->index, ch_index_entry(&load->index, node, key));
}

static void check_names(struct ch_config_load *load, enum ch_section_id id)
{
	const struct ch_section *section = &ch_sections[id];
	const char *config = (const char *)load->config;
	const char *items = *(char *const *)(config + section->items_offset);
	size_t count = *(const size_t *)(config + section->count_offset);
	size_t offset = ch_option_find(id, "name")->offset;

	for (size_t i = 1; i < count; i++) {
		const char *name = *(char *const *)(items + i * section->item_size + offset);

		for (size_t j = 0; j < i && name != NULL; j++) {
			const char *other =
				*(char *const *)(items + j * section->item_size + offset);

			if (other == NULL || strcmp(name, other) != 0)
				continue;
			ch_diag_add(&load->diag, place(load, id, i, "name"),
				    "%s.name: \"%s\" is the name on line %u too; choose another",
				    section->path, name, place(load, id, j, "name").line);
			break;
		}
	}
}

static void check_addresses(struct ch_config_load *load)
{
	const struct ch_config *config = load->config;

	for (size_t i = 1; i < config->listener_count; i++) {
		const struct ch_address *address = &config->listeners[i].address;
		char text[CH_ADDRESS_TEXT];

		for (size_t j = 0; j < i && address->family != 0; j++) {
			if (memcmp(address, &config->listeners[j].address, sizeof(*address)) != 0)
				continue;
			ch_address_format(address, text);
			ch_diag_add(&load->diag, place(load, CH_SECTION_LISTEN, i, "address"),
				    "listen.address: %s is the address on line %u too; remove one",
				    text, place(load, CH_SECTION_LISTEN, j, "address").line);
			break;
		}
	}
}

/* A value under a ceiling that another option sets: an error if written so, else lowered. */
static void check_ceiling(struct ch_config_load *load, enum ch_section_id id, const char *key,
			  uint64_t *value, uint64_t ceiling, const char *why)
{
	const struct ch_option *option = ch_option_find(id, key);
	struct ch_position at = place(load, id, 0, key);
	char path[64], is[CH_VALUE_TEXT], most[CH_VALUE_TEXT];

	if (*value <= ceiling)
		return;
	if (at.line == 0) {
		*value = ceiling;
		return;
	}
	ch_diag_add(&load->diag, at, "%s: %s is more than %s, %s; lower it or raise that",
		    ch_option_path(option, path), ch_option_bound(option, *value, is),
		    ch_option_bound(option, ceiling, most), why);
}

/* Each half of a roll-over needs the other. */
static void check_next(struct ch_config_load *load)
{
	for (size_t i = 0; i < load->config->credential_count; i++) {
		const struct ch_config_credential *c = &load->config->credentials[i];
		bool cert = c->next_tls_cert != NULL;

		if (cert != (c->next_tls_key != NULL))
			ch_diag_add(&load->diag,
				    place(load, CH_SECTION_CREDENTIALS, i,
					  cert ? "next-tls-cert" : "next-tls-key"),
				    "credentials: %s without %s; add it",
				    cert ? "next-tls-cert" : "next-tls-key",
				    cert ? "next-tls-key" : "next-tls-cert");
	}
}

static void warn_no_heartbeats(struct ch_config_load *load)
{
	struct ch_position at = place(load, CH_SECTION_KEEPALIVES, 0, "peer-allowed-to-send");

	if (ch_buf_printf(&load->config->warnings,
			  "%s:%u:%u: keepalives.peer-allowed-to-send: false does not conform to "
			  "RFC 8071 section 3.1 (C4): devices cannot test whether the collector "
			  "lives; remove it unless a middlebox needs it\n",
			  load->diag.file, at.line, at.column) != 0)
		load->err = -ENOMEM;
}

static void check_rules(struct ch_config_load *load)
{
	struct ch_config_guard *guard = &load->config->guard;

	for (size_t i = 0; i < guard->rule_count; i++) {
		const struct ch_config_rule *rule = &guard->rules[i];

		if (guard->bogons != CH_GATE_BOGONS_OFF && strcmp(rule->name, CH_GATE_BOGONS) == 0)
			ch_diag_add(&load->diag, place(load, CH_SECTION_RULES, i, "name"),
				    "guard.rules: \"" CH_GATE_BOGONS "\" is the built-in rule of "
				    "guard.bogons; call yours otherwise");
		if (rule->prefix == NULL && rule->file == NULL)
			ch_diag_add(&load->diag, place(load, CH_SECTION_RULES, i, "name"),
				    "guard.rules: \"%s\" has neither prefix nor file; add \"prefix: "
				    "192.0.2.0/24\"", rule->name);
	}
	if (guard->ban_time_max_ns < guard->ban_time_ns)
		guard->ban_time_max_ns = guard->ban_time_ns;
}

static void check_early(struct ch_config_load *load)
{
	const struct ch_config_guard *guard = &load->config->guard;
	bool kernel = guard->mode == CH_GATE_AUTO || guard->mode == CH_GATE_REQUIRE;

	if (guard->early == CH_GATE_EARLY_OFF) {
		if (guard->interfaces != NULL)
			ch_diag_add(&load->diag, place(load, CH_SECTION_GUARD, 0, "interface"),
				    "guard.interface: without an early stage nothing is done "
				    "there; add "
				    "\"early: xdp\" or remove it");
		return;
	}
	if (guard->interfaces == NULL)
		ch_diag_add(&load->diag, place(load, CH_SECTION_GUARD, 0, "early"),
			    "guard.early: on which interface? Add \"interface: eth0\"");
	if (!kernel)
		ch_diag_add(
			&load->diag, place(load, CH_SECTION_GUARD, 0, "early"),
			"guard.early: it works in the kernel, and guard.mode does not let it; set "
			"that to auto or require, or remove this");
}

void ch_config_check_meaning(struct ch_config_load *load)
{
	struct ch_config *config = load->config;

	check_names(load, CH_SECTION_LISTEN);
	check_names(load, CH_SECTION_MANUFACTURERS);
	check_names(load, CH_SECTION_CREDENTIALS);
	check_names(load, CH_SECTION_PROFILES);
	check_names(load, CH_SECTION_RULES);
	check_rules(load);
	check_early(load);
	check_addresses(load);
	check_next(load);
	if (!config->peer_allowed_to_send)
		warn_no_heartbeats(load);
	check_ceiling(load, CH_SECTION_LIMITS, "max-handshakes", &config->max_handshakes,
		      config->max_sessions, "the value of limits.max-sessions");
	if (config->first_byte_timeout_ns == 0)
		config->first_byte_timeout_ns = config->login_timeout_ns / 2;
	if (config->byte_budget != 0)
		check_ceiling(load, CH_SECTION_LIMITS, "max-message", &config->max_message,
			      config->byte_budget, "the value of limits.byte-budget");
	check_ceiling(load, CH_SECTION_SPOOL, "file-bytes", &config->spool_file_bytes,
		      config->spool_max_bytes / 8, "an eighth of spool.max-bytes");
	if (config->control_socket != NULL && strlen(config->control_socket) > SOCKET_PATH_MAX)
		ch_diag_add(&load->diag, place(load, CH_SECTION_CONTROL, 0, "socket"),
			    "control.socket: %zu bytes with its directory; a socket path has at "
			    "most %d, choose a shorter one", strlen(config->control_socket),
			    SOCKET_PATH_MAX);
}

/* @return true if the file can be read; else the mistake was reported */
static bool check_readable(struct ch_config_load *load, const char *what, const char *path,
			   struct ch_position at, struct stat *st)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	int err = fd < 0 || fstat(fd, st) != 0 ? errno : 0;

	if (err == 0 && !S_ISREG(st->st_mode))
		err = S_ISDIR(st->st_mode) ? EISDIR : EINVAL;
	if (fd >= 0)
		close(fd);
	if (err == EINVAL)
		ch_diag_add(&load->diag, at, "%s: %s is not a regular file", what, path);
	else if (err != 0)
		ch_diag_add(&load->diag, at, "%s: cannot read %s: %s; %s", what, path, strerror(err),
			    err == EACCES ? "let the daemon's user read it"
					  : "mend the path (a relative one starts where the "
					    "configuration file is)");
	return err == 0;
}

/* Doubles its room: a file of many anchors must not cost a copy each. */
static struct ch_config_certificate *new_certificate(struct ch_config_load *load)
{
	struct ch_config *config = load->config;
	size_t count = config->certificate_count;
	struct ch_config_certificate *more = config->certificates;

	if ((count & (count - 1)) == 0) {
		more = realloc(more, (count == 0 ? 1 : count * 2) * sizeof(*more));
		if (more == NULL) {
			load->err = -ENOMEM;
			return NULL;
		}
		config->certificates = more;
	}
	return &more[count];
}

static void note_anchors(struct ch_config_load *load, const struct ch_trust *trust,
			 const char *owner)
{
	size_t manufacturer = ch_trust_count(trust) - 1;
	int err = 0;

	for (size_t i = 0; err == 0; i++) {
		struct ch_config_certificate *made = new_certificate(load);

		if (made == NULL)
			return;
		*made = (struct ch_config_certificate){
			.owner = owner, .option = "ca", .anchor = true};
		err = ch_trust_anchor(trust, manufacturer, i, &made->facts);
		load->config->certificate_count += err == 0;
	}
}

static void note_credential(struct ch_config_load *load, const struct ch_credential *credential,
			    const char *owner, const char *option)
{
	struct ch_config_certificate *made = new_certificate(load);

	if (made == NULL)
		return;
	*made = (struct ch_config_certificate){.owner = owner, .option = option};
	load->config->certificate_count += ch_credential_facts(credential, &made->facts) == 0;
}

/* A file, or a directory: what is in it ch_trust_add tells. */
static bool check_ca(struct ch_config_load *load, const char *path, struct ch_position at)
{
	struct stat st;

	if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
		return true;
	return check_readable(load, "trust.manufacturers.ca", path, at, &st);
}

static void check_manufacturers(struct ch_config_load *load)
{
	const struct ch_config *config = load->config;
	struct ch_trust *trust = NULL;
	char error[CH_ERROR_TEXT];

	if (ch_trust_new(&trust) != 0) {
		load->err = -ENOMEM;
		return;
	}
	for (size_t i = 0; i < config->manufacturer_count; i++) {
		const struct ch_config_manufacturer *m = &config->manufacturers[i];
		struct ch_position at = place(load, CH_SECTION_MANUFACTURERS, i, "ca");

		if (!check_ca(load, m->ca, at))
			continue;
		if (ch_trust_add(trust, m->name, m->ca, m->identifier, error) != 0)
			ch_diag_add(&load->diag, at, "trust.manufacturers.ca: %s", error);
		else
			note_anchors(load, trust, m->name);
	}
	ch_trust_free(trust);
}

/* What is in it is looked at when it is read: a bad list must not keep the daemon from starting. */
static void check_crl(struct ch_config_load *load)
{
	const char *crl = load->config->crl;
	struct ch_position at = place(load, CH_SECTION_TRUST, 0, "crl");

	if (crl != NULL && access(crl, R_OK) != 0)
		ch_diag_add(&load->diag, at,
			    "trust.crl: cannot read %s: %s; make it, an empty directory is fine", crl,
			    strerror(errno));
}

static void warn_open_key(struct ch_config_load *load, const char *option, const char *key,
			  struct ch_position at)
{
	if (ch_buf_printf(&load->config->warnings,
			  "%s:%u:%u: credentials.%s: everybody can read %s; chmod 600 it\n",
			  load->diag.file, at.line, at.column, option, key) != 0)
		load->err = -ENOMEM;
}

/* A certificate and its key, of item @i, under the names of their options. */
static void check_pair(struct ch_config_load *load, size_t i, const char *cert_option,
		       const char *cert, const char *key_option, const char *key)
{
	struct ch_position cert_at = place(load, CH_SECTION_CREDENTIALS, i, cert_option);
	struct ch_position key_at = place(load, CH_SECTION_CREDENTIALS, i, key_option);
	struct ch_credential *loaded = NULL;
	char cert_path[64], key_path[64];
	char error[CH_ERROR_TEXT];
	struct stat st;
	bool readable;

	ch_option_path(ch_option_find(CH_SECTION_CREDENTIALS, cert_option), cert_path);
	ch_option_path(ch_option_find(CH_SECTION_CREDENTIALS, key_option), key_path);
	readable = check_readable(load, cert_path, cert, cert_at, &st);
	if (!check_readable(load, key_path, key, key_at, &st))
		return;
	if ((st.st_mode & S_IROTH) != 0)
		warn_open_key(load, key_option, key, key_at);
	if (!readable)
		return;
	if (ch_credential_load(cert, key, &loaded, error) == 0)
		note_credential(load, loaded, load->config->credentials[i].name, cert_option);
	else if (strstr(error, key) != NULL)
		ch_diag_add(&load->diag, key_at, "%s: %s", key_path, error);
	else
		ch_diag_add(&load->diag, cert_at, "%s: %s", cert_path, error);
	ch_credential_free(loaded);
}

static void check_credentials(struct ch_config_load *load)
{
	const struct ch_config *config = load->config;

	for (size_t i = 0; i < config->credential_count; i++) {
		const struct ch_config_credential *c = &config->credentials[i];

		check_pair(load, i, "tls-cert", c->tls_cert, "tls-key", c->tls_key);
		if (c->next_tls_cert != NULL)
			check_pair(load, i, "next-tls-cert", c->next_tls_cert, "next-tls-key",
				   c->next_tls_key);
	}
}

int ch_config_load_credential(const struct ch_config_credential *from,
			      struct ch_credential **credential, char error[CH_ERROR_TEXT])
{
	int err = ch_credential_load(from->tls_cert, from->tls_key, credential, error);

	if (err == 0 && from->next_tls_cert != NULL)
		err = ch_credential_load_next(*credential, from->next_tls_cert, from->next_tls_key,
					      error);
	return err;
}

static void check_rule_files(struct ch_config_load *load)
{
	const struct ch_config_guard *guard = &load->config->guard;
	struct ch_prefix_list list = {0};

	for (size_t i = 0; i < guard->rule_count; i++) {
		const char *file = guard->rules[i].file;
		struct ch_position at = place(load, CH_SECTION_RULES, i, "file");
		struct ch_buf text = {0};
		struct stat st;

		if (file == NULL || !check_readable(load, "guard.rules.file", file, at, &st))
			continue;
		if (ch_prefix_list_read(&list, file, 1, &text) != 0)
			ch_diag_add(&load->diag, at, "guard.rules.file: %.*s",
				    text.len > 0 ? (int)text.len - 1 : 0, (const char *)text.data);
		ch_buf_deinit(&text);
	}
	ch_prefix_list_deinit(&list);
}

/* An interface may come later, with a tunnel or a card: then it is guarded from then on. */
static void check_interfaces(struct ch_config_load *load)
{
	const struct ch_config_guard *guard = &load->config->guard;
	struct ch_position at = place(load, CH_SECTION_GUARD, 0, "interface");
	const char *list = guard->interfaces;
	char name[CH_EARLY_NAME];

	while (list != NULL && *list != '\0') {
		list = ch_early_name(list, name);
		if (list == NULL || ch_early_is_there(name))
			continue;
		if (guard->mode == CH_GATE_REQUIRE)
			ch_diag_add(&load->diag, at,
				    "guard.interface: there is no interface %s, and guard.mode is "
				    "require; see ip link",
				    name);
		else if (ch_buf_printf(&load->config->warnings,
				       "%s:%u:%u: guard.interface: there is no interface %s; it is "
				       "guarded as soon as it is there\n",
				       load->diag.file, at.line, at.column, name) != 0)
			load->err = -ENOMEM;
	}
}

void ch_config_check_files(struct ch_config_load *load)
{
	struct stat st;

	check_manufacturers(load);
	check_crl(load);
	check_credentials(load);
	check_rule_files(load);
	check_interfaces(load);
	check_readable(load, "devices.file", load->config->devices_file,
		       place(load, CH_SECTION_DEVICES, 0, "file"), &st);
}
