"""The tests' own tools, tested: a check that cannot fail proves nothing."""

import argparse
import os
import signal
import subprocess
import sys
import time

import pytest

from tests.lib import (
    Arena,
    RedisError,
    beat_problems,
    boottime_ns,
    check_terms,
    mutants,
    processes,
    read_beats,
    wait_gone,
    wait_until,
)
from tests.lib.programs import ROOT

# Speaks like leaderwrap and has its family: an elector, a guard, a keeper, a
# command.
STAND_IN = """
import json, os, signal, sys, time
def log(event, **more):
    os.write(2, (json.dumps({"event": event, "pid": os.getpid(), **more}) + "\\n").encode())
def on_term(*_):
    os.kill(guard, signal.SIGTERM)
    os.waitpid(guard, 0)
    log("exit")
    os._exit(7)
def end(pid):
    os.kill(pid, signal.SIGTERM)
    os.waitpid(pid, 0)
    os._exit(0)
guard = os.fork()
if guard == 0:
    keeper = os.fork()
    if keeper > 0:
        signal.signal(signal.SIGTERM, lambda *_: end(keeper))
        os.waitpid(keeper, 0)
        os._exit(0)
    child = os.fork()
    if child == 0:
        os.execvp("sleep", ["sleep", "600"])
    signal.signal(signal.SIGTERM, lambda *_: (os.kill(child, 9), os.waitpid(child, 0), os._exit(0)))
    while True:
        signal.pause()
signal.signal(signal.SIGTERM, on_term)
log("following", arguments=sys.argv[1:])
print("to standard output", flush=True)
os.write(2, b"no event\\n")
time.sleep(0.05)
log("elected", token=5)
while True:
    signal.pause()
"""


@pytest.fixture
def stand_in(tmp_path, monkeypatch):
    path = tmp_path / "stand_in"
    path.write_text("#!%s\n%s" % (sys.executable, STAND_IN), encoding="utf-8")
    path.chmod(0o755)
    monkeypatch.setenv("LEADERWRAP", str(path))
    monkeypatch.delenv("LEADERWRAP_VALGRIND", raising=False)


def write_beats(path, *lines):
    path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    return path


# Beats


def test_terms_one_after_the_other_pass(tmp_path):
    path = write_beats(
        tmp_path / "beats",
        "100 10 a 1 start",
        "110 11 a 1 start",
        "120 10 a 1 end",
        "130 11 a 1 beat",
        "140 12 b 5 start",
    )
    first, second = check_terms(path)
    assert (first.token, first.name, first.first_ns, first.last_ns) == (1, "a", 100, 130)
    assert (first.pids, first.ended) == ({10, 11}, {10})
    assert (second.token, second.pids) == (5, {12})


@pytest.mark.parametrize(
    "lines, problem",
    [
        # A process of the first term is alive when the second begins.
        (["100 1 a 1 start", "150 2 b 2 start", "160 1 a 1 beat", "170 2 b 2 beat"], "overlap"),
        # One nanosecond is enough.
        (["100 1 a 1 start", "150 1 a 1 beat", "150 2 b 2 start"], "overlap"),
        # Within one another.
        (["100 1 a 1 start", "120 2 b 2 start", "130 2 b 2 beat", "140 1 a 1 beat"], "overlap"),
        # Read its clock in time, but wrote after the next had begun: it was alive then.
        (["100 1 a 1 start", "150 2 b 2 start", "140 1 a 1 beat"], "went on"),
        (["100 1 a 2 start", "150 2 b 1 start"], "follows"),
        (["100 1 a 1 start", "150 2 b 1 start"], "both a and b"),
    ],
)
def test_planted_overlaps_are_found(tmp_path, lines, problem):
    path = write_beats(tmp_path / "beats", *lines)
    assert any(problem in found for found in beat_problems(read_beats(path)))
    with pytest.raises(AssertionError, match=problem):
        check_terms(path)


def beat(arena, token, *options):
    environment = {"LEADERWRAP_NAME": "n%d" % token, "LEADERWRAP_TOKEN": str(token)}
    return arena.spawn(arena.beat(*options), env=environment)


