/* The timing arithmetic: the published numbers, every boundary, and what it refuses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "leaderwrap/base/clock.h"
#include "leaderwrap/base/duration.h"
#include "leaderwrap/election/timing.h"

static struct timing derive(const struct timing_request *request)
{
    struct timing timing;
    char error[512] = "";
    if (timing_derive(request, &timing, error, sizeof error) != 0)
        fail_msg("refused: %s", error);
    return timing;
}

static void assert_refused(const struct timing_request *request, const char *part)
{
    struct timing timing;
    char error[512] = "";
    assert_int_equal(timing_derive(request, &timing, error, sizeof error), -1);
    if (strstr(error, part) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", error, part);
}

static void default_numbers(void **state)
{
    (void)state;
    struct timing_request request = timing_request_of(15000);
    struct timing timing = derive(&request);

    assert_int_equal(timing.renew_ms, 5000);
    assert_int_equal(timing.drift_ms, 152);
    assert_int_equal(timing.margin_ms, 500);
    assert_int_equal(timing.grace_ms, 3000);
    assert_int_equal(timing.expire_after_ms, 14848);
    assert_int_equal(timing.kill_after_ms, 14348);
    assert_int_equal(timing.stop_after_ms, 11348);
    assert_int_equal(timing.tolerated_outage_ms, 6348);
    assert_int_equal(timing.renew_retry_ms, 1000);
    assert_int_equal(timing.retry_ms, 5000);
    assert_int_equal(timing.request_timeout_ms, 2500);
}

static void margin_and_grace_are_clamped(void **state)
{
    (void)state;
    struct timing_request little = timing_request_of(1000);
    struct timing_request large = timing_request_of(INT64_C(3600000));

    assert_int_equal(derive(&little).margin_ms, 50);
    assert_int_equal(derive(&large).margin_ms, 500);
    assert_int_equal(derive(&large).grace_ms, 10000);
}

static void the_request_time_out_follows_the_ttl(void **state)
{
    (void)state;
    const struct {
        int64_t ttl_ms;
        int64_t timeout_ms;
    } rows[] = {{350, 100}, {3000, 500}, {6000, 1000}, {30000, 5000}, {300000, 10000}};

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct timing_request request = timing_request_of(rows[i].ttl_ms);
        assert_int_equal(derive(&request).request_timeout_ms, rows[i].timeout_ms);
    }
    /* It makes room for a seldom renewal, but not all of it. */
    struct timing_request request = timing_request_of(60000);
    request.renew_ms = 45000;
    assert_int_equal(derive(&request).request_timeout_ms, 60000 - 602 - 500 - 10000 - 45000);
    request.renew_ms = 46898;
    assert_int_equal(derive(&request).request_timeout_ms, 2000);
    request.renew_ms = 46899;
    assert_refused(&request, "too short");
}

static void a_given_request_time_out_counts(void **state)
{
    (void)state;
    struct timing_request request = timing_request_of(15000);
    request.request_timeout_ms = 6348;
    assert_int_equal(derive(&request).request_timeout_ms, 6348);
    request.request_timeout_ms = 6349;
    assert_refused(&request, "its time-out of 6.35 s must fit");
    request.request_timeout_ms = 10;
    assert_int_equal(derive(&request).request_timeout_ms, 10);
    request.request_timeout_ms = 9;
    assert_refused(&request, "a time-out of 10 ms at least");
    request.request_timeout_ms = DURATION_MAX_MS;
    assert_refused(&request, "--request-timeout");
}

static void a_margin_too_small_to_mean_anything_is_refused(void **state)
{
    (void)state;
    struct timing_request request = timing_request_of(15000);
    request.margin_ms = 10;
    assert_int_equal(derive(&request).margin_ms, 10);
    for (request.margin_ms = 0; request.margin_ms < 10; request.margin_ms++)
        assert_refused(&request, "a margin below 10 ms is none");
}

static void a_follower_asks_once_in_a_ttl_at_least(void **state)
{
    (void)state;
    struct timing_request request = timing_request_of(3000);
    assert_int_equal(derive(&request).retry_ms, 3000);
    request.retry_ms = 20000;
    assert_int_equal(derive(&request).retry_ms, 20000);
}

static void drift_rounds_up(void **state)
{
    (void)state;
    struct timing_request request = timing_request_of(1001);
    assert_int_equal(derive(&request).drift_ms, 11 + 2);
}

