/* SPDX-License-Identifier: Apache-2.0 */
/* links: collector guard kernel tls core */
/* sources: tests/unit/tls_fixture.c */
/* What the configuration refers to: certificates, keys, anchors, the inventory; and the samples. */
#include "tests/unit/tls_fixture.h"
#include "user/collector/config.h"
#include "user/collector/config_load.h"
#include "user/collector/devices.h"
#include "user/collector/devices_parse.h"
#include "user/collector/text.h"

#include <criterion/criterion.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char directory[] = "/tmp/callhome-test-XXXXXX";

static const char *in_directory(const char *name)
{
	static char path[256];

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	return path;
}

static void write_file(const char *name, const void *data, size_t len, mode_t mode)
{
	FILE *file = fopen(in_directory(name), "w");

	cr_assert_not_null(file);
	cr_assert_eq(fwrite(data, 1, len, file), len);
	cr_assert_eq(fclose(file), 0);
	cr_assert_eq(chmod(in_directory(name), mode), 0);
}

static void write_pki(void)
{
	EVP_PKEY *key = fx_key(FX_P256);
	X509 *acme = fx_cert(&(struct fx_cert){.key = key, .cn = "acme CA", .ca = true});
	X509 *borg = fx_cert(&(struct fx_cert){.key = key, .cn = "borg CA", .ca = true});
	X509 *client = fx_cert(&(struct fx_cert){.key = key, .cn = "collector"});
	struct fx_text a = fx_pem_certs((X509 *[]){acme, NULL});
	struct fx_text b = fx_pem_certs((X509 *[]){borg, NULL});
	struct fx_text c = fx_pem_certs((X509 *[]){client, NULL});
	struct fx_text k = fx_pem_key(key);
	EVP_PKEY *strange = fx_key(FX_P384);
	struct fx_text s = fx_pem_key(strange);

	write_file("acme.pem", a.data, a.len, 0644);
	write_file("borg.pem", b.data, b.len, 0644);
	write_file("client.pem", c.data, c.len, 0644);
	write_file("client.key", k.data, k.len, 0600);
	write_file("open.key", k.data, k.len, 0644);
	write_file("strange.key", s.data, s.len, 0600);
	write_file("empty.pem", "", 0, 0600);
	write_file("d.csv", "acme,1,r1,default,\n", 19, 0644);
	fx_text_free(&a);
	fx_text_free(&b);
	fx_text_free(&c);
	fx_text_free(&k);
	fx_text_free(&s);
	X509_free(acme);
	X509_free(borg);
	X509_free(client);
	EVP_PKEY_free(key);
	EVP_PKEY_free(strange);
}

static void set_up(void)
{
	cr_assert_not_null(mkdtemp(directory));
	write_pki();
}

