/* What leaderwrap was started with, kept for the command. */
#include "leaderwrap/base/inherited.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "leaderwrap/base/disposition.h"

static uint64_t bit_of(int number)
{
    return UINT64_C(1) << ((number - 1) & 63);
}

void inherited_ignore(struct inherited *inherited, int number)
{
    if (sigaddset(&inherited->ignored, number) != 0)
        inherited->reserved_ignored |= bit_of(number);
}

static void capture_ignored(struct inherited *inherited)
{
    sigemptyset(&inherited->ignored);
    for (int number = 1; number < NSIG; number++) {
        if (disposition_is_ignored(number))
            inherited_ignore(inherited, number);
    }
}

static bool was_ignored(const struct inherited *inherited, int number)
{
    return sigismember(&inherited->ignored, number) == 1 ||
           (inherited->reserved_ignored & bit_of(number)) != 0;
}

static int fill_closed(bool closed[3])
{
    for (int fd = 0; fd < 3; fd++)
        closed[fd] = fcntl(fd, F_GETFD) < 0 && errno == EBADF;

    /* Ascending, so that the lowest free number, which open(2) takes, is the one to fill. */
    for (int fd = 0; fd < 3; fd++) {
        if (closed[fd] && open("/dev/null", O_RDWR) < 0)
            return -errno;
    }
    return 0;
}

int inherited_capture(struct inherited *inherited)
{
    memset(inherited, 0, sizeof *inherited);
    if (sigprocmask(SIG_SETMASK, NULL, &inherited->mask) != 0)
        return -errno;
    capture_ignored(inherited);

    /* -1 is a priority as good as any other; only errno tells it from a failure. */
    errno = 0;
    inherited->priority = getpriority(PRIO_PROCESS, 0);
    if (inherited->priority == -1 && errno != 0)
        return -errno;
    return fill_closed(inherited->closed);
}

void inherited_restore(const struct inherited *inherited)
{
    for (int number = 1; number < NSIG; number++)
        disposition_set(number, was_ignored(inherited, number));

    /* Giving up a raised priority needs no privilege. */
    setpriority(PRIO_PROCESS, 0, inherited->priority);
    for (int fd = 0; fd < 3; fd++) {
        if (inherited->closed[fd])
            close(fd);
    }

    /* Last: a pending signal is delivered here, and must find the right disposition. */
    sigprocmask(SIG_SETMASK, &inherited->mask, NULL);
}
