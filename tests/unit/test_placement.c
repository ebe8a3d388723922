/* What the votes of witnesses come to. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "leaderwrap/base/clock.h"
#include "leaderwrap/election/placement.h"

#define OLD UINT64_C(7)
#define NEW UINT64_C(8)

struct poll {
    struct placement placement;
    struct timing timing;
    uint64_t number;
    struct placement_name name;
};

static struct poll begin(void)
{
    struct timing_request request = timing_request_of(15000);
    struct poll poll = {0};
    char error[256];

    assert_int_equal(timing_derive(&request, &poll.timing, error, sizeof error), 0);
    placement_init(&poll.placement, true);
    poll.number = placement_begin(&poll.placement, &poll.timing, 0);
    return poll;
}

static enum placement_verdict vote(struct poll *poll, unsigned witness, unsigned electorate,
                                   uint64_t placement)
{
    const struct lease_vote vote = {.poll = poll->number,
                                    .witness = witness,
                                    .electorate = electorate,
                                    .placement = placement,
                                    .epoch = placement * 10,
                                    .here = placement == OLD};
    return placement_vote(&poll->placement, &vote, &poll->name);
}

static void more_than_half_of_all_decide(void **state)
{
    (void)state;
    for (unsigned electorate = 1; electorate <= 9; electorate++) {
        struct poll poll = begin();
        unsigned needed = electorate / 2 + 1;

        for (unsigned i = 0; i + 1 < needed; i++)
            assert_int_equal(vote(&poll, i, electorate, OLD), PLACEMENT_UNDECIDED);
        assert_int_equal(vote(&poll, needed - 1, electorate, OLD), PLACEMENT_HERE);
        assert_true(poll.name.placement == OLD && poll.name.epoch == 10 * OLD);
    }
}

static void a_majority_may_name_another_server(void **state)
{
    (void)state;
    struct poll poll = begin();

    assert_int_equal(vote(&poll, 0, 3, NEW), PLACEMENT_UNDECIDED);
    assert_int_equal(vote(&poll, 1, 3, OLD), PLACEMENT_UNDECIDED);
    assert_int_equal(vote(&poll, 2, 3, NEW), PLACEMENT_ELSEWHERE);
    assert_true(poll.name.placement == NEW);
}

static void nobody_votes_twice(void **state)
{
    (void)state;
    struct poll poll = begin();

    for (int i = 0; i < 5; i++)
        assert_int_equal(vote(&poll, 4, 5, OLD), PLACEMENT_UNDECIDED);
    /* Not even after it had nothing to say, or another opinion. */
    assert_int_equal(vote(&poll, 3, 5, 0), PLACEMENT_UNDECIDED);
    assert_int_equal(vote(&poll, 3, 5, OLD), PLACEMENT_UNDECIDED);
    assert_int_equal(vote(&poll, 2, 5, NEW), PLACEMENT_UNDECIDED);
    assert_int_equal(vote(&poll, 2, 5, OLD), PLACEMENT_UNDECIDED);
    assert_int_equal(vote(&poll, 1, 5, OLD), PLACEMENT_UNDECIDED);
    assert_int_equal(placement_most_votes(&poll.placement), 2);
    assert_int_equal(vote(&poll, 0, 5, OLD), PLACEMENT_HERE);
}

static void votes_for_nothing_decide_nothing(void **state)
{
    (void)state;
    struct poll poll = begin();

    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(vote(&poll, i, 3, 0), PLACEMENT_UNDECIDED);
}

static void the_largest_electorate_counts(void **state)
{
    (void)state;
    struct poll poll = begin();

    assert_int_equal(vote(&poll, 0, 5, OLD), PLACEMENT_UNDECIDED);
    assert_int_equal(vote(&poll, 1, 1, OLD), PLACEMENT_UNDECIDED);
    assert_int_equal(vote(&poll, 2, 1, OLD), PLACEMENT_HERE);
}

static void many_opinions_do_not_crowd_out_a_majority(void **state)
{
    (void)state;
    struct poll poll = begin();

    for (unsigned i = 0; i < PLACEMENT_NAMES_MAX - 1; i++)
        assert_int_equal(vote(&poll, i, 11, 100 + i), PLACEMENT_UNDECIDED);
    for (unsigned i = 4; i < 9; i++)
        assert_int_equal(vote(&poll, i, 11, OLD), PLACEMENT_UNDECIDED);
    assert_int_equal(vote(&poll, 9, 11, 200), PLACEMENT_UNDECIDED);
    assert_int_equal(vote(&poll, 10, 11, OLD), PLACEMENT_HERE);
}

