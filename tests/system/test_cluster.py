"""leaderwrap with a cluster of three masters and three replicas, and all that may happen to them.

A leader here loses its command's time only where its lease could not be renewed for longer than it
tolerates; and whatever happens, no two commands ever run at one time.
"""

import pytest

from tests.lib import beat_problems, boottime_ns, check_terms, read_beats, wait_until
from pair import (
    FAIL_OVER_NS,
    HASTY,
    KEY,
    PATIENT,
    STUBBORN_TREE,
    record,
    start_in_manner,
    wait_subscribed,
    wait_tree,
    wait_until_ns,
)


def start(arena, cluster, manner, **more):
    """A pair whose leader is on the host of the lease's master, its follower on another."""
    owner = cluster.owner(KEY)
    home = cluster.host_of(owner)
    away = next(host for host in cluster.hosts if host is not home or home is None)
    return start_in_manner(arena, owner, manner, hosts=(home, away), route=cluster.options, **more)


def goes_on(pair, cluster, old):
    """The leader does, on the new master of its slot."""
    mark = pair.leader.mark()
    pair.redis = cluster.wait_owner(KEY, old)
    pair.goes_on(after=mark)


@pytest.mark.smoke
def test_a_leader_outlasts_the_death_of_its_master(arena):
    cluster = arena.cluster()
    pair = start(arena, cluster, PATIENT)
    pair.redis.kill()
    goes_on(pair, cluster, pair.redis)


def test_a_follower_listens_where_the_lease_is(arena):
    """The old master lives on, and answers whatever pings it."""
    cluster = arena.cluster()
    pair = start(arena, cluster, PATIENT)
    old = pair.redis
    wait_subscribed(old)
    new = cluster.fail_over(KEY, None)
    wait_subscribed(new)
    wait_subscribed(old, 0)
    goes_on(pair, cluster, old)


@pytest.mark.parametrize("how", [None, "FORCE", "TAKEOVER"])
def test_a_leader_outlasts_a_fail_over_by_hand(arena, how):
    """There, and back within a TTL."""
    cluster = arena.cluster()
    pair = start(arena, cluster, PATIENT)
    old = pair.redis
    new = cluster.fail_over(KEY, how)
    goes_on(pair, cluster, old)
    cluster.wait_steady()
    cluster.fail_over(KEY, how)
    goes_on(pair, cluster, new)
    assert pair.redis is old


def test_a_leader_outlasts_a_master_that_freezes_and_thaws(arena):
    cluster = arena.cluster()
    pair = start(arena, cluster, PATIENT)
    old = pair.redis
    old.freeze()
    cluster.wait_owner(KEY, old)
    old.thaw()
    goes_on(pair, cluster, old)


def test_a_leader_outlasts_the_promotion_of_a_replica_that_lags(arena, network):
    """Which has never heard of it."""
    cluster = arena.cluster()
    old = cluster.owner(KEY)
    lagging = cluster.replica_of(old)
    cluster.let_lag(lagging)
    pair = start(arena, cluster, PATIENT)
    old.kill()
    assert cluster.wait_owner(KEY, old) is lagging
    assert lagging.command("EXISTS", KEY) == 0
    cluster.host_of(lagging).heal()
    goes_on(pair, cluster, old)


def test_the_slot_of_a_leader_moves_at_no_cost(arena):
    """Key by key, the leader renewing (or trying to) at each step."""
    cluster = arena.cluster()
    pair = start(arena, cluster, PATIENT)
    source = pair.redis
    target = next(node for node in cluster.nodes[:3] if node is not source)
    for step in cluster.move_slot(KEY, target):
        pair.leader.wait_event(("renewed", "renew_failed"), after=pair.leader.mark())
    assert step == "the slot has moved"
    goes_on(pair, cluster, source)
    assert pair.redis is target
    assert not pair.leader.find("outage")


