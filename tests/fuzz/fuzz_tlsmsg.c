/* SPDX-License-Identifier: Apache-2.0 */
/* links: proto core */
/*
 * Input: a byte for version and piece size, then the handshake stream. Up to the first KeyUpdate
 * (it must end its record, so there the cut matters) pieces and whole give the same results.
 */
#include "fuzz.h"
#include "user/proto/tlsmsg.h"

#define RESULTS 4096

/** The results but MORE, as letters, up to the end, a REFUSED or a KeyUpdate. */
static size_t results(bool tls13, const uint8_t *in, size_t len, size_t step, char *letters)
{
	struct ch_tlsmsg stream;
	enum ch_tlsmsg_result result = CH_TLSMSG_MORE;
	size_t count = 0;

	ch_tlsmsg_init(&stream, tls13);
	for (size_t at = 0; at < len && count < RESULTS;) {
		size_t piece = piece_at(at, len, step);
		bool requested;
		size_t used;

		result = ch_tlsmsg_feed(&stream, in + at, piece, &used, &requested);
		check(used <= piece && (result != CH_TLSMSG_MORE || used == piece));
		check(!requested || result == CH_TLSMSG_KEY_UPDATE);
		at += used;
		if (result == CH_TLSMSG_MORE)
			continue;
		letters[count++] = (char)('0' + (int)result);
		if (result == CH_TLSMSG_REFUSED || result == CH_TLSMSG_KEY_UPDATE)
			break;
		check(!ch_tlsmsg_pending(&stream));
	}
	return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char whole[RESULTS], pieces[RESULTS];
	size_t count;
	uint8_t code;

	if (size < 1)
		return 0;
	count = results(data[0] % 2, data + 1, size - 1, SIZE_MAX, whole);
	check(results(data[0] % 2, data + 1, size - 1, 1 + data[0] / 2 % 16, pieces) == count);
	for (size_t i = 0; i < count; i++)
		check(whole[i] == pieces[i] ||
		      (i + 1 == count && whole[i] == '0' + CH_TLSMSG_REFUSED &&
		       pieces[i] == '0' + CH_TLSMSG_KEY_UPDATE));
	check(ch_alert_parse(data + 1, size - 1, data[0] % 2, &code) != CH_ALERT_CLOSED ||
	      (size == 3 && code == CH_ALERT_CLOSE_NOTIFY));
	return 0;
}
