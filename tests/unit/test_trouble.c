/* What is told of a Redis that gives trouble: how often, how loud, and what it means for whom. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "leaderwrap/base/clock.h"
#include "leaderwrap/base/log.h"
#include "wrapper/trouble.h"

#define BEGAN_MS 1000000

struct fixture {
    struct trouble trouble;
    struct election election;
    int saved; /* standard error, which is a file meanwhile */
    int file;
    char text[65536];
};

static void begin(struct fixture *f, enum election_state state, bool once)
{
    static const struct redis_target target = {.url = {.is_unix = true, .path = (char *)"/r"}};
    const struct timing_request request = timing_request_of(15000);
    char name[] = "/tmp/leaderwrap-test-XXXXXX", error[256];

    memset(f, 0, sizeof *f);
    assert_int_equal(timing_derive(&request, &f->election.config.timing, error, sizeof error), 0);
    f->election.state = state;
    f->election.term.deadlines = timing_deadlines(&f->election.config.timing, BEGAN_MS * NS_PER_MS);
    trouble_init(&f->trouble, &target, once, BEGAN_MS * NS_PER_MS);
    f->file = mkstemp(name);
    assert_true(f->file >= 0);
    unlink(name);
    f->saved = dup(STDERR_FILENO);
    dup2(f->file, STDERR_FILENO);
}

/* What was told, without the times before each line. */
static const char *end(struct fixture *f)
{
    dup2(f->saved, STDERR_FILENO);
    close(f->saved);
    ssize_t length = pread(f->file, f->text, sizeof f->text - 1, 0);
    close(f->file);
    assert_true(length >= 0);
    f->text[length] = '\0';
    return f->text;
}

static int count(const char *text, const char *part)
{
    int found = 0;

    while ((text = strstr(text, part)) != NULL) {
        found++;
        text += strlen(part);
    }
    return found;
}

static void at(struct fixture *f, int64_t ms)
{
    f->election.now_ns = (BEGAN_MS + ms) * NS_PER_MS;
}

/* Tries in vain every second from `first_ms` until before `last_ms`. */
static void refuse(struct fixture *f, int64_t first_ms, int64_t last_ms)
{
    for (int64_t ms = first_ms; ms < last_ms; ms += 1000) {
        at(f, ms);
        trouble_closed(&f->trouble, "connection refused");
        trouble_retry(&f->trouble, &f->election, 1000);
    }
}

static void a_candidate_says_after_a_minute_that_nobody_can_lead(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, ELECTION_FOLLOWING, false);
    refuse(&f, 1000, 60000);
    assert_int_equal(f.trouble.outage.told, false);
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
    assert_int_equal(f.trouble.outage.told, false);
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
    trouble_over(&f.trouble, (BEGAN_MS + 59000) * NS_PER_MS);
    refuse(&f, 60000, 118000);
    assert_null(strstr(end(&f), "error: "));
}

static void the_end_of_an_outage_that_was_told_is_told(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, ELECTION_LEADING, false);
    refuse(&f, 5000, 8000);
    trouble_over(&f.trouble, (BEGAN_MS + 8000) * NS_PER_MS);
    refuse(&f, 13000, 18000);
    trouble_over(&f.trouble, (BEGAN_MS + 18500) * NS_PER_MS);
    trouble_over(&f.trouble, (BEGAN_MS + 19000) * NS_PER_MS);
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
    f.election.state = ELECTION_DONE;
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
    trouble_closed(&f.trouble, "lost the connection");
    trouble_failed(&f.trouble, &f.election, NOTE_RENEWAL_FAILED, NULL);
    trouble_retry(&f.trouble, &f.election, 0);
    trouble_opened(&f.trouble);
    trouble_answered(&f.trouble);
    trouble_answered(&f.trouble);
    /* Later a request is not answered, and the connection is as good as ever. */
    at(&f, 2000);
    trouble_failed(&f.trouble, &f.election, NOTE_RENEWAL_FAILED, NULL);
    trouble_failed(&f.trouble, &f.election, NOTE_RENEWAL_FAILED, NULL);
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
        trouble_closed(&f.trouble, "lost the connection");
        trouble_retry(&f.trouble, &f.election, 100);
        trouble_opened(&f.trouble);
        trouble_answered(&f.trouble);
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
        trouble_opened(&f.trouble);
        trouble_failed(&f.trouble, &f.election, NOTE_ASK_FAILED, NULL);
        trouble_retry(&f.trouble, &f.election, 100);
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
    trouble_closed(&f.trouble, "refused the connection: full");
    trouble_retry(&f.trouble, &f.election, 0);
    trouble_opened(&f.trouble);
    trouble_unreachable(&f.trouble);
    /* But a request that nobody answers is a cause of its own. */
    trouble_failed(&f.trouble, &f.election, NOTE_ASK_FAILED, NULL);
    trouble_unreachable(&f.trouble);
    const char *text = end(&f);
    assert_int_equal(count(text, "refused the connection: full; the command was not run"), 1);
    assert_int_equal(count(text, "redis at /r does not answer; the command was not run"), 1);
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
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
