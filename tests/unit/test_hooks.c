/* Hooks: one runs at a time, the last of several that wait is run, each is over once. */
#include "fake_keeper.h"

#include <errno.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "captured.h"
#include "wrapper/hooks.h"

#define EXITED(status) ((status) << 8)
#define TIMEOUT_MS     1000

struct bench {
    struct options options;
    struct hooks hooks;
    int overs;
    int lost;
};

static void on_over(void *context)
{
    struct bench *bench = context;

    bench->overs++;
}

static void on_lost(void *context, const char *why)
{
    struct bench *bench = context;

    assert_string_equal(why, "the hook: the keeper is gone");
    bench->lost++;
}

static const struct hooks_callbacks callbacks = {.on_over = on_over, .on_lost = on_lost};
static const struct keeper_config pattern = {.grace_ms = 100};

static int fork_hooks(struct bench *bench, const char *acquire, const char *lose)
{
    memset(bench, 0, sizeof *bench);
    bench->options.hooks[HOOK_ACQUIRE] = acquire;
    bench->options.hooks[HOOK_LOSE] = lose;
    bench->options.hook_timeout_ms = TIMEOUT_MS;
    bench->options.timing.margin_ms = 400;
    return hooks_fork(&bench->hooks, &bench->options, &pattern);
}

static void begin(struct bench *bench)
{
    fake_begin();
    assert_int_equal(fork_hooks(bench, "up", "down"), 0);
    assert_int_equal(hooks_open(&bench->hooks, NULL, 1234, &callbacks, bench), 0);
}

static void run(struct bench *bench, enum election_hook hook, uint64_t token, const char *reason)
{
    const struct election_hook_run run = {
        .hook = hook, .token = token, .deadlines.kill_at_ns = fake_ns(500)};

    hooks_run(&bench->hooks, &run, reason, fake.now_ns);
}

/* Those that are over by now are these: "al" for one of each. */
static void assert_over(struct bench *bench, const char *which)
{
    char over[8] = "";
    enum election_hook hook;

    for (size_t i = 0; hooks_take_over(&bench->hooks, &hook) && i + 1 < sizeof over; i++)
        over[i] = hook == HOOK_ACQUIRE ? 'a' : 'l';
    assert_string_equal(over, which);
}

static void a_hook_is_run_and_over(void **state)
{
    struct bench bench;

    (void)state;
    begin(&bench);
    run(&bench, HOOK_ACQUIRE, 7, "released");
    struct keeper_request request = fake_asked(KEEPER_START);
    assert_string_equal(request.event, "acquire");
    assert_string_equal(request.reason, "released");
    assert_int_equal(request.token, 7);
    assert_true(request.kill_at_ns == fake_ns(500));
    assert_true(hooks_are_busy(&bench.hooks));
    assert_over(&bench, "");
    fake_ends(EXITED(0));
    assert_int_equal(bench.overs, 1);
    assert_over(&bench, "a");
    assert_false(hooks_are_busy(&bench.hooks));

    run(&bench, HOOK_LOSE, 8, "a reason that is longer than there is room for");
    request = fake_asked(KEEPER_START);
    assert_string_equal(request.event, "lose");
    assert_string_equal(request.reason, "a reason that is longer");
    /* The end of the term is no end of this one. */
    assert_true(request.kill_at_ns == fake_ns(TIMEOUT_MS));
    fake_ends(EXITED(0));
    assert_over(&bench, "l");
}

static void moved_deadlines_are_handed_on(void **state)
{
    const struct deadlines deadlines = {.kill_at_ns = fake_ns(700)};
    struct bench bench;

    (void)state;
    begin(&bench);
    run(&bench, HOOK_ACQUIRE, 7, "");
    fake_asked(KEEPER_START);
    assert_true(hooks_wake_at_ns(&bench.hooks) == fake_ns(500));
    hooks_extend(&bench.hooks, &deadlines);
    assert_true(fake_asked(KEEPER_EXTEND).kill_at_ns == fake_ns(700));
    assert_true(hooks_wake_at_ns(&bench.hooks) == fake_ns(700));
    fake_at(700);
    hooks_tick(&bench.hooks, fake.now_ns);
    fake_asked(KEEPER_KILL);
}

