#!/usr/bin/env -S sh -c 'exec "${0%/*}/../python" "$0" "$@"'
"""Checks the simulator: builds it with one deliberate fault at a time and sees each of them caught.

Prints a table of what caught which mutant (tests/lib/mutants.py), and after how many schedules.
With --build-only it makes BUILD_DIRECTORY/sim, without any fault, unless that is up to date.
"""

import glob
import subprocess
import sys

from tests.lib import mutants
from tests.lib.mutants import ROOT, Caught

SIM = "tests/sim"
ELECTION = "src/election"
SOURCES = (
    [
        SIM + "/" + name
        for name in (
            "main.c",
            "schedule.c",
            "faults.c",
            "operator.c",
            "host.c",
            "network.c",
            "server.c",
            "witness.c",
            "script.c",
            "elector.c",
            "link.c",
            "keeper.c",
            "tree.c",
            "hooks.c",
            "checks.c",
            "queue.c",
            "trace.c",
        )
    ]
    + sorted(glob.glob(ELECTION + "/*.c", root_dir=ROOT))
    + [
        "src/base/check.c",
        "src/base/clock.c",
        "src/base/duration.c",
        "src/base/siphash.c",
    ]
)
# Replaced by a stub: what a mutant breaks has to be seen in the world.
INVARIANTS = ELECTION + "/invariants.c"
UNCHECKED = SIM + "/unchecked.c"
FLAGS = "-std=gnu11 -D_GNU_SOURCE -O2 -w"
SCHEDULES = 400000
SECONDS = 120

