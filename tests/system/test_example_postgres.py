"""The PostgreSQL example: what was acknowledged is never lost, whoever dies, and no two servers
accept writes at a time."""

import contextlib
import os
import pathlib
import shutil
import signal
import subprocess
import threading

import pytest

from tests.lib import PATIENCE_S, boottime_ns, processes, wait_gone, wait_until
from tests.lib.programs import ROOT, leaderwrap_binary

KEY = "postgres"
# A fast shutdown has two seconds, on a busy machine; and no renewal comes too late there.
TIMES = {"LEADERWRAP_TTL": "5s", "LEADERWRAP_RENEW": "500ms", "LEADERWRAP_GRACE": "2s"}

IN_SYNC = "select count(*) from pg_stat_replication where sync_state = 'sync'"
WAITING = "select count(*) from pg_stat_activity where wait_event = 'SyncRep'"
TIMELINE = "select timeline_id from pg_control_checkpoint()"
ROWS = "select coalesce(string_agg(n::text, ' '), '') from rows"
WHO = "select pg_postmaster_start_time(), pg_is_in_recovery();\n"


def postgres_folder():
    found = sorted(pathlib.Path("/usr/lib/postgresql").glob("[0-9]*/bin"))
    assert found, "PostgreSQL is missing; in Debian: apt-get install postgresql"
    return max(found, key=lambda folder: int(folder.parent.name))


def unprivileged():
    """A server does not run as root."""
    if os.geteuid() != 0:
        return []
    return ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups"]


class Node:
    """One node: the script, its leaderwrap and its server. Its socket is in its folder."""

    def __init__(self, pair, name):
        self.pair = pair
        self.folder = pair.folder / name
        self.name = name
        self.peer = None
        self.process = None

    def init(self):
        subprocess.run(
            [*unprivileged(), self.pair.script, "--init", self.folder, self.peer.folder],
            cwd=self.pair.folder,
            timeout=PATIENCE_S,
            check=True,
        )

    def start(self):
        with open(self.log_file(), "ab") as log:
            self.process = self.pair.arena.spawn(
                [*unprivileged(), self.pair.script, self.folder, self.peer.folder],
                env=self.pair.environment,
                cwd=self.pair.folder,
                stdout=log,
                stderr=log,
            )

    def stop(self):
        """A clean stop; the server has written its last checkpoint."""
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(PATIENCE_S) == 0
        assert not self.servers()
        data = subprocess.run(
            [self.pair.programs / "pg_controldata", self.folder / "data"],
            capture_output=True,
            text=True,
            env={**os.environ, "LC_ALL": "C"},
            check=True,
        )
        return next(
            line.split(":")[1].strip()
            for line in data.stdout.splitlines()
            if line.startswith("Database cluster state")
        )

    def crash(self):
        """The script and both halves of leaderwrap die at the same instant. The kernel kills the
        server, and the server's processes end when they notice."""
        pids = self.guardians()
        for pid in pids:
            processes.stop(pid)
        for pid in reversed(pids):
            processes.send(pid, signal.SIGKILL)
        self.process.wait(PATIENCE_S)
        for pid in pids[1:] + self.servers():
            wait_gone(pid)

    def guardians(self):
        """The pids of the script, of leaderwrap, of its guard and of its keeper."""
        [wrapper] = [
            pid
            for pid in processes.children(self.process.pid)
            if os.readlink("/proc/%d/exe" % pid).endswith("/leaderwrap")
        ]
        guard = processes.children(wrapper)[0]
        return [self.process.pid, wrapper, guard, processes.children(guard)[0]]

    def servers(self):
        """The pids of the server's processes. They overwrite their environment and so the test's
        mark, but work in the folder of the data."""
        found = []
        for pid in processes.all_pids():
            try:
                if os.readlink("/proc/%d/cwd" % pid).startswith("%s/" % self.folder):
                    found.append(pid)
            except OSError:
                continue
        return [pid for pid in found if processes.alive(pid)]

    def query(self, sql):
        """The answer as text, None if there is none."""
        done = self.pair.psql("host=%s" % self.folder, "-c", sql)
        return done.stdout.strip() if done.returncode == 0 else None

    def spawn_query(self, sql):
        """A session that may take its time; its status is 0 if the statement was acknowledged."""
        command = self.pair.psql_command("host=%s" % self.folder)
        return self.pair.arena.spawn([*command, "-c", sql], cwd=self.pair.folder)

    def wait_answer(self, sql, answer):
        wait_until(
            lambda: self.query(sql) == answer,
            every=0.2,
            what=lambda: "%s of %s: %s" % (answer, sql, self.log()),
        )

    def wait_primary(self):
        self.wait_answer("select pg_is_in_recovery()", "f")

    def rows(self):
        return {int(word) for word in self.query(ROWS).split()}

    def log_file(self):
        return self.pair.folder / (self.name + ".log")

    def log(self):
        return self.log_file().read_text(errors="replace") if self.log_file().exists() else ""


