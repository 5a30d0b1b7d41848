/* SPDX-License-Identifier: Apache-2.0 */
#include "input.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define READ_BYTES (64 * 1024)

int input_read(const struct cli *cli, const char *name, const char *what, size_t most,
	       struct ch_buf *into)
{
	bool standard = name == NULL || strcmp(name, "-") == 0;
	FILE *file = standard ? stdin : fopen(name, "re");
	int code = CLI_OK;

	if (file == NULL)
		return cli_fail(cli, CLI_USAGE, "cannot open %s: %s", name, strerror(errno));
	if (standard && isatty(STDIN_FILENO) == 1)
		fprintf(stderr, "type the %s, then Ctrl-D:\n", what);
	while (code == CLI_OK && !feof(file)) {
		if (ch_buf_reserve(into, READ_BYTES) != 0) {
			code = cli_fail(cli, CLI_FAILED, "out of memory");
			break;
		}
		into->len += fread(into->data + into->len, 1, READ_BYTES, file);
		if (ferror(file))
			code = cli_fail(cli, CLI_USAGE, "cannot read %s: %s",
					standard ? "standard input" : name, strerror(errno));
		else if (into->len > most)
			code = cli_fail(cli, CLI_USAGE, "the %s has more than %zu bytes", what,
					most);
	}
	if (!standard)
		fclose(file);
	return code;
}
