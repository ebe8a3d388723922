#!/usr/bin/env python3
"""Writes a C file with the Lua scripts, each with the prelude in front, and their SHA1 sums.

usage: embed.py OUTPUT PRELUDE SCRIPT...
"""

import hashlib
import os
import sys

# From Redis 7 on: a server that is full must not unseat a leader. Older servers cannot read it.
FLAGS = "#!lua flags=allow-oom\n"


def shrink(text):
    """Leaves out comment lines and indentation: each EVAL carries the text over the network."""
    lines = (line.strip() for line in text.splitlines())
    return "".join(line + "\n" for line in lines if line and not line.startswith("--"))


def literal(text):
    quoted = text.replace("\\", "\\\\").replace('"', '\\"')
    return "\n".join(f'        "{line}\\n"' for line in quoted.splitlines())


def read(path):
    with open(path, encoding="ascii") as file:
        return file.read()


def entry(path, prelude):
    name = os.path.splitext(os.path.basename(path))[0]
    plain = shrink(prelude + "\n" + read(path))
    sums = [hashlib.sha1(text.encode("ascii")).hexdigest() for text in (FLAGS + plain, plain)]
    return (
        f"const struct script script_{name} = {{\n"
        f'    .flagged_sha1 = "{sums[0]}",\n'
        f'    .plain_sha1 = "{sums[1]}",\n'
        f"    .flags_length = {len(FLAGS)},\n"
        f"    .text =\n{literal(FLAGS + plain)},\n"
        "};\n"
    )


def main():
    output, prelude, *scripts = sys.argv[1:]
    common = read(prelude)
    with open(output, "w", encoding="ascii") as file:
        file.write("/* Made from src/redis/scripts by embed.py. */\n")
        file.write('#include "leaderwrap/redis/script.h"\n\n')
        file.write("\n".join(entry(path, common) for path in scripts))


if __name__ == "__main__":
    main()
