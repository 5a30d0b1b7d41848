/* SPDX-License-Identifier: Apache-2.0 */
/* links: collector guard tls proto kernel core */
/* sources: tests/unit/tls_fixture.c */
/*
 * A collector of two threads is loaded anew again and again, whole and its inventory alone, while
 * connections come and go in the middle of their handshake and readers look at devices, views and
 * owners.
 */
#include "tests/unit/tls_fixture.h"

#include <callhome/callhome.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define RELOADS 24
#define CALLERS 3
#define READERS 2

static char directory[64];
static struct ch_collector *collector;
static _Atomic bool stopping;
static _Atomic unsigned calls;
static _Atomic unsigned good, bad, answers;
static uint16_t port;

static void write_file(const char *name, const void *data, size_t len)
{
	char path[128];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	file = fopen(path, "w");
	if (file == NULL || fwrite(data, 1, len, file) != len || fclose(file) != 0)
		abort();
}

static void write_pem(const char *name, struct fx_text text)
{
	write_file(name, text.data, text.len);
	fx_text_free(&text);
}

/* Every generation has another number of devices, and "r0" in all of them. */
static void write_devices(unsigned generation)
{
	struct ch_buf csv = {0};
	unsigned count = 1 + generation * 700 % 5000;

	for (unsigned i = 0; i < count; i++) {
		if (ch_buf_printf(&csv, "acme,SN%u,r%u,default,default\n", i,
				  i == 0 ? 0 : i + generation % 3) != 0)
			abort();
	}
	write_file("devices.csv", csv.data, csv.len);
	ch_buf_deinit(&csv);
}

static uint16_t free_port(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (bind(fd, (struct sockaddr *)&address, len) != 0 ||
	    getsockname(fd, (struct sockaddr *)&address, &len) != 0)
		abort();
	close(fd);
	return ntohs(address.sin_port);
}

static void make_site(void)
{
	struct fx_world world;
	char yaml[1024];

	snprintf(directory, sizeof(directory), "/tmp/callhome-tsan-XXXXXX");
	if (mkdtemp(directory) == NULL)
		abort();
	fx_world_init(&world);
	write_pem("acme.pem", fx_pem_certs((X509 *[]){world.acme_ca, NULL}));
	write_pem("client.pem", fx_pem_certs((X509 *[]){world.client_cert, NULL}));
	write_pem("client.key", fx_pem_key(world.client_key));
	fx_world_deinit(&world);
	write_devices(0);
	port = free_port();
	snprintf(yaml, sizeof(yaml),
		 "listen: [{name: l, address: \"127.0.0.1:%u\"}]\n"
		 "trust: {manufacturers: [{name: acme, ca: acme.pem, identifier: serialNumber}]}\n"
		 "credentials: [{name: default, tls-cert: client.pem, tls-key: client.key}]\n"
		 "devices: {file: devices.csv}\n"
		 "spool: {directory: spool}\n"
		 "limits: {threads: 2, login-timeout: 200ms}\n"
		 "guard: {mode: \"off\"}\n", /* or the callers are banned soon */
		 port);
	write_file("c.yaml", yaml, strlen(yaml));
}

/* Takes the ClientHello and hangs up, or stays until it is thrown out. */
static void *caller(void *unused)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_port = htons(port),
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	char bytes[4096];

	while (!stopping) {
		int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

		if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0 &&
		    recv(fd, bytes, sizeof(bytes), 0) > 0 && calls++ % 4 == 0)
			(void)recv(fd, bytes, sizeof(bytes), 0);
		close(fd);
	}
	return unused;
}

static void *reader(void *unused)
{
	struct ch_device_view device;
	struct ch_collector_view view;
	uint64_t generation = 1;
	uint32_t index;

	while (!stopping) {
		uint32_t count = ch_collector_device_count(collector);

		for (uint32_t i = 0; i < count; i += 97)
			(void)!ch_collector_device(collector, i, &device);
		/* In every generation, and always at the same place. */
		if (ch_collector_find(collector, "r0", &index) != 0 || index != 0)
			abort();
		if (ch_collector_kill(collector, "r0") != CH_E_NOT_CONNECTED)
			abort();
		ch_collector_view(collector, &view);
		if (view.generation < generation)
			abort();
		generation = view.generation;
	}
	return unused;
}

static void reload_all(void)
{
	struct ch_collector_view view;
	char *text = NULL;

	for (unsigned i = 1; i <= RELOADS; i++) {
		enum ch_reload_kind kind = i % 3 == 0 ? CH_RELOAD_DEVICES : CH_RELOAD_ALL;

		write_devices(i);
		if (ch_collector_reload(collector, kind, &text) != 0) {
			fprintf(stderr, "%s\n", text);
			abort();
		}
		free(text);
	}
	ch_collector_view(collector, &view);
	if (view.generation != RELOADS + 1)
		abort();
}

static void count_good(void *ctx, const struct ch_reload_result *result)
{
	(void)ctx;
	good += result->error == 0;
	answers++;
}

static void count_bad(void *ctx, const struct ch_reload_result *result)
{
	(void)ctx;
	bad += result->error == CH_E_CONFIG;
	answers++;
}

/* A configuration that is being edited fails its own reload, and no other that waits with it. */
static void reload_broken(void)
{
	write_file("c.yaml", "nonsense", 8);
	for (int i = 0; i < RELOADS; i++) {
		if (ch_collector_reload_start(collector, CH_RELOAD_DEVICES, count_good, NULL) !=
			    0 ||
		    ch_collector_reload_start(collector, CH_RELOAD_ALL, count_bad, NULL) != 0)
			abort();
	}
	while (answers < 2 * RELOADS)
		usleep(1000);
	if (good != RELOADS || bad != RELOADS)
		abort();
}

int main(void)
{
	pthread_t threads[CALLERS + READERS];
	char *error = NULL;
	char path[128];

	make_site();
	snprintf(path, sizeof(path), "%s/c.yaml", directory);
	if (ch_collector_new(path, NULL, NULL, &collector, &error) != 0 ||
	    ch_collector_start(collector, &error) != 0) {
		fprintf(stderr, "%s\n", error);
		return 1;
	}
	for (int i = 0; i < CALLERS + READERS; i++) {
		if (pthread_create(&threads[i], NULL, i < CALLERS ? caller : reader, NULL) != 0)
			abort();
	}
	reload_all();
	reload_broken();
	stopping = true;
	for (int i = 0; i < CALLERS + READERS; i++)
		pthread_join(threads[i], NULL);
	ch_collector_stop(collector);
	ch_collector_free(collector);
	snprintf(path, sizeof(path), "rm -rf %s", directory);
	if (system(path) != 0 || calls < RELOADS)
		return 1;
	printf("%u connections over %u reloads\n", calls, RELOADS);
	return 0;
}
