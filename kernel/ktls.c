/* SPDX-License-Identifier: Apache-2.0 */
#include "ktls.h"
#include "sock.h"

#include <errno.h>
#include <linux/tls.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PROBE_WAIT_MS 1000

#ifndef SOL_TLS
#define SOL_TLS 282
#endif
#ifndef TCP_ULP
#define TCP_ULP 31
#endif
#ifndef TLS_RX_EXPECT_NO_PAD
#define TLS_RX_EXPECT_NO_PAD 4
#endif

/* Key, salt and sequence are copied; what the kernel takes as `iv` differs. */
union info {
	struct tls_crypto_info head;
	struct tls12_crypto_info_aes_gcm_128 gcm128;
	struct tls12_crypto_info_aes_gcm_256 gcm256;
	struct tls12_crypto_info_chacha20_poly1305 chacha;
};

_Static_assert(sizeof(union info) <= CH_KTLS_INFO_MAX, "CH_KTLS_INFO_MAX");

static void put_u64(unsigned char to[8], uint64_t value)
{
	for (int i = 7; i >= 0; i--, value >>= 8)
		to[i] = (unsigned char)value;
}

/*
 * GCM: 4 bytes of salt and 8 of "iv". TLS 1.3 splits its 12-byte iv so; TLS 1.2 sends the 8 bytes
 * with each record, and the kernel goes on counting from what it is given.
 */
static void put_gcm(const struct ch_record_keys *keys, const struct ch_direction_keys *from,
		    unsigned char salt[4], unsigned char iv[8], unsigned char sequence[8])
{
	memcpy(salt, from->iv, 4);
	if (keys->version == CH_TLS_1_3)
		memcpy(iv, from->iv + 4, 8);
	else
		put_u64(iv, from->explicit_nonce);
	put_u64(sequence, from->sequence);
}

uint32_t ch_ktls_info(const struct ch_record_keys *keys, enum ch_ktls_direction direction,
		      uint8_t bytes[CH_KTLS_INFO_MAX])
{
	const struct ch_direction_keys *from = direction == CH_KTLS_RX ? &keys->rx : &keys->tx;
	union info info = {0};
	uint32_t len;

	info.head.version = keys->version == CH_TLS_1_3 ? TLS_1_3_VERSION : TLS_1_2_VERSION;
	switch (keys->aead) {
	case CH_AEAD_AES_128_GCM:
		info.head.cipher_type = TLS_CIPHER_AES_GCM_128;
		memcpy(info.gcm128.key, from->key, sizeof(info.gcm128.key));
		put_gcm(keys, from, info.gcm128.salt, info.gcm128.iv, info.gcm128.rec_seq);
		len = sizeof(info.gcm128);
		break;
	case CH_AEAD_AES_256_GCM:
		info.head.cipher_type = TLS_CIPHER_AES_GCM_256;
		memcpy(info.gcm256.key, from->key, sizeof(info.gcm256.key));
		put_gcm(keys, from, info.gcm256.salt, info.gcm256.iv, info.gcm256.rec_seq);
		len = sizeof(info.gcm256);
		break;
	case CH_AEAD_CHACHA20_POLY1305:
		info.head.cipher_type = TLS_CIPHER_CHACHA20_POLY1305;
		memcpy(info.chacha.key, from->key, sizeof(info.chacha.key));
		memcpy(info.chacha.iv, from->iv, sizeof(info.chacha.iv));
		put_u64(info.chacha.rec_seq, from->sequence);
		len = sizeof(info.chacha);
		break;
	default:
		return 0;
	}
	memcpy(bytes, &info, len);
	explicit_bzero(&info, sizeof(info));
	return len;
}

int ch_ktls_option(enum ch_ktls_direction direction)
{
	return direction == CH_KTLS_RX ? TLS_RX : TLS_TX;
}

static int set(int fd, int level, int name, const void *value, socklen_t len)
{
	return ch_sys.setsockopt(fd, level, name, value, len) == 0 ? 0 : -errno;
}

int ch_ktls_prepare(int fd)
{
	int err = set(fd, IPPROTO_TCP, TCP_ULP, "tls", 3);

	return err == -EEXIST ? 0 : err;
}

/* Without it the kernel decrypts TLS 1.3 into memory of its own and copies. */
static int expect_no_pad(int fd)
{
	const int on = 1;

	return set(fd, SOL_TLS, TLS_RX_EXPECT_NO_PAD, &on, sizeof(on));
}

int ch_ktls_install(int fd, enum ch_ktls_direction direction, const struct ch_record_keys *keys,
		    const struct ch_ktls_support *support)
{
	uint8_t info[CH_KTLS_INFO_MAX];
	uint32_t len = ch_ktls_info(keys, direction, info);
	int err;

	if (len == 0)
		return -EINVAL;
	err = set(fd, SOL_TLS, ch_ktls_option(direction), info, len);
	explicit_bzero(info, sizeof(info));
	if (err == 0 && direction == CH_KTLS_RX && keys->version == CH_TLS_1_3 && support->no_pad)
		(void)expect_no_pad(fd); /* only a hint */
	return err;
}

