"""examples/namenode: what was acknowledged survives a failover, and an old name node is refused."""

import hashlib
import http.client
import http.server
import json
import os
import signal
import socket
import subprocess
import threading

import pytest

from tests.lib import PATIENCE_S, processes, wait_until
from tests.lib.programs import ROOT
from tests.lib.redis import free_port

EXAMPLE = ROOT / "examples" / "namenode"


def ask(address, method, path, body=b"", **headers):
    """(status, body) of an HTTP request."""
    client = http.client.HTTPConnection(address, timeout=PATIENCE_S)
    try:
        client.request(method, path, body, headers)
        answer = client.getresponse()
        return answer.status, answer.read()
    finally:
        client.close()


def listens(address):
    host, _, port = address.rpartition(":")
    with socket.socket() as probe:
        return probe.connect_ex((host, int(port))) == 0


class FileStore:
    """Data nodes, candidates for the name node, and the client."""

    def __init__(self, arena, redis):
        self.arena, self.redis = arena, redis
        self.environment = {"REDIS_URL": redis.url(), "PYTHONDONTWRITEBYTECODE": "1"}
        redis.command("SET", "namenode:token", 0)

    def datanode(self):
        """The address of a new data node; its folder is below the test's, by its address."""
        address = "127.0.0.1:%d" % free_port()
        command = [EXAMPLE / "datanode", "--listen", address, "--dir", self.arena.folder / address]
        self.arena.spawn(command, env=self.environment)
        wait_until(lambda: listens(address), what="data node " + address)
        return address

    def namenode(self, *datanodes):
        """A candidate."""
        replicas = str(min(2, len(datanodes)))
        return self.arena.worker(
            "--assume-fresh",
            command=[
                EXAMPLE / "namenode",
                "--datanodes",
                ",".join(datanodes),
                "--replicas",
                replicas,
            ],
            redis=self.redis,
            name="127.0.0.1:%d" % free_port(),
            env=self.environment,
        )

    def client(self, *arguments, content=None):
        """Runs the client to its end; its standard output. It has to succeed."""
        done = subprocess.run(
            [EXAMPLE / "store", "--key", "test", "--timeout", str(PATIENCE_S), *arguments],
            input=content,
            capture_output=True,
            env=self.arena.environment(self.environment),
            timeout=3 * PATIENCE_S,
            check=False,
        )
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout

    def put(self, path, content):
        self.client("put", "/dev/stdin", path, content=content)

    def files(self):
        return [line.split()[1] for line in self.client("ls").decode().splitlines()]

    def newest_token(self, datanode):
        path = self.arena.folder / datanode / "token"
        return int(path.read_text()) if path.exists() else 0


@pytest.fixture
def store(arena, redis):
    return FileStore(arena, redis)


class Writer(threading.Thread):
    """Puts one file after the other, and knows which were acknowledged."""

    def __init__(self, store):
        super().__init__(daemon=True)
        self.store, self.files, self.failure = store, {}, None
        self._enough = threading.Event()

    def run(self):
        try:
            while not self._enough.is_set():
                path, content = "/file-%d" % len(self.files), os.urandom(2000)
                self.store.put(path, content)
                self.files[path] = content
        except AssertionError as failure:
            self.failure = failure

    def wait_more(self, count):
        enough = len(self.files) + count
        wait_until(lambda: self.failure or len(self.files) >= enough, what="files that are put")

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self._enough.set()
        self.join(3 * PATIENCE_S)


def test_what_was_acknowledged_survives_failovers(store):
    datanodes = [store.datanode() for _ in range(3)]
    first, *others = [store.namenode(*datanodes) for _ in range(3)]
    leader = wait_until(lambda: next((w for w in (first, *others) if w.find("started")), None))
    store.put("/removed", b"old")
    store.client("rm", "/removed")
    with Writer(store) as writer:
        writer.wait_more(1)
        leader.kill9()
        writer.wait_more(1)
        second = next(w for w in (first, *others) if w is not leader and w.find("started"))
        second.crash()
        writer.wait_more(1)
    assert writer.failure is None
    assert set(store.files()) == set(writer.files)
    for path, content in writer.files.items():
        assert store.client("get", path) == content


def test_a_big_file_is_replaced_and_its_old_blocks_are_deleted(store):
    datanodes = [store.datanode() for _ in range(2)]
    store.namenode(*datanodes)
    for content in (os.urandom(3_000_000), os.urandom(1_500_000)):
        store.put("/a b/\u00fc", content)
        assert store.client("get", "/a b/\u00fc") == content
    names = {hashlib.sha256(content[at : at + 2**20]).hexdigest() for at in (0, 2**20)}
    for node in datanodes:
        folder = store.arena.folder / node
        wait_until(lambda f=folder: {p.name for p in f.iterdir()} == names | {"token"})


