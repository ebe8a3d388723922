"""Reading what `beat` wrote, and proving from it that no two terms overlapped."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Beat:
    at_ns: int  # CLOCK_BOOTTIME
    pid: int
    name: str
    token: int
    what: str  # start, beat or end


@dataclasses.dataclass
class Term:
    """Everything that one term's process tree left in the file."""

    token: int
    name: str
    first_ns: int
    last_ns: int
    pids: set
    ended: set  # pids that ended by themselves (their last line says so)


def read_beats(path):
    """All lines in the order in which they were written; one that is being written is left out."""
    with open(path, encoding="utf-8") as file:
        lines = file.read().split("\n")[:-1]
    beats = []
    for line in lines:
        at_ns, pid, name, token, what = line.split(" ")
        beats.append(Beat(int(at_ns), int(pid), name, int(token), what))
    return beats


def gather_terms(beats):
    """One Term per token, in the order of their first lines."""
    terms = {}
    for beat in beats:
        term = terms.setdefault(
            beat.token, Term(beat.token, beat.name, beat.at_ns, beat.at_ns, set(), set())
        )
        term.first_ns = min(term.first_ns, beat.at_ns)
        term.last_ns = max(term.last_ns, beat.at_ns)
        term.pids.add(beat.pid)
        if beat.what == "end":
            term.ended.add(beat.pid)
    return list(terms.values())


def find_overlaps(beats):
    """A sentence for each thing that must not be: terms that overlap in time, terms whose lines
    are mixed, a token that two names used, tokens that do not grow."""
    problems = []
    terms = gather_terms(beats)
    for index, earlier in enumerate(terms):
        for later in terms[index + 1 :]:
            if later.first_ns <= earlier.last_ns and earlier.first_ns <= later.last_ns:
                overlap_ns = min(earlier.last_ns, later.last_ns) - later.first_ns
                problems.append(
                    "terms %d (%s) and %d (%s) overlap by %.3f ms"
                    % (earlier.token, earlier.name, later.token, later.name, overlap_ns / 1e6)
                )
    for earlier, later in zip(terms, terms[1:]):
        if later.token <= earlier.token:
            problems.append("token %d follows token %d" % (later.token, earlier.token))
    # The order of lines needs no clock: a term that another one has followed never writes again.
    over = set()
    current = None
    owners = {}
    for beat in beats:
        if beat.token in over and beat.token != current:
            problems.append("term %d (%s) went on after a later one" % (beat.token, beat.name))
        if current is not None and beat.token != current:
            over.add(current)
        current = beat.token
        if owners.setdefault(beat.token, beat.name) != beat.name:
            problems.append("both %s and %s used token %d" % (owners[beat.token], beat.name, beat.token))
    return list(dict.fromkeys(problems))


def check_terms(path):
    """Asserts that the terms in the file exclude each other; returns them in order."""
    beats = read_beats(path)
    problems = find_overlaps(beats)
    assert not problems, "\n".join(problems)
    return gather_terms(beats)
