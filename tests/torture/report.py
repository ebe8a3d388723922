"""The summary that a person reads."""

import collections
import math

from tests.torture.checker import MS_NS, SECOND_NS, find_overlaps, takeovers


def percentile(values, share):
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def milliseconds(ns):
    return "%.0f" % (ns / MS_NS)


def takeover_table(evidence):
    """Rows of (cause, number, median, 99 %, worst) of the time from tree to tree, in ms."""
    by_cause = collections.defaultdict(list)
    for takeover in takeovers(evidence):
        label = takeover.cause + (", alone" if takeover.alone else "")
        by_cause[label].append(takeover.gap_ns)
        by_cause["all"].append(takeover.gap_ns)
    rows = []
    for label, gaps in sorted(by_cause.items(), key=lambda item: (item[0] == "all", item[0])):
        figures = percentile(gaps, 0.5), percentile(gaps, 0.99), max(gaps)
        rows.append((label, len(gaps), *map(milliseconds, figures)))
    return rows


def story(evidence):
    """The terms one by one, and what came between them."""
    by_later = {takeover.later.token: takeover for takeover in takeovers(evidence)}
    lines = []
    for term in evidence.proofs.in_order():
        takeover = by_later.get(term.token)
        lines.append(
            "%10.3f to %10.3f  %-8s token %d%s"
            % (
                *(term.first_ns / SECOND_NS, term.last_ns / SECOND_NS, term.name, term.token),
                "  %6s ms after %s (%s)"
                % (milliseconds(takeover.gap_ns), takeover.earlier.name, takeover.cause)
                if takeover
                else "",
            )
        )
    return "\n".join(lines) + "\n"


def summary(evidence, started, skipped):
    kinds = collections.Counter(s.kind for s in evidence.strikes if "skipped" not in s.kind)
    overlaps, excused = find_overlaps(evidence)
    terms = evidence.proofs.in_order()
    seconds = (evidence.quiet_ns - terms[0].first_ns) / SECOND_NS if terms else 0
    lines = [
        "%.0f s, %d candidates started, %d faults (%d skipped):"
        % (seconds, started, sum(kinds.values()), skipped)
    ]
    names = ["%s %d" % item for item in sorted(kinds.items())]
    for start in range(0, len(names), 5):
        lines.append("    " + ", ".join(names[start : start + 5]))
    lines += [
        "%d terms, %d grants, %d proofs of life"
        % (len(terms), len(evidence.grants), evidence.proofs.count),
        "    %-28s %5s %8s %8s %8s" % ("from tree to tree, ms", "times", "median", "99 %", "worst"),
    ]
    lines += ["    %-28s %5d %8s %8s %8s" % row for row in takeover_table(evidence)]
    lines += [
        "overlaps: %d; where the machine kept a keeper waiting past its margin: %d"
        % (len(overlaps), len(excused)),
        "fenced counter: %d; writes fenced off: %d, of %d frozen hosts"
        % (evidence.counter.value, sum(evidence.counter.refused.values()), len(evidence.freezes)),
        "worst lateness of the machine: %s ms, at a keeper's priority %s ms"
        % (
            milliseconds(evidence.lateness.worst_ns()),
            milliseconds(evidence.keeper_lateness.worst_ns()),
        ),
        "connections at the server: %s, of at most %d"
        % (evidence.connections[1], evidence.connections[0][-1]),
    ]
    before = {usage.who: usage for usage in evidence.usage_before}
    for now in evidence.usage_after:
        was = before.get(now.who)
        if was is not None:
            lines.append(
                "    %-20s descriptors %d -> %d, resident %d -> %d kB"
                % (now.who, was.descriptors, now.descriptors, was.rss_kb, now.rss_kb)
            )
    return "\n".join(lines)
