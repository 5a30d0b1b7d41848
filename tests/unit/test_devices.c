/* SPDX-License-Identifier: Apache-2.0 */
/* links: collector guard kernel tls core */
#include "user/collector/devices.h"
#include "user/collector/devices_parse.h"
#include "user/core/hash.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct ch_config_manufacturer manufacturers[] = {{.name = "acme"}, {.name = "borg"}};
static struct ch_config_credential credentials[] = {{.name = "first"}, {.name = "second"}};
static struct ch_config_profile profiles[] = {{.name = "default"}, {.name = "quiet"}};
static struct ch_config_listener listeners[] = {
	{.name = "tls", .line = 2, .column = 5},
};
static const struct ch_config config = {
	.file = "c.yaml",
	.devices_file = "d.csv",
	.manufacturers = manufacturers,
	.manufacturer_count = 2,
	.credentials = credentials,
	.credential_count = 2,
	.profiles = profiles,
	.profile_count = 2,
	.listeners = listeners,
	.listener_count = 1,
};

#define PIN_A "00112233445566778899aabbccddeeff00112233445566778899AABBCCDDEEFF"
static const uint8_t pin_a[32] = {
	0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xaa,
	0xbb, 0xcc, 0xdd, 0xee, 0xff, 0x00, 0x11, 0x22, 0x33, 0x44, 0x55,
	0x66, 0x77, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff,
};

static int parse(const struct ch_config *with, const char *csv, struct ch_devices **devices,
		 char error[8192])
{
	struct ch_buf text = {0}, said = {0};
	int err;

	cr_assert_eq(ch_buf_reserve(&text, strlen(csv) + 1), 0);
	cr_assert_eq(ch_buf_append_str(&text, csv), 0);
	*devices = NULL;
	err = ch_devices_parse(with, &text, devices, &said);
	snprintf(error, 8192, "%.*s", (int)said.len, said.len > 0 ? (const char *)said.data : "");
	ch_buf_deinit(&said);
	cr_expect_null(text.data, "the text is taken");
	return err;
}

static struct ch_devices *parse_well(const char *csv)
{
	struct ch_devices *devices;
	char error[8192];

	cr_assert_eq(parse(&config, csv, &devices, error), 0, "%s", error);
	cr_assert_str_eq(error, "");
	return devices;
}

Test(devices, keeps_what_a_line_says)
{
	struct ch_devices *devices = parse_well("# fleet\n"
						"manufacturer,identifier,name,credential,profile\n"
						"acme,SN1,router 1,second,quiet\n"
						"borg,\"a,b\",\"r\"\"2\"\"\",,\n"
						"pin:sha256," PIN_A ",r3,first,default\n");
	const struct ch_device *d;

	cr_assert_eq(ch_devices_count(devices), 3);
	d = ch_devices_at(devices, 0);
	cr_expect_str_eq(d->name, "router 1");
	cr_expect_str_eq(ch_devices_identity(devices, d->identity)->text, "SN1");
	cr_expect_eq(ch_devices_identity(devices, d->identity)->manufacturer, 0);
	cr_expect_eq(d->credential, 1);
	cr_expect_eq(d->profile, 1);
	d = ch_devices_at(devices, 1);
	cr_expect_str_eq(d->name, "r\"2\"");
	cr_expect_str_eq(ch_devices_identity(devices, d->identity)->text, "a,b");
	cr_expect_eq(ch_devices_identity(devices, d->identity)->manufacturer, 1);
	cr_expect_eq(d->credential, CH_DEVICE_NONE);
	cr_expect_eq(d->profile, 0);
	d = ch_devices_at(devices, 2);
	cr_expect_eq(ch_devices_identity(devices, d->identity)->manufacturer, CH_MANUFACTURER_NONE);
	cr_expect_str_eq(ch_devices_identity(devices, d->identity)->text,
			 "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff");
	ch_devices_free(devices);
}

