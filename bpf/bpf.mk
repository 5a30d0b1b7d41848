# SPDX-License-Identifier: Apache-2.0
# .bpf.c -> object -> skeleton: generated, never committed. Linked through bpftool, which drops the
# debug information that the object would otherwise carry into the program. A slot of the stack that held
# a pointer, or on 6.1 a known number, may not take another value in part later, unless the loader
# has CAP_PERFMON beside CAP_BPF: so none is shared.
BPF_PACKAGES := clang libbpf-dev bpftool
MULTIARCH := $(shell $(CC) -print-multiarch 2>/dev/null)

$(BUILD)/bpf/%.bpf.o: bpf/%.bpf.c $(wildcard bpf/*.h) bpf/bpf.mk
	@mkdir -p $(@D)
	$(call say,BPF,$<)
	$(Q)clang -O2 -g -target bpf -mcpu=v3 -mllvm -no-stack-slot-sharing -mllvm -no-stack-coloring -Wall -Wextra $(if $(filter true,$(CI)),-Werror) \
		-I/usr/include/$(MULTIARCH) -c -o $@.full $<
	$(Q)PATH=$$PATH:/usr/sbin bpftool gen object $@ $@.full

$(BUILD)/bpf/%.skel.h: $(BUILD)/bpf/%.bpf.o
	$(Q)PATH=$$PATH:/usr/sbin bpftool gen skeleton $< name $*_bpf > $@

# Kept: the program that is looked at with bpftool or llvm-objdump is the one that was built in.
.SECONDARY: $(BUILD)/bpf/guard.bpf.o

# The one file that carries the skeleton.
$(BUILD)/obj/kernel/guard.o: $(BUILD)/bpf/guard.skel.h
$(BUILD)/obj/kernel/guard.o: override CPPFLAGS += -I$(BUILD)/bpf
