"""Redis as it is mostly deployed: a master, two replicas, and three sentinels that watch them."""

import collections

from .redis import RedisServer
from .resp import RedisError
from .waiting import PATIENCE_S, wait_until

NAME = "lease"
SIZE = 3

# Replicas attach at once, and the end of a master does not wait for one that is cut off.
REPLICATION_CONFIG = [
    "repl-diskless-sync yes",
    "repl-diskless-sync-delay 0",
    "repl-ping-replica-period 1",
]
# How often sentinels make themselves known to each other, and ask servers what they are: as it is
# built into them, and for those in a hurry (which needs Redis 7).
USUAL_MS = {"PUBLISH-PERIOD": 2000, "INFO-PERIOD": 10000}
HURRIED_MS = {"PUBLISH-PERIOD": 200, "INFO-PERIOD": 500}


def pairs(reply):
    """A flat list of names and values as a dictionary."""
    return dict(zip(reply[::2], reply[1::2]))


def leave_at_once(server):
    """Lets it end without waiting for replicas that lag; before Redis 7 none does."""
    server.ask("CONFIG", "SET", "shutdown-timeout", "0")


class Sentinel(RedisServer):
    """One sentinel; `config` are lines for its file, which it goes on writing itself."""

    def _command(self):
        return [*super()._command(), "--sentinel"]

    def names(self, name=NAME):
        """(address, port) at which it knows the master of that name; None if it says nothing."""
        answer = self.ask("SENTINEL", "GET-MASTER-ADDR-BY-NAME", name)
        return (answer[0], int(answer[1])) if answer else None

    def sees_all(self):
        """Whether it knows all servers and sentinels, and has no doubt about any."""
        master = self.ask("SENTINEL", "MASTER", NAME)
        replicas = self.ask("SENTINEL", "REPLICAS", NAME)
        if not master or not replicas:
            return False
        master = pairs(master)
        flags = [pairs(each)["flags"] for each in replicas]
        counts = (master["num-other-sentinels"], master["num-slaves"])
        return (
            counts == ("2", "2")
            and master["flags"] == "master"
            and flags == ["slave"] * 2
            and all(pairs(each)["master-link-status"] == "ok" for each in replicas)
        )


