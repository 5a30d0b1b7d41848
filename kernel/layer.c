/* SPDX-License-Identifier: Apache-2.0 */
#include "layer.h"

bool ch_layer_wants_ulp(enum ch_layer_policy policy, const struct ch_ktls_support *support)
{
	return policy != CH_LAYER_POLICY_USER && support->ulp == 0;
}

struct ch_layer_plan ch_layer_plan(enum ch_layer_policy policy,
				   const struct ch_ktls_support *support, uint16_t version,
				   uint8_t aead)
{
	const struct ch_ktls_cipher *cipher =
		version == CH_TLS_1_3 ? &support->tls13[aead] : &support->tls12[aead];

	if (policy == CH_LAYER_POLICY_USER)
		return (struct ch_layer_plan){.why = CH_WHY_POLICY};
	if (support->ulp != 0)
		return (struct ch_layer_plan){.why = CH_WHY_NO_TLS};
	/* RFC 8446 section 4.6.3: KeyUpdate must be handled; such a kernel would end the session.
	 */
	if (policy == CH_LAYER_POLICY_AUTO && version == CH_TLS_1_3 && !support->rekey)
		return (struct ch_layer_plan){.why = CH_WHY_REKEY};
	return (struct ch_layer_plan){
		.rx = cipher->rx == 0,
		.tx = cipher->tx == 0,
		.why = cipher->rx == 0 && cipher->tx == 0 ? CH_WHY_NONE : CH_WHY_CIPHER,
	};
}

enum ch_layer ch_layer_of(bool armed, bool rx, bool tx)
{
	if (!armed)
		return CH_LAYER_NONE;
	if (rx && tx)
		return CH_LAYER_KERNEL;
	if (rx || tx)
		return rx ? CH_LAYER_KERNEL_RX : CH_LAYER_KERNEL_TX;
	return CH_LAYER_USER;
}

const char *ch_layer_name(enum ch_layer layer)
{
	static const char *const names[] = {
		[CH_LAYER_NONE] = "",
		[CH_LAYER_USER] = "user",
		[CH_LAYER_KERNEL] = "kernel",
		[CH_LAYER_KERNEL_RX] = "kernel-rx",
		[CH_LAYER_KERNEL_TX] = "kernel-tx",
	};

	return (unsigned)layer < sizeof(names) / sizeof(names[0]) ? names[layer] : "unknown";
}

const char *ch_layer_why_text(enum ch_layer_why why)
{
	static const char *const texts[] = {
		[CH_WHY_NONE] = "",
		[CH_WHY_POLICY] = "the configuration says record-layer: user",
		[CH_WHY_NO_TLS] = "the kernel does not do TLS (CONFIG_TLS, or the module tls)",
		[CH_WHY_REKEY] = ("this kernel cannot change the keys of a TLS 1.3 session "
				  "(KeyUpdate); record-layer: kernel uses it all the same"),
		[CH_WHY_CIPHER] = "the kernel lacks the cipher",
		[CH_WHY_REFUSED] = "the kernel refused the keys or the socket",
	};

	return (unsigned)why < sizeof(texts) / sizeof(texts[0]) ? texts[why] : "unknown";
}

const char *ch_layer_summary(enum ch_layer_policy policy, const struct ch_ktls_support *support)
{
	struct ch_layer_plan tls12 =
		ch_layer_plan(policy, support, CH_TLS_1_2, CH_AEAD_AES_128_GCM);
	struct ch_layer_plan tls13 =
		ch_layer_plan(policy, support, CH_TLS_1_3, CH_AEAD_AES_128_GCM);

	if (!tls12.rx)
		return "user";
	return tls13.rx ? "kernel" : "kernel (TLS 1.2), user (TLS 1.3)";
}
