/* The election with --restart: a command that ends is started again in the same term. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "candidate.h"

#define BEGAN_MS 1000000 /* as of fresh() */
#define STOP_MS  11348   /* from the send of a renewal */

static struct candidate leader_that_restarts(enum restart_policy policy, int64_t max_restarts)
{
    return leader_with((struct election_config){
        .restart = policy, .max_restarts = max_restarts, .penalty_ms = 30000});
}

static int64_t pause_ms(const struct candidate *candidate)
{
    for (size_t i = 0; i < candidate->actions.count; i++)
        if (candidate->actions.list[i].note.kind == NOTE_RESTART)
            return candidate->actions.list[i].note.delay_ms;
    fail_msg("no restart was told");
    return 0;
}

static void without_it_the_command_is_not_started_again(void **state)
{
    (void)state;
    struct candidate candidate = leader_that_restarts(RESTART_NO, 0);
    ends(&candidate, true);
    assert_int_equal(expect_send(&candidate, LEASE_RELEASE)->end, END_COMMAND);
}

static void a_success_is_the_end_on_failure(void **state)
{
    (void)state;
    struct candidate candidate = leader_that_restarts(RESTART_ON_FAILURE, 0);
    ends(&candidate, false);
    assert_int_equal(expect_send(&candidate, LEASE_RELEASE)->end, END_COMMAND);
}

static void it_starts_again_in_the_same_term(void **state)
{
    for (int i = 0; i < 2; i++) {
        (void)state;
        struct candidate candidate =
            leader_that_restarts(i ? RESTART_ALWAYS : RESTART_ON_FAILURE, 0);
        ends(&candidate, i == 0);
        expect_none_request(&candidate, LEASE_RELEASE);
        assert_int_equal(pause_ms(&candidate), 1000);
        assert_int_equal(candidate.election.state, ELECTION_LEADING);

        int64_t ended_ms = candidate.now_ms;
        const struct election_run *start = &wait_for_start(&candidate)->run;
        assert_int_equal(candidate.now_ms, ended_ms + 1000);
        assert_int_equal(start->number, 2);
        assert_int_equal(start->token, 100);
        assert_int_equal(start->deadlines.stop_at_ns, (BEGAN_MS + STOP_MS) * NS_PER_MS);
    }
}

static void the_pause_doubles_up_to_half_a_minute(void **state)
{
    static const int64_t expected_ms[] = {1000, 2000, 4000, 8000, 16000, 30000, 30000};

    (void)state;
    struct candidate candidate = leader_that_restarts(RESTART_ON_FAILURE, 0);
    for (size_t i = 0; i < sizeof expected_ms / sizeof *expected_ms; i++) {
        ends(&candidate, true);
        assert_int_equal(pause_ms(&candidate), expected_ms[i]);
        wait_for_start(&candidate);
    }
    assert_int_equal(candidate.election.term.run, 8);
}

/* Lets the present run last for so long, with its renewals. */
static void run_for(struct candidate *candidate, int64_t ms)
{
    int64_t until_ms = candidate->now_ms + ms;

    while (wake_ms(candidate) < until_ms) {
        at(candidate, wake_ms(candidate));
        expect_request(candidate, LEASE_RENEW);
        is_renewed(candidate);
    }
    at(candidate, until_ms);
    if (find_request(candidate, LEASE_RENEW) != NULL)
        is_renewed(candidate);
}

static void a_healthy_minute_makes_up_for_failures(void **state)
{
    (void)state;
    struct candidate candidate = leader_that_restarts(RESTART_ON_FAILURE, 3);
    for (int i = 0; i < 2; i++) {
        ends(&candidate, true);
        wait_for_start(&candidate);
    }
    run_for(&candidate, 60000);
    ends(&candidate, true);
    assert_int_equal(pause_ms(&candidate), 1000);
    wait_for_start(&candidate);
    run_for(&candidate, 59999);
    ends(&candidate, true);
    assert_int_equal(pause_ms(&candidate), 2000);
}

