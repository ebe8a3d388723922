"""Names what no test reaches, and why.

    uncovered.py COVERAGE.json REASONS

COVERAGE.json is gcovr's. REASONS has paragraphs: a reason, beginning in the first column, and below
it, indented, patterns "file: source text" (as of fnmatch(3), the text without its indentation) for
the lines that it explains. Prints each reason with the number of lines, and the lines that have none;
fails if there are any.
"""

import collections
import fnmatch
import json
import sys


def read_reasons(path):
    """(reason, file pattern, text pattern) in the order of the file."""
    reasons = []
    reason = None
    with open(path, encoding="utf-8") as file:
        for line in file:
            if line.startswith("#") or not line.strip():
                continue
            if line[0].isspace():
                source, text = line.strip().split(": ", 1)
                reasons.append((reason, source, text))
            else:
                reason = line.strip()
    return reasons


def uncovered_lines(path):
    """(file, line number, text) of each line that was never executed."""
    with open(path, encoding="utf-8") as file:
        report = json.load(file)
    for entry in report["files"]:
        with open(entry["file"], encoding="utf-8") as file:
            texts = file.read().split("\n")
        for line in entry["lines"]:
            if line["count"] == 0 and not line.get("gcovr/noncode"):
                number = line["line_number"]
                yield entry["file"], number, texts[number - 1].strip()


def explain(file, text, reasons):
    for reason, source, pattern in reasons:
        if fnmatch.fnmatchcase(file, source) and fnmatch.fnmatchcase(text, pattern):
            return reason
    return None


def main():
    coverage, reasons_path = sys.argv[1:]
    reasons = read_reasons(reasons_path)
    explained = collections.Counter()
    unexplained = []
    for file, number, text in uncovered_lines(coverage):
        reason = explain(file, text, reasons)
        if reason is None:
            unexplained.append("%s:%d: %s" % (file, number, text))
        else:
            explained[reason] += 1
    print("Lines that no test reaches, by reason:")
    for reason, count in explained.most_common():
        print("%5d  %s" % (count, reason))
    print("%5d  without a reason in %s" % (len(unexplained), reasons_path))
    for line in unexplained:
        print("       " + line)
    return 1 if unexplained else 0


sys.exit(main())
