"""Counts the unit tests of one `meson test`: each cmocka test case is one.

Prints the output of programs that failed, and writes "PASSED FAILED SKIPPED" into a file. A program
that is no cmocka group counts as one test; one that crashed or failed after all its cases had
passed (a leak, say) counts as one failure more.
"""

import json
import os
import re
import sys

# cmocka 1.1.5 says "[  PASSED  ] 3 test(s).", 1.1.7 puts the group's name before the number.
SUMMARY = r"\[  %s \] (?:[^\n]*: )?(\d+) test\(s\)"


def summed(word, output):
    return sum(int(number) for number in re.findall(SUMMARY % word, output))


def count_program(result):
    output = result.get("stdout", "") + result.get("stderr", "")
    passed = summed("PASSED ", output)
    failed = summed("FAILED ", output)
    skipped = summed("SKIPPED", output)
    if result["result"] == "SKIP":
        return 0, 0, 1
    if result["result"] != "OK" and failed == 0:
        failed = 1
    if passed + failed + skipped == 0:
        passed = 1
    if result["result"] != "OK":
        print(
            "--- %s: %s, exit status %s" % (result["name"], result["result"], result["returncode"])
        )
        print(output)
    return passed, failed, skipped


def main():
    log, counts = sys.argv[1:]
    totals = [0, 0, 0]
    if not os.path.exists(log):
        print("no unit test was run")
        return 1
    with open(log, encoding="utf-8") as file:
        for line in file:
            totals = [a + b for a, b in zip(totals, count_program(json.loads(line)))]
    with open(counts, "w", encoding="utf-8") as file:
        print(*totals, file=file)
    return 1 if totals[1] > 0 or sum(totals) == 0 else 0


sys.exit(main())
