/* What is counted, and when Redis counts as up. The text is read by Prometheus's own parser in
 * tests/system/test_http.py. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "leaderwrap/base/clock.h"
#include "wrapper/metrics.h"

#define NOW INT64_C(5000000000000)

static struct timing timing;
static struct metrics metrics;

static int set_up(void **state)
{
    const struct timing_request request = timing_request_of(15000);
    char error[400];

    (void)state;
    metrics_init(&metrics);
    return timing_derive(&request, &timing, error, sizeof error);
}

static void note(struct election_note given, int64_t now_ns)
{
    metrics_note(&metrics, &given, &timing, now_ns, 1000.5);
}

static struct election_note waiting(const char *version)
{
    struct election_note note = {.kind = NOTE_WAITING, .refusal.answered = true};

    snprintf(note.refusal.record.version, sizeof note.refusal.record.version, "%s", version);
    return note;
}

static char *text(const struct status *status, const char *key, int64_t left_ns, int healthy)
{
    char name[64];
    snprintf(name, sizeof name, "%s", key);
    const struct options options = {.key = name, .timing = timing};
    const struct metrics_view view = {.options = &options,
                                      .status = status,
                                      .left_ns = left_ns,
                                      .healthy = healthy,
                                      .now_ns = NOW};
    char *made = metrics_text(&metrics, &view);

    assert_non_null(made);
    return made;
}

static void assert_line(char *made, const char *line, bool there)
{
    bool found = made != NULL && strstr(made, line) != NULL;

    if (found != there)
        fail_msg("%s in:\n%s", line, made != NULL ? made : "nothing");
}

static void a_takeover_counts_from_the_last_write_that_was_seen(void **state)
{
    (void)state;
    note(waiting("a"), NOW);
    note(waiting("b"), NOW + ms_to_ns(1000));
    note(waiting("b"), NOW + ms_to_ns(9000));
    note((struct election_note){.kind = NOTE_ELECTED}, NOW + ms_to_ns(16000));
    assert_true(metrics.takeover > 14.99 && metrics.takeover < 15.01);
    assert_int_equal(metrics.elected, 1);
    assert_true(metrics.term_start == 1000.5);
    /* The next one saw nobody before it. */
    note((struct election_note){.kind = NOTE_ELECTED}, NOW + ms_to_ns(17000));
    assert_true(metrics.takeover < 0);
}

static void a_renewal_counts_in_one_bucket_from_its_send(void **state)
{
    struct election_note renewed = {.kind = NOTE_RENEWED};
    static const int64_t took_ms[] = {1, 2, 20, 5000};
    (void)state;

    for (int i = 0; i < 4; i++) {
        renewed.grant.deadlines = timing_deadlines(&timing, NOW - ms_to_ns(took_ms[i]));
        note(renewed, NOW);
    }
    assert_int_equal(metrics.renewals, 4);
    assert_true(metrics.renewal_sum > 5.022 && metrics.renewal_sum < 5.024);
    struct status status = {.command = COMMAND_NONE};
    char *made = text(&status, "k", 0, -1);
    assert_line(made, "renewal_duration_seconds_bucket{key=\"k\",le=\"0.001\"} 1\n", true);
    assert_line(made, "renewal_duration_seconds_bucket{key=\"k\",le=\"0.003\"} 2\n", true);
    assert_line(made, "renewal_duration_seconds_bucket{key=\"k\",le=\"0.03\"} 3\n", true);
    assert_line(made, "renewal_duration_seconds_bucket{key=\"k\",le=\"3\"} 3\n", true);
    assert_line(made, "renewal_duration_seconds_bucket{key=\"k\",le=\"+Inf\"} 4\n", true);
    free(made);
}

static void redis_is_up_for_a_ttl_after_an_answer(void **state)
{
    int64_t ttl_ns = ms_to_ns(timing.ttl_ms);
    (void)state;

    assert_false(metrics_redis_is_up(&metrics, &timing, NOW));
    /* Of a host that has only just been started, too. */
    assert_false(metrics_redis_is_up(&metrics, &timing, 1));
    note((struct election_note){.kind = NOTE_ASK_FAILED}, NOW);
    assert_false(metrics_redis_is_up(&metrics, &timing, NOW));
    note(waiting("a"), NOW);
    /* It is asked again at the end of the TTL at the latest, and may take its time. */
    int64_t due_ns = ttl_ns + ms_to_ns(timing.request_timeout_ms);
    assert_true(metrics_redis_is_up(&metrics, &timing, NOW + due_ns - 1));
    assert_false(metrics_redis_is_up(&metrics, &timing, NOW + due_ns));
    /* Who asks less often does not go down in between. */
    timing.retry_ms = 60000;
    assert_true(metrics_redis_is_up(&metrics, &timing, NOW + ms_to_ns(66000)));
}

static void ends_failures_and_restarts_are_counted(void **state)
{
    struct status status = {.command = COMMAND_RUNNING};
    (void)state;

    note((struct election_note){.kind = NOTE_TERM_OVER, .end = END_LOST}, NOW);
    note((struct election_note){.kind = NOTE_TERM_OVER, .end = END_LOST}, NOW);
    note((struct election_note){.kind = NOTE_RENEWAL_FAILED}, NOW);
    note((struct election_note){.kind = NOTE_RESTART}, NOW);
    char *made = text(&status, "a\"b\\c\nd", ms_to_ns(2500), 1);
    assert_line(made, "{key=\"a\\\"b\\\\c\\nd\",reason=\"lost\"} 2\n", true);
    assert_line(made, "reason=\"none\"", false);
    assert_line(made, "renewal_failures_total{key=\"a\\\"b\\\\c\\nd\"} 1\n", true);
    assert_line(made, "command_restarts_total{key=\"a\\\"b\\\\c\\nd\"} 1\n", true);
    assert_line(made, "lease_remaining_seconds{key=\"a\\\"b\\\\c\\nd\"} 2.5\n", true);
    assert_line(made, "leaderwrap_leader{key=\"a\\\"b\\\\c\\nd\"} 1\n", true);
    assert_line(made, "command_up{key=\"a\\\"b\\\\c\\nd\"} 1\n", true);
    assert_line(made, "command_healthy{key=\"a\\\"b\\\\c\\nd\"} 1\n", true);
    free(made);
}

static void what_is_not_known_is_not_told(void **state)
{
    struct status status = {.command = COMMAND_NONE};
    (void)state;

    char *made = text(&status, "k", 0, -1);
    assert_line(made, "leaderwrap_leader{key=\"k\"} 0\n", true);
    assert_line(made, "term_start_time_seconds", false);
    assert_line(made, "takeover_seconds", false);
    assert_line(made, "command_healthy", false);
    assert_line(made, "job_last", false);
    free(made);
    metrics_exit(&metrics, 3, 2000);
    made = text(&status, "k", 0, -1);
    assert_line(made, "job_last_exit_status{key=\"k\"} 3\n", true);
    assert_line(made, "job_last_success", false);
    free(made);
    metrics_exit(&metrics, 0, 3000);
    made = text(&status, "k", 0, -1);
    assert_line(made, "job_last_success_timestamp_seconds{key=\"k\"} 3000\n", true);
    free(made);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_takeover_counts_from_the_last_write_that_was_seen, set_up),
        cmocka_unit_test_setup(a_renewal_counts_in_one_bucket_from_its_send, set_up),
        cmocka_unit_test_setup(redis_is_up_for_a_ttl_after_an_answer, set_up),
        cmocka_unit_test_setup(ends_failures_and_restarts_are_counted, set_up),
        cmocka_unit_test_setup(what_is_not_known_is_not_told, set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
