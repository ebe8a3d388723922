/* From a TTL to deadlines. */
#include "leaderwrap/election/timing.h"

#include <inttypes.h>
#include <stdio.h>

#include "leaderwrap/base/clock.h"
#include "leaderwrap/base/duration.h"

#define DRIFT_FIXED_MS        2
#define MARGIN_LEAST_MS       50
#define MARGIN_MOST_MS        500
#define GRACE_MOST_MS         10000
#define REQUEST_TIMEOUT_LEAST 100
#define REQUEST_TIMEOUT_MOST  10000
#define REQUEST_TIMEOUT_TIGHT 2000
#define RENEW_RETRY_LEAST_MS  10
#define RENEW_RETRY_MOST_MS   1000
#define DEFAULT_RETRY_MS      5000

static int64_t clamp(int64_t value, int64_t least, int64_t most)
{
    return value < least ? least : value > most ? most : value;
}

static int64_t given_or(int64_t given, int64_t otherwise)
{
    return given >= 0 ? given : otherwise;
}

static int64_t default_timeout(int64_t ttl_ms, int64_t room_ms)
{
    int64_t tight_ms = clamp(ttl_ms / 6, REQUEST_TIMEOUT_LEAST, REQUEST_TIMEOUT_TIGHT);
    int64_t wanted_ms = clamp(ttl_ms / 6, REQUEST_TIMEOUT_LEAST, REQUEST_TIMEOUT_MOST);

    return clamp(room_ms, tight_ms, wanted_ms);
}

static void fill(const struct timing_request *request, int64_t ttl_ms, struct timing *timing)
{
    timing->ttl_ms = ttl_ms;
    timing->renew_ms = given_or(request->renew_ms, ttl_ms / 3);
    timing->renew_retry_ms = clamp(timing->renew_ms / 5, RENEW_RETRY_LEAST_MS, RENEW_RETRY_MOST_MS);
    timing->retry_ms = given_or(request->retry_ms, clamp(ttl_ms, 1, DEFAULT_RETRY_MS));
    timing->grace_ms = given_or(request->grace_ms, clamp(ttl_ms / 5, 0, GRACE_MOST_MS));
    timing->margin_ms =
        given_or(request->margin_ms, clamp(ttl_ms / 30, MARGIN_LEAST_MS, MARGIN_MOST_MS));
    timing->drift_ms = (ttl_ms + 99) / 100 + DRIFT_FIXED_MS;
    timing->expire_after_ms = ttl_ms - timing->drift_ms;
    timing->kill_after_ms = timing->expire_after_ms - timing->margin_ms;
    timing->stop_after_ms = timing->kill_after_ms - timing->grace_ms;
    timing->tolerated_outage_ms = timing->stop_after_ms - timing->renew_ms;
    timing->request_timeout_ms =
        given_or(request->request_timeout_ms, default_timeout(ttl_ms, timing->tolerated_outage_ms));
    /* The last renewal may have been executed as late as its connection was given up, and a
     * follower without a push notices that renewal only when it asks next. */
    timing->worst_failover_ms =
        ttl_ms + 2 * timing->request_timeout_ms + timing->retry_ms + timing->retry_ms / 10;
}

static int holds(const struct timing *timing)
{
    return timing->renew_ms + timing->request_timeout_ms <= timing->stop_after_ms;
}

/* The smallest TTL with which the rest of `request` holds, or -1 if none up to the longest duration
 * does. The inequality, once true, stays true as the TTL grows, so bisection finds the edge. */
static int64_t smallest_ttl(const struct timing_request *request)
{
    struct timing timing;
    int64_t low = 1;
    int64_t high = DURATION_MAX_MS;

    fill(request, high, &timing);
    if (!holds(&timing))
        return -1;
    while (low < high) {
        int64_t middle = low + (high - low) / 2;
        fill(request, middle, &timing);
        if (holds(&timing))
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

/* Rounds up to a figure that a person would type. */
static int64_t round_up(int64_t ms)
{
    int64_t step = ms <= 1000 ? 50 : ms <= 10000 ? 100 : 1000;
    return (ms + step - 1) / step * step;
}

static void explain(const struct timing_request *request, const struct timing *timing, char *error,
                    size_t error_size)
{
    char ttl[32], renew[32], timeout[32], stop[32], smallest[32];
    int64_t least_ms = smallest_ttl(request);

    duration_format(ttl, sizeof ttl, timing->ttl_ms);
    duration_format(renew, sizeof renew, timing->renew_ms);
    duration_format(timeout, sizeof timeout, timing->request_timeout_ms);
    duration_format(stop, sizeof stop, timing->stop_after_ms);
    if (least_ms < 0) {
        snprintf(error, error_size,
                 "no TTL is long enough for a renewal every %s with this grace, margin and request "
                 "time-out; shorten --renew, --grace, --margin or --request-timeout",
                 renew);
        return;
    }
    duration_format(smallest, sizeof smallest, round_up(least_ms));
    snprintf(
        error, error_size,
        "a TTL of %s is too short: a renewal after %s and its time-out of %s must fit before "
        "the command has to be stopped, %s after the last renewal; the smallest TTL that would "
        "do is %s",
        ttl, renew, timeout, stop, smallest);
}

int timing_derive(const struct timing_request *request, struct timing *timing, char *error,
                  size_t error_size)
{
    if (request->renew_ms == 0 || request->retry_ms == 0) {
        snprintf(error, error_size, "--renew and --retry must be longer than 0");
        return -1;
    }
    if (request->ttl_ms < 1) {
        snprintf(error, error_size, "--ttl must be longer than 0");
        return -1;
    }
    if (request->margin_ms >= 0 && request->margin_ms < TIMING_MARGIN_LEAST_MS) {
        snprintf(error, error_size,
                 "a margin below %d ms is none: by then the command must have been killed and "
                 "found dead, with timers that are some milliseconds late",
                 TIMING_MARGIN_LEAST_MS);
        return -1;
    }
    if (request->request_timeout_ms >= 0 &&
        request->request_timeout_ms < TIMING_REQUEST_TIMEOUT_LEAST_MS) {
        snprintf(error, error_size, "a request needs a time-out of %d ms at least",
                 TIMING_REQUEST_TIMEOUT_LEAST_MS);
        return -1;
    }
    fill(request, request->ttl_ms, timing);
    if (holds(timing))
        return 0;
    explain(request, timing, error, error_size);
    return -1;
}

struct deadlines timing_deadlines(const struct timing *timing, int64_t sent_ns)
{
    return (struct deadlines){
        .stop_at_ns = sent_ns + timing->stop_after_ms * NS_PER_MS,
        .kill_at_ns = sent_ns + timing->kill_after_ms * NS_PER_MS,
        .expires_at_ns = sent_ns + timing->expire_after_ms * NS_PER_MS,
    };
}

int64_t timing_observation_ms(const struct timing *timing, int64_t record_ttl_ms)
{
    return record_ttl_ms > timing->ttl_ms ? clamp(record_ttl_ms, 0, DURATION_MAX_MS)
                                          : timing->ttl_ms;
}
