#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Unknown devices: quarantine, accept, reject; the inventory's database over restarts; import and export.
. "$(dirname "$0")/lib.sh"

# enrolling NAME DEVICES: a site whose inventory has a database and quarantines who is unknown.
enrolling()
{
	site "$1" "$2" 'limits: {login-timeout: 30s}'
	sed -i 's/^devices: .*/devices: {file: devices.csv, database: inventory.db, unknown: quarantine}/' \
		"$site/callhomed.yaml"
}

state() { [ "$(cli show "$1" --json 2>/dev/null | field state)" = "$2" ]; }
pending() { [ "$(cli devices --pending --json 2>/dev/null | wc -l)" -ge "$1" ]; }
# key_of IDENTIFIER [STATE]: the fingerprint of the key that came with it.
key_of() { cli devices "--${2:-pending}" --json | grep "\"identifier\":\"$1\"" | field spki_sha256; }
http() { curl -sS --unix-socket "$site/callhomed.sock" -o "$tmp/answer" -w '%{http_code}' "$@"; }

# expect NAME STATUS REGEX COMMAND...: exit status and what is said on stdout or stderr.
expect()
{
	local name=$1 want=$2 says=$3 said
	shift 3
	said=$("$@" 2>&1)
	equals "$name: exit status" $? "$want"
	matches "$name: says so" "$said" "$says"
}

enrolling live 4
cp "$site/devices.csv" "$tmp/all.csv"
sed -i '/,acme-000001,/d; /,acme-000002,/d' "$site/devices.csv"
start_daemon || exit 1
equals "only the daemon may read the database" "$(stat -c %a "$site/inventory.db")" 600
sim_start --devices 4 --rate 0 --notify-rate 0 --backoff-max 1s
if until_true 30 pending 2; then ok "two unknown devices are in quarantine"; else
	not_ok "two unknown devices are in quarantine" "$(tail "$site/daemon.log" "$site/sim.log")"
fi
calls() { [ "$(cli devices --pending --json | grep ACM-00000001 | field count)" -ge 4 ]; }
if until_true 30 calls; then ok "they call again and again"; else not_ok "they call again and again"; fi
matches "the list is for people" "$(cli devices --pending)" 'acme +ACM-00000001 +127\.1\.0\.2:'
equals "an unknown device is one event" "$(events '"event":"unknown-device".*ACM-00000001')" 1
matches "which has what it takes to accept it" "$(grep '"event":"unknown-device"' "$site/spool/events.ndjson")" \
	'"manufacturer":"acme","identifier":"ACM-0000000[12]","cert_sha256":"[0-9a-f]{64}","spki_sha256":"[0-9a-f]{64}"'

# --- they wait over a restart; of the last second's calls kill -9 may lose some ---
first() { cli devices --pending --json | grep ACM-00000001 | field first; }
before=$(first)
sleep 2
stop_daemon KILL
start_daemon || exit 1
# row: C6-pending
equals "who waits is listed after kill -9, since when he waits too" "$(first)" "$before"
if until_true 30 calls; then ok "and goes on calling"; else not_ok "and goes on calling"; fi
equals "without another event" "$(events '"event":"unknown-device".*ACM-00000001')" 1
before=$(first)
stop_daemon
start_daemon || exit 1
equals "who waits is listed after an ordinary restart" "$(first)" "$before"
dropped=$(events '"event":"device-disconnected"')

# --- accept ---
expect "accept without a name" 2 'say with --name' cli accept "$(key_of ACM-00000001)"
expect "accept what is no fingerprint" 2 '64 hexadecimal digits' cli accept 12:34 --name x
expect "accept a key that nobody showed" 4 'no such key in quarantine' cli accept "$(printf '%064d' 0)" --name x
expect "accept with a credential that is none" 1 'unknown credential "nope"' \
	cli accept "$(key_of ACM-00000001)" --name acme-000001 --credential nope
