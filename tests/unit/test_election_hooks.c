/* The election with hooks and with a command that becomes unhealthy. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "candidate.h"

#define BEGAN_MS 1000000 /* as of fresh() */
#define KILL_MS  14348   /* from the send of a renewal */
#define GRACE_MS 3000

static struct candidate leader_with_hooks(enum restart_policy policy)
{
    return leader_with((struct election_config){
        .hooks = {true, true}, .restart = policy, .max_restarts = 2, .penalty_ms = 30000});
}

static void hook_over(struct candidate *candidate, enum election_hook hook)
{
    step(candidate, (struct election_event){.kind = EVENT_HOOK_OVER, .hook = hook});
}

static void is_released(struct candidate *candidate)
{
    expect_request(candidate, LEASE_RELEASE);
    replies(candidate, answer(candidate, LEASE_RELEASED, LEASE_FREE, ME, 100, "v9"));
}

static void without_hooks_none_is_run(void **state)
{
    (void)state;
    struct candidate candidate = leader();
    expect_none(&candidate, ACTION_RUN_HOOK);
    ends(&candidate, false);
    expect_none(&candidate, ACTION_RUN_HOOK);
    expect_request(&candidate, LEASE_RELEASE);
}

static void the_first_hook_greets_the_term_after_the_start(void **state)
{
    (void)state;
    struct candidate candidate = leader_with_hooks(RESTART_NO);
    const struct election_run *start = &expect(&candidate, ACTION_START)->run;
    const struct election_hook_run *hook = &expect(&candidate, ACTION_RUN_HOOK)->hook;
    assert_true((const void *)start < (const void *)hook);
    assert_int_equal(hook->hook, HOOK_ACQUIRE);
    assert_int_equal(hook->token, 100);
    assert_int_equal(hook->deadlines.kill_at_ns, (BEGAN_MS + KILL_MS) * NS_PER_MS);
}

static void it_hears_how_the_term_before_ended(void **state)
{
    (void)state;
    struct candidate candidate = fresh_with((struct election_config){.hooks = {true, true}});
    struct lease_reply reply = answer(&candidate, LEASE_GRANTED, LEASE_HELD, ME, 100,
                                      candidate.election.session.pending.nonce);
    reply.before = LEASE_VACANT;
    replies(&candidate, reply);
    assert_int_equal(expect(&candidate, ACTION_RUN_HOOK)->hook.before, LEASE_VACANT);
}

static void the_other_mourns_it_before_the_release(void **state)
{
    (void)state;
    struct candidate candidate = leader_with_hooks(RESTART_NO);
    hook_over(&candidate, HOOK_ACQUIRE);
    ends(&candidate, true);
    const struct election_hook_run *hook = &expect(&candidate, ACTION_RUN_HOOK)->hook;
    assert_int_equal(hook->hook, HOOK_LOSE);
    assert_int_equal(hook->token, 100);
    assert_int_equal(hook->end, END_COMMAND);
    expect_none_request(&candidate, LEASE_RELEASE);
    hook_over(&candidate, HOOK_LOSE);
    expect_request(&candidate, LEASE_RELEASE);
}

static void the_release_waits_for_it_no_longer_than_the_grace(void **state)
{
    (void)state;
    struct candidate candidate = leader_with_hooks(RESTART_NO);
    hook_over(&candidate, HOOK_ACQUIRE);
    ends(&candidate, false);
    int64_t until_ms = candidate.now_ms + GRACE_MS;
    assert_int_equal(wake_ms(&candidate), until_ms);
    at(&candidate, until_ms - 1);
    expect_none_request(&candidate, LEASE_RELEASE);
    at(&candidate, until_ms);
    expect_none(&candidate, ACTION_KILL_HOOK);
    expect_request(&candidate, LEASE_RELEASE);
}

