/* Health checks: when one runs, what its end comes to, and in which order that is told. */
#include "fake_keeper.h"

#include <errno.h>
#include <signal.h>

#include "captured.h"
#include "wrapper/checks.h"

#define EXITED(status) ((status) << 8)
#define INTERVAL_MS    1000
#define TIMEOUT_MS     300
#define KILL_MS        100000 /* the term's kill_at */

struct bench {
    struct options options;
    struct checks checks;
    char told[32]; /* S: started, O: over, K: stuck, U: unhealthy, L: lost */
    int64_t well_until_ns;
    struct captured captured;
};

static void tell(struct bench *bench, char what)
{
    size_t length = strlen(bench->told);

    assert_true(length + 1 < sizeof bench->told);
    bench->told[length] = what;
}

static void on_started(void *context)
{
    struct bench *bench = context;

    /* The check was asked for before. */
    assert_int_equal(fake.request.kind, KEEPER_START);
    assert_int_equal(fake.request.run, bench->checks.companion.run);
    assert_true(checks_are_busy(&bench->checks));
    tell(bench, 'S');
}

static void on_over(void *context)
{
    tell(context, 'O');
}

static void on_stuck(void *context)
{
    tell(context, 'K');
}

static void on_unhealthy(void *context, int64_t well_until_ns)
{
    struct bench *bench = context;

    bench->well_until_ns = well_until_ns;
    tell(bench, 'U');
}

static void on_lost(void *context, const char *why)
{
    assert_string_equal(why, "the health check: the keeper is gone");
    tell(context, 'L');
}

static const struct checks_callbacks callbacks = {.on_started = on_started,
                                                  .on_over = on_over,
                                                  .on_stuck = on_stuck,
                                                  .on_unhealthy = on_unhealthy,
                                                  .on_lost = on_lost};
static const struct keeper_config pattern = {.grace_ms = 100};

static int fork_checks(struct bench *bench, const char *command, int64_t retries)
{
    memset(bench, 0, sizeof *bench);
    bench->options.health_cmd = command;
    bench->options.health = (struct health_config){
        .interval_ms = INTERVAL_MS, .timeout_ms = TIMEOUT_MS, .retries = retries};
    bench->options.timing.margin_ms = 400;
    return checks_fork(&bench->checks, &bench->options, &pattern);
}

/* The command was started at the beginning. */
static void begin(struct bench *bench, int64_t retries)
{
    const struct deadlines deadlines = {.kill_at_ns = fake_ns(KILL_MS)};

    fake_begin();
    assert_int_equal(fork_checks(bench, "pulse", retries), 0);
    assert_int_equal(checks_open(&bench->checks, NULL, 1234, &callbacks, bench), 0);
    assert_true(checks_wake_at_ns(&bench->checks) == INT64_MAX);
    checks_extend(&bench->checks, &deadlines);
    checks_begin(&bench->checks, 7, fake.now_ns);
    capture_begin(&bench->captured);
}

static const char *end(struct bench *bench)
{
    checks_close(&bench->checks);
    return capture_end(&bench->captured);
}

static void tick_at(struct bench *bench, int64_t ms)
{
    fake_at(ms);
    checks_tick(&bench->checks, fake.now_ns);
}

static void assert_told(struct bench *bench, const char *what)
{
    assert_string_equal(bench->told, what);
    memset(bench->told, 0, sizeof bench->told);
}

static void assert_wakes_at(const struct bench *bench, int64_t ms)
{
    assert_true(checks_wake_at_ns(&bench->checks) == fake_ns(ms));
}

