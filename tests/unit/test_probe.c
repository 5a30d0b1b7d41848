/* SPDX-License-Identifier: Apache-2.0 */
/* links: kernel core */
#include "kernel/probe.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

Test(probe, finds_a_ring_where_the_ring_tests_run)
{
	struct ch_probe probe;
	struct utsname name;

	ch_probe(&probe);
	cr_assert_eq(probe.io_uring, 0);
	cr_assert_str_eq(probe.missing, "");
	cr_assert_null(ch_probe_advice(&probe));
	uname(&name);
	cr_assert_str_eq(probe.release, name.release);
	cr_assert_gt(probe.somaxconn, 0);
}

Test(probe, raises_the_soft_limit_of_descriptors)
{
	struct rlimit limit;
	struct ch_probe probe;

	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = 100;
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	ch_probe(&probe);
	cr_assert_eq(probe.nofile, limit.rlim_max);
	getrlimit(RLIMIT_NOFILE, &limit);
	cr_assert_eq(limit.rlim_cur, limit.rlim_max);
}

Test(probe, says_so_when_no_descriptor_is_left)
{
	const struct rlimit none = {0, 0};
	struct ch_probe probe;
	int status = -1;
	pid_t child = fork();

	/* In a child: the test runner needs descriptors of its own to report. */
	if (child == 0) {
		if (setrlimit(RLIMIT_NOFILE, &none) != 0)
			_exit(1);
		ch_probe(&probe);
		if (probe.io_uring != -EMFILE || probe.nofile != 0 || probe.ipv6 || probe.ktls)
			_exit(2);
		_exit(strstr(ch_probe_advice(&probe), "RLIMIT_NOFILE") != NULL ? 0 : 3);
	}
	cr_assert_eq(waitpid(child, &status, 0), child);
	cr_assert_eq(status, 0);
}

Test(probe, advice_names_the_knob)
{
	static const struct {
		int error;
		int disabled;
		const char *knob;
	} rows[] = {
		{-EPERM, 2, "kernel.io_uring_disabled to 0 (it is 2)"},
		{-EPERM, 1, "kernel.io_uring_group"},
		{-EPERM, 0, "seccomp"},
		{-EPERM, -1, "seccomp"},
		{-EACCES, 0, "SELinux"},
		{-ENOSYS, -1, "CONFIG_IO_URING"},
		{-EINVAL, -1, "Linux 6.1"},
		{-EOPNOTSUPP, 0, "Linux 6.1"},
		{-ENOMEM, 0, "RLIMIT_MEMLOCK"},
		{-EMFILE, 0, "RLIMIT_NOFILE"},
		{-EIO, 0, "unknown reason"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ch_probe probe = {.io_uring = rows[i].error,
					 .io_uring_disabled = rows[i].disabled};
		const char *advice = ch_probe_advice(&probe);

		cr_assert_not_null(advice);
		cr_assert_not_null(strstr(advice, rows[i].knob), "%d: %s", rows[i].error, advice);
		cr_assert_eq(advice[strlen(advice) - 1], '.');
	}
}
