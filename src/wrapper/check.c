/* --check: acquire, renew, listen, release and erase, each once, on a key of its own; and then a
 * look at the lease's key. */
#include "check.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "executable.h"
#include "leaderwrap/base/duration.h"
#include "leaderwrap/base/log.h"
#include "leaderwrap/base/loop.h"
#include "leaderwrap/redis/store.h"
#include "leaderwrap/redis/watcher.h"
#include "occupant.h"
#include "votes.h"

#define AGAIN_MS   20 /* then twice as long each time */
#define TRIES_MOST 3  /* a server that hangs up may not have been heard out */
#define WARNINGS   3  /* history, events, and one that nobody has thought of */

enum step {
    STEP_ACQUIRE,
    STEP_RENEW, /* until an event was heard, or for one request time-out */
    STEP_RELEASE,
    STEP_PING,
    STEP_ERASE,
    STEP_LOOK,
    STEP_WITNESSES, /* until all have voted, or for one request time-out */
    STEP_DONE,
};

struct check {
    const struct options *options;
    uv_loop_t loop;
    struct store *store;
    struct watcher *watcher;
    struct occupant *occupant;
    uv_timer_t limit;
    uv_timer_t again;
    enum step step;
    uint64_t request;
    uint64_t poll;
    uint64_t token;
    char version[LEASE_NONCE_SIZE]; /* as the last renewal left it */
    bool opened;
    bool encrypted;
    struct tls_peer peer; /* where it is */
    int tries;
    uint64_t again_ms; /* until the next renewal, or the next try to connect */
    bool heard;
    bool late;                     /* no more time to hear an event */
    bool ending;                   /* the verdict is there; the scratch key is being erased */
    char server[REDIS_SHOWN_SIZE]; /* that the sentinels or nodes led to */
    struct votes votes;
    int64_t replicas;
    char warnings[WARNINGS][LEASE_TEXT_SIZE]; /* the first empty one ends them */
    char problem[2 * LEASE_TEXT_SIZE];
    int status;
};

static int status_of(enum lease_failure failure)
{
    return failure == LEASE_FAILURE_CONFIGURATION ? EXIT_OWN_FAILURE : EXIT_UNREACHABLE;
}

/* Notes the verdict. What was written is erased first, as far as we are let. */
static void end(struct check *check, int status, const char *problem)
{
    bool leave = check->ending || !check->opened || check->step >= STEP_LOOK;

    if (!check->ending) {
        check->status = status;
        snprintf(check->problem, sizeof check->problem, "%s", problem);
    }
    if (leave) {
        uv_stop(&check->loop);
        return;
    }
    check->ending = true;
    check->step = STEP_ERASE;
    store_send_erase(check->store, ++check->request);
}

/* What is left to know is whether most witnesses name this server. */
static void end_with_votes(struct check *check)
{
    bool some = redis_target_has_witnesses(&check->options->redis);

    check->step = STEP_DONE;
    if (some && !votes_are_a_majority(&check->votes))
        end(check, EXIT_UNREACHABLE,
            "no majority of the witnesses names this server as the master");
    else
        end(check, 0, "");
}

static void on_occupant(void *context, const struct occupant_answer *answer)
{
    struct check *check = context;

    check->step = STEP_WITNESSES;
    if (answer->failure != LEASE_FAILURE_NONE)
        end(check, status_of(answer->failure), answer->text);
    else if (answer->text[0] != '\0')
        end(check, EXIT_OWN_FAILURE, answer->text);
    else if (!redis_target_has_witnesses(&check->options->redis) || votes_are_all(&check->votes))
        end_with_votes(check);
}

static void on_vote(void *context, const struct lease_vote *vote)
{
    struct check *check = context;

    votes_count(&check->votes, vote);
    if (check->step == STEP_WITNESSES && votes_are_all(&check->votes))
        end_with_votes(check);
}

static void on_replicas(void *context, int64_t count)
{
    struct check *check = context;

    check->replicas = count;
}

static void look(struct check *check)
{
    int result = occupant_ask(&check->occupant, &check->loop, check->options, on_occupant, check);

    if (result != 0)
        end(check, EXIT_OWN_FAILURE, strerror(-result));
}

