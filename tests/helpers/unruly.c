/*
 * A command with every bad habit that a process tree can have. It makes the processes that its
 * options ask for, writes "ready" to standard output once all of them are there, lets them loose,
 * and waits; with --leave it ends by itself instead, and leaves them behind. With --lock FILE all
 * of them hold a lock on that file.
 *
 * Should a test fail to end them, they end themselves after LIFE_S.
 */
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "chain.h"

#define LIFE_S 60

static time_t end_s;

static time_t now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_BOOTTIME, &now);
    return now.tv_sec;
}

static void idle(void)
{
    while (now_s() < end_s)
        sleep(1);
    _exit(0);
}

/* A process that replaces itself as fast as it can, with `away` each time in a new session. */
static void run_chain(bool away)
{
    struct chain chain = {0};

    while (now_s() < end_s)
        chain_next(&chain, away);
    _exit(0);
}

static void fork_more(int number)
{
    (void)number;
    for (int i = 0; i < 4; i++) {
        if (fork() == 0) {
            setsid();
            break;
        }
    }
}

enum habit {
    HABIT_CHAINS,       /* setsid chains */
    HABIT_STORM,        /* chains, every other one inside the group */
    HABIT_DAEMONS,      /* setsid and a double fork */
    HABIT_STUBBORN,     /* in the group, TERM, INT, QUIT and HUP ignored */
    HABIT_STOPPED,      /* every other one outside the group, all of them SIGSTOPped */
    HABIT_FORK_ON_TERM, /* answers a TERM with more processes */
    HABIT_ZOMBIES,      /* parents that do not wait for their dead */
    HABIT_COUNT,
};

static void ignore_all(void)
{
    static const int polite[] = {SIGTERM, SIGINT, SIGQUIT, SIGHUP};
    for (size_t i = 0; i < sizeof polite / sizeof polite[0]; i++)
        signal(polite[i], SIG_IGN);
}

static void leave_family(void)
{
    setsid();
    if (fork() > 0)
        _exit(0);
}

/* What there is to do before the gate opens. */
static void prepare(enum habit habit, int number)
{
    switch (habit) {
    case HABIT_DAEMONS:
        leave_family();
        break;
    case HABIT_STUBBORN:
        ignore_all();
        break;
    case HABIT_STOPPED:
        if (number % 2 == 0)
            leave_family();
        break;
    case HABIT_FORK_ON_TERM:
        signal(SIGTERM, fork_more);
        break;
    case HABIT_ZOMBIES:
        if (fork() == 0)
            _exit(0);
        break;
    default:
        break;
    }
}

static void live(enum habit habit, int number)
{
    if (habit == HABIT_CHAINS || habit == HABIT_STORM)
        run_chain(habit == HABIT_CHAINS || number % 2 == 0);
    if (habit == HABIT_STOPPED)
        raise(SIGSTOP);
    idle();
}

/* Waits until all others have closed the pipe. */
static void await_end(int fd)
{
    char byte;

    while (read(fd, &byte, 1) > 0)
        ;
    close(fd);
}

static void become(enum habit habit, int number, const int prepared[2], const int gate[2])
{
    close(gate[1]);
    prepare(habit, number);
    close(prepared[0]);
    close(prepared[1]);
    await_end(gate[0]);
    live(habit, number);
}

/* All of them wait at a gate until all are prepared, or the first would leave no time to the rest.
 */
static bool make(const int counts[HABIT_COUNT])
{
    static const char ready[] = "ready\n";
    int prepared[2];
    int gate[2];

    if (pipe(prepared) != 0 || pipe(gate) != 0)
        return false;
    for (int habit = 0; habit < HABIT_COUNT; habit++) {
        for (int i = 0; i < counts[habit]; i++) {
            pid_t pid = fork();
            if (pid < 0)
                return false;
            if (pid == 0)
                become((enum habit)habit, i, prepared, gate);
        }
    }
    close(prepared[1]);
    await_end(prepared[0]);
    /* Later it might find no time to say so. */
    bool said = write(STDOUT_FILENO, ready, strlen(ready)) > 0;
    close(gate[0]);
    close(gate[1]);
    return said;
}

/* Held by everything that is forked from here: free when the last of it is gone. */
static bool hold_lock(const char *path)
{
    int fd = open(path, O_RDWR | O_CREAT, 0666);
    return fd >= 0 && flock(fd, LOCK_SH) == 0;
}

int main(int argc, char **argv)
{
    static const struct option known[] = {
        {"chains", required_argument, NULL, HABIT_CHAINS},
        {"storm", required_argument, NULL, HABIT_STORM},
        {"daemons", required_argument, NULL, HABIT_DAEMONS},
        {"stubborn", required_argument, NULL, HABIT_STUBBORN},
        {"stopped", required_argument, NULL, HABIT_STOPPED},
        {"fork-on-term", required_argument, NULL, HABIT_FORK_ON_TERM},
        {"zombies", required_argument, NULL, HABIT_ZOMBIES},
        {"leave", required_argument, NULL, 'l'},
        {"lock", required_argument, NULL, 'k'},
        {NULL, 0, NULL, 0},
    };
    int counts[HABIT_COUNT] = {0};
    int leave = -1;
    int option;

    end_s = now_s() + LIFE_S;
    while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
        if (option >= 0 && option < HABIT_COUNT)
            counts[option] = (int)strtol(optarg, NULL, 10);
        else if (option == 'l')
            leave = (int)strtol(optarg, NULL, 10);
        else if (option != 'k' || !hold_lock(optarg))
            return 64;
    }
    if (!make(counts))
        return 99;
    if (leave >= 0)
        return leave;
    idle();
}
