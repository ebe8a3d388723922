/* Many followers of one lease: who asks when. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "candidate.h"

/* Of 200 candidates that hear of a release: when the last one asks, and how many at once. */
static int64_t last_of_a_crowd_ms(int64_t listeners, int *at_once)
{
    int64_t latest_ms = 0;

    *at_once = 0;
    for (int i = 0; i < 200; i++) {
        struct candidate candidate = fresh();
        candidate.election.jitter.state = (uint64_t)i;
        is_refused(&candidate, "v1");
        is_pushed(&candidate, LEASE_FREE, "v2", listeners);
        int64_t wait_ms = wake_ms(&candidate) - candidate.now_ms;
        if (candidate.election.state != ELECTION_FOLLOWING || wait_ms < 20)
            ++*at_once;
        else if (wait_ms > latest_ms)
            latest_ms = wait_ms;
    }
    return latest_ms;
}

static void many_listeners_spread_over_a_bounded_span(void **state)
{
    int at_once;

    (void)state;
    assert_in_range(last_of_a_crowd_ms(-1, &at_once), 20, 50);
    assert_int_equal(last_of_a_crowd_ms(20, &at_once), 0);
    assert_in_range(last_of_a_crowd_ms(220, &at_once), 150, 200);
    assert_in_range(last_of_a_crowd_ms(100000, &at_once), 900, 1000);
    /* A fiftieth of them, by chance a few more. */
    assert_in_range(at_once, 0, 12);
}

/* The others need not ask for what somebody has. */
static void who_hears_of_the_new_leader_lets_it_be(void **state)
{
    int asked = 0;

    (void)state;
    for (int i = 0; i < 200; i++) {
        struct candidate candidate = fresh();
        candidate.election.jitter.state = (uint64_t)i;
        is_refused(&candidate, "v1");
        is_pushed(&candidate, LEASE_FREE, "v2", 1000);
        if (candidate.election.state == ELECTION_ACQUIRING)
            continue;
        is_pushed_of(&candidate, LEASE_HELD, "v3", 8, -1);
        asked += wake_ms(&candidate) < candidate.now_ms + 1000;
    }
    /* They see for themselves, each at a time of its own within a renewal (5 s). */
    assert_in_range(asked, 10, 80);
}

/* Anybody can say that somebody leads. */
static void it_is_let_be_once_until_there_is_an_answer(void **state)
{
    (void)state;
    struct candidate candidate = fresh();
    is_refused(&candidate, "v1");
    is_pushed(&candidate, LEASE_FREE, "v2", 100000);
    for (uint64_t token = 8; token < 100; token++) {
        is_pushed_of(&candidate, LEASE_HELD, "v3", token, -1);
        if (candidate.election.state == ELECTION_ACQUIRING)
            break;
        candidate.now_ms += 100;
    }
    assert_in_range(candidate.now_ms, 1000000, 1000000 + 5100);
    expect_request(&candidate, LEASE_ACQUIRE);
}

/* A crowd that waits for the end of a TTL does not ask at once either. */
static void the_end_of_a_ttl_is_spread_in_a_crowd(void **state)
{
    int64_t latest_ms = 0;
    int at_once = 0;

    (void)state;
    for (int i = 0; i < 200; i++) {
        struct candidate candidate = fresh();
        candidate.election.jitter.state = (uint64_t)i;
        is_pushed(&candidate, LEASE_HELD, "v1", 1000);
        is_refused(&candidate, "v1");
        /* What it asks in between is refused. */
        while (candidate.now_ms < 1000000 + 15000) {
            at(&candidate, wake_ms(&candidate) + 1);
            if (candidate.election.state == ELECTION_ACQUIRING && candidate.now_ms < 1015000)
                is_refused(&candidate, "v1");
        }
        int64_t late_ms = candidate.now_ms - 1015000;
        at_once += late_ms < 20;
        latest_ms = late_ms > latest_ms ? late_ms : latest_ms;
        expect_observed(&candidate, "v1", candidate.now_ms - 1000000);
    }
    assert_in_range(at_once, 0, 20);
    assert_in_range(latest_ms, 700, 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(many_listeners_spread_over_a_bounded_span),
        cmocka_unit_test(who_hears_of_the_new_leader_lets_it_be),
        cmocka_unit_test(it_is_let_be_once_until_there_is_an_answer),
        cmocka_unit_test(the_end_of_a_ttl_is_spread_in_a_crowd),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
