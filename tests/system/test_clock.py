"""The server's wall clock steps, by an hour and either way. Nobody may lead too early for it, and
nobody may be kept from leading."""

import pytest

from tests.lib import boottime_ns
from pair import ALONE, KEY, TREE, start_pair, wait_until_ns

HOUR_S = 3600
STEPS = pytest.mark.parametrize("step", [HOUR_S, -HOUR_S], ids=["forward", "back"])
# A follower asks often, so that it would seize any chance; or never by itself, so that it has to
# know when its time has come.
OFTEN = ("--retry", "200ms")
NEVER = ("--retry", "60s")


@STEPS
def test_a_step_under_a_leader_changes_nothing(arena, step):
    redis = arena.redis(fake_clock=True)
    pair = start_pair(arena, redis, *OFTEN, "--renew", "600ms", ttl_s=3)
    mark = pair.wait_renewed().index
    redis.set_clock(step)
    stepped_ns = boottime_ns()
    pair.goes_on(after=mark, renewals=1)
    # Not even when all that was seen before the step has aged.
    wait_until_ns(stepped_ns + pair.ttl_ns + pair.ttl_ns // 6)
    pair.goes_on(after=pair.leader.mark(), renewals=1)


@STEPS
def test_a_crash_after_a_step_is_taken_over_within_the_ttl(arena, step):
    redis = arena.redis(fake_clock=True)
    pair = start_pair(arena, redis, *NEVER, ttl_s=2, beat=ALONE)
    mark = pair.wait_renewed().index
    redis.set_clock(step)
    # The last renewal is of the new time.
    pair.wait_renewed(pair.wait_renewed(mark))
    pair.leader.crash()
    _, _, taken = pair.handed_over()
    assert taken.told_ns - pair.leader.find("renewed")[-1].told_ns > pair.ttl_ns * 3 // 4


@STEPS
def test_a_step_after_a_crash_makes_the_takeover_neither_sooner_nor_later(arena, step):
    redis = arena.redis(fake_clock=True)
    # It asks often after a step forward, when the key itself is gone at once.
    pair = start_pair(arena, redis, *(OFTEN if step > 0 else NEVER), ttl_s=2, beat=ALONE)
    pair.wait_renewed()
    pair.leader.crash()
    redis.set_clock(step)
    # The key is gone at once, or will stay for an hour.
    assert (redis.command("PTTL", KEY) > HOUR_S * 1000) == (step < 0)
    _, _, taken = pair.handed_over()
    assert taken.told_ns - pair.leader.find("renewed")[-1].told_ns > pair.ttl_ns * 3 // 4


@STEPS
def test_a_clean_stop_after_a_step_hands_over(arena, step):
    redis = arena.redis(fake_clock=True)
    pair = start_pair(arena, redis, *NEVER, ttl_s=60, beat=TREE)
    redis.set_clock(step)
    assert pair.leader.stop() == 0
    pair.handed_over()
