/* The election with --lock-delay: a term after one that was not released begins without a tree. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "candidate.h"

#define BEGAN_MS 1000000        /* as of fresh() */
#define DELAY_MS INT64_C(18000) /* longer than the TTL */
#define STOP_MS  11348          /* from the send of a renewal */

static const struct election_config delayed = {.lock_delay_ms = DELAY_MS};

static void is_granted_after(struct candidate *candidate, enum lease_state before)
{
    struct lease_reply reply = answer(candidate, LEASE_GRANTED, LEASE_HELD, ME, 100,
                                      candidate->election.session.pending.nonce);

    reply.before = before;
    replies(candidate, reply);
    assert_int_equal(candidate->election.state, ELECTION_LEADING);
}

/* One whose delay has just begun. */
static struct candidate waiting_with(struct election_config config)
{
    struct candidate candidate = fresh_with(config);

    is_granted_after(&candidate, LEASE_HELD);
    expect_none(&candidate, ACTION_START);
    return candidate;
}

static struct candidate waiting(void)
{
    return waiting_with(delayed);
}

static const struct election_note *note_of(const struct candidate *candidate,
                                           enum election_note_kind note)
{
    for (size_t i = 0; i < candidate->actions.count; i++)
        if (candidate->actions.list[i].kind == ACTION_TELL &&
            candidate->actions.list[i].note.kind == note)
            return &candidate->actions.list[i].note;
    fail_msg("note %d was not told", note);
    abort(); /* fail_msg does not return, which compilers cannot know */
}

static void after_a_release_it_starts_at_once(void **state)
{
    static const enum lease_state released[] = {LEASE_FREE, LEASE_CLOSED};

    (void)state;
    for (int i = 0; i < 2; i++) {
        struct candidate candidate = fresh_with(delayed);
        is_granted_after(&candidate, released[i]);
        expect(&candidate, ACTION_START);
        assert_true(was_told(&candidate, NOTE_ELECTED));
    }
}

static void without_it_it_starts_at_once(void **state)
{
    (void)state;
    struct candidate candidate = fresh();
    is_granted_after(&candidate, LEASE_HELD);
    expect(&candidate, ACTION_START);
    assert_true(was_told(&candidate, NOTE_ELECTED));
}

static void otherwise_it_leads_without_a_tree(void **state)
{
    static const enum lease_state doubtful[] = {LEASE_HELD, LEASE_VACANT};

    (void)state;
    for (int i = 0; i < 2; i++) {
        struct candidate candidate = fresh_with(delayed);
        candidate.now_ms += 10;
        is_granted_after(&candidate, doubtful[i]);
        expect_none(&candidate, ACTION_START);
        assert_false(was_told(&candidate, NOTE_ELECTED));
        const struct election_note *note = note_of(&candidate, NOTE_LOCK_DELAY);
        assert_int_equal(note->state, ELECTION_LEADING);
        assert_int_equal(note->grant.token, 100);
        assert_int_equal(note->grant.start_at_ns, (BEGAN_MS + 10 + DELAY_MS) * NS_PER_MS);

        const struct election_run *start = &wait_for_start(&candidate)->run;
        assert_int_equal(candidate.now_ms, BEGAN_MS + 10 + DELAY_MS);
        assert_int_equal(start->number, 1);
        assert_int_equal(start->token, 100);
        /* The last renewal before it was sent after 15 s. */
        assert_int_equal(start->deadlines.stop_at_ns, (BEGAN_MS + 15000 + STOP_MS) * NS_PER_MS);
    }
}

/* Nobody knows what the answer would have said. */
static void a_grant_whose_answer_was_lost_is_delayed(void **state)
{
    (void)state;
    struct candidate candidate = fresh_with(delayed);
    replies(&candidate, answer(&candidate, LEASE_REFUSED, LEASE_HELD, ME, 100, "v1"));
    assert_true(expect_request(&candidate, LEASE_RENEW)->renew.claim);
    candidate.now_ms += 10;
    is_renewed(&candidate);
    expect_none(&candidate, ACTION_START);
    wait_for_start(&candidate);
    assert_int_equal(candidate.now_ms, BEGAN_MS + 10 + DELAY_MS);
}

