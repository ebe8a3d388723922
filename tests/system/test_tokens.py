"""Tokens only ever grow, whatever became of the server's data and clock; and a token that was
granted without the candidate's hearing of it is used by nobody, or by that candidate, once."""

from tests.lib import check_terms, wait_until
from pair import (
    ALONE,
    KEY,
    RECORD,
    history,
    pids,
    record,
    start_pair,
    wait_any,
    wait_subscribed,
    wait_tree,
)
from proxy import Proxy

HOUR_S = 3600


def lead_once(arena, redis, *options, **more):
    """One candidate leads and stops; its token."""
    worker = arena.worker(
        "--assume-fresh", *options, command=arena.beat(*ALONE), redis=redis, key=KEY, **more
    )
    token = worker.wait_event("elected")["token"]
    wait_tree(arena, token, ALONE)
    assert worker.stop() == 0
    return token


BETWEEN = {
    "nothing": lambda redis: None,
    "restart": lambda redis: redis.restart(),
    "kill": lambda redis: redis.restart(kill=True),
    "restart without data": lambda redis: redis.restart(keep_data=False),
    "FLUSHALL": lambda redis: redis.flushall(),
    "clock an hour forward": lambda redis: redis.set_clock(HOUR_S),
    "clock an hour back": lambda redis: redis.set_clock(-HOUR_S),
    "clock back where it was": lambda redis: redis.set_clock(0),
}


def test_tokens_grow_whatever_happens_between_two_terms(arena):
    """Without anybody to remember: then either the record or the clock must be left."""
    redis = arena.redis("appendonly yes", fake_clock=True)
    tokens = [lead_once(arena, redis)]
    for happens in BETWEEN.values():
        happens(redis)
        # A restart leaves a record that nobody can vouch for, which takes one TTL.
        tokens.append(lead_once(arena, redis, ttl="1s"))
    assert tokens == sorted(set(tokens))
    assert [term.token for term in check_terms(arena.beats())] == tokens


def test_a_candidate_remembers_tokens_for_a_server_that_lost_data_and_time(arena):
    redis = arena.redis(fake_clock=True)
    pair = start_pair(arena, redis, ttl_s=2, beat=ALONE)
    redis.kill()
    pair.leader.crash()
    redis.erase_data()
    redis.set_clock(-HOUR_S)
    mark = pair.follower.mark()
    redis.start()
    # From here on neither record nor clock could tell how high to go; as if somebody who never saw
    # the old token had made the new record.
    pair.follower.wait_event("waiting", after=mark)
    redis.command("HSET", RECORD, "tok", 1)
    pair.handed_over()
    pair.follower.stop()
    assert record(redis)["tok"] == str(pair.follower.find("elected")[0]["token"])


def test_a_crash_is_followed_by_a_higher_token_with_the_clock_set_back(arena):
    redis = arena.redis(fake_clock=True)
    pair = start_pair(arena, redis, ttl_s=2, beat=ALONE)
    pair.leader.crash()
    redis.set_clock(-HOUR_S)
    pair.handed_over()


def test_a_newcomer_cannot_make_the_others_forget(arena):
    """The first to visit a server that lost its data and its time never saw a token. Those who did
    tell the record before anybody is granted the lease, though nothing else would make them ask."""
    redis = arena.redis(fake_clock=True)
    pair = start_pair(arena, redis, "--retry", "60s", ttl_s=3, beat=ALONE)
    pair.leader.crash()
    redis.set_clock(-HOUR_S)
    redis.flushall()
    newcomer = arena.worker(
        "--retry", "60s", command=arena.beat(*ALONE), redis=redis, key=KEY, ttl="3s"
    )
    newcomer.wait_event("waiting")
    wait_until(lambda: record(redis)["tok"] == str(pair.won["token"]), what="the token to be told")
    assert record(redis)["st"] == "vacant"
    _, taken = wait_any([pair.follower, newcomer], [-1, -1])
    assert taken["token"] > pair.won["token"]


def begins(redis):
    """Tokens that were granted."""
    return [int(entry["token"]) for entry in history(redis) if entry["event"] == "begin"]


def test_a_grant_from_a_frozen_server_is_claimed_once(arena, redis):
    # Another one goes first, so that the server knows the scripts and can carry them out late.
    earlier = lead_once(arena, redis)
    redis.freeze()
    worker = arena.worker(command=arena.beat(*ALONE), redis=redis, key=KEY)
    # Several requests are on their way now, and nobody knows what will become of them.
    failed = worker.wait_event("ask_failed")
    worker.wait_event("ask_failed", after=failed)
    assert not worker.find("elected") and worker.child is None
    redis.thaw()
    token = worker.wait_event("elected")["token"]
    wait_tree(arena, token, ALONE)
    worker.wait_event("renewed")
    assert begins(redis) == [earlier, token]
    assert worker.stop() == 0
    assert [term.token for term in check_terms(arena.beats())] == [earlier, token]


def test_a_grant_whose_answer_was_lost_is_claimed_with_its_own_token(arena, redis):
    earlier = lead_once(arena, redis)
    with Proxy(arena, redis) as proxy:
        proxy.swallow = True
        worker = arena.worker(command=arena.beat(*ALONE), url=proxy.url, key=KEY)
        failed = worker.wait_event("ask_failed")
        granted = wait_until(lambda: begins(redis)[1:])
        worker.wait_event("ask_failed", after=failed)
        assert not worker.find("elected") and worker.child is None
        proxy.swallow = False
        token = worker.wait_event("elected")["token"]
        assert begins(redis) == [earlier, token] and granted == [token]
        wait_tree(arena, token, ALONE)
        assert worker.stop() == 0
    assert [term.token for term in check_terms(arena.beats())] == [earlier, token]


def test_a_lost_grant_is_not_led_on_after_another_took_over(arena, redis):
    lead_once(arena, redis)
    with Proxy(arena, redis) as proxy:
        proxy.swallow = True
        deaf = arena.worker(command=arena.beat(*ALONE), url=proxy.url, key=KEY, ttl="2s")
        (granted,) = wait_until(lambda: begins(redis)[1:])
        other = arena.worker(command=arena.beat(*ALONE), redis=redis, key=KEY, ttl="2s")
        taken = other.wait_event("elected")
        wait_tree(arena, taken["token"], ALONE)
        proxy.swallow = False
        waiting = deaf.wait_event("waiting")
        assert other.name in waiting["message"]
        assert not deaf.find("elected") and not pids(arena, granted)
        wait_subscribed(redis)
        # Its own time comes later, with a token of its own.
        other.stop()
        assert deaf.wait_event("elected")["token"] > taken["token"] > granted
        deaf.stop()
    check_terms(arena.beats())