/* row: SC3 */
Test(devices, finds_by_name_identifier_and_pin)
{
	struct ch_devices *devices = parse_well("acme,SN1,r1,,\n"
						"borg,SN1,r2,,\n"
						"borg,SN2,r3,,\n"
						"pin:sha256," PIN_A ",r4,,\n");
	uint8_t other[32];

	cr_expect_eq(ch_devices_by_name(devices, "r3"), 2);
	cr_expect_eq(ch_devices_by_name(devices, "R3"), CH_DEVICE_NONE);
	cr_expect_eq(ch_devices_by_name(devices, ""), CH_DEVICE_NONE);
	cr_expect_eq(ch_devices_by_identifier(devices, 0, "SN1"), 0);
	cr_expect_eq(ch_devices_by_identifier(devices, 1, "SN1"), 1);
	cr_expect_eq(ch_devices_by_identifier(devices, 0, "SN2"), CH_DEVICE_NONE);
	cr_expect_eq(ch_devices_by_identifier(devices, 1, "sn2"), CH_DEVICE_NONE);
	cr_expect_eq(ch_devices_by_pin(devices, pin_a), 3);
	memcpy(other, pin_a, sizeof(other));
	other[31] ^= 1;
	cr_expect_eq(ch_devices_by_pin(devices, other), CH_DEVICE_NONE);
	ch_devices_free(devices);
}

Test(devices, knows_an_identifier_under_any_manufacturer_but_not_a_pin)
{
	struct ch_devices *devices = parse_well("borg,SN2,r3,,\npin:sha256," PIN_A ",r4,,\n");
	const char *hex = ch_devices_identity(devices, ch_devices_at(devices, 1)->identity)->text;

	cr_expect(ch_devices_identifier_known(devices, "SN2"));
	cr_expect_not(ch_devices_identifier_known(devices, "SN3"));
	cr_expect_not(ch_devices_identifier_known(devices, hex));
	cr_expect_eq(ch_devices_by_identifier(devices, CH_MANUFACTURER_NONE, hex), CH_DEVICE_NONE);
	ch_devices_free(devices);
}

Test(devices, an_empty_inventory_is_one)
{
	struct ch_devices *devices = parse_well("# nobody yet\n");

	cr_expect_eq(ch_devices_count(devices), 0);
	cr_expect_eq(ch_devices_by_name(devices, "r1"), CH_DEVICE_NONE);
	cr_expect_not(ch_devices_identifier_known(devices, "r1"));
	ch_devices_free(devices);
}

/* row: C6-keys */
Test(devices, several_lines_of_one_name_are_identities_of_one_device)
{
	struct ch_devices *devices = parse_well("acme,SN1,r1,first,\n"
						"acme,SN2,r2,first,\n"
						"borg,ldev-1,r1,first,default\n"
						"pin-cert:sha256," PIN_A ",r1,first,\n");

	cr_expect_eq(ch_devices_count(devices), 2);
	cr_expect_eq(ch_devices_live(devices), 2);
	cr_expect_eq(ch_devices_by_identifier(devices, 0, "SN1"), 0);
	cr_expect_eq(ch_devices_by_identifier(devices, 1, "ldev-1"), 0);
	cr_expect_eq(ch_devices_by_cert(devices, pin_a), 0);
	cr_expect_eq(ch_devices_by_pin(devices, pin_a), CH_DEVICE_NONE, "another kind of pin");
	cr_expect_eq(ch_devices_by_identifier(devices, 0, "SN2"), 1);
	ch_devices_free(devices);
}

Test(devices, a_device_has_sixteen_identities_and_no_more)
{
	char csv[1024] = "", error[8192];
	struct ch_devices *devices;
	size_t used = 0;

	for (int i = 0; i < 16; i++)
		used += (size_t)snprintf(csv + used, sizeof(csv) - used, "acme,%d,r1,,\n", i);
	devices = parse_well(csv);
	cr_expect_eq(ch_devices_by_identifier(devices, 0, "15"), 0);
	ch_devices_free(devices);
	snprintf(csv + used, sizeof(csv) - used, "acme,16,r1,,\n");
	cr_expect_eq(parse(&config, csv, &devices, error), CH_E_CONFIG);
	cr_expect_str_eq(error, "d.csv:17: the name \"r1\" has more than 16 identities; remove "
				"those that are out of use");
}

static struct ch_buf text_of(const char *csv)
{
	struct ch_buf text = {0};

