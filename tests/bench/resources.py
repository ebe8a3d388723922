"""What leaderwrap needs while nothing happens: memory, processor, context switches, requests."""

import os
import re
import signal
import time

from tests.bench.stage import Stamps
from tests.bench.table import Row
from tests.lib import processes, wait_until

TTL = "15s"

# A renewal, a retry and a ping happen within this time: what they touch is in memory afterwards.
SETTLE_S = 6.5


def memory_kb(pids):
    """(proportional, resident) of all of them together."""
    proportional = resident = 0
    for pid in pids:
        with open("/proc/%d/smaps_rollup" % pid, encoding="ascii") as file:
            text = file.read()
        proportional += int(re.search(r"^Pss: +(\d+) kB", text, re.M).group(1))
        resident += int(re.search(r"^Rss: +(\d+) kB", text, re.M).group(1))
    return proportional, resident


def usage(pids):
    """(ns on a processor, context switches) of all their threads so far."""
    running_ns = switches = 0
    for pid in pids:
        for thread in os.listdir("/proc/%d/task" % pid):
            with open("/proc/%d/task/%s/schedstat" % (pid, thread), encoding="ascii") as file:
                running_ns += int(file.read().split()[0])
            with open("/proc/%d/task/%s/status" % (pid, thread), encoding="ascii") as file:
                switches += sum(map(int, re.findall(r"ctxt_switches:\s+(\d+)", file.read())))
    return running_ns, switches


def ports_of(pid, server_port):
    """The local ports of the process's connections to the server."""
    inodes = set()
    for name in os.listdir("/proc/%d/fd" % pid):
        try:
            target = os.readlink("/proc/%d/fd/%s" % (pid, name))
        except FileNotFoundError:
            continue
        inodes.update(re.findall(r"socket:\[(\d+)\]", target))
    ports = set()
    with open("/proc/%d/net/tcp" % pid, encoding="ascii") as file:
        for line in file.read().splitlines()[1:]:
            fields = line.split()
            if fields[9] in inodes and int(fields[2].split(":")[1], 16) == server_port:
                ports.add(int(fields[1].split(":")[1], 16))
    return ports


class Requests:
    """Counts the requests of each client port. MONITOR tells them apart from what scripts call,
    which Redis's own counters do not."""

    def __init__(self, stage):
        self._client = stage.client
        self._monitor = stage.redis.connect()
        self._monitor.command("MONITOR")

    def end(self):
        """A dictionary from port to count."""
        self._client.command("ECHO", "bench-end")
        counts = {}
        while True:
            line = self._monitor.reply()
            if '"bench-end"' in line:
                self._monitor.close()
                return counts
            found = re.match(r"\S+ \[\d+ 127\.0\.0\.1:(\d+)\]", line)
            if found:
                port = int(found.group(1))
                counts[port] = counts.get(port, 0) + 1


def processes_of(worker):
    return [worker.pid, *worker.guardians]


def lone_memory(stage):
    """((proportional, resident) of a follower, the same of a leader), as if each were the only
    leaderwrap on the machine."""
    stamps = Stamps()

    # The key is somebody else's for ever.
    stage.client.command("SET", "bench-follower", "somebody")
    follower = stage.worker("bench-follower", TTL, stamps, lone=True)
    stage.wait_listeners("bench-follower", 1)
    time.sleep(SETTLE_S)
    following = memory_kb(processes_of(follower))
    follower.stop()

    leader = stage.worker("bench-leader", TTL, stamps, "--assume-fresh", lone=True)
    stamps.wait("start")
    time.sleep(SETTLE_S)
    leading = memory_kb(processes_of(leader))
    leader.stop()
    stamps.close()
    return following, leading


def trio(stage, window_s):
    """A leader and two followers, for `window_s` seconds: a list of (memory, CPU ms, context
    switches, requests), the last three for a minute; the leader's first."""
    stamps = Stamps()
    workers = [stage.worker("bench-trio", TTL, stamps, "--assume-fresh")]
    stamps.wait("start")
    workers += [stage.worker("bench-trio", TTL, stamps) for _ in range(2)]
    stage.wait_listeners("bench-trio", 2)
    time.sleep(SETTLE_S)

    pids = [processes_of(worker) for worker in workers]
    ports = [ports_of(worker.pid, stage.redis.port) for worker in workers]
    requests = Requests(stage)
    before = [usage(each) for each in pids]
    began = time.monotonic()
    time.sleep(window_s)
    minutes = (time.monotonic() - began) / 60
    after = [usage(each) for each in pids]
    counts = requests.end()

    found = []
    for each, own, old, new in zip(pids, ports, before, after):
        asked = sum(counts.get(port, 0) for port in own)
        rates = ((new[0] - old[0]) / 1e6, new[1] - old[1], asked)
        found.append((memory_kb(each), *(rate / minutes for rate in rates)))
    stage.stop_workers()
    stamps.close()
    return found


def flock_memory(stage):
    """(proportional, resident) of a flock that waits."""
    stamps = Stamps()
    lock = os.path.join(stage.folder, "lock-memory")
    holder = stage.start([stage.flock, lock, stage.stamp, "stay"], stamps)
    stamps.wait("start")
    waiter = stage.start([stage.flock, lock, stage.stamp], stamps)

    def waits():
        with open("/proc/locks", encoding="ascii") as file:
            return re.search(r"-> FLOCK .* %d " % waiter.pid, file.read())

    wait_until(waits, what="flock to wait")
    memory = memory_kb([waiter.pid])
    for process in (waiter, holder):
        for pid in [process.pid, *processes.children(process.pid)]:
            processes.send(pid, signal.SIGTERM)
        process.wait()
    stamps.close()
    return memory


def measure(stage, window_s):
    """The rows of this module."""
    waiting = flock_memory(stage)
    lone_follower, lone_leader = lone_memory(stage)
    leader, *followers = trio(stage, window_s)

    def rows(who, what, aim, pairs):
        return [
            Row("%s, %s: %s" % (who, what, kind), "kB", [pair[i] for pair in pairs], limit)
            for i, (kind, limit) in enumerate((("proportional", aim), ("resident", None)))
        ]

    def rate(index, what, unit, aim):
        return [
            Row("follower: " + what, unit, [follower[index] for follower in followers], aim),
            Row("leader: " + what, unit, [leader[index]]),
        ]

    return [
        *rows("reference: flock", "waiting", None, [waiting]),
        *rows("follower", "alone", 1000, [lone_follower]),
        *rows("follower", "of three", 1000, [follower[0] for follower in followers]),
        *rows("leader", "alone", 1500, [lone_leader]),
        *rows("leader", "of three", 1500, [leader[0]]),
        *rate(1, "processor", "ms/min", 5),
        *rate(2, "context switches", "/min", 100),
        *rate(3, "requests", "/min", 5),
    ]
