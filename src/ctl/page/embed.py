#!/usr/bin/env python3
"""Writes a C file with the files of the page, each as one string.

usage: embed.py OUTPUT FILE...
"""

import os
import sys

PIECE = 60  # bytes of a line of C


def literal(data):
    """Octal escapes have a fixed length: what follows one is never read as a part of it."""
    text = "".join(
        chr(byte) if 0x20 <= byte < 0x7F and chr(byte) not in '"\\?' else "\\%03o" % byte
        for byte in data
    )
    lines, line = [], ""
    at = 0
    while at < len(text):
        width = 4 if text[at] == "\\" else 1
        line += text[at : at + width]
        at += width
        if len(line) >= PIECE:
            lines.append(line)
            line = ""
    lines.append(line)
    return "\n".join(f'    "{each}"' for each in lines)


def main():
    output, *files = sys.argv[1:]
    with open(output, "w", encoding="ascii") as file:
        file.write("/* Made from src/ctl/page by embed.py. */\n")
        file.write("extern const char page_index_html[], page_app_js[], page_style_css[];\n")
        for path in files:
            with open(path, "rb") as source:
                data = source.read()
            name = os.path.basename(path).replace(".", "_")
            file.write(f"\nconst char page_{name}[] =\n{literal(data)};\n")


if __name__ == "__main__":
    main()
