/* A pause that is remembered: when its end is a loss. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "leaderwrap/base/clock.h"
#include "wrapper/about.h"

#define NOW_NS (1000 * NS_PER_MS)
#define NOW_MS INT64_C(1700000000000)

static struct lease_reply refusal(const char *incarnation, const char *version, const char *id)
{
    struct lease_reply reply = {.verdict = LEASE_REFUSED};

    reply.record.state = LEASE_VACANT;
    snprintf(reply.record.incarnation, sizeof reply.record.incarnation, "%s", incarnation);
    snprintf(reply.record.version, sizeof reply.record.version, "%s", version);
    snprintf(reply.record.id, sizeof reply.record.id, "%s", id);
    return reply;
}

/* Hears of a pause beside the record i/v of x. */
static struct pause paused(int64_t left_ms)
{
    struct lease_reply reply = refusal("i", "v", "x");
    struct pause pause = {0};

    reply.wish = (struct lease_wish){
        .kind = LEASE_WISH_PAUSED, .left_ms = left_ms, .by = "ann@adm1", .text = "why"};
    assert_false(pause_hear(&pause, &reply, NOW_NS, NOW_MS));
    assert_false(pause.lost);
    return pause;
}

static bool is_lost_by(struct pause pause, const struct lease_reply *reply, int64_t now_ns)
{
    bool changed = pause_hear(&pause, reply, now_ns, NOW_MS + 5);

    assert_int_equal(changed, pause.lost);
    if (pause.lost) {
        assert_int_equal(pause.lost_ms, NOW_MS + 5);
        assert_string_equal(pause.wish.by, "ann@adm1");
        assert_string_equal(pause.wish.text, "why");
    }
    return pause.lost;
}

static void one_that_is_taken_back_is_not_lost(void **state)
{
    const struct lease_reply same = refusal("i", "v", "x");
    const struct lease_reply led = refusal("i", "w", "y");

    (void)state;
    assert_false(is_lost_by(paused(0), &same, NOW_NS));
    assert_false(is_lost_by(paused(0), &led, NOW_NS));
}

static void one_that_goes_with_its_record_is_lost(void **state)
{
    const struct lease_reply flushed = refusal("i", "w", "");
    const struct lease_reply restarted = refusal("j", "w", "");
    const struct lease_reply older = refusal("j", "w", "x");

    (void)state;
    assert_true(is_lost_by(paused(0), &flushed, NOW_NS));
    assert_true(is_lost_by(paused(0), &restarted, NOW_NS));
    /* Another server, which has an older record. */
    assert_true(is_lost_by(paused(0), &older, NOW_NS));
}

static void one_whose_time_was_over_is_not_lost(void **state)
{
    const struct lease_reply flushed = refusal("i", "w", "");

    (void)state;
    assert_true(is_lost_by(paused(100), &flushed, NOW_NS + 99 * NS_PER_MS));
    assert_false(is_lost_by(paused(100), &flushed, NOW_NS + 100 * NS_PER_MS));
}

/* Nobody ever led it: its record has no holder, and stays the same. */
static void one_of_a_lease_that_was_never_led_is_taken_back(void **state)
{
    struct lease_reply reply = refusal("i", "v", "");
    struct pause pause = {0};

    (void)state;
    reply.wish.kind = LEASE_WISH_PAUSED;
    assert_false(pause_hear(&pause, &reply, NOW_NS, NOW_MS));
    reply.wish.kind = LEASE_WISH_NONE;
    assert_false(pause_hear(&pause, &reply, NOW_NS, NOW_MS));
    assert_false(pause.lost);
}

static void what_says_nothing_of_wishes_changes_nothing(void **state)
{
    struct lease_reply failed = refusal("j", "w", "");
    struct pause pause = paused(0);

    (void)state;
    failed.verdict = LEASE_FAILED;
    assert_false(pause_hear(&pause, &failed, NOW_NS, NOW_MS));
    failed.verdict = LEASE_REFUSED;
    assert_true(pause_hear(&pause, &failed, NOW_NS, NOW_MS));
}

static void it_is_lost_until_there_is_one_again(void **state)
{
    const struct lease_reply flushed = refusal("i", "w", "");
    struct lease_reply again = flushed;
    struct pause pause = paused(0);

    (void)state;
    assert_true(pause_hear(&pause, &flushed, NOW_NS, NOW_MS));
    assert_false(pause_hear(&pause, &flushed, NOW_NS, NOW_MS + 1));
    assert_true(pause.lost);
    assert_int_equal(pause.lost_ms, NOW_MS);
    again.wish.kind = LEASE_WISH_PAUSED;
    assert_true(pause_hear(&pause, &again, NOW_NS, NOW_MS));
    assert_false(pause.lost);
}

/* A reason that takes too much room goes, and the loss is told all the same. */
static void a_long_reason_is_spared_first(void **state)
{
    const struct about about = {.host = "host", .command = "/bin/job"};
    struct pause pause = {.lost = true, .lost_ms = 5, .over_ms = 9};
    char *text;

    (void)state;
    snprintf(pause.wish.by, sizeof pause.wish.by, "ann");
    snprintf(pause.wish.text, sizeof pause.wish.text, "why");
    text = about_make(&about, &pause);
    assert_non_null(strstr(
        text, "\"pause_lost\":{\"at_ms\":5,\"over_ms\":9,\"by\":\"ann\",\"reason\":\"why\"}"));
    assert_non_null(strstr(text, "\"command\":\"job\""));
    free(text);
    /* Two bytes each, which JSON writes as six. */
    for (size_t i = 0; i + 2 < sizeof pause.wish.text; i += 2)
        memcpy(pause.wish.text + i, "\xD0\x96", 3);
    for (size_t i = 0; i + 2 < sizeof pause.wish.by; i += 2)
        memcpy(pause.wish.by + i, "\xD0\x96", 3);
    text = about_make(&about, &pause);
    assert_true(strlen(text) <= ABOUT_MOST);
    assert_non_null(strstr(text, "\"at_ms\":5"));
    assert_null(strstr(text, "\"reason\""));
    assert_non_null(strstr(text, "\"host\":\"host\""));
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_that_is_taken_back_is_not_lost),
        cmocka_unit_test(one_that_goes_with_its_record_is_lost),
        cmocka_unit_test(one_whose_time_was_over_is_not_lost),
        cmocka_unit_test(one_of_a_lease_that_was_never_led_is_taken_back),
        cmocka_unit_test(what_says_nothing_of_wishes_changes_nothing),
        cmocka_unit_test(it_is_lost_until_there_is_one_again),
        cmocka_unit_test(a_long_reason_is_spared_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