static void the_delay_is_once_per_term(void **state)
{
    (void)state;
    struct candidate candidate = waiting_with(
        (struct election_config){.lock_delay_ms = DELAY_MS, .restart = RESTART_ALWAYS});
    wait_for_start(&candidate);
    happens(&candidate, EVENT_CHILD_EXIT);
    happens(&candidate, EVENT_TREE_DEAD);
    int64_t ended_ms = candidate.now_ms;
    assert_int_equal(note_of(&candidate, NOTE_RESTART)->delay_ms, 1000);
    wait_for_start(&candidate);
    assert_int_equal(candidate.now_ms, ended_ms + 1000);
}

static void the_runtime_counts_from_the_start(void **state)
{
    (void)state;
    struct candidate candidate = waiting_with(
        (struct election_config){.lock_delay_ms = DELAY_MS, .max_runtime_ms = 1000, .once = true});
    wait_for_start(&candidate);
    at(&candidate, BEGAN_MS + DELAY_MS + 999);
    expect_none(&candidate, ACTION_STOP_TREE);
    at(&candidate, BEGAN_MS + DELAY_MS + 1000);
    expect(&candidate, ACTION_STOP_TREE);
    assert_int_equal(candidate.election.end, END_RUNTIME);
}

/* The next one is told of a release, and must not begin earlier for it. */
static void stopped_in_the_delay_it_leaves_the_rest_behind(void **state)
{
    (void)state;
    struct candidate candidate = waiting();
    candidate.now_ms += 3000;
    happens(&candidate, EVENT_STOP);
    expect_none(&candidate, ACTION_STOP_TREE);
    const struct lease_request *release = expect_request(&candidate, LEASE_RELEASE);
    assert_int_equal(expect_send(&candidate, LEASE_RELEASE)->end, END_STOPPED);
    assert_in_range(release->release.hold_ms, DELAY_MS - 3000, DELAY_MS - 3000 + 1);
    replies(&candidate, answer(&candidate, LEASE_RELEASED, LEASE_CLOSED, ME, 100, "v9"));
    assert_int_equal(expect(&candidate, ACTION_EXIT)->end, END_STOPPED);
}

static void stopped_before_the_grant_it_leaves_all_of_it_behind(void **state)
{
    (void)state;
    struct candidate candidate = fresh_with(delayed);
    happens(&candidate, EVENT_STOP);
    struct lease_reply reply = answer(&candidate, LEASE_GRANTED, LEASE_HELD, ME, 100,
                                      candidate.election.session.pending.nonce);
    reply.before = LEASE_VACANT;
    replies(&candidate, reply);
    assert_in_range(expect_request(&candidate, LEASE_RELEASE)->release.hold_ms, DELAY_MS,
                    DELAY_MS + 1);
}

/* --hold is for a command that ran. */
static void nothing_is_held_beyond_the_delay(void **state)
{
    (void)state;
    struct candidate candidate = waiting_with((struct election_config){
        .lock_delay_ms = DELAY_MS, .hold_ms = 10 * DELAY_MS, .once = true});
    happens(&candidate, EVENT_STOP);
    assert_in_range(expect_request(&candidate, LEASE_RELEASE)->release.hold_ms, DELAY_MS,
                    DELAY_MS + 1);
}

static void after_the_delay_nothing_is_left_behind(void **state)
{
    (void)state;
    struct candidate candidate = waiting();
    wait_for_start(&candidate);
    happens(&candidate, EVENT_STOP);
    happens(&candidate, EVENT_TREE_DEAD);
    assert_int_equal(expect_request(&candidate, LEASE_RELEASE)->release.hold_ms, 0);
}

