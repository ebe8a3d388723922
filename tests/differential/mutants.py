#!/usr/bin/env -S sh -c 'exec "${0%/*}/../python" "$0" "$@"'
"""Checks the differential test: puts one deliberate fault at a time into the model or into a script
and sees each of them caught as a difference between the two.

Prints a table of what caught which mutant (tests/lib/mutants.py), and after how many calls. With
--build-only it makes BUILD_DIRECTORY/differential and the library that it preloads, without
any fault, unless they are up to date.
"""

import glob
import os
import re
import shutil
import subprocess
import sys
import tempfile

from tests.lib import mutants
from tests.lib.mutants import ROOT, Caught

HERE = "tests/differential"
SIM = "tests/sim"
SCRIPTS = "src/redis/scripts"
LUA = [f"{SCRIPTS}/{name}.lua" for name in ("prelude", "acquire", "renew", "release")]
SOURCES = (
    [
        f"{HERE}/{name}.c"
        for name in ("main", "generator", "request", "compare", "covered", "model", "real", "words")
    ]
    + [
        f"{SIM}/{name}.c"
        for name in (
            "schedule",
            "faults",
            "operator",
            "host",
            "network",
            "server",
            "witness",
            "script",
            "elector",
            "link",
            "keeper",
            "tree",
            "hooks",
            "checks",
            "queue",
            "trace",
        )
    ]
    + sorted(glob.glob("src/election/*.c", root_dir=ROOT))
    + [
        "src/base/check.c",
        "src/base/clock.c",
        "src/base/duration.c",
        "src/base/siphash.c",
        "src/redis/errors.c",
    ]
)
FLAGS = "-std=gnu11 -D_GNU_SOURCE -O1 -g -w"
LIBRARIES = ["-lhiredis"]
SECONDS = 20