expect "accept under a name that is no name" 1 'cannot be part of a file name' \
	cli accept "$(key_of ACM-00000001)" --name a/b
expect "accept" 0 'acme,ACM-00000001 is device "acme-000001" from its next call on' \
	cli accept "$(key_of ACM-00000001)" --name acme-000001
# row: C6-enrol
if until_true 30 state acme-000001 connected; then ok "an accepted device logs in without a restart"; else
	not_ok "an accepted device logs in without a restart" "$(tail "$site/daemon.log")"
fi
equals "it waits no more" "$(key_of ACM-00000001)" ''
equals "no session was dropped for it" "$(events '"event":"device-disconnected"')" "$dropped"

# Two operators accept one key under two names at once: one of them gets it.
key=$(key_of ACM-00000002)
cli accept "$key" --name one >"$tmp/one" 2>&1 &
first=$!
cli accept "$key" --name two >"$tmp/two" 2>&1 &
second=$!
wait $first
codes=$?
wait $second
codes=$((codes + $?))
matches "two operators at once: one gets the key" "$codes" '^[14]$'
matches "and the other is told" "$(cat "$tmp/one" "$tmp/two")" 'belongs to device "(one|two)" already|no such key'
winner=$(cli devices --json | grep ACM-00000002 | field name)
if until_true 30 state "$winner" connected; then ok "the device has the name of the one"; else not_ok "the device has the name of the one" "$winner"; fi

# --- kill -9 and again ---
stop_daemon KILL
start_daemon || exit 1
if until_true 30 state acme-000001 connected; then ok "what was accepted survives kill -9"; else
	not_ok "what was accepted survives kill -9" "$(tail "$site/daemon.log")"
fi
if cli devices export | sort | diff - <(sed "s/,acme-000002,/,$winner,/" "$tmp/all.csv" | grep -v '^#' | sort) >"$tmp/diff"; then
	ok "export is file and database together"
else
	not_ok "export is file and database together" "$(head "$tmp/diff")"
fi

# --- remove ---
expect "remove" 0 'left the database' cli devices remove acme-000001
if until_true 20 ended device-removed; then ok "a removed device is closed"; else not_ok "a removed device is closed"; fi
expect "show it" 4 'no device is called' cli show acme-000001
expect "remove nobody" 4 'no device is called "nobody"' cli devices remove nobody
expect "remove what the file says" 1 'is from .*devices.csv, which callhome never writes' cli devices remove acme-000000
if until_true 30 pending 1; then ok "a removed device is unknown again"; else not_ok "a removed device is unknown again"; fi

# --- reject ---
news() { [ "$(events '"event":"unknown-device".*ACM-00000001')" = 2 ]; }
if until_true 20 news; then ok "and an event again"; else not_ok "and an event again"; fi
key=$(key_of ACM-00000001)
expect "reject" 0 'acme,ACM-00000001 is refused from now on' cli reject "$key"
rejections() { [ "$(cli status --json | field rejected)" -ge "$1" ]; }
before=$(wc -l <"$site/spool/events.ndjson")
if until_true 30 rejections 2; then ok "a rejected key is refused"; else not_ok "a rejected key is refused" "$(cli status --json)"; fi
equals "without an event" "$(wc -l <"$site/spool/events.ndjson")" "$before"
equals "it is listed apart" "$(key_of ACM-00000001 rejected)" "$key"
stop_daemon
equals "the daemon ends well" "$status" 0
start_daemon || exit 1
# row: C6-reject
if until_true 30 rejections 1; then ok "it is remembered over a restart"; else not_ok "it is remembered over a restart"; fi
equals "and still no event" "$(tail -n +"$((before + 1))" "$site/spool/events.ndjson" | grep -c 'ACM-00000001')" 0
expect "accept what was rejected" 0 'is device "back"' cli accept "$key" --name back
if until_true 30 state back connected; then ok "and it is let in"; else not_ok "and it is let in"; fi

