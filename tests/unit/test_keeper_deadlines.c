/* The keeper as a dead man's switch: deadlines, stops, and the elector's death. */
#include "keeper_fixture.h"

static volatile sig_atomic_t stopped;

static void on_term(int number)
{
    (void)number;
    stopped = 1;
}

/* Ends with status 3 when it gets TERM; the token is a delay in ms before that. */
static int end_on_term(void *context)
{
    struct sigaction action = {.sa_handler = on_term};
    sigset_t term;
    sigset_t none;

    (void)context;
    sigemptyset(&term);
    sigaddset(&term, SIGTERM);
    sigaddset(&term, SIGINT);
    sigprocmask(SIG_BLOCK, &term, &none);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    hold_lock();
    put_file("ready", "");
    while (!stopped)
        sigsuspend(&none);
    poll(NULL, 0, own_token());
    return 3;
}

static void test_stop_at(void **state)
{
    int64_t start_ns = clock_boottime_ns();
    struct bench bench;

    (void)state;
    bench_begin(&bench, end_on_term);
    bench_times(&bench, KEEPER_START, 1, 0, 1000, 1000000);
    bench_expect(&bench, KEEPER_STARTED, 1);
    assert_int_equal(bench_expect(&bench, KEEPER_STOPPING, 1).value, 0);
    assert_true(clock_boottime_ns() - start_ns >= MS(1000));
    bench_expect(&bench, KEEPER_CHILD_EXIT, 1);
    bench_expect(&bench, KEEPER_TREE_DEAD, 1);
    bench_finish(&bench);
}

static void test_kill_at(void **state)
{
    struct bench bench;

    (void)state;
    bench_begin(&bench, ignore_everything);
    for (uint32_t run = 1; run <= 2; run++) {
        int64_t start_ns = clock_boottime_ns();
        bench_times(&bench, KEEPER_START, run, 0, 1000, 1300);
        bench_expect(&bench, KEEPER_STARTED, run);
        bench_expect(&bench, KEEPER_STOPPING, run);
        /* Too late, and for another future: nothing revives the run. */
        bench_times(&bench, KEEPER_EXTEND, run, 0, 1000000, 1000000);
        struct keeper_message ended = bench_expect(&bench, KEEPER_CHILD_EXIT, run);
        assert_int_equal(ended.value, SIGKILL);
        assert_int_equal(ended.error, KEEPER_ENDED_BY_US);
        assert_true(clock_boottime_ns() - start_ns >= MS(1300));
        bench_expect(&bench, KEEPER_TREE_DEAD, run);
    }
    bench_finish(&bench);
}

/* After a suspend both have passed. */
static void test_both_deadlines_at_once(void **state)
{
    struct bench bench;

    (void)state;
    bench_begin(&bench, end_on_term);
    bench_times(&bench, KEEPER_START, 1, 0, 1500, 1510);
    bench_expect(&bench, KEEPER_STARTED, 1);
    assert_true(wait_for_file("ready"));
    kill(bench.keeper, SIGSTOP);
    poll(NULL, 0, 1600);
    kill(bench.keeper, SIGCONT);
    assert_int_equal(bench_expect(&bench, KEEPER_STOPPING, 1).value, 1);
    assert_int_equal(bench_expect(&bench, KEEPER_CHILD_EXIT, 1).value, SIGKILL);
    bench_expect(&bench, KEEPER_TREE_DEAD, 1);
    bench_finish(&bench);
}

static void test_start_too_late(void **state)
{
    struct bench bench;

    (void)state;
    bench_begin(&bench, end_on_term);
    bench_times(&bench, KEEPER_START, 1, 0, 0, 1000);
    assert_int_equal(bench_expect(&bench, KEEPER_NOT_STARTED, 1).value, ETIME);
    bench_expect(&bench, KEEPER_TREE_DEAD, 1);
    assert_false(file_exists("ready"));
    bench_finish(&bench);
}

static void test_extend(void **state)
{
    int64_t start_ns = clock_boottime_ns();
    struct bench bench;

    (void)state;
    bench_begin(&bench, end_on_term);
    bench_times(&bench, KEEPER_START, 1, 0, 5000, 1000000);
    bench_await_ready(&bench, 1);
    /* Backwards, forwards, and backwards again. */
    bench_times(&bench, KEEPER_EXTEND, 1, 0, -5000, -5000);
    bench_times(&bench, KEEPER_EXTEND, 1, 0, 5500, 1000000);
    bench_times(&bench, KEEPER_EXTEND, 1, 0, 1, 2);
    bench_settle(&bench);
    bench_expect(&bench, KEEPER_STOPPING, 1);
    assert_true(clock_boottime_ns() - start_ns >= MS(5500));
    assert_int_equal(WEXITSTATUS(bench_expect(&bench, KEEPER_CHILD_EXIT, 1).value), 3);
    bench_expect(&bench, KEEPER_TREE_DEAD, 1);
    bench_finish(&bench);
}

