"""What many leases cost one Redis: each has a leader and two followers, which are simulated here.
They do what candidates do while nothing happens: the leader renews, which is published to the
followers, and each of them asks once in a TTL. A connection carries a few of them, each of another
lease, so that the files that a process may have open suffice for both sides; nothing that they do
falls together, so that the server has as many reads and writes as if each had its own."""

import heapq
import select
import socket
import time

from tests.bench.scripts import arguments, keys_of, text_of
from tests.bench.table import Row
from tests.lib.resp import encode

TTL_S = 15
FOLLOWERS = 2
CARRIED = 5
# Those of leaders, and two of each follower: for commands and for events.
CONNECTIONS = 1 + 2 * FOLLOWERS


class Crowd:
    """The connections of all candidates. What comes is read and forgotten."""

    def __init__(self, path):
        self._path = path
        self._poll = select.epoll()
        self._sockets = {}

    def connect(self):
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(self._path)
        self._sockets[connection.fileno()] = connection
        self._poll.register(connection.fileno(), select.EPOLLIN)
        return connection

    def take(self, patience_s):
        for number, _ in self._poll.poll(patience_s):
            if not self._sockets[number].recv(1 << 16):
                raise RuntimeError("the server has closed a connection")

    def close(self):
        self._poll.close()
        for connection in self._sockets.values():
            connection.close()


def first_answer(connection, *command):
    connection.sendall(encode(command))
    answer = connection.recv(1 << 16)
    if answer.startswith(b"-"):
        raise RuntimeError(answer.decode(errors="replace"))
    return answer


class Candidate:
    """What it sends again and again, and how often."""

    def __init__(self, connection, period_s, command):
        self._connection = connection
        self.period_s = period_s
        self._command = command
        self._sent = 0

    def act(self):
        self._sent += 1
        self._connection.sendall(encode(self._command("n%d" % self._sent)))


def command_of(key, script, name):
    """The command as a function of its nonce and of what the script alone has."""
    keys = keys_of(key)

    def call(nonce, *own):
        return ("EVALSHA", script, len(keys), *keys, *arguments(key, name, nonce), *own)

    return call


def join(connections, key, scripts):
    """A leader of `key` and its followers."""
    leaders, *others = connections
    channel = arguments(key, "", "")[0]
    acquire, renew = (command_of(key, script, "leader") for script in scripts)
    granted = first_answer(leaders, *acquire("first", 0, "", "", 0, 0, "1", "{}"))
    token = granted.split(b"\r\n")[10].decode()
    yield Candidate(leaders, TTL_S / 3, lambda nonce: renew(nonce, token, "0", "first"))
    for number in range(FOLLOWERS):
        ask = command_of(key, scripts[0], "follower-%d" % number)
        first_answer(others[2 * number], "SUBSCRIBE", channel)
        own = (token, "i", "v", 100, 0, "0", "{}")
        first_answer(others[2 * number + 1], *ask("first", *own))
        yield Candidate(others[2 * number + 1], TTL_S, lambda nonce, ask=ask: ask(nonce, *own))


def join_all(crowd, count, scripts):
    candidates = []
    for index in range(count):
        if index % CARRIED == 0:
            connections = [crowd.connect() for _ in range(CONNECTIONS)]
        candidates += join(connections, "{bench-%d}" % index, scripts)
    return candidates


def play(crowd, candidates, window_s):
    """All act in their turn; those of one period are spread over it evenly."""
    began = time.monotonic()
    due = []
    for period_s in sorted({each.period_s for each in candidates}):
        group = [each for each in candidates if each.period_s == period_s]
        for index, each in enumerate(group):
            heapq.heappush(due, (began + period_s * index / len(group), id(each), each))
    while due[0][0] < began + window_s:
        at, _, candidate = heapq.heappop(due)
        while (left := at - time.monotonic()) > 0:
            crowd.take(left)
        crowd.take(0)
        candidate.act()
        heapq.heappush(due, (at + candidate.period_s, id(candidate), candidate))


def spent_s(redis):
    """The time of its main thread, which runs all commands."""
    cpu = redis.info("cpu")
    return float(cpu["used_cpu_user_main_thread"]) + float(cpu["used_cpu_sys_main_thread"])


def measure(stage, count, window_s):
    """The rows of this module."""
    with stage.another_redis("maxclients %d" % (count * CONNECTIONS // CARRIED + 100)) as redis:
        with redis.connect() as client:
            scripts = [client.command("SCRIPT", "LOAD", text_of(s)) for s in ("acquire", "renew")]
        crowd = Crowd(redis.socket)
        candidates = join_all(crowd, count, scripts)
        play(crowd, candidates, TTL_S / 3)
        before, began = spent_s(redis), time.monotonic()
        play(crowd, candidates, window_s)
        share = 100 * (spent_s(redis) - before) / (time.monotonic() - began)
        failed = str(redis.info("commandstats")["cmdstat_evalsha"]).rsplit("=", 1)[1]
        if int(failed) != 0:
            raise RuntimeError("%s scripts have failed" % failed)
        crowd.close()
    who = "%d keys with %d candidates each: " % (count, 1 + FOLLOWERS)
    return [Row(who + "Redis's thread", "%", [share], 15)]
