# SPDX-License-Identifier: Apache-2.0
# make bench: every claim of docs/performance.md against its reference, in one run.
BENCH_PACKAGES := gnuplot-nox libnetconf2-dev libssh-dev libyang2-dev libyuma-base python3
BENCH_OUT ?= $(BUILD)/bench

$(BUILD)/bench/bare: $(call objs,bench/perf/bare.c) $(LIB_core)
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(call link,-lssl -lcrypto)

$(BUILD)/bench/ncollector: $(call objs,bench/perf/ncollector.c) $(LIB_core)
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(call link,-lnetconf2 -lyang -lssl -lcrypto)

$(BUILD)/bench/framing: $(call objs,bench/perf/framing.c) $(LIB_proto) $(LIB_core)
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(call link,)

$(BUILD)/bench/handshake: $(call objs,bench/perf/handshake.c) $(LIB_tls) $(LIB_proto) $(LIB_core)
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(call link,-lssl -lcrypto)

BENCH_PROGRAMS := $(addprefix $(BUILD)/bench/,bare ncollector framing handshake)
bench-programs: $(BENCH_PROGRAMS)
	@:

bench: ## measure, against the references, in about ten minutes; JSON lines, then a table
	@.ci/deps $(patsubst %,'%',$(BUILD_PACKAGES) $(BENCH_PACKAGES))
	@$(MAKE) $(jobs) all bench-programs >&2
	@python3 bench/perf/run.py --build $(BUILD) --out $(BENCH_OUT)

RESILIENCE_PACKAGES := gnuplot-nox iproute2
RESILIENCE_DEVICES ?= 200
RESILIENCE_TIME ?= 10

resilience: ## each attack beside a real fleet, guard off and on, in about fifteen minutes; a table, then JSON
	@.ci/deps $(patsubst %,'%',$(BUILD_PACKAGES) $(RESILIENCE_PACKAGES))
	@$(MAKE) $(jobs) all >&2
	@mkdir -p $(BENCH_OUT)
	@$(BUILD)/callhome-sim resilience --devices $(RESILIENCE_DEVICES) \
		--duration-per-attack $(RESILIENCE_TIME) --plot $(BENCH_OUT)/resilience.svg --json
.PHONY: bench bench-programs resilience
