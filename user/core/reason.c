/* SPDX-License-Identifier: Apache-2.0 */
#include <callhome/error.h>
#include <callhome/event.h>
#include <callhome/reason.h>
#include <stddef.h>
#include <string.h>

struct reason_row {
	const char *name;
	const char *text;
	enum ch_fault fault;
	enum ch_event_kind event;
};

static const struct reason_row rows[CH_REASON_COUNT] = {
	[CH_REASON_NONE] = {"none", "the connection lives", CH_FAULT_LOCAL, CH_EVENT_CONNECTED},
#define X(sym, name, fault, event, text)                                                           \
	[CH_REASON_##sym] = {name, text, CH_FAULT_##fault, CH_EVENT_##event},
	CH_REASONS(X)
#undef X
};

static const char *const event_names[CH_EVENT_COUNT] = {
#define X(sym, name) [CH_EVENT_##sym] = name,
	CH_EVENTS(X)
#undef X
};

static const struct reason_row *row_of(enum ch_reason reason)
{
	return &rows[(unsigned)reason < CH_REASON_COUNT ? reason : CH_REASON_INTERNAL];
}

const char *ch_reason_name(enum ch_reason reason)
{
	return row_of(reason)->name;
}

const char *ch_reason_text(enum ch_reason reason)
{
	return row_of(reason)->text;
}

enum ch_fault ch_reason_fault(enum ch_reason reason)
{
	return row_of(reason)->fault;
}

enum ch_event_kind ch_reason_event(enum ch_reason reason)
{
	return row_of(reason)->event;
}

enum ch_reason ch_reason_from_name(const char *name)
{
	for (unsigned i = 1; i < CH_REASON_COUNT; i++) {
		if (strcmp(rows[i].name, name) == 0)
			return (enum ch_reason)i;
	}
	return CH_REASON_NONE;
}

const char *ch_event_name(enum ch_event_kind kind)
{
	return (unsigned)kind < CH_EVENT_COUNT ? event_names[kind] : "unknown";
}

const char *ch_error_text(int error)
{
	switch (error) {
	case CH_OK:
		return "success";
#define X(sym, value, text)                                                                        \
	case CH_E_##sym:                                                                           \
		return text;
		CH_ERRORS(X)
#undef X
	default:
		return error > -1000 && error < 0 ? strerror(-error) : "unknown error";
	}
}