def test_a_name_node_that_was_replaced_changes_nothing(store):
    datanode = store.datanode()
    stale = store.namenode(datanode)
    token = stale.wait_event("elected")["token"]
    wait_until(lambda: store.newest_token(datanode) == token)
    guardians = [stale.pid, stale.keeper]
    for pid in guardians:
        processes.stop(pid)
    newer = store.namenode(datanode)
    newest = newer.wait_event("elected")["token"]
    wait_until(lambda: store.newest_token(datanode) == newest)

    # It still answers, and offers an upload with its token, but that opens nothing any more.
    status, answer = ask(stale.name, "POST", "/uploads", b"[]")
    plan = json.loads(answer)
    assert (status, plan["token"]) == (200, token)
    block = "/blocks/" + hashlib.sha256(b"x").hexdigest()
    assert ask(datanode, "PUT", block, b"x", Token=str(token))[0] == 409
    assert ask(datanode, "PUT", block, b"x", Token=str(newest))[0] == 200
    assert ask(datanode, "DELETE", block, Token=str(token))[0] == 409
    assert ask(datanode, "GET", block) == (200, b"x")
    with pytest.raises((ConnectionError, http.client.HTTPException)):
        ask(stale.name, "PUT", "/files//a", json.dumps({**plan, "blocks": []}).encode())
    wait_until(lambda: any("FENCED" in line for line in stale.lines), what=stale.log)
    assert store.files() == []
    for pid in reversed(guardians):
        processes.send(pid, signal.SIGCONT)
    stale.wait_event("tree_dead")


def test_what_a_client_may_still_name_is_not_deleted(store):
    datanode = store.datanode()
    leader = store.namenode(datanode)
    store.put("/old", b"shared")
    token = leader.wait_event("elected")["token"]
    shared, unused = (hashlib.sha256(content).hexdigest() for content in (b"shared", b"unused"))
    _, answer = ask(leader.name, "POST", "/uploads", json.dumps([shared]).encode())
    upload = json.loads(answer)["upload"]
    assert ask(datanode, "PUT", "/blocks/" + unused, b"unused", Token=str(token))[0] == 200
    store.client("rm", "/old")
    # That one shows that the name node has looked for garbage after the file was gone.
    wait_until(lambda: ask(datanode, "GET", "/blocks/" + unused)[0] == 404)
    file = {"upload": upload, "blocks": [[shared, 6, [datanode]]]}
    assert ask(leader.name, "PUT", "/files//new", json.dumps(file).encode())[0] == 200
    assert store.client("get", "/new") == b"shared"
    # An upload serves once.
    assert ask(leader.name, "PUT", "/files//new", json.dumps(file).encode())[0] == 409


def test_a_name_node_without_its_names_deletes_nothing(store):
    datanode = store.datanode()
    leader = store.namenode(datanode)
    store.put("/a", b"content")
    leader.stop()
    store.redis.flushall()
    lost = store.namenode(datanode)
    assert lost.wait() == 1
    assert any("NOSTORE" in line for line in lost.lines)
    assert ask(datanode, "GET", "/blocks/" + hashlib.sha256(b"content").hexdigest())[0] == 200


class Relay(http.server.BaseHTTPRequestHandler):
    """The network before a data node, which holds up the first deletion."""

    def forward(self):
        network = self.server
        late = self.command == "DELETE" and not network.held.is_set()
        if late:
            network.held.set()
            network.may_pass.wait(PATIENCE_S)
        body = self.rfile.read(int(self.headers["Content-Length"] or 0))
        token = {"Token": self.headers["Token"]} if self.headers["Token"] else {}
        status, answer = ask(network.datanode, self.command, self.path, body, **token)
        if late:
            network.late_status.append(status)
            return
        self.send_response(status)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    do_GET = do_PUT = do_DELETE = forward

    def log_message(self, *_):
        """Says nothing."""


@pytest.fixture
def relay(store):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Relay)
    server.datanode = store.datanode()
    server.address = "127.0.0.1:%d" % server.server_port
    server.held, server.may_pass, server.late_status = threading.Event(), threading.Event(), []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.may_pass.set()
    server.shutdown()
    server.server_close()


def test_a_deletion_that_was_held_up_does_not_take_a_block_of_the_next_term(store, relay):
    old = store.namenode(relay.address)
    store.put("/old", b"the same content")
    store.client("rm", "/old")
    assert relay.held.wait(PATIENCE_S)
    # The host freezes as a whole; its deletion is somewhere in the network.
    frozen = [old.pid, old.keeper, old.child]
    for pid in frozen:
        processes.stop(pid)
    store.namenode(relay.address).wait_event("elected")
    store.put("/new", b"the same content")
    relay.may_pass.set()
    wait_until(lambda: relay.late_status, what="the end of the late deletion")
    assert relay.late_status == [409]
    assert store.client("get", "/new") == b"the same content"
    for pid in reversed(frozen):
        processes.send(pid, signal.SIGCONT)
    old.wait_event("tree_dead")
