/*
 * The companions: what runs beside the command because a person wants it to, namely the hooks
 * (--on-acquire, --on-lose) and the health command.
 *
 * Each of the two has a keeper of its own, the same dead man's switch as the command's: it ends the
 * companion's whole tree at its time-out, and all but --on-lose before the lease can run out in any
 * case, however the companion or this process behaves. So nothing that a companion does, or does
 * not do, can delay a deadline. Their standard output and input are /dev/null, except that what
 * hooks say on standard output goes to standard error.
 */
#ifndef LEADERWRAP_WRAPPER_COMPANIONS_H
#define LEADERWRAP_WRAPPER_COMPANIONS_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "leaderwrap/election/election.h"
#include "leaderwrap/election/health.h"
#include "leaderwrap/keeper/keeper.h"
#include "leaderwrap/keeper/keeper_link.h"
#include "options.h"

struct companions_callbacks {
    void (*on_hook_over)(void *context); /* nothing is left of a hook */
    void (*on_check_started)(void *context);
    void (*on_check_over)(void *context);  /* nothing is left of a check */
    void (*on_check_stuck)(void *context); /* something of a check does not die */
    void (*on_unhealthy)(void *context);   /* the command should be stopped */
    /* A keeper died or hangs; companions_surrender is due. */
    void (*on_lost)(void *context, const char *why);
};

enum companion_kind {
    COMPANION_HOOKS,
    COMPANION_HEALTH,
};

#define COMPANIONS 2

struct companions;

/* One companion, which runs again and again, one run at a time. */
struct companion {
    struct companions *all;
    pid_t keeper; /* 0: there is none, because nobody asked for it */
    int fd;
    struct keeper_link *link;
    uint32_t run;
    bool busy;
    bool bound;      /* to the term: it has to be dead at its kill_at */
    bool killed;     /* we wanted its end */
    bool overdue;    /* its keeper's deadline passed */
    bool reminded;   /* its keeper was asked to end it once it should have been over */
    bool stuck;      /* its keeper is at it, and nobody could do better */
    int wait_status; /* of the run that is over */
    int error;       /* errno of why it could not be started; 0 */
    int64_t over_at_ns;
    int64_t reminded_ns;
};

/* A hook that is to be run. */
struct hook_call {
    enum election_hook hook;
    uint64_t token;
    char reason[KEEPER_WORD_SIZE];
};

/* In the owner's hands from companions_fork on, until companions_close has been called and the loop
 * has run. */
struct companions {
    const struct options *options;
    struct companions_callbacks callbacks;
    void *context;
    struct companion list[COMPANIONS];
    int64_t kill_at_ns; /* of the term */
    uint64_t token;
    struct health health;
    struct hook_call current;
    struct hook_call next; /* waits for the current one */
    bool waiting;
    int hooks_over[ELECTION_HOOKS]; /* not yet taken */
};

/* Forks the keepers that `options` ask for, each as `pattern` says but for its command, and with
 * its standard streams. To be called like keeper_fork. Returns 0 or -errno. `options` are
 * borrowed. */
int companions_fork(struct companions *companions, const struct options *options,
                    const struct keeper_config *pattern);

/* Begins to listen to the keepers. Returns 0 or -errno (then companions_close is still due). */
int companions_open(struct companions *companions, uv_loop_t *loop, int64_t ack_timeout_ms,
                    const struct companions_callbacks *callbacks, void *context);
void companions_close(struct companions *companions);

/* Runs the hook of `run` when no other runs any more. Hooks tell of a
 * state, so of several that wait only the last one is run. */
void companions_run_hook(struct companions *companions, const struct election_hook_run *run,
                         const char *reason);
/* Ends HOOK_ACQUIRE at once, if it runs. It cannot wait then: HOOK_LOSE has taken its place. */
void companions_kill_hook(struct companions *companions);
/* Ends whatever hook runs or waits, at once. */
void companions_kill_hooks(struct companions *companions);

/* A hook that is over since the last call, as EVENT_HOOK_OVER wants it; false if there is none. */
bool companions_take_hook(struct companions *companions, enum election_hook *hook);

/* The deadlines of the term have been moved. */
void companions_extend(struct companions *companions, const struct deadlines *deadlines);

/* The command was started; from now on its health is checked. */
void companions_command_started(struct companions *companions, uint64_t token);
/* It is being stopped, or ended: a check that runs is killed. */
void companions_command_ending(struct companions *companions);

/* Whether something is left of a check or a hook; of one that was surrendered until
 * companions_swept. */
bool companions_are_busy(const struct companions *companions);

/* Does what is due; companions_wake_at_ns says when, INT64_MAX for never. */
void companions_tick(struct companions *companions);
int64_t companions_wake_at_ns(const struct companions *companions);

/* Leaves the keepers and what is below them to the sweep of `link`, which is about to begin, and
 * kills them. No companion runs any more after that, and those that did are over when
 * companions_swept says so. */
void companions_surrender(struct companions *companions, struct keeper_link *link);
void companions_swept(struct companions *companions);

#endif
