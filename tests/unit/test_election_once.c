/* The election with --once: whom it waits for, for how long, and how it leaves. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "candidate.h"

#define BEGAN_MS   1000000 /* as of fresh() */
#define TIMEOUT_MS 2500    /* of a request */

static struct candidate once(int64_t wait_ms)
{
    return fresh_with(
        (struct election_config){.once = true, .exit_on_lost = true, .wait_ms = wait_ms});
}

static void is_held(struct candidate *candidate, int64_t age_ms)
{
    struct lease_reply reply = answer(candidate, LEASE_REFUSED, LEASE_HELD, OTHER, 7, "v1");
    reply.record.age_ms = age_ms;
    replies(candidate, reply);
}

static void is_vacant(struct candidate *candidate)
{
    replies(candidate, answer(candidate, LEASE_REFUSED, LEASE_VACANT, "", 7, "v2"));
}

static void expect_end(const struct candidate *candidate, enum election_end end)
{
    assert_int_equal(expect(candidate, ACTION_EXIT)->end, end);
    assert_int_equal(candidate->election.state, ELECTION_DONE);
}

static void it_does_not_wait_for_a_living_holder(void **state)
{
    (void)state;
    struct candidate candidate = once(0);
    is_held(&candidate, 14999);
    assert_true(was_told(&candidate, NOTE_BUSY));
    expect_none(&candidate, ACTION_WATCH);
    expect_end(&candidate, END_BUSY);
}

static void it_does_not_wait_for_a_hold_or_a_foreigner(void **state)
{
    (void)state;
    struct candidate candidate = once(0);
    replies(&candidate, answer(&candidate, LEASE_REFUSED, LEASE_CLOSED, OTHER, 7, "v1"));
    expect_end(&candidate, END_BUSY);

    candidate = once(0);
    struct lease_reply reply = answer(&candidate, LEASE_REFUSED, LEASE_FREE, OTHER, 7, "v1");
    snprintf(reply.record.foreign, sizeof reply.record.foreign, "somebody");
    replies(&candidate, reply);
    assert_true(was_told(&candidate, NOTE_BUSY));
    expect_end(&candidate, END_FOREIGN);
}

static void it_waits_where_a_holder_may_be_dead(void **state)
{
    (void)state;
    struct candidate candidate = once(0);
    is_held(&candidate, 15000);
    expect_none(&candidate, ACTION_EXIT);
    expect(&candidate, ACTION_WATCH);
    /* For no longer than it takes to be sure: it is the next to ask, or somebody else has it. */
    at(&candidate, BEGAN_MS + 15000);
    expect_request(&candidate, LEASE_ACQUIRE);
    is_held(&candidate, 10);
    expect_end(&candidate, END_BUSY);
}

static void it_waits_out_a_vacancy(void **state)
{
    (void)state;
    struct candidate candidate = once(0);
    is_vacant(&candidate);
    expect_none(&candidate, ACTION_EXIT);
    assert_true(wake_ms(&candidate) > BEGAN_MS);
    at(&candidate, BEGAN_MS + 15000);
    expect_observed(&candidate, "v2", 15000);
    is_granted(&candidate, 100);
    expect(&candidate, ACTION_START);
}

/* Who waits out a vacancy leaves as soon as it is known that there is a leader. */
static void it_leaves_at_once_when_another_one_begins_to_lead(void **state)
{
    static const enum lease_state states[] = {LEASE_HELD, LEASE_CLOSED};

    (void)state;
    for (size_t i = 0; i < sizeof states / sizeof states[0]; i++) {
        struct candidate candidate = once(0);
        is_vacant(&candidate);
        candidate.now_ms += 4000;
        is_pushed(&candidate, states[i], "v3", -1);
        assert_true(wake_ms(&candidate) <= BEGAN_MS + 4000 + 50);
        if (find_request(&candidate, LEASE_ACQUIRE) == NULL)
            at(&candidate, wake_ms(&candidate) + 1);
        expect_request(&candidate, LEASE_ACQUIRE);
        replies(&candidate, answer(&candidate, LEASE_REFUSED, states[i], OTHER, 8, "v3"));
        expect_end(&candidate, END_BUSY);
    }
}

static void it_waits_for_as_long_as_it_was_told(void **state)
{
    (void)state;
    struct candidate candidate = once(8000);
    is_held(&candidate, 1000);
    assert_true(was_told(&candidate, NOTE_WAITING));
    while (wake_ms(&candidate) < BEGAN_MS + 8000) {
        at(&candidate, wake_ms(&candidate) + 1);
        expect_request(&candidate, LEASE_ACQUIRE);
        is_held(&candidate, 1000);
        expect_none(&candidate, ACTION_EXIT);
    }
    assert_int_equal(wake_ms(&candidate), BEGAN_MS + 8000);
    at(&candidate, BEGAN_MS + 8000);
    assert_true(was_told(&candidate, NOTE_BUSY));
    expect_end(&candidate, END_BUSY);
}

