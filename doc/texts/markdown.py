"""The tables of doc/OPTIONS.md.

usage: markdown.py OPTIONS.md TABLE.md...    puts them between the marks of their programs
"""

import pathlib
import re
import sys

from table import value_range


def cell(text):
    return (text or "").replace("|", "\\|").replace("<", "&lt;").replace("*", "\\*")


def code(text):
    return "`%s`" % text.replace("|", "\\|") if text else ""


def meaning(option):
    text = cell(option["help"])
    limits = value_range(option)
    if limits:
        text += " (%s)" % limits
    return text + (". " + option["more"].replace("|", "\\|") if option["more"] else "")


def flags(option):
    argument = " " + option["argument"] if option["argument"] else ""
    letter = code("-" + option["letter"]) + ", " if option["letter"] else ""
    return letter + code("--" + option["name"] + argument)


def render(table):
    text = []
    if table.commands:
        text += ["| command | what it does | options of its own |", "|---|---|---|"]
        for command in table.commands:
            words = " ".join(filter(None, [command["word"], command["arguments"]]))
            own = ", ".join(code("--" + o["name"]) for o in table.of_command(command["word"]))
            text.append("| %s | %s | %s |" % (code(words), cell(command["help"]), own))
        text.append("")
    text += ["| option | default | meaning | variable |", "|---|---|---|---|"]
    for option in table.options:
        row = (flags(option), cell(option["default"]), meaning(option), code(option["variable"]))
        text.append("| %s | %s | %s | %s |" % row)
    return "\n".join(text) + "\n"


def put(document, program, table):
    """The document with the table between <!-- PROGRAM --> and <!-- end of PROGRAM -->."""
    marks = r"(<!-- %s -->\n).*?(<!-- end of %s -->\n)" % (program, program)
    text, count = re.subn(marks, lambda m: m[1] + table + m[2], document, flags=re.DOTALL)
    if count != 1:
        raise ValueError("the marks of %s stand there %d times" % (program, count))
    return text


def main():
    path, *tables = map(pathlib.Path, sys.argv[1:])
    text = path.read_text(encoding="utf-8")
    for table in tables:
        text = put(text, table.stem, table.read_text(encoding="utf-8"))
    path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
