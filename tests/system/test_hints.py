"""What is heard on the events channel is a hint: whoever sends it, and whatever it says, it neither
delays a takeover without end nor brings one forward."""

import threading

import pytest

from tests.lib import check_terms
from pair import ALONE, EVENTS, KEY, SECOND_NS, start_pair, wait_tree

TTL_S = 3

# From a crash: the question that is due within a TTL, the observation of a TTL, and as much again
# for a slow machine.
BOUND_NS = 6 * TTL_S * SECOND_NS


@pytest.fixture
def pair(arena, redis):
    return start_pair(arena, redis, ttl_s=TTL_S, beat=ALONE)


def taken_over(pair):
    """Crashes the leader; returns when the follower's command has been started, and when the
    leader's lease was out."""
    pair.wait_renewed()
    pair.leader.crash()
    out_ns = pair.leader.find("renewed")[-1].told_ns + pair.ttl_ns
    taken = pair.follower.wait_event("elected")
    wait_tree(pair.arena, taken["token"], ALONE)
    assert [term.name for term in check_terms(pair.arena.beats())] == ["w0", "w1"]
    return taken, out_ns


def test_a_leader_in_another_database_is_another_leader(arena, redis, pair):
    other = arena.worker(
        "--assume-fresh",
        command=arena.beat(*ALONE, file="others"),
        redis=redis,
        url=redis.url(db=1),
        ttl="%ds" % TTL_S,
        key=KEY,
    )
    other.wait_event("renewed")
    taken, out_ns = taken_over(pair)
    assert taken.at_ns < out_ns + BOUND_NS
    other.wait_event("renewed", after=other.mark())
    assert len(check_terms(arena.beats("others"))) == 1


class Stranger:
    """Somebody who may publish, and does, several times in each renewal."""

    def __init__(self, redis, messages):
        self._redis = redis
        self._messages = messages
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._sent = 0

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._ended.set()
        self._thread.join()
        assert self._sent > 20

    def _run(self):
        while not self._ended.wait(0.1):
            self._redis.command("PUBLISH", EVENTS, next(self._messages))
            self._sent += 1


def forged(redis, state, ttl_ms, version=None):
    """Messages without end, each of another version or all of the same, with a token that is as
    high as any can be."""
    replid = redis.info("replication")["master_replid"]
    number = 0
    while True:
        number += 1
        yield "1|%s|%s|%s|8999999999999999|%d|-1|somebody" % (
            state,
            replid,
            version or "%016x" % number,
            ttl_ms,
        )


@pytest.mark.parametrize("state", ["held", "vacant", "hold", "free"])
def test_a_stranger_on_the_channel_changes_nothing(redis, pair, state):
    with Stranger(redis, forged(redis, state, ttl_ms=1)):
        taken, out_ns = taken_over(pair)
    assert out_ns - TTL_S * SECOND_NS // 5 < taken.told_ns < out_ns + BOUND_NS
    assert taken["token"] < 8 * 10**15


def test_a_flood_of_hints_makes_few_questions(redis, pair):
    with Stranger(redis, forged(redis, "free", ttl_ms=1)):
        before = questions(redis)
        pair.wait_renewed()
        pair.wait_renewed(after=pair.leader.mark())
        pair.wait_renewed(after=pair.leader.mark())
    # Each renewal is a script too; the follower's own rhythm would be a question or two.
    assert questions(redis) - before < 25


def test_no_two_processes_name_their_versions_alike(arena, redis):
    """Else whoever listens could learn from the one what the other will write."""
    first_versions = set()
    for key in ("one", "two", "three"):
        make = {"command": arena.beat(*ALONE, file=key), "redis": redis, "ttl": "60s", "key": key}
        arena.worker("--assume-fresh", **make).wait_event("elected")
        first_versions.add(redis.command("HGET", "{%s}:term" % key, "ver"))
    assert len(first_versions) == 3


def questions(redis):
    """Scripts executed so far."""
    lines = redis.command("INFO", "commandstats").splitlines()
    calls = [line for line in lines if line.startswith("cmdstat_evalsha:")]
    return int(calls[0].split("calls=")[1].split(",")[0])