# fmt: off
# (what is wrong, file, text, replacement[, more texts and replacements])
MUTANTS = [
    # time
    ("deadline counted from a renewal's reply", ELECTION + "/term.c",
     "    election->term.deadlines = timing_deadlines(timing, sent_ns);",
     "    election->term.deadlines = timing_deadlines(timing, election->now_ns);"),
    ("deadline counted from the grant's reply", ELECTION + "/term.c",
     "    term->deadlines = timing_deadlines(&election->config.timing, sent_ns);",
     "    term->deadlines = timing_deadlines(&election->config.timing, election->now_ns);"),
    ("margin dropped", ELECTION + "/timing.c",
     "timing->kill_after_ms = timing->expire_after_ms - timing->margin_ms",
     "timing->kill_after_ms = timing->expire_after_ms"),
    ("no allowance for clocks of different rates", ELECTION + "/timing.c",
     "timing->drift_ms = (ttl_ms + 99) / 100 + DRIFT_FIXED_MS", "timing->drift_ms = -ttl_ms / 100"),
    ("MONOTONIC instead of BOOTTIME", SIM + "/host.c",
     "    return boottime_ns;", "    return boottime_ns - host->slept_ns;"),
    ("a late grant is led on as if it were fresh", ELECTION + "/election.c",
     "        claim(election, actions, reply->record.token);\n    } else {",
     "        term_granted(election, reply, election->now_ns);\n"
     "        lead(election, actions);\n    } else {"),

    # observing
    ("observation counted from the send", ELECTION + "/follow.c",
     "observation_see(&election->observation, record, election->now_ns);",
     "observation_see(&election->observation, record, election->session.pending.sent_ns);"),
    ("observation of half a TTL", SIM + "/script.c",
     "message->observed_ms >= longer(call->record.ttl_ms, message->ttl_ms);",
     "message->observed_ms >= longer(call->record.ttl_ms, message->ttl_ms) / 2;",
     ),
    ("observation goes on over a new version", ELECTION + "/observation.c",
     "    known->since_ns = since_ns;",
     "    if (known->since_ns < 0)\n        known->since_ns = since_ns;"),
    ("own TTL observed where the record's is longer", SIM + "/script.c",
     "message->observed_ms >= longer(call->record.ttl_ms, message->ttl_ms);",
     "message->observed_ms >= message->ttl_ms;"),
    ("observation starts anew at each look", ELECTION + "/observation.c",
     "    if (is_version(&observation->seen, incarnation, version))\n        return false;\n", ""),

    # pushes are hints
    ("observation starts anew with what is heard", ELECTION + "/observation.c",
     "        note_version(&observation->heard, push->incarnation, push->version, now_ns);",
     "        observation->seen.since_ns = now_ns;"),
    ("a pushed version counts as seen", ELECTION + "/observation.c",
     "        note_version(&observation->heard, push->incarnation, push->version, now_ns);",
     "        note_version(&observation->seen, push->incarnation, push->version, now_ns);"),
    ("a version heard counts for what a reply shows", ELECTION + "/observation.c",
     "    bool heard = is_version(&observation->heard, incarnation, version);",
     "    bool heard = observation->heard.since_ns >= 0;"),
    ("nonces can be foretold", ELECTION + "/actions.c",
     "siphash(election->config.nonce_key, &number, sizeof number);",
     "((void)number, jitter_next(&election->jitter));"),
    ("pushes postpone a question for ever", ELECTION + "/follow.c",
     "            min_ns(ask_after_push_ns(election),\n"
     "                   in_a_crowd_ns(election, ripe_ns > election->now_ns ? ripe_ns : INT64_MAX));",
     "            ripe_ns == 0 ? 0 : election->now_ns + ms_to_ns(election->config.timing.retry_ms);"),
    ("news of a leader put a question off each time", ELECTION + "/follow.c",
     "    if (!taken || follow->put_off || election->config.once) {",
     "    if (!taken || election->config.once) {",
     "min_ns(at_ns, follow->answered_ns + ms_to_ns(election->config.timing.ttl_ms))",
     "election->now_ns + ms_to_ns(election->config.timing.retry_ms)"),

    # unknown outcomes and late answers
    ("unknown outcome taken as granted", ELECTION + "/election.c",
     "        follow_unanswered(election, actions);\n"
     "        election->state = ELECTION_FOLLOWING;",
     "        struct lease_reply reply = {.record.token = election->follow.floor_token + 1};\n"
     "        term_granted(election, &reply, election->session.pending.sent_ns);\n"
     "        lead(election, actions);"),
    ("unknown outcome taken as renewed", ELECTION + "/election.c",
     "        term_unanswered(election, actions);",
     "        if (election->state == ELECTION_LEADING) {\n"
     "            struct lease_reply reply = {.verdict = LEASE_RENEWED};\n"
     "            term_reply(election, actions, &reply, election->session.pending.sent_ns);\n"
     "        }\n"
     "        term_unanswered(election, actions);"),
    ("a lost grant is led on without a renewal", ELECTION + "/election.c",
     "    case GRANT_UNHEARD:\n        claim(election, actions, reply->record.token);",
     "    case GRANT_UNHEARD:\n        granted(election, actions, reply, sent_ns);"),
    ("late reply accepted", ELECTION + "/session.c",
     " && reply->request == session->pending.number;", "; (void)reply;"),
    ("an ended term of one's own is claimed again", ELECTION + "/follow.c",
     "record->state == LEASE_HELD &&\n           record->token > election->follow.used_token &&",
     "record->state == LEASE_HELD &&"),
    ("a request is waited for for ever", ELECTION + "/session.c",
     "        if (now_ns < pending_ends_ns(session, timing, need))\n", "        if (now_ns >= 0)\n"),

    # what fails has a bound
    ("any answer makes failures forgotten", ELECTION + "/session.c",
     "session->good &&\n        now_ns - session->opened_ns >= ms_to_ns(LINK_PROVEN_MS))\n",
     "session->good)\n"),
    ("a dead link is asked for ever", ELECTION + "/session.c",
     "#define UNANSWERED_MOST 2", "#define UNANSWERED_MOST 1000000"),
    ("no back-off", ELECTION + "/session.c",
     "min_ns(delay_ms == 0 ? BACKOFF_FIRST_MS : delay_ms * 2, BACKOFF_MOST_MS);", "0;"),
    ("no pause after an error, and no allowance", ELECTION + "/session.c",
     "    session->retry_at_ns = now_ns + ms_to_ns(pause_ms);",
     "    (void)pause_ms;",
     "    return max_ns(session->retry_at_ns, allowed_ns);",
     "    (void)allowed_ns;\n    return session->retry_at_ns;"),

    # the lock delay
    ("no lock delay", ELECTION + "/term.c",
     "    return released ? 0 : ms_to_ns(election->config.lock_delay_ms);",
     "    (void)released;\n    return 0;"),
    ("a lost grant needs no lock delay", ELECTION + "/term.c",
     "before == LEASE_FREE || before == LEASE_CLOSED;",
     "before == LEASE_FREE || before == LEASE_CLOSED || before == LEASE_ABSENT;"),
    ("a vacant record taken for a released one", ELECTION + "/term.c",
     "before == LEASE_FREE || before == LEASE_CLOSED;",
     "before == LEASE_FREE || before == LEASE_CLOSED || before == LEASE_VACANT;"),
    ("the rest of a lock delay is not left behind", ELECTION + "/release.c",
     "    if (election->now_ns < term->delay_until_ns)\n", "    if (false)\n"),

    # holds
    ("a hold ends with the incarnation", SIM + "/script.c",
     "        record->hold_until_ms = call->now_ms + left_ms;\n"
     "        record->hold_ms = left_ms;\n", ""),
    ("a vacancy does not wait for its hold", SIM + "/script.c",
     "is_hold_over(call) && (is_observed(call)", "(is_observed(call)"),
    ("a hold goes by the server's clock alone", SIM + "/script.c",
     "    if (is_seen(call))\n        return call->message->seen_hold_ms == 0;\n", "",
     "longer(0, left_ms < span_ms ? left_ms : span_ms)", "longer(0, left_ms)",
     "    else\n        follow_clock(call);\n", ""),

    # ending
    ("released when the command ends, not its tree", ELECTION + "/election.c",
     "        term_child_exit(election, actions, event->failed);",
     "        term_child_exit(election, actions, event->failed);\n"
     "        after_term(election, actions, TERM_OVER);"),
    ("released while the hook of its start lives", ELECTION + "/release.c",
     "    if (release->hooks_left[HOOK_ACQUIRE] > 0)\n        return",
     "    if (false)\n        return"),
    ("released while a health check lives", ELECTION + "/term.c",
     "    return term->check ? TERM_ON : run_over(election, actions);",
     "    return run_over(election, actions);"),
    ("released although the hook of its start is stuck", ELECTION + "/release.c",
     "release->hook_killed ? hook_is_stuck_at_ns(election)",
     "release->hook_killed ? election->now_ns"),
    ("released when told to stop", ELECTION + "/term.c",
     "        action_add(actions, ACTION_STOP_TREE)->run.number = term->run;\n    }\n    return TERM_STOPS;",
     "        action_add(actions, ACTION_STOP_TREE)->run.number = term->run;\n"
     "        return over(election, actions);\n    }\n    return TERM_STOPS;"),
    ("the echo of a stop kills at once", ELECTION + "/election.c",
     "election->stop_asked_ns >= ms_to_ns(ELECTION_STOP_ECHO_MS);",
     "election->stop_asked_ns >= 0;"),
    ("hung keeper given a second after a stop", ELECTION + "/term.c",
     "    return min_ns(due_ns + margin_ns * 3 / 4, election->now_ns + "
     "ms_to_ns(KEEPER_PATIENCE_MS));",
     "    (void)due_ns;\n    (void)margin_ns;\n"
     "    return election->now_ns + ms_to_ns(KEEPER_PATIENCE_MS);"),
    ("hung keeper never given up", ELECTION + "/term.c",
     "            action_add(actions, ACTION_ABANDON_KEEPER);", "            (void)actions;"),
    ("keeper starts a command after its deadline", SIM + "/keeper.c",
     "    bool too_late = clock_of(world, process) >= keeper->stop_at_ns;",
     "    bool too_late = false;"),
    ("keeper keeps no deadline", SIM + "/keeper.c",
     "        return min_ns(keeper->stop_at_ns, keeper->kill_at_ns);", "        return NEVER;"),
    ("keeper never kills", SIM + "/keeper.c",
     "        return min_ns(keeper->sweep_at_ns, keeper->kill_at_ns);", "        return NEVER;"),
    ("tree taken for dead with its main process", SIM + "/keeper.c",
     "        if (!tree_alive(&process->tree)) {\n            finish",
     "        if (!process->tree.main) {\n            finish"),
    ("last will before the tree is gone", SIM + "/keeper.c",
     "    begin_sweep(world, process);\n    if (keeper->state == RUN_IDLE)\n",
     "    begin_sweep(world, process);\n    if (true)\n"),
    ("elector sweeps nothing after its keeper", SIM + "/link.c",
     "    if (tree_alive(&process->tree))\n        tree_kill(world, process, false);\n    else\n",
     ""),

    # the scripts' rules
    ("a missing record taken as free", SIM + "/script.c",
     "record->missing && call->message->assume_fresh && call->server->data.holder == 0",
     "record->missing"),
    ("no nonce", SIM + "/script.c",
     "    call->record.version = call->message->nonce;", "    call->record.version = 1;"),
    ("the process alone is the incarnation", SIM + "/script.c",
     "incarnation_under(call->server->incarnation, call->message->config_epoch);",
     "incarnation_under(call->server->instance, call->message->config_epoch);"),
    ("no incarnation at all", SIM + "/script.c",
     "incarnation_under(call->server->incarnation, call->message->config_epoch);", "1;"),
    ("the record is written before the right to K is tried", SIM + "/script.c",
     "    save(call);\n    call->server->data.holder = call->message->id;",
     "    save(call);\n    if (call->set_refused)\n        return false;\n"
     "    call->server->data.holder = call->message->id;",
     "    if (call->set_refused)\n        return false;\n    stamp(call, LEASE_HELD);",
     "    stamp(call, LEASE_HELD);",
     "    if (call->set_refused && call->message->observed_version == 0) {", "    if (false) {"),
    ("free of another incarnation accepted", SIM + "/script.c",
     "    else if (!is_certain(call))\n        vacate(call);\n    else",
     "    else if (!is_certain(call) && call->record.state != LEASE_FREE)\n"
     "        vacate(call);\n    else"),
    ("token without the time", SIM + "/script.c",
     "    token = higher(token, call->microseconds);\n", ""),
    ("a higher token does not end a term", SIM + "/script.c",
     "    if (record->token > token)\n        return true;",
     "    if (record->token > token)\n        return false;",
     "    return record->state == LEASE_FREE || record->state == LEASE_CLOSED ||\n"
     "           (record->state == LEASE_HELD && !mine);",
     "    return false;"),
    ("any term's release frees the lease", SIM + "/script.c",
     "record->id != message->id ||\n        record->token != message->token || ", "",
     " ||\n        !is_known(call)) {", ") {"),
    ("released though a late renewal wrote it again", SIM + "/script.c",
     " ||\n        !is_known(call)) {", ") {"),
    ("a renewal over a gap goes back to what was before it", SIM + "/script.c",
     "return mine && (record->version == known || record->base == known) ? known : 0;",
     "(void)mine;\n    return known;"),
    ("a version seen after the term is released", ELECTION + "/release.c",
     "election->term.version) != 0 && nobody_can_have_led(election);",
     "election->term.version) != 0 && !election->release.in_doubt;"),
    ("what a restart made uncertain is left behind", ELECTION + "/release.c",
     "    } else if (may_restore(election, record)) {", "    } else if (false) {"),
    ("restored though a release may have been executed", ELECTION + "/release.c",
     "record->token > token || election->end == END_LOST)", "record->token > token)",
     "(uncertain || held) && nobody_can_have_led(election);",
     "(uncertain || held) && election->now_ns < election->term.deadlines.expires_at_ns;"),
    ("the shorter TTL kept for a vacancy", SIM + "/script.c",
     "    record->ttl_ms = longer(record->ttl_ms, call->message->ttl_ms);",
     "    record->ttl_ms = call->message->ttl_ms;"),
    ("server-clock takeover after half a TTL", SIM + "/script.c",
     "call->record.at_ms * 100 + ttl_ms * 101 + 1000", "call->record.at_ms * 100 + ttl_ms * 50"),
    ("a write counts without its replicas", SIM + "/server.c",
     "server->detached && wrote", "server->detached && wrote && false"),

    # witnesses
    ("witnesses are asked before a request, not after it", ELECTION + "/election.c",
     "    } else if (placement_matters(placement, reply)) {",
     "    } else if (placement_matters(placement, reply) && reply->verdict == LEASE_REFUSED) {"),
    ("a grant counts without witnesses", ELECTION + "/placement.c",
     "    if (!placement->needed)\n",
     "    if (!placement->needed || reply->verdict == LEASE_GRANTED)\n"),
    ("a renewal counts without witnesses", ELECTION + "/placement.c",
     "    if (!placement->needed)\n",
     "    if (!placement->needed || reply->verdict == LEASE_RENEWED)\n"),
    ("observation begins before the link is placed", ELECTION + "/placement.c",
     "    return !placement->needed || placement->here != 0;", "    return true;"),
    ("one witness places a link", ELECTION + "/placement.c",
     "++named->votes <= placement->electorate / 2",
     "++named->votes <= (placement->holds ? placement->electorate / 2 : 0)"),
    ("one witness is a majority", ELECTION + "/placement.c",
     "++named->votes <= placement->electorate / 2", "++named->votes < 1"),
    ("half of the witnesses are a majority", ELECTION + "/placement.c",
     "++named->votes <= placement->electorate / 2",
     "2 * ++named->votes < placement->electorate"),
    ("a request does not say under which epoch", ELECTION + "/actions.c",
     "    request->epoch = election->placement.epoch;\n", ""),
    ("the witnesses tell no epoch", SIM + "/witness.c",
     """        .placement = message->config_epoch << 8 | (message->named + 1U),
        .epoch = message->config_epoch,
""", "        .placement = message->named + 1U,\n"),
    ("an answer of another epoch counts", ELECTION + "/election.c",
     "    bool moved = name->placement != placement->here;", "    bool moved = false;"),
    ("nobody asks the witnesses that there are", SIM + "/host.c",
     ".witnesses = world->plan.witnesses > 0,", ".witnesses = false,"),
    ("a vacancy made under an old epoch is believed", ELECTION + "/placement.c",
     "        return reply->record.state == LEASE_VACANT;", "        return false;"),
    ("a poll is not repeated", ELECTION + "/placement.c",
     "    return placement->open ? placement->again_at_ns : INT64_MAX;", "    return INT64_MAX;"),
    # what an operator wishes
    ("a paused term goes on", ELECTION + "/term.c",
     "if (leading && reply->wish.kind != LEASE_WISH_NONE)", "if (false)"),
    ("a wish of another term ends this one", SIM + "/script.c",
     " || wishes->ask_token != call->record.token)", ")"),
    ("who is kept from the lease asks no more", ELECTION + "/follow.c",
     "return min_ns(ask_ns, in_a_crowd_ns(election, wish_over_at_ns(election, &reply->wish)));",
     "return wish_over_at_ns(election, &reply->wish);"),
    ("who steps down stands back for ever", ELECTION + "/follow.c",
     "election->follow.stand_back_until_ns = election->now_ns + ms_to_ns(penalty_ms);",
     "election->follow.stand_back_until_ns =\n"
     "        election->end == END_ASKED ? INT64_MAX : election->now_ns + ms_to_ns(penalty_ms);"),
]
# fmt: on