static void it_leads_when_the_lease_is_released_meanwhile(void **state)
{
    (void)state;
    struct candidate candidate = once(8000);
    is_held(&candidate, 1000);
    is_pushed(&candidate, LEASE_FREE, "v9", 0);
    expect_request(&candidate, LEASE_ACQUIRE);
    is_granted(&candidate, 100);
    expect(&candidate, ACTION_START);
}

static void it_waits_for_ever(void **state)
{
    (void)state;
    struct candidate candidate = once(INT64_MAX);
    for (int i = 0; i < 100; i++) {
        is_held(&candidate, 1000);
        expect_none(&candidate, ACTION_EXIT);
        at(&candidate, wake_ms(&candidate) + 1);
        expect_request(&candidate, LEASE_ACQUIRE);
    }
}

static void silence_is_borne_for_one_time_out_at_least(void **state)
{
    (void)state;
    struct candidate candidate = once(0);
    at(&candidate, BEGAN_MS + TIMEOUT_MS - 1);
    expect_none(&candidate, ACTION_EXIT);
    at(&candidate, BEGAN_MS + TIMEOUT_MS);
    expect_end(&candidate, END_UNREACHABLE);
}

static void refused_connections_are_tried_again_until_then(void **state)
{
    int tries = 0;
    (void)state;
    struct candidate candidate = once(0);
    happens(&candidate, EVENT_CLOSED);
    while (candidate.election.state != ELECTION_DONE) {
        tries += find(&candidate, ACTION_OPEN) != NULL;
        if (find(&candidate, ACTION_OPEN) != NULL)
            happens(&candidate, EVENT_CLOSED);
        else
            at(&candidate, wake_ms(&candidate) + 1);
    }
    assert_true(tries > 2);
    assert_in_range(candidate.now_ms, BEGAN_MS + TIMEOUT_MS, BEGAN_MS + TIMEOUT_MS + 1);
    expect_end(&candidate, END_UNREACHABLE);
}

static void errors_are_silence(void **state)
{
    (void)state;
    struct candidate candidate = once(0);
    fails(&candidate, LEASE_FAILURE_TRANSIENT);
    expect_none(&candidate, ACTION_EXIT);
    at(&candidate, BEGAN_MS + TIMEOUT_MS);
    expect_end(&candidate, END_UNREACHABLE);
}

static void a_server_that_goes_while_it_waits_is_out_of_reach(void **state)
{
    (void)state;
    struct candidate candidate = once(4000);
    is_held(&candidate, 1000);
    happens(&candidate, EVENT_CLOSED);
    at(&candidate, BEGAN_MS + 4000);
    expect_end(&candidate, END_UNREACHABLE);
}

static struct candidate running(struct election_config config)
{
    config.once = config.exit_on_lost = true;
    struct candidate candidate = fresh_with(config);
    is_granted(&candidate, 100);
    expect(&candidate, ACTION_START);
    return candidate;
}

/* Long after it began: the silence counts from when that began. */
static void a_link_that_breaks_while_it_waits_is_made_again(void **state)
{
    (void)state;
    for (int mute = 0; mute <= 1; mute++) {
        struct candidate candidate = once(0);
        is_vacant(&candidate);
        at(&candidate, BEGAN_MS + 9000);
        happens(&candidate, EVENT_CLOSED);
        expect_none(&candidate, ACTION_EXIT);
        expect(&candidate, ACTION_OPEN);
        if (mute) {
            at(&candidate, BEGAN_MS + 9000 + TIMEOUT_MS - 1);
            expect_none(&candidate, ACTION_EXIT);
            at(&candidate, BEGAN_MS + 9000 + TIMEOUT_MS);
            expect_end(&candidate, END_UNREACHABLE);
            continue;
        }
        candidate.now_ms += 1000;
        happens(&candidate, EVENT_OPENED);
        is_vacant(&candidate);
        at(&candidate, BEGAN_MS + 15000);
        expect_observed(&candidate, "v2", 15000);
        is_granted(&candidate, 8);
        expect(&candidate, ACTION_START);
    }
}

static void the_command_ends(struct candidate *candidate)
{
    happens(candidate, EVENT_CHILD_EXIT);
    happens(candidate, EVENT_TREE_DEAD);
}

static void the_rest_of_the_hold_is_left_behind(void **state)
{
    (void)state;
    struct candidate candidate = running((struct election_config){.hold_ms = 10000});
    candidate.now_ms += 3000;
    the_command_ends(&candidate);
    assert_int_equal(expect_request(&candidate, LEASE_RELEASE)->release.hold_ms, 7000);
    replies(&candidate, answer(&candidate, LEASE_RELEASED, LEASE_CLOSED, ME, 100, "v9"));
    expect_end(&candidate, END_COMMAND);
}

static void no_hold_is_left_behind_a_long_run(void **state)
{
    (void)state;
    struct candidate candidate = running((struct election_config){.hold_ms = 4000});
    candidate.now_ms += 4000;
    the_command_ends(&candidate);
    assert_int_equal(expect_request(&candidate, LEASE_RELEASE)->release.hold_ms, 0);
}

