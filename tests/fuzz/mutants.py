#!/usr/bin/python3
"""Proves that the oracles can fail: breaks one source file in one place at a time, links the target
with it, and sees whether the corpus or else a minute of fuzzing finds it.

A mutant is a replacement of an exact text, made on a copy; a text that is not there (any more) is
an error. Prints a table of what caught which mutant. The last line is
"fuzz: N passed, N failed".

usage: mutants.py [--jobs N] [--only WORD] BUILD_DIRECTORY     (run --mutants does that)
"""

import argparse
import concurrent.futures
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
SECONDS = 60
LIMITS = ["-timeout=60", "-rss_limit_mb=2048", "-malloc_limit_mb=64", "-max_len=2048"]
ROW = "{:<46}{:<13}{:<24}{}"

# (what is wrong, target, file, text, replacement)
MUTANTS = [
    ("a port may be any number", "url", "src/redis/url.c",
     "        if (value > max)\n            return -1;\n", ""),
    ("the length of a decoded text is not checked", "url", "src/redis/url.c",
     "if (strlen(text) != (size_t)(end - text)) {", "if (end == NULL) {"),
    ("room for a path without its slashes", "url", "src/redis/url.c",
     "size += 1 + (size_t)", "size += (size_t)"),
    ("a refused password stays in memory", "url", "src/redis/url.c",
     "    redis_url_clear(url);\n    return -1;", "    return -1;"),
    ("a refusal quotes the address", "url", "src/redis/url.c",
     "is_harmless(text) ? text : \"the address\"", "text"),
    ("a duration may overflow", "duration", "src/base/duration.c",
     "        if (thousandths > DURATION_MAX_MS * 1000)\n            return too_long;\n", ""),
    ("units in any order", "duration", "src/base/duration.c",
     "        if (i < *next)", "        if (i > UNITS)"),
    ("several units beyond the limit", "duration", "src/base/duration.c",
     "        if (total_ms > DURATION_MAX_MS)\n            return too_long;\n", ""),
    ("a unit may overflow the limit", "duration", "src/base/duration.c",
     "if (thousandths > DURATION_MAX_MS * 1000 / unit_ms)", "if (thousandths < 0)"),
    ("hours shown without their minutes", "duration", "src/base/duration.c",
     "        if (minutes % 60 == 0)", "        if (minutes >= 60)"),
    ("a TTL that is too short is taken", "options", "src/election/timing.c",
     "return timing->renew_ms + timing->request_timeout_ms <= timing->stop_after_ms;",
     "return timing->renew_ms <= timing->ttl_ms;"),
    ("the key is not given back", "options", "src/wrapper/options.c",
     "    free(options->key);\n", ""),
    ("an abbreviation is taken", "options", "src/cli/line.c",
     "        if (strlen(table->options[i].name) == length &&\n"
     "            memcmp(", "        if (memcmp("),
    ("a value gets into a refusal", "options", "src/cli/line.c",
     "size_t length = strspn(name, LETTERS_IN_ANY);", "size_t length = strlen(name);"),
    ("a name of any length", "options", "src/wrapper/options.c",
     "if (strlen(name) > LEASE_NAME_MAX)", "if (strlen(name) > 512)"),
    ("an answer of any number of elements", "reply", "src/redis/verdict.c",
     "reply->type != REDIS_REPLY_ARRAY || reply->elements != FIELDS",
     "reply->type != REDIS_REPLY_ARRAY"),
    ("an answer with more elements", "reply", "src/redis/verdict.c",
     "reply->elements != FIELDS", "reply->elements < FIELDS"),
    ("elements of any type", "reply", "src/redis/verdict.c",
     "reply->element[i] == NULL || reply->element[i]->type != REDIS_REPLY_STRING",
     "reply->element[i] == NULL"),
    ("a grant without a token", "reply", "src/redis/verdict.c",
     "(record.token == 0 || record.state != LEASE_HELD)", "(record.state != LEASE_HELD)"),
    ("a grant that ends nothing", "reply", "src/redis/verdict.c",
     "    if ((verdict == LEASE_GRANTED) != (before != LEASE_ABSENT))\n        return -1;\n", ""),
    ("a number may overflow", "reply", "src/redis/words.c",
     " || result > (max - digit) / 10", ""),
    ("an answer to another question", "reply", "src/redis/verdict.c",
     "verdicts[i].of == of && ", "of <= VERDICT_OF_RELEASE && "),
    ("START for a grant that is free", "store", "src/redis/verdict.c",
     "(record.token == 0 || record.state != LEASE_HELD)", "(record.token == 0)"),
    ("a grant of somebody else is led on", "store", "src/election/election.c",
     "    if (answers_another(election, reply)) {", "    if (answers_another == NULL) {"),
    ("elements of any number and type", "store", "src/redis/verdict.c",
     "reply->elements != FIELDS", "reply->elements > 64"),
    ("a strange answer to an acquire is a grant", "store", "src/redis/store.c",
     "        finish_strange(request);\n}\n\n/* DEL",
     "    {\n        answer.verdict = LEASE_GRANTED;\n        answer.record.token = 9;\n"
     "        finish(request, &answer);\n    }\n}\n\n/* DEL"),
    ("a reply that nobody asked for is ignored", "store", "src/redis/connection.c",
     "        fail_unasked(connection, reply);\n        return;", "        return;"),
    ("the answer to AUTH answers the acquire", "store", "src/redis/connection.c",
     "send_auth(connection, password != NULL ? password : \"\");",
     "send_command(connection, 2, (const char *[]){\"AUTH\", \"x\"}, (size_t[]){4, 1}, NULL, "
     "NULL);"),
    ("an array of any size", "store", "src/redis/transport.c",
     "elements > REPLY_ELEMENTS_MAX", "elements > 100000000"),
    ("a reply of any length", "store", "src/redis/transport.c",
     "transport->reply_bytes > REPLY_BYTES_MAX", "transport->reply_bytes > ((size_t)1 << 40)"),
    ("requests of a lost connection are kept", "store", "src/redis/connection.c",
     "    connection->first = NULL;\n    connection->last = &connection->first;\n"
     "    while (request",
     "    while (request"),
    ("a request is waited for for ever", "store", "src/election/election.c",
     "election->now_ns >= election->pending.sent_ns + timeout_ns", "false"),
    ("the deadline counts from the reply", "store", "src/election/follow.c",
     "timing_deadlines(&election->config.timing, sent_ns);",
     "timing_deadlines(&election->config.timing, election->now_ns);"),
    ("a token may come again", "store", "src/election/follow.c",
     "if (kind == REQUEST_ACQUIRE && record->token > election->used_token)",
     "if (kind == REQUEST_ACQUIRE)"),
    ("an unanswered PING is waited for for ever", "store", "src/redis/watcher.c",
     "        enter(watcher, WATCHER_PINGING, watcher->config.timeout_ms);",
     "        watcher->state = WATCHER_PINGING;"),
    ("no latch: an expired run is extended", "keeper", "src/keeper/run.c",
     "    if (run->latched)\n        return;\n", ""),
    ("deadlines move backwards", "keeper", "src/keeper/run.c",
     "    if (request->kill_at_ns > run->kill_at_ns)\n", ""),
    ("an extension is lost on a tree that is swept", "keeper", "src/keeper/run.c",
     "[EVENT_EXTEND] = extend,\n            [EVENT_DEAD] = finish,\n        },\n};",
     "[EVENT_DEAD] = finish,\n        },\n};"),
    ("requests for any run count", "keeper", "src/keeper/run.c",
     "    if (request->run != run->number)\n        return;\n", ""),
    ("no kill at kill_at", "keeper", "src/keeper/run.c",
     "        return min_ns(run->stop_at_ns, run->kill_at_ns);",
     "        return run->stop_at_ns;"),
    ("no end of a STOP's grace", "keeper", "src/keeper/run.c",
     "        return min_ns(run->sweep_at_ns, run->kill_at_ns);",
     "        return run->kill_at_ns;"),
    ("a second START beside a living tree", "keeper", "src/keeper/run.c",
     "        if (run->state == RUN_IDLE)\n            begin", "        begin"),
    ("started after its stop_at", "keeper", "src/keeper/run.c",
     "    if (clock_boottime_ns() < run->stop_at_ns)\n", ""),
    ("TREE_DEAD when the command ends", "keeper", "src/keeper/run.c",
     "        if (tree == TREE_DEAD)", "        if (tree == TREE_DEAD || run->tree.main_exited)"),
    ("the elector's death leaves the tree", "keeper", "src/keeper/run.c",
     "    happen(run, EVENT_KILL, NULL);\n}", "}"),
    ("any signal number is passed on", "keeper", "src/keeper/run.c",
     "return number > 0 && number < NSIG;", "return number != 0;"),
    ("any acknowledgement counts", "keeper_link", "src/keeper/keeper_link.c",
     "    if (link->sent - sequence >= link->sent - link->acknowledged)\n        return;\n", ""),
    ("any record puts the time-out off", "keeper_link", "src/keeper/keeper_link.c",
     "                link->callbacks.on_report(link->context, &report);",
     "            {\n                link->waiting_since_ns = clock_boottime_ns();\n"
     "                link->callbacks.on_report(link->context, &report);\n            }"),
    ("records of any size are handed on", "keeper_link", "src/keeper/keeper_link.c",
     "        if (length == (ssize_t)sizeof report) {\n            if (report.kind",
     "        if (length > 0) {\n            if (report.kind"),
    ("a reaped keeper is killed", "keeper_link", "src/keeper/keeper_link.c",
     "    if (at >= 0) {\n        (void)kill", "    if (at >= -1) {\n        (void)kill"),
    ("on_lost from inside a call", "keeper_link", "src/keeper/keeper_link.c",
     "        prepare_sweep(link);\n    set_timer(link, 0);",
     "        prepare_sweep(link);\n    set_timer(link, 0);\n"
     "    link->callbacks.on_lost(link->context, link->why);"),
]


