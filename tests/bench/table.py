"""Rows of figures, and how they are printed."""

import dataclasses
import json
import statistics


@dataclasses.dataclass
class Row:
    """One figure: its samples, and the most that it should be (None for a reference)."""

    figure: str
    unit: str
    samples: list
    aim: float = None

    @property
    def best(self):
        return min(self.samples)

    @property
    def median(self):
        return statistics.median(self.samples)

    @property
    def worst(self):
        return max(self.samples)

    @property
    def met(self):
        """How much of it is within the aim; empty without one."""
        if self.aim is None:
            return ""
        for value, word in ((self.worst, "yes"), (self.median, "median"), (self.best, "best")):
            if value <= self.aim:
                return word
        return "no"


TITLES = ("figure", "unit", "best", "median", "worst", "n", "aim", "met")


def number(value):
    if value is None:
        return ""
    return "%.0f" % value if abs(value) >= 100 else "%.2f" % value


def cells(row):
    measured = [number(value) for value in (row.best, row.median, row.worst)]
    aim = "" if row.aim is None else "%g" % row.aim
    return [row.figure, row.unit, *measured, str(len(row.samples)), aim, row.met]


def show(rows):
    """The table as text."""
    lines = [list(TITLES)] + [cells(row) for row in rows]
    widths = [max(len(line[i]) for line in lines) for i in range(len(TITLES))]
    lines.insert(1, ["-" * width for width in widths])
    shown = []
    for line in lines:
        words = [
            word.ljust(width) if i in (0, 1, 7) else word.rjust(width)
            for i, (word, width) in enumerate(zip(line, widths))
        ]
        shown.append("  ".join(words).rstrip())
    return "\n".join(shown)


def write_json(path, machine, rows):
    """Everything, the samples included, for programs."""
    fields = ("best", "median", "worst", "met")
    listed = [
        {**dataclasses.asdict(row), **{name: getattr(row, name) for name in fields}} for row in rows
    ]
    with open(path, "w", encoding="utf-8") as file:
        json.dump({"machine": machine, "rows": listed}, file, indent=1)
        file.write("\n")
