"""What happens when Redis stands still, restarts, forgets or is meddled with."""

import socket

import pytest

from fakes import Fake
from tests.lib import boottime_ns, check_terms, wait_until
from pair import (
    ALONE,
    KEY,
    RECORD,
    SECOND_NS,
    TREE,
    goes_on,
    record,
    start_pair,
    wait_subscribed,
    wait_tree,
    wait_until_ns,
)

# How to make the server deaf to renewals, and how to undo it.
DEAF = {
    "frozen": (lambda redis: redis.freeze(), lambda redis: redis.thaw()),
    "paused": (
        lambda redis: redis.command("CLIENT", "PAUSE", 600000, "WRITE"),
        lambda redis: redis.command("CLIENT", "UNPAUSE"),
    ),
}


@pytest.mark.parametrize("how", DEAF)
def test_a_short_standstill_is_ridden_out(arena, redis, how):
    begin, end = DEAF[how]
    # A renewal is given up after 1 s; the command is stopped 5.4 s after the last good one.
    pair = start_pair(arena, redis, "--renew", "500ms", "--grace", "300ms", ttl_s=6)
    renewed = pair.wait_renewed()
    begin(redis)
    failed = pair.leader.wait_event("renew_failed", after=renewed)
    end(redis)
    pair.goes_on(after=failed, renewals=1)


@pytest.mark.parametrize("how", DEAF)
def test_a_long_standstill_ends_the_term_before_the_lease(arena, redis, how):
    begin, end = DEAF[how]
    pair = start_pair(arena, redis, "--grace", "800ms", ttl_s=4)
    renewed = pair.wait_renewed()
    begin(redis)
    failed = pair.leader.wait_event("renew_failed", after=renewed)
    over = pair.leader.wait_event("deadline", after=failed)
    pair.leader.wait_event("tree_dead", after=over)
    marks = pair.marks()
    lease_end_ns = pair.lease_end_ns()
    end(redis)
    first, _, _ = pair.somebody_leads(marks)
    # It was neither stopped by the failure, nor later than allowed; and asked, not killed.
    assert failed.told_ns < first.last_ns < lease_end_ns
    assert first.ended == first.pids


DATA = ["kept", "lost", "rolled back"]


def test_renewals_that_waited_in_a_server_do_not_lock_anybody_out(arena, redis):
    """It stands still until the term is over and thaws: the renewals of that time are carried out
    then, and what they have written is released all the same."""
    leader = arena.worker(
        "--assume-fresh", command=arena.beat(*ALONE), redis=redis, ttl="4s", key=KEY
    )
    won = leader.wait_event("elected")
    # A server that does not know the script of renewals yet would carry out none.
    leader.wait_event("renewed")
    redis.freeze()
    over = leader.wait_event("deadline")
    # By then nothing of it counts any more.
    wait_until(lambda: boottime_ns() > over.at_ns + 4 * SECOND_NS, what="the end of the lease")
    redis.thaw()
    leader.wait_event("released", after=over)
    leader.wait_event("elected", after=over)
    assert not leader.find("not_held", after=won) and not leader.find("waiting", after=won)


def redis_with(arena, data):
    """A server that, once killed and started again, will have such data."""
    redis = arena.redis(*(["appendonly yes"] if data == "kept" else []))
    if data == "rolled back":
        # What is saved here, another leader's term, is what it will load again.
        other = arena.worker(
            "--assume-fresh", command=arena.beat(*TREE), redis=redis, key=KEY, name="before"
        )
        wait_tree(arena, other.wait_event("elected")["token"])
        redis.command("SAVE")
        other.stop()
    return redis


@pytest.mark.parametrize("data", DATA)
def test_a_living_leader_survives_a_restart(arena, data):
    redis = redis_with(arena, data)
    # The follower asks often: whatever the server has forgotten, it must not profit by it.
    pair = start_pair(arena, redis, "--renew", "600ms", "--retry", "100ms", ttl_s=10)
    mark = pair.wait_renewed().index
    redis.restart(keep_data=data != "lost", kill=True)
    pair.goes_on(after=mark)


