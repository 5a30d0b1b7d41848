/* SPDX-License-Identifier: Apache-2.0 */
/* links: core */
#include <callhome/error.h>
#include <callhome/event.h>
#include <callhome/reason.h>

#include <criterion/criterion.h>
#include <ctype.h>
#include <errno.h>
#include <string.h>

static bool is_kebab(const char *name)
{
	if (!islower((unsigned char)name[0]))
		return false;
	for (const char *c = name; *c != '\0'; c++) {
		if (!islower((unsigned char)*c) && !isdigit((unsigned char)*c) && *c != '-')
			return false;
	}
	return true;
}

Test(reason, every_name_is_kebab_case_and_leads_back)
{
	for (int i = 1; i < CH_REASON_COUNT; i++) {
		enum ch_reason reason = (enum ch_reason)i;

		cr_assert(is_kebab(ch_reason_name(reason)), "%s", ch_reason_name(reason));
		cr_assert_eq(ch_reason_from_name(ch_reason_name(reason)), reason,
			     "%s is not unique", ch_reason_name(reason));
		cr_assert_gt(strlen(ch_reason_text(reason)), 10);
		cr_assert_lt(ch_reason_event(reason), CH_EVENT_COUNT);
	}
}

Test(reason, unknown_names_are_none)
{
	cr_assert_eq(ch_reason_from_name("no-such-reason"), CH_REASON_NONE);
	cr_assert_eq(ch_reason_from_name(""), CH_REASON_NONE);
	cr_assert_str_eq(ch_reason_name(CH_REASON_NONE), "none");
	cr_assert_str_eq(ch_reason_name((enum ch_reason)9999), "internal-error");
}

Test(reason, nothing_of_ours_counts_against_a_peer)
{
	static const enum ch_reason ours[] = {
		CH_REASON_SESSION_LIMIT, CH_REASON_HANDSHAKE_LIMIT, CH_REASON_NO_CREDENTIAL,
		CH_REASON_KILLED,	 CH_REASON_SHUTDOWN,	    CH_REASON_INTERNAL,
	};

	for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
		cr_assert_eq(ch_reason_fault(ours[i]), CH_FAULT_LOCAL);
	cr_assert_eq(ch_reason_fault(CH_REASON_NO_POSSESSION), CH_FAULT_PEER);
	cr_assert_eq(ch_reason_fault(CH_REASON_CLIENT_CERT_REFUSED), CH_FAULT_NETWORK);
}

Test(reason, tells_the_event_that_is_published)
{
	cr_assert_eq(ch_reason_event(CH_REASON_UNKNOWN_DEVICE), CH_EVENT_UNKNOWN_DEVICE);
	cr_assert_eq(ch_reason_event(CH_REASON_UNKNOWN_CA), CH_EVENT_AUTH_FAILED);
	cr_assert_eq(ch_reason_event(CH_REASON_WRONG_MANUFACTURER), CH_EVENT_NOT_ALLOWED);
	cr_assert_eq(ch_reason_event(CH_REASON_SILENT), CH_EVENT_CONNECTION_FAILED);
	cr_assert_eq(ch_reason_event(CH_REASON_SESSION_LIMIT), CH_EVENT_CONNECTION_REFUSED);
	cr_assert_eq(ch_reason_event(CH_REASON_SUPERSEDED), CH_EVENT_DISCONNECTED);
}

Test(reason, event_names_are_unique)
{
	for (int i = 0; i < CH_EVENT_COUNT; i++) {
		const char *name = ch_event_name((enum ch_event_kind)i);

		cr_assert(is_kebab(name));
		for (int k = 0; k < i; k++)
			cr_assert_str_neq(name, ch_event_name((enum ch_event_kind)k));
	}
	cr_assert_str_eq(ch_event_name(CH_EVENT_CONNECTED), "device-connected");
	cr_assert_str_eq(ch_event_name(CH_EVENT_COUNT), "unknown");
}

Test(reason, errors_have_a_text)
{
	cr_assert_str_eq(ch_error_text(CH_OK), "success");
	cr_assert_str_eq(ch_error_text(CH_E_BUDGET), "the byte budget is spent");
	cr_assert_str_eq(ch_error_text(CH_E_TIMEOUT), "timed out");
	cr_assert_str_eq(ch_error_text(-EMFILE), strerror(EMFILE));
	cr_assert_str_eq(ch_error_text(-5000), "unknown error");
	cr_assert_str_eq(ch_error_text(5), "unknown error");
}
