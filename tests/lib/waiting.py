"""Waiting for something to become true, within bounds that hold on a slow and noisy machine."""

import time

# How long to wait for what should take milliseconds. Only a failing test ever waits so long.
PATIENCE_S = 30.0


def boottime_ns():
    """Now on the clock that leaderwrap and `beat` use."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


def boottime_of(wall_ns):
    """The same moment on the clock of boottime_ns()."""

    def ahead():
        """How much the wall clock is ahead, and how sure that is: between the readings this process
        may have had to wait."""
        before_ns, now_ns, after_ns = boottime_ns(), time.time_ns(), boottime_ns()
        return after_ns - before_ns, now_ns - before_ns

    return wall_ns - min(ahead() for _ in range(5))[1]


def wait_until(predicate, timeout=PATIENCE_S, what=None, every=0.01):
    """Returns predicate()'s value as soon as it is true; fails after `timeout` seconds.

    For what brings no event of its own. `what` says in the failure what was awaited; a callable is
    asked then.
    """
    deadline = time.monotonic() + timeout
    while True:
        value = predicate()
        if value:
            return value
        if time.monotonic() >= deadline:
            text = what() if callable(what) else what
            raise AssertionError("not within %g s: %s" % (timeout, text or predicate))
        time.sleep(every)
