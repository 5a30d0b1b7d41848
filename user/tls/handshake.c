/* SPDX-License-Identifier: Apache-2.0 */
#include "handshake.h"

#include "context.h"
#include "credential.h"
#include "identity.h"
#include "keys.h"
#include "record.h"
#include "status.h"

#include <errno.h>
#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A chain of CH_CHAIN_BYTES in records of 256 bytes; more is a game played for time. */
#define RECORDS_MAX 320
#define BODY_MAX 16640

static enum ch_handshake_status finish(struct ch_handshake *handshake, enum ch_reason reason,
				       const char *detail)
{
	handshake->status = reason == CH_REASON_NONE ? CH_HANDSHAKE_DONE : CH_HANDSHAKE_FAILED;
	if (reason != CH_REASON_NONE && handshake->reason == CH_REASON_NONE) {
		handshake->reason = reason;
		snprintf(handshake->detail, sizeof(handshake->detail), "%s", detail);
	}
	return handshake->status;
}

/*
 * The device's certificate is here, but not the proof that it holds the key: it may only be refused
 * now. What was found out stays in this handshake.
 */
int ch_handshake_on_verify(X509_STORE_CTX *store_ctx, void *context)
{
	const struct ch_tls_context *tls = context;
	SSL *ssl = X509_STORE_CTX_get_ex_data(store_ctx, SSL_get_ex_data_X509_STORE_CTX_idx());
	struct ch_handshake *handshake = SSL_get_app_data(ssl);
	struct ch_verdict *verdict = &handshake->verdict;

	ch_verify(&tls->verifier, X509_STORE_CTX_get0_cert(store_ctx),
		  X509_STORE_CTX_get0_untrusted(store_ctx), verdict);
	handshake->accepted = verdict->reason == CH_REASON_NONE;
	if (handshake->accepted) {
		X509_STORE_CTX_set_error(store_ctx, X509_V_OK);
		return 1;
	}
	finish(handshake, verdict->reason, verdict->detail);
	X509_STORE_CTX_set_error(store_ctx, ch_verify_error(verdict->reason));
	return 0;
}

/*
 * OpenSSL comes here when it is about to answer a CertificateRequest: behind the signature of
 * ServerKeyExchange (TLS 1.2) or CertificateVerify (TLS 1.3), so possession is proven.
 */
int ch_handshake_on_certificate_request(SSL *ssl, void *unused)
{
	struct ch_handshake *handshake = SSL_get_app_data(ssl);
	const struct ch_match *match = &handshake->verdict.match;
	const struct ch_credential *credential;

	(void)unused;
	handshake->asked = true;
	handshake->proven = handshake->accepted;
	if (!handshake->accepted) {
		finish(handshake, CH_REASON_TLS_PROTOCOL, "no certificate before its request");
		return 0;
	}
	if (match->refuse != CH_REASON_NONE || match->credential == NULL) {
		handshake->denied =
			match->refuse != CH_REASON_NONE ? match->refuse : CH_REASON_NO_CREDENTIAL;
		/* TLS 1.3: go on, for the keys of its alert; TLS 1.2 stops here and has none. */
		return SSL_version(ssl) == TLS1_3_VERSION ? 1 : -1;
	}
	credential = ch_credential_choose(
		match->credential, SSL_get0_peer_CA_list(ssl),
		handshake->prefer != NULL &&
			handshake->prefer(handshake->prefer_ctx, match->device));
	handshake->next = credential != match->credential;
	if (SSL_use_cert_and_key(ssl, credential->cert, credential->key, credential->chain, 1) !=
	    1) {
		finish(handshake, CH_REASON_INTERNAL, "the client certificate cannot be used");
		return 0;
	}
	handshake->presented = true;
	return 1;
}

/*
 * OpenSSL comes here, with a staple or without, when the device's flight is complete (TLS 1.2:
 * ServerHelloDone, TLS 1.3: Finished): its key is proven and nothing of ours went out.
 */
