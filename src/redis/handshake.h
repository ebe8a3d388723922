/*
 * What is said on a new connection before anything else, and whether the answers let it be used:
 * AUTH and SELECT; and ROLE, where others said that the server is the master. No socket: words out,
 * replies in. Whoever is refused here must not run anything, for it would be in another database,
 * as another user, or on a replica.
 */
#ifndef LEADERWRAP_REDIS_HANDSHAKE_H
#define LEADERWRAP_REDIS_HANDSHAKE_H

#include <stdbool.h>
#include <stddef.h>

#include "leaderwrap/base/lease.h"
#include "leaderwrap/redis/target.h"

#define HANDSHAKE_STEPS_MAX 3
#define HANDSHAKE_HINT_SIZE 260
#define HANDSHAKE_WHY_SIZE  900

struct redisReply;

struct handshake {
    struct {
        const char *what; /* the part of the target that it is about: "password" */
        bool hinted;      /* `hint` says more about it where it is refused */
        bool is_role;     /* the answer is that of ROLE, and has to begin with "master" */
    } steps[HANDSHAKE_STEPS_MAX];
    int count;
    int heard;                      /* answers so far */
    char hint[HANDSHAKE_HINT_SIZE]; /* about the password that was sent */
};

/* Why a connection cannot be used. */
struct handshake_refusal {
    enum lease_failure failure;
    char why[HANDSHAKE_WHY_SIZE];
};

/* Writes all that is to be said at once into `*bytes`, `*length` bytes, NULL where that is nothing;
 * they belong to the caller (handshake_free_words). The password file is read anew. Returns 0, or
 * -1 and fills `*refusal`. */
int handshake_begin(struct handshake *handshake, const struct redis_target *target, char **bytes,
                    size_t *length, struct handshake_refusal *refusal);

/* Wipes and frees. NULL is fine. */
void handshake_free_words(char *words, size_t length);

/* Takes the next answer of the server, which is called `where`. Returns 0; or -1 and fills
 * `*refusal`: drop the connection. Not to be called once it is over. */
int handshake_hear(struct handshake *handshake, const struct redisReply *reply, const char *where,
                   struct handshake_refusal *refusal);

/* Whether nothing is awaited any more. */
bool handshake_is_over(const struct handshake *handshake);

#endif
