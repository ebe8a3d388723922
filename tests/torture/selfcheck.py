"""Fabricated evidence, once right and once with each thing wrong that the checker must see."""

from tests.torture import checker
from tests.torture.evidence import (
    Counter,
    Ending,
    Evidence,
    Freeze,
    Grant,
    Lateness,
    Proofs,
    Strike,
    Usage,
)

SECOND_NS = 10**9
TTL_NS = 3 * SECOND_NS


def seconds(value):
    return round(value * SECOND_NS)


def fabricate(terms, counts=(), late=(), strikes=(), freezes=(), grants=(), quiet_s=None):
    """`terms`: (token, name, first, last) in seconds; `counts`: (token, highest, value, sign);
    `late`: (at, for how long)."""
    proofs, counter, lateness, keeper_lateness = Proofs(), Counter(), Lateness(), Lateness()
    for token, name, first_s, last_s in terms:
        for at_s in (first_s, last_s):
            proofs.add("%d %s %d main" % (seconds(at_s), name, token))
    for count in counts:
        counter.add("0 %d %d %d %s" % count)
    for at_s, late_s in late:
        for sink in (lateness, keeper_lateness):
            sink.add("%d %d" % (seconds(at_s), seconds(late_s)))
    quiet_ns = seconds(quiet_s) if quiet_s is not None else max(seconds(t[3]) for t in terms)
    return Evidence(
        ttl_ns=TTL_NS,
        margin_ns=seconds(0.3),
        proofs=proofs,
        counter=counter,
        lateness=lateness,
        keeper_lateness=keeper_lateness,
        strikes=[Strike(kind, seconds(a), seconds(b), name) for kind, a, b, name in strikes],
        freezes=[Freeze(name, token, seconds(a), seconds(b)) for name, token, a, b in freezes],
        grants=[Grant(seconds(at_s), name, token) for at_s, name, token in grants],
        endings=[],
        healed_ns=seconds(10),
        quiet_ns=quiet_ns,
    )


# A leader that was killed at 5 s, and its successor.
GOOD = [(1, "a", 1, 5), (2, "b", 5.1, 20)]
KILL = [("kill_elector", 5, 5, "a")]
LATE = [(1, "a", 1, 5), (2, "b", 7, 20)]
VERY_LATE = [(1, "a", 1, 5), (2, "b", 13, 20)]
OVERLAP = [(1, "a", 1, 5), (2, "b", 4.9, 20)]
FROZEN = [("a", 1, 4, 9)]
THAWED = [(1, "a", 1, 9.1), (2, "b", 7.1, 20)]
FREEZE = [("freeze_host", 4, 9, "a")]
SURVIVOR = [(1, "a", 1, 12), (2, "b", 7.1, 20)]
COUNTS = [(1, 1, 1, "+"), (2, 2, 2, "+")]


def with_fields(**fields):
    evidence = fabricate(GOOD, COUNTS, strikes=KILL)
    for name, value in fields.items():
        setattr(evidence, name, value)
    return evidence


