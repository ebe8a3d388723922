"""The exit status as a table: what runs, what happens to it, and what comes out.

A row is (status, options, command, steps):

options  "" is service mode as it comes; --restart no says the same in words.
command  a script of the shell, or one of COMMANDS and FILES by its name. $0 is the test's folder.
steps    words, one after the other. A name of a signal sends it to leaderwrap. A name in FAULTS
         does what it says there; those before "start" happen before leaderwrap starts. Anything
         else is an event of the log to wait for; "ready" is a line that the command writes.

The sections of TABLE are the rows of doc/OPTIONS.md's table, in its words; a test compares the two. In
every row nothing of the command may be alive when the status comes out.
"""

import itertools
import os
import pathlib
import re
import shutil
import signal
import subprocess

import pytest

from tests.lib import Arena, processes
from tests.lib.programs import ROOT

# A lost lease is noticed soon, and no deadline comes near on a busy machine: a row that waits for
# one, or for requests to time out, has a --ttl of its own.
COMMON = ("--renew", "200ms", "--assume-fresh")
CALM = ("--ttl", "60s")

# Those with which leaderwrap itself speaks among them: the log tells who it was.
CODES = (0, 1, 3, 64, 69, 75, 79, 124, 125, 126, 127, 128, 143, 255)
FAILURES = (1, 79, 124, 125, 127, 143)
SIGNALS = "HUP INT QUIT ILL ABRT FPE KILL SEGV PIPE ALRM TERM USR1 XCPU SYS RTMIN".split()
STOPS = ("TERM", "INT", "QUIT")


def number_of(name):
    return getattr(signal, "SIG" + name)


def ended_by(name):
    return 128 + number_of(name)


LOOP = "echo ready; while :; do sleep 0.1; done"
COMMANDS = {
    "sleeps": "echo ready; exec sleep 600",
    "catches, 0": "trap 'exit 0' TERM INT QUIT; " + LOOP,
    "catches, 5": "trap 'exit 5' TERM INT QUIT; " + LOOP,
    "ignores": "trap '' TERM INT QUIT; echo ready; sleep 600",
    "waits, 7": 'echo ready; until [ -e "$0/go" ]; do sleep 0.05; done; exit 7',
    "daemon, 3": "setsid sleep 600 & exit 3",
    "stubborn daemon, 3": "trap '' TERM; setsid sleep 600 & exit 3",
    "3, then 0": 'mkdir "$0/once" && exit 3; exit 0',
    "3, then sleeps": 'mkdir "$0/once" && exit 3; echo ready; exec sleep 600',
    **{"dies of " + name: "ulimit -c 0; kill -%d $$" % number_of(name) for name in SIGNALS},
}


def without_loader():
    """A program whose loader (PT_INTERP) is not there, which only execve(2) finds out."""
    program = pathlib.Path(shutil.which("true")).read_bytes()
    return re.sub(rb"/lib(?=[^\0]*/ld-)", b"/nil", program, count=1)


# Things to execute that are no scripts given to a shell: the contents of a file, and its mode.
FILES = {
    "not there": None,
    "a folder": (None, 0o755),
    "not executable": ("exit 3\n", 0o644),
    "no such interpreter": ("#!/no/such/interpreter\n", 0o755),
    "interpreter not executable": ("#!/etc/passwd\n", 0o755),
    "empty": ("", 0o644),
    "no such loader": (without_loader(), 0o755),
    "no interpreter": ("exit 3\n", 0o755),  # execvp(3) hands it to the shell
}

ON_FAILURE = "--restart on-failure"
ALWAYS = "--restart always"
POLICIES = ("--restart no", ON_FAILURE, ALWAYS)
MODES = ("--once", *POLICIES)
STAND_BACK = " --max-restarts 1 --penalty 100ms"
STAND_LONG = " --max-restarts 1 --penalty 60s"

UNHEALTHY = "--grace 100ms --health-cmd false --health-interval 100ms --health-retries 1"

