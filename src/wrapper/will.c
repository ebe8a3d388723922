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
#define UNHEARD_MOST 4

struct will {
    struct store *store;
    uv_timer_t again;
    uv_timer_t limit;
    const char *id;
    uint64_t token;
    int64_t hold_until_ns;
    int64_t valid_until_ns;
    char version[LEASE_NONCE_SIZE];
    uint64_t request;
    int unheard;   /* renewals taken up */
    bool in_doubt; /* a release got no answer, or an error: it may have been executed */
    bool done;
};

static void send_release(struct will *will)
{
    int64_t hold_ms = (will->hold_until_ns - clock_boottime_ns()) / NS_PER_MS;
    const struct store_release release = {
        .token = will->token,
        .version = will->version,
        .hold_ms = hold_ms > 0 ? hold_ms : 0,
        .reason = "wrapper killed",
    };
    char nonce[LEASE_NONCE_SIZE];
    uint64_t random;

    if (getrandom(&random, sizeof random, 0) != (ssize_t)sizeof random)
        random = (uint64_t)clock_boottime_ns();
    snprintf(nonce, sizeof nonce, "%016" PRIx64, random);
    store_send_release(will->store, ++will->request, nonce, &release);
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
    /* Before the first request there was none that could have been. */
    will->in_doubt = will->request > 0;
    log_line(LOG_LEVEL_DEBUG, "will_retry", "last will: %s", why);
    uv_update_time(will->again.loop);
    uv_timer_start(&will->again, again, TRY_AGAIN_MS, 0);
}

static void on_closed(void *context, enum lease_failure failure, const char *why)
{
    (void)failure;
    try_again(context, why);
}

/* The wrapper may have been killed before it heard of its last renewal. */
static bool is_unheard_renewal(const struct will *will, const struct lease_reply *reply)
{
    return reply->verdict == LEASE_NOT_HELD &&
           election_is_unheard_renewal(&reply->record, will->id, will->token, will->version) &&
           !will->in_doubt && will->unheard < UNHEARD_MOST &&
           clock_boottime_ns() < will->valid_until_ns;
}

static void on_reply(void *context, const struct lease_reply *reply)
{
    struct will *will = context;

    if (reply->verdict == LEASE_FAILED) {
        store_close(will->store);
        try_again(will, reply->text);
        return;
    }
    if (is_unheard_renewal(will, reply)) {
        will->unheard++;
        memcpy(will->version, reply->record.version, sizeof will->version);
        send_release(will);
        return;
    }
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
        .url = &options->redis,
        .password_file = options->password_file,
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
