/* Hooks and health checks, each as a run below a keeper of its own. */
#include "companions.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "leaderwrap/base/clock.h"
#include "leaderwrap/base/duration.h"
#include "leaderwrap/base/log.h"
#include "report.h"

/* A keeper that was told to kill is believed to be at it for so long. */
#define KEEPER_PATIENCE_MS 5000

static const char *const hook_names[] = {[HOOK_ACQUIRE] = "on-acquire", [HOOK_LOSE] = "on-lose"};
static const char *const hook_events[] = {[HOOK_ACQUIRE] = "acquire", [HOOK_LOSE] = "lose"};

static const char *name_of(const struct companion *companion)
{
    bool is_health = companion == &companion->all->list[COMPANION_HEALTH];
    return is_health ? "the health check" : "the hook";
}

static int fork_companion(struct companion *companion, const struct keeper_config *pattern,
                          char *const *command)
{
    struct keeper_config config = *pattern;

    config.command = command;
    companion->keeper = keeper_fork(&config, &companion->fd);
    return companion->keeper < 0 ? companion->keeper : 0;
}

/* Both hooks share a keeper, and so a command: they are never run at the same time. */
static int fork_hooks(struct companions *companions, const struct keeper_config *pattern)
{
    static const char choose[] =
        "exec >&2; "
        "if [ \"$LEADERWRAP_EVENT\" = acquire ]; then eval \"$1\"; else eval \"$2\"; fi";
    const char *acquire = companions->options->hooks[HOOK_ACQUIRE];
    const char *lose = companions->options->hooks[HOOK_LOSE];
    const char *const command[] = {"/bin/sh",
                                   "-c",
                                   choose,
                                   "leaderwrap",
                                   acquire != NULL ? acquire : "",
                                   lose != NULL ? lose : "",
                                   NULL};

    if (acquire == NULL && lose == NULL)
        return 0;
    return fork_companion(&companions->list[COMPANION_HOOKS], pattern, (char *const *)command);
}

static int fork_health(struct companions *companions, const struct keeper_config *pattern)
{
    const char *const command[] = {"/bin/sh", "-c", companions->options->health_cmd, NULL};

    if (companions->options->health_cmd == NULL)
        return 0;
    return fork_companion(&companions->list[COMPANION_HEALTH], pattern, (char *const *)command);
}

int companions_fork(struct companions *companions, const struct options *options,
                    const struct keeper_config *pattern)
{
    memset(companions, 0, sizeof *companions);
    companions->options = options;
    health_end(&companions->health);
    for (int i = 0; i < COMPANIONS; i++)
        companions->list[i] = (struct companion){.all = companions, .fd = -1};
    int result = fork_hooks(companions, pattern);
    return result == 0 ? fork_health(companions, pattern) : result;
}

static void ask(struct companion *companion, enum keeper_request_kind kind, int64_t end_ns)
{
    struct keeper_request request = {
        .kind = kind, .run = companion->run, .stop_at_ns = end_ns, .kill_at_ns = end_ns};

    keeper_link_send(companion->link, &request);
}

/* When the present run has to be over, whether it belongs to the term or not. */
static int64_t end_of(const struct companion *companion)
{
    return companion->bound ? min_ns(companion->over_at_ns, companion->all->kill_at_ns)
                            : companion->over_at_ns;
}

/* Begins a run. `call` is NULL for a check. */
static void start(struct companion *companion, int64_t timeout_ms, uint64_t token,
                  const struct hook_call *call)
{
    int64_t now_ns = clock_boottime_ns();

    companion->run++;
    companion->busy = true;
    companion->bound = call == NULL || call->hook == HOOK_ACQUIRE;
    companion->killed = false;
    companion->overdue = false;
    companion->reminded = false;
    companion->stuck = false;
    companion->wait_status = 0;
    companion->error = 0;
    companion->over_at_ns = now_ns + timeout_ms * NS_PER_MS;

    struct keeper_request request = {
        .kind = KEEPER_START,
        .run = companion->run,
        .token = token,
        .stop_at_ns = end_of(companion),
        .kill_at_ns = end_of(companion),
    };
    if (call != NULL) {
        snprintf(request.event, sizeof request.event, "%s", hook_events[call->hook]);
        memcpy(request.reason, call->reason, sizeof request.reason);
    }
    keeper_link_send(companion->link, &request);
}

