/* The keeper where it has less power or a narrower view than usual: what it may not kill, no
 * privilege, PID namespaces, cgroups. */
#include "keeper_fixture.h"
#include "leaks.h"

#include <sched.h>
#include <sys/mount.h>
#include <sys/sendfile.h>
#include <sys/xattr.h>

#include "keeper/cgroup.h"
#include "keeper/proc.h"

#define NOBODY 65534

/* A child that became root, and below it one that did not. */
static int become_root(void)
{
    if (fork() == 0) {
        if (setresuid(NOBODY, NOBODY, NOBODY) != 0)
            abort();
        hold_lock();
        put_file("below", "");
        idle();
    }
    if (setresuid(0, 0, 0) != 0)
        return 1;
    while (!file_exists("below"))
        poll(NULL, 0, 1);
    put_file("ready", "");
    while (!file_exists("end"))
        poll(NULL, 0, 5);
    return 0;
}

/* Makes a set-user-id copy of this program. Returns false where that does not work. */
static bool make_setuid_copy(const char *path)
{
    int from = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    int to = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0700);
    struct stat status;
    bool made = geteuid() == 0 && from >= 0 && to >= 0 && fstat(from, &status) == 0;

    for (off_t at = 0; made && at < status.st_size;)
        made = sendfile(to, from, &at, (size_t)(status.st_size - at)) > 0;
    made = made && fchmod(to, 04755) == 0;
    close(from);
    close(to);
    return made;
}

static void check_stuck(const char *program)
{
    struct bench bench;

    bench_init(&bench);
    bench_command(&bench, program, NULL);
    bench.command[1] = (char *)"become-root";
    bench.command[2] = scratch;
    bench_fork(&bench);
    bench_start(&bench, 1, 1);
    bench_expect(&bench, KEEPER_STARTED, 1);
    assert_true(wait_for_file("ready"));
    assert_false(lock_is_free());
    bench_send(&bench, bench_request(KEEPER_KILL, 1));
    for (int i = 0; i < 2; i++) {
        struct keeper_message message = bench_expect(&bench, KEEPER_STUCK, 1);
        assert_int_equal(message.value, 1);
        assert_int_equal(message.error, EPERM);
    }
    /* The one below could be killed, and was. */
    assert_true(lock_is_free());
    put_file("end", "");
    bench_expect(&bench, KEEPER_CHILD_EXIT, 1);
    bench_expect(&bench, KEEPER_TREE_DEAD, 1);
    assert_int_equal(bench_end(&bench), 0);
}

/* Runs a check in a process of its own, which it may change as it likes. Returns its status, 0 for
 * success; 77 says that it cannot be done here. */
