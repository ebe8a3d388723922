"""On a terminal: ctrl-C, ctrl-Z, ctrl-backslash, ctrl-S, and a terminal that goes away."""

import fcntl
import json
import os
import pty
import re
import select
import signal
import subprocess
import termios
import threading

import pytest

from tests.lib import processes, wait_gone, wait_until

RENEW = ("--renew", "200ms")
CTRL_C, CTRL_Z, CTRL_BACKSLASH, CTRL_S, CTRL_Q = b"\x03", b"\x1a", b"\x1c", b"\x13", b"\x11"


class Terminal:
    """leaderwrap in the foreground of a terminal, which reads what it writes until told not to."""

    def __init__(self, arena, redis, *options, command, prefix=()):
        self.text = ""
        self._reading = threading.Event()
        self._reading.set()
        self.master, slave = pty.openpty()
        self.name = os.ttyname(slave)
        arguments = ["--log-format", "json", "--log-level", "debug", "--redis", redis.url()]
        arguments += ["--key", "test", "--ttl", "60s", "--assume-fresh", *options, "--"]

        def take_terminal():
            os.setsid()
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)

        self.process = subprocess.Popen(
            [*prefix, *arena.leaderwrap_command(), *arguments, *map(str, command)],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env=arena.environment(),
            cwd=arena.folder,
            preexec_fn=take_terminal,
        )
        os.close(slave)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        while self._reading.is_set():
            ready, _, _ = select.select([self.master], [], [], 0.05)
            if ready:
                try:
                    self.text += os.read(self.master, 65536).decode(errors="replace")
                except OSError:  # nobody has the other end any more
                    return

    @property
    def pid(self):
        return self.process.pid

    @property
    def keeper(self):
        return processes.children(processes.children(self.pid)[0])[0]

    def events(self, name):
        found = []
        for line in self.text.splitlines():
            if line.startswith("{") and line.endswith("}") and '"event":"%s"' % name in line:
                found.append(json.loads(line))
        return found

    def signals(self):
        """The signals that a `witness` on the terminal has told."""
        return [int(number) for number in re.findall(r"^main (\d+)\r?$", self.text, re.MULTILINE)]

    def wait_text(self, text):
        wait_until(lambda: text in self.text, what=lambda: "%r in %s" % (text, self.text))

    def type(self, keys):
        os.write(self.master, keys)

    def insist(self, keys):
        """Types them again and again until leaderwrap has ended; returns its exit status."""
        wait_until(lambda: self.process.poll() is not None or self.type(keys))
        return self.wait()

    def stop_reading(self):
        self._reading.clear()
        self._reader.join()

    def hang_up(self):
        self.stop_reading()
        os.close(self.master)
        self.master = None

    def wait(self):
        status = self.process.wait(30)
        return status if status >= 0 else 128 - status

    def close(self):
        self.stop_reading()
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        if self.master is not None:
            os.close(self.master)


@pytest.fixture
def terminal(arena, redis):
    """Starts a Terminal on which leaderwrap leads."""
    made = []

    def start(*options, **more):
        made.append(Terminal(arena, redis, *options, **more))
        return made[-1]

    yield start
    for one in made:
        one.close()


@pytest.fixture
def witness(arena, terminal):
    """Starts a Terminal with a `witness` (see witness.c) that has begun to watch."""

    def start(*options, lead=RENEW):
        one = terminal(*lead, command=[arena.built("witness"), *options])
        one.wait_text("main ready")
        return one

    return start


@pytest.mark.parametrize(
    "key, number", [(CTRL_C, signal.SIGINT), (CTRL_BACKSLASH, signal.SIGQUIT)], ids=["c", "bslash"]
)
def test_a_stopping_key_reaches_the_command_once(redis, witness, key, number):
    one = witness("--die")
    one.type(key)
    assert one.wait() == 128 + number
    wait_until(lambda: one.events("exit"))
    assert [n for n in one.signals() if n != signal.SIGCONT] == [number]
    assert redis.command("GET", "test") is None