static void what_greeted_a_term_is_killed_before_its_release(void **state)
{
    (void)state;
    struct candidate candidate = leader_with_hooks(RESTART_NO);
    ends(&candidate, false);
    at(&candidate, candidate.now_ms + GRACE_MS);
    expect(&candidate, ACTION_KILL_HOOK);
    expect_none_request(&candidate, LEASE_RELEASE);
    at(&candidate, candidate.now_ms + 1);
    expect_none(&candidate, ACTION_KILL_HOOK);
    expect_none_request(&candidate, LEASE_RELEASE);
    /* The other one may still run. */
    hook_over(&candidate, HOOK_ACQUIRE);
    expect_request(&candidate, LEASE_RELEASE);
}

static void hooks_get_no_time_beyond_the_deadline(void **state)
{
    (void)state;
    struct candidate candidate = leader_with_hooks(RESTART_NO);
    happens(&candidate, EVENT_CLOSED);
    at(&candidate, BEGAN_MS + 11348);
    expect(&candidate, ACTION_STOP_TREE);
    at(&candidate, BEGAN_MS + KILL_MS - 100);
    happens(&candidate, EVENT_TREE_DEAD);
    at(&candidate, BEGAN_MS + KILL_MS);
    expect(&candidate, ACTION_KILL_HOOK);
}

static void a_lost_lease_leaves_no_time_for_hooks(void **state)
{
    (void)state;
    struct candidate candidate = leader_with_hooks(RESTART_NO);
    at(&candidate, wake_ms(&candidate));
    expect_request(&candidate, LEASE_RENEW);
    replies(&candidate, answer(&candidate, LEASE_LOST, LEASE_HELD, OTHER, 101, "v9"));
    happens(&candidate, EVENT_TREE_DEAD);
    expect(&candidate, ACTION_KILL_HOOK);
    expect_none_request(&candidate, LEASE_RELEASE);
    hook_over(&candidate, HOOK_ACQUIRE);
    expect_request(&candidate, LEASE_RELEASE);
}

static void a_stop_gives_up_a_release_that_a_hook_prevents(void **state)
{
    (void)state;
    struct candidate candidate = leader_with_hooks(RESTART_NO);
    happens(&candidate, EVENT_STOP);
    happens(&candidate, EVENT_TREE_DEAD);
    at(&candidate, candidate.now_ms + GRACE_MS);
    expect(&candidate, ACTION_KILL_HOOK);
    at(&candidate, wake_ms(&candidate));
    assert_true(was_told(&candidate, NOTE_LEFT));
    assert_int_equal(expect(&candidate, ACTION_EXIT)->end, END_STOPPED);
}

/* A hook that became root, say: it does not keep us from standing by. */
static struct candidate with_a_stuck_hook(void)
{
    struct candidate candidate = leader_with_hooks(RESTART_NO);
    happens(&candidate, EVENT_CLOSED);
    at(&candidate, BEGAN_MS + KILL_MS);
    happens(&candidate, EVENT_TREE_DEAD);
    expect(&candidate, ACTION_KILL_HOOK);
    hook_over(&candidate, HOOK_LOSE);
    happens(&candidate, EVENT_OPENED);
    at(&candidate, BEGAN_MS + KILL_MS + 14999);
    expect_none_request(&candidate, LEASE_RELEASE);
    assert_int_equal(candidate.election.state, ELECTION_RELEASING);
    at(&candidate, wake_ms(&candidate));
    return candidate;
}

static void a_stuck_hook_leaves_the_lease_to_its_ttl_and_is_told_of(void **state)
{
    (void)state;
    struct candidate candidate = with_a_stuck_hook();
    assert_int_equal(candidate.now_ms, BEGAN_MS + KILL_MS + 15000);
    assert_true(was_told(&candidate, NOTE_HOOK_ALIVE));
    assert_true(was_told(&candidate, NOTE_LEFT));
    expect_none_request(&candidate, LEASE_RELEASE);
    at(&candidate, candidate.now_ms);
    expect_request(&candidate, LEASE_ACQUIRE);
}

