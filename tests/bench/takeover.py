"""How long nobody leads: after a clean stop, after a kill -9 of the wrapper, and after a crash."""

import random
import time

from tests.bench.stage import Stamps
from tests.bench.table import Row
from tests.lib import boottime_ns, processes

TTL = "2s"
RENEW_S = 2 / 3


class Trio:
    """A leader and two followers, made complete again after each fault."""

    def __init__(self, stage, key):
        self.stage = stage
        self.key = key
        self.stamps = Stamps()
        self.leader = stage.worker(key, TTL, self.stamps, "--assume-fresh")
        self.stamps.wait("start")
        for count in (1, 2):
            stage.worker(key, TTL, self.stamps)
            stage.wait_listeners(key, count)

    def next_start_ns(self):
        """Waits for the next leader's command."""
        at_ns, child = self.stamps.wait("start")
        pid = child
        for _ in ("keeper", "guard", "elector"):
            pid = processes.stat(pid).parent
        self.leader = next(worker for worker in self.stage.workers if worker.pid == pid)
        return at_ns

    def refill(self):
        """Another follower, and a pause so that faults come at any point between two renewals."""
        self.stage.wait_listeners(self.key, 1)
        self.stage.worker(self.key, TTL, self.stamps)
        self.stage.wait_listeners(self.key, 2)
        time.sleep(random.uniform(0.1, 0.1 + RENEW_S))

    def close(self):
        self.stage.stop_workers()
        self.stamps.close()


def stop(trio):
    """From the old command's last act to the next one's first, in ms."""
    old = trio.leader
    old.stop()
    ended_ns, _ = trio.stamps.wait("end")
    return (trio.next_start_ns() - ended_ns) / 1e6


def kill(trio):
    """From before the kill to the next command's first act, in ms."""
    old = trio.leader
    began_ns = boottime_ns()
    old.kill()
    return (trio.next_start_ns() - began_ns) / 1e6


def crash(trio):
    """From the end of the key's TTL to the next command's first act, in ms."""
    old = trio.leader
    old.freeze()
    asked_ns = boottime_ns()
    left_ms = trio.stage.client.command("PTTL", trio.key)
    old.crash()
    if left_ms < 0:
        raise RuntimeError("the key was gone before the crash")
    return (trio.next_start_ns() - asked_ns) / 1e6 - left_ms


def measure(stage, rounds):
    """The rows of this module."""
    rows = []
    for fault, figure, aim in (
        (stop, "clean stop: old command's end to the next start", 5),
        (kill, "kill -9 of the wrapper to the next start", 20),
        (crash, "crash: end of the TTL to the next start", 20),
    ):
        trio = Trio(stage, "bench-" + fault.__name__)
        samples = []
        for _ in range(rounds):
            samples.append(fault(trio))
            trio.refill()
        trio.close()
        rows.append(Row(figure, "ms", samples, aim))
    return rows
