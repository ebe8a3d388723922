"""Checks the links of all Markdown files: what they lead to exists, heading included, and each file
can be reached from README.md.

usage: links.py [ROOT]
"""

import os
import re
import sys
import urllib.parse

FENCE = re.compile(r"^ {0,3}(```+|~~~+).*?^ {0,3}\1\s*$", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"(`+)(?!`).+?(?<!`)\1(?!`)", re.DOTALL)
LINK = re.compile(r"\]\(([^()\s]+)(?:\s+\"[^\"]*\")?\)")
HEADING = re.compile(r"^ {0,3}#{1,6}\s+(.+?)\s*#*\s*$", re.MULTILINE)


def markdown_files(root):
    for folder, names, files in os.walk(root):
        names[:] = [name for name in names if not name.startswith((".", "build", "node_modules"))]
        yield from (os.path.join(folder, name) for name in files if name.endswith(".md"))


def read(path):
    with open(path, encoding="utf-8") as file:
        return FENCE.sub("", file.read())


def anchors(path):
    """The names that GitHub and others give to headings."""
    found = set()
    for heading in HEADING.findall(read(path)):
        words = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
        name = re.sub(r"[^\w\- ]", "", words).replace(" ", "-")
        again = 0
        while (name + (f"-{again}" if again else "")) in found:
            again += 1
        found.add(name + (f"-{again}" if again else ""))
    return found


def links(path):
    """The targets of a file's links within the project: path and anchor, either may be empty."""
    for target in LINK.findall(CODE.sub("", read(path))):
        if not re.match(r"[a-z][a-z0-9+.-]*:", target):
            place, _, anchor = target.partition("#")
            yield target, urllib.parse.unquote(place), anchor


def follow(path, place):
    """The file that is shown for a link: of a folder its README.md, if it has one."""
    to = os.path.normpath(os.path.join(os.path.dirname(path), place)) if place else path
    index = os.path.join(to, "README.md")
    return index if os.path.isfile(index) else to


def main():
    root = os.path.normpath(sys.argv[1] if len(sys.argv) > 1 else ".")
    files = sorted(os.path.normpath(path) for path in markdown_files(root))
    leads_to, faults = {}, []
    for path in files:
        leads_to[path] = set()
        for target, place, anchor in links(path):
            to = follow(path, place)
            leads_to[path].add(to)
            if os.path.isabs(place) or not os.path.exists(to):
                faults.append(f"{path}: {target} does not exist")
            elif anchor and to.endswith(".md") and anchor not in anchors(to):
                faults.append(f"{path}: {target}: there is no such heading")
    reached, ahead = set(), [os.path.normpath(os.path.join(root, "README.md"))]
    while ahead:
        path = ahead.pop()
        if path not in reached:
            reached.add(path)
            ahead.extend(leads_to.get(path, ()))
    faults += [
        f"{path}: no way leads there from README.md" for path in files if path not in reached
    ]
    if len(files) < 2:
        faults.append(f"{root}: has no documents")
    for fault in faults:
        print(fault)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
