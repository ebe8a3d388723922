"""Makes a text of a program's table.

usage: render.py KIND DESCRIPTION MORE [TEMPLATE] >TEXT

KIND         man, bash, zsh, fish, markdown
DESCRIPTION  the table, as the program's describe prints it
MORE         what is said of an option beyond its line of help
TEMPLATE     of man: prose, in which @OPTIONS@, @COMMANDS@ and @ENVIRONMENT@ stand for the table
"""

import sys

import bash
import fish
import man
import markdown
import zsh
from table import read_table

RENDERERS = {
    "man": man.render,
    "bash": bash.render,
    "zsh": zsh.render,
    "fish": fish.render,
    "markdown": markdown.render,
}


def main():
    kind, description, more, *template = sys.argv[1:]
    sys.stdout.write(RENDERERS[kind](read_table(description, more), *template))


if __name__ == "__main__":
    main()
