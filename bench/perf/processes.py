# SPDX-License-Identifier: Apache-2.0
"""The processes of a measurement: collectors, fleets, and what the kernel says about them."""
import json
import os
import re
import signal
import socket
import subprocess
import threading
import time

START_S = 20
UP_S = 120
STOP_S = 60

# Slab caches of a connection, both of its ends. Files of other programs are not among them.
SLABS = re.compile(r"^(TCP|TCPv6|sock_inode_cache|filp|dentry|lsm_|eventpoll_|io_|skbuff|kmalloc-)")


class Failed(Exception):
    """A measurement that cannot be trusted; the sentence says why."""


def cpu_ns(pid):
    """CPU time of the whole process, exact: its CPUCLOCK_SCHED clock."""
    return time.clock_gettime_ns((~pid << 3) | 2)


def rss_bytes(pid):
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
        for line in file:
            if line.startswith("Rss:"):
                return int(line.split()[1]) * 1024
    raise Failed("no Rss in smaps_rollup")


def slab_bytes():
    """Kernel memory of connections, of the whole machine; None without the right to see it."""
    total = 0
    try:
        with open("/proc/slabinfo", encoding="ascii") as file:
            for line in file:
                if SLABS.match(line):
                    fields = line.split()
                    total += int(fields[1]) * int(fields[3])
    except PermissionError:
        return None
    return total


def wait_for(what, seconds, condition):
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise Failed(f"{what}: not within {seconds} s")
        time.sleep(0.05)


class Collector:
    """A collector process. Ends with the block that made it."""

    def __init__(self, command, log, ready=None):
        with open(log, "w", encoding="utf-8") as out:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out,
                                            stderr=out)
        self.pid = self.process.pid
        self.log = log
        self.ready = ready or self._said_ready

    def _said_ready(self):
        with open(self.log, encoding="utf-8") as file:
            return file.readline().startswith("ready")

    def __enter__(self):
        def check():
            if self.process.poll() is not None:
                raise Failed(f"a collector ended at once; its log: {self.log}")
            return self.ready()
        try:
            wait_for("collector ready", START_S, check)
        except Failed:
            self.__exit__()
            raise
        return self

    def __exit__(self, *unused):
        self.process.terminate()
        try:
            self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def cpu_ns(self):
        return cpu_ns(self.pid)

    def rss(self):
        return rss_bytes(self.pid)


class Bench:
    """Where the programs are, where files go, and the PKI that all collectors share."""

    def __init__(self, build, out, devices):
        self.build = os.path.abspath(build)
        self.out = os.path.abspath(out)
        self.pki = os.path.join(self.out, "pki")
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.target = f"127.0.0.1:{self.port}"
        os.makedirs(self.out, exist_ok=True)
        subprocess.run([self.program("callhome-sim"), "gen-certs", "--dir", self.pki, "--devices",
                        str(devices), "--listen", self.target], check=True,
                       stdout=subprocess.DEVNULL)
        with open(os.path.join(self.pki, "both-ca.pem"), "wb") as both:
            for name in ("acme-ca.pem", "borg-ca.pem"):
                with open(os.path.join(self.pki, name), "rb") as one:
                    both.write(one.read())

    def program(self, name):
        return os.path.join(self.build, name)

    def log(self, name):
        return os.path.join(self.out, name + ".log")

    def _configure(self, on_connect, limits, spool):
        with open(os.path.join(self.pki, "callhomed.yaml"), encoding="utf-8") as file:
            text = file.read()
        text = re.sub(r"on-connect: \[.*?\]", f"on-connect: [{on_connect}]", text)
        if not spool:
            text = re.sub(r"(?m)^spool:.*\n", "", text)
        path = os.path.join(self.pki, "bench.yaml")
        with open(path, "w", encoding="utf-8") as file:
            file.write(text + f"limits: {{threads: 1, session-rate: 0{limits}}}\n")
        return path

    def status(self):
        result = subprocess.run([self.program("callhome"), "--socket",
                                 os.path.join(self.pki, "callhomed.sock"), "status", "--json"],
                                capture_output=True, check=False, text=True)
        return json.loads(result.stdout) if result.returncode == 0 else None

    def callhomed(self, on_connect="get-config", spool=True):
        # A busy machine may take its time: nobody is turned away for it.
        config = self._configure(on_connect, ", login-timeout: 10min, max-handshakes: 16384", spool)
        # A spool that grows from run to run would be rotated in some of them only.
        subprocess.run(["rm", "-rf", os.path.join(self.pki, "spool")], check=True)
        return Collector([self.program("callhomed"), "-c", config], self.log("callhomed"),
                         lambda: self.status() is not None)

    def bare(self, *more):
        return Collector([self.program("bench/bare"), "--pki", self.pki, "--port",
                          str(self.port), *more], self.log("bare"))

    def libnetconf2(self, threads, schemas):
        return Collector([self.program("bench/ncollector"), "--pki", self.pki, "--port",
                          str(self.port), "--schemas", schemas, "--threads", str(threads)],
                         self.log("ncollector"))

    def fleet(self, devices, rate, *more):
        return Fleet([self.program("callhome-sim"), "run", "--pki", self.pki, "--target",
                      self.target, "--tls", "1.3", "--reply-size", "1KiB", "--duration", "0",
                      "--auth-timeout", "10min", "--max-wait", "60s", "--no-reconnect", "--json",
                      "--devices", str(devices), "--rate", str(rate), *more], devices)


class Fleet:
    """Simulated devices. They hang up with the end of the block, then `result` is there."""

    def __init__(self, command, devices):
        self.devices = devices
        self.up = 0
        self.failed = 0
        self.result = None
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, text=True,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        for line in self.process.stderr:
            found = re.search(r" up (\d+)/.* failed (\d+)", line)
            if found:
                self.up, self.failed = int(found.group(1)), int(found.group(2))

    def __enter__(self):
        return self

    def wait_up(self):
        def check():
            if self.process.poll() is not None or self.failed > 0:
                raise Failed(f"{self.failed} devices failed to log in")
            return self.up == self.devices
        wait_for(f"{self.devices} devices up", UP_S, check)

    def __exit__(self, *unused):
        self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.reader.join()
        text = self.process.stdout.read().strip()
        self.result = json.loads(text.splitlines()[-1]) if text else None