static void take_step(struct check *check)
{
    struct lease_request request = {.number = ++check->request,
                                    .patience_ms = check->options->timing.request_timeout_ms};

    snprintf(request.nonce, sizeof request.nonce, "check%011" PRIu64, check->request);
    switch (check->step) {
    case STEP_ACQUIRE:
        request.kind = LEASE_ACQUIRE;
        request.acquire.never_saw_record = true;
        store_send(check->store, &request);
        break;
    case STEP_RENEW:
        request.kind = LEASE_RENEW;
        request.renew.token = check->token;
        store_send(check->store, &request);
        break;
    case STEP_RELEASE:
        request.kind = LEASE_RELEASE;
        request.release.token = check->token;
        request.release.reason = "check";
        memcpy(request.release.version, check->version, sizeof request.release.version);
        store_send(check->store, &request);
        break;
    case STEP_PING:
        store_send_ping(check->store, check->request);
        break;
    case STEP_ERASE:
        store_send_erase(check->store, check->request);
        break;
    case STEP_LOOK:
        look(check);
        break;
    case STEP_WITNESSES:
    case STEP_DONE:
        break;
    }
}

static void wait_a_little(struct check *check, uv_timer_cb then)
{
    uint64_t most_ms = (uint64_t)check->options->timing.request_timeout_ms / 4;

    uv_update_time(&check->loop);
    uv_timer_start(&check->again, then, check->again_ms, 0);
    if (check->again_ms * 2 <= most_ms)
        check->again_ms *= 2;
}

static void on_again(uv_timer_t *timer)
{
    take_step(timer->data);
}

static void on_open(void *context)
{
    struct check *check = context;

    if (!check->opened && redis_target_has_witnesses(&check->options->redis)) {
        snprintf(check->server, sizeof check->server, "%s", store_where(check->store));
        store_poll(check->store, ++check->poll);
        check->votes = (struct votes){0};
    }
    check->opened = true;
    check->encrypted = store_describe(check->store, &check->peer);
    take_step(check);
}

static void on_reopen(uv_timer_t *timer)
{
    struct check *check = timer->data;
    store_open(check->store);
}

static void on_closed(void *context, enum lease_failure failure, const char *why)
{
    struct check *check = context;

    /* Another connection has the last word. */
    if (check->step >= STEP_LOOK)
        return;
    bool again = check->opened && failure != LEASE_FAILURE_CONFIGURATION && !check->ending &&
                 ++check->tries < TRIES_MOST;

    check->opened = false;
    if (again)
        wait_a_little(check, on_reopen);
    else
        end(check, status_of(failure), why);
}

/* Each of them once. */
static void note_warning(struct check *check, const char *warning)
{
    for (int i = 0; i < WARNINGS && strcmp(check->warnings[i], warning) != 0; i++) {
        if (check->warnings[i][0] == '\0') {
            snprintf(check->warnings[i], sizeof check->warnings[i], "%s", warning);
            return;
        }
    }
}

static void on_reply(void *context, const struct lease_reply *reply)
{
    static const enum lease_verdict expected[] = {
        [STEP_ACQUIRE] = LEASE_GRANTED,  [STEP_RENEW] = LEASE_RENEWED,
        [STEP_RELEASE] = LEASE_RELEASED, [STEP_PING] = LEASE_RELEASED,
        [STEP_ERASE] = LEASE_RELEASED,
    };
    struct check *check = context;

    if (check->ending) {
        uv_stop(&check->loop);
        return;
    }
    if (reply->verdict == LEASE_FAILED) {
        end(check, status_of(reply->failure), reply->text);
        return;
    }
    if (check->step == STEP_ACQUIRE)
        store_ask_replicas(check->store);
    /* Not before: whoever refuses us would be told of twice. */
    watcher_start(check->watcher);
    if (reply->verdict != expected[check->step]) {
        end(check, EXIT_OWN_FAILURE, "redis did not do on a scratch key what it was asked for");
        return;
    }
    if (reply->warning[0] != '\0')
        note_warning(check, reply->warning);
    if (check->step == STEP_RENEW)
        memcpy(check->version, reply->record.version, sizeof check->version);
    if (check->step == STEP_ACQUIRE)
        check->token = reply->record.token;
    if (check->step == STEP_RENEW && !check->heard && !check->late) {
        wait_a_little(check, on_again);
        return;
    }
    check->step++;
    take_step(check);
}

