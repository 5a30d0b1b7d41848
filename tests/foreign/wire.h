/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The TCP connection of a foreign device, and how its bytes reach the network: gathered until they
 * are flushed, or dribbled. Everything is written with plain blocking sockets on purpose.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct wire {
	int fd;
	uint8_t *in; /**< received, not taken yet */
	size_t in_len;
	uint8_t *out; /**< written, not flushed yet */
	size_t out_len;
	size_t dribble; /**< bytes per segment; 0 = all at once */
	bool hold;	/**< flush does nothing */
	bool finished;	/**< FIN is out: what is written goes nowhere */
	bool eof;	/**< the collector sent FIN */
	bool reset;	/**< the connection broke */
	bool debug;	/**< tell about each record on standard error */
};

/** Dials "ADDRESS:PORT" (IPv4 or IPv6), @from an address or NULL. Ends the program on failure. */
void wire_open(struct wire *wire, const char *to, const char *from);

/** Waits up to @ms (-1: for ever) for bytes, a FIN or a signal, and receives what is there. */
void wire_wait(struct wire *wire, int ms);

/** Takes at most @len received bytes. @return how many */
size_t wire_take(struct wire *wire, void *into, size_t len);

void wire_put(struct wire *wire, const void *data, size_t len);
void wire_flush(struct wire *wire);

/** FIN; what the collector still sends can be received. */
void wire_fin(struct wire *wire);
/** RST. */
void wire_rst(struct wire *wire);
