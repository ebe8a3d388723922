"""Cron jobs: --once, whom it waits for, what it leaves behind, and its exit status, row by row."""

import concurrent.futures
import os
import pty
import random
import re
import signal
import time

import pytest

from tests.lib import PATIENCE_S, boottime_ns, processes, wait_until
from pair import KEY, history, record, wait_subscribed
from proxy import Proxy

SECOND_NS = 10**9
# No deadline comes near on a busy machine.
CALM = "60s"


def job(arena, redis, script, *options, key=KEY, ttl=CALM, fresh=True, timeout=30):
    """One tick: runs the shell's `script` once to its end. The next one may come at once."""
    first = ["--hold", "0s", *(["--assume-fresh"] if fresh else [])]
    arguments = ["--once", "--redis", redis.url(), "--key", key, "--ttl", ttl, *first, *options]
    return arena.run(*arguments, "--", "sh", "-c", script, timeout=timeout)


def start(arena, redis, *options, command=("sleep", 600), ttl=CALM, **more):
    """The same, to be watched while it runs."""
    return arena.worker(
        "--once", "--hold", "0s", *options, command=command, redis=redis, ttl=ttl, **more
    )


# What takes its time.
LONG = "sleep 600"


def lead(arena, redis, **more):
    """Somebody else who has the lease, for the job LONG."""
    worker = arena.worker("--assume-fresh", command=["sh", "-c", LONG], redis=redis, **more)
    worker.wait_event("started")
    return worker


def server_ms(redis):
    seconds, microseconds = redis.command("TIME")
    return int(seconds) * 1000 + int(microseconds) // 1000


def wait_hold_over(redis, key=KEY):
    """Waits until a hold is over, by the server's own clock."""
    until_ms = int(redis.command("HGET", "{%s}:term" % key, "until"))
    wait_until(lambda: server_ms(redis) > until_ms, what="the end of the hold")


# The exit status of a job that ran


@pytest.mark.parametrize("options", [(), ("--grace", "200ms")])
def test_stopped_by_a_person(arena, redis, options):
    worker = start(arena, redis, "--assume-fresh", *options)
    worker.wait_event("started")
    assert worker.stop() == 128 + signal.SIGTERM
    assert record(redis)["st"] == "free"


# ... and of one that did not, or not to its end


@pytest.mark.parametrize("options, status", [((), 75), (("-E", "0"), 0), (("-E", "10"), 10)])
def test_another_one_has_it(arena, redis, options, status):
    lead(arena, redis, ttl=CALM)
    done = job(arena, redis, LONG, *options)
    # Not a word: cron would send it by mail.
    assert (done.returncode, done.stdout, done.stderr) == (status, "", "")
    told = job(arena, redis, LONG, "--log-level", "info").stderr
    assert "not running the command: w0 leads" in told


@pytest.mark.parametrize("options", [(), ("-E", "0"), ("--wait", "100ms")])
def test_a_foreign_value_is_an_error(arena, redis, options):
    """It would switch the job off for ever, and nobody would be told."""
    assert job(arena, redis, "exit 0").returncode == 0
    redis.command("SET", KEY, "somebody's " + 100 * "x")
    done = job(arena, redis, "echo ran", *options)
    assert (done.returncode, done.stdout) == (125, "")
    line = done.stderr.rstrip("\n").splitlines()[-1]
    assert "error: not running the command: the key holds \"somebody's xxx" in line
    assert 'redis-cli DEL "%s"' % KEY in line and len(line) < 250


def test_no_server(arena):
    done = arena.run("--once", "--redis", "unix:///nowhere", "--", "echo", "ran")
    assert (done.returncode, done.stdout) == (69, "")
    assert "no such file or directory; the command was not run" in done.stderr
    # One mail of one line, however often it was tried.
    assert done.stderr.count("\n") == 1


def test_a_mute_server(arena, redis):
    redis.freeze()
    done = job(arena, redis, "echo ran", "--wait", "100ms")
    redis.thaw()
    assert (done.returncode, done.stdout) == (69, "")
    assert "does not answer; the command was not run" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_server_that_comes_in_time(arena, redis):
    redis.kill()
    worker = start(arena, redis, "--assume-fresh", "--wait", "60s", command=["true"])
    worker.wait_event("disconnected")
    redis.start()
    assert worker.wait() == 0


