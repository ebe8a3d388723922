"""The judge: each property is a function from the evidence to sentences on what is wrong."""

import dataclasses

from tests.lib import overlaps
from tests.lib.overlaps import Term

SECOND_NS = 10**9
MS_NS = 10**6

# A take-over is a chain of about so many processes that wait for each other, each of which may get
# its processor as late as the machine was late at that time.
CHAIN = 8

# Faults that, when they strike a steady leader alone, have a bound of their own. True: the next one
# leads without waiting for the end of the TTL.
PROMPT = {
    "term": True,
    "term_twice": True,
    "kill_elector": True,
    "kill_keeper": True,
    "kill_main": True,
    "kill_both": False,
    "power_off": False,
    "stop_elector": False,
    "freeze_host": False,
    "cut_in": False,
    "cut_out": False,
    "cut_both": False,
}
ALONE_BEFORE_NS = SECOND_NS
STEADY_NS = SECOND_NS // 4

# What a long-lived process may hold more at the end: a connection in the making, a pidfd.
MORE_DESCRIPTORS = 4
MORE_RSS_KB = 4096


@dataclasses.dataclass
class Takeover:
    """From the end of a tree to the first proof of life of the next."""

    earlier: Term
    later: Term
    from_ns: int  # the earlier tree's end
    counted_from_ns: int  # from here on nothing stood in the way
    bound_ns: int
    cause: str
    alone: bool  # one fault alone: the tight bound

    @property
    def took_ns(self):
        return max(0, self.later.first_ns - self.counted_from_ns)

    @property
    def gap_ns(self):
        return max(0, self.later.first_ns - self.from_ns)


def died_of(evidence, term, freeze):
    """Whether a term ended with that freeze of its host. One that goes on for longer after the thaw
    has held its lease all the time, or should be dead."""
    if freeze.token != term.token:
        return False
    return term.last_ns <= freeze.thaw_ns + thaw_bound_ns(evidence, freeze) or is_long(
        evidence, freeze
    )


def is_long(evidence, freeze):
    return freeze.thaw_ns - freeze.from_ns >= evidence.ttl_ns


def thaw_bound_ns(evidence, freeze):
    return SECOND_NS + allowance_ns(evidence, freeze.thaw_ns, freeze.thaw_ns + SECOND_NS)


def end_ns(evidence, term):
    """The last moment at which the promise covers a tree: a freeze of its host takes it out."""
    frozen = [f.from_ns for f in evidence.freezes if died_of(evidence, term, f)]
    return min([term.last_ns, *frozen])


def allowance_ns(evidence, from_ns, until_ns):
    return CHAIN * evidence.lateness.worst_ns(from_ns, until_ns)


# Safety


def find_overlaps(evidence):
    """(overlaps, those that are excused): where the machine ran a keeper later than the margin, the
    kernel did not keep its part of the promise."""
    found, excused = [], []
    terms = evidence.proofs.in_order()
    for overlap in overlaps.find_overlaps(terms, lambda term: end_ns(evidence, term)):
        began_ns = overlap.later.first_ns
        late_ns = evidence.keeper_lateness.worst_ns(began_ns - evidence.ttl_ns, began_ns)
        (excused if late_ns > evidence.margin_ns else found).append(overlap)
    return found, excused


def one_tree_at_a_time(evidence):
    found, _ = find_overlaps(evidence)
    return evidence.proofs.problems + list(map(str, found))


def tokens_grow(evidence):
    return overlaps.token_problems(evidence.proofs.in_order())


def counter_is_exact(evidence):
    return list(evidence.counter.problems)


def only_the_frozen_are_fenced_off(evidence):
    frozen = {freeze.token for freeze in evidence.freezes}
    return [
        "%d writes of token %d were fenced off, whose host was never frozen" % (count, token)
        for token, count in evidence.counter.refused.items()
        if token not in frozen
    ]


def the_frozen_die_after_the_thaw(evidence):
    problems = []
    for freeze in evidence.freezes:
        term = evidence.proofs.term(freeze.token)
        if term is None or not is_long(evidence, freeze):
            continue
        lived_ns = term.last_ns - freeze.thaw_ns
        bound_ns = thaw_bound_ns(evidence, freeze)
        if lived_ns > bound_ns:
            problems.append(
                "%s lived for %.3f s after its thaw (bound %.3f s)"
                % (freeze.name, lived_ns / SECOND_NS, bound_ns / SECOND_NS)
            )
    return problems


# Liveness


def takeovers(evidence):
    terms = evidence.proofs.in_order()
    return [measure(evidence, earlier, later) for earlier, later in zip(terms, terms[1:])]


def measure(evidence, earlier, later):
    """Counts from the last thing that stood in the way: a fault of the server, of the candidate
    that led or of one that was granted the lease in between; or such a grant that came to
    nothing."""
    from_ns = end_ns(evidence, earlier)
    until_ns = later.first_ns
    lost = [
        grant
        for grant in evidence.grants
        if from_ns <= grant.at_ns <= until_ns and evidence.proofs.term(grant.token) is None
    ]
    names = {None, earlier.name, later.name, *(grant.name for grant in lost)}
    counted_ns = max([from_ns, *(grant.at_ns for grant in lost)])
    for strike in evidence.strikes:
        if strike.name in names and strike.from_ns <= until_ns and strike.until_ns >= from_ns:
            counted_ns = max(counted_ns, min(strike.until_ns, until_ns))
    allowance = allowance_ns(evidence, from_ns, until_ns)
    cause, alone = find_cause(evidence, earlier, from_ns, until_ns)
    if alone:
        bound_ns = SECOND_NS + allowance + (0 if PROMPT[cause] else evidence.ttl_ns)
        return Takeover(earlier, later, from_ns, from_ns, bound_ns, cause, True)
    bound_ns = 2 * evidence.ttl_ns + SECOND_NS + allowance
    return Takeover(earlier, later, from_ns, counted_ns, bound_ns, cause, False)


