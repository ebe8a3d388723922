"""Prints the project's own C sources that a build directory compiles, NUL-separated."""

import json
import os
import sys

build = sys.argv[1]
with open(os.path.join(build, "compile_commands.json"), encoding="utf-8") as file:
    commands = json.load(file)
sources = {os.path.relpath(os.path.join(c["directory"], c["file"])) for c in commands}
for source in sorted(sources):
    if source.endswith(".c") and not os.path.abspath(source).startswith(os.path.abspath(build)):
        sys.stdout.write(source + "\0")