static void on_event(void *context, const struct lease_event *event)
{
    struct check *check = context;
    (void)event;
    check->heard = true;
}

/* The first time, what was to be heard is late; the second time, everything is. */
static void on_limit(uv_timer_t *timer)
{
    struct check *check = timer->data;
    bool answering = check->step == STEP_RENEW;

    if (check->step == STEP_WITNESSES) {
        end_with_votes(check);
        return;
    }
    if (check->late || !answering)
        end(check, EXIT_UNREACHABLE,
            check->options->redis.url.is_tls && !check->opened
                ? "redis does not answer in time: is that a port for TLS, rediss://?"
                : "redis does not answer in time");
    check->late = true;
}

static void print_numbers(const struct options *options)
{
    const struct timing *timing = &options->timing;
    const struct {
        const char *what;
        int64_t ms;
    } lines[] = {
        {"ttl", timing->ttl_ms},
        {"renewed every", timing->renew_ms},
        {"request time-out", timing->request_timeout_ms},
        {"stopped (TERM) after a last renewal", timing->stop_after_ms},
        {"dead (KILL) after a last renewal", timing->kill_after_ms},
        {"lease counted as expired after", timing->expire_after_ms},
        {"outage of redis that is ridden out", timing->tolerated_outage_ms},
        {"failover after a crash, at worst", timing->worst_failover_ms + options->lock_delay_ms},
    };
    char server[REDIS_SHOWN_SIZE], time[32];

    printf("%-38s%s\n", "lease key", options->key);
    printf("%-38s%s\n", "name", options->name);
    printf("%-38s%s\n", "redis", redis_target_show(&options->redis, server, sizeof server));
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
        printf("%-38s%s\n", lines[i].what, duration_format(time, sizeof time, lines[i].ms));
}

static int check_redis(struct check *check, const char *id)
{
    const struct options *options = check->options;
    char key[STORE_KEY_SIZE];
    struct store_config store = {
        .loop = &check->loop,
        .target = &options->redis,
        .key = key,
        .id = id,
        .name = options->name,
        .ttl_ms = options->timing.ttl_ms,
        .timeout_ms = options->timing.request_timeout_ms,
        .wait_replicas = options->wait_replicas,
        .server_clock = options->server_clock,
        .assume_fresh = true,
        .callbacks = {.on_open = on_open,
                      .on_closed = on_closed,
                      .on_reply = on_reply,
                      .on_vote = on_vote,
                      .on_replicas = on_replicas},
        .context = check,
    };
    struct watcher_config watcher = {
        .loop = &check->loop,
        .target = &options->redis,
        .key = key,
        .ping_ms = options->timing.ttl_ms / 3,
        .timeout_ms = options->timing.request_timeout_ms,
        .on_event = on_event,
        .context = check,
    };
    uint64_t timeout_ms = (uint64_t)options->timing.request_timeout_ms;

    /* The random part of the id keeps two checks apart. */
    snprintf(key, sizeof key, "%.500s:check-%s", options->key, strrchr(id, '#') + 1);
    int result = uv_loop_init(&check->loop);
    if (result == 0)
        result = store_new(&check->store, &store);
    if (result == 0)
        result = watcher_new(&check->watcher, &watcher);
    if (result != 0)
        return result;
    uv_timer_init(&check->loop, &check->limit);
    uv_timer_init(&check->loop, &check->again);
    check->limit.data = check->again.data = check;
    uv_timer_start(&check->limit, on_limit, timeout_ms, timeout_ms);
    store_open(check->store);
    uv_run(&check->loop, UV_RUN_DEFAULT);

    occupant_free(check->occupant);
    store_free(check->store);
    watcher_free(check->watcher);
    uv_close((uv_handle_t *)&check->limit, NULL);
    uv_close((uv_handle_t *)&check->again, NULL);
    return 0;
}

static int check_command(const struct options *options)
{
    char text[EXECUTABLE_TEXT_SIZE], shown[EXECUTABLE_TEXT_SIZE];
    int status = executable_problem(options->command, text, sizeof text);

    if (status == 0)
        return 0;
    log_sanitize(shown, sizeof shown, text);
    printf("%-38s%s\n", "command", shown);
    return status;
}

