#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# needs: kernel-facts
#
# What this kernel does, as lines of NAME, tab, VALUE (kernel_facts.c).
mount -t tracefs tracefs /sys/kernel/tracing 2>/dev/null
"$BIN/kernel-facts"