int ch_handshake_on_staple(SSL *ssl, void *unused)
{
	struct ch_handshake *handshake = SSL_get_app_data(ssl);
	const uint8_t *der = NULL;
	long len = SSL_get_tlsext_status_ocsp_resp(ssl, &der);
	struct ch_slice response = {der, der != NULL && len > 0 ? (size_t)len : 0};
	enum ch_reason reason;

	(void)unused;
	if (!handshake->accepted)
		return 0;
	if (handshake->denied != CH_REASON_NONE)
		return 1; /* that came first */
	reason = ch_status_staple(&handshake->verdict, SSL_get0_peer_certificate(ssl), response);
	if (reason == CH_REASON_NONE)
		return 1;
	handshake->proven = true;
	handshake->presented = false;
	finish(handshake, reason, handshake->verdict.detail);
	return 0;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* "LABEL <client random> <secret>", in hexadecimal. */
void ch_handshake_on_secret(const SSL *ssl, const char *line)
{
	static const char taken[] = "CLIENT_TRAFFIC_SECRET_0 ";
	static const char denied[] = "CLIENT_HANDSHAKE_TRAFFIC_SECRET ";
	struct ch_handshake *handshake = SSL_get_app_data(ssl);
	const char *hex = strrchr(line, ' ');
	const char *label = handshake->denied != CH_REASON_NONE ? denied : taken;
	uint8_t *secret = NULL;

	if (strncmp(line, label, strlen(label)) == 0)
		secret = handshake->client_secret;
	else if (strncmp(line, "SERVER_TRAFFIC_SECRET_0 ", 24) == 0)
		secret = handshake->server_secret;
	if (secret == NULL || hex == NULL)
		return;
	hex++;
	for (size_t i = 0; i < sizeof(handshake->client_secret); i++, hex += 2) {
		int high = hex_digit(hex[0]);
		int low = high < 0 ? -1 : hex_digit(hex[1]);

		if (low < 0)
			return;
		secret[i] = (uint8_t)(high << 4 | low);
	}
}

static int handshake_new(struct ch_tls_context *context, struct ch_handshake **handshake)
{
	struct ch_handshake *made = calloc(1, sizeof(*made));

	if (made == NULL)
		return -ENOMEM;
	made->context = context;
	made->ssl = SSL_new(context->ssl);
	made->in = BIO_new(BIO_s_mem());
	made->out = BIO_new(BIO_s_mem());
	if (made->ssl == NULL || made->in == NULL || made->out == NULL) {
		SSL_free(made->ssl);
		BIO_free(made->in);
		BIO_free(made->out);
		free(made);
		ERR_clear_error();
		return -ENOMEM;
	}
	/* An empty BIO means "read on", not the end of the stream. */
	BIO_set_mem_eof_return(made->in, -1);
	SSL_set_bio(made->ssl, made->in, made->out);
	SSL_set_app_data(made->ssl, made);
	*handshake = made;
	return 0;
}

int ch_handshake_client(struct ch_tls_context *context, struct ch_handshake **handshake)
{
	int err = handshake_new(context, handshake);

	if (err == 0)
		SSL_set_connect_state((*handshake)->ssl);
	return err;
}

int ch_handshake_server(struct ch_tls_context *context, const struct ch_credential *credential,
			struct ch_handshake **handshake)
{
	struct ch_handshake *made = NULL;
	int err = handshake_new(context, &made);

	if (err != 0)
		return err;
	SSL_set_accept_state(made->ssl);
	if (SSL_use_cert_and_key(made->ssl, credential->cert, credential->key, credential->chain,
				 1) == 1) {
		*handshake = made;
		return 0;
	}
	ERR_clear_error();
	ch_handshake_free(made);
	return CH_E_CRYPTO;
}

void ch_handshake_free(struct ch_handshake *handshake)
{
	if (handshake == NULL)
		return;
	SSL_free(handshake->ssl);
	ch_verdict_deinit(&handshake->verdict);
	explicit_bzero(handshake, sizeof(*handshake));
	free(handshake);
}

int ch_handshake_record_length(const uint8_t header[CH_TLS_HEADER])
{
	int length = header[3] << 8 | header[4];

	if (header[0] < CH_RECORD_CCS || header[0] > CH_RECORD_HEARTBEAT)
		return -1;
	/* The minor version of a record is history (RFC 8446 section 5.1). */
	if (header[1] != 3 || header[2] > 4)
		return -1;
	return length >= 1 && length <= BODY_MAX ? length : -1;
}

static void tally(struct ch_record_tally *records, const uint8_t *record, size_t body)
{
	records->in_step++;
	if (!records->ccs) {
		records->ccs = record[0] == CH_RECORD_CCS;
		return;
	}
	records->behind_ccs++;
	if (body < 8)
		return;
	records->explicit_nonce = 0;
	for (size_t i = 0; i < 8; i++)
		records->explicit_nonce = records->explicit_nonce << 8 | record[CH_TLS_HEADER + i];
}

/* Hands over what OpenSSL wrote; counts its records on the way. */
static int flush(struct ch_handshake *handshake, struct ch_buf *out)
{
	char *data = NULL;
	long len = BIO_get_mem_data(handshake->out, &data);
	const uint8_t *at = (const uint8_t *)data;
	int err;

	if (len <= 0)
		return 0;
	err = ch_buf_append(out, data, (size_t)len);
	for (size_t left = (size_t)len; err == 0 && left >= CH_TLS_HEADER;) {
		size_t body = (size_t)at[3] << 8 | at[4];

		if (body > left - CH_TLS_HEADER)
			break;
		tally(&handshake->tx, at, body);
		at += CH_TLS_HEADER + body;
		left -= CH_TLS_HEADER + body;
	}
	(void)BIO_reset(handshake->out);
	return err;
}

/* OpenSSL is content; we may not be. */
static enum ch_handshake_status on_complete(struct ch_handshake *handshake, struct ch_buf *out)
{
	if (handshake->context->client) {
		handshake->proven = handshake->accepted;
		/* TLS 1.3: our Finished is held back, nothing followed the ClientHello. */
		if (!handshake->asked)
			return finish(handshake, CH_REASON_NO_CERT_REQUEST, "");
	}
	if (flush(handshake, out) != 0)
		return finish(handshake, CH_REASON_INTERNAL, "no memory for the last flight");
	/* A message that shares the record with Finished would be lost with the SSL object. */
	if (BIO_ctrl_pending(handshake->in) != 0 || SSL_has_pending(handshake->ssl))
		return finish(handshake, CH_REASON_TLS_PROTOCOL, "data behind Finished");
	return finish(handshake, CH_REASON_NONE, "");
}

static uint8_t aead_of(const SSL_CIPHER *cipher)
{
	switch (SSL_CIPHER_get_cipher_nid(cipher)) {
	case NID_aes_128_gcm:
		return CH_AEAD_AES_128_GCM;
	case NID_aes_256_gcm:
		return CH_AEAD_AES_256_GCM;
	case NID_chacha20_poly1305:
		return CH_AEAD_CHACHA20_POLY1305;
	default:
		return CH_AEAD_NONE;
	}
}

/* Bytes of the hash of its suite. */
static uint8_t handshake_secret_len(const SSL *ssl)
{
	const EVP_MD *md = SSL_CIPHER_get_handshake_digest(SSL_get_current_cipher(ssl));

	return EVP_MD_get_size(md) == 48 ? 48 : 32;
}

/* Under the keys of TLS 1.3 that OpenSSL took for the flight that is not sent: its first record. */
static int seal_alert(struct ch_handshake *handshake, struct ch_slice alert, struct ch_buf *out)
{
	struct ch_record_keys keys = {.version = CH_TLS_1_3,
				      .aead = aead_of(SSL_get_current_cipher(handshake->ssl)),
				      .secret_len = handshake_secret_len(handshake->ssl)};
	struct ch_record_engine *engine = NULL;
	struct ch_record record;
	int err;

	memcpy(keys.tx.secret, handshake->client_secret, keys.secret_len);
	err = ch_keys_from_secret(keys.aead, keys.secret_len, &keys.tx);
	if (err == 0)
		err = ch_record_engine_new(&engine);
	if (err == 0) {
		ch_record_init(&record, engine, &keys, NULL);
		err = ch_record_seal(&record, CH_RECORD_ALERT, &alert, 1, out);
		ch_record_deinit(&record);
	}
	ch_record_engine_free(engine);
	explicit_bzero(&keys, sizeof(keys));
	return err;
}

/*
 * A good device that may not come in is told access_denied. OpenSSL has no way to send that from
 * the callback, and what it sends instead is in the clear, which some stacks do not take for an
 * alert under TLS 1.3. What it made of the flight that was to follow is dropped.
 */
static enum ch_handshake_status deny(struct ch_handshake *handshake, struct ch_buf *out)
{
	static const uint8_t alert[] = {SSL3_AL_FATAL, SSL_AD_ACCESS_DENIED};
	static const uint8_t header[] = {CH_RECORD_ALERT, 3, 3, 0, sizeof(alert)};
	struct ch_slice slice = {alert, sizeof(alert)};
	int err;

	(void)BIO_reset(handshake->out);
	ERR_clear_error();
	if (SSL_version(handshake->ssl) == TLS1_3_VERSION)
		err = seal_alert(handshake, slice, out);
	else if ((err = ch_buf_append(out, header, sizeof(header))) == 0)
		err = ch_buf_append(out, alert, sizeof(alert));
	if (err != 0)
		out->len = 0; /* then it is not told */
	return finish(handshake, handshake->denied, "");
}

static enum ch_handshake_status advance(struct ch_handshake *handshake, struct ch_buf *out)
{
	int result;
	int error;

	ERR_clear_error();
	result = SSL_do_handshake(handshake->ssl);
	error = SSL_get_error(handshake->ssl, result);
	if (handshake->denied != CH_REASON_NONE &&
	    (result == 1 || error == SSL_ERROR_WANT_X509_LOOKUP))
		return deny(handshake, out);
	if (result == 1)
		return on_complete(handshake, out);
	if (error == SSL_ERROR_WANT_READ) {
		if (flush(handshake, out) == 0)
			return CH_HANDSHAKE_READ;
		return finish(handshake, CH_REASON_INTERNAL, "no memory for a flight");
	}
	ch_handshake_explain(handshake, error);
	handshake->status = CH_HANDSHAKE_FAILED;
	/* The alert; it is lost when memory is short. */
	flush(handshake, out);
	return CH_HANDSHAKE_FAILED;
}

enum ch_handshake_status ch_handshake_step(struct ch_handshake *handshake, const uint8_t *record,
					   size_t len, struct ch_buf *out)
{
	if (handshake->status != CH_HANDSHAKE_READ)
		return handshake->status;
	handshake->tx.in_step = 0;
	if (record == NULL)
		return advance(handshake, out);
	if (len < CH_TLS_HEADER || ch_handshake_record_length(record) != (int)(len - CH_TLS_HEADER))
		return finish(handshake, CH_REASON_TLS_PROTOCOL, "not one whole record");
	if (++handshake->records > RECORDS_MAX)
		return finish(handshake, CH_REASON_TLS_PROTOCOL, "too many records");
	/* OpenSSL's record layer would end the handshake over it. */
	if (record[0] == CH_RECORD_HEARTBEAT) {
		handshake->dropped++;
		return CH_HANDSHAKE_READ;
	}
	tally(&handshake->rx, record, len - CH_TLS_HEADER);
	if (BIO_write(handshake->in, record, (int)len) != (int)len)
		return finish(handshake, CH_REASON_INTERNAL, "no memory for a record");
	return advance(handshake, out);
}

enum ch_reason ch_handshake_reason(const struct ch_handshake *handshake)
{
	return handshake->reason;
}

const char *ch_handshake_detail(const struct ch_handshake *handshake)
{
	return handshake->detail;
}

uint32_t ch_handshake_dropped(const struct ch_handshake *handshake)
{
	return handshake->dropped;
}

/* By the two bytes that mean them in a hello; those of our own ClientHello (context.c). */
static const struct {
	uint16_t id;
	const char *name;
} ciphers[] = {
	{0, ""},
	{0x1301, "TLS_AES_128_GCM_SHA256"},
	{0x1302, "TLS_AES_256_GCM_SHA384"},
	{0x1303, "TLS_CHACHA20_POLY1305_SHA256"},
	{0xc02b, "ECDHE-ECDSA-AES128-GCM-SHA256"},
	{0xc02f, "ECDHE-RSA-AES128-GCM-SHA256"},
	{0xc02c, "ECDHE-ECDSA-AES256-GCM-SHA384"},
	{0xc030, "ECDHE-RSA-AES256-GCM-SHA384"},
	{0xcca9, "ECDHE-ECDSA-CHACHA20-POLY1305"},
	{0xcca8, "ECDHE-RSA-CHACHA20-POLY1305"},
};
#define CIPHERS (sizeof(ciphers) / sizeof(ciphers[0]))

static const struct {
	int nid;
	const char *name;
} groups[] = {
	{NID_undef, ""},
	{NID_X25519, "X25519"},
	{NID_X9_62_prime256v1, "P-256"},
	{NID_secp384r1, "P-384"},
	{NID_secp521r1, "P-521"},
};
#define GROUPS (sizeof(groups) / sizeof(groups[0]))

static const struct {
	int key;
	int digest;
	const char *name;
} signatures[] = {
	{NID_undef, NID_undef, ""},
	{NID_X9_62_id_ecPublicKey, NID_sha256, "ecdsa-sha256"},
	{NID_X9_62_id_ecPublicKey, NID_sha384, "ecdsa-sha384"},
	{NID_X9_62_id_ecPublicKey, NID_sha512, "ecdsa-sha512"},
	{NID_rsassaPss, NID_sha256, "rsa-pss-sha256"},
	{NID_rsassaPss, NID_sha384, "rsa-pss-sha384"},
	{NID_rsassaPss, NID_sha512, "rsa-pss-sha512"},
	{NID_rsaEncryption, NID_sha256, "rsa-sha256"},
	{NID_rsaEncryption, NID_sha384, "rsa-sha384"},
	{NID_rsaEncryption, NID_sha512, "rsa-sha512"},
	{NID_ED25519, NID_undef, "ed25519"},
	{NID_ED448, NID_undef, "ed448"},
};
#define SIGNATURES (sizeof(signatures) / sizeof(signatures[0]))

const char *ch_tls_cipher_name(uint8_t cipher)
{
	return cipher < CIPHERS ? ciphers[cipher].name : "";
}

const char *ch_tls_group_name(uint8_t group)
{
	return group < GROUPS ? groups[group].name : "";
}

const char *ch_tls_signature_name(uint8_t signature)
{
	return signature < SIGNATURES ? signatures[signature].name : "";
}

static uint8_t cipher_of(const SSL_CIPHER *cipher)
{
	for (uint8_t i = 1; i < CIPHERS; i++)
		if (ciphers[i].id == SSL_CIPHER_get_protocol_id(cipher))
			return i;
	return 0;
}

static uint8_t group_of(SSL *ssl)
{
	int nid = SSL_get_negotiated_group(ssl);

	for (uint8_t i = 1; i < GROUPS; i++)
		if (groups[i].nid == nid)
			return i;
	return 0;
}

/* Of the peer's proof that it holds its key. */
static uint8_t signature_of(SSL *ssl)
{
	int key = NID_undef;
	int digest = NID_undef;

	if (SSL_get_peer_signature_type_nid(ssl, &key) != 1 ||
	    SSL_get_peer_signature_nid(ssl, &digest) != 1)
		return 0;
	for (uint8_t i = 1; i < SIGNATURES; i++)
		if (signatures[i].key == key && signatures[i].digest == digest)
			return i;
	return 0;
}

void ch_handshake_info(const struct ch_handshake *handshake, struct ch_handshake_info *info)
{
	const SSL_CIPHER *cipher = SSL_get_current_cipher(handshake->ssl);

	info->version = (uint16_t)SSL_version(handshake->ssl);
	info->aead = aead_of(cipher);
	info->cipher = cipher_of(cipher);
	info->group = group_of(handshake->ssl);
	info->signature = signature_of(handshake->ssl);
	info->extended_master_secret = info->version == CH_TLS_1_3 ||
				       SSL_get_extms_support(handshake->ssl) == 1;
	info->stapled = handshake->verdict.stapled;
	info->crl_stale = handshake->verdict.stale;
	info->heartbeat = handshake->heartbeat;
}

const struct ch_identity *ch_handshake_identity(const struct ch_handshake *handshake)
{
	return handshake->accepted ? &handshake->verdict.identity : NULL;
}

const struct ch_match *ch_handshake_match(const struct ch_handshake *handshake)
{
	return handshake->accepted ? &handshake->verdict.match : NULL;
}

bool ch_handshake_proven(const struct ch_handshake *handshake)
{
	return handshake->proven;
}

void ch_handshake_prefer(struct ch_handshake *handshake, ch_prefer_fn prefer, void *ctx)
{
	handshake->prefer = prefer;
	handshake->prefer_ctx = ctx;
}

int ch_handshake_ca(const struct ch_handshake *handshake, size_t index,
		    struct ch_certificate_facts *facts)
{
	const struct ch_verdict *verdict = &handshake->verdict;

	if (index >= CH_CHAIN_MAX || verdict->cas[index] == NULL)
		return CH_E_UNKNOWN;
	return ch_identity_facts(verdict->cas[index], facts);
}

bool ch_handshake_presented_next(const struct ch_handshake *handshake)
{
	return handshake->presented && handshake->next;
}

int ch_handshake_take_proof(const struct ch_handshake *handshake, struct ch_proof *proof)
{
	return ch_path_prove(&handshake->verdict.path, &handshake->verdict.identity, proof);
}

int ch_handshake_client_chain(const struct ch_handshake *handshake, int depth, struct ch_buf *der)
{
	const STACK_OF(X509) *chain =
		handshake->context->client ? NULL : SSL_get0_verified_chain(handshake->ssl);
	unsigned char *bytes = NULL;

	if (chain == NULL || depth >= sk_X509_num(chain))
		return CH_E_RANGE;
	int len = i2d_X509(sk_X509_value(chain, depth), &bytes);
	if (len < 0)
		return -ENOMEM;
	int err = ch_buf_append(der, bytes, (size_t)len);
	OPENSSL_free(bytes);
	return err;
}

bool ch_handshake_client_certificate(const struct ch_handshake *handshake, uint8_t sha256[32])
{
	X509 *cert = handshake->context->client ? NULL : SSL_get0_peer_certificate(handshake->ssl);

	return cert != NULL && X509_digest(cert, EVP_sha256(), sha256, NULL) == 1;
}

/* Sequence numbers start anew; only a server has sent already: its tickets, in the last step. */
static int take_tls13(struct ch_handshake *handshake, struct ch_record_keys *keys)
{
	bool client = handshake->context->client;
	int err;

	memcpy(keys->tx.secret, client ? handshake->client_secret : handshake->server_secret,
	       keys->secret_len);
	memcpy(keys->rx.secret, client ? handshake->server_secret : handshake->client_secret,
	       keys->secret_len);
	err = ch_keys_from_secret(keys->aead, keys->secret_len, &keys->tx);
	if (err == 0)
		err = ch_keys_from_secret(keys->aead, keys->secret_len, &keys->rx);
	if (err == 0 && !client)
		keys->tx.sequence = handshake->tx.in_step;
	return err;
}

static int take_tls12(struct ch_handshake *handshake, struct ch_record_keys *keys, bool sha384)
{
	uint8_t master[SSL_MAX_MASTER_KEY_LENGTH];
	uint8_t client_random[32];
	uint8_t server_random[32];
	size_t len;
	int err;

	if (!handshake->tx.ccs || !handshake->rx.ccs)
		return CH_E_CRYPTO;
	len = SSL_SESSION_get_master_key(SSL_get0_session(handshake->ssl), master, sizeof(master));
	SSL_get_client_random(handshake->ssl, client_random, sizeof(client_random));
	SSL_get_server_random(handshake->ssl, server_random, sizeof(server_random));
	err = ch_keys_from_master(keys, master, len, client_random, server_random, sha384,
				  handshake->context->client);
	explicit_bzero(master, sizeof(master));
	keys->tx.sequence = handshake->tx.behind_ccs;
	keys->rx.sequence = handshake->rx.behind_ccs;
	/* OpenSSL began at random: going on from its last one is what keeps nonces unique. */
	if (keys->aead != CH_AEAD_CHACHA20_POLY1305)
		keys->tx.explicit_nonce = handshake->tx.explicit_nonce + 1;
	return err;
}

int ch_handshake_take_keys(struct ch_handshake *handshake, struct ch_record_keys *keys)
{
	const SSL_CIPHER *cipher = SSL_get_current_cipher(handshake->ssl);
	bool sha384 =
		cipher != NULL && EVP_MD_get_size(SSL_CIPHER_get_handshake_digest(cipher)) == 48;
	int err = CH_E_CRYPTO;

	memset(keys, 0, sizeof(*keys));
	if (handshake->status != CH_HANDSHAKE_DONE || handshake->taken || cipher == NULL)
		return CH_E_CRYPTO;
	handshake->taken = true;
	keys->version = (uint16_t)SSL_version(handshake->ssl);
	keys->aead = aead_of(cipher);
	if (keys->aead != CH_AEAD_NONE && keys->version == CH_TLS_1_3) {
		keys->secret_len = sha384 ? 48 : 32;
		err = take_tls13(handshake, keys);
	} else if (keys->aead != CH_AEAD_NONE) {
		err = take_tls12(handshake, keys, sha384);
	}
	explicit_bzero(handshake->client_secret, sizeof(handshake->client_secret));
	explicit_bzero(handshake->server_secret, sizeof(handshake->server_secret));
	ERR_clear_error();
	if (err != 0)
		explicit_bzero(keys, sizeof(*keys));
	return err;
}
