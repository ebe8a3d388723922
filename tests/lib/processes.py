"""Looking at processes through /proc, and ending them without ever hitting a recycled pid."""

import os
import select
import signal
import typing
import uuid

from .waiting import PATIENCE_S, wait_until

# Environment variables that everything a test, or a whole pytest process, starts inherits.
TEST_MARK = "SYSTEM_TEST_MARK"
SESSION_MARK = "SYSTEM_TEST_SESSION"


def new_mark():
    return uuid.uuid4().hex


class Process(typing.NamedTuple):
    """What /proc/PID/stat says."""

    state: str
    parent: int
    started: int
    name: str
    pid: int

    @property
    def alive(self):
        """Whether it is no zombie."""
        return self.state not in "ZX"


def stat(pid):
    """The Process, or None if there is none."""
    try:
        with open("/proc/%d/stat" % pid, encoding="ascii", errors="replace") as file:
            text = file.read()
    except (FileNotFoundError, ProcessLookupError):
        return None
    name = text[text.index("(") + 1 : text.rindex(")")]
    fields = text[text.rindex(")") + 1 :].split()
    return Process(fields[0], int(fields[1]), int(fields[19]), name, pid)


def state(pid):
    """Its letter; X if there is no such process."""
    found = stat(pid)
    return found.state if found else "X"


def alive(pid):
    """Whether the process exists and is no zombie."""
    return state(pid) not in "ZX"


def all_pids():
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def everything():
    """{pid: Process} of the machine, in one look."""
    found = map(stat, all_pids())
    return {process.pid: process for process in found if process is not None}


def children(pid):
    """Direct children that are alive, the oldest first."""
    found = [each for each in everything().values() if each.parent == pid and each.alive]
    return [each.pid for each in sorted(found, key=lambda each: (each.started, each.pid))]


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


class Handle:
    """A process that cannot turn into another one meanwhile; to be closed. `process` is what was
    seen of it, and may be gone by now."""

    def __init__(self, process):
        self.pid = process.pid
        self._fd = None
        try:
            self._fd = os.pidfd_open(process.pid)
        except OSError:
            return
        # The pid may have found a new owner between the look and the opening.
        now = stat(process.pid)
        if now is None or now.started != process.started:
            self.close()

    def send(self, number):
        """Whether there was somebody to take it."""
        if self._fd is None:
            return False
        try:
            signal.pidfd_send_signal(self._fd, number)
        except ProcessLookupError:
            return False
        return True

    def alive(self):
        """Whether it exists and is no zombie."""
        return self.send(0) and alive(self.pid)

    def wake(self):
        """See the function."""
        if self._fd is not None and state(self.pid) in "Tt":
            self.send(signal.SIGCONT)

    def close(self):
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None


def send(pid, number):
    """Sends a signal; a process that is gone is no error."""
    found = stat(pid)
    if found is None:
        return
    handle = Handle(found)
    handle.send(number)
    handle.close()


def stop(pid):
    """Stops a process and returns when the kernel has stopped it."""
    send(pid, signal.SIGSTOP)
    wait_until(lambda: state(pid) in "TtZX", what="pid %d to be stopped" % pid)


def wake(pid):
    """Lets a stopped process go on. One that is not stopped is left alone: where it is about to
    end, a SIGCONT would cancel the stop that its leak check asks for, which then waits for ever."""
    if state(pid) in "Tt":
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
