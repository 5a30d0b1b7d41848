/* SPDX-License-Identifier: Apache-2.0 */
/* links: proto tls core */
/*
 * The traces of RFC 8448, from the traffic secrets on: every protected record of section 3 (simple
 * 1-RTT handshake) and of section 4 (resumed 0-RTT), in both directions. The RFC has no KeyUpdate
 * and no suite but TLS_AES_128_GCM_SHA256; test_tlspeer holds those against OpenSSL.
 */
#include "user/proto/tlsmsg.h"
#include "user/tls/keys.h"
#include "user/tls/record.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SEQUENCE_50                                                                                \
	"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"                         \
	"202122232425262728292a2b2c2d2e2f3031"

/** "complete record" of the RFC with its "payload". */
struct trace_record {
	uint8_t type;
	size_t len;	   /**< of the payload */
	const char *begin; /**< of the payload, or all of it */
	const char *wire;
};

/** All records of one direction under one traffic secret. */
struct trace {
	const char *name;
	const char *secret;
	const char *key; /**< NULL where the section does not show them */
	const char *iv;
	struct trace_record records[4];
};

static const struct trace traces[] = {
	{
		.name = "section 3, the server's handshake",
		.secret = "b67b7d690cc16c4e75e54213cb2d37b4e9c912bcded9105d42befd59d391ad38",
		.key = "3fce516009c21727d0f2e4e86ee403bc",
		.iv = "5d313eb2671276ee13000b30",
		.records =
			{
				{CH_RECORD_HANDSHAKE, 657,
				 "080000240022000a00140012001d00170018001901000101010201030104001c0"
				 "0024001"
				 "000000000b0001b9",
				 "17030302a2d1ff334a56f5bff6594a07cc87b580233f500f45e489e7f33af35ed"
				 "f7869fc"
				 "f40aa40aa2b8ea73f848a7ca07612ef9f945cb960b4068905123ea78b111b429b"
				 "a9191cd"
				 "05d2a389280f526134aadc7fc78c4b729df828b5ecf7b13bd9aefb0e57f271585"
				 "b8ea9bb"
				 "355c7c79020716cfb9b1183ef3ab20e37d57a6b9d7477609aee6e122a4cf51427"
				 "325250c"
				 "7d0e509289444c9b3a648f1d71035d2ed65b0e3cdd0cbae8bf2d0b227812cbb36"
				 "0987255"
				 "cc744110c453baa4fcd610928d809810e4b7ed1a8fd991f06aa6248204797e36a"
				 "6a73b70"
				 "a2559c09ead686945ba246ab66e5edd8044b4c6de3fcf2a89441ac66272fd8fb3"
				 "30ef819"
				 "0579b3684596c960bd596eea520a56a8d650f563aad27409960dca63d3e688611"
				 "ea5e22f"
				 "4415cf9538d51a200c27034272968a264ed6540c84838d89f72c24461aad6d26f"
				 "59ecaba"
				 "9acbbb317b66d902f4f292a36ac1b639c637ce343117b659622245317b49eeda0"
				 "c6258f1"
				 "00d7d961ffb138647e92ea330faeea6dfa31c7a84dc3bd7e1b7a6c7178af36879"
				 "018e3f2"
				 "52107f243d243dc7339d5684c8b0378bf30244da8c87c843f5e56eb4c5e8280a2"
				 "b48052c"
				 "f93b16499a66db7cca71e4599426f7d461e66f99882bd89fc50800becca62d6c7"
				 "4116dbd"
				 "2972fda1fa80f85df881edbe5a37668936b335583b599186dc5c6918a396fa48a"
				 "181d6b6"
				 "fa4f9d62d513afbb992f2b992f67f8afe67f76913fa388cb5630c8ca01e0c65d1"
				 "1c66a1e"
				 "2ac4c85977b7c7a6999bbf10dc35ae69f5515614636c0b9b68c19ed2e31c0b3b6"
				 "6763038"
				 "ebba42f3b38edc0399f3a9f23faa63978c317fc9fa66a73f60f0504de93b5b845"
				 "e275592"
				 "c12335ee340bbc4fddd502784016e4b3be7ef04dda49f4b440a30cb5d2af93982"
				 "8fd4ae3"
				 "794e44f94df5a631ede42c1719bfdabf0253fe5175be898e750edc53370d2b"},
			},
	},
	{
		.name = "section 3, the client's handshake",
		.secret = "b3eddb126e067f35a780b3abf45e2d8f3b1a950738f52e9600746a0e27a55a21",
		.key = "dbfaa693d1762c5b666af5d950258d01",
		.iv = "5bd3c71b836e0b76bb73265f",
		.records =
			{
				{CH_RECORD_HANDSHAKE, 36,
				 "14000020a8ec436d677634ae525ac1fcebe11a039ec17694fac6e98527b642f2e"
				 "dd5ce61",
				 "170303003575ec4dc238cce60b298044a71e219c56cc77b0517fe9b93c7a4bfc4"
				 "4d87f38"
				 "f80338ac98fc46deb384bd1caeacab6867d726c40546"},
			},
	},
	{
		.name = "section 3, the server's application data",
		.secret = "a11af9f05531f856ad47116b45a950328204b4f44bfb6b3a4b4f1f3fcb631643",
		.key = "9f02283b6c9c07efc26bb9f2ac92e356",
		.iv = "cf782b88dd83549aadf1e984",
		.records =
			{
				{CH_RECORD_HANDSHAKE, 205, "040000c9",
				 "17030300de3a6b8f90414a97d6959c3487680de5134a2b240e6cffac116e95d41"
				 "d6af8f6"
				 "b580dcf3d11d63c758db289a015940252f55713e061dc13e078891a38efbcf575"
				 "3ad8ef1"
				 "70ad3c7353d16d9da773b9ca7f2b9fa1b6c0d4a3d03f75e09c30ba1e62972ac46"
				 "f75f7b9"
				 "81be63439b2999ce13064615139891d5e4c5b406f16e3fc181a77ca475840025d"
				 "b2f0a77"
				 "f81b5ab05b94c01346755f69232c86519d86cbeeac87aac347d143f9605d64f65"
				 "0db4d02"
				 "3e70e952ca49fe5137121c74bc2697687e248746d6df353005f3bce18696129c8"
				 "153556b"
				 "3b6c6779b37bf15985684f"},
				{CH_RECORD_DATA, 50, SEQUENCE_50,
				 "17030300432e937e11ef4ac740e538ad36005fc4a46932fc3225d05f82aa1b36e"
				 "30efaf9"
				 "7d90e6dffc602dcb501a59a8fcc49c4bf2e5f0a21c0047c2abf332540dd032e16"
				 "7c2955d"},
				{CH_RECORD_ALERT, 2, "0100",
				 "1703030013b58fd67166ebf599d24720cfbe7efa7a8864a9"},
			},
	},
	{
		.name = "section 3, the client's application data",
		.secret = "9e40646ce79a7f9dc05af8889bce6552875afa0b06df0087f792ebb7c17504a5",
		.key = "17422dda596ed5d9acd890e3c63f5051",
		.iv = "5b78923dee08579033e523d9",
		.records =
			{
				{CH_RECORD_DATA, 50, SEQUENCE_50,
				 "1703030043a23f7054b62c94d0affafe8228ba55cbefacea42f914aa66bcab3f2"
				 "b9819a8"
				 "a5b46b395bd54a9a20441e2b62974e1f5a6292a2977014bd1e3deae63aeebb216"
				 "94915e4"},
				{CH_RECORD_ALERT, 2, "0100",
				 "1703030013c9872760655666b74d7ff1153efd6db6d0b0e3"},
			},
	},
	{
		.name = "section 4, early data",
		.secret = "3fbbe6a60deb66c30a32795aba0eff7eaa10105586e7be5c09678d63b6caab62",
		.key = "920205a5b7bf2115e6fc5c2942834f54",
		.iv = "6d475f0993c8e564610db2b9",
		.records =
			{
				{CH_RECORD_DATA, 6, "414243444546",
				 "1703030017ab1df420e75c457a7cc5d2844f76d5aee4b4edbf049be0"},
				{CH_RECORD_HANDSHAKE, 4, "05000000",
				 "1703030015aca6fc944841298df99593725f9bf9754429b12f09"},
			},
	},
	{
		.name = "section 4, the server's handshake",
		.secret = "fe927ae271312e8bf0275b581c54eef020450dc4ecffaa05a1a35d27518e7803",
		.records =
			{
				{CH_RECORD_HANDSHAKE, 80, "08000028",
				 "1703030061dc48237b4b879f50d0d4d262ea8b4716eb40ddc1eb957e11126e8a7"
				 "149c2d0"
				 "12d37a7115957e64ce30008b9e0323f2c05a9c1c77b4f37849a695ab255060a33"
				 "fee770c"
				 "a95cb8486bfd0843b87024865ca35cc41c4e515c64dcb1369f98635bc7a5"},
			},
	},
	{
		.name = "section 4, the client's handshake",
		.secret = "2faac08f851d35fea3604fcb4de82dc62c9b164a70974d0462e27f1ab278700f",
		.records =
			{
				{CH_RECORD_HANDSHAKE, 36,
				 "140000207230a9c952c25cd6138fc5e6628308c41c5335dd81b9f96bcea50fd32"
				 "bda416d",
				 "170303003500f8b467d14cf22a4b3f0b6ae0d8e6cc8d08e0db3515ef5c2bdf192"
				 "2eafbb7"
				 "0009964716d834fb70c3d2a56c5b1f5f6bdba6c333cf"},
			},
	},
	{
		.name = "section 4, the server's application data",
		.secret = "cc21f1bf8feb7dd5fa505bd9c4b468a9984d554a993dc49e6d285598fb672691",
		.records =
			{
				{CH_RECORD_DATA, 50, SEQUENCE_50,
				 "1703030043275e9f20acff57bc000657d3867df039cccf79047884cf75771746f"
				 "740b5a8"
				 "3f462a0954c3581393a203a25a7dd14141ef1a37900cdb62ff62dee1ba39ab259"
				 "0cbf194"},
				{CH_RECORD_ALERT, 2, "0100",
				 "17030300135b18af444e8e1eec7158fb62d8f2577d37ba5d"},
			},
	},
	{
		.name = "section 4, the client's application data",
		.secret = "2abbf2b8e381d23dbebe1dd2a7d16a8bf484cb4950d23fb7fb7fa8547062d9a1",
		.records =
			{
				{CH_RECORD_DATA, 50, SEQUENCE_50,
				 "1703030043b1cebce242aa201be9ae5e1cb2a9aa4b33d4e866af1edb068919237"
				 "741aa03"
				 "1d7a74d491c99b9d4e232b74206bc6fbaa04fe78be44a9b4f54320a17eb76992a"
				 "fac3103"},
				{CH_RECORD_ALERT, 2, "0100",
				 "17030300130facce3246bdfc6369838d6a82ae6de5d422dc"},
			},
	},
};
#define TRACES (sizeof(traces) / sizeof(traces[0]))