class Replication:
    """Three servers and three sentinels, one of each on each of the `hosts` (or all on the loopback,
    where they are None). The first server is the first master.

    A master that has not answered for `down_after_ms` is replaced by the sentinels. One that was
    frozen or cut off and comes back is left to itself for eight seconds and more, during which it
    takes writes; unless they hurry().
    """

    name = NAME

    def __init__(self, arena, hosts, down_after_ms=1000, config=()):
        self.arena = arena
        self.hosts = hosts
        common = [*REPLICATION_CONFIG, *config]
        self.servers = [arena.redis(*common, host=hosts[0], name="server0")]
        first = self.servers[0]
        self._config = [
            "sentinel monitor %s %s %d 2" % (NAME, first.address, first.port),
            "sentinel down-after-milliseconds %s %d" % (NAME, down_after_ms),
            # One that failed is tried again after twice as long.
            "sentinel failover-timeout %s 2000" % NAME,
            "sentinel parallel-syncs %s 2" % NAME,
        ]
        for number in (1, 2):
            follow = "replicaof %s %d" % (first.address, first.port)
            name = "server%d" % number
            self.servers.append(arena.redis(*common, follow, host=hosts[number], name=name))
        for server in self.servers:
            leave_at_once(server)
        # A sentinel asks a master for its replicas when it first sees it, then every ten seconds.
        self.wait_attached(first)
        self.sentinels = [
            arena.sentinel(*self._config, host=host, name="sentinel%d" % number)
            for number, host in enumerate(hosts)
        ]
        self._introduce()

    def _introduce(self):
        """Returns when everybody knows everybody, sooner than by waiting for it alone."""
        self.hurry()
        self.wait_steady()
        self._set_periods(USUAL_MS)

    def _set_periods(self, periods_ms):
        for sentinel in self.sentinels:
            for name, period_ms in periods_ms.items():
                sentinel.ask("SENTINEL", "DEBUG", name, period_ms)

    # For leaderwrap

    @property
    def options(self):
        """What leaderwrap needs to find its way: all sentinels, and the master's name."""
        urls = ["redis://%s:%d" % (each.address, each.port) for each in self.sentinels]
        return [*(word for url in urls for word in ("--redis", url)), "--sentinel", NAME]

    # Looking at it

    def at(self, place):
        """The server at that (address, port)."""
        found = [each for each in self.servers if (each.address, each.port) == place]
        return found[0] if found else None

    @property
    def master(self):
        """The server that a majority of all sentinels names; None if there is no such."""
        named = collections.Counter(each.names() for each in self.sentinels if each.running)
        for place, count in named.items():
            if place is not None and count > SIZE // 2:
                return self.at(place)
        return None

    @property
    def replicas(self):
        """The servers that are not the master."""
        master = self.master
        return [each for each in self.servers if each is not master]

    def host_of(self, server):
        return self.hosts[self.servers.index(server)]

    def sentinel_beside(self, server):
        """The one on the same host."""
        return self.sentinels[self.servers.index(server)]

    def wait_master(self, other_than, timeout=PATIENCE_S):
        """The master, as soon as a majority names one that is not `other_than`."""

        def found():
            master = self.master
            return master if master is not other_than else None

        return wait_until(found, timeout, what=lambda: "another master\n%s" % self.said())

    def wait_attached(self, master, count=SIZE - 1):
        """Returns when so many replicas follow that server."""

        def attached():
            return master.info("replication").get("connected_slaves") == str(count) and all(
                ",state=online," in value
                for name, value in master.info("replication").items()
                if name.startswith("slave") and name[5:].isdigit()
            )

        wait_until(attached, what=lambda: "%d replicas\n%s" % (count, master.log()))

    def wait_steady(self):
        """Returns when all sentinels see all servers and each other, and nothing is wrong."""
        wait_until(lambda: all(each.sees_all() for each in self.sentinels), what=self.said)

    def said(self):
        """What the sentinels wrote, for people."""
        return "\n".join("%s:\n%s" % (each.name, each.log()) for each in self.sentinels)

    def hurry(self):
        """Lets the sentinels notice sooner what has changed."""
        self._set_periods(HURRIED_MS)

    # Faults

    def fail_over(self):
        """SENTINEL FAILOVER, which asks no other sentinel. Returns the new master as soon as a
        majority names it; the old one takes writes for some ten seconds more."""
        old = self.master

        def accepted():
            try:
                return self.sentinels[0].command("SENTINEL", "FAILOVER", NAME) == "OK"
            except RedisError:
                return False  # the last one is not over, or no replica is good enough yet

        wait_until(accepted, what=self.said)
        return self.wait_master(old)

    def kill_sentinels(self, count):
        """kill -9 of the last of them. Returns those that are left."""
        for sentinel in self.sentinels[SIZE - count :]:
            sentinel.kill()
        return self.sentinels[: SIZE - count]

    def let_lag(self, replica):
        """Loses all that the master sends to this replica, which is the only one that can be chosen
        as its successor; needs hosts. The lag ends with heal() of the replica's host."""
        for other in self.replicas:
            if other is not replica:
                other.command("CONFIG", "SET", "replica-priority", "0")
        master = self.master

        def known():
            priorities = []
            for sentinel in self.sentinels:
                replicas = map(pairs, sentinel.ask("SENTINEL", "REPLICAS", NAME) or [])
                priorities.append(sorted(each["slave-priority"] for each in replicas))
            return priorities == [["0", "100"]] * SIZE

        self.hurry()
        wait_until(known, what="the sentinels to know the priorities")
        self.host_of(replica).drop(peer=self.host_of(master))
