"""A Redis Cluster: three masters that share the slots, and a replica of each."""

import dataclasses

from .resp import RedisError
from .waiting import PATIENCE_S, wait_until

SIZE = 3
SLOTS = 16384

CONFIG = [
    "cluster-enabled yes",
    # A replica stays a possible successor however long it has heard nothing from its master.
    "cluster-replica-validity-factor 0",
    "repl-diskless-sync yes",
    "repl-diskless-sync-delay 0",
    "repl-ping-replica-period 1",
]


@dataclasses.dataclass(frozen=True)
class Seen:
    """One line of CLUSTER NODES."""

    id: str
    place: tuple  # (address, port)
    flags: set
    master: str  # the id of a replica's master, or "-"
    epoch: int
    linked: bool
    slots: list  # (first, last)


def parse_nodes(text):
    found = []
    for line in text.splitlines():
        name, place, flags, master, _, _, epoch, link, *ranges = line.split()
        address, port = place.split("@")[0].rsplit(":", 1)
        slots = []
        for part in ranges:
            if not part.startswith("["):  # those on their way to another node
                first, _, last = part.partition("-")
                slots.append((int(first), int(last or first)))
        found.append(
            Seen(
                *(name, (address, int(port)), set(flags.split(",")), master, int(epoch)),
                *(link == "connected", slots),
            )
        )
    return found


