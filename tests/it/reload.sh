#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Live reload: what is added, removed, broken and withdrawn while devices are up.
. "$(dirname "$0")/lib.sh"

reloads() { events '"event":"reloaded"'; }
up() { [ "$(cli devices --state connected 2>/dev/null | grep -c acme-)" = "$1" ]; }

# hup N: SIGHUP, until N reloads have succeeded since the start.
hup()
{
	kill -HUP "$daemon"
	until_true 30 eval "[ \"\$(reloads)\" = $1 ]"
}

# reload NAME REGEX: callhome reload --wait succeeds and says so.
reload()
{
	local said
	said=$(cli reload --wait 2>&1)
	equals "$1: exit status" $? 0
	matches "$1: what changed" "$said" "$2"
}

site live 3
start_daemon || exit 1
sim_start --devices 3 --notify-rate 0 --rate 0
if until_true 30 up 3; then ok "three devices are up"; else not_ok "three devices are up" "$(cat "$site/sim.log")"; fi

sed -i '/,acme-000001,/d' "$site/devices.csv"
hup 1
matches "the event counts what changed" "$(grep '"event":"reloaded"' "$site/spool/events.ndjson")" \
	'"generation":2,"devices":130,"added":0,"removed":1,"changed":0'
if until_true 20 ended device-removed; then ok "the session of a removed device is closed"; else
	not_ok "the session of a removed device is closed" "$(tail "$site/daemon.log")"
fi
if until_true 20 ended unknown-device; then ok "a removed device is refused when it calls again"; else
	not_ok "a removed device is refused when it calls again"
fi
equals "no other session ended" "$(events '"event":"device-disconnected"')" 1
matches "a removed device is unknown to the applications" "$(cli show acme-000001 2>&1)" 'acme-000001'

printf 'acme,ACM-00000001,acme-000001,default,default\n' >>"$site/devices.csv"
reload "an added device" '^generation 3: 131 devices, 1 added, 0 removed, 0 changed$'
if until_true 30 up 3; then ok "a device that is added may log in at once"; else not_ok "a device that is added may log in at once"; fi

echo 'acme,ACM-1,broken,nocredential,default' >>"$site/devices.csv"
said=$(cli reload --wait 2>&1)
equals "a broken file: exit status" $? 1
matches "a broken file is named with its line" "$said" 'devices.csv:[0-9]+: unknown credential "nocredential"'
matches "and in the log" "$(cat "$site/daemon.log")" 'event=reload-failed text=".*devices.csv:[0-9]+: unknown credential'
matches "status shows the generation and the failure" "$(cli status | tr '\n' ' ')" \
	'generation 3, loaded [0-9TZ:-]+ +the reload at [0-9TZ:-]+ failed: .*devices.csv:[0-9]+: unknown'
"$BIN/callhome" config check "$site/callhomed.yaml" >/dev/null 2>"$tmp/err"
equals "config check finds it too: exit status" $? 2
matches "config check finds it too" "$(cat "$tmp/err")" 'devices.csv:[0-9]+: unknown credential'
if until_true 20 eval '[ "$(events "\"event\":\"reload-failed\"")" = 1 ]'; then ok "the failure is an event"; else
	not_ok "the failure is an event"
fi
if up 3; then ok "a broken file leaves the sessions alone"; else not_ok "a broken file leaves the sessions alone"; fi
sed -i '$d' "$site/devices.csv"

sed -i 's/^acme,ACM-00000002,acme-000002,/acme,ACM-00000002,renamed-2,/' "$site/devices.csv"
matches "config check says when all is well" "$("$BIN/callhome" config check "$site/callhomed.yaml")" ': ok, 131 devices'
reload "a new name" '1 added, 1 removed'
if until_true 20 ended device-removed 2; then ok "an identity under another name ends the session of the old one"; else
	not_ok "an identity under another name ends the session of the old one"
fi
if until_true 30 eval 'cli devices --state connected | grep -q renamed-2'; then ok "and logs in under the new name"; else
	not_ok "and logs in under the new name"
fi

sed -i 's/^acme,ACM-00000000,acme-000000,/acme,ACM-FFFF0000,acme-000000,/' "$site/devices.csv"
reload "another identity" '0 added, 0 removed'
if until_true 20 ended trust-changed; then ok "a name with another identity ends the session"; else
	not_ok "a name with another identity ends the session" "$(tail "$site/daemon.log")"
fi

# The anchor itself goes: both that are still up.
cp "$site/borg-ca.pem" "$site/other.pem"
"$BIN/callhome-sim" gen-certs --dir "$tmp/other" --devices 1 --listen 127.0.0.1:1 >/dev/null
sed -i 's/ca: acme-ca.pem/ca: fresh.pem/' "$site/callhomed.yaml"
cp "$tmp/other/acme-ca.pem" "$site/fresh.pem"
reload "another anchor" '^generation 6'
if until_true 20 ended trust-changed 3; then ok "a withdrawn anchor ends the sessions that stood on it"; else
	not_ok "a withdrawn anchor ends the sessions that stood on it" "$(tail "$site/daemon.log")"
fi
if until_true 20 eval '[ "$(events "\"event\":\"auth-failed\"")" -ge 2 ]'; then ok "and nobody logs in with it any more"; else not_ok "and nobody logs in with it any more"; fi

sed -i 's/^control:.*/control: {socket: elsewhere.sock}/' "$site/callhomed.yaml"
printf 'limits: {max-sessions: 77}\n' >>"$site/callhomed.yaml"
reload "keys that need a restart" 'limits.max-sessions was changed'
for key in control.socket limits.max-sessions; do
	matches "a key that needs a restart is named: $key" "$(cat "$site/daemon.log")" \
		"event=reload-warning text=.*: $key was changed; it takes effect with a restart"
done

kill -TERM "$fleet"
wait "$fleet" 2>/dev/null
stop_daemon TERM
equals "the daemon ends well after reloads" "$status" 0

# Nobody notices a reload, in whatever step of the login it comes.
site storm 100
start_daemon || exit 1
index() { cli devices --name "$1" --json | field index; }
hole=$(index spare-acme-000001)
sed -i '/,spare-acme-000001,/d' "$site/devices.csv"
cli reload --wait >/dev/null
echo 'acme,NEW-1,newcomer,default,default' >>"$site/devices.csv"
cli reload --wait >/dev/null
equals "the index of a device that went is given to another" "$(index newcomer)" "$hole"

sim_start --devices 100 --notify-rate 1 --rate 100
generation() { cli status --json | field generation; }
all_up() { [ "$(cli status --json | field up)" = 100 ]; }
while ! all_up && [ "$(generation)" -lt 400 ]; do
	cli reload --wait >/dev/null || break
done
if until_true 30 all_up; then ok "a fleet logs in through $(generation) generations"; else
	not_ok "a fleet logs in through $(generation) generations" "$(tail "$site/daemon.log")"
fi
together=()
for _ in 1 2 3 4 5; do
	cli reload --wait >/dev/null &
	together+=($!)
done
wait "${together[@]}"
equals "reloads at the same time all succeed" $? 0
equals "no login failed and no session ended" \
	"$(events '"event":"(auth-failed|not-allowed|connection-failed|device-disconnected)"')" 0
if [ "$(generation)" -ge 8 ]; then ok "there were many generations"; else not_ok "there were many generations" "$(generation)"; fi
kill -TERM "$fleet"
wait "$fleet" 2>/dev/null
stop_daemon TERM
equals "the daemon ends well after the storm" "$status" 0
finish
