# SPDX-License-Identifier: Apache-2.0
# What the guard's test in a network namespace fires with, and make bench-guard.

$(BUILD)/guard-fire: $(call objs,tests/it/guard_fire.c bench/guard/syns.c) $(LIB_kernel) $(LIB_core)
	$(call say,LD,$@)
	$(call link,-lbpf -luring)
$(BUILD)/guard-call: $(call objs,tests/it/guard_call.c) $(LIB_core)
	$(call say,LD,$@)
	$(call link,)

it-programs: $(BUILD)/guard-call $(BUILD)/guard-fire
