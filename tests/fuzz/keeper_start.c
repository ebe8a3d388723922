/*
 * What the keeper asks of the system once, at its start, before anybody could be hostile: the calls
 * must be the right ones and succeed.
 */
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>

#include "fuzz.h"
#include "keeper_system.h"

pid_t __wrap_setsid(void)
{
    return 1;
}

int __wrap_prctl(int option, ...)
{
    ORACLE(option == PR_SET_CHILD_SUBREAPER || option == PR_SET_NAME);
    return 0;
}

sighandler_t __wrap_signal(int number, sighandler_t handler)
{
    ORACLE(number == SIGCHLD && handler == SIG_DFL);
    return SIG_DFL;
}

int __wrap_signalfd(int fd, const sigset_t *mask, int flags)
{
    ORACLE(fd == -1 && sigismember(mask, SIGCHLD) == 1 && (flags & SFD_NONBLOCK) != 0);
    return FD_SIGNALS;
}

int __wrap_timerfd_create(clockid_t clock, int flags)
{
    ORACLE(clock == CLOCK_BOOTTIME && (flags & TFD_NONBLOCK) != 0);
    return FD_TIMER;
}

int __wrap_mlockall(int flags)
{
    return flags != 0 ? 0 : -1;
}

void __wrap_priority_raise(struct priority *before)
{
    ORACLE(before == NULL);
}

bool __wrap_cgroup_create(struct cgroup *cgroup, pid_t keeper)
{
    (void)cgroup;
    return keeper == 0;
}

void __wrap_cgroup_close(struct cgroup *cgroup)
{
    (void)cgroup;
}
