/* SPDX-License-Identifier: Apache-2.0 */
#include "control_wait.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

struct ch_control_wait {
	_Atomic unsigned owners;
	pthread_mutex_t lock; /**< held before MHD's own, by all */
	struct MHD_Connection *connection;
	char *text;
	int error;
	bool parked; /**< @connection is suspended and must be resumed exactly once */
	bool done;
};

struct ch_control_wait *ch_control_wait_new(struct MHD_Connection *connection)
{
	struct ch_control_wait *wait = calloc(1, sizeof(*wait));

	if (wait == NULL)
		return NULL;
	pthread_mutex_init(&wait->lock, NULL);
	wait->connection = connection;
	wait->owners = 2;
	return wait;
}

static void drop(struct ch_control_wait *wait)
{
	if (atomic_fetch_sub(&wait->owners, 1) != 1)
		return;
	pthread_mutex_destroy(&wait->lock);
	free(wait->text);
	free(wait);
}

void ch_control_wait_abandon(struct ch_control_wait *wait)
{
	drop(wait);
}

/** Lets MHD call the handler again. The lock is held. */
static void unpark(struct ch_control_wait *wait)
{
	if (!wait->parked)
		return;
	wait->parked = false;
	MHD_resume_connection(wait->connection);
}

void ch_control_wait_done(struct ch_control_wait *wait, int error, const char *text)
{
	pthread_mutex_lock(&wait->lock);
	wait->error = error;
	wait->text = strdup(text != NULL ? text : "");
	wait->done = true;
	unpark(wait);
	pthread_mutex_unlock(&wait->lock);
	drop(wait);
}

bool ch_control_wait_park(struct ch_control_wait *wait)
{
	bool park;

	pthread_mutex_lock(&wait->lock);
	park = !wait->done;
	if (park) {
		MHD_suspend_connection(wait->connection);
		wait->parked = true;
	}
	pthread_mutex_unlock(&wait->lock);
	return park;
}

void ch_control_wait_cancel(struct ch_control_wait *wait)
{
	pthread_mutex_lock(&wait->lock);
	unpark(wait);
	pthread_mutex_unlock(&wait->lock);
}

int ch_control_wait_result(struct ch_control_wait *wait, const char **text)
{
	int error;

	pthread_mutex_lock(&wait->lock);
	error = wait->done ? wait->error : CH_E_TIMEOUT;
	*text = wait->text != NULL ? wait->text : "";
	pthread_mutex_unlock(&wait->lock);
	return error;
}

void ch_control_wait_release(struct ch_control_wait *wait)
{
	if (wait != NULL)
		drop(wait);
}
