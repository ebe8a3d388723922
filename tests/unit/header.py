#!/usr/bin/env python3
"""Compiles a program that includes a public header, as C and as C++.

usage: header.py INCLUDE_DIR HEADER CC...
"""

import shutil
import subprocess
import sys

WARNINGS = ["-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Wshadow", "-Werror"]
LANGUAGES = {"c": ["-std=c11", "-D_GNU_SOURCE", "-Wcast-qual"], "c++": ["-std=c++11"]}


def main():
    folder, header, *compiler = sys.argv[1:]
    cxx = shutil.which("c++")
    compilers = {"c": compiler, "c++": [cxx] if cxx else None}
    failed = 0
    for language, options in LANGUAGES.items():
        if compilers[language] is None:
            print(f"there is no compiler for {language}")
            continue
        command = [*compilers[language], "-x", language, *options, *WARNINGS]
        command += ["-I", folder, "-fsyntax-only", "-"]
        text = f"#include <{header}>\n#include <{header}>\nint main() {{ return 0; }}\n"
        if language == "c":
            text = text.replace("main()", "main(void)")
        failed |= subprocess.run(command, input=text, text=True, check=False).returncode
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