# --- over HTTP, for automation ---
if command -v curl >/dev/null; then
	equals "PUT: a line of CSV" \
		"$(http -X PUT --data-binary 'acme,NEW-1,new-1,default,default' http://c/v1/devices/new-1)" 200
	equals "PUT: the device is there" "$(cli show new-1 --json | field identifier)" NEW-1
	http -X PUT --data-binary $'acme,NEW-2,new-1,default,\npin:sha256,'"$(printf '%064d' 7)"',new-1,default,' \
		http://c/v1/devices/new-1 >/dev/null
	equals "PUT again: it has the new identities only" "$(cli devices export | grep -c ',new-1,')" 2
	equals "PUT: not under another name" \
		"$(http -X PUT --data-binary 'acme,NEW-3,other,default,' http://c/v1/devices/new-1)" 422
	equals "PUT: not what belongs to somebody else" \
		"$(http -X PUT --data-binary 'acme,ACM-00000000,new-1,default,' http://c/v1/devices/new-1)" 422
	matches "PUT: says what is wrong" "$(cat "$tmp/answer")" \
		'acme,ACM-00000000 is on line [0-9]+ of .*devices.csv too; remove one of the two'
	equals "a change that failed left nothing behind" "$(cli devices export | grep -c ',new-1,')" 2
	equals "DELETE" "$(http -X DELETE http://c/v1/devices/new-1)" 200
	equals "DELETE again" "$(http -X DELETE http://c/v1/devices/new-1)" 404
else
	skip "over HTTP" "no curl here"
fi

# --- a device moves from the certificate of the factory to one of another CA with the same serial number ---
kill -TERM "$fleet" && wait "$fleet" 2>/dev/null
(exec "$BIN/callhome-sim" run --pki "$site" --target "127.0.0.1:$port" --quiet --duration 10min --devices 0 \
	--impostors other-manufacturer --impostor-wait 1h) >"$site/sim2.log" 2>&1 &
pids+=("$!")
moved() { cli devices --pending --json | grep '"manufacturer":"borg"'; }
if until_true 30 moved; then ok "the second identity of a device waits too"; else not_ok "the second identity of a device waits too"; fi
serial=$(moved | field identifier)
name=$(grep "^acme,$serial," "$tmp/all.csv" | cut -d, -f3)
if until_true 20 ended wrong-manufacturer; then ok "its reason is that of another manufacturer"; else
	not_ok "its reason is that of another manufacturer"
fi
expect "accept it for the device that it is" 0 "is one more identity of \"$name\"" \
	cli accept "$(key_of "$serial")" --name "$name"
(exec "$BIN/callhome-sim" run --pki "$site" --target "127.0.0.1:$port" --quiet --duration 10min --devices 0 \
	--impostors other-manufacturer --impostor-wait 1h) >"$site/sim3.log" 2>&1 &
pids+=("$!")
logged_in() { cli show "$name" --json | grep -q '"state":"connected"'; }
# row: C6-keys
if until_true 30 logged_in; then ok "it logs in as the same device"; else not_ok "it logs in as the same device" "$(tail "$site/daemon.log")"; fi
equals "by the file's identity or the database's" "$(cli devices export | grep -c ",$name,")" 2
used() { cli show "$name" --json | grep -oE '"manufacturer":"[a-z]*","identifier":"[^"]*","source":"[a-z]*","used":[a-z]*' | sort | tr -d '"\n'; }
# row: C6-keys
equals "show lists both, and by which it logged in" "$(used)" \
	"manufacturer:acme,identifier:$serial,source:file,used:falsemanufacturer:borg,identifier:$serial,source:database,used:true"
matches "also for people" "$(cli show "$name")" "^identities +acme,$serial \(file\) borg,$serial \(database, used\)"
stop_daemon

