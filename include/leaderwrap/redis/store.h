/*
 * The lease in one Redis server: scripts in, verdicts out. It translates and decides nothing.
 *
 * The record is a compare-and-swap register of three keys in one hash slot: K (the holder, with
 * the TTL), {K}:term (the authority) and {K}:history, plus the channel {K}:events. The rules are in
 * scripts/, each script with its own contract.
 */
#ifndef LEADERWRAP_REDIS_STORE_H
#define LEADERWRAP_REDIS_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "leaderwrap/base/lease.h"
#include "leaderwrap/redis/target.h"

/* Room for a lease key of 512 bytes, or for any name made from one, and a NUL. */
#define STORE_KEY_SIZE 544

struct store;

struct store_callbacks {
    void (*on_open)(void *context); /* requests may be sent */
    /* As connection's on_closed: the outcome of a pending request is unknown. */
    void (*on_closed)(void *context, enum lease_failure failure, const char *why);
    void (*on_reply)(void *context, const struct lease_reply *reply);
};

struct store_config {
    uv_loop_t *loop;
    const struct redis_target *target; /* borrowed, like all that follows; must outlive the store */
    const char *key;
    const char *id; /* <name>#<random> */
    const char *name;
    const char *command; /* its fingerprint, up to 8 hex digits; NULL or empty: none is told */
    int64_t ttl_ms;
    int64_t timeout_ms; /* as connection's */
    bool server_clock;  /* --takeover server-clock */
    bool assume_fresh;  /* --assume-fresh */
    struct store_callbacks callbacks;
    void *context;
};

/* What an acquire brings along. */
struct store_acquire {
    uint64_t request;
    const char *nonce;
    uint64_t floor_token;  /* the highest token ever seen */
    bool never_saw_record; /* assume_fresh counts only then */
    /* The version that was observed, NULL if none was, and for how long it has been unchanged. */
    const char *observed_ident;
    const char *observed_version;
    int64_t observed_ms;
    int64_t hold_left_ms; /* of the hold of that version, by the asker's own count */
};

/* What a release says. */
struct store_release {
    uint64_t token;
    const char *version; /* the last nonce that this term is known to have written */
    int64_t hold_ms;     /* > 0 keeps the lease closed to everybody for that long from now */
    const char *reason;  /* for the history */
};

/* Whether `key` can be a lease key: 1 to 512 bytes, and its hash tag, if any, leaves the three keys
 * in one slot. Returns NULL or a static sentence. */
const char *store_check_key(const char *key);

/* Makes a closed store; its key must have passed store_check_key. Returns 0 or -errno. Free with
 * store_free. */
int store_new(struct store **out, const struct store_config *config);

/* As the functions of the same names in connection.h. */
void store_open(struct store *store);
void store_close(struct store *store);
void store_free(struct store *store);

/* The three requests. The answer comes through on_reply with the same `request` number; where the
 * connection is lost before it, on_closed comes instead; neither comes for a request that was sent
 * while not open or for which there was no memory. Each `nonce` must be fresh, 1 to 16 letters and
 * digits. */
void store_send_acquire(struct store *store, const struct store_acquire *acquire);
/* `version`: as of struct store_release, or "". `claim`: the term is a grant whose answer was lost;
 * it is taken up only where the record still is as the grant left it. */
void store_send_renew(struct store *store, uint64_t request, const char *nonce, uint64_t token,
                      const char *version, bool claim);
void store_send_release(struct store *store, uint64_t request, const char *nonce,
                        const struct store_release *release);

/* Deletes the three keys (of the scratch key of --check). The answer is LEASE_RELEASED or
 * LEASE_FAILED. */
void store_send_erase(struct store *store, uint64_t request);

/* PING, for --check: the watcher needs it. The answer is as for an erase. */
void store_send_ping(struct store *store, uint64_t request);

/* Write the channel {K}:events (with the number of the database behind it, where that is not 0), or
 * the key {K}:term of the record, into `buffer`, for which STORE_KEY_SIZE is enough. Where K has a
 * hash tag of its own, they are K::events and K::term. Return `buffer`. */
char *store_channel(const char *key, int database, char *buffer, size_t size);
char *store_term_key(const char *key, char *buffer, size_t size);

#endif