static void send_stop(struct bench *bench, uint32_t run, int number)
{
    struct keeper_request request = bench_request(KEEPER_STOP, run);

    request.signal = number;
    bench_send(bench, request);
}

static void test_stop(void **state)
{
    struct bench bench;

    (void)state;
    bench_init(&bench);
    bench.config.builtin = end_on_term;
    bench.config.grace_ms = 1000000;
    bench_fork(&bench);
    bench_start(&bench, 1, 20);
    bench_await_ready(&bench, 1);
    send_stop(&bench, 1, SIGINT);
    assert_int_equal(WEXITSTATUS(bench_expect(&bench, KEEPER_CHILD_EXIT, 1).value), 3);
    bench_expect(&bench, KEEPER_TREE_DEAD, 1);

    /* A stopped process hears TERM too. */
    bench_start(&bench, 2, 20);
    pid_t pid = bench_expect(&bench, KEEPER_STARTED, 2).value;
    assert_true(wait_for_file("ready"));
    kill(pid, SIGSTOP);
    send_stop(&bench, 2, SIGTERM);
    assert_int_equal(WEXITSTATUS(bench_expect(&bench, KEEPER_CHILD_EXIT, 2).value), 3);
    bench_expect(&bench, KEEPER_TREE_DEAD, 2);
    bench_finish(&bench);
}

/* Nothing revives a run that was asked to stop. */
static void test_stop_is_a_latch(void **state)
{
    struct bench bench;

    (void)state;
    bench_begin(&bench, ignore_everything);
    bench_start(&bench, 1, 0);
    bench_await_ready(&bench, 1);
    int64_t start_ns = clock_boottime_ns();
    send_stop(&bench, 1, SIGTERM);
    bench_times(&bench, KEEPER_EXTEND, 1, 0, 2000000, 2000000);
    send_stop(&bench, 1, SIGTERM);
    assert_int_equal(bench_expect(&bench, KEEPER_CHILD_EXIT, 1).value, SIGKILL);
    assert_true(clock_boottime_ns() - start_ns >= MS(200));
    bench_expect(&bench, KEEPER_TREE_DEAD, 1);
    bench_finish(&bench);
}

/* The grace never reaches beyond kill_at. */
static void test_kill_at_ends_the_grace(void **state)
{
    struct bench bench;

    (void)state;
    bench_init(&bench);
    bench.config.builtin = ignore_everything;
    bench.config.grace_ms = 1000000;
    bench_fork(&bench);
    bench_times(&bench, KEEPER_START, 1, 0, 1500, 1500);
    bench_await_ready(&bench, 1);
    send_stop(&bench, 1, SIGTERM);
    assert_int_equal(bench_expect(&bench, KEEPER_CHILD_EXIT, 1).value, SIGKILL);
    bench_expect(&bench, KEEPER_TREE_DEAD, 1);
    bench_finish(&bench);
}

/* Main ends on TERM only after its child has told that it got none. */
static int listen_for_main_only(void *context)
{
    pid_t worker = fork();

    if (worker == 0) {
        signal(SIGTERM, on_term);
        put_file("worker", "");
        while (!stopped)
            poll(NULL, 0, 5);
        put_file("worker-stopped", "");
        idle();
    }
    while (!file_exists("worker"))
        poll(NULL, 0, 1);
    int status = end_on_term(context);
    poll(NULL, 0, 100);
    return file_exists("worker-stopped") ? 99 : status;
}

static void test_stop_main_only(void **state)
{
    struct bench bench;

    (void)state;
    bench_init(&bench);
    bench.config.builtin = listen_for_main_only;
    bench.config.stop_main_only = true;
    bench.config.grace_ms = 20000;
    bench_fork(&bench);
    bench_start(&bench, 1, 0);
    bench_await_ready(&bench, 1);
    send_stop(&bench, 1, SIGTERM);
    assert_int_equal(WEXITSTATUS(bench_expect(&bench, KEEPER_CHILD_EXIT, 1).value), 3);
    /* What is left is asked then, and does not get main's long grace. */
    int64_t end_ns = clock_boottime_ns();
    bench_expect(&bench, KEEPER_TREE_DEAD, 1);
    assert_true(clock_boottime_ns() - end_ns < MS(15000));
    assert_true(file_exists("worker-stopped"));
    bench_finish(&bench);
}

