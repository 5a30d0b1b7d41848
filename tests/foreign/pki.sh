# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# Sourced by run.sh: a throw-away PKI by the openssl command alone. Everything lies in $tmp/pki.
#   root KIND            a manufacturer's root of that key: KIND-root.pem
#   device NAME KIND     NAME.pem (chain) and NAME.key, serialNumber and CN are NAME
#   credential KIND      what the collector shows: client-KIND.pem, client-KIND.key
# KIND: p256 p384 p521 ed25519 ed448 rsa rsa3072 pss (an id-RSASSA-PSS key) rsa-pss (PSS signatures)

new_key()
{
	case $1 in
	p256 | p384 | p521) openssl genpkey -quiet -algorithm EC -pkeyopt "ec_paramgen_curve:P-${1#p}" ;;
	ed25519 | ed448) openssl genpkey -quiet -algorithm "$1" ;;
	rsa | rsa-pss) openssl genpkey -quiet -algorithm RSA -pkeyopt rsa_keygen_bits:2048 ;;
	rsa3072) openssl genpkey -quiet -algorithm RSA -pkeyopt rsa_keygen_bits:3072 ;;
	pss) openssl genpkey -quiet -algorithm RSA-PSS -pkeyopt rsa_keygen_bits:2048 ;;
	esac
}

# issue FILE SUBJECT ISSUER KEY-KIND ISSUER-KIND EXTENSION...: ISSUER - = self-signed
issue()
{
	local file=$1 subject=$2 issuer=$3 kind=$4 by=$5 args=()
	shift 5
	[ "$issuer" = - ] || args=(-CA "$issuer.pem" -CAkey "$issuer.key")
	case $by in ed25519 | ed448) ;; p384) args+=(-sha384) ;; p521) args+=(-sha512) ;; *) args+=(-sha256) ;; esac
	[ "$by" != rsa-pss ] || args+=(-sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:32)
	for extension; do args+=(-addext "$extension"); done
	[ -e "$file.key" ] || cp "key-$kind.pem" "$file.key"
	openssl req -x509 -new -key "$file.key" -subj "$subject" -days 30 -config empty.cnf "${args[@]}" \
		-out "$file.pem" || exit 1
}

pki_begin()
{
	local kind
	mkdir "$tmp/pki" && cd "$tmp/pki" || exit
	printf '[req]\ndistinguished_name = dn\n[dn]\n' >empty.cnf
	for kind in p256 p384 p521 ed25519 ed448 rsa rsa3072 pss rsa-pss; do
		new_key $kind >"key-$kind.pem" 2>>openssl.log || exit 1
	done
	new_key p256 >operator.key
	issue operator "/O=Operator/CN=Operator CA" - p256 p256 "basicConstraints=critical,CA:TRUE" \
		"keyUsage=critical,keyCertSign,cRLSign" "subjectKeyIdentifier=hash"
	new_key p256 >stranger.key
	issue stranger "/O=Stranger/CN=Stranger CA" - p256 p256 "basicConstraints=critical,CA:TRUE" \
		"keyUsage=critical,keyCertSign,cRLSign" "subjectKeyIdentifier=hash"
}

root()
{
	new_key "$1" >"$1-root.key" 2>>openssl.log
	issue "$1-root" "/O=Maker $1/CN=Root" - "$1" "$1" "basicConstraints=critical,CA:TRUE" \
		"keyUsage=critical,keyCertSign,cRLSign" "subjectKeyIdentifier=hash"
	new_key "$1" >"$1-ca.key" 2>>openssl.log
	issue "$1-ca" "/O=Maker $1/CN=Issuing CA" "$1-root" "$1" "$1" \
		"basicConstraints=critical,CA:TRUE,pathlen:0" "keyUsage=critical,keyCertSign,cRLSign" \
		"subjectKeyIdentifier=hash" "authorityKeyIdentifier=keyid"
}

device()
{
	[ -e "$2-ca.pem" ] || root "$2"
	issue "$1" "/O=Maker $2/serialNumber=$1/CN=$1" "$2-ca" "$2" "$2" \
		"basicConstraints=critical,CA:FALSE" "keyUsage=critical,digitalSignature" \
		"subjectKeyIdentifier=hash" "authorityKeyIdentifier=keyid"
	cat "$2-ca.pem" >>"$1.pem"
}

credential()
{
	[ ! -e "client-$1.pem" ] || return 0
	issue "client-$1" "/O=Operator/CN=collector" operator "$1" p256 \
		"keyUsage=critical,digitalSignature" "extendedKeyUsage=clientAuth" \
		"subjectKeyIdentifier=hash" "authorityKeyIdentifier=keyid" "subjectAltName=DNS:collector"
}
