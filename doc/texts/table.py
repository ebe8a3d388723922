"""A program's table, as its describe program prints it, with what doc/man says more of an option."""

import json
import pathlib
import re


class Table:
    """What the renderers need. Options and commands are the dictionaries of the JSON."""

    def __init__(self, table, more):
        self.program = table["program"]
        self.commands = table["commands"]
        self.options = table["options"]
        unknown = set(more) - {option["name"] for option in self.options}
        if unknown:
            raise ValueError("more is said of what is no option: " + ", ".join(sorted(unknown)))
        for option in self.options:
            option["more"] = more.get(option["name"], "")

    def sections(self):
        """The titles of the help text, each with its options."""
        found = []
        for option in self.options:
            if option["section"] is not None:
                found.append((option["section"], []))
            found[-1][1].append(option)
        return found

    def of_command(self, word):
        """The options that only some commands take, this one among them."""
        return [option for option in self.options if word in option["commands"]]


def read_more(path):
    """Paragraphs, each below a line with the option that it is about: "--ttl"."""
    more = {}
    for part in re.split(r"^--(?=[a-z-]+$)", path.read_text(encoding="utf-8"), flags=re.MULTILINE):
        name, _, text = part.partition("\n")
        if text.strip():
            more[name] = " ".join(text.split())
    return more


def read_table(description, more):
    table = json.loads(pathlib.Path(description).read_text(encoding="utf-8"))
    return Table(table, read_more(pathlib.Path(more)))


def flags(option):
    """Its names as they are given: "-t" and "--ttl"."""
    letter = ["-" + option["letter"]] if option["letter"] else []
    return letter + ["--" + option["name"]]


def paths(option):
    """Whether the argument is a path: "file", or "directory" for what may be both; else None."""
    parts = (option["argument"] or "").split("|")
    if "DIR" in parts:
        return "directory"
    return "file" if {"FILE", "PATH"} & set(parts) else None


def words(option):
    """What may be proposed as the value."""
    if option["forever"]:
        return ["0", "forever"]
    return option["words"]


def value_range(option):
    """What the value may be, in words; None where the argument says it."""
    if option["kind"] == "number":
        return "%d to %d" % (option["least"], option["most"])
    if option["kind"] == "duration" and option["above_0"]:
        return "more than 0"
    return None


def brief(option):
    """The meaning in a few words, for a line of a completion."""
    text = option["help"]
    if option["commands"]:
        text = re.sub(r"^[a-z, -]+: ", "", text)
    return text.split("; ")[0]