static int run_apart(CMUnitTestFunction body)
{
    const struct CMUnitTest apart[] = {{.name = "apart", .test_func = body}};
    int status = 0;

    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        /* A runner of its own, or a failure would go on with the tests after this one. */
        int failed = cmocka_run_group_tests_name("apart", apart, NULL, NULL);
        fflush(NULL);
        _exit(failed);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static char copy[128];

static void stuck_as_nobody(void **state)
{
    (void)state;
    if (setresgid(NOBODY, NOBODY, NOBODY) != 0 || setresuid(NOBODY, NOBODY, NOBODY) != 0)
        _exit(77);
    check_stuck(copy);
}

static void test_stuck(void **state)
{
    (void)state;
    snprintf(copy, sizeof copy, "%s", scratch_path("setuid"));
    if (!make_setuid_copy(copy))
        skip();
    assert_int_equal(run_apart(stuck_as_nobody), 0);
}

static void write_will(void *context, const struct keeper_term *term)
{
    (void)context;
    put_file("will", term->version);
}

/* A leader renews while what its command has left is being killed. Should it die then, the last
 * will is about the record as it is. */
static void extended_while_swept(void **state)
{
    struct bench bench;

    (void)state;
    if (setresgid(NOBODY, NOBODY, NOBODY) != 0 || setresuid(NOBODY, NOBODY, NOBODY) != 0)
        _exit(77);
    bench_init(&bench);
    bench_command(&bench, copy, NULL);
    bench.command[1] = (char *)"become-root";
    bench.command[2] = scratch;
    bench.config.last_will = write_will;
    bench_fork(&bench);
    bench_start(&bench, 1, 1);
    bench_expect(&bench, KEEPER_STARTED, 1);
    assert_true(wait_for_file("ready"));
    bench_send(&bench, bench_request(KEEPER_KILL, 1));
    bench_expect(&bench, KEEPER_STUCK, 1);
    bench_times(&bench, KEEPER_EXTEND, 1, 0, 2000000, 2000000);
    close(bench.fd);
    bench.fd = -1;
    put_file("end", "");
    assert_int_equal(bench_end(&bench), 0);
    assert_string_equal(get_file("will"), "renewed");
}

static void test_extended_while_swept(void **state)
{
    (void)state;
    snprintf(copy, sizeof copy, "%s", scratch_path("setuid"));
    if (!make_setuid_copy(copy))
        skip();
    assert_int_equal(run_apart(extended_while_swept), 0);
}

static bool slow; /* a sweep may take so long that it is said */

static struct keeper_message expect(struct bench *bench, enum keeper_message_kind kind,
                                    uint32_t run)
{
    struct keeper_message message;

    do {
        assert_true(bench_record(bench, &message));
    } while (message.kind == KEEPER_ACK || (slow && message.kind == KEEPER_STUCK));
    assert_int_equal(message.kind, kind);
    assert_int_equal(message.run, run);
    return message;
}

static void kill_storm(void)
{
    struct bench bench;

    bench_begin(&bench, leave_storm);
    for (uint32_t run = 1; run <= 3; run++) {
        bench_start(&bench, run, 0);
        bench_await_ready(&bench, run);
        bench_send(&bench, bench_request(KEEPER_KILL, run));
        assert_int_equal(expect(&bench, KEEPER_CHILD_EXIT, run).value, SIGKILL);
        expect(&bench, KEEPER_TREE_DEAD, run);
        assert_true(lock_is_free());
    }
    bench_finish(&bench);
}

static void storm_as_nobody(void **state)
{
    (void)state;
    if (setresgid(NOBODY, NOBODY, NOBODY) != 0 || setresuid(NOBODY, NOBODY, NOBODY) != 0)
        _exit(77);
    kill_storm();
}

static void test_without_privilege(void **state)
{
    (void)state;
    if (geteuid() != 0)
        skip();
    assert_int_equal(run_apart(storm_as_nobody), 0);
}

/* The elector is PID 1 here, as in a container. */
static void storm_as_init(void **state)
{
    (void)state;
    int status = 0;

    if (unshare(CLONE_NEWPID | CLONE_NEWNS) != 0)
        _exit(77);
    pid_t init = fork();
    if (init == 0) {
        if (getpid() != 1 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
            mount("proc", "/proc", "proc", 0, NULL) != 0)
            _exit(77);
        kill_storm();
        _exit(0);
    }
    if (waitpid(init, &status, 0) != init || !WIFEXITED(status))
        _exit(1);
    _exit(WEXITSTATUS(status));
}

static void test_as_pid_1(void **state)
{
    (void)state;
    int status = run_apart(storm_as_init);
    if (status == 77)
        skip();
    assert_int_equal(status, 0);
}

/* Where /proc shows another PID namespace its numbers are somebody else's: nothing may be killed by
 * them, but a tree that stays in its group dies all the same. */
static void group_with_foreign_proc(void **state)
{
    (void)state;
    int status = 0;
    struct bench bench;

    if (unshare(CLONE_NEWPID) != 0)
        _exit(77);
    pid_t init = fork();
    if (init == 0) {
        bench_begin(&bench, ignore_everything);
        bench_start(&bench, 1, 0);
        bench_await_ready(&bench, 1);
        bench_send(&bench, bench_request(KEEPER_KILL, 1));
        bench_expect(&bench, KEEPER_CHILD_EXIT, 1);
        bench_expect(&bench, KEEPER_TREE_DEAD, 1);
        bench_finish(&bench);
        _exit(0);
    }
    if (waitpid(init, &status, 0) != init || !WIFEXITED(status))
        _exit(1);
    _exit(WEXITSTATUS(status));
}

static void test_foreign_proc(void **state)
{
    (void)state;
    int status = run_apart(group_with_foreign_proc);
    if (status == 77)
        skip();
    assert_int_equal(status, 0);
}

static bool hide_proc(void)
{
    return unshare(CLONE_NEWNS) == 0 && mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
           mount("none", "/proc", "tmpfs", 0, NULL) == 0;
}

static void storm_without_proc(void **state)
{
    (void)state;
    if (!hide_proc())
        _exit(77);
    slow = true;
    kill_storm();
}

static void test_storm_without_proc(void **state)
{
    (void)state;
    int status = run_apart(storm_without_proc);
    if (status == 77)
        skip();
    assert_int_equal(status, 0);
}

/* Ends and leaves one in its group that only KILL ends, and one that a TERM ends. */
static int leave_group(void *context)
{
    hold_lock();
    if (fork() == 0)
        idle();
    if (fork() == 0)
        (void)ignore_everything(context);
    while (!file_exists("ready"))
        poll(NULL, 0, 1);
    return 3;
}

static void leftovers_without_proc(void **state)
{
    struct bench bench;

    (void)state;
    if (!hide_proc())
        _exit(77);
    bench_begin(&bench, leave_group);
    bench_start(&bench, 1, 0);
    bench_expect(&bench, KEEPER_STARTED, 1);
    assert_int_equal(bench_expect(&bench, KEEPER_CHILD_EXIT, 1).value, 3 << 8);
    bench_expect(&bench, KEEPER_TREE_DEAD, 1);
    bench_finish(&bench);
}

static void test_leftovers_without_proc(void **state)
{
    (void)state;
    int status = run_apart(leftovers_without_proc);
    if (status == 77)
        skip();
    assert_int_equal(status, 0);
}

static char cgroup_path[128];

/* Makes a cgroup that is marked as delegated. */
static bool make_cgroup(void)
{
    static const char *const mounts[] = {"/sys/fs/cgroup/unified", "/sys/fs/cgroup"};

    for (size_t i = 0; i < 2; i++) {
        snprintf(cgroup_path, sizeof cgroup_path, "%s/leaderwrap-test-%d", mounts[i],
                 (int)getpid());
        if (mkdir(cgroup_path, 0755) != 0)
            continue;
        if (setxattr(cgroup_path, "user.delegate", "1", 1, 0) == 0)
            return true;
        rmdir(cgroup_path);
    }
    return false;
}

static bool note_pid(void *context, pid_t pid)
{
    *(pid_t *)context = pid;
    return false;
}

static int storm_in_leaf(void *context)
{
    FILE *file = fopen("/proc/self/cgroup", "r");
    char line[256];

    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        if (strncmp(line, "0::", 3) == 0)
            put_file("cgroup", line);
    }
    return leave_storm(context);
}