static void only_the_last_of_several_that_wait_is_run(void **state)
{
    struct bench bench;

    (void)state;
    begin(&bench);
    run(&bench, HOOK_ACQUIRE, 1, "");
    fake_asked(KEEPER_START);
    run(&bench, HOOK_LOSE, 1, "");
    assert_over(&bench, "");
    run(&bench, HOOK_ACQUIRE, 2, "");
    assert_over(&bench, "l");
    run(&bench, HOOK_LOSE, 3, "lost");
    assert_over(&bench, "a");
    fake_asked_nothing();
    fake_ends(EXITED(0));
    struct keeper_request request = fake_asked(KEEPER_START);
    assert_int_equal(request.token, 3);
    assert_string_equal(request.event, "lose");
    assert_string_equal(request.reason, "lost");
    assert_true(hooks_are_busy(&bench.hooks));
    assert_over(&bench, "a");
    fake_ends(EXITED(0));
    assert_over(&bench, "l");
    fake_asked_nothing();
    assert_false(hooks_are_busy(&bench.hooks));
}

static void only_the_hook_of_a_start_is_killed_with_the_term(void **state)
{
    struct bench bench;

    (void)state;
    begin(&bench);
    hooks_kill_acquire(&bench.hooks);
    fake_asked_nothing();
    run(&bench, HOOK_ACQUIRE, 1, "");
    fake_asked(KEEPER_START);
    run(&bench, HOOK_LOSE, 1, "");
    hooks_kill_acquire(&bench.hooks);
    fake_asked(KEEPER_KILL);
    /* A killed hook makes room, and is over when its tree is. */
    assert_over(&bench, "");
    fake_says(KEEPER_CHILD_EXIT, SIGKILL);
    fake_says(KEEPER_TREE_DEAD, 0);
    assert_over(&bench, "a");
    assert_string_equal(fake_asked(KEEPER_START).event, "lose");
    hooks_kill_acquire(&bench.hooks);
    fake_asked_nothing();
}

static void all_are_killed_those_that_wait_at_once(void **state)
{
    struct bench bench;

    (void)state;
    begin(&bench);
    run(&bench, HOOK_LOSE, 1, "");
    fake_asked(KEEPER_START);
    run(&bench, HOOK_ACQUIRE, 2, "");
    hooks_kill(&bench.hooks);
    fake_asked(KEEPER_KILL);
    assert_over(&bench, "a");
    fake_says(KEEPER_TREE_DEAD, 0);
    assert_over(&bench, "l");
    fake_asked_nothing();
}

static void a_failure_is_told_and_changes_nothing(void **state)
{
    struct captured captured;
    struct bench bench;

    (void)state;
    begin(&bench);
    capture_begin(&captured);
    run(&bench, HOOK_ACQUIRE, 1, "");
    fake_ends(EXITED(3));
    run(&bench, HOOK_LOSE, 1, "");
    fake_at(TIMEOUT_MS);
    fake_says(KEEPER_STOPPING, 1);
    fake_says(KEEPER_TREE_DEAD, 0);
    run(&bench, HOOK_LOSE, 1, "");
    fake_ends(EXITED(0));
    const char *text = capture_end(&captured);
    assert_non_null(strstr(text, "the on-acquire hook exited with 3"));
    assert_non_null(strstr(text, "the on-lose hook took longer than 1 s and was killed"));
    assert_null(strstr(text, "exited with 0"));
    assert_over(&bench, "all");
}

/* The election has its own patience with it. */
static void a_hook_that_does_not_die_is_not_over(void **state)
{
    struct captured captured;
    struct bench bench;

    (void)state;
    begin(&bench);
    run(&bench, HOOK_ACQUIRE, 1, "");
    capture_begin(&captured);
    fake_says(KEEPER_STUCK, 1);
    assert_non_null(strstr(capture_end(&captured), "1 processes of the hook do not die"));
    assert_over(&bench, "");
    assert_true(hooks_are_busy(&bench.hooks));
    assert_true(hooks_wake_at_ns(&bench.hooks) == INT64_MAX);
}

