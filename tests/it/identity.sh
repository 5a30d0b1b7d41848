#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Who a device is and which client certificate it gets: pins of a certificate, anchors in a directory,
# two credentials in one fleet, and a roll-over of one.
. "$(dirname "$0")/lib.sh"

command -v openssl >/dev/null || {
	skip "identity" "no openssl command to make certificates with"
	finish
	exit
}

# certificate NAME DAYS [DAYS_BEFORE]: a self-signed client certificate $site/NAME.pem with its key.
certificate()
{
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$1" -days "$2" \
		-keyout "$site/$1.key" -out "$site/$1.pem" 2>/dev/null
	chmod 600 "$site/$1.key"
}

# sha256 FILE: of the first certificate in it.
sha256() { openssl x509 -in "$1" -outform der | sha256sum | cut -d' ' -f1; }

# device NAME: its certificate in the bundle of the fleet.
device() { sed -n "/^# $1\$/,/END/p" "$site/sim/fleet.pem" >"$tmp/device.pem"; }

# shown NAME: the client certificate that the device was shown last.
shown() { sed -n "s/^$1 //p" "$site/shown" | tail -n 1; }

# logins COUNT: are there so many lines?
logins() { [ "$(cat "$site/shown" | wc -l)" -ge "$1" ]; }

# up COUNT: so many sessions are up.
up() { [ "$(cli devices --state connected --json | wc -l)" = "$1" ]; }

# end_fleet: and forgets what it was shown.
end_fleet()
{
	kill -TERM "$fleet" 2>/dev/null
	wait "$fleet" 2>/dev/null
	rm -f "$site/shown"
}

site two 4
certificate second 100
cat "$site/second.pem" >>"$site/sim/collector-ca.pem"
sed -i "s|^credentials:|&\n  - {name: second, tls-cert: second.pem, tls-key: second.key}|" "$site/callhomed.yaml"
mkdir "$site/anchors"
mv "$site/acme-ca.pem" "$site/anchors/acme.pem"
sed -i 's|ca: acme-ca.pem|ca: anchors|' "$site/callhomed.yaml"
device acme-000000
pin=$(sha256 "$tmp/device.pem")
device acme-000002
other=$(sha256 "$tmp/device.pem")
sed -i -e "s/^acme,ACM-00000000,acme-000000,default,/pin-cert:sha256,$pin,acme-000000,default,/" \
	-e 's/^\(acme,ACM-00000001,acme-000001\),default,/\1,second,/' \
	-e "s/^acme,ACM-00000002,/pin:sha256,$other,/" \
	-e 's/^\(borg,BRG-00000003,borg-000003\),default,/\1,,/' "$site/devices.csv"
start_daemon || exit 1
sim_start --devices 4 --rate 0 --no-reconnect --client-certs "$site/shown"
until_true 20 events '"event":"not-allowed".*"reason":"no-credential"'
until_true 20 logins 2
until_true 20 up 2
# row: C5b-cert
equals "a pinned certificate logs in" "$(cli show acme-000000 --json | field state)" connected
# row: C6a
equals "an anchor may be in a directory" "$(cli show acme-000001 --json | field state)" connected
# row: C7
equals "a device is shown the certificate that is bound to it" "$(shown acme-000000)" "$(sha256 "$site/client.pem")"
# row: C7
equals "and another device of the fleet another one" "$(shown acme-000001)" "$(sha256 "$site/second.pem")"
# row: C7-none
equals "a device without a binding is shown none" "$(shown borg-000003)" ""
show=$(cli show acme-000001)
matches "show names the key exchange" "$show" '^key exchange +X25519$'
matches "and the signature" "$show" '^signature +ecdsa-sha256$'
matches "and the issuers up to the anchor" "$show" '^issuers +/CN=acme device CA /CN=acme( .*)?$'
equals "and the anchor" "$(cli show acme-000001 --json | field anchor_sha256)" "$(sha256 "$site/anchors/acme.pem")"
device acme-000001
equals "and the device's certificate" "$(cli show acme-000001 --json | field certificate_sha256)" "$(sha256 "$tmp/device.pem")"
matches "a pinned device has no issuers" "$(cli show acme-000000)" '^issuers +-$'
until_true 20 events '"reason":"unknown-device"'
equals "the hash of a certificate is no pin of a key" "$(cli show acme-000002 --json | field state)" never
end_fleet
stop_daemon TERM
equals "the daemon of two credentials ends well" "$status" 0