static void too_many_failures_let_others_try(void **state)
{
    (void)state;
    struct candidate candidate = leader_that_restarts(RESTART_ALWAYS, 2);
    ends(&candidate, true);
    wait_for_start(&candidate);
    ends(&candidate, true);
    assert_int_equal(expect_send(&candidate, LEASE_RELEASE)->end, END_FAILED);
    replies(&candidate, answer(&candidate, LEASE_RELEASED, LEASE_FREE, ME, 100, "v9"));
    assert_true(was_told(&candidate, NOTE_STAND_BACK));
    assert_int_equal(candidate.election.state, ELECTION_FOLLOWING);

    /* Whatever it hears meanwhile. */
    int64_t released_ms = candidate.now_ms;
    is_pushed(&candidate, LEASE_FREE, "v9", 0);
    expect_none_request(&candidate, LEASE_ACQUIRE);
    happens(&candidate, EVENT_LISTENING);
    expect_none_request(&candidate, LEASE_ACQUIRE);
    at(&candidate, released_ms + 29999);
    expect_none_request(&candidate, LEASE_ACQUIRE);
    assert_int_equal(wake_ms(&candidate), released_ms + 30000);
    /* If nobody took it, it tries again, and has all its tries. */
    at(&candidate, released_ms + 30000);
    expect_request(&candidate, LEASE_ACQUIRE);
    is_granted(&candidate, 101);
    ends(&candidate, true);
    assert_int_equal(pause_ms(&candidate), 1000);
}

static void a_success_between_is_no_failure_in_a_row(void **state)
{
    (void)state;
    struct candidate candidate = leader_that_restarts(RESTART_ALWAYS, 2);
    for (int i = 0; i < 6; i++) {
        ends(&candidate, i % 2 == 0);
        expect_none_request(&candidate, LEASE_RELEASE);
        wait_for_start(&candidate);
    }
}

/* A leader without a tree, for four seconds. */
static struct candidate pausing(void)
{
    struct candidate candidate = leader_that_restarts(RESTART_ON_FAILURE, 0);

    for (int i = 0; i < 2; i++) {
        ends(&candidate, true);
        wait_for_start(&candidate);
    }
    ends(&candidate, true);
    assert_int_equal(pause_ms(&candidate), 4000);
    return candidate;
}

static void stopped_in_the_pause_it_has_nothing_to_wait_for(void **state)
{
    (void)state;
    struct candidate candidate = pausing();
    happens(&candidate, EVENT_STOP);
    expect_none(&candidate, ACTION_STOP_TREE);
    assert_int_equal(expect_send(&candidate, LEASE_RELEASE)->end, END_STOPPED);
}

static void lost_in_the_pause_it_stands_by(void **state)
{
    (void)state;
    check_lost_without_a_tree(pausing());
}

static void a_deadline_in_the_pause_ends_the_term(void **state)
{
    (void)state;
    check_deadline_without_a_tree(pausing());
}

static void a_keeper_lost_in_the_pause_is_waited_for(void **state)
{
    (void)state;
    check_keeper_lost_without_a_tree(pausing());
}

static void leftovers_that_outlive_the_deadline_end_the_term(void **state)
{
    (void)state;
    struct candidate candidate = leader_that_restarts(RESTART_ALWAYS, 0);
    happens(&candidate, EVENT_CLOSED);
    happens(&candidate, EVENT_CHILD_EXIT);
    at(&candidate, BEGAN_MS + STOP_MS);
    expect(&candidate, ACTION_STOP_TREE);
    happens(&candidate, EVENT_TREE_DEAD);
    assert_int_equal(candidate.election.end, END_DEADLINE);
    assert_int_equal(candidate.election.state, ELECTION_RELEASING);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_it_the_command_is_not_started_again),
        cmocka_unit_test(a_success_is_the_end_on_failure),
        cmocka_unit_test(it_starts_again_in_the_same_term),
        cmocka_unit_test(the_pause_doubles_up_to_half_a_minute),
        cmocka_unit_test(a_healthy_minute_makes_up_for_failures),
        cmocka_unit_test(too_many_failures_let_others_try),
        cmocka_unit_test(a_success_between_is_no_failure_in_a_row),
        cmocka_unit_test(stopped_in_the_pause_it_has_nothing_to_wait_for),
        cmocka_unit_test(lost_in_the_pause_it_stands_by),
        cmocka_unit_test(a_deadline_in_the_pause_ends_the_term),
        cmocka_unit_test(a_keeper_lost_in_the_pause_is_waited_for),
        cmocka_unit_test(leftovers_that_outlive_the_deadline_end_the_term),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
