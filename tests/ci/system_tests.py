#!/usr/bin/env -S sh -c 'exec "${0%/*}/../python" "$0" "$@"'
"""Runs the system tests: several pytest processes at once, one file each, as they mostly wait.

    system_tests.py COUNTS JOBS [PYTEST ARGUMENT]...

Prints the output of files with failures and writes "PASSED FAILED SKIPPED" into COUNTS.
"""

import concurrent.futures
import glob
import os
import signal
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree

from tests.lib import processes

HERE = os.path.dirname(os.path.abspath(__file__))
SYSTEM = os.path.join(os.path.dirname(HERE), "system")
FILE_LIMIT_S = 900
NO_TESTS = 5  # pytest's exit status when nothing was selected


def split_arguments(arguments):
    """Files named on the command line, and everything else for pytest."""
    files = [a for a in arguments if os.path.exists(a.split("::")[0])]
    rest = [a for a in arguments if a not in files]
    if not files:
        files = glob.glob(os.path.join(SYSTEM, "test_*.py"))
        # The biggest first, so that none of them is left to run alone at the end.
        files.sort(key=os.path.getsize, reverse=True)
    return files, rest


def run_file(file, arguments, scratch, mark):
    report = os.path.join(scratch, os.path.basename(file).replace(":", "_") + ".xml")
    command = [sys.executable, "-m", "pytest", "-q", "--junitxml=" + report]
    run = subprocess.Popen(
        command + arguments + [file],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**os.environ, processes.SESSION_MARK: mark},
        text=True,
        errors="replace",
        start_new_session=True,
    )
    try:
        output, _ = run.communicate(timeout=FILE_LIMIT_S)
    except subprocess.TimeoutExpired:
        processes.kill_marked(mark, processes.SESSION_MARK)
        output = run.communicate()[0] + "\n%s: killed after %d s\n" % (file, FILE_LIMIT_S)
    return count(report, run.returncode), output


def count(report, status):
    """(passed, failed, skipped) of one pytest process."""
    if status == NO_TESTS:
        return 0, 0, 0
    try:
        suite = ElementTree.parse(report).getroot().find("testsuite")
        tests, skipped = int(suite.get("tests")), int(suite.get("skipped"))
        failed = int(suite.get("failures")) + int(suite.get("errors"))
    except (OSError, ElementTree.ParseError):
        return 0, 1, 0
    if status != 0 and failed == 0:
        failed, tests = 1, tests + 1
    return tests - failed - skipped, failed, skipped


def run_files(files, arguments, jobs, scratch):
    """Runs them all; returns the sums."""
    totals = (0, 0, 0)
    marks = [processes.new_mark() for _ in files]
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        runs = [
            pool.submit(run_file, file, arguments, scratch, mark)
            for file, mark in zip(files, marks)
        ]
        try:
            for run in runs:
                numbers, output = run.result()
                totals = tuple(a + b for a, b in zip(totals, numbers))
                if numbers[1] > 0:
                    print(output)
        except KeyboardInterrupt:
            pool.shutdown(wait=False, cancel_futures=True)
            for mark in marks:
                processes.kill_marked(mark, processes.SESSION_MARK)
            raise
    return totals


def interrupt(_number, _frame):
    raise KeyboardInterrupt


def main():
    counts, jobs, *arguments = sys.argv[1:]
    signal.signal(signal.SIGTERM, interrupt)
    files, arguments = split_arguments(arguments)
    with tempfile.TemporaryDirectory() as scratch:
        totals = run_files(files, arguments, int(jobs), scratch)
    if sum(totals) == 0:
        print("no test was run")
        totals = (0, 1, 0)
    with open(counts, "w", encoding="utf-8") as file:
        print(*totals, file=file)
    return 1 if totals[1] > 0 else 0


sys.exit(main())