const char check_unwatched[] =
    "this redis has replicas, and nobody is asked whether it still is their master: after a "
    "fail-over two may lead until the old one is gone; name its sentinels with --sentinel, or see "
    "doc/REDIS.md about a primary without any";

/* Where the sentinels or nodes led to, and what they say of that. */
static void print_route(const struct check *check)
{
    char shown[128];

    if (check->server[0] == '\0')
        return;
    printf("%-38s%s\n", "server", check->server);
    printf("%-38s%s\n", "witnesses", votes_show(&check->votes, shown, sizeof shown));
}

/* What the connection was protected by, and for how long it will be. */
static void print_tls(const struct check *check)
{
    const struct tls_peer *peer = &check->peer;

    if (!check->encrypted)
        return;
    printf("%-38s%s, %s\n", "tls", peer->version, peer->cipher);
    printf("%-38s%s\n", "certificate of", peer->subject);
    printf("%-38s%s%s\n", "issued by", peer->issuer,
           peer->verified ? "" : " (not verified: --tls-insecure)");
    printf("%-38s%s\n", "expires", peer->expires);
}

/* What does not keep anybody from leading. Returns whether there is any. */
static bool print_warnings(const struct check *check)
{
    if (check->status != 0)
        return false;
    if (!check->heard)
        printf(
            "%-38s%s\n", "warning",
            "no events arrive (are SUBSCRIBE and PUBLISH allowed?): followers learn of a release "
            "only by asking, every --retry");
    for (int i = 0; i < WARNINGS && check->warnings[i][0] != '\0'; i++)
        printf("%-38s%s\n", "warning", check->warnings[i]);
    bool unwatched = check->replicas > 0 && !redis_target_has_witnesses(&check->options->redis);
    if (unwatched)
        printf("%-38s%s\n", "warning", check_unwatched);
    return !check->heard || check->warnings[0][0] != '\0' || unwatched;
}

const char *check_reach(enum tree_reach reach)
{
    switch (reach) {
    case TREE_REACH_GOOD:
        break;
    case TREE_REACH_SLOW:
        return "/proc is missing or shows another PID namespace, so a daemon of the command is "
               "looked for among all process numbers, which takes up to a second; mount /proc";
    case TREE_REACH_NONE:
        return "/proc is missing or shows another PID namespace, and this process has children "
               "from before, which a command's could hide behind: mount /proc, or do not exec "
               "leaderwrap from a process with children";
    }
    return NULL;
}

/* Whether something of the command could stay alive unseen. */
static enum tree_reach check_tree(void)
{
    enum tree_reach reach = tree_reach();

    if (reach != TREE_REACH_GOOD)
        printf("%-38s%s\n", reach == TREE_REACH_NONE ? "process tree" : "warning",
               check_reach(reach));
    return reach;
}

/* A result that nobody can read is none. */
static int finish_output(int status)
{
    if (fflush(stdout) == 0 && ferror(stdout) == 0)
        return status;
    log_line(LOG_LEVEL_ERROR, "check", "cannot write the result: %s", strerror(errno));
    return status != 0 ? status : EXIT_OWN_FAILURE;
}

int check_run(const struct options *options, const char *id)
{
    struct check check = {.options = options, .again_ms = AGAIN_MS, .status = EXIT_UNREACHABLE};

    print_numbers(options);
    int command_status = check_command(options);
    enum tree_reach reach = check_tree();
    int result = check_redis(&check, id);
    if (result != 0) {
        printf("%-38s%s\n", "result", strerror(-result));
        return finish_output(EXIT_OWN_FAILURE);
    }
    print_route(&check);
    print_tls(&check);
    bool warned = print_warnings(&check) || reach == TREE_REACH_SLOW;
    printf("%-38s%s\n", "result",
           check.status != 0          ? check.problem
           : command_status != 0      ? "the command cannot be started"
           : reach == TREE_REACH_NONE ? "the command could not be ended for certain"
           : warned                   ? "leading works, but for what the warnings say"
                                      : "everything that leading needs works");
    int status = check.status != 0 ? check.status : command_status;
    if (status == 0 && reach == TREE_REACH_NONE)
        status = EXIT_OWN_FAILURE;
    status = finish_output(status);
    loop_finish(&check.loop, status);
    return status;
}
