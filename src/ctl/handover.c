/* The wish is made when the channel is heard, so that nothing that follows from it is missed. */
#include "handover.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "act.h"
#include "json.h"
#include "leaderwrap/base/clock.h"
#include "leaderwrap/base/log.h"
#include "leaderwrap/base/loop.h"
#include "leaderwrap/redis/watcher.h"
#include "read.h"
#include "session.h"
#include "show.h"

#define PING_MS 1000

struct handover {
    const struct ctl_options *options;
    uv_loop_t loop;
    uv_timer_t timer;
    struct watcher *watcher;
    struct act_answer asked;
    bool has_asked;
    bool was_released;
    int64_t began_ns;
    struct ctl_lease lease;
    int status;
    char error[LEASE_CELL_SIZE];
};

static void end(struct handover *handover, int status)
{
    handover->status = status;
    uv_stop(&handover->loop);
}

enum step {
    STEP_ASKED,
    STEP_RELEASED,
    STEP_LED,
};

static void print_json(enum step step, const char *name, uint64_t token, int64_t after_ms)
{
    static const char *const words[] = {
        [STEP_ASKED] = "asked", [STEP_RELEASED] = "released", [STEP_LED] = "led"};
    json_t *line = json_pack("{ss ss sI sI}", "event", words[step], "name", name, "token",
                             (json_int_t)token, "after_ms", (json_int_t)after_ms);

    (void)ctl_json_print(line, 0);
}

static void print_text(enum step step, const char *name, uint64_t token, int64_t after_ms)
{
    char span[24];

    show_span(after_ms, span, sizeof span);
    switch (step) {
    case STEP_ASKED:
        printf("%s, with token %" PRIu64 ", is asked to step down\n", name, token);
        break;
    case STEP_RELEASED:
        printf("released after %s\n", span);
        break;
    case STEP_LED:
        printf("%s leads with token %" PRIu64 " after %s\n", name, token, span);
        break;
    }
}

static void tell(struct handover *handover, enum step step, const char *name, uint64_t token)
{
    int64_t after_ms = (clock_boottime_ns() - handover->began_ns) / NS_PER_MS;
    char shown[4 * LEASE_CELL_SIZE];

    show_text(name, shown, sizeof shown);
    if (handover->options->json)
        print_json(step, shown, token, after_ms);
    else
        print_text(step, shown, token, after_ms);
    fflush(stdout);
}

static void tell_released(struct handover *handover)
{
    if (!handover->was_released)
        tell(handover, STEP_RELEASED, handover->asked.name, handover->asked.token);
    handover->was_released = true;
}

static void tell_led(struct handover *handover, const char *name, uint64_t token)
{
    tell(handover, STEP_LED, name, token);
    end(handover, 0);
}

/* Returns 0 or an exit status. */
static int ask(struct handover *handover, struct session *session)
{
    const struct ctl_options *options = handover->options;
    int status = act_on(session, options, options->key, &handover->asked, handover->error,
                        sizeof handover->error);

    if (status != 0)
        return status;
    if (handover->asked.result != ACT_DONE) {
        snprintf(handover->error, sizeof handover->error, "nobody leads");
        return EXIT_NOBODY_LEADS;
    }
    handover->has_asked = true;
    handover->began_ns = clock_boottime_ns();
    uv_update_time(&handover->loop);
    tell(handover, STEP_ASKED, handover->asked.name, handover->asked.token);
    return 0;
}

/* What happened while nobody listened. */
static int look(struct handover *handover, struct session *session)
{
    struct ctl_lease *lease = &handover->lease;

    memset(lease, 0, sizeof *lease);
    int status = read_lease(session, handover->options->key, 1, lease, handover->error,
                            sizeof handover->error);
    if (status == 0 && lease->state == CTL_LED && lease->token > handover->asked.token)
        tell_led(handover, lease->name, lease->token);
    else if (status == 0 && lease->state == CTL_FREE)
        tell_released(handover);
    return status;
}

static void on_listening(void *context)
{
    struct handover *handover = context;
    const struct ctl_options *options = handover->options;
    struct session *session;
    int status = session_open(&session, &options->redis, options->key, options->timeout_ms,
                              handover->error, sizeof handover->error);

    if (status == 0) {
        status = handover->has_asked ? look(handover, session) : ask(handover, session);
        session_free(session);
    }
    if (status != 0)
        end(handover, status);
}

static void on_event(void *context, const struct lease_event *event)
{
    struct handover *handover = context;

    if (!handover->has_asked)
        return;
    if (event->state == LEASE_HELD && event->token > handover->asked.token)
        tell_led(handover, event->name, event->token);
    else if (event->state == LEASE_FREE)
        tell_released(handover);
}

static void on_time_over(uv_timer_t *timer)
{
    struct handover *handover = timer->data;

    snprintf(handover->error, sizeof handover->error, "%s",
             !handover->has_asked     ? "the events channel cannot be listened to"
             : handover->was_released ? "released, and nobody else leads"
                                      : "the leader has not stepped down in time");
    end(handover, EXIT_NOBODY_LEADS);
}

static int listen_and_wait(struct handover *handover)
{
    const struct ctl_options *options = handover->options;
    const struct watcher_config config = {
        .loop = &handover->loop,
        .target = &options->redis,
        .key = options->key,
        .ping_ms = PING_MS,
        .timeout_ms = options->timeout_ms,
        .on_listening = on_listening,
        .on_event = on_event,
        .context = handover,
    };
    int result = uv_loop_init(&handover->loop);

    if (result != 0)
        return result;
    uv_timer_init(&handover->loop, &handover->timer);
    handover->timer.data = handover;
    uv_timer_start(&handover->timer, on_time_over, (uint64_t)options->span_ms, 0);
    result = watcher_new(&handover->watcher, &config);
    if (result == 0) {
        watcher_start(handover->watcher);
        uv_run(&handover->loop, UV_RUN_DEFAULT);
    }
    watcher_free(handover->watcher);
    uv_close((uv_handle_t *)&handover->timer, NULL);
    loop_finish(&handover->loop, 0);
    return result;
}

/* A Redis that is not there is told of at once, and not when the time is over. */
static int try_redis(const struct ctl_options *options, char *error, size_t size)
{
    struct session *session;
    int status =
        session_open(&session, &options->redis, options->key, options->timeout_ms, error, size);

    if (status != 0)
        return status;
    status = session_ping(session, error, size);
    session_free(session);
    return status;
}

int handover_run(const struct ctl_options *options, char *error, size_t size)
{
    const struct log_config log = {.level = LOG_LEVEL_WARNING, .name = "leaderctl"};
    int tried = try_redis(options, error, size);

    if (tried != 0)
        return tried;
    struct handover *handover = calloc(1, sizeof *handover);
    if (handover == NULL) {
        snprintf(error, size, "out of memory");
        return EXIT_OWN_FAILURE;
    }
    log_configure(&log);
    handover->options = options;
    int result = listen_and_wait(handover);
    int status = result == 0 ? handover->status : EXIT_OWN_FAILURE;
    if (result != 0)
        snprintf(error, size, "cannot start: %s", strerror(-result));
    else if (status != 0)
        snprintf(error, size, "%s", handover->error);
    free(handover);
    return status;
}
