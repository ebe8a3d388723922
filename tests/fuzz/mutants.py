#!/usr/bin/env -S sh -c 'exec "${0%/*}/../python" "$0" "$@"'
"""Proves that the oracles can fail: breaks one source file in one place at a time, links the target
with it, and sees whether the corpus or else a minute of fuzzing finds it.

Prints a table of what caught which mutant (tests/lib/mutants.py). `run --mutants` builds the targets
first. The last line is "fuzz: N passed, N failed".
"""

import json
import os
import re
import shlex
import subprocess
import sys
import tempfile

from tests.fuzz.targets import arguments, corpus
from tests.lib import mutants
from tests.lib.mutants import ROOT, Caught

SECONDS = 60

# fmt: off
# (what is wrong, target, file, text, replacement)
MUTANTS = [
    ("a port may be any number", "url", "src/redis/url.c",
     "        if (value > max)\n            return -1;\n", ""),
    ("the length of a decoded text is not checked", "url", "src/redis/url.c",
     "if (strlen(text) != (size_t)(end - text)) {", "if (end == NULL) {"),
    ("room for an IPv6 address of any length", "url", "src/redis/uri.c",
     "    if (length >= sizeof text)\n        return false;\n", ""),
    ("a percent-escape that is cut off", "url", "src/redis/url.c",
     "if (*at == '%' && strspn(at + 1, digits) >= 2) {", "if (*at == '%') {"),
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
    ("a name of any length", "options", "src/redis/keys.c",
     "if (strlen(name) > LEASE_NAME_MAX)", "if (strlen(name) > 512)"),
    ("a redirection needs no slot", "reply", "src/redis/redirection.c",
     "slot == 0 || error[slot] != ' ' || ", "error[slot] != ' ' || "),
    ("a node may be called ?", "reply", "src/redis/redirection.c",
     "if (length == 1 && host[0] == '?')", "if (length == 9 && host[0] == '?')"),
    ("a node counts once for each range of slots", "reply", "src/redis/cluster_ask.c",
     "        if (strcmp(peers->list[i].id, peer->id) == 0)\n            return 0;\n",
     "        if (strcmp(peers->list[i].id, peer->id) == 0)\n            continue;\n"),
    ("a sentinel's port may be any number", "reply", "src/redis/place.c",
     "number_parse(port, port_length, PORT_MAX, &number) != 0",
     "number_parse(port, port_length, 1000000, &number) != 0"),
    ("a sentinel's host may have blanks in it", "reply", "src/redis/place.c",
     "        if ((unsigned char)text[i] <= ' ' || text[i] == 0x7F)\n            return false;\n", ""),
    ("an id of any length", "reply", "src/redis/sentinel_ask.c",
     "reply->len != WITNESS_ID_SIZE - 1 ||", "reply->len < 4 ||"),
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
     "    if (verdict_parse(reply, request->of, &answer) != 0)\n"
     "        finish_strange(request);\n",
     "    if (verdict_parse(reply, request->of, &answer) != 0) {\n"
     "        answer.verdict = LEASE_GRANTED;\n        answer.record.token = 9;\n"
     "        strcpy(answer.record.id, store->config.id);\n"
     "        strcpy(answer.record.version, request->argv[9]);\n"
     "        request_finish(request, &answer);\n    }\n"),
    ("a reply that nobody asked for is ignored", "store", "src/redis/connection.c",
     "    if (request == NULL) {\n        fail_unasked(connection, reply);\n", "    if (request == NULL) {\n"),
    ("the answer to AUTH answers the acquire", "store", "src/redis/handshake.c",
     "    expect(handshake, \"password\", password != NULL);\n", ""),
    ("an array of any size", "store", "src/redis/reader.c",
     "elements > REPLY_ELEMENTS_MAX", "elements > 100000000"),
    ("a reply of any length", "store", "src/redis/reader.c",
     "reader->reply_bytes <= REPLY_BYTES_MAX", "reader->reply_bytes <= ((size_t)1 << 40)"),
    ("requests of a lost connection are kept", "store", "src/redis/connection.c",
     "    connection->first = NULL;\n    connection->last = &connection->first;\n"
     "    connection->state",
     "    connection->state"),
    ("a request that could not be sent is answered", "store", "src/redis/connection.c",
     "    if (connection->state == CONNECTION_BROKEN)\n        return;\n", ""),
    ("a request is waited for for ever", "store", "src/election/session.c",
     "        if (now_ns < pending_ends_ns(session, timing, need))\n", "        if (now_ns >= 0)\n"),
    ("the deadline counts from the reply", "store", "src/election/term.c",
     "timing_deadlines(&election->config.timing, sent_ns);",
     "timing_deadlines(&election->config.timing, election->now_ns);"),
    ("a token may come again", "store", "src/election/follow.c",
     "if (kind == REQUEST_ACQUIRE && record->token > election->follow.used_token)",
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
     "                link->callbacks.on_message(link->context, &message);",
     "            {\n                link->waiting_since_ns = clock_boottime_ns();\n"
     "                link->callbacks.on_message(link->context, &message);\n            }"),
    ("records of any size are handed on", "keeper_link", "src/keeper/keeper_link.c",
     "        if (length == (ssize_t)sizeof message) {\n            if (message.kind",
     "        if (length > 0) {\n            if (message.kind"),
    ("a reaped keeper is killed", "keeper_link", "src/keeper/keeper_link.c",
     "    if (at >= 0) {\n        (void)kill", "    if (at >= -1) {\n        (void)kill"),
    ("on_lost from inside a call", "keeper_link", "src/keeper/keeper_link.c",
     "        prepare_sweep(link);\n    set_timer(link, 0);",
     "        prepare_sweep(link);\n    set_timer(link, 0);\n"
     "    link->callbacks.on_lost(link->context, link->why);"),
    ("a certificate of anybody is taken", "tls", "src/redis/openssl_filter.c",
     "    return good;\n", "    return 1;\n"),
    ("a certificate for any name is taken", "tls", "src/redis/openssl_filter.c",
     "SSL_set1_host(filter->ssl, filter->name) == 1", "true"),
    ("what a plain server says is shown as it is", "tls", "src/redis/openssl_filter.c",
     "(char)(bytes[i] >= ' ' && bytes[i] <= '~' ? bytes[i] : '.')", "bytes[i]"),
    ("a target of any length", "http", "src/http/request.c",
     "length >= sizeof request->target)", "length >= 2048)"),
    ("a query is taken for a part of the path", "http", "src/http/request.c",
     "    target[url.field_data[UF_PATH].off + url.field_data[UF_PATH].len] = '\\0';\n", ""),
    ("a connection has an answer for what follows a request", "http", "src/http/server.c",
     "    if (connection->stage == STAGE_REQUEST)\n        take(",
     "    if (connection->stage != STAGE_CLOSING)\n        take("),
    ("HEAD is answered with a body", "http", "src/http/server.c",
     "request_method(&connection->request) != HTTP_HEAD;", "true;"),
    ("posts are taken by whoever does not want them", "http", "src/http/request.c",
     "(method == HTTP_POST && request->takes_posts)", "method == HTTP_POST"),
    ("a body has a byte more than there is room for", "http", "src/http/request.c",
     "length > HTTP_BODY_MOST - request->body_length",
     "length > sizeof request->body - request->body_length"),
    ("a header that comes twice is kept", "http", "src/http/request.c",
     "value->times == 1 &&", "value->times > 0 &&"),
    ("a header that is too long is cut", "http", "src/http/request.c",
     "!value->is_cut || header == REQUEST_HOST;", "true;"),
    ("headers behind a body count", "http", "src/http/request.c",
     "header == REQUEST_HEADERS || request->headers_ended)", "header == REQUEST_HEADERS)"),
    ("a client that is gone is kept", "http", "src/http/server.c",
     "status != 0 || connection->ended ||", "status != 0 ||"),
]
# fmt: on


