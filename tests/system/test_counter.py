"""The built-in counter: only the leader counts, and no count is lost or made twice."""

import re
import time

import pytest

from tests.lib import wait_until

KEY = "test"
RECORD = "{test}:term"


def start(arena, redis, *options, **more):
    return arena.worker("--assume-fresh", *options, redis=redis, **{"ttl": "60s", **more})


def counts(worker):
    """What the worker's counter has printed: [(value, name, token)]."""
    found = [re.fullmatch(r"(\S+) = (\d+) \((.*), token (\d+)\)", line) for line in worker.output]
    assert all(found), worker.output
    return [(int(m[2]), m[3], int(m[4])) for m in found]


def wait_counts(worker, number):
    """Waits until the worker has printed so many counts."""
    wait_until(lambda: len(worker.output) >= number)
    return counts(worker)


def test_counts_each_second_in_the_order_of_terms(arena, redis):
    redis.command("SET", "global_counter", 41)
    began = time.monotonic()
    values = []
    tokens = []
    workers = [start(arena, redis, name="a")]
    workers[0].wait_event("elected")
    workers.append(start(arena, redis, name="b"))
    for turn in range(3):
        leader, follower = workers[turn % 2], workers[1 - turn % 2]
        won = leader.wait_event("elected")
        seen = wait_counts(leader, 3)
        assert leader.stop() == 0
        # A count may have been printed while it was stopped.
        seen = counts(leader)
        assert {(name, token) for _, name, token in seen} == {(leader.name, won["token"])}
        values += [value for value, _, _ in seen]
        tokens.append(won["token"])
        # A newcomer is not to be quicker than the one that waits.
        follower.wait_event("elected")
        workers[turn % 2] = start(arena, redis, name=leader.name)
    assert values == list(range(42, 42 + len(values)))
    assert tokens == sorted(tokens)
    # Each term counts at once and then each second, never faster.
    assert time.monotonic() - began > len(values) - 3 - 0.5


def test_another_counter_key(arena, redis):
    worker = start(arena, redis, "--counter-key", "visits {x}")
    assert worker.wait_output("visits {x} = 1 (w0, token ")
    worker.stop()
    assert redis.command("GET", "global_counter") is None


def test_a_newer_token_ends_the_counting(arena, redis):
    worker = start(arena, redis)
    token = worker.wait_event("elected")["token"]
    wait_counts(worker, 1)
    redis.command("HSET", RECORD, "tok", token + 5)
    assert worker.wait() == 1
    assert worker.lines == [
        "leaderwrap counter: stopping: our token is not the newest any more; the newest is %d"
        % (token + 5)
    ]
    assert int(redis.command("GET", "global_counter")) == counts(worker)[-1][0]
    # Its term is over on the record too; there was nothing to release.
    assert worker.find("not_held") and not worker.find("lost")


def test_a_term_that_was_released_counts_no_more(arena, redis):
    worker = start(arena, redis)
    wait_counts(worker, 1)
    redis.command("HSET", RECORD, "st", "free")
    assert worker.wait() == 1
    assert "not the newest" in worker.lines[0]


def test_flushall_while_leading(arena, redis):
    worker = start(arena, redis, "--renew", "1500ms")
    wait_counts(worker, 2)
    redis.flushall()
    before = len(worker.output)
    # Without a record it waits for its renewal; then it goes on, from nothing.
    worker.wait_event("renewed", after=worker.mark())
    wait_until(lambda: len(worker.output) >= before + 3)
    values = [value for value, _, _ in counts(worker)]
    fresh = values.index(1, 1)
    assert values[:fresh] == list(range(1, fresh + 1))
    assert values[fresh:] == list(range(1, len(values) - fresh + 1))
    assert len({token for _, _, token in counts(worker)}) == 1
    assert worker.stop() == 0


@pytest.mark.parametrize("how", ["killed", "restarted"])
def test_goes_on_when_redis_does(arena, how):
    server = arena.redis("appendonly yes", "appendfsync always")
    worker = start(arena, server, "--renew", "1s")
    wait_counts(worker, 2)
    server.restart(kill=how == "killed")
    before = len(worker.output)
    wait_until(lambda: len(worker.output) >= before + 2)
    values = [value for value, _, _ in counts(worker)]
    # An answer may have been lost on the way, but never a count: no value comes twice.
    assert values == sorted(set(values)) and values[-1] - len(values) <= 1
    assert worker.stop() == 0


def test_the_wrong_type_of_key(arena, redis):
    redis.command("RPUSH", "global_counter", "x")
    worker = start(arena, redis)
    assert worker.wait() == 1
    assert "WRONGTYPE" in "\n".join(worker.lines)


def test_kill9_of_the_wrapper_ends_the_counting(arena, redis):
    first = start(arena, redis)
    wait_counts(first, 1)
    second = start(arena, redis)
    second.wait_event("waiting")
    first.kill9()
    second.wait_event("elected")
    value = counts(first)[-1][0]
    seen = wait_counts(second, 2)
    # One may have been counted and not printed when the counter was killed.
    assert seen[0][0] in (value + 1, value + 2)
    assert [v for v, _, _ in seen] == list(range(seen[0][0], seen[0][0] + len(seen)))
    assert second.stop() == 0