/** @return bytes */
static size_t from_hex(const char *hex, uint8_t *out)
{
	size_t len = 0;
	unsigned byte;

	for (; sscanf(hex, "%2x", &byte) == 1; hex += 2)
		out[len++] = (uint8_t)byte;
	return len;
}

static struct ch_direction_keys keys_of(const struct trace *trace)
{
	struct ch_direction_keys keys = {0};

	cr_assert_eq(from_hex(trace->secret, keys.secret), 32);
	cr_assert_eq(ch_keys_from_secret(CH_AEAD_AES_128_GCM, 32, &keys), 0);
	return keys;
}

Test(rfc8448, traffic_secrets_give_the_keys_of_the_trace)
{
	unsigned shown = 0;

	for (size_t i = 0; i < TRACES; i++) {
		struct ch_direction_keys keys = keys_of(&traces[i]);
		uint8_t expected[16];

		if (traces[i].key == NULL)
			continue;
		shown++;
		cr_assert_eq(from_hex(traces[i].key, expected), 16);
		cr_assert_arr_eq(keys.key, expected, 16, "%s", traces[i].name);
		cr_assert_eq(from_hex(traces[i].iv, expected), 12);
		cr_assert_arr_eq(keys.iv, expected, 12, "%s", traces[i].name);
	}
	cr_assert_eq(shown, 5);
}

