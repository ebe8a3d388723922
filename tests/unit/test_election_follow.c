/* Following: what nobody can forge, when a ripe version is asked about, and holds that were
 * watched. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "candidate.h"
#include "leaderwrap/base/duration.h"
#include "sim/splitmix.h"

/* Asks until there are `count` nonces. */
static void collect_nonces(struct election_config config, uint64_t nonces[], size_t count)
{
    struct candidate candidate = fresh_with(config);

    for (size_t i = 0; i < count; i++) {
        nonces[i] = strtoull(candidate.election.session.pending.nonce, NULL, 16);
        is_refused(&candidate, "v1");
        at(&candidate, wake_ms(&candidate) + 1);
        expect_request(&candidate, LEASE_ACQUIRE);
    }
}

/* Else a push could say what will be written, and an observation would begin before the write. */
static void nobody_can_tell_the_next_nonce(void **state)
{
    struct election_config config = {.nonce_key = {1}};
    uint64_t nonces[100], again[100], others[100];

    (void)state;
    collect_nonces(config, nonces, 100);
    collect_nonces(config, again, 100);
    config.nonce_key[SIPHASH_KEY_SIZE - 1] = 1;
    collect_nonces(config, others, 100);
    assert_memory_equal(nonces, again, sizeof nonces);
    for (size_t i = 0; i < 100; i++) {
        assert_true(nonces[i] != others[i]);
        for (size_t j = 0; j < i; j++) {
            assert_true(nonces[i] != nonces[j]);
            assert_true(nonces[i] != splitmix_next(nonces[j]));
            assert_true(nonces[i] - nonces[j] != i - j);
        }
    }
}

/* What the jitter shows of its generator says nothing about the nonces. */
static void nonces_and_jitter_have_nothing_in_common(void **state)
{
    struct candidate one = fresh();
    struct candidate other = fresh();

    (void)state;
    other.election.jitter.state++;
    for (int i = 0; i < 10; i++) {
        assert_string_equal(one.election.session.pending.nonce,
                            other.election.session.pending.nonce);
        is_refused(&one, "v1");
        is_refused(&other, "v1");
        at(&one, wake_ms(&one) + 1);
        at(&other, wake_ms(&other) + 1);
    }
}

/* The question was about another version than the one that the refusal shows, which was heard of so
 * long ago that it is ripe, too. */
static void a_ripe_version_is_asked_about_though_another_one_was_refused(void **state)
{
    (void)state;
    struct candidate candidate = fresh();
    is_refused(&candidate, "v1");
    candidate.now_ms++;
    is_pushed(&candidate, LEASE_HELD, "v2", -1);
    wait_until(&candidate, "v1", 1000000 + 14999);
    at(&candidate, 1000000 + 15000);
    expect_observed(&candidate, "v1", 15000);
    candidate.now_ms += 2;
    is_refused(&candidate, "v2");
    expect_observed(&candidate, "v2", 15001);
    is_refused(&candidate, "v2");
    expect_none_request(&candidate, LEASE_ACQUIRE);
}

/* It was, and was refused: a flood of pushes makes no flood of questions of it. */
static void what_is_ripe_is_not_asked_about_at_each_push(void **state)
{
    (void)state;
    struct candidate candidate = fresh();
    is_refused(&candidate, "v1");
    wait_until(&candidate, "v1", 1000000 + 14999);
    at(&candidate, 1000000 + 15000);
    expect_observed(&candidate, "v1", 15000);
    is_refused(&candidate, "v1");
    while (candidate.now_ms < 1000000 + 19000) {
        candidate.now_ms += 100;
        is_pushed(&candidate, LEASE_HELD, "v1", -1);
        expect_none_request(&candidate, LEASE_ACQUIRE);
    }
    at(&candidate, candidate.now_ms + 5500);
    expect_observed(&candidate, "v1", 24500);
}

/* A push in the very moment in which a question is due does not put it off. */
static void a_due_question_is_asked_whatever_is_heard(void **state)
{
    (void)state;
    struct candidate candidate = fresh();
    is_refused(&candidate, "v1");
    wait_until(&candidate, "v1", 1000000 + 14999);
    candidate.now_ms = 1000000 + 15001;
    is_pushed(&candidate, LEASE_HELD, "v1", -1);
    expect_observed(&candidate, "v1", 15001);
}

/* After a restart the server's clock is another one; who has watched the hold has his own. */
static void a_vacancy_does_not_shorten_a_hold_that_was_watched(void **state)
{
    (void)state;
    for (int64_t left_ms = 0; left_ms <= 60000; left_ms += 30000) {
        struct candidate candidate = fresh();
        struct lease_reply reply = answer(&candidate, LEASE_REFUSED, LEASE_CLOSED, OTHER, 7, "v1");
        int64_t end_ms = 1000000 + (left_ms > 40000 ? left_ms : 40000);
        reply.record.hold_left_ms = reply.record.hold_ms = 40000;
        replies(&candidate, reply);
        happens(&candidate, EVENT_OPENED);
        expect_request(&candidate, LEASE_ACQUIRE);
        reply = answer(&candidate, LEASE_REFUSED, LEASE_VACANT, OTHER, 7, "v2");
        reply.record.hold_left_ms = reply.record.hold_ms = left_ms;
        replies(&candidate, reply);
        assert_int_equal(candidate.election.follow.obstacle, OBSTACLE_HOLDER);
        assert_int_equal(candidate.election.observation.hold_until_ns, end_ms * NS_PER_MS);
        candidate.now_ms = end_ms - 1;
        candidate.election.follow.ask_at_ns = INT64_MAX;
        happens(&candidate, EVENT_OPENED);
        assert_int_equal(expect_request(&candidate, LEASE_ACQUIRE)->acquire.hold_left_ms, 2);
        reply.request = candidate.election.session.last_request;
        reply.record.hold_left_ms = 0;
        replies(&candidate, reply);
        assert_int_equal(candidate.election.follow.obstacle, OBSTACLE_HOLDER);
        at(&candidate, end_ms);
        assert_int_equal(expect_request(&candidate, LEASE_ACQUIRE)->acquire.hold_left_ms, 0);
    }
}

/* A hold that is given back as it is seen has to be one that the scripts take. */
static void the_longest_hold_is_not_exceeded(void **state)
{
    (void)state;
    struct candidate candidate = fresh();
    struct lease_reply reply = answer(&candidate, LEASE_REFUSED, LEASE_CLOSED, OTHER, 7, "v1");
    reply.record.hold_left_ms = reply.record.hold_ms = DURATION_MAX_MS;
    happens(&candidate, EVENT_LISTENING);
    replies(&candidate, reply);
    assert_int_equal(expect_request(&candidate, LEASE_ACQUIRE)->acquire.hold_left_ms,
                     DURATION_MAX_MS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nobody_can_tell_the_next_nonce),
        cmocka_unit_test(nonces_and_jitter_have_nothing_in_common),
        cmocka_unit_test(a_ripe_version_is_asked_about_though_another_one_was_refused),
        cmocka_unit_test(what_is_ripe_is_not_asked_about_at_each_push),
        cmocka_unit_test(a_due_question_is_asked_whatever_is_heard),
        cmocka_unit_test(a_vacancy_does_not_shorten_a_hold_that_was_watched),
        cmocka_unit_test(the_longest_hold_is_not_exceeded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