class Builder(mutants.Builder):
    def __init__(self, options):
        super().__init__(options.cc, FLAGS, ("include", "src"), options.directory)

    def build_program(self, pool):
        patterns = ("include/leaderwrap/*/*.h", ELECTION + "/*.h", SIM + "/*.h")
        if not self.is_current("sim", SOURCES, patterns):
            self.compile_all(pool, SOURCES)
            self.link([self.object(path) for path in SOURCES], self.path("sim"))

    def prepare(self, pool):
        self.compile_all(pool, SOURCES + [UNCHECKED])

    def build(self, number, mutant):
        """Returns the program of that mutant; the other objects are everybody's."""
        path = mutant[1]
        base = self.path(f"mutant{number}")
        with open(base + ".c", "w", encoding="utf-8") as file:
            file.write(mutants.mutated(*mutant))
        self.compile(base + ".c", path, base + ".o")
        others = [UNCHECKED if other == INVARIANTS else other for other in SOURCES]
        objects = [self.object(other) for other in others if other != path] + [base + ".o"]
        self.link(objects, base)
        return base


def hunt(program):
    result = subprocess.run(
        [program, "--brief", "--workers", "1", "--runs", str(SCHEDULES), "--seconds", str(SECONDS)],
        stdout=subprocess.PIPE,
        encoding="utf-8",
        check=False,
    )
    last = (result.stdout.strip().splitlines() or ["crash|0|0|"])[-1]
    violation, _, schedules, _ = last.split("|", 3)
    return None if result.returncode == 0 else Caught(violation, schedules + " schedules")


sys.exit(mutants.main(__doc__, MUTANTS, Builder, hunt))
