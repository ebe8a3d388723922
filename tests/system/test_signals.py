"""Signals to leaderwrap, and what else a command inherits: read back from the command's /proc."""

import os
import pathlib
import re
import signal

import pytest

from tests.lib import boottime_ns, processes, wait_gone, wait_until

CALM = {"ttl": "60s"}


@pytest.fixture
def lead(arena, redis):
    """Starts a leader with a `witness` (see witness.c) that has begun to watch."""

    def start(*witness, options=(), **more):
        command = [arena.built("witness"), *witness]
        worker = arena.worker(
            "--assume-fresh", *options, command=command, redis=redis, **{**CALM, **more}
        )
        worker.wait_output("main ready")
        return worker

    return start


@pytest.fixture
def sleeper(arena, redis):
    """Starts a leader with a command that changes nothing of what it inherits."""

    def start(*options, **more):
        calm = {"command": ["sleep", 600], **CALM}
        return arena.worker("--assume-fresh", *options, redis=redis, **{**calm, **more})

    return start


def status(pid):
    """The fields of /proc/PID/status."""
    with open("/proc/%d/status" % pid, encoding="utf-8") as file:
        return dict(line.rstrip("\n").split(":\t", 1) for line in file)


def signals(pid, field):
    """The signals of a mask in /proc/PID/status ("SigBlk", "SigIgn", "SigCgt")."""
    mask = int(status(pid)[field], 16)
    return {number for number in range(1, 65) if mask >> (number - 1) & 1}


def heard(worker, who="main"):
    """The signals that a witness told so far, without what is only for waiting."""
    words = [line.split() for line in worker.output]
    return [int(number) for name, number in words if name == who and number != "ready"]


# Passed on


@pytest.mark.parametrize("name", ["HUP", "USR1", "USR2", "CONT"])
def test_passed_on_once_to_the_group(lead, name):
    worker = lead("--member")
    number = signal.Signals["SIG" + name]
    worker.send(number)
    for who in ("main", "member"):
        worker.wait_output("%s %d" % (who, number))
    # A second one would have come before this one.
    worker.send(signal.SIGWINCH)
    for who in ("main", "member"):
        worker.wait_output("%s %d" % (who, signal.SIGWINCH))
        assert heard(worker, who) == [number, signal.SIGWINCH]
    assert worker.stop() == 0


def questions(redis):
    return int(redis.info("commandstats")["cmdstat_evalsha"].split("calls=")[1].split(",")[0])


def test_none_is_passed_on_where_nothing_runs(arena, redis):
    arena.run("--redis", redis.url(), "--key", "test", "--assume-fresh", "--", "true")
    redis.command("SET", "test", "occupied")
    worker = arena.worker("--retry", "50ms", command=["true"], redis=redis, **CALM)
    worker.wait_event("waiting")
    for name in ("HUP", "USR1", "USR2", "WINCH", "CONT"):
        worker.send(signal.Signals["SIG" + name])
    # Between two questions it has looked at all that had come in.
    before = questions(redis)
    wait_until(lambda: questions(redis) >= before + 3, what="three more questions")
    redis.command("DEL", "test")
    assert worker.wait() == 0


# Stop


@pytest.mark.parametrize("name", ["TERM", "INT", "QUIT"])
def test_stopped_with_the_same_signal_once_daemons_too(lead, name):
    worker = lead("--member", "--daemon")
    number = signal.Signals["SIG" + name]
    assert worker.stop(number) == 0
    for who in ("main", "member", "daemon"):
        assert [n for n in heard(worker, who) if n != signal.SIGCONT] == [number]


def test_stop_to_main_spares_the_rest_as_long_as_main_runs(lead):
    worker = lead("--member", "--daemon", "--stay", options=["--stop-to", "main", "--grace", "1s"])
    assert worker.stop() == 128 + signal.SIGKILL
    assert signal.SIGTERM in heard(worker)
    assert heard(worker, "member") == heard(worker, "daemon") == []


def test_stop_to_main_leaves_no_leftovers(lead):
    worker = lead("--member", "--daemon", options=["--stop-to", "main"])
    assert worker.stop() == 0
    # Only once main had ended were they asked.
    assert signal.SIGTERM in heard(worker, "member") and signal.SIGTERM in heard(worker, "daemon")


