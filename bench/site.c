/* SPDX-License-Identifier: Apache-2.0 */
#include "site.h"

#include "kernel/sock.h"

#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define READY_NS 20000000000ull

static int fail(char error[SIM_SITE_ERROR], int err, const char *what)
{
	snprintf(error, SIM_SITE_ERROR, "%.200s: %s", what, ch_error_text(err));
	return err;
}

static int make_dir(struct sim_site *site, const struct sim_site_spec *spec,
		    char error[SIM_SITE_ERROR])
{
	const char *tmp = getenv("TMPDIR");

	if (spec->keep) {
		snprintf(site->dir, sizeof(site->dir), "%s", spec->keep);
		if (mkdir(site->dir, 0700) == 0)
			return 0;
		site->dir[0] = '\0'; /* somebody else's: never removed */
		return fail(error, -errno, spec->keep);
	}
	snprintf(site->dir, sizeof(site->dir), "%.400s/callhome-%s-XXXXXX", tmp ? tmp : "/tmp",
		 spec->name);
	if (mkdtemp(site->dir))
		return 0;
	site->dir[0] = '\0';
	return fail(error, -errno, "cannot make a temporary directory");
}

static int find_program(struct sim_site *site, const struct sim_site_spec *spec,
			char error[SIM_SITE_ERROR])
{
	char self[SIM_SITE_PATH - 16];

	if (spec->callhomed) {
		snprintf(site->program, sizeof(site->program), "%s", spec->callhomed);
	} else {
		ssize_t len = readlink("/proc/self/exe", self, sizeof(self) - 1);
		if (len < 0)
			return fail(error, -errno, "/proc/self/exe");
		self[len] = '\0';
		char *slash = strrchr(self, '/');
		if (slash)
			*slash = '\0';
		snprintf(site->program, sizeof(site->program), "%s/callhomed", self);
	}
	if (access(site->program, X_OK) == 0)
		return 0;
	int err = -errno;
	snprintf(error, SIM_SITE_ERROR, "%.150s cannot be run: %s (see --callhomed)", site->program,
		 strerror(-err));
	return err;
}

static int find_port(struct sim_site *site, char error[SIM_SITE_ERROR])
{
	const struct ch_sock_liveness liveness = {0};
	const struct ch_address any = {.ip = {127, 0, 0, 1}, .family = 4};
	int fd;
	int err = ch_sock_listen(&any, &liveness, 1, &fd);

	if (!err) {
		err = ch_sock_local(fd, &site->address);
		ch_sock_close(fd);
	}
	return err ? fail(error, err, "no free port on 127.0.0.1") : 0;
}

static int make_pki(struct sim_site *site, const struct sim_site_spec *spec,
		    char error[SIM_SITE_ERROR])
{
	char listen[CH_ADDRESS_TEXT], what[SIM_PKI_ERROR];
	struct ch_address address = site->address;

	if (spec->any_address)
		memset(address.ip, 0, sizeof(address.ip));
	ch_address_format(&address, listen);
	const struct sim_pki_spec pki = {
		.dir = site->dir,
		.devices = spec->devices,
		.spares = spec->spares,
		.listen = listen,
		.limits = spec->limits,
	};
	int err = sim_pki_make(&pki, what);
	if (!err)
		err = sim_pki_load(site->dir, &site->pki, what);
	if (err)
		snprintf(error, SIM_SITE_ERROR, "the PKI: %s", what);
	return err;
}

int sim_site_init(struct sim_site *site, const struct sim_site_spec *spec,
		  char error[SIM_SITE_ERROR])
{
	memset(site, 0, sizeof(*site));
	int err = find_program(site, spec, error);
	if (!err)
		err = find_port(site, error);
	if (!err)
		err = make_dir(site, spec, error);
	if (err)
		return err;
	snprintf(site->config, sizeof(site->config), "%s/callhomed.yaml", site->dir);
	snprintf(site->socket, sizeof(site->socket), "%s/callhomed.sock", site->dir);
	snprintf(site->log, sizeof(site->log), "%s/callhomed.log", site->dir);
	snprintf(site->spool, sizeof(site->spool), "%s/spool", site->dir);
	return make_pki(site, spec, error);
}

int sim_site_start(struct sim_site *site, char error[SIM_SITE_ERROR])
{
	int err = sim_daemon_start(&site->daemon, site->program, site->config, site->log,
				   site->socket);
	if (err)
		return fail(error, err, "callhomed does not start");
	err = sim_daemon_ready(&site->daemon, READY_NS);
	if (err == CH_E_STATE)
		snprintf(error, SIM_SITE_ERROR, "callhomed ended at once; its log: %.150s",
			 site->log);
	else if (err)
		return fail(error, err, "callhomed does not answer on its control socket");
	return err;
}

static int remove_entry(const char *path, const struct stat *info, int type, struct FTW *walk)
{
	(void)info;
	(void)type;
	(void)walk;
	return remove(path);
}

void sim_site_remove(const char *dir)
{
	(void)nftw(dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

void sim_site_deinit(struct sim_site *site, bool remove)
{
	sim_daemon_deinit(&site->daemon);
	sim_pki_free(site->pki);
	site->pki = NULL;
	if (remove && site->dir[0] != '\0')
		sim_site_remove(site->dir);
}
