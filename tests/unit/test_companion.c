/* One run below a keeper of its own: its deadlines, its ends, a keeper that hangs, a surrender. */
#include "fake_keeper.h"

#include <errno.h>
#include <signal.h>

#include "captured.h"
#include "wrapper/companion.h"

#define EXITED(status) ((status) << 8)
#define TIMEOUT_MS     1000
#define KILL_MS        10000 /* the term's kill_at */
#define MARGIN_MS      400

struct bench {
    struct companion companion;
    int overs;
    int stuck;
    int lost;
    char why[256];
    char words[160]; /* of the run that was over last */
    bool success;
};

static void on_over(void *context, int64_t now_ns)
{
    struct bench *bench = context;

    assert_true(now_ns == fake.now_ns);
    assert_false(companion_is_busy(&bench->companion));
    bench->overs++;
    bench->success = companion_judge(&bench->companion, now_ns, bench->words, sizeof bench->words);
}

static void on_stuck(void *context, int64_t now_ns)
{
    struct bench *bench = context;

    assert_true(now_ns == fake.now_ns);
    bench->stuck++;
}

static void on_lost(void *context, const char *why)
{
    struct bench *bench = context;

    bench->lost++;
    snprintf(bench->why, sizeof bench->why, "%s", why);
}

static const struct companion_callbacks callbacks = {
    .on_over = on_over, .on_stuck = on_stuck, .on_lost = on_lost};
static char *const command[] = {(char *)"beat", (char *)"it", NULL};
static const struct keeper_config pattern = {.grace_ms = 100};

static void begin(struct bench *bench)
{
    fake_begin();
    memset(bench, 0, sizeof *bench);
    assert_int_equal(companion_fork(&bench->companion, "the thing", MARGIN_MS, &pattern, command),
                     0);
    assert_int_equal(companion_open(&bench->companion, NULL, 1234, &callbacks, bench), 0);
    companion_extend(&bench->companion, fake_ns(KILL_MS));
    fake_asked_nothing();
}

static void start(struct bench *bench, bool bound)
{
    const struct companion_run run = {.timeout_ms = TIMEOUT_MS,
                                      .bound = bound,
                                      .token = 77,
                                      .event = "boom",
                                      .reason = "because"};

    companion_start(&bench->companion, &run, fake.now_ns);
}

static void start_over(struct bench *bench, bool bound)
{
    begin(bench);
    start(bench, bound);
    fake_asked(KEEPER_START);
}

static void tick_at(struct bench *bench, int64_t ms)
{
    fake_at(ms);
    companion_tick(&bench->companion, fake.now_ns);
}

static void assert_wakes_at(const struct bench *bench, int64_t ms)
{
    assert_true(companion_wake_at_ns(&bench->companion) == fake_ns(ms));
}

static void assert_never_wakes(const struct bench *bench)
{
    assert_true(companion_wake_at_ns(&bench->companion) == INT64_MAX);
}

static void without_a_command_there_is_none(void **state)
{
    struct companion companion;

    (void)state;
    fake_begin();
    assert_int_equal(companion_fork(&companion, "the thing", MARGIN_MS, &pattern, NULL), 0);
    assert_int_equal(companion_open(&companion, NULL, 1234, &callbacks, NULL), 0);
    assert_int_equal(fake.forks, 0);
    assert_false(companion_can_run(&companion));
    assert_false(companion_is_busy(&companion));
    companion_kill(&companion);
    companion_extend(&companion, fake_ns(1));
    companion_tick(&companion, INT64_MAX - 1);
    companion_surrender(&companion, fake_other_link());
    assert_int_equal(fake.killed, 0);
    assert_false(companion_swept(&companion));
    companion_close(&companion);
    fake_asked_nothing();
}

