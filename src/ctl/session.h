/*
 * A conversation with one Redis, one question after the other: each call runs the loop until there
 * is an answer, or the time is over.
 */
#ifndef LEADERWRAP_CTL_SESSION_H
#define LEADERWRAP_CTL_SESSION_H

#include <stddef.h>
#include <stdint.h>

#include "leaderwrap/redis/target.h"

struct redisReply;
struct session;

/* Reads an answer, which is no error; borrowed. Returns 0, or -1 for what is no answer to that. */
typedef int session_read_fn(void *context, const struct redisReply *reply);

/* Connects, and waits for it. `target` and `key` are borrowed; the key, which a cluster's node is
 * found by, may be NULL where none matters. Returns 0; or an exit status, with a
 * sentence in `error`. Free with session_free in the first case alone. */
int session_open(struct session **out, const struct redis_target *target, const char *key,
                 int64_t timeout_ms, char *error, size_t size);

/* What is asked from now on is about the lease of `key`, of a cluster: where the server answers
 * that its slot is another's, that is explained. So it is from the start where a cluster was
 * searched for a key. */
void session_about(struct session *session, const char *key);

/* Sends a command, and hands its answer to `read`. Returns 0; or an exit status, with a sentence in
 * `error`. */
int session_ask(struct session *session, int argc, const char *const *argv, session_read_fn *read,
                void *context, char *error, size_t size);

/* The same of a PING. */
int session_ping(struct session *session, char *error, size_t size);

/* The exit status for an error reply, which is explained in `error`. */
int session_refuse(const char *text, char *error, size_t size);

/* NULL is fine. */
void session_free(struct session *session);

#endif
