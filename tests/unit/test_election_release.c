/* The release of a term: what is given back, how, and over which connection. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "candidate.h"

#define STOP_MS    11348
#define EXPIRES_MS 14848

/* A leader whose command has ended 1 s after the grant; its release is on its way. */
static struct candidate releasing(void)
{
    struct candidate candidate = leader_with((struct election_config){.hold_ms = 60000});

    candidate.now_ms = 1000000 + 1000;
    ends(&candidate, false);
    expect_request(&candidate, LEASE_RELEASE);
    return candidate;
}

static void is_not_held(struct candidate *candidate, enum lease_state state, const char *id,
                        uint64_t token, const char *version)
{
    replies(candidate, answer(candidate, LEASE_NOT_HELD, state, id, token, version));
}

static void is_released(struct candidate *candidate)
{
    replies(candidate, answer(candidate, LEASE_RELEASED, LEASE_CLOSED, ME, 100, "v9"));
    assert_true(was_told(candidate, NOTE_RELEASED));
    assert_int_equal(expect(candidate, ACTION_EXIT)->end, END_COMMAND);
}

/* The record is written again, by a renewal like any other, and that version is released. */
static void check_restored(struct candidate candidate)
{
    char nonce[LEASE_NONCE_SIZE];
    const struct lease_request *renew = expect_request(&candidate, LEASE_RENEW);

    assert_false(renew->renew.claim);
    assert_int_equal(renew->renew.token, 100);
    snprintf(nonce, sizeof nonce, "%s", renew->nonce);
    candidate.now_ms += 10;
    is_renewed(&candidate);
    const struct lease_request *release = expect_request(&candidate, LEASE_RELEASE);
    assert_string_equal(release->release.version, nonce);
    assert_int_equal(release->release.hold_ms, 60000 - (candidate.now_ms - 1000010));
    is_released(&candidate);
}

static void what_a_restart_has_made_uncertain_is_written_again_and_released(void **state)
{
    (void)state;
    struct candidate candidate = releasing();
    struct candidate vacated = candidate, flushed = candidate, rolled_back = candidate;

    is_not_held(&candidate, LEASE_HELD, ME, 100, candidate.election.term.version);
    check_restored(candidate);
    is_not_held(&vacated, LEASE_VACANT, ME, 100, "vacant");
    check_restored(vacated);
    is_not_held(&flushed, LEASE_ABSENT, "", 0, "");
    check_restored(flushed);
    is_not_held(&rolled_back, LEASE_HELD, OTHER, 99, "old");
    check_restored(rolled_back);
}

static void what_another_one_has_is_left_alone(void **state)
{
    (void)state;
    struct candidate candidate = releasing(), foreign = candidate;
    struct lease_reply reply = answer(&foreign, LEASE_NOT_HELD, LEASE_ABSENT, "", 0, "");

    is_not_held(&candidate, LEASE_VACANT, OTHER, 101, "vacant");
    assert_true(was_told(&candidate, NOTE_NOT_HELD));
    assert_int_equal(expect(&candidate, ACTION_EXIT)->end, END_COMMAND);
    snprintf(reply.record.foreign, sizeof reply.record.foreign, "somebody");
    replies(&foreign, reply);
    assert_true(was_told(&foreign, NOTE_NOT_HELD));
    expect(&foreign, ACTION_EXIT);
}

static void a_restoring_renewal_that_is_refused_ends_the_term(void **state)
{
    (void)state;
    struct candidate candidate = releasing();

    is_not_held(&candidate, LEASE_ABSENT, "", 0, "");
    replies(&candidate, answer(&candidate, LEASE_LOST, LEASE_HELD, OTHER, 101, "v9"));
    assert_true(was_told(&candidate, NOTE_NOT_HELD));
    assert_int_equal(expect(&candidate, ACTION_EXIT)->end, END_COMMAND);
}

static void a_restoring_renewal_that_fails_is_sent_again(void **state)
{
    (void)state;
    struct candidate candidate = releasing();

    is_not_held(&candidate, LEASE_ABSENT, "", 0, "");
    fails(&candidate, LEASE_FAILURE_TRANSIENT);
    assert_true(was_told(&candidate, NOTE_RELEASE_FAILED));
    at(&candidate, wake_ms(&candidate) + 1);
    check_restored(candidate);
}