@pytest.mark.parametrize("data", DATA)
def test_after_a_restart_a_dead_leader_is_succeeded_one_ttl_later(arena, data):
    redis = redis_with(arena, data)
    too_late = data == "rolled back"
    pair = start_pair(arena, redis, ttl_s=2, beat=TREE if too_late else ALONE)
    pair.wait_renewed()
    redis.kill()
    if too_late:
        # This one lives, but its term is over, and so is its lease, which it could have released; it
        # has to wait like the other.
        pair.leader.wait_event("tree_dead")
        wait_until_ns(pair.lease_end_ns())
    else:
        pair.leader.crash()
    marks = pair.marks()
    if data == "lost":
        redis.erase_data()
    started_ns = boottime_ns()
    redis.start()
    _, _, taken = pair.somebody_leads(marks)
    assert taken.at_ns >= started_ns + pair.ttl_ns


@pytest.mark.parametrize(
    "command", [["FLUSHALL"], ["DEL", KEY], ["DEL", RECORD]], ids=["all", "key", "record"]
)
def test_what_is_deleted_is_written_again(arena, redis, command):
    # The follower asks several times before the next renewal.
    pair = start_pair(arena, redis, "--renew", "600ms", "--retry", "100ms", ttl_s=10)
    pair.wait_renewed()
    assert redis.command(*command)
    pair.goes_on(after=pair.leader.events[-1])


def test_a_lone_leader_writes_its_record_again(arena):
    """Nobody else visits the server and mends the record before it does."""
    redis = redis_with(arena, "rolled back")
    leader = arena.worker(
        "--assume-fresh",
        "--renew",
        "500ms",
        command=arena.beat(*ALONE),
        redis=redis,
        key=KEY,
        ttl="10s",
    )
    won = leader.wait_event("elected")
    child = leader.wait_child()
    for happens in (
        lambda: redis.restart(kill=True),  # rolled back to another's term
        lambda: redis.command("SAVE") and redis.restart(kill=True),
        redis.flushall,
        lambda: redis.command("DEL", KEY),
        lambda: redis.command("DEL", RECORD),
        lambda: redis.restart(keep_data=False),
    ):
        mark = leader.mark()
        happens()
        goes_on(redis, leader, won, child, after=mark)


