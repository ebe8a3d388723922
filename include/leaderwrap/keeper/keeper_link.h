/*
 * The elector's end of the keeper: sends requests, hears messages, notices a keeper that died or
 * hangs, and then does its work: kills it and sweeps the tree.
 */
#ifndef LEADERWRAP_KEEPER_KEEPER_LINK_H
#define LEADERWRAP_KEEPER_KEEPER_LINK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <uv.h>

#include "leaderwrap/keeper/protocol.h"

struct keeper_link;

struct keeper_link_callbacks {
    /* A message of the keeper (never an ACK). */
    void (*on_message)(void *context, const struct keeper_message *message);
    /* The keeper is dead, hangs, or sends what is no message; `why` is a sentence. It has been
     * killed, and the sweep of its tree has begun. */
    void (*on_lost)(void *context, const char *why);
    /* After on_lost: nothing of the tree is left. */
    void (*on_swept)(void *context);
};

/* Takes over `fd` and `pid` from keeper_fork. The elector must be a child subreaper, must not
 * ignore SIGCHLD, and must call this before it has children of its own: those that are there now
 * were inherited through an exec (`sh -c 'x & exec leaderwrap'`) and are no part of the tree.
 * `ack_timeout_ms`: a request unacknowledged for that long means that the keeper hangs. Callbacks
 * run from the loop, never from inside these functions. Returns 0 or -errno, `fd` being still the
 * caller's then; free with keeper_link_close. */
int keeper_link_open(struct keeper_link **link, uv_loop_t *loop, int fd, pid_t pid,
                     int64_t ack_timeout_ms, const struct keeper_link_callbacks *callbacks,
                     void *context);

/* The same for the keeper of a hook or of a health command: a companion, which was forked before
 * the link of the command's keeper was opened and is therefore spared and reaped by that one. This
 * one neither reaps nor sweeps, and does not kill a keeper that it has lost: on_lost is its last
 * word.
 */
int keeper_link_open_companion(struct keeper_link **link, uv_loop_t *loop, int fd,
                               int64_t ack_timeout_ms,
                               const struct keeper_link_callbacks *callbacks, void *context);

/* Makes `pid`, a companion, a part of the tree, so that a sweep kills it and what is below it. To
 * be called before or in on_lost. Returns whether it was still to be reaped, so that the number is
 * its own until the loop runs again. */
bool keeper_link_unspare(struct keeper_link *link, pid_t pid);

/* Sends `request` (its `sequence` is filled in here). A failure comes back through on_lost. */
void keeper_link_send(struct keeper_link *link, const struct keeper_request *request);

/* Declares the keeper hung: kills it and sweeps, as after a missed ACK. on_lost follows from the
 * loop. */
void keeper_link_abandon(struct keeper_link *link, const char *why);

/* To be called for each SIGCHLD: reaps the keeper, inherited children, and orphans that came to us.
 */
void keeper_link_reap(struct keeper_link *link);

/* Closes everything; the keeper sees the end of file, and with no run ends by itself. The memory is
 * freed from the loop. */
void keeper_link_close(struct keeper_link *link);

#endif
