/* Signalling, reaping and killing trees, without a keeper around them. The test program is the
 * subreaper. */
#include "keeper_fixture.h"
#include "leaks.h"

#include <sched.h>
#include <sys/mount.h>

#include "keeper/proc.h"
#include "leaderwrap/keeper/tree.h"

static volatile sig_atomic_t hits;
static bool hidden; /* /proc is */

static void on_hit(int number)
{
    (void)number;
    hits++;
}

/* Forks `body` as leader of a group of its own. */
static pid_t fork_main(void (*body)(void))
{
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        setpgid(0, 0);
        hold_lock();
        body();
        _exit(0);
    }
    assert_true(pid > 1);
    setpgid(pid, pid);
    return pid;
}

static void sweep_all(struct tree *tree)
{
    int64_t end = clock_boottime_ns() + MS(PATIENCE_MS);
    struct tree_round round;

    while (tree_sweep(tree, &round) != TREE_DEAD) {
        assert_true(clock_boottime_ns() < end);
        if (round.reaped == 0)
            poll(NULL, 0, 1);
    }
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    assert_int_equal(errno, ECHILD);
}

/* Blocks until main has ended, and leaves it to be reaped. */
static void await_end(pid_t pid)
{
    siginfo_t info;

    assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
}

static void end_with_7(void)
{
    _exit(7);
}

static void test_main_ends_alone(void **state)
{
    struct tree tree = {.main = fork_main(end_with_7)};

    (void)state;
    await_end(tree.main);
    assert_int_equal(tree_reap(&tree), TREE_DEAD);
    assert_true(tree.main_exited);
    assert_int_equal(WEXITSTATUS(tree.main_status), 7);
    /* The number may be anybody's now. */
    assert_int_equal(tree.main, 0);
    assert_int_equal(tree_signal(&tree, SIGKILL, false), -ESRCH);
    assert_int_equal(tree_signal(&tree, SIGKILL, true), -ESRCH);
    tree_signal_all(&tree, SIGKILL);
    assert_int_equal(tree_reap(&tree), TREE_DEAD);
}

static void test_numbers_that_are_no_process(void **state)
{
    static const pid_t numbers[] = {0, 1, -1, -2};
    struct tree_round round;

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        struct tree tree = {.main = numbers[i]};
        /* Signal 0 would tell what the call would have done to everybody. */
        assert_int_equal(tree_signal(&tree, 0, false), -ESRCH);
        assert_int_equal(tree_signal(&tree, 0, true), -ESRCH);
        tree_signal_all(&tree, SIGKILL);
        tree_sweep(&tree, &round);
        assert_int_equal(round.killed, 0);
    }
}

static void stay_in_group(void)
{
    if (fork() == 0)
        idle();
    _exit(0);
}

/* Main's zombie keeps the group's number, and hides no other zombie. */
static void test_zombie_names_the_group(void **state)
{
    struct tree tree = {.main = fork_main(stay_in_group)};
    pid_t main = tree.main;

    (void)state;
    await_end(main);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(tree_reap(&tree), TREE_ALIVE);
        assert_true(tree.main_exited);
        assert_int_equal(tree.main, main);
        assert_int_equal(kill(main, 0), 0);
    }
    assert_int_equal(tree_signal(&tree, 0, true), -ESRCH);
    assert_int_equal(tree_signal(&tree, SIGTERM, false), 0);
    sweep_all(&tree);
    assert_true(lock_is_free());
}

static void leave_mixed(void)
{
    for (int i = 0; i < 20; i++)
        daemonise(i % 2 == 0 ? run_chain : idle);
    _exit(0);
}

static void test_daemons(void **state)
{
    (void)state;
    for (int i = 0; i < 10; i++) {
        struct tree tree = {.main = fork_main(leave_mixed)};
        if (i % 2 == 0)
            await_end(tree.main);
        sweep_all(&tree);
        assert_true(lock_is_free());
        assert_true(tree.main_exited);
    }
}

