/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Changes of the inventory while the daemon runs: one thread writes the database, so that no worker
 * ever waits for a disk. A change is tried whole (database and file must still make an inventory),
 * committed, and in force with every worker before its end is told (ch_collector_change).
 */
#include <callhome/callhome.h>
#include "user/core/buf.h"

struct ch_enrolment;

/**
 * Opens the database of the configuration, remembers its rejected and pending keys and starts the
 * thread, which writes pending ones once a second.
 * @return 0 or an error with one sentence in @error
 */
CH_NODISCARD int ch_enrolment_new(struct ch_collector *collector, struct ch_enrolment **enrolment,
				  struct ch_buf *error);

/** Finishes what is under way, refuses what waits and what comes, joins the thread. NULL is fine.
 */
void ch_enrolment_stop(struct ch_enrolment *enrolment);
/** After ch_enrolment_stop, and after the workers are gone. NULL is fine. */
void ch_enrolment_free(struct ch_enrolment *enrolment);
