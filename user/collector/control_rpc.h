/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * One rpc that came over the control socket. Two own it: the HTTP request and the collector's
 * callback on a worker thread; whoever comes last frees it. So neither a client that hangs up nor
 * a reply that comes after ch_control_close touches freed memory.
 */
#include <callhome/callhome.h>
#include "control_http.h"

/** Most bytes of an operation. */
#define CH_RPC_BODY_MOST (1024 * 1024)
/** Most bytes of a reply. */
#define CH_RPC_REPLY_MOST (64 * 1024 * 1024)
#define CH_RPC_TIMEOUT_MOST_NS UINT64_C(3600000000000)
#define CH_RPC_TIMEOUT_NS UINT64_C(30000000000)

struct ch_control_rpc;

/**
 * Sends @operation to @device and parks the connection until the reply is there; then MHD calls
 * the handler again and ch_control_rpc_finish answers.
 * @return MHD_YES, and @rpc (NULL when an error was answered at once)
 */
enum MHD_Result ch_control_rpc_start(struct MHD_Connection *connection,
				     struct ch_collector *collector, const char *device,
				     struct ch_slice operation, struct ch_control_rpc **rpc);

enum MHD_Result ch_control_rpc_finish(struct MHD_Connection *connection, struct ch_control_rpc *rpc,
				      const char *device);

/** The collector stops: a parked connection is answered with 503. Any thread. */
void ch_control_rpc_cancel(struct ch_control_rpc *rpc);

/** The HTTP request is over. NULL is fine. */
void ch_control_rpc_release(struct ch_control_rpc *rpc);

/**
 * Finds the one element in @body, without XML declaration and comments around it, and checks that
 * it is well-formed UTF-8 and no <rpc> or <hello>.
 * @return 0 and @operation, or CH_E_SYNTAX with one sentence in @message
 */
CH_NODISCARD int ch_control_rpc_operation(struct ch_slice body, struct ch_slice *operation,
					  char message[256]);