def test_a_foreign_value_in_the_key_ends_the_term_and_bars_the_way(arena, redis):
    pair = start_pair(arena, redis, "--retry", "200ms", "--grace", "500ms", ttl_s=2)
    redis.command("SET", KEY, "somebody else")
    lost = pair.leader.wait_event("lost")
    assert "somebody else" in lost["message"]
    pair.leader.wait_event("tree_dead", after=lost)
    (term,) = check_terms(arena.beats())
    # Killed without grace: the others may be at work already.
    assert not term.ended
    # Both ask in vain for longer than any lease lives.
    wait_until_ns(boottime_ns() + pair.ttl_ns + SECOND_NS // 2)
    marks = pair.marks()
    for worker, mark in zip(pair.workers, marks):
        waiting = worker.wait_event("waiting", after=mark)
        assert "somebody else" in waiting["message"]
        assert len(worker.find("elected")) == (1 if worker is pair.leader else 0)
    assert redis.command("GET", KEY) == "somebody else"

    redis.command("DEL", KEY)
    pair.somebody_leads(marks)


def test_connections_that_are_killed_are_made_again(arena, redis):
    pair = start_pair(arena, redis, "--renew", "600ms", "--retry", "60s")
    mark = pair.wait_renewed().index
    assert redis.command("CLIENT", "KILL", "TYPE", "pubsub") == 1
    assert redis.command("CLIENT", "KILL", "TYPE", "normal") >= 2
    pair.leader.wait_event("disconnected", after=mark)
    pair.goes_on(after=mark)
    # The follower is back as well, and hears the news.
    wait_subscribed(redis)
    pair.leader.stop()
    pair.handed_over()
    assert record(redis)["st"] == "held"


def test_a_follower_that_hears_nothing_takes_over_a_dead_leader_only(arena, redis):
    redis.command("ACL", "SETUSER", "deaf", "on", ">secret", "~*", "&*", "+@all", "-subscribe")
    urls = (redis.url(), redis.url(user="deaf", password="secret"))
    never = ("--retry", "60s")
    pair = start_pair(arena, redis, *never, ttl_s=2, beat=ALONE, urls=urls, deaf=True)
    # What it saw first ages for a TTL, but is not what is on record by then.
    pair.follower.wait_event("waiting", after=pair.follower.wait_event("waiting"))
    pair.goes_on(after=pair.leader.mark(), renewals=1)
    pair.leader.crash()
    pair.handed_over()


# What listens there is named, once


def told(worker):
    """Warnings and errors so far."""
    return [e["message"] for e in worker.events if e["level"] in ("warning", "error")]


@pytest.mark.parametrize(
    "kind, cause",
    [
        ("mute", "does not answer"),
        ("speaks HTTP", 'that is no Redis: it says "HTTP/1.1 400 Bad Request"'),
        ("full", "refused the connection: ERR max number of clients reached; raise maxclients"),
    ],
)
def test_a_server_of_no_use_is_named(arena, kind, cause):
    # A busy machine has its time for an answer, where there is one.
    ttl, timeout = ("1s", "150ms") if kind == "mute" else ("3s", "1s")
    patience = ("--request-timeout", timeout)
    with Fake(arena, kind) as fake:
        done = arena.run(
            *("--once", "--redis", fake.url, "--key", "test", "--ttl", ttl, *patience, "--", "true")
        )
        assert (done.returncode, done.stderr.count("\n")) == (69, 1), done
        assert cause in done.stderr and "the command was not run" in done.stderr
        worker = arena.worker(*patience, ttl=ttl, command=["true"], url=fake.url)
        wait_until(lambda: fake.accepted >= 8)
        worker.stop()
        assert not worker.find("connected")
        causes = told(worker)
        assert len(causes) == 1, causes
        assert cause in causes[0] or kind == "mute" and "no answer" in causes[0]


def test_a_full_server_is_one_cause(arena):
    redis = arena.redis()
    redis.command("CONFIG", "SET", "maxclients", "1")
    with socket.socket(socket.AF_UNIX) as first:
        first.connect(redis.socket)
        first.sendall(b"PING\r\n")
        assert first.recv(9) == b"+PONG\r\n"
        done = arena.run("--once", "--redis", redis.url(), "--key", "test", "--", "true")
        assert (done.returncode, done.stderr.count("\n")) == (69, 1), done
        assert "ERR max number of clients reached; raise maxclients" in done.stderr
        worker = arena.worker("--assume-fresh", command=["sleep", 600], url=redis.url())
        worker.wait_event("disconnected")
        worker.wait_event("disconnected", after=worker.wait_event("disconnected"))
        assert not worker.find("connected")
        first.sendall(b"CONFIG SET maxclients 100\r\n")
        assert first.recv(9) == b"+OK\r\n"
        worker.wait_event("elected", after=worker.wait_event("connected"))
        causes = told(worker)
        assert len(causes) == 1 and "maxclients" in causes[0], causes


def replid(redis):
    return redis.info("replication")["master_replid"]


@pytest.mark.smoke
@pytest.mark.parametrize("config", ["save 3600 1", "appendonly yes"])
def test_a_server_that_begins_to_be_a_master_has_a_new_replication_id(arena, config):
    """What the incarnation of a record stands on, whatever the server loads."""
    redis = arena.redis(config, "repl-diskless-sync-delay 0")
    seen = [replid(redis)]
    redis.command("SET", "a", 1)
    for _ in range(2):
        redis.restart()
        seen.append(replid(redis))
    assert redis.command("GET", "a") == "1"
    # A replica has its master's, also after a restart, and makes one of its own when promoted.
    follow = "replicaof %s %d" % (redis.address, redis.port)
    replica = arena.redis(config, follow)
    wait_until(lambda: replica.info("replication")["master_link_status"] == "up")
    # The first replica that comes makes for a new one, too.
    seen.append(replid(redis))
    assert replid(replica) == seen[-1]
    replica.restart(kill=True)
    wait_until(lambda: replica.info("replication")["master_link_status"] == "up")
    replica.command("REPLICAOF", "NO", "ONE")
    seen.append(replid(replica))
    replica.command("REPLICAOF", redis.address, redis.port)
    wait_until(lambda: replica.info("replication")["master_link_status"] == "up")
    replica.command("REPLICAOF", "NO", "ONE")
    seen.append(replid(replica))
    assert len(set(seen)) == len(seen)
    # Busy with its files it would not end on TERM.
    replica.kill()
