/*
 * Listens to the events channel on a connection of its own. One timer does everything: it bounds
 * the handshake, paces the pings, bounds their answers, and waits between two tries.
 */
#include "leaderwrap/redis/watcher.h"

#include <errno.h>
#include <hiredis/hiredis.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "event.h"
#include "leaderwrap/base/clock.h"
#include "leaderwrap/base/log.h"
#include "leaderwrap/base/noise.h"
#include "leaderwrap/redis/connection.h"
#include "leaderwrap/redis/store.h"
#include "place.h"
#include "route.h"

#define BACKOFF_MIN_MS 100
#define BACKOFF_MAX_MS 5000
/* Only a subscription that lasted so long makes earlier failures forgotten: a server may confirm
 * each one and hang up. */
#define PROVEN_MS 2000U

enum watcher_state {
    WATCHER_ASLEEP,
    WATCHER_CONNECTING, /* until the subscription is confirmed */
    WATCHER_LISTENING,
    WATCHER_PINGING,
    WATCHER_WAITING, /* to try again */
};

struct watcher {
    struct watcher_config config;
    struct connection *connection;
    uv_timer_t timer;
    enum watcher_state state;
    int64_t backoff_ms;
    struct noise noise;
    bool no_ping;           /* the server refused it last time */
    bool pinged;            /* and was not answered yet */
    bool subscribed;        /* on the present connection */
    uint64_t subscribed_ms; /* since then, by the loop's clock */
    char *channel;
};

static void on_timer(uv_timer_t *timer);

static void enter(struct watcher *watcher, enum watcher_state state, int64_t timeout_ms)
{
    watcher->state = state;
    /* A timer counts from the loop's idea of now, which is stale inside a callback. */
    uv_update_time(watcher->config.loop);
    uv_timer_start(&watcher->timer, on_timer, timeout_ms > 0 ? (uint64_t)timeout_ms : 1, 0);
}

static void try_again_later(struct watcher *watcher)
{
    uv_update_time(watcher->config.loop);
    if (watcher->subscribed && uv_now(watcher->config.loop) - watcher->subscribed_ms >= PROVEN_MS)
        watcher->backoff_ms = BACKOFF_MIN_MS;
    watcher->subscribed = false;
    enter(watcher, WATCHER_WAITING, watcher->backoff_ms);
    watcher->backoff_ms *= 2;
    if (watcher->backoff_ms > BACKOFF_MAX_MS)
        watcher->backoff_ms = BACKOFF_MAX_MS;
}

static void connect_now(struct watcher *watcher)
{
    enter(watcher, WATCHER_CONNECTING, watcher->config.timeout_ms);
    watcher->pinged = false;
    connection_open(watcher->connection);
}

static void send_words(struct watcher *watcher, int argc, const char *const *argv)
{
    size_t lengths[2];

    for (int i = 0; i < argc; i++)
        lengths[i] = strlen(argv[i]);
    /* Where it cannot be sent no answer comes either, and the timer finds that. */
    (void)connection_send(watcher->connection, argc, argv, lengths, NULL, NULL);
}

static void on_timer(uv_timer_t *timer)
{
    static const char *const ping[] = {"PING"};
    struct watcher *watcher = timer->data;

    switch (watcher->state) {
    case WATCHER_ASLEEP:
        break;
    case WATCHER_LISTENING:
        if (watcher->no_ping)
            break;
        enter(watcher, WATCHER_PINGING, watcher->config.timeout_ms);
        watcher->pinged = true;
        send_words(watcher, 1, ping);
        break;
    case WATCHER_WAITING:
        connect_now(watcher);
        break;
    case WATCHER_CONNECTING:
    case WATCHER_PINGING:
        log_line(LOG_LEVEL_DEBUG, "watcher", "no answer on the events connection");
        connection_close(watcher->connection);
        try_again_later(watcher);
        break;
    }
}

static void on_open(void *context)
{
    struct watcher *watcher = context;
    const char *const subscribe[] = {watcher->config.key != NULL ? "SUBSCRIBE" : "PSUBSCRIBE",
                                     watcher->channel};

    send_words(watcher, 2, subscribe);
}

static void on_closed(void *context, enum lease_failure failure, const char *why)
{
    struct watcher *watcher = context;
    bool refused = failure == LEASE_FAILURE_CONFIGURATION;

    if (refused && noise_hear(&watcher->noise, why, clock_boottime_ns()).tell)
        log_line(LOG_LEVEL_WARNING, "watcher", "%s: %s",
                 watcher->pinged ? "cannot ping while listening"
                                 : "no events, so a release is noticed later",
                 why);
    else
        log_line(LOG_LEVEL_DEBUG, "watcher", "events connection: %s", why);
    /* It would be the same each time, and what is said meanwhile is missed. */
    watcher->no_ping = refused && watcher->pinged;
    try_again_later(watcher);
}

/* The key whose channel it is, for free(3); NULL where it is none. */
static char *key_of_channel(const struct watcher *watcher, const redisReply *channel)
{
    const char *behind = watcher->channel + strlen("*:events"); /* ":3", or nothing */

    if (channel->type != REDIS_REPLY_STRING || channel->len < strlen(behind) ||
        strcmp(channel->str + channel->len - strlen(behind), behind) != 0)
        return NULL;
    char *name = strndup(channel->str, channel->len - strlen(behind));
    char *key = name != NULL ? store_key_of(name, "events") : NULL;
    free(name);
    return key;
}

