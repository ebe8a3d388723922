/* What leaderwrap was started with is seen, and put back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "leaderwrap/base/disposition.h"
#include "leaderwrap/base/inherited.h"

#define RESERVED 32 /* the C library's own, which it does not let others ask about */

/* Runs `body` in a process of its own, for it changes what all tests share. It returns the number
 * of the line that failed, at most 255, or 0. */
static void run_apart(int (*body)(void))
{
    int status = 0;
    pid_t pid = fork();

    if (pid == 0)
        _exit(body());
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition))                                                                          \
            return __LINE__;                                                                       \
    } while (0)

static int is_open(int fd)
{
    return fcntl(fd, F_GETFD) >= 0;
}

static int is_null_device(int fd)
{
    struct stat status;

    return fstat(fd, &status) == 0 && S_ISCHR(status.st_mode) && status.st_rdev == makedev(1, 3);
}

static void on_signal(int number)
{
    (void)number;
}

static int signals(void)
{
    struct inherited inherited;
    struct sigaction action;
    sigset_t mask;

    sigemptyset(&mask);
    sigaddset(&mask, SIGUSR1);
    sigaddset(&mask, SIGRTMAX);
    sigprocmask(SIG_SETMASK, &mask, NULL);
    signal(SIGHUP, SIG_IGN);
    signal(SIGRTMIN, SIG_IGN);
    signal(SIGINT, SIG_DFL);
    signal(SIGPIPE, SIG_DFL);
    disposition_set(RESERVED, true);
    CHECK(inherited_capture(&inherited) == 0);
    CHECK(sigismember(&inherited.ignored, SIGHUP) == 1);
    CHECK(sigismember(&inherited.ignored, SIGINT) == 0);
    CHECK(sigismember(&inherited.mask, SIGUSR1) == 1);

    sigfillset(&mask);
    sigprocmask(SIG_SETMASK, &mask, NULL);
    signal(SIGHUP, on_signal);
    signal(SIGRTMIN, SIG_DFL);
    signal(SIGINT, on_signal);
    signal(SIGPIPE, SIG_IGN);
    disposition_set(RESERVED, false);
    CHECK(!disposition_is_ignored(RESERVED));
    inherited_restore(&inherited);
    CHECK(disposition_is_ignored(RESERVED));
    CHECK(sigaction(SIGHUP, NULL, &action) == 0 && action.sa_handler == SIG_IGN);
    CHECK(sigaction(SIGRTMIN, NULL, &action) == 0 && action.sa_handler == SIG_IGN);
    CHECK(sigaction(SIGINT, NULL, &action) == 0 && action.sa_handler == SIG_DFL);
    CHECK(sigaction(SIGPIPE, NULL, &action) == 0 && action.sa_handler == SIG_DFL);
    CHECK(sigprocmask(SIG_SETMASK, NULL, &mask) == 0);
    for (int number = 1; number < NSIG; number++) {
        int blocked = number == SIGUSR1 || number == SIGRTMAX;
        if (number < 32 || number >= SIGRTMIN)
            CHECK(sigismember(&mask, number) == blocked);
    }
    return 0;
}

static void test_the_table_leaves_nothing_to_chance(void **state)
{
    (void)state;
    for (int number = 1; number < NSIG; number++) {
        enum fate fate = disposition_fate(number);
        bool real_time = number >= SIGRTMIN && number <= SIGRTMAX;
        if (real_time)
            assert_int_equal(fate, FATE_PASS);
        if (number == RESERVED || number == SIGXFSZ || number == SIGPIPE)
            assert_int_equal(fate, FATE_IGNORE);
    }
}

static int strays(void)
{
    struct inherited inherited;

    disposition_set(RESERVED, false); /* make, for one, starts programs with it ignored */
    CHECK(inherited_capture(&inherited) == 0);
    disposition_ignore_strays();
    for (int number = 1; number < NSIG; number++) {
        bool stray = disposition_fate(number) == FATE_IGNORE;
        CHECK(disposition_is_ignored(number) == stray ||
              sigismember(&inherited.ignored, number) == 1);
        if (stray)
            CHECK(raise(number) == 0 || number == RESERVED || number == RESERVED + 1);
    }
    inherited_restore(&inherited);
    CHECK(!disposition_is_ignored(SIGXFSZ) && !disposition_is_ignored(RESERVED));
    return 0;
}

static void test_strays_end_nothing(void **state)
{
    (void)state;
    run_apart(strays);
}

static void test_signals(void **state)
{
    (void)state;
    run_apart(signals);
}

static int pending_default_kills(void)
{
    struct inherited inherited;
    sigset_t mask;
    int status = 0;

    CHECK(inherited_capture(&inherited) == 0);
    pid_t pid = fork();
    if (pid == 0) {
        sigfillset(&mask);
        sigprocmask(SIG_SETMASK, &mask, NULL);
        signal(SIGTERM, on_signal);
        raise(SIGTERM);
        inherited_restore(&inherited);
        _exit(0);
    }
    CHECK(waitpid(pid, &status, 0) == pid);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
    return 0;
}

static void test_pending_signal_finds_the_restored_action(void **state)
{
    (void)state;
    run_apart(pending_default_kills);
}

static int priority(void)
{
    struct inherited inherited;

    CHECK(inherited_capture(&inherited) == 0);
    int before = inherited.priority;
    CHECK(before == getpriority(PRIO_PROCESS, 0));
    /* Raising needs a privilege; without it there is nothing to undo. */
    if (setpriority(PRIO_PROCESS, 0, before - 3) != 0)
        return 0;
    inherited_restore(&inherited);
    CHECK(getpriority(PRIO_PROCESS, 0) == before);
    return 0;
}

static void test_priority(void **state)
{
    (void)state;
    run_apart(priority);
}

static int closed_descriptors(void)
{
    struct inherited inherited;

    close(0);
    close(2);
    CHECK(inherited_capture(&inherited) == 0);
    CHECK(inherited.closed[0] && !inherited.closed[1] && inherited.closed[2]);
    CHECK(is_null_device(0) && is_null_device(2));
    inherited_restore(&inherited);
    CHECK(!is_open(0) && is_open(1) && !is_open(2));
    return 0;
}

static int open_descriptors(void)
{
    struct inherited inherited;

    for (int fd = 0; fd < 3; fd++) {
        if (!is_open(fd))
            CHECK(open("/dev/null", O_RDWR) == fd);
    }
    CHECK(inherited_capture(&inherited) == 0);
    CHECK(!inherited.closed[0] && !inherited.closed[1] && !inherited.closed[2]);
    inherited_restore(&inherited);
    CHECK(is_open(0) && is_open(1) && is_open(2));
    return 0;
}

static int all_closed(void)
{
    struct inherited inherited;

    for (int fd = 0; fd < 3; fd++)
        close(fd);
    CHECK(inherited_capture(&inherited) == 0);
    CHECK(is_null_device(0) && is_null_device(1) && is_null_device(2));
    inherited_restore(&inherited);
    CHECK(!is_open(0) && !is_open(1) && !is_open(2));
    return 0;
}

static void test_descriptors(void **state)
{
    (void)state;
    run_apart(closed_descriptors);
    run_apart(open_descriptors);
    run_apart(all_closed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_table_leaves_nothing_to_chance),
        cmocka_unit_test(test_strays_end_nothing),
        cmocka_unit_test(test_signals),
        cmocka_unit_test(test_pending_signal_finds_the_restored_action),
        cmocka_unit_test(test_priority),
        cmocka_unit_test(test_descriptors),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
