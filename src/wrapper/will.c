/* The election's machine, begun at the release, with a loop of its own. */
#include "will.h"

#include <stdio.h>
#include <sys/random.h>
#include <uv.h>

#include "leaderwrap/base/clock.h"
#include "leaderwrap/base/log.h"
#include "leaderwrap/election/election.h"
#include "leaderwrap/redis/store.h"
#include "outcome.h"

struct will {
    uv_loop_t loop;
    struct election election;
    struct store *store;
    uv_timer_t timer;
    bool released;
};

static void perform(struct will *will, const struct election_action *action)
{
    switch (action->kind) {
    case ACTION_OPEN:
        store_open(will->store);
        break;
    case ACTION_SEND: {
        struct lease_request request = action->send.request;
        if (request.kind == LEASE_RELEASE)
            request.release.reason = outcome_reason(action->send.end);
        store_send(will->store, &request);
        break;
    }
    case ACTION_POLL:
        store_poll(will->store, action->poll);
        break;
    case ACTION_TELL:
        will->released = will->released || action->note.kind == NOTE_RELEASED;
        break;
    case ACTION_EXIT:
        uv_stop(&will->loop);
        break;
    /* There is nothing left to run, to stop or to wait for. */
    case ACTION_WATCH:
    case ACTION_UNWATCH:
    case ACTION_START:
    case ACTION_EXTEND:
    case ACTION_STOP_TREE:
    case ACTION_KILL_TREE:
    case ACTION_ABANDON_KEEPER:
    case ACTION_RUN_HOOK:
    case ACTION_KILL_HOOK:
    case ACTION_KILL_HOOKS:
        break;
    }
}

static void on_timer(uv_timer_t *timer);

static void arm(struct will *will)
{
    int64_t wake_ns = election_wake_at_ns(&will->election);

    if (wake_ns == INT64_MAX) {
        uv_timer_stop(&will->timer);
        return;
    }
    int64_t wait_ns = max_ns(0, wake_ns - clock_boottime_ns());
    uv_update_time(&will->loop);
    uv_timer_start(&will->timer, on_timer, (uint64_t)(wait_ns / NS_PER_MS + 1), 0);
}

static void feed(struct will *will, struct election_event *event)
{
    struct election_actions actions;

    event->now_ns = clock_boottime_ns();
    election_step(&will->election, event, &actions);
    for (size_t i = 0; i < actions.count; i++)
        perform(will, &actions.list[i]);
    arm(will);
}

static void on_timer(uv_timer_t *timer)
{
    feed(timer->data, &(struct election_event){.kind = EVENT_TICK});
}

static void on_open(void *context)
{
    feed(context, &(struct election_event){.kind = EVENT_OPENED});
}

static void on_closed(void *context, enum lease_failure failure, const char *why)
{
    log_line(LOG_LEVEL_DEBUG, "will_retry", "last will: %s", why);
    feed(context, &(struct election_event){.kind = EVENT_CLOSED, .failure = failure});
}

static void on_reply(void *context, const struct lease_reply *reply)
{
    if (reply->verdict == LEASE_FAILED)
        log_line(LOG_LEVEL_DEBUG, "will_retry", "last will: %s", reply->text);
    feed(context, &(struct election_event){.kind = EVENT_REPLY, .reply = reply});
}

static void on_vote(void *context, const struct lease_vote *vote)
{
    feed(context, &(struct election_event){.kind = EVENT_VOTE, .vote = vote});
}

/* Returns 0, or -1 where there is no memory or no randomness for it. */
static int begin(struct will *will, const struct options *options, const char *id,
                 const struct keeper_term *term)
{
    struct election_config config = {.timing = options->timing,
                                     .witnesses = redis_target_has_witnesses(&options->redis),
                                     .hold_ms = options->hold_ms};
    const struct election_legacy legacy = {
        .token = term->token,
        .version = term->version,
        .begun_ns = term->begun_ns,
        .valid_until_ns = term->valid_until_ns,
    };
    const struct store_config store = {
        .loop = &will->loop,
        .target = &options->redis,
        .key = options->key,
        .id = id,
        .name = options->name,
        .ttl_ms = options->timing.ttl_ms,
        .timeout_ms = options->timing.request_timeout_ms,
        .server_clock = options->server_clock,
        .callbacks = {.on_open = on_open,
                      .on_closed = on_closed,
                      .on_reply = on_reply,
                      .on_vote = on_vote},
        .context = will,
    };

    snprintf(config.id, sizeof config.id, "%s", id);
    if (getrandom(config.nonce_key, sizeof config.nonce_key, 0) != sizeof config.nonce_key ||
        uv_loop_init(&will->loop) != 0 || store_new(&will->store, &store) != 0)
        return -1;
    uv_timer_init(&will->loop, &will->timer);
    will->timer.data = will;
    election_inherit(&will->election, &config, &legacy, clock_boottime_ns());
    return 0;
}

void will_execute(const struct options *options, const char *id, const struct keeper_term *term)
{
    struct will will = {.released = false};

    if (begin(&will, options, id, term) != 0) {
        log_line(LOG_LEVEL_ERROR, "will_failed", "the wrapper was killed and its lease is left");
        return;
    }
    feed(&will, &(struct election_event){.kind = EVENT_TICK});
    uv_run(&will.loop, UV_RUN_DEFAULT);
    if (will.released)
        log_line(LOG_LEVEL_WARNING, "will_done",
                 "the wrapper was killed; its command is dead and the lease released");
    else
        log_line(LOG_LEVEL_WARNING, "will_failed",
                 "the wrapper was killed; its command is dead, the lease ends with its TTL");
}