static void a_check_is_run_each_interval(void **state)
{
    struct bench bench;

    (void)state;
    begin(&bench, 2);
    assert_string_equal(fake.command[0], "/bin/sh");
    assert_string_equal(fake.command[1], "-c");
    assert_string_equal(fake.command[2], "pulse");
    assert_wakes_at(&bench, INTERVAL_MS);
    tick_at(&bench, INTERVAL_MS - 1);
    assert_told(&bench, "");
    tick_at(&bench, INTERVAL_MS);
    assert_told(&bench, "S");
    struct keeper_request request = fake_asked(KEEPER_START);
    assert_int_equal(request.token, 7);
    assert_string_equal(request.event, "");
    assert_string_equal(request.reason, "");
    assert_true(request.kill_at_ns == fake_ns(INTERVAL_MS + TIMEOUT_MS));
    assert_wakes_at(&bench, INTERVAL_MS + TIMEOUT_MS);
    fake_at(1200);
    fake_ends(EXITED(0));
    assert_told(&bench, "O");
    assert_false(checks_are_busy(&bench.checks));
    assert_wakes_at(&bench, 1200 + INTERVAL_MS);
    tick_at(&bench, 1200 + INTERVAL_MS);
    assert_told(&bench, "S");
    assert_int_equal(fake_asked(KEEPER_START).run, 2);
    assert_non_null(strstr(end(&bench), "the command is healthy"));
}

static void it_is_told_unhealthy_before_the_check_is_over(void **state)
{
    struct bench bench;

    (void)state;
    begin(&bench, 2);
    tick_at(&bench, 1000);
    fake_ends(EXITED(0));
    tick_at(&bench, 2000);
    fake_ends(EXITED(1));
    tick_at(&bench, 3000);
    assert_told(&bench, "SOSOS");
    fake_at(3000 + TIMEOUT_MS);
    fake_says(KEEPER_STOPPING, 1);
    fake_says(KEEPER_CHILD_EXIT, SIGKILL);
    assert_told(&bench, "");
    fake_says(KEEPER_TREE_DEAD, 0);
    assert_told(&bench, "UO");
    assert_true(bench.well_until_ns == fake_ns(1000));
    /* That was the last one. */
    assert_true(checks_wake_at_ns(&bench.checks) == INT64_MAX);
    const char *text = end(&bench);
    assert_non_null(strstr(text, "the health check exited with 1 (1 of 2 in a row)"));
    assert_non_null(strstr(text, "the health check took longer than 300 ms and was killed (2 in a "
                                 "row); stopping the command"));
}

static void what_cannot_be_run_says_nothing_about_the_command(void **state)
{
    struct bench bench;

    (void)state;
    begin(&bench, 1);
    tick_at(&bench, 1000);
    fake_says(KEEPER_NOT_STARTED, EAGAIN);
    fake_says(KEEPER_TREE_DEAD, 0);
    assert_told(&bench, "SO");
    assert_wakes_at(&bench, 2000);
    assert_non_null(strstr(end(&bench), "the health check could not be started: Resource"));
}

static void a_check_that_does_not_die_has_failed(void **state)
{
    struct bench bench;

    (void)state;
    begin(&bench, 3);
    tick_at(&bench, 1000);
    fake_at(2500);
    fake_says(KEEPER_STUCK, 1);
    assert_told(&bench, "SK");
    /* It counts once, however often that is said. */
    fake_says(KEEPER_STUCK, 1);
    assert_told(&bench, "K");
    assert_wakes_at(&bench, 3500);
    /* The next one has no room, and has failed, too; the one after it is one too many. */
    fake.sent = 0;
    tick_at(&bench, 3500);
    assert_told(&bench, "");
    tick_at(&bench, 4500);
    assert_told(&bench, "U");
    fake_asked_nothing();
    fake_says(KEEPER_TREE_DEAD, 0);
    assert_told(&bench, "O");
    const char *text = end(&bench);
    assert_non_null(strstr(text, "the health check cannot be ended (1 of 3 in a row)"));
    assert_non_null(strstr(text, "cannot be run, for the last one does not end (2 of 3 in a row)"));
    assert_non_null(strstr(text, "(3 in a row); stopping the command"));
}

static void it_is_told_unhealthy_before_the_check_is_stuck(void **state)
{
    struct bench bench;

    (void)state;
    begin(&bench, 1);
    tick_at(&bench, 1000);
    fake_says(KEEPER_STUCK, 1);
    assert_told(&bench, "SUK");
    end(&bench);
}

