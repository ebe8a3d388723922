/* The schedule and the verdict of health checks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "leaderwrap/base/clock.h"
#include "leaderwrap/election/health.h"

#define BEGAN_MS INT64_C(5000)

static struct health begun(int64_t start_period_ms)
{
    const struct health_config config = {
        .interval_ms = 1000, .timeout_ms = 300, .start_period_ms = start_period_ms, .retries = 3};
    struct health health;

    health_begin(&health, &config, BEGAN_MS * NS_PER_MS);
    return health;
}

/* Runs the check that is due next, which takes 10 ms. */
static enum health_verdict check(struct health *health, bool success)
{
    int64_t now_ns = health_wake_at_ns(health);

    assert_false(health_is_due(health, now_ns - 1));
    assert_true(health_is_due(health, now_ns));
    assert_false(health_is_due(health, now_ns));
    assert_true(health_wake_at_ns(health) == INT64_MAX);
    return health_result(health, success, now_ns + 10 * NS_PER_MS);
}

static int64_t wake_ms(const struct health *health)
{
    return health_wake_at_ns(health) / NS_PER_MS;
}

static void the_first_check_comes_an_interval_after_the_start(void **state)
{
    (void)state;
    struct health health = begun(0);
    assert_int_equal(wake_ms(&health), BEGAN_MS + 1000);
    assert_int_equal(check(&health, true), HEALTH_HEALTHY);
    assert_int_equal(wake_ms(&health), BEGAN_MS + 2010);
    assert_int_equal(check(&health, true), HEALTH_UNCHANGED);
}

static void so_many_failures_in_a_row_are_unhealthy(void **state)
{
    (void)state;
    struct health health = begun(0);
    assert_int_equal(check(&health, false), HEALTH_FAILING);
    assert_int_equal(check(&health, false), HEALTH_FAILING);
    assert_int_equal(check(&health, false), HEALTH_UNHEALTHY);
    assert_true(health_wake_at_ns(&health) == INT64_MAX);
}

static void a_success_makes_earlier_failures_forgotten(void **state)
{
    (void)state;
    struct health health = begun(0);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(check(&health, false), HEALTH_FAILING);
        assert_int_equal(check(&health, false), HEALTH_FAILING);
        assert_int_equal(check(&health, true), HEALTH_HEALTHY);
    }
}

static void failures_in_the_start_period_do_not_count(void **state)
{
    (void)state;
    struct health health = begun(4000);
    for (int i = 0; i < 3; i++)
        assert_int_equal(check(&health, false), HEALTH_STARTING);
    /* This one ends 4040 ms after the start. */
    assert_int_equal(check(&health, false), HEALTH_FAILING);
}

static void a_success_ends_the_start_period(void **state)
{
    (void)state;
    struct health health = begun(60000);
    assert_int_equal(check(&health, false), HEALTH_STARTING);
    assert_int_equal(check(&health, true), HEALTH_HEALTHY);
    assert_int_equal(check(&health, false), HEALTH_FAILING);
}

static void after_the_end_nothing_is_due_and_a_result_means_nothing(void **state)
{
    (void)state;
    struct health health = begun(0);
    assert_true(health_is_due(&health, health_wake_at_ns(&health)));
    health_end(&health);
    for (int i = 0; i < 5; i++)
        assert_int_equal(health_result(&health, false, (BEGAN_MS + 1200) * NS_PER_MS),
                         HEALTH_UNCHANGED);
    assert_true(health_wake_at_ns(&health) == INT64_MAX);
}

static void what_cannot_be_run_does_not_count(void **state)
{
    (void)state;
    struct health health = begun(0);
    check(&health, false);
    for (int i = 0; i < 5; i++) {
        int64_t now_ns = health_wake_at_ns(&health);
        assert_true(health_is_due(&health, now_ns));
        health_skip(&health, now_ns);
        assert_true(health_wake_at_ns(&health) == now_ns + 1000 * NS_PER_MS);
    }
    assert_int_equal(health.failures, 1);
    health_end(&health);
    health_skip(&health, 0);
    assert_true(health_wake_at_ns(&health) == INT64_MAX);
}

static void it_remembers_when_all_was_well(void **state)
{
    (void)state;
    struct health health = begun(0);
    assert_true(health.well_until_ns == BEGAN_MS * NS_PER_MS);
    check(&health, true);
    check(&health, false);
    assert_true(health.well_until_ns == (BEGAN_MS + 1010) * NS_PER_MS);
}

static void another_start_begins_anew(void **state)
{
    (void)state;
    struct health health = begun(0);
    check(&health, false);
    check(&health, false);
    health_end(&health);
    const struct health_config config = health.config;
    health_begin(&health, &config, 2 * BEGAN_MS * NS_PER_MS);
    assert_int_equal(wake_ms(&health), 2 * BEGAN_MS + 1000);
    assert_int_equal(check(&health, false), HEALTH_FAILING);
    assert_int_equal(health.failures, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_check_comes_an_interval_after_the_start),
        cmocka_unit_test(so_many_failures_in_a_row_are_unhealthy),
        cmocka_unit_test(a_success_makes_earlier_failures_forgotten),
        cmocka_unit_test(failures_in_the_start_period_do_not_count),
        cmocka_unit_test(a_success_ends_the_start_period),
        cmocka_unit_test(after_the_end_nothing_is_due_and_a_result_means_nothing),
        cmocka_unit_test(what_cannot_be_run_does_not_count),
        cmocka_unit_test(it_remembers_when_all_was_well),
        cmocka_unit_test(another_start_begins_anew),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
