/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A collector without sockets behind the public API, for tests of what is written on that API.
 * Devices r0, r1, ... differ by index: r0 connected, r1 never, r2 connecting, r3 disconnected
 * (closed-by-device), r4 refused (expired), and so on round by five. The last two are special:
 * "pe/1 %" needs escapes in a URL, and a hostile one has escape sequences in its identifier.
 *
 * What an rpc does is chosen by the first element of the operation:
 *   error, junk, empty   replies of that kind      timeout, gone, limit   the final status
 *   full, state          refused at once           hang                   until fake_finish_hanging
 *   large                1 MB in pieces            anything else          <ok/>, with an echo
 */
#include <callhome/callhome.h>

struct ch_collector *fake_new(uint32_t devices);
/** Joins the threads of all rpcs. */
void fake_free(struct ch_collector *fake);
/** Ends every hanging rpc with CH_E_NOT_CONNECTED. */
void fake_finish_hanging(struct ch_collector *fake);
/** Waits until so many rpcs hang. */
void fake_await_hanging(struct ch_collector *fake, unsigned count);
/** The last operation and timeout that came. */
const char *fake_operation(struct ch_collector *fake);
uint64_t fake_timeout_ns(struct ch_collector *fake);

/**
 * 10.0.0.0, 10.0.0.1, ... are banned, so many, and 2001:db8:0:1::/64 behind them; 1 at the start.
 * By source, a further ban is refused with: "full", "off", "never" (CH_E_STATE), "wide"
 * (CH_E_RANGE), "word" (CH_E_SYNTAX).
 */
void fake_set_bans(struct ch_collector *fake, uint32_t count);
/** The last change: "ban 192.0.2.1 60 root", "unban ...", "reset RULE". */
const char *fake_guard_change(struct ch_collector *fake);
/** The guard works at accept only, and the host is not set up for it. */
void fake_poor_guard(struct ch_collector *fake);
/** The guard works in the kernel, but known sources have no door of their own. */
void fake_one_door(struct ch_collector *fake);

/** The identities of r0. */
#define FAKE_R0_IDENTITIES                                                                         \
	"\"identities\":[{\"manufacturer\":\"acme\",\"identifier\":\"SN-0\",\"source\":\"file\","  \
	"\"used\":false},{\"manufacturer\":\"operator\",\"identifier\":\"L-0\","                   \
	"\"source\":\"database\",\"used\":true}],"

/** What `show` says about TLS and the certificate of a device that was seen. */
#define FAKE_TLS_MEMBERS                                                                           \
	"\"key_exchange\":\"X25519\",\"signature\":\"ecdsa-sha256\","                              \
	"\"client_certificate\":\"current\",\"extended_master_secret\":true,"                      \
	"\"certificate_sha256\":"                                                                  \
	"\"cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc\","                    \
	"\"certificate_not_after\":\"9999-12-31T23:59:59Z\","                                      \
	"\"issuers\":[\"/CN=factory\",\"/CN=root\"],\"anchor_sha256\":"                            \
	"\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\","