	cr_assert_eq(ch_buf_reserve(&text, strlen(csv) + 1), 0);
	cr_assert_eq(ch_buf_append_str(&text, csv), 0);
	return text;
}

/* What the file and the database hold together; NULL = nothing of that kind. */
static int merge(const struct ch_devices *previous, const char *file, const char *database,
		 struct ch_devices **devices, char error[8192])
{
	static struct ch_config both;
	struct ch_buf texts[2] = {text_of(file != NULL ? file : ""),
				  text_of(database != NULL ? database : "")};
	struct ch_buf said = {0};
	struct ch_devices_input input = {
		.config = &both, .previous = previous, .database_file = "i.db"};
	int err;

	both = config;
	input.file = file != NULL ? &texts[0] : NULL;
	input.database = database != NULL ? &texts[1] : NULL;
	*devices = NULL;
	err = ch_devices_build(&input, devices, &said);
	snprintf(error, 8192, "%.*s", (int)said.len, said.len > 0 ? (const char *)said.data : "");
	ch_buf_deinit(&said);
	ch_buf_deinit(&texts[0]);
	ch_buf_deinit(&texts[1]);
	return err;
}

Test(devices, file_and_database_together_are_the_inventory)
{
	struct ch_devices *devices, *next;
	char error[8192];

	cr_assert_eq(merge(NULL, "acme,1,r1,first,\nacme,2,r2,first,\n",
			   "borg,ldev-1,r1,first,\nborg,3,r3,second,quiet\nacme,2,r2,first,\n",
			   &devices, error),
		     0, "%s", error);
	cr_expect_eq(ch_devices_live(devices), 3);
	cr_expect_eq(ch_devices_by_identifier(devices, 1, "ldev-1"), 0);
	cr_expect_eq(ch_devices_by_identifier(devices, 1, "3"), 2);
	/* Another content of the database, the file as it was. */
	cr_assert_eq(merge(devices, NULL, "borg,4,r4,second,\n", &next, error), 0, "%s", error);
	ch_devices_free(devices);
	cr_expect_eq(ch_devices_live(next), 3);
	cr_expect_eq(ch_devices_by_identifier(next, 0, "1"), 0);
	cr_expect_eq(ch_devices_by_identifier(next, 0, "2"), 1);
	cr_expect_eq(ch_devices_by_identifier(next, 1, "4"), 3);
	cr_expect_eq(ch_devices_by_name(next, "r3"), CH_DEVICE_NONE);
	cr_expect(ch_device_gone(ch_devices_at(next, 2)));
	cr_expect_str_eq(ch_devices_at(next, 2)->name, "r3");
	ch_devices_free(next);
}

static const struct {
	const char *file, *database, *error;
} contradictions[] = {
	{"acme,1,r1,first,\n", "acme,2,r1,second,\n",
	 "i.db: device \"r1\": the name \"r1\" is on line 1 of d.csv too, with another credential; "
	 "all lines of one device must agree"},
	{"#\nacme,1,r1,first,\n", "acme,1,r2,first,\n",
	 "i.db: device \"r2\": acme,1 is on line 2 of d.csv too; remove one of the two"},
	{"acme,1,r1,first,\n", "acme,2,r2,lost,\n",
	 "i.db: device \"r2\": unknown credential \"lost\"; add it to c.yaml, or correct the name"},
	{"acme,1,r1,first,\n", "acme,2,r2,,\nacme,2,r3,,\n",
	 "i.db: device \"r3\": acme,2 is in i.db too; remove one of the two"},
};

Test(devices, a_contradiction_of_file_and_database_names_both)
{
	for (size_t i = 0; i < sizeof(contradictions) / sizeof(contradictions[0]); i++) {
		struct ch_devices *devices;
		char error[8192];

		cr_expect_eq(merge(NULL, contradictions[i].file, contradictions[i].database,
				   &devices, error),
			     CH_E_CONFIG);
		cr_expect_str_eq(error, contradictions[i].error, "%s", error);
	}
}

static bool any(void *ctx, uint32_t index)
{
	(void)ctx;
	(void)index;
	return true;
}

static struct ch_devices *follow(const struct ch_devices *previous, const char *csv, bool reuse)
{
	struct ch_buf text = text_of(csv);
	const struct ch_devices_input input = {.config = &config,
					       .previous = previous,
					       .reusable = reuse ? any : NULL,
					       .file = &text};
	struct ch_devices *devices = NULL;
	struct ch_buf error = {0};