static void a_keeper_that_cannot_be_made_is_an_error(void **state)
{
    struct companion companion;

    (void)state;
    fake_begin();
    fake.fork_error = -EAGAIN;
    assert_int_equal(companion_fork(&companion, "the thing", MARGIN_MS, &pattern, command),
                     -EAGAIN);
    assert_int_equal(companion.keeper, 0);
    fake.fork_error = 0;
    fake.open_error = -ENOMEM;
    assert_int_equal(companion_fork(&companion, "the thing", MARGIN_MS, &pattern, command), 0);
    assert_int_equal(companion_open(&companion, NULL, 1234, &callbacks, NULL), -ENOMEM);
    assert_false(companion_can_run(&companion));
    companion_close(&companion);
}

static void a_run_says_how_it_ended(void **state)
{
    struct bench bench;

    (void)state;
    begin(&bench);
    assert_string_equal(fake.command[0], "beat");
    assert_string_equal(fake.command[1], "it");
    start(&bench, true);
    struct keeper_request request = fake_asked(KEEPER_START);
    assert_int_equal(request.run, 1);
    assert_int_equal(request.token, 77);
    assert_string_equal(request.event, "boom");
    assert_string_equal(request.reason, "because");
    assert_true(companion_is_busy(&bench.companion));
    fake_ends(EXITED(0));
    assert_int_equal(bench.overs, 1);
    assert_true(bench.success);
    assert_string_equal(bench.words, "exited with 0");

    start(&bench, true);
    assert_int_equal(fake_asked(KEEPER_START).run, 2);
    fake_ends(EXITED(3));
    assert_false(bench.success);
    assert_string_equal(bench.words, "exited with 3");
    assert_never_wakes(&bench);

    start(&bench, true);
    fake_says(KEEPER_NOT_STARTED, EAGAIN);
    fake_says(KEEPER_TREE_DEAD, 0);
    assert_false(bench.success);
    assert_string_equal(bench.words, "could not be started: Resource temporarily unavailable");
    /* Nothing of that is left in the next run. */
    start(&bench, true);
    fake_ends(EXITED(0));
    assert_true(bench.success);
    assert_int_equal(bench.overs, 4);
}

static void what_cannot_be_executed_is_told(void **state)
{
    struct bench bench;

    (void)state;
    start_over(&bench, true);
    fake_says(KEEPER_EXEC_FAILED, ENOENT);
    fake_says(KEEPER_TREE_DEAD, 0);
    assert_false(bench.success);
    assert_string_equal(bench.words, "could not be started: No such file or directory");
}

static void word_of_another_run_counts_for_nothing(void **state)
{
    struct bench bench;

    (void)state;
    begin(&bench);
    /* Before the first one, too. */
    fake_says_of(0, KEEPER_STUCK, 1);
    fake_says_of(0, KEEPER_TREE_DEAD, 0);
    start(&bench, true);
    fake_says_of(0, KEEPER_TREE_DEAD, 0);
    fake_says_of(2, KEEPER_TREE_DEAD, 0);
    assert_int_equal(bench.overs + bench.stuck, 0);
    fake_ends(EXITED(0));
    fake_says(KEEPER_TREE_DEAD, 0);
    assert_int_equal(bench.overs, 1);
}

static void a_run_has_its_time_out(void **state)
{
    struct bench bench;

    (void)state;
    begin(&bench);
    start(&bench, true);
    struct keeper_request request = fake_asked(KEEPER_START);
    assert_true(request.stop_at_ns == fake_ns(TIMEOUT_MS));
    assert_true(request.kill_at_ns == fake_ns(TIMEOUT_MS));
    assert_wakes_at(&bench, TIMEOUT_MS);
    fake_at(TIMEOUT_MS);
    fake_says(KEEPER_STOPPING, 1);
    fake_says(KEEPER_CHILD_EXIT, SIGKILL);
    fake_says(KEEPER_TREE_DEAD, 0);
    assert_false(bench.success);
    assert_string_equal(bench.words, "took longer than 1 s and was killed");
}