/* What was surrendered is waited for by others. */
static bool is_busy(const struct companion *companion)
{
    return companion->busy && companion->link != NULL;
}

static void remind(struct companion *companion)
{
    companion->reminded = true;
    companion->reminded_ns = clock_boottime_ns();
    ask(companion, KEEPER_KILL, 0);
}

/* When its keeper is to be taken for hung: what belongs to the term has to be swept before the
 * lease is out. Counted from when its being late was noticed, for this process may have been
 * stopped, and its keeper's word lie unread. */
static int64_t give_up_at_ns(const struct companion *companion)
{
    const struct companions *companions = companion->all;
    int64_t patience_ns = companion->reminded_ns + KEEPER_PATIENCE_MS * NS_PER_MS;
    int64_t from_ns = max_ns(companion->reminded_ns, companions->kill_at_ns);

    if (companion->stuck)
        return INT64_MAX;
    if (!companion->bound)
        return patience_ns;
    return min_ns(patience_ns, from_ns + companions->options->timing.margin_ms * NS_PER_MS * 3 / 4);
}

/* When it is to be reminded, or its keeper to be given up. */
static int64_t due_at_ns(const struct companion *companion)
{
    return companion->reminded ? give_up_at_ns(companion) : end_of(companion);
}

static void kill_companion(struct companion *companion)
{
    if (!is_busy(companion) || companion->killed)
        return;
    companion->killed = true;
    ask(companion, KEEPER_KILL, 0);
}

/* How the run ended, in words. Returns whether it is a success. */
static bool judge(const struct companion *companion, int64_t timeout_ms, char *words, size_t size)
{
    char time[32];

    if (companion->error != 0) {
        snprintf(words, size, "could not be started: %s", strerror(companion->error));
    } else if (companion->overdue && clock_boottime_ns() >= companion->over_at_ns) {
        duration_format(time, sizeof time, timeout_ms);
        snprintf(words, size, "took longer than %s and was killed", time);
    } else if (companion->overdue || companion->killed) {
        snprintf(words, size, "was killed with the term");
    } else {
        report_wait_status(companion->wait_status, words, size);
        return companion->wait_status == 0;
    }
    return false;
}

static void start_hook(struct companions *companions, const struct hook_call *call)
{
    companions->current = *call;
    log_line(LOG_LEVEL_DEBUG, "hook", "running the %s hook", hook_names[call->hook]);
    start(&companions->list[COMPANION_HOOKS], companions->options->hook_timeout_ms, call->token,
          call);
}

static void hook_over(struct companions *companions)
{
    char words[160];
    bool success = judge(&companions->list[COMPANION_HOOKS], companions->options->hook_timeout_ms,
                         words, sizeof words);

    log_line(success ? LOG_LEVEL_DEBUG : LOG_LEVEL_WARNING, "hook", "the %s hook %s",
             hook_names[companions->current.hook], words);
    companions->hooks_over[companions->current.hook]++;
    if (companions->waiting) {
        companions->waiting = false;
        start_hook(companions, &companions->next);
    }
}

static void tell_result(struct companions *companions, enum health_verdict verdict,
                        const char *words)
{
    const struct options *options = companions->options;

    switch (verdict) {
    case HEALTH_UNCHANGED:
        break;
    case HEALTH_HEALTHY:
        log_line(LOG_LEVEL_INFO, "healthy", "the command is healthy");
        break;
    case HEALTH_STARTING:
        log_line(LOG_LEVEL_DEBUG, "health_starting", "the health check %s; not counted yet", words);
        break;
    case HEALTH_FAILING:
        log_line(LOG_LEVEL_WARNING, "health_failed",
                 "the health check %s (%" PRId64 " of %" PRId64 " in a row)", words,
                 companions->health.failures, options->health.retries);
        break;
    case HEALTH_UNHEALTHY:
        log_line(LOG_LEVEL_ERROR, "unhealthy",
                 "the health check %s (%" PRId64 " in a row); stopping the command", words,
                 companions->health.failures);
        companions->callbacks.on_unhealthy(companions->context);
        break;
    }
}

