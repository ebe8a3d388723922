"""The world of a run: the network, the server, the candidates, and a watch on all of them."""

import os
import signal
import threading

from tests.lib import PATIENCE_S, RedisError, boottime_ns, processes, wait_until
from tests.torture.candidates import KEY, MARGIN_MS, TTL_S, Candidate
from tests.torture.deployment import DEPLOYMENTS, Skip, clients_of
from tests.torture.evidence import Counter, Ending, Evidence, Grant, Lateness, Proofs, Stream, Usage

MS_NS = 10**6
SECOND_NS = 10**9
LEADS_NS = 250 * MS_NS  # proof of life of a leader is no older
KEEPERS_NICE = -20
LOGS_KEPT = 200
LOOK_S = 0.1  # from one look at the record to the next
REPORT_WORDS = ("runtime error:", "Sanitizer", "Assertion", "stack smashing")


class Scene:
    """Two threads use it: the watch (all of `watch`'s work) and the faults. A third one looks at the
    record, for grants whose answer was lost."""

    def __init__(self, arena, slots, steady_slots, mode="single"):
        self.arena = arena
        self.binary = arena.leaderwrap_command()[0]
        network = arena.network()
        self.deployment = DEPLOYMENTS[mode](arena)
        self.hosts = [network.host("h%d" % slot) for slot in range(slots)]
        self.proofs_path = arena.folder / "proofs"
        self.counter_path = arena.folder / "counter"
        self.proofs = Proofs()
        self.counter = Counter()
        self.lateness = Lateness()
        self.keeper_lateness = Lateness()
        self._streams = [
            (Stream(self.proofs_path), self.proofs),
            (Stream(self.counter_path), self.counter),
            self._watch_machine("lateness", 0, self.lateness),
            self._watch_machine("keeper-lateness", KEEPERS_NICE, self.keeper_lateness),
        ]
        self._lock = threading.RLock()
        self._steady_slots = steady_slots
        self._candidates = [None] * slots
        self._number = 0
        self._old_logs = []
        self.started = 0
        self.grants = []
        self.endings = []
        self.reports = []
        self.replace = True  # each candidate that ends is followed by another
        self._over = threading.Event()

    def tool(self, name):
        return str(self.arena.built(name))

    def sanitized(self):
        with open(self.binary, "rb") as file:
            return b"__asan_init" in file.read()

    def _watch_machine(self, name, nice, lateness):
        path = self.arena.folder / name
        self.arena.spawn([self.tool("lateness"), path, nice])
        return Stream(path), lateness

    # Candidates

    def start(self):
        for slot in range(len(self._candidates)):
            self._start(slot, KEY)
        threading.Thread(target=self._look_at_record, daemon=True).start()

    def _look_at_record(self):
        """Notes each grant that the server made, whether or not anybody heard of it."""
        latest = None
        while not self._over.wait(LOOK_S):
            try:
                state, name, token = self.deployment.look_at_record()
            except (OSError, ValueError, RedisError):
                continue  # it is away, or is to be
            if state == "held" and token != latest:
                latest = token
                self.grants.append(Grant(boottime_ns(), name, int(token)))

    def _start(self, slot, key):
        steady = slot < self._steady_slots
        self._candidates[slot] = Candidate(self, slot, self._number, steady, key)
        self._number += 1
        self.started += 1

    def start_wrong(self, keys):
        """Candidates that do not compete for the same lease, for a checker that must notice."""
        for slot, key in enumerate(keys):
            self._start(slot, key)

    def in_slot(self, slot):
        with self._lock:
            return self._candidates[slot]

    def living(self):
        with self._lock:
            return [c for c in self._candidates if c is not None]

    def leader(self):
        """The candidate whose tree left proof of life just now, or None."""
        latest = self.proofs.latest
        if latest is None or latest[0] < boottime_ns() - LEADS_NS:
            return None
        for candidate in self.living():
            if candidate.name == latest[1]:
                return candidate
        return None

    def power_off(self):
        """The end of all hosts and of whatever runs on them."""
        self._over.set()
        self.replace = False
        for candidate in self.living():
            first = candidate.first()
            if first is not None:
                first.send(signal.SIGKILL)
        self.watch_until(lambda: not self.living(), PATIENCE_S, "the end of all hosts")

    # The watch

    def watch(self):
        """Takes in what is new; to be called often."""
        for stream, sink in self._streams:
            for line in stream.lines():
                sink.add(line)
        for candidate in self.living():
            self.read_log(candidate)
            if candidate.poll() is not None:
                self._bury(candidate)

    def read_log(self, candidate):
        with self._lock:
            if self._candidates[candidate.slot] is not candidate:
                return
            grants, strange = candidate.read_log()
            self.grants += grants
            self.reports += [
                "%s: %s" % (candidate.name, line)
                for line in strange
                if any(word in line for word in REPORT_WORDS)
            ]

    def _bury(self, candidate):
        self.read_log(candidate)
        status = candidate.poll()
        self.endings.append(
            Ending(candidate.name, status, candidate.explained, candidate.done_to_it)
        )
        with self._lock:
            # An unexplained end is for people to look at, however many came after.
            candidate.forget()
            if status in candidate.explained:
                self._old_logs.append(candidate.log_path)
            while len(self._old_logs) > LOGS_KEPT:
                self._old_logs.pop(0).unlink()
            self._candidates[candidate.slot] = None
            if self.replace:
                self._start(candidate.slot, KEY)

    def watch_until(self, predicate, timeout, what):
        """Whether it came true in time, and did so early."""

        def look():
            self.watch()
            return predicate()

        try:
            return wait_until(look, timeout=timeout, what=what, every=0.02)
        except AssertionError:
            return False

    # Looking at it

    def usage(self):
        """What the guardians of the steady candidates hold."""
        found = []
        for candidate in self.living():
            if not candidate.steady:
                continue
            for process in candidate.processes():
                if process.name in ("leaderwrap", "lw-guard", "lw-keeper"):
                    who = "%s %s" % (candidate.name, process.name)
                    found.append(Usage(who, *self._holds(process.pid)))
        return found

    @staticmethod
    def _holds(pid):
        with open("/proc/%d/status" % pid, encoding="ascii", errors="replace") as file:
            fields = dict(line.split(":", 1) for line in file if ":" in line)
        return len(os.listdir("/proc/%d/fd" % pid)), int(fields["VmRSS"].split()[0])

    def zombies(self):
        """Children of the candidates that have ended and that nobody reaps."""
        found = {}
        for candidate in self.living():
            for process in candidate.processes():
                if process.state == "Z":
                    key = (process.pid, process.started)
                    found[key] = "%s %d of %s" % (process.name, process.pid, candidate.name)
        return found

    def connections(self):
        """How many connections of candidates the server has that has the lease."""
        try:
            return clients_of(self.deployment.master, self.hosts)
        except (Skip, OSError, RedisError):
            return None

    def expected_connections(self):
        """A leader has one, a follower listens on another; a witness is asked by its own, once
        somebody has learnt of it."""
        slots = len(self.hosts)
        least = 2 * slots - 1
        return range(least, least + slots * self.deployment.PER_CANDIDATE + 1)

    def evidence(self, faults, healed_ns, quiet_ns):
        return Evidence(
            ttl_ns=TTL_S * SECOND_NS,
            margin_ns=MARGIN_MS * MS_NS,
            proofs=self.proofs,
            counter=self.counter,
            lateness=self.lateness,
            keeper_lateness=self.keeper_lateness,
            strikes=faults.strikes if faults else [],
            freezes=faults.freezes if faults else [],
            grants=self.grants,
            endings=self.endings,
            healed_ns=healed_ns,
            quiet_ns=quiet_ns,
            reports=self.reports,
        )

    def leftovers(self):
        """Living processes of candidates."""
        names = ("leaderwrap", "lw-guard", "lw-keeper", "host")
        ours = set(self.arena.leftovers())
        return [
            "%d (%s)" % (p.pid, p.name)
            for p in processes.everything().values()
            if p.pid in ours and (p.name in names or p.name.startswith("pulse-"))
        ]
