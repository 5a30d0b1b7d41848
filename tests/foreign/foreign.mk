# SPDX-License-Identifier: Apache-2.0
# Foreign devices: small programs on Debian's own TLS and NETCONF libraries. Nothing of the project
# is linked into them. `make foreign-programs` builds them into $(BUILD)/foreign.
FOREIGN_PACKAGES := libgnutls28-dev libnetconf2-dev libssh-dev libyang2-dev libyuma-base openssl
FOREIGN_COMMON := tests/foreign/device.c tests/foreign/options.c tests/foreign/wire.c
FOREIGN := dev_openssl dev_gnutls dev_libnetconf2

# $(1) = program, $(2) = sources, $(3) = libraries of the system
define foreign_program
$(BUILD)/foreign/$(1): $(call objs,$(2))
	@mkdir -p $$(@D)
	$$(call say,LD,$$@)
	$$(call link,$(3))
endef
$(eval $(call foreign_program,dev_openssl,tests/foreign/dev_openssl.c tests/foreign/seal.c $(FOREIGN_COMMON),-lssl -lcrypto))
$(eval $(call foreign_program,dev_gnutls,tests/foreign/dev_gnutls.c $(FOREIGN_COMMON),-lgnutls))
$(eval $(call foreign_program,dev_libnetconf2,tests/foreign/dev_libnetconf2.c,-lnetconf2 -lyang -lssl -lcrypto -ldl))

foreign-programs: $(addprefix $(BUILD)/foreign/,$(FOREIGN))
	@:
.PHONY: foreign-programs
