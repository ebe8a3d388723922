/*
 * What the keeper's tests share: a scratch directory, a lock that tells whether anything of a tree
 * still runs, and the commands that make up trees.
 */
#ifndef KEEPER_FIXTURE_H
#define KEEPER_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "leaderwrap/base/clock.h"
#include "leaderwrap/base/inherited.h"
#include "leaderwrap/keeper/keeper.h"
#include "leaderwrap/keeper/protocol.h"

#include "helpers/chain.h"

/* How long a test waits for what must come. Generous: the machine may be slow. */
#define PATIENCE_MS 30000

#define MS(n) ((n)*NS_PER_MS)

static char scratch[64];

static inline int make_scratch(void **state)
{
    (void)state;
    snprintf(scratch, sizeof scratch, "/tmp/leaderwrap-keeper-XXXXXX");
    if (mkdtemp(scratch) == NULL)
        return -1;
    /* Some tests go on as another user. */
    return chmod(scratch, 0777);
}

/* It has no directories in it. */
static inline int remove_scratch(void **state)
{
    DIR *directory = opendir(scratch);
    const struct dirent *entry;

    (void)state;
    if (directory == NULL)
        return -1;
    while ((entry = readdir(directory)) != NULL) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            (void)unlinkat(dirfd(directory), entry->d_name, 0);
    }
    closedir(directory);
    return rmdir(scratch);
}

static inline const char *scratch_path(const char *name)
{
    static char path[128];

    snprintf(path, sizeof path, "%s/%s", scratch, name);
    return path;
}

/* Writes `text` to a new file of the scratch directory in one piece. */
static inline void put_file(const char *name, const char *text)
{
    char temporary[160];

    snprintf(temporary, sizeof temporary, "%s.%d", scratch_path(name), (int)getpid());
    int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0 || write(fd, text, strlen(text)) < 0 || close(fd) != 0 ||
        rename(temporary, scratch_path(name)) != 0)
        abort();
}

static inline bool file_exists(const char *name)
{
    return access(scratch_path(name), F_OK) == 0;
}

/* Waits for what has no event to wait for. */
static inline bool wait_for_file(const char *name)
{
    int64_t end = clock_boottime_ns() + MS(PATIENCE_MS);

    while (!file_exists(name)) {
        if (clock_boottime_ns() > end)
            return false;
        poll(NULL, 0, 1);
    }
    return true;
}

static inline char *get_file(const char *name)
{
    static char text[8192];
    int fd = open(scratch_path(name), O_RDONLY | O_CLOEXEC);

    text[0] = '\0';
    if (fd >= 0) {
        ssize_t length = read(fd, text, sizeof text - 1);
        text[length > 0 ? length : 0] = '\0';
        close(fd);
    }
    return text;
}

/* Every process of a tree holds this lock through the descriptor it inherited: it is free when the
 * last of them is gone, whatever anybody says. */
static inline void hold_lock(void)
{
    int fd = open(scratch_path("lock"), O_RDWR | O_CREAT | O_CLOEXEC, 0666);

    if (fd < 0 || flock(fd, LOCK_SH) != 0)
        abort();
}