def test_ctrl_c_is_one_signal_for_a_command_that_goes_on(witness):
    one = witness("--stay", lead=("--grace", "500ms"))
    one.type(CTRL_C)
    assert one.wait() == 128 + signal.SIGKILL
    wait_until(lambda: one.events("exit"))
    assert [n for n in one.signals() if n != signal.SIGCONT] == [signal.SIGINT]


def test_a_second_ctrl_c_kills_at_once(witness):
    one = witness("--stay", lead=("--grace", "25s"))
    one.type(CTRL_C)
    one.wait_text("main %d" % signal.SIGINT)
    assert one.insist(CTRL_C) == 128 + signal.SIGKILL


def test_a_ctrl_c_that_a_parent_hands_on_leaves_the_grace(terminal):
    script = "trap 'sleep 0.2; echo tidy; exit 3' INT; echo ready; while :; do sleep 0.1; done"
    parent = ("timeout", "--foreground", "600")
    one = terminal("--grace", "20s", command=["bash", "-c", script], prefix=parent)
    one.wait_text("ready")
    one.type(CTRL_C)
    # timeout ends by the signal itself when its child has ended.
    one.wait()
    one.wait_text("tidy")
    assert [event["message"] for event in one.events("exit")] == ["leaving with status 3"]


def test_ctrl_z_pauses_nobody(arena, redis, terminal):
    one = terminal(*RENEW, command=arena.beat())
    wait_until(lambda: arena.beats().exists())
    one.wait_text("started")
    child = processes.children(one.keeper)[0]
    one.type(CTRL_Z)
    wait_renewals(redis, 3)
    size = arena.beats().stat().st_size
    wait_until(lambda: arena.beats().stat().st_size > size + 500)
    assert [processes.state(pid) for pid in (one.pid, one.keeper, child)] != ["T"] * 3
    assert "T" not in [processes.state(pid) for pid in (one.pid, one.keeper, child)]
    one.type(CTRL_C)
    assert one.wait() == 128 + signal.SIGINT


def test_a_terminal_that_goes_away_stops(redis, terminal):
    one = terminal(*RENEW, command=["sleep", 600])
    one.wait_text("started")
    _guard, keeper, child = processes.descendants(one.pid)
    one.hang_up()
    assert one.wait() == 128 + signal.SIGHUP
    assert redis.command("GET", "test") is None
    assert not processes.alive(child)
    wait_gone(keeper)


def test_the_command_has_no_controlling_terminal_but_its_streams(terminal):
    script = "tty; if true </dev/tty; then echo one; else echo none; fi; echo end"
    one = terminal(command=["sh", "-c", script])
    assert one.wait() == 0
    wait_until(lambda: one.events("exit"))
    lines = [line for line in one.text.splitlines() if not line.startswith("{")]
    assert lines[0].startswith("/dev/pts/") and lines[-2:] == ["none", "end"]


# A shell with job control, that starts what follows in its background, or in its foreground.
IN_BACKGROUND = ("bash", "-mc", '"$@" & wait', "bash")
IN_FOREGROUND = ("bash", "-mc", '"$@"; exit $?', "bash")


def test_in_the_background_the_keystrokes_are_the_shells(terminal):
    script = "readlink /proc/self/fd/0; cat; echo end"
    one = terminal(command=["sh", "-c", script], prefix=IN_BACKGROUND)
    assert one.wait() == 0
    one.wait_text("end\r\n")
    assert "/dev/null\r\n" in one.text
    assert len(one.events("background")) == 1


def test_in_the_foreground_they_are_the_commands(terminal):
    script = "readlink /proc/self/fd/0; read line; echo got $line"
    one = terminal(command=["sh", "-c", script], prefix=IN_FOREGROUND)
    one.wait_text(one.name)
    one.type(b"these\n")
    assert one.wait() == 0
    one.wait_text("got these")
    assert one.events("background") == []


