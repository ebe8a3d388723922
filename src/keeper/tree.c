/* Signalling and killing a process tree, and proving that it is gone. */
#include "leaderwrap/keeper/tree.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "leaderwrap/base/clock.h"
#include "proc.h"

/* The numbers are the same on every architecture; older headers lack them. */
#ifndef SYS_pidfd_send_signal
#define SYS_pidfd_send_signal 424
#endif
#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif

/* How long one call may go on reaping. A tree that forks and dies as fast as it can would keep it
 * there for seconds, and the deadline is looked at in between. */
#define REAP_TIME_NS (2 * NS_PER_MS)

/* Rounds without result before the walk goes below our own children. A process takes a moment to
 * die of a KILL, so the first round seldom reaps anything. */
#define PATIENCE 3

/* How long a walk below our own children may take. The list grows at its end as long as the tree
 * forks, and a walk is slower than that: without a bound it would not end before the tree does, and
 * the deadline would pass meanwhile. */
#define ASK_TIME_NS   (10 * NS_PER_MS)
#define SWEEP_TIME_NS (50 * NS_PER_MS)

/* So many of the youngest children are killed before all others. */
#define YOUNGEST 256

/* Where /proc does not tell who our children are, all numbers are tried that the kernel can have
 * given them (PID_MAX_LIMIT), so many after the newest one that is known first. */
#define NUMBERS_END  (4 * 1024 * 1024)
#define NUMBERS_NEAR 4096
/* There are no others where the kernel's default of old is in force. */
#define NUMBERS_FEW 32768
/* So many are tried between two looks at the clock. */
#define NUMBERS_AT_ONCE 256

/* How far below our own children the walk goes. Each level holds one pidfd. */
#define DEPTH_MAX 16

/* Children made with clone(2) and another exit signal than SIGCHLD count too. */
#define WAIT_DEAD (WEXITED | WNOHANG | __WALL)

static pid_t min_pid(pid_t one, pid_t other)
{
    return one < other ? one : other;
}