def test_a_wrong_password(arena):
    redis = arena.redis("requirepass right")
    url = "unix://:wrong@%s" % redis.socket
    done = arena.run("--once", "--redis", url, "--", "echo", "ran")
    assert (done.returncode, done.stdout) == (125, "")
    assert "check the user and the password" in done.stderr


def test_the_lease_is_taken_away(arena, redis):
    worker = start(arena, redis, "--assume-fresh", "--renew", "300ms")
    child = worker.wait_child()
    redis.command("SET", KEY, "somebody")
    assert worker.wait() == 79
    assert worker.find("lost") and not processes.alive(child)


def test_no_renewal_in_time(arena, redis):
    worker = start(arena, redis, "--assume-fresh", ttl="2s")
    child = worker.wait_child()
    redis.freeze()
    assert worker.wait() == 79
    assert not processes.alive(child)
    redis.thaw()


HANGING = {
    "ends": "sleep 600",
    "obeys": "trap 'exit 0' TERM; while :; do sleep 0.05; done",
    "ignores": "trap '' TERM; while :; do sleep 0.05; done",
}


@pytest.mark.parametrize("script", HANGING.values(), ids=HANGING)
def test_the_job_takes_too_long(arena, redis, script):
    done = job(arena, redis, script, "--max-runtime", "500ms", "--grace", "300ms")
    assert done.returncode == 124
    assert "took too long" in done.stderr
    assert history(redis)[-1]["reason"] == "max runtime"
    assert record(redis)["st"] == "free"


# Waiting


def test_it_waits_for_the_lease(arena, redis):
    leader = lead(arena, redis, ttl=CALM)
    worker = start(arena, redis, "--wait", "forever", command=["true"])
    worker.wait_event("waiting")
    wait_subscribed(redis)
    leader.stop()
    assert worker.wait() == 0
    assert worker.find("started")


def test_it_waits_no_longer_than_it_was_told(arena, redis):
    lead(arena, redis, ttl=CALM)
    began_ns = boottime_ns()
    assert job(arena, redis, "echo ran", "--wait", "700ms").returncode == 75
    assert boottime_ns() - began_ns >= 0.7 * SECOND_NS


def test_stopped_while_it_waits(arena, redis):
    lead(arena, redis, ttl=CALM)
    worker = start(arena, redis, "--wait", "forever")
    worker.wait_event("waiting")
    assert worker.stop() == 128 + signal.SIGTERM


def test_the_very_first_tick(arena, redis):
    """Both wait out one TTL; who does not get it leaves then, and not at its next question."""
    pair = [start(arena, redis, ttl="5s") for _ in range(2)]
    wait_until(lambda: any(worker.find("started") for worker in pair))
    began_ns = boottime_ns()
    (loser,) = [worker for worker in pair if not worker.find("started")]
    assert loser.wait() == 75
    assert boottime_ns() - began_ns < 1.2 * SECOND_NS  # --retry is 5 s


@pytest.mark.parametrize("data", ["kept", "lost"])
def test_a_restart_of_redis_between_two_ticks_costs_no_run(arena, data):
    redis = arena.redis("appendonly yes")
    assert job(arena, redis, "exit 0", ttl="2s").returncode == 0
    redis.restart(keep_data=data == "kept")
    # Nobody can know whether somebody still runs: one TTL, although nothing was said of waiting.
    done = job(arena, redis, "echo ran", ttl="2s", fresh=False)
    assert (done.returncode, done.stdout) == (0, "ran\n")


def test_a_link_that_breaks_in_that_time_is_made_again(arena, redis):
    with Proxy(arena, redis) as proxy:
        worker = start(arena, redis, url=proxy.url, ttl="3s", command=["true"])
        began = worker.wait_event("waiting")
        # When it began is longer ago than a request may take (500 ms).
        wait_until(lambda: boottime_ns() - began.at_ns > SECOND_NS, what="a second")
        proxy.cut()
        assert worker.wait() == 0


