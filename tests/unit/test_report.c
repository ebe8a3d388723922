/* What people read of notes and messages. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "captured.h"
#include "leaderwrap/base/clock.h"
#include "leaderwrap/base/log.h"
#include "notes.h"
#include "wrapper/report.h"

#define BEGAN_NS  (INT64_C(1000000) * NS_PER_MS)
#define SECOND_NS (1000 * NS_PER_MS)

struct fixture {
    struct options options;
    struct status status;
    struct report report;
    int64_t now_ns;
    struct captured captured;
};

static void begin(struct fixture *f)
{
    static char *const command[] = {(char *)"job", NULL};
    const struct timing_request request = timing_request_of(15000);
    char error[256];

    memset(f, 0, sizeof *f);
    assert_int_equal(timing_derive(&request, &f->options.timing, error, sizeof error), 0);
    f->options.redis.url = (struct redis_url){.is_unix = true, .path = (char *)"/r"};
    f->options.command = command;
    f->options.key = (char *)"the:key";
    f->options.name = (char *)"me";
    f->now_ns = BEGAN_NS;
    status_init(&f->status, &f->options.timing, f->now_ns);
    report_init(&f->report, &f->options, "me#1", &f->status);
    capture_begin(&f->captured);
}

static const char *end(struct fixture *f)
{
    return capture_end(&f->captured);
}

static void tell(struct fixture *f, const struct election_note *note)
{
    status_note(&f->status, note, f->now_ns);
    report_note(&f->report, note, f->now_ns);
}

static struct election_note refusal_of(enum lease_state state, const char *name, uint64_t token)
{
    struct election_note note = note_of(NOTE_WAITING, ELECTION_FOLLOWING);

    note.refusal.answered = true;
    note.refusal.takeover_at_ns = INT64_MAX;
    note.refusal.record.state = state;
    note.refusal.record.token = token;
    note.refusal.record.ttl_ms = 15000;
    snprintf(note.refusal.record.name, sizeof note.refusal.record.name, "%s", name);
    snprintf(note.refusal.record.id, sizeof note.refusal.record.id, "%s#2", name);
    return note;
}

static struct lease_wish wish_of(enum lease_wish_kind kind, int64_t left_ms, const char *text)
{
    struct lease_wish wish = {.kind = kind, .left_ms = left_ms};

    snprintf(wish.by, sizeof wish.by, "root@adm1");
    snprintf(wish.text, sizeof wish.text, "%s", text);
    return wish;
}

static void a_wish_is_told_once_and_when_it_is_gone(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f);
    struct election_note note = refusal_of(LEASE_FREE, "a", 7);
    note.refusal.wish = wish_of(LEASE_WISH_PAUSED, 0, "db migration");
    tell(&f, &note);
    tell(&f, &note);
    assert_string_equal(f.report.doing, "standing by: paused by root@adm1: db migration");
    note.refusal.wish = wish_of(LEASE_WISH_CORDONED, 0, "");
    tell(&f, &note);
    note.refusal.wish = wish_of(LEASE_WISH_STEP_DOWN, 5000, "web-2");
    tell(&f, &note);
    note = refusal_of(LEASE_HELD, "b", 8);
    tell(&f, &note);
    assert_string_equal(f.report.doing, "standing by: b leads with token 8");
    const char *text = end(&f);
    assert_int_equal(count(text, "standing by: paused by root@adm1: db migration; until `leaderctl "
                                 "resume`\n"),
                     1);
    assert_int_equal(
        count(text, "standing by: cordoned by root@adm1; until `leaderctl uncordon`\n"), 1);
    assert_int_equal(
        count(text, "standing by: root@adm1 keeps the lease for web-2; for another 5 s\n"), 1);
    assert_int_equal(count(text, "standing by: b leads"), 1);
}

static void a_term_that_ends_for_a_wish_says_whose(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f);
    struct election_note note = note_of(NOTE_TERM_ENDING, ELECTION_STOPPING);
    note.end = END_PAUSED;
    note.wish = wish_of(LEASE_WISH_PAUSED, 0, "");
    tell(&f, &note);
    note.end = END_ASKED;
    note.wish = wish_of(LEASE_WISH_STEP_DOWN, 0, "web-2");
    tell(&f, &note);
    note.wish = wish_of(LEASE_WISH_STEP_DOWN, 0, "");
    tell(&f, &note);
    const char *text = end(&f);
    assert_int_equal(count(text, "paused by root@adm1; stopping the command\n"), 1);
    assert_int_equal(
        count(text, "asked to step down by root@adm1, for web-2; stopping the command\n"), 1);
    assert_int_equal(count(text, "asked to step down by root@adm1; stopping the command\n"), 1);
}

static void who_keeps_us_waiting_is_told_when_it_changes(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f);
    struct election_note note = refusal_of(LEASE_HELD, "a", 7);
    note.refusal.record.age_ms = 3000;
    tell(&f, &note);
    note.refusal.record.age_ms = 4000;
    tell(&f, &note);
    assert_string_equal(f.report.doing, "standing by: a leads with token 7");
    /* Overdue, and not renewed since. */
    note.refusal.record.age_ms = 9000;
    note.refusal.takeover_at_ns = f.now_ns + 6 * SECOND_NS;
    tell(&f, &note);
    note = refusal_of(LEASE_CLOSED, "a", 7);
    note.refusal.record.hold_left_ms = 60000;
    tell(&f, &note);
    note = refusal_of(LEASE_VACANT, "", 0);
    note.refusal.takeover_at_ns = f.now_ns + 15 * SECOND_NS;
    tell(&f, &note);
    note = refusal_of(LEASE_HELD, "me", 6);
    snprintf(note.refusal.record.id, sizeof note.refusal.record.id, "me#1");
    tell(&f, &note);
    const char *text = end(&f);
    assert_int_equal(
        count(text, "leaderwrap: standing by: a leads with token 7; its lease has 12 s left\n"), 1);
    assert_int_equal(count(text,
                           "leaderwrap: standing by: a does not renew any more (last heard 9 s "
                           "ago); taking over in 6 s\n"),
                     1);
    assert_int_equal(
        count(text,
              "leaderwrap: standing by: a has left and keeps the lease closed for another 1 min\n"),
        1);
    assert_int_equal(
        count(text,
              "leaderwrap: standing by: redis has no record of any leader; taking over in 15 s\n"),
        1);
    assert_int_equal(count(text, "a term of our own that is over still has the lease\n"), 1);
    assert_int_equal(count(text, "\n"), 5);
}

