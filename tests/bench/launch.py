"""From launch to the command's exec: leaderwrap with a free lease, flock, and the bare program."""

import os
import signal
import time

from tests.bench.stage import Stamps
from tests.bench.table import Row
from tests.lib import boottime_ns

KEY = "bench-launch"
TTL = "15s"


def measure_ms(stage, stamps, command):
    """Spawns `command`, which starts the stamp, and waits for its end. The clock starts before the
    spawn."""
    actions = [
        (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
        (os.POSIX_SPAWN_DUP2, stamps.fd, 1),
        (os.POSIX_SPAWN_DUP2, stage.log, 2),
    ]
    began_ns = boottime_ns()
    pid = os.posix_spawn(
        command[0],
        command,
        stage.environment,
        file_actions=actions,
        setpgroup=0,
        setsigdef=[signal.SIGPIPE],
    )
    started_ns, _ = stamps.wait("start")
    _, status = os.waitpid(pid, 0)
    if status != 0:
        raise RuntimeError("%s ended with wait status %d" % (command[0], status))
    return (started_ns - began_ns) / 1e6


def lateness_ms():
    """How much longer than asked for a short sleep takes."""
    began_ns = time.monotonic_ns()
    time.sleep(0.005)
    return (time.monotonic_ns() - began_ns) / 1e6 - 5


def measure(stage, rounds):
    """The rows of this module; each round measures all of them in turn."""
    stamps = Stamps()
    wrapper = [*stage.arguments(KEY, TTL), stage.stamp]
    bare = [stage.bare, str(stage.redis.port), KEY + "-bare", stage.stamp]
    flock = [stage.flock, os.path.join(stage.folder, "lock"), stage.stamp]
    late, wrapped, flocked, bared = [], [], [], []

    # From here on there is a record, and it says that the lease is free.
    measure_ms(stage, stamps, [*stage.arguments(KEY, TTL, "--assume-fresh"), stage.stamp])
    for _ in range(rounds):
        late.append(lateness_ms())
        if stage.client.command("HGET", "{%s}:term" % KEY, "st") != "free":
            raise RuntimeError("the lease was not released")
        wrapped.append(measure_ms(stage, stamps, wrapper))
        flocked.append(measure_ms(stage, stamps, flock))
        stage.client.command("DEL", KEY + "-bare")
        bared.append(measure_ms(stage, stamps, bare))
    stamps.close()
    return [
        Row("reference: lateness of a wake-up after a 5 ms sleep", "ms", late),
        Row("reference: launch to exec, flock", "ms", flocked),
        Row("reference: launch to exec, bare C program", "ms", bared),
        Row("launch to exec, leaderwrap", "ms", wrapped, 4),
    ]
