/*
 * The elector's end of the keeper: sends requests, hears reports, notices a keeper that died or
 * hangs, and then does its work: kills it and sweeps the tree.
 */
#ifndef LEADERWRAP_KEEPER_LINK_H
#define LEADERWRAP_KEEPER_LINK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <uv.h>

#include "leaderwrap/protocol.h"

struct keeper_link;

struct keeper_link_callbacks {
    /* A report of the keeper (never an ACK). */
    void (*on_report)(void *context, const struct keeper_report *report);
    /* The keeper is dead, hung or out of its mind; `why` is a sentence. It has been killed, and the
     * sweep of its tree has begun. */
    void (*on_lost)(void *context, const char *why);
    /* After on_lost: nothing of the tree is left. */
    void (*on_swept)(void *context);
};

/* Takes over `fd` and `pid` from keeper_fork. The elector must be a child subreaper, must not
 * ignore SIGCHLD, and must call this before it has children of its own: those that are there now
 * were inherited through an exec (`sh -c 'x & exec leaderwrap'`) and are no part of the tree.
 * `ack_timeout_ms`: a request unacknowledged for that long means that the keeper hangs. Callbacks
 * run from the loop, never from inside these functions. Returns 0 or -errno (-E2BIG: more inherited
 * children than it can keep in mind; `fd` is then still the caller's); free with
 * keeper_link_close. */
int keeper_link_open(struct keeper_link **link, uv_loop_t *loop, int fd, pid_t pid,
                     int64_t ack_timeout_ms, const struct keeper_link_callbacks *callbacks,
                     void *context);

/* Says that `pid` is a child of the elector's own (a hook, say), which it reaps itself: it is
 * neither reaped by keeper_link_reap nor taken for a part of the tree. To be called before the loop
 * runs again, and undone by keeper_link_unspare once it was reaped. Returns 0 or -E2BIG. */
int keeper_link_spare(struct keeper_link *link, pid_t pid);
void keeper_link_unspare(struct keeper_link *link, pid_t pid);

/* Sends `request` (its `sequence` is filled in here). A failure is reported through on_lost. */
void keeper_link_send(struct keeper_link *link, const struct keeper_request *request);

/* Declares the keeper hung: kills it and sweeps, as after a missed ACK. on_lost follows from the
 * loop. */
void keeper_link_abandon(struct keeper_link *link, const char *why);

/* To be called for each SIGCHLD: reaps the keeper, and orphans that came to us. Children that were
 * announced by keeper_link_spare are left to the caller. */
void keeper_link_reap(struct keeper_link *link);

/* Closes everything; the keeper sees the end of file, and with no run ends by itself. The memory is
 * freed from the loop. */
void keeper_link_close(struct keeper_link *link);

#endif
