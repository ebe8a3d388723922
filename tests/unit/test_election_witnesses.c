/* The election where witnesses say who is master: three of them, and two servers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "candidate.h"

#define WITNESSES 3
#define EPOCH     5

/* `count` of them say that the master is here, or elsewhere, since `epoch`. */
static void vote(struct candidate *candidate, int count, bool here, uint64_t epoch)
{
    uint64_t poll = candidate->election.placement.number;

    for (int i = 0; i < count; i++) {
        const struct lease_vote vote = {.poll = poll,
                                        .witness = (unsigned)i,
                                        .electorate = WITNESSES,
                                        .placement = epoch << 1 | here,
                                        .epoch = epoch,
                                        .here = here};
        step(candidate, (struct election_event){.kind = EVENT_VOTE, .vote = &vote});
    }
}

static void confirm(struct candidate *candidate)
{
    vote(candidate, 2, true, EPOCH);
}

/* One whose link is up, and placed nowhere. */
static struct candidate unplaced_with(struct election_config config)
{
    config.witnesses = true;
    return opened_timed(config, timing_request_of(15000));
}

static struct candidate placed(void)
{
    struct candidate candidate = unplaced_with((struct election_config){0});

    confirm(&candidate);
    expect_request(&candidate, LEASE_ACQUIRE);
    return candidate;
}

static struct candidate leading(void)
{
    struct candidate candidate = placed();

    candidate.now_ms += 10;
    is_granted(&candidate, 100);
    confirm(&candidate);
    expect(&candidate, ACTION_START);
    assert_int_equal(candidate.election.state, ELECTION_LEADING);
    return candidate;
}

static void asks_only_where_a_majority_places_it(void **state)
{
    (void)state;
    struct candidate candidate = unplaced_with((struct election_config){0});

    assert_true(expect(&candidate, ACTION_POLL)->poll == 1);
    expect_none(&candidate, ACTION_SEND);
    vote(&candidate, 1, true, EPOCH);
    expect_none(&candidate, ACTION_SEND);
    at(&candidate, candidate.now_ms + 100);
    expect_none(&candidate, ACTION_SEND);
    vote(&candidate, 2, true, EPOCH);
    assert_true(expect_request(&candidate, LEASE_ACQUIRE)->epoch == EPOCH);
}

static void an_undecided_poll_is_repeated_and_told_of_once(void **state)
{
    (void)state;
    struct candidate candidate = unplaced_with((struct election_config){0});
    int told = 0;
    int polls = 0;

    for (int i = 0; i < 20; i++) {
        vote(&candidate, 1, true, EPOCH);
        at(&candidate, wake_ms(&candidate) + 1);
        polls += find(&candidate, ACTION_POLL) != NULL;
        told += was_told(&candidate, NOTE_UNPLACED);
        expect_none(&candidate, ACTION_SEND);
    }
    assert_int_equal(polls, 20);
    assert_int_equal(told, 1);
    assert_true(candidate.now_ms > 1000000 + 10000);
}

static void a_grant_counts_only_after_it_was_confirmed(void **state)
{
    (void)state;
    struct candidate candidate = placed();
    int64_t asked_ms = candidate.now_ms;

    candidate.now_ms += 10;
    is_granted(&candidate, 100);
    expect(&candidate, ACTION_POLL);
    expect_none(&candidate, ACTION_START);
    assert_int_equal(candidate.election.state, ELECTION_ACQUIRING);
    candidate.now_ms += 30;
    confirm(&candidate);
    const struct election_run *run = &expect(&candidate, ACTION_START)->run;
    assert_true(run->token == 100);
    /* The deadline counts from the send all the same. */
    assert_true(run->deadlines.expires_at_ns == (asked_ms + 14848) * NS_PER_MS);
}

static void votes_from_before_the_answer_do_not_confirm_it(void **state)
{
    (void)state;
    struct candidate candidate = placed();
    uint64_t before = candidate.election.placement.number;

    is_granted(&candidate, 100);
    for (unsigned i = 0; i < WITNESSES; i++) {
        const struct lease_vote late = {.poll = before,
                                        .witness = i,
                                        .electorate = WITNESSES,
                                        .placement = EPOCH << 1 | 1,
                                        .epoch = EPOCH,
                                        .here = true};
        step(&candidate, (struct election_event){.kind = EVENT_VOTE, .vote = &late});
    }
    assert_int_equal(candidate.election.state, ELECTION_ACQUIRING);
}

