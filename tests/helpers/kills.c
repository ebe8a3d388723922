/*
 * Kills trees through the keeper's own code, as often as it is told, and looks each time whether
 * anything is left:
 *
 *     kills COUNT SIZE LOCK UNRULY
 *
 * One keeper, COUNT runs of UNRULY with SIZE processes that fork as fast as they can; every other
 * one is stopped, with a short grace, the others are killed at once. All of a tree hold a lock on
 * the file LOCK: it is free when the last of them is gone. Prints how many trees were killed.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "leaderwrap/base/clock.h"
#include "leaderwrap/base/inherited.h"
#include "leaderwrap/keeper/keeper.h"
#include "leaderwrap/keeper/protocol.h"

#define PATIENCE_MS 60000
#define NEVER_MS    1000000
#define GRACE_MS    5
/* A deadline leaves half a second at most; a machine that is busy with other things may take more.
 */
#define KILL_MOST_MS 5000

struct killer {
    int keeper; /* socket */
    int ready;  /* the commands' standard output */
    const char *lock;
};

static _Noreturn void fail(const char *what)
{
    fprintf(stderr, "kills: %s\n", what);
    exit(1);
}

static void ask(const struct killer *killer, struct keeper_request request)
{
    if (send(killer->keeper, &request, sizeof request, MSG_NOSIGNAL) != (ssize_t)sizeof request)
        fail("the keeper cannot be asked");
}

static void await(int fd, const char *what)
{
    struct pollfd wait_for = {.fd = fd, .events = POLLIN};
    if (poll(&wait_for, 1, PATIENCE_MS) != 1)
        fail(what);
}

static void await_message(const struct killer *killer, enum keeper_message_kind kind)
{
    struct keeper_message message;

    do {
        await(killer->keeper, "the keeper says nothing");
        if (recv(killer->keeper, &message, sizeof message, MSG_DONTWAIT) != (ssize_t)sizeof message)
            fail("the keeper is gone");
        if (message.kind == KEEPER_EXEC_FAILED || message.kind == KEEPER_STUCK)
            fail("the keeper could not start or kill a tree");
    } while (message.kind != (uint32_t)kind);
}

static int lock_is_free(const struct killer *killer)
{
    int fd = open(killer->lock, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    int taken = fd >= 0 ? flock(fd, LOCK_EX | LOCK_NB) : -1;

    if (fd >= 0)
        close(fd);
    return taken == 0;
}

static void kill_one(const struct killer *killer, uint32_t run)
{
    char line[16];
    int64_t now_ns = clock_boottime_ns();
    struct keeper_request request = {.kind = KEEPER_START,
                                     .run = run,
                                     .token = run,
                                     .stop_at_ns = now_ns + NEVER_MS * NS_PER_MS,
                                     .kill_at_ns = now_ns + NEVER_MS * NS_PER_MS};

    ask(killer, request);
    await(killer->ready, "a tree is not ready");
    if (read(killer->ready, line, sizeof line) <= 0 || lock_is_free(killer))
        fail("a tree is not ready, or holds no lock");
    request.kind = run % 2 == 0 ? KEEPER_KILL : KEEPER_STOP;
    /* From a tree that has hardly begun to one in full swing. */
    poll(NULL, 0, (int)(run % 5));
    now_ns = clock_boottime_ns();
    ask(killer, request);
    await_message(killer, KEEPER_TREE_DEAD);
    if (clock_boottime_ns() - now_ns > KILL_MOST_MS * NS_PER_MS)
        fail("a tree took too long to die");
    if (!lock_is_free(killer))
        fail("something of a tree is left");
}

int main(int argc, char **argv)
{
    struct inherited inherited;
    struct killer killer;
    int output[2];

    if (argc != 5 || inherited_capture(&inherited) != 0 || pipe2(output, O_CLOEXEC) != 0)
        return 64;
    long count = strtol(argv[1], NULL, 10);
    char *command[] = {argv[4], (char[]){"--lock"}, argv[3], (char[]){"--storm"}, argv[2], NULL};
    const struct keeper_config config = {
        .inherited = &inherited, .command = command, .environment = environ, .grace_ms = GRACE_MS};
    int own_output = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 10);

    if (own_output < 0 || dup2(output[1], STDOUT_FILENO) < 0)
        return 99;
    pid_t keeper = keeper_fork(&config, &killer.keeper);
    if (keeper < 0)
        fail("no keeper");
    dup2(own_output, STDOUT_FILENO);
    close(output[1]);
    killer.ready = output[0];
    killer.lock = argv[3];
    for (long run = 1; run <= count; run++)
        kill_one(&killer, (uint32_t)run);
    close(killer.keeper);
    if (waitpid(keeper, NULL, 0) != keeper)
        fail("the keeper cannot be waited for");
    printf("%ld trees of %s processes were killed, nothing was left\n", count, argv[2]);
    return 0;
}
