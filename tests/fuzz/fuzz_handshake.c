/* SPDX-License-Identifier: Apache-2.0 */
/* links: tls core */
/*
 * Input: the records of a device's flight. Nobody can prove possession in it, for our ClientHello
 * is a new one each time: no input may end a handshake well, prove a device or draw anything but an
 * alert or a second ClientHello from us. The corpus was recorded from devices under this root.
 */
#include "fuzz.h"
#include "user/tls/handshake.h"

#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

static const char root[] = "-----BEGIN CERTIFICATE-----\n"
			   "MIIBWTCCAQCgAwIBAgIIJKPLqR8ekgQwCgYIKoZIzj0EAwIwDzENMAsGA1UEAwwE\n"
			   "cm9vdDAiGA8yMDIwMDEwMTAwMDAwMFoYDzk5OTkxMjMxMjM1OTU5WjAPMQ0wCwYD\n"
			   "VQQDDARyb290MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEOXRV6ac3jnep63mW\n"
			   "8sLJdAjDGrQ+xjPwzcGM/FiMGxEs6+qXfe93cgEQ9gHcIULnU82g7se0laFqJZ4P\n"
			   "Zj/ZH6NCMEAwDwYDVR0TAQH/BAUwAwEB/zAOBgNVHQ8BAf8EBAMCAQYwHQYDVR0O\n"
			   "BBYEFAXj8K/Rzq3jq+wPHyxOlU/di8/tMAoGCCqGSM49BAMCA0cAMEQCIAsuD1ku\n"
			   "W7mQUTlCci40/2MXKzrRsKFYxo91kQH3PvHEAiACDKZuPj0+7tTuv1UnoRM6ew45\n"
			   "oDDIhCJWpPZE6cPgww==\n"
			   "-----END CERTIFICATE-----\n";

static unsigned lookups;

/** Every device is known. */
static enum ch_reason lookup(void *ctx, const struct ch_identity *identity, struct ch_match *match)
{
	(void)ctx;
	lookups++;
	check(strlen(identity->identifier) <= CH_IDENTIFIER_MAX);
	match->refuse = CH_REASON_NONE;
	return identity->manufacturer == CH_MANUFACTURER_NONE ? CH_REASON_UNKNOWN_DEVICE
							      : CH_REASON_NONE;
}

static struct ch_tls_context *collector_new(void)
{
	struct ch_tls_client_options options = {.lookup = lookup};
	struct ch_tls_context *context = NULL;
	struct ch_trust *trust = NULL;
	char error[CH_ERROR_TEXT];
	int fd = memfd_create("root", 0);
	char path[32];

	check(fd >= 0 && write(fd, root, sizeof(root) - 1) == sizeof(root) - 1);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	check(ch_trust_new(&trust) == 0);
	check(ch_trust_add(trust, "acme", path, CH_IDENTIFIER_HARDWARE_MODULE, error) == 0);
	close(fd);
	options.trust = trust;
	check(ch_tls_client_new(&options, &context) == 0);
	return context;
}

/** Only alerts, and the answer to a HelloRetryRequest: ChangeCipherSpec and a ClientHello. */
static void check_answer(const struct ch_buf *out)
{
	for (size_t at = 0; at < out->len;) {
		const uint8_t *record = out->data + at;

		check(record[0] == CH_RECORD_ALERT || record[0] == CH_RECORD_CCS ||
		      (record[0] == CH_RECORD_HANDSHAKE && record[5] == 1));
		at += CH_TLS_HEADER + ((size_t)record[3] << 8 | record[4]);
	}
}

/** TLS 1.3: a ServerHello echoes the session id of our hello, else it goes no further. */
static void echo_session_id(uint8_t *record, size_t len, const struct ch_buf *hello)
{
	if (record[0] == CH_RECORD_HANDSHAKE && len > 43 + 33 && record[5] == 2 && record[43] == 32)
		memcpy(record + 44, hello->data + 44, 32);
}

static void feed(struct ch_handshake *handshake, const uint8_t *data, size_t size,
		 const struct ch_buf *hello, struct ch_buf *out)
{
	enum ch_handshake_status status = CH_HANDSHAKE_READ;

	for (size_t at = 0; status == CH_HANDSHAKE_READ && size - at >= CH_TLS_HEADER;) {
		int body = ch_handshake_record_length(data + at);
		size_t len = body < 0 ? 0 : CH_TLS_HEADER + (size_t)body;
		uint8_t *record;

		if (body < 0 || len > size - at)
			break;
		record = malloc(len);
		memcpy(record, data + at, len);
		echo_session_id(record, len, hello);
		status = ch_handshake_step(handshake, record, len, out);
		free(record);
		at += len;
		check(status != CH_HANDSHAKE_DONE && !ch_handshake_proven(handshake));
		check((status == CH_HANDSHAKE_FAILED) ==
		      (ch_handshake_reason(handshake) != CH_REASON_NONE));
		check(ch_handshake_identity(handshake) == NULL || lookups > 0);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct ch_tls_context *collector;
	struct ch_handshake *handshake = NULL;
	struct ch_buf hello = {0};
	struct ch_buf out = {0};

	if (collector == NULL)
		collector = collector_new();
	lookups = 0;
	check(ch_handshake_client(collector, &handshake) == 0);
	check(ch_handshake_step(handshake, NULL, 0, &hello) == CH_HANDSHAKE_READ);
	feed(handshake, data, size, &hello, &out);
	check_answer(&out);
	ch_handshake_free(handshake);
	ch_buf_deinit(&hello);
	ch_buf_deinit(&out);
	return 0;
}
