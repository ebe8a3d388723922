/* What an end is called, and what it comes to. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "wrapper/outcome.h"

#define EXITED(status) ((status) << 8)

static const struct outcome nothing_yet = {.child_status = -1};

static void assert_history(const struct outcome *outcome, enum election_end end, const char *text)
{
    char buffer[OUTCOME_REASON_SIZE];

    assert_string_equal(outcome_history(outcome, end, buffer, sizeof buffer), text);
}

static void the_history_tells_a_success_from_a_failure(void **state)
{
    (void)state;
    struct outcome outcome = nothing_yet;
    outcome_note_exit(&outcome, END_NONE, EXITED(0));
    assert_history(&outcome, END_COMMAND, "exit 0");
    outcome_note_exit(&outcome, END_NONE, EXITED(3));
    assert_history(&outcome, END_COMMAND, "exit 3");
    assert_history(&outcome, END_FAILED, "failed: exit 3");
    outcome_note_exit(&outcome, END_NONE, 9);
    assert_history(&outcome, END_COMMAND, "signal 9");
    assert_int_equal(outcome.child_status, 137);
    /* Not to be confused with a command that exits like a shell. */
    outcome_note_exit(&outcome, END_NONE, EXITED(137));
    assert_history(&outcome, END_COMMAND, "exit 137");
}

static void who_was_ended_has_no_status_there(void **state)
{
    (void)state;
    struct outcome outcome = nothing_yet;
    assert_history(&outcome, END_FAILED, "failed");
    outcome_note_exit(&outcome, END_STOPPED, 15);
    assert_history(&outcome, END_STOPPED, "stopped");
    assert_history(&outcome, END_RUNTIME, "max runtime");
    assert_history(&outcome, END_LOST, "lost");
    assert_history(&outcome, END_PAUSED, "paused");
    assert_history(&outcome, END_CORDONED, "cordoned");
    assert_history(&outcome, END_ASKED, "step-down");
}

/* A job that an operator stops has neither succeeded nor failed. */
static void a_wish_ends_a_job_as_a_lost_lease_does(void **state)
{
    static const enum election_end ends[] = {END_PAUSED, END_CORDONED, END_ASKED};

    (void)state;
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        struct outcome outcome = nothing_yet;
        outcome_note_exit(&outcome, ends[i], 15);
        outcome_note_end(&outcome, ends[i]);
        outcome.end = ends[i];
        assert_int_equal(outcome_status(&outcome), 79);
    }
}

/* A key that somebody else wrote into is nothing that -E may call a success. */
static void a_foreign_value_is_no_conflict(void **state)
{
    (void)state;
    struct outcome outcome = nothing_yet;
    outcome.conflict_exit_code = 0;
    outcome.end = END_BUSY;
    assert_int_equal(outcome_status(&outcome), 0);
    outcome.end = END_FOREIGN;
    assert_int_equal(outcome_status(&outcome), 125);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_history_tells_a_success_from_a_failure),
        cmocka_unit_test(who_was_ended_has_no_status_there),
        cmocka_unit_test(a_wish_ends_a_job_as_a_lost_lease_does),
        cmocka_unit_test(a_foreign_value_is_no_conflict),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
