"""Health checks: what makes a command unhealthy and what becomes of it then, what a check is given,
and that neither a check nor a hook outlives its term, whatever it does (see BESIDE)."""

import os
import shlex
import signal
import subprocess

import pytest

from tests.lib import boottime_ns, check_terms, processes, read_beats, wait_until
from pair import (
    ALONE,
    KEY,
    SECOND_NS,
    STUBBORN_TREE,
    history,
    pids,
    record,
    wait_any,
    wait_subscribed,
    wait_tree,
)

# No deadline comes near on a busy machine, and a follower learns of a release by a push alone.
CALM = {"ttl": "60s"}
ONLY_PUSHED = ("--retry", "60s")

OFTEN = ("--health-interval", "50ms")
ONCE = ("--health-retries", "1")

# Fails, but not before the command has set its signal handlers.
FAIL_LATER = "until [ -s beats ]; do sleep 0.02; done; exit 3"


def serve(arena, redis, check, *options, command=("sleep", 600), **more):
    """A service with a health check. Both work in the test's folder."""
    check = ("--health-cmd", check, *OFTEN)
    more = {"redis": redis, "key": KEY, **CALM, **more}
    return arena.worker("--assume-fresh", *ONLY_PUSHED, *check, *options, command=command, **more)


def follow(arena, redis, count=1, **more):
    """The healthy one, of so many, that stands by and listens."""
    more = {"command": arena.beat(*ALONE), "redis": redis, "key": KEY, **CALM, **more}
    worker = arena.worker("--assume-fresh", *ONLY_PUSHED, **more)
    worker.wait_event("waiting")
    wait_subscribed(redis, count)
    return worker


def lines(arena, name):
    path = arena.folder / name
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []


def shell(arena, *options, file="beats"):
    """A line for the shell that beats."""
    return "exec " + shlex.join(arena.beat(*options, file=file))


# The verdict


def test_a_healthy_command_stays_and_is_told_of_once(arena, redis):
    worker = serve(arena, redis, "echo >>checks", *ONCE)
    worker.wait_event("healthy")
    child = worker.child
    wait_until(lambda: len(lines(arena, "checks")) >= 5)
    assert len(worker.find("healthy")) == 1
    assert worker.child == child and not worker.find("child_exit")
    assert worker.stop() == 128 + signal.SIGTERM


@pytest.mark.parametrize(
    "beat, end",
    [
        (ALONE, "exited with 0"),
        ((*ALONE, "--ignore-term"), "was ended by signal 9 (Killed); leaderwrap sent it"),
    ],
    ids=["obeys", "ignores"],
)
def test_failures_in_a_row_stop_the_command(arena, redis, beat, end):
    worker = serve(arena, redis, FAIL_LATER, "--grace", "400ms", command=arena.beat(*beat))
    last = -1
    for number in (1, 2):
        last = worker.wait_event("health_failed", after=last)
        assert "the health check exited with 3 (%d of 3 in a row)" % number in last["message"]
    unhealthy = worker.wait_event("unhealthy", after=last)
    assert "exited with 3 (3 in a row); stopping the command" in unhealthy["message"]
    gone = worker.wait_event("child_exit", after=unhealthy)
    assert end in gone["message"]
    back = worker.wait_event("stand_back", after=gone)
    assert "the command was unhealthy; standing back for 2 min" in back["message"]
    assert history(redis)[-1]["reason"] == "unhealthy" and record(redis)["st"] == "free"
    (term,) = check_terms(arena.beats())
    if term.ended:
        assert term.ended == term.pids
    else:
        # It had its grace.
        assert gone.told_ns - unhealthy.told_ns > 200 * 10**6
    assert len(worker.find("unhealthy")) == 1


@pytest.mark.parametrize("policy", ["on-failure", "always"])
def test_with_restart_it_is_started_again_and_counts_as_a_failure(arena, redis, policy):
    """In the same term; that the command obeys the TERM with status 0 makes it no success."""
    restart = ("--restart", policy, "--max-restarts", "2")
    worker = serve(arena, redis, FAIL_LATER, *ONCE, *restart, command=arena.beat(*ALONE))
    told = worker.wait_event("restart")
    assert "again in 1 s" in told["message"]
    back = worker.wait_event("stand_back", after=told)
    assert "failed 2 times in a row" in back["message"]
    assert len(worker.find("unhealthy")) == 2 and len(worker.find("elected")) == 1
    (term,) = check_terms(arena.beats())
    assert term.token == worker.find("elected")[0]["token"]
    assert len(term.pids) == 2 and term.ended == term.pids
    assert [entry["event"] for entry in history(redis)] == ["begin", "end"]
    assert history(redis)[-1]["reason"] == "failed"


