"""What happens when the network between leaderwrap and Redis fails, in either direction."""

import os

import pytest

from tests.lib import boottime_ns
from pair import ALONE, KEY, STUBBORN_TREE, start_pair, wait_tree
from proxy import Proxy

# "out" loses requests, "in" loses answers to requests that are carried out.
DIRECTIONS = ["out", "in", "both"]


def start_pair_on_hosts(arena, network, *options, **more):
    near, other, far = network.host("near"), network.host("other"), network.host("far")
    redis = arena.redis(host=far)
    return start_pair(arena, redis, *options, hosts=(near, other), **more), near, far


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_a_short_cut_is_ridden_out(arena, network, direction):
    # A renewal is given up after 1 s; the command is stopped 5.4 s after the last good one.
    options = ("--renew", "500ms", "--grace", "300ms")
    pair, near, far = start_pair_on_hosts(arena, network, *options, ttl_s=6)
    renewed = pair.wait_renewed()
    near.drop(direction, far)
    failed = pair.leader.wait_event("renew_failed", after=renewed)
    near.heal()
    pair.goes_on(after=failed, renewals=1)


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_a_long_cut_ends_the_term_and_another_takes_over(arena, network, direction):
    pair, near, far = start_pair_on_hosts(
        arena, network, "--margin", "500ms", ttl_s=4, beat=STUBBORN_TREE
    )
    pair.wait_renewed()
    near.drop(direction, far)
    over = pair.leader.wait_event("deadline")
    dead = pair.leader.wait_event("tree_dead", after=over)
    first, _, taken = pair.handed_over()
    assert first.last_ns < pair.lease_end_ns()
    # Without a word from the old leader nobody could be faster than the TTL.
    assert taken.told_ns > over.told_ns

    near.heal()
    told = pair.leader.wait_event("not_held", after=dead)
    pair.leader.wait_event("waiting", after=told)
    assert not pair.leader.find("elected", after=dead)


def test_refused_connections_are_tried_again(arena, network):
    pair, near, far = start_pair_on_hosts(arena, network, "--renew", "600ms", ttl_s=10)
    renewed = pair.wait_renewed()
    far.reject(near)
    refused = pair.leader.wait_event("disconnected", after=renewed)
    far.heal()
    pair.goes_on(after=refused)


def test_the_deadline_counts_from_the_send(arena, redis):
    """An answer that was long on its way must not buy time that the lease does not have."""
    with Proxy(arena, redis) as proxy:
        urls = (proxy.url, redis.url())
        options = ("--renew", "700ms", "--margin", "300ms")
        pair = start_pair(arena, redis, *options, ttl_s=4, beat=STUBBORN_TREE, urls=urls)
        # The first renewal has to send its script, which would be two answers.
        renewed = pair.wait_renewed()
        # More than drift and margin together, less than the time-out of a request.
        proxy.delay_s = 0.45
        pair.wait_renewed(after=pair.wait_renewed(renewed))
        pair.leader.sigstop()
        left_ms = redis.command("PTTL", KEY)
        lease_end_ns = boottime_ns() + left_ms * 1000000
        assert left_ms > 0
        first, _, _ = pair.handed_over()
        assert first.last_ns < lease_end_ns
        pair.leader.cont()


def test_a_stall_is_ridden_out_on_the_connection_that_there_is(arena, redis):
    """New connections are refused meanwhile, as by a server that is full: nothing but patience
    with the old one helps."""
    with Proxy(arena, redis) as proxy:
        urls = (proxy.url, redis.url())
        pair = start_pair(arena, redis, ttl_s=9, beat=ALONE, urls=urls)
        pair.wait_renewed()
        proxy.stall = proxy.refuse = True
        # A renewal is due after 3 s and given up 1.5 s later; the command is stopped after 6.8 s.
        failed = pair.leader.wait_event("renew_failed")
        proxy.stall = False
        pair.goes_on(after=failed, renewals=1)
        assert not pair.leader.find("disconnected", after=pair.won)
        proxy.refuse = False


def test_a_long_round_trip_is_a_matter_of_the_ttl(arena, redis):
    """Two of them, as the server does not know the script yet; the time-out is 5 s."""
    with Proxy(arena, redis) as proxy:
        proxy.delay_s = 2.2
        calm = {"ttl": "30s", "url": proxy.url, "command": arena.beat(*ALONE)}
        worker = arena.worker("--assume-fresh", **calm)
        won = worker.wait_event("elected")
        assert not worker.find("ask_failed")
        # And one that is longer than the time-out is one of a person's choice.
        hasty = arena.worker("--request-timeout", "1s", **calm)
        hasty.wait_event("ask_failed")
        assert not hasty.find("waiting")
        proxy.delay_s = 0
        hasty.wait_event("waiting")
        assert worker.stop() in (0, 143)
        assert not worker.find("elected", after=won)


def hosts_file(arena, *addresses):
    """What to put before a command so that it knows "redis.test" by these addresses, in a mount
    namespace of its own."""
    if os.geteuid() != 0:
        pytest.skip("mount namespaces need root")
    path = arena.folder / "hosts"
    path.write_text("".join("%s redis.test\n" % a for a in addresses), encoding="utf-8")
    script = 'mount --bind "$0" /etc/hosts && exec "$@"'
    return ["unshare", "--mount", "sh", "-c", script, str(path)]


def test_all_addresses_of_a_name_are_tried(arena, network):
    """One refuses, one is mute; they stand on both sides of the one that answers, as the order is
    the resolver's choice."""
    near, far = network.host("near"), network.host("far")
    refusing, mute = network.host("refusing"), network.host("mute")
    redis = arena.redis(host=far)
    mute.drop()
    addresses = (refusing, mute, far, refusing, mute)
    worker = arena.worker(
        "--assume-fresh",
        url="redis://redis.test:%d/0" % redis.port,
        command=arena.beat(*ALONE),
        host=near,
        prefix=hosts_file(arena, *(host.address for host in addresses)),
    )
    won = worker.wait_event("elected")
    wait_tree(arena, won["token"], ALONE)
    renewed = worker.wait_event("renewed", after=won)

    # And again for the term's sake, inside the deadline.
    redis.command("CLIENT", "KILL", "TYPE", "normal")
    worker.wait_event("renewed", after=renewed)
    assert len(worker.find("elected")) == 1
