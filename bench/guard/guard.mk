# SPDX-License-Identifier: Apache-2.0
# What the guard's test in a network namespace fires with, and make bench-guard.

$(BUILD)/guard-fire: $(call objs,tests/it/guard_fire.c bench/guard/syns.c) $(LIB_kernel) $(LIB_core)
	$(call say,LD,$@)
	$(call link,-lbpf -luring)

$(BUILD)/guard-cost: $(call objs,bench/guard/cost.c bench/guard/syns.c) $(LIB_kernel) $(LIB_core)
	$(call say,LD,$@)
	$(call link,-lbpf -luring)

$(BUILD)/guard-call: $(call objs,tests/it/guard_call.c) $(LIB_core)
	$(call say,LD,$@)
	$(call link,)

it-programs: $(BUILD)/guard-call $(BUILD)/guard-fire

bench-guard: ## what a SYN costs with the guard and without, in namespaces of its own; needs root
	@.ci/deps $(patsubst %,'%',$(BUILD_PACKAGES) iproute2)
	@$(MAKE) $(jobs) $(BUILD)/guard-cost $(BUILD)/own-network >&2
	@BUILD=$(BUILD) bench/guard/cost.sh
.PHONY: bench-guard