def cases():
    """(title, evidence, the one property that is violated, None if none is)"""
    single = "one tree at a time"
    counter = "the fenced counter is exact"
    fenced = "only frozen hosts are fenced off"
    in_time = "take-overs in time"
    usage = [Usage("c0 elector", 20, 5000)]
    return [
        ("a good run", fabricate(GOOD, COUNTS, strikes=KILL), None),
        ("an overlap", fabricate(OVERLAP, COUNTS, strikes=KILL), single),
        (
            "an overlap inside of a longer term",
            fabricate([(1, "a", 1, 9), (2, "b", 2, 3), (3, "c", 4, 20)]),
            single,
        ),
        (
            "an overlap on a machine late for keepers",
            fabricate(OVERLAP, COUNTS, late=[(4, 0.4)], strikes=KILL),
            None,
        ),
        ("a frozen host that overlaps", fabricate(THAWED, strikes=FREEZE, freezes=FROZEN), None),
        ("a frozen host that was none", fabricate(THAWED, strikes=FREEZE), single),
        (
            "a frozen host that survives its thaw",
            fabricate(SURVIVOR, strikes=FREEZE, freezes=FROZEN),
            "frozen trees die after the thaw",
        ),
        (
            "a short freeze that is survived, and an overlap later",
            fabricate(OVERLAP, freezes=[("a", 1, 2, 3)], strikes=KILL),
            single,
        ),
        ("one token for two", fabricate([*GOOD, (2, "c", 8, 9)], strikes=KILL), single),
        ("a token that steps back", fabricate([(2, "a", 1, 5), (1, "b", 5.1, 20)]), "tokens grow"),
        ("a gap in the counter", fabricate(GOOD, [(1, 1, 1, "+"), (2, 2, 3, "+")]), counter),
        ("a double count", fabricate(GOOD, [(1, 1, 1, "+"), (2, 2, 1, "+")]), counter),
        ("a count that steps back", fabricate(GOOD, [*COUNTS, (2, 2, 1, "+")]), counter),
        ("a stale write that was let in", fabricate(GOOD, [*COUNTS, (1, 2, 3, "+")]), counter),
        (
            "a fenced write of a frozen host",
            fabricate(THAWED, [*COUNTS, (1, 2, 2, "-")], strikes=FREEZE, freezes=FROZEN),
            None,
        ),
        ("a fenced write of another", fabricate(GOOD, [*COUNTS, (1, 2, 2, "-")]), fenced),
        ("a late hand-over", fabricate(LATE, strikes=KILL), in_time),
        (
            "a late hand-over on a late machine",
            fabricate(LATE, late=[(6, 0.2)], strikes=KILL),
            None,
        ),
        (
            "a late hand-over that Redis is the cause of",
            fabricate(LATE, strikes=[*KILL, ("redis_freeze", 5, 6.5, None)]),
            None,
        ),
        ("a late take-over", fabricate(VERY_LATE, strikes=[*KILL, ("reset", 4, 5, "a")]), in_time),
        (
            "a late take-over, a lost grant on the way",
            fabricate(VERY_LATE, strikes=[*KILL, ("reset", 4, 5, "a")], grants=[(9, "c", 7)]),
            None,
        ),
        (
            "a crash that is taken over at the end of the TTL",
            fabricate([(1, "a", 1, 5), (2, "b", 8.1, 20)], strikes=[("power_off", 5, 5, "a")]),
            None,
        ),
        ("no leader in the end", fabricate(GOOD, strikes=KILL, quiet_s=30), "a leader in the end"),
        ("next to no terms", fabricate([(1, "a", 1, 20)]), "enough happened"),
        (
            "a strange exit status",
            with_fields(endings=[Ending("a", 1, {0}, [])]),
            "exit statuses are explained",
        ),
        ("an explained exit status", with_fields(endings=[Ending("a", 137, {137}, [])]), None),
        ("a slow end", with_fields(slow_ends=["a"]), "everything ends in time"),
        ("something left over", with_fields(leftovers=["a"]), "nothing is left over"),
        ("a zombie", with_fields(zombies=["a"]), "no zombies"),
        (
            "a leak of descriptors",
            with_fields(usage_before=usage, usage_after=[Usage("c0 elector", 40, 5000)]),
            "no leaks",
        ),
        (
            "a leak of memory",
            with_fields(usage_before=usage, usage_after=[Usage("c0 elector", 20, 50000)]),
            "no leaks",
        ),
        ("a steady process that is gone", with_fields(usage_before=usage), "no leaks"),
        (
            "a connection too many",
            with_fields(connections=(range(19, 20), 20)),
            "connections are closed",
        ),
        ("a sanitizer's report", with_fields(reports=["a"]), "sanitizers are silent"),
    ]


def results():
    """{title: what the checker got wrong}"""
    found = {}
    for title, evidence, violated in cases():
        verdicts = [name for name, problems in checker.check(evidence).items() if problems]
        expected = [violated] if violated else []
        right = verdicts == expected
        found[title] = [] if right else ["it found %s instead of %s" % (verdicts, expected)]
    return found