static void a_grant_elsewhere_is_none(void **state)
{
    (void)state;
    struct candidate candidate = placed();

    is_granted(&candidate, 100);
    vote(&candidate, 2, false, EPOCH + 1);
    expect_none(&candidate, ACTION_START);
    assert_true(was_told(&candidate, NOTE_ELSEWHERE));
    assert_int_equal(candidate.election.state, ELECTION_FOLLOWING);
    assert_int_equal(candidate.election.session.link, LINK_OPENING);
}

static void a_renewal_that_nobody_confirms_extends_nothing(void **state)
{
    (void)state;
    struct candidate candidate = leading();
    int64_t stop_ms = candidate.election.term.deadlines.stop_at_ns / NS_PER_MS;

    at(&candidate, wake_ms(&candidate));
    expect_request(&candidate, LEASE_RENEW);
    while (candidate.now_ms < stop_ms) {
        if (find_send(&candidate, LEASE_RENEW) != NULL)
            is_renewed(&candidate);
        expect_none(&candidate, ACTION_EXTEND);
        assert_int_equal(candidate.election.state, ELECTION_LEADING);
        if (find(&candidate, ACTION_OPEN) != NULL)
            happens(&candidate, EVENT_OPENED);
        vote(&candidate, 1, true, EPOCH);
        at(&candidate, wake_ms(&candidate) + 1);
    }
    assert_int_equal(candidate.election.state, ELECTION_STOPPING);
    assert_int_equal(candidate.election.end, END_DEADLINE);
}

/* What the next renewal failed of that is given up. */
static struct election_failure wait_for_failure(struct candidate *candidate)
{
    for (int i = 0; i < 100; i++) {
        const struct election_action *action = find(candidate, ACTION_TELL);

        if (action != NULL && was_told(candidate, NOTE_RENEWAL_FAILED))
            return action->note.failure;
        at(candidate, wake_ms(candidate));
    }
    fail_msg("no renewal failed");
    return (struct election_failure){0};
}

/* Redis is not to be blamed for what nobody confirmed. */
static void an_answer_without_a_majority_is_told_as_such(void **state)
{
    (void)state;
    struct candidate candidate = leading();

    at(&candidate, wake_ms(&candidate));
    expect_request(&candidate, LEASE_RENEW);
    is_renewed(&candidate);
    struct election_failure failure = wait_for_failure(&candidate);
    assert_false(failure.answered);
    assert_true(failure.unconfirmed);
    candidate = leading();
    at(&candidate, wake_ms(&candidate));
    expect_request(&candidate, LEASE_RENEW);
    failure = wait_for_failure(&candidate);
    assert_false(failure.answered || failure.unconfirmed);
}

/* Once, however often it asks and connects meanwhile; and again after there was one. */
static void the_want_of_a_majority_is_told_once(void **state)
{
    (void)state;
    struct candidate candidate = leading();
    int told = 0;

    for (int i = 0; i < 100 && candidate.election.state == ELECTION_LEADING; i++) {
        if (find_send(&candidate, LEASE_RENEW) != NULL)
            is_renewed(&candidate);
        if (find(&candidate, ACTION_OPEN) != NULL)
            happens(&candidate, EVENT_OPENED);
        at(&candidate, wake_ms(&candidate) + 1);
        told += was_told(&candidate, NOTE_UNPLACED);
    }
    assert_int_equal(told, 1);
    assert_true(candidate.election.placement.told);
    vote(&candidate, 2, true, EPOCH);
    assert_false(candidate.election.placement.told);
}

static void a_minority_that_is_down_costs_nothing(void **state)
{
    (void)state;
    struct candidate candidate = leading();

    for (int i = 0; i < 10; i++) {
        at(&candidate, wake_ms(&candidate));
        expect_request(&candidate, LEASE_RENEW);
        is_renewed(&candidate);
        vote(&candidate, 2, true, EPOCH);
        expect(&candidate, ACTION_EXTEND);
    }
}

/* A fail-over within the outage that is ridden out. */
static void a_leader_goes_on_at_another_master(void **state)
{
    (void)state;
    struct candidate candidate = leading();

    at(&candidate, wake_ms(&candidate));
    happens(&candidate, EVENT_CLOSED);
    at(&candidate, wake_ms(&candidate));
    if (candidate.election.session.link != LINK_OPENING)
        at(&candidate, wake_ms(&candidate));
    happens(&candidate, EVENT_OPENED);
    expect_none(&candidate, ACTION_SEND);
    vote(&candidate, 2, true, EPOCH + 1);
    assert_true(expect_request(&candidate, LEASE_RENEW)->epoch == EPOCH + 1);
    is_renewed(&candidate);
    expect_none(&candidate, ACTION_EXTEND);
    vote(&candidate, 2, true, EPOCH + 1);
    expect(&candidate, ACTION_EXTEND);
}