/** Both ends of one direction. */
struct ends {
	struct ch_record_engine *engine;
	struct ch_record reader;
	struct ch_record writer;
};

static void ends_init(struct ends *ends, const struct trace *trace)
{
	struct ch_record_keys keys = {
		.version = CH_TLS_1_3, .aead = CH_AEAD_AES_128_GCM, .secret_len = 32};

	cr_assert_eq(ch_record_engine_new(&ends->engine), 0);
	keys.rx = keys.tx = keys_of(trace);
	ch_record_init(&ends->reader, ends->engine, &keys, NULL);
	ch_record_init(&ends->writer, ends->engine, &keys, NULL);
}

static void ends_deinit(struct ends *ends)
{
	ch_record_deinit(&ends->reader);
	ch_record_deinit(&ends->writer);
	ch_record_engine_free(ends->engine);
}

/** Opens the record cut at @split; the payload must be the RFC's, and sealing it gives the record.
 */
static void check_record(struct ends *ends, const struct trace_record *record, size_t split)
{
	enum ch_record_result result;
	struct ch_record_event event;
	struct ch_buf sealed = {0};
	uint8_t wire[1024];
	uint8_t copy[1024];
	uint8_t begin[1024];
	size_t len = from_hex(record->wire, wire);
	size_t begin_len = from_hex(record->begin, begin);
	struct ch_slice payload;
	size_t used;

	memcpy(copy, wire, len);
	split = split % len;
	result = ch_record_open(&ends->reader, copy, split, &used, &event);
	cr_assert_eq(result, CH_RECORD_MORE);
	result = ch_record_open(&ends->reader, copy + split, len - split, &used, &event);
	cr_assert_eq(result, CH_RECORD_EVENT);
	cr_assert_eq(split + used, len);
	cr_assert_eq(event.type, record->type);
	cr_assert_eq(event.len, record->len);
	cr_assert_arr_eq(event.data, begin, begin_len);
	payload = (struct ch_slice){event.data, event.len};
	cr_assert_eq(ch_record_seal(&ends->writer, event.type, &payload, 1, &sealed), 0);
	cr_assert_eq(sealed.len, len);
	cr_assert_arr_eq(sealed.data, wire, len);
	ch_buf_deinit(&sealed);
}