static void lost_in_the_delay_it_stands_by(void **state)
{
    (void)state;
    check_lost_without_a_tree(waiting());
}

static void a_deadline_in_the_delay_ends_the_term(void **state)
{
    (void)state;
    check_deadline_without_a_tree(waiting());
}

static void a_keeper_lost_in_the_delay_is_waited_for(void **state)
{
    (void)state;
    check_keeper_lost_without_a_tree(waiting());
}

/* What the last run of an earlier term had set does not count in the delay of the next. */
static void a_second_term_is_delayed_as_the_first(void **state)
{
    (void)state;
    struct candidate candidate =
        waiting_with((struct election_config){.lock_delay_ms = DELAY_MS, .max_runtime_ms = 30000});
    wait_for_start(&candidate);
    happens(&candidate, EVENT_CLOSED);
    at(&candidate, wake_ms(&candidate));
    happens(&candidate, EVENT_OPENED);
    expect_request(&candidate, LEASE_RENEW);
    replies(&candidate, answer(&candidate, LEASE_LOST, LEASE_HELD, OTHER, 101, "v9"));
    expect(&candidate, ACTION_KILL_TREE);
    happens(&candidate, EVENT_TREE_DEAD);
    expect_request(&candidate, LEASE_RELEASE);
    replies(&candidate, answer(&candidate, LEASE_NOT_HELD, LEASE_HELD, OTHER, 101, "v9"));
    expect_request(&candidate, LEASE_ACQUIRE);
    struct lease_reply reply = answer(&candidate, LEASE_GRANTED, LEASE_HELD, ME, 102,
                                      candidate.election.session.pending.nonce);
    reply.before = LEASE_HELD;
    replies(&candidate, reply);
    assert_true(was_told(&candidate, NOTE_LOCK_DELAY));
    int64_t granted_ms = candidate.now_ms;
    assert_int_equal(wait_for_start(&candidate)->run.number, 2);
    assert_int_equal(candidate.now_ms, granted_ms + DELAY_MS);
}

/* A server that refuses a longer hold would take it for none. */
static void the_longest_delay_is_left_as_it_is(void **state)
{
    (void)state;
    const int64_t month_ms = INT64_C(30) * 24 * 3600 * 1000;
    struct candidate candidate = fresh_with((struct election_config){.lock_delay_ms = month_ms});
    happens(&candidate, EVENT_STOP);
    struct lease_reply reply = answer(&candidate, LEASE_GRANTED, LEASE_HELD, ME, 100,
                                      candidate.election.session.pending.nonce);
    reply.before = LEASE_HELD;
    replies(&candidate, reply);
    assert_true(expect_request(&candidate, LEASE_RELEASE)->release.hold_ms == month_ms);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(after_a_release_it_starts_at_once),
        cmocka_unit_test(without_it_it_starts_at_once),
        cmocka_unit_test(otherwise_it_leads_without_a_tree),
        cmocka_unit_test(a_grant_whose_answer_was_lost_is_delayed),
        cmocka_unit_test(the_delay_is_once_per_term),
        cmocka_unit_test(the_runtime_counts_from_the_start),
        cmocka_unit_test(stopped_in_the_delay_it_leaves_the_rest_behind),
        cmocka_unit_test(stopped_before_the_grant_it_leaves_all_of_it_behind),
        cmocka_unit_test(nothing_is_held_beyond_the_delay),
        cmocka_unit_test(after_the_delay_nothing_is_left_behind),
        cmocka_unit_test(lost_in_the_delay_it_stands_by),
        cmocka_unit_test(a_deadline_in_the_delay_ends_the_term),
        cmocka_unit_test(a_keeper_lost_in_the_delay_is_waited_for),
        cmocka_unit_test(a_second_term_is_delayed_as_the_first),
        cmocka_unit_test(the_longest_delay_is_left_as_it_is),
    };

    return cmocka_run_group_tests_name("election with a lock delay", tests, NULL, NULL);
}
