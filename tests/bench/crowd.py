"""What many followers of one key cost the Redis that everybody shares, and how long a hand-over
takes among them."""

import time

from tests.bench.stage import Stamps
from tests.bench.table import Row

TTL = "15s"
KEY = "bench-crowd"
# A refusal, a renewal and the news of it.
SETTLE_S = 8


def spent_ms(stage):
    """Processor time of Redis so far."""
    cpu = stage.redis.info("cpu")
    return 1000 * (float(cpu["used_cpu_user"]) + float(cpu["used_cpu_sys"]))


def asked(stage):
    """Scripts that Redis has run so far."""
    stats = stage.redis.info("commandstats")
    return sum(
        int(str(stats.get("cmdstat_" + name, "calls=0,")).split("calls=")[1].split(",")[0])
        for name in ("eval", "evalsha")
    )


def follow(stage, count, stamps):
    """A leader and `count` followers."""
    leader = stage.worker(KEY, TTL, stamps, "--assume-fresh")
    stamps.wait("start")
    for _ in range(count):
        stage.worker(KEY, TTL, stamps)
    stage.wait_listeners(KEY, count)
    time.sleep(SETTLE_S)
    return leader


def rest(stage, window_s):
    """(ms of Redis per second, scripts per second) while nothing happens."""
    before = spent_ms(stage), asked(stage), time.monotonic()
    time.sleep(window_s)
    passed_s = time.monotonic() - before[2]
    return (spent_ms(stage) - before[0]) / passed_s, (asked(stage) - before[1]) / passed_s


def hand_over(stage, leader, stamps):
    """(ms from the old command's last act to the next one's first, questions until then, ms of
    Redis for all of it)."""
    spent, before = spent_ms(stage), asked(stage)
    leader.stop()
    ended_ns, _ = stamps.wait("end")
    began_ns, _ = stamps.wait("start")
    # Less the release itself.
    questions = asked(stage) - before - 1
    time.sleep(SETTLE_S)
    return (began_ns - ended_ns) / 1e6, questions, spent_ms(stage) - spent


def measure(stage, count, window_s):
    """The rows of this module."""
    stamps = Stamps()
    leader = follow(stage, count, stamps)
    spent, scripts = rest(stage, window_s)
    lasted, questions, cost = hand_over(stage, leader, stamps)
    stage.stop_workers()
    stamps.close()
    who = "%d followers of one key: " % count
    return [
        Row(who + "Redis", "ms/s", [spent], 8),
        Row(who + "questions of each", "/min", [60 * scripts / count], 5),
        Row(who + "clean stop, old command's end to the next start", "ms", [lasted], 40),
        Row(who + "clean stop, questions until the next start", "", [questions], 20),
        Row(who + "clean stop, Redis in all", "ms", [cost]),
    ]
