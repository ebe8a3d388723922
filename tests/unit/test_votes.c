/* Votes that are counted for people. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "wrapper/votes.h"

static void cast(struct votes *votes, unsigned witness, unsigned electorate, uint64_t placement,
                 bool here)
{
    const struct lease_vote vote = {
        .witness = witness, .electorate = electorate, .placement = placement, .here = here};

    votes_count(votes, &vote);
}

static void assert_shown(const struct votes *votes, const char *expected)
{
    char shown[200];

    assert_string_equal(votes_show(votes, shown, sizeof shown), expected);
}

static void they_are_counted_once_each(void **state)
{
    struct votes votes = {0};

    (void)state;
    assert_shown(&votes, "none answers");
    assert_false(votes_are_all(&votes));
    cast(&votes, 0, 2, 1, true);
    assert_shown(&votes, "1 of 2 names it as the master, 1 does not answer");
    cast(&votes, 0, 2, 1, true);
    assert_false(votes_are_a_majority(&votes));
    cast(&votes, 4, 5, 2, false);
    cast(&votes, 1, 4, 0, false);
    assert_shown(&votes, "1 of 5 names it as the master, 1 names another, 1 knows none, "
                         "2 do not answer");
    cast(&votes, 2, 5, 1, true);
    assert_false(votes_are_a_majority(&votes));
    assert_false(votes_are_all(&votes));
    cast(&votes, 3, 5, 1, true);
    assert_true(votes_are_a_majority(&votes));
    assert_true(votes_are_all(&votes));
    assert_shown(&votes, "3 of 5 name it as the master, 1 names another, 1 knows none");
}

static void one_without_a_place_counts_as_silent(void **state)
{
    struct votes votes = {0};

    (void)state;
    cast(&votes, VOTES_WITNESSES_MAX, VOTES_WITNESSES_MAX + 1, 1, true);
    assert_int_equal(votes.here, 0);
    assert_int_equal(votes.electorate, VOTES_WITNESSES_MAX + 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(they_are_counted_once_each),
        cmocka_unit_test(one_without_a_place_counts_as_silent),
    };

    return cmocka_run_group_tests_name("votes", tests, NULL, NULL);
}