	cr_assert_eq(ch_devices_build(&input, &devices, &error), 0);
	return devices;
}

Test(devices, a_name_keeps_its_index_over_tables)
{
	struct ch_devices *one = parse_well("acme,1,a,,\nacme,2,b,,\nacme,3,c,,\n");
	struct ch_devices *two = follow(one, "acme,9,new,,\nacme,3,c,,\nborg,1,a,,\n", true);

	ch_devices_free(one);
	cr_expect_eq(ch_devices_by_name(two, "a"), 0);
	cr_expect_eq(ch_devices_by_identifier(two, 1, "1"), 0);
	cr_expect_eq(ch_devices_by_name(two, "c"), 2);
	cr_expect_eq(ch_devices_by_name(two, "new"), 3, "b was not yet gone in the first table");
	cr_expect_eq(ch_devices_by_name(two, "b"), CH_DEVICE_NONE);
	cr_expect(ch_device_gone(ch_devices_at(two, 1)));
	cr_expect_str_eq(ch_devices_at(two, 1)->name, "b");
	cr_expect_eq(ch_devices_count(two), 4);
	cr_expect_eq(ch_devices_live(two), 3);
	ch_devices_free(two);
}

Test(devices, a_hole_is_given_away_one_table_later_when_it_may_be)
{
	struct ch_devices *one = parse_well("acme,1,a,,\nacme,2,b,,\n");
	struct ch_devices *two = follow(one, "acme,2,b,,\n", true);
	struct ch_devices *kept = follow(two, "acme,2,b,,\nacme,3,c,,\n", false);
	struct ch_devices *reused = follow(two, "acme,2,b,,\nacme,3,c,,\n", true);

	cr_expect_eq(ch_devices_by_name(kept, "c"), 2);
	cr_expect_str_eq(ch_devices_at(kept, 0)->name, "a");
	cr_expect_eq(ch_devices_by_name(reused, "c"), 0);
	cr_expect_eq(ch_devices_count(reused), 2);
	ch_devices_free(one);
	ch_devices_free(two);
	ch_devices_free(kept);
	ch_devices_free(reused);
}

Test(devices, an_identity_is_known_by_manufacturer_and_hash)
{
	struct ch_devices *devices = parse_well("acme,SN1,a,,\nborg,L1,a,,\n");

	cr_expect(ch_devices_has(devices, 0, 0, ch_hash("SN1", 3)));
	cr_expect(ch_devices_has(devices, 0, 1, ch_hash("L1", 2)));
	cr_expect(!ch_devices_has(devices, 0, 1, ch_hash("SN1", 3)));
	cr_expect(!ch_devices_has(devices, 0, 0, ch_hash("SN2", 3)));
	ch_devices_free(devices);
}

Test(devices, a_tag_tells_the_identities_of_a_device_apart)
{
	uint8_t digest[32], other[32] = {0};
	struct ch_devices *key = parse_well("pin:sha256," PIN_A ",r1,first,\n");
	struct ch_devices *both = parse_well("pin:sha256," PIN_A ",r1,first,\n"
					     "pin-cert:sha256," PIN_A ",r1,first,\n");
	const char *hex = ch_devices_identity(key, ch_devices_at(key, 0)->identity)->text;

	for (unsigned i = 0; i < 32; i++)
		digest[i] = (uint8_t)(i % 16 * 0x11);
	cr_expect_neq(ch_devices_identity_tag("acme", "SN1"),
		      ch_devices_identity_tag("borg", "SN1"));
	cr_expect_neq(ch_devices_identity_tag("acme", "SN1"),
		      ch_devices_identity_tag("acme", "SN2"));
	cr_expect_neq(ch_devices_identity_tag("acme", "SN1"), 0);
	cr_expect_eq(ch_devices_pin_tag(key, other, digest),
		     ch_devices_identity_tag("pin:sha256", hex));
	cr_expect_eq(ch_devices_pin_tag(both, digest, digest),
		     ch_devices_identity_tag("pin-cert:sha256", hex));
	ch_devices_free(key);
	ch_devices_free(both);
}