static inline bool lock_is_free(void)
{
    int fd = open(scratch_path("lock"), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    bool free = fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0;

    if (fd >= 0)
        close(fd);
    return free;
}

/* In a command: the token it was given. */
static inline int own_token(void)
{
    const char *token = getenv("LEADERWRAP_TOKEN");

    return token == NULL ? -1 : (int)strtol(token, NULL, 10);
}

/* Waits for ever. */
static inline _Noreturn void idle(void)
{
    for (;;)
        pause();
}

/* Forks a process that has left the group, the session and its parent. */
static inline void daemonise(void (*body)(void))
{
    pid_t pid = fork();

    if (pid == 0) {
        setsid();
        if (fork() != 0)
            _exit(0);
        setsid();
        body();
        _exit(0);
    }
    waitpid(pid, NULL, 0);
}

/* A process that replaces itself as fast as it can, each time in a session of its own. */
static inline void run_chain(void)
{
    struct chain chain = {0};

    for (;;)
        chain_next(&chain, true);
}

/* A command that only KILL ends. */
static inline int ignore_everything(void *context)
{
    (void)context;
    for (int number = 1; number < NSIG; number++)
        signal(number, SIG_IGN);
    hold_lock();
    put_file("ready", "");
    idle();
}

/* The same, with daemons around it, some of which never stand still. */
static inline int leave_storm(void *context)
{
    hold_lock();
    for (int i = 0; i < 20; i++)
        daemonise(i % 2 == 0 ? run_chain : idle);
    return ignore_everything(context);
}

/* A run of the keeper as its elector sees it. */
struct bench {
    struct inherited inherited;
    struct keeper_config config;
    char *command[4];
    pid_t keeper;
    int fd;
    uint32_t sequence;
    uint32_t acknowledged;
};

/* Whoever started the tests may ignore signals (nohup, a job in the background). */
__attribute__((constructor)) static void reset_dispositions(void)
{
    signal(SIGHUP, SIG_DFL);
    signal(SIGINT, SIG_DFL);
    signal(SIGQUIT, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
}

static inline void bench_init(struct bench *bench)
{
    memset(bench, 0, sizeof *bench);
    assert_int_equal(inherited_capture(&bench->inherited), 0);
    bench->config.inherited = &bench->inherited;
    bench->config.environment = environ;
    bench->config.grace_ms = 200;
    bench->fd = -1;
}

/* The command is `program`, or with a `script` that shell's execution of it. */
static inline void bench_command(struct bench *bench, const char *program, const char *script)
{
    bench->command[0] = (char *)program;
    bench->command[1] = script == NULL ? NULL : (char *)"-c";
    bench->command[2] = (char *)script;
    bench->command[3] = NULL;
    bench->config.command = bench->command;
}

static inline void bench_fork(struct bench *bench)
{
    fflush(NULL);
    bench->keeper = keeper_fork(&bench->config, &bench->fd);
    assert_true(bench->keeper > 1);
}

static inline struct keeper_request bench_request(enum keeper_request_kind kind, uint32_t run)
{
    return (struct keeper_request){.kind = kind, .run = run};
}

static inline void bench_send(struct bench *bench, struct keeper_request request)
{
    request.sequence = ++bench->sequence;
    assert_int_equal(send(bench->fd, &request, sizeof request, MSG_NOSIGNAL), sizeof request);
}

/* The deadlines count from now. */
static inline void bench_times(struct bench *bench, enum keeper_request_kind kind, uint32_t run,
                               uint64_t token, int64_t stop_ms, int64_t kill_ms)
{
    struct keeper_request request = bench_request(kind, run);

    request.token = token;
    snprintf(request.version, sizeof request.version, "%s",
             kind == KEEPER_START ? "granted" : "renewed");
    request.stop_at_ns = clock_boottime_ns() + MS(stop_ms);
    request.kill_at_ns = clock_boottime_ns() + MS(kill_ms);
    bench_send(bench, request);
}

/* A start that lasts longer than any test. */
static inline void bench_start(struct bench *bench, uint32_t run, uint64_t token)
{
    bench_times(bench, KEEPER_START, run, token, 1000000, 1000000);
}

/* The next record, ACK or not; false at the end of file. */
static inline bool bench_record(struct bench *bench, struct keeper_message *message)
{
    struct pollfd socket = {.fd = bench->fd, .events = POLLIN};

    assert_int_equal(poll(&socket, 1, PATIENCE_MS), 1);
    ssize_t length = recv(bench->fd, message, sizeof *message, MSG_DONTWAIT);
    if (length <= 0)
        return false;
    assert_int_equal(length, sizeof *message);
    if (message->kind == KEEPER_ACK) {
        assert_int_equal(message->sequence, bench->acknowledged + 1);
        bench->acknowledged = message->sequence;
    }
    return true;
}

/* The next message must be of `kind`. */
static inline struct keeper_message bench_expect(struct bench *bench, enum keeper_message_kind kind,
                                                 uint32_t run)
{
    struct keeper_message message;

    do {
        assert_true(bench_record(bench, &message));
    } while (message.kind == KEEPER_ACK);
    assert_int_equal(message.kind, kind);
    assert_int_equal(message.run, run);
    return message;
}

/* Waits until everything that was sent is acted upon. No message may come meanwhile. */
static inline void bench_settle(struct bench *bench)
{
    struct keeper_message message;

    while (bench->acknowledged != bench->sequence) {
        assert_true(bench_record(bench, &message));
        assert_int_equal(message.kind, KEEPER_ACK);
    }
}

/* Closes our end. Returns the keeper's wait status. */
static inline int bench_end(struct bench *bench)
{
    int status = -1;

    if (bench->fd >= 0)
        close(bench->fd);
    bench->fd = -1;
    assert_int_equal(waitpid(bench->keeper, &status, 0), bench->keeper);
    return status;
}

/* A keeper of `builtin`. */
static inline void bench_begin(struct bench *bench, int (*builtin)(void *))
{
    bench_init(bench);
    bench->config.builtin = builtin;
    bench_fork(bench);
}

/* Waits until a command of this file is in its stride. */
static inline void bench_await_ready(struct bench *bench, uint32_t run)
{
    bench_expect(bench, KEEPER_STARTED, run);
    assert_true(wait_for_file("ready"));
    unlink(scratch_path("ready"));
}

/* To be called when the tree is dead. */
static inline void bench_finish(struct bench *bench)
{
    assert_true(lock_is_free());
    bench_settle(bench);
    assert_int_equal(bench_end(bench), 0);
}

#endif