# fmt: off
# (what is wrong, file, text, replacement[, more texts and replacements])
MUTANTS = [
    # the model
    ("a hold is over a ms early", SIM + "/script.c",
     "    return hold_left_ms(call) == 0;", "    return hold_left_ms(call) <= 1;"),
    ("a hold that was watched goes by the clock", SIM + "/script.c",
     "    if (is_seen(call))\n        return call->message->seen_hold_ms == 0;\n", ""),
    ("a vacancy drops a hold", SIM + "/script.c",
     "        record->hold_until_ms = call->now_ms + left_ms;\n"
     "        record->hold_ms = left_ms;\n", ""),
    ("a vacancy does not wait for its hold", SIM + "/script.c",
     "is_hold_over(call) && (is_observed(call)", "(is_observed(call)"),
    ("a hold can be longer than it was to be", SIM + "/script.c",
     "longer(0, left_ms < span_ms ? left_ms : span_ms)", "longer(0, left_ms)"),
    ("the clock is not followed back", SIM + "/script.c",
     "    else\n        follow_clock(call);\n", ""),
    ("K expires a ms early", SIM + "/script.c",
     "call->now_ms > data->holder_expires_ms", "call->now_ms >= data->holder_expires_ms"),
    ("K expires a ms late", SIM + "/script.c",
     "call->now_ms > data->holder_expires_ms", "call->now_ms > data->holder_expires_ms + 1"),
    ("K lives a ms too long", SIM + "/script.c",
     "call->now_ms + call->message->ttl_ms;", "call->now_ms + call->message->ttl_ms + 1;"),
    ("server clock a ms early", SIM + "/script.c",
     "call->now_ms * 100 > call->record.at_ms * 100 + ttl_ms * 101 + 1000",
     "call->now_ms * 100 > call->record.at_ms * 100 + ttl_ms * 101 + 900"),
    ("server clock at the threshold", SIM + "/script.c",
     "call->now_ms * 100 > call->record.at_ms", "call->now_ms * 100 >= call->record.at_ms"),
    ("server clock goes by the record's ttl only", SIM + "/script.c",
     "int64_t ttl_ms = longer(call->record.ttl_ms, call->message->ttl_ms);",
     "int64_t ttl_ms = call->record.ttl_ms;"),
    ("the epoch is no part of the incarnation", SIM + "/script.c",
     "incarnation_under(call->server->incarnation, call->message->config_epoch);",
     "call->server->incarnation;"),
    ("Lua: the epoch is no part of the incarnation", SCRIPTS + "/prelude.lua",
     "if EPOCH ~= '' then", "if false then"),
    ("observed in another incarnation", SIM + "/script.c",
     " && message->observed_incarnation == call->incarnation &&", " &&"),
    ("observed for our ttl only", SIM + "/script.c",
     "message->observed_ms >= longer(call->record.ttl_ms, message->ttl_ms)",
     "message->observed_ms >= message->ttl_ms"),
    ("Lua: observed for the record's ttl only", SCRIPTS + "/acquire.lua",
     "SEEN_FOR >= math.max(record.ttl, MY_TTL)", "SEEN_FOR >= record.ttl"),
    ("Lua: observed a ms too short", SCRIPTS + "/acquire.lua",
     "SEEN_FOR >= math.max(record.ttl, MY_TTL)", "SEEN_FOR + 1 >= math.max(record.ttl, MY_TTL)"),
    ("the longer ttl is dropped by a vacancy", SIM + "/script.c",
     "record->ttl_ms = longer(record->ttl_ms, call->message->ttl_ms);",
     "record->ttl_ms = call->message->ttl_ms;"),
    ("the floor is dropped by a vacancy", SIM + "/script.c",
     "    record->token = higher(record->token, call->message->token);\n", ""),
    ("the floor is dropped by a vacant record", SIM + "/script.c",
     "    raise_token(call);\n", "    (void)raise_token;\n"),
    ("a vacancy is not published", SIM + "/script.c",
     "    save(call);\n    announce(call, -1);\n}", "    save(call);\n}"),
    ("assumed fresh although K is there", SIM + "/script.c",
     "call->message->assume_fresh && call->server->data.holder == 0 &&",
     "call->message->assume_fresh &&"),
    ("a token without the time", SIM + "/script.c",
     "    token = higher(token, call->microseconds);\n", ""),
    ("the token is the floor itself", SIM + "/script.c",
     "higher(record->token + 1, call->message->token + 1)",
     "higher(record->token + 1, call->message->token)"),
    ("a claim of another incarnation", SIM + "/script.c",
     "return !(is_certain(call) && record->state", "return !(record->state"),
    ("the same token is a higher one", SIM + "/script.c",
     "if (record->token > token)", "if (record->token >= token)"),
    ("a released term is renewed", SIM + "/script.c",
     "return record->state == LEASE_FREE || record->state == LEASE_CLOSED ||", "return"),
    ("a released term of another incarnation is renewed", SIM + "/script.c",
     "return record->state == LEASE_FREE || record->state == LEASE_CLOSED ||",
     "return (is_certain(call) &&\n"
     "            (record->state == LEASE_FREE || record->state == LEASE_CLOSED)) ||"),
    ("release without the state", SIM + "/script.c", "record->state != LEASE_HELD || ", ""),
    ("release without the id", SIM + "/script.c", "record->id != message->id ||", ""),
    ("release without the token", SIM + "/script.c", "record->token != message->token ||", ""),
    ("release without the incarnation", SIM + "/script.c",
     " || record->incarnation != call->incarnation ||", " ||"),
    ("release without the version", SIM + "/script.c",
     " ||\n        !is_known(call)) {", ") {"),
    ("release goes by the last version only", SIM + "/script.c",
     "(record->version == version || record->base == version)", "record->version == version"),
    ("a base of another version is kept", SIM + "/script.c",
     "return mine && (record->version == known || record->base == known) ? known : 0;",
     "return mine ? known : 0;"),
    ("a base of another incarnation is kept", SIM + "/script.c",
     "bool mine = is_certain(call) && record->state", "bool mine = record->state"),
    ("a base goes back by one version only", SIM + "/script.c",
     "record->version == known || record->base == known", "record->version == known"),
    ("release deletes a foreign K", SIM + "/script.c",
     "    if (call->server->data.holder == message->id)\n", ""),
    ("a listener too many", SIM + "/script.c", "int64_t count = call->world->plan.onlookers;",
     "int64_t count = 1;"),
    ("an age below zero", SIM + "/script.c",
     "longer(0, call->now_ms - record->at_ms)", "call->now_ms - record->at_ms"),
    ("a refused SET leaves the record written", SIM + "/script.c",
     "    save(call);\n    call->server->data.holder = call->message->id;",
     "    save(call);\n    if (call->set_refused)\n        return false;\n"
     "    call->server->data.holder = call->message->id;",
     "    if (call->set_refused)\n        return false;\n    stamp(call, LEASE_HELD);",
     "    stamp(call, LEASE_HELD);"),
    ("SET is tried at the grant only", SIM + "/script.c",
     "call->set_refused && call->message->observed_version == 0", "false"),
    ("Lua: SET is tried at the grant only", SCRIPTS + "/acquire.lua",
     "        try_rights(record, value)\n", ""),
    ("Lua: to try SET takes the lease", SCRIPTS + "/acquire.lua",
     "value and 'NX' or 'XX'", "value and 'XX' or 'NX'"),
    ("Lua: a refused SET leaves a record behind", SCRIPTS + "/prelude.lua",
     "        elseif record.missing then\n", "        elseif false then\n"),
    ("a grant does not say what it ended", SIM + "/script.c",
     "    call->message->before = before;\n", ""),
    ("a promotion keeps the replid", SIM + "/server.c", "    server->incarnation = ++",
     "    if (!same_process)\n        server->incarnation = ++"),
    ("a wish keeps nobody out", SIM + "/script.c",
     "call->foreign || wished || !may_have_it(call)", "call->foreign || !may_have_it(call)"),
    ("a renewal hears of no wish", SIM + "/script.c", "    wish(call, true);\n", ""),
    ("a pause is assumed fresh", SIM + "/script.c",
     "call->server->data.holder == 0 && !wished)", "call->server->data.holder == 0)"),
    ("a term is asked to end whatever its token", SIM + "/script.c",
     " || wishes->ask_token != call->record.token)", ")"),
    # the scripts
    ("Lua: a wish keeps nobody out", SCRIPTS + "/acquire.lua",
     "foreign ~= '' or wish ~= '' or not", "foreign ~= '' or not"),
    ("Lua: a pause is never over", SCRIPTS + "/prelude.lua",
     "left > 0 or lasts and span == 0", "left > 0 or lasts"),
    ("Lua: a pause ends a ms early", SCRIPTS + "/prelude.lua",
     "left > 0 or lasts", "left > 1 or lasts"),
    ("Lua: a pause does not follow the clock back", SCRIPTS + "/acquire.lua",
     "    follow_clock_of(record, 'pause', '^(%s*)(%d+)( .*)$')\n", ""),
    ("Lua: a host is not meant", SCRIPTS + "/prelude.lua",
     "(name == MY_NAME or name == MY_HOST)", "name == MY_NAME"),
    ("Lua: only the first cordon counts", SCRIPTS + "/prelude.lua",
     "string.gmatch(record.cordon or '', '%d+ ", "string.gmatch(record.cordon or '', '^%d+ "),
    ("Lua: a term is asked to end whatever its token", SCRIPTS + "/prelude.lua",
     "return token == text(record.tok) and", "return token and"),
    ("Lua: the holder need not go for anybody", SCRIPTS + "/prelude.lua",
     "if wish and not holds and (", "if wish and ("),
    ("Lua: nobody may have what somebody else is asked for", SCRIPTS + "/prelude.lua",
     "(wish.rest == '' or is_me(wish.rest))", "wish.rest == ''"),
    ("Lua: a refused SET forgets the wishes", SCRIPTS + "/prelude.lua",
     "if record.missing and (record.pause or record.ask or record.cordon) then",
     "if false then"),
    ("Lua: what K shows of a pause is foreign", SCRIPTS + "/prelude.lua",
     " or value == pause_sign(record) then", " then"),
    ("Lua: K shows a pause for longer than it lasts", SCRIPTS + "/acquire.lua",
     "text(pause.left > 0 and math.min(pause.left, most) or most)", "text(most)"),
    ("Lua: a pause takes K from its holder", SCRIPTS + "/acquire.lua",
     "if pause and (not value or value == sign) then", "if pause then"),
    ("Lua: a hold is over a ms early", SCRIPTS + "/acquire.lua",
     "return hold_left(record) == 0", "return hold_left(record) <= 1"),
    ("Lua: the hold is not followed back", SCRIPTS + "/acquire.lua",
     "record.hold_until = record.hold > 0 and NOW + record.hold or 0", "record.hold_until = 0"),
    ("Lua: the longer ttl is dropped by a vacancy", SCRIPTS + "/acquire.lua",
     "record.ttl = math.max(record.ttl, MY_TTL)", "record.ttl = MY_TTL"),
    ("Lua: server clock without the 10 ms", SCRIPTS + "/acquire.lua", " * 1.01 + 10", " * 1.01"),
    ("Lua: a grant ends what it has written", SCRIPTS + "/acquire.lua",
     "answer('GRANTED', record, '', before)", "answer('GRANTED', record, '', record.st)"),
    ("Lua: a claim of another incarnation", SCRIPTS + "/renew.lua",
     "is_certain(record) and record.st == 'held' and mine", "record.st == 'held' and mine"),
    ("Lua: a hold of another incarnation is renewed", SCRIPTS + "/renew.lua",
     "or record.st == 'hold' or", "or record.st == 'hold' and is_certain(record) or"),
    ("Lua: a hold that nobody can have seen is over", SCRIPTS + "/acquire.lua",
     "whole_or(ARGV[14], MOST_TTL, MOST_TTL)", "number(ARGV[14], MOST_TTL)"),
    ("Lua: release without the version", SCRIPTS + "/release.lua",
     " and is_known(record)", ""),
    ("Lua: release goes by the last version only", SCRIPTS + "/release.lua",
     "(record.ver == VERSION or record.base == VERSION)", "record.ver == VERSION"),
    ("Lua: a base of another version is kept", SCRIPTS + "/renew.lua",
     "mine and (record.ver == KNOWN or record.base == KNOWN) and KNOWN", "mine and KNOWN"),
    ("Lua: a base goes back by one version only", SCRIPTS + "/renew.lua",
     "(record.ver == KNOWN or record.base == KNOWN)", "record.ver == KNOWN"),
    ("Lua: release deletes a foreign K", SCRIPTS + "/release.lua",
     "if value == ME then", "if value then"),
    ("Lua: an empty K is no K", SCRIPTS + "/prelude.lua",
     "return '(empty)', value", "return '', value"),
    ("Lua: a replica is as good as a master", SCRIPTS + "/prelude.lua",
     "if role and role ~= 'master' then", "if false then"),
    ("Lua: K lives a ms too long", SCRIPTS + "/prelude.lua",
     "'PX', text(MY_TTL)", "'PX', text(MY_TTL + 1)"),
    ("Lua: numbers of 14 digits", SCRIPTS + "/prelude.lua",
     "string.format('%.0f', number)", "string.format('%.14g', number)"),
    ("Lua: the event tells the time of the write for the ttl", SCRIPTS + "/prelude.lua",
     "text(record.tok), text(record.ttl), text(listeners)",
     "text(record.tok), text(record.at), text(listeners)"),
]
# fmt: on


