# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Sourced by run.sh: every foreign device, and how its session must end.

# able STACK VERSION KEY: wolfSSL takes an RSASSA-PSS key for an RSA one, and signs wrongly with it; mbed
# TLS 2.28 knows neither it nor Edwards curves. wolfSSL asks for a client certificate of the kind that it
# has itself under TLS 1.2.
able()
{
	case $1-$3 in
	wolfssl-pss | mbedtls-pss | mbedtls-ed*) return 1 ;;
	esac
}

# Ways to close, on each stack and version. RFC 8446 6.1, RFC 5246 7.2.1: without close_notify the
# end may be an attacker's; a clean end is answered with close_notify.
for stack in openssl gnutls wolfssl mbedtls; do
	for v in 1.2 1.3; do
		tls=${v/./}
		[ $stack-$v != mbedtls-1.3 ] || continue # comes with mbed TLS 3
		add $stack-$v-close-notify $stack row=7589-4 version=$v n=200 want=collector+close_notify,collector+fin -- --tls $tls
		add $stack-$v-close-notify-then-silent $stack version=$v n=3 want=collector+close_notify,collector+fin -- --tls $tls --close notify-only
		add $stack-$v-fin $stack row=7589-4 version=$v n=3 ends=truncated want=collector+fin -- --tls $tls --close fin
		add $stack-$v-rst $stack version=$v n=3 ends=connection-reset -- --tls $tls --close rst
		add $stack-$v-fin-inside-a-record $stack row=7589-4 version=$v n=3 ends=truncated -- --tls $tls --close mid-record --size 5000
		add $stack-$v-killed $stack version=$v n=3 ends=killed want=collector+close-session,collector+close_notify,collector+fin -- --tls $tls
		# Framing and shapes of the stream.
		add $stack-$v-base-1.0 $stack version=$v n=100 want=base:1.0 -- --tls $tls --base 10 --size 100
		add $stack-$v-base-1.1 $stack version=$v n=100 want=base:1.1 -- --tls $tls --base 11 --size 100
		add $stack-$v-chunks-of-1 $stack version=$v n=20 -- --tls $tls --base 11 --chunk 1
		add $stack-$v-chunks-of-7-records-of-13 $stack row=7589-3 version=$v n=50 -- --tls $tls --chunk 7 --piece 13
		add $stack-$v-records-of-1 $stack row=7589-3 version=$v n=10 -- --tls $tls --piece 1
		add $stack-$v-dribbled $stack version=$v n=5 -- --tls $tls --dribble 1 --style prefix
		add $stack-$v-dribbled-base-1.0 $stack version=$v n=5 -- --tls $tls --dribble 3 --base 10 --style junos
		add $stack-$v-gathered $stack row=7589-3 version=$v n=5000 -- --tls $tls --gather 1000 --size 200
		add $stack-$v-large-messages $stack version=$v n=10 -- --tls $tls --size 100000 --reply-size 400000
		add $stack-$v-large-messages-base-1.0 $stack version=$v n=10 -- --tls $tls --base 10 --size 100000 --reply-size 400000
		add $stack-$v-style-junos $stack version=$v n=20 -- --tls $tls --style junos --base 10
		add $stack-$v-style-prefix $stack version=$v n=20 -- --tls $tls --style prefix
		add $stack-$v-tickets $stack version=$v n=3 -- --tls $tls --tickets 2
		# Keys: of the device, of the collector.
		for key in p384 p521 ed25519 ed448 rsa rsa3072 rsa-pss pss; do
			able $stack $v $key || continue
			credential=default
			[[ $stack-$v-$key != wolfssl-1.2-rsa* ]] || credential=rsa
			add $stack-$v-device-key-$key $stack version=$v n=1 key=$key credential=$credential -- --tls $tls
		done
		for key in p384 p521 ed25519 rsa pss; do
			able $stack $v $key || continue
			[ $stack-$v-$key != wolfssl-1.2-rsa ] || continue
			add $stack-$v-collector-key-$key $stack version=$v n=1 credential=$key -- --tls $tls
		done
		# Who is refused, by whom.
		add $stack-$v-distrusts-the-collector $stack row=S5a,C8-refused check=refused ends=client-certificate-refused event=auth-failed ca=stranger -- --tls $tls
		add $stack-$v-asks-for-no-certificate $stack row=7589-2 check=refused ends=no-client-certificate-request event=auth-failed -- --tls $tls --no-client-cert
		[[ $stack-$v = openssl-1.2 || $stack = wolfssl ]] || add $stack-$v-fatal-alert $stack version=$v check=attack n=1 ends=alert-from-device -- --tls $tls --attack fatal-alert --close fin
		add $stack-$v-bad-mac $stack version=$v check=attack n=1 ends=bad-record want=collector+failed:,mac -- --tls $tls --attack bad-mac --close none
	done
	[ $stack != mbedtls ] || continue
	# TLS 1.3 alone.
	# GnuTLS itself bears only eight updates a second.
	add $stack-1.3-key-update $stack version=1.3 n=40 -- --tls 13 --key-update 2
	add $stack-1.3-key-update-asked $stack version=1.3 n=40 -- --tls 13 --key-update 9 --key-update-asks
	add $stack-1.3-key-update-asked-dribbled $stack version=1.3 n=5 -- --tls 13 --key-update 2 --key-update-asks --dribble 1
	[ $stack = wolfssl ] || add $stack-1.3-padding $stack version=1.3 n=50 -- --tls 13 --pad 512