class Pair:
    def __init__(self, arena, redis):
        self.arena = arena
        self.programs = postgres_folder()
        self.folder = arena.short_folder
        # What an ordinary user may read and run, wherever the checkout and the build are.
        self.folder.chmod(0o711)
        copies = self.folder / "bin"
        copies.mkdir(mode=0o755)
        self.script = shutil.copy(ROOT / "examples" / "postgres" / "node", copies)
        shutil.copy(leaderwrap_binary(), copies / "leaderwrap")
        self.environment = {
            **TIMES,
            "PATH": "%s:%s" % (copies, os.environ["PATH"]),
            "LEADERWRAP_REDIS": redis.url("tcp"),
            "LEADERWRAP_ASSUME_FRESH": "1",
        }
        self.a, self.b = Node(self, "a"), Node(self, "b")
        self.a.peer, self.b.peer = self.b, self.a
        for node in self.nodes:
            node.folder.mkdir(mode=0o700)
            if os.geteuid() == 0:
                shutil.chown(node.folder, "postgres", "postgres")

    @property
    def nodes(self):
        return self.a, self.b

    def psql_command(self, where):
        """How a session begins."""
        words = [str(self.programs / "psql"), "-XAtq", "-F", "|", "-d"]
        return [*unprivileged(), *words, where + " dbname=postgres connect_timeout=5"]

    def psql(self, where, *arguments):
        return subprocess.run(
            [*self.psql_command(where), *arguments],
            env=self.arena.environment(),
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )

    def close(self):
        for node in self.nodes:
            if node.process is not None and node.process.poll() is None:
                node.process.send_signal(signal.SIGTERM)
        for node in self.nodes:
            if node.process is not None:
                node.process.wait(PATIENCE_S)
            print("log of node %s:\n%s" % (node.name, node.log()))
        left = [pid for node in self.nodes for pid in node.servers()]
        told = processes.describe(left)
        for pid in left:
            processes.send(pid, signal.SIGKILL)
            wait_gone(pid)
        assert not left, "left over: " + told


@pytest.fixture
def pair(arena, redis):
    made = Pair(arena, redis)
    try:
        yield made
    finally:
        made.close()


class Client:
    """Writes one number after the other to whichever server takes it, and remembers those that were
    acknowledged."""

    def __init__(self, pair):
        self.acknowledged = []
        self._pair = pair
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._write)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        self._thread.join()

    def wait_more(self, count=5):
        enough = len(self.acknowledged) + count
        wait_until(lambda: len(self.acknowledged) >= enough, every=0.05, what="more rows")

    def _write(self):
        where = "host=%s,%s target_session_attrs=read-write" % tuple(
            node.folder for node in self._pair.nodes
        )
        number = 0
        while not self._over.is_set():
            number += 1
            done = self._pair.psql(where, "-c", "insert into rows values (%d)" % number)
            if done.returncode == 0:
                self.acknowledged.append(number)
            else:
                self._over.wait(0.1)


