/* Option by option. */
#include "candidacy.h"

#define ACK_PATIENCE_MS 1000

struct election_config candidacy_config(const struct options *options)
{
    return (struct election_config){
        .timing = options->timing,
        .server_clock = options->server_clock,
        .witnesses = redis_target_has_witnesses(&options->redis),
        .assume_fresh = options->assume_fresh,
        .exit_on_lost = options->exit_on_lost,
        .no_release = options->no_release,
        .once = options->once,
        .wait_ms = options->wait_ms,
        .hold_ms = options->hold_ms,
        .max_runtime_ms = options->max_runtime_ms,
        .lock_delay_ms = options->lock_delay_ms,
        .restart = options->restart,
        .max_restarts = options->max_restarts,
        .penalty_ms = options->penalty_ms,
        .hooks = {options->hooks[HOOK_ACQUIRE] != NULL, options->hooks[HOOK_LOSE] != NULL},
    };
}

struct store_config candidacy_store(const struct options *options, const char *id)
{
    return (struct store_config){
        .target = &options->redis,
        .key = options->key,
        .id = id,
        .name = options->name,
        .command = options->fingerprint,
        .host = options->host,
        .client = options->client,
        .ttl_ms = options->timing.ttl_ms,
        .timeout_ms = options->timing.request_timeout_ms,
        .wait_replicas = options->wait_replicas,
        .server_clock = options->server_clock,
        .assume_fresh = options->assume_fresh,
    };
}

struct watcher_config candidacy_watcher(const struct options *options)
{
    return (struct watcher_config){
        .target = &options->redis,
        .key = options->key,
        .client = options->client,
        .ping_ms = options->timing.ttl_ms / 2,
        .timeout_ms = options->timing.request_timeout_ms,
    };
}

/* By the time the next renewal is due, the last extension must have been acknowledged; but a keeper
 * that waited a moment for a processor is no dead one. */
int64_t candidacy_ack_patience_ms(const struct options *options)
{
    const struct timing *timing = &options->timing;
    int64_t least_ms = timing->tolerated_outage_ms < ACK_PATIENCE_MS ? timing->tolerated_outage_ms
                                                                     : ACK_PATIENCE_MS;
    return timing->renew_ms > least_ms ? timing->renew_ms : least_ms;
}
