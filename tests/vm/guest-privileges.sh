#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# needs: callhomed callhome callhome-sim guard-call own-network
# tools: setpriv
# files: tests/it/privileges.sh
# pki: 1 2
#
# On this kernel the guard loads with CAP_BPF alone, which its verifier takes less from than from root, and
# works when that is given up.
chmod a+rx / /usr /usr/lib /lib 2>/dev/null # for a user that is not root
chmod -R a+rX "$PWD" /usr/lib /lib 2>/dev/null
chmod -R go= "$PKI"
export TRY_MS=900 # a SYN that is dropped is sent again after a second
bash tests/it/privileges.sh
