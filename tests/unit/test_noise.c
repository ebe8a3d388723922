/* What of many lines about the same thing is told. */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "leaderwrap/base/clock.h"
#include "leaderwrap/base/noise.h"

#define SECOND_NS (MS_PER_SEC * NS_PER_MS)
#define MINUTE_NS (60 * SECOND_NS)
#define BEGAN_NS  (1000 * SECOND_NS)

static void one_cause_is_told_at_growing_intervals(void **state)
{
    static const int64_t told_s[] = {0, 60, 180, 420, 900, 1860, 3780, 7380, 10980};
    struct noise noise = {0};
    size_t told = 0;
    uint32_t count = 0;

    (void)state;
    for (int64_t second = 0; second < 3 * 3600 + 300; second++) {
        struct noise_word word = noise_hear(&noise, "lost", BEGAN_NS + second * SECOND_NS);

        count++;
        if (!word.tell)
            continue;
        assert_true(told < sizeof told_s / sizeof told_s[0]);
        assert_int_equal(second, told_s[told]);
        assert_int_equal(word.times, count);
        assert_int_equal(word.within_ms, told == 0 ? 0 : (second - told_s[told - 1]) * 1000);
        told++;
        count = 0;
    }
    assert_int_equal(told, sizeof told_s / sizeof told_s[0]);
}

static void after_a_minute_of_silence_it_is_new(void **state)
{
    struct noise noise = {0};

    (void)state;
    assert_true(noise_hear(&noise, "lost", BEGAN_NS).tell);
    assert_false(noise_hear(&noise, "lost", BEGAN_NS + SECOND_NS).tell);
    struct noise_word word = noise_hear(&noise, "lost", BEGAN_NS + 62 * SECOND_NS);
    assert_true(word.tell);
    assert_int_equal(word.times, 1);
    assert_int_equal(word.within_ms, 0);
    /* Its pauses begin anew as well. */
    assert_false(noise_hear(&noise, "lost", BEGAN_NS + 121 * SECOND_NS).tell);
    assert_true(noise_hear(&noise, "lost", BEGAN_NS + 122 * SECOND_NS).tell);
}

static void other_causes_are_told_beside_it(void **state)
{
    struct noise noise = {0};

    (void)state;
    assert_true(noise_hear(&noise, "lost", BEGAN_NS).tell);
    assert_true(noise_hear(&noise, "refused", BEGAN_NS).tell);
    assert_false(noise_hear(&noise, "lost", BEGAN_NS + 1).tell);
    assert_false(noise_hear(&noise, "refused", BEGAN_NS + 1).tell);
}

static void causes_without_end_have_a_bound(void **state)
{
    struct noise noise = {0};
    int told = 0;

    (void)state;
    for (int64_t i = 0; i < 6000; i++) {
        char cause[32];

        snprintf(cause, sizeof cause, "error %" PRId64, i);
        told += noise_hear(&noise, cause, BEGAN_NS + i * 10 * NS_PER_MS).tell;
    }
    assert_int_equal(told, NOISE_CAUSES);
    /* When they are over there is room again. */
    assert_true(noise_hear(&noise, "lost", BEGAN_NS + 3 * MINUTE_NS).tell);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_cause_is_told_at_growing_intervals),
        cmocka_unit_test(after_a_minute_of_silence_it_is_new),
        cmocka_unit_test(other_causes_are_told_beside_it),
        cmocka_unit_test(causes_without_end_have_a_bound),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
