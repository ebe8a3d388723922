/* One release, with a loop of its own. */
#include "will.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <uv.h>

#include "leaderwrap/base/clock.h"
#include "leaderwrap/base/log.h"
#include "leaderwrap/election/election.h"
#include "leaderwrap/redis/store.h"

#define LIMIT_MS     5000
#define TRY_AGAIN_MS 100

/* As many renewals as may have been under way when the wrapper was killed; a server that shows yet
 * another version each time is no good one. */
#define TAKEN_UP_MOST 4

struct will {
    struct store *store;
    uv_timer_t again;
    uv_timer_t limit;
    const char *id;
    uint64_t token;
    int64_t hold_until_ns;
    int64_t valid_until_ns;
    char version[LEASE_NONCE_SIZE];
    char nonce[LEASE_NONCE_SIZE]; /* of the last request */
    uint64_t request;
    int taken_up;   /* versions, after the one it began with */
    bool releasing; /* a release has got no answer so far */
    bool in_doubt;  /* and will get none, or got an error: it may have been executed */
    bool restoring; /* the record has to be written again before it can be released */
    bool done;
};

static void make_nonce(char *nonce)
{
    uint64_t random;

    if (getrandom(&random, sizeof random, 0) != (ssize_t)sizeof random)
        random = (uint64_t)clock_boottime_ns();
    snprintf(nonce, LEASE_NONCE_SIZE, "%016" PRIx64, random);
}

static void send_renew(struct will *will)
{
    make_nonce(will->nonce);
    store_send_renew(will->store, ++will->request, will->nonce, will->token, false);
}

static void send_release(struct will *will)
{
    int64_t hold_ms = (will->hold_until_ns - clock_boottime_ns()) / NS_PER_MS;
    const struct store_release release = {
        .token = will->token,
        .version = will->version,
        .hold_ms = hold_ms > 0 ? hold_ms : 0,
        .reason = "wrapper killed",
    };

    make_nonce(will->nonce);
    will->releasing = true;
    store_send_release(will->store, ++will->request, will->nonce, &release);
}

static void on_open(void *context)
{
    send_release(context);
}

static void again(uv_timer_t *timer)
{
    struct will *will = timer->data;
    store_open(will->store);
}

static void try_again(struct will *will, const char *why)
{
    will->in_doubt = will->in_doubt || will->releasing;
    will->releasing = false;
    will->restoring = false;
    log_line(LOG_LEVEL_DEBUG, "will_retry", "last will: %s", why);
    uv_update_time(will->again.loop);
    uv_timer_start(&will->again, again, TRY_AGAIN_MS, 0);
}

static void on_closed(void *context, enum lease_failure failure, const char *why)
{
    (void)failure;
    try_again(context, why);
}

static void take_up(struct will *will, const char *version)
{
    will->taken_up++;
    snprintf(will->version, sizeof will->version, "%s", version);
    send_release(will);
}

/* The wrapper may have been killed before it heard of its last renewal, or Redis may have been
 * restarted after that. Returns false where nothing can be done about it. */
static bool is_mended(struct will *will, const struct lease_reply *reply)
{
    const struct lease_record *record = &reply->record;

    if (will->in_doubt || will->taken_up == TAKEN_UP_MOST ||
        clock_boottime_ns() >= will->valid_until_ns)
        return false;
    if (will->restoring) {
        will->restoring = false;
        if (reply->verdict != LEASE_RENEWED || strcmp(record->version, will->nonce) != 0)
            return false;
        take_up(will, will->nonce);
    } else if (reply->verdict != LEASE_NOT_HELD) {
        return false;
    } else if (election_is_unheard_renewal(record, will->id, will->token, will->version)) {
        take_up(will, record->version);
    } else if (election_may_restore(record, will->id, will->token)) {
        will->restoring = true;
        send_renew(will);
    } else {
        return false;
    }
    return true;
}

static void on_reply(void *context, const struct lease_reply *reply)
{
    struct will *will = context;

    if (reply->verdict == LEASE_FAILED) {
        store_close(will->store);
        try_again(will, reply->text);
        return;
    }
    will->releasing = false;
    if (is_mended(will, reply))
        return;
    will->done = reply->verdict == LEASE_RELEASED;
    uv_stop(will->again.loop);
}

static void give_up(uv_timer_t *timer)
{
    uv_stop(timer->loop);
}

void will_execute(const struct options *options, const char *id, const struct keeper_term *term)
{
    uv_loop_t loop;
    struct will will = {
        .id = id,
        .token = term->token,
        .hold_until_ns = term->begun_ns + options->hold_ms * NS_PER_MS,
        .valid_until_ns = term->valid_until_ns,
    };
    struct store_config config = {
        .loop = &loop,
        .target = &options->redis,
        .key = options->key,
        .id = id,
        .name = options->name,
        .ttl_ms = options->timing.ttl_ms,
        .timeout_ms = options->timing.request_timeout_ms,
        .server_clock = options->server_clock,
        .callbacks = {.on_open = on_open, .on_closed = on_closed, .on_reply = on_reply},
        .context = &will,
    };
    uint64_t limit_ms =
        options->timing.ttl_ms < LIMIT_MS ? (uint64_t)options->timing.ttl_ms : LIMIT_MS;

    snprintf(will.version, sizeof will.version, "%s", term->version);
    if (uv_loop_init(&loop) != 0 || store_new(&will.store, &config) != 0) {
        log_line(LOG_LEVEL_ERROR, "will_failed", "the wrapper was killed and its lease is left");
        return;
    }
    uv_timer_init(&loop, &will.again);
    uv_timer_init(&loop, &will.limit);
    will.again.data = &will;
    uv_timer_start(&will.limit, give_up, limit_ms, 0);
    store_open(will.store);
    uv_run(&loop, UV_RUN_DEFAULT);
    if (will.done)
        log_line(LOG_LEVEL_WARNING, "will_done",
                 "the wrapper was killed; its command is dead and the lease released");
    else
        log_line(LOG_LEVEL_WARNING, "will_failed",
                 "the wrapper was killed; its command is dead, the lease ends with its TTL");
}
