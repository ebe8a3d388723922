/*
 * The hooks, --on-acquire and --on-lose: which is run when, and what became of it.
 *
 * Both share a keeper, and so they are never run at the same time. --on-acquire is bound to its
 * term: it is dead before the lease can run out. --on-lose has its time-out alone. Hooks tell of a
 * state, so of several that wait only the last one is run. Their standard input is /dev/null; what
 * they say on standard output goes to standard error.
 */
#ifndef LEADERWRAP_WRAPPER_HOOKS_H
#define LEADERWRAP_WRAPPER_HOOKS_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "companion.h"
#include "leaderwrap/election/election.h"
#include "options.h"

struct hooks_callbacks {
    void (*on_over)(void *context); /* of one nothing is left; which it was: hooks_take_over */
    void (*on_lost)(void *context, const char *why); /* as of struct companion_callbacks */
};

/* A hook that is to be run. */
struct hook_call {
    enum election_hook hook;
    uint64_t token;
    char reason[KEEPER_WORD_SIZE];
};

/* In the owner's hands from hooks_fork on, until hooks_close has been called and the loop has run.
 */
struct hooks {
    const struct options *options;
    struct hooks_callbacks callbacks;
    void *context;
    struct companion companion;
    struct hook_call current;
    struct hook_call next; /* waits for the current one */
    bool waiting;
    int over[ELECTION_HOOKS]; /* not yet taken */
};

/* Forks the keeper if `options` ask for a hook, as `pattern` says but for its command. To be called
 * like keeper_fork. Returns 0 or -errno. `options` are borrowed. */
int hooks_fork(struct hooks *hooks, const struct options *options,
               const struct keeper_config *pattern);

/* Begins to listen to the keeper. Returns 0 or -errno (then hooks_close is still due). */
int hooks_open(struct hooks *hooks, uv_loop_t *loop, int64_t ack_timeout_ms,
               const struct hooks_callbacks *callbacks, void *context);
void hooks_close(struct hooks *hooks);

/* Runs the hook of `run` when no other runs any more. */
void hooks_run(struct hooks *hooks, const struct election_hook_run *run, const char *reason,
               int64_t now_ns);
/* Ends HOOK_ACQUIRE at once, if it runs. It cannot wait then: HOOK_LOSE has taken its place. */
void hooks_kill_acquire(struct hooks *hooks);
/* Ends whatever hook runs or waits, at once. */
void hooks_kill(struct hooks *hooks);

/* A hook that is over since the last call, as EVENT_HOOK_OVER wants it; false if there is none. */
bool hooks_take_over(struct hooks *hooks, enum election_hook *hook);

/* The deadlines of the term have been moved. */
void hooks_extend(struct hooks *hooks, const struct deadlines *deadlines);

/* Whether something is left of a hook; of one that was surrendered until hooks_swept. */
bool hooks_are_busy(const struct hooks *hooks);

/* Does what is due; hooks_wake_at_ns says when, INT64_MAX for never. */
void hooks_tick(struct hooks *hooks, int64_t now_ns);
int64_t hooks_wake_at_ns(const struct hooks *hooks);

/* As companion_surrender: no hook runs any more after that, and one that did is over when
 * hooks_swept says so. */
void hooks_surrender(struct hooks *hooks, struct keeper_link *link);
void hooks_swept(struct hooks *hooks);

#endif
