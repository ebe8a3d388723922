"""Looking at processes through /proc, and ending them without ever hitting a recycled pid."""

import os
import select
import signal
import uuid

from .waiting import PATIENCE_S, wait_until

# Environment variables that everything a test, or a whole pytest process, starts inherits.
TEST_MARK = "SYSTEM_TEST_MARK"
SESSION_MARK = "SYSTEM_TEST_SESSION"


def new_mark():
    return uuid.uuid4().hex


def stat(pid):
    """(state, parent, start time) of a process, or None if there is none."""
    try:
        with open("/proc/%d/stat" % pid, encoding="ascii", errors="replace") as file:
            fields = file.read().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return fields[0], int(fields[1]), int(fields[19])


def alive(pid):
    """Whether the process exists and is no zombie."""
    found = stat(pid)
    return found is not None and found[0] not in "ZX"


def all_pids():
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def children(pid):
    """Direct children that are alive, the oldest first."""
    found = []
    for candidate in all_pids():
        info = stat(candidate)
        if info is not None and info[1] == pid and info[0] not in "ZX":
            found.append((info[2], candidate))
    return [candidate for _, candidate in sorted(found)]


def descendants(pid):
    """All living processes below `pid`, the direct children first."""
    found = children(pid)
    for child in list(found):
        found += descendants(child)
    return found


def environment(pid):
    """The environment a process was started with; empty if it cannot be read."""
    try:
        with open("/proc/%d/environ" % pid, "rb") as file:
            entries = file.read().split(b"\0")
    except OSError:
        return {}
    pairs = (entry.partition(b"=") for entry in entries if b"=" in entry)
    return {os.fsdecode(name): os.fsdecode(value) for name, _, value in pairs}


def command_line(pid):
    try:
        with open("/proc/%d/cmdline" % pid, "rb") as file:
            return os.fsdecode(file.read().replace(b"\0", b" ").strip())
    except OSError:
        return ""


def open_files(pid):
    """What the descriptors of a process are open on, as /proc shows it."""
    found = []
    try:
        for descriptor in os.listdir("/proc/%d/fd" % pid):
            found.append(os.readlink("/proc/%d/fd/%s" % (pid, descriptor)))
    except OSError:
        pass
    return found


def marked(mark, variable=TEST_MARK):
    """All living processes that were started with this mark, this one excepted."""
    return [
        pid
        for pid in all_pids()
        if pid != os.getpid() and environment(pid).get(variable) == mark and alive(pid)
    ]


def kill_marked(mark, variable=TEST_MARK):
    """Kills whatever carries the mark, until nothing does."""

    def swept():
        left = marked(mark, variable)
        for pid in left:
            send(pid, signal.SIGKILL)
        return not left

    wait_until(swept, what=lambda: "the end of %s" % describe(marked(mark, variable)))


def describe(pids):
    return "; ".join("%d (%s)" % (pid, command_line(pid)) for pid in pids)


def send(pid, number):
    """Sends a signal; a process that is gone is no error."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        signal.pidfd_send_signal(handle, number)
    except ProcessLookupError:
        pass
    finally:
        os.close(handle)


def stop(pid):
    """Stops a process and returns when the kernel has stopped it."""
    send(pid, signal.SIGSTOP)
    wait_until(lambda: (stat(pid) or "X")[0] in "TtZX", what="pid %d to be stopped" % pid)


def wake(pid):
    """Lets a stopped process go on. One that is not stopped is left alone: where it is about to
    end, a SIGCONT would cancel the stop that its leak check asks for, which then waits for ever."""
    if (stat(pid) or "X")[0] in "Tt":
        send(pid, signal.SIGCONT)


def wait_gone(pid, timeout=PATIENCE_S):
    """Waits for the end of a process that need not be a child."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        ready, _, _ = select.select([handle], [], [], timeout)
    finally:
        os.close(handle)
    assert ready, "still there after %g s: %s" % (timeout, describe([pid]))
