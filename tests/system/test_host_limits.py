"""What the host may refuse: a new process, a system call that is too young for its kernel, the right
to kill what the command has become."""

import os
import shutil
import signal
import subprocess

import pytest

from tests.lib import processes, wait_until
from tests.lib.programs import leaderwrap_binary
from pair import KEY, history, record

# Somebody who has no process but those of the test.
USER = 54321

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="becoming somebody else needs root")


IDENTITY = ["setpriv", "--reuid=%d" % USER, "--regid=%d" % USER, "--clear-groups"]


def as_user(arena):
    """What to put before the program's name so that another user runs a copy of it, wherever the
    original is."""
    arena.short_folder.chmod(0o755)
    copy = shutil.copy(leaderwrap_binary(), arena.short_folder / "leaderwrap")
    return [*IDENTITY, "sh", "-c", 'shift; exec "$0" "$@"', str(copy)]


def limit_processes(pid, most):
    """Lets that user have so many processes and no more, as far as process `pid` is concerned."""
    subprocess.run([*IDENTITY, "prlimit", "--pid=%d" % pid, "--nproc=%s:" % most], check=True)


@needs_root
def test_a_host_that_cannot_fork_lets_another_one_lead(arena, redis):
    # Longer than the test's patience: whoever leads next was told so by a release.
    calm = {"ttl": "60s", "url": redis.url("tcp"), "command": ["sleep", 600]}
    roomy = arena.worker("--assume-fresh", **calm)
    roomy.wait_event("started")
    full = arena.worker(prefix=as_user(arena), **calm)
    full.wait_event("waiting")
    limit_processes(full.keeper, 1)

    roomy.stop()
    full.wait_event("not_started")
    refused = full.wait_event("released")
    last = history(redis)[-1]
    assert (last["event"], last["name"], last["reason"]) == ("end", full.name, "not started")

    # With nobody else there it tries again, and leads as soon as it can.
    limit_processes(full.keeper, 1000)
    full.wait_event("started", after=refused)
    assert full.stop() == 128 + signal.SIGTERM


class Immortals:
    """Processes of root's below a leaderwrap that is not: what a set-user-id program becomes."""

    # Nothing else sleeps for so long.
    SLEEP = ("sleep", "86400")

    def __init__(self, arena):
        self._arena = arena
        program = str(shutil.copy(shutil.which("setpriv"), arena.short_folder / "setpriv"))
        os.chmod(program, 0o4755)
        self.command = [program, "--reuid=0", "--regid=0", "--clear-groups", *self.SLEEP]
        # For the shell, which is to be that process.
        self.line = "exec " + " ".join(self.command)

    def below(self, parent):
        """The child of that process that is root's by now; None if there is none yet."""
        found = [pid for pid in processes.children(parent) if self._is_immortal(pid)]
        return found[0] if found else None

    def wait(self, parent):
        return wait_until(lambda: self.below(parent), what="a process that is root's")

    def end_all(self):
        """Ends every leaderwrap of the test, which none of these may hold up."""
        for worker in self._arena.workers:
            if worker.running:
                worker.send(signal.SIGTERM)

        def ended():
            for pid in filter(self._is_immortal, self._arena.leftovers()):
                processes.send(pid, signal.SIGKILL)
            return not any(worker.running for worker in self._arena.workers)

        wait_until(ended, what="the end of all candidates")

    def _is_immortal(self, pid):
        return processes.command_line(pid).split() == list(self.SLEEP)


@pytest.fixture
def immortals(arena):
    """However the test ends, none of them is left to hold up the arena's own end."""
    made = Immortals(arena)
    yield made
    made.end_all()


@needs_root
def test_a_lease_is_never_released_over_a_process_that_cannot_be_killed(arena, redis, immortals):
    """The command is a set-user-id program: it becomes root, which leaderwrap is not."""
    calm = {"ttl": "3s", "url": redis.url("tcp"), "command": immortals.command}
    worker = arena.worker("--assume-fresh", prefix=as_user(arena), **calm)
    worker.wait_event("started")
    child = immortals.wait(worker.keeper)
    worker.send(signal.SIGTERM)
    worker.wait_event("stuck")
    wait_until(lambda: redis.command("EXISTS", KEY) == 0, what="the lease to run out")
    assert record(redis)["st"] == "held"
    assert worker.running and processes.alive(child)

    processes.send(child, signal.SIGKILL)
    dead = worker.wait_event("tree_dead")
    assert worker.wait() == 128 + signal.SIGKILL
    assert worker.find("stuck")[0].index < dead.index


@needs_root
def test_a_check_that_cannot_be_made_says_nothing_of_the_command(arena, redis):
    check = ("--health-cmd", "true", "--health-interval", "100ms", "--health-retries", "1")
    calm = {"ttl": "60s", "url": redis.url("tcp"), "command": ["sleep", 600]}
    worker = arena.worker("--assume-fresh", *check, prefix=as_user(arena), **calm)
    last = worker.wait_event("healthy")
    limit_processes(worker.companion, 1)
    for _ in range(3):
        last = worker.wait_event("health_skipped", after=last)
        assert "could not be started: " in last["message"]
    assert not worker.find("unhealthy") and worker.child
    assert worker.stop() == 128 + signal.SIGTERM