class Probe:
    """Asks both servers all the time whether they accept writes, and who they are.

    A server that is once a primary is one until its process ends. So it accepted writes at least
    from the receipt of its first such answer to the sending of its last such question. If the times
    of two servers have a moment in common there were two primaries: that is no false alarm. What it
    may miss is an overlap that is shorter than the time from one question to the next.
    """

    def __init__(self, pair):
        self._pair = pair
        self._over = threading.Event()
        self._terms = {}  # (node, start of its server): [first answer, last question], in ns
        self._threads = [threading.Thread(target=self._watch, args=(node,)) for node in pair.nodes]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        for thread in self._threads:
            thread.join()

    def check(self):
        """Asserts that no two overlap; the nodes that were primary, in order."""
        terms = sorted((first, last, name) for (name, _), (first, last) in self._terms.items())
        for earlier, later in zip(terms, terms[1:]):
            assert earlier[1] < later[0], "two primaries: %s" % terms
        return [name for _, _, name in terms]

    def _watch(self, node):
        while not self._over.wait(0.05):
            session = subprocess.Popen(
                self._pair.psql_command("host=%s" % node.folder),
                env=self._pair.arena.environment(),
                cwd=self._pair.folder,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
            )
            # It ends when its server does, or when it is told to.
            with contextlib.suppress(BrokenPipeError), session:
                while self._ask(node, session) and not self._over.wait(0.02):
                    pass

    def _ask(self, node, session):
        sent_ns = boottime_ns()
        session.stdin.write(WHO)
        session.stdin.flush()
        answer = session.stdout.readline()
        received_ns = boottime_ns()
        began, _, recovering = answer.strip().rpartition("|")
        if recovering == "f":
            self._terms.setdefault((node.name, began), [received_ns, sent_ns])[1] = sent_ns
        return bool(answer)


def start_pair(pair):
    """Node a is the primary, node b its replica, and there is a table."""
    pair.a.init()
    pair.a.start()
    pair.a.wait_primary()
    pair.b.start()
    pair.a.wait_answer(IN_SYNC, "1")
    wait_until(lambda: "standing by" in pair.b.log(), what=pair.b.log)
    assert pair.a.query("create table rows (n int primary key)") is not None


def test_nothing_acknowledged_is_lost(pair):
    start_pair(pair)
    a, b = pair.nodes
    with Probe(pair) as probe:
        with Client(pair) as client:
            client.wait_more()
            a.crash()
            b.wait_primary()
            # Of what the client has now nothing is younger than the crash: b waits for a replica.
            assert set(client.acknowledged) <= b.rows()

            a.start()
            b.wait_answer(IN_SYNC, "1")
            assert "node a: was rewound" in a.log()
            client.wait_more()
            wait_until(lambda: "standing by" in a.log(), what=a.log)

            assert b.stop() == "shut down"
            a.wait_primary()
            assert set(client.acknowledged) <= a.rows()

            b.start()
            a.wait_answer(IN_SYNC, "1")
            client.wait_more()
        assert set(client.acknowledged) <= a.rows()
        wait_until(lambda: b.rows() == a.rows(), every=0.1, what="b to catch up")
        assert "copy" not in a.log() + b.log().partition("streams from")[2]
        assert a.query(TIMELINE) == "3"
    assert probe.check() == ["a", "b", "a"]


def test_a_primary_that_wakes_up_after_its_lease_acknowledges_nothing(pair):
    """All of node a stands still until b is the primary; then its server wakes up before those who
    are to kill it, which is more than can happen."""
    start_pair(pair)
    a, b = pair.nodes
    guardians, servers = a.guardians(), a.servers()
    for pid in guardians + servers:
        processes.stop(pid)
    b.wait_primary()
    for pid in servers:
        processes.wake(pid)
    late = a.spawn_query("insert into rows values (1)")
    a.wait_answer(WAITING, "1")
    for pid in guardians:
        processes.wake(pid)
    assert late.wait(PATIENCE_S) != 0
    b.wait_answer(IN_SYNC, "1")
    assert (a.rows(), b.rows()) == (set(), set())


def test_alone_a_primary_acknowledges_nothing_and_goes_on_with_its_own_data(pair):
    a = pair.a
    a.init()
    a.start()
    a.wait_primary()
    lonely = a.spawn_query("create table rows (n int)")
    a.wait_answer(WAITING, "1")
    assert a.stop() == "shut down"
    assert lonely.wait(PATIENCE_S) != 0
    a.start()
    a.wait_primary()
    assert (a.rows(), a.query(TIMELINE)) == (set(), "1")


def test_a_node_that_never_had_the_data_does_not_lead(pair, redis):
    pair.b.start()
    wait_until(lambda: "waits for a primary" in pair.b.log(), what=pair.b.log)
    assert redis.command("KEYS", "*%s*" % KEY) == []
    pair.b.process.send_signal(signal.SIGTERM)
    assert pair.b.process.wait(PATIENCE_S) == 0
