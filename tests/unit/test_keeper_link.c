/* The elector's end, on a real loop with a real keeper: messages, the keeper's death, the sweep. */
#include "keeper_fixture.h"

#include <uv.h>

#include "keeper/proc.h"
#include "leaderwrap/keeper/keeper_link.h"

struct elector {
    uv_loop_t loop;
    uv_signal_t child;
    uv_timer_t limit;
    struct inherited inherited;
    struct keeper_config config;
    pid_t keeper;
    struct keeper_link *link;

    /* Counts of what was called, and the loop ends after `wait_for` more. */
    int messages[KEEPER_STUCK + 1];
    int lost;
    int swept;
    int last_value;
    char why[160];
    bool inside; /* a function of the link is being called: callbacks are forbidden */
    bool timed_out;
    bool close_in_callback;
};

static bool guarded; /* the keepers are */

static void stop(struct elector *elector)
{
    assert_false(elector->inside);
    uv_stop(&elector->loop);
}

static void close_if_asked(struct elector *elector)
{
    if (!elector->close_in_callback)
        return;
    keeper_link_close(elector->link);
    elector->link = NULL;
}

static void on_message(void *context, const struct keeper_message *message)
{
    struct elector *elector = context;

    assert_int_not_equal(message->kind, KEEPER_ACK);
    elector->messages[message->kind]++;
    elector->last_value = message->value;
    stop(elector);
    close_if_asked(elector);
}

static void on_lost(void *context, const char *why)
{
    struct elector *elector = context;

    elector->lost++;
    assert_int_equal(elector->swept, 0);
    snprintf(elector->why, sizeof elector->why, "%s", why);
    stop(elector);
    close_if_asked(elector);
}

static void on_swept(void *context)
{
    struct elector *elector = context;

    elector->swept++;
    assert_int_equal(elector->lost, 1);
    assert_true(lock_is_free());
    stop(elector);
    close_if_asked(elector);
}

static const struct keeper_link_callbacks callbacks = {
    .on_message = on_message, .on_lost = on_lost, .on_swept = on_swept};

static void on_child(uv_signal_t *handle, int number)
{
    struct elector *elector = handle->data;

    (void)number;
    if (elector->link == NULL)
        return;
    elector->inside = true;
    keeper_link_reap(elector->link);
    elector->inside = false;
}

static void on_limit(uv_timer_t *timer)
{
    struct elector *elector = timer->data;

    elector->timed_out = true;
    uv_stop(&elector->loop);
}

static void open_elector(struct elector *elector, int (*builtin)(void *), int64_t ack_timeout_ms)
{
    int fd = -1;

    memset(elector, 0, sizeof *elector);
    assert_int_equal(inherited_capture(&elector->inherited), 0);
    elector->config.inherited = &elector->inherited;
    elector->config.environment = environ;
    elector->config.builtin = builtin;
    elector->config.grace_ms = 200;
    elector->config.guarded = guarded;
    fflush(NULL);
    elector->keeper = keeper_fork(&elector->config, &fd);
    assert_true(elector->keeper > 1);

    assert_int_equal(uv_loop_init(&elector->loop), 0);
    assert_int_equal(uv_signal_init(&elector->loop, &elector->child), 0);
    elector->child.data = elector;
    assert_int_equal(uv_signal_start(&elector->child, on_child, SIGCHLD), 0);
    assert_int_equal(uv_timer_init(&elector->loop, &elector->limit), 0);
    elector->limit.data = elector;
    assert_int_equal(keeper_link_open(&elector->link, &elector->loop, fd, elector->keeper,
                                      ack_timeout_ms, &callbacks, elector),
                     0);
}

/* Runs the loop until `*count` has come to `wanted`. */
static void run_until(struct elector *elector, const int *count, int wanted)
{
    uv_timer_start(&elector->limit, on_limit, PATIENCE_MS, 0);
    while (*count < wanted && !elector->timed_out)
        uv_run(&elector->loop, UV_RUN_DEFAULT);
    uv_timer_stop(&elector->limit);
    assert_false(elector->timed_out);
    assert_int_equal(*count, wanted);
}

