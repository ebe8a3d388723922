"""The way to the node that has a key: what --check tells of it, permissions, announced names, slots
on their way, the counter and the last will. What faults do is in test_cluster.py."""

import pytest

from tests.lib import wait_until
from tests.lib.cluster import Cluster
from pair import ALONE, KEY, RECORD, record
from rights import OF_NODES, RIGHTS, granted


@pytest.fixture
def cluster(arena):
    return Cluster(arena, [None] * 3)


def check(arena, *options, status=0):
    """Runs --check; what it prints, by the first words of its lines."""
    done = arena.run("--check", "--key", KEY, *options)
    assert done.returncode == status, done.stdout + done.stderr
    return {line[:38].strip(): line[38:] for line in done.stdout.splitlines()}


def lead(arena, cluster, *options, ttl="60s", command=()):
    worker = arena.worker(
        *cluster.options,
        *("--assume-fresh", "--renew", "1s"),
        *options,
        command=command or None,
        ttl=ttl,
        key=KEY,
    )
    worker.wait_event("started")
    return worker


def other_than(cluster, owner):
    return next(node for node in cluster.nodes[:3] if node is not owner)


def ident_of(node, asking=False):
    with node.connect() as client:
        if asking:
            client.command("ASKING")
        return client.command("HGET", RECORD, "ident")


def test_check_shows_the_way_and_the_votes(arena, cluster):
    told = check(arena, *cluster.options)
    assert told["redis"].startswith("the cluster at ")
    assert told["witnesses"] == "3 of 3 name it as the master"
    assert told["result"] == "everything that leading needs works"
    # The key of --check is another one each time; every node must do as the only seed.
    for node in cluster.nodes:
        told = check(arena, "--redis", node.url("tcp"), "--cluster")
        assert told["result"] == "everything that leading needs works"


def test_a_server_that_is_in_no_cluster_is_told_at_once(arena):
    told = check(arena, "--redis", arena.redis().url("tcp"), "--cluster", status=125)
    assert "leave out --cluster" in told["result"]


def test_nodes_are_asked_with_the_users_rights(arena, cluster):
    for node in cluster.nodes:
        node.command("ACL", "SETUSER", "leader", "on", ">pw", "~*", "&*", *granted(RIGHTS))
    seeds = ["redis://leader:pw@%s:%d" % (each.address, each.port) for each in cluster.nodes[:3]]
    options = [*(word for url in seeds for word in ("--redis", url)), "--cluster"]
    told = check(arena, *options, status=125)
    assert "CLUSTER MYID, NODES and SLOTS" in told["result"]
    for node in cluster.nodes:
        node.command("ACL", "SETUSER", "leader", *granted(OF_NODES))
    assert check(arena, *options)["result"] == "everything that leading needs works"


def test_nodes_may_be_called_by_names(arena, cluster):
    if cluster.nodes[0].ask("CONFIG", "SET", "cluster-announce-hostname", "localhost") != "OK":
        pytest.skip("this server has no names for nodes")
    for node in cluster.nodes:
        node.command("CONFIG", "SET", "cluster-announce-hostname", "localhost")
        node.command("CONFIG", "SET", "cluster-preferred-endpoint-type", "hostname")

    def all_named():
        entries = [each for node in cluster.nodes for each in node.command("CLUSTER", "SLOTS")]
        return all(node[0] == "localhost" for entry in entries for node in entry[2:])

    wait_until(all_named, what="the names")
    worker = lead(arena, cluster, command=arena.beat(*ALONE))
    mark = worker.mark()
    cluster.fail_over(KEY)
    worker.wait_event("connected", after=mark)
    worker.wait_event("renewed", after=worker.mark())


def test_a_leader_is_led_to_keys_that_have_left_already(arena, cluster):
    """All of them are at the new node, while the slot is still the old one's."""
    worker = lead(arena, cluster, command=arena.beat(*ALONE))
    source = cluster.owner(KEY)
    target = other_than(cluster, source)
    for step in cluster.move_slot(KEY, target):
        if step == "all keys have moved":
            assert not source.command("CLUSTER", "COUNTKEYSINSLOT", cluster.slot(KEY))
            mark = worker.mark()
            for _ in range(3):
                mark = worker.wait_event("renewed", after=mark)
            assert not worker.find("disconnected")
            # It is of another incarnation than what is written when the slot is here.
            assert ident_of(target, asking=True).endswith("/asked")
    mark = worker.mark()
    worker.wait_event("renewed", after=mark)
    assert record(target)["id"].startswith(worker.name)
    assert not ident_of(target).endswith("/asked")
    assert not worker.find("deadline")


def test_the_counter_goes_on_where_its_slot_goes(arena, cluster):
    lead(arena, cluster)
    source = cluster.owner(KEY)
    counter = "{%s}:counter" % KEY
    wait_until(lambda: source.ask("GET", counter), what="a count")
    for _ in cluster.move_slot(KEY, other_than(cluster, source)):
        pass
    target = cluster.owner(KEY)
    value = int(target.command("GET", counter))
    wait_until(lambda: int(target.command("GET", counter)) > value, what="a higher count")


def test_a_counter_in_another_slot_is_refused(arena, cluster):
    done = arena.run("--key", KEY, *cluster.options, "--counter-key", "elsewhere")
    assert done.returncode == 64
    assert "write {%s}:counter" % KEY in done.stderr


def test_a_last_will_finds_the_new_master(arena, cluster):
    worker = lead(arena, cluster, command=arena.beat(*ALONE))
    mark = worker.mark()
    old = cluster.owner(KEY)
    old.kill()
    new = cluster.wait_owner(KEY, old)
    worker.wait_event("connected", after=mark)
    worker.kill9()
    worker.wait_event("will_done")
    wait_until(lambda: record(new).get("st") == "free", what="the release")


def test_the_record_is_of_the_epoch_of_the_owner(arena, cluster):
    worker = lead(arena, cluster, command=["sleep", "1000"])

    def is_of_owners_epoch(owner):
        if cluster.owner(KEY) is not owner:
            return False
        seen = next(each for each in cluster.seen_by(owner) if "myself" in each.flags)
        return ident_of(owner).endswith("/%d" % seen.epoch)

    owner = cluster.owner(KEY)
    wait_until(lambda: is_of_owners_epoch(owner))
    before = ident_of(owner)
    # Not a fail-over: what the owner does to whom a slot is moved.
    owner.command("CLUSTER", "BUMPEPOCH")
    wait_until(lambda: is_of_owners_epoch(owner) and ident_of(owner) != before)
    replica = cluster.replica_of(owner)
    replica.command("CLUSTER", "FAILOVER")
    wait_until(lambda: is_of_owners_epoch(replica))
    assert worker.running and not worker.find("lost")
