/* What leaderwrap was started with, kept for the command. */
#include "leaderwrap/inherited.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static void capture_ignored(sigset_t *ignored)
{
    sigemptyset(ignored);
    for (int number = 1; number < NSIG; number++) {
        struct sigaction action;

        /* The C library keeps two numbers for itself and refuses to answer for them. */
        if (sigaction(number, NULL, &action) == 0 && action.sa_handler == SIG_IGN)
            sigaddset(ignored, number);
    }
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
    capture_ignored(&inherited->ignored);

    /* -1 is a priority as good as any other; only errno tells it from a failure. */
    errno = 0;
    inherited->priority = getpriority(PRIO_PROCESS, 0);
    if (inherited->priority == -1 && errno != 0)
        return -errno;
    return fill_closed(inherited->closed);
}

void inherited_restore(const struct inherited *inherited)
{
    struct sigaction action;

    memset(&action, 0, sizeof action);
    sigemptyset(&action.sa_mask);
    for (int number = 1; number < NSIG; number++) {
        action.sa_handler = sigismember(&inherited->ignored, number) == 1 ? SIG_IGN : SIG_DFL;
        sigaction(number, &action, NULL);
    }

    /* Giving up a raised priority needs no privilege. */
    setpriority(PRIO_PROCESS, 0, inherited->priority);
    for (int fd = 0; fd < 3; fd++) {
        if (inherited->closed[fd])
            close(fd);
    }

    /* Last: a pending signal is delivered here, and must find the right disposition. */
    sigprocmask(SIG_SETMASK, &inherited->mask, NULL);
}