static void close_elector(struct elector *elector)
{
    keeper_link_close(elector->link);
    uv_close((uv_handle_t *)&elector->child, NULL);
    uv_close((uv_handle_t *)&elector->limit, NULL);
    /* Two tellings must not hurt. */
    while (uv_run(&elector->loop, UV_RUN_DEFAULT) != 0)
        continue;
    assert_int_equal(uv_loop_close(&elector->loop), 0);
    /* Without a run the keeper ends by itself; after a sweep it is long gone. */
    while (waitpid(elector->keeper, NULL, 0) < 0 && errno == EINTR)
        continue;
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    assert_int_equal(errno, ECHILD);
}

static void request(struct elector *elector, enum keeper_request_kind kind)
{
    struct keeper_request record = {.kind = kind, .run = 1, .signal = SIGTERM};

    record.stop_at_ns = clock_boottime_ns() + MS(1000000);
    record.kill_at_ns = record.stop_at_ns;
    elector->inside = true;
    keeper_link_send(elector->link, &record);
    elector->inside = false;
}

static int idle_with_daemons(void *context)
{
    (void)context;
    hold_lock();
    for (int i = 0; i < 10; i++)
        daemonise(i % 2 == 0 ? run_chain : idle);
    signal(SIGTERM, SIG_IGN);
    put_file("ready", "");
    idle();
}

static void start_tree(struct elector *elector)
{
    request(elector, KEEPER_START);
    run_until(elector, &elector->messages[KEEPER_STARTED], 1);
    assert_true(wait_for_file("ready"));
}

static void test_run(void **state)
{
    struct elector elector;

    (void)state;
    open_elector(&elector, idle_with_daemons, PATIENCE_MS);
    start_tree(&elector);
    for (int i = 0; i < 20; i++)
        request(&elector, KEEPER_EXTEND);
    request(&elector, KEEPER_STOP);
    run_until(&elector, &elector.messages[KEEPER_TREE_DEAD], 1);
    assert_int_equal(elector.messages[KEEPER_CHILD_EXIT], 1);
    assert_true(lock_is_free());
    assert_int_equal(elector.lost, 0);
    close_elector(&elector);
}

static void expect_sweep(struct elector *elector)
{
    run_until(elector, &elector->lost, 1);
    run_until(elector, &elector->swept, 1);
    /* Nobody is there to answer any more, and nothing happens. */
    request(elector, KEEPER_EXTEND);
    keeper_link_abandon(elector->link, "again");
    uv_run(&elector->loop, UV_RUN_NOWAIT);
    assert_int_equal(elector->lost, 1);
    assert_int_equal(elector->swept, 1);
    assert_int_equal(elector->messages[KEEPER_TREE_DEAD], 0);
}

static void test_keeper_killed(void **state)
{
    (void)state;
    for (int i = 0; i < 10; i++) {
        struct elector elector;
        open_elector(&elector, idle_with_daemons, PATIENCE_MS);
        start_tree(&elector);
        kill(elector.keeper, SIGKILL);
        expect_sweep(&elector);
        close_elector(&elector);
        unlink(scratch_path("ready"));
    }
}

static void test_keeper_stopped(void **state)
{
    struct elector elector;

    (void)state;
    open_elector(&elector, idle_with_daemons, 1000);
    start_tree(&elector);
    kill(elector.keeper, SIGSTOP);
    int64_t start_ns = clock_boottime_ns();
    request(&elector, KEEPER_EXTEND);
    run_until(&elector, &elector.lost, 1);
    assert_true(clock_boottime_ns() - start_ns >= MS(1000));
    assert_string_equal(elector.why, "the keeper does not answer");
    run_until(&elector, &elector.swept, 1);
    close_elector(&elector);
}

/* The loop stood still, not the keeper: its ACK is there, and read before it is judged. */
static void test_late_reader(void **state)
{
    struct elector elector;

    (void)state;
    open_elector(&elector, idle_with_daemons, 1000);
    start_tree(&elector);
    request(&elector, KEEPER_EXTEND);
    poll(NULL, 0, 1500);
    uv_run(&elector.loop, UV_RUN_NOWAIT);
    uv_run(&elector.loop, UV_RUN_NOWAIT);
    assert_int_equal(elector.lost, 0);
    request(&elector, KEEPER_KILL);
    run_until(&elector, &elector.messages[KEEPER_TREE_DEAD], 1);
    close_elector(&elector);
}