static void with_the_command_its_check_ends(void **state)
{
    struct bench bench;

    (void)state;
    begin(&bench, 1);
    tick_at(&bench, 1000);
    fake_asked(KEEPER_START);
    checks_end(&bench.checks);
    fake_asked(KEEPER_KILL);
    checks_end(&bench.checks);
    fake_asked_nothing();
    assert_true(checks_are_busy(&bench.checks));
    fake_says(KEEPER_CHILD_EXIT, SIGKILL);
    fake_says(KEEPER_TREE_DEAD, 0);
    assert_told(&bench, "SO");
    assert_true(checks_wake_at_ns(&bench.checks) == INT64_MAX);
    checks_begin(&bench.checks, 8, fake.now_ns);
    assert_wakes_at(&bench, 2000);
    assert_null(strstr(end(&bench), "unhealthy"));
}

static void deadlines_move_with_the_term(void **state)
{
    const struct deadlines soon = {.kill_at_ns = fake_ns(1100)};
    const struct deadlines later = {.kill_at_ns = fake_ns(1200)};
    struct bench bench;

    (void)state;
    begin(&bench, 1);
    checks_extend(&bench.checks, &soon);
    fake_asked_nothing();
    tick_at(&bench, 1000);
    assert_true(fake_asked(KEEPER_START).kill_at_ns == fake_ns(1100));
    checks_extend(&bench.checks, &later);
    assert_true(fake_asked(KEEPER_EXTEND).kill_at_ns == fake_ns(1200));
    tick_at(&bench, 1200);
    fake_asked(KEEPER_KILL);
    end(&bench);
}

static void what_is_surrendered_is_over_after_the_sweep(void **state)
{
    struct bench bench;

    (void)state;
    begin(&bench, 1);
    tick_at(&bench, 1000);
    fake.link.callbacks.on_lost(fake.link.context, "the keeper is gone");
    assert_told(&bench, "SL");
    checks_surrender(&bench.checks, fake_other_link());
    assert_true(checks_are_busy(&bench.checks));
    assert_true(checks_wake_at_ns(&bench.checks) == INT64_MAX);
    checks_swept(&bench.checks);
    assert_false(checks_are_busy(&bench.checks));
    /* None is run any more. */
    checks_begin(&bench.checks, 8, fake.now_ns);
    assert_true(checks_wake_at_ns(&bench.checks) == INT64_MAX);
    assert_told(&bench, "");
    end(&bench);
}

static void after_a_surrender_none_is_due(void **state)
{
    struct bench bench;

    (void)state;
    begin(&bench, 1);
    checks_surrender(&bench.checks, fake_other_link());
    assert_false(checks_are_busy(&bench.checks));
    assert_true(checks_wake_at_ns(&bench.checks) == INT64_MAX);
    tick_at(&bench, 1000);
    assert_told(&bench, "");
    end(&bench);
}

static void a_keeper_that_cannot_be_made_is_an_error(void **state)
{
    struct bench bench;

    (void)state;
    fake_begin();
    fake.fork_error = -EAGAIN;
    assert_int_equal(fork_checks(&bench, "pulse", 1), -EAGAIN);
    /* Nobody asks for one. */
    assert_int_equal(fork_checks(&bench, NULL, 1), 0);
    assert_int_equal(checks_open(&bench.checks, NULL, 1234, &callbacks, &bench), 0);
    checks_begin(&bench.checks, 7, fake.now_ns);
    assert_true(checks_wake_at_ns(&bench.checks) == INT64_MAX);
    tick_at(&bench, 1000000);
    assert_told(&bench, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_check_is_run_each_interval),
        cmocka_unit_test(it_is_told_unhealthy_before_the_check_is_over),
        cmocka_unit_test(what_cannot_be_run_says_nothing_about_the_command),
        cmocka_unit_test(a_check_that_does_not_die_has_failed),
        cmocka_unit_test(it_is_told_unhealthy_before_the_check_is_stuck),
        cmocka_unit_test(with_the_command_its_check_ends),
        cmocka_unit_test(deadlines_move_with_the_term),
        cmocka_unit_test(what_is_surrendered_is_over_after_the_sweep),
        cmocka_unit_test(after_a_surrender_none_is_due),
        cmocka_unit_test(a_keeper_that_cannot_be_made_is_an_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
