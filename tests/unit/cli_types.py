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
    ("place = cli_either(&flag);", True),
    ("place = cli_duration(&ms);", True),
    ("place = cli_number(&number);", True),
    ("place = cli_word(&color);", True),
    ("place = cli_constant(&color, RED);", True),
    ("place = cli_text(&ms);", False),
    ("place = cli_texts(&text);", False),
    ("place = cli_flag(&number);", False),
    ("place = cli_either(&color);", False),
    ("place = cli_duration(&number);", False),
    ("place = cli_duration(&flag);", False),
    ("place = cli_count(&number);", False),
    ("place = cli_number(&ms);", False),
    ("place = cli_word(&flag);", False),
    ("place = cli_word(&ms);", False),
    ("place = cli_constant(&ms, RED);", False),
]
PROGRAM = """
#include "leaderwrap/cli/place.h"
enum color { WHITE, RED };
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
    (void)text, (void)flag, (void)ms, (void)number, (void)color;
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
