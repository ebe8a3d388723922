/* What becomes of a command that ended by itself. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "leaderwrap/election/restart.h"

#define HEALTHY_MS INT64_C(60000)

static void the_policy_says_which_ends_are_followed_by_a_start(void **state)
{
    (void)state;
    assert_false(restart_is_wanted(RESTART_NO, false));
    assert_false(restart_is_wanted(RESTART_NO, true));
    assert_false(restart_is_wanted(RESTART_ON_FAILURE, false));
    assert_true(restart_is_wanted(RESTART_ON_FAILURE, true));
    assert_true(restart_is_wanted(RESTART_ALWAYS, false));
    assert_true(restart_is_wanted(RESTART_ALWAYS, true));
}

static void quick_ends_double_the_pause_up_to_a_limit(void **state)
{
    (void)state;
    static const int64_t pauses_ms[] = {1000, 2000, 4000, 8000, 16000, 30000, 30000};
    struct restart restart = {0};

    for (size_t i = 0; i < sizeof pauses_ms / sizeof *pauses_ms; i++) {
        assert_true(restart_count(&restart, HEALTHY_MS - 1, i % 2 == 0, 0));
        assert_int_equal(restart_pause_ms(&restart), pauses_ms[i]);
    }
    assert_true(restart_count(&restart, HEALTHY_MS, true, 0));
    assert_int_equal(restart_pause_ms(&restart), 1000);
}

static void a_pause_is_bounded_whatever_was_counted(void **state)
{
    (void)state;
    struct restart restart = {.quick_ends = INT64_MAX - 1};
    assert_int_equal(restart_pause_ms(&restart), 30000);
}

static void only_failures_in_a_row_are_too_many(void **state)
{
    (void)state;
    struct restart restart = {0};

    assert_true(restart_count(&restart, 1, true, 2));
    assert_true(restart_count(&restart, 1, false, 2));
    assert_true(restart_count(&restart, 1, true, 2));
    assert_false(restart_count(&restart, 1, true, 2));
    assert_true(restart_count(&restart, HEALTHY_MS, true, 2));
    assert_false(restart_count(&restart, 1, true, 2));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_policy_says_which_ends_are_followed_by_a_start),
        cmocka_unit_test(quick_ends_double_the_pause_up_to_a_limit),
        cmocka_unit_test(a_pause_is_bounded_whatever_was_counted),
        cmocka_unit_test(only_failures_in_a_row_are_too_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