def commands(build):
    """How each source file is compiled, by its path in the tree."""
    with open(os.path.join(build, "compile_commands.json"), encoding="utf-8") as file:
        return {os.path.relpath(os.path.join(build, entry["file"]), ROOT): entry["command"]
                for entry in json.load(file) if "/libleaderwrap.a.p/" in entry["output"]
                or "libleaderwrap.a.p/" in entry["output"]}


def link_command(build, target):
    """The last command that ninja would run for the target."""
    name = f"tests/fuzz/fuzz_{target}"
    lines = subprocess.run(["ninja", "-C", build, "-t", "commands", name], stdout=subprocess.PIPE,
                           text=True, check=True).stdout.splitlines()
    return next(line for line in reversed(lines) if f" -o {name} " in line)


def make(mutant, build, scratch, compile_of):
    """Builds one mutant. Returns the program, or a complaint in an exception."""
    _, target, path, old, new = mutant
    with open(os.path.join(ROOT, path), encoding="utf-8") as file:
        text = file.read()
    if old not in text:
        raise ValueError(f"{path} has no such text any more")
    # Beside the original, so to say: the broken file looks for its headers there.
    source = os.path.join(scratch, os.path.basename(path))
    with open(source, "w", encoding="utf-8") as file:
        file.write(text.replace(old, new, 1))
    words = shlex.split(compile_of[path])
    broken = os.path.join(scratch, "broken.o")
    words[words.index("-o") + 1] = broken
    words[-1] = source
    words[1:1] = ["-I" + os.path.join(ROOT, os.path.dirname(path)), "-w"]
    for option in ("-MF", "-MQ"):
        words[words.index(option) + 1] = os.path.join(scratch, "dependencies")
    subprocess.run(words, cwd=build, check=True, stdout=subprocess.DEVNULL)
    words = shlex.split(link_command(build, target))
    made = os.path.join(scratch, "fuzz")
    words[words.index("-o") + 1] = made
    # Ahead of the library, whose member of the same names is then left out.
    words.insert(words.index("-o"), broken)
    subprocess.run(words, cwd=build, check=True, stdout=subprocess.DEVNULL)
    return made


