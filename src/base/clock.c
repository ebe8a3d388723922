/* CLOCK_BOOTTIME, and timers on it. */
#include "leaderwrap/base/clock.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/timerfd.h>
#include <time.h>

#define NS_PER_SEC INT64_C(1000000000)

int64_t clock_boottime_ns(void)
{
    struct timespec now;
    if (clock_gettime(CLOCK_BOOTTIME, &now) != 0)
        abort();
    return (int64_t)now.tv_sec * NS_PER_SEC + now.tv_nsec;
}

int64_t clock_realtime_ms(void)
{
    struct timespec now;
    if (clock_gettime(CLOCK_REALTIME, &now) != 0)
        return 0;
    return (int64_t)now.tv_sec * MS_PER_SEC + now.tv_nsec / NS_PER_MS;
}

int clock_arm_timer(int fd, int64_t at_ns)
{
    struct itimerspec timer = {0};
    if (at_ns != INT64_MAX) {
        /* All zero would disarm: a time in the past must still fire. */
        if (at_ns < 1)
            at_ns = 1;
        timer.it_value.tv_sec = (time_t)(at_ns / NS_PER_SEC);
        timer.it_value.tv_nsec = (long)(at_ns % NS_PER_SEC);
    }
    return timerfd_settime(fd, TFD_TIMER_ABSTIME, &timer, NULL) == 0 ? 0 : -errno;
}
