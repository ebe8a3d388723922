/*
 * The command that the benchmarks let others start: says on standard output when it began, and with
 * the argument "stay" waits for a TERM and says when it got that. Linked statically, so that what
 * is measured is who starts it.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static int say(const char *what, const struct timespec *at)
{
    char line[96];
    int length = snprintf(line, sizeof line, "%s %lld %d\n", what,
                          at->tv_sec * 1000000000LL + at->tv_nsec, (int)getpid());
    /* One write: several of us share a pipe. */
    return write(STDOUT_FILENO, line, (size_t)length) == length ? 0 : 1;
}

int main(int argc, char **argv)
{
    struct timespec now;
    sigset_t stop;
    int signal;

    clock_gettime(CLOCK_BOOTTIME, &now);
    if (argc < 2 || strcmp(argv[1], "stay") != 0)
        return say("start", &now);
    sigemptyset(&stop);
    sigaddset(&stop, SIGTERM);
    if (sigprocmask(SIG_BLOCK, &stop, NULL) != 0 || say("start", &now) != 0 ||
        sigwait(&stop, &signal) != 0)
        return 1;
    clock_gettime(CLOCK_BOOTTIME, &now);
    return say("end", &now);
}
