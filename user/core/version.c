/* SPDX-License-Identifier: Apache-2.0 */
#include <callhome/callhome.h>

const char *ch_version(void)
{
	return "callhome 0.1.0";
}