static void enter_cgroup(void)
{
    char path[256];

    snprintf(path, sizeof path, "%s/cgroup.procs", cgroup_path);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0 || write(fd, "0", 1) != 1)
        _exit(77);
    close(fd);
}

static void kill_in_cgroup(void **state)
{
    (void)state;
    struct bench bench;
    char path[256];

    enter_cgroup();
    bench_begin(&bench, storm_in_leaf);
    for (uint32_t run = 1; run <= 5; run++) {
        bench_start(&bench, run, 0);
        bench_await_ready(&bench, run);
        snprintf(path, sizeof path, "-%d\n", (int)bench.keeper);
        assert_non_null(strstr(get_file("cgroup"), path));
        bench_send(&bench, bench_request(KEEPER_KILL, run));
        bench_expect(&bench, KEEPER_CHILD_EXIT, run);
        bench_expect(&bench, KEEPER_TREE_DEAD, run);
        assert_true(lock_is_free());
    }

    /* The same leaf, as the elector would find it. */
    struct cgroup leaf;
    assert_true(cgroup_adopt(&leaf, bench.keeper));
    assert_true(leaf.procs >= 0);
    cgroup_close(&leaf);
    assert_false(cgroup_adopt(&leaf, bench.keeper));
    bench_finish(&bench);
}

static void test_cgroup(void **state)
{
    (void)state;
    if (!make_cgroup())
        skip();
    int status = run_apart(kill_in_cgroup);
    assert_int_equal(rmdir(cgroup_path), 0);
    if (status == 77)
        skip();
    assert_int_equal(status, 0);
}