def find_cause(evidence, earlier, from_ns, until_ns):
    """(kind of the fault that ended a term, whether nothing else happened at that time)."""
    suspects = [
        strike
        for strike in evidence.strikes
        if strike.name in (None, earlier.name)
        and strike.from_ns <= until_ns
        and strike.until_ns >= from_ns - evidence.ttl_ns
    ]
    if not suspects:
        return "unknown", False
    if len(suspects) > 1:
        return "several", False
    (suspect,) = suspects
    around = [
        strike
        for strike in evidence.strikes
        if strike.from_ns <= until_ns and strike.until_ns >= suspect.from_ns - ALONE_BEFORE_NS
    ]
    steady = earlier.first_ns <= suspect.from_ns - STEADY_NS
    return suspect.kind, around == [suspect] and steady and suspect.kind in PROMPT


def takeovers_in_time(evidence):
    return [
        "%s followed %s after %.3f s, %.3f s of them with nothing in the way (bound %.3f s; "
        "cause: %s%s), at %.3f"
        % (
            *(takeover.later.name, takeover.earlier.name, takeover.gap_ns / SECOND_NS),
            *(takeover.took_ns / SECOND_NS, takeover.bound_ns / SECOND_NS, takeover.cause),
            *(" alone" if takeover.alone else "", takeover.from_ns / SECOND_NS),
        )
        for takeover in takeovers(evidence)
        if takeover.took_ns > takeover.bound_ns
    ]


def a_leader_in_the_end(evidence):
    """Once nothing is disturbed any more there is one leader, within the bound, and it stays."""
    bound_ns = 2 * evidence.ttl_ns + SECOND_NS
    bound_ns += allowance_ns(evidence, evidence.healed_ns, evidence.healed_ns + bound_ns)
    # Where all are stopped one may still follow another.
    terms = [t for t in evidence.proofs.in_order() if t.first_ns < evidence.quiet_ns]
    if not terms or terms[-1].last_ns < evidence.quiet_ns - SECOND_NS - bound_ns // 8:
        return ["nobody led in the end"]
    late_ns = terms[-1].first_ns - evidence.healed_ns
    if late_ns > bound_ns:
        return ["the last leader came %.3f s after the last fault" % (late_ns / SECOND_NS)]
    return []


def enough_happened(evidence):
    """A torture in which next to nothing happens proves nothing."""
    terms = evidence.proofs.in_order()
    if not terms:
        return ["nobody ever led"]
    seconds = (evidence.healed_ns - terms[0].first_ns) / SECOND_NS
    least = max(2, seconds / 10)
    return ["only %d terms in %.0f s" % (len(terms), seconds)] if len(terms) < least else []


# Ends and leaks


def endings_are_explained(evidence):
    return [
        "%s ended with status %s; done to it: %s"
        % (ending.name, ending.status, ", ".join(ending.done_to_it) or "nothing")
        for ending in evidence.endings
        if ending.status not in ending.explained
    ]


def all_end_in_time(evidence):
    return list(evidence.slow_ends)


def nothing_is_left(evidence):
    return ["left over: %s" % text for text in evidence.leftovers]


def no_zombies(evidence):
    return ["not reaped: %s" % text for text in evidence.zombies]


def nothing_leaks(evidence):
    problems = []
    after = {usage.who: usage for usage in evidence.usage_after}
    for before in evidence.usage_before:
        now = after.get(before.who)
        if now is None:
            problems.append("%s did not live to the end" % before.who)
            continue
        if now.descriptors > before.descriptors + MORE_DESCRIPTORS:
            problems.append(
                "%s has %d descriptors, had %d" % (now.who, now.descriptors, before.descriptors)
            )
        if now.rss_kb > before.rss_kb * evidence.rss_growth + MORE_RSS_KB:
            problems.append("%s has %d kB, had %d" % (now.who, now.rss_kb, before.rss_kb))
    return problems


def connections_are_closed(evidence):
    expected, found = evidence.connections
    if found in expected:
        return []
    return ["%s connections, expected %d to %d" % (found, expected[0], expected[-1])]


def sanitizers_are_silent(evidence):
    return list(evidence.reports)


PROPERTIES = {
    "one tree at a time": one_tree_at_a_time,
    "tokens grow": tokens_grow,
    "the fenced counter is exact": counter_is_exact,
    "only frozen hosts are fenced off": only_the_frozen_are_fenced_off,
    "frozen trees die after the thaw": the_frozen_die_after_the_thaw,
    "take-overs in time": takeovers_in_time,
    "a leader in the end": a_leader_in_the_end,
    "enough happened": enough_happened,
    "exit statuses are explained": endings_are_explained,
    "everything ends in time": all_end_in_time,
    "nothing is left over": nothing_is_left,
    "no zombies": no_zombies,
    "no leaks": nothing_leaks,
    "connections are closed": connections_are_closed,
    "sanitizers are silent": sanitizers_are_silent,
}


def check(evidence):
    """{property: sentences}; empty lists are good."""
    return {name: test(evidence) for name, test in PROPERTIES.items()}
