# SPDX-License-Identifier: Apache-2.0
# Non-recursive; everything is built under $(BUILD).
BUILD ?= build
CC ?= cc
CFLAGS ?= -O2 -g
WARN := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wswitch-enum -Wpointer-arith
override CPPFLAGS += -I. -Iinclude -D_GNU_SOURCE
override CFLAGS += -std=gnu11 -fvisibility=hidden -pthread $(WARN)
V ?= 0
Q := $(if $(filter 0,$(V)),@)
say = $(if $(filter 0,$(V)),@printf '  %-7s %s\n' $(1) $(2))

LAYERS := core proto tls collector
core_SRC := $(wildcard user/core/*.c)
proto_SRC := $(wildcard user/proto/*.c)
tls_SRC := $(wildcard user/tls/*.c)
kernel_SRC := $(wildcard kernel/*.c)
collector_SRC := $(wildcard user/collector/*.c)
objs = $(patsubst %.c,$(BUILD)/obj/%.o,$(1))

LIB_core := $(BUILD)/lib/core.a
LIB_proto := $(BUILD)/lib/proto.a
LIB_tls := $(BUILD)/lib/tls.a
LIB_kernel := $(BUILD)/lib/kernel.a
LIB_collector := $(BUILD)/lib/collector.a
LIBS_proto := -lexpat
LIBS_tls := -lcrypto -lssl
LIBS_kernel := -luring
LIBS_collector := -lcyaml -lyaml -lmicrohttpd
LDLIBS_ALL := -lcyaml -lyaml -lmicrohttpd -lssl -lcrypto -lexpat -luring

all: $(BUILD)/callhomed $(BUILD)/callhome $(BUILD)/callhome-sim $(BUILD)/libcallhome.a

$(BUILD)/obj/%.o: %.c
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

define layer
$(BUILD)/lib/$(1).a: $(call objs,$($(1)_SRC))
	@mkdir -p $$(@D)
	$$(Q)rm -f $$@ && $(AR) rcs $$@ $$^
endef
$(foreach l,core proto tls kernel collector,$(eval $(call layer,$(l))))

ALL_LIBS := $(LIB_collector) $(LIB_tls) $(LIB_proto) $(LIB_kernel) $(LIB_core)

$(BUILD)/callhomed: $(call objs,$(wildcard user/daemon/*.c)) $(ALL_LIBS)
	$(call say,LD,$@)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS_ALL)

$(BUILD)/callhome: $(call objs,$(wildcard user/cli/*.c)) $(LIB_core)
	$(call say,LD,$@)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ -lcurl -ljansson

$(BUILD)/callhome-sim: $(call objs,$(wildcard bench/*.c)) $(LIB_tls) $(LIB_proto) $(LIB_kernel) $(LIB_core)
	$(call say,LD,$@)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ -lssl -lcrypto -lexpat -luring -lcurl -ljansson -lm

$(BUILD)/libcallhome.a: $(call objs,$(collector_SRC) $(tls_SRC) $(proto_SRC) $(kernel_SRC) $(core_SRC))
	@mkdir -p $(@D)
	$(Q)rm -f $@ && $(AR) rcs $@ $^

# One Criterion binary per test file. `# links: core proto` in the first 5 lines names the layers it needs.
TESTS := $(patsubst tests/unit/%.c,%,$(wildcard tests/unit/test_*.c))
$(BUILD)/tests/test_%: tests/unit/test_%.c $(LIB_core)
	@mkdir -p $(@D)
	$(call say,TEST,$@)
	$(Q)$(MAKE) --no-print-directory $(foreach l,$(shell sed -n 's|.*links: ||p' $< | head -1),$(BUILD)/lib/$(l).a)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) $(LDFLAGS) -o $@ $< \
	  -Wl,--start-group $(foreach l,$(shell sed -n 's|.*links: ||p' $< | head -1),$(BUILD)/lib/$(l).a) $(LIB_core) -Wl,--end-group \
	  $(LDLIBS_ALL) -lcriterion -ljansson
unit: $(addprefix $(BUILD)/tests/,$(TESTS))
	@for t in $^; do $$t || exit 1; done

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
.PHONY: all unit
.DELETE_ON_ERROR:
