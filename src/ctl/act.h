/*
 * What an operator does to leases: pause and resume, step-down, cordon and uncordon, release, rm.
 */
#ifndef LEADERWRAP_CTL_ACT_H
#define LEADERWRAP_CTL_ACT_H

#include <stddef.h>
#include <stdint.h>

#include "lease.h"
#include "options.h"
#include "session.h"

#define ACT_TEXT_SIZE (2 * LEASE_CELL_SIZE)

struct redisReply;

enum act_result {
    ACT_DONE,
    ACT_NOTHING, /* there is nothing to take back or to end */
    ACT_LED,     /* not while somebody leads */
};

struct act_answer {
    enum act_result result;
    char name[LEASE_CELL_SIZE]; /* of the leader, or the last one */
    uint64_t token;             /* of its term; 0: none */
};

/* Who acts, as "user@host". Returns `buffer`. */
char *act_by(char *buffer, size_t size);

/* Does what `options` say to the lease of `key`. Returns 0 with `*answer` filled; or an exit
 * status, with a sentence in `error`. */
int act_on(struct session *session, const struct ctl_options *options, const char *key,
           struct act_answer *answer, char *error, size_t size);

/* Says what became of it: "paused for 10 min; a leader ...". Returns `text`, for which
 * ACT_TEXT_SIZE is enough. */
char *act_describe(const struct ctl_options *options, const struct act_answer *answer, char *text,
                   size_t size);

/* Takes an answer apart (session_read_fn); the context is a struct act_answer. */
int act_read_reply(void *context, const struct redisReply *reply);

/* Runs a command that acts. Returns an exit status, with a sentence in `error` where it is not 0.
 */
int act_run(const struct ctl_options *options, char *error, size_t size);

#endif
