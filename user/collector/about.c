/* SPDX-License-Identifier: Apache-2.0 */
#include "about.h"
#include "collector.h"
#include "kernel/sock.h"
#include "user/tls/library.h"

#include <cyaml/cyaml.h>
#include <expat.h>
#include <link.h>
#include <microhttpd.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct mapped {
	const char *prefix; /* "liburing.so." */
	char version[32];
};

static int find_mapped(struct dl_phdr_info *info, size_t size, void *ctx)
{
	struct mapped *mapped = ctx;
	char *path = realpath(info->dlpi_name, NULL);
	const char *found = path != NULL ? strstr(path, mapped->prefix) : NULL;

	(void)size;
	if (found != NULL)
		snprintf(mapped->version, sizeof(mapped->version), "%s",
			 found + strlen(mapped->prefix));
	free(path);
	return found != NULL;
}

int ch_about_libraries(struct ch_buf *out)
{
	/* liburing 2.3 cannot be asked; the file that the loader mapped has its version as suffix. */
	struct mapped uring = {.prefix = "liburing.so.", .version = "(linked statically)"};

	dl_iterate_phdr(find_mapped, &uring);
	return ch_buf_printf(out, "%s\nliburing %s\n%s\nlibcyaml %s\nlibmicrohttpd %s\nSQLite %s\n",
			     ch_tls_library(), uring.version, XML_ExpatVersion(), cyaml_version_str,
			     MHD_get_version(), sqlite3_libversion());
}

const char *ch_collector_control_socket(const struct ch_collector *c)
{
	return c->config->control_socket;
}

void ch_collector_listening(const struct ch_collector *c, char *text, size_t size)
{
	const struct ch_worker *w = c->shared.workers;
	size_t used = 0;

	if (size > 0)
		text[0] = '\0';
	for (size_t i = 0; w != NULL && i < w->listener_count && used < size; i++) {
		struct ch_address address;
		char one[CH_ADDRESS_TEXT];

		if (w->listeners[i].known || ch_sock_local(w->listeners[i].fd, &address) != 0)
			continue;
		ch_address_format(&address, one);
		used += (size_t)snprintf(text + used, size - used, "%s%s", used > 0 ? "," : "", one);
	}
}
