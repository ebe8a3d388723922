/*
 * What nodes of a cluster are asked, and what they answer: which node has the key's slot, and which
 * nodes there are. One form of each question, for the route and for the witnesses, so that they
 * agree.
 *
 * Where the key is, GET says, which the lease needs anyway: a value or none from the node that owns
 * the slot, or MOVED. ASK comes from the owner as well, of a slot that is on its way: it owns it
 * until the whole of it has arrived. Under which config-epoch it owns it, CLUSTER NODES says, which
 * is asked in front of it: an owner who comes back is told from who it was before by nothing else.
 * Answers that differ about the owner are none.
 *
 * The nodes are those of CLUSTER SLOTS, with the addresses that MOVED would name: masters that own
 * slots, which have a vote, and their replicas.
 * https://redis.io/docs/latest/commands/cluster-slots/
 */
#ifndef LEADERWRAP_REDIS_CLUSTER_ASK_H
#define LEADERWRAP_REDIS_CLUSTER_ASK_H

#include "leaderwrap/redis/connection.h"
#include "witness.h"

/* Asks a node for the owner of `key`'s slot and its epoch. Returns 0 or -errno. */
int cluster_ask(struct connection *connection, const char *key, witness_answer_fn *function,
                void *context);

/* Asks a node who it is, and for all others. `key` is not needed. Returns 0 or -errno. */
int cluster_ask_peers(struct connection *connection, const char *key, witness_peers_fn *function,
                      void *context);

struct redisReply;
struct slot_owner;

/* Take the answers apart; `host` is the node's own. Pure. */

/* What it answered to GET: no epoch yet. */
void cluster_read_answer(const struct redisReply *reply, const char *host,
                         struct witness_answer *answer);
/* What it answered to CLUSTER NODES. Returns 0, or -1 and puts into `*answer` why that is of no
 * use. */
int cluster_read_owner(const struct redisReply *reply, unsigned slot, struct slot_owner *owner,
                       struct witness_answer *answer);
/* Adds the epoch to an answer that names an owner, where both have the same in mind. */
void cluster_add_epoch(const struct slot_owner *owner, const char *host,
                       struct witness_answer *answer);
/* Reads one node of an answer to CLUSTER SLOTS: its host (`host` where it names none), port and id.
 * Returns 0 or -1. */
int cluster_read_node(const struct redisReply *reply, const char *host, struct witness_peer *peer);
/* `peers->id` is that of the node. Returns 0, or -1 for what is no answer to CLUSTER SLOTS, or has
 * more masters than there is room for. */
int cluster_read_peers(const struct redisReply *reply, const char *host,
                       struct witness_peers *peers);

#endif
