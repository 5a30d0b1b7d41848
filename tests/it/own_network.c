/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `own-network COMMAND...` runs it in a network namespace of its own with only a loopback interface.
 * `own-network --loopback up|down`, inside of it, lets every connection work or go silent.
 * Exit status 77 where namespaces are not to be had.
 */
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CANNOT = 77 };

static int set_loopback(int up)
{
	struct ifreq request = {.ifr_name = "lo"};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int err = -1;

	if (fd < 0 || ioctl(fd, SIOCGIFFLAGS, &request) < 0)
		goto out;
	request.ifr_flags = (short)(up ? request.ifr_flags | IFF_UP : request.ifr_flags & ~IFF_UP);
	err = ioctl(fd, SIOCSIFFLAGS, &request);
out:
	if (err < 0)
		perror("lo");
	if (fd >= 0)
		close(fd);
	return err;
}

/* Root again, inside: without it nobody may configure the interface. */
static int map_user(uid_t outside)
{
	char line[32];
	FILE *map = fopen("/proc/self/uid_map", "w");

	if (!map)
		return -1;
	snprintf(line, sizeof(line), "0 %u 1\n", outside);
	fputs(line, map);
	return fclose(map);
}

int main(int argc, char **argv)
{
	uid_t user = geteuid();

	if (argc == 3 && strcmp(argv[1], "--loopback") == 0)
		return set_loopback(strcmp(argv[2], "up") == 0) < 0 ? 1 : 0;
	if (argc < 2) {
		fprintf(stderr, "usage: %s COMMAND... | --loopback up|down\n", argv[0]);
		return 2;
	}
	if (unshare(CLONE_NEWNET | (user == 0 ? 0 : CLONE_NEWUSER)) < 0) {
		perror("unshare");
		return CANNOT;
	}
	if ((user != 0 && map_user(user) < 0) || set_loopback(1) < 0)
		return CANNOT;
	execvp(argv[1], argv + 1);
	perror(argv[1]);
	return 127;
}