static void nothing_is_written_again_once_the_lease_may_be_another_ones(void **state)
{
    (void)state;
    struct candidate late = releasing(), doubtful = late;

    late.now_ms = 1000000 + EXPIRES_MS;
    is_not_held(&late, LEASE_ABSENT, "", 0, "");
    expect_none_request(&late, LEASE_RENEW);
    expect(&late, ACTION_EXIT);

    fails(&doubtful, LEASE_FAILURE_TRANSIENT);
    at(&doubtful, wake_ms(&doubtful) + 1);
    expect_request(&doubtful, LEASE_RELEASE);
    is_not_held(&doubtful, LEASE_ABSENT, "", 0, "");
    expect_none_request(&doubtful, LEASE_RENEW);
    expect(&doubtful, ACTION_EXIT);
}

static void a_renewal_that_could_not_be_sent_in_time_is_not_sent(void **state)
{
    (void)state;
    struct candidate candidate = releasing();

    is_not_held(&candidate, LEASE_ABSENT, "", 0, "");
    happens(&candidate, EVENT_CLOSED);
    candidate.now_ms = 1000000 + EXPIRES_MS;
    happens(&candidate, EVENT_OPENED);
    expect_none_request(&candidate, LEASE_RENEW);
}

/* The answer to the first release was lost. */
static void what_an_earlier_release_has_done_is_told_as_a_release(void **state)
{
    (void)state;
    for (int other = 0; other <= 1; other++) {
        struct candidate candidate = releasing();
        fails(&candidate, LEASE_FAILURE_TRANSIENT);
        at(&candidate, wake_ms(&candidate) + 1);
        is_not_held(&candidate, LEASE_CLOSED, other ? OTHER : ME, 100, "v9");
        assert_int_equal(was_told(&candidate, NOTE_RELEASED), !other);
        assert_int_equal(was_told(&candidate, NOTE_NOT_HELD), other);
    }
}

/* So that what it writes, should it be executed late, can be told to go back to that. */
static void a_renewal_names_the_version_that_is_known(void **state)
{
    char nonce[LEASE_NONCE_SIZE];
    (void)state;
    struct candidate candidate = leader();
    snprintf(nonce, sizeof nonce, "%s", candidate.election.term.version);
    at(&candidate, wake_ms(&candidate));
    assert_string_equal(expect_request(&candidate, LEASE_RENEW)->renew.version, nonce);
    at(&candidate, wake_ms(&candidate) + 1);
    assert_string_equal(expect_request(&candidate, LEASE_RENEW)->renew.version, nonce);
    snprintf(nonce, sizeof nonce, "%s", candidate.election.session.pending.nonce);
    is_renewed(&candidate);
    at(&candidate, wake_ms(&candidate));
    assert_string_equal(expect_request(&candidate, LEASE_RENEW)->renew.version, nonce);
}

static void the_next_term_renews_as_usual(void **state)
{
    (void)state;
    struct candidate candidate = leader();

    at(&candidate, 1000000 + STOP_MS);
    happens(&candidate, EVENT_TREE_DEAD);
    is_not_held(&candidate, LEASE_ABSENT, "", 0, "");
    expect_request(&candidate, LEASE_RENEW);
    replies(&candidate, answer(&candidate, LEASE_LOST, LEASE_HELD, OTHER, 101, "v9"));
    if (find_request(&candidate, LEASE_ACQUIRE) == NULL)
        at(&candidate, wake_ms(&candidate) + 1);
    is_granted(&candidate, 200);
    at(&candidate, wake_ms(&candidate));
    expect_request(&candidate, LEASE_RENEW);
    is_renewed(&candidate);
    expect(&candidate, ACTION_EXTEND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_restart_has_made_uncertain_is_written_again_and_released),
        cmocka_unit_test(what_another_one_has_is_left_alone),
        cmocka_unit_test(a_restoring_renewal_that_is_refused_ends_the_term),
        cmocka_unit_test(a_restoring_renewal_that_fails_is_sent_again),
        cmocka_unit_test(nothing_is_written_again_once_the_lease_may_be_another_ones),
        cmocka_unit_test(a_renewal_that_could_not_be_sent_in_time_is_not_sent),
        cmocka_unit_test(what_an_earlier_release_has_done_is_told_as_a_release),
        cmocka_unit_test(a_renewal_names_the_version_that_is_known),
        cmocka_unit_test(the_next_term_renews_as_usual),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
