"""What the candidates' lease is in: what there is to be done to it, and what the rest of a run needs
to know of it. One class for each mode of a run: one Redis, sentinels, a cluster.

A fault is a method that strikes, and returns what undoes it (None: nothing does). It raises Skip
where it cannot be, or must not be, just now.
"""

import shutil

from tests.lib import RedisError, boottime_ns
from tests.lib.cluster import Cluster
from tests.lib.network import run
from tests.lib.sentinel import Replication
from tests.torture.candidates import KEY

SECOND_NS = 10**9
ANSWER_S = 0.5  # patience with a server that other faults may have silenced
LATE_S = 5
RECORD = "{%s}:term" % KEY
# So that connections of hosts that fell silent are gone when they are counted.
CONFIG = ["enable-debug-command yes", "tcp-keepalive 2"]
HOSTS = 3


class Skip(Exception):
    """A fault that cannot be, or must not be, just now."""


def drop(host, *rules):
    """Adds rules to a host's packet filter; returns what takes them out again."""
    for rule in rules:
        run(*host.prefix(), "iptables", "-w", "-A", *rule)

    def undo():
        for rule in rules:
            run(*host.prefix(), "iptables", "-w", "-D", *rule)

    return undo


def part(ours, others):
    """Nothing passes between the two sets of hosts any more; returns what mends that."""
    undone = [
        drop(host, ("INPUT", "-s", other.address, "-j", "DROP"))
        for ours_, others_ in ((ours, others), (others, ours))
        for host in ours_
        for other in others_
    ]

    def undo():
        for each in undone:
            each()

    return undo


def clients_of(server, hosts):
    """How many connections come from these hosts."""
    addresses = {host.address for host in hosts}
    clients = server.command("CLIENT", "LIST").splitlines()
    return sum(
        client.split(" addr=", 1)[1].split(" ", 1)[0].rpartition(":")[0] in addresses
        for client in clients
    )