@needs_root
def test_a_check_that_cannot_be_killed_has_failed(arena, redis, immortals):
    """And it counts as a part of the tree: the lease is left to run out, and never released."""
    check = ("--health-cmd", immortals.line, "--health-interval", "100ms")
    # Where the host is so slow that a check is killed before it is root's, the next is not.
    check += ("--health-timeout", "500ms", "--health-retries", "10", "--penalty", "60s")
    calm = {"ttl": "3s", "url": redis.url("tcp"), "command": ["sleep", 600]}
    worker = arena.worker("--assume-fresh", *check, prefix=as_user(arena), **calm)
    failed = worker.wait_event("health_failed")
    while "cannot be ended" not in failed["message"]:
        assert "took longer than 500 ms" in failed["message"] or "signal 9" in failed["message"]
        failed = worker.wait_event("health_failed", after=failed)
    unhealthy = worker.wait_event("unhealthy", after=failed)
    assert "for the last one does not end (10 in a row)" in unhealthy["message"]
    worker.wait_event("child_exit")
    wait_until(lambda: redis.command("EXISTS", KEY) == 0, what="the lease to run out")
    assert record(redis)["st"] == "held" and not worker.find("tree_dead")

    processes.send(immortals.wait(worker.companion), signal.SIGKILL)
    worker.wait_event("stand_back", after=worker.wait_event("tree_dead"))
    assert worker.stop() == 128 + signal.SIGTERM


@needs_root
def test_a_hook_that_cannot_be_killed_is_waited_for(arena, redis, immortals):
    hook = ("--on-lose", immortals.line)
    calm = {"ttl": "3s", "url": redis.url("tcp"), "command": ["sh", "-c", "exit 7"]}
    worker = arena.worker("--assume-fresh", *hook, prefix=as_user(arena), **calm)
    worker.wait_event("released")
    left = immortals.wait(worker.companion)
    # Whoever insists does not wait for a hook, but for what it has become.
    wait_until(lambda: worker.find("stuck") or worker.send(signal.SIGTERM), what="stuck")
    assert worker.running
    processes.send(left, signal.SIGKILL)
    assert worker.wait() == 7


@needs_root
def test_a_greeting_that_cannot_be_killed_does_not_end_the_candidacy(arena, redis, immortals):
    """Its lease is left to run out, and the next term says that it begins beside it."""
    hook = ("--on-acquire", immortals.line, "--retry", "100ms")
    calm = {"ttl": "2s", "url": redis.url("tcp"), "command": ["sleep", 600]}
    worker = arena.worker("--assume-fresh", *hook, prefix=as_user(arena), **calm)
    worker.wait_event("elected")
    left = immortals.wait(worker.companion)
    redis.command("SET", KEY, "somebody else")
    dead = worker.wait_event("tree_dead", after=worker.wait_event("lost"))
    alive = worker.wait_event("hook_alive", after=dead)
    assert "cannot be killed" in alive["message"]
    assert alive.told_ns - dead.told_ns >= 1.9 * 10**9
    assert not worker.find("released")

    redis.command("DEL", KEY)
    again = worker.wait_event("elected", after=alive)
    beside = worker.wait_event("hook_alive", after=again)
    assert "beside this one" in beside["message"]
    processes.send(left, signal.SIGKILL)
    processes.wait_gone(left)
    # Now the new term has its own.
    left = immortals.wait(worker.companion)
    worker.send(signal.SIGTERM)
    worker.wait_event("tree_dead", after=beside)
    processes.send(left, signal.SIGKILL)
    assert worker.wait() == 128 + signal.SIGTERM


def test_an_old_kernel_without_close_range(arena, redis):
    """Descriptors that leaderwrap was started with do not reach the command there either."""
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    refuse = ["-e", "trace=close_range", "-e", "inject=close_range:error=ENOSYS"]
    worker = arena.worker(
        "--assume-fresh",
        command=["bash", "-c", "for fd in /proc/self/fd/*; do echo ${fd##*/}; done"],
        redis=redis,
        ttl="60s",
        prefix=["bash", "-c", 'exec 9</dev/null; exec "$@"', "bash"]
        + ["strace", "--seccomp-bpf", "-f", "-qq", "-o", "/dev/null", *refuse],
        # The leak check uses ptrace, too.
        env={"ASAN_OPTIONS": "detect_leaks=0"},
    )
    assert worker.wait() == 0
    # 3 is where bash reads that folder.
    assert worker.output == ["0", "1", "2", "3"]


def test_a_command_whose_start_takes_too_long_is_not_started(arena, redis):
    """The fork hangs until its first deadline has passed: it must not become the command."""
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    hang = ["-e", "trace=getppid", "-e", "inject=getppid:delay_enter=2500000:when=1"]
    worker = arena.worker(
        "--assume-fresh",
        command=["echo", "executed"],
        redis=redis,
        prefix=["strace", "--seccomp-bpf", "-f", "-qq", "-o", "/dev/null", *hang],
        env={"ASAN_OPTIONS": "detect_leaks=0"},
    )
    worker.wait_event("not_started")
    worker.wait_event("released")
    assert not worker.output
    (elector,) = processes.children(worker.pid)
    processes.send(elector, signal.SIGTERM)
    assert worker.wait() == 128 + signal.SIGTERM
