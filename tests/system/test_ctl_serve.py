"""leaderctl serve: the page, and the stream of what it shows."""

import http.client
import json
import os
import shutil
import socket
import subprocess
import threading
import time

import pytest

from pair import KEY
from test_ctl import LEADERCTL, ctl, lead, plant, plant_on_each
from test_ctl_acts import stand_by
from tests.lib import wait_until
from tests.lib.programs import ROOT
from tests.lib.redis import free_port


class Page:
    """A leaderctl that serves, on a port of its own; on another `host` on a socket in the file
    system."""

    def __init__(self, arena, *way, host=None):
        self.port = free_port()
        self.address = "127.0.0.1:%d" % self.port
        self.path = str(arena.short_folder / "page") if host else None
        listen = "unix:" + self.path if host else self.address
        options = [*way, "--request-timeout", "1s", "serve", "--listen", listen]
        self.process = arena.spawn([LEADERCTL, *options], host=host)
        wait_until(self._listens)

    def _listens(self):
        try:
            self.connect(1).close()
        except OSError:
            return False
        return True

    def connect(self, timeout):
        """An HTTPConnection."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        if self.path is None:
            connection.connect()
        else:
            connection.sock = socket.socket(socket.AF_UNIX)
            connection.sock.settimeout(timeout)
            connection.sock.connect(self.path)
        return connection

    def get(self, path, **headers):
        connection = self.connect(30)
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read().decode()


class Events:
    """A client of the stream: the documents that it has been sent, each with when."""

    def __init__(self, page):
        self.documents = []
        self._connection = page.connect(60)
        self._connection.request("GET", "/events")
        self._answer = self._connection.getresponse()
        assert self._answer.getheader("Content-Type") == "text/event-stream"
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        try:
            for line in self._answer:
                if line.startswith(b"data: "):
                    self.documents.append((time.monotonic(), json.loads(line[6:])))
        except (OSError, ValueError, AttributeError):
            pass  # closed

    def wait(self, found):
        """The first document for which `found` is true, and when it came."""
        wait_until(lambda: any(found(document) for _, document in list(self.documents)))
        return next((at, each) for at, each in list(self.documents) if found(each))

    def close(self):
        self._connection.close()


def leader_in(document, key=KEY):
    return next((each["leader"] for each in document["leases"] if each["key"] == key), None)


def test_a_take_over_is_seen(arena):
    redis = arena.redis()
    leader = lead(arena, redis, "db1")
    follower = stand_by(arena, redis, "db2")
    page = Page(arena, "--redis", redis.url())
    events = Events(page)
    _, first = events.wait(lambda document: leader_in(document) == "db1")
    (lease,) = first["leases"]
    assert first["error"] is None and lease["state"] == "led" and lease["candidates"]
    assert lease["terms"][0]["leader"] == "db1" and lease["terms"][0]["to_ms"] is None
    leader.stop()
    follower.wait_event("elected")
    elected = time.monotonic()
    at, document = events.wait(lambda document: leader_in(document) == "db2")
    # It is looked for each second; the rest is for a machine that is busy.
    assert at - elected < 10
    assert [term["leader"] for term in document["leases"][0]["terms"]] == ["db2", "db1"]
    events.close()
    page.process.terminate()
    assert page.process.wait(30) == 0


def test_redis_may_go_and_come_back(arena):
    redis = arena.redis("appendonly yes", "appendfsync always")
    lead(arena, redis, "db1")
    page = Page(arena, "--redis", redis.url())
    events = Events(page)
    events.wait(lambda document: leader_in(document) == "db1")
    redis.stop()
    _, told = events.wait(lambda document: document["error"] is not None)
    assert "redis" in told["error"] and told["leases"] == []
    # Whoever comes now is told what was known last, and that it is old.
    late = Events(page)
    wait_until(lambda: len(late.documents) >= 2)
    first, second = (document for _, document in late.documents[:2])
    assert leader_in(first) == "db1" and first["error"] is None and second["error"] is not None
    late.close()
    redis.start()
    seen = len(events.documents)
    wait_until(lambda: any(each["error"] is None for _, each in events.documents[seen:]))
    events.close()


def keys_in(document):
    return [each["key"] for each in document["leases"]]


def test_leases_of_a_cluster_are_shown(arena):
    cluster = arena.cluster()
    keys = plant_on_each(cluster)
    page = Page(arena, *cluster.options, host=cluster.hosts[0])
    events = Events(page)
    events.wait(lambda document: keys_in(document) == sorted(keys))
    plant(cluster.nodes[1], cluster.key_of(cluster.nodes[1], "new"))
    events.wait(lambda document: len(document["leases"]) == 4)
    # Another node takes over; it is found without a word from anybody.
    cluster.nodes[0].kill()
    _, told = events.wait(lambda document: document["error"] is not None)
    assert told["leases"] == []
    cluster.wait_owner(keys[0], cluster.nodes[0])
    seen = len(events.documents)
    wait_until(lambda: any(len(each["leases"]) == 4 for _, each in events.documents[seen:]))
    events.close()


def calls(redis, command):
    """How often the server was asked that."""
    stats = redis.info("commandstats").get("cmdstat_" + command, "calls=0,")
    return int(str(stats).split("calls=")[1].split(",")[0])


def test_a_large_redis_is_not_searched_all_the_time(arena):
    redis = arena.redis()
    fill = "for i = 1, 400000 do redis.call('SET', 'other:' .. i, 1) end"
    redis.command("EVAL", fill, 0)
    plant(redis, "gone")
    plant(redis, "there")
    page = Page(arena, "--redis", redis.url())
    events = Events(page)
    events.wait(lambda document: keys_in(document) == ["gone", "there"])
    searched = calls(redis, "scan")
    # What is known is read all the same; what is there no more is no longer shown.
    plant(redis, "there", "held", "db2")
    events.wait(lambda document: leader_in(document, "there") == "db2")
    redis.command("DEL", "{gone}:term")
    events.wait(lambda document: keys_in(document) == ["there"])
    assert calls(redis, "scan") == searched
    events.close()


def test_only_files_of_its_own_are_shown(arena):
    redis = arena.redis()
    page = Page(arena, "--redis", redis.url())
    for path, kind in (("/", "html"), ("/app.js", "javascript"), ("/style.css", "css")):
        status, headers, text = page.get(path)
        assert status == 200 and kind in headers["Content-Type"] and len(text) > 500
        assert "default-src 'none'" in headers["Content-Security-Policy"]
        assert headers["X-Content-Type-Options"] == "nosniff"
        # Nothing is asked of anybody else, but for names of XML.
        assert "//" not in text.replace("http://www.w3.org/2000/svg", "").replace("// ", "")
    assert page.get("/../etc/passwd")[0] == 404
    assert page.get("/other")[0] == 404


@pytest.mark.parametrize(
    "host,status",
    [
        ("localhost:8080", 200),
        ("127.0.0.1", 200),
        ("[::1]:8080", 200),
        ("evil.example", 421),
        ("127.0.0.1.evil.example", 421),
        ("[evil]", 421),
    ],
)
def test_a_name_that_is_not_its_own_is_refused(arena, host, status):
    page = Page(arena, "--redis", "redis://127.0.0.1:%d" % free_port())
    assert page.get("/", Host=host)[0] == status
    assert page.get("/events", Host="evil.example")[0] == 421


def test_slow_clients_hold_nobody_up(arena):
    redis = arena.redis()
    lead(arena, redis, "db1")
    page = Page(arena, "--redis", redis.url())
    silent = []
    for _ in range(100):
        client = socket.create_connection(("127.0.0.1", page.port))
        client.sendall(b"GET /events HTTP/1.1\r\n")
        silent.append(client)
    events = Events(page)
    events.wait(lambda document: leader_in(document) == "db1")
    assert page.get("/")[0] == 200
    for client in silent:
        client.close()


def test_what_cannot_be_served(arena):
    redis = arena.redis()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = "127.0.0.1:%d" % taken.getsockname()[1]
        done = ctl(arena, redis, "serve", "--listen", address, status=125)
        assert "cannot listen on --listen %s" % address in done.stderr
        assert "choose another port" in done.stderr
    assert "numeric address" in ctl(arena, redis, "serve", "--listen", "x", status=64).stderr
    assert "--listen is for serve" in ctl(arena, redis, "ls", "--listen", "x", status=64).stderr


def has_browser():
    """Chromium, and node with playwright-core, which is no package of Debian's: NODE_PATH says where
    npm has put it."""
    if shutil.which("chromium") is None or shutil.which("node") is None:
        return False
    look = subprocess.run(["node", "-e", "require('playwright-core')"], stderr=subprocess.DEVNULL)
    return look.returncode == 0


@pytest.mark.skipif(not has_browser(), reason="there is no chromium with playwright-core here")
def test_a_browser_draws_it(arena):
    """A take-over is seen; names from Redis are texts, whatever they say; nothing is asked of
    anybody else."""
    redis = arena.redis()
    hostile = "<img src=x onerror=document.title='owned'>"
    leader = lead(arena, redis, hostile)
    follower = stand_by(arena, redis, "db2")
    page = Page(arena, "--redis", redis.url())
    script = ROOT / "tests" / "helpers" / "page.js"
    browser = arena.spawn(
        ["node", script, shutil.which("chromium"), "http://%s/" % page.address],
        env=arena.environment({"NODE_PATH": os.environ.get("NODE_PATH", "")}),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    told = (json.loads(line) for line in browser.stdout)
    assert next(told) == {"event": "leader", "leader": hostile}
    leader.stop()
    follower.wait_event("elected")
    elected = time.monotonic()
    while (line := next(told)) != {"event": "leader", "leader": "db2"}:
        assert line["event"] == "leader"  # nobody's, for a moment
    assert time.monotonic() - elected < 10
    browser.stdin.close()
    content = next(told)
    assert content["title"] == "leaderwrap: leases" and content["images"] == 0
    assert content["bars"] == 2
    assert list(told) == [] and browser.wait(30) == 0