static void what_is_surrendered_is_over_after_the_sweep(void **state)
{
    struct bench bench;

    (void)state;
    begin(&bench);
    run(&bench, HOOK_ACQUIRE, 1, "");
    run(&bench, HOOK_LOSE, 1, "");
    fake.sent = 0;
    fake.link.callbacks.on_lost(fake.link.context, "the keeper is gone");
    assert_int_equal(bench.lost, 1);
    hooks_surrender(&bench.hooks, fake_other_link());
    assert_over(&bench, "l");
    assert_true(hooks_are_busy(&bench.hooks));
    /* None is run any more. */
    run(&bench, HOOK_LOSE, 2, "");
    assert_over(&bench, "l");
    hooks_swept(&bench.hooks);
    assert_over(&bench, "a");
    assert_false(hooks_are_busy(&bench.hooks));
    hooks_swept(&bench.hooks);
    run(&bench, HOOK_ACQUIRE, 2, "");
    assert_over(&bench, "a");
    fake_asked_nothing();
    hooks_close(&bench.hooks);
}

static void a_keeper_that_cannot_be_made_is_an_error(void **state)
{
    struct bench bench;

    (void)state;
    fake_begin();
    fake.fork_error = -EAGAIN;
    assert_int_equal(fork_hooks(&bench, "up", NULL), -EAGAIN);
    assert_int_equal(fork_hooks(&bench, NULL, NULL), 0);
    assert_int_equal(hooks_open(&bench.hooks, NULL, 1234, &callbacks, &bench), 0);
    /* Without a keeper a hook is over as soon as it is asked for. */
    run(&bench, HOOK_LOSE, 2, "");
    assert_over(&bench, "l");
    assert_int_equal(fake.forks, 0);
}

/* What the keeper would execute for `event`: its status, and in `output` what comes of it on
 * standard output and standard error, one after the other. */
static int execute(const char *event, char *output, size_t size)
{
    char *argv[FAKE_COMMAND + 1] = {NULL};
    int ends[2];
    int status;

    for (int i = 0; i < 6; i++)
        argv[i] = fake.command[i];
    assert_int_equal(pipe(ends), 0);
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        setenv("LEADERWRAP_EVENT", event, 1);
        close(STDOUT_FILENO);
        dup2(ends[1], STDERR_FILENO);
        execv(argv[0], argv);
        _exit(127);
    }
    assert_true(pid > 0);
    close(ends[1]);
    ssize_t length = read(ends[0], output, size - 1);
    output[length > 0 ? length : 0] = '\0';
    close(ends[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void both_share_a_command(void **state)
{
    struct bench bench;
    char output[64];

    (void)state;
    fake_begin();
    assert_int_equal(fork_hooks(&bench, "echo \"it's $0\"; exit 3", "printf 'down\\n'; exit 4"), 0);
    assert_int_equal(fake.forks, 1);
    assert_int_equal(execute("acquire", output, sizeof output), 3);
    assert_string_equal(output, "it's leaderwrap\n");
    assert_int_equal(execute("lose", output, sizeof output), 4);
    assert_string_equal(output, "down\n");
    assert_int_equal(fork_hooks(&bench, NULL, "exit 4"), 0);
    assert_int_equal(execute("acquire", output, sizeof output), 0);
    assert_int_equal(execute("lose", output, sizeof output), 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_hook_is_run_and_over),
        cmocka_unit_test(moved_deadlines_are_handed_on),
        cmocka_unit_test(only_the_last_of_several_that_wait_is_run),
        cmocka_unit_test(only_the_hook_of_a_start_is_killed_with_the_term),
        cmocka_unit_test(all_are_killed_those_that_wait_at_once),
        cmocka_unit_test(a_failure_is_told_and_changes_nothing),
        cmocka_unit_test(a_hook_that_does_not_die_is_not_over),
        cmocka_unit_test(what_is_surrendered_is_over_after_the_sweep),
        cmocka_unit_test(a_keeper_that_cannot_be_made_is_an_error),
        cmocka_unit_test(both_share_a_command),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