static void check_failed(struct companions *companions, const char *words)
{
    tell_result(companions, health_result(&companions->health, false, clock_boottime_ns()), words);
}

static void check_over(struct companions *companions)
{
    const struct companion *companion = &companions->list[COMPANION_HEALTH];
    char words[160];
    bool success = judge(companion, companions->options->health.timeout_ms, words, sizeof words);
    int64_t now_ns = clock_boottime_ns();

    if (companion->error == 0) {
        tell_result(companions, health_result(&companions->health, success, now_ns), words);
        return;
    }
    /* That says something about this host, and nothing about the command. */
    log_line(LOG_LEVEL_WARNING, "health_skipped", "the health check %s", words);
    health_skip(&companions->health, now_ns);
}

static void over(struct companion *companion)
{
    struct companions *companions = companion->all;

    if (!companion->busy)
        return;
    companion->busy = false;
    if (companion == &companions->list[COMPANION_HOOKS]) {
        hook_over(companions);
        companions->callbacks.on_hook_over(companions->context);
    } else {
        check_over(companions);
        companions->callbacks.on_check_over(companions->context);
    }
}

/* Its keeper is at it, and nobody could do better: no more is expected of it. A check has failed
 * by now, all the same. */
static void be_stuck(struct companion *companion)
{
    struct companions *companions = companion->all;

    companion->reminded = true;
    companion->stuck = true;
    if (companion != &companions->list[COMPANION_HEALTH])
        return;
    check_failed(companions, "cannot be ended");
    companions->callbacks.on_check_stuck(companions->context);
}

static void on_message(void *context, const struct keeper_message *message)
{
    struct companion *companion = context;

    if (message->run != companion->run)
        return;
    switch ((enum keeper_message_kind)message->kind) {
    case KEEPER_EXEC_FAILED:
    case KEEPER_NOT_STARTED:
        companion->error = message->value;
        break;
    case KEEPER_CHILD_EXIT:
        companion->wait_status = message->value;
        break;
    case KEEPER_STOPPING:
        companion->overdue = true;
        break;
    case KEEPER_TREE_DEAD:
        over(companion);
        break;
    case KEEPER_STUCK:
        log_line(LOG_LEVEL_ERROR, "stuck", "%" PRId32 " processes of %s do not die", message->value,
                 name_of(companion));
        be_stuck(companion);
        break;
    case KEEPER_ACK:
    case KEEPER_STARTED:
        break;
    }
}

static void lose(const struct companion *companion, const char *why)
{
    char text[256];

    snprintf(text, sizeof text, "%s: %s", name_of(companion), why);
    companion->all->callbacks.on_lost(companion->all->context, text);
}

static void on_link_lost(void *context, const char *why)
{
    lose(context, why);
}

int companions_open(struct companions *companions, uv_loop_t *loop, int64_t ack_timeout_ms,
                    const struct companions_callbacks *callbacks, void *context)
{
    static const struct keeper_link_callbacks link_callbacks = {.on_message = on_message,
                                                                .on_lost = on_link_lost};
    int result = 0;

    companions->callbacks = *callbacks;
    companions->context = context;
    for (int i = 0; i < COMPANIONS && result == 0; i++) {
        struct companion *companion = &companions->list[i];
        if (companion->keeper > 0)
            result = keeper_link_open_companion(&companion->link, loop, companion->fd,
                                                ack_timeout_ms, &link_callbacks, companion);
    }
    return result;
}

void companions_close(struct companions *companions)
{
    for (int i = 0; i < COMPANIONS; i++)
        keeper_link_close(companions->list[i].link);
}

void companions_run_hook(struct companions *companions, const struct election_hook_run *run,
                         const char *reason)
{
    const struct companion *companion = &companions->list[COMPANION_HOOKS];
    struct hook_call call = {.hook = run->hook, .token = run->token};

    snprintf(call.reason, sizeof call.reason, "%s", reason);
    companions->kill_at_ns = run->deadlines.kill_at_ns;
    if (companion->link == NULL) {
        companions->hooks_over[call.hook]++;
        return;
    }
    if (!companion->busy) {
        start_hook(companions, &call);
        return;
    }
    if (companions->waiting)
        companions->hooks_over[companions->next.hook]++;
    companions->next = call;
    companions->waiting = true;
}

