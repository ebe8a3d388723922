/* A watcher, and a look at the record whenever it begins to listen: what was said meanwhile is
 * lost. */
#include "watch.h"

#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "json.h"
#include "leaderwrap/base/clock.h"
#include "leaderwrap/base/log.h"
#include "leaderwrap/base/loop.h"
#include "leaderwrap/redis/watcher.h"
#include "lease.h"
#include "read.h"
#include "session.h"
#include "show.h"

#define PING_MS 5000

struct watch {
    const struct ctl_options *options;
    uv_loop_t loop;
    uv_signal_t signals[2];
    struct watcher *watcher;
    struct ctl_lease lease;
    bool told; /* something, which was this: */
    enum ctl_state state;
    uint64_t token;
    bool failed; /* nobody can be told */
};

static void print_text(enum ctl_state state, const char *name, uint64_t token)
{
    char when[32];
    char shown[4 * LEASE_CELL_SIZE];
    bool has_leader = state == CTL_LED || state == CTL_EXPIRED;

    printf("%s  %s", show_time(clock_realtime_ms(), when, sizeof when), ctl_state_word(state));
    if (name[0] != '\0')
        printf("%s%s", has_leader ? " by " : ", last led by ",
               show_text(name, shown, sizeof shown));
    if (has_leader)
        printf(", token %" PRIu64, token);
    putchar('\n');
}

static void print_json(enum ctl_state state, const char *name, uint64_t token)
{
    char shown[4 * LEASE_CELL_SIZE];
    json_t *line = json_pack("{sI ss ss sI}", "at_ms", (json_int_t)clock_realtime_ms(), "state",
                             ctl_state_word(state), "name", show_text(name, shown, sizeof shown),
                             "token", (json_int_t)token);

    (void)ctl_json_print(line, 0);
}

/* Tells it where it is news. */
static void tell(struct watch *watch, enum ctl_state state, const char *name, uint64_t token)
{
    if (watch->told && watch->state == state && watch->token == token)
        return;
    watch->told = true;
    watch->state = state;
    watch->token = token;
    if (watch->options->json)
        print_json(state, name, token);
    else
        print_text(state, name, token);
    if (fflush(stdout) != 0) {
        watch->failed = true;
        uv_stop(&watch->loop);
    }
}

static int look(struct watch *watch, char *error, size_t size)
{
    const struct ctl_options *options = watch->options;
    struct session *session;
    int status =
        session_open(&session, &options->redis, options->key, options->timeout_ms, error, size);

    if (status != 0)
        return status;
    memset(&watch->lease, 0, sizeof watch->lease);
    status = read_lease(session, options->key, 1, &watch->lease, error, size);
    session_free(session);
    if (status == 0)
        tell(watch, watch->lease.state, watch->lease.name, watch->lease.token);
    return status;
}

static void on_listening(void *context)
{
    char error[LEASE_CELL_SIZE];
    char shown[4 * LEASE_CELL_SIZE];

    if (look(context, error, sizeof error) != 0)
        fprintf(stderr, "leaderctl: %s\n", show_text(error, shown, sizeof shown));
}

static void on_event(void *context, const struct lease_event *event)
{
    static const enum ctl_state states[] = {
        [LEASE_ABSENT] = CTL_NONE,   [LEASE_FREE] = CTL_FREE,     [LEASE_HELD] = CTL_LED,
        [LEASE_CLOSED] = CTL_CLOSED, [LEASE_VACANT] = CTL_VACANT,
    };

    tell(context, states[event->state], event->name, event->token);
}

static void on_signal(uv_signal_t *signal, int number)
{
    (void)number;
    uv_stop(signal->loop);
}

static int open_all(struct watch *watch)
{
    const int numbers[2] = {SIGINT, SIGTERM};
    struct watcher_config config = {
        .loop = &watch->loop,
        .target = &watch->options->redis,
        .key = watch->options->key,
        .ping_ms = PING_MS,
        .timeout_ms = watch->options->timeout_ms,
        .on_listening = on_listening,
        .on_event = on_event,
        .context = watch,
    };
    int result = 0;

    for (int i = 0; i < 2; i++)
        uv_signal_init(&watch->loop, &watch->signals[i]);
    for (int i = 0; i < 2 && result == 0; i++)
        result = uv_signal_start(&watch->signals[i], on_signal, numbers[i]);
    return result == 0 ? watcher_new(&watch->watcher, &config) : result;
}

static int watch_on(struct watch *watch, char *error, size_t size)
{
    int result = uv_loop_init(&watch->loop);
    int status = 0;

    if (result == 0) {
        result = open_all(watch);
        if (result == 0)
            status = look(watch, error, size);
        if (result == 0 && status == 0 && !watch->failed) {
            watcher_start(watch->watcher);
            uv_run(&watch->loop, UV_RUN_DEFAULT);
        }
        watcher_free(watch->watcher);
        for (int i = 0; i < 2; i++)
            uv_close((uv_handle_t *)&watch->signals[i], NULL);
        loop_finish(&watch->loop, 0);
    }
    if (result != 0)
        snprintf(error, size, "cannot start: %s", strerror(-result));
    else if (watch->failed)
        snprintf(error, size, "cannot write to standard output");
    return result != 0 || watch->failed ? EXIT_OWN_FAILURE : status;
}

int watch_run(const struct ctl_options *options, char *error, size_t size)
{
    const struct log_config log = {.level = LOG_LEVEL_WARNING, .name = "leaderctl"};
    struct watch *watch = calloc(1, sizeof *watch);

    if (watch == NULL) {
        snprintf(error, size, "out of memory");
        return EXIT_OWN_FAILURE;
    }
    log_configure(&log);
    watch->options = options;
    int status = watch_on(watch, error, size);
    free(watch);
    return status;
}
