# SPDX-License-Identifier: Apache-2.0
scale: deps ## DEVICES=20000 sessions in one daemon, and nothing left of them afterwards
	@$(MAKE) $(jobs) all
	@BIN=$(BUILD) DEVICES=$(if $(filter 1000,$(DEVICES)),20000,$(DEVICES)) DURATION=$(if $(filter 20,$(DURATION)),60,$(DURATION)) tests/scale/scale.sh
.PHONY: scale
