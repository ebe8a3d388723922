"""The last will: what the keeper does for a wrapper that was killed when Redis is in no mood."""

import os
import signal

from tests.lib import processes, wait_until
from pair import ALONE, KEY, history, record, start_pair
from proxy import Proxy

LONG_S = 60
ONLY_PUSHED = ("--retry", "60s")


def last_will(keeper):
    """The keeper's fork, once it has no signal blocked; None as long as there is none."""
    program = os.readlink("/proc/%d/exe" % keeper)
    for pid in processes.children(keeper):
        try:
            with open("/proc/%d/status" % pid, encoding="utf-8") as file:
                fields = dict(line.rstrip("\n").split(":\t", 1) for line in file)
            if os.readlink("/proc/%d/exe" % pid) == program and int(fields["SigBlk"], 16) == 0:
                return pid
        except OSError:  # gone
            continue
    return None


def last_end(redis):
    """The end before the begin of the present term."""
    end, begin = history(redis)[-2:]
    assert (end["event"], begin["event"]) == ("end", "begin")
    return end


def test_it_asks_again_until_redis_lets_it(arena, redis):
    pair = start_pair(arena, redis, *ONLY_PUSHED, ttl_s=LONG_S, beat=ALONE)
    redis.command("CONFIG", "SET", "requirepass", "changed")
    pair.leader.kill9()
    pair.leader.wait_event("will_retry")
    redis.password = "changed"
    redis.command("CONFIG", "SET", "requirepass", "")
    redis.password = None
    pair.leader.wait_event("will_done")
    pair.handed_over()
    assert last_end(redis)["reason"] == "wrapper killed"


def test_it_asks_again_when_the_connection_is_cut(arena, redis):
    with Proxy(arena, redis) as proxy:
        urls = (proxy.url, redis.url())
        pair = start_pair(arena, redis, *ONLY_PUSHED, ttl_s=LONG_S, beat=ALONE, urls=urls)
        proxy.refuse = True
        pair.leader.kill9()
        pair.leader.wait_event("will_retry")
        proxy.refuse = False
        pair.leader.wait_event("will_done")
        pair.handed_over()


def test_whoever_ends_what_is_left_of_the_wrapper_does_not_end_it(arena, redis):
    pair = start_pair(arena, redis, *ONLY_PUSHED, ttl_s=LONG_S, beat=ALONE)
    keeper = pair.leader.keeper
    redis.freeze()
    pair.leader.kill9()
    will = wait_until(lambda: last_will(keeper), what="the last will")
    for name in ("TERM", "INT", "HUP", "XFSZ", "USR1"):
        processes.send(will, signal.Signals["SIG" + name])
    redis.thaw()
    pair.leader.wait_event("will_done")
    pair.handed_over()


def test_it_gives_up_when_the_lease_is_out(arena, redis):
    pair = start_pair(arena, redis, ttl_s=2, beat=ALONE)
    redis.freeze()
    pair.leader.kill9()
    pair.leader.wait_event("will_failed")
    redis.thaw()
    pair.handed_over()


def test_it_releases_what_an_unheard_renewal_wrote(arena, redis):
    """The wrapper is killed after the server has carried out a renewal and before it heard of it: the
    record has another version than the keeper knows."""
    with Proxy(arena, redis) as proxy:
        urls = (proxy.url, redis.url())
        options = (*ONLY_PUSHED, "--renew", "2s")
        pair = start_pair(arena, redis, *options, ttl_s=LONG_S, beat=ALONE, urls=urls)
        pair.wait_renewed()
        known = record(redis)["ver"]
        proxy.swallow = True
        wait_until(lambda: record(redis)["ver"] != known, what="a renewal that is not heard of")
        # What the last will hears, on a connection of its own, must not be lost as well.
        wait_until(lambda: proxy.swallowed > 0)
        proxy.swallow = False
        pair.leader.kill9()
        pair.leader.wait_event("will_done")
        pair.handed_over()
        assert last_end(redis)["reason"] == "wrapper killed"
        assert redis.command("GET", KEY).startswith(pair.follower.name)