# Ways to be of no use as soon as the file "well" is gone: options, command.
WELL = "[ -e well ]"
BAD = {
    "unhealthy": (("--health-cmd", WELL, *OFTEN, *ONCE), ("sleep", 600)),
    "unhealthy-and-restarted": (
        ("--health-cmd", WELL, *OFTEN, *ONCE, "--restart", "always", "--max-restarts", "1"),
        ("sleep", 600),
    ),
    "failing": (
        ("--restart", "on-failure", "--max-restarts", "1"),
        ("sh", "-c", "while %s; do sleep 0.02; done; exit 5" % WELL),
    ),
}


def start_bad(arena, redis, bad, *options):
    """A leader that is well so far. Returns it and what makes it bad."""
    well = arena.folder / "well"
    well.touch()
    more, command = BAD[bad]
    options = ("--assume-fresh", *ONLY_PUSHED, *more, *options)
    worker = arena.worker(*options, command=command, redis=redis, key=KEY, **CALM)
    worker.wait_event("started")
    return worker, well.unlink


@pytest.mark.parametrize("bad", BAD)
def test_a_bad_command_moves_to_another_node_and_does_not_flap_back(arena, redis, bad):
    leader, turn_bad = start_bad(arena, redis, bad, "--penalty", "60s")
    others = [follow(arena, redis, count) for count in (1, 2)]
    turn_bad()
    back = leader.wait_event("stand_back")
    heir, won = wait_any(others, [-1, -1])
    # A fraction of the TTL.
    assert won.at_ns - back.at_ns < 10 * SECOND_NS
    wait_tree(arena, won["token"], ALONE)
    # The one node that is left is the next, not the one that stands back.
    heir.stop()
    others.remove(heir)
    won = others[0].wait_event("elected")
    wait_tree(arena, won["token"], ALONE)
    names = [entry["name"] for entry in history(redis) if entry["event"] == "begin"]
    assert names == [leader.name, heir.name, others[0].name]
    assert len(leader.find("elected")) == 1
    check_terms(arena.beats())


def test_it_leads_again_after_its_penalty_and_not_before(arena, redis):
    leader, turn_bad = start_bad(arena, redis, "unhealthy", "--penalty", "2s")
    heir = follow(arena, redis)
    turn_bad()
    back = leader.wait_event("stand_back")
    heir.wait_event("elected")
    heir.stop()
    again = leader.wait_event("elected", after=back)
    assert again.told_ns - back.told_ns > 1.9 * SECOND_NS


def test_failures_in_the_start_period_do_not_count_until_a_check_succeeds(arena, redis):
    worker = serve(arena, redis, WELL, *ONCE, "--health-start-period", "60s")
    last = -1
    for _ in range(3):
        last = worker.wait_event("health_starting", after=last)
    assert "exited with 1; not counted yet" in last["message"]
    (arena.folder / "well").touch()
    last = worker.wait_event("healthy", after=last)
    assert not worker.find("health_failed") and not worker.find("unhealthy")
    (arena.folder / "well").unlink()
    worker.wait_event("unhealthy", after=last)


def test_failures_count_after_the_start_period(arena, redis):
    worker = serve(arena, redis, "exit 1", *ONCE, "--health-start-period", "1s")
    last = worker.wait_event("health_starting")
    unhealthy = worker.wait_event("unhealthy", after=last)
    assert "(1 in a row)" in unhealthy["message"]
    assert unhealthy.told_ns - worker.find("started")[0].told_ns > SECOND_NS // 2


def test_a_success_makes_up_for_failures(arena, redis):
    """Fails twice, succeeds, and so on."""
    check = "echo >>checks; [ $(($(wc -l <checks) % 3)) = 0 ]"
    worker = serve(arena, redis, check, "--health-retries", "3")
    last = -1
    for _ in range(3):
        for number in (1, 2):
            last = worker.wait_event(("health_failed", "unhealthy"), after=last)
            assert "(%d of 3 in a row)" % number in last["message"]
        last = worker.wait_event("healthy", after=last)
    assert not worker.find("child_exit")