Test(devices, what_is_exported_reads_the_same)
{
	struct ch_devices *devices = parse_well("acme,SN1,router 1,second,quiet\n"
						"borg,\"a,b\",\"r\"\"2\"\"\",,\n"
						"acme,\"#3\",r3,first,\n"
						"pin:sha256," PIN_A ",r3,first,default\n");
	struct ch_buf out = {0};

	cr_assert_eq(ch_devices_csv(devices, &config, &out), 0);
	cr_assert_eq(ch_buf_append(&out, "", 1), 0);
	cr_expect_str_eq(
		(char *)out.data,
		"manufacturer,identifier,name,credential,profile\n"
		"acme,SN1,\"router 1\",second,quiet\n"
		"borg,\"a,b\",\"r\"\"2\"\"\",,default\n"
		"acme,\"#3\",r3,first,default\n"
		"pin:sha256,00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff,"
		"r3,first,default\n");
	ch_buf_deinit(&out);
	ch_devices_free(devices);
}

struct mistake {
	const char *csv;
	const char *error;
};

static const struct mistake mistakes[] = {
	{"acme,1,r1,,\nacme,2\n",
	 "d.csv:2: 2 fields where 5 are needed: manufacturer,identifier,name,credential,profile"},
	{"acme,1,r1,,,\n",
	 "d.csv:1: 6 fields where 5 are needed: manufacturer,identifier,name,credential,profile"},
	{"acme,\"1,r1,,\n", "d.csv:1: a quoted field does not end on its line; close the quote"},
	{"acm,1,r1,,\n", "d.csv:1: unknown manufacturer \"acm\"; did you mean \"acme\"?"},
	{"zyxel,1,r1,,\n",
	 "d.csv:1: unknown manufacturer \"zyxel\"; add it to c.yaml, or correct the name"},
	{",1,r1,,\n", "d.csv:1: unknown manufacturer \"\"; add it to c.yaml, or correct the name"},
	{"acme,1,r1,frist,\n", "d.csv:1: unknown credential \"frist\"; did you mean \"first\"?"},
	{"acme,1,r1,other,\n",
	 "d.csv:1: unknown credential \"other\"; add it to c.yaml, or correct the name"},
	{"acme,1,r1,,quite\n", "d.csv:1: unknown profile \"quite\"; did you mean \"quiet\"?"},
	{"pin:sha265," PIN_A ",r1,,\n",
	 "d.csv:1: unknown kind of pin \"pin:sha265\"; write pin:sha256 (public key) or "
	 "pin-cert:sha256 (certificate)"},
	{"pin-cert:sha1," PIN_A ",r1,,\n",
	 "d.csv:1: unknown kind of pin \"pin-cert:sha1\"; write pin:sha256 (public key) or "
	 "pin-cert:sha256 (certificate)"},
	{"pin-cert:sha256,00:11,r1,,\n",
	 "d.csv:1: a pin is the SHA-256 of the certificate in 64 hexadecimal digits without "
	 "colons; \"00:11\" is not"},
	{"pin;sha256," PIN_A ",r1,,\n",
	 "d.csv:1: unknown manufacturer \"pin;sha256\"; did you mean \"pin:sha256\"?"},
	{"pin:sha256,00:11,r1,,\n",
	 "d.csv:1: a pin is the SHA-256 of the public key in 64 hexadecimal digits without colons; "
	 "\"00:11\" is not"},
	{"pin:sha256," PIN_A "0,r1,,\n",
	 "d.csv:1: a pin is the SHA-256 of the public key in 64 hexadecimal digits without colons; "
	 "\"00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff0\" is not"},
	{"acme,,r1,,\n", "d.csv:1: identifier of 0 bytes; it must have 1 to 255"},
	{"acme,1,,,\n", "d.csv:1: name of 0 bytes; it must have 1 to 255"},
	{"acme,1,a/b,,\n", "d.csv:1: name \"a/b\" cannot be part of a file name or URL; choose one "
			   "without '/'"},
	{"acme,1,..,,\n", "d.csv:1: name \"..\" cannot be part of a file name or URL; choose one "
			  "without '/'"},
	{"acme,1,a\x1b[31m,,\n", "d.csv:1: a control character (a tab, perhaps); remove it"},
	{"acme,1,r1,,\n\nacme,1,r2,,\n", "d.csv:3: acme,1 is on line 1 too; remove one of the two"},
	{"acme,1,r1,,\nacme,1,r1,,\n", "d.csv:2: acme,1 is on line 1 too; remove one of the two"},
	{"acme,1,r1,,\n#\nborg,1,r1,first,\n",
	 "d.csv:3: the name \"r1\" is on line 1 too, with another credential; all lines of one "
	 "device must agree"},
	{"acme,1,r1,,quiet\nacme,2,r2,,\nborg,1,r1,,\n",
	 "d.csv:3: the name \"r1\" is on line 1 too, with another profile; all lines of one device "
	 "must agree"},
	{"pin:sha256," PIN_A ",r1,,\npin:sha256,00112233445566778899aabbccddeeff"
	 "00112233445566778899aabbccddeeff,r2,,\n",
	 "d.csv:2: pin:sha256,00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff is "
	 "on line 1 too; remove one of the two"},
	{"acme,1,r1,,\nmanufacturer,identifier,name,credential,profile\n",
	 "d.csv:2: unknown manufacturer \"manufacturer\"; add it to c.yaml, or correct the name"},
	{"acm,1,r1,,\nacme,2,r2,,\nborgg,3,r3,,\n",
	 "d.csv:1: unknown manufacturer \"acm\"; did you mean \"acme\"?\n"
	 "d.csv:3: unknown manufacturer \"borgg\"; did you mean \"borg\"?"},
};

