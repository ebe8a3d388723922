"""Reading what `beat` wrote, and proving from it that no two terms overlapped."""

import dataclasses

from . import overlaps


@dataclasses.dataclass(frozen=True)
class Beat:
    at_ns: int  # CLOCK_BOOTTIME
    pid: int
    name: str
    token: int
    what: str  # start, beat or end


@dataclasses.dataclass
class BeatTerm(overlaps.Term):
    """Everything that one term's process tree left in the file."""

    pids: set = dataclasses.field(default_factory=set)
    ended: set = dataclasses.field(default_factory=set)  # by themselves: their last line says so


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
    """One BeatTerm per token, in the order of their first lines; and what is wrong with the names."""
    terms = overlaps.Terms(BeatTerm)
    for beat in beats:
        term = terms.add(beat.token, beat.name, beat.at_ns)
        term.pids.add(beat.pid)
        if beat.what == "end":
            term.ended.add(beat.pid)
    return list(terms.by_token.values()), terms.problems


def returns(beats):
    """A sentence for each term that another one has followed and that wrote again. The order of lines
    needs no clock."""
    problems = []
    over = set()
    current = None
    for beat in beats:
        if current is not None and beat.token != current:
            over.add(current)
            if beat.token in over:
                problems.append("term %d (%s) went on after a later one" % (beat.token, beat.name))
        current = beat.token
    return list(dict.fromkeys(problems))


def beat_problems(beats):
    """A sentence for each thing that must not be: terms that overlap in time, terms whose lines
    are mixed, a token that two names used, tokens that do not grow."""
    terms, problems = gather_terms(beats)
    problems += map(str, overlaps.find_overlaps(sorted(terms, key=lambda term: term.first_ns)))
    return problems + overlaps.token_problems(terms) + returns(beats)


def check_terms(path):
    """Asserts that the terms in the file exclude each other; returns them in order."""
    beats = read_beats(path)
    problems = beat_problems(beats)
    assert not problems, "\n".join(problems)
    return gather_terms(beats)[0]
