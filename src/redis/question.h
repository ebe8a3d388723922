/*
 * A question to a witness: two commands that leave together and are answered in order. The two
 * kinds of witness make their own of it (sentinel_ask.c, cluster_ask.c).
 *
 * It is freed with the last answer, or NULL in its place. Whoever asked is told by the last one,
 * and not at all where the connection is lost.
 */
#ifndef LEADERWRAP_REDIS_QUESTION_H
#define LEADERWRAP_REDIS_QUESTION_H

#include <stdbool.h>
#include <stddef.h>

#include "leaderwrap/redis/connection.h"
#include "witness.h"

#define QUESTION_WORDS_MAX 3

/* The first member of each kind. */
struct question {
    int awaited; /* answers that may still come, or NULL in their place */
    struct connection *connection;
    void *context;
};

/* Where the master is. */
struct master_question {
    struct question question;
    witness_answer_fn *answered;
    struct witness_answer answer; /* as far as it is known */
};

/* Who it is, and who else there is. */
struct peers_question {
    struct question question;
    witness_peers_fn *told;
    struct witness_peers peers;
};

struct question_part {
    const char *words[QUESTION_WORDS_MAX]; /* the first that is NULL ends them */
    connection_reply_fn *on_reply;         /* its context is the question */
};

/* Makes one of `size` bytes, zeroed behind its first member. NULL: there is no memory. */
void *question_new(size_t size, struct connection *connection, void *context);

/* Sends both parts. Returns 0, or -errno: then nobody is told, and it goes by itself. */
int question_send(struct question *question, const struct question_part parts[2]);

/* Counts an answer. The question may be gone behind it. */
void question_heard(struct question *question);

/* The same of the last one, and tell whoever asked: with `answer`; or, unless it is `told`, that
 * the witness did not say. */
void question_end(struct master_question *question, const struct witness_answer *answer);
void question_end_peers(struct peers_question *question, bool told);

#endif
