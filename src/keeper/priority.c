/* Scheduling priority, best effort. */
#include "priority.h"

#include <errno.h>
#include <sched.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/resource.h>

#define NICE_MIN (-20)

/* A limit on real-time processes ends with a KILL. */
static bool is_safe(void)
{
    struct rlimit limit;

    return getrlimit(RLIMIT_RTTIME, &limit) == 0 && limit.rlim_cur == RLIM_INFINITY &&
           limit.rlim_max == RLIM_INFINITY;
}

void priority_raise(struct priority *before)
{
    const struct sched_param lowest = {.sched_priority = 1};
    int policy = sched_getscheduler(0);

    errno = 0;
    int nice = getpriority(PRIO_PROCESS, 0);
    if (before != NULL)
        *before = (struct priority){.policy = errno == 0 ? policy : -1, .nice = nice};
    /* Somebody has already decided. */
    if (errno != 0 || policy != SCHED_OTHER)
        return;

    /* A child forked from a real-time process has nice 0; where the nice value was better than
     * that, it must be allowed to go back to it. */
    bool may_lower = setpriority(PRIO_PROCESS, 0, NICE_MIN) == 0;
    if (is_safe() && (may_lower || nice >= 0))
        (void)sched_setscheduler(0, SCHED_RR | SCHED_RESET_ON_FORK, &lowest);
}

void priority_restore(const struct priority *before)
{
    const struct sched_param none = {.sched_priority = 0};

    if (before->policy != SCHED_OTHER)
        return;
    (void)sched_setscheduler(0, SCHED_OTHER, &none);
    (void)setpriority(PRIO_PROCESS, 0, before->nice);
}