class Cluster:
    """Six nodes, two on each of the `hosts` (or all on the loopback, where they are None): a master,
    and a replica of the master on the host before. Node n is the first master of a third of the
    slots, node n + 3 its replica.

    A master that has not answered for `node_timeout_ms` is replaced by its replica, if a majority of
    the masters thinks so.
    """

    def __init__(self, arena, hosts, node_timeout_ms=1000, config=()):
        self.arena = arena
        self.hosts = hosts
        common = [*CONFIG, *config, "cluster-node-timeout %d" % node_timeout_ms]
        self.nodes = [
            arena.redis(*common, host=self._host_for(number), name="node%d" % number)
            for number in range(2 * SIZE)
        ]
        for node in self.nodes:
            # Their end does not wait for replicas that lag; before Redis 7 none does.
            node.ask("CONFIG", "SET", "shutdown-timeout", "0")
        self.ids = [node.command("CLUSTER", "MYID") for node in self.nodes]
        self._join()

    def _host_for(self, number):
        return self.hosts[(number + number // SIZE) % SIZE]

    def _join(self):
        for number, node in enumerate(self.nodes):
            node.command("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
        for number, node in enumerate(self.nodes[:SIZE]):
            bounds = [SLOTS * each // SIZE for each in (number, number + 1)]
            node.command("CLUSTER", "ADDSLOTS", *range(*bounds))
        first = self.nodes[0]
        for node in self.nodes[1:]:
            first.command("CLUSTER", "MEET", node.address, node.port)
        wait_until(self._all_met, what=self.said)
        for number, node in enumerate(self.nodes[SIZE:]):
            node.command("CLUSTER", "REPLICATE", self.ids[number])
        self.wait_steady()

    def _all_met(self):
        return all(
            len(seen) == 2 * SIZE and all(each.linked for each in seen)
            for seen in map(self.seen_by, self.nodes)
        )

    # For leaderwrap

    @property
    def options(self):
        """What leaderwrap needs to find its way: the nodes on three hosts, of which one is enough."""
        urls = ["redis://%s:%d" % (each.address, each.port) for each in self.nodes[:SIZE]]
        return [*(word for url in urls for word in ("--redis", url)), "--cluster"]

    # Looking at it

    def seen_by(self, node):
        """What it knows of all nodes; nothing if it does not answer."""
        return parse_nodes(node.ask("CLUSTER", "NODES") or "")

    def at(self, place):
        """The node at that (address, port)."""
        found = [each for each in self.nodes if (each.address, each.port) == place]
        return found[0] if found else None

    def id_of(self, node):
        return self.ids[self.nodes.index(node)]

    def slot(self, key):
        """The number of the key's slot."""
        return self._some_node().command("CLUSTER", "KEYSLOT", key)

    def _some_node(self):
        return next(each for each in self.nodes if each.running)

    def owner_by(self, node, key):
        """The node that owns the key's slot, in the eyes of one."""
        slot = self.slot(key)
        for each in self.seen_by(node):
            if any(first <= slot <= last for first, last in each.slots):
                return self.at(each.place)
        return None

    def owner(self, key):
        """The node that owns the key's slot in the eyes of a majority of the masters that there
        were at first, or of who took their place; None if there is no such."""
        votes = [self.owner_by(node, key) for node in self.nodes if self._is_master(node)]
        for node in self.nodes:
            if votes.count(node) > SIZE // 2:
                return node
        return None

    def masters(self):
        """The nodes that are masters in their own eyes."""
        return [node for node in self.nodes if self._is_master(node)]

    @staticmethod
    def _is_master(node):
        role = node.ask("ROLE") if node.running else None
        return role is not None and role[0] == "master"

    def replica_of(self, master):
        """One that follows it; None if nobody knows any."""
        for node in self.nodes:
            if node is not master:
                for each in self.seen_by(node):
                    if "myself" in each.flags and each.master == self.id_of(master):
                        return node
        return None

    def host_of(self, node):
        return self._host_for(self.nodes.index(node))

    def key_of(self, node, prefix="test"):
        """A key in one of the node's slots."""
        return next(
            key
            for key in ("%s%d" % (prefix, number) for number in range(10000))
            if self.owner_by(node, key) is node
        )

    def wait_owner(self, key, other_than, timeout=PATIENCE_S):
        """The owner of the key's slot, as soon as it is not `other_than`."""

        def found():
            owner = self.owner(key)
            return owner if owner is not other_than else None

        return wait_until(found, timeout, what=lambda: "another owner\n%s" % self.said())

    def wait_steady(self):
        """Returns when all nodes see the same owners of all slots, and each has its replica."""
        wait_until(self.is_steady, what=self.said)

    def is_steady(self):
        """Whether they do now."""
        views = []
        for node in self.nodes:
            if "cluster_state:ok" not in (node.ask("CLUSTER", "INFO") or ""):
                return False
            seen = self.seen_by(node)
            if any({"fail", "fail?", "handshake"} & each.flags for each in seen):
                return False
            if any(each.master != "-" and each.slots for each in seen):
                return False
            views.append(sorted((each.id, each.master, str(each.slots)) for each in seen))
            role = node.ask("ROLE")
            if role is None or (role[0] == "slave" and role[3] != "connected"):
                return False
        masters = [name for name, master, _ in views[0] if master == "-"]
        return len(masters) == SIZE and all(view == views[0] for view in views)

    def said(self):
        """What each knows, for people."""
        return "\n".join(
            "%s:\n%s" % (node.name, node.ask("CLUSTER", "NODES")) for node in self.nodes
        )

    # Faults

    def fail_over(self, key, how=None):
        """CLUSTER FAILOVER, plain, "FORCE" (does not ask the master) or "TAKEOVER" (nor the others).
        Returns the new owner of the key's slot as soon as a majority knows it."""
        old = self.owner(key)
        replica = self.replica_of(old)
        replica.command("CLUSTER", "FAILOVER", *([how] if how else []))
        return self.wait_owner(key, old)

    def let_lag(self, replica):
        """Loses all that passes between its host and its master's; needs hosts. heal() of its host
        ends that."""
        (own,) = [each for each in self.seen_by(replica) if "myself" in each.flags]
        master = self.nodes[self.ids.index(own.master)]
        self.host_of(replica).drop(peer=self.host_of(master))

    def move_slot(self, key, target):
        """Moves the key's slot to another master, with all keys that are in it. A generator: it
        stops where a client may meet it, and says what it has done."""
        slot = self.slot(key)
        source = self.owner(key)
        source_id, target_id = self.id_of(source), self.id_of(target)
        target.command("CLUSTER", "SETSLOT", slot, "IMPORTING", source_id)
        source.command("CLUSTER", "SETSLOT", slot, "MIGRATING", target_id)
        yield "nothing has moved"
        while keys := source.command("CLUSTER", "GETKEYSINSLOT", slot, 1):
            where = (target.address, target.port)
            source.command("MIGRATE", *where, "", 0, 5000, "KEYS", *keys)
            yield keys[0]
        yield "all keys have moved"
        for node in (target, source, *self.nodes):
            # Replicas cannot; the other masters need not be told, but learn it at once.
            try:
                node.command("CLUSTER", "SETSLOT", slot, "NODE", target_id)
            except RedisError:
                pass
        self.wait_owner(key, source)
        yield "the slot has moved"