static void test_abandoned(void **state)
{
    struct elector elector;

    (void)state;
    open_elector(&elector, idle_with_daemons, PATIENCE_MS);
    start_tree(&elector);
    elector.inside = true;
    keeper_link_abandon(elector.link, "because");
    elector.inside = false;
    expect_sweep(&elector);
    assert_string_equal(elector.why, "because");
    close_elector(&elector);
}

static void test_keeper_killed_while_idle(void **state)
{
    struct elector elector;

    (void)state;
    open_elector(&elector, idle_with_daemons, PATIENCE_MS);
    kill(elector.keeper, SIGKILL);
    expect_sweep(&elector);
    close_elector(&elector);
}

/* What the keeper said before it died is heard: requests it never read make its end of file an
 * error first. */
static void test_last_words(void **state)
{
    struct elector elector;
    siginfo_t info;

    (void)state;
    open_elector(&elector, idle_with_daemons, PATIENCE_MS);
    start_tree(&elector);
    request(&elector, KEEPER_KILL);
    int64_t end = clock_boottime_ns() + MS(PATIENCE_MS);
    while (!lock_is_free() && clock_boottime_ns() < end)
        poll(NULL, 0, 1);
    /* Its last message follows within a moment. */
    poll(NULL, 0, 300);
    kill(elector.keeper, SIGSTOP);
    request(&elector, KEEPER_EXTEND);
    kill(elector.keeper, SIGKILL);
    assert_int_equal(waitid(P_PID, (id_t)elector.keeper, &info, WEXITED | WNOWAIT), 0);
    run_until(&elector, &elector.lost, 1);
    assert_int_equal(elector.messages[KEEPER_CHILD_EXIT], 1);
    assert_int_equal(elector.messages[KEEPER_TREE_DEAD], 1);
    run_until(&elector, &elector.swept, 1);
    close_elector(&elector);
}

static void test_send_to_the_dead(void **state)
{
    struct elector elector;
    siginfo_t info;

    (void)state;
    open_elector(&elector, idle_with_daemons, PATIENCE_MS);
    start_tree(&elector);
    kill(elector.keeper, SIGKILL);
    assert_int_equal(waitid(P_PID, (id_t)elector.keeper, &info, WEXITED | WNOWAIT), 0);
    request(&elector, KEEPER_EXTEND);
    request(&elector, KEEPER_KILL);
    expect_sweep(&elector);
    close_elector(&elector);
}

static void check_close_in(enum keeper_request_kind kind, bool kill_keeper)
{
    struct elector elector;

    open_elector(&elector, idle_with_daemons, PATIENCE_MS);
    start_tree(&elector);
    elector.close_in_callback = true;
    if (kill_keeper) {
        kill(elector.keeper, SIGKILL);
        run_until(&elector, &elector.lost, 1);
    } else {
        request(&elector, kind);
        run_until(&elector, &elector.messages[KEEPER_CHILD_EXIT], 1);
    }
    assert_null(elector.link);
    uv_close((uv_handle_t *)&elector.child, NULL);
    uv_close((uv_handle_t *)&elector.limit, NULL);
    while (uv_run(&elector.loop, UV_RUN_DEFAULT) != 0)
        continue;
    assert_int_equal(uv_loop_close(&elector.loop), 0);
    if (!kill_keeper)
        assert_int_equal(waitpid(elector.keeper, NULL, 0), elector.keeper);
    unlink(scratch_path("ready"));
}

static bool kill_it(void *context, pid_t pid)
{
    (void)context;
    kill(pid, SIGKILL);
    return true;
}

static void test_close_in_callbacks(void **state)
{
    (void)state;
    check_close_in(KEEPER_KILL, false);
    check_close_in(KEEPER_KILL, true);
    /* Closed in on_lost: the rest of the tree is ours to end. */
    while (waitpid(-1, NULL, WNOHANG) >= 0)
        proc_own_children(kill_it, NULL);
    assert_true(lock_is_free());
}

