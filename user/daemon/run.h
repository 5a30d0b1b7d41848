/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/** Checks the configuration and reports on standard output, or the mistakes on standard error. @return exit status */
int daemon_check(const char *config);

/** Runs the collector until a signal ends it. @return exit status */
int daemon_run(const char *config);
