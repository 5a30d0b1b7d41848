/* SPDX-License-Identifier: Apache-2.0 */
#include "pair.h"

#include <arpa/inet.h>
#include <err.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

struct pair pair_new(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(address);
	struct pair pair;
	int listener = socket(AF_INET, SOCK_STREAM, 0);

	if (bind(listener, (struct sockaddr *)&address, len) != 0 || listen(listener, 1) != 0 ||
	    getsockname(listener, (struct sockaddr *)&address, &len) != 0)
		err(1, "listen");
	pair.far = socket(AF_INET, SOCK_STREAM, 0);
	if (connect(pair.far, (struct sockaddr *)&address, len) != 0)
		err(1, "connect");
	pair.near = accept(listener, NULL, NULL);
	if (pair.near < 0)
		err(1, "accept");
	close(listener);
	return pair;
}

void pair_free(struct pair pair)
{
	close(pair.far);
	close(pair.near);
}
