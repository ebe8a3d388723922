/*
 * Measures how late this machine runs what is due: it sleeps until the next of many times, EVERY_MS
 * apart, and appends "<CLOCK_BOOTTIME ns> <ns late>" to FILE whenever it woke WORTH_MS too late or
 * worse. NICE is the priority to do so at.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_SEC INT64_C(1000000000)
#define NS_PER_MS  INT64_C(1000000)
#define EVERY_MS   10
#define WORTH_MS   2

static int64_t now_ns(clockid_t clock)
{
    struct timespec now;

    clock_gettime(clock, &now);
    return now.tv_sec * NS_PER_SEC + now.tv_nsec;
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fputs("usage: lateness FILE NICE\n", stderr);
        return 64;
    }
    int fd = open(argv[1], O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (fd < 0 || setpriority(PRIO_PROCESS, 0, (int)strtol(argv[2], NULL, 10)) != 0 ||
        prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) {
        perror("lateness");
        return 99;
    }
    int64_t due_ns = now_ns(CLOCK_MONOTONIC);
    for (;;) {
        due_ns += EVERY_MS * NS_PER_MS;
        struct timespec due = {due_ns / NS_PER_SEC, due_ns % NS_PER_SEC};
        while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, NULL) != 0)
            ;
        int64_t late_ns = now_ns(CLOCK_MONOTONIC) - due_ns;
        if (late_ns < WORTH_MS * NS_PER_MS)
            continue;
        if (dprintf(fd, "%lld %lld\n", (long long)now_ns(CLOCK_BOOTTIME), (long long)late_ns) < 0)
            return 98;
        /* What was missed meanwhile was one lateness, not many. */
        due_ns = now_ns(CLOCK_MONOTONIC);
    }
}
