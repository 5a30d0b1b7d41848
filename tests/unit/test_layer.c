/* SPDX-License-Identifier: Apache-2.0 */
/* links: kernel core */
#include "kernel/layer.h"

#include <criterion/criterion.h>
#include <errno.h>

static const struct ch_ktls_support none = {.ulp = -ENOENT};
static const struct ch_ktls_support old = {.ulp = 0, .no_pad = true};
static const struct ch_ktls_support new = {.ulp = 0, .no_pad = true, .rekey = true};

#define PLAN(policy, support, version)                                                             \
	ch_layer_plan(CH_LAYER_POLICY_##policy, support, CH_TLS_##version, CH_AEAD_AES_128_GCM)

Test(layer, auto_takes_tls_1_3_only_where_keys_can_change)
{
	cr_assert(PLAN(AUTO, &old, 1_2).rx);
	cr_assert(PLAN(AUTO, &old, 1_2).tx);
	cr_assert(!PLAN(AUTO, &old, 1_3).rx);
	cr_assert_eq(PLAN(AUTO, &old, 1_3).why, CH_WHY_REKEY);
	cr_assert(PLAN(AUTO, &new, 1_3).rx);
	cr_assert_eq(PLAN(AUTO, &new, 1_3).why, CH_WHY_NONE);
}

Test(layer, kernel_takes_tls_1_3_without_rekey_too)
{
	cr_assert(PLAN(KERNEL, &old, 1_3).rx);
	cr_assert(PLAN(KERNEL, &old, 1_3).tx);
}

Test(layer, user_never_asks_the_kernel)
{
	cr_assert(!PLAN(USER, &new, 1_2).rx);
	cr_assert_eq(PLAN(USER, &new, 1_2).why, CH_WHY_POLICY);
	cr_assert(!ch_layer_wants_ulp(CH_LAYER_POLICY_USER, &new));
	cr_assert(ch_layer_wants_ulp(CH_LAYER_POLICY_AUTO, &old));
	cr_assert(!ch_layer_wants_ulp(CH_LAYER_POLICY_KERNEL, &none));
}

Test(layer, kernel_without_tls_says_so)
{
	cr_assert_eq(PLAN(AUTO, &none, 1_2).why, CH_WHY_NO_TLS);
	cr_assert_eq(PLAN(KERNEL, &none, 1_3).why, CH_WHY_NO_TLS);
}

Test(layer, missing_cipher_falls_back_alone_per_direction)
{
	struct ch_ktls_support support = new;
	struct ch_layer_plan plan;

	support.tls13[CH_AEAD_CHACHA20_POLY1305].tx = -ENOENT;
	plan = ch_layer_plan(CH_LAYER_POLICY_AUTO, &support, CH_TLS_1_3, CH_AEAD_CHACHA20_POLY1305);
	cr_assert(plan.rx);
	cr_assert(!plan.tx);
	cr_assert_eq(plan.why, CH_WHY_CIPHER);
}

Test(layer, names_and_summary_are_the_words_of_the_manual)
{
	cr_assert_str_eq(ch_layer_name(ch_layer_of(false, false, false)), "");
	cr_assert_str_eq(ch_layer_name(ch_layer_of(true, false, false)), "user");
	cr_assert_str_eq(ch_layer_name(ch_layer_of(true, true, true)), "kernel");
	cr_assert_str_eq(ch_layer_name(ch_layer_of(true, true, false)), "kernel-rx");
	cr_assert_str_eq(ch_layer_name(ch_layer_of(true, false, true)), "kernel-tx");
	cr_assert_str_eq(ch_layer_summary(CH_LAYER_POLICY_AUTO, &none), "user");
	cr_assert_str_eq(ch_layer_summary(CH_LAYER_POLICY_AUTO, &old),
			 "kernel (TLS 1.2), user (TLS 1.3)");
	cr_assert_str_eq(ch_layer_summary(CH_LAYER_POLICY_AUTO, &new), "kernel");
}
