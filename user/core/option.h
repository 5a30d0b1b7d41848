/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Numbers, sizes and durations from text, for every place a person writes one (file, environment,
 * command line). Nothing is guessed: no sign, no octal, no trailing text, no overflow.
 */
#include <callhome/error.h>
#include <stdbool.h>
#include <stdint.h>

/** Decimal digits only. @return 0, CH_E_SYNTAX, or CH_E_RANGE when outside @min..@max. */
CH_NODISCARD int ch_parse_uint(const char *text, uint64_t min, uint64_t max, uint64_t *value);

/**
 * Bytes: a number with an optional B, KiB, MiB, GiB, TiB (1024) or kB, MB, GB, TB (1000).
 * @return as ch_parse_uint
 */
CH_NODISCARD int ch_parse_size(const char *text, uint64_t min, uint64_t max, uint64_t *bytes);

/**
 * Nanoseconds: a number with ms, s, min, h or d (mandatory unless the number is 0).
 * @return as ch_parse_uint
 */
CH_NODISCARD int ch_parse_duration(const char *text, uint64_t min_ns, uint64_t max_ns,
				   uint64_t *ns);

/** true/false, yes/no, on/off. @return 0 or CH_E_SYNTAX. */
CH_NODISCARD int ch_parse_bool(const char *text, bool *value);

/** Characters of a value as text, with its NUL. */
#define CH_VALUE_TEXT 32

/** As the parsers above read it, in the largest unit that loses nothing (of a duration: no days).
 * @return @text */
const char *ch_size_text(uint64_t bytes, char text[CH_VALUE_TEXT]);
const char *ch_duration_text(uint64_t ns, char text[CH_VALUE_TEXT]);
