/* SPDX-License-Identifier: Apache-2.0 */
/* Prints the state table of a connection as a graph for `dot`. */
#include "user/collector/fsm.h"

#include <stdio.h>

int main(void)
{
	struct ch_buf dot = {0};

	if (ch_fsm_dot(&dot) != 0)
		return 1;
	fwrite(dot.data, 1, dot.len, stdout);
	ch_buf_deinit(&dot);
	return fflush(stdout) == 0 ? 0 : 1;
}
