/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The subcommands of callhome-sim; one file and one row each. */
#include "args.h"

extern const struct sim_command_row sim_command_run;
extern const struct sim_command_row sim_command_demo;
extern const struct sim_command_row sim_command_gen_certs;
extern const struct sim_command_row sim_command_impostors;
extern const struct sim_command_row sim_command_attack;
extern const struct sim_command_row sim_command_resilience;
