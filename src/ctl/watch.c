/* A watcher, and a look at the records whenever it begins to listen: what was said meanwhile is
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
#include "leaderwrap/redis/store.h"
#include "leaderwrap/redis/watcher.h"
#include "lease.h"
#include "read.h"
#include "show.h"
#include "survey.h"

#define PING_MS 5000

/* What was told last of a lease. */
struct told {
    char *key;
    enum ctl_state state;
    uint64_t token;
};

struct watch {
    const struct ctl_options *options; /* without a key: all leases */
    uv_loop_t loop;
    uv_signal_t signals[2];
    struct watcher *watcher;
    struct ctl_lease lease;
    struct told *told;
    size_t count;
    const char *failure; /* for good; NULL: none */
};

static void fail(struct watch *watch, const char *failure)
{
    watch->failure = failure;
    uv_stop(&watch->loop);
}

static void print_text(const struct watch *watch, const struct told *told, const char *name)
{
    char when[32];
    char shown[4 * LEASE_CELL_SIZE];
    char key[4 * STORE_KEY_SIZE];
    bool has_leader = told->state == CTL_LED || told->state == CTL_EXPIRED;
    bool all = watch->options->key == NULL;

    printf("%s  %s%s%s", show_time(clock_realtime_ms(), when, sizeof when),
           all ? show_text(told->key, key, sizeof key) : "", all ? "  " : "",
           ctl_state_word(told->state));
    if (name[0] != '\0')
        printf("%s%s", has_leader ? " by " : ", last led by ",
               show_text(name, shown, sizeof shown));
    if (has_leader)
        printf(", token %" PRIu64, told->token);
    putchar('\n');
}

static void print_json(const struct told *told, const char *name)
{
    char shown[4 * LEASE_CELL_SIZE];
    char key[4 * STORE_KEY_SIZE];
    json_t *line =
        json_pack("{sI ss ss ss sI}", "at_ms", (json_int_t)clock_realtime_ms(), "key",
                  show_text(told->key, key, sizeof key), "state", ctl_state_word(told->state),
                  "name", show_text(name, shown, sizeof shown), "token", (json_int_t)told->token);

    (void)ctl_json_print(line, 0);
}

static struct told *find(struct watch *watch, const char *key)
{
    for (size_t i = 0; i < watch->count; i++)
        if (strcmp(watch->told[i].key, key) == 0)
            return &watch->told[i];
    return NULL;
}

/* NULL: there is no memory. */
static struct told *add(struct watch *watch, const char *key)
{
    struct told *list = realloc(watch->told, (watch->count + 1) * sizeof *list);
    char *copy = strdup(key);

    if (list != NULL)
        watch->told = list;
    if (list == NULL || copy == NULL) {
        free(copy);
        fail(watch, "out of memory");
        return NULL;
    }
    list[watch->count].key = copy;
    return &list[watch->count++];
}

/* Tells it where it is news. */
static void tell(struct watch *watch, const char *key, enum ctl_state state, const char *name,
                 uint64_t token)
{
    struct told *told = find(watch, key);

    if (told != NULL && told->state == state && told->token == token)
        return;
    if (told == NULL)
        told = add(watch, key);
    if (told == NULL)
        return;
    told->state = state;
    told->token = token;
    if (watch->options->json)
        print_json(told, name);
    else
        print_text(watch, told, name);
    if (fflush(stdout) != 0)
        fail(watch, "cannot write to standard output");
}

static int look_at_one(struct watch *watch, char *error, size_t size)
{
    const char *key = watch->options->key;
    const struct ctl_lease *lease = &watch->lease;
    int status = read_lease_alone(watch->options, key, 1, &watch->lease, error, size);

    if (status == 0)
        tell(watch, key, lease->state, lease->name, lease->token);
    return status;
}

/* Those that were told of are looked at again: one that was deleted is none. */
static int look_at_each(struct watch *watch, struct survey *survey, struct read_keys *keys,
                        char *error, size_t size)
{
    const struct ctl_lease *lease = &watch->lease;
    size_t known = watch->count;
    int status = survey_keys(survey, keys, error, size);

    for (size_t i = 0; i < keys->count && status == 0; i++)
        if (find(watch, keys->list[i]) == NULL) {
            status = survey_lease(survey, keys->list[i], 1, &watch->lease, error, size);
            if (status == 0)
                tell(watch, keys->list[i], lease->state, lease->name, lease->token);
        }
    for (size_t i = 0; i < known && status == 0; i++) {
        status = survey_lease(survey, watch->told[i].key, 1, &watch->lease, error, size);
        if (status == 0)
            tell(watch, watch->told[i].key, lease->state, lease->name, lease->token);
    }
    return status;
}

static int look_at_all(struct watch *watch, char *error, size_t size)
{
    struct survey *survey;
    struct read_keys keys = {0};
    int status = survey_open(&survey, watch->options, error, size);

    if (status != 0)
        return status;
    status = look_at_each(watch, survey, &keys, error, size);
    read_free(&keys);
    survey_free(survey);
    return status;
}

static int look(struct watch *watch, char *error, size_t size)
{
    return watch->options->key != NULL ? look_at_one(watch, error, size)
                                       : look_at_all(watch, error, size);
}

static void on_listening(void *context)
{
    char error[LEASE_CELL_SIZE];
    char shown[4 * LEASE_CELL_SIZE];

    if (look(context, error, sizeof error) != 0)
        fprintf(stderr, "leaderctl: %s\n", show_text(error, shown, sizeof shown));
}

static void on_event_of(void *context, const char *key, const struct lease_event *event)
{
    static const enum ctl_state states[] = {
        [LEASE_ABSENT] = CTL_NONE,   [LEASE_FREE] = CTL_FREE,     [LEASE_HELD] = CTL_LED,
        [LEASE_CLOSED] = CTL_CLOSED, [LEASE_VACANT] = CTL_VACANT,
    };

    tell(context, key, states[event->state], event->name, event->token);
}

static void on_event(void *context, const struct lease_event *event)
{
    const struct watch *watch = context;

    on_event_of(context, watch->options->key, event);
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
        .on_event_of = on_event_of,
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
        if (result == 0 && status == 0 && watch->failure == NULL) {
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
    else if (watch->failure != NULL)
        snprintf(error, size, "%s", watch->failure);
    return result != 0 || watch->failure != NULL ? EXIT_OWN_FAILURE : status;
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
    for (size_t i = 0; i < watch->count; i++)
        free(watch->told[i].key);
    free(watch->told);
    free(watch);
    return status;
}
