"""What happens when leaderwrap's own processes are stopped or killed. The story of the command is
told by its heartbeats: terms must never overlap, daemons and grandchildren included."""

import signal

import pytest

from tests.lib import boottime_ns, check_terms, processes
from pair import (
    ALONE,
    SECOND_NS,
    STUBBORN_TREE,
    history,
    record,
    start_pair,
    wait_tree,
    wait_until_ns,
)

# With a lease this long a test would fail for want of patience if its end had to be waited for; and
# followers learn of a release only because it is pushed to them.
LONG_S = 60
ONLY_PUSHED = ("--retry", "60s", "--grace", "600ms")


def test_term_ends_the_tree_and_hands_over(arena, redis):
    pair = start_pair(arena, redis, "--retry", "60s", ttl_s=LONG_S)
    assert pair.leader.stop() == 0
    first, _, _ = pair.handed_over()
    # All of the tree was asked to end and did.
    assert first.ended == first.pids and len(first.pids) == 3
    end, begin = history(redis)[-2:]
    assert (end["event"], end["reason"], begin["event"]) == ("end", "stopped", "begin")


def test_a_tree_that_ignores_term_has_its_grace_and_is_killed(arena, redis):
    pair = start_pair(arena, redis, *ONLY_PUSHED, ttl_s=LONG_S, beat=STUBBORN_TREE)
    asked_ns = boottime_ns()
    assert pair.leader.stop() == 128 + signal.SIGKILL
    first, _, _ = pair.handed_over()
    assert first.last_ns > asked_ns + SECOND_NS // 10
    assert not first.ended


def test_kill9_of_the_wrapper_releases_at_once(arena, redis):
    pair = start_pair(arena, redis, *ONLY_PUSHED, ttl_s=LONG_S, beat=STUBBORN_TREE)
    pair.leader.kill9()
    first, _, _ = pair.handed_over()
    assert not first.ended
    end, begin = history(redis)[-2:]
    assert (end["event"], end["reason"], begin["event"]) == ("end", "wrapper killed", "begin")
    pair.leader.wait_event("will_done")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "stopped"])
def test_without_its_keeper_the_wrapper_kills_the_tree_and_fails(arena, redis, number):
    # A stopped keeper is found out by the next renewal's extension, which it does not confirm.
    options = (*ONLY_PUSHED, "--renew", "1s")
    pair = start_pair(arena, redis, *options, ttl_s=LONG_S, beat=STUBBORN_TREE)
    processes.send(pair.leader.keeper, number)
    assert pair.leader.wait() == 125
    first, _, _ = pair.handed_over()
    assert not first.ended
    lost = pair.leader.wait_event("keeper_lost")
    dead = pair.leader.wait_event("tree_dead", after=lost)
    pair.leader.wait_event("released", after=dead)


def test_a_crash_of_wrapper_and_keeper_is_taken_over_at_the_end_of_the_ttl(arena, redis):
    # A follower that never asks by itself must know the moment.
    pair = start_pair(arena, redis, "--retry", "60s", ttl_s=2, beat=ALONE)
    pair.wait_renewed()
    pair.leader.crash()
    renewed_ms = int(record(redis)["at"])
    pair.handed_over()
    end, begin = history(redis)[-2:]
    assert (end["event"], end["reason"], begin["event"]) == ("end", "expired", "begin")
    # 1 % for clocks that differ; both times are the server's.
    assert int(begin["at"]) - renewed_ms >= 2000 * 0.99


def test_a_stopped_wrapper_is_succeeded_and_stands_by_again(arena, redis):
    pair = start_pair(arena, redis, ttl_s=2, beat=STUBBORN_TREE)
    pair.wait_renewed()
    stopped_ns = boottime_ns()
    pair.leader.sigstop()
    first, _, _ = pair.handed_over()
    # The keeper ended it, in time.
    assert first.last_ns < pair.lease_end_ns()
    wait_until_ns(stopped_ns + 3 * pair.ttl_ns)

    mark = pair.leader.mark()
    pair.leader.cont()
    # Neither Redis nor the network is to blame.
    told = pair.leader.wait_event("stalled", after=mark)
    told = pair.leader.wait_event("deadline", after=told)
    assert "leaderwrap stood still" in told["message"]
    told = pair.leader.wait_event("tree_dead", after=told)
    told = pair.leader.wait_event("not_held", after=told)
    pair.leader.wait_event("waiting", after=told)
    assert not pair.leader.find("elected", after=mark)

    pair.follower.stop()
    again = pair.leader.wait_event("elected", after=mark)
    wait_tree(arena, again["token"], STUBBORN_TREE)
    assert [term.name for term in check_terms(arena.beats())] == ["w0", "w1", "w0"]