def fill(writer):
    """Writes into a pipe or a terminal until nothing more finds room in it; returns how much."""
    os.set_blocking(writer, False)
    written = 0
    for size in (4096, 1):
        try:
            while True:
                written += os.write(writer, b"-" * size)
        except BlockingIOError:
            pass
    os.set_blocking(writer, True)
    return written


def wait_renewals(redis, count, key="test"):
    """Waits until the server has seen so many renewals from now on."""
    for _ in range(count):
        seen = redis.command("HGET", "{%s}:term" % key, "ver")
        wait_until(lambda v=seen: redis.command("HGET", "{%s}:term" % key, "ver") != v)


# So that few lines fill a terminal, which takes 10 to 20 kB: each of them has these in it. The last
# one to find some room there finds less than it needs (a pipe is all or nothing).
LONG_NAME = "n" * 64
LONG_KEY = "k" * 200
HALF_FULL = 8000
ENOUGH = 35


@pytest.mark.parametrize("how", ["ctrl-s", "unread", "full"])
def test_a_terminal_that_nobody_reads_unseats_no_leader(arena, redis, terminal, how):
    options = ("--renew", "100ms", "--name", LONG_NAME, "--key", LONG_KEY)
    one = terminal(*options, command=arena.beat())
    one.wait_text("started")
    if how == "ctrl-s":
        one.type(CTRL_S)
    else:
        one.stop_reading()
        slave = os.open(one.name, os.O_WRONLY | os.O_NOCTTY)
        fill(slave) if how == "full" else os.write(slave, b"-" * HALF_FULL)
        os.close(slave)
    wait_renewals(redis, ENOUGH if how == "unread" else 8, LONG_KEY)
    processes.send(one.pid, signal.SIGTERM)
    # It does not wait for a reader either when it ends.
    assert one.wait() == 0
    assert redis.command("GET", LONG_KEY) is None


class Pipe:
    """A leader that logs into a pipe which is read only where a test does it."""

    def __init__(self, arena, redis, command):
        self.reader, self.writer = os.pipe()
        arguments = ["--redis", redis.url(), "--key", "test", "--ttl", "60s", "--renew", "100ms"]
        arguments += ["--assume-fresh", "--log-level", "debug", "--grace", "1s", "--", *command]
        self.process = arena.spawn([*arena.leaderwrap_command(), *arguments], stderr=self.writer)
        wait_until(lambda: redis.command("GET", "test"))

    def close(self):
        self.process.kill()
        for fd in (self.reader, self.writer):
            os.close(fd)


@pytest.fixture
def pipe(arena, redis):
    made = []

    def start(command):
        made.append(Pipe(arena, redis, command))
        return made[-1]

    yield start
    for one in made:
        one.close()


def test_a_full_pipe_unseats_no_leader(arena, redis, pipe):
    one = pipe(arena.beat())
    fill(one.writer)
    wait_renewals(redis, 8)
    one.process.terminate()
    assert one.process.wait(30) == 0
    assert redis.command("GET", "test") is None


def test_a_pipe_that_its_command_has_filled_unseats_no_leader(arena, redis, pipe):
    # Both compete for each bit of room, and the command is stuck in between.
    one = pipe([arena.built("witness"), "--lines", 10**9])
    for _ in range(8):
        for _ in range(50):
            os.read(one.reader, 4096)
        wait_renewals(redis, 1)
    one.process.terminate()
    assert one.process.wait(30) == 128 + signal.SIGTERM
    assert redis.command("GET", "test") is None


def test_lost_lines_are_counted_once_somebody_reads_again(arena, redis, pipe):
    one = pipe(arena.beat())
    filled = fill(one.writer)
    wait_renewals(redis, 8)
    while filled > 0:
        filled -= len(os.read(one.reader, filled))
    text = ""
    found = None
    while not found:
        text += os.read(one.reader, 4096).decode()
        found = re.search(r"warning: (\d+) log lines were lost: nobody read them\n", text)
    assert int(found[1]) >= 7
    one.process.terminate()
    assert one.process.wait(30) == 0
