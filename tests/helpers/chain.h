/*
 * A process that replaces itself as fast as it can: each link forks the next one and ends.
 *
 * A storm of chains outruns whoever reaps it, where that has no more of the processor than one of
 * them, and what nobody has reaped yet keeps its process number. So a link waits for the one
 * CHAIN_BACKLOG before it to be gone: the numbers of the whole machine are not used up, and the
 * walk of a tree still meets more new processes than it can follow.
 */
#ifndef LEADERWRAP_TESTS_CHAIN_H
#define LEADERWRAP_TESTS_CHAIN_H

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/types.h>
#include <unistd.h>

#define CHAIN_BACKLOG 16

struct chain {
    /* The links before this one, by generation; 0 where nobody is waited for. */
    pid_t links[CHAIN_BACKLOG];
    unsigned generation;
};

/* Goes on as the next link; with `away` in a new session. */
static inline void chain_next(struct chain *chain, bool away)
{
    pid_t *link = &chain->links[chain->generation % CHAIN_BACKLOG];

    while (*link != 0 && (kill(*link, 0) == 0 || errno != ESRCH))
        sched_yield();
    pid_t self = getpid();
    pid_t next = fork();
    if (next > 0)
        _exit(0);
    if (next < 0)
        return;
    /* Not the first one: its parent may be a command that reaps nobody. */
    *link = chain->generation == 0 ? 0 : self;
    chain->generation++;
    if (away)
        setsid();
}

#endif