static void a_term_beside_a_stuck_hook_says_so_and_is_not_released_before_it(void **state)
{
    (void)state;
    struct candidate candidate = with_a_stuck_hook();
    at(&candidate, candidate.now_ms);
    expect_request(&candidate, LEASE_ACQUIRE);
    is_granted(&candidate, 200);
    expect(&candidate, ACTION_START);
    assert_true(was_told(&candidate, NOTE_HOOK_ALIVE));
    ends(&candidate, false);
    at(&candidate, candidate.now_ms + GRACE_MS);
    expect(&candidate, ACTION_KILL_HOOK);
    /* That of the old term, and that of this one. */
    hook_over(&candidate, HOOK_ACQUIRE);
    expect_none_request(&candidate, LEASE_RELEASE);
    hook_over(&candidate, HOOK_ACQUIRE);
    expect_request(&candidate, LEASE_RELEASE);
}

static void a_hook_that_dies_late_is_released_after(void **state)
{
    (void)state;
    struct candidate candidate = leader_with_hooks(RESTART_NO);
    happens(&candidate, EVENT_CLOSED);
    at(&candidate, BEGAN_MS + KILL_MS);
    happens(&candidate, EVENT_TREE_DEAD);
    happens(&candidate, EVENT_OPENED);
    at(&candidate, BEGAN_MS + KILL_MS + 14000);
    expect_none_request(&candidate, LEASE_RELEASE);
    hook_over(&candidate, HOOK_ACQUIRE);
    expect_request(&candidate, LEASE_RELEASE);
}

/* After a suspend, say: it has its time to die, counted from the kill. */
static void a_hook_killed_long_after_the_deadline_is_no_stuck_one(void **state)
{
    (void)state;
    struct candidate candidate = leader_with_hooks(RESTART_NO);
    at(&candidate, BEGAN_MS + 100000);
    happens(&candidate, EVENT_TREE_DEAD);
    expect(&candidate, ACTION_KILL_HOOK);
    expect_none_request(&candidate, LEASE_RELEASE);
    hook_over(&candidate, HOOK_LOSE);
    at(&candidate, candidate.now_ms + 14999);
    expect_none_request(&candidate, LEASE_RELEASE);
    assert_int_equal(candidate.election.state, ELECTION_RELEASING);
    hook_over(&candidate, HOOK_ACQUIRE);
    expect_request(&candidate, LEASE_RELEASE);
}

static void hooks_are_of_the_term_not_of_the_run(void **state)
{
    (void)state;
    struct candidate candidate = leader_with_hooks(RESTART_ON_FAILURE);
    hook_over(&candidate, HOOK_ACQUIRE);
    ends(&candidate, true);
    expect_none(&candidate, ACTION_RUN_HOOK);
    at(&candidate, wake_ms(&candidate));
    expect(&candidate, ACTION_START);
    expect_none(&candidate, ACTION_RUN_HOOK);
    ends(&candidate, true);
    assert_int_equal(expect(&candidate, ACTION_RUN_HOOK)->hook.hook, HOOK_LOSE);
    hook_over(&candidate, HOOK_LOSE);
    is_released(&candidate);

    /* The next term has its own. */
    at(&candidate, wake_ms(&candidate));
    expect_request(&candidate, LEASE_ACQUIRE);
    is_granted(&candidate, 101);
    const struct election_hook_run *hook = &expect(&candidate, ACTION_RUN_HOOK)->hook;
    assert_int_equal(hook->hook, HOOK_ACQUIRE);
    assert_int_equal(hook->token, 101);
}

static void a_grant_that_nobody_wants_has_no_hooks(void **state)
{
    (void)state;
    struct candidate candidate = fresh_with((struct election_config){.hooks = {true, true}});
    happens(&candidate, EVENT_STOP);
    is_granted(&candidate, 100);
    expect_none(&candidate, ACTION_RUN_HOOK);
    expect_request(&candidate, LEASE_RELEASE);
}

