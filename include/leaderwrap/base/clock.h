/*
 * The one clock of leaderwrap.
 *
 * Every deadline is a point on CLOCK_BOOTTIME in nanoseconds. That clock counts the time a host is
 * suspended and is never stepped, so a deadline means the same before and after a suspend and
 * whatever happens to the wall clock (clock_gettime(2)).
 */
#ifndef LEADERWRAP_BASE_CLOCK_H
#define LEADERWRAP_BASE_CLOCK_H

#include <stdint.h>

#define NS_PER_MS  INT64_C(1000000)
#define MS_PER_SEC INT64_C(1000)

/* Now, in nanoseconds of CLOCK_BOOTTIME. Cannot fail on the kernels leaderwrap supports (it aborts
 * if it does: without a clock no deadline can be kept). Async-signal-safe. */
int64_t clock_boottime_ns(void);

/* Milliseconds since 1970, to be shown or told; 0 where there is no such clock. Nothing may be
 * decided by it. */
int64_t clock_realtime_ms(void);

/* Arms the timerfd `fd` (made with CLOCK_BOOTTIME) to fire once at the absolute time `at_ns`; a
 * time in the past fires at once, INT64_MAX disarms. Returns 0 or -errno. (timerfd_settime(2)) */
int clock_arm_timer(int fd, int64_t at_ns);

static inline int64_t ms_to_ns(int64_t ms)
{
    return ms * NS_PER_MS;
}

/* The earlier and the later of two points in time. */
static inline int64_t min_ns(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static inline int64_t max_ns(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

#endif