def test_a_second_signal_kills_at_once(lead):
    worker = lead("--stay", options=["--grace", "25s"])
    worker.send(signal.SIGTERM)
    worker.wait_output("main %d" % signal.SIGTERM)
    asked_ns = boottime_ns()
    assert worker.insist() == 128 + signal.SIGKILL
    assert boottime_ns() - asked_ns < 20 * 10**9
    assert worker.find("released")


def test_a_signal_in_the_last_moment_does_not_change_the_status(lead):
    worker = lead("--exit-code", 5)
    worker.send(signal.SIGTERM)
    worker.wait_event("exit")
    assert worker.insist() == 5


@pytest.mark.parametrize("others", [("INT", "INT"), ("TERM", "QUIT")])
def test_a_signal_that_is_handed_on_is_one_wish(arena, sleeper, others):
    # As from a terminal and from a parent in the same group, which passes on what it got.
    script = (
        "trap 'sleep 0.2; echo tidy >done; exit 3' INT; echo ready; while :; do sleep 0.1; done"
    )
    worker = sleeper("--grace", "20s", command=["bash", "-c", script])
    worker.wait_output("ready")
    worker.send(signal.SIGINT)
    # Before it is heard of, another one would become one with it.
    worker.wait_event("stopping")
    for name in others:
        worker.send(signal.Signals["SIG" + name])
    assert worker.wait() == 3
    assert (arena.folder / "done").read_text(encoding="utf-8") == "tidy\n"


# The table

# Names that not every Python knows.
NUMBERS = {"PWR": 30, "STKFLT": 16}
# valgrind and the C library below it need these for themselves.
ALL = set(range(1, 65)) - ({32, 33, 64} if os.environ.get("LEADERWRAP_VALGRIND") else set())


def numbers_in(cell):
    """The signals that a cell of the table names."""
    found = set()
    for word in re.findall(r"\d+ to \d+|[A-Z][A-Z0-9]+|\d+", re.sub(r"\(.*?\)", "", cell)):
        if word[0].isalpha():
            found.add(NUMBERS.get(word) or int(signal.Signals["SIG" + word]))
        else:
            first, _, last = word.partition(" to ")
            found |= set(range(int(first), int(last or first) + 1))
    return found


def table():
    """The table of signals in doc/OPTIONS.md: what it says, and the signals that it says it of."""
    text = (pathlib.Path(__file__).parents[2] / "doc" / "OPTIONS.md").read_text(encoding="utf-8")
    section = text.partition("## Signals\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| ([A-Z].*?) \| (.*?) \|$", section, re.MULTILINE)
    return {what: numbers_in(cell) for cell, what in rows}


def said(word):
    """The signals of the one row that begins with `word`."""
    (found,) = [numbers & ALL for what, numbers in table().items() if what.startswith(word)]
    return found


def wait_renewed(worker, count=2):
    after = worker.mark()
    for _ in range(count):
        after = worker.wait_event("renewed", after=after)


def test_the_table_names_each_signal_once():
    named = [number for numbers in table().values() for number in numbers]
    assert sorted(named) == list(range(1, 65))


def test_what_the_table_passes_on_or_ignores_does_not_end_the_term(lead):
    worker = lead(options=["--renew", "200ms"])
    keeper, child = worker.keeper, worker.child
    passed = sorted(said("passed on") | said("the same"))
    for number in sorted(said("ignored") | said("children")):
        worker.send(number)
    for number in passed:
        worker.send(number)
        wait_until(lambda n=number: heard(worker)[-1:] == [n], what="signal %d" % number)
    wait_renewed(worker)
    assert heard(worker) == passed
    assert (worker.keeper, worker.child) == (keeper, child)
    assert worker.stop() == 0


def test_neither_keeper_nor_guard_takes_orders_from_outside(lead):
    worker = lead(options=["--renew", "200ms"])
    guard, keeper, child = worker.tree()
    for number in sorted(ALL - {signal.SIGKILL, signal.SIGSTOP}):
        processes.send(guard, number)
        processes.send(keeper, number)
    wait_renewed(worker)
    assert (worker.tree(), heard(worker)) == ([guard, keeper, child], [])
    assert worker.stop() == 0


def test_a_fault_of_the_wrapper_leaves_neither_a_tree_nor_a_lease(redis, lead):
    # A sanitizer would take them for bugs.
    calm = ":".join("handle_%s=0" % name for name in ("segv", "sigbus", "sigill", "sigfpe"))
    for number in sorted(said("leaderwrap ends")):
        worker = lead(
            prefix=["sh", "-c", 'ulimit -c 0; exec "$@"', "sh"], env={"ASAN_OPTIONS": calm}
        )
        keeper, child = worker.keeper, worker.child
        worker.send(number)
        assert worker.wait() == 128 + number
        wait_gone(keeper)
        assert not processes.alive(child)
        assert redis.command("GET", "test") is None


