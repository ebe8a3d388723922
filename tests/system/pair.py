"""Two candidates of one lease, the first leading a whole process tree: where most faults strike."""

import dataclasses

from tests.lib import (
    Arena,
    Event,
    RedisServer,
    Worker,
    boottime_ns,
    check_terms,
    read_beats,
    wait_until,
)

KEY = "test"
RECORD = "{test}:term"
HISTORY = "{test}:history"
EVENTS = "{test}:events"

# A command of three processes: itself, one of its group, and a daemon in a session of its own.
ALONE = ("--every", 10)
TREE = (*ALONE, "--fork", 1, "--daemonize")
STUBBORN_TREE = (*TREE, "--ignore-term")

SECOND_NS = 10**9


@dataclasses.dataclass(frozen=True)
class Manner:
    """How a pair leads."""

    options: tuple
    ttl_s: int
    beat: tuple


# A term that outlasts a fail-over (some 3 s): a renewal each second, and the command is stopped 8.6 s
# after the last good one.
PATIENT = Manner(("--renew", "1s", "--grace", "1s"), ttl_s=10, beat=ALONE)
# One that does not.
HASTY = Manner(("--margin", "500ms"), ttl_s=3, beat=STUBBORN_TREE)
# From the fault until a majority names another master: looked at, not asserted, by tests of the
# deployment; here only a bound for a busy machine.
FAIL_OVER_NS = 20 * SECOND_NS


def record(redis):
    """The lease's record as a dictionary of strings."""
    fields = redis.command("HGETALL", RECORD)
    return dict(zip(fields[::2], fields[1::2]))


def history(redis):
    """The begins and ends of terms, the oldest first, as dictionaries of strings."""
    entries = redis.command("XRANGE", HISTORY, "-", "+")
    return [dict(zip(fields[::2], fields[1::2])) for _, fields in entries]


def pids(arena, token):
    """All processes of that term that have beaten so far."""
    if not arena.beats().exists():
        return set()
    return {beat.pid for beat in read_beats(arena.beats()) if beat.token == token}


def wait_tree(arena, token, beat=TREE):
    """Waits until all processes of a term's tree beat, and then for some more beats: a process of
    an earlier term that is still alive has its chance to show."""
    size = 1 if beat == ALONE else 3
    wait_until(
        lambda: len(pids(arena, token)) == size, every=0.05, what="%d processes to beat" % size
    )
    enough = len(read_beats(arena.beats())) + 10 * size
    wait_until(lambda: len(read_beats(arena.beats())) >= enough, every=0.05, what="more beats")


def wait_subscribed(redis, count=1):
    """Waits until so many candidates listen to the lease's events."""
    wait_until(lambda: redis.command("PUBSUB", "NUMSUB", EVENTS)[1] == count)


def wait_until_ns(at_ns):
    """Waits for a time on the clock of boottime_ns()."""
    wait_until(lambda: boottime_ns() >= at_ns, timeout=max(0, at_ns - boottime_ns()) / 1e9 + 30)


def wait_any(workers, marks, name="elected"):
    """(worker, event) of the first worker that logs such an event behind its mark."""

    def found():
        for worker, mark in zip(workers, marks):
            for event in worker.find(name, after=mark):
                return worker, event
        return None

    return wait_until(found, what="any event " + name)


@dataclasses.dataclass
class Pair:
    arena: Arena
    redis: RedisServer
    leader: Worker
    follower: Worker
    won: Event  # the leader's "elected"
    child: int  # the leader's command
    beat: tuple
    ttl_ns: int

    @property
    def workers(self):
        return self.leader, self.follower

    def marks(self):
        return [worker.mark() for worker in self.workers]

    def wait_renewed(self, after=None):
        return self.leader.wait_event("renewed", after=self.won if after is None else after)

    def lease_end_ns(self):
        """The end of the lease that the leader's last renewal gave it; rather later than earlier,
        because it counts from when the renewal was reported."""
        last = (self.leader.find("elected") + self.leader.find("renewed"))[-1]
        return last.at_ns + self.ttl_ns

    def handed_over(self):
        """Waits until the follower leads; returns (first term, second term, its "elected")."""
        taken = self.follower.wait_event("elected")
        wait_tree(self.arena, taken["token"], self.beat)
        first, second = check_terms(self.arena.beats())[-2:]
        assert (first.token, second.token) == (self.won["token"], taken["token"])
        assert (first.name, second.name) == (self.leader.name, self.follower.name)
        return first, second, taken

    def somebody_leads(self, marks):
        """Waits until either leads again; returns (first term, next term, its "elected")."""
        _, taken = wait_any(self.workers, marks)
        wait_tree(self.arena, taken["token"], self.beat)
        first, second = check_terms(self.arena.beats())[-2:]
        assert (first.token, second.token) == (self.won["token"], taken["token"])
        return first, second, taken

    def goes_on(self, after, renewals=2):
        """The leader does, see the function; the follower never led."""
        goes_on(self.redis, self.leader, self.won, self.child, after, renewals)
        assert not self.follower.find("elected")
        term = check_terms(self.arena.beats())[-1]
        assert (term.token, term.ended) == (self.won["token"], set())


def goes_on(redis, leader, won, child, after, renewals=2):
    """Waits until the leader has renewed its lease behind that event or mark (twice: what the log
    says may be of a moment ago); asserts that it is the same term, of the same process, and that
    the server has it on record."""
    for _ in range(renewals):
        after = leader.wait_event("renewed", after=after)
    assert leader.child == child
    assert not leader.find("elected", after=won)
    on_record = record(redis)
    assert (on_record["st"], on_record["tok"]) == ("held", str(won["token"]))
    assert on_record["id"] == redis.command("GET", KEY)
    assert on_record["id"].startswith(leader.name + "#")
    assert on_record["ident"].startswith(redis.info("replication")["master_replid"])


def start_pair(
    arena,
    redis,
    *options,
    ttl_s=60,
    beat=TREE,
    hosts=(None, None),
    urls=(None, None),
    route=(),
    deaf=False,
):
    """A leader whose whole tree beats, and a follower that listens for its end, or cannot: then it
    is `deaf`. They find `redis` by the options `route`, where there are some."""
    make = {"command": arena.beat(*beat), "ttl": "%ds" % ttl_s, "key": KEY}
    if route:
        options = (*route, *options)
    else:
        make["redis"] = redis
    leader = arena.worker("--assume-fresh", *options, host=hosts[0], url=urls[0], **make)
    won = leader.wait_event("elected")
    wait_tree(arena, won["token"], beat)
    follower = arena.worker("--assume-fresh", *options, host=hosts[1], url=urls[1], **make)
    follower.wait_event("waiting")
    if not deaf:
        wait_subscribed(redis)
    return Pair(arena, redis, leader, follower, won, leader.child, beat, ttl_s * SECOND_NS)


def start_in_manner(arena, redis, manner, **more):
    """As start_pair, for what `manner` says; the leader has renewed."""
    pair = start_pair(arena, redis, *manner.options, ttl_s=manner.ttl_s, beat=manner.beat, **more)
    pair.wait_renewed()
    return pair
