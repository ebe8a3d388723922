/*
 * Preloaded into a server to hold its wall clock still: the file named by FROZEN_CLOCK_FILE holds
 * one int64_t, the microseconds since the epoch that it is to show until the file says otherwise.
 * Other clocks run on, so that the server's own timers work. It allocates nothing and calls nothing
 * but the kernel, because it is asked for the time before the program's allocator is ready.
 *
 * tests/helpers/wallclock.c is for another purpose: there a clock that runs is stepped by
 * milliseconds, which can never meet a chosen microsecond.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define US_PER_SEC 1000000
#define NS_PER_US  1000

/* These take the place of the C library's functions in the program. The labels keep them apart from
 * the declarations of the headers, which promise the compiler things about arguments. */
int frozen_clock_gettime(clockid_t clock, struct timespec *now) __asm__("clock_gettime");
int frozen_gettimeofday(struct timeval *now, void *zone) __asm__("gettimeofday");
time_t frozen_time(time_t *result) __asm__("time");

static volatile const int64_t *clock_us;

__attribute__((constructor)) static void map_clock(void)
{
    const char *path = getenv("FROZEN_CLOCK_FILE");
    int fd = path != NULL ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (fd < 0)
        return;
    void *map = mmap(NULL, sizeof *clock_us, PROT_READ, MAP_SHARED, fd, 0);
    if (map != MAP_FAILED)
        clock_us = map;
    close(fd);
}

int frozen_clock_gettime(clockid_t clock, struct timespec *now)
{
    if (clock_us == NULL || (clock != CLOCK_REALTIME && clock != CLOCK_REALTIME_COARSE))
        return (int)syscall(SYS_clock_gettime, clock, now);
    int64_t us = *clock_us;
    now->tv_sec = us / US_PER_SEC;
    now->tv_nsec = us % US_PER_SEC * NS_PER_US;
    return 0;
}

int frozen_gettimeofday(struct timeval *now, void *zone)
{
    struct timespec precise;
    (void)zone;
    if (frozen_clock_gettime(CLOCK_REALTIME, &precise) != 0)
        return -1;
    now->tv_sec = precise.tv_sec;
    now->tv_usec = precise.tv_nsec / NS_PER_US;
    return 0;
}

time_t frozen_time(time_t *result)
{
    struct timespec now;
    if (frozen_clock_gettime(CLOCK_REALTIME, &now) != 0)
        return -1;
    if (result != NULL)
        *result = now.tv_sec;
    return now.tv_sec;
}
