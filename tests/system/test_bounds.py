"""Whatever fails, connections, requests and log lines have a bound."""

import contextlib
import time

import pytest

from fakes import KINDS, Fake
from tests.lib import wait_until
from pair import ALONE, KEY, start_pair, wait_tree
from proxy import Proxy


def lines(worker):
    return len(worker.events)


def test_a_follower_leaves_a_useless_server_alone(arena):
    with contextlib.ExitStack() as stack:
        fakes = {kind: stack.enter_context(Fake(arena, kind)) for kind in KINDS}
        workers = {
            kind: arena.worker(command=["true"], url=fake.url) for kind, fake in fakes.items()
        }
        for fake in fakes.values():
            wait_until(lambda f=fake: f.accepted > 1 or f.asked > 1)
        # What is counted has begun; after a second they try every second or more seldom.
        time.sleep(2)
        for kind, fake in fakes.items():
            assert fake.accepted <= 10, kind
            assert fake.asked <= 10, kind
            assert lines(workers[kind]) <= 40, kind
            workers[kind].stop()


@pytest.mark.parametrize("kind", ["errors", "errors and hangs up", "full"])
def test_a_check_leaves_a_useless_server_alone(arena, kind):
    with Fake(arena, kind) as fake:
        done = arena.run("--check", "--redis", fake.url)
        assert done.returncode == 69
        assert fake.accepted <= 12
        assert fake.asked <= 12


def test_answers_that_end_the_connection_are_enough_to_lead(arena, redis):
    """A proxy that closes each connection behind the first answer: not good, but good enough."""
    with Proxy(arena, redis) as proxy:
        proxy.hang_up = True
        options = ("--renew", "500ms")
        pair = start_pair(
            arena, redis, *options, ttl_s=5, beat=ALONE, urls=(proxy.url, proxy.url), deaf=True
        )
        before = proxy.accepted, lines(pair.leader), lines(pair.follower)
        pair.goes_on(after=pair.wait_renewed(), renewals=4)
        # Two seconds at least, in which the leader makes four new ones; two of them retry.
        after = proxy.accepted, lines(pair.leader), lines(pair.follower)
        assert after[0] - before[0] <= 60
        assert after[1] - before[1] <= 200
        assert after[2] - before[2] <= 200


def test_a_term_ends_as_it_should_behind_such_a_proxy(arena, redis):
    with Proxy(arena, redis) as proxy:
        worker = arena.worker(
            "--assume-fresh", command=arena.beat(*ALONE), url=proxy.url, key=KEY, ttl="3s"
        )
        wait_tree(arena, worker.wait_event("elected")["token"], ALONE)
        renewed = worker.wait_event("renewed")
        proxy.hang_up = True
        worker.wait_event("renewed", after=worker.wait_event("disconnected", after=renewed))
        proxy.refuse = True
        worker.wait_event("deadline")
        tree_dead = worker.wait_event("tree_dead")
        # It cannot release: one try in each fifth of a renewal's interval, 200 ms.
        accepted, written = proxy.accepted, lines(worker)
        time.sleep(2)
        assert proxy.accepted - accepted <= 30
        assert lines(worker) - written <= 120
        proxy.refuse = proxy.hang_up = False
        worker.wait_event("released", after=tree_dead)
