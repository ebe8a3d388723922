"""The exit status: one row, one test."""

import concurrent.futures
import os
import signal
import time

import pytest

from tests.lib import RedisServer, processes, wait_until

# Long enough that no deadline comes near on a busy machine; all that these tests wait for is pushed.
CALM = {"ttl": "60s"}


@pytest.fixture
def witness(arena):
    """Starts a leader whose command is a `witness` (see witness.c) and has begun to watch."""

    def start(redis, *options, lead=(), **more):
        command = [arena.built("witness"), *options]
        arguments = {**CALM, **more}
        worker = arena.worker("--assume-fresh", *lead, command=command, redis=redis, **arguments)
        worker.wait_output("main ready")
        return worker

    return start


def occupy(arena, redis):
    """Makes everybody wait for the lease: a free one, whose key somebody else has."""
    assert shell(arena, redis, "exit 0").returncode == 0
    redis.command("SET", "test", "occupied")


def shell(arena, redis, script, *options, key="test", timeout=30):
    """Runs a shell's `script` under leaderwrap to its end."""
    arguments = ["--redis", redis.url(), "--key", key, "--assume-fresh", *options]
    return arena.run(*arguments, "--", "sh", "-c", script, timeout=timeout)


# The command ended by itself


def test_all_exit_codes_are_handed_on(arena, redis):
    def statuses(lane):
        codes = range(lane, 256, 4)
        key = "lane%d" % lane
        return {code: shell(arena, redis, "exit %d" % code, key=key).returncode for code in codes}

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        seen = {}
        for part in pool.map(statuses, range(4)):
            seen.update(part)
    assert seen == {code: code for code in range(256)}
    assert [redis.command("GET", "lane%d" % lane) for lane in range(4)] == [None] * 4


@pytest.mark.parametrize("name", ["TERM", "KILL", "SEGV", "HUP", "INT", "PIPE", "USR1"])
def test_a_signal_that_ended_the_command(arena, redis, name):
    done = shell(arena, redis, "ulimit -c 0; kill -%s $$" % name)
    number = signal.Signals["SIG" + name]
    assert done.returncode == 128 + number
    assert "ended by signal %d" % number in done.stderr
    assert redis.command("GET", "test") is None


def test_the_status_is_the_commands_own_and_not_that_of_its_leftovers(arena, redis):
    done = shell(arena, redis, "(trap '' TERM; sleep 600; exit 9) & exit 3", "--grace", "100ms")
    assert done.returncode == 3


# The command did not even start


@pytest.mark.parametrize(
    "command, status, reason",
    [
        (["leaderwrap-no-such-program"], 127, "No such file or directory"),
        (["/nowhere/at/all"], 127, "No such file or directory"),
        (["/etc/passwd"], 126, "Permission denied"),
        (["/"], 126, "Permission denied"),
        (["/etc/passwd/x"], 126, "Not a directory"),
    ],
)
def test_a_command_that_cannot_be_executed(arena, redis, command, status, reason):
    done = arena.run("--redis", redis.url(), "--assume-fresh", "--", *command)
    assert (done.returncode, done.stdout) == (status, "")
    assert done.stderr == "leaderwrap: cannot execute %s: %s\n" % (command[0], reason)
    assert redis.command("DBSIZE") == 0


@pytest.mark.parametrize("how, status", [("remove", 127), ("forbid", 126), ("spoil", 127)])
def test_a_command_that_is_spoilt_while_it_waits_for_its_turn(arena, redis, how, status):
    path = arena.folder / "command"
    path.write_text("#!/bin/sh\n", encoding="utf-8")
    path.chmod(0o755)
    occupy(arena, redis)
    worker = arena.worker("--retry", "50ms", command=[path], redis=redis, **CALM)
    worker.wait_event("waiting")
    if how == "remove":
        path.unlink()
    elif how == "forbid":
        path.chmod(0o644)
    else:
        path.write_text("#!/no/such/interpreter\n", encoding="utf-8")
    redis.command("DEL", "test")
    assert worker.wait() == status
    assert worker.find("exec_failed")
    assert redis.command("GET", "test") is None


# Stopped


@pytest.mark.parametrize("name", ["TERM", "INT", "QUIT"])
def test_stopped_while_it_follows(arena, redis, name):
    occupy(arena, redis)
    worker = arena.worker("--assume-fresh", command=["true"], redis=redis, **CALM)
    worker.wait_event("waiting")
    number = signal.Signals["SIG" + name]
    assert worker.stop(number) == 128 + number
    assert not worker.find("started")
    assert redis.command("GET", "test") == "occupied"