# The check itself


def test_a_check_that_hangs_has_failed_and_is_killed_with_all_it_started(arena, redis):
    check = shell(arena, *STUBBORN_TREE, file="checks")
    worker = serve(arena, redis, check, *ONCE, "--health-timeout", "1s")
    unhealthy = worker.wait_event("unhealthy")
    assert "took longer than 1 s and was killed (1 in a row)" in unhealthy["message"]
    found = {beat.pid for beat in read_beats(arena.beats("checks"))}
    assert len(found) == 3
    assert not [pid for pid in found if processes.alive(pid)]


@pytest.mark.parametrize("source", ["option", "environment"])
def test_the_shell_runs_it(arena, redis, source):
    check = """printf '%s|' "a  b" 'c"d' $LEADERWRAP_KEY | tr a-z A-Z >'out file' && ! false"""
    if source == "option":
        worker = serve(arena, redis, check)
    else:
        env = {"LEADERWRAP_HEALTH_CMD": check, "LEADERWRAP_HEALTH_INTERVAL": "50ms"}
        more = {"redis": redis, "env": env, **CALM}
        worker = arena.worker("--assume-fresh", command=["sleep", 600], **more)
    worker.wait_event("healthy")
    assert lines(arena, "out file") == ['A  B|C"D|TEST|']


def test_what_it_is_given(arena, redis):
    """The command's environment, no input, and of its output only what it calls an error."""
    check = "env >given.new; mv given.new given; echo output; echo error >&2; cat"
    outer = {"LEADERWRAP_EVENT": "outer", "LEADERWRAP_REASON": "outer", "LEADERWRAP_TOKEN": "1"}
    worker = serve(arena, redis, check, env=outer)
    worker.wait_event("healthy")
    expected = {
        "LEADERWRAP_TOKEN": str(worker.wait_event("elected")["token"]),
        "LEADERWRAP_KEY": KEY,
        "LEADERWRAP_NAME": worker.name,
        "LEADERWRAP_ID": redis.command("GET", KEY),
        "LEADERWRAP_TTL_MS": "60000",
    }
    given = dict(line.partition("=")[::2] for line in lines(arena, "given"))
    assert expected == {k: v for k, v in given.items() if k.startswith("LEADERWRAP")}
    worker.stop()
    assert set(worker.lines) == {"error"} and worker.output == []


def end_of_command(arena, leader):
    (arena.folder / "leave").touch()
    assert leader.wait() == 7


def end_by_term(_arena, leader):
    assert leader.stop() == 128 + signal.SIGTERM


def end_by_kill9(_arena, leader):
    leader.kill9()


# The next leader's command looks for what is left of the one before.
LOOK = 'flock --nonblock lock true || echo "$LEADERWRAP_TOKEN" >>overlaps; exec "$@"'


def follow_and_look(arena, redis, **more):
    (arena.folder / "lock").touch()
    return follow(arena, redis, command=["sh", "-c", LOOK, "sh", *arena.beat(*ALONE)], **more)


@pytest.mark.parametrize("end", [end_of_command, end_by_term, end_by_kill9])
def test_a_check_is_dead_before_the_release(arena, redis, end):
    """It is so large that the command is gone long before it, and it holds a lock."""
    command = ["sh", "-c", "until [ -e leave ]; do sleep 0.02; done; exit 7"]
    check = "exec %s --lock lock --daemons 400 >ready" % shlex.quote(str(arena.built("unruly")))
    leader = serve(arena, redis, check, "--health-timeout", "600s", command=command)
    wait_until(lambda: lines(arena, "ready"), what="the check to be ready")
    follower = follow_and_look(arena, redis)
    end(arena, leader)
    taken = follower.wait_event("elected")
    wait_tree(arena, taken["token"], ALONE)
    assert lines(arena, "overlaps") == []


@pytest.mark.parametrize(
    "options, words",
    [
        (("--once", "--health-cmd", "true"), "--health-cmd is not for --once"),
        (("--health-interval", "1s"), "--health-interval is for --health-cmd"),
        (("--health-cmd", " "), "--health-cmd: the command is empty"),
    ],
)
def test_refused(arena, options, words):
    done = arena.run("--redis", "unix:///nowhere", *options, "--", "true")
    assert (done.returncode, done.stdout) == (64, "") and words in done.stderr


# Beside the command: a hook and a check that will not end. Each of them, and the command, beats.

