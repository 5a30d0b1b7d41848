/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Error codes: 0 is success, negatives are errors. A negated errno value means itself; our own
 * codes start at -1000. "Need more data" is a result, never an error.
 */
#define CH_ERRORS(X)                                                                               \
	X(LIMIT, -1000, "a limit was reached")                                                     \
	X(BUDGET, -1001, "the byte budget is spent")                                               \
	X(FULL, -1002, "no free slot")                                                             \
	X(SYNTAX, -1003, "the input is malformed")                                                 \
	X(RANGE, -1004, "the value is out of range")                                               \
	X(CONFIG, -1005, "the configuration is not usable")                                        \
	X(CRYPTO, -1006, "a cryptographic operation failed")                                       \
	X(UNSUPPORTED, -1007, "not supported here")                                                \
	X(NOT_CONNECTED, -1008, "the device is not connected")                                     \
	X(UNKNOWN, -1009, "no such device")                                                        \
	X(STATE, -1010, "not possible in this state")                                              \
	X(TIMEOUT, -1011, "timed out")

enum ch_error {
	CH_OK = 0,
#define X(sym, value, text) CH_E_##sym = value,
	CH_ERRORS(X)
#undef X
};

#define CH_NODISCARD __attribute__((warn_unused_result))
#define CH_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))

/** A sentence for @error (own code or negated errno). Never NULL; not for parsing. */
const char *ch_error_text(int error);