static void the_term_ends_earlier(void **state)
{
    struct bench bench;

    (void)state;
    begin(&bench);
    companion_extend(&bench.companion, fake_ns(300));
    start(&bench, true);
    assert_true(fake_asked(KEEPER_START).kill_at_ns == fake_ns(300));
    companion_extend(&bench.companion, fake_ns(500));
    struct keeper_request request = fake_asked(KEEPER_EXTEND);
    assert_int_equal(request.run, 1);
    assert_true(request.stop_at_ns == fake_ns(500));
    assert_true(request.kill_at_ns == fake_ns(500));
    companion_extend(&bench.companion, fake_ns(5000));
    assert_true(fake_asked(KEEPER_EXTEND).kill_at_ns == fake_ns(TIMEOUT_MS));
    companion_extend(&bench.companion, fake_ns(500));
    fake_asked(KEEPER_EXTEND);
    assert_wakes_at(&bench, 500);
    fake_at(500);
    fake_says(KEEPER_STOPPING, 1);
    fake_says(KEEPER_CHILD_EXIT, SIGKILL);
    fake_says(KEEPER_TREE_DEAD, 0);
    assert_string_equal(bench.words, "was killed with the term");
    companion_extend(&bench.companion, fake_ns(900));
    fake_asked_nothing();
}

static void what_is_not_bound_outlives_the_term(void **state)
{
    struct bench bench;

    (void)state;
    begin(&bench);
    companion_extend(&bench.companion, fake_ns(300));
    start(&bench, false);
    assert_true(fake_asked(KEEPER_START).kill_at_ns == fake_ns(TIMEOUT_MS));
    companion_extend(&bench.companion, fake_ns(500));
    fake_asked_nothing();
    assert_wakes_at(&bench, TIMEOUT_MS);
}

static void a_kill_is_asked_for_once(void **state)
{
    struct bench bench;

    (void)state;
    begin(&bench);
    companion_kill(&bench.companion);
    fake_asked_nothing();
    start(&bench, true);
    fake_asked(KEEPER_START);
    companion_kill(&bench.companion);
    assert_int_equal(fake_asked(KEEPER_KILL).run, 1);
    companion_kill(&bench.companion);
    fake_asked_nothing();
    assert_true(companion_is_busy(&bench.companion));
    fake_says(KEEPER_CHILD_EXIT, SIGKILL);
    fake_says(KEEPER_TREE_DEAD, 0);
    assert_false(bench.success);
    assert_string_equal(bench.words, "was killed with the term");
}

/* A keeper that sleeps when a run is due is reminded, then given up: within the margin if the run
 * is bound to the term, and in five seconds in any case. */
static void a_keeper_that_hangs_is_given_up(void **state)
{
    struct bench bench;

    (void)state;
    start_over(&bench, true);
    tick_at(&bench, TIMEOUT_MS - 1);
    fake_asked_nothing();
    tick_at(&bench, TIMEOUT_MS);
    fake_asked(KEEPER_KILL);
    /* The lease is good for long. */
    assert_wakes_at(&bench, TIMEOUT_MS + 5000);
    companion_extend(&bench.companion, fake_ns(2000));
    assert_wakes_at(&bench, 2000 + MARGIN_MS * 3 / 4);
    tick_at(&bench, 2000 + MARGIN_MS * 3 / 4 - 1);
    assert_int_equal(bench.lost, 0);
    tick_at(&bench, 2000 + MARGIN_MS * 3 / 4);
    assert_int_equal(bench.lost, 1);
    assert_string_equal(bench.why, "the thing: its keeper does not end it");
}

static void patience_counts_from_the_reminder(void **state)
{
    struct bench bench;

    (void)state;
    start_over(&bench, true);
    /* This process was stopped meanwhile. */
    tick_at(&bench, KILL_MS + 60000);
    fake_asked(KEEPER_KILL);
    assert_wakes_at(&bench, KILL_MS + 60000 + MARGIN_MS * 3 / 4);

    start_over(&bench, false);
    tick_at(&bench, KILL_MS + 60000);
    fake_asked(KEEPER_KILL);
    assert_wakes_at(&bench, KILL_MS + 60000 + 5000);
    fake_says(KEEPER_TREE_DEAD, 0);
    assert_int_equal(bench.overs, 1);
    assert_int_equal(bench.lost, 0);
}