done
# As Java closes TLS 1.3.
add gnutls-1.3-user-canceled gnutls version=1.3 n=3 want=collector+close_notify -- --tls 13 --close canceled
# The hello in 0.5-RTT data, behind the device's Finished and before ours.
add openssl-1.3-half-rtt openssl version=1.3 n=10 want=half-rtt+sent -- --tls 13 --half-rtt
add openssl-1.3-half-rtt-base-1.0 openssl version=1.3 n=10 want=half-rtt+sent -- --tls 13 --half-rtt --base 10
add openssl-1.3-half-rtt-dribbled openssl version=1.3 n=3 want=half-rtt+sent -- --tls 13 --half-rtt --dribble 1
add openssl-1.3-half-rtt-distrusts-the-collector openssl row=C8-refused check=refused ends=client-certificate-refused event=device-disconnected ca=stranger -- --tls 13 --half-rtt
add openssl-1.3-key-update-asked-often openssl row=8446-update version=1.3 n=40 want=collector+key-update+0 -- --tls 13 --key-update 1 --key-update-asks

# Suites and groups, in each library's words.
for suite in AES_128_GCM_SHA256 AES_256_GCM_SHA384 CHACHA20_POLY1305_SHA256; do
	add openssl-1.3-${suite//_/-} openssl version=1.3 n=20 -- --tls 13 --ciphers TLS_$suite --size 3000
done
for suite in ECDHE-ECDSA-AES128-GCM-SHA256 ECDHE-ECDSA-AES256-GCM-SHA384 ECDHE-ECDSA-CHACHA20-POLY1305; do
	add openssl-1.2-$suite openssl version=1.2 n=20 -- --tls 12 --ciphers $suite --size 3000
	add openssl-1.2-${suite/ECDSA/RSA} openssl version=1.2 n=20 key=rsa -- --tls 12 --ciphers ${suite/ECDSA/RSA}
done
for v in 1.2 1.3; do
	tls=${v/./}
	for suite in AES-128-GCM AES-256-GCM CHACHA20-POLY1305; do
		add gnutls-$v-$suite gnutls version=$v n=20 -- --tls $tls --ciphers $suite --size 3000
	done
	add openssl-$v-fragments openssl version=$v n=20 key=rsa3072 -- --tls $tls --fragment 512 --size 3000
	add openssl-$v-fragments-dribbled openssl version=$v n=2 key=rsa3072 -- --tls $tls --fragment 512 --dribble 2
	for group in P-256 P-384 P-521 X25519; do
		add openssl-$v-group-$group openssl version=$v n=1 credential=rsa -- --tls $tls --groups $group
	done
	for group in SECP256R1 SECP384R1 SECP521R1 X25519; do
		add gnutls-$v-group-$group gnutls version=$v n=1 -- --tls $tls --groups $group
	done
done
add openssl-1.2-only-cbc openssl row=9918-suites check=refused ends=no-shared-cipher -- --tls 12 --ciphers ECDHE-ECDSA-AES128-SHA256
add openssl-1.2-only-rsa-key-exchange openssl row=9918-suites check=refused key=rsa ends=no-shared-cipher -- --tls 12 --ciphers AES128-GCM-SHA256
add openssl-1.3-only-ccm openssl check=refused ends=no-shared-cipher -- --tls 13 --ciphers TLS_AES_128_CCM_SHA256
add wolfssl-1.2-only-cbc wolfssl check=refused ends=no-shared-cipher -- --tls 12 --ciphers ECDHE-ECDSA-AES128-SHA256
add mbedtls-1.2-only-cbc mbedtls check=refused ends=no-shared-cipher -- --tls 12 --ciphers TLS-ECDHE-ECDSA-WITH-AES-128-CBC-SHA256
for suite in AES-128-GCM-SHA256 AES-256-GCM-SHA384 CHACHA20-POLY1305-SHA256; do
	add mbedtls-1.2-$suite mbedtls version=1.2 n=20 -- --tls 12 --ciphers TLS-ECDHE-ECDSA-WITH-$suite --size 3000
done
for suite in AES128-GCM-SHA256 AES256-GCM-SHA384 CHACHA20-POLY1305; do
	add wolfssl-1.2-$suite wolfssl version=1.2 n=20 -- --tls 12 --ciphers ECDHE-ECDSA-$suite --size 3000
done
for suite in AES128-GCM-SHA256 AES256-GCM-SHA384 CHACHA20-POLY1305-SHA256; do
	add wolfssl-1.3-$suite wolfssl version=1.3 n=20 -- --tls 13 --ciphers TLS13-$suite --size 3000
done
add gnutls-1.2-only-cbc gnutls check=refused ends=no-shared-cipher -- --tls 12 --ciphers AES-128-CBC
add gnutls-1.3-only-ccm gnutls check=refused ends=no-shared-cipher -- --tls 13 --ciphers AES-128-CCM
add openssl-1.2-no-extended-master-secret openssl row=9325-ems check=refused ends=no-extended-master-secret event=auth-failed named=1 want=collector+failed:,handshake+failure -- --tls 12 --no-ems
add openssl-1.3-only-x448 openssl check=refused ends=no-shared-cipher -- --tls 13 --groups X448
# The device takes RSA signatures only, and the collector has none.
for v in 1.2 1.3; do
	add openssl-$v-wants-rsa-from-p256 openssl check=refused ends=client-certificate-refused -- --tls ${v/./} --sigalgs RSA+SHA256:RSA-PSS+SHA256
done

# A device that is bound to no credential of ours gets none, and an alert that its stack understands.
# row: C7-none = openssl-*-is-denied | gnutls-*-is-denied | wolfssl-*-is-denied | mbedtls-*-is-denied
denied() { add "$1-$2-is-denied" "$1" check=refused credential=none ends=no-credential event=not-allowed named=1 want="$3" -- --tls "${2/./}"; }
denied openssl 1.2 alert+access+denied
denied openssl 1.3 alert+access+denied
denied gnutls 1.2 No+certificate+was+found # which is what it makes of that alert there
denied gnutls 1.3 Access+was+denied
denied wolfssl 1.2 received+alert+fatal+error
denied wolfssl 1.3 received+alert+fatal+error
denied mbedtls 1.2 fatal+alert

# They close without an alert when they get no certificate that they can use.
add wolfssl-1.2-rsa-wants-rsa wolfssl check=refused key=rsa ends=closed-in-handshake event=connection-failed named=1 -- --tls 12
add mbedtls-1.2-wants-no-edwards-curve mbedtls check=refused credential=ed25519 ends=closed-in-handshake event=connection-failed named=1 -- --tls 12

# Their plaintext is the corpus of tests/unit/test_foreign.c: see docs/interop.md.
add corpus-openssl-junos openssl n=3 ends=killed -- --base 10 --style junos
add corpus-openssl-plain openssl n=3 ends=killed -- --tls 13 --half-rtt
add corpus-gnutls-prefix-chunks gnutls n=3 ends=killed -- --style prefix --chunk 7 --piece 13
add corpus-libnetconf2 libnetconf2 n=3 ends=killed

# TLS 1.2: a renegotiation is declined by a warning, and goes on with no harm (RFC 5246 7.4.1.1).
add gnutls-1.2-hello-request gnutls row=9918-renegotiation version=1.2 check=attack n=2 ends=killed want=warning+No+renegotiation -- --tls 12 --attack hello-request --close none
add mbedtls-1.2-hello-request mbedtls row=9918-renegotiation version=1.2 check=attack n=2 ends=killed -- --tls 12 --attack hello-request --close none
add gnutls-1.2-warning gnutls version=1.2 check=attack n=2 ends=killed -- --tls 12 --attack warning --close none
add gnutls-1.2-warning-flood gnutls version=1.2 check=attack n=2 ends=record-flood -- --tls 12 --attack warning-flood --close none
# Heartbeats (RFC 6520): its pings are answered, and ours by it. GnuTLS counts the 16 bytes of padding,
# and aborts by an assertion of its own on a ping without payload.
for v in 1.2 1.3; do
	for size in 17 271 16000; do
		add gnutls-$v-heartbeat-of-$size gnutls version=$v check=attack n=2 ends=killed want=pong+$size row=C4-answer,HB1 -- --tls ${v/./} --attack heartbeat-$size --close none
	done
	add gnutls-$v-heartbeat-dribbled gnutls version=$v check=attack n=2 ends=killed want=pong+271 row=C4-answer,HB9 -- --tls ${v/./} --attack heartbeat-271 --close none --dribble 7
	add gnutls-$v-is-asked-by-heartbeat gnutls version=$v check=asked n=2 ends=killed want=ping+answered row=HB7 -- --tls ${v/./}
done
# OpenSSL itself takes no_renegotiation for fatal.
add openssl-1.2-hello-request openssl version=1.2 check=attack n=2 ends=alert-from-device -- --tls 12 --attack hello-request --close none

# TLS 1.3: what may not come after the handshake, sealed by hand.
for attack in certificate-request client-hello key-update-not-last half-ticket-then-data; do
	add hostile-1.3-$attack openssl version=1.3 check=attack n=1 ends=unexpected-record want=collector+failed:,unexpected+message -- --tls 13 --attack $attack --close none --ciphers TLS_AES_128_GCM_SHA256
done
# RFC 8446 section 4.6.3: neither asked for nor not
add hostile-1.3-key-update-value openssl version=1.3 check=attack n=1 ends=unexpected-record want=collector+failed:,illegal+parameter -- --tls 13 --attack key-update-value --close none --ciphers TLS_AES_128_GCM_SHA256
# Authentic, but of a type that may not come or with nothing in it: unexpected, in both record layers.
for attack in empty-handshake unknown-record inner-ccs; do
	add hostile-1.3-$attack openssl version=1.3 check=attack n=1 ends=unexpected-record want=collector+failed:,unexpected+message -- --tls 13 --attack $attack --close none --ciphers TLS_AES_128_GCM_SHA256
done
for attack in only-zeros long-record plain-alert plain-ccs plain-unknown plain-text plain-length; do
	add hostile-1.3-$attack openssl version=1.3 check=attack n=1 ends=bad-record want=collector+failed: -- --tls 13 --attack $attack --close none --ciphers TLS_AES_128_GCM_SHA256
done
for attack in plain-alert plain-ccs plain-unknown plain-text plain-length; do
	add hostile-1.2-$attack openssl version=1.2 check=attack n=1 ends=bad-record want=collector+failed: -- --tls 12 --attack $attack --close none
done
# These are borne: it is the FIN behind them that ends the session.
for attack in heartbeat full-record user-canceled; do
	add hostile-1.3-$attack openssl version=1.3 check=attack n=1 ends=truncated -- --tls 13 --attack $attack --close fin --ciphers TLS_AES_128_GCM_SHA256
done
add hostile-1.3-ticket-flood openssl version=1.3 check=attack n=1 ends=record-flood -- --tls 13 --attack ticket-flood --close none
add hostile-1.3-empty-flood openssl version=1.3 check=attack n=1 ends=record-flood -- --tls 13 --attack empty-flood --close none --ciphers TLS_AES_128_GCM_SHA256
add hostile-1.3-update-flood openssl version=1.3 check=attack n=1 ends=record-flood -- --tls 13 --attack update-flood --close none
add hostile-1.3-unknown-alert openssl version=1.3 check=attack n=1 ends=alert-from-device -- --tls 13 --attack unknown-alert --close none --ciphers TLS_AES_128_GCM_SHA256
add hostile-1.3-long-alert openssl version=1.3 check=attack n=1 ends=unexpected-record want=collector+failed:,decode+error -- --tls 13 --attack long-alert --close none --ciphers TLS_AES_128_GCM_SHA256

# libnetconf2's own server.
for v in 1.2 1.3; do
	add libnetconf2-$v-close-notify libnetconf2 version=$v n=50 environment=OPENSSL_CONF=$tmp/openssl-$v.cnf
	add libnetconf2-$v-exits libnetconf2 version=$v n=5 ends=truncated environment=OPENSSL_CONF=$tmp/openssl-$v.cnf -- --close exit
	add libnetconf2-$v-rst libnetconf2 version=$v n=5 ends=connection-reset environment=OPENSSL_CONF=$tmp/openssl-$v.cnf -- --close rst
	add libnetconf2-$v-killed libnetconf2 version=$v n=5 ends=killed want=collector+close-session environment=OPENSSL_CONF=$tmp/openssl-$v.cnf
	add libnetconf2-$v-large libnetconf2 version=$v n=10 environment=OPENSSL_CONF=$tmp/openssl-$v.cnf -- --size 100000
done
add libnetconf2-calls-again-before-it-closes libnetconf2 check=again n=5 close=again -- --close again