BESIDE = {
    "hangs": "exec {beat}",
    "forks": "{unruly} --lock lock --storm 4 --daemons 100 | (read ready; exec {beat})",
    "floods": "yes & yes >&2 & exec {beat}",
}
LONG = ("--hook-timeout", "600s", "--health-timeout", "600s")


def start_beside(arena, redis, habit, *options, prefix=(), ttl="60s"):
    """A leader with such companions, and a follower without. Returns them and "all are gone"."""
    words = {
        "beat": shlex.join(arena.beat(*STUBBORN_TREE)),
        "unruly": shlex.quote(str(arena.built("unruly"))),
    }
    line = "until [ -e go ]; do sleep 0.02; done; " + BESIDE[habit].format(**words)
    options = (*options, *LONG, "--on-acquire", line)
    command = arena.beat(*STUBBORN_TREE)
    leader = serve(arena, redis, line, *options, command=command, prefix=prefix, ttl=ttl)
    wait_until(lambda: redis.command("GET", KEY), what="a leader")
    token = int(record(redis)["tok"])
    follower = follow_and_look(arena, redis, ttl=ttl)
    (arena.folder / "go").touch()
    wait_until(lambda: len(pids(arena, token)) == 9, what="command, hook and check to beat")

    def all_gone():
        value = str(token)
        return not [
            pid
            for pid in arena.leftovers()
            if processes.environment(pid).get("LEADERWRAP_TOKEN") == value
        ]

    return leader, follower, all_gone


def handed_over(arena, follower, all_gone):
    """Waits until the follower leads, without an overlap. Returns the first of the two terms."""
    taken = follower.wait_event("elected")
    assert all_gone()
    wait_tree(arena, taken["token"], ALONE)
    first, second = check_terms(arena.beats())
    assert (second.token, second.name) == (taken["token"], follower.name)
    assert lines(arena, "overlaps") == []
    return first


@pytest.fixture
def unseen(arena):
    """What to put before the program's name so that nobody sees its standard error: it is read and
    thrown away, or is a pipe that is full and stays so."""
    path = arena.folder / "pipe"
    os.mkfifo(path)
    opened = []

    def prefix(is_read):
        if is_read:
            arena.spawn(["cat", path], stdout=subprocess.DEVNULL)
        else:
            opened.append(os.open(path, os.O_RDWR | os.O_NONBLOCK))
            with pytest.raises(BlockingIOError):
                while True:
                    os.write(opened[0], b"\n")
        return ["sh", "-c", 'exec "$@" 2>"$0"', str(path)]

    yield prefix
    for descriptor in opened:
        os.close(descriptor)


def freeze_redis(redis, leader):
    redis.freeze()
    frozen_ns = boottime_ns()
    assert leader.wait() == 79
    return frozen_ns


def stop_wrapper(_redis, leader):
    leader.sigstop()
    return boottime_ns()


@pytest.mark.parametrize("fault", [freeze_redis, stop_wrapper])
@pytest.mark.parametrize(
    "habit, is_read",
    [("hangs", None), ("forks", None), ("floods", True), ("floods", False)],
    ids=["hangs", "forks", "floods", "floods-unread"],
)
def test_no_deadline_is_delayed(arena, redis, unseen, habit, is_read, fault):
    prefix = [] if is_read is None else unseen(is_read)
    options = ("--on-lost", "exit", "--margin", "500ms", "--grace", "200ms")
    beside = start_beside(arena, redis, habit, *options, prefix=prefix, ttl="2s")
    leader, follower, all_gone = beside
    fault_ns = fault(redis, leader)
    if fault == freeze_redis:
        assert all_gone()
        redis.thaw()
    first = handed_over(arena, follower, all_gone)
    # The last renewal was granted before the fault.
    assert first.last_ns < fault_ns + 2 * SECOND_NS
    leader.cont()
    assert leader.wait() == 79


@pytest.mark.parametrize("habit", BESIDE)
def test_kill9_of_the_wrapper_ends_them_before_the_last_will(arena, redis, unseen, habit):
    prefix = unseen(True) if habit == "floods" else []
    leader, follower, all_gone = start_beside(arena, redis, habit, prefix=prefix)
    leader.kill9()
    killed_ns = boottime_ns()
    first = handed_over(arena, follower, all_gone)
    assert boottime_ns() - killed_ns < 20 * SECOND_NS
    assert not first.ended and history(redis)[-2]["reason"] == "wrapper killed"


