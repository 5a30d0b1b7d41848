# SPDX-License-Identifier: Apache-2.0
# The programs on Debian kernels, in QEMU without KVM: kernels come from the machine's own Debian archive.
VM_PACKAGES := qemu-system-x86 busybox-static cpio kmod xz-utils binutils iproute2 openssl util-linux
VM_KERNEL ?= 6.1
KERNELS ?= 6.1 6.12 newest

$(BUILD)/kernel-facts: $(call objs,tests/vm/kernel_facts.c tests/vm/pair.c)
	$(call say,LD,$@)
	$(call link,-luring)

$(BUILD)/record-layers: $(call objs,tests/vm/record_layers.c tests/vm/pair.c tests/unit/streams.c) \
		$(LIB_tls) $(LIB_proto) $(LIB_kernel) $(LIB_core)
	$(call say,LD,$@)
	$(call link,-lssl -lcrypto -luring)

vm-programs: all $(BUILD)/kernel-facts $(BUILD)/record-layers $(BUILD)/foreign/dev_openssl \
		$(BUILD)/foreign/dev_gnutls $(BUILD)/guard-call $(BUILD)/guard-fire \
		$(BUILD)/tests/test_guard $(BUILD)/tests/test_guard_doors $(BUILD)/tests/test_guard_run \
		$(BUILD)/own-network $(BUILD)/refuse-io-uring
	@:

vm: ## the demo and every record layer on the kernel VM_KERNEL=6.1, in QEMU
	@.ci/deps $(patsubst %,'%',$(BUILD_PACKAGES) $(VM_PACKAGES))
	@$(MAKE) $(jobs) vm-programs
	@BUILD=$(BUILD) tests/vm/check.sh $(VM_KERNEL)

check-kernels: ## the table of docs/kernels.md, for KERNELS="6.1 6.12 newest"
	@.ci/deps $(patsubst %,'%',$(BUILD_PACKAGES) $(VM_PACKAGES))
	@$(MAKE) $(jobs) vm-programs >&2
	@BUILD=$(BUILD) tests/vm/matrix.sh $(KERNELS)
.PHONY: vm vm-programs check-kernels