def commands(build):
    """How each source file is compiled, by its path in the tree."""
    with open(os.path.join(build, "compile_commands.json"), encoding="utf-8") as file:
        return {
            os.path.relpath(os.path.join(build, entry["file"]), ROOT): entry["command"]
            for entry in json.load(file)
            if "libleaderwrap.a.p/" in entry["output"]
            or "openssl.a.p/" in entry["output"]
            or "server.a.p/" in entry["output"]
        }


def link_command(build, target):
    """The last command that ninja would run for the target."""
    name = f"tests/fuzz/fuzz_{target}"
    lines = subprocess.run(
        ["ninja", "-C", build, "-t", "commands", name],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    ).stdout.splitlines()
    return next(line for line in reversed(lines) if f" -o {name} " in line)


def make(mutant, build, scratch, compile_of):
    """Builds one mutant. Returns the program."""
    name, target, path, *texts = mutant
    # Beside the original, so to say: the broken file looks for its headers there.
    source = os.path.join(scratch, os.path.basename(path))
    with open(source, "w", encoding="utf-8") as file:
        file.write(mutants.mutated(name, path, *texts))
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
    for pattern in (
        r"oracle: \S*?fuzz/(\S+:\d+)",
        r"runtime error: (.*)",
        r"ERROR: (?:Address|Leak)Sanitizer: ([a-z -]+)",
        r"ERROR: libFuzzer: (.*)",
    ):
        found = re.search(pattern, output)
        if found:
            return found.group(1)[:34]
    return "its end"


def hunt(program, target, scratch):
    """Runs the corpus, then fuzzes."""
    environment = dict(os.environ, ASAN_OPTIONS="symbolize=0")
    new = os.path.join(scratch, "new")
    os.mkdir(new)
    inputs = ["-artifact_prefix=" + scratch + "/", new, corpus(target)]
    for way, limit in (("the corpus", "-runs=0"), ("%s runs", f"-max_total_time={SECONDS}")):
        run = subprocess.run(
            ["nice", "-n", "15", program, *arguments(target), limit, *inputs],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=scratch,
            env=environment,
            check=False,
        )
        if run.returncode != 0:
            output = run.stdout.decode("utf-8", "replace")
            runs = re.findall(r"^#(\d+)", output, re.MULTILINE) or ["a few"]
            return Caught(first_finding(output), way % runs[-1] if "%" in way else way)
    return None


def main():
    parser = mutants.parser(__doc__)
    parser.set_defaults(jobs=2)
    options = parser.parse_args()
    compile_of = commands(options.directory)

    def try_one(_number, row):
        mutant = by_row[row]
        with tempfile.TemporaryDirectory() as scratch:
            program = make(mutant, options.directory, scratch, compile_of)
            return hunt(program, mutant[1], scratch)

    by_row = {("%s: %s" % (m[1], m[0]), *m[2:]): m for m in MUTANTS}
    return mutants.try_all(list(by_row), options, try_one, label="fuzz")


if __name__ == "__main__":
    sys.exit(main())