Test(devices, names_line_mistake_and_fix)
{
	for (size_t i = 0; i < sizeof(mistakes) / sizeof(mistakes[0]); i++) {
		struct ch_devices *devices;
		char error[8192];

		cr_expect_eq(parse(&config, mistakes[i].csv, &devices, error), CH_E_CONFIG);
		cr_expect_str_eq(error, mistakes[i].error, "%s gave %s", mistakes[i].csv, error);
		cr_expect_null(devices);
	}
}

Test(devices, takes_names_and_identifiers_of_255_bytes_and_no_longer)
{
	char csv[1024], error[8192], word[257];
	struct ch_devices *devices;

	memset(word, 'x', sizeof(word));
	word[255] = '\0';
	snprintf(csv, sizeof(csv), "acme,%s,%s,,\n", word, word);
	devices = parse_well(csv);
	cr_expect_eq(ch_devices_by_name(devices, word), 0);
	cr_expect_eq(ch_devices_by_identifier(devices, 0, word), 0);
	ch_devices_free(devices);

	word[255] = 'x';
	word[256] = '\0';
	snprintf(csv, sizeof(csv), "acme,%s,r1,,\nacme,1,%s,,\n", word, word);
	cr_expect_eq(parse(&config, csv, &devices, error), CH_E_CONFIG);
	cr_expect_str_eq(error, "d.csv:1: identifier of 256 bytes; it must have 1 to 255\n"
				"d.csv:2: name of 256 bytes; it must have 1 to 255");
}

Test(devices, spells_hardware_modules_as_the_trust_module_does)
{
	static const char *const bad[] = {
		"1.3:0A1B", "1.3:0a1", "1.3", "1.3:", ":0a", "x:0a", "1.3:0a "};
	struct ch_config_manufacturer module = {.name = "m",
						.identifier = CH_IDENTIFIER_HARDWARE_MODULE};
	struct ch_config modules = config;
	struct ch_devices *devices;
	char error[8192], csv[128], want[256];

	modules.manufacturers = &module;
	modules.manufacturer_count = 1;
	cr_expect_eq(parse(&modules, "m,1.3.6.1.4.1.9:0a1b,r1,,\n", &devices, error), 0);
	cr_expect_eq(ch_devices_by_identifier(devices, 0, "1.3.6.1.4.1.9:0a1b"), 0);
	ch_devices_free(devices);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		snprintf(csv, sizeof(csv), "m,\"%s\",r1,,\n", bad[i]);
		cr_expect_eq(parse(&modules, csv, &devices, error), CH_E_CONFIG);
		snprintf(want, sizeof(want),
			 "d.csv:1: \"%s\" is no hardwareModuleName; write the hwType OID, a colon "
			 "and the hwSerialNum in lower-case hex: 1.3.6.1.4.1.9:0a1b",
			 bad[i]);
		cr_expect_str_eq(error, want, "%s", error);
	}
}

