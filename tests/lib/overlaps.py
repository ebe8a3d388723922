"""The proof that no two process trees ran at one time, from what they left as signs of life."""

import dataclasses


@dataclasses.dataclass
class Term:
    """The life of one term's process tree, as far as there is a sign of it."""

    token: int
    name: str
    first_ns: int
    last_ns: int


@dataclasses.dataclass
class Overlap:
    earlier: Term
    later: Term
    ns: int

    def __str__(self):
        return "terms %d (%s) and %d (%s) overlap by %.3f ms, from %.3f on" % (
            *(self.earlier.token, self.earlier.name, self.later.token, self.later.name),
            *(self.ns / 1e6, self.later.first_ns / 1e9),
        )


class Terms:
    """Gathers signs of life into terms; `problems` are tokens that more than one name used."""

    def __init__(self, make=Term):
        self.by_token = {}
        self.problems = []
        self._make = make

    def add(self, token, name, at_ns):
        """Returns the Term."""
        term = self.by_token.get(token)
        if term is None:
            term = self.by_token[token] = self._make(token, name, at_ns, at_ns)
        elif term.name != name:
            problem = "both %s and %s used token %d" % (term.name, name, token)
            if problem not in self.problems:
                self.problems.append(problem)
        term.first_ns = min(term.first_ns, at_ns)
        term.last_ns = max(term.last_ns, at_ns)
        return term

    def in_order(self):
        """The terms, the one that began first before the others."""
        return sorted(self.by_token.values(), key=lambda term: term.first_ns)


def find_overlaps(terms, end_ns=lambda term: term.last_ns):
    """An Overlap for each of these terms, in their order, that began before all earlier ones had
    ended. `end_ns` may say of a term that it counts up to another moment."""
    found = []
    longest = None
    for term in terms:
        if longest is not None and term.first_ns <= end_ns(longest):
            over_ns = min(end_ns(longest), end_ns(term)) - term.first_ns
            found.append(Overlap(longest, term, over_ns))
        if longest is None or end_ns(term) > end_ns(longest):
            longest = term
    return found


def token_problems(terms):
    """A sentence for each token that does not grow, of terms in their order."""
    return [
        "token %d (%s) follows token %d (%s)"
        % (later.token, later.name, earlier.token, earlier.name)
        for earlier, later in zip(terms, terms[1:])
        if later.token <= earlier.token
    ]