def test_a_host_that_dies_blocks_for_no_longer_than_the_ttl(arena, redis):
    worker = start(arena, redis, "--assume-fresh", ttl="3s", command=["true"])
    assert worker.wait() == 0
    worker = start(arena, redis, ttl="3s", command=arena.beat("--every", 10))
    worker.wait_event("started")
    died_ns = boottime_ns()
    worker.crash()
    assert job(arena, redis, "echo ran", ttl="3s").returncode == 75
    done = job(arena, redis, "echo ran", "--wait", "20s", ttl="3s")
    assert (done.returncode, done.stdout) == (0, "ran\n")
    # 1 % and a moment for the clocks, and a busy machine's.
    assert boottime_ns() - died_ns < 3 * 3 * SECOND_NS


# Holding


def test_a_hold_keeps_the_next_ones_out(arena, redis):
    began_ns = boottime_ns()
    assert job(arena, redis, "echo ran", "--hold", "3s", "--name", "web4").stdout == "ran\n"
    assert record(redis)["st"] == "hold"
    assert redis.command("GET", KEY) is None
    done = job(arena, redis, "echo ran", "--log-level", "info")
    assert (done.returncode, done.stdout) == (75, "")
    told = r"not running the command: web4 ran it [\d.]+ m?s ago; closed for [\d.]+ m?s more \(--hold\)"
    assert re.search(told, done.stderr), done.stderr
    wait_hold_over(redis)
    # From the grant on, not from the end of the job.
    assert boottime_ns() - began_ns >= 3 * SECOND_NS
    assert job(arena, redis, "echo ran").stdout == "ran\n"


def test_a_person_at_a_terminal_is_told_why(arena, redis):
    assert job(arena, redis, "exit 0", "--hold", "60s", "--name", "web4").returncode == 0
    words = ["--once", "--redis", redis.url(), "--key", KEY, "--ttl", CALM, "sh", "-c", "exit 0"]
    master, terminal = pty.openpty()
    process = arena.spawn([*arena.leaderwrap_command(), *words], stderr=terminal)
    os.close(terminal)
    assert process.wait(PATIENCE_S) == 75
    told = os.read(master, 4096).decode()
    os.close(master)
    assert re.fullmatch(r".*: warning: not running the command: web4 ran it [^\n]*\n", told), told


def tick_of(arena, redis, *options):
    """The same line on three hosts, one after the other, with no option of ours but the TTL's."""
    url = ["--redis", redis.url(), "--key", KEY, "--ttl", CALM, "--assume-fresh"]
    command = ["--", "sh", "-c", "echo ran"]
    return [arena.run("--once", *url, *options, *command) for _ in range(3)]


def test_one_run_for_a_tick_without_any_options(arena, redis):
    done = tick_of(arena, redis)
    assert [host.returncode for host in done] == [0, 75, 75]
    assert [host.stdout for host in done] == ["ran\n", "", ""]
    assert [host.stderr for host in done] == ["", "", ""]
    found = record(redis)
    # From the grant on: what the job itself took is a part of it.
    assert found["st"] == "hold" and 0 < int(found["hold"]) <= 30000


@pytest.mark.parametrize("options", [("--hold", "0s"), ("--hold", "0"), ("--wait", "20s")])
def test_a_lock_has_no_hold(arena, redis, options):
    done = tick_of(arena, redis, *options)
    assert [host.stdout for host in done] == ["ran\n"] * 3
    assert record(redis)["st"] == "free"


# Two jobs with one key, by mistake

OTHER = 'warning: w0 holds the lease "%s" with another command line than ours' % KEY


def test_two_jobs_with_one_key_are_told(arena, redis):
    url = ["--redis", redis.url(), "--key", KEY, "--ttl", CALM, "--assume-fresh", "-E", "0"]
    done = arena.run("--once", *url, "--name", "w0", "--", "sh", "-c", "echo A")
    assert (done.returncode, done.stdout, done.stderr) == (0, "A\n", "")
    for command in (["sh", "-c", "echo B"], ["sh", "-c", "echo", "A"], ["/bin/sh", "-c", "echo A"]):
        done = arena.run("--once", *url, "--", *command)
        assert (done.returncode, done.stdout) == (0, "")
        assert done.stderr.count(OTHER) == 1 and done.stderr.count("\n") == 1, done.stderr
    assert arena.run("--once", *url, "--", "sh", "-c", "echo A").stderr == ""


