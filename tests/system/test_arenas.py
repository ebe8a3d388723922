"""The tests' own deployments, tested: what they promise to the tests of Sentinel and Cluster."""

import subprocess

import pytest

from tests.lib import RedisError, wait_until
from tests.lib.sentinel import NAME


def accepts_writes(server):
    return server.ask("SET", "probe", "1") == "OK"


def is_replica_of(server, master):
    role = server.ask("ROLE")
    return role is not None and role[:3] == ["slave", master.address, master.port]


# Sentinel


@pytest.mark.smoke
def test_sentinels_replace_a_master_that_is_killed(arena):
    replication = arena.replication()
    replication.hurry()
    old = replication.master
    assert old is replication.servers[0]
    assert all(is_replica_of(each, old) for each in replication.replicas)
    with old.connect() as client:
        client.command("SET", "a", "1")
        assert client.command("WAIT", 2, 0) == 2

    old.kill()
    new = replication.wait_master(old)
    wait_until(lambda: accepts_writes(new))
    assert new.command("GET", "a") == "1"
    old.start()
    wait_until(lambda: is_replica_of(old, new))
    replication.wait_steady()


def test_a_master_replaced_by_hand_goes_on_taking_writes(arena):
    replication = arena.replication()
    old = replication.master
    new = replication.fail_over()
    assert new is not old
    assert accepts_writes(old) and accepts_writes(new)


def test_sentinels_replace_a_master_that_is_frozen(arena):
    replication = arena.replication()
    old = replication.master
    old.freeze()
    new = replication.wait_master(old)
    old.thaw()
    assert accepts_writes(old) and accepts_writes(new)


def test_one_sentinel_is_no_majority(arena):
    replication = arena.replication()
    (left,) = replication.kill_sentinels(2)
    place = left.names()
    assert replication.master is None
    assert replication.at(place) is replication.servers[0]


def test_a_host_is_cut_off_with_master_and_sentinel(arena, network):
    replication = arena.replication()
    old = replication.master
    host = replication.host_of(old)
    host.drop()
    new = replication.wait_master(old)
    # Those who are cut off meet among themselves, and know of nothing.
    ask = ["redis-cli", "-h", old.address, "-p", str(old.port), "SET", "a", "1"]
    process = arena.spawn(ask, host=host, stdout=subprocess.PIPE)
    assert process.communicate(timeout=30)[0] == b"OK\n"
    beside = replication.sentinel_beside(old)
    assert replication.at(beside.names()) is old
    host.heal()
    wait_until(lambda: replication.at(beside.names()) is new)


def test_a_replica_that_lags_is_promoted(arena, network):
    replication = arena.replication()
    old, (lagging, other) = replication.master, replication.replicas
    old.command("SET", "a", "old")
    wait_until(lambda: lagging.ask("GET", "a") == "old")
    replication.let_lag(lagging)
    old.command("SET", "a", "new")
    wait_until(lambda: other.ask("GET", "a") == "new")
    old.kill()
    assert replication.wait_master(old) is lagging
    assert lagging.command("GET", "a") == "old"


def test_a_sentinel_keeps_what_it_learnt_over_a_restart(arena):
    replication = arena.replication()
    sentinel = replication.sentinels[0]
    own = sentinel.command("SENTINEL", "MYID")
    new = replication.fail_over()
    wait_until(lambda: replication.at(sentinel.names()) is new)
    sentinel.restart(kill=True)
    assert sentinel.command("SENTINEL", "MYID") == own
    assert replication.at(sentinel.names()) is new
    with pytest.raises(RedisError, match="No such master"):
        sentinel.command("SENTINEL", "MASTER", NAME + "x")


# Cluster


@pytest.mark.smoke
def test_a_cluster_replaces_a_master_that_is_killed(arena):
    cluster = arena.cluster()
    key = cluster.key_of(cluster.nodes[1])
    old, replica = cluster.owner(key), cluster.replica_of(cluster.nodes[1])
    assert (old, replica) == (cluster.nodes[1], cluster.nodes[4])
    with old.connect() as client:
        client.command("SET", key, "1")
        assert client.command("WAIT", 1, 0) == 1
    with pytest.raises(RedisError, match="MOVED"):
        cluster.nodes[0].command("SET", key, "1")

    old.kill()
    assert cluster.wait_owner(key, old) is replica
    wait_until(lambda: replica.ask("GET", key) == "1")
    old.start()
    cluster.wait_steady()
    assert cluster.replica_of(replica) is old


@pytest.mark.parametrize("how", [None, "FORCE", "TAKEOVER"])
def test_a_cluster_fails_over_by_hand(arena, how):
    cluster = arena.cluster()
    key = cluster.key_of(cluster.nodes[0])
    assert cluster.fail_over(key, how) is cluster.nodes[3]
    cluster.wait_steady()
    assert cluster.fail_over(key, how) is cluster.nodes[0]


def test_a_slot_moves_with_its_keys(arena):
    cluster = arena.cluster()
    source, target = cluster.nodes[0], cluster.nodes[1]
    key = cluster.key_of(source)
    other = "{%s}:more" % key
    for each in (key, other):
        source.command("SET", each, "1")
    seen = []
    for step in cluster.move_slot(key, target):
        if step in (key, other) and not seen[1:]:
            with pytest.raises(RedisError, match="TRYAGAIN"):
                source.command("MGET", key, other)
        if step == "all keys have moved":
            with pytest.raises(RedisError, match="ASK"):
                source.command("GET", key)
        seen.append(step)
    assert len(seen) == 5 and set(seen[1:3]) == {key, other}
    assert cluster.owner(key) is target
    assert target.command("MGET", key, other) == ["1", "1"]
    cluster.wait_steady()


def test_a_node_that_is_cut_off_is_replaced_and_refuses(arena, network):
    cluster = arena.cluster()
    old = cluster.nodes[2]
    key = cluster.key_of(old)
    host = cluster.host_of(old)
    host.drop()
    new = cluster.wait_owner(key, old)
    assert new is cluster.nodes[5] and cluster.host_of(new) is not host
    wait_until(lambda: "cluster_state:fail" in old.command("CLUSTER", "INFO"))
    with pytest.raises(RedisError, match="CLUSTERDOWN"):
        old.command("SET", key, "1")
    host.heal()
    cluster.wait_steady()