class Builder(mutants.Builder):
    def __init__(self, options):
        super().__init__(options.cc, FLAGS, ("include", "src", "tests"), options.directory)

    def embed(self, output, scripts):
        """Makes the C file of the scripts, as they are sent, and compiles it."""
        embed = [sys.executable, f"{ROOT}/{SCRIPTS}/embed.py"]
        subprocess.run([*embed, output + ".c", *scripts], check=True)
        self.compile(output + ".c", SCRIPTS, output + ".o")

    def build_program(self, pool):
        headers = ("include/leaderwrap/*/*.h", "src/election/*.h", "src/redis/*.h", f"{SIM}/*.h")
        if self.is_current("differential", SOURCES, (*headers, f"{HERE}/*.[ch]", f"{SCRIPTS}/*")):
            return
        self.compile_all(pool, SOURCES)
        self.embed(self.path("scripts"), [os.path.join(ROOT, path) for path in LUA])
        frozen = [f"{ROOT}/{HERE}/frozen.c", "-o", self.path("libfrozen.so")]
        subprocess.run([*self.compiler, "-shared", "-fPIC", *frozen], check=True)
        objects = [self.object(path) for path in SOURCES] + [self.path("scripts.o")]
        self.link(objects, self.path("differential"), LIBRARIES)

    prepare = build_program

    def build(self, number, mutant):
        """Returns the program of that mutant; the other objects are everybody's."""
        path = mutant[1]
        base = self.path(f"mutant{number}")
        copy = base + os.path.splitext(path)[1]
        with open(copy, "w", encoding="utf-8") as file:
            file.write(mutants.mutated(*mutant))
        objects = [self.object(other) for other in SOURCES if other != path]
        if path in LUA:
            # The embedded name of a script is that of its file.
            folder = base + "-scripts"
            os.makedirs(folder, exist_ok=True)
            scripts = [shutil.copy(os.path.join(ROOT, other), folder) for other in LUA]
            os.replace(copy, scripts[LUA.index(path)])
            self.embed(base, scripts)
        else:
            self.compile(copy, path, base + ".o")
            objects.append(self.path("scripts.o"))
        self.link(objects + [base + ".o"], base, LIBRARIES)
        return base


def hunt(program):
    with tempfile.TemporaryDirectory() as folder:
        result = subprocess.run(
            [program, "--brief", "--seconds", str(SECONDS), folder],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            check=False,
        )
    what = re.search(r"^DIFFERENCE in (.*), seed", result.stdout, re.MULTILINE)
    calls = re.search(r"^caught after (\d+) calls$", result.stdout, re.MULTILINE)
    if result.returncode == 1 and what and calls:
        return Caught(what.group(1), calls.group(1) + " calls")
    print(result.stdout)
    return None


sys.exit(mutants.main(__doc__, MUTANTS, Builder, hunt))
