/*
 * What a witness is asked, and what it answers: a sentinel, or a master of a cluster. Plain values.
 */
#ifndef LEADERWRAP_REDIS_WITNESS_H
#define LEADERWRAP_REDIS_WITNESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "leaderwrap/base/lease.h"
#include "place.h"

#define WITNESS_ID_SIZE   (40 + 1)
#define WITNESS_PEERS_MAX 64

enum witness_says {
    WITNESS_NAMES,   /* `place` and `epoch` */
    WITNESS_ITSELF,  /* it is the master, wherever it is known to be */
    WITNESS_UNAWARE, /* it knows no master of that name */
    WITNESS_REFUSES, /* an error, `text` and `failure`; or no answer to this at all */
};

struct witness_answer {
    enum witness_says says;
    struct place place;
    uint64_t epoch; /* 0: there is none */
    enum lease_failure failure;
    char text[LEASE_TEXT_SIZE];
};

/* Borrowed for the call, in which the connection may be closed or freed. Not called where the
 * connection is lost. */
typedef void witness_answer_fn(void *context, const struct witness_answer *answer);

/* One, as another one tells it. */
struct witness_peer {
    char id[WITNESS_ID_SIZE];
    struct place place;
    bool has_vote;
};

struct witness_peers {
    char id[WITNESS_ID_SIZE]; /* its own */
    struct place place; /* its own, as the others know it, where it tells that; else nowhere */
    bool has_vote;      /* itself */
    size_t count;
    struct witness_peer list[WITNESS_PEERS_MAX]; /* all the others */
};

/* As above; NULL: it did not say. */
typedef void witness_peers_fn(void *context, const struct witness_peers *peers);

#endif
