"""The candidates: leaderwrap on a host of its own, its processes, its log and its end."""

import json
import os
import shlex
import signal
import struct
import subprocess

from tests.lib import boottime_ns, processes
from tests.torture.evidence import Grant

KEY = "torture"

# Many terms a minute want a short TTL. The margin is five times what it would be by default: this
# is to run on two cores with other work to do, where wake-ups at a keeper's priority have been
# measured 0.37 s late, and part (b) of the promise is to hold. With these the tree is asked to end
# 2.17 s after the last renewal, and dead 0.53 s before the lease can expire.
TTL_S = 3
MARGIN_MS = 500
TIMING = ["--ttl", "%ds" % TTL_S, "--margin", "%dms" % MARGIN_MS, "--grace", "300ms"]

# Statuses: of the command that was asked to end, or killed; of a follower that was asked to.
STOPPED = {0, 128 + signal.SIGTERM, 128 + signal.SIGKILL}
KILLED = {128 + signal.SIGKILL}
KEEPER_LOST = {125}
POWERED_OFF = {1}  # unshare's, where the first process of the namespace was killed


class Candidate:
    """One leaderwrap in a pid namespace on the host of its slot. `name` is never used again."""

    def __init__(self, scene, slot, number, steady, key=KEY):
        self.slot = slot
        self.name = "c%d.%d" % (slot, number)
        self.host = scene.hosts[slot]
        self.steady = steady
        self.explained = set()  # exit statuses that would be no surprise
        self.done_to_it = []
        # A fault holds the elector or the keeper. A second one could leave the tree with neither,
        # which the promise does not cover.
        self.guardian_struck = False
        self.frozen = False
        self.token = 0  # of its latest grant
        self.log_path = scene.arena.folder / (self.name + ".log")
        self._clock_path = scene.arena.folder / (self.name + ".clock")
        self.set_clock(0)
        with open(self.log_path, "wb") as log:
            self._process = scene.arena.spawn(
                [*self._host_prefix(scene), *self._command(scene, key)],
                host=self.host,
                env=self._environment(scene),
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self._log = open(self.log_path, "rb")
        self._rest = b""

    @staticmethod
    def _host_prefix(scene):
        namespaces = ["--pid", "--fork", "--kill-child", "--mount-proc"]
        return ["unshare", *namespaces, scene.tool("host")]

    def _command(self, scene, key):
        pulse = [scene.tool("pulse"), scene.proofs_path, scene.counter_path]
        return [
            scene.binary,
            *("--name", self.name, "--key", key, *scene.deployment.options, *TIMING),
            *("--log-level", "debug", "--log-format", "json", *self._company(pulse), "--"),
            *pulse,
        ]

    def _company(self, pulse):
        """Every third one has a hook that lives as long as its term, and is as much trouble as
        the command, and health checks beside it."""
        if self.slot % 3 != 0:
            return []
        hook = ["--on-acquire", "exec " + shlex.join(map(str, pulse)), "--hook-timeout", "1h"]
        return [*hook, "--health-cmd", "exit 0", "--health-interval", "200ms"]

    def _environment(self, scene):
        sanitizer = "log_path=%s:exitcode=97:halt_on_error=1:print_stacktrace=1" % (
            scene.arena.folder / "reports" / "sanitizer"
        )
        return {
            "LD_PRELOAD": str(scene.arena.built("libwallclock.so")),
            "WALLCLOCK_FILE": str(self._clock_path),
            # Memory in quarantine would look like a leak.
            "ASAN_OPTIONS": sanitizer + ":verify_asan_link_order=0:quarantine_size_mb=1",
            "UBSAN_OPTIONS": sanitizer,
        }

    # Its life

    def poll(self):
        """Its exit status as a shell shows it, None while it runs."""
        status = self._process.poll()
        return None if status is None else status if status >= 0 else 128 - status

    def read_log(self):
        """(grants, lines that no leaderwrap writes) since the last time."""
        data = self._rest + self._log.read()
        *lines, self._rest = data.split(b"\n")
        grants, strange = [], []
        for line in lines:
            try:
                event = json.loads(line)
                kind = event["event"]
            except (ValueError, KeyError, TypeError):
                strange.append(line.decode(errors="replace"))
                continue
            if kind == "elected":
                self.token = event["token"]
                grants.append(Grant(boottime_ns(), self.name, self.token))
        return grants, strange

    def set_clock(self, offset_s):
        """Steps its wall clock so many seconds from the true time."""
        handle = os.open(self._clock_path, os.O_WRONLY | os.O_CREAT)
        try:
            os.pwrite(handle, struct.pack("=q", offset_s * 1000), 0)
        finally:
            os.close(handle)

    def forget(self):
        """To be called when it has ended."""
        self._log.close()
        self._clock_path.unlink()

    # Its processes

    def processes(self):
        """Everything on its host, the host's own first process left out."""
        everything = processes.everything()
        first = self._first(everything)
        found = []
        layer = {first.pid} if first else set()
        while layer:
            children = [p for p in everything.values() if p.parent in layer]
            found += children
            layer = {child.pid for child in children}
        return found

    def find(self, *names):
        """A Handle on the oldest living process with one of these names, or None."""
        return self._oldest([p for p in self.processes() if p.name in names])

    @staticmethod
    def _oldest(candidates):
        found = [p for p in candidates if p.alive]
        return processes.Handle(min(found, key=lambda p: (p.started, p.pid))) if found else None

    def elector(self):
        return self.find("leaderwrap")

    def keeper(self):
        """The command's; hooks and checks have keepers as well, but no guard above them."""
        everything = self.processes()
        guards = {p.pid for p in everything if p.name == "lw-guard"}
        return self._oldest([p for p in everything if p.name == "lw-keeper" and p.parent in guards])

    def first(self):
        """The host itself: its end takes everything with it."""
        first = self._first(processes.everything())
        return processes.Handle(first) if first else None

    def _first(self, everything):
        for process in everything.values():
            if process.parent == self._process.pid:
                return process
        return None
