/*
 * From what Redis answers to leases: one of them, or the names of all.
 */
#ifndef LEADERWRAP_CTL_READ_H
#define LEADERWRAP_CTL_READ_H

#include <stdbool.h>
#include <stddef.h>

#include "lease.h"
#include "options.h"
#include "session.h"

/* The keys of leases, each once, sorted. Zeroed at first; to be freed with read_free. */
struct read_keys {
    char **list;
    size_t count;
    char cursor[24]; /* of the SCAN: "0" when it is over */
    bool failed;     /* there was no memory */
};

/* Fills the zeroed `*lease`, with the newest `entries` entries of its history. Returns 0; or an
 * exit status, with a sentence in `error`. */
int read_lease(struct session *session, const char *key, size_t entries, struct ctl_lease *lease,
               char *error, size_t size);

/* The same of a connection that is made for it alone; `*lease` need not be zeroed. */
int read_lease_alone(const struct ctl_options *options, const char *key, size_t entries,
                     struct ctl_lease *lease, char *error, size_t size);

/* Finds all leases of a server, beside those that are in `keys`. Returns as read_lease. */
int read_keys(struct session *session, struct read_keys *keys, char *error, size_t size);

/* Forgets the one at `at`. */
void read_drop(struct read_keys *keys, size_t at);

void read_free(struct read_keys *keys);

/* Finds out from the candidates of `lease` whether the server has lost a pause. One that came
 * afterwards makes up for it. Pure. */
void read_lost_pause(struct ctl_lease *lease);

struct redisReply;

/* Take answers apart (session_read_fn); the contexts are a struct ctl_lease and a struct read_keys.
 */
int read_lease_reply(void *context, const struct redisReply *reply);
int read_scan_reply(void *context, const struct redisReply *reply);

#endif