/* A connected pair of TCP sockets on loopback; the ULP knows no other kind. */
static int tcp_pair(int pair[2])
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	socklen_t len = sizeof(address);
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int err = 0;

	pair[0] = pair[1] = -1;
	if (listener < 0)
		return -errno;
	if (bind(listener, (struct sockaddr *)&address, len) != 0 || listen(listener, 1) != 0 ||
	    getsockname(listener, (struct sockaddr *)&address, &len) != 0)
		goto fail;
	pair[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (pair[0] < 0 || connect(pair[0], (struct sockaddr *)&address, len) != 0)
		goto fail;
	pair[1] = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	if (pair[1] >= 0)
		goto out;
fail:
	err = -errno;
	if (pair[0] >= 0)
		close(pair[0]);
out:
	close(listener);
	return err;
}

static void close_pair(const int pair[2])
{
	close(pair[0]);
	close(pair[1]);
}

/*
 * "a" with 16 bytes of padding, then "b": records 0 and 1 of TLS 1.3 under AES-128-GCM with a key
 * and an iv of zeros.
 */
static const uint8_t padded_records[] = {
	0x17, 0x03, 0x03, 0x00, 0x22, 0x62, 0x9f, 0xda, 0xce, 0x60, 0xb6, 0xa3, 0x92,
	0xf3, 0x28, 0xc2, 0xb9, 0x71, 0xb2, 0xfe, 0x78, 0xf7, 0x95, 0xb7, 0x87, 0x1f,
	0x7f, 0x29, 0xf9, 0xdb, 0xfe, 0xa0, 0x0c, 0x1f, 0xb7, 0x06, 0x6e, 0x8a, 0x34,
	0x17, 0x03, 0x03, 0x00, 0x12, 0x0c, 0x16, 0x8a, 0x7f, 0x1c, 0xc9, 0x49, 0x7b,
	0xf4, 0x57, 0x8f, 0xdf, 0x7d, 0xc6, 0x85, 0xec, 0xd1, 0x0d,
};

/* Does padding leave the record behind it alone, where none is expected? @pair: its keys are set.
 */
static bool padding_is_harmless(const int pair[2])
{
	struct pollfd readable = {.fd = pair[0], .events = POLLIN};
	/* Room for more than the text: only then does the kernel decrypt into it. */
	uint8_t text[128] = {0};
	ssize_t got;

	if (send(pair[1], padded_records, sizeof(padded_records), MSG_NOSIGNAL) !=
		    (ssize_t)sizeof(padded_records) ||
	    poll(&readable, 1, PROBE_WAIT_MS) != 1)
		return false;
	got = recv(pair[0], text, sizeof(text), MSG_DONTWAIT);
	if (got == 1)
		got += recv(pair[0], text + 1, sizeof(text) - 1, MSG_DONTWAIT);
	return got == 2 && memcmp(text, "ab", 2) == 0;
}

static void probe_cipher(uint16_t version, uint8_t aead, struct ch_ktls_support *support)
{
	const struct ch_ktls_support none = {.no_pad = false};
	struct ch_record_keys keys = {.version = version, .aead = aead};
	struct ch_ktls_cipher *result =
		version == CH_TLS_1_3 ? &support->tls13[aead] : &support->tls12[aead];
	int pair[2];
	int err = tcp_pair(pair);

	*result = (struct ch_ktls_cipher){err, err};
	if (err != 0)
		return;
	err = ch_ktls_prepare(pair[0]);
	result->rx = err != 0 ? err : ch_ktls_install(pair[0], CH_KTLS_RX, &keys, &none);
	result->tx = err != 0 ? err : ch_ktls_install(pair[0], CH_KTLS_TX, &keys, &none);
	if (version == CH_TLS_1_3 && result->rx == 0) {
		/* Only a kernel that can change the keys of a session takes them twice. */
		support->rekey |= ch_ktls_install(pair[0], CH_KTLS_RX, &keys, &none) == 0;
		if (aead == CH_AEAD_AES_128_GCM)
			support->no_pad = expect_no_pad(pair[0]) == 0 && padding_is_harmless(pair);
	}
	close_pair(pair);
}

void ch_ktls_probe(struct ch_ktls_support *support)
{
	int pair[2];

	memset(support, 0, sizeof(*support));
	support->ulp = tcp_pair(pair);
	if (support->ulp == 0) {
		support->ulp = ch_ktls_prepare(pair[0]);
		close_pair(pair);
	}
	for (unsigned aead = 0; aead < 4; aead++) {
		support->tls12[aead] = (struct ch_ktls_cipher){-EINVAL, -EINVAL};
		support->tls13[aead] = support->tls12[aead];
	}
	for (uint8_t aead = CH_AEAD_AES_128_GCM; aead <= CH_AEAD_CHACHA20_POLY1305; aead++) {
		if (support->ulp != 0) {
			support->tls12[aead] = (struct ch_ktls_cipher){support->ulp, support->ulp};
			support->tls13[aead] = support->tls12[aead];
			continue;
		}
		probe_cipher(CH_TLS_1_2, aead, support);
		probe_cipher(CH_TLS_1_3, aead, support);
	}
}
