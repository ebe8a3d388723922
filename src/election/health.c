/* Health checks: their schedule and their verdict. */
#include "leaderwrap/election/health.h"

#include "leaderwrap/base/clock.h"

void health_begin(struct health *health, const struct health_config *config, int64_t now_ns)
{
    *health = (struct health){
        .config = *config,
        .began_ns = now_ns,
        .well_until_ns = now_ns,
        .next_ns = now_ns + config->interval_ms * NS_PER_MS,
    };
}

void health_end(struct health *health)
{
    health->next_ns = INT64_MAX;
    health->checking = false;
}

bool health_is_due(struct health *health, int64_t now_ns)
{
    if (now_ns < health->next_ns)
        return false;
    health->next_ns = INT64_MAX;
    health->checking = true;
    return true;
}

static enum health_verdict succeed(struct health *health, int64_t now_ns)
{
    bool news = !health->succeeded || health->failures > 0;

    health->well_until_ns = now_ns;
    health->succeeded = true;
    health->failures = 0;
    return news ? HEALTH_HEALTHY : HEALTH_UNCHANGED;
}

static enum health_verdict fail(struct health *health, int64_t now_ns)
{
    int64_t period_ns = health->config.start_period_ms * NS_PER_MS;

    if (!health->succeeded && now_ns - health->began_ns < period_ns)
        return HEALTH_STARTING;
    health->failures++;
    return health->failures < health->config.retries ? HEALTH_FAILING : HEALTH_UNHEALTHY;
}

enum health_verdict health_result(struct health *health, bool success, int64_t now_ns)
{
    if (!health->checking)
        return HEALTH_UNCHANGED;
    enum health_verdict verdict = success ? succeed(health, now_ns) : fail(health, now_ns);
    health_end(health);
    if (verdict != HEALTH_UNHEALTHY)
        health->next_ns = now_ns + health->config.interval_ms * NS_PER_MS;
    return verdict;
}

void health_skip(struct health *health, int64_t now_ns)
{
    if (!health->checking)
        return;
    health_end(health);
    health->next_ns = now_ns + health->config.interval_ms * NS_PER_MS;
}

int64_t health_wake_at_ns(const struct health *health)
{
    return health->next_ns;
}