static void a_loss_is_proved_by_the_master_alone(void **state)
{
    (void)state;
    struct candidate candidate = leading();

    at(&candidate, wake_ms(&candidate));
    replies(&candidate, answer(&candidate, LEASE_LOST, LEASE_HELD, OTHER, 101, "v9"));
    expect_none(&candidate, ACTION_KILL_TREE);
    struct candidate here = candidate;
    confirm(&here);
    expect(&here, ACTION_KILL_TREE);
    vote(&candidate, 2, false, EPOCH + 1);
    expect_none(&candidate, ACTION_KILL_TREE);
    assert_int_equal(candidate.election.state, ELECTION_LEADING);
}

static void an_observation_lasts_as_long_as_its_placement(void **state)
{
    (void)state;
    struct candidate candidate = placed();

    is_refused(&candidate, "v1");
    happens(&candidate, EVENT_CLOSED);
    at(&candidate, wake_ms(&candidate));
    happens(&candidate, EVENT_OPENED);
    struct candidate moved = candidate;
    confirm(&candidate);
    assert_string_equal(expect_request(&candidate, LEASE_ACQUIRE)->acquire.observed_version, "v1");
    vote(&moved, 2, true, EPOCH + 2);
    assert_string_equal(expect_request(&moved, LEASE_ACQUIRE)->acquire.observed_version, "");
}

static void an_answer_of_another_epoch_is_asked_for_again(void **state)
{
    (void)state;
    struct candidate candidate = placed();

    is_granted(&candidate, 100);
    vote(&candidate, 2, true, EPOCH + 2);
    expect_none(&candidate, ACTION_START);
    assert_true(expect_request(&candidate, LEASE_ACQUIRE)->epoch == EPOCH + 2);
}

static void a_release_waits_for_its_confirmation_too(void **state)
{
    (void)state;
    struct candidate candidate = leading();

    happens(&candidate, EVENT_STOP);
    ends(&candidate, false);
    expect_request(&candidate, LEASE_RELEASE);
    replies(&candidate, answer(&candidate, LEASE_RELEASED, LEASE_FREE, ME, 100, "v2"));
    expect_none(&candidate, ACTION_EXIT);
    confirm(&candidate);
    assert_true(was_told(&candidate, NOTE_RELEASED));
    assert_int_equal(candidate.election.state, ELECTION_DONE);
}

static void a_job_without_a_majority_is_told_that_redis_is_out_of_reach(void **state)
{
    (void)state;
    struct candidate candidate =
        unplaced_with((struct election_config){.once = true, .exit_on_lost = true});

    for (int i = 0; i < 20 && candidate.election.state != ELECTION_DONE; i++)
        at(&candidate, wake_ms(&candidate) + 1);
    assert_int_equal(candidate.election.end, END_UNREACHABLE);
    assert_true(candidate.now_ms <= 1000000 + 2600);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(asks_only_where_a_majority_places_it),
        cmocka_unit_test(an_undecided_poll_is_repeated_and_told_of_once),
        cmocka_unit_test(a_grant_counts_only_after_it_was_confirmed),
        cmocka_unit_test(votes_from_before_the_answer_do_not_confirm_it),
        cmocka_unit_test(a_grant_elsewhere_is_none),
        cmocka_unit_test(a_renewal_that_nobody_confirms_extends_nothing),
        cmocka_unit_test(an_answer_without_a_majority_is_told_as_such),
        cmocka_unit_test(the_want_of_a_majority_is_told_once),
        cmocka_unit_test(a_minority_that_is_down_costs_nothing),
        cmocka_unit_test(a_leader_goes_on_at_another_master),
        cmocka_unit_test(a_loss_is_proved_by_the_master_alone),
        cmocka_unit_test(an_observation_lasts_as_long_as_its_placement),
        cmocka_unit_test(an_answer_of_another_epoch_is_asked_for_again),
        cmocka_unit_test(a_release_waits_for_its_confirmation_too),
        cmocka_unit_test(a_job_without_a_majority_is_told_that_redis_is_out_of_reach),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
