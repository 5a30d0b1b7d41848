#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Revocation lists of a running daemon: what a new file does to sessions that are up, what a bad one does
# not, and that nothing is fetched.
. "$(dirname "$0")/lib.sh"

up() { [ "$(cli devices --state connected 2>/dev/null | grep -c "${2:-.}-0")" = "$1" ]; }
generation() { cli status --json | sed -n 's/.*"reload":{"generation":\([0-9]*\).*/\1/p'; }
crl_field() { cli status --json | sed 's/.*"revocation"://' | field "$1"; }

# ca CONF... : openssl ca with a database of its own below $site/ca.
authority()
{
	mkdir -p "$site/ca"
	: >"$site/ca/index.txt"
	printf '%s\n' '[ca]' 'default_ca = own' '[own]' "database = $site/ca/index.txt" "crlnumber = $site/ca/number" \
		'default_md = sha256' 'default_crl_days = 30' >"$site/ca/conf"
	echo 1000 >"$site/ca/number"
}

# list FILE SERIAL...: an acme device CA's list with these serial numbers, put in place by a rename.
list()
{
	local file=$1 serial
	shift
	: >"$site/ca/index.txt"
	for serial; do
		printf 'R\t401231235959Z\t260101000000Z\t%s\tunknown\t/CN=x\n' "$serial" >>"$site/ca/index.txt"
	done
	openssl ca -config "$site/ca/conf" -gencrl -keyfile "$site/sim/acme-ca.key" -cert "$site/sim/acme-ca.pem" \
		-out "$site/crl/.new" 2>>"$site/ca/log" && mv "$site/crl/.new" "$file"
}

if ! command -v openssl >/dev/null; then
	skip "revocation lists of a running daemon" "no openssl"
	finish
	exit
fi

site lists 4
authority
start_daemon || exit 1
sim_start --devices 4 --notify-rate 0 --rate 0
if until_true 30 up 4; then ok "four devices are up"; else not_ok "four devices are up" "$(tail "$site/sim.log")"; fi
equals "status tells of the lists" "$(crl_field lists)" 3
matches "status shows them to people" "$(cli status)" 'revocation +3 lists with 2 entries'

# row: C5d-open = a session whose device is revoked ends at once
serial=$(awk '/acme-000001/{f=1} f' "$site/sim/fleet.pem" | openssl x509 -noout -serial | cut -d= -f2)
list "$site/crl/acme.crl" "$serial"
if until_true 20 ended revoked; then ok "a session whose device is revoked ends at once"; else
	not_ok "a session whose device is revoked ends at once" "$(tail "$site/daemon.log"; cat "$site/ca/log")"
fi
matches "the end is told with the device's name" "$(grep '"reason":"revoked"' "$site/spool/events.ndjson" | head -n 1)" \
	'"device-disconnected".*acme-000001'
# row: C5d = and it is refused when it calls again
if until_true 20 ended revoked 2; then ok "and it is refused when it calls again"; else
	not_ok "and it is refused when it calls again" "$(tail "$site/daemon.log")"
fi
if up 3; then ok "nobody else is touched"; else not_ok "nobody else is touched" "$(cli devices)"; fi

before=$(generation)
echo '<html>404</html>' >"$site/crl/.html" && mv "$site/crl/.html" "$site/crl/acme.crl"
if until_true 20 grep -q 'event=crl-refused.*acme.crl' "$site/daemon.log"; then
	until_true 20 eval '[ "$(generation)" != "$before" ]'
	equals "a file that went bad keeps its list" "$(crl_field kept)" 1
else not_ok "a file that went bad keeps its list" "$(tail "$site/daemon.log")"; fi
count=$(events '"reason":"revoked"')
if until_true 20 ended revoked $((count + 1)); then ok "and the device stays out"; else not_ok "and the device stays out"; fi

list "$site/crl/acme.crl"
if until_true 30 up 4; then ok "a list that takes the entry back lets the device in"; else
	not_ok "a list that takes the entry back lets the device in" "$(cli devices; tail "$site/daemon.log")"
fi

kill -TERM "$fleet" && wait "$fleet" 2>/dev/null
stop_daemon TERM
equals "the daemon ends well" "$status" 0

site required 4
authority
list "$site/crl/acme.crl"
sed -i 's/stale-crl: refuse/revocation: require, stale-crl: refuse/' "$site/callhomed.yaml"
mv "$site/crl/acme.crl" "$site/acme.crl"
start_daemon || exit 1
sim_start --devices 4 --notify-rate 0 --rate 0
# row: C5c-policy = without a list of its CA no device gets in where one is required
if until_true 20 ended revocation-unknown 3; then ok "without a list of its CA no device gets in where one is required"; else
	not_ok "without a list of its CA no device gets in where one is required" "$(tail "$site/daemon.log")"
fi
if until_true 20 up 1 borg; then ok "a manufacturer that requires none is not touched"; else not_ok "a manufacturer that requires none is not touched"; fi
mv "$site/acme.crl" "$site/crl/acme.crl"
if until_true 60 up 4; then ok "with the list they get in"; else
	not_ok "with the list they get in" "$(cli devices; tail "$site/daemon.log")"
fi
kill -TERM "$fleet" && wait "$fleet" 2>/dev/null
stop_daemon TERM

site gone 1
sed -i 's/crl: crl$/crl: no-such-folder/' "$site/callhomed.yaml"
matches "a path that is not there is an error with its line" "$("$BIN/callhomed" -c "$site/callhomed.yaml" --check 2>&1)" \
	'callhomed.yaml:[0-9]+:[0-9]+: trust.crl: cannot read .*/no-such-folder'

mkdir "$site/fetched"
crl() { "$BIN/callhome-crl" "$@" >"$site/crl.log" 2>&1; echo $?; }
equals "callhome-crl without a directory is a mistake of usage" "$(crl a.crl=http://127.0.0.1:1/)" 2
equals "callhome-crl takes no other scheme" "$(crl -d "$site/fetched" a.crl=file:///etc/passwd)" 2
equals "callhome-crl says when nobody is there" "$(crl -d "$site/fetched" --timeout 5s "a.crl=http://127.0.0.1:$port/")" 1
matches "and names the list" "$(cat "$site/crl.log")" '^a.crl: failed: cannot be fetched: '
equals "a failure leaves nothing behind" "$(ls -A "$site/fetched")" ""

# The probe for kernel TLS connects to itself; user/tls, which sees the certificates, has nothing to connect with.
# row: C5c-offline = callhomed has nothing that could fetch
imported=$({ nm -u "$BIN/lib/tls.a" && nm -D --undefined-only "$BIN/callhomed" | grep -v ' connect'; } | awk '{print $NF}' |
	sed 's/@.*//' | grep -xE 'connect|getaddrinfo|gethostbyname.*|curl_.*|OSSL_HTTP_.*|X509_(CRL_)?load_http|OCSP_sendreq.*|BIO_(new|s)_connect')
equals "callhomed has nothing that could fetch" "$imported" ""
finish