@pytest.mark.smoke
def test_beat_and_all_that_it_forks_leave_their_marks(arena):
    before = boottime_ns()
    process = beat(arena, 3, "--fork", 2, "--daemonize", "--exit-after", 100, "--exit-code", 9)
    assert process.wait(30) == 9
    wait_until(lambda: not arena.leftovers())
    (term,) = check_terms(arena.beats())
    assert len(term.pids) == 4 and term.ended == term.pids
    assert before < term.first_ns < term.last_ns < boottime_ns()


def test_two_beats_at_once_are_an_overlap(arena):
    beat(arena, 1)
    beat(arena, 2)
    wait_until(lambda: arena.beats().exists() and len(read_beats(arena.beats())) > 10)
    assert beat_problems(read_beats(arena.beats()))


def test_beat_ends_on_term_unless_told_otherwise(arena):
    meek = beat(arena, 1)
    stubborn = beat(arena, 1, "--ignore-term")
    slow = beat(arena, 1, "--term-delay", 50)
    wait_until(
        lambda: arena.beats().exists()
        and {b.pid for b in read_beats(arena.beats())} == {meek.pid, stubborn.pid, slow.pid}
    )
    for process in (meek, stubborn, slow):
        process.send_signal(signal.SIGTERM)
    assert meek.wait(30) == 0 and slow.wait(30) == 0
    seen = len(read_beats(arena.beats()))
    wait_until(lambda: len(read_beats(arena.beats())) > seen + 3)
    assert stubborn.poll() is None
    stubborn.kill()


# Redis


@pytest.mark.smoke
def test_redis_answers_at_once_and_restarts_on_its_port(arena):
    server = arena.redis("appendonly yes")
    assert server.command("SET", "a", 1) == "OK"
    assert server.cli("GET", "a") == "1"
    port, run_id = server.port, server.info()["run_id"]
    server.restart()
    assert (server.port, server.command("GET", "a")) == (port, "1")
    assert server.info()["run_id"] != run_id
    server.restart(keep_data=False)
    assert server.command("GET", "a") is None
    server.kill()
    assert not server.running
    server.start()
    with pytest.raises(RedisError, match="wrong number"):
        server.command("GET")


def test_redis_with_a_password(arena):
    server = arena.redis("requirepass s3cret")
    assert server.command("PING") == "PONG" and server.cli("PING") == "PONG"
    assert server.url("tcp") == "redis://:s3cret@127.0.0.1:%d/0" % server.port


def test_a_frozen_redis_does_not_answer(arena):
    server = arena.redis()
    server.freeze()
    with pytest.raises(TimeoutError):
        server.command("PING", timeout=0.2)
    server.thaw()
    assert server.command("PING") == "PONG"


def test_the_clock_of_redis_can_be_set(arena):
    server = arena.redis(fake_clock=True)

    def offset():
        return int(server.command("TIME")[0]) - time.time()

    assert abs(offset()) < 60
    server.set_clock(3600)
    assert 3500 < offset() < 3700
    server.set_clock(-7200.5)
    assert -7300 < offset() < -7100


# Workers


def test_worker_events_and_processes(arena, redis, stand_in):
    worker = arena.worker("--more", command=["sleep", 1], redis=redis)
    following = worker.wait_event("following")
    assert following["arguments"] == (
        ["--log-format", "json", "--log-level", "debug", "--name", "w0", "--redis", redis.url()]
        + ["--key", "test", "--ttl", "3s", "--more", "--", "sleep", "1"]
    )
    elected = worker.wait_event(("lost", "elected"), after=following, token=5)
    assert following.at_ns < elected.at_ns < boottime_ns()
    assert worker.wait_output("standard") == "to standard output"
    assert worker.lines == ["no event"]
    assert processes.command_line(worker.wait_child()).startswith("sleep")
    assert worker.tree() == [worker.guard, worker.keeper, worker.child]
    assert worker.stop() == 7
    assert worker.find("exit", after=worker.mark() - 1)
    with pytest.raises(AssertionError, match="its log has ended"):
        worker.wait_event("never")


def test_worker_crash_and_what_it_leaves(arena, stand_in):
    worker = arena.worker()
    child, keeper = worker.wait_child(), worker.keeper
    worker.crash()
    assert worker.wait() == 128 + signal.SIGKILL
    assert not processes.alive(keeper)
    assert arena.leftovers() == [child]
    arena.expect_leftovers()