static void a_command_that_was_stopped_has_run(void **state)
{
    (void)state;
    struct candidate candidate = running((struct election_config){.hold_ms = 10000});
    happens(&candidate, EVENT_STOP);
    happens(&candidate, EVENT_TREE_DEAD);
    assert_int_equal(expect_request(&candidate, LEASE_RELEASE)->release.hold_ms, 10000);
}

static void a_host_that_cannot_start_it_leaves_it_to_others(void **state)
{
    (void)state;
    struct candidate candidate = running((struct election_config){.hold_ms = 10000});
    happens(&candidate, EVENT_NOT_STARTED);
    happens(&candidate, EVENT_TREE_DEAD);
    assert_int_equal(expect_request(&candidate, LEASE_RELEASE)->release.hold_ms, 0);
    replies(&candidate, answer(&candidate, LEASE_RELEASED, LEASE_FREE, ME, 100, "v9"));
    expect_end(&candidate, END_NOT_STARTED);
}

static void its_own_end_counts_although_redis_is_gone(void **state)
{
    (void)state;
    struct candidate candidate = running((struct election_config){0});
    happens(&candidate, EVENT_CLOSED);
    the_command_ends(&candidate);
    while (candidate.election.state != ELECTION_DONE) {
        if (find(&candidate, ACTION_OPEN) != NULL)
            happens(&candidate, EVENT_CLOSED);
        else
            at(&candidate, wake_ms(&candidate) + 1);
    }
    expect_end(&candidate, END_COMMAND);
}

static void a_lost_lease_ends_it(void **state)
{
    (void)state;
    struct candidate candidate = running((struct election_config){0});
    at(&candidate, BEGAN_MS + 5000);
    expect_request(&candidate, LEASE_RENEW);
    replies(&candidate, answer(&candidate, LEASE_LOST, LEASE_HELD, OTHER, 101, "v9"));
    expect(&candidate, ACTION_KILL_TREE);
    happens(&candidate, EVENT_TREE_DEAD);
    expect_request(&candidate, LEASE_RELEASE);
    replies(&candidate, answer(&candidate, LEASE_NOT_HELD, LEASE_HELD, OTHER, 101, "v9"));
    expect_end(&candidate, END_LOST);
}

static void the_runtime_is_limited(void **state)
{
    (void)state;
    struct candidate candidate = running((struct election_config){.max_runtime_ms = 4000});
    assert_int_equal(wake_ms(&candidate), BEGAN_MS + 4000);
    at(&candidate, BEGAN_MS + 3999);
    expect_none(&candidate, ACTION_STOP_TREE);
    at(&candidate, BEGAN_MS + 4000);
    expect(&candidate, ACTION_STOP_TREE);
    /* Whatever status it ends with now is not its own. */
    the_command_ends(&candidate);
    assert_int_equal(expect_send(&candidate, LEASE_RELEASE)->end, END_RUNTIME);
    replies(&candidate, answer(&candidate, LEASE_RELEASED, LEASE_FREE, ME, 100, "v9"));
    expect_end(&candidate, END_RUNTIME);
}

static void a_command_that_was_faster_keeps_its_own_end(void **state)
{
    (void)state;
    struct candidate candidate = running((struct election_config){.max_runtime_ms = 4000});
    at(&candidate, BEGAN_MS + 3999);
    happens(&candidate, EVENT_CHILD_EXIT);
    /* Its leftovers do not have for ever either. */
    at(&candidate, BEGAN_MS + 4000);
    expect(&candidate, ACTION_STOP_TREE);
    happens(&candidate, EVENT_TREE_DEAD);
    assert_int_equal(expect_send(&candidate, LEASE_RELEASE)->end, END_COMMAND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_does_not_wait_for_a_living_holder),
        cmocka_unit_test(it_does_not_wait_for_a_hold_or_a_foreigner),
        cmocka_unit_test(it_waits_where_a_holder_may_be_dead),
        cmocka_unit_test(it_waits_out_a_vacancy),
        cmocka_unit_test(it_leaves_at_once_when_another_one_begins_to_lead),
        cmocka_unit_test(it_waits_for_as_long_as_it_was_told),
        cmocka_unit_test(it_leads_when_the_lease_is_released_meanwhile),
        cmocka_unit_test(it_waits_for_ever),
        cmocka_unit_test(silence_is_borne_for_one_time_out_at_least),
        cmocka_unit_test(refused_connections_are_tried_again_until_then),
        cmocka_unit_test(errors_are_silence),
        cmocka_unit_test(a_server_that_goes_while_it_waits_is_out_of_reach),
        cmocka_unit_test(a_link_that_breaks_while_it_waits_is_made_again),
        cmocka_unit_test(the_rest_of_the_hold_is_left_behind),
        cmocka_unit_test(no_hold_is_left_behind_a_long_run),
        cmocka_unit_test(a_command_that_was_stopped_has_run),
        cmocka_unit_test(a_host_that_cannot_start_it_leaves_it_to_others),
        cmocka_unit_test(its_own_end_counts_although_redis_is_gone),
        cmocka_unit_test(a_lost_lease_ends_it),
        cmocka_unit_test(the_runtime_is_limited),
        cmocka_unit_test(a_command_that_was_faster_keeps_its_own_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