static void check_trace(const struct trace *trace, size_t split)
{
	struct ends ends;
	uint64_t count = 0;

	ends_init(&ends, trace);
	for (; count < 4 && trace->records[count].wire != NULL; count++)
		check_record(&ends, &trace->records[count], split);
	cr_assert_eq(ends.reader.keys.rx.sequence, count);
	cr_assert_eq(ends.writer.keys.tx.sequence, count);
	ends_deinit(&ends);
}

Test(rfc8448, every_protected_record_opens_and_seals_to_the_same_bytes)
{
	for (size_t i = 0; i < TRACES; i++)
		check_trace(&traces[i], 0);
}

Test(rfc8448, every_record_may_be_split_anywhere)
{
	for (size_t i = 0; i < TRACES; i++)
		for (size_t split = 1; split < 700; split += split < 80 ? 1 : 37)
			check_trace(&traces[i], split);
}

static const struct trace *trace_named(const char *name)
{
	for (size_t i = 0; i < TRACES; i++)
		if (strcmp(traces[i].name, name) == 0)
			return &traces[i];
	cr_assert_fail("no trace %s", name);
	return NULL;
}

/* What the collector, as the client, sees of the server after the handshake. */
Test(rfc8448, the_ticket_and_the_close_are_understood)
{
	const struct trace *trace = trace_named("section 3, the server's application data");
	struct ch_record_event event;
	struct ch_tlsmsg stream;
	uint8_t wire[1024];
	struct ends ends;
	size_t used;
	bool requested;
	uint8_t code;

	ends_init(&ends, trace);
	ch_tlsmsg_init(&stream, true);
	cr_assert_eq(ch_record_open(&ends.reader, wire, from_hex(trace->records[0].wire, wire),
				    &used, &event),
		     CH_RECORD_EVENT);
	cr_assert_eq(ch_tlsmsg_feed(&stream, event.data, event.len, &used, &requested),
		     CH_TLSMSG_TICKET);
	cr_assert_eq(used, event.len);
	cr_assert_not(ch_tlsmsg_pending(&stream));
	for (int i = 1; i < 3; i++)
		cr_assert_eq(ch_record_open(&ends.reader, wire,
					    from_hex(trace->records[i].wire, wire), &used, &event),
			     CH_RECORD_EVENT);
	cr_assert_eq(ch_alert_parse(event.data, event.len, true, &code), CH_ALERT_CLOSED);
	ends_deinit(&ends);
}

/* A record of the trace under the number, the key or the direction of another must not open. */
Test(rfc8448, no_record_opens_in_the_place_of_another)
{
	for (size_t keys = 0; keys < TRACES; keys++) {
		for (size_t from = 0; from < TRACES; from++) {
			for (size_t i = 0; i < 4 && traces[from].records[i].wire != NULL; i++) {
				struct ch_record_event event;
				uint8_t wire[1024];
				struct ends ends;
				size_t used;
				size_t len = from_hex(traces[from].records[i].wire, wire);

				if (keys == from && i == 0)
					continue;
				ends_init(&ends, &traces[keys]);
				cr_assert_eq(ch_record_open(&ends.reader, wire, len, &used, &event),
					     CH_RECORD_ERROR);
				cr_assert_eq(ends.reader.alert, CH_ALERT_BAD_RECORD_MAC);
				ends_deinit(&ends);
			}
		}
	}
}
