/* SPDX-License-Identifier: Apache-2.0 */
/* links: tls core */
/* sources: tests/unit/tls_fixture.c tests/unit/crl_fixture.c */
/*
 * Workers ask sets of revocation lists and show them CAs, while sets are built one after the other and
 * handed over, as a plain program for ThreadSanitizer. However the threads meet: who was revoked before
 * stays revoked once its CA was seen.
 */
#include "tests/unit/crl_fixture.h"
#include "user/tls/credential.h"
#include "user/tls/revocation_set.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define WORKERS 3
#define SETS 40

static struct fx_world world;
static X509 *leaf;
static char dir[] = "/tmp/callhome-tsan.XXXXXX";
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct ch_revocation *current; /* under @lock */
static _Atomic bool stop;

static void must(bool holds, const char *what)
{
	if (holds)
		return;
	fprintf(stderr, "%s\n", what);
	abort();
}

static struct ch_revocation *take(void)
{
	struct ch_revocation *set;

	pthread_mutex_lock(&lock);
	set = ch_revocation_take(current);
	pthread_mutex_unlock(&lock);
	return set;
}

static void *work(void *arg)
{
	struct ch_revocation_info info;

	(void)arg;
	while (!stop) {
		struct ch_revocation *set = take();

		ch_revocation_learn(set, world.acme_ca, "acme");
		must(ch_revocation_ask(set, leaf, "acme", time(NULL)) == CH_CRL_REVOKED,
		     "a revoked device was not found");
		ch_revocation_info(set, time(NULL), &info);
		must(info.pending == 0, "a list was left unverified");
		ch_revocation_drop(set);
	}
	return NULL;
}

static void build(long number)
{
	struct ch_revocation_options options = {.path = dir, .trust = world.trust, .old = current};
	struct ch_revocation *made = NULL;
	struct ch_revocation *before;
	char error[CH_ERROR_TEXT];

	fx_crl_file(dir, "acme.crl",
		    &(struct fx_crl){.issuer = world.acme_ca,
				     .key = world.acme_key,
				     .number = number,
				     .revoked = (X509 *[]){leaf, NULL}});
	must(ch_revocation_build(&options, &made, error) == 0, error);
	pthread_mutex_lock(&lock);
	before = current;
	current = made;
	pthread_mutex_unlock(&lock);
	ch_revocation_drop(before);
}

int main(void)
{
	pthread_t threads[WORKERS];
	struct ch_credential *device;
	char path[64];

	must(mkdtemp(dir) != NULL, "no directory");
	fx_world_init(&world);
	device = fx_acme_device(&world, NULL);
	leaf = device->cert;
	build(1);
	for (int i = 0; i < WORKERS; i++)
		must(pthread_create(&threads[i], NULL, work, NULL) == 0, "no thread");
	for (long number = 2; number < SETS; number++)
		build(number);
	stop = true;
	for (int i = 0; i < WORKERS; i++)
		pthread_join(threads[i], NULL);
	ch_revocation_drop(current);
	ch_credential_free(device);
	fx_world_deinit(&world);
	snprintf(path, sizeof(path), "%s/acme.crl", dir);
	must(unlink(path) == 0 && rmdir(dir) == 0, "something is left behind");
	return 0;
}
