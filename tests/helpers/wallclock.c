/*
 * Preloaded into a server to step its wall clock while it runs: the file named by WALLCLOCK_FILE
 * holds one int64_t, the milliseconds to add. Other clocks stay true. It allocates nothing and
 * calls nothing but the kernel, so that it may be asked for the time before the program's allocator
 * is ready (libfaketime hangs a redis-server there).
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define MS_PER_SEC 1000
#define NS_PER_MS  1000000L
#define NS_PER_SEC 1000000000L

/* These take the place of the C library's functions in the program. The labels keep them apart from
 * the declarations of the headers, which promise the compiler things about arguments. */
int shifted_clock_gettime(clockid_t clock, struct timespec *now) __asm__("clock_gettime");
int shifted_gettimeofday(struct timeval *now, void *zone) __asm__("gettimeofday");
time_t shifted_time(time_t *result) __asm__("time");

static volatile const int64_t *offset_ms;

__attribute__((constructor)) static void map_offset(void)
{
    const char *path = getenv("WALLCLOCK_FILE");
    int fd = path != NULL ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (fd < 0)
        return;
    void *map = mmap(NULL, sizeof *offset_ms, PROT_READ, MAP_SHARED, fd, 0);
    if (map != MAP_FAILED)
        offset_ms = map;
    close(fd);
}

int shifted_clock_gettime(clockid_t clock, struct timespec *now)
{
    if (syscall(SYS_clock_gettime, clock, now) != 0)
        return -1;
    if (offset_ms == NULL || (clock != CLOCK_REALTIME && clock != CLOCK_REALTIME_COARSE))
        return 0;
    int64_t offset = *offset_ms;
    now->tv_sec += offset / MS_PER_SEC;
    now->tv_nsec += offset % MS_PER_SEC * NS_PER_MS;
    if (now->tv_nsec < 0) {
        now->tv_nsec += NS_PER_SEC;
        now->tv_sec--;
    } else if (now->tv_nsec >= NS_PER_SEC) {
        now->tv_nsec -= NS_PER_SEC;
        now->tv_sec++;
    }
    return 0;
}

int shifted_gettimeofday(struct timeval *now, void *zone)
{
    struct timespec precise;
    (void)zone;
    if (shifted_clock_gettime(CLOCK_REALTIME, &precise) != 0)
        return -1;
    now->tv_sec = precise.tv_sec;
    now->tv_usec = precise.tv_nsec / 1000;
    return 0;
}

time_t shifted_time(time_t *result)
{
    struct timespec now;
    if (shifted_clock_gettime(CLOCK_REALTIME, &now) != 0)
        return -1;
    if (result != NULL)
        *result = now.tv_sec;
    return now.tv_sec;
}
