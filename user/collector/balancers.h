/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The addresses of the load balancers that brought a connection, so that a session needs one byte
 * to name its own. A fleet has few; a table that is full keeps no more, and then names are missing
 * where they are shown. Threads: any.
 */
#include "user/core/address.h"

#include <pthread.h>
#include <stdatomic.h>

#define CH_BALANCERS_MAX 255
#define CH_BALANCER_NONE 0

struct ch_balancers {
	pthread_mutex_t lock; /**< of who adds one */
	_Atomic uint32_t count;
	char names[CH_BALANCERS_MAX][CH_ADDRESS_TEXT]; /**< never change once they count */
};

void ch_balancers_init(struct ch_balancers *balancers);
void ch_balancers_deinit(struct ch_balancers *balancers);

/** Adds one, unless it is there. @return its id, or CH_BALANCER_NONE: the table is full */
uint8_t ch_balancers_add(struct ch_balancers *balancers, const struct ch_address *address);

/** Its address without a port, for as long as the table lives. @return NULL: there is none */
const char *ch_balancers_name(const struct ch_balancers *balancers, uint8_t id);
