/*
 * The lease in one Redis server: scripts in, verdicts out. It translates and decides nothing.
 *
 * The record is a compare-and-swap register of three keys in one hash slot: K (the holder, with
 * the TTL), {K}:term (the authority) and {K}:history, plus the channel {K}:events; beside it, in
 * {K}:candidates, is who stands by. The rules are in scripts/, each script with its own contract.
 */
#ifndef LEADERWRAP_REDIS_STORE_H
#define LEADERWRAP_REDIS_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "leaderwrap/base/lease.h"
#include "leaderwrap/redis/target.h"
#include "leaderwrap/redis/tls.h"

/* Room for a lease key of 512 bytes, or for any name made from one, and a NUL. */
#define STORE_KEY_SIZE 544

struct store;
struct route_hop;

struct store_callbacks {
    void (*on_open)(void *context); /* requests may be sent */
    /* As connection's on_closed: the outcome of a pending request is unknown. */
    void (*on_closed)(void *context, enum lease_failure failure, const char *why);
    void (*on_reply)(void *context, const struct lease_reply *reply);
    /* What one witness answered to a poll. NULL: nobody polls. */
    void (*on_vote)(void *context, const struct lease_vote *vote);
    /* How many replicas the server has. NULL: nobody asks. */
    void (*on_replicas)(void *context, int64_t count);
};

struct store_config {
    uv_loop_t *loop;
    const struct redis_target *target; /* borrowed, like all that follows; must outlive the store */
    const char *key;
    const char *id; /* <name>#<random> */
    const char *name;
    const char *command; /* its fingerprint, up to 8 hex digits; NULL or empty: none is told */
    const char *host;    /* its host, by which it may be meant; NULL: none is told */
    const char *client;  /* what its connection is called (connection.h); NULL: nothing */
    const char *about;   /* as of store_tell; NULL: nothing */
    int64_t ttl_ms;
    int64_t timeout_ms; /* as connection's */
    int wait_replicas;  /* --wait-replicas; 0: a write counts as soon as the server has it */
    bool server_clock;  /* --takeover server-clock */
    bool assume_fresh;  /* --assume-fresh */
    struct store_callbacks callbacks;
    void *context;
};

/* Whether `key` can be a lease key: 1 to 512 bytes, and its hash tag, if any, leaves the three keys
 * in one slot. Returns NULL or a static sentence. */
const char *store_check_key(const char *key);

/* Whether `name` can be that of a candidate, or of a host. Returns NULL or what is wrong with it:
 * "is empty". */
const char *store_check_name(const char *name);

/* Whether `value`, of K, is what shows the pause in the record's field `pause` (prelude.lua). */
bool store_is_pause_sign(const char *value, const char *pause);

/* Makes a closed store; its key must have passed store_check_key. Returns 0 or -errno. Free with
 * store_free. */
int store_new(struct store **out, const struct store_config *config);

/* As the functions of the same names in connection.h. */
void store_open(struct store *store);
void store_close(struct store *store);
void store_free(struct store *store);

/* As connection_describe: what the requests are protected by. */
bool store_describe(const struct store *store, struct tls_peer *peer);

/* Sends `request`. The answer comes through on_reply with the same number; where the connection is
 * lost before it, on_closed comes instead; neither comes for a request that was sent while not open
 * or for which there was no memory. The nonce must be fresh, 1 to 16 letters and digits. */
void store_send(struct store *store, const struct lease_request *request);

/* What the candidate tells of itself from now on while it stands by; borrowed. */
void store_tell(struct store *store, const char *about);

/* Asks all witnesses where the master is, of a target that has some. Each answer comes through
 * on_vote with the same number, which is not 0, until there is a new poll; some may never answer.
 */
void store_poll(struct store *store, uint64_t poll);

/* Asks the server how many replicas are connected to it (INFO replication). Where it does not tell,
 * nobody is called. */
void store_ask_replicas(struct store *store);

/* Where the connection goes to, while it is open; the first for people, the second as
 * connection_hop.
 */
const char *store_where(const struct store *store);
const struct route_hop *store_hop(const struct store *store);

/* Deletes the keys (of the scratch key of --check). The answer is LEASE_RELEASED or
 * LEASE_FAILED. */
void store_send_erase(struct store *store, uint64_t request);

/* PING, for --check: the watcher needs it. The answer is as for an erase. */
void store_send_ping(struct store *store, uint64_t request);

/* Writes the name of what belongs to `key` and is called `suffix`, in the same hash slot. Returns
 * `buffer`. */
char *store_sibling(const char *key, const char *suffix, char *buffer, size_t size);

/* The key that what is called `name` belongs to, by its `suffix`: for free(3). NULL where it is no
 * such name, or there is no memory. */
char *store_key_of(const char *name, const char *suffix);

/* The hash slot of a key in a cluster. */
unsigned store_slot(const char *key);

/* Write the channel {K}:events (with the number of the database behind it, where that is not 0), or
 * the key {K}:term of the record, into `buffer`, for which STORE_KEY_SIZE is enough. Where K has a
 * hash tag of its own, they are K::events and K::term. Where `key` is NULL the channel is a pattern
 * of those of all keys. Return `buffer`. */
char *store_channel(const char *key, int database, char *buffer, size_t size);
char *store_term_key(const char *key, char *buffer, size_t size);

#endif