TABLE = {
    "the command's own; 128+n if signal n ended it": [
        # It ends by itself. For service mode test_status.py has all 256 codes, and signals.
        *[(code, "--once", "exit %d" % code, "") for code in CODES],
        *[(ended_by(name), "--once", "dies of " + name, "") for name in SIGNALS],
        (ended_by("RTMIN"), "--restart no", "dies of RTMIN", ""),
        (79, "--on-lost exit", "exit 79", ""),
        (7, "--once --max-runtime 60s", "exit 7", ""),
        (7, "--once --hold 60s", "exit 7", ""),
        (7, "--no-release", "exit 7", ""),
        (3, "", "no interpreter", ""),
        # What it leaves behind has no say, and whatever happens while that is swept neither.
        *[(3, mode, "daemon, 3", "") for mode in ("--once", "--restart no")],
        (3, "--once --grace 100ms", "stubborn daemon, 3", ""),
        (3, "--once --grace 10s", "stubborn daemon, 3", "child_exit TERM INT"),
        (3, "--once --grace 10s", "stubborn daemon, 3", "child_exit occupy"),
        (3, "--on-lost exit --grace 10s", "stubborn daemon, 3", "child_exit occupy"),
        (3, "--once --grace 10s", "stubborn daemon, 3", "child_exit kill-keeper"),
        (3, ALWAYS + " --grace 10s", "stubborn daemon, 3", "child_exit TERM INT"),
        # Redis is gone, in the middle or at the end. More of that is in test_status.py.
        (7, "--once --ttl 6s", "waits, 7", "ready kill-redis disconnected go left"),
        (7, "--once", "waits, 7", "ready kill-redis disconnected start-redis renewed go released"),
        # Signals that are passed on are the command's own affair.
        (129, "--once", "sleeps", "ready HUP"),
        (138, "", "sleeps", "ready USR1"),
        (129, ON_FAILURE, "sleeps", "ready HUP restart TERM"),
        # A restart policy: what is the end of it ...
        (0, ON_FAILURE, "exit 0", ""),
        (0, ON_FAILURE, "3, then 0", "restart started"),
        (0, ON_FAILURE + STAND_BACK, "3, then 0", "stand_back elected started"),
        # ... and what is not: only a signal to leaderwrap ends that.
        *[(code, ON_FAILURE, "exit %d" % code, "restart TERM") for code in FAILURES],
        *[(ended_by(n), ON_FAILURE, "dies of " + n, "restart TERM") for n in ("TERM", "KILL")],
        *[(code, ALWAYS, "exit %d" % code, "restart TERM") for code in (0, 3, 79)],
        (ended_by("SEGV"), ALWAYS, "dies of SEGV", "restart TERM"),
        (3, ALWAYS, "exit 3", "restart INT"),
        (3, ON_FAILURE + " --on-lost exit", "exit 3", "restart TERM"),
        (0, ALWAYS + " --max-restarts 1", "exit 0", "restart TERM"),
        # The limit of restarts is no end either: it stands back.
        *[(3, p + STAND_LONG, "exit 3", "stand_back TERM") for p in (ON_FAILURE, ALWAYS)],
        (3, ON_FAILURE + STAND_LONG + " --on-lost exit", "exit 3", "stand_back TERM"),
        # Stopped while it runs: with the status that it then has, and never started again.
        *[(ended_by("TERM"), mode, "sleeps", "ready TERM") for mode in MODES],
        *[(ended_by(name), "--once", "sleeps", "ready " + name) for name in ("INT", "QUIT")],
        *[(ended_by(name), ALWAYS, "sleeps", "ready " + name) for name in ("INT", "QUIT")],
        *[(0, mode, "catches, 0", "ready TERM") for mode in MODES],
        *[(5, mode, "catches, 5", "ready TERM") for mode in MODES],
        *[(5, "--once", "catches, 5", "ready " + name) for name in ("INT", "QUIT")],
        *[(137, mode + " --grace 100ms", "ignores", "ready TERM") for mode in MODES],
        *[(137, mode + " --grace 10s", "ignores", "ready TERM stopping TERM") for mode in MODES],
        (137, "--grace 10s", "ignores", "ready INT stopping QUIT"),
        (5, "--once --max-runtime 60s", "catches, 5", "ready TERM"),
        (5, "--on-lost exit", "catches, 5", "ready TERM"),
        (5, "--no-release", "catches, 5", "ready TERM left"),
        (143, ON_FAILURE, "3, then sleeps", "restart ready TERM"),
        (143, ON_FAILURE + STAND_BACK, "3, then sleeps", "stand_back ready TERM"),
    ],
    "128+n": [
        *[(ended_by(name), "", "sleeps", "occupy start waiting " + name) for name in STOPS],
        *[(143, policy, "sleeps", "occupy start waiting TERM") for policy in POLICIES[1:]],
        (143, "--once --wait forever", "sleeps", "occupy start waiting TERM"),
        (130, "--once --wait 60s", "sleeps", "occupy start waiting INT"),
        (143, "--on-lost exit", "sleeps", "occupy start waiting TERM"),
        (143, "", "sleeps", "kill-redis start disconnected TERM"),
        (143, "--once --wait forever", "sleeps", "kill-redis start disconnected TERM"),
        # A command that was killed because its lease was lost has left no status behind.
        (143, "--retry 200ms", "sleeps", "ready occupy lost waiting TERM"),
        # Nor has one that was stopped because it was unhealthy.
        (143, UNHEALTHY + " --penalty 60s", "ignores", "stand_back TERM"),
        (130, UNHEALTHY + " --penalty 60s", "catches, 5", "stand_back INT"),
        (143, ON_FAILURE + " " + UNHEALTHY, "catches, 5", "unhealthy restart TERM"),
        (143, ON_FAILURE + STAND_LONG + " " + UNHEALTHY, "catches, 5", "stand_back TERM"),
    ],
    "64": [
        (64, "--no-such-option", "exit 0", ""),
        (64, "--wait 15s", "exit 0", ""),
        (64, "--once --wait 15", "exit 0", ""),
        (64, "--once -E 256", "exit 0", ""),
        (64, "--once --restart always", "exit 0", ""),
        (64, "--once --health-cmd true", "exit 0", ""),
        (64, "--hook-timeout 1s", "exit 0", ""),
        (64, "--restart sometimes", "exit 0", ""),
        (64, "--max-restarts 1", "exit 0", ""),
        (64, "--password-file /nowhere", "exit 0", ""),
        (64, "--password-file command", "empty", ""),
        (64, "--counter-key k", "exit 0", ""),
        (64, "--check --renew 90s", "exit 0", ""),
    ],
    "69": [
        (69, "--once --ttl 2s", "exit 0", "kill-redis start unreachable"),
        (69, "--once --ttl 2s -E 0", "exit 0", "kill-redis start unreachable"),
        (69, "--once --ttl 2s --wait 100ms", "exit 0", "freeze start unreachable"),
        (69, "--check", "exit 0", "kill-redis start"),
        (69, "--check --ttl 2s", "exit 0", "freeze start"),
    ],
    "75, or what `-E` says": [
        (75, "--once", "exit 0", "rival start busy"),
        (75, "--once --wait 100ms", "exit 0", "rival start busy"),
        (0, "--once -E 0", "exit 3", "rival start busy"),
        (7, "--once -E 7", "exit 3", "rival start busy"),
        (75, "--once", "exit 0", "hold start busy"),
        (0, "--once -E 0", "exit 3", "hold start busy"),
    ],
    "79": [
        *[(79, mode, "sleeps", "ready occupy lost") for mode in ("--once", "--on-lost exit")],
        *[(79, p + " --on-lost exit", "sleeps", "ready occupy lost") for p in POLICIES[1:]],
        (79, "--once -E 0", "catches, 0", "ready occupy lost"),
        # A service without a policy is in test_status.py.
        (79, "--once --ttl 2s", "catches, 0", "ready freeze deadline"),
        (79, ALWAYS + " --on-lost exit --ttl 2s", "sleeps", "ready freeze deadline"),
        # In the pause before a restart, too, and where it would be started again.
        (79, ALWAYS + " --on-lost exit", "exit 3", "restart occupy lost"),
        (79, ALWAYS + " --on-lost exit", "stubborn daemon, 3", "child_exit occupy lost"),
    ],
    "124": [
        (124, "--once --max-runtime 300ms", "sleeps", "max_runtime"),
        (124, "--once --max-runtime 300ms", "catches, 0", "max_runtime"),
        (124, "--once --max-runtime 300ms", "catches, 5", "max_runtime"),
        (124, "--once --max-runtime 300ms --grace 100ms", "ignores", "max_runtime"),
    ],
    "125": [
        *[(125, mode, "sleeps", "ready kill-keeper keeper_lost") for mode in MODES],
        (125, "--on-lost exit", "sleeps", "ready kill-keeper keeper_lost"),
        (125, "", "sleeps", "occupy start waiting kill-keeper"),
        (125, "--once --wait forever", "sleeps", "occupy start waiting kill-keeper"),
        # The key has a value that no leaderwrap wrote: -E has no say in that.
        (125, "--once", "exit 0", "occupy start foreign"),
        (125, "--once --wait 100ms", "exit 0", "occupy start foreign"),
        (125, "--once -E 0", "exit 3", "occupy start foreign"),
        (125, ALWAYS, "exit 3", "restart kill-keeper keeper_lost"),
        (125, ALWAYS + STAND_LONG, "exit 3", "stand_back kill-keeper keeper_lost"),
        (125, "--grace 10s", "ignores", "ready TERM stopping kill-keeper keeper_lost"),
        *[(125, mode, "exit 0", "wrong-password start refused") for mode in MODES],
        (125, "--once --wait forever -E 0", "exit 0", "wrong-password start refused"),
        (125, "--check", "exit 0", "wrong-password start"),
        *[(125, mode, "exit 0", "no-permission start refused") for mode in ("--once", "")],
    ],
    "126, 127": [
        # Found out before anything else, with or without a Redis.
        *[(127, mode, "not there", "") for mode in MODES],
        *[(126, mode, "not executable", "") for mode in MODES],
        *[(126, mode, "a folder", "") for mode in ("--once", "")],
        *[(127, mode, "not there", "kill-redis start") for mode in ("--once", "")],
        *[(127, mode, "no such interpreter", "kill-redis start") for mode in MODES],
        (126, "", "interpreter not executable", "kill-redis start"),
        (127, "--check", "not there", ""),
        (127, "--check", "no such interpreter", ""),
        (126, "--check", "not executable", ""),
        # Found out by execve(2).
        *[(127, mode, "no such loader", "exec_failed") for mode in ("--once", "")],
        (127, ON_FAILURE, "no such loader", "exec_failed restart TERM"),
    ],
}