static void write_will(void *context, const struct keeper_term *term)
{
    char text[64];

    snprintf(text, sizeof text, "%s %llu %s %s", (const char *)context,
             (unsigned long long)term->token, term->version, lock_is_free() ? "dead" : "ALIVE");
    put_file("will", text);
}

static void test_elector_dies(void **state)
{
    char context[] = "ours";
    struct bench bench;

    (void)state;
    bench_init(&bench);
    bench.config.builtin = leave_storm;
    bench.config.last_will = write_will;
    bench.config.context = context;
    bench_fork(&bench);
    bench_start(&bench, 1, UINT64_C(12345678901234567));
    bench_await_ready(&bench, 1);
    bench_times(&bench, KEEPER_EXTEND, 1, 0, 2000000, 2000000);
    assert_int_equal(bench_end(&bench), 0);
    assert_string_equal(get_file("will"), "ours 12345678901234567 renewed dead");
}

/* The record is read after the sender's death: the run must not begin, the lease be released. */
static void test_elector_dies_after_start(void **state)
{
    char context[] = "late";
    struct bench bench;

    (void)state;
    bench_init(&bench);
    bench.config.builtin = ignore_everything;
    bench.config.last_will = write_will;
    bench.config.context = context;
    bench_fork(&bench);
    kill(bench.keeper, SIGSTOP);
    bench_start(&bench, 1, 5);
    close(bench.fd);
    bench.fd = -1;
    kill(bench.keeper, SIGCONT);
    assert_int_equal(bench_end(&bench), 0);
    assert_string_equal(get_file("will"), "late 5 granted dead");
    assert_false(file_exists("ready"));
}

static void test_elector_ends_without_run(void **state)
{
    char context[] = "none";
    struct bench bench;

    (void)state;
    bench_init(&bench);
    bench.config.builtin = end_on_term;
    bench.config.last_will = write_will;
    bench.config.context = context;
    bench_fork(&bench);
    assert_int_equal(bench_end(&bench), 0);
    bench_fork(&bench);
    bench_start(&bench, 1, 5);
    bench_await_ready(&bench, 1);
    send_stop(&bench, 1, SIGTERM);
    bench_expect(&bench, KEEPER_CHILD_EXIT, 1);
    bench_expect(&bench, KEEPER_TREE_DEAD, 1);
    assert_int_equal(bench_end(&bench), 0);
    assert_false(file_exists("will"));
}

/* An elector that is stopped reads nothing; what matters is there when it goes on. */
static void test_messages_wait(void **state)
{
    static const uint32_t expected[] = {KEEPER_STARTED, KEEPER_STOPPING, KEEPER_CHILD_EXIT,
                                        KEEPER_TREE_DEAD};
    struct keeper_message message;
    struct bench bench;
    int next = 0;

    (void)state;
    bench_begin(&bench, end_on_term);
    for (int i = 0; i < 1000; i++) {
        struct keeper_request request = bench_request(KEEPER_KILL, 9);
        struct pollfd socket = {.fd = bench.fd, .events = POLLOUT};
        assert_int_equal(poll(&socket, 1, PATIENCE_MS), 1);
        if (send(bench.fd, &request, sizeof request, MSG_NOSIGNAL) < 0)
            assert_int_equal(errno, EAGAIN);
    }
    bench_times(&bench, KEEPER_START, 1, 0, 2000, 5000);
    assert_true(wait_for_file("ready"));
    while (!lock_is_free())
        poll(NULL, 0, 5);
    while (next < 4) {
        struct pollfd socket = {.fd = bench.fd, .events = POLLIN};
        assert_int_equal(poll(&socket, 1, PATIENCE_MS), 1);
        assert_int_equal(recv(bench.fd, &message, sizeof message, 0), sizeof message);
        if (message.kind != KEEPER_ACK)
            assert_int_equal(message.kind, expected[next++]);
    }
    assert_int_equal(bench_end(&bench), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_scratch, remove_scratch)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_stop_at),
        TEST(test_kill_at),
        TEST(test_both_deadlines_at_once),
        TEST(test_start_too_late),
        TEST(test_extend),
        TEST(test_stop),
        TEST(test_stop_is_a_latch),
        TEST(test_kill_at_ends_the_grace),
        TEST(test_stop_main_only),
        TEST(test_elector_dies),
        TEST(test_elector_dies_after_start),
        TEST(test_elector_ends_without_run),
        TEST(test_messages_wait),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
