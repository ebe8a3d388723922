"""--restart: a command that ends is started again in its term, or another node may try."""

import signal

from tests.lib import boottime_ns, check_terms, processes
from pair import ALONE, KEY, history, record, wait_subscribed, wait_tree

SECOND_NS = 10**9
CALM = {"ttl": "60s"}


def service(arena, redis, script, *options, **more):
    """A shell's script as a service. $0 is the test's folder."""
    command = ["sh", "-c", script, arena.folder]
    return arena.worker(*options, command=command, redis=redis, key=KEY, **{**CALM, **more})


def test_a_failure_is_started_again_in_the_same_term(arena, redis):
    script = 'echo $LEADERWRAP_TOKEN >>"$0/tokens"; exit 3'
    worker = service(arena, redis, script, "--assume-fresh", "--restart", "on-failure")
    first = worker.wait_event("restart")
    assert "again in 1 s" in first["message"]
    again = worker.wait_event("restart", after=first)
    assert "again in 2 s" in again["message"]
    assert again.told_ns - first.told_ns >= SECOND_NS * 0.99
    tokens = (arena.folder / "tokens").read_text().split()
    assert tokens == [record(redis)["tok"]] * 2
    assert len(worker.find("elected")) == 1 and record(redis)["st"] == "held"
    # There is nothing to stop in the pause; the status is the command's.
    assert worker.stop() == 3
    assert record(redis)["st"] == "free"
    assert [entry["event"] for entry in history(redis)] == ["begin", "end"]


def test_always_is_always(arena, redis):
    worker = service(arena, redis, "exit 0", "--assume-fresh", "--restart", "always")
    worker.wait_event("restart", after=worker.wait_event("restart"))
    assert worker.stop() == 0


def test_a_signal_is_a_failure(arena, redis):
    script = 'mkdir "$0/once" || exec sleep 600; ulimit -c 0; kill -SEGV $$'
    worker = service(arena, redis, script, "--assume-fresh", "--restart", "on-failure")
    worker.wait_event("started", after=worker.wait_event("restart"))
    assert worker.stop() == 128 + signal.SIGTERM


def test_leftovers_are_gone_before_it_starts_again(arena, redis):
    beat = arena.beat(*ALONE, "--daemonize", "--orphan", "--ignore-term")
    worker = arena.worker(
        *("--assume-fresh", "--restart", "always", "--grace", "100ms"),
        command=beat,
        redis=redis,
        key=KEY,
        **CALM,
    )
    worker.wait_event("restart", after=worker.wait_event("restart"))
    assert worker.stop() == 0
    check_terms(arena.beats())


def test_the_lease_is_renewed_in_the_pause(arena, redis):
    worker = service(
        arena, redis, "exit 1", "--assume-fresh", "--restart", "always", "--renew", "200ms"
    )
    told = worker.wait_event("restart", after=worker.wait_event("restart"))
    worker.wait_event("renewed", after=worker.wait_event("renewed", after=told))
    assert not worker.find("started", after=told)
    worker.stop()


def test_a_command_that_fails_here_runs_elsewhere(arena, redis):
    options = ("--restart", "on-failure", "--max-restarts", "2", "--penalty", "2s")
    failing = service(arena, redis, "exit 5", "--assume-fresh", *options)
    first = failing.wait_event("restart")
    healthy = arena.worker(*options, command=arena.beat(*ALONE), redis=redis, key=KEY, **CALM)
    healthy.wait_event("waiting")
    wait_subscribed(redis)
    back = failing.wait_event("stand_back", after=first)
    assert "failed 2 times in a row; standing back for 2 s" in back["message"]
    # Long before the TTL: it was released, and the release was pushed.
    won = healthy.wait_event("elected")
    wait_tree(arena, won["token"], ALONE)
    assert history(redis)[-2]["reason"] == "failed: exit 5"
    # It stands by again, and does not flap back.
    failing.wait_event("waiting", after=back)
    assert len(failing.find("elected")) == 1
    assert failing.stop() == 5
    assert healthy.stop() == 0


def test_where_nobody_else_takes_it_it_tries_again(arena, redis):
    options = ("--restart", "always", "--max-restarts", "1", "--penalty", "1s")
    worker = service(arena, redis, "exit 5", "--assume-fresh", *options)
    back = worker.wait_event("stand_back")
    free = worker.wait_event("elected", after=back)
    assert free.told_ns - back.told_ns >= SECOND_NS * 0.99
    # Stopped while it stands back, not while the command runs.
    worker.wait_event("stand_back", after=free)
    assert worker.stop() == 5


def test_a_keeper_killed_in_the_pause(arena, redis):
    worker = service(arena, redis, "exit 1", "--assume-fresh", "--restart", "always")
    worker.wait_event("restart", after=worker.wait_event("restart"))
    processes.send(worker.keeper, signal.SIGKILL)
    assert worker.wait() == 125
    assert record(redis)["st"] == "free"


def test_the_deadline_holds_in_the_pause_as_well(arena, redis):
    """A leader without a tree gives its lease up when it cannot renew it, and waits like anybody."""
    worker = service(arena, redis, "exit 1", "--assume-fresh", "--restart", "always", ttl="2s")
    worker.wait_event("restart", after=worker.wait_event("restart"))
    redis.freeze()
    frozen_ns = boottime_ns()
    worker.wait_event("deadline")
    assert boottime_ns() - frozen_ns < 60 * SECOND_NS
    mark = worker.mark()
    redis.thaw()
    worker.wait_event("elected", after=mark)
    worker.stop()