/* More children than fit into one chunk of the list. */
static void leave_many(void)
{
    for (int i = 0; i < 1000; i++) {
        if (fork() == 0)
            idle();
    }
    put_file("many", "");
    idle();
}

static void test_many(void **state)
{
    struct tree tree = {.main = fork_main(leave_many)};

    (void)state;
    assert_true(wait_for_file("many"));
    sweep_all(&tree);
    assert_true(lock_is_free());
}

/* Without /proc the list of children is not there to look into. */
static void test_main_names_the_group_to_the_end(void **state)
{
    struct tree tree = {.main = fork_main(stay_in_group)};

    (void)state;
    await_end(tree.main);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(tree_reap(&tree), TREE_ALIVE);
        assert_true(tree.main_exited);
    }
    assert_int_equal(tree_signal(&tree, SIGTERM, false), 0);
    int64_t end = clock_boottime_ns() + MS(PATIENCE_MS);
    /* Nobody was killed: the last one's death is seen by itself. */
    while (tree_reap(&tree) != TREE_DEAD) {
        assert_true(clock_boottime_ns() < end);
        poll(NULL, 0, 1);
    }
    assert_true(lock_is_free());
}

/* Whose number is far from all that is known. */
static void leave_one_behind_others(void)
{
    daemonise(idle);
    for (int i = 0; i < 5000; i++) {
        pid_t pid = fork();
        if (pid == 0)
            _exit(0);
        waitpid(pid, NULL, 0);
    }
    daemonise(idle);
    put_file("far", "");
    idle();
}

static void test_any_number(void **state)
{
    struct tree tree = {.main = fork_main(leave_one_behind_others)};

    (void)state;
    assert_true(wait_for_file("far"));
    sweep_all(&tree);
    assert_true(lock_is_free());
}

static void test_reach(void **state)
{
    (void)state;
    pid_t pid = fork();
    if (pid == 0)
        idle();
    assert_int_equal(tree_reach(), hidden ? TREE_REACH_NONE : TREE_REACH_GOOD);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    assert_int_equal(tree_reach(), hidden ? TREE_REACH_SLOW : TREE_REACH_GOOD);
}

static void test_order_of_the_spared(void **state)
{
    static const pid_t spare[] = {3, 5, 9};
    const struct tree tree = {.spare = spare, .spare_count = 3};
    static const int at[] = {0, 0, 0, 0, 1, 1, 2, 2, 2, 2, 3};

    (void)state;
    for (int pid = 0; pid < 11; pid++)
        assert_int_equal(tree_find_spare(&tree, pid), at[pid]);
}

static void count_hits(void)
{
    signal(SIGUSR1, on_hit);
    put_file("counting", "");
    while (!file_exists("enough"))
        poll(NULL, 0, 2);
    put_file("hits", hits == 1 ? "1" : "many");
}

static void count_in_group_and_outside(void)
{
    daemonise(idle);
    count_hits();
    idle();
}

/* Nobody gets it twice. */
static void test_signal_all(void **state)
{
    struct tree tree = {.main = fork_main(count_in_group_and_outside)};

    (void)state;
    assert_true(wait_for_file("counting"));
    tree_signal_all(&tree, SIGUSR1);
    put_file("enough", "");
    assert_true(wait_for_file("hits"));
    assert_string_equal(get_file("hits"), "1");
    /* The daemon, which has no handler, is dead. */
    assert_int_equal(tree_signal(&tree, SIGKILL, true), 0);
    int64_t end = clock_boottime_ns() + MS(PATIENCE_MS);
    while (tree_reap(&tree) != TREE_DEAD) {
        assert_true(clock_boottime_ns() < end);
        poll(NULL, 0, 1);
    }
}

