"""leaderwrap with a master, its replicas and three sentinels, and all that may happen to them.

A leader here loses its command's time only where its lease could not be renewed for longer than it
tolerates; and whatever happens, no two commands ever run at one time.
"""

import pytest

from tests.lib import beat_problems, boottime_ns, check_terms, read_beats, wait_until
from pair import (
    FAIL_OVER_NS,
    HASTY,
    PATIENT,
    RECORD,
    STUBBORN_TREE,
    start_in_manner,
    wait_tree,
    wait_until_ns,
)


def start(arena, replication, manner, **more):
    """A pair whose leader is on the master's host, its follower on the second replica's."""
    master = replication.master
    hosts = (replication.host_of(master), replication.hosts[2])
    return start_in_manner(arena, master, manner, hosts=hosts, route=replication.options, **more)


def goes_on(pair, replication, old):
    """The leader does, on the new master."""
    mark = pair.leader.mark()
    pair.redis = replication.wait_master(old)
    pair.goes_on(after=mark)


@pytest.mark.smoke
def test_a_leader_outlasts_the_death_of_the_master(arena):
    replication = arena.replication()
    pair = start(arena, replication, PATIENT)
    pair.redis.kill()
    goes_on(pair, replication, pair.redis)


def test_a_leader_outlasts_a_fail_over_by_hand(arena):
    """During which the old master takes all that it is sent."""
    replication = arena.replication()
    pair = start(arena, replication, PATIENT)
    replication.fail_over()
    goes_on(pair, replication, pair.redis)


def test_a_leader_outlasts_a_master_that_freezes_and_thaws(arena):
    replication = arena.replication()
    pair = start(arena, replication, PATIENT)
    old = pair.redis
    old.freeze()
    replication.wait_master(old)
    old.thaw()
    goes_on(pair, replication, old)


def test_a_leader_outlasts_the_promotion_of_a_replica_that_lags(arena, network):
    """Which has never heard of it."""
    replication = arena.replication()
    lagging = replication.replicas[0]
    replication.let_lag(lagging)
    pair = start(arena, replication, PATIENT)
    old = pair.redis
    old.kill()
    assert replication.wait_master(old) is lagging
    assert lagging.command("EXISTS", RECORD) == 0
    replication.host_of(lagging).heal()
    goes_on(pair, replication, old)


def test_a_leader_needs_no_more_than_a_majority_of_the_sentinels(arena):
    replication = arena.replication()
    pair = start(arena, replication, HASTY)
    replication.kill_sentinels(1)
    pair.goes_on(after=pair.leader.mark(), renewals=4)


def test_without_a_majority_of_the_sentinels_nobody_leads(arena):
    replication = arena.replication()
    pair = start(arena, replication, HASTY)
    replication.kill_sentinels(2)
    pair.leader.wait_event("no_majority")
    over = pair.leader.wait_event("deadline")
    dead = pair.leader.wait_event("tree_dead", after=over)
    marks = pair.marks()
    # Redis would grant it: the follower asks when its observation is over.
    wait_until_ns(dead.at_ns + 2 * pair.ttl_ns)
    pair.follower.wait_event("ask_failed", after=marks[1])
    assert not any(worker.find("elected", after=mark) for worker, mark in zip(pair.workers, marks))
    for sentinel in replication.sentinels[1:]:
        sentinel.start()
    pair.somebody_leads(marks)


def test_another_takes_over_while_the_master_is_frozen(arena):
    """And the old one, once it thaws, is no use to the old leader, although it takes writes."""
    replication = arena.replication()
    pair = start(arena, replication, HASTY)
    old = pair.redis
    old.freeze()
    frozen_ns = boottime_ns()
    marks = pair.marks()
    replication.wait_master(old)
    pair.leader.wait_event("deadline")
    old.thaw()
    _, second, _ = pair.somebody_leads(marks)
    assert second.first_ns < frozen_ns + FAIL_OVER_NS + 2 * pair.ttl_ns
    assert old.command("SET", "probe", "1") == "OK"


def cut_off_the_leader(pair, replication):
    """Together with its master and one sentinel, all of which are on one host; returns that."""
    host = replication.host_of(pair.redis)
    host.drop()
    return host


def test_a_leader_cut_off_with_its_master_ends_before_another_begins(arena, network):
    replication = arena.replication()
    pair = start(arena, replication, HASTY)
    host = cut_off_the_leader(pair, replication)
    cut_ns = boottime_ns()
    over = pair.leader.wait_event("deadline")
    first, second, taken = pair.handed_over()
    assert first.last_ns < second.first_ns
    assert second.first_ns < cut_ns + FAIL_OVER_NS + 2 * pair.ttl_ns
    # All the while its master took what it was sent.
    assert pair.redis.command("SET", "probe", "1") == "OK"
    host.heal()
    pair.leader.wait_event("waiting", after=over)
    wait_tree(arena, taken["token"], STUBBORN_TREE)
    assert check_terms(arena.beats())[-1].token == taken["token"]


def test_a_leader_that_asks_nobody_overlaps(arena, network, monkeypatch):
    """The same with the rule taken out: so the test above can fail."""
    monkeypatch.setenv("LEADERWRAP_TOOLS", str(arena.built("credulous").parent))
    monkeypatch.setenv("LEADERWRAP", str(arena.built("credulous")))
    replication = arena.replication()
    pair = start(arena, replication, HASTY)
    cut_off_the_leader(pair, replication)
    taken = pair.follower.wait_event("elected")
    pair.wait_renewed(after=pair.leader.mark())
    wait_until(
        lambda: any("overlap" in each for each in beat_problems(read_beats(arena.beats()))),
        what="two commands at one time",
    )
    assert taken["token"] != pair.won["token"]
