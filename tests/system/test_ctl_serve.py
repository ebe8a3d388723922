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

    def __init__(self, arena, *way, host=None, more=()):
        self.port = free_port()
        self.address = "127.0.0.1:%d" % self.port
        self.path = str(arena.short_folder / "page") if host else None
        listen = "unix:" + self.path if host else self.address
        options = [*way, "--request-timeout", "1s", "serve", "--listen", listen, *more]
        self.process = arena.spawn(
            [LEADERCTL, *options], host=host, stdout=subprocess.PIPE, text=True
        )
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
        return self._ask("GET", path, None, headers)

    def post(self, wish, token, path="/act", **changed):
        """Asks for an act as the page does, but for the headers that are `changed`."""
        headers = {
            "Origin": "http://" + self.address,
            "Authorization": "Bearer " + token,
            "Content-Type": "application/json",
        }
        headers.update({name.replace("_", "-"): value for name, value in changed.items()})
        return self._ask("POST", path, json.dumps(wish), headers)

    def _ask(self, method, path, body, headers):
        connection = self.connect(30)
        connection.request(method, path, body=body, headers=headers)
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read().decode()


class Events:
    """A client of the stream: the documents that it has been sent, each with when, and what came of
    acts."""

    def __init__(self, page):
        self.documents = []
        self.outcomes = []
        self._connection = page.connect(60)
        self._connection.request("GET", "/events")
        self._answer = self._connection.getresponse()
        assert self._answer.getheader("Content-Type") == "text/event-stream"
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        try:
            kind = b""
            for line in self._answer:
                if line.startswith(b"data: ") and kind == b"act":
                    self.outcomes.append(json.loads(line[6:]))
                elif line.startswith(b"data: "):
                    self.documents.append((time.monotonic(), json.loads(line[6:])))
                kind = line[7:].strip() if line.startswith(b"event: ") else b""
        except (OSError, ValueError, AttributeError):
            pass  # closed

    def wait(self, found):
        """The first document for which `found` is true, and when it came."""
        wait_until(lambda: any(found(document) for _, document in list(self.documents)))
        return next((at, each) for at, each in list(self.documents) if found(each))

    def outcome(self, wish):
        """What came of an act."""
        found = lambda: [each for each in list(self.outcomes) if each["id"] == wish["id"]]
        wait_until(found)
        return found()[0]

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


def watch_a_cluster(arena):
    """A cluster with a lease on each master, their keys, and a client of its page that sees them."""
    cluster = arena.cluster()
    keys = plant_on_each(cluster)
    events = Events(Page(arena, *cluster.options, host=cluster.hosts[0]))
    events.wait(lambda document: keys_in(document) == sorted(keys))
    return cluster, keys, events


def test_leases_of_a_cluster_are_shown(arena):
    cluster, keys, events = watch_a_cluster(arena)
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


def test_leases_of_a_master_that_came_later_are_shown(arena):
    cluster, keys, events = watch_a_cluster(arena)
    # A replica leaves, and comes back as a master of its own.
    new = cluster.nodes[5]
    new.command("CLUSTER", "RESET", "SOFT")
    first = cluster.nodes[0]
    new.command("CLUSTER", "MEET", first.address, first.port)
    for known in ("cluster_known_nodes:6", "cluster_state:ok"):
        wait_until(lambda: known in new.command("CLUSTER", "INFO"))
    for _ in cluster.move_slot(keys[0], new):
        pass
    plant(new, keys[0], "held", "db9")
    events.wait(lambda document: leader_in(document, keys[0]) == "db9")
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


TOKEN = "a-token-of-the-test"


def controlled(arena, *way):
    """A page that may act, with the token of a file."""
    path = arena.folder / "token"
    path.write_text(TOKEN + "\n", encoding="ascii")
    return Page(arena, *way, more=["--allow-control", "--token-file", path])


def test_the_page_acts_where_that_is_allowed(arena):
    redis = arena.redis()
    workers = {"db1": lead(arena, redis, "db1"), "db2": stand_by(arena, redis, "db2")}
    page = controlled(arena, "--redis", redis.url())
    assert page.process.stdout.readline() == "http://%s/\n" % page.address
    events = Events(page)
    _, document = events.wait(lambda document: leader_in(document) == "db1")
    assert document["control"] is True
    wish = {"id": "a1", "act": "pause", "key": KEY, "reason": "db migration", "for_ms": 600000}
    status, _, text = page.post(wish, TOKEN)
    assert (status, text) == (202, "it is being done")
    outcome = events.outcome(wish)
    assert outcome["done"] and outcome["text"].startswith("paused for 10 min")
    told = workers["db1"].wait_event("wish", wish="paused")
    assert told["reason"] == "db migration" and "@" in told["by"]
    events.wait(lambda document: document["leases"][0]["state"] == "paused")
    wish = {"id": "a2", "act": "resume", "key": KEY}
    assert page.post(wish, TOKEN)[0] == 202 and events.outcome(wish)["text"] == "resumed"
    _, document = events.wait(
        lambda document: document["leases"][0]["terms"][0]["term"] == 2 and leader_in(document)
    )
    old = leader_in(document)
    (new,) = set(workers) - {old}
    wish = {"id": "a3", "act": "step-down", "key": KEY, "to": new}
    mark = workers[new].mark()
    assert page.post(wish, TOKEN)[0] == 202
    outcome = events.outcome(wish)
    assert outcome["done"] and outcome["text"].startswith(old + ", with token ")
    workers[new].wait_event("elected", after=mark)
    # What cannot be done is said.
    wish = {"id": "a4", "act": "step-down", "key": "other"}
    assert page.post(wish, TOKEN)[0] == 202 and events.outcome(wish)["text"] == "nobody leads"
    redis.stop()
    wish = {"id": "a5", "act": "resume", "key": KEY}
    wait_until(lambda: page.post(wish, TOKEN)[0] == 202)
    outcome = events.outcome(wish)
    assert not outcome["done"] and "redis" in outcome["text"]


