/*
 * What the options mean for the election, for what talks to Redis and for the keepers.
 */
#ifndef LEADERWRAP_WRAPPER_CANDIDACY_H
#define LEADERWRAP_WRAPPER_CANDIDACY_H

#include "leaderwrap/election/election.h"
#include "leaderwrap/redis/store.h"
#include "leaderwrap/redis/watcher.h"
#include "options.h"

/* All of it but what is this process's own: the id, the seed and the key of its nonces. */
struct election_config candidacy_config(const struct options *options);

/* All of them but the loop and the callbacks. `options` and `id` are borrowed. */
struct store_config candidacy_store(const struct options *options, const char *id);
struct watcher_config candidacy_watcher(const struct options *options);

/* How long a keeper may take to acknowledge a request, in milliseconds. */
int64_t candidacy_ack_patience_ms(const struct options *options);

#endif