/* The first process of a PID namespace that is none of our business. Returns its pid. */
static pid_t fork_foreign_init(void)
{
    int report[2];
    pid_t init = 0;

    assert_int_equal(pipe2(report, O_CLOEXEC), 0);
    pid_t outside = fork();
    if (outside == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (unshare(CLONE_NEWPID) != 0)
            _exit(77);
        init = fork();
        if (init == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            idle();
        }
        if (write(report[1], &init, sizeof init) != (ssize_t)sizeof init)
            _exit(1);
        idle();
    }
    close(report[1]);
    if (read(report[0], &init, sizeof init) != (ssize_t)sizeof init)
        _exit(77);
    close(report[0]);
    return init;
}

static pid_t foreign_init;

/* Leaves a process in that namespace, whose parent in there has ended: no child of ours. */
static int stray(void *context)
{
    char path[64];

    (void)context;
    hold_lock();
    snprintf(path, sizeof path, "/proc/%d/ns/pid", (int)foreign_init);
    int space = open(path, O_RDONLY | O_CLOEXEC);
    if (space < 0 || setns(space, CLONE_NEWPID) != 0)
        return 1;
    pid_t pid = fork();
    if (pid == 0) {
        if (fork() != 0)
            _exit(0);
        (void)ignore_everything(NULL);
    }
    waitpid(pid, NULL, 0);
    while (!file_exists("ready"))
        poll(NULL, 0, 1);
    /* A leak check would have its helper born in that namespace, and wait for it for ever. */
    _exit(3);
}

static void strays_in_cgroup(void **state)
{
    struct bench bench;

    (void)state;
    foreign_init = fork_foreign_init();
    enter_cgroup();
    bench_begin(&bench, stray);
    bench_start(&bench, 1, 0);
    bench_expect(&bench, KEEPER_STARTED, 1);
    assert_int_equal(bench_expect(&bench, KEEPER_CHILD_EXIT, 1).value, 3 << 8);
    bench_expect(&bench, KEEPER_TREE_DEAD, 1);
    bench_finish(&bench);
    kill(foreign_init, SIGKILL);
}

/* The same for the processes that sweep after a keeper's death. */
static void strays_without_keeper(void **state)
{
    struct bench bench;
    int status = 0;

    (void)state;
    foreign_init = fork_foreign_init();
    enter_cgroup();
    bench_init(&bench);
    bench.config.builtin = stray;
    bench.config.grace_ms = PATIENCE_MS;
    bench.config.guarded = true;
    bench_fork(&bench);
    bench_start(&bench, 1, 0);
    bench_expect(&bench, KEEPER_STARTED, 1);
    assert_true(wait_for_file("ready"));
    pid_t keeper = 0;
    assert_int_equal(proc_children_of(bench.keeper, note_pid, &keeper), PROC_LOOSE);
    kill(keeper, SIGKILL);
    assert_int_equal(waitpid(bench.keeper, &status, 0), bench.keeper);
    assert_true(WIFSIGNALED(status));
    assert_true(lock_is_free());
    kill(foreign_init, SIGKILL);
}

static void check_in_cgroup(CMUnitTestFunction body)
{
    if (!make_cgroup())
        skip();
    int status = run_apart(body);
    /* What has been killed outside of the tree takes a moment to be gone. */
    int64_t end = clock_boottime_ns() + MS(PATIENCE_MS);
    while (rmdir(cgroup_path) != 0) {
        assert_int_equal(errno, EBUSY);
        assert_true(clock_boottime_ns() < end);
        poll(NULL, 0, 1);
    }
    if (status == 77)
        skip();
    assert_int_equal(status, 0);
}

static void test_strays(void **state)
{
    (void)state;
    check_in_cgroup(strays_in_cgroup);
}

static void test_strays_without_keeper(void **state)
{
    (void)state;
    check_in_cgroup(strays_without_keeper);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_scratch, remove_scratch)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(test_stuck),
        TEST(test_extended_while_swept),
        TEST(test_without_privilege),
        TEST(test_as_pid_1),
        TEST(test_foreign_proc),
        TEST(test_storm_without_proc),
        TEST(test_leftovers_without_proc),
        TEST(test_cgroup),
        TEST(test_strays),
        TEST(test_strays_without_keeper),
    };

    if (argc == 3 && strcmp(argv[1], "become-root") == 0) {
        snprintf(scratch, sizeof scratch, "%s", argv[2]);
        return become_root();
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