def test_the_last_will_waits_for_their_keepers(arena, redis):
    worker = serve(arena, redis, shell(arena, *STUBBORN_TREE), "--health-timeout", "600s")
    token = worker.wait_event("elected")["token"]
    wait_tree(arena, token, STUBBORN_TREE)
    child, keeper = worker.child, worker.companion
    processes.stop(keeper)
    worker.kill9()
    wait_until(lambda: not processes.alive(child))
    enough = len(read_beats(arena.beats())) + 200
    wait_until(lambda: len(read_beats(arena.beats())) >= enough)
    assert record(redis)["st"] == "held"
    processes.wake(keeper)
    wait_until(lambda: record(redis)["st"] == "free")
    assert not [pid for pid in pids(arena, token) if processes.alive(pid)]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "stopped"])
@pytest.mark.parametrize("which, name", [(1, "the hook"), (2, "the health check")])
def test_without_their_keeper_all_is_swept(arena, redis, which, name, number):
    options = ("--renew", "300ms", "--grace", "600ms")
    leader, follower, all_gone = start_beside(arena, redis, "forks", *options)
    keepers = processes.children(leader.pid)
    names = []
    for pid in keepers:
        with open("/proc/%d/comm" % pid, encoding="utf-8") as file:
            names.append(file.read())
    assert names == ["lw-guard\n", "lw-keeper\n", "lw-keeper\n"]
    processes.send(keepers[which], number)
    assert leader.wait() == 125
    handed_over(arena, follower, all_gone)
    assert leader.find("keeper_lost")[0]["message"].startswith(name + ": the keeper ")
    assert not [pid for pid in keepers if processes.alive(pid)]


def test_a_keeper_is_needed_even_while_it_has_nothing_to_do(arena, redis):
    worker = serve(arena, redis, "echo >>checks", "--on-lose", "echo >>told")
    worker.wait_event("healthy")
    processes.send(worker.companion, signal.SIGKILL)
    assert worker.wait() == 125
    assert arena.leftovers() == [] and record(redis)["st"] == "free"
    # There is nobody left to run it.
    assert lines(arena, "told") == []


def test_a_wrapper_that_was_stopped_takes_no_keeper_for_hung(arena, redis):
    """What its keepers have done in time lies unread when it goes on; it stands by again."""
    hook = ("--on-acquire", "exec sleep 600", "--hook-timeout", "600s")
    worker = serve(arena, redis, "exec sleep 600", *hook, ttl="2s")
    started = worker.wait_event("started")
    follower = follow(arena, redis, ttl="2s")

    def guarded():
        keepers = [worker.keeper, *processes.children(worker.pid)[1:]]
        return [pid for keeper in keepers for pid in processes.children(keeper)]

    # The command, the hook and a check.
    wait_until(lambda: len(guarded()) == 3)
    processes.send(worker.pid, signal.SIGSTOP)
    follower.wait_event("elected")
    processes.send(worker.pid, signal.SIGCONT)
    worker.wait_event("waiting", after=started)
    assert not worker.find("keeper_lost") and worker.running


def test_a_run_after_an_unhealthy_one_has_its_streams(arena, redis):
    options = (*ONCE, "--on-lost", "exit", "--penalty", "100ms")
    command = ["sh", "-c", "echo here; exec sleep 600"]
    worker = serve(arena, redis, "exit 1", *options, command=command)
    wait_until(lambda: sum("here" in line for line in worker.output) >= 3)


def test_streams_that_leaderwrap_was_not_given_are_no_trouble(arena, redis):
    key = ("--key", KEY, "--redis", redis.url(), "--assume-fresh", "--ttl", "60s")
    hooks = ("--on-acquire", "echo >>acquired", "--on-lose", "echo >>ended")
    check = ("--health-cmd", "echo >>checked", "--health-interval", "20ms")
    words = [*arena.leaderwrap_command(), *key, *hooks, *check, "--", "sh", "-c"]
    words.append("until [ -s checked ] && [ -s acquired ]; do sleep 0.02; done")
    line = shlex.join(map(str, words)) + " <&- >&- 2>&-"
    done = subprocess.run(
        ["sh", "-c", line], cwd=arena.folder, env=arena.environment({}), check=False, timeout=60
    )
    assert done.returncode == 0
    assert lines(arena, "ended") == [""]
