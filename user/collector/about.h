/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What the process is made of, for --version and bug reports. */
#include "user/core/buf.h"

/** Appends a line for each linked library, "name version", with the version that runs. */
CH_NODISCARD int ch_about_libraries(struct ch_buf *out);
