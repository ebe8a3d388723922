"""What one script costs Redis, against the smallest one that compares and sets."""

import os

from tests.bench.table import Row

SCRIPTS = os.path.join(os.path.dirname(__file__), "..", "..", "src", "redis", "scripts")
SMALLEST = (
    "if redis.call('GET', KEYS[1]) == ARGV[1] then "
    "return redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2]) end"
)
KEY = "{bench}"
ABOUT = '{"pid":4711,"version":"0.1.0","retry_ms":5000,"since_ms":1795766255096,"host":"web1"}'
# Once for all, so that the first calls of each do not count.
WARM = 200


def text_of(name):
    """A script as it is sent to servers that do not take its first line."""
    parts = []
    for each in ("prelude", name):
        with open(os.path.join(SCRIPTS, each + ".lua"), encoding="ascii") as file:
            parts.append(file.read())
    return "".join(parts)


def keys_of(key):
    """The names of the keys of one lease, whose own is in braces."""
    return (key, key + ":term", key + ":history")


def arguments(key, name, nonce):
    """The arguments that all scripts have."""
    return (key + ":events", "observed", name + "#1", name, 15000, nonce, "", "", "host")


class Meter:
    """Runs scripts, and reads from the server how long they took it."""

    def __init__(self, stage):
        self._stage = stage

    def load(self, text):
        return self._stage.client.command("SCRIPT", "LOAD", text)

    def call(self, sha, keys, *words):
        return self._stage.client.command("EVALSHA", sha, len(keys), *keys, *words)

    def lease(self, sha, name, nonce, *words):
        return self.call(sha, keys_of(KEY), *arguments(KEY, name, nonce), *words)

    def time_us(self, count, call):
        """The mean of `count` calls."""
        for i in range(WARM):
            call("w%d" % i)
        self._stage.client.command("CONFIG", "RESETSTAT")
        for i in range(count):
            call("n%d" % i)
        stats = self._stage.redis.info("commandstats")["cmdstat_evalsha"]
        return float(str(stats).split("usec_per_call=")[1].split(",")[0])


def measure(stage, count, rounds=5):
    """The rows of this module."""
    meter = Meter(stage)
    smallest, acquire, renew = (
        meter.load(text) for text in (SMALLEST, text_of("acquire"), text_of("renew"))
    )
    granted = meter.lease(acquire, "a", "first", 0, "", "", 0, 0, "1", ABOUT)
    token = granted[4]
    stage.client.command("SET", "bench-smallest", "a")
    calls = (
        lambda nonce: meter.call(smallest, ("bench-smallest",), "a", 15000),
        lambda nonce: meter.lease(renew, "a", nonce, token, "0", "first"),
        lambda nonce: meter.lease(acquire, "b", nonce, token, "i", "v", 100, 0, "0", ABOUT),
    )
    # In turn, so that a busy machine slows all of them.
    times = [[meter.time_us(count, call) for call in calls] for _ in range(rounds)]
    stage.client.command("DEL", *keys_of(KEY), KEY + ":candidates", "bench-smallest")
    smallest, renewal, refusal = zip(*times)
    return [
        Row("reference: smallest script that compares and sets, in Redis", "us", smallest),
        Row("renewal, in Redis", "us", renewal),
        Row("refused question, in Redis", "us", refusal),
        Row("renewal against the smallest", "x", [a / b for a, b in zip(renewal, smallest)], 2),
        Row("refusal against the smallest", "x", [a / b for a, b in zip(refusal, smallest)], 2),
    ]
