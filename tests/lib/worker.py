"""One leaderwrap process as a test sees it: its log events, its processes, its end."""

import array
import datetime
import fcntl
import json
import os
import signal
import subprocess
import termios
import threading
import time

from . import processes
from .waiting import PATIENCE_S, boottime_ns, boottime_of, wait_until


def unread(stream):
    """Bytes that wait in a pipe."""
    count = array.array("i", [0])
    try:
        fcntl.ioctl(stream.fileno(), termios.FIONREAD, count)
    except ValueError:  # closed
        return 0
    return count[0]


class Event(dict):
    """One JSON line of the log; `at_ns` is when it was read (CLOCK_BOOTTIME): never earlier than when
    it was written, and on a busy machine a good deal later."""

    def __init__(self, fields, index, at_ns):
        super().__init__(fields)
        self.index = index
        self.at_ns = at_ns

    @property
    def name(self):
        return self.get("event")

    @property
    def told_ns(self):
        """When it was written (CLOCK_BOOTTIME), to the millisecond: for what must not be too early
        after another, however late the first of them was read."""
        said = datetime.datetime.fromisoformat(self["time"].replace("Z", "+00:00"))
        return boottime_of(int(said.timestamp() * 1000) * 10**6)

    def __str__(self):
        known = ("time", "level", "event", "pid", "key", "name", "message")
        more = "".join(" %s=%s" % item for item in self.items() if item[0] not in known)
        head = "%.3f %s%s" % (self.at_ns / 1e9, self.name, more)
        return "%s: %s" % (head, self.get("message", ""))