def test_stopped_while_redis_is_away(arena):
    worker = arena.worker(command=["true"], url="unix:///nowhere/redis.sock", **CALM)
    worker.wait_event("disconnected")
    assert worker.stop() == 128 + signal.SIGTERM


@pytest.mark.parametrize("name", ["TERM", "INT", "QUIT"])
@pytest.mark.parametrize("code", [0, 5])
def test_a_leader_is_stopped_and_its_command_exits(redis, witness, name, code):
    worker = witness(redis, "--exit-code", code)
    assert worker.stop(signal.Signals["SIG" + name]) == code
    assert worker.find("released")
    assert redis.command("GET", "test") is None


@pytest.mark.parametrize("name", ["TERM", "INT", "QUIT"])
def test_a_leader_is_stopped_and_its_command_dies_of_the_same_signal(redis, witness, name):
    number = signal.Signals["SIG" + name]
    assert witness(redis, "--die").stop(number) == 128 + number


def test_a_command_that_outstays_its_grace_is_killed(redis, witness):
    worker = witness(redis, "--stay", lead=["--grace", "200ms"])
    asked = time.monotonic()
    assert worker.stop() == 128 + signal.SIGKILL
    assert time.monotonic() - asked >= 0.2
    assert redis.command("GET", "test") is None


# Leaderwrap failed


def test_a_killed_keeper_is_a_failure_of_leaderwrap(redis, witness):
    worker = witness(redis)
    processes.send(worker.keeper, signal.SIGKILL)
    assert worker.wait() == 125
    assert worker.find("keeper_lost")
    assert redis.command("GET", "test") is None


# The lease was lost


def test_lost_to_somebody_else(redis, witness):
    worker = witness(redis, lead=["--on-lost", "exit", "--renew", "200ms"])
    redis.command("SET", "test", "intruder")
    assert worker.wait() == 79
    assert "intruder" in worker.find("lost")[0]["message"]
    assert redis.command("GET", "test") == "intruder"


def test_lost_for_want_of_redis(arena, redis, witness):
    worker = witness(redis, lead=["--on-lost", "exit"], ttl="2s")
    redis.freeze()
    assert worker.wait() == 79
    assert worker.find("deadline")


def test_lost_and_waiting_again_is_no_end(redis, witness):
    worker = witness(redis, lead=["--renew", "200ms", "--retry", "200ms"])
    redis.command("SET", "test", "intruder")
    worker.wait_event("waiting", after=worker.wait_event("lost"))
    redis.command("DEL", "test")
    worker.wait_event("started", after=worker.wait_event("tree_dead"))
    wait_until(lambda: worker.output == ["main ready"] * 2)
    assert worker.stop() == 0


# Redis is gone at the end: the command's status is told all the same, after two time-outs of a
# request, which are a sixth of the TTL

BRIEF = {"ttl": "6s"}
PROMPTLY_S = 20


@pytest.mark.parametrize("fault", [RedisServer.kill, RedisServer.freeze], ids=["dead", "frozen"])
@pytest.mark.parametrize("code", [0, 7])
def test_redis_is_gone_when_the_command_ends(arena, redis, fault, code):
    pipe = arena.folder / "pipe"
    os.mkfifo(pipe)
    script = "read line <%s; exit %d" % (pipe, code)
    worker = arena.worker("--assume-fresh", command=["sh", "-c", script], redis=redis, **BRIEF)
    worker.wait_event("started")
    fault(redis)
    asked = time.monotonic()
    pipe.write_text("go on\n", encoding="utf-8")
    assert worker.wait() == code
    assert time.monotonic() - asked < PROMPTLY_S
    assert worker.find("left")


@pytest.mark.parametrize("fault", [RedisServer.kill, RedisServer.freeze], ids=["dead", "frozen"])
def test_redis_is_gone_when_a_leader_is_stopped(redis, witness, fault):
    worker = witness(redis, "--exit-code", 5, **BRIEF)
    fault(redis)
    asked = time.monotonic()
    assert worker.stop() == 5
    assert time.monotonic() - asked < PROMPTLY_S


def test_redis_comes_back_in_time_for_the_release(redis, witness):
    worker = witness(redis, "--exit-code", 5)
    redis.freeze()
    worker.send(signal.SIGTERM)
    worker.wait_event("tree_dead")
    redis.thaw()
    assert worker.wait() == 5
    wait_until(lambda: redis.command("GET", "test") is None)