static void what_does_not_die_is_no_fault_of_its_keeper(void **state)
{
    struct captured captured;
    struct bench bench;

    (void)state;
    start_over(&bench, true);
    tick_at(&bench, TIMEOUT_MS);
    fake_asked(KEEPER_KILL);
    capture_begin(&captured);
    fake_says(KEEPER_STUCK, 2);
    assert_non_null(strstr(capture_end(&captured), "2 processes of the thing do not die"));
    assert_int_equal(bench.stuck, 1);
    assert_never_wakes(&bench);
    tick_at(&bench, 1000000);
    assert_int_equal(bench.lost, 0);
    assert_true(companion_is_busy(&bench.companion));
    fake_says(KEEPER_TREE_DEAD, 0);
    assert_int_equal(bench.overs, 1);
    assert_false(companion_is_busy(&bench.companion));
}

static void a_link_that_breaks_is_told(void **state)
{
    struct bench bench;

    (void)state;
    start_over(&bench, true);
    fake.link.callbacks.on_lost(fake.link.context, "the keeper does not answer");
    assert_int_equal(bench.lost, 1);
    assert_string_equal(bench.why, "the thing: the keeper does not answer");
}

static void what_is_surrendered_is_over_after_the_sweep(void **state)
{
    struct bench bench;

    (void)state;
    start_over(&bench, true);
    companion_surrender(&bench.companion, fake_other_link());
    assert_int_equal(fake.killed, SIGKILL);
    assert_true(fake.link.closed);
    assert_false(companion_can_run(&bench.companion));
    assert_true(companion_is_busy(&bench.companion));
    assert_never_wakes(&bench);
    companion_kill(&bench.companion);
    companion_extend(&bench.companion, fake_ns(1));
    /* Again, and what is still read from a link that was closed. */
    fake.killed = 0;
    companion_surrender(&bench.companion, fake_other_link());
    assert_int_equal(fake.killed, 0);
    fake_says(KEEPER_TREE_DEAD, 0);
    assert_int_equal(bench.overs, 0);
    assert_true(companion_is_busy(&bench.companion));
    assert_true(companion_swept(&bench.companion));
    assert_false(companion_is_busy(&bench.companion));
    assert_false(companion_swept(&bench.companion));
    companion_close(&bench.companion);
}

static void what_idles_is_surrendered_and_over(void **state)
{
    struct bench bench;

    (void)state;
    begin(&bench);
    /* Its number may be another's by now. */
    fake.spared = false;
    companion_surrender(&bench.companion, fake_other_link());
    assert_int_equal(fake.killed, 0);
    assert_false(companion_can_run(&bench.companion));
    assert_false(companion_is_busy(&bench.companion));
    assert_false(companion_swept(&bench.companion));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_command_there_is_none),
        cmocka_unit_test(a_keeper_that_cannot_be_made_is_an_error),
        cmocka_unit_test(a_run_says_how_it_ended),
        cmocka_unit_test(what_cannot_be_executed_is_told),
        cmocka_unit_test(word_of_another_run_counts_for_nothing),
        cmocka_unit_test(a_run_has_its_time_out),
        cmocka_unit_test(the_term_ends_earlier),
        cmocka_unit_test(what_is_not_bound_outlives_the_term),
        cmocka_unit_test(a_kill_is_asked_for_once),
        cmocka_unit_test(a_keeper_that_hangs_is_given_up),
        cmocka_unit_test(patience_counts_from_the_reminder),
        cmocka_unit_test(what_does_not_die_is_no_fault_of_its_keeper),
        cmocka_unit_test(a_link_that_breaks_is_told),
        cmocka_unit_test(what_is_surrendered_is_over_after_the_sweep),
        cmocka_unit_test(what_idles_is_surrendered_and_over),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
