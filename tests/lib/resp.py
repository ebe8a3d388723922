"""Just enough of Redis's protocol (RESP2) to ask a server."""

import socket


class RedisError(Exception):
    """An error reply; the message is the reply without its minus sign."""


def encode(arguments):
    parts = [a if isinstance(a, bytes) else str(a).encode() for a in arguments]
    return b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(p), p) for p in parts)


def decode(stream):
    """One reply: str, int, None or a list; raises RedisError."""
    line = stream.readline()
    if not line.endswith(b"\r\n"):
        raise ConnectionError("the server closed the connection")
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
    """A connection to a Unix socket. May be used in a `with`."""

    def __init__(self, path, timeout):
        self._socket = socket.socket(socket.AF_UNIX)
        self._stream = self._socket.makefile("rb")
        try:
            self._socket.settimeout(timeout)
            self._socket.connect(path)
        except BaseException:
            self.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def command(self, *arguments):
        """Returns the reply, raises RedisError."""
        self.send(*arguments)
        return self.reply()

    def send(self, *arguments):
        """Does not wait for the answer."""
        self._socket.sendall(encode(arguments))

    def reply(self):
        """The next one that comes, asked for or not."""
        return decode(self._stream)

    def close(self):
        self._stream.close()
        self._socket.close()
