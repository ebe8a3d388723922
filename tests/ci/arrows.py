"""Checks who may include whom, and that each include says its folder.

usage: arrows.py [ROOT]

A folder of src takes from another only what that one offers in include/leaderwrap/FOLDER, and only
from the folders that ARROWS names; what stands in include/leaderwrap itself is for everybody. Tests may also look into a folder: "keeper/spawn.h". A private
header is included by its own folder alone, and stands beside its sources.
"""

import os
import re
import sys

ARROWS = {
    "base": set(),
    "cli": {"base"},
    "election": {"base"},
    "redis": {"base"},
    "access": {"base", "cli", "redis"},
    "keeper": {"base"},
    "counter": {"base", "redis"},
    "http": {"base"},
    "wrapper": {"base", "cli", "access", "election", "redis", "keeper", "counter", "http"},
    "ctl": {"base", "cli", "access", "redis", "http"},
}
INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.MULTILINE)
# A Lua script is made into C, and that file takes a header, too.
WRITTEN = re.compile(r"#include \\?\"(leaderwrap/[^\"\\]+)")


def files_below(folder, *endings):
    for path, _, names in sorted(os.walk(folder)):
        yield from (os.path.join(path, name) for name in sorted(names) if name.endswith(endings))


def public(header):
    """The folder and the file of "leaderwrap/FOLDER/NAME.h"; None for every other include."""
    parts = header.split("/")
    return parts[1] if len(parts) == 3 and parts[0] == "leaderwrap" else None


def is_for_commands(header):
    """Whether it is for programs outside of the project, and so for each folder as well."""
    return header.count("/") == 1 and header.startswith("leaderwrap/")


def wrong(root, owner, path, header):
    """Why the file at `path` of the folder `owner` may not include `header`; None if it may."""
    folder = public(header)
    if is_for_commands(header) and os.path.exists(os.path.join(root, "include", header)):
        return None
    if folder is None:
        beside = os.path.join(os.path.dirname(path), header)
        if "/" in header or not os.path.exists(beside):
            return "is neither a public header nor one beside it"
        return "is private" if path.startswith(os.path.join(root, "include")) else None
    if not os.path.exists(os.path.join(root, "include", header)):
        return "does not exist"
    if folder != owner and folder not in ARROWS[owner]:
        return f"is an arrow up: {owner} may take from {', '.join(sorted(ARROWS[owner])) or 'none'}"
    return None


def wrong_in_tests(root, path, header):
    if public(header) or is_for_commands(header):
        return None if os.path.exists(os.path.join(root, "include", header)) else "does not exist"
    places = (os.path.dirname(path), os.path.join(root, "src"), os.path.join(root, "tests"))
    if ".." in header or header.startswith(("src/", "tests/", "include/")):
        return "is a path of the repository"
    found = any(os.path.exists(os.path.join(place, header)) for place in places)
    return None if found else "does not exist"


def offered_to_nobody(root, used):
    """Public headers that their own folder's sources alone include: they belong beside those."""
    for path in files_below(os.path.join(root, "include"), ".h"):
        header = os.path.relpath(path, os.path.join(root, "include"))
        offered = used.get(header, set()) - {public(header)}
        if not offered and public(header) != "base" and not is_for_commands(header):
            yield f"include/{header} is offered to no other folder"


def check(root):
    used = {}
    for owner in sorted(os.listdir(os.path.join(root, "src"))):
        if owner not in ARROWS:
            yield f"src/{owner} has no place in ARROWS"
            continue
        folders = (
            os.path.join(root, "src", owner),
            os.path.join(root, "include/leaderwrap", owner),
        )
        for path in (path for folder in folders for path in files_below(folder, ".c", ".h", ".py")):
            with open(path, encoding="utf-8") as file:
                pattern = WRITTEN if path.endswith(".py") else INCLUDE
                headers = pattern.findall(file.read())
            for header in headers:
                inner = path.startswith(os.path.join(root, "src"))
                used.setdefault(header, set()).add(owner if inner else "a public header")
                reason = wrong(root, owner, path, header)
                if reason:
                    yield f'{os.path.relpath(path, root)}: "{header}" {reason}'
    for path in files_below(os.path.join(root, "tests"), ".c", ".h"):
        with open(path, encoding="utf-8") as file:
            for header in INCLUDE.findall(file.read()):
                reason = wrong_in_tests(root, path, header)
                if reason:
                    yield f'{os.path.relpath(path, root)}: "{header}" {reason}'
    yield from offered_to_nobody(root, used)


def main():
    root = sys.argv[1] if len(sys.argv) > 1 else "."
    faults = list(check(root))
    for fault in faults:
        print(fault)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
