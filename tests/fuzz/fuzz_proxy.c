/* SPDX-License-Identifier: Apache-2.0 */
/* links: proto core */
/*
 * Input: where to split, then a header. Whole or split, the parser says the same; it takes no byte
 * behind the header; a source is v4 or v6, never v4 in disguise.
 */
#include "fuzz.h"
#include "user/proto/proxy.h"

static int feed(struct ch_proxy *proxy, const uint8_t *in, size_t len, size_t *used)
{
	uint8_t *exact = malloc(len > 0 ? len : 1); /* exactly as long, for ASan */
	int result;

	check(exact != NULL);
	memcpy(exact, in, len);
	result = ch_proxy_feed(proxy, exact, len, used);
	free(exact);
	check(*used <= len && (result != CH_PROXY_MORE || *used == len));
	check(result != CH_PROXY_MORE || ch_proxy_wanted(proxy) <= CH_PROXY_MAX);
	return result;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
	struct ch_proxy whole = {0};
	struct ch_proxy parts = {0};
	size_t used[3] = {0};
	size_t split;
	int result;

	if (size < 1)
		return 0;
	split = data[0] < size - 1 ? data[0] : size - 1;
	data++;
	size--;
	result = feed(&parts, data, split, &used[0]);
	if (result == CH_PROXY_MORE)
		result = feed(&parts, data + split, size - split, &used[1]);
	check(feed(&whole, data, size, &used[2]) == result);
	if (result != 0)
		return 0;
	check(used[0] + used[1] == used[2] && used[2] <= CH_PROXY_MAX);
	check(memcmp(&whole.source, &parts.source, sizeof(whole.source)) == 0);
	check(whole.source.family == 0 || whole.source.family == 4 || whole.source.family == 6);
	check(whole.source.family != 6 || memcmp(whole.source.ip, mapped, sizeof(mapped)) != 0);
	return 0;
}
