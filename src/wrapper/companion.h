/*
 * A companion: what runs beside the command because a person wants it to, a hook or a health check.
 *
 * It has a keeper of its own, the same dead man's switch as the command's, which ends the run's
 * whole tree at its time-out and, where the run is bound to the term, before the lease can run out,
 * however the run or this process behaves. So nothing that a companion does, or does not do, can
 * delay a deadline. It runs again and again, one run at a time. What is run, and when, is the
 * business of hooks.h and checks.h.
 *
 * Times are of CLOCK_BOOTTIME and passed in; what the keeper reports is dated when it is read.
 */
#ifndef LEADERWRAP_WRAPPER_COMPANION_H
#define LEADERWRAP_WRAPPER_COMPANION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <uv.h>

#include "leaderwrap/keeper/keeper.h"
#include "leaderwrap/keeper/keeper_link.h"

enum companion_state {
    COMPANION_ABSENT, /* there is no keeper: nobody asked for one, or it was surrendered */
    COMPANION_IDLE,
    COMPANION_RUNNING,
    COMPANION_REMINDED,    /* its keeper was asked to end the run when that should have been over */
    COMPANION_STUCK,       /* its keeper is at it, and nobody could do better */
    COMPANION_SURRENDERED, /* something of the run is left, and another's sweep ends it */
};

/* What ended a run that did not end by itself. */
enum companion_cut {
    COMPANION_UNCUT,
    COMPANION_KILLED,  /* we did */
    COMPANION_OVERDUE, /* its keeper did: the deadline had passed */
};

struct companion_callbacks {
    void (*on_over)(void *context, int64_t now_ns); /* nothing is left of the run */
    /* Something of it does not die; repeated while that lasts. */
    void (*on_stuck)(void *context, int64_t now_ns);
    /* The keeper died or hangs; `why` is a sentence. companion_surrender is due. */
    void (*on_lost)(void *context, const char *why);
};

/* In its owner's hands from companion_fork on, until companion_close has been called and the loop
 * has run. Read-only to others. */
struct companion {
    const char *name; /* of its runs, for people */
    int64_t margin_ms;
    struct companion_callbacks callbacks;
    void *context;
    pid_t keeper; /* 0: there is none */
    int fd;
    struct keeper_link *link;
    enum companion_state state;
    int64_t kill_at_ns; /* of the term */

    /* Of the present run, or of the last one. */
    uint32_t run;
    enum companion_cut cut;
    bool bound; /* to the term: it has to be dead at its kill_at */
    int64_t timeout_ms;
    int64_t over_at_ns; /* begin and time-out */
    int64_t reminded_ns;
    int wait_status;
    int error; /* errno of why it could not be started; 0 */
};

/* A run that is to begin. */
struct companion_run {
    int64_t timeout_ms;
    bool bound;
    uint64_t token;
    const char *event; /* for the environment, as `reason`; "": none */
    const char *reason;
};

/* Forks the keeper, as `pattern` says but for the command. A NULL `command` is none, and no keeper
 * then. To be called like keeper_fork. `name` is borrowed for good. `margin_ms`: of struct timing.
 * Returns 0 or -errno. */
int companion_fork(struct companion *companion, const char *name, int64_t margin_ms,
                   const struct keeper_config *pattern, char *const *command);

/* Begins to listen to the keeper, if there is one. `ack_timeout_ms`: as of keeper_link_open.
 * Returns 0 or -errno (then companion_close is still due). */
int companion_open(struct companion *companion, uv_loop_t *loop, int64_t ack_timeout_ms,
                   const struct companion_callbacks *callbacks, void *context);
void companion_close(struct companion *companion);

/* Whether companion_start can be called, now or once the present run is over. */
bool companion_can_run(const struct companion *companion);

/* Whether something is left of a run: on_over, or companion_swept, is to come. */
bool companion_is_busy(const struct companion *companion);

/* Begins a run. None may be left. */
void companion_start(struct companion *companion, const struct companion_run *run, int64_t now_ns);

/* Ends the run, if there is one, at once. */
void companion_kill(struct companion *companion);

/* The term's kill_at is another one now; with it the deadline of a run that is bound to it. */
void companion_extend(struct companion *companion, int64_t kill_at_ns);

/* Sees to it that a run ends in time; companion_wake_at_ns says when that is due, INT64_MAX for
 * never. It may call on_lost. */
void companion_tick(struct companion *companion, int64_t now_ns);
int64_t companion_wake_at_ns(const struct companion *companion);

/* In on_over: how the run ended, in words. Returns whether it is a success. */
bool companion_judge(const struct companion *companion, int64_t now_ns, char *words, size_t size);

/* Leaves the keeper and what is below it to the sweep of `link`, which is about to begin, and kills
 * the keeper. No run begins any more after that. */
void companion_surrender(struct companion *companion, struct keeper_link *link);

/* That sweep is over. Returns whether a run is over with it. */
bool companion_swept(struct companion *companion);

#endif
