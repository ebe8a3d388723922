"""What is measured, and its surroundings: programs, processes, and the end of all of them."""

import os
import re
import select
import shlex
import shutil
import signal
import subprocess
import tempfile
import time
import uuid

from tests.bench.server import Server

HERE = os.path.dirname(os.path.abspath(__file__))
MARK = "BENCH_MARK"
PATIENCE_S = 30


def boottime_ns():
    """Now, on the clock that stamp.c uses."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


def wait_until(predicate, what):
    deadline = time.monotonic() + PATIENCE_S
    while not predicate():
        if time.monotonic() >= deadline:
            raise RuntimeError("not within %d s: %s" % (PATIENCE_S, what))
        time.sleep(0.002)


def parent_of(pid):
    """0 if there is no such process."""
    try:
        with open("/proc/%d/stat" % pid, encoding="ascii", errors="replace") as file:
            return int(file.read().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def children_of(pid):
    """The children of the process's first thread; none if it is gone."""
    try:
        with open("/proc/%d/task/%d/children" % (pid, pid), encoding="ascii") as file:
            return [int(word) for word in file.read().split()]
    except ProcessLookupError:
        return []
    except FileNotFoundError:
        # A kernel without these lists, or no such process.
        pids = [int(name) for name in os.listdir("/proc") if name.isdigit()]
        return [other for other in pids if parent_of(other) == pid]


def state_of(pid):
    """The letter of /proc/PID/stat; X if there is no such process."""
    try:
        with open("/proc/%d/stat" % pid, encoding="ascii", errors="replace") as file:
            return file.read().rpartition(")")[2].split()[0]
    except OSError:
        return "X"


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


class Stamps:
    """The pipe into which all commands of one measurement write their stamps."""

    def __init__(self):
        self._out, self.fd = os.pipe()
        self._rest = b""

    def wait(self, what):
        """The next stamp of this kind, as (ns, pid); others are passed over."""
        while True:
            word, at_ns, pid = self._line().split()
            if word == what:
                return int(at_ns), int(pid)

    def _line(self):
        while b"\n" not in self._rest:
            ready, _, _ = select.select([self._out], [], [], PATIENCE_S)
            if not ready:
                raise RuntimeError("no command was started within %d s" % PATIENCE_S)
            self._rest += os.read(self._out, 4096)
        line, self._rest = self._rest.split(b"\n", 1)
        return line.decode()

    def close(self):
        os.close(self._out)
        os.close(self.fd)


class Worker:
    """A leaderwrap process."""

    def __init__(self, stage, process):
        self._stage = stage
        self._process = process
        self._guardians = None

    @property
    def pid(self):
        return self._process.pid

    @property
    def guardians(self):
        """The keeper, and the process between it and the elector."""
        if self._guardians is None:
            wait_until(lambda: children_of(self.pid), "a guard")
            guard = children_of(self.pid)[0]
            wait_until(lambda: children_of(guard), "a keeper")
            self._guardians = [guard, children_of(guard)[0]]
        return self._guardians

    def wait(self):
        status = self._process.wait(PATIENCE_S)
        self._stage.workers.remove(self)
        return status

    def stop(self):
        send(self.pid, signal.SIGTERM)
        self.wait()

    def kill(self):
        send(self.pid, signal.SIGKILL)
        self.wait()

    def freeze(self):
        """Stops elector and keeper; returns when all stand still."""
        for pid in (*self.guardians, self.pid):
            send(pid, signal.SIGSTOP)
        for pid in (*self.guardians, self.pid):
            wait_until(lambda pid=pid: state_of(pid) in "TtZX", "pid %d to be stopped" % pid)

    def crash(self):
        """Ends all of a frozen worker."""
        for pid in self.guardians:
            send(pid, signal.SIGKILL)
        self.kill()