int tree_find_spare(const struct tree *tree, pid_t pid)
{
    int low = 0;
    int high = tree->spare_count;

    while (low < high) {
        int middle = low + (high - low) / 2;
        if (tree->spare[middle] < pid)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool is_spared(const struct tree *tree, pid_t pid)
{
    int at = tree_find_spare(tree, pid);
    return at < tree->spare_count && tree->spare[at] == pid;
}

/* The only kill(2) of this file that names one process. `pid` is a child of ours that has not been
 * reaped, so its number cannot mean anybody else. */
static int kill_child(pid_t pid, int signal)
{
    if (pid <= 1)
        return -EINVAL;
    return kill(pid, signal) == 0 ? 0 : -errno;
}

/* Main is a group of its own, and its number cannot be recycled while it is not reaped. */
static int kill_group(const struct tree *tree, int signal)
{
    if (tree->main <= 1)
        return -ESRCH;
    return kill(-tree->main, signal) == 0 ? 0 : -errno;
}

static int wait_status(const siginfo_t *info)
{
    switch (info->si_code) {
    case CLD_EXITED:
        return (info->si_status & 0xff) << 8;
    case CLD_DUMPED:
        return info->si_status | 0x80;
    default:
        return info->si_status;
    }
}

/* Notes the end of main and leaves its zombie. */
static void note_main(struct tree *tree)
{
    siginfo_t info = {0};

    if (tree->main <= 1 || tree->main_exited)
        return;
    if (waitid(P_PID, (id_t)tree->main, &info, WAIT_DEAD | WNOWAIT) == 0 && info.si_pid != 0) {
        tree->main_exited = true;
        tree->main_status = wait_status(&info);
    }
}

static void reap_main(struct tree *tree)
{
    if (tree->main > 1 && waitpid(tree->main, NULL, WNOHANG | __WALL) == tree->main)
        tree->main = 0;
}

/* The work of one call of tree_reap. */
struct reaping {
    struct tree *tree;
    int64_t end_ns;
    int reaped;
    int left;       /* in the current pass over the list */
    bool may_unpin; /* the group has been killed: main's number need not name it any longer */
};

static bool time_is_up(struct reaping *reaping)
{
    if (clock_boottime_ns() < reaping->end_ns)
        return false;
    reaping->tree->unfinished = true;
    return true;
}

/* Returns whether `pid`, a child of ours other than main, was dead. */
static bool reap_child(struct reaping *reaping, pid_t pid)
{
    if (waitpid(pid, NULL, WNOHANG | __WALL) != pid)
        return false;
    reaping->reaped++;
    reaping->tree->newest = pid;
    reaping->tree->searched = false;
    return true;
}

static bool reap_one(void *context, pid_t pid)
{
    struct reaping *reaping = context;
    const struct tree *tree = reaping->tree;

    if ((pid == tree->main && tree->main_exited) || is_spared(tree, pid))
        return true;
    if (pid == tree->main || !reap_child(reaping, pid))
        reaping->left++;
    return !time_is_up(reaping);
}

/* A wait(2) for anything but ends: the kernel then passes over the dead, and says ECHILD where no
 * other child is there. */
static bool has_living_child(void)
{
    return waitid(P_ALL, 0, &(siginfo_t){0}, WSTOPPED | WNOHANG | WNOWAIT | __WALL) == 0;
}

/* Reaps through the list of children, for wait(2) shows a zombie that must not be reaped (main's,
 * or a spared one) again and again before all others. */
static enum tree_state reap_listed(struct reaping *reaping)
{
    struct tree *tree = reaping->tree;
    enum proc_walk walk;
    int before;

    /* Only a pass that reaps nothing sees the list as it is. */
    do {
        before = reaping->reaped;
        reaping->left = 0;
        note_main(tree);
        walk = proc_own_children(reap_one, reaping);
    } while (!tree->unfinished && reaping->reaped > before);
    if (tree->unfinished || reaping->left > 0)
        return TREE_ALIVE;

    /* Without /proc main's zombie hides the others, and must go in the end. But it is also all that
     * names the group, which is killed first if it can be alive. */
    if (walk == PROC_NONE && tree->main_exited && !reaping->may_unpin && has_living_child())
        return TREE_ALIVE;
    if (tree->main_exited)
        reap_main(tree);
    if (tree->main != 0)
        return TREE_ALIVE;
    tree->unfinished = walk == PROC_NONE;
    if (tree->spare_count > 0 && walk == PROC_EXACT)
        return TREE_DEAD;
    return waitid(P_ALL, 0, &(siginfo_t){0}, WAIT_DEAD | WNOWAIT) != 0 && errno == ECHILD
               ? TREE_DEAD
               : TREE_ALIVE;
}

static enum tree_state reap(struct reaping *reaping)
{
    struct tree *tree = reaping->tree;

    tree->unfinished = false;
    reaping->end_ns = clock_boottime_ns() + REAP_TIME_NS;
    note_main(tree);
    while (!(tree->main != 0 && tree->main_exited)) {
        siginfo_t info = {0};

        /* Look first: the next one might be main, who must stay. */
        if (waitid(P_ALL, 0, &info, WAIT_DEAD | WNOWAIT) != 0)
            return errno == ECHILD ? TREE_DEAD : TREE_ALIVE;
        if (info.si_pid == 0 && tree->spare_count == 0)
            return TREE_ALIVE;
        if (info.si_pid == 0 || info.si_pid == tree->main || is_spared(tree, info.si_pid))
            break;
        (void)reap_child(reaping, info.si_pid);
        if (time_is_up(reaping))
            return TREE_ALIVE;
    }
    return reap_listed(reaping);
}

enum tree_state tree_reap(struct tree *tree)
{
    struct reaping reaping = {.tree = tree};

    return reap(&reaping);
}

int tree_signal(const struct tree *tree, int signal, bool main_only)
{
    if (!main_only)
        return kill_group(tree, signal);
    if (tree->main <= 1 || tree->main_exited)
        return -ESRCH;
    return kill_child(tree->main, signal);
}

/* A walk that signals what is below `parent`. */
struct descent {
    const struct tree *tree;
    int signal;
    bool polite; /* the group gets its signal as a group, and a handler should not run twice */
    struct tree_round *round; /* where kills are counted; NULL: nowhere */
    int64_t end_ns;
    pid_t parent;
    int parent_fd; /* pidfd; -1 for a child of ours, which cannot be recycled anyway */
    int depth;
};

static int send_signal(int fd, int signal)
{
    return syscall(SYS_pidfd_send_signal, fd, signal, NULL, 0) == 0 ? 0 : -errno;
}

static void count_kill(struct tree_round *round, int result)
{
    if (result == 0) {
        round->killed++;
    } else if (result == -EPERM) {
        round->refused++;
        round->error = EPERM;
    }
}

static bool is_in_group(const struct tree *tree, pid_t pid)
{
    return tree->main > 1 && getpgid(pid) == tree->main;
}

static bool signal_below(void *context, pid_t pid)
{
    const struct descent *from = context;

    if (clock_boottime_ns() >= from->end_ns)
        return false;
    if (pid <= 1 || pid == getpid())
        return true;
    int fd = (int)syscall(SYS_pidfd_open, pid, 0);
    if (fd < 0)
        return errno != ENOSYS;

    /* The number may have been recycled between the list and the open. What the descriptor holds is
     * below us if its parent is `parent`, and `parent` is still the process that it was. */
    bool ours = proc_parent(pid) == from->parent &&
                (from->parent_fd < 0 || send_signal(from->parent_fd, 0) != -ESRCH);
    if (ours) {
        if (!(from->polite && is_in_group(from->tree, pid))) {
            int result = send_signal(fd, from->signal);
            if (from->round != NULL)
                count_kill(from->round, result);
        }
        if (from->depth < DEPTH_MAX) {
            struct descent below = *from;
            below.parent = pid;
            below.parent_fd = fd;
            below.depth++;
            (void)proc_children_of(pid, signal_below, &below);
        }
    }
    close(fd);
    return true;
}

/* Signals what is below `pid`, a child of ours. */
static void descend(const struct descent *like, pid_t pid)
{
    struct descent descent = *like;

    descent.parent = pid;
    descent.parent_fd = -1;
    descent.depth = 1;
    (void)proc_children_of(pid, signal_below, &descent);
}

static bool ask_one(void *context, pid_t pid)
{
    const struct descent *polite = context;
    const struct tree *tree = polite->tree;

    if (clock_boottime_ns() >= polite->end_ns)
        return false;
    if (is_spared(tree, pid) || (pid == tree->main && tree->main_exited))
        return true;
    /* From below: whoever loses its parent first would move under the eyes of the walk. */
    descend(polite, pid);
    if (!is_in_group(tree, pid))
        (void)kill_child(pid, polite->signal);
    return true;
}

void tree_signal_all(const struct tree *tree, int signal)
{
    struct descent polite = {.tree = tree,
                             .signal = signal,
                             .polite = true,
                             .end_ns = clock_boottime_ns() + ASK_TIME_NS};

    (void)proc_own_children(ask_one, &polite);
    (void)kill_group(tree, signal);
}

/* Who is there, as the list has it: the oldest first. Only noted, for to kill them in the order of
 * the list is to run after a tree that forks as fast as it can: what the walk comes to has already
 * forked its successor, at the end of the list, and died. */
struct census {
    pid_t youngest[YOUNGEST]; /* a ring */
    size_t count;
};

static bool note_one(void *context, pid_t pid)
{
    struct census *census = context;

    census->youngest[census->count++ % YOUNGEST] = pid;
    return true;
}

struct sweep {
    struct tree *tree;
    struct tree_round *round;
    size_t most; /* children to visit */
    int64_t end_ns;
};

static bool sweep_one(void *context, pid_t pid)
{
    const struct sweep *sweep = context;
    const struct tree *tree = sweep->tree;

    if (is_spared(tree, pid) || (pid == tree->main && tree->main_exited))
        return true;
    sweep->round->left++;
    count_kill(sweep->round, kill_child(pid, SIGKILL));
    return true;
}

static bool sweep_older(void *context, pid_t pid)
{
    struct sweep *sweep = context;

    if (sweep->most == 0 || clock_boottime_ns() >= sweep->end_ns)
        return false;
    sweep->most--;
    return sweep_one(sweep, pid);
}

/* Kills whoever of the numbers from `from` to before `end` is a child of ours, which wait(2) tells:
 * its answer for a child that lives is another than for anybody else. Returns the first number that
 * it had no time to try. */
static pid_t try_numbers(struct sweep *sweep, pid_t from, pid_t end)
{
    for (pid_t pid = from; pid < end; pid++) {
        siginfo_t info = {0};

        if ((pid - from) % NUMBERS_AT_ONCE == 0 && clock_boottime_ns() >= sweep->end_ns)
            return pid;
        if (waitid(P_PID, (id_t)pid, &info, WAIT_DEAD | WNOWAIT) != 0)
            continue;
        (void)sweep_one(sweep, pid);
        if (info.si_pid == 0 && !is_spared(sweep->tree, pid))
            sweep->tree->newest = pid;
    }
    return end;
}

/* Kills the children without /proc: first those that were forked last, as a tree that forks
 * as fast as it can has them; where that did not do, whoever has one of the few numbers of a small
 * host, and, a part in each round, whoever has any number.
 */
static void sweep_numbers(struct sweep *sweep)
{
    struct tree *tree = sweep->tree;
    pid_t oldest = tree->main > 1 ? tree->main : getpid();
    pid_t near = tree->newest > 1 ? tree->newest : oldest;

    sweep->end_ns = clock_boottime_ns() + (tree->searched ? ASK_TIME_NS : SWEEP_TIME_NS);
    (void)try_numbers(sweep, near, min_pid(near + NUMBERS_NEAR, NUMBERS_END));
    if (tree->fruitless == 0)
        return;
    (void)try_numbers(sweep, 2, NUMBERS_FEW);
    if (tree->untried == 0) {
        tree->next = near;
        tree->untried = NUMBERS_END;
    }
    while (tree->untried > 0) {
        pid_t end = min_pid(tree->next + tree->untried, NUMBERS_END);
        pid_t reached = try_numbers(sweep, tree->next, end);

        tree->untried -= reached - tree->next;
        tree->next = reached < NUMBERS_END ? reached : 0;
        if (reached < end)
            return;
    }
    tree->searched = true;
}

/* Kills the children, the youngest first. */
static void sweep_children(struct tree *tree, struct tree_round *round)
{
    struct census census = {.count = 0};
    struct sweep sweep = {.tree = tree, .round = round};
    enum proc_walk walk = proc_own_children(note_one, &census);

    size_t noted = census.count < YOUNGEST ? census.count : YOUNGEST;
    for (size_t i = 1; i <= noted; i++)
        (void)sweep_one(&sweep, census.youngest[(census.count - i) % YOUNGEST]);
    if (census.count > noted) {
        sweep.most = census.count - noted;
        sweep.end_ns = clock_boottime_ns() + SWEEP_TIME_NS;
        (void)proc_own_children(sweep_older, &sweep);
    }
    if (walk != PROC_EXACT && round->left == 0) {
        sweep_numbers(&sweep);
        if (round->left == 0)
            round->left = 1;
    }
}

static bool sweep_below_one(void *context, pid_t pid)
{
    const struct descent *descent = context;

    if (!is_spared(descent->tree, pid))
        descend(descent, pid);
    return clock_boottime_ns() < descent->end_ns;
}

enum tree_state tree_sweep(struct tree *tree, struct tree_round *round)
{
    *round = (struct tree_round){0};

    /* The group first: against fork(2) a kill of a group is atomic. Then the children, and the
     * list is not disturbed by reaping while it is read. */
    (void)kill_group(tree, SIGKILL);
    sweep_children(tree, round);
    struct reaping reaping = {.tree = tree, .may_unpin = true};
    enum tree_state state = reap(&reaping);
    round->reaped = reaping.reaped;
    /* The search without /proc goes on at once, until it has been everywhere once. */
    tree->unfinished = tree->unfinished || (tree->untried > 0 && !tree->searched);
    if (state == TREE_DEAD || round->reaped > 0) {
        tree->fruitless = 0;
        return state;
    }

    /* A child that may not be killed, or that hangs in the kernel, keeps its own children from
     * coming to us. */
    tree->fruitless++;
    if (round->refused > 0 || tree->fruitless > PATIENCE) {
        struct descent descent = {.tree = tree,
                                  .signal = SIGKILL,
                                  .round = round,
                                  .end_ns = clock_boottime_ns() + SWEEP_TIME_NS};
        (void)proc_own_children(sweep_below_one, &descent);
    }
    return state;
}

static bool go_on(void *context, pid_t pid)
{
    (void)context;
    (void)pid;
    return true;
}

enum tree_reach tree_reach(void)
{
    if (proc_own_children(go_on, NULL) != PROC_NONE)
        return TREE_REACH_GOOD;
    return waitid(P_ALL, 0, &(siginfo_t){0}, WAIT_DEAD | WNOWAIT) != 0 && errno == ECHILD
               ? TREE_REACH_SLOW
               : TREE_REACH_NONE;
}
