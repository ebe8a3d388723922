/* The keeper with real processes, driven over its socket: starts, ends, what the child gets. */
#include "keeper_fixture.h"

#include <sched.h>

#include "leaderwrap/base/disposition.h"

/* Ends with its token as the status; above 255, by signal token - 1000. */
static int end_as_told(void *context)
{
    int token = own_token();

    (void)context;
    if (token < 1000)
        return token;
    setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
    raise(token - 1000);
    return 0;
}

static void test_exit_statuses(void **state)
{
    struct bench bench;

    (void)state;
    bench_init(&bench);
    bench.config.builtin = end_as_told;
    bench_fork(&bench);
    for (uint32_t status = 0; status < 256; status++) {
        bench_start(&bench, status + 1, status);
        assert_true(bench_expect(&bench, KEEPER_STARTED, status + 1).value > 1);
        struct keeper_message message = bench_expect(&bench, KEEPER_CHILD_EXIT, status + 1);
        assert_true(WIFEXITED(message.value));
        assert_int_equal(WEXITSTATUS(message.value), status);
        bench_expect(&bench, KEEPER_TREE_DEAD, status + 1);
    }
    bench_settle(&bench);
    assert_int_equal(bench_end(&bench), 0);
}

static void test_exit_signals(void **state)
{
    static const int signals[] = {SIGHUP,  SIGINT,  SIGQUIT, SIGABRT, SIGSEGV,
                                  SIGKILL, SIGTERM, SIGPIPE, SIGUSR1, SIGALRM};
    struct bench bench;

    (void)state;
    bench_init(&bench);
    bench.config.builtin = end_as_told;
    bench_fork(&bench);
    for (uint32_t i = 0; i < sizeof signals / sizeof *signals; i++) {
        bench_start(&bench, i + 1, 1000 + (uint64_t)signals[i]);
        bench_expect(&bench, KEEPER_STARTED, i + 1);
        struct keeper_message message = bench_expect(&bench, KEEPER_CHILD_EXIT, i + 1);
        assert_true(WIFSIGNALED(message.value));
        assert_int_equal(WTERMSIG(message.value), signals[i]);
        assert_int_equal(message.error, 0);
        bench_expect(&bench, KEEPER_TREE_DEAD, i + 1);
    }
    assert_int_equal(bench_end(&bench), 0);
}

static void check_exec_error(const char *program, int error)
{
    struct bench bench;

    bench_init(&bench);
    bench_command(&bench, program, NULL);
    bench_fork(&bench);
    for (uint32_t run = 1; run <= 3; run++) {
        bench_start(&bench, run, 1);
        assert_int_equal(bench_expect(&bench, KEEPER_EXEC_FAILED, run).value, error);
        bench_expect(&bench, KEEPER_TREE_DEAD, run);
    }
    assert_int_equal(bench_end(&bench), 0);
}

static void test_exec_errors(void **state)
{
    char plain[128];

    (void)state;
    put_file("plain", "no program\n");
    snprintf(plain, sizeof plain, "%s", scratch_path("plain"));
    check_exec_error("/nowhere/nothing", ENOENT);
    check_exec_error("leaderwrap-has-no-such-program", ENOENT);
    check_exec_error(plain, EACCES);
    check_exec_error("/", EACCES);
}

/* Runs the command to its end, and ends the keeper. Returns the command's wait status. */
static int bench_run(struct bench *bench)
{
    bench_start(bench, 1, UINT64_C(1795412446120502));
    bench_expect(bench, KEEPER_STARTED, 1);
    int status = bench_expect(bench, KEEPER_CHILD_EXIT, 1).value;
    bench_expect(bench, KEEPER_TREE_DEAD, 1);
    assert_int_equal(bench_end(bench), 0);
    return status;
}

