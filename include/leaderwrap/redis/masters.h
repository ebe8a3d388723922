/*
 * The masters of a Redis Cluster that own slots: where each is, and which slots it has, as a node
 * answers it to CLUSTER SLOTS. Pure.
 */
#ifndef LEADERWRAP_REDIS_MASTERS_H
#define LEADERWRAP_REDIS_MASTERS_H

#include <stddef.h>

#define MASTERS_MAX       65 /* more cannot vote for a lease either */
#define MASTERS_SLOTS     16384
#define MASTERS_ID_SIZE   (40 + 1)
#define MASTERS_HOST_SIZE 256

struct redisReply;

struct master {
    char id[MASTERS_ID_SIZE];
    char host[MASTERS_HOST_SIZE]; /* a name or a number, no brackets; empty: it is not known */
    char port[6];
};

struct masters {
    size_t count;
    struct master list[MASTERS_MAX];
    unsigned char owners[MASTERS_SLOTS]; /* of each slot: its place in the list, from 1; 0: none */
};

/* Takes an answer to CLUSTER SLOTS apart; `host` is that of the node that gave it, which is meant
 * where it names none. Returns 0; or -1 for what is no such answer, gives a slot twice, or has more
 * masters than there is room for. */
int masters_read(const struct redisReply *reply, const char *host, struct masters *masters);

/* The master of a slot (store_slot), borrowed from `masters`; NULL: nobody owns it. */
const struct master *masters_of(const struct masters *masters, unsigned slot);

#endif
