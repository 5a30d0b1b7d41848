/* SPDX-License-Identifier: Apache-2.0 */
#include "policy.h"
#include "kernel/sock.h"
#include "user/core/hash.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int ch_policy_new(struct ch_config *config, struct ch_devices *devices, uint64_t generation,
		  struct ch_policy **policy)
{
	struct ch_policy *made = calloc(1, sizeof(*made));

	if (made == NULL)
		return -ENOMEM;
	made->holders = 1;
	made->generation = generation;
	made->unix_ns = ch_unix_ns();
	made->config = ch_config_hold(config);
	made->devices = devices;
	*policy = made;
	return 0;
}

int ch_policy_next(struct ch_policy *before, struct ch_policy **policy)
{
	int err = ch_policy_new(before->config, before->devices, before->generation + 1, policy);

	if (err == 0)
		(*policy)->owner = ch_policy_hold(before->owner != NULL ? before->owner : before);
	return err;
}

static int load_anchors(const struct ch_config *config, struct ch_trust **trust,
			char text[CH_ERROR_TEXT])
{
	int err = ch_trust_new(trust);

	for (size_t i = 0; err == 0 && i < config->manufacturer_count; i++) {
		const struct ch_config_manufacturer *m = &config->manufacturers[i];

		err = ch_trust_add(*trust, m->name, m->ca, m->identifier, text);
		if (err == 0)
			ch_trust_set_revocation(*trust, i, m->revocation, m->stale_crl);
	}
	return err;
}

int ch_policy_load_revocation(struct ch_policy *policy, struct ch_revocation *before,
			      const struct ch_log *log, struct ch_buf *error)
{
	struct ch_revocation_options options = {
		.path = policy->config->crl, .old = before, .log = log};
	char text[CH_ERROR_TEXT] = "";
	struct ch_trust *trust = NULL;
	int err = 0;

	if (options.path == NULL)
		return 0;
	err = load_anchors(policy->config, &trust, text);
	options.trust = trust;
	if (err == 0)
		err = ch_revocation_build(&options, &policy->revocation, text);
	ch_trust_free(trust);
	if (err == CH_E_CONFIG && ch_buf_printf(error, "trust.crl: %s\n", text) != 0)
		return -ENOMEM;
	return err;
}

struct ch_policy *ch_policy_hold(struct ch_policy *policy)
{
	atomic_fetch_add_explicit(&policy->holders, 1, memory_order_relaxed);
	return policy;
}

void ch_policy_drop(struct ch_policy *policy)
{
	if (policy == NULL ||
	    atomic_fetch_sub_explicit(&policy->holders, 1, memory_order_acq_rel) > 1)
		return;
	if (policy->owner == NULL)
		ch_devices_free(policy->devices);
	ch_policy_drop(policy->owner);
	ch_revocation_drop(policy->revocation);
	ch_config_free(policy->config);
	free(policy);
}

static enum ch_reason lookup(void *ctx, const struct ch_identity *identity, struct ch_match *match)
{
	const struct ch_judge *judge = ctx;
	const struct ch_devices *devices = judge->policy->devices;
	bool pin = identity->manufacturer == CH_MANUFACTURER_NONE;
	const struct ch_device *device;
	enum ch_reason reason;
	uint32_t index = pin ? ch_devices_by_cert(devices, identity->cert_sha256)
			     : ch_devices_by_identifier(devices, identity->manufacturer,
							identity->identifier);

	/* The pin of a certificate goes first: it is the narrower one. */
	if (pin && index == CH_DEVICE_NONE)
		index = ch_devices_by_pin(devices, identity->spki_sha256);
	*match = (struct ch_match){.device = index};
	if (index == CH_DEVICE_NONE) {
		if (pin)
			return CH_REASON_UNKNOWN_DEVICE;
		/* A certificate of the operator often has the serial number of the factory's. */
		reason = ch_devices_identifier_known(devices, identity->identifier)
				 ? CH_REASON_WRONG_MANUFACTURER
				 : CH_REASON_UNKNOWN_DEVICE;
		if (judge->policy->config->unknown == CH_UNKNOWN_REJECT)
			return reason;
		match->refuse = reason;
		return CH_REASON_NONE;
	}
	device = ch_devices_at(devices, index);
	if (device->credential != CH_DEVICE_NONE)
		match->credential = judge->credentials[device->credential];
	return CH_REASON_NONE;
}

