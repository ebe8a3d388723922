"""What the three programs share: a connection to Redis, and HTTP between nodes."""

import http.client
import http.server
import json
import socket
import threading
import urllib.parse

TIMEOUT_S = 5


class RedisError(Exception):
    """An error reply, without its minus sign."""


class Redis:
    """A connection to Redis by the same kind of URL that leaderwrap takes. Calling it sends a
    command; an OSError means that nobody knows whether it was executed."""

    def __init__(self, url):
        parts = urllib.parse.urlsplit(url)
        if parts.scheme == "unix":
            connection = socket.socket(socket.AF_UNIX)
            connection.settimeout(TIMEOUT_S)
            connection.connect(parts.path)
            db = urllib.parse.parse_qs(parts.query).get("db", ["0"])[0]
        else:
            address = (parts.hostname or "127.0.0.1", parts.port or 6379)
            connection = socket.create_connection(address, TIMEOUT_S)
            db = parts.path.lstrip("/") or "0"
        self._socket, self._stream = connection, connection.makefile("rb")
        self._lock = threading.Lock()
        if parts.password is not None:
            unquote = urllib.parse.unquote
            self("AUTH", unquote(parts.username or "default"), unquote(parts.password))
        if db != "0":
            self("SELECT", db)

    def __call__(self, *arguments):
        words = [str(a).encode("utf-8", "surrogateescape") for a in arguments]
        text = b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words)
        with self._lock:
            self._socket.sendall(b"*%d\r\n%s" % (len(words), text))
            return self._reply()

    def _reply(self):
        line = self._stream.readline()
        if not line.endswith(b"\r\n"):
            raise ConnectionError("Redis closed the connection")
        kind, rest = line[:1], line[1:-2].decode()
        if kind == b"-":
            raise RedisError(rest)
        if kind == b"+":
            return rest
        size = int(rest)
        if kind == b":":
            return size
        if kind == b"$":
            if size < 0:
                return None
            return self._stream.read(size + 2)[:-2].decode("utf-8", "surrogateescape")
        return [self._reply() for _ in range(size)]


def request(address, method, path, body=b"", token=None):
    """(status, body) of one HTTP request to host:port; an OSError means that nobody knows whether
    it was executed."""
    client = http.client.HTTPConnection(address, timeout=TIMEOUT_S)
    headers = {} if token is None else {"Token": str(token)}
    try:
        client.request(method, path, body, headers)
        answer = client.getresponse()
        return answer.status, answer.read()
    except http.client.HTTPException as error:
        raise ConnectionError("%s: %r" % (address, error)) from error
    finally:
        client.close()


class Handler(http.server.BaseHTTPRequestHandler):
    """Requests to `self.server.owner`; subclasses have the methods do_GET and so on."""

    def body(self):
        return self.rfile.read(int(self.headers["Content-Length"] or 0))

    def answer(self, status, body=b""):
        """Sends bytes, or anything else as JSON."""
        if not isinstance(body, bytes):
            body = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Keeps quiet about requests."""


def serve(address, handler, owner):
    """Serves on host:port for ever, each request in a thread."""
    host, _, port = address.rpartition(":")
    server = http.server.ThreadingHTTPServer((host, int(port)), handler)
    server.owner = owner
    server.serve_forever()