static void test_children_of_others_are_spared(void **state)
{
    struct elector elector;

    (void)state;
    fflush(NULL);
    pid_t inherited = fork();
    if (inherited == 0)
        idle();
    pid_t inherited_and_ended = fork();
    if (inherited_and_ended == 0)
        _exit(1);
    pid_t companion = fork();
    if (companion == 0)
        idle();
    open_elector(&elector, idle_with_daemons, PATIENCE_MS);
    start_tree(&elector);
    keeper_link_unspare(elector.link, companion);
    kill(elector.keeper, SIGKILL);
    expect_sweep(&elector);

    assert_int_equal(kill(inherited, 0), 0);
    assert_int_equal(waitpid(inherited, NULL, WNOHANG), 0);
    /* Nobody but us would have reaped this one; the other was swept with the tree. */
    assert_int_equal(waitpid(inherited_and_ended, NULL, WNOHANG), -1);
    assert_int_equal(waitpid(companion, NULL, WNOHANG), -1);
    kill(inherited, SIGKILL);
    assert_int_equal(waitpid(inherited, NULL, 0), inherited);
    close_elector(&elector);
}

/* However many: of a shell's jobs there is no end. */
static void test_many_inherited(void **state)
{
    enum {
        MANY = 300
    };
    pid_t inherited[MANY];
    struct elector elector;

    (void)state;
    fflush(NULL);
    for (int i = 0; i < MANY; i++) {
        inherited[i] = fork();
        if (inherited[i] == 0)
            idle();
    }
    open_elector(&elector, idle_with_daemons, PATIENCE_MS);
    /* Some end meanwhile, from all over. */
    for (int i = 0; i < MANY; i += 3)
        kill(inherited[i], SIGKILL);
    start_tree(&elector);
    kill(elector.keeper, SIGKILL);
    expect_sweep(&elector);
    for (int i = 0; i < MANY; i++) {
        if (i % 3 != 0)
            assert_int_equal(waitpid(inherited[i], NULL, WNOHANG), 0);
        kill(inherited[i], SIGKILL);
    }
    while (waitpid(-1, NULL, 0) > 0)
        continue;
    close_elector(&elector);
}

static void end_soon(void)
{
    put_file("orphan", "");
}

/* An orphan of somebody else's making comes to a subreaper, and must not stay as a zombie. */
static void test_orphans_are_reaped(void **state)
{
    struct elector elector;
    struct pollfd nothing = {.fd = -1};
    int64_t end = clock_boottime_ns() + MS(PATIENCE_MS);

    (void)state;
    open_elector(&elector, idle_with_daemons, PATIENCE_MS);
    daemonise(end_soon);
    int children = 2;
    while (children > 1 && clock_boottime_ns() < end) {
        uv_run(&elector.loop, UV_RUN_NOWAIT);
        poll(&nothing, 1, 1);
        FILE *file = fopen("/proc/thread-self/children", "r");
        char word[16];
        for (children = 0; file != NULL && fscanf(file, "%15s", word) == 1;)
            children++;
        fclose(file);
    }
    assert_int_equal(children, 1);
    assert_int_equal(elector.lost, 0);
    close_elector(&elector);
}

static bool note_pid(void *context, pid_t pid)
{
    *(pid_t *)context = pid;
    return false;
}

/* The keeper, of which the elector knows only the guard. */
static pid_t keeper_below(pid_t guard)
{
    pid_t pid = 0;
    int64_t end = clock_boottime_ns() + MS(PATIENCE_MS);

    while (pid == 0) {
        assert_true(clock_boottime_ns() < end);
        (void)proc_children_of(guard, note_pid, &pid);
    }
    return pid;
}

static void test_guarded_keeper_killed(void **state)
{
    (void)state;
    for (int i = 0; i < 10; i++) {
        struct elector elector;
        open_elector(&elector, idle_with_daemons, PATIENCE_MS);
        start_tree(&elector);
        kill(keeper_below(elector.keeper), SIGKILL);
        expect_sweep(&elector);
        close_elector(&elector);
        unlink(scratch_path("ready"));
    }
}