static int load(struct ch_judge *judge, char text[CH_ERROR_TEXT])
{
	const struct ch_config *config = judge->policy->config;
	struct ch_tls_client_options options = {.lookup = lookup,
						.lookup_ctx = judge,
						.no_heartbeat = !config->peer_allowed_to_send};
	int err = load_anchors(config, &judge->trust, text);

	if (err == 0 && config->credential_count > 0) {
		judge->credentials = calloc(config->credential_count, sizeof(*judge->credentials));
		err = judge->credentials == NULL ? -ENOMEM : 0;
	}
	for (size_t i = 0; err == 0 && i < config->credential_count; i++)
		err = ch_config_load_credential(&config->credentials[i], &judge->credentials[i],
						text);
	options.trust = judge->trust;
	if (err == 0)
		err = ch_tls_client_new(&options, &judge->tls);
	if (err == 0)
		ch_tls_client_revocation(judge->tls, judge->policy->revocation);
	return err;
}

int ch_judge_new(struct ch_policy *policy, struct ch_judge **judge, struct ch_buf *error)
{
	struct ch_judge *made = calloc(1, sizeof(*made));
	char text[CH_ERROR_TEXT] = "";
	int err;

	if (made == NULL)
		return -ENOMEM;
	made->policy = ch_policy_hold(policy);
	err = load(made, text);
	if (err == 0) {
		*judge = made;
		return 0;
	}
	ch_judge_free(made);
	if (text[0] != '\0' && ch_buf_printf(error, "%s\n", text) != 0)
		return -ENOMEM;
	return err;
}

void ch_judge_free(struct ch_judge *judge)
{
	if (judge == NULL)
		return;
	ch_tls_context_free(judge->tls);
	for (size_t i = 0;
	     judge->credentials != NULL && i < judge->policy->config->credential_count; i++)
		ch_credential_free(judge->credentials[i]);
	free(judge->credentials);
	ch_trust_free(judge->trust);
	ch_policy_drop(judge->policy);
	free(judge);
}

struct ch_proven ch_judge_proven(const struct ch_judge *judge, const struct ch_identity *identity)
{
	const struct ch_config *config = judge->policy->config;

	if (identity->manufacturer == CH_MANUFACTURER_NONE)
		return (struct ch_proven){.tag = ch_devices_pin_tag(judge->policy->devices,
								    identity->cert_sha256,
								    identity->spki_sha256)};
	return (struct ch_proven){
		.identifier_hash = ch_hash(identity->identifier, strlen(identity->identifier)),
		.identifier_kind =
			(uint8_t)config->manufacturers[identity->manufacturer].identifier,
		.tag = ch_devices_identity_tag(config->manufacturers[identity->manufacturer].name,
					       identity->identifier),
	};
}

/* A manufacturer without revocation has said so; a pin has none, and revoked wins over it. */
static bool is_revoked(const struct ch_judge *judge, const struct ch_proof *proof)
{
	const struct ch_config *config = judge->policy->config;
	uint32_t manufacturer = CH_MANUFACTURER_NONE;

	if (!ch_proof_is_pin(proof))
		manufacturer = ch_trust_by_anchor(judge->trust, proof->anchor_sha256);
	if (manufacturer != CH_MANUFACTURER_NONE &&
	    config->manufacturers[manufacturer].revocation == CH_REVOCATION_OFF)
		return false;
	return ch_revocation_hits(judge->policy->revocation, proof);
}

enum ch_reason ch_judge_again(const struct ch_judge *judge, const struct ch_proof *proof,
			      struct ch_proven proven, uint32_t device)
{
	const struct ch_devices *devices = judge->policy->devices;
	const struct ch_config *config = judge->policy->config;
	uint32_t manufacturer;
	uint32_t pinned;

	if (device >= ch_devices_count(devices) || ch_device_gone(ch_devices_at(devices, device)))
		return CH_REASON_DEVICE_REMOVED;
	if (is_revoked(judge, proof))
		return CH_REASON_REVOKED;
	/* By a pin it may stay whatever became of its manufacturer. */
	pinned = ch_devices_by_cert(devices, proof->cert_sha256);
	if (pinned == CH_DEVICE_NONE)
		pinned = ch_devices_by_pin(devices, proof->spki_sha256);
	if (pinned == device)
		return CH_REASON_NONE;
	if (pinned != CH_DEVICE_NONE || ch_proof_is_pin(proof))
		return CH_REASON_TRUST_CHANGED;
	manufacturer = ch_trust_by_anchor(judge->trust, proof->anchor_sha256);
	if (manufacturer == CH_MANUFACTURER_NONE ||
	    config->manufacturers[manufacturer].identifier != proven.identifier_kind ||
	    !ch_devices_has(devices, device, manufacturer, proven.identifier_hash))
		return CH_REASON_TRUST_CHANGED;
	return CH_REASON_NONE;
}
