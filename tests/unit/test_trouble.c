/* What is told of a Redis that gives trouble: how often, how loud, and what it means for whom. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "captured.h"
#include "leaderwrap/base/clock.h"
#include "leaderwrap/base/log.h"
#include "wrapper/trouble.h"

#define BEGAN_MS 1000000

struct fixture {
    struct trouble trouble;
    struct status status;
    struct timing timing;
    enum election_state state;
    int64_t now_ns;
    struct captured captured;
};

static void begin(struct fixture *f, enum election_state state, bool once)
{
    static const struct redis_target target = {.url = {.is_unix = true, .path = (char *)"/r"}};
    const struct timing_request request = timing_request_of(15000);
    char error[256];

    memset(f, 0, sizeof *f);
    assert_int_equal(timing_derive(&request, &f->timing, error, sizeof error), 0);
    f->state = state;
    status_init(&f->status, &f->timing, BEGAN_MS * NS_PER_MS);
    f->status.deadlines = timing_deadlines(&f->timing, BEGAN_MS * NS_PER_MS);
    trouble_init(&f->trouble, &target, &f->timing, &f->status, once);
    capture_begin(&f->captured);
}

static const char *end(struct fixture *f)
{
    return capture_end(&f->captured);
}

static void at(struct fixture *f, int64_t ms)
{
    f->now_ns = (BEGAN_MS + ms) * NS_PER_MS;
}

static void retries(struct fixture *f, int64_t delay_ms)
{
    const struct election_note note = {.kind = NOTE_RETRY, .state = f->state, .delay_ms = delay_ms};

    status_note(&f->status, &note, f->now_ns);
    trouble_retry(&f->trouble, delay_ms, f->now_ns);
}

/* A request that nobody answers. */
static void fails(struct fixture *f, enum election_note_kind kind)
{
    const struct election_note note = {.kind = kind, .state = f->state};

    status_note(&f->status, &note, f->now_ns);
    trouble_failed(&f->trouble, &note, f->now_ns);
}

static void is_well(struct fixture *f)
{
    struct election_note note = {.kind = NOTE_WAITING, .state = f->state};

    if (f->state == ELECTION_LEADING) {
        note.kind = NOTE_RENEWED;
        note.grant.deadlines = timing_deadlines(&f->timing, f->now_ns);
    } else {
        note.refusal.answered = true;
    }
    status_note(&f->status, &note, f->now_ns);
    trouble_over(&f->trouble);
}

static void is_answered(struct fixture *f)
{
    if (status_answered(&f->status, &(struct lease_reply){.verdict = LEASE_RENEWED}))
        trouble_connected(&f->trouble);
}

/* Tries in vain every second from `first_ms` until before `last_ms`. */
static void refuse(struct fixture *f, int64_t first_ms, int64_t last_ms)
{
    for (int64_t ms = first_ms; ms < last_ms; ms += 1000) {
        at(f, ms);
        status_closed(&f->status, "connection refused");
        retries(f, 1000);
    }
}

static void a_candidate_says_after_a_minute_that_nobody_can_lead(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, ELECTION_FOLLOWING, false);
    refuse(&f, 1000, 60000);
    assert_int_equal(f.trouble.outage_told, false);
    refuse(&f, 60000, 200000);
    const char *text = end(&f);
    assert_int_equal(count(text, "error: no useful answer for 1 min: nobody can be elected"), 1);
    /* At once, after one minute, and after two more. */
    assert_int_equal(count(text, "warning: connection refused"), 3);
    assert_int_equal(count(text, "connection refused (60 times in 1 min); retrying in 1 s"), 1);
    assert_int_equal(count(text, "\n"), 4);
}

static void a_leader_says_in_time_when_its_command_will_be_stopped(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, ELECTION_LEADING, false);
    /* Renewed every 5 s, and 6.348 s can be ridden out. */
    refuse(&f, 5000, 8000);
    assert_int_equal(f.trouble.outage_told, false);
    refuse(&f, 8174, 11000);
    const char *text = end(&f);
    assert_int_equal(count(text, "error: no renewal for 8.17 s: without one the command will be "
                                 "stopped in 3.17 s"),
                     1);
    assert_int_equal(count(text, "\n"), 2);
}

static void a_useful_answer_ends_an_outage(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, ELECTION_FOLLOWING, false);
    refuse(&f, 1000, 59000);
    at(&f, 59000);
    is_well(&f);
    refuse(&f, 60000, 118000);
    assert_null(strstr(end(&f), "error: "));
}

static void the_end_of_an_outage_that_was_told_is_told(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, ELECTION_LEADING, false);
    refuse(&f, 5000, 8000);
    at(&f, 8000);
    is_well(&f);
    refuse(&f, 13000, 18000);
    at(&f, 18500);
    is_well(&f);
    at(&f, 19000);
    is_well(&f);
    const char *text = end(&f);
    assert_int_equal(count(text, "is of use again"), 1);
    assert_int_equal(count(text, "of use again, after 10.5 s\n"), 1);
}

static void a_job_says_nothing_before_it_leaves(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, ELECTION_FOLLOWING, true);
    log_configure(&(struct log_config){.level = LOG_LEVEL_WARNING});
    refuse(&f, 0, 10000);
    status_exit(&f.status, f.now_ns);
    trouble_unreachable(&f.trouble);
    log_configure(&(struct log_config){.level = LOG_LEVEL_INFO});
    const char *text = end(&f);
    assert_int_equal(count(text, "\n"), 1);
    assert_non_null(strstr(text, "connection refused; the command was not run"));
}