static void a_term_in_lines(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f);
    struct election_note note = note_of(NOTE_LOCK_DELAY, ELECTION_LEADING);
    note.grant = (struct election_grant){.token = 9, .start_at_ns = f.now_ns + 5 * SECOND_NS};
    tell(&f, &note);
    assert_string_equal(f.report.doing, "leading with token 9; starting the command in 5 s");
    note.kind = NOTE_RENEWED;
    note.grant.start_at_ns = INT64_MAX;
    tell(&f, &note);
    assert_string_equal(f.report.doing, "leading with token 9");
    note = note_of(NOTE_RESTART, ELECTION_LEADING);
    note.delay_ms = 1000;
    tell(&f, &note);
    assert_string_equal(f.report.doing, "leading; starting the command again in 1 s");
    status_closed(&f.status, "gone");
    note = note_of(NOTE_RETRY, ELECTION_LEADING);
    tell(&f, &note);
    assert_string_equal(f.report.doing, "leading, but gone");
    note = note_of(NOTE_TERM_ENDING, ELECTION_STOPPING);
    note.end = END_STOPPED;
    tell(&f, &note);
    note = note_of(NOTE_TERM_OVER, ELECTION_RELEASING);
    tell(&f, &note);
    note = note_of(NOTE_RELEASED, ELECTION_FOLLOWING);
    tell(&f, &note);
    const char *text = end(&f);
    assert_int_equal(count(text, "elected: me leads with token 9; the last term is not known to "
                                 "have ended with a release: starting the command in 5 s"),
                     1);
    assert_int_equal(count(text, "warning: starting the command again in 1 s"), 1);
    assert_int_equal(count(text, "asked to stop; stopping the command"), 1);
    assert_int_equal(count(text, "the command and all it started are gone"), 1);
    assert_int_equal(count(text, "lease released; another may lead now"), 1);
}

static void a_term_that_ends_because_we_stood_still(void **state)
{
    struct election_note note = note_of(NOTE_TERM_ENDING, ELECTION_STOPPING);
    struct fixture f;

    (void)state;
    begin(&f);
    note.end = END_DEADLINE;
    assert_true(status_begin_step(&f.status, f.now_ns - 20 * SECOND_NS, f.now_ns));
    report_stall(&f.report, f.now_ns);
    tell(&f, &note);
    status_end_step(&f.status);
    tell(&f, &note);
    const char *text = end(&f);
    assert_int_equal(count(text,
                           "leaderwrap itself stood still for at least 20 s: it was stopped or "
                           "suspended, or had no processor\n"),
                     1);
    assert_int_equal(count(text, "error: no renewal came through in time, for leaderwrap stood "
                                 "still; stopping the command before the lease can expire\n"),
                     1);
    assert_int_equal(count(text, "error: no renewal came through in time; stopping"), 1);
}

static void who_has_the_lease_that_was_lost(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f);
    struct election_note note = note_of(NOTE_TERM_ENDING, ELECTION_STOPPING);
    note.end = END_LOST;
    note.record.token = 12;
    snprintf(note.record.name, sizeof note.record.name, "b");
    tell(&f, &note);
    snprintf(note.record.foreign, sizeof note.record.foreign, "mine");
    tell(&f, &note);
    const char *text = end(&f);
    assert_int_equal(
        count(text, "the lease is lost: b holds it with token 12; killing the command\n"), 1);
    assert_int_equal(count(text, "somebody wrote \"mine\" into the key; killing the command\n"), 1);
}

