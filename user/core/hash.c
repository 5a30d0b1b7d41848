/* SPDX-License-Identifier: Apache-2.0 */
#include "hash.h"

/** Written once before any thread exists; all zero until then. */
static uint64_t key0;
static uint64_t key1;

struct sip {
	uint64_t v0, v1, v2, v3;
};

static uint64_t read_le64(const uint8_t *bytes, size_t len)
{
	uint64_t value = 0;

	for (size_t i = 0; i < len; i++)
		value |= (uint64_t)bytes[i] << (8 * i);
	return value;
}

static uint64_t rotate(uint64_t value, unsigned bits)
{
	return value << bits | value >> (64 - bits);
}

static void sip_round(struct sip *s)
{
	s->v0 += s->v1;
	s->v2 += s->v3;
	s->v1 = rotate(s->v1, 13) ^ s->v0;
	s->v3 = rotate(s->v3, 16) ^ s->v2;
	s->v0 = rotate(s->v0, 32);
	s->v2 += s->v1;
	s->v0 += s->v3;
	s->v1 = rotate(s->v1, 17) ^ s->v2;
	s->v3 = rotate(s->v3, 21) ^ s->v0;
	s->v2 = rotate(s->v2, 32);
}

static void sip_word(struct sip *s, uint64_t word)
{
	s->v3 ^= word;
	sip_round(s);
	s->v0 ^= word;
}

void ch_hash_set_key(const uint8_t key[16])
{
	key0 = read_le64(key, 8);
	key1 = read_le64(key + 8, 8);
}

uint64_t ch_hash(const void *data, size_t len)
{
	const uint8_t *bytes = data;
	struct sip s = {
		key0 ^ 0x736f6d6570736575ULL,
		key1 ^ 0x646f72616e646f6dULL,
		key0 ^ 0x6c7967656e657261ULL,
		key1 ^ 0x7465646279746573ULL,
	};
	size_t whole = len / 8 * 8;

	for (size_t i = 0; i < whole; i += 8)
		sip_word(&s, read_le64(bytes + i, 8));
	sip_word(&s, read_le64(bytes + whole, len - whole) | (uint64_t)len << 56);
	s.v2 ^= 0xff;
	sip_round(&s);
	sip_round(&s);
	sip_round(&s);
	return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}