def first_finding(output):
    """The oracle or the sanitizer that spoke."""
    for pattern in (r"oracle: \S*?fuzz/(\S+:\d+)", r"runtime error: (.*)",
                    r"ERROR: (?:Address|Leak)Sanitizer: ([a-z -]+)", r"ERROR: libFuzzer: (.*)"):
        found = re.search(pattern, output)
        if found:
            return found.group(1)[:60]
    return "ended"


def hunt(program, target, scratch):
    """Runs the corpus, then fuzzes. Returns (by what, the finding), or None."""
    seeds = os.path.join(HERE, "corpus", target)
    dictionary = os.path.join(HERE, target + ".dict")
    more = ["-dict=" + dictionary] if os.path.exists(dictionary) else []
    environment = dict(os.environ, ASAN_OPTIONS="symbolize=0")
    new = os.path.join(scratch, "new")
    os.mkdir(new)
    for way, limit in (("corpus", ["-runs=0"]), ("fuzzing", [f"-max_total_time={SECONDS}"])):
        run = subprocess.run(["nice", "-n", "15", program, *LIMITS, *limit, *more,
                              "-artifact_prefix=" + scratch + "/", new, seeds],
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=scratch,
                             env=environment, check=False)
        if run.returncode != 0:
            output = run.stdout.decode("utf-8", "replace")
            runs = re.findall(r"^#(\d+)", output, re.MULTILINE)
            after = f", {runs[-1]} runs" if way == "fuzzing" and runs else ""
            return way + after, first_finding(output)
    return None


def try_mutant(mutant, build, compile_of):
    """Returns (whether it was caught, a line of the table)."""
    with tempfile.TemporaryDirectory() as scratch:
        try:
            found = hunt(make(mutant, build, scratch, compile_of), mutant[1], scratch)
        except (ValueError, subprocess.CalledProcessError) as error:
            return False, ROW.format(mutant[0], mutant[1], "NOT BUILT", error)
    if found is None:
        return False, ROW.format(mutant[0], mutant[1], "NOT FOUND", f"in {SECONDS} s")
    return True, ROW.format(mutant[0], mutant[1], *found)


def main():
    """Tries all mutants, or those whose name has a word in it."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--only", default="")
    parser.add_argument("build", metavar="BUILD_DIRECTORY")
    options = parser.parse_args()
    chosen = [mutant for mutant in MUTANTS if options.only in mutant[0]]
    compile_of = commands(options.build)
    passed = 0
    print(ROW.format("what is wrong", "target", "found by", "finding"), flush=True)
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        for caught, row in pool.map(
                lambda mutant: try_mutant(mutant, options.build, compile_of), chosen):
            print(row, flush=True)
            passed += caught
    print(f"fuzz: {passed} passed, {len(chosen) - passed} failed")
    return 0 if passed == len(chosen) and passed > 0 else 1


if __name__ == "__main__":
    sys.exit(main())