@pytest.mark.parametrize("command", [["--", "sleep", "600"], []], ids=["command", "counter"])
def test_a_log_that_is_full_does_not_end_the_term(arena, redis, command):
    log = arena.folder / "log"
    log.write_bytes(b"-" * 1024)
    options = ["--redis", redis.url(), "--key", "test", "--ttl", "60s", "--renew", "100ms"]
    options += ["--assume-fresh", "--log-level", "debug", *command]
    # In units of 512 bytes or of 1024, whatever the shell is.
    limit = ["bash", "-c", 'ulimit -f 1; exec "$@" 2>>log', "bash"]
    process = arena.spawn([*limit, *arena.leaderwrap_command(), *options])
    wait_until(lambda: redis.command("GET", "test"))
    for _ in range(3):
        seen = redis.command("HGET", "{test}:term", "ver")
        wait_until(lambda v=seen: redis.command("HGET", "{test}:term", "ver") != v)
    assert log.stat().st_size == 1024
    # Nor does it keep the last will from being done.
    process.kill()
    wait_until(lambda: redis.command("GET", "test") is None)


def test_everybody_gets_term_at_once_as_from_systemd(arena, redis, lead):
    for _ in range(5):
        worker = lead("--member", "--daemon", "--exit-code", "4")
        _guard, keeper, *command = worker.tree()
        assert len(command) == 3
        for pid in (worker.pid, keeper, *command):
            processes.send(pid, signal.SIGTERM)
        assert worker.wait() == 4
        assert worker.find("released")
        assert redis.command("GET", "test") is None
        assert not [pid for pid in command if processes.alive(pid)]
        wait_gone(keeper)


# What the command inherits


@pytest.mark.parametrize("name", ["HUP", "INT", "QUIT", "TERM", "USR1", "PIPE", "CHLD", "TSTP"])
def test_ignored_stays_ignored(sleeper, name):
    number = signal.Signals["SIG" + name]
    worker = sleeper(prefix=["env", "--ignore-signal=" + name])
    assert signals(worker.wait_child(), "SigIgn") == {number}
    # Not every one of them could be stopped any more.
    worker.kill9()


def test_nothing_else_is_ignored_blocked_or_caught(sleeper):
    child = sleeper().wait_child()
    assert [signals(child, field) for field in ("SigIgn", "SigBlk", "SigCgt")] == [set()] * 3


def test_blocked_stays_blocked(sleeper):
    prefix = ["env", "--block-signal=USR1,TERM,RTMIN+3"]
    child = sleeper("--grace", "100ms", prefix=prefix).wait_child()
    assert signals(child, "SigBlk") == {signal.SIGUSR1, signal.SIGTERM, signal.SIGRTMIN + 3}


def test_blocked_signals_do_not_keep_leaderwrap_from_its_work(arena, redis):
    blocked = ["env", "--block-signal=TERM,INT,CHLD,ALRM,USR1"]
    first = arena.worker("--assume-fresh", command=["true"], redis=redis, prefix=blocked)
    assert first.wait() == 0
    second = arena.worker(
        "--grace", "100ms", command=["sleep", 600], redis=redis, prefix=blocked, **CALM
    )
    second.wait_child()
    # Blocked in the command, it is of no avail there; leaderwrap hears it all the same.
    assert second.stop() == 128 + signal.SIGKILL


def test_nohup_keeps_both_going(lead):
    worker = lead("--member", prefix=["env", "--ignore-signal=HUP"])
    worker.send(signal.SIGHUP)
    worker.send(signal.SIGWINCH)
    worker.wait_output("main %d" % signal.SIGWINCH)
    assert heard(worker) == [signal.SIGWINCH]
    assert worker.stop() == 0


def test_sigint_ignored_by_a_shell_stops_nothing(lead):
    # A job in the background of a non-interactive shell.
    worker = lead(prefix=["env", "--ignore-signal=INT"])
    worker.send(signal.SIGINT)
    worker.send(signal.SIGWINCH)
    worker.wait_output("main %d" % signal.SIGWINCH)
    assert heard(worker) == [signal.SIGWINCH]
    assert worker.stop() == 0


