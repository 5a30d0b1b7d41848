# SPDX-License-Identifier: Apache-2.0
# Non-recursive; everything is built under $(BUILD). `make help` lists the targets.
BUILD ?= build
CC ?= cc
CFLAGS ?= -O2 -g -fstack-protector-strong -D_FORTIFY_SOURCE=2
LDFLAGS ?= -Wl,-z,relro -Wl,-z,now
PREFIX ?= /usr/local
DEVICES ?= 1000
DURATION ?= 20
FUZZ_SECONDS ?= 300

FLAGS_GIVEN := $(CC) $(CFLAGS) $(LDFLAGS)
WARN := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wswitch-enum -Wpointer-arith
override CPPFLAGS += -I. -Iinclude -D_GNU_SOURCE
override CFLAGS += -std=gnu11 -fvisibility=hidden -pthread $(WARN) $(if $(filter true,$(CI)),-Werror)
V ?= 0
Q := $(if $(filter 0,$(V)),@)
say = $(if $(filter 0,$(V)),@printf '  %-7s %s\n' $(1) $(2))
MAKEFLAGS += --no-print-directory
# One job per core, unless the caller said how many.
jobs = $(if $(filter -j% --jobserver%,$(MAKEFLAGS)),,-j$(shell nproc))

# ---------------------------------------------------------------- dependencies
# NAME or NAME>=FLOOR. libexpat older than 2.5.0-1+deb12u5 is quadratic on hostile input.
EXPAT_FLOOR := 2.5.0-1+deb12u5
BUILD_PACKAGES = gcc libc6-dev $(BPF_PACKAGES) libssl-dev liburing-dev libexpat1>=$(EXPAT_FLOOR) \
	libexpat1-dev>=$(EXPAT_FLOOR) libcyaml-dev libyaml-dev libmicrohttpd-dev uthash-dev \
	libjansson-dev libcurl4-openssl-dev libsqlite3-dev
CHECK_PACKAGES := clang libclang-rt-dev libcriterion-dev g++ iproute2 python3 curl sqlite3

