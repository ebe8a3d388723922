"""What the run leaves behind, read while it is written and condensed: terms, counter, lateness."""

import dataclasses
import subprocess

from tests.lib import overlaps

BLOCK = 4096
GIVE_BACK = 4 << 20  # bytes read before their disk space is given back
NEVER_NS = 1 << 62


class Stream:
    """A file to which others append lines. What has been read is taken off the disk, all but the
    last block, in which the counter keeps its state."""

    def __init__(self, path):
        self.path = path
        path.touch()
        self._file = open(path, "rb")
        self._rest = b""
        self._freed = 0

    def lines(self):
        """The complete lines that are new."""
        data = self._rest + self._file.read()
        *lines, self._rest = data.split(b"\n")
        self._give_back()
        return [line.decode() for line in lines]

    def close(self):
        self._file.close()

    def _give_back(self):
        end = (self._file.tell() - BLOCK) // BLOCK * BLOCK
        if end - self._freed < GIVE_BACK:
            return
        place = ["--offset", str(self._freed), "--length", str(end - self._freed)]
        # A file system that cannot do it only costs space.
        subprocess.run(
            ["fallocate", "--punch-hole", *place, str(self.path)], check=False, capture_output=True
        )
        self._freed = end


class Proofs:
    """All terms so far."""

    def __init__(self):
        self._terms = overlaps.Terms()
        self.count = 0
        self.latest = None  # (ns, name) of the youngest proof

    def add(self, line):
        at, name, token, _role = line.split(" ")
        at_ns = int(at)
        self._terms.add(int(token), name, at_ns)
        self.count += 1
        if self.latest is None or at_ns > self.latest[0]:
            self.latest = (at_ns, name)

    @property
    def problems(self):
        return list(self._terms.problems)

    def term(self, token):
        """That term, None if it has left none."""
        return self._terms.by_token.get(token)

    def in_order(self):
        return self._terms.in_order()


class Counter:
    """The fenced counter's log: each record must follow from the one before."""

    def __init__(self):
        self.value = 0
        self.highest = 0
        self.refused = {}  # token -> how many writes of it were fenced off
        self.problems = []

    def add(self, line):
        _, token, highest, value, sign = line.split()
        token, highest, value = int(token), int(highest), int(value)
        if sign == "+":
            if value != self.value + 1:
                self._complain("value %d follows %d", value, self.value)
            if token < self.highest:
                self._complain("token %d counted after token %d", token, self.highest)
        else:
            self.refused[token] = self.refused.get(token, 0) + 1
            if value != self.value:
                self._complain("a refused write changed %d to %d", self.value, value)
            if token >= self.highest:
                self._complain("token %d was refused, the highest was %d", token, self.highest)
        self.value = value
        self.highest = max(self.highest, highest)

    def _complain(self, text, *numbers):
        if len(self.problems) < 20:
            self.problems.append("the counter: " + text % numbers)


class Lateness:
    """The worst lateness in each second."""

    SECOND_NS = 10**9

    def __init__(self):
        self._seconds = {}

    def add(self, line):
        at_ns, late_ns = map(int, line.split())
        # It was late all the time until it noticed.
        for second in range((at_ns - late_ns) // self.SECOND_NS, at_ns // self.SECOND_NS + 1):
            self._seconds[second] = max(self._seconds.get(second, 0), late_ns)

    def worst_ns(self, from_ns=None, until_ns=None):
        if from_ns is None:
            return max(self._seconds.values(), default=0)
        seconds = range(from_ns // self.SECOND_NS, until_ns // self.SECOND_NS + 1)
        return max((self._seconds.get(second, 0) for second in seconds), default=0)


@dataclasses.dataclass
class Strike:
    """One fault as it happened. `name` is the candidate it struck, None for the server."""

    kind: str
    from_ns: int
    until_ns: int = NEVER_NS
    name: str = None


@dataclasses.dataclass
class Freeze:
    """A whole host stood still while a tree of it, with this token, ran."""

    name: str
    token: int
    from_ns: int
    thaw_ns: int = NEVER_NS


@dataclasses.dataclass
class Grant:
    """A candidate said that it was elected, or the record did; when we read that."""

    at_ns: int
    name: str
    token: int


@dataclasses.dataclass
class Ending:
    """A candidate's exit status and which ones would be explained by what was done to it."""

    name: str
    status: int
    explained: set
    done_to_it: list


@dataclasses.dataclass
class Usage:
    """What a long-lived process holds."""

    who: str
    descriptors: int
    rss_kb: int


@dataclasses.dataclass
class Evidence:
    """Everything the checker judges."""

    ttl_ns: int
    margin_ns: int
    proofs: Proofs
    counter: Counter
    lateness: Lateness  # of what runs at a normal priority
    keeper_lateness: Lateness  # of what runs at a keeper's priority
    strikes: list
    freezes: list
    grants: list
    endings: list
    healed_ns: int  # from here on nothing was disturbed
    quiet_ns: int  # until here; then all were stopped
    usage_before: list = dataclasses.field(default_factory=list)
    usage_after: list = dataclasses.field(default_factory=list)
    rss_growth: float = 2.0
    connections: tuple = (range(1), 0)  # (expected, found)
    zombies: list = dataclasses.field(default_factory=list)
    leftovers: list = dataclasses.field(default_factory=list)
    slow_ends: list = dataclasses.field(default_factory=list)
    reports: list = dataclasses.field(default_factory=list)  # of sanitizers
