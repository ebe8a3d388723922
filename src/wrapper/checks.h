/*
 * The health checks: runs of the health command while the command runs, and what their results come
 * to (leaderwrap/election/health.h).
 *
 * A check is bound to its term: it is dead before the lease can run out. Its standard input and
 * output are /dev/null.
 */
#ifndef LEADERWRAP_WRAPPER_CHECKS_H
#define LEADERWRAP_WRAPPER_CHECKS_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "companion.h"
#include "leaderwrap/election/election.h"
#include "leaderwrap/election/health.h"
#include "options.h"

struct checks_callbacks {
    void (*on_started)(void *context);
    void (*on_over)(void *context);  /* nothing is left of the check */
    void (*on_stuck)(void *context); /* something of it does not die */
    /* The command should be stopped; it was of use until then. Before on_over or on_stuck of the
     * check that showed it. */
    void (*on_unhealthy)(void *context, int64_t well_until_ns);
    void (*on_lost)(void *context, const char *why); /* as of struct companion_callbacks */
};

/* In the owner's hands from checks_fork on, until checks_close has been called and the loop has
 * run. */
struct checks {
    const struct options *options;
    struct checks_callbacks callbacks;
    void *context;
    struct companion companion;
    struct health health;
    uint64_t token;
};

/* Forks the keeper if `options` ask for health checks, as `pattern` says but for its command. To be
 * called like keeper_fork. Returns 0 or -errno. `options` are borrowed. */
int checks_fork(struct checks *checks, const struct options *options,
                const struct keeper_config *pattern);

/* Begins to listen to the keeper. Returns 0 or -errno (then checks_close is still due). */
int checks_open(struct checks *checks, uv_loop_t *loop, int64_t ack_timeout_ms,
                const struct checks_callbacks *callbacks, void *context);
void checks_close(struct checks *checks);

/* The command was started; from now on its health is checked. */
void checks_begin(struct checks *checks, uint64_t token, int64_t now_ns);
/* It is being stopped, or ended: a check that runs is killed. */
void checks_end(struct checks *checks);

/* The deadlines of the term have been moved. */
void checks_extend(struct checks *checks, const struct deadlines *deadlines);

/* Whether something is left of a check; of one that was surrendered until checks_swept. */
bool checks_are_busy(const struct checks *checks);

/* Does what is due; checks_wake_at_ns says when, INT64_MAX for never. */
void checks_tick(struct checks *checks, int64_t now_ns);
int64_t checks_wake_at_ns(const struct checks *checks);

/* As companion_surrender: no check runs any more after that, and one that did is over when
 * checks_swept has been called. */
void checks_surrender(struct checks *checks, struct keeper_link *link);
void checks_swept(struct checks *checks);

#endif
