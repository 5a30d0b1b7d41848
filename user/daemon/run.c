/* SPDX-License-Identifier: Apache-2.0 */
#include "run.h"
#include "log.h"
#include "kernel/privileges.h"
#include "options.h"
#include "user/collector/control.h"

#include <callhome/callhome.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct stopper {
	struct ch_collector *collector;
	pthread_t waiter; /* the thread that waits for signals */
	atomic_bool done;
};

static void print_error(const char *text, int err)
{
	if (text == NULL)
		text = ch_error_text(err);
	fprintf(stderr, "%s%s", text, text[0] != '\0' && text[strlen(text) - 1] == '\n' ? "" : "\n");
}

/* @return exit status; 0 = @collector is there */
static int load(const char *config, struct ch_collector **collector)
{
	char *error = NULL;
	int err = ch_collector_new(config, daemon_log_line, NULL, collector, &error);

	if (err != 0)
		print_error(error, err);
	free(error);
	if (err == 0)
		return 0;
	return err == CH_E_CONFIG ? EXIT_CONFIG : EXIT_FAILED;
}

int daemon_check(const char *config)
{
	struct ch_collector *collector;
	struct ch_collector_view view;
	int status = load(config, &collector);

	if (status != 0)
		return status;
	ch_collector_view(collector, &view);
	printf("%s: ok, %u devices, control socket %s\n", config, view.devices,
	       ch_collector_control_socket(collector));
	ch_collector_free(collector);
	return fflush(stdout) == 0 ? 0 : EXIT_FAILED;
}

/* A start that failed because of the system (ring, port) rather than of a file or directory. */
static int start_status(int err)
{
	switch (err) {
	case CH_E_UNSUPPORTED: /* io_uring */
	case -EADDRINUSE:
	case -EADDRNOTAVAIL:
	case -EAFNOSUPPORT:
		return EXIT_CANNOT_LISTEN;
	default:
		return EXIT_FAILED;
	}
}

/* The collector has what needed a privilege; what devices send is read without any. */
static int give_up_privileges(void *ctx)
{
	int err = ch_privileges_drop();

	(void)ctx;
	if (err != 0)
		daemon_log(DAEMON_ERROR, "event=privileges-kept err=\"%s\"", ch_error_text(err));
	return err;
}

static int start(struct ch_collector *collector, struct ch_control **control)
{
	char *error = NULL;
	char sentence[256] = "";
	int err;

	ch_collector_on_prepared(collector, give_up_privileges, NULL);
	err = ch_collector_start(collector, &error);

	if (err != 0) {
		print_error(error, err);
		free(error);
		return start_status(err);
	}
	err = ch_control_open(collector, ch_collector_control_socket(collector), control, sentence);
	if (err == 0)
		return 0;
	print_error(sentence, err);
	ch_collector_abort(collector);
	ch_collector_stop(collector);
	return start_status(err);
}

static void log_started(const struct ch_collector *collector, const char *config)
{
	struct ch_collector_view view;
	char listening[512];

	ch_collector_view(collector, &view);
	ch_collector_listening(collector, listening, sizeof(listening));
	daemon_log(DAEMON_INFO,
		   "event=collector-started listen=%s control=%s config=%s devices=%u threads=%u "
		   "record_layer=%s pid=%d",
		   listening, ch_collector_control_socket(collector), config, view.devices,
		   view.threads, view.record_layer, (int)getpid());
}

static void *stop(void *ctx)
{
	struct stopper *stopper = ctx;

	ch_collector_stop(stopper->collector);
	atomic_store(&stopper->done, true);
	pthread_kill(stopper->waiter, SIGUSR1);
	return NULL;
}

/* How it went is told by the collector's own lines. */
static void reload(struct ch_collector *collector)
{
	int err = ch_collector_reload_start(collector, CH_RELOAD_ALL, NULL, NULL);

	if (err != 0)
		daemon_log(DAEMON_WARNING, "event=reload-failed text=\"%s\"", ch_error_text(err));
}

/* Waits for the first signal that ends the daemon. */
static void wait_for_end(struct ch_collector *collector, const sigset_t *signals)
{
	int number = 0;

	while (number != SIGTERM && number != SIGINT) {
		if (sigwait(signals, &number) != 0)
			continue;
		if (number == SIGHUP)
			reload(collector);
	}
	daemon_log(DAEMON_INFO, "event=collector-stopping signal=%s", sigabbrev_np(number));
}

/* The stop blocks, so it gets a thread of its own while this one waits for a second signal. */
static void stop_gracefully(struct ch_collector *collector, const sigset_t *signals)
{
	struct stopper stopper = {.collector = collector, .waiter = pthread_self()};
	pthread_t thread;

	if (pthread_create(&thread, NULL, stop, &stopper) != 0) {
		ch_collector_abort(collector);
		ch_collector_stop(collector);
		return;
	}
	while (!atomic_load(&stopper.done)) {
		int number;

		if (sigwait(signals, &number) == 0 && (number == SIGTERM || number == SIGINT)) {
			daemon_log(DAEMON_WARNING, "event=collector-aborting signal=%s",
				   sigabbrev_np(number));
			ch_collector_abort(collector);
		}
	}
	pthread_join(thread, NULL);
}

/* Every thread inherits the mask: signals come to the sigwait of the main thread only. */
static void block_signals(sigset_t *signals)
{
	sigemptyset(signals);
	sigaddset(signals, SIGTERM);
	sigaddset(signals, SIGINT);
	sigaddset(signals, SIGHUP);
	sigaddset(signals, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, signals, NULL);
	signal(SIGPIPE, SIG_IGN);
}

int daemon_run(const char *config)
{
	struct ch_collector *collector;
	struct ch_control *control = NULL;
	sigset_t signals;
	int status;

	umask(027);
	block_signals(&signals);
	status = load(config, &collector);
	if (status != 0)
		return status;
	status = start(collector, &control);
	if (status == 0) {
		log_started(collector, config);
		wait_for_end(collector, &signals);
		stop_gracefully(collector, &signals);
		ch_control_close(control);
		daemon_log(DAEMON_INFO, "event=collector-stopped");
	}
	ch_collector_free(collector);
	return status;
}
