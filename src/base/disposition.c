/* The table of signals, and the two actions of a signal that need no handler. */
#include "leaderwrap/base/disposition.h"

#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum fate disposition_fate(int number)
{
    switch (number) {
    case SIGTERM:
    case SIGINT:
    case SIGQUIT:
        return FATE_STOP;
    case SIGHUP:
        return FATE_HANG_UP;
    case SIGUSR1:
    case SIGUSR2:
    case SIGWINCH:
    case SIGCONT:
    case SIGALRM:
    case SIGPWR:
        return FATE_PASS;
    case SIGCHLD:
        return FATE_CHILD;
    case SIGKILL:
    case SIGSTOP:
    case SIGSEGV:
    case SIGBUS:
    case SIGILL:
    case SIGFPE:
    case SIGABRT:
    case SIGTRAP:
    case SIGSYS:
        return FATE_FATAL;
    default:
        /* Those below SIGRTMIN are the C library's own. */
        return number >= SIGRTMIN && number <= SIGRTMAX ? FATE_PASS : FATE_IGNORE;
    }
}

/* A struct sigaction as the kernel has it (rt_sigaction(2)), which begins with the handler nearly
 * everywhere; the rest, all zero, is longer than any. */
struct kernel_action {
    void (*handler)(int);
    unsigned long rest[8];
};

/* Asks the kernel, without the C library, which has kept a few numbers for itself. Returns false
 * where we do not know how. */
static bool ask_kernel(int number, const struct kernel_action *new, struct kernel_action *old)
{
#if defined(__mips__) || defined(__alpha__)
    (void)number;
    (void)new;
    (void)old;
    return false;
#else
    return syscall(SYS_rt_sigaction, number, new, old, (size_t)(NSIG - 1) / 8) == 0;
#endif
}

bool disposition_is_ignored(int number)
{
    struct kernel_action kernel;
    struct sigaction action;

    memset(&kernel, 0, sizeof kernel);
    if (sigaction(number, NULL, &action) == 0)
        return action.sa_handler == SIG_IGN;
    return ask_kernel(number, NULL, &kernel) && kernel.handler == SIG_IGN;
}

void disposition_set(int number, bool ignored)
{
    struct kernel_action kernel;
    struct sigaction action;

    memset(&kernel, 0, sizeof kernel);
    memset(&action, 0, sizeof action);
    sigemptyset(&action.sa_mask);
    action.sa_handler = kernel.handler = ignored ? SIG_IGN : SIG_DFL;
    if (sigaction(number, &action, NULL) != 0)
        (void)ask_kernel(number, &kernel, NULL);
}

void disposition_ignore_strays(void)
{
    for (int number = 1; number < NSIG; number++) {
        if (disposition_fate(number) == FATE_IGNORE)
            disposition_set(number, true);
    }
}
