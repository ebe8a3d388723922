/*
 * A command's process tree: signalling it, and killing it until nothing is left.
 *
 * The caller must be a child subreaper (PR_SET_CHILD_SUBREAPER), so that whatever loses its parent
 * comes back to it. Then one rule is enough: kill the group, kill one's own direct children, reap,
 * repeat until wait(2) says ECHILD. Only ECHILD proves that a tree is gone.
 *
 * Who our children are is read from /proc. Where that is missing, or shows another PID namespace,
 * the sweep asks wait(2) for every number there can be: it answers for our children only. That
 * takes up to a second for each generation of processes that have left the group, and what is below
 * a child that cannot be killed stays out of reach.
 *
 * No recycled pid is ever signalled: direct children are signalled by pid because they cannot be
 * recycled before we reap them, and the main process is kept as a zombie to the end because its pid
 * names the group. Deeper processes are reached through a pidfd whose parent was checked after it
 * was opened.
 */
#ifndef LEADERWRAP_KEEPER_TREE_H
#define LEADERWRAP_KEEPER_TREE_H

#include <stdbool.h>
#include <sys/types.h>

struct tree {
    pid_t main;       /* the command's process, leader of its group; 0 if there is none (then only
                         direct children are known: the elector's view of a dead keeper's tree), and
                         again once it has been reaped */
    bool main_exited; /* its status was seen */
    int main_status;  /* as of waitpid(2), once main_exited */
    bool unfinished;  /* the last call left dead children for the next one, which is due at once */
    int fruitless;    /* sweep rounds in a row that reaped nothing */

    /* The sweep's search where /proc does not list our children. */
    pid_t newest;  /* the last child that was found or reaped; 0: none yet */
    pid_t next;    /* number to try */
    pid_t untried; /* numbers left in this time round; 0: a new one is to begin */
    bool searched; /* all numbers have been tried since something was last reaped */

    /* Direct children that are not part of the tree: neither signalled nor reaped. Sorted.
     * Borrowed. */
    const pid_t *spare;
    int spare_count;
};

enum tree_state {
    /* ECHILD. Where children are spared, which hides ECHILD: /proc/thread-self/children, which is
     * exact for a process that alone reaps its children, shows no other (see proc.h). */
    TREE_DEAD,
    TREE_ALIVE, /* something is left; more rounds may help */
};

enum tree_reach {
    TREE_REACH_GOOD,
    TREE_REACH_SLOW, /* /proc does not list our children: see above */
    TREE_REACH_NONE, /* nor is there another way: what is there already hides what is to come */
};

/* How well the calling process will be able to sweep. To be called before it forks anything of its
 * own. */
enum tree_reach tree_reach(void);

/* The index in `spare` of the first number that is not below `pid`. */
int tree_find_spare(const struct tree *tree, pid_t pid);

/* Counts of one sweep round. */
struct tree_round {
    int killed; /* signals delivered */
    int reaped;
    int refused; /* processes we may not kill (EPERM) */
    int error;   /* errno of the last refused kill; 0 */
    int left;    /* direct children that were there when the round began */
};

/* Reaps what has ended without signalling anything, and notes the end of the main process (which
 * stays a zombie). Returns TREE_DEAD when no child is left besides main's zombie, which it then
 * reaps too; TREE_ALIVE else. Never blocks, and returns after a few milliseconds even if there is
 * more to reap (`unfinished`). */
enum tree_state tree_reap(struct tree *tree);

/* Sends `signal` to the main process's group (or to main alone with `main_only`), if it can still
 * be named safely. Returns 0 or -errno. */
int tree_signal(const struct tree *tree, int signal, bool main_only);

/* Sends `signal` once to everything there is: to the group as a group, and to each process below us
 * outside of it (daemons, sessions of their own). The polite round before a sweep. Best effort:
 * what it misses is left to the sweep. */
void tree_signal_all(const struct tree *tree, int signal);

/* One round of the sweep: SIGKILL to the group and all direct children, and where that gets nowhere
 * to everything below them; reap. Never blocks. The caller repeats it, at once while
 * `round->reaped > 0` and on SIGCHLD or after a short pause else, until TREE_DEAD. */
enum tree_state tree_sweep(struct tree *tree, struct tree_round *round);

#endif
