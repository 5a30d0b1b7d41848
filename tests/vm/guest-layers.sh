#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# needs: record-layers
#
# The same generated streams through the kernel's record layer and through ours (record_layers.c).
"$BIN/record-layers" ${STREAMS:+"$STREAMS"} ${FIRST:+"$FIRST"}
