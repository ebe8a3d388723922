"""--lock-delay: after a term that was not released the next command waits, and only then."""

import signal
import time

import pytest

from tests.lib import boottime_ns, check_terms, processes, wait_until
from pair import ALONE, KEY, SECOND_NS, history, record, start_pair, wait_tree

MINUTE = ("--lock-delay", "60s")


def first_beat_ms(arena):
    """When the last command began to beat, by the clock that the server has as well."""
    ago_ns = boottime_ns() - check_terms(arena.beats())[-1].first_ns
    return (time.time_ns() - ago_ns) / 1e6


def start(arena, redis, *options, command=("sleep", "600"), **more):
    """A candidate that finds no record: nobody knows whether an earlier leader is alive."""
    return arena.worker(*options, command=command, redis=redis, key=KEY, **{"ttl": "2s", **more})


def wait_delay(worker, after=None):
    """Waits until it is elected and has begun to wait; returns that event."""
    won = worker.wait_event("elected", after=after)
    assert "not known to have ended with a release: starting the command in" in won["message"]
    return won


def test_after_a_crash_the_command_waits(arena, redis):
    pair = start_pair(arena, redis, "--lock-delay", "5s", ttl_s=2, beat=ALONE)
    # The first leader had nobody to wait for.
    assert pair.won["message"].endswith("; starting the command")
    pair.leader.crash()
    won = wait_delay(pair.follower)
    assert won["message"].endswith("in 5 s")
    pair.handed_over()
    begin = history(redis)[-1]
    assert first_beat_ms(arena) - int(begin["at"]) >= 5000
    # The lease would have been out long before.
    started = pair.follower.wait_event("started")
    renewed = [e for e in pair.follower.find("renewed", after=won) if e.index < started.index]
    assert len(renewed) >= 2
    assert record(redis)["tok"] == begin["token"] == str(won["token"])


@pytest.mark.parametrize("how", ["stop", "kill9"])
def test_after_a_release_it_starts_at_once(arena, redis, how):
    """A keeper that has seen its tree die releases for a wrapper that was killed."""
    pair = start_pair(arena, redis, *MINUTE, "--retry", "60s", beat=ALONE)
    getattr(pair.leader, how)()
    _, _, taken = pair.handed_over()
    assert taken["message"].endswith("; starting the command")


def test_what_is_left_of_the_delay_is_left_to_the_next(arena, redis):
    worker = start(arena, redis, "--lock-delay", "8s")
    wait_delay(worker)
    begin = history(redis)[-1]
    assert worker.stop() == 128 + signal.SIGTERM
    assert not worker.find("started") and worker.find("released")
    assert record(redis)["st"] == "hold" and redis.command("GET", KEY) is None
    assert history(redis)[-1]["reason"] == "stopped"

    following = start(arena, redis, "--lock-delay", "8s", command=arena.beat(*ALONE))
    assert "keeps the lease closed" in following.wait_event("waiting")["message"]
    won = following.wait_event("elected")
    assert won["message"].endswith("; starting the command")
    wait_tree(arena, won["token"], ALONE)
    assert first_beat_ms(arena) - int(begin["at"]) >= 8000


def test_it_is_waited_once_per_term(arena, redis):
    script = 'mkdir "$0/once" || exec sleep 600; exit 1'
    worker = start(
        arena,
        redis,
        *("--lock-delay", "3s", "--restart", "on-failure"),
        command=("sh", "-c", script, arena.folder),
        ttl="6s",  # the term has to last, however busy the machine
    )
    wait_delay(worker)
    again = worker.wait_event("restart")
    assert "again in 1 s" in again["message"]
    worker.wait_event("started", after=again)
    assert len(worker.find("elected")) == 1


def test_the_runtime_of_a_job_counts_from_its_start(arena, redis):
    arguments = ["--once", "--redis", redis.url(), "--key", KEY, "--ttl", "2s"]
    arguments += ["--lock-delay", "3s", "--max-runtime", "1s"]
    done = arena.run(*arguments, "--", "sh", "-c", "echo ran; exec sleep 600")
    assert (done.returncode, done.stdout) == (124, "ran\n")


def test_the_counter_waits_as_well(arena, redis):
    worker = start(arena, redis, "--lock-delay", "3s", command=None)
    wait_delay(worker)
    assert redis.command("GET", "global_counter") is None
    wait_until(lambda: redis.command("GET", "global_counter") is not None)
    begin = history(redis)[-1]
    assert time.time_ns() / 1e6 - int(begin["at"]) >= 3000


def test_a_keeper_killed_in_the_delay(arena, redis):
    worker = start(arena, redis, *MINUTE)
    wait_delay(worker)
    processes.send(worker.keeper, signal.SIGKILL)
    assert worker.wait() == 125
    assert record(redis)["st"] == "hold"


def test_the_deadline_holds_in_the_delay_as_well(arena, redis):
    worker = start(arena, redis, *MINUTE)
    wait_delay(worker)
    redis.freeze()
    frozen_ns = boottime_ns()
    ended = worker.wait_event("deadline")
    assert boottime_ns() - frozen_ns < 30 * SECOND_NS
    redis.thaw()
    worker.wait_event("waiting", after=ended)
    assert not worker.find("started")
    assert worker.stop() == 128 + signal.SIGTERM


def test_a_lease_lost_in_the_delay(arena, redis):
    worker = start(arena, redis, *MINUTE, "--on-lost", "exit")
    wait_delay(worker)
    redis.command("SET", KEY, "somebody")
    assert worker.wait() == 79
    assert not worker.find("started") and worker.find("lost")


def test_a_wrapper_killed_in_the_delay_costs_a_ttl(arena, redis):
    worker = start(arena, redis, *MINUTE)
    wait_delay(worker)
    keeper = worker.keeper
    worker.kill9()
    processes.wait_gone(keeper)
    assert not worker.find("will_done") and record(redis)["st"] == "held"
    wait_delay(start(arena, redis, *MINUTE))
