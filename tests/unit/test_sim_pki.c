/* SPDX-License-Identifier: Apache-2.0 */
/* links: tls proto core */
/* sources: tests/unit/sim_rig.c bench/device.c bench/cert_to_name.c bench/netconf.c bench/impostor.c bench/pki.c bench/pki_make.c bench/pki_status.c */
#include "sim_rig.h"
#include "bench/pki_files.h"
#include "user/tls/credential.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static struct sim_pki *load(void)
{
	struct sim_pki *pki = NULL;
	char error[SIM_PKI_ERROR];

	cr_assert_eq(sim_pki_load(rig_dir(), &pki, error), 0, "%s", error);
	return pki;
}

Test(sim_pki, names_devices_by_index)
{
	char name[32], identifier[32];

	sim_pki_name(0, name);
	cr_assert_str_eq(name, "acme-000000");
	sim_pki_name(7, name);
	cr_assert_str_eq(name, "borg-000007");
	sim_pki_identifier(7, false, identifier);
	cr_assert_str_eq(identifier, "BRG-00000007");
	sim_pki_identifier(4, true, identifier);
	cr_assert_str_eq(identifier, "ACM-90000004");
}

Test(sim_pki, writes_one_inventory_row_per_device_and_spare)
{
	char path[128], line[128], last[128] = "";
	unsigned rows = 0;

	snprintf(path, sizeof(path), "%s/devices.csv", rig_dir());
	FILE *file = fopen(path, "r");
	cr_assert_not_null(file);
	while (fgets(line, sizeof(line), file)) {
		rows++;
		memcpy(last, line, sizeof(last));
	}
	fclose(file);
	cr_assert_eq(rows, 1 + RIG_DEVICES + RIG_SPARES);
	cr_assert_str_eq(last, "borg,BRG-90000007,spare-borg-000007,default,default\n");
}

Test(sim_pki, keeps_keys_private)
{
	static const char *const names[] = {"client.key", "sim/acme-0.key", "sim/borg-0.key"};
	struct stat info;
	char path[128];

	for (size_t i = 0; i < 3; i++) {
		snprintf(path, sizeof(path), "%s/%s", rig_dir(), names[i]);
		cr_assert_eq(stat(path, &info), 0);
		cr_assert_eq(info.st_mode & 0777, 0600, "%s", names[i]);
	}
}

Test(sim_pki, has_a_credential_for_every_identity)
{
	struct sim_pki *pki = load();

	cr_assert_eq(sim_pki_devices(pki), RIG_DEVICES);
	for (int i = 0; i < SIM_IDENTITY_COUNT; i++) {
		const struct ch_credential *shown = NULL;
		struct ch_credential *owned = NULL;
		int err = sim_pki_credential(pki, (enum sim_identity)i, 5, &shown, &owned);
		cr_assert_eq(err, 0, "identity %d", i);
		cr_assert_not_null(shown);
		cr_assert_eq(owned != NULL, i <= SIM_IDENTITY_SPARE_RSA);
		ch_credential_free(owned);
	}
	sim_pki_free(pki);
}

static int chain_of(const struct sim_pki *pki, uint32_t index)
{
	const struct ch_credential *shown;
	struct ch_credential *owned;

	cr_assert_eq(sim_pki_credential(pki, SIM_IDENTITY_FLEET, index, &shown, &owned), 0);
	int certs = sk_X509_num(owned->chain);
	ch_credential_free(owned);
	return certs;
}

/* row: S4 */
Test(sim_pki, sends_the_chain_it_was_told)
{
	static const int acme[] = {1, 3, 3, 2, 0, 2}, borg[] = {0, 0, 0, 0, 0, 1};
	char error[SIM_PKI_ERROR];

	for (int chain = 0; chain < SIM_CHAIN_COUNT; chain++) {
		struct sim_pki *pki = load();
		cr_assert_eq(sim_pki_set_chain(pki, rig_dir(), (enum sim_chain)chain, error), 0,
			     "%s", error);
		cr_assert_eq(chain_of(pki, 0), acme[chain], "%s", sim_chain_names[chain]);
		cr_assert_eq(chain_of(pki, 3), borg[chain], "%s", sim_chain_names[chain]);
		sim_pki_free(pki);
	}
	struct sim_pki *pki = load();
	cr_assert_eq(sim_pki_set_chain(pki, "/nonexistent", SIM_CHAIN_THREE, error), CH_E_CONFIG);
	cr_assert_str_eq(error, "cannot read /nonexistent/sim/acme-three.pem: make the directory "
				"anew with gen-certs");
	sim_pki_free(pki);
}

Test(sim_pki, refuses_devices_it_does_not_have)
{
	struct sim_pki *pki = load();
	const struct ch_credential *shown;
	struct ch_credential *owned;

	cr_assert_eq(sim_pki_credential(pki, SIM_IDENTITY_FLEET, RIG_DEVICES, &shown, &owned),
		     CH_E_RANGE);
	/* spares are taken round robin */
	cr_assert_eq(sim_pki_credential(pki, SIM_IDENTITY_SPARE, 1000000, &shown, &owned), 0);
	ch_credential_free(owned);
	sim_pki_free(pki);
}

Test(sim_pki, names_the_missing_directory)
{
	struct sim_pki *pki = NULL;
	char error[SIM_PKI_ERROR];

	cr_assert_eq(sim_pki_load("/nowhere", &pki, error), -2);
	cr_assert_str_eq(error, "cannot read /nowhere/sim/fleet.pem: No such file or directory (make "
				"it with gen-certs)");
	cr_assert_null(pki);
}

Test(sim_pki, says_where_it_cannot_write)
{
	const struct sim_pki_spec spec = {.dir = "/proc/callhome", .listen = "", .limits = ""};
	char error[SIM_PKI_ERROR];

	cr_assert_neq(sim_pki_make(&spec, error), 0);
	cr_assert_str_eq(error, "cannot make the directory /proc/callhome/: No such file or directory");
}
