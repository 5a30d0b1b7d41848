/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A throw-away PKI for a simulated fleet. Two manufacturers: acme (P-256, root -> intermediate ->
 * device, identifier in the subject's serialNumber) and borg (RSA-2048, root -> device, identifier
 * in the CN). Every fourth device is a borg. A few keys are shared under distinct certificates, so
 * that thousands of devices are made in seconds.
 *
 * A directory holds both sides:
 *   acme-ca.pem borg-ca.pem crl/ client.pem client.key devices.csv callhomed.yaml   the collector's
 *   sim/                                                                      the devices'
 */
#include <callhome/error.h>
#include "pki_status.h"
#include "user/core/buf.h"
#include "user/tls/trust.h"

#include <stdbool.h>
#include <stdint.h>

#define SIM_PKI_ERROR 256 /**< bytes of the error texts */

/** Which certificate a simulated device shows. */
enum sim_identity {
	SIM_IDENTITY_FLEET, /**< its own, one of the inventory */
	SIM_IDENTITY_SPARE, /**< an inventory device that no fleet device uses: for impostors that log in */
	SIM_IDENTITY_SPARE_RSA, /**< the same with an RSA key (borg) */
	SIM_IDENTITY_UNKNOWN_CA,
	SIM_IDENTITY_UNKNOWN_SERIAL,
	SIM_IDENTITY_OTHER_MANUFACTURER,
	SIM_IDENTITY_EXPIRED,
	SIM_IDENTITY_NOT_YET_VALID,
	SIM_IDENTITY_SELF_SIGNED,
	SIM_IDENTITY_BAD_SIGNATURE,
	SIM_IDENTITY_NO_IDENTIFIER,
	SIM_IDENTITY_WRONG_USAGE,
	SIM_IDENTITY_WEAK_KEY,
	SIM_IDENTITY_HUGE_CHAIN,
	SIM_IDENTITY_REVOKED,	 /**< on the list of its CA */
	SIM_IDENTITY_REVOKED_CA, /**< below a CA that is on the list of the root */
	SIM_IDENTITY_STAPLED,	 /**< of a spare: the certificate that staples are about */
	SIM_IDENTITY_STOLEN, /**< the certificate of a real device with another key */
	SIM_IDENTITY_COUNT
};

/** The certificates that a fleet device sends behind its own; those of acme unless said otherwise.
 */
enum sim_chain {
	SIM_CHAIN_AS_ISSUED, /**< acme: one intermediate; borg: none */
	SIM_CHAIN_THREE,     /**< three intermediates, up to the same root */
	SIM_CHAIN_REVERSED,  /**< the three, the one below the root first */
	SIM_CHAIN_GAP,	     /**< the three, without the one in the middle */
	SIM_CHAIN_NONE,	     /**< not even the one that is needed */
	SIM_CHAIN_WITH_ROOT, /**< as issued and the root, of both manufacturers */
	SIM_CHAIN_COUNT
};

/** "as-issued" and so on, as --chain takes them. */
extern const char *const sim_chain_names[SIM_CHAIN_COUNT];

struct sim_pki_spec {
	const char *dir; /**< made if missing; existing files are replaced */
	uint32_t devices;
	uint32_t spares;	      /**< further inventory rows, for impostors that log in */
	const char *listen;	      /**< address:port for callhomed.yaml */
	const char *limits;	      /**< further lines for callhomed.yaml, or "" */
};

/** Makes keys, certificates, inventory and configuration. @return 0, or an error with one sentence in @error. */
CH_NODISCARD int sim_pki_make(const struct sim_pki_spec *spec, char error[SIM_PKI_ERROR]);

/** The devices' side of a directory. Immutable once loaded, so that threads may share it. */
struct sim_pki;

/** @return 0, or an error with one sentence in @error that names the file. */
CH_NODISCARD int sim_pki_load(const char *dir, struct sim_pki **pki, char error[SIM_PKI_ERROR]);
void sim_pki_free(struct sim_pki *pki);

/**
 * What fleet and spare devices send from now on; once, before threads share @pki. @dir is that of
 * sim_pki_load. @return 0, or an error with one sentence in @error
 */
CH_NODISCARD int sim_pki_set_chain(struct sim_pki *pki, const char *dir, enum sim_chain chain,
				   char error[SIM_PKI_ERROR]);

uint32_t sim_pki_devices(const struct sim_pki *pki);
/** CA file that signed the collector's certificate. */
const char *sim_pki_client_ca(const struct sim_pki *pki);
/** The OCSP response about SIM_IDENTITY_STAPLED; empty for NONE. Lives as long as @pki. */
struct ch_slice sim_pki_staple(const struct sim_pki *pki, enum sim_staple kind);
/** CA file of nobody the collector knows. */
const char *sim_pki_other_ca(const struct sim_pki *pki);

/** Writes the inventory name of device @index ("acme-000007"). */
void sim_pki_name(uint32_t index, char name[32]);

/**
 * The credential of @identity in @shown; @index chooses among fleet (< sim_pki_devices) and spare
 * identities (any number, taken round robin). When it had to be made for this call it is in @owned
 * too, to be freed after the handshake; else @owned is NULL.
 * @return 0, CH_E_RANGE (no such device or no spares), -ENOMEM or CH_E_CRYPTO
 */
CH_NODISCARD int sim_pki_credential(const struct sim_pki *pki, enum sim_identity identity,
				    uint32_t index, const struct ch_credential **shown,
				    struct ch_credential **owned);
