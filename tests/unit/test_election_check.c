/* A health check beside the tree: it counts as a part of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "candidate.h"

static void a_term_ends_with_its_check(void **state)
{
    (void)state;
    struct candidate candidate = leader();
    happens(&candidate, EVENT_CHECK_STARTED);
    ends(&candidate, false);
    expect_none_request(&candidate, LEASE_RELEASE);
    assert_false(was_told(&candidate, NOTE_TERM_OVER));
    /* The lease is kept meanwhile. */
    at(&candidate, wake_ms(&candidate));
    expect_request(&candidate, LEASE_RENEW);
    is_renewed(&candidate);
    happens(&candidate, EVENT_CHECK_DEAD);
    assert_true(was_told(&candidate, NOTE_TERM_OVER));
    assert_int_equal(expect_send(&candidate, LEASE_RELEASE)->end, END_COMMAND);
}

static void a_check_that_is_over_is_not_waited_for(void **state)
{
    (void)state;
    struct candidate candidate = leader();
    for (int i = 0; i < 3; i++) {
        happens(&candidate, EVENT_CHECK_STARTED);
        happens(&candidate, EVENT_CHECK_DEAD);
        assert_int_equal(candidate.election.state, ELECTION_LEADING);
    }
    ends(&candidate, false);
    expect_request(&candidate, LEASE_RELEASE);
}

static void a_stop_waits_for_the_check(void **state)
{
    (void)state;
    struct candidate candidate = leader();
    happens(&candidate, EVENT_CHECK_STARTED);
    happens(&candidate, EVENT_STOP);
    expect(&candidate, ACTION_STOP_TREE);
    happens(&candidate, EVENT_TREE_DEAD);
    assert_int_equal(candidate.election.state, ELECTION_STOPPING);
    happens(&candidate, EVENT_CHECK_DEAD);
    assert_int_equal(expect_send(&candidate, LEASE_RELEASE)->end, END_STOPPED);
}

static void a_restart_waits_for_the_check(void **state)
{
    (void)state;
    struct candidate candidate =
        leader_with((struct election_config){.restart = RESTART_ON_FAILURE});
    happens(&candidate, EVENT_CHECK_STARTED);
    ends(&candidate, true);
    assert_false(was_told(&candidate, NOTE_RESTART));
    candidate.now_ms += 300;
    happens(&candidate, EVENT_CHECK_DEAD);
    assert_true(was_told(&candidate, NOTE_RESTART));
    at(&candidate, candidate.now_ms + 1000);
    assert_int_equal(expect(&candidate, ACTION_START)->run.number, 2);
}

/* As of a tree that cannot be killed: after a TTL nothing more is renewed. */
static void a_check_that_is_stuck_does_not_keep_the_lease(void **state)
{
    (void)state;
    struct candidate candidate = leader();
    happens(&candidate, EVENT_CHECK_STARTED);
    happens(&candidate, EVENT_CHECK_STUCK);
    ends(&candidate, false);
    for (int64_t second = 0; second < 16; second++) {
        assert_int_equal(candidate.election.state, ELECTION_LEADING);
        candidate.now_ms += 1000;
        happens(&candidate, EVENT_CHECK_STUCK);
        if (find_request(&candidate, LEASE_RENEW) != NULL)
            is_renewed(&candidate);
    }
    assert_int_equal(candidate.election.state, ELECTION_STOPPING);
    expect_none_request(&candidate, LEASE_RELEASE);
    happens(&candidate, EVENT_CHECK_DEAD);
    expect_request(&candidate, LEASE_RELEASE);
}

static void a_sweep_ends_both(void **state)
{
    (void)state;
    struct candidate candidate = leader();
    happens(&candidate, EVENT_CHECK_STARTED);
    happens(&candidate, EVENT_KEEPER_LOST);
    happens(&candidate, EVENT_CHECK_DEAD);
    expect_none_request(&candidate, LEASE_RELEASE);
    happens(&candidate, EVENT_TREE_DEAD);
    assert_int_equal(expect_send(&candidate, LEASE_RELEASE)->end, END_KEEPER);
}

static void another_runs_check_is_nobodys_business(void **state)
{
    (void)state;
    struct candidate candidate = leader();
    struct election_event event = {.kind = EVENT_CHECK_STARTED, .run = 2};
    step(&candidate, event);
    ends(&candidate, false);
    expect_request(&candidate, LEASE_RELEASE);
    happens(&candidate, EVENT_CHECK_STARTED);
    assert_int_equal(candidate.election.state, ELECTION_RELEASING);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_term_ends_with_its_check),
        cmocka_unit_test(a_check_that_is_over_is_not_waited_for),
        cmocka_unit_test(a_stop_waits_for_the_check),
        cmocka_unit_test(a_restart_waits_for_the_check),
        cmocka_unit_test(a_check_that_is_stuck_does_not_keep_the_lease),
        cmocka_unit_test(a_sweep_ends_both),
        cmocka_unit_test(another_runs_check_is_nobodys_business),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