void companions_kill_hooks(struct companions *companions)
{
    if (companions->waiting) {
        companions->waiting = false;
        companions->hooks_over[companions->next.hook]++;
    }
    kill_companion(&companions->list[COMPANION_HOOKS]);
}

void companions_kill_hook(struct companions *companions)
{
    if (companions->current.hook == HOOK_ACQUIRE)
        kill_companion(&companions->list[COMPANION_HOOKS]);
}

bool companions_take_hook(struct companions *companions, enum election_hook *hook)
{
    for (int i = 0; i < ELECTION_HOOKS; i++) {
        if (companions->hooks_over[i] > 0) {
            companions->hooks_over[i]--;
            *hook = (enum election_hook)i;
            return true;
        }
    }
    return false;
}

void companions_extend(struct companions *companions, const struct deadlines *deadlines)
{
    companions->kill_at_ns = deadlines->kill_at_ns;
    for (int i = 0; i < COMPANIONS; i++) {
        struct companion *companion = &companions->list[i];
        if (is_busy(companion) && companion->bound)
            ask(companion, KEEPER_EXTEND, end_of(companion));
    }
}

void companions_command_started(struct companions *companions, uint64_t token)
{
    companions->token = token;
    if (companions->list[COMPANION_HEALTH].link != NULL)
        health_begin(&companions->health, &companions->options->health, clock_boottime_ns());
}

void companions_command_ending(struct companions *companions)
{
    health_end(&companions->health);
    kill_companion(&companions->list[COMPANION_HEALTH]);
}

bool companions_are_busy(const struct companions *companions)
{
    return companions->list[COMPANION_HEALTH].busy || companions->list[COMPANION_HOOKS].busy;
}

void companions_tick(struct companions *companions)
{
    int64_t now_ns = clock_boottime_ns();

    for (int i = 0; i < COMPANIONS; i++) {
        struct companion *companion = &companions->list[i];
        if (!is_busy(companion) || now_ns < due_at_ns(companion))
            continue;
        if (companion->reminded) {
            lose(companion, "its keeper does not end it");
            return;
        }
        remind(companion);
    }
    if (!health_is_due(&companions->health, now_ns))
        return;
    if (companions->list[COMPANION_HEALTH].busy) {
        check_failed(companions, "cannot be run, for the last one does not end");
        return;
    }
    start(&companions->list[COMPANION_HEALTH], companions->options->health.timeout_ms,
          companions->token, NULL);
    if (companions->list[COMPANION_HEALTH].busy)
        companions->callbacks.on_check_started(companions->context);
}

int64_t companions_wake_at_ns(const struct companions *companions)
{
    int64_t wake_ns = health_wake_at_ns(&companions->health);

    for (int i = 0; i < COMPANIONS; i++) {
        if (is_busy(&companions->list[i]))
            wake_ns = min_ns(wake_ns, due_at_ns(&companions->list[i]));
    }
    return wake_ns;
}

void companions_surrender(struct companions *companions, struct keeper_link *link)
{
    health_end(&companions->health);
    for (int i = 0; i < COMPANIONS; i++) {
        struct companion *companion = &companions->list[i];
        if (companion->link == NULL)
            continue;
        /* One that is stopped would not end by itself. */
        if (keeper_link_unspare(link, companion->keeper))
            (void)kill(companion->keeper, SIGKILL);
        keeper_link_close(companion->link);
        companion->link = NULL;
    }
    if (companions->waiting)
        companions->hooks_over[companions->next.hook]++;
    companions->waiting = false;
}

void companions_swept(struct companions *companions)
{
    if (companions->list[COMPANION_HOOKS].busy)
        companions->hooks_over[companions->current.hook]++;
    for (int i = 0; i < COMPANIONS; i++)
        companions->list[i].busy = false;
}
