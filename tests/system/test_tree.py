"""Whole process trees: whatever a command does to stay, nothing of it is left alive."""

import fcntl
import os
import signal
import subprocess

import pytest

from tests.lib import check_terms, processes, wait_until
from tests.lib.programs import leaderwrap_binary

CALM = {"ttl": "60s"}

# The worst that a command may do and must not get away with (see unruly.c).
STORM = ("--storm", 100)
HABITS = {
    "daemons": ("--daemons", 20),
    "chains": ("--chains", 64),
    "stubborn": ("--stubborn", 20),
    "stopped": ("--stopped", 20),
    "fork-on-term": ("--fork-on-term", 10),
    "zombies": ("--zombies", 20),
    "all": tuple(
        "--daemons 5 --stubborn 5 --stopped 5 --fork-on-term 5 --zombies 5 --storm 10".split()
    ),
}


def is_alive(arena):
    """Whether anything of an unruly command is there, in no time and without a look at /proc: all
    of it holds a lock."""
    with open(arena.folder / "lock", "w", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def left(arena):
    """Living processes of commands: what was executed under a lease has its token as a mark."""
    if is_alive(arena):
        return ["whoever holds the lock"]
    return [
        pid
        for pid in arena.leftovers()
        if "LEADERWRAP_TOKEN" in processes.environment(pid) and processes.alive(pid)
    ]


@pytest.fixture
def lead(arena, redis):
    """Starts a leader with an `unruly` command that has made all its processes."""

    def start(habits, *options, **more):
        command = [arena.built("unruly"), "--lock", arena.folder / "lock", *habits]
        worker = arena.worker(
            "--assume-fresh",
            *("--grace", "100ms"),
            *options,
            command=command,
            redis=redis,
            **{**CALM, **more},
        )
        worker.wait_output("ready")
        return worker

    return start


# How a term can end. Each returns when the lease is known to be given back or lost: from then on
# nothing may be alive.


def end_by_term(worker, redis):
    worker.stop()
    assert redis.command("GET", "test") is None


def end_by_kill9(worker, redis):
    worker.kill9()
    wait_until(lambda: redis.command("GET", "test") is None)


def end_by_loss(worker, redis):
    redis.command("SET", "test", "intruder")
    worker.wait_event("tree_dead")
    redis.command("DEL", "test")
    worker.stop()


def end_by_killed_keeper(worker, redis):
    processes.send(worker.keeper, signal.SIGKILL)
    assert worker.wait() == 125
    assert redis.command("GET", "test") is None


ENDS = [end_by_term, end_by_kill9, end_by_loss, end_by_killed_keeper]


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("habit", HABITS)
def test_nothing_survives(arena, redis, lead, habit, end):
    worker = lead(HABITS[habit], "--renew", "200ms")
    assert is_alive(arena)
    end(worker, redis)
    assert left(arena) == []


HIDDEN = ["unshare", "--mount", "sh", "-c", 'mount -t tmpfs none /proc && exec "$@"', "sh"]


def obstacle():
    if os.geteuid() != 0:
        return "mount namespaces need root"
    if b"__asan_" in leaderwrap_binary().read_bytes():
        return "without /proc a leak check fails, and cannot be told to stay away"
    if subprocess.run([*HIDDEN, "true"], capture_output=True, check=False).returncode != 0:
        return "this machine allows no mount namespaces"
    return None


def without_proc(test):
    """For the plain build, and where /proc can be hidden."""
    why = obstacle()
    return pytest.mark.smoke(pytest.mark.skipif(why is not None, reason=str(why))(test))


@without_proc
@pytest.mark.parametrize("end", ENDS)
def test_nothing_survives_without_proc(arena, redis, lead, end):
    worker = lead(HABITS["all"], "--renew", "200ms", prefix=HIDDEN)
    assert worker.find("no_proc")
    end(worker, redis)
    assert left(arena) == []


@without_proc
def test_nothing_is_left_behind_without_proc(arena, redis, lead):
    worker = lead((*HABITS["all"], "--leave", 7), prefix=HIDDEN)
    assert worker.wait() == 7
    assert left(arena) == []
    assert redis.command("GET", "test") is None


@without_proc
@pytest.mark.parametrize("option", [["--check"], []])
def test_no_start_where_children_could_hide(arena, redis, option):
    """What was forked by whoever executed leaderwrap cannot be told from what the command left."""
    script = 'mount -t tmpfs none /proc && { sleep 60 >/dev/null 2>&1 & exec "$@"; }'
    command = ["unshare", "--mount", "sh", "-c", script, "sh", *arena.leaderwrap_command(), *option]
    command += ["--redis", redis.url(), "--key", "test", "--", "true"]
    process = arena.spawn(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    said, _ = process.communicate(timeout=30)
    assert "/proc is missing" in said and "mount /proc" in said
    assert process.returncode == 125
    assert redis.command("GET", "test") is None
    for pid in arena.leftovers():
        processes.send(pid, signal.SIGKILL)


@pytest.mark.parametrize("habit", HABITS)
def test_nothing_is_left_behind_by_a_command_that_ends(arena, redis, lead, habit):
    worker = lead((*HABITS[habit], "--leave", 7))
    assert worker.wait() == 7
    assert left(arena) == []
    assert redis.command("GET", "test") is None


def test_the_lease_is_kept_until_the_leftovers_are_gone(arena, redis, lead):
    worker = lead(("--stubborn", 3, "--leave", 7), "--renew", "50ms", "--grace", "600ms")
    ended = worker.wait_event("child_exit")
    dead = worker.wait_event("tree_dead", after=ended)
    # They had their grace, and the lease was renewed meanwhile.
    assert dead.told_ns - ended.told_ns > 300 * 10**6
    assert worker.find("renewed", after=ended)
    worker.wait_event("released", after=dead)
    assert worker.wait() == 7
    assert left(arena) == []


# Each pair of the three that guard a command, and whether the lease is given back at once.
PAIRS = {
    "wrapper and keeper": (("pid", "keeper"), False),
    "wrapper and guard": (("pid", "guard"), True),
    "guard and keeper": (("guard", "keeper"), True),
}


@pytest.mark.skipif(os.geteuid() != 0, reason="to change a group needs root")
@pytest.mark.parametrize("pair", PAIRS)
@pytest.mark.parametrize("habit", HABITS)
def test_any_two_guardians_can_be_killed_at_one_instant(arena, redis, habit, pair):
    """The command has changed its credentials, so that the kernel sends it no death signal."""
    who, released = PAIRS[pair]
    unruly = [arena.built("unruly"), "--lock", arena.folder / "lock", *HABITS[habit]]
    command = ["setpriv", "--regid=65534", "--clear-groups", *unruly]
    worker = arena.worker("--assume-fresh", command=command, redis=redis, **CALM)
    worker.wait_output("ready")
    pids = [getattr(worker, name) for name in who]
    for pid in pids:
        processes.stop(pid)
    for pid in pids:
        processes.send(pid, signal.SIGKILL)
        processes.wait_gone(pid)
    wait_until(lambda: not is_alive(arena))
    if released:
        wait_until(lambda: redis.command("GET", "test") is None)
        assert not worker.find("guard_swept")
    else:
        worker.wait_event("guard_swept")
        wait_until(lambda: not arena.leftovers())
        assert redis.command("GET", "test")
    assert left(arena) == []


@pytest.mark.parametrize("end", ENDS)
def test_a_storm_is_ended_again_and_again(arena, redis, lead, end):
    for _ in range(6):
        worker = lead(STORM, "--renew", "200ms")
        end(worker, redis)
        assert left(arena) == []


def test_no_zombies_are_kept_while_the_command_runs(arena, redis, lead):
    script = (
        "for i in $(seq 200); do (setsid sh -c '(exit 3) & (exit 4) & exit 5' &); done; "
        "echo ready; exec sleep 600"
    )
    worker = arena.worker("--assume-fresh", command=["sh", "-c", script], redis=redis, **CALM)
    worker.wait_output("ready")

    def zombies():
        parents = worker.pid, worker.keeper
        everything = processes.everything().values()
        return [each.pid for each in everything if each.parent in parents and each.state == "Z"]

    wait_until(lambda: len(worker.tree()) == 3 and not zombies())
    assert worker.stop() == 128 + signal.SIGTERM


def test_the_next_leader_starts_after_the_last_of_a_stubborn_tree(arena, redis):
    command = arena.beat("--fork", 3, "--daemonize", "--ignore-term")
    for _ in range(3):
        worker = arena.worker(
            "--assume-fresh", "--grace", "50ms", command=command, redis=redis, **CALM
        )
        wait_until(lambda w=worker: w.keeper and len(processes.descendants(w.keeper)) == 5)
        wait_until(lambda: arena.beats().exists())
        worker.kill9()
    wait_until(lambda: redis.command("GET", "test") is None)
    assert left(arena) == []
    check_terms(arena.beats())


@pytest.mark.limit(300)
def test_a_thousand_trees_of_a_hundred_processes(arena):
    """Through the keeper's own code, which one program drives (see kills.c): a thousand whole
    leaderwraps would take too long."""
    count, size = 1000, 100
    command = [arena.built("kills"), count, size, arena.folder / "lock", arena.built("unruly")]
    process = arena.spawn(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    output, _ = process.communicate(timeout=290)
    assert (process.returncode, output) == (
        0,
        "%d trees of %d processes were killed, nothing was left\n" % (count, size),
    )
    assert arena.leftovers() == []