static void test_spared(void **state)
{
    fflush(NULL);
    pid_t living = fork();
    if (living == 0)
        idle();
    pid_t ended = fork();
    if (ended == 0)
        _exit(5);
    pid_t spare[] = {living < ended ? living : ended, living < ended ? ended : living};
    struct tree tree = {.main = fork_main(leave_mixed), .spare = spare, .spare_count = 2};
    int64_t end = clock_boottime_ns() + MS(PATIENCE_MS);
    struct tree_round round;
    int status = 0;

    (void)state;
    await_end(ended);
    tree_signal_all(&tree, SIGTERM);
    while (tree_sweep(&tree, &round) != TREE_DEAD) {
        assert_true(clock_boottime_ns() < end);
        if (round.reaped == 0)
            poll(NULL, 0, 1);
    }
    assert_true(lock_is_free());
    assert_true(tree.main_exited);
    assert_int_equal(tree_reap(&tree), TREE_DEAD);

    /* One was not killed, the other not reaped. */
    assert_int_equal(waitpid(living, &status, WNOHANG), 0);
    assert_int_equal(waitpid(ended, &status, WNOHANG), ended);
    assert_int_equal(WEXITSTATUS(status), 5);
    kill(living, SIGKILL);
    assert_int_equal(waitpid(living, &status, 0), living);
}

struct found {
    pid_t pids[16];
    int count;
};

static bool note(void *context, pid_t pid)
{
    struct found *found = context;

    if (found->count < 16)
        found->pids[found->count++] = pid;
    return true;
}

static bool stop_at_first(void *context, pid_t pid)
{
    (void)note(context, pid);
    return false;
}

static void parent_of_two(void)
{
    prctl(PR_SET_NAME, "a) R 1 (b");
    for (int i = 0; i < 2; i++) {
        if (fork() == 0)
            idle();
    }
    put_file("two", "");
    idle();
}

static void test_proc(void **state)
{
    struct tree tree = {.main = fork_main(parent_of_two)};
    struct found own = {.count = 0};
    struct found searched = {.count = 0};
    struct found below = {.count = 0};
    struct found first = {.count = 0};

    (void)state;
    assert_true(wait_for_file("two"));
    assert_int_equal(proc_own_children(note, &own), PROC_EXACT);
    assert_int_equal(own.count, 1);
    assert_int_equal(own.pids[0], tree.main);
    assert_int_equal(proc_search_children(getpid(), note, &searched), PROC_LOOSE);
    assert_int_equal(searched.count, 1);
    assert_int_equal(searched.pids[0], tree.main);
    assert_int_equal(proc_children_of(tree.main, note, &below), PROC_LOOSE);
    assert_int_equal(below.count, 2);
    assert_int_equal(proc_parent(below.pids[0]), tree.main);
    assert_int_equal(proc_parent(tree.main), getpid());
    assert_int_equal(proc_children_of(tree.main, stop_at_first, &first), PROC_LOOSE);
    assert_int_equal(first.count, 1);
    assert_int_equal(proc_parent(0x3fffffff), 0);
    sweep_all(&tree);
}

static int become_subreaper(void **state)
{
    (void)state;
    return prctl(PR_SET_CHILD_SUBREAPER, 1);
}

static bool hide_proc(void)
{
    hidden = unshare(CLONE_NEWNS) == 0 &&
             mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
             mount("none", "/proc", "tmpfs", 0, NULL) == 0;
    return hidden;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_scratch, remove_scratch)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_main_ends_alone),
        TEST(test_numbers_that_are_no_process),
        TEST(test_zombie_names_the_group),
        TEST(test_daemons),
        TEST(test_many),
        TEST(test_signal_all),
        TEST(test_spared),
        TEST(test_proc),
        TEST(test_reach),
        TEST(test_order_of_the_spared),
    };
    const struct CMUnitTest tests_without_proc[] = {
        TEST(test_main_ends_alone),
        TEST(test_numbers_that_are_no_process),
        TEST(test_daemons),
        TEST(test_main_names_the_group_to_the_end),
        TEST(test_many),
        TEST(test_any_number),
        TEST(test_reach),
    };
    int failed = cmocka_run_group_tests(tests, become_subreaper, NULL);

    if (hide_proc())
        failed += cmocka_run_group_tests(tests_without_proc, NULL, NULL);
    return failed;
}
