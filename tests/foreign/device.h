/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A NETCONF device that calls home once, over whichever TLS library is linked with it: device.c has
 * main() and the NETCONF server, options.c the command line, wire.c TCP; each dev_*.c implements
 * the functions below. Nothing in here is shared with the collector, so that a mistake of ours
 * cannot hide on both sides.
 */
#include "wire.h"

#include <stdbool.h>
#include <stddef.h>

struct options {
	const char *connect; /**< ADDRESS:PORT */
	const char *from;    /**< own address; NULL = any */
	const char *cert;    /**< PEM, the chain in it */
	const char *key;
	const char *ca;	     /**< of the collector's certificate */
	const char *staple;  /**< DER of an OCSP response; NULL = none */
	const char *ciphers; /**< in the syntax of the library */
	const char *groups;
	const char *sigalgs;
	const char *record; /**< file for the plaintext that is sent */
	const char *style;  /**< plain | junos | prefix */
	const char *close;  /**< what SIGUSR1 does */
	const char *attack; /**< what SIGUSR1 does before it; NULL = nothing */
	const char *early;  /**< 0.5-RTT data, set by device.c */
	size_t early_len;
	unsigned long tls;	/**< 12 | 13; 0 = both */
	unsigned long tickets;	/**< TLS 1.3 session tickets; TLS 1.2: any */
	unsigned long base;	/**< 10 | 11 | 0 = both are offered */
	unsigned long chunk;	/**< bytes per chunk; 0 = one chunk per message */
	unsigned long piece;	/**< plaintext bytes per TLS record; 0 = as many as fit */
	unsigned long fragment; /**< most bytes per TLS record, of the handshake too; 0 = 16384 */
	unsigned long pad;	/**< bytes of padding per TLS 1.3 record */
	unsigned long gather;	/**< notifications per flush; 0 = 64 */
	unsigned long dribble;	/**< bytes per TCP segment */
	unsigned long notifications;
	unsigned long size;	  /**< bytes of filler in each notification */
	unsigned long reply_size; /**< bytes of filler in the reply to get-config */
	unsigned long key_update; /**< messages between key updates; 0 = none */
	bool key_update_asks;	  /**< update_requested */
	bool half_rtt;		  /**< the hello goes before the client's Finished came */
	bool no_client_cert;	  /**< do not ask for one */
	bool no_ems;		  /**< TLS 1.2 without extended master secret */
	bool debug;
};

void options_parse(struct options *options, int argc, char **argv);

enum tls_result {
	TLS_OK = 0,
	TLS_AGAIN = -1,	 /**< more must come from the wire */
	TLS_CLOSED = -2, /**< the collector sent close_notify */
	TLS_FAILED = -3, /**< tls_error says why */
};

/** A TLS server over @wire that demands a client certificate. Ends the program on bad options. */
struct tls *tls_new(const struct options *options, struct wire *wire);
void tls_free(struct tls *tls);

/** One step. What it writes is left in the wire. */
enum tls_result tls_handshake(struct tls *tls);
/** Has options.early been sent by tls_handshake? */
bool tls_sent_early(const struct tls *tls);

/** @return bytes > 0, or a result */
int tls_read(struct tls *tls, void *into, size_t len);
/** Writes all of it as one record if it fits. */
enum tls_result tls_write(struct tls *tls, const void *data, size_t len);
enum tls_result tls_key_update(struct tls *tls, bool ask);
enum tls_result tls_close_notify(struct tls *tls);

/** What a broken or hostile stack does. @return TLS_FAILED: this library cannot */
enum tls_result tls_attack(struct tls *tls, const char *kind);

/** "TLSv1.3 CIPHER"; valid until the next call. */
const char *tls_describe(struct tls *tls);
/** The last error in the library's words. */
const char *tls_error(struct tls *tls);