Test(devices, shows_twenty_mistakes_and_counts_the_rest)
{
	char csv[4096] = "", error[8192];
	struct ch_devices *devices;
	size_t used = 0, lines = 1;

	for (int i = 0; i < 27; i++)
		used += (size_t)snprintf(csv + used, sizeof(csv) - used, "zyxel,%d,r%d,,\n", i, i);
	cr_expect_eq(parse(&config, csv, &devices, error), CH_E_CONFIG);
	for (const char *c = error; (c = strchr(c, '\n')) != NULL; c++)
		lines++;
	cr_expect_eq(lines, 21);
	cr_expect(strstr(error, "d.csv:20: ") != NULL);
	cr_expect(strstr(error, "d.csv:21: ") == NULL);
	cr_expect_str_eq(strrchr(error, '\n'), "\nd.csv: and 7 more");
}

Test(devices, needs_a_trust_anchor_or_a_pin)
{
	struct ch_config bare = config;
	struct ch_devices *devices;
	char error[8192];

	bare.manufacturer_count = 0;
	cr_expect_eq(parse(&bare, "# none\n", &devices, error), CH_E_CONFIG);
	cr_expect_str_eq(error,
			 "c.yaml:2:5: listener \"tls\" has no trust anchor; add "
			 "trust.manufacturers with a CA file, or a pin:sha256 line to d.csv");
	cr_expect_eq(parse(&bare, "pin:sha256," PIN_A ",r1,,\n", &devices, error), 0);
	ch_devices_free(devices);
}

static int load(const struct ch_config *with, struct ch_devices **devices, struct ch_buf *error)
{
	return ch_devices_load(&(struct ch_devices_input){.config = with}, devices, error);
}

Test(devices, a_missing_file_names_the_option)
{
	struct ch_config gone = config;
	struct ch_devices *devices = NULL;
	struct ch_buf error = {0};

	gone.devices_file = "/nonexistent/d.csv";
	cr_expect_eq(load(&gone, &devices, &error), CH_E_CONFIG);
	cr_expect_eq(ch_buf_append(&error, "", 1), 0);
	cr_expect_str_eq((char *)error.data,
			 "/nonexistent/d.csv: cannot be read: No such file or directory; mend "
			 "devices.file in c.yaml");
	ch_buf_deinit(&error);
}

enum { MANY = 200000 };

Test(devices, loads_two_hundred_thousand_lines_from_a_file)
{
	char path[] = "/tmp/callhome-test-XXXXXX";
	FILE *file = fdopen(mkstemp(path), "w");
	struct ch_config big = config;
	struct ch_devices *devices;
	struct ch_buf error = {0};
	char name[32];

	cr_assert_not_null(file);
	for (int i = 0; i < MANY; i++)
		fprintf(file, "%s,SN%06d,router-%06d.example.net,first,quiet\n",
			i % 2 ? "acme" : "borg", i, i);
	fclose(file);
	big.devices_file = path;
	cr_assert_eq(load(&big, &devices, &error), 0);
	unlink(path);
	cr_assert_eq(ch_devices_count(devices), MANY);
	/* docs/config.md: the line (52 here), 48 bytes, and 42 bytes of look-up tables. */
	cr_expect_leq(ch_devices_bytes(devices) / MANY, 52 + 48 + 42, "%zu bytes per device",
		      ch_devices_bytes(devices) / MANY);
	for (uint32_t i = 0; i < MANY; i++) {
		snprintf(name, sizeof(name), "router-%06u.example.net", i);
		cr_assert_eq(ch_devices_by_name(devices, name), i);
		snprintf(name, sizeof(name), "SN%06u", i);
		cr_assert_eq(ch_devices_by_identifier(devices, i % 2 ? 0 : 1, name), i);
		cr_assert_eq(ch_devices_by_identifier(devices, i % 2 ? 1 : 0, name),
			     CH_DEVICE_NONE);
	}
	ch_devices_free(devices);
}