/* Forks the keeper with a file of the scratch directory as the command's standard output. */
static void bench_fork_to(struct bench *bench, const char *name)
{
    int copy = fcntl(1, F_DUPFD_CLOEXEC, 10);
    int fd = open(scratch_path(name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);

    assert_true(copy >= 0 && fd >= 0);
    fflush(NULL);
    dup2(fd, 1);
    bench_fork(bench);
    dup2(copy, 1);
    close(copy);
    close(fd);
}

/* Runs a shell command with the scratch directory as its working directory, to its end. Returns its
 * wait status. */
static int run_shell(struct bench *bench, const char *script)
{
    char before[512];

    assert_non_null(getcwd(before, sizeof before));
    assert_int_equal(chdir(scratch), 0);
    bench_command(bench, "/bin/sh", script);
    bench_fork(bench);
    assert_int_equal(chdir(before), 0);
    return bench_run(bench);
}

static void test_environment_and_directory(void **state)
{
    char path[512];
    char one[] = "ONE=1";
    char outer[] = "LEADERWRAP_TOKEN=7";
    char two[] = "TWO=2";
    char *environment[] = {path, one, outer, two, NULL};
    char expected[256];
    struct bench bench;

    (void)state;
    snprintf(path, sizeof path, "PATH=%s", getenv("PATH"));
    bench_init(&bench);
    bench.config.environment = environment;
    assert_int_equal(
        run_shell(&bench, "exec >out; echo $LEADERWRAP_TOKEN $ONE $TWO; pwd; env | grep -c TOKEN"),
        0);
    snprintf(expected, sizeof expected, "1795412446120502 1 2\n%s\n1\n", scratch);
    assert_string_equal(get_file("out"), expected);
}

static uint64_t status_field(const char *name)
{
    char pattern[32];
    const char *at;

    snprintf(pattern, sizeof pattern, "\n%s:", name);
    at = strstr(get_file("status"), pattern);
    assert_non_null(at);
    return strtoull(at + strlen(pattern), NULL, 16);
}

/* As numbered in proc(5). */
static long stat_field(int number)
{
    const char *at = strrchr(get_file("stat"), ')');

    assert_non_null(at);
    for (int i = 2; i < number; i++) {
        at = strchr(at + 1, ' ');
        assert_non_null(at);
    }
    return strtol(at + 1, NULL, 10);
}

static void test_signals_and_priority_are_handed_on(void **state)
{
    char status[] = "/proc/self/status";
    char stat[] = "/proc/self/stat";
    struct bench bench;
    sigset_t blocked;
    sigset_t before;

    (void)state;
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGUSR2);
    sigaddset(&blocked, SIGRTMIN + 3);
    sigprocmask(SIG_SETMASK, &blocked, &before);
    signal(SIGHUP, SIG_IGN);
    signal(SIGCHLD, SIG_IGN);
    /* The C library's own, which make, for one, starts programs with ignored. */
    disposition_set(32, false);
    disposition_set(33, false);
    bench_init(&bench);

    /* What leaderwrap does to itself later must not show. */
    signal(SIGCHLD, SIG_DFL);
    signal(SIGHUP, SIG_DFL);
    signal(SIGPIPE, SIG_IGN);
    /* No shell: shells change things themselves. */
    bench_command(&bench, "cat", NULL);
    bench.command[1] = status;
    bench_fork_to(&bench, "status");
    bench_run(&bench);
    bench.command[1] = stat;
    bench_fork_to(&bench, "stat");
    bench_run(&bench);
    signal(SIGPIPE, SIG_DFL);
    sigprocmask(SIG_SETMASK, &before, NULL);

    uint64_t mask = UINT64_C(1) << (SIGUSR2 - 1) | UINT64_C(1) << (SIGRTMIN + 3 - 1);
    uint64_t ignored = UINT64_C(1) << (SIGHUP - 1) | UINT64_C(1) << (SIGCHLD - 1);
    assert_int_equal(status_field("SigBlk"), mask);
    assert_int_equal(status_field("SigIgn"), ignored);
    assert_int_equal(status_field("SigCgt"), 0);
    assert_int_equal(status_field("VmLck"), 0);

    assert_int_equal(stat_field(19), bench.inherited.priority);
    assert_int_equal(stat_field(41), sched_getscheduler(0));
}

static void test_other_descriptors_are_closed(void **state)
{
    struct bench bench;
    int stray = open("/dev/null", O_RDONLY);
    int high = fcntl(stray, F_DUPFD, 200);

    (void)state;
    bench_init(&bench);
    assert_int_equal(run_shell(&bench, "exec ls /proc/self/fd >fds"), 0);
    close(stray);
    close(high);
    /* The fourth is the directory that ls reads. */
    assert_string_equal(get_file("fds"), "0\n1\n2\n3\n");
}

static void test_closed_stays_closed(void **state)
{
    struct bench bench;
    int copy = fcntl(0, F_DUPFD_CLOEXEC, 10);

    (void)state;
    close(0);
    bench_init(&bench);
    assert_true(bench.inherited.closed[0]);
    int status = run_shell(&bench, "if [ -e /proc/$$/fd/0 ]; then exit 1; fi");
    if (copy >= 0)
        dup2(copy, 0);
    else
        close(0);
    close(copy);
    assert_int_equal(status, 0);
}