NUMBERS = itertools.count(1)


class Bench:
    """One row: its leaderwrap, its Redis, and what can happen to them."""

    def __init__(self, arena, redis, options, command):
        self.arena = arena
        self.redis = redis
        # Not even a Redis that lost its data shows a row what the last one left.
        self.key = "key%d" % next(NUMBERS)
        self.url = redis.url()
        self.options = [*COMMON, *(() if "--ttl" in options else CALM), *options.split()]
        self.command = self.command_line(command)
        self.worker = None
        self.last = -1  # the event that was awaited last

    def command_line(self, name):
        path = self.arena.folder / "command"
        if name not in FILES:
            return ["sh", "-c", COMMANDS.get(name, name), self.arena.folder]
        if name == "a folder":
            path.mkdir()
        elif FILES[name] is not None:
            content, mode = FILES[name]
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
            path.chmod(mode)
        return [path]

    def take(self, step):
        if step in FAULTS:
            FAULTS[step](self)
        elif step.isupper():
            self.worker.send(number_of(step))
        elif step == "ready":
            self.worker.wait_output(step)
        else:
            self.last = self.worker.wait_event(step, after=self.last)

    def start(self, **more):
        self.worker = self.arena.worker(
            *self.options, command=self.command, url=self.url, key=self.key, ttl=None, **more
        )

    def occupy(self):
        self.redis.command("SET", self.key, "somebody")

    def rival(self, *options, command=("sleep", 600)):
        return self.arena.worker(
            *COMMON, *CALM, *options, command=command, url=self.url, key=self.key, ttl=None
        )

    def lead(self):
        self.rival().wait_event("started")

    def hold(self):
        assert self.rival("--once", "--hold", "60s", command=["true"]).wait() == 0

    def kill_keeper(self):
        # Where everything is over already there is none.
        if keeper := self.worker.keeper:
            processes.send(keeper, signal.SIGKILL)

    def go(self):
        (self.arena.folder / "go").touch()

    def wrong_password(self):
        self.redis.command("ACL", "SETUSER", "u", "on", "allkeys", "allcommands", ">right")
        self.url = self.redis.url(user="u", password="wrong")

    def no_permission(self):
        self.redis.command("ACL", "SETUSER", "v", "on", "allkeys", "-@all", ">right")
        self.url = self.redis.url(user="v", password="right")


