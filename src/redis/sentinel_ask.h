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

#include <stdint.h>

#include "leaderwrap/redis/connection.h"
#include "witness.h"

/* Asks a sentinel for the master that it knows as `service`. Returns 0 or -errno. */
int sentinel_ask(struct connection *connection, const char *service, witness_answer_fn *function,
                 void *context);

/* Asks a sentinel who it is, and for the others that watch the same master. Returns 0 or -errno. */
int sentinel_ask_peers(struct connection *connection, const char *service,
                       witness_peers_fn *function, void *context);

struct redisReply;

/* Take the answers apart. Pure; each returns 0, or -1 for what no sentinel says. */
int sentinel_read_address(const struct redisReply *reply, struct place *place);
int sentinel_read_epoch(const struct redisReply *reply, uint64_t *epoch);
int sentinel_read_id(const struct redisReply *reply, char *id);
int sentinel_read_peers(const struct redisReply *reply, struct witness_peers *peers);

#endif