static void a_lost_connection_is_one_line_although_a_request_was_lost_with_it(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, ELECTION_LEADING, false);
    at(&f, 1000);
    status_closed(&f.status, "lost the connection");
    fails(&f, NOTE_RENEWAL_FAILED);
    retries(&f, 0);
    status_opened(&f.status);
    is_answered(&f);
    is_answered(&f);
    /* Later a request is not answered, and the connection is as good as ever. */
    at(&f, 2000);
    fails(&f, NOTE_RENEWAL_FAILED);
    fails(&f, NOTE_RENEWAL_FAILED);
    const char *text = end(&f);
    assert_int_equal(count(text, "lost the connection; retrying at once"), 1);
    assert_int_equal(count(text, "connected to redis at /r"), 1);
    assert_int_equal(count(text, "the renewal failed: no answer from redis"), 1);
    assert_int_equal(count(text, "\n"), 3);
}

/* A connection that comes and goes: that it works again is told where it was told that it did not.
 */
static void a_connection_that_flaps_is_told_once(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, ELECTION_FOLLOWING, false);
    for (int64_t ms = 0; ms < 30000; ms += 100) {
        at(&f, ms);
        status_closed(&f.status, "lost the connection");
        retries(&f, 100);
        status_opened(&f.status);
        is_answered(&f);
    }
    assert_int_equal(count(end(&f), "\n"), 2);
}

/* Who accepts and is mute, or hangs up without a word, may be anything. */
static void a_server_that_never_spoke_is_not_connected_to(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, ELECTION_FOLLOWING, false);
    for (int64_t ms = 0; ms < 30000; ms += 5000) {
        at(&f, ms);
        status_opened(&f.status);
        fails(&f, NOTE_ASK_FAILED);
        retries(&f, 100);
    }
    const char *text = end(&f);
    assert_int_equal(count(text, "connected"), 0);
    assert_int_equal(count(text, "redis at /r does not answer; retrying in 100 ms"), 1);
    assert_int_equal(count(text, "\n"), 2);
}

/* What is told at the end is the last cause, also where another connection was made since. */
static void the_last_cause_outlives_a_connection_without_an_answer(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, ELECTION_FOLLOWING, true);
    status_closed(&f.status, "refused the connection: full");
    retries(&f, 0);
    status_opened(&f.status);
    trouble_unreachable(&f.trouble);
    /* But a request that nobody answers is a cause of its own. */
    fails(&f, NOTE_ASK_FAILED);
    trouble_unreachable(&f.trouble);
    const char *text = end(&f);
    assert_int_equal(count(text, "refused the connection: full; the command was not run"), 1);
    assert_int_equal(count(text, "redis at /r does not answer; the command was not run"), 1);
}

/* What falls due while this process is stopped is nobody else's fault. */
/* Witnesses that are silent are no Redis that does not answer. */
static void what_a_request_failed_of_is_told(void **state)
{
    struct fixture f;
    struct election_note note = {.kind = NOTE_RENEWAL_FAILED, .state = ELECTION_LEADING};

    (void)state;
    begin(&f, ELECTION_LEADING, false);
    note.failure.unconfirmed = true;
    trouble_failed(&f.trouble, &note, f.now_ns);
    note.failure.unconfirmed = false;
    trouble_failed(&f.trouble, &note, f.now_ns);
    const char *text = end(&f);
    assert_int_equal(count(text, "redis answered, but no majority of the witnesses"), 1);
    assert_int_equal(count(text, "no answer from redis"), 1);
}

static void a_process_that_stood_still_blames_nobody(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, ELECTION_FOLLOWING, false);
    /* It was to run after 5 s. */
    at(&f, 90000);
    assert_true(status_begin_step(&f.status, (BEGAN_MS + 5000) * NS_PER_MS, f.now_ns));
    trouble_stalled(&f.trouble, f.now_ns);
    fails(&f, NOTE_ASK_FAILED);
    retries(&f, 0);
    status_end_step(&f.status);
    /* Later on its own time it is another matter. */
    at(&f, 91000);
    fails(&f, NOTE_ASK_FAILED);
    at(&f, 145000);
    fails(&f, NOTE_ASK_FAILED);
    const char *text = end(&f);
    assert_int_equal(
        count(text, "warning: leaderwrap itself stood still for at least 1 min 25 s: it"), 1);
    assert_int_equal(count(text, "asking for the lease failed: no answer from redis, for "
                                 "leaderwrap stood still; it may have been executed"),
                     1);
    assert_int_equal(
        count(text, "leaderwrap stood still while it connected to redis at /r; retrying at once"),
        1);
    assert_int_equal(count(text, "no answer from redis; it may have been"), 1);
    assert_int_equal(count(text, "error: no useful answer for 1 min: nobody can be"), 1);
    assert_int_equal(count(text, "\n"), 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_candidate_says_after_a_minute_that_nobody_can_lead),
        cmocka_unit_test(a_leader_says_in_time_when_its_command_will_be_stopped),
        cmocka_unit_test(a_useful_answer_ends_an_outage),
        cmocka_unit_test(the_end_of_an_outage_that_was_told_is_told),
        cmocka_unit_test(a_job_says_nothing_before_it_leaves),
        cmocka_unit_test(a_lost_connection_is_one_line_although_a_request_was_lost_with_it),
        cmocka_unit_test(a_connection_that_flaps_is_told_once),
        cmocka_unit_test(a_server_that_never_spoke_is_not_connected_to),
        cmocka_unit_test(the_last_cause_outlives_a_connection_without_an_answer),
        cmocka_unit_test(what_a_request_failed_of_is_told),
        cmocka_unit_test(a_process_that_stood_still_blames_nobody),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