FAULTS = {
    "start": Bench.start,
    "occupy": Bench.occupy,  # a client that is no leaderwrap writes into the key
    "rival": Bench.lead,  # another one leads
    "hold": Bench.hold,  # another one has run its job with --hold
    "go": Bench.go,  # what the command waits for
    "kill-keeper": Bench.kill_keeper,
    "kill-redis": lambda bench: bench.redis.kill(),
    "start-redis": lambda bench: bench.redis.start(),
    "freeze": lambda bench: bench.redis.freeze(),
    "wrong-password": Bench.wrong_password,
    "no-permission": Bench.no_permission,
}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """One Redis for all rows."""
    arena = Arena(tmp_path_factory.mktemp("server"))
    yield arena.redis()
    problems = arena.close()
    assert not problems, "\n".join(problems)


@pytest.fixture
def redis(arena, server):
    """The same, in good health again after each row, before the row's processes are ended."""
    yield server
    if server.running:
        server.thaw()
    else:
        server.start()


def left_over(arena):
    """What is alive of commands: they, and only they, have a token in their environment."""
    return [p for p in arena.leftovers() if "LEADERWRAP_TOKEN" in processes.environment(p)]


def name_of(row):
    status, options, command, steps = row
    return "%s: %s: %s-> %d" % (options or "service", command, steps and steps + " ", status)


