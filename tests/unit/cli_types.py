#!/usr/bin/python3
"""Checks that an option's value cannot go to a field of another type: such a line does not compile.

usage: cli_types.py INCLUDE COMPILER [ARGUMENT]...
"""

import subprocess
import sys

# A line of a program, and whether it compiles.
LINES = [
    ("place = cli_text(&text);", True),
    ("place = cli_texts(&texts);", True),
    ("place = cli_flag(&flag);", True),
    ('place = cli_either(&flag, "no", "yes");', True),
    ("place = cli_duration(&ms);", True),
    ("place = cli_number(&number, 0, 9);", True),
    ("place = cli_word(&color, words);", True),
    ("place = cli_constant(&color, RED);", True),
    ("place = cli_text(&ms);", False),
    ("place = cli_texts(&text);", False),
    ("place = cli_flag(&number);", False),
    ('place = cli_either(&color, "no", "yes");', False),
    ("place = cli_duration(&number);", False),
    ("place = cli_duration_above_0(&flag);", False),
    ("place = cli_duration_or_forever(&text);", False),
    ("place = cli_count(&number, 0, 9);", False),
    ("place = cli_number(&ms, 0, 9);", False),
    ("place = cli_word(&flag, words);", False),
    ("place = cli_word(&color, &place);", False),
    ("place = cli_constant(&ms, RED);", False),
]
PROGRAM = """
#include "leaderwrap/cli/place.h"
enum color { WHITE, RED };
static const struct cli_word words[] = {{"white", WHITE}, {"red", RED}, {0}};
struct cli_place make(void);
struct cli_place make(void)
{
    static const char *text;
    static struct cli_texts texts;
    static bool flag;
    static int64_t ms;
    static int number;
    static enum color color;
    struct cli_place place = {0};
    (void)text, (void)flag, (void)ms, (void)number, (void)color, (void)words;
    LINE
    return place;
}
"""


def compiles(command, line):
    done = subprocess.run(
        [*command, "-x", "c", "-fsyntax-only", "-"],
        input=PROGRAM.replace("LINE", line),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        text=True,
        check=False,
    )
    return done.returncode == 0


def main():
    include, *compiler = sys.argv[1:]
    command = [*compiler, "-std=gnu11", "-Werror=incompatible-pointer-types", "-I" + include]
    wrong = [line for line, expected in LINES if compiles(command, line) != expected]
    for line in wrong:
        print("compiles, or not, against what is expected of it:", line)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
