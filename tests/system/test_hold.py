"""A hold that is on record is kept: through a restart of Redis, and through steps of its clock for
whoever has watched it."""

import signal

import pytest

from tests.lib import boottime_ns, processes, wait_until
from pair import ALONE, KEY, SECOND_NS, history, record, start_pair

HOUR_S = 3600
STEPS = pytest.mark.parametrize("step", [HOUR_S, -HOUR_S], ids=["forward", "back"])


def job(arena, redis, *options, ttl="1s"):
    """One tick, on a host of its own."""
    url = ["--redis", redis.url(), "--key", KEY, "--ttl", ttl]
    return arena.run("--once", *url, *options, "--", "sh", "-c", "echo ran")


def waiting(arena, redis, *options):
    worker = arena.worker(
        "--once",
        "--log-level",
        "info",
        *options,
        command=["sh", "-c", "echo ran"],
        redis=redis,
        ttl="1s",
    )
    worker.wait_event("waiting")
    return worker


def test_a_restart_of_redis_with_its_data_ends_no_hold(arena):
    redis = arena.redis("appendonly yes", "appendfsync always")
    assert job(arena, redis, "--assume-fresh", "--hold", "60s").stdout == "ran\n"
    redis.restart(kill=True)
    # Twice: the first one finds the record of another incarnation, the second one a vacancy.
    for _ in range(2):
        done = job(arena, redis, "--hold", "60s")
        assert (done.returncode, done.stdout) == (75, "")
    found = record(redis)
    assert found["st"] == "vacant" and 0 < int(found["hold"]) <= 60000


def test_a_hold_ends_after_a_restart_as_well(arena):
    redis = arena.redis("appendonly yes", "appendfsync always")
    began_ns = boottime_ns()
    assert job(arena, redis, "--assume-fresh", "--hold", "4s").stdout == "ran\n"
    redis.restart(kill=True)
    done = job(arena, redis, "--wait", "60s")
    assert (done.returncode, done.stdout) == (0, "ran\n")
    # By two clocks, each of which may be a little off.
    assert boottime_ns() - began_ns >= 4 * SECOND_NS * 98 // 100


def durable(arena):
    return arena.redis("appendonly yes", "appendfsync always")


def test_a_job_that_ends_after_a_restart_of_redis_leaves_its_hold(arena):
    """The restart comes between its last renewal and its release."""
    redis = durable(arena)
    options = ("--once", "--assume-fresh", "--hold", "10m")
    worker = arena.worker(*options, command=("sleep", 600), redis=redis, ttl="60s", key=KEY)
    worker.wait_event("started")
    redis.restart(kill=True)
    processes.send(worker.child, signal.SIGTERM)
    worker.wait_event("released")
    assert worker.wait() == 128 + signal.SIGTERM
    assert record(redis)["st"] == "hold"
    done = job(arena, redis, ttl="60s")
    assert (done.returncode, done.stdout) == (75, "")


def test_a_clean_end_after_a_restart_of_redis_hands_over_at_once(arena):
    """Though the follower has found the record uncertain before."""
    redis = durable(arena)
    pair = start_pair(arena, redis, beat=ALONE)
    redis.restart(kill=True)
    wait_until(lambda: record(redis)["st"] == "vacant", what="the follower's look")
    pair.leader.send(signal.SIGTERM)
    pair.leader.wait_event("released")
    pair.handed_over()


def test_a_last_will_after_a_restart_of_redis_hands_over_at_once(arena):
    redis = durable(arena)
    pair = start_pair(arena, redis, beat=ALONE)
    redis.restart(kill=True)
    wait_until(lambda: record(redis)["st"] == "vacant", what="the follower's look")
    pair.leader.kill9()
    pair.leader.wait_event("will_done")
    pair.handed_over()
    end = [entry for entry in history(redis) if entry["event"] == "end"][-1]
    assert end["reason"] == "wrapper killed"


@STEPS
def test_whoever_watches_a_hold_counts_it_out(arena, step):
    redis = arena.redis(fake_clock=True)
    began_ns = boottime_ns()
    assert job(arena, redis, "--assume-fresh", "--hold", "4s").stdout == "ran\n"
    left_ms = int(record(redis)["hold"])
    worker = waiting(arena, redis, "--wait", "60s", "--retry", "200ms")
    redis.set_clock(step)
    assert worker.wait() == 0
    waited_ms = (boottime_ns() - began_ns) // 1000000
    # Not sooner, though it looked at the time every 200 ms, and not an hour later.
    assert left_ms * 95 // 100 <= waited_ms < left_ms + 20000


def test_a_clock_that_was_set_back_costs_a_hold_more_at_most(arena):
    redis = arena.redis(fake_clock=True)
    assert job(arena, redis, "--assume-fresh", "--hold", "6s").stdout == "ran\n"
    redis.set_clock(-HOUR_S)
    # Each tick is a process of its own, which has seen nothing.
    assert job(arena, redis).returncode == 75
    assert wait_until(lambda: job(arena, redis).stdout == "ran\n", what="the next tick")


def test_a_clock_that_was_set_back_does_not_keep_a_dead_leader_alive(arena):
    redis = arena.redis(fake_clock=True)
    leader = arena.worker("--assume-fresh", command=("sleep", 600), redis=redis, ttl="2s")
    leader.wait_event("started")
    leader.crash()
    redis.set_clock(-HOUR_S)
    assert wait_until(lambda: job(arena, redis, ttl="2s").stdout == "ran\n", what="the next tick")