static void test_standard_streams_are_let_go(void **state)
{
    struct bench bench;
    char byte;
    int ends[2];
    int copy = fcntl(1, F_DUPFD_CLOEXEC, 10);

    (void)state;
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    bench_init(&bench);
    bench_command(&bench, "/bin/sh", "exec >&- 2>&- <&-; exec sleep 1000");
    bench.config.single_run = true;
    fflush(NULL);
    dup2(ends[1], 1);
    bench_fork(&bench);
    dup2(copy, 1);
    close(copy);
    close(ends[1]);
    bench_start(&bench, 1, 1);
    bench_expect(&bench, KEEPER_STARTED, 1);
    /* Neither the command nor the keeper has the pipe any more. */
    assert_int_equal(read(ends[0], &byte, 1), 0);
    close(ends[0]);
    bench_send(&bench, bench_request(KEEPER_KILL, 1));
    bench_expect(&bench, KEEPER_CHILD_EXIT, 1);
    bench_expect(&bench, KEEPER_TREE_DEAD, 1);
    assert_int_equal(bench_end(&bench), 0);
}

static int write_signals(void *context)
{
    sigset_t all;
    int number;

    (void)context;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    put_file("ready", "");
    while (sigwait(&all, &number) == 0) {
        char name[32];
        snprintf(name, sizeof name, "signal-%d", number);
        put_file(name, "");
    }
    return 0;
}

static void test_signals_are_passed_on(void **state)
{
    const int signals[] = {SIGHUP, SIGUSR1, SIGUSR2, SIGWINCH, SIGRTMIN};
    struct keeper_request request = bench_request(KEEPER_SIGNAL, 1);
    struct bench bench;
    char name[32];

    (void)state;
    bench_init(&bench);
    bench.config.builtin = write_signals;
    bench_fork(&bench);
    bench_start(&bench, 1, 1);
    bench_expect(&bench, KEEPER_STARTED, 1);
    assert_true(wait_for_file("ready"));
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
        request.signal = signals[i];
        bench_send(&bench, request);
        snprintf(name, sizeof name, "signal-%d", signals[i]);
        assert_true(wait_for_file(name));
    }
    /* Nonsense, and another run's. */
    request.signal = -9;
    bench_send(&bench, request);
    request.signal = SIGKILL;
    request.run = 2;
    bench_send(&bench, request);
    bench_settle(&bench);
    bench_send(&bench, bench_request(KEEPER_KILL, 1));
    assert_int_equal(bench_expect(&bench, KEEPER_CHILD_EXIT, 1).value, SIGKILL);
    bench_expect(&bench, KEEPER_TREE_DEAD, 1);
    assert_int_equal(bench_end(&bench), 0);
}

static void test_other_runs_are_ignored(void **state)
{
    struct bench bench;

    (void)state;
    bench_init(&bench);
    bench.config.builtin = write_signals;
    bench_fork(&bench);
    bench_send(&bench, bench_request(KEEPER_KILL, 1));
    bench_start(&bench, 5, 1);
    bench_expect(&bench, KEEPER_STARTED, 5);
    bench_start(&bench, 6, 1);
    bench_send(&bench, bench_request(KEEPER_KILL, 4));
    bench_send(&bench, bench_request(KEEPER_KILL, 6));
    bench_send(&bench, bench_request(KEEPER_STOP, 6));
    bench_send(&bench, bench_request(77, 5));
    /* Short and long records are no requests. */
    assert_int_equal(send(bench.fd, "?", 1, MSG_NOSIGNAL), 1);
    char longer[sizeof(struct keeper_request) + 1] = {0};
    assert_int_equal(send(bench.fd, longer, sizeof longer, MSG_NOSIGNAL), sizeof longer);
    bench_settle(&bench);
    bench_send(&bench, bench_request(KEEPER_KILL, 5));
    bench_expect(&bench, KEEPER_CHILD_EXIT, 5);
    bench_expect(&bench, KEEPER_TREE_DEAD, 5);
    assert_int_equal(bench_end(&bench), 0);
}

/* A hundred chains, let loose together: one by one, the first would leave no time to the rest. */
static int storm(void *context)
{
    int gate[2];
    char byte;

    (void)context;
    hold_lock();
    if (pipe(gate) != 0)
        abort();
    for (int i = 0; i < 100; i++) {
        if (fork() == 0) {
            close(gate[1]);
            (void)!read(gate[0], &byte, 1);
            run_chain();
        }
    }
    put_file("storm", "");
    close(gate[1]);
    idle();
}