def test_descriptors(sleeper):
    script = 'exec 3</dev/null 9>/dev/null 200</dev/null; exec "$@"'
    child = sleeper(prefix=["bash", "-c", script, "bash"]).wait_child()
    # The dynamic linker opens some for a moment.
    wait_until(lambda: sorted(map(int, os.listdir("/proc/%d/fd" % child))) == [0, 1, 2])


def test_standard_streams_are_those_that_leaderwrap_was_given(sleeper, arena):
    names = [arena.folder / name for name in ("in", "out")]
    names[0].write_text("", encoding="utf-8")
    worker = sleeper(prefix=["sh", "-c", 'exec "$@" <%s >%s' % tuple(names), "sh"])
    child = worker.wait_child()
    links = [os.readlink("/proc/%d/fd/%d" % (child, fd)) for fd in range(3)]
    assert links[:2] == [str(name) for name in names]
    # Leaderwrap itself keeps only the one it logs to.
    own = [os.readlink("/proc/%d/fd/%d" % (worker.pid, fd)) for fd in range(3)]
    assert own == ["/dev/null", "/dev/null", links[2]]


def test_nice_value(sleeper):
    child = sleeper(prefix=["nice", "-n", "7"]).wait_child()
    assert os.getpriority(os.PRIO_PROCESS, child) == os.nice(0) + 7


def test_working_directory(sleeper, arena):
    folder = arena.folder / "here"
    folder.mkdir()
    worker = sleeper(cwd=folder)
    assert os.readlink("/proc/%d/cwd" % worker.wait_child()) == str(folder)
    # Neither keeps the keeper a file system busy.
    assert os.readlink("/proc/%d/cwd" % worker.keeper) == "/"


def test_umask_and_limits(sleeper):
    worker = sleeper(prefix=["sh", "-c", 'umask 0137; ulimit -n 123; exec "$@"', "sh"])
    child = worker.wait_child()
    assert status(child)["Umask"] == "0137"
    with open("/proc/%d/limits" % child, encoding="utf-8") as file:
        (line,) = [line for line in file if line.startswith("Max open files")]
    assert line.split()[3:5] == ["123", "123"]


def test_process_group_and_session(sleeper):
    worker = sleeper()
    child = worker.wait_child()
    assert os.getpgid(child) == child
    assert os.getsid(child) == worker.keeper != os.getsid(worker.pid)


def test_no_privilege_of_the_keeper_is_left(sleeper):
    child = sleeper().wait_child()
    assert status(child)["VmLck"].split() == ["0", "kB"]
    with open("/proc/%d/comm" % child, encoding="utf-8") as file:
        assert file.read() == "sleep\n"


def test_environment(sleeper, redis):
    given = {"ONE": "1", "EMPTY": "", "TWO": "a=b\nc", "LEADERWRAP_LOG_LEVEL": "info"}
    worker = sleeper(name="me", key="a{b}", ttl="61s", env=given)
    child = worker.wait_child()
    token = worker.wait_event("elected")["token"]
    environment = processes.environment(child)
    assert given.items() <= environment.items()
    own = {name: value for name, value in environment.items() if name.startswith("LEADERWRAP_")}
    assert own == {
        "LEADERWRAP_KEY": "a{b}",
        "LEADERWRAP_ID": redis.command("GET", "a{b}"),
        "LEADERWRAP_NAME": "me",
        "LEADERWRAP_TTL_MS": "61000",
        "LEADERWRAP_TOKEN": str(token),
        "LEADERWRAP_LOG_LEVEL": "info",
    }
    assert own["LEADERWRAP_ID"].startswith("me#")
    # Everything that leaderwrap was started with, and no more.
    expected = set(processes.environment(worker.pid)) | set(own)
    assert set(environment) == expected


def test_a_stopped_command_is_woken_to_hear_that_it_must_end(lead):
    worker = lead()
    processes.stop(worker.child)
    assert worker.stop() == 0
    assert signal.SIGTERM in heard(worker)


def test_a_command_that_stops_itself_does_not_end_the_term(sleeper):
    worker = sleeper("--renew", "200ms")
    child = worker.wait_child()
    processes.stop(child)
    after = worker.mark()
    for _ in range(2):
        after = worker.wait_event("renewed", after=after)
    assert worker.child == child and not worker.find("child_exit")
    processes.send(child, signal.SIGCONT)
    wait_until(lambda: processes.state(child) == "S")
    assert worker.stop() == 128 + signal.SIGTERM
