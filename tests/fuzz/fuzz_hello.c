/* SPDX-License-Identifier: Apache-2.0 */
/* links: proto core */
/*
 * Input: a hello. What is accepted keeps its promises; the two roles differ in the session-id only;
 * and what is accepted, built again, is read as the same.
 */
#include "fuzz.h"
#include "user/proto/hello.h"

#define BASES (CH_CAP_BASE_1_0 | CH_CAP_BASE_1_1)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ch_slice xml = {data, size};
	struct ch_hello device, client, again;
	enum ch_reason as_device = ch_hello_parse_server(xml, &device);
	enum ch_reason as_client = ch_hello_parse_client(xml, &client);
	struct ch_buf out = {0};

	check(memcmp(&device, &client, sizeof(device)) == 0);
	check(device.capability_count <= 4096);
	check((device.capabilities >> 12) == 0);
	check(as_device != CH_REASON_INTERNAL && as_client != CH_REASON_INTERNAL);
	if (as_device == CH_REASON_NONE)
		check(device.session_id > 0 && as_client == CH_REASON_BAD_HELLO);
	if (as_client == CH_REASON_NONE)
		check(device.session_id == 0 && as_device == CH_REASON_NO_SESSION_ID);
	if (as_device == CH_REASON_NONE || as_client == CH_REASON_NONE) {
		check((device.capabilities & BASES) != 0 && device.capability_count > 0);
		check(ch_hello_build(&out, device.session_id, device.capabilities, NULL, 0) == 0);
		xml = (struct ch_slice){out.data, out.len};
		check((device.session_id > 0
			       ? ch_hello_parse_server(xml, &again)
			       : ch_hello_parse_client(xml, &again)) == CH_REASON_NONE);
		check(again.session_id == device.session_id);
		check(again.capabilities == device.capabilities);
		ch_buf_deinit(&out);
	}
	return 0;
}
