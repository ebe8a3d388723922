/*
 * What sentinels are asked, and what they answer: where the master is, and who the others are. One
 * form of each question, for the route and for the witnesses, so that they agree.
 *
 * The address is that of SENTINEL GET-MASTER-ADDR-BY-NAME, which during a fail-over is the promoted
 * server's as soon as that has taken over; the config-epoch is in SENTINEL MASTER, asked behind it.
 * The epoch of an answer is thus never older than its address.
 * https://redis.io/docs/latest/operate/oss_and_stack/management/sentinel/
 */
#ifndef LEADERWRAP_REDIS_SENTINEL_ASK_H
#define LEADERWRAP_REDIS_SENTINEL_ASK_H

#include <stddef.h>
#include <stdint.h>

#include "leaderwrap/base/lease.h"
#include "leaderwrap/redis/connection.h"
#include "place.h"

#define SENTINEL_ID_SIZE   (40 + 1)
#define SENTINEL_PEERS_MAX 64

enum sentinel_says {
    SENTINEL_NAMES,   /* `place` and `epoch` */
    SENTINEL_UNAWARE, /* it knows no master of that name */
    SENTINEL_REFUSES, /* an error, `text` and `failure`; or no answer to this at all */
};

struct sentinel_answer {
    enum sentinel_says says;
    struct place place;
    uint64_t epoch;
    enum lease_failure failure;
    char text[LEASE_TEXT_SIZE];
};

/* Borrowed for the call, in which the connection may be closed or freed. Not called where the
 * connection is lost. */
typedef void sentinel_answer_fn(void *context, const struct sentinel_answer *answer);

/* Asks a sentinel for the master that it knows as `service`. Returns 0 or -errno. */
int sentinel_ask(struct connection *connection, const char *service, sentinel_answer_fn *function,
                 void *context);

/* One sentinel, as another one tells it. */
struct sentinel_peer {
    char id[SENTINEL_ID_SIZE];
    struct place place;
};

struct sentinel_peers {
    char id[SENTINEL_ID_SIZE]; /* its own (SENTINEL MYID) */
    size_t count;
    struct sentinel_peer list[SENTINEL_PEERS_MAX]; /* SENTINEL SENTINELS: all the others */
};

/* As above; NULL: it did not say. */
typedef void sentinel_peers_fn(void *context, const struct sentinel_peers *peers);

/* Asks a sentinel who it is, and for the others that watch the same master. Returns 0 or -errno. */
int sentinel_ask_peers(struct connection *connection, const char *service,
                       sentinel_peers_fn *function, void *context);

struct redisReply;

/* Take the answers apart. Pure; each returns 0, or -1 for what no sentinel says. */
int sentinel_read_address(const struct redisReply *reply, struct place *place);
int sentinel_read_epoch(const struct redisReply *reply, uint64_t *epoch);
int sentinel_read_id(const struct redisReply *reply, char *id);
int sentinel_read_peers(const struct redisReply *reply, struct sentinel_peers *peers);

#endif