ROWS = [row for rows in TABLE.values() for row in rows]


@pytest.mark.parametrize("row", ROWS, ids=name_of)
def test_status(arena, redis, row):
    status, options, command, steps = row
    bench = Bench(arena, redis, options, command)
    words = steps.split()
    for step in words if "start" in words else ["start", *words]:
        bench.take(step)
    assert bench.worker.wait() == status
    if arena.workers == [bench.worker]:
        assert not left_over(arena)


# Core dumps: whether there is one is for the kernel to say, and is compared with the same command
# under no leaderwrap


@pytest.mark.parametrize("limit", ["unlimited", "0"])
@pytest.mark.parametrize("name, mode", [("QUIT", "--once"), ("SEGV", "")])
def test_core_dump(arena, redis, name, limit, mode):
    folder = arena.folder / "cores"
    folder.mkdir()
    script = "ulimit -c %s; kill -%s $$" % (limit, name)
    alone = subprocess.Popen(["sh", "-c", script], cwd=folder)
    dumped = os.WCOREDUMP(os.waitpid(alone.pid, 0)[1])
    bench = Bench(arena, redis, mode, script)
    bench.start(cwd=folder)
    assert bench.worker.wait() == ended_by(name)
    (ended,) = bench.worker.find("child_exit")
    assert (", core dumped" in ended["message"]) == dumped
    assert ended["message"].endswith("; leaderwrap did not send it")


# The table and doc/OPTIONS.md


def told_rows():
    text = (ROOT / "doc" / "OPTIONS.md").read_text(encoding="utf-8")
    section = text.split("\n## Exit status\n")[1].split("\nOf leaderctl:\n")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [line.split("|")[1].strip() for line in lines[2:]]


def test_every_row_that_is_told_has_rows_here():
    assert told_rows() == list(TABLE)


def test_every_status_that_is_told_has_a_row_here():
    for name, rows in TABLE.items():
        statuses = {row[0] for row in rows}
        named = {int(number) for number in re.findall(r"\b\d+\b(?!\+)", name)}
        assert named <= statuses, name
        if "128+n" in name:
            assert max(statuses) > 128, name
        # The command and the user may choose any number, leaderwrap itself may not.
        if re.fullmatch(r"[\d, ]+", name):
            assert statuses == named, name


def test_no_row_is_there_twice():
    assert len(set(map(name_of, ROWS))) == len(ROWS)