static void test_guard_and_keeper_killed(void **state)
{
    struct elector elector;

    (void)state;
    open_elector(&elector, idle_with_daemons, PATIENCE_MS);
    start_tree(&elector);
    pid_t keeper = keeper_below(elector.keeper);
    kill(elector.keeper, SIGSTOP);
    kill(keeper, SIGKILL);
    kill(elector.keeper, SIGKILL);
    expect_sweep(&elector);
    close_elector(&elector);
}

/* The kernel sends no death signal to a command that has changed its credentials. */
static int idle_as_others(void *context)
{
    if (geteuid() == 0 && setresgid(65534, 65534, 65534) != 0)
        abort();
    return idle_with_daemons(context);
}

static _Noreturn void be_elector(int report)
{
    struct bench bench;

    bench_init(&bench);
    bench.config.builtin = idle_as_others;
    bench.config.guarded = true;
    bench_fork(&bench);
    bench_start(&bench, 1, 1);
    if (write(report, &bench.keeper, sizeof bench.keeper) != (ssize_t)sizeof bench.keeper)
        abort();
    idle();
}

/* Both at one instant: neither sees the other's end. */
static void test_elector_and_keeper_killed(void **state)
{
    int report[2];
    pid_t guard = 0;
    int status = 0;

    (void)state;
    assert_int_equal(pipe2(report, O_CLOEXEC), 0);
    fflush(NULL);
    pid_t elector = fork();
    if (elector == 0)
        be_elector(report[1]);
    assert_int_equal(read(report[0], &guard, sizeof guard), sizeof guard);
    close(report[0]);
    close(report[1]);
    assert_true(wait_for_file("ready"));
    pid_t keeper = keeper_below(guard);
    kill(elector, SIGSTOP);
    kill(keeper, SIGSTOP);
    kill(elector, SIGKILL);
    kill(keeper, SIGKILL);
    assert_int_equal(waitpid(elector, NULL, 0), elector);
    /* It comes to us, and has ended as the keeper did; the tree, which would come to us with it, is
     * gone. */
    assert_int_equal(waitpid(guard, &status, 0), guard);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    assert_true(lock_is_free());
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    assert_int_equal(errno, ECHILD);
}

/* The child arms PDEATHSIG after its birth: a keeper that dies before leaves no child behind. Here
 * nobody sweeps; only the kernel and the child's own check do. */
static void test_death_signal_race(void **state)
{
    struct bench bench;

    (void)state;
    for (int i = 0; i < 300; i++) {
        bench_init(&bench);
        bench_command(&bench, "sleep", NULL);
        bench.command[1] = (char *)"1000";
        bench_fork(&bench);
        bench_start(&bench, 1, 1);
        for (volatile int spin = 0; spin < i * 2000; spin++)
            continue;
        kill(bench.keeper, SIGKILL);
        close(bench.fd);
        alarm(PATIENCE_MS / 1000);
        while (waitpid(-1, NULL, 0) > 0)
            continue;
        alarm(0);
        assert_int_equal(errno, ECHILD);
    }
}

static int become_subreaper(void **state)
{
    (void)state;
    return prctl(PR_SET_CHILD_SUBREAPER, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_scratch, remove_scratch)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_run),
        TEST(test_keeper_killed),
        TEST(test_keeper_stopped),
        TEST(test_late_reader),
        TEST(test_abandoned),
        TEST(test_keeper_killed_while_idle),
        TEST(test_last_words),
        TEST(test_send_to_the_dead),
        TEST(test_close_in_callbacks),
        TEST(test_children_of_others_are_spared),
        TEST(test_many_inherited),
        TEST(test_orphans_are_reaped),
        TEST(test_death_signal_race),
    };

    const struct CMUnitTest guarded_tests[] = {
        TEST(test_run),
        /* In these it is the guard that is killed or stopped. */
        TEST(test_keeper_killed),
        TEST(test_keeper_killed_while_idle),
        TEST(test_abandoned),
        TEST(test_guarded_keeper_killed),
        TEST(test_guard_and_keeper_killed),
        TEST(test_elector_and_keeper_killed),
    };
    int failed = cmocka_run_group_tests(tests, become_subreaper, NULL);

    guarded = true;
    return failed + cmocka_run_group_tests(guarded_tests, NULL, NULL);
}
