"""What is measured, and its surroundings: programs, processes, and the end of all of them."""

import contextlib
import os
import re
import select
import shutil
import signal
import subprocess
import tempfile

from tests.lib import PATIENCE_S, Arena, processes, wait_until
from tests.lib.programs import helper, leaderwrap_binary


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
            guard = wait_until(lambda: processes.children(self.pid), what="a guard")[0]
            keeper = wait_until(lambda: processes.children(guard), what="a keeper")[0]
            self._guardians = [guard, keeper]
        return self._guardians

    def wait(self):
        status = self._process.wait(PATIENCE_S)
        self._stage.workers.remove(self)
        return status

    def stop(self):
        processes.send(self.pid, signal.SIGTERM)
        self.wait()

    def kill(self):
        processes.send(self.pid, signal.SIGKILL)
        self.wait()

    def freeze(self):
        """Stops elector and keeper; returns when all stand still."""
        for pid in (*self.guardians, self.pid):
            processes.stop(pid)

    def crash(self):
        """Ends all of a frozen worker."""
        for pid in self.guardians:
            processes.send(pid, signal.SIGKILL)
        self.kill()


class Stage:
    """The folder, the helpers, a Redis server and everything that was started; a context
    manager that leaves nothing behind."""

    def __init__(self):
        self.binary = str(leaderwrap_binary())
        self.folder = tempfile.mkdtemp(prefix="lw-bench-")
        self.workers = []
        self._arena = Arena(self.folder)
        self.environment = self._arena.environment()
        self.log = os.open(
            os.path.join(self.folder, "log"), os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        )

    def __enter__(self):
        try:
            self.stamp = str(helper("stamp"))
            self.bare = str(helper("bare"))
            self.flock = shutil.which("flock")
            self.redis = self._arena.redis()
            self.client = self.redis.connect()
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(self, kind, error, trace):
        if error is not None:
            with open(os.path.join(self.folder, "log"), encoding="utf-8", errors="replace") as file:
                print("".join(file.readlines()[-20:]), end="")
        self._close()

    @contextlib.contextmanager
    def another_redis(self, *config):
        """A server for one measurement, with these lines in its configuration."""
        redis = self._arena.redis(*config)
        try:
            yield redis
        finally:
            redis.kill()

    def arguments(self, key, ttl, *options):
        """leaderwrap's command line up to the command."""
        line = [self.binary, "--redis", self.redis.url("tcp"), "--key", key, "--ttl", ttl]
        return line + list(options) + ["--"]

    def worker(self, key, ttl, stamps, *options, lone=False):
        """Starts a worker whose command stays. A `lone` one runs from copies of leaderwrap and its
        libraries, so that it shares their memory with nobody; only the C library is shared."""
        command = [*self.arguments(key, ttl, *options), self.stamp, "stay"]
        environment = {}
        if lone:
            environment["LD_LIBRARY_PATH"] = self._copies()
            command[0] = os.path.join(self._copies(), "leaderwrap")
        worker = Worker(self, self.start(command, stamps, environment))
        self.workers.append(worker)
        return worker

    def start(self, command, stamps, environment=None):
        return self._arena.spawn(command, env=environment, stdout=stamps.fd, stderr=self.log)

    def wait_listeners(self, key, count):
        """Until so many followers listen to the events of `key`: then they have been refused."""
        channel = "{%s}:events" % key
        wait_until(
            lambda: self.client.command("PUBSUB", "NUMSUB", channel)[1] == count,
            what="%d followers" % count,
            every=0.002,
        )

    def stop_workers(self):
        for worker in list(self.workers):
            worker.stop()

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

    def _close(self):
        """Kills what was started, the server included."""
        processes.kill_marked(self._arena.mark)
        self._arena.close()
        os.close(self.log)
        shutil.rmtree(self.folder, ignore_errors=True)
