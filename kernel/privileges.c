/* SPDX-License-Identifier: Apache-2.0 */
#include "privileges.h"

#include <errno.h>
#include <linux/capability.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#define BIT(capability) (UINT64_C(1) << (capability))

struct sets {
	uint64_t effective, permitted, inheritable;
};

/* glibc has no wrapper for these two; of this version a set comes in two halves. */
static int get_sets(struct sets *sets)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct half[2];

	if (syscall(SYS_capget, &header, half) != 0)
		return -errno;
	*sets = (struct sets){
		.effective = half[0].effective | (uint64_t)half[1].effective << 32,
		.permitted = half[0].permitted | (uint64_t)half[1].permitted << 32,
		.inheritable = half[0].inheritable | (uint64_t)half[1].inheritable << 32,
	};
	return 0;
}

static int set_sets(const struct sets *sets)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	const struct __user_cap_data_struct half[2] = {
		{(uint32_t)sets->effective, (uint32_t)sets->permitted, (uint32_t)sets->inheritable},
		{(uint32_t)(sets->effective >> 32), (uint32_t)(sets->permitted >> 32),
		 (uint32_t)(sets->inheritable >> 32)},
	};

	return syscall(SYS_capset, &header, half) == 0 ? 0 : -errno;
}

/* What a program that we run could get back. Without CAP_SETPCAP that is for no_new_privs to bar. */
static int bound(uint64_t keep)
{
	for (unsigned long capability = 0; capability < 64; capability++) {
		if ((keep & BIT(capability)) != 0)
			continue;
		if (prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) == 0)
			continue;
		if (errno == EINVAL)
			return 0; /* behind the last one of this kernel */
		if (errno != EPERM)
			return -errno;
	}
	return 0;
}

/*
 * Without CAP_IPC_LOCK a ring counts as locked memory from Linux 6.14 on, for all processes of a user
 * together, and the usual 8 MiB are fewer than a thread for each core of a large machine takes. How
 * large they are is bounded by the configuration. Who may not lift the limit has at least all of it.
 */
static void lift_locked_memory(void)
{
	struct rlimit limit = {RLIM_INFINITY, RLIM_INFINITY};

	if (setrlimit(RLIMIT_MEMLOCK, &limit) == 0 || getrlimit(RLIMIT_MEMLOCK, &limit) != 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	(void)setrlimit(RLIMIT_MEMLOCK, &limit);
}

int ch_privileges_drop(void)
{
	uint64_t keep = geteuid() == 0 ? BIT(CAP_DAC_OVERRIDE) : 0;
	struct sets sets;
	int err;

	lift_locked_memory();
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
	    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) != 0)
		return -errno;
	err = bound(keep);
	if (err == 0)
		err = get_sets(&sets);
	if (err != 0)
		return err;
	keep &= sets.permitted;
	return set_sets(&(struct sets){.effective = keep, .permitted = keep});
}

/* In the order of their numbers, without "CAP_". */
static const char *const names[] = {
	"chown", "dac_override", "dac_read_search", "fowner", "fsetid", "kill", "setgid", "setuid",
	"setpcap", "linux_immutable", "net_bind_service", "net_broadcast", "net_admin", "net_raw",
	"ipc_lock", "ipc_owner", "sys_module", "sys_rawio", "sys_chroot", "sys_ptrace", "sys_pacct",
	"sys_admin", "sys_boot", "sys_nice", "sys_resource", "sys_time", "sys_tty_config", "mknod",
	"lease", "audit_write", "audit_control", "setfcap", "mac_override", "mac_admin", "syslog",
	"wake_alarm", "block_suspend", "audit_read", "perfmon", "bpf", "checkpoint_restore",
};
_Static_assert(sizeof(names) / sizeof(names[0]) > CAP_BPF, "a name is missing");

void ch_privileges_read(struct ch_privileges *privileges)
{
	char *text = privileges->capabilities;
	struct sets sets = {0};
	size_t used = 0;

	privileges->no_new = prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1;
	snprintf(text, CH_PRIVILEGES_TEXT, "%s", get_sets(&sets) == 0 ? "none" : "unknown");
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if ((sets.permitted & BIT(i)) == 0)
			continue;
		if (used + strlen(names[i]) + sizeof(",...") >= CH_PRIVILEGES_TEXT) {
			snprintf(text + used, CH_PRIVILEGES_TEXT - used, ",...");
			break;
		}
		used += (size_t)snprintf(text + used, CH_PRIVILEGES_TEXT - used, "%s%s",
					 used > 0 ? "," : "", names[i]);
	}
}