static void an_unhealthy_command_is_stopped_while_the_term_goes_on(void **state)
{
    (void)state;
    struct candidate candidate = leader_with_hooks(RESTART_ON_FAILURE);
    hook_over(&candidate, HOOK_ACQUIRE);
    happens(&candidate, EVENT_UNHEALTHY);
    assert_int_equal(expect(&candidate, ACTION_STOP_TREE)->run.number, 1);
    assert_int_equal(candidate.election.state, ELECTION_LEADING);
    at(&candidate, BEGAN_MS + 5000);
    expect_request(&candidate, LEASE_RENEW);
    is_renewed(&candidate);
    /* That it ends with 0 makes it no success. */
    ends(&candidate, false);
    assert_true(was_told(&candidate, NOTE_RESTART));
    at(&candidate, candidate.now_ms + 1000);
    assert_int_equal(expect(&candidate, ACTION_START)->run.number, 2);

    happens(&candidate, EVENT_UNHEALTHY);
    ends(&candidate, false);
    hook_over(&candidate, HOOK_LOSE);
    assert_int_equal(expect_send(&candidate, LEASE_RELEASE)->end, END_FAILED);
}

static void without_a_restart_another_node_may_try(void **state)
{
    (void)state;
    struct candidate candidate = leader_with((struct election_config){.penalty_ms = 30000});
    happens(&candidate, EVENT_UNHEALTHY);
    ends(&candidate, false);
    assert_int_equal(expect_send(&candidate, LEASE_RELEASE)->end, END_UNHEALTHY);
    is_released(&candidate);
    assert_true(was_told(&candidate, NOTE_STAND_BACK));
    assert_int_equal(candidate.election.state, ELECTION_FOLLOWING);
    assert_int_equal(wake_ms(&candidate), candidate.now_ms + 30000);
}

static void only_a_command_that_runs_can_become_unhealthy(void **state)
{
    (void)state;
    struct candidate candidate = leader_with_hooks(RESTART_ALWAYS);
    step(&candidate, (struct election_event){.kind = EVENT_UNHEALTHY, .run = 7});
    expect_none(&candidate, ACTION_STOP_TREE);
    happens(&candidate, EVENT_CHILD_EXIT);
    happens(&candidate, EVENT_UNHEALTHY);
    expect_none(&candidate, ACTION_STOP_TREE);
    happens(&candidate, EVENT_TREE_DEAD);
    happens(&candidate, EVENT_UNHEALTHY);
    expect_none(&candidate, ACTION_STOP_TREE);
    assert_int_equal(candidate.election.state, ELECTION_LEADING);
}

/* Renews for so long, and then the checks have failed since `well_ms` after the start. */
static void becomes_unhealthy(struct candidate *candidate, int64_t after_ms, int64_t well_ms)
{
    int64_t began_ms = candidate->now_ms;

    while (candidate->now_ms < began_ms + after_ms) {
        at(candidate, candidate->now_ms + 5000);
        if (find_request(candidate, LEASE_RENEW) != NULL)
            is_renewed(candidate);
    }
    step(candidate, (struct election_event){.kind = EVENT_UNHEALTHY,
                                            .run = candidate->election.term.run,
                                            .well_until_ns = (began_ms + well_ms) * NS_PER_MS});
}

static void a_minute_of_failed_checks_is_no_healthy_one(void **state)
{
    (void)state;
    struct candidate candidate = leader_with_hooks(RESTART_ON_FAILURE);
    hook_over(&candidate, HOOK_ACQUIRE);
    becomes_unhealthy(&candidate, 90000, 0);
    ends(&candidate, false);
    wait_for_start(&candidate);
    becomes_unhealthy(&candidate, 90000, 59999);
    ends(&candidate, false);
    assert_int_equal(candidate.election.end, END_FAILED);

    candidate = leader_with_hooks(RESTART_ON_FAILURE);
    for (int i = 0; i < 5; i++) {
        becomes_unhealthy(&candidate, 90000, 60000);
        ends(&candidate, false);
        assert_true(was_told(&candidate, NOTE_RESTART));
        wait_for_start(&candidate);
    }
}

