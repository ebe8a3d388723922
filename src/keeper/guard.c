/* Waiting for the keeper's death, and the sweep after it. */
#include "guard.h"

#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cgroup.h"
#include "leaderwrap/base/clock.h"
#include "leaderwrap/base/log.h"
#include "leaderwrap/keeper/tree.h"
#include "priority.h"
#include "spawn.h"

#define PAUSE_MIN_NS (1 * NS_PER_MS)
#define PAUSE_MAX_NS (50 * NS_PER_MS)

#define EXIT_FAILED 125

bool guard_prepare(void)
{
    /* Ignored, SIGCHLD would make the kernel reap by itself. */
    return setsid() >= 0 && prctl(PR_SET_CHILD_SUBREAPER, 1) == 0 &&
           signal(SIGCHLD, SIG_DFL) != SIG_ERR;
}

/* Until a child dies, or for the pause. */
static void wait_for_child(int64_t pause_ns)
{
    const struct timespec pause = {.tv_nsec = pause_ns};
    sigset_t child;

    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    (void)sigtimedwait(&child, NULL, &pause);
}

/* Returns whether there was anything. */
static bool sweep(void)
{
    bool some = false;
    struct cgroup cgroup;
    struct tree tree = {0};
    struct tree_round round;
    int64_t pause_ns = PAUSE_MIN_NS;

    priority_raise(NULL);
    (void)cgroup_adopt(&cgroup, getpid());
    for (;;) {
        cgroup_kill(&cgroup);
        bool dead = tree_sweep(&tree, &round) == TREE_DEAD;
        some = some || round.reaped > 0;
        if (dead && !cgroup_is_populated(&cgroup))
            break;
        if (round.reaped > 0) {
            pause_ns = PAUSE_MIN_NS;
        } else if (!tree.unfinished) {
            wait_for_child(pause_ns);
            pause_ns = min_ns(2 * pause_ns, PAUSE_MAX_NS);
        }
    }
    cgroup_close(&cgroup);
    return some;
}

/* Whoever waits for us is to see what became of the keeper. */
static _Noreturn void end_like(int status)
{
    const struct rlimit no_core = {0};
    sigset_t none;

    if (WIFEXITED(status))
        _exit(WEXITSTATUS(status));
    (void)setrlimit(RLIMIT_CORE, &no_core);
    (void)signal(WTERMSIG(status), SIG_DFL);
    (void)raise(WTERMSIG(status));
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    _exit(EXIT_FAILED);
}

_Noreturn void guard_watch(pid_t keeper, pid_t elector)
{
    int status = EXIT_FAILED << 8;

    (void)prctl(PR_SET_NAME, "lw-guard");
    (void)chdir("/");
    close(STDIN_FILENO);
    close(STDOUT_FILENO);
    spawn_close_from(STDERR_FILENO + 1);
    (void)waitpid(keeper, &status, 0);
    bool swept = sweep();
    if (swept && getppid() != elector) {
        log_unblock();
        log_line(LOG_LEVEL_WARNING, "guard_swept",
                 "the wrapper and its keeper were killed; the command is dead, the lease ends with "
                 "its TTL");
    }
    end_like(status);
}
