/* SPDX-License-Identifier: Apache-2.0 */
#include "call.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int call_rekey(struct sim_fleet *fleet, struct call *call, enum ch_ktls_direction direction)
{
	struct ch_record *record = &call->device.record;
	enum call_op op = direction == CH_KTLS_TX ? CALL_OP_REKEY_TX : CALL_OP_REKEY_RX;
	uint8_t *info = malloc(CH_KTLS_INFO_MAX);
	uint32_t len = 0;
	int err = -ENOMEM;

	if (info != NULL && ch_record_rekey(record, direction == CH_KTLS_TX) == 0)
		len = ch_ktls_info(&record->keys, direction, info);
	if (len > 0)
		err = fleet->ring->ops->rekey(
			fleet->ring, call->file, direction, info, len,
			ch_user_data((uint8_t)op, call->generation, call->slot));
	call->new_keys[direction] = info;
	if (err == 0)
		call->inflight |= (uint16_t)(1u << op);
	else
		call_drop_keys(call, direction);
	return err;
}

void call_drop_keys(struct call *call, enum ch_ktls_direction direction)
{
	if (call->new_keys[direction] != NULL)
		explicit_bzero(call->new_keys[direction], CH_KTLS_INFO_MAX);
	free(call->new_keys[direction]);
	call->new_keys[direction] = NULL;
}
