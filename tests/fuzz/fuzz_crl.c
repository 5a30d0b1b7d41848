/* SPDX-License-Identifier: Apache-2.0 */
/* links: tls core */
/*
 * Any bytes as a revocation list: every slice lies inside the input, the walk over the entries
 * ends, each entry takes bytes off it, and what is refused says why.
 */
#include "fuzz.h"
#include "user/tls/crl.h"

static void check_inside(const uint8_t *data, size_t size, struct ch_slice slice)
{
	check(slice.len == 0 ||
	      (slice.data >= data && slice.len <= size && slice.data + slice.len <= data + size));
}

static void check_entries(const uint8_t *data, size_t size, struct ch_slice entries)
{
	char error[CH_CRL_ERROR] = "";
	struct ch_crl_entry entry;
	int more;

	do {
		size_t before = entries.len;

		more = ch_crl_next(&entries, &entry, error);
		check(more != 1 || (entries.len < before && entry.serial.len > 0));
		check_inside(data, size, entry.serial);
		check_inside(data, size, entries);
	} while (more == 1);
	check(more == 0 || error[0] != '\0');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char error[CH_CRL_ERROR] = "";
	struct ch_crl crl;
	int err = ch_crl_parse((struct ch_slice){data, size}, &crl, error);

	if (err != 0) {
		check(error[0] != '\0');
		return 0;
	}
	check(crl.users || crl.authorities);
	check(crl.next_update != 0);
	check_inside(data, size, crl.tbs);
	check_inside(data, size, crl.issuer);
	check_inside(data, size, crl.algorithm);
	check_inside(data, size, crl.signature);
	check_inside(data, size, crl.point);
	check_entries(data, size, crl.entries);
	return 0;
}
