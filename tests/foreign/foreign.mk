# SPDX-License-Identifier: Apache-2.0
# Foreign devices: small programs on Debian's own TLS and NETCONF libraries. Nothing of the project
# is linked into them. They are built into $(BUILD)/foreign.
# libnetconf2's headers include those of libssh, which its package does not ask for; its YANG modules
# come from libyuma-base.
FOREIGN_PACKAGES := openssl libgnutls28-dev libwolfssl-dev libmbedtls-dev \
	libnetconf2-dev libssh-dev libyang2-dev libyuma-base
FOREIGN_COMMON := tests/foreign/device.c tests/foreign/options.c tests/foreign/wire.c
FOREIGN := dev_openssl dev_gnutls dev_wolfssl dev_mbedtls dev_libnetconf2

# $(1) = program, $(2) = sources, $(3) = libraries of the system
define foreign_program
$(BUILD)/foreign/$(1): $(call objs,$(2))
	@mkdir -p $$(@D)
	$$(call say,LD,$$@)
	$$(call link,$(3))
endef
$(eval $(call foreign_program,dev_openssl,tests/foreign/dev_openssl.c tests/foreign/seal.c $(FOREIGN_COMMON),-lssl -lcrypto))
$(eval $(call foreign_program,dev_gnutls,tests/foreign/dev_gnutls.c $(FOREIGN_COMMON),-lgnutls))
$(eval $(call foreign_program,dev_wolfssl,tests/foreign/dev_wolfssl.c $(FOREIGN_COMMON),-lwolfssl))
$(eval $(call foreign_program,dev_mbedtls,tests/foreign/dev_mbedtls.c $(FOREIGN_COMMON),-lmbedtls -lmbedx509 -lmbedcrypto))
$(eval $(call foreign_program,dev_libnetconf2,tests/foreign/dev_libnetconf2.c,-lnetconf2 -lyang -lssl -lcrypto -ldl))

foreign-programs: $(addprefix $(BUILD)/foreign/,$(FOREIGN))
	@:

foreign: foreign-programs ## callhomed against devices on foreign TLS and NETCONF stacks
	@$(MAKE) $(jobs) BUILD=$(BUILD) $(BUILD)/callhomed $(BUILD)/callhome
	@BIN=$(BUILD) tests/foreign/run.sh
.PHONY: foreign foreign-programs
