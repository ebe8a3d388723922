/*
 * One request of a store on its way, and how it ends: with an answer that is handed out, or
 * without.
 *
 * It has as many references as there are replies that belong to it, and one where the store keeps
 * it to send it later; with the last one it goes. Whoever ends it gives up the reference of the
 * reply that it has in hand.
 */
#ifndef LEADERWRAP_REDIS_REQUEST_H
#define LEADERWRAP_REDIS_REQUEST_H

#include "arguments.h"
#include "verdict.h"

struct script;

/* Hands out an answer. Anything may be done in it. */
typedef void request_answer_fn(void *context, const struct lease_reply *answer);

/* It keeps its arguments, because a server that does not know the script gets them a second time.
 */
struct request {
    int references;
    struct store *store;
    const struct script *script; /* NULL: not a script */
    enum verdict_of of;
    bool whole; /* sent with the script's text */
    bool plain; /* sent without, or for one without, its first line */
    bool asks;  /* it goes by the detour */
    uint64_t number;
    int64_t patience_ms; /* of the owner */
    request_answer_fn *on_answer;
    void *context;
    /* What the script answered, and that does not count before enough replicas have it. */
    bool is_kept;
    struct lease_reply kept;
    int argc;
    int reply_type; /* of a command that is no script */
    size_t lengths[ARGUMENTS_MAX];
    const char *argv[ARGUMENTS_MAX]; /* from EVALSHA's third word on, into `text` */
    char text[];
};

/* Makes one with copies of the arguments, and one reference. NULL: there is no memory. */
struct request *request_new(uint64_t number, int argc, const char *const *argv);

/* One reference more, and one less. */
struct request *request_keep(struct request *request);
void request_drop(struct request *request);

/* End it: with `*answer`, with a failure and what is to be said of it, or with an error of the
 * server. Nothing of the store may be touched afterwards. */
void request_finish(struct request *request, struct lease_reply *answer);
void request_fail(struct request *request, enum lease_failure failure, const char *text);
void request_finish_error(struct request *request, const char *error);

#endif