class Single:
    """One Redis."""

    PER_CANDIDATE = 0  # connections that each may have beside those for the lease

    def __init__(self, arena):
        self.redis = arena.redis(*CONFIG, fake_clock=True, host=arena.network().host("redis"))
        self._struck = False  # its process is stopped or away
        self._paused_until_ns = 0

    @property
    def options(self):
        return ["--redis", self.redis.url("tcp")]

    @property
    def master(self):
        return self.redis

    def look_at_record(self):
        """(state, name, token), or an error if it is away, or is to be."""
        return self.redis.command("HMGET", RECORD, "st", "name", "tok", timeout=1)

    def is_settled(self):
        """Whether nothing of what was done to it is still going on."""
        return True

    def snapshot(self):
        """What a server that is rolled back will find."""
        try:
            self._ask("SAVE")
            shutil.copy(self.redis.folder / "dump.rdb", self.redis.folder / "dump.older")
        except (Skip, RedisError, OSError):
            pass

    def _ask(self, *command):
        if self._struck:
            raise Skip("the server is away")
        return self.redis.command(*command, timeout=ANSWER_S)

    def restart_kept(self, _fault):
        # What is written between the two is lost, as where the disk was a little behind.
        self._ask("SAVE")
        return self._restart(lambda: None)

    def restart_lost(self, _fault):
        return self._restart(self.redis.erase_data)

    def restart_rolled_back(self, _fault):
        folder = self.redis.folder
        if not (folder / "dump.older").exists():
            raise Skip("there is no older data yet")
        return self._restart(lambda: shutil.copy(folder / "dump.older", folder / "dump.rdb"))

    def _restart(self, change_data):
        self._take()
        self.redis.kill()
        change_data()

        def undo():
            self.redis.start()
            self._struck = False

        return undo

    def redis_freeze(self, _fault):
        self._take()
        self.redis.freeze()

        def undo():
            self.redis.thaw()
            self._struck = False

        return undo

    def _take(self):
        if self._struck:
            raise Skip("the server is away")
        self._struck = True

    def flushall(self, _fault):
        self._ask("FLUSHALL")

    def del_key(self, _fault):
        self._ask("DEL", KEY)

    def del_record(self, _fault):
        self._ask("DEL", RECORD)

    def client_kill_normal(self, _fault):
        self._ask("CLIENT", "KILL", "TYPE", "normal")

    def client_kill_pubsub(self, _fault):
        self._ask("CLIENT", "KILL", "TYPE", "pubsub")

    def client_pause(self, fault):
        return self._pause(fault, "ALL")

    def client_pause_write(self, fault):
        return self._pause(fault, "WRITE")

    def _pause(self, fault, whom):
        undo = self._busy("CLIENT", "PAUSE", round(fault.duration_s * 1000), whom)
        # A server that stands still begins with it later.
        self._paused_until_ns = boottime_ns() + (fault.duration_s + LATE_S) * SECOND_NS
        return undo

    def debug_sleep(self, fault):
        return self._busy("DEBUG", "SLEEP", fault.duration_s)

    def _busy(self, *command):
        """Sends it without waiting for the answer; it ends by itself."""
        if self._struck:
            raise Skip("the server is away")
        client = self.redis.connect(ANSWER_S)
        client.send(*command)
        return client.close

    def server_cut(self, _fault):
        return drop(self.redis.host, ("INPUT", "-j", "DROP"), ("OUTPUT", "-j", "DROP"))

    def server_reset(self, _fault):
        return self.reject(())

    def reject(self, match):
        """Resets what comes in and matches."""
        rule = ("INPUT", "-p", "tcp", *match, "-j", "REJECT", "--reject-with", "tcp-reset")
        return drop(self.redis.host, rule)

    # What an operator does, as leaderctl does it.

    def _now_ms(self):
        seconds, microseconds = self._ask("TIME")
        return int(seconds) * 1000 + int(microseconds) // 1000

    def paused(self, fault):
        span_ms = round(fault.duration_s * 1000)
        self._ask("HSET", RECORD, "pause", "%d %d op@torture why" % (self._now_ms(), span_ms))

        def undo():
            # A clock that was set back would make it last once as long again.
            try:
                self._ask("HDEL", RECORD, "pause")
            except (Skip, RedisError, OSError):
                pass

        return undo

    def step_down(self, _fault):
        (token,) = self._ask("HMGET", RECORD, "tok")
        if token is None:
            raise Skip("there is no term")
        self._ask("HSET", RECORD, "ask", "%s %d 2000 op@torture " % (token, self._now_ms()))

    def server_clock(self, fault):
        if boottime_ns() < self._paused_until_ns:
            raise Skip("by that clock a pause would last for hours")
        self.redis.set_clock(fault.step_s)


class Watched:
    """What sentinels and a cluster have in common: servers on three hosts, of which one is the
    master of the lease, and witnesses. One fault at a time, and the next when all have found
    together again: a second one could leave no majority, and nobody to lead."""

    def __init__(self, arena):
        network = arena.network()
        self.hosts = [network.host("store%d" % number) for number in range(HOSTS)]
        self._struck = False
        self._known = None  # the master when it was last looked for

    def _take(self):
        if self._struck or not self.is_settled():
            raise Skip("the last fault is not over")
        self._struck = True

    def _find_master(self):
        raise NotImplementedError

    @property
    def master(self):
        """The server that has the lease; a fault is skipped where there is none."""
        self._known = self._find_master()
        if self._known is None:
            raise Skip("there is no master")
        return self._known

    def look_at_record(self):
        if self._known is None:
            self._known = self._find_master()
        if self._known is None:
            raise OSError("there is no master")
        try:
            return self._known.command("HMGET", RECORD, "st", "name", "tok", timeout=1)
        except (OSError, RedisError):
            self._known = None
            raise

    def snapshot(self):
        """Nothing is rolled back but by the fail-overs."""

    def reject(self, match):
        rule = ("INPUT", "-p", "tcp", *match, "-j", "REJECT", "--reject-with", "tcp-reset")
        undone = [drop(host, rule) for host in self.hosts]

        def undo():
            for each in undone:
                each()

        return undo

    # Faults

    def flushall(self, _fault):
        self.master.command("FLUSHALL", timeout=ANSWER_S)

    def del_record(self, _fault):
        self.master.command("DEL", RECORD, timeout=ANSWER_S)

    def client_kill_normal(self, _fault):
        self.master.command("CLIENT", "KILL", "TYPE", "normal", timeout=ANSWER_S)

    def _for_a_while(self, begin, end):
        self._take()
        try:
            begin()
        except BaseException:
            self._struck = False
            raise

        def undo():
            end()
            self._struck = False

        return undo

    def master_kill(self, _fault):
        master = self.master
        return self._for_a_while(master.kill, master.start)

    def master_freeze(self, _fault):
        master = self.master
        return self._for_a_while(master.freeze, master.thaw)

    def _by_hand(self, begin):
        """A fail-over that somebody asks for; it is over when all know of it."""
        return self._for_a_while(begin, lambda: None)

    def cut_off(self, victim):
        """A candidate, and the host of the old master with whoever is a witness there, from all
        others."""
        near = [self.host_of(self.master), victim.host]
        far = [host for host in self.hosts if host not in near]
        mended = []
        return self._for_a_while(lambda: mended.append(part(near, far)), lambda: mended.pop()())

    def host_of(self, server):
        raise NotImplementedError

    def is_settled(self):
        raise NotImplementedError


