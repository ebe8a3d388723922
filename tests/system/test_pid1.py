"""leaderwrap as the first process of a container: a PID namespace of its own."""

import os
import signal
import subprocess

import pytest

from tests.lib import processes, wait_gone, wait_until


def obstacle():
    if os.geteuid() != 0:
        return "PID namespaces need root"
    probe = ["unshare", "--pid", "--fork", "--mount-proc", "true"]
    if subprocess.run(probe, capture_output=True, check=False).returncode != 0:
        return "this machine allows no PID namespaces"
    return None


pytestmark = pytest.mark.skipif(obstacle() is not None, reason=str(obstacle()))

CONTAINER = ["unshare", "--pid", "--fork", "--mount-proc"]


class Container:
    """A worker whose leaderwrap has the number 1."""

    def __init__(self, arena, redis, *options, command, **more):
        self.worker = arena.worker(
            "--assume-fresh", *options, command=command, redis=redis, prefix=CONTAINER, **more
        )
        self.worker.wait_event("started")
        # The worker's own process is unshare; its pid and its signals mean nothing here.
        (self.pid,) = processes.children(self.worker.pid)
        (self.guard,) = processes.children(self.pid)
        (self.keeper,) = processes.children(self.guard)

    def zombies(self):
        """Dead processes of this container that nobody has reaped."""
        dead = [pid for pid, each in processes.everything().items() if each.state == "Z"]
        return [pid for pid in dead if self.has(pid)]

    def has(self, pid):
        try:
            space = os.readlink("/proc/%d/ns/pid" % pid)
        except OSError:
            # Of a zombie the namespace cannot be read, but who should reap it can.
            info = processes.stat(pid)
            return info is not None and info.parent in (self.pid, self.guard, self.keeper)
        return space == os.readlink("/proc/%d/ns/pid" % self.pid)

    def enter(self, arena, script):
        """Runs a shell's script inside, as "docker exec" does: its parent is outside."""
        command = ["nsenter", "--target", self.pid, "--pid", "--mount", "--", "sh", "-c", script]
        assert arena.spawn(command).wait(30) == 0

    def stop(self, number=signal.SIGTERM):
        processes.send(self.pid, number)
        return self.worker.wait()


def test_it_is_pid_1_and_stops_cleanly(arena, redis):
    container = Container(arena, redis, command=arena.beat("--fork", 2, "--daemonize"), ttl="60s")
    with open("/proc/%d/status" % container.pid, encoding="utf-8") as file:
        assert "NSpid:\t%d\t1\n" % container.pid in file.read()
    wait_until(lambda: len(processes.descendants(container.keeper)) == 4)
    assert container.stop() == 0
    assert container.worker.find("released")
    assert redis.command("GET", "test") is None


@pytest.mark.parametrize("name", ["INT", "QUIT"])
def test_the_other_signals_stop_it_too(arena, redis, name):
    # The kernel gives the first process of a namespace no signal that it has no handler for.
    container = Container(arena, redis, command=arena.beat(), ttl="60s")
    number = signal.Signals["SIG" + name]
    assert container.stop(number) == 128 + number


def test_it_stops_while_it_follows(arena, redis):
    redis.command("SET", "test", "occupied")
    worker = arena.worker(command=["true"], redis=redis, prefix=CONTAINER, ttl="60s")
    worker.wait_event("waiting")
    (pid,) = processes.children(worker.pid)
    processes.send(pid, signal.SIGTERM)
    assert worker.wait() == 128 + signal.SIGTERM


def test_it_reaps_orphans_of_processes_that_came_in_from_outside(arena, redis):
    container = Container(arena, redis, command=["sleep", 600], ttl="60s")
    # Their parent ends first: they are ours then, dead or alive.
    script = "for i in 1 2 3 4 5; do (sleep 0.1 & sleep 0.2 &) & done; sleep 600 &"
    container.enter(arena, script)

    def orphans():
        return [pid for pid in processes.children(container.pid) if pid != container.guard]

    # All but one end by themselves, and nothing remains of them.
    wait_until(lambda: len(orphans()) == 1 and not container.zombies())
    (orphan,) = orphans()
    processes.send(orphan, signal.SIGKILL)
    wait_until(lambda: not orphans() and not container.zombies())
    # None of this concerned the command.
    assert not container.worker.find("child_exit")
    assert container.stop() == 128 + signal.SIGTERM


def test_it_reaps_what_its_command_abandons(arena, redis):
    script = (
        "for i in 1 2 3 4 5 6 7 8 9 10; do (setsid sh -c 'sleep 0.05 & exit' &); done; "
        "echo made; exec sleep 600"
    )
    container = Container(arena, redis, command=["sh", "-c", script], ttl="60s")
    container.worker.wait_output("made")
    wait_until(lambda: len(processes.descendants(container.keeper)) == 1)
    wait_until(lambda: not container.zombies())
    assert container.stop() == 128 + signal.SIGTERM


def test_kill9_from_outside_leaves_nothing(arena, redis):
    # The kernel kills a namespace with its first process: no last will can be executed.
    container = Container(arena, redis, command=arena.beat("--daemonize"), ttl="4s")
    wait_until(lambda: len(processes.descendants(container.keeper)) == 2)
    family = processes.descendants(container.pid)
    processes.send(container.pid, signal.SIGKILL)
    for pid in family:
        wait_gone(pid)
    container.worker.wait()
    follower = arena.worker(command=["true"], redis=redis, ttl="4s")
    assert follower.wait() == 0


def test_the_exit_status_of_the_command_is_that_of_the_container(arena, redis):
    worker = arena.worker(
        "--assume-fresh", command=["sh", "-c", "exit 7"], redis=redis, prefix=CONTAINER
    )
    assert worker.wait() == 7