# A roll-over: some devices trust the old certificate's CA only, some the new one's only, some both.
site roll 3
certificate new 100
sed -i 's|tls-key: client.key|&, next-tls-cert: new.pem, next-tls-key: new.key|' "$site/callhomed.yaml"
start_daemon || exit 1
old=$(sha256 "$site/client.pem")
new=$(sha256 "$site/new.pem")
sim_start --devices 3 --rate 0 --client-certs "$site/shown"
until_true 20 logins 3
equals "a device that trusts the old CA gets the old certificate" "$(shown acme-000000)" "$old"
end_fleet
cp "$site/new.pem" "$site/sim/collector-ca.pem"
sim_start --devices 3 --rate 0 --backoff-min 100ms --client-certs "$site/shown"
# row: C7
if until_true 30 logins 3; then ok "a device that refuses the old certificate gets the new one next"; else
	not_ok "a device that refuses the old certificate gets the new one next" "$(tail -n 20 "$site/daemon.log")"
fi
equals "which is the new one" "$(cut -d' ' -f2 "$site/shown" | sort -u)" "$new"
until_true 20 up 3
until_true 20 ended client-certificate-refused 3
refused=$(events '"reason":"client-certificate-refused"')
equals "after one refusal each" "$refused" 3
equals "show says so" "$(cli show acme-000001 --json | field client_certificate)" next
end_fleet
sim_start --devices 3 --rate 0 --backoff-min 100ms --client-certs "$site/shown"
until_true 20 logins 3
equals "and keeps it" "$(cut -d' ' -f2 "$site/shown" | sort -u)" "$new"
equals "without another refusal" "$(events '"reason":"client-certificate-refused"')" "$refused"
end_fleet
stop_daemon TERM
equals "the daemon of the roll-over ends well" "$status" 0

# What ends soon: told at the start and after a reload. A day less than asked for, unless it is the same second.
site ending 1
certificate soon 10
certificate later 100
cp "$site/soon.pem" "$site/cert.pem"
cp "$site/soon.key" "$site/cert.key"
sed -i 's|tls-cert: client.pem, tls-key: client.key|tls-cert: cert.pem, tls-key: cert.key|' "$site/callhomed.yaml"
start_daemon || exit 1
until_true 10 events '"event":"credential-expiring","credential":"default","option":"tls-cert","subject":"/CN=soon"'
equals "a client certificate that ends soon is an event" "$(events '"event":"credential-expiring".*"days_left":(9|10)[,}]')" 1
matches "and a line in the log" "$(cat "$site/daemon.log")" \
	'event=credential-expiring credential=default option=tls-cert subject="/CN=soon" days-left=(9|10)$'
matches "the status has the days" "$(cli status --json | field credential_days)" '^(9|10)$'
matches "doctor says so" "$(cli doctor)" '^WRONG no client certificate and no anchor ends within 30 days'
cp "$site/later.pem" "$site/cert.pem"
cp "$site/later.key" "$site/cert.key"
cli reload --wait >/dev/null
matches "after a reload it is looked at again" "$(cli status --json | field credential_days)" '^(99|100)$'
until_true 10 eval 'cli doctor | grep -q "^ok    no client certificate"'
matches "and doctor is content" "$(cli doctor)" '^ok    no client certificate and no anchor ends within 30 days'
equals "no second event" "$(events '"event":"credential-expiring"')" 1
stop_daemon TERM
finish
