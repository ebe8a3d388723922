/*
 * The health of a running command: when to check it, and what the results come to.
 *
 * The rules are those of Docker's HEALTHCHECK (https://docs.docker.com/reference/dockerfile/): the
 * first check comes an interval after the start, each other an interval after the end of the one
 * before; so many failures in a row make the command unhealthy; failures in the start period do not
 * count, until a check has succeeded. Pure: no I/O, no clock.
 */
#ifndef LEADERWRAP_ELECTION_HEALTH_H
#define LEADERWRAP_ELECTION_HEALTH_H

#include <stdbool.h>
#include <stdint.h>

struct health_config {
    int64_t interval_ms;
    int64_t timeout_ms; /* of one check: whoever runs it fails it then */
    int64_t start_period_ms;
    int64_t retries; /* > 0 */
};

enum health_verdict {
    HEALTH_UNCHANGED,
    HEALTH_HEALTHY,   /* for the first time, or again after a failure */
    HEALTH_STARTING,  /* a failure that does not count */
    HEALTH_FAILING,   /* a failure, but not too many of them yet */
    HEALTH_UNHEALTHY, /* told once; no more checks are due */
};

/* Read-only to others. */
struct health {
    struct health_config config;
    int64_t began_ns;
    int64_t next_ns; /* INT64_MAX: no check is to come, or one is on its way */
    int64_t failures;
    int64_t well_until_ns; /* when the last success was seen, or the start */
    bool checking;
    bool succeeded;
};

/* The command was started at `now_ns`. */
void health_begin(struct health *health, const struct health_config *config, int64_t now_ns);

/* It was ended: nothing is due any more, and a result that still comes means nothing. */
void health_end(struct health *health);

/* Whether a check is to be started at `now_ns`. If so it counts as started, and health_result is
 * owed. */
bool health_is_due(struct health *health, int64_t now_ns);

/* The result of the check that was started last. */
enum health_verdict health_result(struct health *health, bool success, int64_t now_ns);

/* The check that was started last could not be run: it does not count. */
void health_skip(struct health *health, int64_t now_ns);

/* When the next check is due, in ns of the clock that `now_ns` is of; INT64_MAX for none. */
int64_t health_wake_at_ns(const struct health *health);

#endif