static void what_cannot_be_ended_does_not_keep_the_lease(void **state)
{
    (void)state;
    struct candidate candidate = leader_with_hooks(RESTART_ALWAYS);
    hook_over(&candidate, HOOK_ACQUIRE);
    happens(&candidate, EVENT_UNHEALTHY);
    int64_t stuck_ms = candidate.now_ms;
    for (; candidate.now_ms < stuck_ms + 15000; candidate.now_ms += 1000) {
        happens(&candidate, EVENT_TREE_STUCK);
        assert_int_equal(candidate.election.state, ELECTION_LEADING);
        if (find_request(&candidate, LEASE_RENEW) != NULL)
            is_renewed(&candidate);
    }
    happens(&candidate, EVENT_TREE_STUCK);
    assert_int_equal(candidate.election.state, ELECTION_STOPPING);
    at(&candidate, candidate.now_ms + 15000);
    expect_none_request(&candidate, LEASE_RENEW);
    expect_none(&candidate, ACTION_ABANDON_KEEPER);
    /* In the end it dies after all. */
    happens(&candidate, EVENT_TREE_DEAD);
    assert_int_equal(candidate.election.end, END_FAILED);
    is_released(&candidate);
    assert_int_equal(candidate.election.state, ELECTION_FOLLOWING);
}

static void a_stop_of_an_unhealthy_command_is_a_stop(void **state)
{
    (void)state;
    struct candidate candidate = leader();
    happens(&candidate, EVENT_UNHEALTHY);
    happens(&candidate, EVENT_STOP);
    ends(&candidate, false);
    assert_int_equal(expect_send(&candidate, LEASE_RELEASE)->end, END_STOPPED);
    is_released(&candidate);
    assert_int_equal(expect(&candidate, ACTION_EXIT)->end, END_STOPPED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_hooks_none_is_run),
        cmocka_unit_test(the_first_hook_greets_the_term_after_the_start),
        cmocka_unit_test(it_hears_how_the_term_before_ended),
        cmocka_unit_test(the_other_mourns_it_before_the_release),
        cmocka_unit_test(the_release_waits_for_it_no_longer_than_the_grace),
        cmocka_unit_test(what_greeted_a_term_is_killed_before_its_release),
        cmocka_unit_test(hooks_get_no_time_beyond_the_deadline),
        cmocka_unit_test(a_lost_lease_leaves_no_time_for_hooks),
        cmocka_unit_test(a_stop_gives_up_a_release_that_a_hook_prevents),
        cmocka_unit_test(a_stuck_hook_leaves_the_lease_to_its_ttl_and_is_told_of),
        cmocka_unit_test(a_term_beside_a_stuck_hook_says_so_and_is_not_released_before_it),
        cmocka_unit_test(a_hook_that_dies_late_is_released_after),
        cmocka_unit_test(a_hook_killed_long_after_the_deadline_is_no_stuck_one),
        cmocka_unit_test(hooks_are_of_the_term_not_of_the_run),
        cmocka_unit_test(a_grant_that_nobody_wants_has_no_hooks),
        cmocka_unit_test(an_unhealthy_command_is_stopped_while_the_term_goes_on),
        cmocka_unit_test(without_a_restart_another_node_may_try),
        cmocka_unit_test(only_a_command_that_runs_can_become_unhealthy),
        cmocka_unit_test(a_minute_of_failed_checks_is_no_healthy_one),
        cmocka_unit_test(what_cannot_be_ended_does_not_keep_the_lease),
        cmocka_unit_test(a_stop_of_an_unhealthy_command_is_a_stop),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