static void order_holds_for_every_accepted_ttl(void **state)
{
    (void)state;
    for (int64_t ttl_ms = 1; ttl_ms < 100000; ttl_ms += 7) {
        struct timing_request request = timing_request_of(ttl_ms);
        struct timing timing;
        char error[512];
        if (timing_derive(&request, &timing, error, sizeof error) != 0)
            continue;
        assert_true(timing.renew_ms + timing.request_timeout_ms <= timing.stop_after_ms);
        assert_true(timing.stop_after_ms <= timing.kill_after_ms);
        assert_true(timing.kill_after_ms < timing.expire_after_ms);
        assert_true(timing.expire_after_ms < timing.ttl_ms - timing.ttl_ms / 100);
    }
}

static void refusal_names_the_edge(void **state)
{
    (void)state;
    struct timing_request request = timing_request_of(15000);
    struct timing timing;
    char error[512], named[64];
    int64_t least_ms;

    request.grace_ms = 10000;
    assert_int_equal(timing_derive(&request, &timing, error, sizeof error), -1);
    /* The very TTL it names is accepted, and one that is clearly smaller is not. */
    char *at = strstr(error, "would do is ");
    assert_non_null(at);
    snprintf(named, sizeof named, "%s", at + strlen("would do is "));
    char *space = strchr(named, ' ');
    assert_non_null(space);
    memmove(space, space + 1, strlen(space));
    assert_null(duration_parse(named, &least_ms));
    request.ttl_ms = least_ms;
    assert_int_equal(timing_derive(&request, &timing, error, sizeof error), 0);
    request.ttl_ms = least_ms - 1100;
    assert_int_equal(timing_derive(&request, &timing, error, sizeof error), -1);
}

static void impossible_values_are_refused(void **state)
{
    (void)state;
    struct timing_request request = timing_request_of(100);
    assert_refused(&request, "the smallest TTL that would do is");
    request = timing_request_of(0);
    assert_refused(&request, "--ttl must be longer than 0");
    request = timing_request_of(15000);
    request.renew_ms = 0;
    assert_refused(&request, "longer than 0");
    request = timing_request_of(15000);
    request.retry_ms = 0;
    assert_refused(&request, "longer than 0");
    request = timing_request_of(15000);
    request.renew_ms = DURATION_MAX_MS;
    assert_refused(&request, "no TTL is long enough");
    request = timing_request_of(15000);
    request.renew_ms = 11000;
    assert_refused(&request, "too short");
}

static void deadlines_count_from_the_send(void **state)
{
    (void)state;
    struct timing_request request = timing_request_of(15000);
    struct timing timing = derive(&request);
    struct deadlines deadlines = timing_deadlines(&timing, 7 * NS_PER_MS);

    assert_int_equal(deadlines.stop_at_ns, (7 + 11348) * NS_PER_MS);
    assert_int_equal(deadlines.kill_at_ns, (7 + 14348) * NS_PER_MS);
    assert_int_equal(deadlines.expires_at_ns, (7 + 14848) * NS_PER_MS);
}

static void observation_takes_the_longer_ttl(void **state)
{
    (void)state;
    struct timing_request request = timing_request_of(15000);
    struct timing timing = derive(&request);

    assert_int_equal(timing_observation_ms(&timing, 10), 15000);
    assert_int_equal(timing_observation_ms(&timing, 20000), 20000);
    assert_int_equal(timing_observation_ms(&timing, INT64_MAX), DURATION_MAX_MS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(default_numbers),
        cmocka_unit_test(margin_and_grace_are_clamped),
        cmocka_unit_test(the_request_time_out_follows_the_ttl),
        cmocka_unit_test(a_given_request_time_out_counts),
        cmocka_unit_test(a_margin_too_small_to_mean_anything_is_refused),
        cmocka_unit_test(a_follower_asks_once_in_a_ttl_at_least),
        cmocka_unit_test(drift_rounds_up),
        cmocka_unit_test(order_holds_for_every_accepted_ttl),
        cmocka_unit_test(refusal_names_the_edge),
        cmocka_unit_test(impossible_values_are_refused),
        cmocka_unit_test(deadlines_count_from_the_send),
        cmocka_unit_test(observation_takes_the_longer_ttl),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