class Worker:
    """Starts leaderwrap and reads its log. See Arena.worker for the arguments."""

    def __init__(self, arena, arguments, name=None, host=None, env=None, cwd=None, prefix=()):
        self.arena = arena
        self.name = name or "worker"
        self.events = []  # every Event so far
        self.lines = []  # lines of standard error that are no event (the command's, too)
        self.output = []  # lines of standard output
        self._news = threading.Condition()
        self._readers = []
        command = [*prefix, *arena.leaderwrap_command(), *arguments]
        self._process = arena.spawn(
            command, host=host, env=env, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        self._read(self._process.stderr, self._take_log)
        self._read(self._process.stdout, self._take_output)

    # Events

    def wait_event(self, event, timeout=PATIENCE_S, after=None, **fields):
        """The first Event called `event` with these fields; waits until it comes.

        `event` may be a tuple of names. It looks at the log from its beginning, or behind `after`,
        which is an Event or a mark(). Fails with the log if the event does not come in time, or at
        once if leaderwrap has ended without it.
        """
        names = (event,) if isinstance(event, str) else event
        start = -1 if after is None else after if isinstance(after, int) else after.index
        deadline = time.monotonic() + timeout
        with self._news:
            while True:
                for found in self.events[start + 1 :]:
                    if found.name in names and fields.items() <= found.items():
                        return found
                left = deadline - time.monotonic()
                if left <= 0 or not self._reading():
                    why = "not within %g s" % timeout if left <= 0 else "its log has ended"
                    raise AssertionError(
                        "%s: no event %s %s: %s" % (self.name, "/".join(names), fields or "", why)
                    )
                self._news.wait(min(left, 1))

    def mark(self):
        """The present end of the log, for `after`."""
        with self._news:
            return len(self.events) - 1

    def find(self, event, after=None):
        """All Events of that name so far."""
        start = -1 if after is None else after if isinstance(after, int) else after.index
        with self._news:
            return [e for e in self.events[start + 1 :] if e.name == event]

    def wait_output(self, text, timeout=PATIENCE_S):
        """The first line of standard output that contains `text`."""
        with self._news:
            found = self._news.wait_for(
                lambda: any(text in line for line in self.output) or not self._reading(), timeout
            )
            lines = [line for line in self.output if text in line]
        assert found and lines, "%s: no output %r" % (self.name, text)
        return lines[0]

    def log(self):
        """Everything it wrote so far, for people."""
        with self._news:
            return "\n".join(
                ["%s is process %d" % (self.name, self.pid), *map(str, self.events)]
                + ["stderr: " + line for line in self.lines]
                + ["stdout: " + line for line in self.output]
            )

    # Processes

    @property
    def pid(self):
        """The elector: the process that was started."""
        return self._process.pid

    @property
    def guard(self):
        """The pid of the process between elector and keeper; None if it is gone."""
        found = processes.children(self.pid)
        return found[0] if found else None

    @property
    def keeper(self):
        """The keeper's pid; None if it is gone."""
        guard = self.guard
        if guard is None:
            return None
        # It may not have forked yet; and when the keeper is gone it has orphans, which it sweeps.
        wait_until(lambda: processes.children(guard) or not processes.alive(guard))
        own = processes.command_line(self.pid)
        found = [p for p in processes.children(guard) if processes.command_line(p) == own]
        return found[0] if found else None

    @property
    def companion(self):
        """The first of the keepers of hooks and checks."""
        return processes.children(self.pid)[1]

    @property
    def child(self):
        """The command's pid; None if it does not run."""
        keeper = self.keeper
        found = processes.children(keeper) if keeper else []
        return found[0] if found else None

    def tree(self):
        """All living processes below the elector."""
        return processes.descendants(self.pid)

    def wait_child(self, timeout=PATIENCE_S):
        """The command's pid, as soon as it has been executed (and is no fork of the keeper any
        more)."""

        def executed():
            child = self.child
            try:
                # Our own program is only known once there is a child: before, it may be a prefix.
                programs = {os.readlink("/proc/%d/exe" % pid) for pid in (self.pid, child or 0)}
                return child if len(programs) == 2 else None
            except OSError:
                return None

        return wait_until(executed, timeout, what="a command of " + self.name)

    # Faults and the end

    def send(self, number):
        processes.send(self.pid, number)

    def stop(self, number=signal.SIGTERM, timeout=PATIENCE_S):
        """Asks it to end; returns its exit status."""
        self.send(number)
        return self.wait(timeout)

    def insist(self, number=signal.SIGTERM, timeout=PATIENCE_S):
        """Asks it to end again and again, as somebody does who will not wait; returns its exit
        status."""
        wait_until(lambda: not self.running or self.send(number), timeout)
        return self.wait()

    def kill9(self):
        """SIGKILL to the elector alone. Returns when it is dead."""
        self.send(signal.SIGKILL)
        self._process.wait(PATIENCE_S)

    def crash(self):
        """Elector, guard and keeper die at the same instant, as on a host that loses its power (but
        for the command). All are stopped first, so that none sees another's end."""
        pids = [self.pid, self.guard, self.keeper]
        for pid in pids:
            processes.stop(pid)
        for pid in reversed(pids):
            processes.send(pid, signal.SIGKILL)
        self._process.wait(PATIENCE_S)
        for pid in pids[1:]:
            processes.wait_gone(pid)

    def sigstop(self):
        """Freezes the elector; returns when it stands still."""
        processes.stop(self.pid)

    def cont(self):
        self.send(signal.SIGCONT)

    def wait(self, timeout=PATIENCE_S):
        """Its exit status as a shell shows it (128+n for signal n), when it has ended and all it
        wrote has been read."""
        try:
            status = self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError("%s has not ended in %g s" % (self.name, timeout)) from None
        for reader, stream in self._readers:
            # Something that outlives leaderwrap may hold the pipes open: then no end of file comes.
            wait_until(lambda r=reader, s=stream: not r.is_alive() or self._held_open(s))
            if reader.is_alive():
                wait_until(lambda s=stream: unread(s) == 0)
                reader.join(0.5)
        return status if status >= 0 else 128 - status

    @property
    def running(self):
        return self._process.poll() is None

    # Inside

    def _read(self, stream, take):
        def loop():
            with stream:
                for line in stream:
                    with self._news:
                        take(line.decode(errors="replace").rstrip("\n"))
                        self._news.notify_all()

        reader = threading.Thread(target=loop, daemon=True)
        self._readers.append((reader, stream))
        reader.start()

    def _held_open(self, stream):
        try:
            pipe = os.readlink("/proc/self/fd/%d" % stream.fileno())
        except (OSError, ValueError):  # closed
            return False
        return any(pipe in processes.open_files(pid) for pid in self.arena.leftovers())

    def _reading(self):
        return any(reader.is_alive() for reader, _ in self._readers)

    def _take_log(self, line):
        try:
            fields = json.loads(line)
        except ValueError:
            fields = None
        if isinstance(fields, dict) and "event" in fields:
            self.events.append(Event(fields, len(self.events), boottime_ns()))
        else:
            self.lines.append(line)

    def _take_output(self, line):
        self.output.append(line)
