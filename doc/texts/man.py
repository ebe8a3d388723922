"""The generated parts of a man page, in mdoc."""

import pathlib
import re

from table import value_range


def escape(text):
    """As roff takes it within a line of text; `code` becomes bold, and a long address may be broken."""
    text = text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq")
    text = re.sub(r"\S{30,}", lambda word: re.sub(r"(?<=[/\]])(?=\w|\[)", r"\\:", word[0]), text)
    return re.sub(r"`([^`]+)`", r"\\fB\1\\fP", text)


def sentence(text):
    """With a capital at its beginning, where that is a word and no name, and with a full stop."""
    first = re.match(r"[a-z]+(?=[ ,])", text)
    if first:
        text = text[0].upper() + text[1:]
    return text if text.endswith(".") else text + "."


def lines(text):
    """One sentence a line, none of which roff could take for a request."""
    parts = re.split(r"(?<=[.:;]) (?=[A-Z`])", text)
    return ["\\&" + escape(part) if part[0] in ".'" else escape(part) for part in parts]


def option_item(option):
    flags = ["Fl " + option["letter"]] if option["letter"] else []
    flags.append("Fl \\-" + escape(option["name"]))
    argument = " Ar " + escape(option["argument"]) if option["argument"] else ""
    yield ".It %s%s" % (" , ".join(flags), argument)
    yield from lines(sentence(option["help"]))
    if option["more"]:
        yield from lines(option["more"])
    facts = [
        ("Default", option["default"]),
        ("Range", value_range(option)),
        ("Variable", option["variable"]),
    ]
    for name, fact in facts:
        if fact:
            yield ".br"
            yield "%s: %s" % (name, escape(fact))


def options(table):
    for title, members in table.sections():
        yield ".Ss " + title
        yield ".Bl -tag -width Ds"
        for option in members:
            yield from option_item(option)
        yield ".El"


def commands(table):
    yield ".Bl -tag -width Ds"
    for command in table.commands:
        words = "".join(
            " Op Ar " + word.strip("[]") if word[0] == "[" else " Ar " + word
            for word in (command["arguments"] or "").split()
        )
        yield ".It Cm %s%s" % (escape(command["word"]), words)
        yield from lines(sentence(command["help"]))
        own = ["\\fB\\-\\-%s\\fP" % escape(o["name"]) for o in table.of_command(command["word"])]
        if own:
            yield "Options of its own: %s." % ", ".join(own)
    yield ".El"


def environment(table):
    for option in table.options:
        if option["variable"]:
            value = option["argument"] or "1|0"
            yield ".It Ev %s Ns = Ns Ar %s" % (option["variable"], escape(value))
            yield "As"
            yield ".Fl \\-%s ." % escape(option["name"])


def render(table, template):
    parts = {"@OPTIONS@": options, "@COMMANDS@": commands, "@ENVIRONMENT@": environment}
    text = []
    for line in pathlib.Path(template).read_text(encoding="utf-8").splitlines():
        text += list(parts[line](table)) if line in parts else [line]
    return "\n".join(text) + "\n"
