#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# callhomed refuses what it cannot run with: where, what, the fix; the exit status; and no open port.
. "$(dirname "$0")/lib.sh"
site config 2
good=$site/callhomed.yaml
bad=$site/bad.yaml
pki=$site

# refused NAME SED-SCRIPT TEXT: that change of the file is exit 2 and exactly this line, FILE being the file.
refused()
{
	local out
	sed "$2" "$good" >"$bad"
	out=$(timeout 20 "$BIN/callhomed" -c "$bad" 2>&1)
	equals "$1: exit status" "$?" 2
	equals "$1: text" "$(head -n 1 <<<"$out")" "${3//FILE/$bad}"
}

out=$("$BIN/callhomed" --check -c "$good" 2>&1)
equals "the sample of the manual is fine" "$?" 0
matches "and --check says what it found" "$out" ': ok, [0-9]+ devices'

# What the README shows works as it is written.
block() { awk -v head="$1" '/^```/ { on = 0 } on { print } $0 == head { on = 1; print }' README.md; }
mkdir "$site/readme"
cp "$site"/{acme-ca.pem,client.pem,client.key} "$site/readme/"
block '# callhomed.yaml; paths are relative to this file' >"$site/readme/callhomed.yaml"
block '# devices.csv' >"$site/readme/devices.csv"
out=$("$BIN/callhomed" --check -c "$site/readme/callhomed.yaml" 2>&1)
equals "the configuration of the README is fine" "$out" \
	"$site/readme/callhomed.yaml: ok, 2 devices, control socket $site/readme/callhomed.sock"

# unwritten PAGE: the options on stdin that the manual page lacks.
unwritten()
{
	local option page
	page=$(sed 's/\\-/-/g' "docs/man/$1")
	grep -oE -e '(^| )--[a-z][a-z-]*' | sort -u | while read -r option; do
		grep -qE -e "$option([^a-z-]|\$)" <<<"$page" || echo "$option"
	done
}
equals "the manual of callhomed has all its options" "$("$BIN/callhomed" --help | unwritten callhomed.8)" ""
equals "so has that of callhome" \
	"$(for verb in $("$BIN/callhome" help | sed -n 's/^  \([a-z]*\) .*/\1/p'); do "$BIN/callhome" help "$verb"; done | unwritten callhome.1)" ""
equals "so has that of callhome-crl" "$("$BIN/callhome-crl" --help | unwritten callhome-crl.8)" ""
equals "so has that of callhome-sim" \
	"$(for command in $("$BIN/callhome-sim" --help | sed -n 's/^  callhome-sim \([a-z-]*\) .*/\1/p'); do
		"$BIN/callhome-sim" "$command" --help
	done | unwritten callhome-sim.1)" ""

equals "callhome-sim names the bounds of a time" "$("$BIN/callhome-sim" demo --duration 4 2>&1)" \
	"callhome-sim demo: --duration 4: the value is out of range: 5s to 24h"
equals "and says how to write a number" "$("$BIN/callhome-sim" run --rate 1e9 2>&1)" \
	"callhome-sim run: --rate 1e9: the input is malformed; write a number such as 100 or 0.5"

refused "unknown key" 's/^spool:/sppol:/' 'FILE:14:1: unknown key sppol; did you mean "spool"?'
refused "unknown key inside" 's/max-bytes/mx-bytes/' 'FILE:14:27: unknown key spool.mx-bytes; did you mean "max-bytes"?'
refused "wrong word" 's/unknown: reject/unknown: maybe/' 'FILE:12:39: devices.unknown: "maybe" is not allowed; write one of: reject, quarantine'
refused "bad size" 's/1GiB/1GB1/' 'FILE:14:38: spool.max-bytes: "1GB1" is not a size; write a number with B, KiB, MiB, GiB, TiB, kB, MB, GB or TB'
refused "negative size" 's/1GiB/-1/' 'FILE:14:38: spool.max-bytes: "-1" is not a size; write a number with B, KiB, MiB, GiB, TiB, kB, MB, GB or TB'
refused "octal number" '$a limits: {max-sessions: 010}' 'FILE:15:24: limits.max-sessions: "010" is not a number; write decimal digits only'
refused "missing CA" 's/acme-ca.pem/none.pem/' "FILE:6:24: trust.manufacturers.ca: cannot read $pki/none.pem: No such file or directory; mend the path (a relative one starts where the configuration file is)"
refused "key that is none" 's/client.key/acme-ca.pem/' "FILE:9:52: credentials.tls-key: $pki/acme-ca.pem holds no private key: it must be PEM without a passphrase"
refused "missing inventory" 's/devices.csv/none.csv/' "FILE:12:17: devices.file: cannot read $pki/none.csv: No such file or directory; mend the path (a relative one starts where the configuration file is)"
refused "bad address" 's/127.0.0.1:[0-9]*/127.0.0.1:99999/' 'FILE:2:26: listen.address: "127.0.0.1:99999" is not an address with a port; write 192.0.2.1:4335 or [2001:db8::1]:4335'
refused "unknown action" 's/\[get-config/[reboot/' 'FILE:11:34: profiles.on-connect: "reboot" is not allowed; write one of: get-config, subscribe'
refused "unknown profile" '/profiles:/,+1s/name: default/name: other/' "$pki/devices.csv:2: unknown profile \"default\"; add it to FILE, or correct the name"
refused "unknown credential" '/credentials:/,+1s/name: default/name: other/' "$pki/devices.csv:2: unknown credential \"default\"; add it to FILE, or correct the name"
long=$(printf 'a%.0s' {1..120})
refused "long socket path" "s/callhomed.sock/$long/" "FILE:13:19: control.socket: $((${#pki} + 121)) bytes with its directory; a socket path has at most 107, choose a shorter one"
refused "broken YAML" 's/^listen:/listen: [/' 'FILE:2:3: not valid YAML: did not find expected node content while parsing a flow node (line 2); check indentation and quotes'

