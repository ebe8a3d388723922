"""A private Redis server, and as much of its protocol as the benchmarks speak."""

import os
import random
import socket
import subprocess
import time

PATIENCE_S = 20


class RedisError(Exception):
    """An error reply."""


def encode(arguments):
    parts = [str(argument).encode() for argument in arguments]
    return b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(p), p) for p in parts)


def decode(stream):
    """One RESP2 reply: str, int, None or a list."""
    line = stream.readline()
    if not line.endswith(b"\r\n"):
        raise ConnectionError("redis closed the connection")
    kind, rest = line[:1], line[1:-2].decode()
    if kind == b"-":
        raise RedisError(rest)
    if kind == b"+":
        return rest
    if kind == b":":
        return int(rest)
    size = int(rest)
    if size < 0:
        return None
    if kind == b"$":
        return stream.read(size + 2)[:-2].decode(errors="replace")
    return [decode(stream) for _ in range(size)]


class Client:
    """A connection that stays."""

    def __init__(self, path):
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(PATIENCE_S)
        self._socket.connect(path)
        self._stream = self._socket.makefile("rb")

    def __call__(self, *arguments):
        self._socket.sendall(encode(arguments))
        return decode(self._stream)

    def next_reply(self):
        return decode(self._stream)

    def close(self):
        self._stream.close()
        self._socket.close()


class Server:
    """A redis-server without persistence on a free loopback port and a Unix socket. The benchmarks
    talk to it by the socket, what they measure by the port."""

    def __init__(self, folder, environment):
        self.port = None
        self.path = os.path.join(folder, "redis.sock")
        self._log = os.path.join(folder, "redis.log")
        self._process = None
        for _ in range(10):
            self._launch(folder, environment)
            self.client = self._connect()
            if self.client is not None:
                return
            self.close()
        raise RuntimeError("redis-server does not start: see %s" % self._log)

    @property
    def url(self):
        return "redis://127.0.0.1:%d/0" % self.port

    @property
    def version(self):
        lines = self.client("INFO", "server").splitlines()
        return next(line.split(":")[1] for line in lines if line.startswith("redis_version:"))

    def connect(self):
        """One more connection."""
        return Client(self.path)

    def close(self):
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()

    def _launch(self, folder, environment):
        # Below the range of outgoing connections' ports.
        self.port = random.randrange(20000, 32000)
        arguments = {
            "port": self.port,
            "bind": "127.0.0.1",
            "unixsocket": self.path,
            "dir": folder,
            "logfile": self._log,
            "save": "",
            "appendonly": "no",
        }
        command = ["redis-server"]
        for name, value in arguments.items():
            command += ["--" + name, str(value)]
        self._process = subprocess.Popen(
            command, env=environment, stdin=subprocess.DEVNULL, process_group=0
        )

    def _connect(self):
        """None if the server ended instead (the port was taken)."""
        deadline = time.monotonic() + PATIENCE_S
        while self._process.poll() is None and time.monotonic() < deadline:
            try:
                client = Client(self.path)
                if client("PING") == "PONG":
                    return client
            except (FileNotFoundError, ConnectionError):
                pass
            time.sleep(0.01)
        return None