static void test_storm(void **state)
{
    struct bench bench;

    (void)state;
    bench_init(&bench);
    bench.config.builtin = storm;
    bench_fork(&bench);
    for (uint32_t run = 1; run <= 50; run++) {
        bench_start(&bench, run, 1);
        bench_expect(&bench, KEEPER_STARTED, run);
        assert_true(wait_for_file("storm"));
        assert_false(lock_is_free());
        poll(NULL, 0, (int)(run % 8));
        bench_send(&bench, bench_request(KEEPER_KILL, run));
        assert_int_equal(bench_expect(&bench, KEEPER_CHILD_EXIT, run).value, SIGKILL);
        bench_expect(&bench, KEEPER_TREE_DEAD, run);
        assert_true(lock_is_free());
        unlink(scratch_path("storm"));
    }
    assert_int_equal(bench_end(&bench), 0);
}

static void ignore_term(void)
{
    signal(SIGTERM, SIG_IGN);
    put_file("daemon", "");
    idle();
}

static int leave_stubborn_daemon(void *context)
{
    (void)context;
    hold_lock();
    daemonise(ignore_term);
    while (!file_exists("daemon"))
        poll(NULL, 0, 1);
    return 42;
}

static int leave_ordinary_daemon(void *context)
{
    (void)context;
    hold_lock();
    daemonise(idle);
    return 42;
}

static void check_leftovers(int (*builtin)(void *), int64_t at_least_ms)
{
    struct bench bench;

    bench_init(&bench);
    bench.config.builtin = builtin;
    bench.config.grace_ms = 300;
    bench_fork(&bench);
    /* From before the end that the grace counts from, which may be heard of late. */
    int64_t start_ns = clock_boottime_ns();
    bench_start(&bench, 1, 1);
    bench_expect(&bench, KEEPER_STARTED, 1);
    assert_int_equal(WEXITSTATUS(bench_expect(&bench, KEEPER_CHILD_EXIT, 1).value), 42);
    bench_expect(&bench, KEEPER_TREE_DEAD, 1);
    assert_true(clock_boottime_ns() - start_ns >= MS(at_least_ms));
    assert_true(lock_is_free());
    assert_int_equal(bench_end(&bench), 0);
}

static void test_leftovers(void **state)
{
    (void)state;
    check_leftovers(leave_ordinary_daemon, 0);
    /* Less than the grace, for CHILD_EXIT may have been read late. */
    check_leftovers(leave_stubborn_daemon, 300);
}

static char *children_of(pid_t pid)
{
    static char text[256];
    char path[64];

    snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)pid, (int)pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t length = fd < 0 ? 0 : read(fd, text, sizeof text - 1);
    text[length > 0 ? length : 0] = '\0';
    close(fd);
    return text;
}

static void test_no_zombies(void **state)
{
    struct bench bench;

    (void)state;
    bench_init(&bench);
    bench.config.builtin = leave_ordinary_daemon;
    bench_fork(&bench);
    for (uint32_t run = 1; run <= 20; run++) {
        bench_start(&bench, run, 1);
        bench_expect(&bench, KEEPER_STARTED, run);
        bench_expect(&bench, KEEPER_CHILD_EXIT, run);
        bench_expect(&bench, KEEPER_TREE_DEAD, run);
        assert_string_equal(children_of(bench.keeper), "");
    }
    assert_int_equal(bench_end(&bench), 0);
}

/* The keeper is one of a group that somebody signals, as systemd does. */
static void test_keeper_ignores_signals(void **state)
{
    struct bench bench;

    (void)state;
    bench_init(&bench);
    bench.config.builtin = write_signals;
    bench_fork(&bench);
    /* But for the few that the C library keeps for itself below SIGRTMIN. */
    for (int number = 1; number < NSIG; number++) {
        if (number != SIGKILL && number != SIGSTOP && (number < 32 || number >= SIGRTMIN))
            kill(bench.keeper, number);
    }
    bench_start(&bench, 1, 1);
    bench_expect(&bench, KEEPER_STARTED, 1);
    bench_send(&bench, bench_request(KEEPER_KILL, 1));
    bench_expect(&bench, KEEPER_CHILD_EXIT, 1);
    bench_expect(&bench, KEEPER_TREE_DEAD, 1);
    assert_int_equal(bench_end(&bench), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_scratch, remove_scratch)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_exit_statuses),
        TEST(test_exit_signals),
        TEST(test_exec_errors),
        TEST(test_environment_and_directory),
        TEST(test_signals_and_priority_are_handed_on),
        TEST(test_other_descriptors_are_closed),
        TEST(test_closed_stays_closed),
        TEST(test_standard_streams_are_let_go),
        TEST(test_signals_are_passed_on),
        TEST(test_other_runs_are_ignored),
        TEST(test_storm),
        TEST(test_leftovers),
        TEST(test_no_zombies),
        TEST(test_keeper_ignores_signals),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