def test_kill9_and_sigstop(arena, stand_in):
    worker = arena.worker()
    worker.wait_event("elected")
    worker.sigstop()
    assert processes.state(worker.pid) == "T"
    worker.cont()
    keeper = worker.keeper
    worker.kill9()
    assert not worker.running and processes.alive(keeper)
    processes.send(keeper, signal.SIGTERM)
    wait_gone(keeper)


def test_run_gives_output_and_status(arena, tmp_path, monkeypatch):
    path = tmp_path / "echo"
    path.write_text('#!/bin/sh\necho "$@"; exit 64\n', encoding="utf-8")
    path.chmod(0o755)
    monkeypatch.setenv("LEADERWRAP", str(path))
    monkeypatch.delenv("LEADERWRAP_VALGRIND", raising=False)
    done = arena.run("--help", 1)
    assert (done.stdout, done.returncode) == ("--help 1\n", 64)


# The end of a test


def test_a_process_left_over_is_found_and_ended(tmp_path):
    arena = Arena(tmp_path)
    script = "setsid sleep 600 >/dev/null 2>&1 & echo $!"
    done = subprocess.run(
        ["sh", "-c", script], env=arena.environment(), stdout=subprocess.PIPE, check=True
    )
    pid = int(done.stdout)
    # In the middle of execve(2) a process has no environment to be known by.
    wait_until(lambda: processes.command_line(pid).startswith("sleep"), what="the last exec")
    assert pid in arena.leftovers()
    (problem,) = arena.close(patience=0.1)
    assert "left over: %d" % pid in problem
    wait_gone(pid)


def test_a_report_of_a_sanitizer_is_found(tmp_path):
    arena = Arena(tmp_path)
    environment = arena.environment()
    path = environment["ASAN_OPTIONS"].split("=", 1)[1].split(":")[0]
    with open(path + ".123", "w", encoding="utf-8") as file:
        file.write("heap-use-after-free")
    (problem,) = arena.close()
    assert "heap-use-after-free" in problem


# Network


def test_links_between_hosts_can_be_cut_and_healed(arena):
    network = arena.network()
    near, far = network.host("near"), network.host("far")
    server = arena.redis(host=far)

    def ask(seconds=10):
        command = ["redis-cli", "-h", far.address, "-p", str(server.port), "PING"]
        process = arena.spawn(command, host=near, stdout=subprocess.PIPE)
        try:
            return process.communicate(timeout=seconds)[0]
        except subprocess.TimeoutExpired:
            process.kill()
            return None

    assert ask() == b"PONG\n"
    for direction in ("in", "out", "both"):
        near.drop(direction, far)
        assert ask(0.5) is None
        near.heal()
    assert ask() == b"PONG\n"
    far.reject(near)
    assert b"PONG" not in ask()
    assert not os.path.exists("/sys/class/net/switch")


# Mutants


LICENSE = "license: 'MIT'"


def test_a_mutant_is_its_text_and_nothing_else():
    text = mutants.mutated("wrong", "meson.build", LICENSE, "license: 'other'", "gnu11", "c11")
    whole = (ROOT / "meson.build").read_text(encoding="utf-8")
    assert text == whole.replace(LICENSE, "license: 'other'").replace("gnu11", "c11") != whole


@pytest.mark.parametrize("text, count", [("no such text", "0 times"), ("subdir(", " times")])
def test_a_mutant_wants_its_text_once(text, count):
    with pytest.raises(SystemExit, match="'wrong': .*%s in meson.build, not once" % count):
        mutants.mutated("wrong", "meson.build", text, "")


def try_all(capsys, caught):
    rows = [(name, "meson.build", LICENSE, "") for name in "ab"]
    options = argparse.Namespace(only="", jobs=2)
    status = mutants.try_all(rows, options, lambda number, row: caught[number])
    return status, capsys.readouterr().out.splitlines()[-1]


def test_mutants_that_nobody_notices_are_counted(capsys):
    noticed = mutants.Caught("somebody", "a while")
    assert try_all(capsys, [noticed, noticed]) == (0, "mutants: 2 passed, 0 failed")
    assert try_all(capsys, [noticed, None]) == (1, "mutants: 1 passed, 1 failed")