def test_who_may_not_act_is_told_why(arena):
    redis = arena.redis()
    lead(arena, redis, "db1")
    page = controlled(arena, "--redis", redis.url())
    wish = {"id": "1", "act": "pause", "key": KEY}
    for status, changed in (
        (401, {"Authorization": "Bearer " + TOKEN + "x"}),
        (401, {"Authorization": ""}),
        (403, {"Origin": "http://evil.example"}),
        (403, {"Origin": "null"}),
        (415, {"Content_Type": "text/plain"}),
        (421, {"Host": "evil.example", "Origin": "http://evil.example"}),
    ):
        told, headers, text = page.post(wish, TOKEN, **changed)
        assert told == status and text, changed
        assert ("WWW-Authenticate" in headers) == (status == 401)
    status, _, text = page.post({**wish, "act": "rm"}, TOKEN)
    assert status == 400 and "pause, resume or step-down" in text
    assert page.post(wish, TOKEN, path="/")[0] == 404
    assert page.get("/act")[0] == 404
    assert page.post({**wish, "reason": "x" * 4000}, TOKEN)[0] == 413
    # And by default nobody may.
    page = Page(arena, "--redis", redis.url())
    events = Events(page)
    assert events.wait(lambda document: leader_in(document) == "db1")[1]["control"] is False
    status, headers, _ = page.post(wish, TOKEN)
    assert status == 405 and "POST" not in headers["Allow"]
    assert redis.command("HGET", "{%s}:term" % KEY, "pause") is None


def test_a_token_is_drawn_and_told_at_the_start(arena):
    redis = arena.redis()
    first, second = (
        Page(arena, "--redis", redis.url(), more=["--allow-control"]).process.stdout.readline()
        for _ in range(2)
    )
    assert "/#token=" in first and first.split("=")[1] != second.split("=")[1]
    serve = ("serve", "--allow-control", "--token-file")
    done = ctl(arena, redis, *serve, "/nonexistent/token", status=64)
    assert "cannot use --token-file /nonexistent/token: No such file" in done.stderr
    path = arena.folder / "short"
    path.write_text("short\n", encoding="ascii")
    assert "a token has 16 to 128" in ctl(arena, redis, *serve, path, status=64).stderr


def test_the_value_of_a_counter_is_shown(arena):
    redis = arena.redis()
    redis.command("SET", "global_counter", 41)
    page = Page(arena, "--redis", redis.url(), more=["--counter-key", "global_counter"])
    events = Events(page)
    events.wait(lambda each: each["counter"] == {"key": "global_counter", "value": "41"})
    redis.command("INCR", "global_counter")
    events.wait(lambda each: each["counter"]["value"] == "42")
    redis.command("DEL", "global_counter")
    redis.command("HSET", "global_counter", "a", "b")
    _, document = events.wait(lambda each: each["counter"]["value"] is None)
    assert document["error"] is None


def has_browser():
    """Chromium, and node with playwright-core, which is no package of Debian's: NODE_PATH says where
    npm has put it."""
    if shutil.which("chromium") is None or shutil.which("node") is None:
        return False
    look = subprocess.run(["node", "-e", "require('playwright-core')"], stderr=subprocess.DEVNULL)
    return look.returncode == 0


needs_browser = pytest.mark.skipif(
    not has_browser(), reason="there is no chromium with playwright-core here"
)


def browse(arena, url, *more):
    """A browser that looks at the page, and what it tells (page.js)."""
    script = ROOT / "tests" / "helpers" / "page.js"
    browser = arena.spawn(
        ["node", script, shutil.which("chromium"), url, *more],
        env=arena.environment({"NODE_PATH": os.environ.get("NODE_PATH", "")}),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    return browser, (json.loads(line) for line in browser.stdout)


@needs_browser
def test_a_browser_draws_it(arena):
    """A take-over is seen; names from Redis are texts, whatever they say; nothing is asked of
    anybody else."""
    redis = arena.redis()
    hostile = "<img src=x onerror=document.title='owned'>"
    leader = lead(arena, redis, hostile)
    follower = stand_by(arena, redis, "db2")
    page = Page(arena, "--redis", redis.url(), more=["--counter-key", "count"])
    browser, told = browse(arena, "http://%s/" % page.address)
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


@needs_browser
def test_a_browser_acts(arena):
    """With the token of the address, which is no longer in it afterwards."""
    redis = arena.redis()
    leader = lead(arena, redis, "db1")
    page = Page(arena, "--redis", redis.url(), more=["--allow-control"])
    url = page.process.stdout.readline().strip()
    assert "#token=" in url
    browser, told = browse(arena, url, "<b>why</b>")
    lines = [next(told)]
    while lines[-1]["event"] == "leader":
        lines.append(next(told))
    said = lines[-1]
    assert said["event"] == "said" and said["text"].startswith("%s: paused until" % KEY)
    assert said["address"] == "http://%s/" % page.address
    assert leader.wait_event("wish", wish="paused")["reason"] == "<b>why</b>"
    browser.stdin.close()
    assert all(line["event"] in ("leader", "content") for line in told) and browser.wait(30) == 0
