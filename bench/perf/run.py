#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
make bench: callhomed against its references, by turns in one run. CPU time, not wall time; medians.
JSON lines go to standard output and to OUT/results.jsonl, progress and the table to standard error.
"""
import argparse
import glob
import json
import os
import struct
import subprocess
import sys
import time

from processes import Bench, Failed, slab_bytes, wait_for
from report import Results, plot, table

SESSIONS = 2000        # of the CPU measurement, and the lower point of the memory slope
MANY = 10000           # the upper point
LOGIN_RATE = 300
LOGIN_ROUNDS = 5
MEMORY_ROUNDS = 3
PEER_ROUNDS = 3
# 20,000 notifications per second: name, devices, rate of each, spooled?, budget in us. Few devices
# that always have more to say, as SSL_read was measured for the budget of framing, record and
# receive; the same to the spool; and many devices that speak now and then, where every notification
# is a segment, a wake-up and an ACK of its own.
STREAMS = (("busy streams: receive, record, framing", 4, 5000, False, 2.5),
           ("busy streams, to the spool line", 4, 5000, True, None),
           ("500 slow devices, to the spool line", 500, 40, True, None))
NOTIFY_SECONDS = 5
NOTIFY_ROUNDS = 3
SILENT = 1000
QUIET_DEVICES, QUIET_RATE = 600, 100
SILENT_ROUNDS = 3
SETTLE_S = 2.5


def say(text):
    print("bench: " + text, file=sys.stderr, flush=True)


def attempt(what, measure, *args):
    """A busy machine spoils a run now and then: twice more, then it is an error."""
    for left in (2, 1, 0):
        try:
            return measure(*args)
        except Failed as failure:
            say(f"{what}: {failure}" + (", once more" if left else ""))
    raise SystemExit(1)


def micro(bench, program, *args):
    """The samples of a benchmark program by name."""
    out = subprocess.run([bench.program("bench/" + program), *args], check=True, text=True,
                         capture_output=True).stdout
    return {one["name"]: one["samples"] for one in map(json.loads, out.splitlines())}


def framing(bench, results):
    samples = micro(bench, "framing")
    for kind, name, budget in (("eom", "1.0", 20), ("chunked", "1.1", 10)):
        results.add(f"framing {name}, 200 B message", "ns", samples[kind + "-200"], "memchr",
                    samples["memchr-200"], budget, f"<= {budget} ns")
        results.add(f"framing {name}, 1 MB message", "GB/s", samples[kind + "-1M"], "memchr",
                    samples["memchr-1M"], 20, ">= 20 GB/s", above=True)


def handshakes(bench, results):
    samples = micro(bench, "handshake", bench.pki)
    results.add("handshake alone, TLS 1.3 P-256 mutual, in memory", "us",
                samples["handshake-callhome"], "SSL_do_handshake", samples["handshake-bare"], 1.05,
                "<= 1.05 x", of_ratio=True)


def login(bench, collector, sessions, rate):
    """@return CPU us per session, and process and slab bytes with all of them up"""
    before = collector.cpu_ns()
    with bench.fleet(sessions, rate, "--notify-rate", "0") as fleet:
        fleet.wait_up()
        time.sleep(SETTLE_S)
        spent = collector.cpu_ns() - before
        state = (spent / sessions / 1000, collector.rss(), slab_bytes())
    return state


def login_round(bench, start, with_memory):
    """@return CPU us per session, then process and slab bytes per session or None"""
    with start() as collector:
        cpu, rss, slab = login(bench, collector, SESSIONS, LOGIN_RATE)
        if not with_memory:
            return cpu, None, None
        _, rss_many, slab_many = login(bench, collector, MANY, LOGIN_RATE)
    added = MANY - SESSIONS
    return cpu, (rss_many - rss) / added, (slab_many - slab) / added if slab else None


def logins(bench, results):
    ours, theirs = [], []
    for turn in range(LOGIN_ROUNDS):
        memory = turn < MEMORY_ROUNDS
        say(f"logins, round {turn + 1} of {LOGIN_ROUNDS}" + (", with memory" if memory else ""))
        ours.append(attempt("callhomed", login_round, bench, bench.callhomed, memory))
        theirs.append(attempt("bare", login_round, bench, bench.bare, memory))
    results.add("CPU per session, accept to get-config reply", "us", [one[0] for one in ours],
                "bare OpenSSL loop", [one[0] for one in theirs], 1.05, "<= 1.05 x", of_ratio=True)
    memory_rows(results, ours[:MEMORY_ROUNDS], theirs[:MEMORY_ROUNDS])


def memory_rows(results, ours, theirs):
    user = [one[1] / 1000 for one in ours]
    bare = [one[1] / 1000 for one in theirs]
    results.add("process memory per idle session", "kB", user, "bare OpenSSL loop", bare, 2,
                "<= 2 kB")
    if ours[0][2] is None:
        say("no right to read /proc/slabinfo: kernel memory is not measured")
        return
    # Both ends are on this machine, and with callhomed they are alike: half is ours. The devices'
    # half is the same when they call the bare loop.
    half = [one[2] / 2000 for one in ours]
    rest = [one[2] / 1000 - mine for one, mine in zip(theirs, half)]
    results.add("all memory per idle session, kernel included", "kB",
                [a + b for a, b in zip(user, half)], "bare OpenSSL loop",
                [a + b for a, b in zip(bare, rest)], 6, "<= 6 kB")


def notify(bench, collector, stream, count):
    """@return CPU us per notification, count() before and after"""
    _, devices, rate, _, _ = stream
    with bench.fleet(devices, LOGIN_RATE, "--notify-rate", str(rate)) as fleet:
        fleet.wait_up()
        time.sleep(1)
        first, cpu = count(), collector.cpu_ns()
        time.sleep(NOTIFY_SECONDS)
        spent, last = collector.cpu_ns() - cpu, count()
    if last["notifications"] < first["notifications"] + NOTIFY_SECONDS * 1000:
        raise Failed("hardly any notification arrived")
    return spent / (last["notifications"] - first["notifications"]) / 1000, first, last


def notify_ours(bench, stream):
    spool = stream[3]
    with bench.callhomed("get-config, subscribe", spool) as collector:
        cpu, first, last = notify(bench, collector, stream, lambda: bench.status()["counters"])
        sums = {name: last[name] - first[name] for name in first}
        status = bench.status()
        # Closing the fleet drained it: what came is in the spool, or the run is worth nothing.
        if spool:
            wait_for("the spool", 10,
                     lambda: spooled(bench) == status["counters"]["notifications"])
    return cpu, sums


def spooled(bench):
    return bench.status()["spool"]["notifications"]


def notify_bare(bench, stream):
    counter, spool = os.path.join(bench.out, "counter"), os.path.join(bench.out, "bare.spool")

    def count():
        with open(counter, "rb") as file:
            return {"notifications": struct.unpack("<Q", file.read(8))[0]}
    with bench.bare("--subscribe", "--counter", counter,
                    *(["--spool", spool] if stream[3] else [])) as collector:
        cpu, _, _ = notify(bench, collector, stream, count)
    os.unlink(counter)
    if stream[3]:
        os.unlink(spool)
    return cpu


def notifications(bench, results):
    for stream in STREAMS:
        ours, theirs = [], []
        for turn in range(NOTIFY_ROUNDS):
            say(f"notifications, {stream[0]}, round {turn + 1} of {NOTIFY_ROUNDS}")
            ours.append(attempt("callhomed", notify_ours, bench, stream))
            theirs.append(attempt("bare", notify_bare, bench, stream))
        budget = stream[4]
        results.add(f"CPU per notification, {stream[0]}", "us", [one[0] for one in ours],
                    "bare OpenSSL loop", theirs, budget, f"<= {budget} us" if budget else "")
    sums = [one[1] for one in ours]
    results.add("bytes copied per byte received", "",
                [one["copied_bytes"] / one["received_bytes"] for one in sums], budget=0.02,
                budget_text="<= 0.02")
    results.add("ring system calls per notification", "",
                [one["ring_enters"] / one["notifications"] for one in sums], budget=0.05,
                budget_text="<= 0.05")


def p99(bench):
    """@return ms"""
    with bench.fleet(QUIET_DEVICES, QUIET_RATE, "--notify-rate", "0") as fleet:
        fleet.wait_up()
    return fleet.result["login_us"]["p99"] / 1000


def p99_silent(bench):
    with bench.fleet(0, 0, "--impostors", f"silent:{SILENT}", "--impostor-wait", "1h"):
        wait_for(f"{SILENT} silent connections", 60,
                 lambda: bench.status()["counters"]["handshaking"] >= SILENT)
        time.sleep(2)  # each of them gets its ClientHello first
        return p99(bench)


def silent(bench, results):
    quiet, attacked = [], []
    for turn in range(SILENT_ROUNDS):
        say(f"silent connections, round {turn + 1} of {SILENT_ROUNDS}")
        with bench.callhomed():
            quiet.append(attempt("quiet", p99, bench))
            attacked.append(attempt("with silent ones", p99_silent, bench))
    results.add(f"login p99 of others beside {SILENT} silent connections", "ms", attacked,
                "without them", quiet, 1.2, "<= 1.2 x", of_ratio=True)


def schemas():
    """The directory with the YANG modules that libnetconf2 wants; it has none of its own."""
    found = [path for pattern in ("/usr/share/yuma/modules/ietf", "/usr/share/yang/modules/*")
             for path in sorted(glob.glob(pattern)) if os.path.isdir(path)]
    if not found:
        raise SystemExit("bench: no YANG modules: install libyuma-base")
    return found[0]


def peer_round(bench, threads, sessions, rate):
    with bench.libnetconf2(threads, schemas()) as collector:
        idle = collector.rss()
        cpu, rss, _ = login(bench, collector, sessions, rate)
        return cpu, (rss - idle) / sessions / 1000


def peers(bench, results):
    for threads, sessions, rate, name in ((0, 300, 60, "nc_accept_callhome"),
                                          (8, 600, 150, "8 threads, own accept")):
        theirs, ours = [], []
        for turn in range(PEER_ROUNDS):
            say(f"libnetconf2, {name}, round {turn + 1} of {PEER_ROUNDS}")
            theirs.append(attempt(name, peer_round, bench, threads, sessions, rate))
            with bench.callhomed() as collector:
                ours.append(attempt("callhomed", login, bench, collector, sessions, rate)[0])
        results.add(f"CPU per session, libnetconf2, {name}", "us", [one[0] for one in theirs],
                    "callhomed, same fleet", ours)
        results.add(f"process memory per session, libnetconf2, {name}", "kB",
                    [one[1] for one in theirs])


PARTS = {"framing": framing, "handshakes": handshakes, "logins": logins,
         "notifications": notifications, "silent": silent, "peers": peers}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", default="build")
    parser.add_argument("--out", default="build/bench")
    parser.add_argument("--only", help="comma-separated: " + " ".join(PARTS))
    options = parser.parse_args()
    started = time.monotonic()
    bench = Bench(options.build, options.out, MANY)
    results = Results(os.path.join(bench.out, "results.jsonl"))
    for name, part in PARTS.items():
        if not options.only or name in options.only.split(","):
            part(bench, results)
    results.close()
    text = table(results.rows)
    with open(os.path.join(bench.out, "table.md"), "w", encoding="utf-8") as file:
        file.write(text)
    print(f"\n{results.common}\n\n{text}", file=sys.stderr)
    if not options.only and not plot(results.rows, os.path.join(bench.out, "performance.svg")):
        say("no gnuplot: no plot")
    say(f"done in {time.monotonic() - started:.0f} s")


if __name__ == "__main__":
    main()