def test_a_leader_does_without_a_minority_of_the_masters(arena):
    """One of them, and its successor as well."""
    cluster = arena.cluster()
    for node in cluster.nodes:
        # Or all would refuse what is not theirs as well.
        node.command("CONFIG", "SET", "cluster-require-full-coverage", "no")
    pair = start(arena, cluster, HASTY)
    for other in (0, 3):
        cluster.nodes[other].kill()
    pair.goes_on(after=pair.leader.mark(), renewals=4)


def test_without_a_majority_of_the_masters_nobody_leads(arena):
    cluster = arena.cluster()
    pair = start(arena, cluster, HASTY)
    others = [cluster.nodes[number] for number in (0, 2, 3, 5)]
    for node in others:
        node.kill()
    over = pair.leader.wait_event("deadline")
    dead = pair.leader.wait_event("tree_dead", after=over)
    marks = pair.marks()
    # Time enough for an observation and more.
    wait_until_ns(dead.at_ns + 2 * pair.ttl_ns)
    assert not any(worker.find("elected", after=mark) for worker, mark in zip(pair.workers, marks))
    for node in others:
        node.start()
    pair.somebody_leads(marks)


def test_another_takes_over_while_the_master_is_frozen(arena):
    cluster = arena.cluster()
    pair = start(arena, cluster, HASTY)
    old = pair.redis
    old.freeze()
    frozen_ns = boottime_ns()
    marks = pair.marks()
    cluster.wait_owner(KEY, old)
    pair.leader.wait_event("deadline")
    old.thaw()
    _, second, _ = pair.somebody_leads(marks)
    assert second.first_ns < frozen_ns + FAIL_OVER_NS + 2 * pair.ttl_ns


def test_a_leader_cut_off_with_its_master_ends_before_another_begins(arena, network):
    cluster = arena.cluster()
    pair = start(arena, cluster, HASTY)
    host = cluster.host_of(pair.redis)
    host.drop()
    cut_ns = boottime_ns()
    over = pair.leader.wait_event("deadline")
    first, second, taken = pair.handed_over()
    assert first.last_ns < second.first_ns
    assert second.first_ns < cut_ns + FAIL_OVER_NS + 2 * pair.ttl_ns
    host.heal()
    pair.leader.wait_event("waiting", after=over)
    wait_tree(arena, taken["token"], STUBBORN_TREE)
    assert check_terms(arena.beats())[-1].token == taken["token"]
    assert record(cluster.owner(KEY))["tok"] == str(taken["token"])


def take_over_behind_its_back(arena):
    """The leader and its master are cut off, and a replica takes over by hand: for half a minute
    the old master takes all that it is sent, and so does the new one. Returns the pair."""
    cluster = arena.cluster()
    for node in cluster.nodes:
        node.command("CONFIG", "SET", "cluster-node-timeout", "30000")
    pair = start(arena, cluster, HASTY)
    replica = cluster.replica_of(pair.redis)
    cluster.host_of(pair.redis).drop()
    replica.command("CLUSTER", "FAILOVER", "TAKEOVER")
    pair.follower.wait_event("elected")
    assert pair.redis.command("SET", "{%s}:probe" % KEY, "1") == "OK"
    return pair


def test_a_leader_behind_whose_back_a_replica_takes_over_ends_first(arena, network):
    pair = take_over_behind_its_back(arena)
    first, second, _ = pair.handed_over()
    assert first.last_ns < second.first_ns
    pair.leader.wait_event("deadline")


def test_a_leader_that_asks_nobody_overlaps(arena, network, monkeypatch):
    """The same with the rule taken out: so the test above can fail."""
    monkeypatch.setenv("LEADERWRAP_TOOLS", str(arena.built("credulous").parent))
    monkeypatch.setenv("LEADERWRAP", str(arena.built("credulous")))
    pair = take_over_behind_its_back(arena)
    pair.wait_renewed(after=pair.leader.mark())
    wait_until(
        lambda: any("overlap" in each for each in beat_problems(read_beats(arena.beats()))),
        what="two commands at one time",
    )