static void witnesses_beyond_the_last_have_no_vote(void **state)
{
    (void)state;
    struct poll poll = begin();

    assert_int_equal(vote(&poll, PLACEMENT_WITNESSES_MAX - 1, 1, OLD), PLACEMENT_HERE);
    poll = begin();
    assert_int_equal(vote(&poll, PLACEMENT_WITNESSES_MAX, 1, OLD), PLACEMENT_UNDECIDED);
    assert_int_equal(vote(&poll, UINT32_MAX, 1, OLD), PLACEMENT_UNDECIDED);
}

static void a_poll_that_is_over_or_was_not_held_hears_nothing(void **state)
{
    (void)state;
    struct poll poll = begin();

    poll.number++;
    assert_int_equal(vote(&poll, 0, 1, OLD), PLACEMENT_UNDECIDED);
    poll.number--;
    assert_int_equal(vote(&poll, 0, 1, OLD), PLACEMENT_HERE);
    assert_int_equal(vote(&poll, 1, 1, OLD), PLACEMENT_UNDECIDED);
    poll = begin();
    placement_end(&poll.placement);
    assert_int_equal(vote(&poll, 0, 1, OLD), PLACEMENT_UNDECIDED);
    poll = begin();
    placement_leave(&poll.placement);
    assert_int_equal(vote(&poll, 0, 1, OLD), PLACEMENT_UNDECIDED);
}

static void a_poll_is_repeated_ever_more_seldom(void **state)
{
    (void)state;
    struct poll poll = begin();
    int64_t now_ns = 0;
    int64_t pause_ns = 0;

    for (int i = 0; i < 10; i++) {
        uint64_t before = poll.number;
        int64_t wake_ns = placement_wake_at_ns(&poll.placement);

        assert_true(wake_ns - now_ns >= pause_ns);
        pause_ns = wake_ns - now_ns;
        now_ns = wake_ns;
        poll.number = placement_repeat(&poll.placement, &poll.timing, now_ns);
        assert_true(poll.number > before);
        /* A vote of the one before is no vote in this one. */
        assert_int_equal(vote(&poll, 0, 3, OLD), PLACEMENT_UNDECIDED);
    }
    assert_true(pause_ns >= 100 * NS_PER_MS && pause_ns <= 2000 * NS_PER_MS);
    assert_int_equal(vote(&poll, 1, 3, OLD), PLACEMENT_HERE);
    assert_true(placement_wake_at_ns(&poll.placement) == INT64_MAX);
}

static void what_changes_nothing_does_not_matter(void **state)
{
    (void)state;
    static const enum lease_verdict verdicts[] = {LEASE_GRANTED, LEASE_RENEWED, LEASE_LOST,
                                                  LEASE_RELEASED, LEASE_NOT_HELD};
    struct poll poll = begin();
    struct lease_reply reply = {.verdict = LEASE_REFUSED, .record.state = LEASE_HELD};

    assert_false(placement_matters(&poll.placement, &reply));
    reply.record.state = LEASE_VACANT;
    assert_true(placement_matters(&poll.placement, &reply));
    reply.verdict = LEASE_FAILED;
    assert_false(placement_matters(&poll.placement, &reply));
    for (size_t i = 0; i < sizeof verdicts / sizeof verdicts[0]; i++) {
        reply.verdict = verdicts[i];
        poll.placement.needed = true;
        assert_true(placement_matters(&poll.placement, &reply));
        poll.placement.needed = false;
        assert_false(placement_matters(&poll.placement, &reply));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(more_than_half_of_all_decide),
        cmocka_unit_test(a_majority_may_name_another_server),
        cmocka_unit_test(nobody_votes_twice),
        cmocka_unit_test(votes_for_nothing_decide_nothing),
        cmocka_unit_test(the_largest_electorate_counts),
        cmocka_unit_test(many_opinions_do_not_crowd_out_a_majority),
        cmocka_unit_test(witnesses_beyond_the_last_have_no_vote),
        cmocka_unit_test(a_poll_that_is_over_or_was_not_held_hears_nothing),
        cmocka_unit_test(a_poll_is_repeated_ever_more_seldom),
        cmocka_unit_test(what_changes_nothing_does_not_matter),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
