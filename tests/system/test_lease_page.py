"""The lease page, as a command sees it."""

import signal

import pytest

from tests.lib import wait_until

# Prints what it finds of a lease page, tries to write it by all ways there are, and lists its descriptors.
TRIES = """
import mmap, os, sys, time
path = os.environ["LEADERWRAP_LEASE"]
number = int(path.rsplit("/", 1)[1])
os.fstat(number)
done = []
for how in (os.O_WRONLY, os.O_RDWR):
    try:
        fd = os.open(path, how)
    except PermissionError:
        continue
    for name, attempt in (
        ("write", lambda: os.write(fd, b"x")),
        ("truncate", lambda: os.ftruncate(fd, 0)),
        ("map", lambda: mmap.mmap(fd, 8)),
    ):
        try:
            attempt()
            done.append(name)
        except (OSError, ValueError):
            pass
for name, attempt in (
    ("write", lambda: os.write(number, b"x")),
    ("map", lambda: mmap.mmap(number, 8)),
):
    try:
        attempt()
        done.append(name)
    except OSError:
        pass
print("done", done, flush=True)
print("size", os.fstat(number).st_size > 0, flush=True)
"""


def lefts(worker):
    return [int(line.split()[1]) for line in list(worker.output) if line[:4] in ("step", "wait")]


@pytest.fixture
def steps(arena, redis):
    """Starts a leader whose command (examples/lease-page) asks the page, and ignores TERM."""

    def start(*options, **more):
        command = [arena.built("steps")]
        worker = arena.worker(
            "--assume-fresh", "--lease-page", *options, command=command, redis=redis, **more
        )
        wait_until(lambda: lefts(worker), what="a line of the command")
        return worker

    return start


def test_what_is_left_shrinks_and_jumps_at_renewals(steps):
    worker = steps("--renew", "600ms", ttl="3s")
    wait_until(
        lambda: sum(b > a for a, b in zip(lefts(worker), lefts(worker)[1:])) >= 2,
        what="two renewals",
    )
    seen = lefts(worker)
    assert sum(b < a for a, b in zip(seen, seen[1:])) >= 2
    # The sum of ttl - drift - margin - grace is never exceeded.
    assert 0 < max(seen) <= 3000 - 32 - 100 - 600
    worker.send(signal.SIGTERM)
    worker.wait()


def test_nothing_is_left_when_leaderwrap_hangs(steps):
    worker = steps("--grace", "1s", "--renew", "400ms", ttl="3s")
    worker.sigstop()
    worker.wait_output("wait 0")
    seen = lefts(worker)
    last = max(i for i, (a, b) in enumerate(zip([0, *seen], seen)) if b > a)
    assert seen[last:] == sorted(seen[last:], reverse=True)
    worker.cont()
    worker.wait_event("started", after=worker.wait_event("started"))
    # The next term is another one, and good.
    wait_until(lambda: lefts(worker)[-1] > 0)
    worker.send(signal.SIGTERM)
    worker.wait()


def test_a_lost_term_is_said_at_once(steps, redis):
    """Told to stop long before its deadline, the command reads that it has nothing left."""
    worker = steps("--grace", "5s", ttl="60s")
    assert lefts(worker)[0] > 10000
    worker.send(signal.SIGTERM)
    worker.wait_output("wait 0")
    worker.send(signal.SIGTERM)
    worker.wait()
    assert redis.command("GET", "test") is None


def test_the_command_cannot_write_it(arena, redis):
    done = arena.run(
        "--redis", redis.url(), "--key", "test", "--assume-fresh", "--lease-page", "--",
        "python3", "-c", TRIES,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout == "done []\nsize True\n"


def test_no_command_is_surprised_by_a_descriptor(arena, redis):
    script = "ls -l /proc/self/fd | grep -c memfd; echo [$LEADERWRAP_LEASE]"
    options = ["--redis", redis.url(), "--key", "test", "--assume-fresh"]
    outer = {"LEADERWRAP_LEASE": "/proc/self/fd/7"}
    done = arena.run(*options, "--", "sh", "-c", script, env=outer)
    assert done.stdout == "0\n[]\n"
    done = arena.run(*options, "--lease-page", "--", "sh", "-c", script)
    assert done.stdout == "1\n[/proc/self/fd/20]\n"


def test_hooks_and_health_checks_have_it_too(arena, redis):
    seen = "ls -l $LEADERWRAP_LEASE | grep -q memfd && echo page >>"
    hook, check = arena.folder / "hook", arena.folder / "check"
    worker = arena.worker(
        "--assume-fresh", "--lease-page", "--on-acquire", f"{seen} {hook}",
        "--health-cmd", f"{seen} {check}", "--health-interval", "50ms",
        command=["sleep", "600"], redis=redis, ttl="60s",
    )  # fmt: skip
    wait_until(lambda: hook.exists() and check.exists())
    assert worker.stop() == 128 + signal.SIGTERM
