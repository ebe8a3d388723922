"""--wait-replicas: what the server has alone does not count."""

import pytest

from pair import KEY, record
from tests.lib import wait_until
from tests.lib.sentinel import REPLICATION_CONFIG, leave_at_once


@pytest.fixture
def servers(arena):
    """A master and two replicas that are attached to it."""
    master = arena.redis(*REPLICATION_CONFIG)
    follow = "replicaof %s %d" % (master.address, master.port)
    replicas = [arena.redis(*REPLICATION_CONFIG, follow) for _ in range(2)]
    for server in (master, *replicas):
        leave_at_once(server)
    wait_until(lambda: master.info("replication")["connected_slaves"] == "2")
    return master, *replicas


def check(arena, redis, *options):
    done = arena.run("--check", "--redis", redis.url("unix"), "--key", KEY, *options)
    return done.returncode, done.stdout


def test_check_tells_of_too_few_replicas(arena, servers):
    status, told = check(arena, servers[0], "--wait-replicas", "2")
    assert status == 0, told
    status, told = check(arena, servers[0], "--wait-replicas", "3")
    assert status == 69
    assert "only 2 of the 3 replicas that --wait-replicas asks for have the lease" in told


def test_a_term_that_no_replica_hears_of_ends_at_its_deadline(arena, servers):
    master, *replicas = servers
    # Redis looks every 100 ms whether WAIT is over, which takes half a second here.
    options = ("--assume-fresh", "--wait-replicas", "1", "--ttl", "6s", "--request-timeout", "1s")
    worker = arena.worker(*options, redis=master, command=["sleep", "1000"], key=KEY)
    worker.wait_event("started")
    # One will do.
    replicas[0].freeze()
    before = record(replicas[1]).get("ver")
    wait_until(lambda: record(replicas[1]).get("ver") != before)
    assert not worker.find("renew_failed")
    replicas[1].freeze()
    failed = worker.wait_event("renew_failed")
    assert "only 0 of the 1 replicas that --wait-replicas asks for have the lease" in str(failed)
    over = worker.wait_event("deadline")
    for replica in replicas:
        replica.thaw()
    worker.wait_event("started", after=over)


def test_a_user_who_may_not_wait_is_told_so(arena, servers):
    master = servers[0]
    master.command("ACL", "SETUSER", "leader", "on", ">pw", "~*", "&*", "+@all", "-wait")
    url = master.url("unix", user="leader", password="pw")
    worker = arena.worker("--wait-replicas", "1", url=url, command=["true"], key=KEY)
    assert worker.wait() == 125
    assert "+wait" in worker.log()