def test_a_follower_tells_each_leader_with_another_command_once(arena, redis):
    lead(arena, redis, ttl=CALM)
    worker = arena.worker("--retry", "100ms", command=["sleep", 601], redis=redis, ttl=CALM)
    same = arena.worker("--retry", "100ms", command=["sh", "-c", LONG], redis=redis, ttl=CALM)
    told = worker.wait_event("other_command")
    assert told["level"] == "warning" and "w0 holds the lease" in told["message"]
    counter = arena.worker("--retry", "100ms", redis=redis, ttl=CALM)
    counter.wait_event("other_command")
    for follower in (worker, same):
        seen = follower.wait_event("waiting")
        for _ in range(3):
            seen = follower.wait_event("waiting", after=seen)
    assert len(worker.find("other_command")) == 1
    assert not same.find("other_command")


def test_a_hold_counts_from_the_start_of_the_job(arena, redis):
    assert job(arena, redis, "sleep 1", "--hold", "1s").returncode == 0
    assert record(redis)["st"] == "free"


def test_who_waits_gets_it_after_the_hold(arena, redis):
    assert job(arena, redis, "exit 0", "--hold", "2s").returncode == 0
    done = job(arena, redis, "echo ran", "--wait", "60s")
    assert (done.returncode, done.stdout) == (0, "ran\n")


def test_a_hold_outlives_a_killed_wrapper(arena, redis):
    worker = start(arena, redis, "--assume-fresh", "--hold", "60s")
    worker.wait_event("started")
    worker.kill9()
    wait_until(lambda: record(redis)["st"] != "held", what="its last will")
    assert record(redis)["st"] == "hold"
    assert job(arena, redis, "echo ran").returncode == 75


# Ten hosts, whose clocks differ by up to half a second

HOSTS = 10
LANES = 10
ROUNDS = 20
SKEW_S = 0.5
HOLD_S = 4


def tick(arena, redis, key, random_, file):
    """One round of one job: ten hosts, each at its own idea of the time. Returns how often it ran, or
    None where the machine was so slow that a host may have asked after the hold."""
    length_s = random_.choice([0, 0, random_.uniform(0, 2)])
    skews_s = [random_.uniform(0, SKEW_S) for _ in range(HOSTS)]
    runs_before = file.read_text().count("\n") if file.exists() else 0
    script = "echo $LEADERWRAP_TOKEN >>%s; sleep %.2f" % (file, length_s)
    hold = ("--hold", "%ds" % HOLD_S, "-E", "0")

    def host(skew_s):
        time.sleep(skew_s)
        return job(arena, redis, script, *hold, key=key, timeout=120).returncode

    began_ns = boottime_ns()
    with concurrent.futures.ThreadPoolExecutor(HOSTS) as pool:
        assert list(pool.map(host, skews_s)) == [0] * HOSTS
    if boottime_ns() - began_ns >= HOLD_S * SECOND_NS:
        return None
    return file.read_text().count("\n") - runs_before


@pytest.mark.limit(900)
def test_ten_hosts_run_it_once_in_each_of_200_rounds(arena, redis):
    def rounds(lane):
        key = "lane%d" % lane
        file = arena.folder / key
        random_ = random.Random(lane)
        counts = []
        for _ in range(5 * ROUNDS):
            counts.append(tick(arena, redis, key, random_, file))
            wait_hold_over(redis, key)
            if len(counts) - counts.count(None) == ROUNDS:
                break
        tokens = [int(line) for line in file.read_text().split()]
        assert tokens == sorted(set(tokens))
        return [count for count in counts if count is not None]

    with concurrent.futures.ThreadPoolExecutor(LANES) as pool:
        counts = [count for lane in pool.map(rounds, range(LANES)) for count in lane]
    assert counts == [1] * (LANES * ROUNDS)