static void tear_down(void)
{
	static const char *const names[] = {"acme.pem", "borg.pem",    "client.pem", "client.key",
					    "open.key", "strange.key", "empty.pem",  "d.csv",
					    "c.yaml"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		unlink(in_directory(names[i]));
	rmdir(directory);
}

TestSuite(config_files, .init = set_up, .fini = tear_down);

static const char *yaml_of(const char *ca, const char *cert, const char *key, const char *csv)
{
	static char yaml[1024];

	snprintf(yaml, sizeof(yaml),
		 "trust:\n  manufacturers:\n  - {name: acme, ca: %s, identifier: cn}\n"
		 "credentials:\n- {name: default, tls-cert: %s, tls-key: %s}\ndevices: {file: %s}\n",
		 ca, cert, key, csv);
	return yaml;
}

/* Loads the text as DIRECTORY/c.yaml; in the errors the directory becomes "@". */
static int load(const char *yaml, struct ch_config **config, char error[2048])
{
	struct ch_buf said = {0};
	size_t used = 0;
	int err;

	write_file("c.yaml", yaml, strlen(yaml), 0600);
	*config = NULL;
	err = ch_config_load(in_directory("c.yaml"), config, &said);
	for (size_t i = 0; i < said.len && used < 2047; i++) {
		size_t left = said.len - i, len = strlen(directory);

		if (left >= len && memcmp(said.data + i, directory, len) == 0) {
			error[used++] = '@';
			i += len - 1;
		} else {
			error[used++] = (char)said.data[i];
		}
	}
	error[used] = '\0';
	ch_buf_deinit(&said);
	return err;
}

Test(config_files, loads_what_is_there)
{
	struct ch_config *config;
	struct ch_devices_input from = {0};
	struct ch_devices *devices;
	struct ch_buf error = {0};
	char text[2048];

	cr_assert_eq(load(yaml_of("acme.pem", "client.pem", "client.key", "d.csv"), &config, text),
		     0, "%s", text);
	cr_expect_eq(config->warnings.len, 0);
	from.config = config;
	cr_assert_eq(ch_devices_load(&from, &devices, &error), 0);
	cr_expect_eq(ch_devices_by_name(devices, "r1"), 0);
	ch_devices_free(devices);
	ch_config_free(config);
}

struct line {
	char text[512];
	int count;
};

static void keep_line(void *ctx, enum ch_log_level level, const char *text)
{
	struct line *line = ctx;

	cr_expect_eq(level, CH_LOG_WARNING);
	snprintf(line->text, sizeof(line->text), "%s", text);
	line->count++;
}

Test(config_files, warns_of_a_key_that_everybody_can_read)
{
	struct line line = {.count = 0};
	struct ch_log log = {CH_LOG_INFO, keep_line, &line};
	struct ch_config *config;
	char text[2048], want[512];

	cr_assert_eq(load(yaml_of("acme.pem", "client.pem", "open.key", "d.csv"), &config, text), 0,
		     "%s", text);
	ch_config_log_warnings(config, &log);
	cr_expect_eq(line.count, 1);
	snprintf(want, sizeof(want),
		 "event=config-warning text=\"%s/c.yaml:5:50: credentials.tls-key: everybody can "
		 "read %s/open.key; chmod 600 it\"", directory, directory);
	cr_expect_str_eq(line.text, want, "%s", line.text);
	ch_config_free(config);
}

#define MEND "mend the path (a relative one starts where the configuration file is)"

Test(config_files, names_files_that_are_not_there)
{
	struct ch_config *config;
	char error[2048];

	cr_expect_eq(load(yaml_of("a.pem", "c.pem", "c.key", "e.csv"), &config, error),
		     CH_E_CONFIG);
	cr_expect_str_eq(
		error,
		"@/c.yaml:3:22: trust.manufacturers.ca: cannot read @/a.pem: No such file or "
		"directory; " MEND "\n"
		"@/c.yaml:5:29: credentials.tls-cert: cannot read @/c.pem: No such file or "
		"directory; " MEND "\n"
		"@/c.yaml:5:45: credentials.tls-key: cannot read @/c.key: No such file or "
		"directory; " MEND "\n"
		"@/c.yaml:6:17: devices.file: cannot read @/e.csv: No such file or directory; " MEND,
		"%s", error);
	cr_expect_null(config);
}

Test(config_files, names_what_is_no_file)
{
	struct ch_config *config;
	char error[2048];

	cr_expect_eq(load(yaml_of("/dev/null", "client.pem", "client.key", "."), &config, error),
		     CH_E_CONFIG);
	cr_expect_str_eq(error,
			 "@/c.yaml:3:22: trust.manufacturers.ca: /dev/null is not a regular file\n"
			 "@/c.yaml:6:17: devices.file: cannot read @/.: Is a directory; " MEND,
			 "%s", error);
}

static void expect_start(const char *error, const char *start)
{
	cr_expect_eq(strncmp(error, start, strlen(start)), 0, "%s", error);
	cr_expect_null(strchr(error, '\n'), "one mistake: %s", error);
}

Test(config_files, places_what_the_certificate_loader_says)
{
	struct ch_config *config;
	char error[2048];

	cr_expect_eq(load(yaml_of("empty.pem", "client.pem", "client.key", "d.csv"), &config, error),
		     CH_E_CONFIG);
	expect_start(error, "@/c.yaml:3:22: trust.manufacturers.ca: @/empty.pem");
	cr_expect_eq(load(yaml_of("acme.pem", "empty.pem", "client.key", "d.csv"), &config, error),
		     CH_E_CONFIG);
	expect_start(error, "@/c.yaml:5:29: credentials.tls-cert: @/empty.pem");
	cr_expect_eq(load(yaml_of("acme.pem", "client.pem", "empty.pem", "d.csv"), &config, error),
		     CH_E_CONFIG);
	expect_start(error, "@/c.yaml:5:50: credentials.tls-key: @/empty.pem");
	cr_expect_eq(load(yaml_of("acme.pem", "client.pem", "strange.key", "d.csv"), &config, error),
		     CH_E_CONFIG);
	expect_start(error, "@/c.yaml:5:50: credentials.tls-key: ");
	cr_expect_eq(load(yaml_of("acme.pem", "client.pem",
				  "client.key,\n   next-tls-cert: client.pem, next-tls-key: strange.key",
				  "d.csv"),
			  &config, error),
		     CH_E_CONFIG);
	expect_start(error, "@/c.yaml:6:45: credentials.next-tls-key: ");
	cr_expect_eq(load(yaml_of("acme.pem", "client.pem",
				  "client.key,\n   next-tls-cert: empty.pem, next-tls-key: client.key",
				  "d.csv"),
			  &config, error),
		     CH_E_CONFIG);
	expect_start(error, "@/c.yaml:6:19: credentials.next-tls-cert: @/empty.pem");
}

Test(config_files, refuses_one_anchor_under_two_manufacturers)
{
	struct ch_config *config;
	char error[2048];

	cr_expect_eq(load("trust: {manufacturers: [{name: a, ca: acme.pem, identifier: cn},\n"
			  "{name: b, ca: borg.pem, identifier: cn},\n"
			  "{name: c, ca: acme.pem, identifier: cn}]}\n"
			  "credentials: [{name: d, tls-cert: client.pem, tls-key: client.key}]\n"
			  "devices: {file: d.csv}\n", &config, error), CH_E_CONFIG);
	expect_start(error, "@/c.yaml:3:15: trust.manufacturers.ca: ");
}

static void expect_unreadable(const char *path, const char *want)
{
	struct ch_config *config = NULL;
	struct ch_buf error = {0};

	cr_expect_eq(ch_config_load(path, &config, &error), CH_E_CONFIG);
	cr_assert_eq(ch_buf_append(&error, "", 1), 0);
	cr_expect_str_eq((char *)error.data, want);
	ch_buf_deinit(&error);
}

Test(config_files, names_a_configuration_that_cannot_be_read)
{
	char big[] = "/tmp/callhome-test-XXXXXX", want[128];
	int fd = mkstemp(big);

	expect_unreadable("/nonexistent/c.yaml", "/nonexistent/c.yaml: cannot be read: No such file "
						 "or directory; name the configuration with -c FILE");
	expect_unreadable("/", "/: cannot be read: Is a directory; name the configuration with -c "
			       "FILE");
	expect_unreadable("/dev/zero", "/dev/zero: not a regular file");
	cr_assert_eq(ftruncate(fd, 1024 * 1024 + 1), 0);
	snprintf(want, sizeof(want), "%s: longer than 1048576 bytes; this is no configuration", big);
	expect_unreadable(big, want);
	unlink(big);
	close(fd);
}

Test(config_files, the_packaged_samples_are_right)
{
	struct ch_buf yaml = {0}, csv = {0}, error = {0};
	struct ch_config *config;
	struct ch_devices *devices;

	cr_assert_eq(ch_file_read("packaging/callhomed.yaml", 65536, &yaml), 0);
	cr_assert_eq(ch_file_read("packaging/devices.csv", 65536, &csv), 0);
	cr_assert_eq(ch_config_parse("/etc/callhome/callhomed.yaml", yaml.data, yaml.len, &config,
				     &error), 0);
	cr_expect_str_eq(config->devices_file, "/etc/callhome/devices.csv");
	cr_expect_eq(config->listener_count, 2);
	cr_expect_str_eq(config->guard.bans_file, "/var/lib/callhome/bans");
	cr_assert_eq(ch_devices_parse(config, &csv, &devices, &error), 0);
	cr_expect_eq(ch_devices_count(devices), 3);
	ch_devices_free(devices);
	ch_config_free(config);
	ch_buf_deinit(&yaml);
}