echo 'manufacturer,identifier,name,credential,profile' >"$site/empty.csv"
printf 'listen:\n  - {name: tls, address: "127.0.0.1:%s"}\ncredentials:\n  - {name: default, tls-cert: client.pem, tls-key: client.key}\ndevices: {file: empty.csv}\n' "$port" >"$bad"
out=$(timeout 20 "$BIN/callhomed" -c "$bad" 2>&1)
equals "a listener without trust anchor: exit status" "$?" 2
matches "a listener without trust anchor: text" "$out" 'trust'

cp "$site/devices.csv" "$tmp/devices.csv"
echo 'acme,ACM-00000001,again,default,default' >>"$site/devices.csv"
lines=$(wc -l <"$site/devices.csv")
out=$("$BIN/callhomed" --check -c "$good" 2>&1)
equals "duplicate device: text" "$out" "$site/devices.csv:$lines: acme,ACM-00000001 is on line 3 too; remove one of the two"
cp "$tmp/devices.csv" "$site/devices.csv"

out=$("$BIN/callhomed" -c "$site/none.yaml" 2>&1)
equals "no such file: exit status" "$?" 2
matches "no such file: text" "$out" 'none.yaml: cannot be read: No such file or directory'
out=$("$BIN/callhomed" --bogus 2>&1)
equals "unknown option: exit status" "$?" 2
matches "--help" "$("$BIN/callhomed" --help)" '^usage: callhomed \[-c FILE\]'
matches "--version names the libraries" "$("$BIN/callhomed" --version | tr '\n' ' ')" 'callhome [0-9.]+ OpenSSL 3.*liburing 2.*expat_2.*libcyaml 1.*libmicrohttpd.*SQLite 3'
if (: <"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then not_ok "no port was opened"; else ok "no port was opened"; fi

out=$(timeout 20 "$BIN/refuse-io-uring" "$BIN/callhomed" -c "$good" 2>&1)
equals "io_uring refused: exit status" "$?" 3
matches "io_uring refused: what to allow" "$out" '^io_uring is forbidden to this process, .*allow io_uring_setup'

# Another daemon of the same file; another file on the same port; what a crash leaves behind.
start_daemon || exit 1
out=$(timeout 20 "$BIN/callhomed" -c "$good" 2>&1)
equals "second daemon: exit status" "$?" 3
matches "second daemon: text" "$out" "127.0.0.1:$port"
sed 's/callhomed.sock/other.sock/; s/directory: spool/directory: other/' "$good" >"$bad"
out=$(timeout 20 "$BIN/callhomed" -c "$bad" 2>&1)
equals "same port: exit status" "$?" 3
matches "same port: text" "$out" "127.0.0.1:$port"
equals "the socket is ours alone" "$(stat -c %a "$site/callhomed.sock")" 600
matches "the first one still answers" "$(cli status)" '^devices'
stop_daemon KILL
if [ -S "$site/callhomed.sock" ]; then ok "a killed daemon leaves its socket"; else not_ok "a killed daemon leaves its socket"; fi
# The kernel lets go of a dead process's ring, and the port in it, a moment after the process is gone.
if until_true 60 start_daemon; then ok "a stale socket is replaced"; else not_ok "a stale socket is replaced" "$(cat "$site/daemon.log")"; fi
matches "and the new one answers" "$(cli status)" '^devices'
stop_daemon
equals "it ends well" "$status" 0
if [ -e "$site/callhomed.sock" ]; then not_ok "the socket is removed"; else ok "the socket is removed"; fi
sed "s/:$port\"/:$(free_port)\"/; s/directory: spool/directory: other/" "$good" >"$bad"
start_daemon || exit 1
out=$(timeout 20 "$BIN/callhomed" -c "$bad" 2>&1)
if [ $? != 0 ]; then ok "same control socket: refused"; else not_ok "same control socket: refused"; fi
matches "same control socket: text" "$out" 'callhomed.sock'
stop_daemon

# As a container or a service often has fewer cores than the machine.
threads() { start_daemon && cli status --json | field threads && stop_daemon; }
cores=$(sed -n 's/^Cpus_allowed_list:[[:space:]]*//p' /proc/$$/status)
site cores 2 'limits: {max-sessions: 100}'
equals "a thread for each core that the daemon may use" "$(threads)" $(($(nproc) < 128 ? $(nproc) : 128))
equals "and for no other" "$(taskset -cp "${cores%%[-,]*}" $BASHPID >/dev/null && threads)" 1
finish
