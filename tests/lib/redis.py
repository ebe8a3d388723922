"""A private Redis server for a test."""

import os
import random
import shutil
import signal
import socket
import struct
import subprocess
import urllib.parse

from . import processes
from .resp import Client, RedisError
from .waiting import PATIENCE_S, wait_until

# Below the range from which the kernel takes ports for outgoing connections, so that a server can
# have its port again after a restart.
PORTS = range(20000, 32000)
# From its port to that on which a node of a cluster talks to the others.
BUS = 10000
PORTS_OF_NODES = range(20000, 32000 - BUS)


def is_free(port):
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def free_port(node=False):
    """A loopback port that nobody listens on; for the node of a cluster the same holds of its bus."""
    while True:
        port = random.choice(PORTS_OF_NODES if node else PORTS)
        if is_free(port) and (not node or is_free(port + BUS)):
            return port


class RedisServer:
    """A redis-server on a Unix socket and a loopback port, with its data in a folder of its own.

    `config` is a list of lines for its configuration file ("appendonly yes", "requirepass x"). With
    `fake_clock` its wall clock can be set by set_clock. `host` puts it into a network namespace; it
    then listens on that host's address.
    """

    def __init__(self, arena, name, config=(), fake_clock=False, host=None, program=None):
        self.arena = arena
        self.name = name
        self.host = host
        self.address = host.address if host else "127.0.0.1"
        self._is_node = "cluster-enabled yes" in config
        self.port = free_port(self._is_node)
        self.folder = arena.folder / name
        self.folder.mkdir()
        self.config_path = self.folder / "redis.conf"
        self.socket = str(arena.short_folder / (name + ".sock"))
        self.password = None
        self.user = None
        self._config = list(config)
        self._program = program or os.environ.get("REDIS_SERVER", "redis-server")
        self._fake_clock = fake_clock
        self._process = None
        self._config_is_written = False
        self._port_is_known = False
        for line in self._config:
            if line.startswith("requirepass "):
                self.password = line.split()[1]
        self.set_clock(0)
        self.start()

    # Life

    def start(self):
        """Starts it (again, with the data in its folder) and returns when it answers PING."""
        for _ in range(10):
            self._launch()
            if wait_until(lambda: self._answers() or not self.running, what=self.log):
                if self.running:
                    self._port_is_known = True
                    return self
            # Somebody else took the port in between; from the first start on it is known to
            # others and must stay.
            if self._port_is_known or "Address already in use" not in self.log():
                break
            self.port = free_port(self._is_node)
            self._config_is_written = False
        raise AssertionError("%s did not start:\n%s" % (self.name, self.log()))

    def stop(self):
        """Ends it cleanly (it saves what its configuration says)."""
        self._end(signal.SIGTERM)

    def kill(self):
        """kill -9."""
        self._end(signal.SIGKILL)

    def restart(self, keep_data=True, kill=False):
        """Stops (or kills) and starts it again, on the same port; without `keep_data` empty."""
        self._end(signal.SIGKILL if kill else signal.SIGTERM)
        if not keep_data:
            self.erase_data()
        self.start()

    def erase_data(self):
        """Removes everything that it stored on disk. To be called while it is stopped."""
        for entry in self.folder.iterdir():
            if entry.is_dir():
                shutil.rmtree(entry)
            elif entry.suffix in (".rdb", ".aof"):
                entry.unlink()

    def freeze(self):
        """SIGSTOP: connections stay open, nothing is answered."""
        processes.stop(self.pid)

    def thaw(self):
        processes.send(self.pid, signal.SIGCONT)

    @property
    def pid(self):
        return self._process.pid

    @property
    def running(self):
        return self._process is not None and self._process.poll() is None

    def set_clock(self, offset):
        """Steps the server's wall clock, while it runs, so many seconds from the true time; needs
        fake_clock."""
        handle = os.open(self.folder / "clock", os.O_WRONLY | os.O_CREAT)
        try:
            os.pwrite(handle, struct.pack("=q", round(offset * 1000)), 0)
        finally:
            os.close(handle)

    # Talking to it

    def command(self, *arguments, timeout=PATIENCE_S):
        """Sends one command on a connection of its own; returns the reply, raises RedisError."""
        with self.connect(timeout) as client:
            return client.command(*arguments)

    def connect(self, timeout=PATIENCE_S):
        """A connection that stays, to be closed by the caller: a Client."""
        client = Client(self.socket, timeout)
        try:
            if self.password is not None:
                client.command("AUTH", self.user or "default", self.password)
        except BaseException:
            client.close()
            raise
        return client

    def cli(self, *arguments):
        """What redis-cli prints for a command, without the last newline."""
        access = ["--no-auth-warning"] + (["-a", self.password] if self.password else [])
        done = subprocess.run(
            ["redis-cli", "-s", self.socket, *access, *map(str, arguments)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=True,
            timeout=PATIENCE_S,
        )
        return done.stdout.rstrip("\n")

    def ask(self, *arguments):
        """The reply to a question that need not be answered (now): None then, or after a second."""
        try:
            return self.command(*arguments, timeout=1)
        except (OSError, RedisError):
            return None

    def flushall(self):
        self.command("FLUSHALL")

    def info(self, section="server"):
        """INFO as a dictionary."""
        lines = self.command("INFO", section).splitlines()
        return dict(line.split(":", 1) for line in lines if ":" in line)

    def url(self, kind="unix", user=None, password=None, db=None):
        """The URL for leaderwrap; kind is "unix" or "tcp". `password` defaults to requirepass's."""
        password = self.password if password is None else password
        access = ""
        if password is not None:
            quoted = [urllib.parse.quote(part, safe="") for part in (user or "", password)]
            access = ":".join(quoted) + "@"
        if kind == "unix":
            return "unix://%s%s%s" % (access, self.socket, "" if db is None else "?db=%d" % db)
        return "redis://%s%s:%d/%d" % (access, self.address, self.port, db or 0)

    def log(self):
        path = self.folder / "log"
        return path.read_text(errors="replace") if path.exists() else ""

    # Inside

    def _launch(self):
        # What a server wrote into it itself (whose replica it is, say) is kept over a restart.
        if not self._config_is_written:
            self._write_config()
            self._config_is_written = True
        if os.path.exists(self.socket):
            os.unlink(self.socket)
        self._process = self.arena.spawn(
            self._command(),
            host=self.host,
            env=self._environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def _command(self):
        return [self._program, str(self.config_path)]

    def _write_config(self):
        lines = [
            "port %d" % self.port,
            "bind %s" % self.address,
            "protected-mode no",
            "unixsocket %s" % self.socket,
            "dir %s" % self.folder,
            "logfile %s" % (self.folder / "log"),
            "daemonize no",
            'save ""',
            # A write to a slow disk is none of the tests' business.
            "appendfsync no",
            *self._config,
        ]
        self.config_path.write_text("\n".join(lines) + "\n", encoding="utf-8")

    def _environment(self):
        if not self._fake_clock:
            return {}
        return {
            "LD_PRELOAD": str(self.arena.built("libwallclock.so")),
            "WALLCLOCK_FILE": str(self.folder / "clock"),
        }

    def _answers(self):
        try:
            return self.command("PING") == "PONG"
        except (FileNotFoundError, ConnectionError):
            return False
        except RedisError as error:
            # Anything but "still loading" comes from a server that is up (NOAUTH, say).
            return not str(error).startswith("LOADING")

    def _end(self, number):
        if self._process is None:
            return
        if self._process.poll() is None:
            processes.send(self.pid, number)
            processes.send(self.pid, signal.SIGCONT)
        self._process.wait(PATIENCE_S)
