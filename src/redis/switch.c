/* A subscription to one of the sentinels. */
#include "switch.h"

#include <errno.h>
#include <hiredis/hiredis.h>
#include <stdlib.h>
#include <string.h>

#include "leaderwrap/base/log.h"
#include "leaderwrap/redis/connection.h"

#define CHANNEL "+switch-master"
#define WORDS   5

/* What is not permitted is tried again all the same: a person may change it. */
#define REFUSED_PAUSE_MS 60000

struct switch_listener {
    struct switch_config config;
    struct redis_target target; /* the present sentinel */
    struct connection *connection;
    uv_timer_t timer; /* bounds a subscription, or ends a pause */
    size_t turn;
    bool started;
    uint64_t heard_ms; /* the last hint; 0: none yet */
};

int switch_read(const char *payload, const char *service, struct place *place)
{
    const char *words[WORDS];
    size_t lengths[WORDS];

    for (int i = 0; i < WORDS; i++) {
        words[i] = payload;
        lengths[i] = strcspn(payload, " ");
        payload += lengths[i];
        /* One blank between two words, and nothing behind the last. */
        if ((*payload == ' ') != (i < WORDS - 1))
            return -1;
        payload += *payload == ' ';
    }
    if (lengths[0] != strlen(service) || memcmp(words[0], service, lengths[0]) != 0)
        return -1;
    return place_set(place, words[3], lengths[3], words[4], lengths[4]);
}

static void on_timer(uv_timer_t *timer);

static void set_timer(struct switch_listener *listener, int64_t ms)
{
    uv_update_time(listener->config.loop);
    uv_timer_start(&listener->timer, on_timer, (uint64_t)ms, 0);
}

static void let_go(struct switch_listener *listener)
{
    connection_free(listener->connection);
    listener->connection = NULL;
    redis_target_clear(&listener->target);
}

static void pause_then_next(struct switch_listener *listener, int64_t pause_ms)
{
    let_go(listener);
    listener->turn++;
    set_timer(listener, pause_ms);
}

/* Where it cannot be sent nothing is confirmed, and the timer finds that. */
static void on_open(void *context)
{
    struct switch_listener *listener = context;
    const char *const argv[] = {"SUBSCRIBE", CHANNEL};
    const size_t lengths[] = {strlen(argv[0]), strlen(argv[1])};

    (void)connection_send(listener->connection, 2, argv, lengths, NULL, NULL);
}

static void on_closed(void *context, enum lease_failure failure, const char *why)
{
    log_line(LOG_LEVEL_DEBUG, "switch", "no word of a fail-over can be heard: %s", why);
    pause_then_next(context,
                    failure == LEASE_FAILURE_CONFIGURATION ? REFUSED_PAUSE_MS : SWITCH_PAUSE_MS);
}

static void hear(struct switch_listener *listener, const redisReply *message)
{
    const redisReply *payload = message->elements == 3 ? message->element[2] : NULL;
    uint64_t now_ms = uv_now(listener->config.loop);
    struct place place;

    if (payload == NULL || payload->type != REDIS_REPLY_STRING ||
        switch_read(payload->str, listener->config.target->service, &place) != 0 ||
        (listener->heard_ms != 0 && now_ms - listener->heard_ms < SWITCH_PAUSE_MS))
        return;
    listener->heard_ms = now_ms;
    listener->config.on_switch(listener->config.context, &place);
}

static void on_message(void *context, const redisReply *message)
{
    struct switch_listener *listener = context;
    const char *kind = message->element[0]->str;

    if (strcmp(kind, "subscribe") == 0)
        uv_timer_stop(&listener->timer);
    else if (strcmp(kind, "message") == 0)
        hear(listener, message);
}

static void connect_now(struct switch_listener *listener)
{
    const struct redis_target *target = listener->config.target;
    const struct redis_seed *seed = &target->seeds[listener->turn % target->seed_count];
    const struct connection_config config = {
        .loop = listener->config.loop,
        .target = &listener->target,
        .timeout_ms = listener->config.timeout_ms,
        .callbacks = {.on_open = on_open, .on_closed = on_closed, .on_message = on_message},
        .context = listener,
    };

    if (redis_target_one(target, REDIS_AS_SENTINEL, seed->host, seed->port, &listener->target) !=
            0 ||
        connection_new(&listener->connection, &config) != 0) {
        listener->connection = NULL;
        pause_then_next(listener, SWITCH_PAUSE_MS);
        return;
    }
    set_timer(listener, listener->config.timeout_ms);
    connection_open(listener->connection);
}

static void on_timer(uv_timer_t *timer)
{
    struct switch_listener *listener = timer->data;

    if (listener->connection == NULL)
        connect_now(listener);
    else
        pause_then_next(listener, SWITCH_PAUSE_MS);
}

int switch_new(struct switch_listener **out, const struct switch_config *config)
{
    struct switch_listener *listener = calloc(1, sizeof *listener);

    if (listener == NULL)
        return -ENOMEM;
    listener->config = *config;
    /* Cannot fail (uv_timer_init). */
    uv_timer_init(config->loop, &listener->timer);
    listener->timer.data = listener;
    *out = listener;
    return 0;
}

void switch_start(struct switch_listener *listener)
{
    if (listener->started)
        return;
    listener->started = true;
    connect_now(listener);
}

static void on_freed(uv_handle_t *handle)
{
    free(handle->data);
}

void switch_free(struct switch_listener *listener)
{
    if (listener == NULL)
        return;
    let_go(listener);
    uv_close((uv_handle_t *)&listener->timer, on_freed);
}
