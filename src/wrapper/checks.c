/* Health checks: when one is due it is run, and what it says is counted. */
#include "checks.h"

#include <inttypes.h>

#include "leaderwrap/base/clock.h"
#include "leaderwrap/base/log.h"

int checks_fork(struct checks *checks, const struct options *options,
                const struct keeper_config *pattern)
{
    const char *const command[] = {"/bin/sh", "-c", options->health_cmd, NULL};

    *checks = (struct checks){.options = options};
    health_end(&checks->health);
    return companion_fork(&checks->companion, "the health check", options->timing.margin_ms,
                          pattern, options->health_cmd != NULL ? (char *const *)command : NULL);
}

static void tell_result(const struct checks *checks, enum health_verdict verdict, const char *words)
{
    const struct health *health = &checks->health;

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
        log_event(LOG_LEVEL_WARNING, "health_failed",
                  LOG_FIELDS(LOG_NUMBER("count", health->failures)),
                  "the health check %s (%" PRId64 " of %" PRId64 " in a row)", words,
                  health->failures, health->config.retries);
        break;
    case HEALTH_UNHEALTHY:
        log_event(LOG_LEVEL_ERROR, "unhealthy", LOG_FIELDS(LOG_NUMBER("count", health->failures)),
                  "the health check %s (%" PRId64 " in a row); stopping the command", words,
                  health->failures);
        checks->callbacks.on_unhealthy(checks->context, health->well_until_ns);
        break;
    }
}

static void count(struct checks *checks, bool success, const char *words, int64_t now_ns)
{
    tell_result(checks, health_result(&checks->health, success, now_ns), words);
}

static void on_over(void *context, int64_t now_ns)
{
    struct checks *checks = context;
    char words[160];
    bool success = companion_judge(&checks->companion, now_ns, words, sizeof words);

    if (checks->companion.error == 0) {
        count(checks, success, words, now_ns);
    } else {
        /* That says something about this host, and nothing about the command. */
        log_line(LOG_LEVEL_WARNING, "health_skipped", "the health check %s", words);
        health_skip(&checks->health, now_ns);
    }
    checks->callbacks.on_over(checks->context);
}

/* Nothing more is expected of it: it has failed. */
static void on_stuck(void *context, int64_t now_ns)
{
    struct checks *checks = context;

    count(checks, false, "cannot be ended", now_ns);
    checks->callbacks.on_stuck(checks->context);
}

static void on_lost(void *context, const char *why)
{
    const struct checks *checks = context;

    checks->callbacks.on_lost(checks->context, why);
}

int checks_open(struct checks *checks, uv_loop_t *loop, int64_t ack_timeout_ms,
                const struct checks_callbacks *callbacks, void *context)
{
    static const struct companion_callbacks companion_callbacks = {
        .on_over = on_over, .on_stuck = on_stuck, .on_lost = on_lost};

    checks->callbacks = *callbacks;
    checks->context = context;
    return companion_open(&checks->companion, loop, ack_timeout_ms, &companion_callbacks, checks);
}

void checks_close(struct checks *checks)
{
    companion_close(&checks->companion);
}

void checks_begin(struct checks *checks, uint64_t token, int64_t now_ns)
{
    checks->token = token;
    if (companion_can_run(&checks->companion))
        health_begin(&checks->health, &checks->options->health, now_ns);
}

void checks_end(struct checks *checks)
{
    health_end(&checks->health);
    companion_kill(&checks->companion);
}

void checks_extend(struct checks *checks, const struct deadlines *deadlines)
{
    companion_extend(&checks->companion, deadlines->kill_at_ns);
}

bool checks_are_busy(const struct checks *checks)
{
    return companion_is_busy(&checks->companion);
}

void checks_tick(struct checks *checks, int64_t now_ns)
{
    const struct companion_run run = {
        .timeout_ms = checks->options->health.timeout_ms,
        .bound = true,
        .token = checks->token,
        .event = "",
        .reason = "",
    };

    companion_tick(&checks->companion, now_ns);
    if (!health_is_due(&checks->health, now_ns))
        return;
    if (companion_is_busy(&checks->companion)) {
        count(checks, false, "cannot be run, for the last one does not end", now_ns);
        return;
    }
    companion_start(&checks->companion, &run, now_ns);
    checks->callbacks.on_started(checks->context);
}

int64_t checks_wake_at_ns(const struct checks *checks)
{
    return min_ns(health_wake_at_ns(&checks->health), companion_wake_at_ns(&checks->companion));
}

void checks_surrender(struct checks *checks, struct keeper_link *link)
{
    health_end(&checks->health);
    companion_surrender(&checks->companion, link);
}

void checks_swept(struct checks *checks)
{
    (void)companion_swept(&checks->companion);
}