# ---------------------------------------------------------------- sources, by layer
LAYERS := core proto tls kernel guard collector
core_SRC := $(wildcard user/core/*.c)
proto_SRC := $(wildcard user/proto/*.c)
tls_SRC := $(wildcard user/tls/*.c)
kernel_SRC := $(wildcard kernel/*.c)
guard_SRC := $(wildcard user/guard/*.c)
collector_SRC := $(wildcard user/collector/*.c)
daemon_SRC := $(wildcard user/daemon/*.c)
cli_SRC := $(wildcard user/cli/*.c)
crl_SRC := $(wildcard user/crl/*.c)
sim_SRC := $(wildcard bench/*.c)
PROGRAM_SRC := $(foreach l,$(LAYERS),$($(l)_SRC)) $(daemon_SRC) $(cli_SRC) $(crl_SRC) $(sim_SRC)
objs = $(patsubst %.c,$(BUILD)/obj/%.o,$(1))

LIB_core := $(BUILD)/lib/core.a
LIB_proto := $(BUILD)/lib/proto.a
LIB_tls := $(BUILD)/lib/tls.a
LIB_kernel := $(BUILD)/lib/kernel.a
LIB_guard := $(BUILD)/lib/guard.a
LIB_collector := $(BUILD)/lib/collector.a
ALL_LIBS := $(LIB_collector) $(LIB_guard) $(LIB_tls) $(LIB_proto) $(LIB_kernel) $(LIB_core)
LDLIBS_ALL := -lcyaml -lyaml -lmicrohttpd -lssl -lcrypto -lexpat -luring -lbpf -lsqlite3

PROGRAMS := $(BUILD)/callhomed $(BUILD)/callhome $(BUILD)/callhome-crl $(BUILD)/callhome-sim

all: $(PROGRAMS) $(BUILD)/libcallhome.a ## build the programs and the library (the default)

# Other flags than last time in the same BUILD: build again.
$(BUILD)/flags: FORCE
	@mkdir -p $(@D)
	@printf '%s\n' '$(FLAGS_GIVEN)' | cmp -s - $@ || printf '%s\n' '$(FLAGS_GIVEN)' > $@

$(call objs,$(core_SRC) $(proto_SRC)): STRICT := -Wconversion

$(BUILD)/obj/%.o: %.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) $(STRICT) -MMD -MP -c -o $@ $<

define layer
$(BUILD)/lib/$(1).a: $(call objs,$($(1)_SRC))
	@mkdir -p $$(@D)
	$$(Q)rm -f $$@ && $(AR) rcs $$@ $$^
endef
$(foreach l,$(LAYERS),$(eval $(call layer,$(l))))

# $(1) = libraries of the system
link = $(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $(filter %.o,$^) \
	-Wl,--start-group $(filter %.a,$^) -Wl,--end-group $(1)

$(BUILD)/callhomed: $(call objs,$(daemon_SRC)) $(ALL_LIBS)
	$(call say,LD,$@)
	$(call link,$(LDLIBS_ALL))

$(BUILD)/callhome: $(call objs,$(cli_SRC)) $(LIB_core)
	$(call say,LD,$@)
	$(call link,-lcurl -ljansson)

$(BUILD)/callhome-crl: $(call objs,$(crl_SRC)) $(LIB_tls) $(LIB_core)
	$(call say,LD,$@)
	$(call link,-lcurl -lssl -lcrypto)

$(BUILD)/callhome-sim: $(call objs,$(sim_SRC)) $(LIB_tls) $(LIB_proto) $(LIB_kernel) $(LIB_core)
	$(call say,LD,$@)
	$(call link,-lssl -lcrypto -lexpat -luring -lcurl -ljansson -lm)

$(BUILD)/libcallhome.a: $(call objs,$(foreach l,$(LAYERS),$($(l)_SRC)))
	@mkdir -p $(@D)
	$(call say,AR,$@)
	$(Q)rm -f $@ && $(AR) rcs $@ $^

# ---------------------------------------------------------------- test programs
# The first 8 lines of a test say what goes into it:
#   /* links: proto core */                      the layers (core is always there)
#   /* sources: tests/unit/tls_fixture.c */      further C files, compiled and linked with it
head_of = $(shell sed -n '1,8s|.*$(2): \([^*]*\).*|\1|p' $(1))
TESTS := $(patsubst tests/unit/%.c,%,$(wildcard tests/unit/test_*.c))
TSANS := $(patsubst tests/tsan/%.c,%,$(wildcard tests/tsan/tsan_*.c))
FUZZERS := $(patsubst tests/fuzz/%.c,%,$(wildcard tests/fuzz/fuzz_*.c))

# $(1) = program below $(BUILD), $(2) = source, $(3) = more sources, $(4) = libraries of the system
define test_program
$(BUILD)/$(1): $(call objs,$(2) $(3) $(call head_of,$(2),sources)) \
		$(sort $(foreach l,$(call head_of,$(2),links) core,$(LIB_$(l))))
	@mkdir -p $$(@D)
	$$(call say,LD,$$@)
	$$(call link,$(LDLIBS_ALL) -ljansson -lcurl -lm $(4))
endef
$(foreach t,$(TESTS),$(eval $(call test_program,tests/$(t),tests/unit/$(t).c,,-lcriterion)))
$(foreach t,$(TSANS),$(eval $(call test_program,tsan/$(t),tests/tsan/$(t).c,,)))
$(foreach t,$(FUZZERS),$(eval $(call test_program,replay/$(t),tests/fuzz/$(t).c,tests/fuzz/replay_main.c,)))
$(foreach t,$(FUZZERS),$(eval $(call test_program,fuzz/$(t),tests/fuzz/$(t).c,,-fsanitize=fuzzer)))

$(BUILD)/refuse-io-uring: $(call objs,tests/it/refuse_io_uring.c)
$(BUILD)/own-network: $(call objs,tests/it/own_network.c)
IT_HELPERS := $(BUILD)/refuse-io-uring $(BUILD)/own-network
$(IT_HELPERS):
	$(call say,LD,$@)
	$(call link,)

test-programs: $(addprefix $(BUILD)/tests/,$(TESTS))
tsan-programs: $(addprefix $(BUILD)/tsan/,$(TSANS))
replay-programs: $(addprefix $(BUILD)/replay/,$(FUZZERS))
fuzz-programs: $(addprefix $(BUILD)/fuzz/,$(FUZZERS))
it-programs: all $(IT_HELPERS)
test-programs tsan-programs replay-programs fuzz-programs it-programs:
	@:

# What brings its own programs and targets.
include $(wildcard bpf/*.mk bench/*/*.mk tests/*/*.mk)

# ---------------------------------------------------------------- what people call
help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  \1\t\2/p' $(filter-out %.d,$(MAKEFILE_LIST)) | expand -t 16
	@echo 'Variables: BUILD=$(BUILD) CC=$(CC) DEVICES=$(DEVICES) DURATION=$(DURATION)' \
		'FUZZ_SECONDS=$(FUZZ_SECONDS) PREFIX=$(PREFIX) V=1 CI=true (warnings are errors)'

deps: ## install the Debian packages that build and demo need, if any is missing
	@.ci/deps $(patsubst %,'%',$(BUILD_PACKAGES))

deps-check: ## the same for make check
	@.ci/deps $(patsubst %,'%',$(sort $(BUILD_PACKAGES) $(CHECK_PACKAGES) $(FOREIGN_PACKAGES) $(VM_PACKAGES)))

demo: deps ## DEVICES=1000 devices call home for DURATION=20 seconds, with impostors among them
	@$(MAKE) $(jobs) all
	@$(BUILD)/callhome-sim demo --devices $(DEVICES) --duration $(DURATION)

check: deps-check ## everything that gates a merge; ends with "N passed, N failed, N skipped"
	@BUILD=$(BUILD) tests/run all

unit asan tsan replay lint it clang: ## one part of make check (also: part-foreign part-vm)
	@BUILD=$(BUILD) tests/run $@

part-foreign part-vm:
	@BUILD=$(BUILD) tests/run $(patsubst part-%,%,$@)

$(BUILD)/fsm-dot: $(call objs,tests/tools/fsm_dot.c) $(LIB_collector) $(LIB_core)
	$(call say,LD,$@)
	$(call link,)

conformance: ## docs/conformance.md from the tags of the tests, with the results of the last make check
	@tests/tools/conformance $(wildcard $(BUILD)/check/results) > $(BUILD)/conformance.md
	@mv $(BUILD)/conformance.md docs/conformance.md

fsm-dot: ## the life of a connection as a graph (pipe it into dot -Tsvg)
	@$(MAKE) $(jobs) $(BUILD)/fsm-dot >&2
	@$(BUILD)/fsm-dot

fuzz: ## every fuzz target for FUZZ_SECONDS=300, growing its corpus under $(BUILD)
	@BUILD=$(BUILD) tests/fuzz/run.sh $(FUZZ_SECONDS)

fuzz-smoke: ## every fuzz target for ten seconds
	@BUILD=$(BUILD) tests/fuzz/run.sh 10

analyze: ## gcc -fanalyzer and clang's static analyzer over the programs
	@$(MAKE) $(jobs) BUILD=$(BUILD)/analyze CC=gcc CFLAGS='-O1 -g -fanalyzer' objects
	@clang --analyze --analyzer-output text -Xclang -analyzer-werror $(CPPFLAGS) -std=gnu11 $(PROGRAM_SRC)

objects: $(call objs,$(PROGRAM_SRC))

format: ## clang-format over the sources that changed since the last commit
	@git diff --name-only --diff-filter=d HEAD -- '*.c' '*.h' | xargs -r clang-format -i

install: all ## into DESTDIR, below PREFIX=/usr/local
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/sbin $(DESTDIR)$(PREFIX)/lib \
		$(DESTDIR)$(PREFIX)/include/callhome
	install $(BUILD)/callhome $(BUILD)/callhome-sim $(DESTDIR)$(PREFIX)/bin
	install $(BUILD)/callhomed $(BUILD)/callhome-crl $(DESTDIR)$(PREFIX)/sbin
	install -m 644 $(BUILD)/libcallhome.a $(DESTDIR)$(PREFIX)/lib
	install -m 644 include/callhome/*.h $(DESTDIR)$(PREFIX)/include/callhome
	for part in . docs docs/img packaging; do \
		install -d $(DESTDIR)$(PREFIX)/share/doc/callhome/$$part || exit 1; done
	install -m 644 README.md LICENSE $(DESTDIR)$(PREFIX)/share/doc/callhome
	install -m 644 docs/*.md $(DESTDIR)$(PREFIX)/share/doc/callhome/docs
	install -m 644 docs/img/* $(DESTDIR)$(PREFIX)/share/doc/callhome/docs/img
	install -m 644 packaging/* $(DESTDIR)$(PREFIX)/share/doc/callhome/packaging
	for page in $(wildcard docs/man/*.[1-8]); do \
		install -D -m 644 $$page $(DESTDIR)$(PREFIX)/share/man/man$${page##*.}/$${page##*/} || exit 1; done

clean: ## remove everything that was built
	rm -rf $(BUILD)

-include $(shell find $(BUILD)/obj -name '*.d' 2>/dev/null)
.PHONY: all help deps deps-check demo check unit asan tsan replay lint it clang fuzz fuzz-smoke \
	analyze objects conformance format install clean test-programs tsan-programs replay-programs fuzz-programs \
	it-programs FORCE
.DELETE_ON_ERROR:
