/* Forking and executing the command. Between fork(2) and exec(3) nothing is allocated. */
#include "spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "leaderwrap/base/clock.h"

#ifndef SYS_close_range
#define SYS_close_range 436
#endif
#ifndef CLOSE_RANGE_CLOEXEC
#define CLOSE_RANGE_CLOEXEC (1U << 2)
#endif

#define TOKEN_NAME  "LEADERWRAP_TOKEN="
#define EVENT_NAME  "LEADERWRAP_EVENT="
#define REASON_NAME "LEADERWRAP_REASON="
#define WORDS       3

/* The highest descriptor to look at where the kernel has no close_range(2). */
#define DESCRIPTORS_MAX 65536

static bool is_word(const char *entry)
{
    static const char *const names[WORDS] = {TOKEN_NAME, EVENT_NAME, REASON_NAME};

    for (int i = 0; i < WORDS; i++) {
        if (strncmp(entry, names[i], strlen(names[i])) == 0)
            return true;
    }
    return false;
}

/* The environment with room for the words of the run at its end; those that were inherited from an
 * outer leaderwrap are left out. */
static int prepare_environment(struct spawn *spawn)
{
    char *const *given = spawn->config->environment;
    size_t count = 0;

    while (given[count] != NULL)
        count++;
    spawn->environment = calloc(count + WORDS + 1, sizeof *spawn->environment);
    if (spawn->environment == NULL)
        return -ENOMEM;

    char **slot = spawn->environment;
    for (size_t i = 0; i < count; i++) {
        if (!is_word(given[i]))
            *slot++ = given[i];
    }
    spawn->words = slot;
    return 0;
}

static void set_words(struct spawn *spawn, const struct keeper_request *start)
{
    char **slot = spawn->words;

    snprintf(spawn->token, sizeof spawn->token, TOKEN_NAME "%" PRIu64, start->token);
    snprintf(spawn->event, sizeof spawn->event, EVENT_NAME "%.*s", KEEPER_WORD_SIZE, start->event);
    snprintf(spawn->reason, sizeof spawn->reason, REASON_NAME "%.*s", KEEPER_WORD_SIZE,
             start->reason);
    *slot++ = spawn->token;
    if (start->event[0] != '\0') {
        *slot++ = spawn->event;
        *slot++ = spawn->reason;
    }
    *slot = NULL;
}

/* The working directory is the command's; the keeper itself works from the root. Where there would
 * be no way back (a directory that its own process may not enter) it stays. */
static void leave_directory(struct spawn *spawn)
{
    spawn->directory = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (spawn->directory < 0)
        return;
    if (fchdir(spawn->directory) == 0 && chdir("/") == 0)
        return;
    close(spawn->directory);
    spawn->directory = -1;
}

int spawn_prepare(struct spawn *spawn, const struct keeper_config *config,
                  const struct cgroup *cgroup)
{
    memset(spawn, 0, sizeof *spawn);
    spawn->config = config;
    spawn->cgroup = cgroup;
    spawn->keeper = getpid();
    (void)prctl(PR_GET_NAME, spawn->name);
    leave_directory(spawn);
    return prepare_environment(spawn);
}

static void each_descriptor(int first, void (*act)(int fd))
{
    struct rlimit limit;
    int end = DESCRIPTORS_MAX;

    /* The soft limit may have been lowered over descriptors that were open already. */
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_max < DESCRIPTORS_MAX)
        end = (int)limit.rlim_max;
    for (int fd = first; fd < end; fd++)
        act(fd);
}

static void close_on_exec(int fd)
{
    (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
}

static void close_now(int fd)
{
    (void)close(fd);
}

static void close_all_on_exec(int first)
{
    /* The flag is younger than the call: EINVAL on Linux 5.9 and 5.10. */
    if (syscall(SYS_close_range, first, ~0U, CLOSE_RANGE_CLOEXEC) != 0)
        each_descriptor(first, close_on_exec);
}

void spawn_close_from(int first)
{
    if (syscall(SYS_close_range, first, ~0U, 0) != 0)
        each_descriptor(first, close_now);
}

void spawn_close_between(int first, int end)
{
    for (int fd = first; fd < end; fd++)
        close_now(fd);
}

void spawn_undo(const struct spawn *spawn)
{
    (void)prctl(PR_SET_NAME, spawn->name);
    if (spawn->directory >= 0)
        (void)fchdir(spawn->directory);
}

static _Noreturn void fail(int result, int error)
{
    /* Nobody is left to tell if this fails. */
    (void)!write(result, &error, sizeof error);
    _exit(126);
}

/* Runs the built-in command. Its standard descriptors stay open even where leaderwrap was started
 * without: it has no exec after which they could be missing. */
static _Noreturn void run_builtin(const struct spawn *spawn)
{
    struct inherited inherited = *spawn->config->inherited;

    memset(inherited.closed, 0, sizeof inherited.closed);
    spawn_close_from(3);
    environ = spawn->environment;
    inherited_restore(&inherited);
    exit(spawn->config->builtin(spawn->config->context));
}

static _Noreturn void become_command(const struct spawn *spawn, int64_t stop_at_ns, int result)
{
    const struct keeper_config *config = spawn->config;

    (void)setpgid(0, 0);

    /* The kernel kills us when the keeper dies. If it died before this line nothing would ever
     * come, but then we have another parent by now. */
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0)
        fail(result, errno);
    if (getppid() != spawn->keeper)
        _exit(126);

    cgroup_enter(spawn->cgroup);
    spawn_undo(spawn);
    if (config->command == NULL) {
        if (clock_boottime_ns() >= stop_at_ns)
            fail(result, ETIME);
        run_builtin(spawn);
    }

    close_all_on_exec(3);
    if (config->lease_page > 0 && fcntl(KEEPER_LEASE_FD, F_SETFD, 0) != 0)
        fail(result, errno);
    inherited_restore(config->inherited);
    environ = spawn->environment;
    if (clock_boottime_ns() >= stop_at_ns)
        fail(result, ETIME);
    (void)execvp(config->command[0], config->command);
    fail(result, errno);
}

pid_t spawn_child(struct spawn *spawn, const struct keeper_request *start, int *result)
{
    int ends[2];

    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0)
        return -errno;
    set_words(spawn, start);

    pid_t pid = fork();
    if (pid == 0)
        become_command(spawn, start->stop_at_ns, ends[1]);
    if (pid < 0)
        pid = -errno;
    close(ends[1]);
    if (pid < 0) {
        close(ends[0]);
        return pid;
    }
    /* On both sides, so that the group exists for whoever comes first. Refused once the child has
     * executed, when it has done it itself. */
    (void)setpgid(pid, pid);
    *result = ends[0];
    return pid;
}
