/* Durations: what is accepted, what is refused and how they are shown. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "leaderwrap/base/duration.h"

static void accepted(void **state)
{
    static const struct {
        const char *text;
        int64_t ms;
    } cases[] = {
        {"0", 0},           {"0s", 0},
        {"500ms", 500},     {"15s", 15000},
        {"5m", 300000},     {"1h", 3600000},
        {"1.5s", 1500},     {"0.25s", 250},
        {"2.5ms", 2},       {"720h", DURATION_MAX_MS},
        {"1.0009s", 1000},  {"00015s", 15000},
        {"1d", 86400000},   {"30d", DURATION_MAX_MS},
        {"1h30m", 5400000}, {"1d1h1m1s1ms", 90061001},
        {"1m0.5s", 60500},  {"1h1ms", 3600001},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int64_t ms = -1;
        const char *problem = duration_parse(cases[i].text, &ms);
        if (problem != NULL || ms != cases[i].ms)
            fail_msg("%s: %s, %lld", cases[i].text, problem, (long long)ms);
    }
}

static void refused(void **state)
{
    static const struct {
        const char *text;
        const char *part;
    } cases[] = {
        {"15", "has no unit:"},
        {"1h30", "has no unit at its end"},
        {"", "is empty"},
        {"s", "is no time"},
        {"soon", "is no time"},
        {"-", "is no time"},
        {"-5s", "is negative"},
        {"-.5s", "is negative"},
        {"+5s", "is no time"},
        {"5 s", "has a blank"},
        {"1h 30m", "has a blank"},
        {"5x", "unknown unit"},
        {"5S", "unknown unit"},
        {"5sec", "unknown unit"},
        {"1.s", "no digit behind the point"},
        {".5s", "no digit before the point"},
        {"1h.5m", "no digit before the point"},
        {"721h", "30 days"},
        {"31d", "30 days"},
        {"30d1ms", "30 days"},
        {"99999999999999999999s", "30 days"},
        {"0x10s", "unknown unit"},
        {"1e3s", "unknown unit"},
        {"15s ", "has a blank"},
        {"15s,", "something behind its unit"},
        {"30m1h", "the longest first"},
        {"1h1h", "each unit once"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int64_t ms = -77;
        const char *problem = duration_parse(cases[i].text, &ms);
        if (problem == NULL || strstr(problem, cases[i].part) == NULL)
            fail_msg("\"%s\": %s", cases[i].text, problem != NULL ? problem : "accepted");
        assert_int_equal(ms, -77);
    }
}

static void shown(void **state)
{
    static const struct {
        int64_t ms;
        const char *text;
    } cases[] = {
        {0, "0 ms"},      {999, "999 ms"},         {1000, "1 s"},     {11348, "11.35 s"},
        {1500, "1.5 s"},  {10000, "10 s"},         {60000, "1 min"},  {125000, "2 min 5 s"},
        {3600000, "1 h"}, {5400000, "1 h 30 min"}, {-250, "-250 ms"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char buffer[32];
        assert_string_equal(duration_format(buffer, sizeof buffer, cases[i].ms), cases[i].text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(accepted),
        cmocka_unit_test(refused),
        cmocka_unit_test(shown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