static void why_a_job_is_not_run(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f);
    struct election_note note = refusal_of(LEASE_CLOSED, "a", 7);
    note.kind = NOTE_BUSY;
    note.end = END_BUSY;
    note.refusal.record.age_ms = 60000;
    note.refusal.record.hold_left_ms = 30000;
    tell(&f, &note);
    /* What was said then still holds. */
    note.refusal.answered = false;
    tell(&f, &note);
    const char *text = end(&f);
    assert_int_equal(count(text, "not running the command: a ran it 1 min ago; closed for 30 s "
                                 "more (--hold)\n"),
                     2);
}

static void what_others_do_differently_is_told_once(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f);
    snprintf(f.options.fingerprint, sizeof f.options.fingerprint, "00000001");
    struct election_note note = refusal_of(LEASE_HELD, "me", 7);
    note.refusal.record.ttl_ms = 30000;
    snprintf(note.refusal.record.command, sizeof note.refusal.record.command, "00000002");
    tell(&f, &note);
    tell(&f, &note);
    const char *text = end(&f);
    assert_int_equal(count(text, "me leads with a TTL of 30 s and ours is 15 s"), 1);
    assert_int_equal(count(text, "the leader is another process with our own name, me"), 1);
    assert_int_equal(count(text, "me holds the lease \"the:key\" with another command line"), 1);
}

static void what_an_answer_says_of_the_server(void **state)
{
    struct fixture f;
    struct lease_reply reply = {.verdict = LEASE_GRANTED, .warning = "no history"};

    (void)state;
    begin(&f);
    report_answer(&f.report, &reply, false, f.now_ns);
    report_answer(&f.report, &reply, false, f.now_ns + SECOND_NS);
    assert_int_equal(count(end(&f), "warning: the lease works, but no history\n"), 1);
}

static void what_the_keeper_says(void **state)
{
    static const struct keeper_message messages[] = {
        {.kind = KEEPER_STARTED, .value = 4242},
        {.kind = KEEPER_EXEC_FAILED, .value = ENOENT},
        {.kind = KEEPER_NOT_STARTED, .value = ETIME},
        {.kind = KEEPER_CHILD_EXIT, .value = 3 << 8},
        {.kind = KEEPER_CHILD_EXIT, .value = 9},
        {.kind = KEEPER_CHILD_EXIT, .value = 15, .error = KEEPER_ENDED_BY_US},
        {.kind = KEEPER_STUCK, .value = 2, .error = EPERM},
        {.kind = KEEPER_ACK},
        {.kind = KEEPER_TREE_DEAD},
    };
    struct fixture f;

    (void)state;
    begin(&f);
    for (size_t i = 0; i < sizeof messages / sizeof messages[0]; i++)
        report_keeper(&f.report, &messages[i]);
    const char *text = end(&f);
    assert_int_equal(count(text, "command started as process 4242\n"), 1);
    assert_int_equal(count(text, "cannot start job: No such file or directory\n"), 1);
    assert_int_equal(count(text, "its deadline had passed; giving the lease back"), 1);
    assert_int_equal(count(text, "the command exited with 3\n"), 1);
    assert_int_equal(count(text, "signal 9 (Killed); leaderwrap did not send it\n"), 1);
    assert_int_equal(count(text, "signal 15 (Terminated); leaderwrap sent it\n"), 1);
    assert_int_equal(count(text, "2 processes of the command do not die: Operation not permitted"),
                     1);
    assert_int_equal(count(text, "\n"), 7);
}

static void the_end(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f);
    status_closed(&f.status, "wrong password");
    report_end(&f.report, END_CONFIGURATION, 125);
    report_end(&f.report, END_UNREACHABLE, 69);
    report_end(&f.report, END_COMMAND, 0);
    const char *text = end(&f);
    assert_int_equal(count(text, "error: wrong password\n"), 1);
    assert_int_equal(count(text, "error: wrong password; the command was not run\n"), 1);
    assert_int_equal(count(text, "leaving with status 69\n"), 1);
    assert_int_equal(count(text, "\n"), 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_wish_is_told_once_and_when_it_is_gone),
        cmocka_unit_test(a_term_that_ends_for_a_wish_says_whose),
        cmocka_unit_test(who_keeps_us_waiting_is_told_when_it_changes),
        cmocka_unit_test(a_term_in_lines),
        cmocka_unit_test(a_term_that_ends_because_we_stood_still),
        cmocka_unit_test(who_has_the_lease_that_was_lost),
        cmocka_unit_test(why_a_job_is_not_run),
        cmocka_unit_test(what_others_do_differently_is_told_once),
        cmocka_unit_test(what_an_answer_says_of_the_server),
        cmocka_unit_test(what_the_keeper_says),
        cmocka_unit_test(the_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