/* Returns whether it was an event. */
static bool hear(struct watcher *watcher, const redisReply *message)
{
    const redisReply *payload = message->element[message->elements - 1];
    struct lease_event event;
    char *key;

    if (payload->type != REDIS_REPLY_STRING || event_parse(payload->str, payload->len, &event) != 0)
        return false;
    if (watcher->config.key != NULL) {
        watcher->config.on_event(watcher->config.context, &event);
        return true;
    }
    key = key_of_channel(watcher, message->element[2]);
    if (key == NULL)
        return false;
    watcher->config.on_event_of(watcher->config.context, key, &event);
    free(key);
    return true;
}

/* "message", channel and text; or "pmessage", with the pattern in front of them. */
static bool is_published(const struct watcher *watcher, const redisReply *message)
{
    bool all = watcher->config.key == NULL;

    return strcmp(message->element[0]->str, all ? "pmessage" : "message") == 0 &&
           message->elements == (all ? 4 : 3);
}

static void on_message(void *context, const redisReply *message)
{
    struct watcher *watcher = context;
    const char *kind = message->element[0]->str;

    if (strcmp(kind, watcher->config.key != NULL ? "subscribe" : "psubscribe") == 0) {
        uv_update_time(watcher->config.loop);
        if (!watcher->subscribed)
            watcher->subscribed_ms = uv_now(watcher->config.loop);
        watcher->subscribed = true;
        enter(watcher, WATCHER_LISTENING, watcher->config.ping_ms);
        if (watcher->config.on_listening != NULL)
            watcher->config.on_listening(watcher->config.context);
        return;
    }
    /* Whatever is heard, the connection works. */
    if (watcher->state == WATCHER_LISTENING || watcher->state == WATCHER_PINGING)
        enter(watcher, WATCHER_LISTENING, watcher->config.ping_ms);
    if (strcmp(kind, "pong") == 0) {
        watcher->pinged = false;
        return;
    }
    if (!is_published(watcher, message) || !hear(watcher, message)) {
        log_line(LOG_LEVEL_DEBUG, "watcher", "a message on %s that is not ours", watcher->channel);
    }
}

int watcher_new(struct watcher **out, const struct watcher_config *config)
{
    struct watcher *watcher = calloc(1, sizeof *watcher);
    const struct connection_config connection = {
        .loop = config->loop,
        .target = config->target,
        .key = config->key,
        .client_name = config->client,
        .timeout_ms = config->timeout_ms,
        .callbacks = {.on_open = on_open, .on_closed = on_closed, .on_message = on_message},
        .context = watcher,
    };
    char channel[STORE_KEY_SIZE];
    int error = -ENOMEM;

    if (watcher == NULL)
        return -ENOMEM;
    watcher->config = *config;
    watcher->backoff_ms = BACKOFF_MIN_MS;
    store_channel(config->key, config->target->url.database, channel, sizeof channel);
    watcher->channel = strdup(channel);
    if (watcher->channel != NULL)
        error = connection_new(&watcher->connection, &connection);
    if (error != 0) {
        free(watcher->channel);
        free(watcher);
        return error;
    }
    /* Cannot fail (uv_timer_init). */
    uv_timer_init(config->loop, &watcher->timer);
    watcher->timer.data = watcher;
    *out = watcher;
    return 0;
}

void watcher_start(struct watcher *watcher)
{
    if (watcher->state == WATCHER_ASLEEP)
        connect_now(watcher);
}

void watcher_stop(struct watcher *watcher)
{
    watcher->state = WATCHER_ASLEEP;
    watcher->backoff_ms = BACKOFF_MIN_MS;
    watcher->subscribed = false;
    uv_timer_stop(&watcher->timer);
    connection_close(watcher->connection);
}

static bool is_at(const struct watcher *watcher, const struct place *place)
{
    const struct route_hop *own = connection_hop(watcher->connection);
    struct place there;

    return place_set(&there, own->host, strlen(own->host), own->port, strlen(own->port)) == 0 &&
           place_is_same(&there, place);
}

void watcher_follow(struct watcher *watcher, const struct route_hop *hop)
{
    struct place place;

    if (place_set(&place, hop->host, strlen(hop->host), hop->port, strlen(hop->port)) != 0)
        return;
    if (watcher->state == WATCHER_ASLEEP || is_at(watcher, &place))
        return;
    connection_close(watcher->connection);
    connection_moved(watcher->connection, &place);
    watcher->backoff_ms = BACKOFF_MIN_MS;
    watcher->subscribed = false;
    connect_now(watcher);
}

static void on_freed(uv_handle_t *handle)
{
    struct watcher *watcher = handle->data;

    free(watcher->channel);
    free(watcher);
}

void watcher_free(struct watcher *watcher)
{
    if (watcher == NULL)
        return;
    watcher_stop(watcher);
    connection_free(watcher->connection);
    uv_close((uv_handle_t *)&watcher->timer, on_freed);
}