class Sentinels(Watched):
    """A master, two replicas and three sentinels."""

    PER_CANDIDATE = 0

    def __init__(self, arena):
        super().__init__(arena)
        self._servers = Replication(arena, self.hosts, config=CONFIG)
        self._servers.hurry()
        self.options = self._servers.options

    def _find_master(self):
        return self._servers.master

    def host_of(self, server):
        return self._servers.host_of(server)

    def is_settled(self):
        return all(each.running for each in self._servers.sentinels) and all(
            each.sees_all() for each in self._servers.sentinels
        )

    def fail_over(self, _fault):
        sentinel = self._servers.sentinels[0]
        name = self._servers.name
        return self._by_hand(lambda: sentinel.command("SENTINEL", "FAILOVER", name))

    def witness_kill(self, fault):
        sentinel = self._servers.sentinels[fault.else_slot % HOSTS]
        return self._for_a_while(sentinel.kill, sentinel.start)

    def witness_freeze(self, fault):
        sentinel = self._servers.sentinels[fault.else_slot % HOSTS]
        return self._for_a_while(sentinel.freeze, sentinel.thaw)


class Nodes(Watched):
    """Three masters, of which one has the lease, and a replica of each."""

    PER_CANDIDATE = 1  # every master is a witness

    def __init__(self, arena):
        super().__init__(arena)
        self._cluster = Cluster(arena, self.hosts, config=CONFIG)
        self.options = self._cluster.options

    def _find_master(self):
        return self._cluster.owner(KEY)

    def host_of(self, server):
        return self._cluster.host_of(server)

    def is_settled(self):
        return self._cluster.is_steady()

    def _replica(self):
        replica = self._cluster.replica_of(self.master)
        if replica is None:
            raise Skip("there is no replica")
        return replica

    def fail_over(self, _fault):
        replica = self._replica()
        return self._by_hand(lambda: replica.command("CLUSTER", "FAILOVER"))

    def fail_over_force(self, _fault):
        replica = self._replica()
        return self._by_hand(lambda: replica.command("CLUSTER", "FAILOVER", "FORCE"))

    def fail_over_takeover(self, _fault):
        replica = self._replica()
        return self._by_hand(lambda: replica.command("CLUSTER", "FAILOVER", "TAKEOVER"))

    def new_epoch(self, _fault):
        """What an owner does to whom a slot is moved."""
        self.master.command("CLUSTER", "BUMPEPOCH", timeout=ANSWER_S)

    def _witness(self, fault):
        """A master of other slots."""
        others = [each for each in self._cluster.masters() if each is not self.master]
        if not others:
            raise Skip("there is no other master")
        return others[fault.else_slot % len(others)]

    def witness_kill(self, fault):
        node = self._witness(fault)
        return self._for_a_while(node.kill, node.start)

    def witness_freeze(self, fault):
        node = self._witness(fault)
        return self._for_a_while(node.freeze, node.thaw)


DEPLOYMENTS = {"single": Single, "sentinel": Sentinels, "cluster": Nodes}