class Stage:
    """The folder, the compiled helpers, the Redis server and everything that was started; a context
    manager that leaves nothing behind."""

    def __init__(self, binary):
        self.binary = os.path.realpath(binary)
        self.folder = tempfile.mkdtemp(prefix="lw-bench-")
        self.workers = []
        self._mark = uuid.uuid4().hex
        # Options of leaderwrap in the caller's environment are none of ours.
        self.environment = {
            name: value for name, value in os.environ.items() if not name.startswith("LEADERWRAP_")
        }
        self.environment[MARK] = self._mark
        self.log = os.open(
            os.path.join(self.folder, "log"), os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        )
        self.server = None

    def __enter__(self):
        try:
            self.stamp = self._compile("stamp", ["-static"])
            asked = ["pkg-config", "--cflags", "--libs", "hiredis"]
            hiredis = shlex.split(subprocess.check_output(asked, text=True))
            self.bare = self._compile("bare", hiredis)
            self.flock = shutil.which("flock")
            self.server = Server(self.folder, self.environment)
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(self, kind, error, trace):
        if error is not None:
            with open(os.path.join(self.folder, "log"), encoding="utf-8", errors="replace") as file:
                print("".join(file.readlines()[-20:]), end="")
        self._close()

    def arguments(self, key, ttl, *options):
        """leaderwrap's command line up to the command."""
        line = [self.binary, "--redis", self.server.url, "--key", key, "--ttl", ttl]
        return line + list(options) + ["--"]

    def worker(self, key, ttl, stamps, *options, lone=False):
        """Starts a worker whose command stays. A `lone` one runs from copies of leaderwrap and its
        libraries, so that it shares their memory with nobody; only the C library is shared."""
        command = [*self.arguments(key, ttl, *options), self.stamp, "stay"]
        environment = dict(self.environment)
        if lone:
            environment["LD_LIBRARY_PATH"] = self._copies()
            command[0] = os.path.join(self._copies(), "leaderwrap")
        worker = Worker(self, self.start(command, stamps, environment))
        self.workers.append(worker)
        return worker

    def start(self, command, stamps, environment=None):
        return subprocess.Popen(
            command,
            env=environment or self.environment,
            stdin=subprocess.DEVNULL,
            stdout=stamps.fd,
            stderr=self.log,
            process_group=0,
        )

    def wait_listeners(self, key, count):
        """Until so many followers listen to the events of `key`: then they have been refused."""
        channel = "{%s}:events" % key
        wait_until(
            lambda: self.server.client("PUBSUB", "NUMSUB", channel)[1] == count,
            "%d followers" % count,
        )

    def stop_workers(self):
        for worker in list(self.workers):
            worker.stop()

    def _compile(self, name, flags):
        program = os.path.join(self.folder, name)
        source = os.path.join(HERE, name + ".c")
        compiler = shlex.split(os.environ.get("CC", "cc"))
        subprocess.check_call(
            [*compiler, "-O2", "-Wall", "-D_GNU_SOURCE", "-o", program, source, *flags]
        )
        return program

    def _copies(self):
        """The folder of those copies."""
        folder = os.path.join(self.folder, "copies")
        if not os.path.exists(folder):
            os.mkdir(folder)
            shutil.copy(self.binary, os.path.join(folder, "leaderwrap"))
            listed = subprocess.check_output(["ldd", self.binary], text=True)
            for name, path in re.findall(r"(\S+) => (/\S+)", listed):
                if not name.startswith(("libc.", "ld-", "libm.", "libpthread.")):
                    shutil.copy(path, os.path.join(folder, name))
        return folder

    def _marked(self):
        found = []
        for name in os.listdir("/proc"):
            if not name.isdigit() or int(name) == os.getpid():
                continue
            try:
                with open("/proc/%s/environ" % name, "rb") as file:
                    if ("%s=%s" % (MARK, self._mark)).encode() in file.read().split(b"\0"):
                        found.append(int(name))
            except OSError:
                continue
        return [pid for pid in found if state_of(pid) not in "ZX"]

    def _close(self):
        """Kills what carries our mark in its environment, the server included."""

        def swept():
            left = self._marked()
            for pid in left:
                send(pid, signal.SIGKILL)
            return not left

        wait_until(swept, "the end of what was started")
        if self.server is not None:
            self.server.close()
        os.close(self.log)
        shutil.rmtree(self.folder, ignore_errors=True)
