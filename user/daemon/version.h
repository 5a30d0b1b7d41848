/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/** Writes versions of the program and its libraries, and what the kernel offers, to standard output. @return exit status */
int daemon_version(void);