# --- import and export ---
cp "$tmp/all.csv" "$tmp/fleet.csv"
enrolling import 4
: >"$site/devices.csv"
start_daemon || exit 1
expect "import" 0 '^[0-9]+ identities are in the database now$' cli devices import "$tmp/fleet.csv"
cli devices export >"$tmp/exported.csv"
if diff <(grep -v '^#' "$tmp/fleet.csv" | sort) <(sort "$tmp/exported.csv") >"$tmp/diff"; then ok "what is imported is exported"; else
	not_ok "what is imported is exported" "$(head "$tmp/diff")"
fi
expect "import what was exported" 0 'identities are in the database now' cli devices import "$tmp/exported.csv"
if diff "$tmp/exported.csv" <(cli devices export) >"$tmp/diff"; then ok "a round trip changes nothing"; else
	not_ok "a round trip changes nothing" "$(head "$tmp/diff")"
fi
printf 'acme,A-1,a-1,default,\nacme,A-2,a-2,nope,\n' >"$tmp/bad.csv"
expect "import with a mistake" 1 'bad.csv:2: unknown credential "nope"' cli devices import "$tmp/bad.csv"
equals "all or nothing" "$(cli devices export | grep -c '^acme,A-1')" 0
printf 'acme,ACM-00000000,thief,default,\n' | expect "import from standard input" 1 'belongs to device "acme-000000" already' \
	cli devices import -
sim_start --devices 4 --rate 0 --notify-rate 0
up() { [ "$(cli devices --state connected --json | wc -l)" = 4 ]; }
if until_true 30 up; then ok "imported devices log in"; else not_ok "imported devices log in" "$(tail "$site/daemon.log")"; fi
stop_daemon

# What contradicts at the next start names both places.
echo 'acme,ACM-00000000,renamed,default,default' >>"$site/devices.csv"
"$BIN/callhomed" -c "$site/callhomed.yaml" --check >"$tmp/out" 2>&1
equals "file against database: exit status" $? 2
matches "file against database: names both" "$(cat "$tmp/out")" \
	'inventory.db: device "acme-000000": acme,ACM-00000000 is on line 1 of .*devices.csv too'
: >"$site/devices.csv"
sqlite=$(command -v sqlite3)
if [ -n "$sqlite" ]; then
	"$sqlite" "$site/inventory.db" 'PRAGMA user_version=7' >/dev/null
	"$BIN/callhomed" -c "$site/callhomed.yaml" --check >"$tmp/out" 2>&1
	equals "a database of the future: exit status" $? 2
	matches "a database of the future: says so" "$(cat "$tmp/out")" 'schema version 7, this program knows 2'
else
	skip "a database of the future" "no sqlite3 here"
fi

# --- without a database ---
site plain 1
start_daemon || exit 1
expect "without a database" 1 'no devices.database' cli devices import "$tmp/fleet.csv"
stop_daemon

# --- 200,000 devices: times are told, not judged ---
[ "$FLAVOUR" = asan ] && finish && exit
enrolling large 1
: >"$site/devices.csv"
seq -f '%06.0f' 0 199999 | sed 's/.*/acme,SN&,router-&.example.net,default,default/' >"$tmp/large.csv"
start_daemon || exit 1
ms() { echo $(($(date +%s%N) / 1000000)); }
begin=$(ms)
expect "200,000 devices: import" 0 '^200000 identities' cli devices import "$tmp/large.csv"
echo "# import: $(($(ms) - begin)) ms, $(stat -c %s "$site/inventory.db") bytes of database"
begin=$(ms)
expect "one more" 0 '^1 identities' cli devices import - <<<'acme,SN-X,x,default,'
echo "# one more: $(($(ms) - begin)) ms"
stop_daemon
begin=$(ms)
start_daemon || exit 1
echo "# start: $(($(ms) - begin)) ms, $(awk '/VmRSS/ { print $2 }' "/proc/$daemon/status") kB resident"
equals "200,000 devices: they are there after a restart" "$(cli status --json | field devices)" 200001
stop_daemon
finish
