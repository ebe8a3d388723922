/*
 * What goes wrong between us and Redis, in words: why the connection failed, which requests failed,
 * and that it has lasted. What is wrong is read from the status, which has taken up the event that
 * is to be told. Of what repeats itself `noise` says how much is told; the rest is kept for
 * --log-level debug.
 */
#ifndef LEADERWRAP_WRAPPER_TROUBLE_H
#define LEADERWRAP_WRAPPER_TROUBLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "leaderwrap/base/noise.h"
#include "leaderwrap/election/election.h"
#include "leaderwrap/election/timing.h"
#include "leaderwrap/redis/target.h"
#include "status.h"

struct trouble {
    const struct timing *timing; /* borrowed, as the next one */
    const struct status *status;
    char server[REDIS_SHOWN_SIZE]; /* where Redis is, for people */
    const char *doubt;             /* about a server that has never answered; static */
    bool once;                     /* who leaves soon says why then, and not at each try */
    bool told;                     /* until the connection works again, which is told, too */
    bool outage_told;              /* the same of a useful answer */
    struct noise noise;
};

void trouble_init(struct trouble *trouble, const struct redis_target *target,
                  const struct timing *timing, const struct status *status, bool once);

/* Why Redis is out of reach. Returns `buffer`. */
char *trouble_why(const struct trouble *trouble, char *buffer, size_t size);

/* What is to be put behind a line about something that took too long: nothing, or that this process
 * has stood still. */
const char *trouble_blame(const struct trouble *trouble);

/* This process has stood still. */
void trouble_stalled(struct trouble *trouble, int64_t now_ns);

/* The connection has brought its first answer: it works (again). */
void trouble_connected(struct trouble *trouble);

/* A useful answer came. */
void trouble_over(struct trouble *trouble);

/* There is a new attempt to connect in `delay_ms`. */
void trouble_retry(struct trouble *trouble, int64_t delay_ms, int64_t now_ns);

/* A request failed: `note` is one of NOTE_*_FAILED. */
void trouble_failed(struct trouble *trouble, const struct election_note *note, int64_t now_ns);

/* There was no answer from Redis, and there is no more waiting for one. */
void trouble_unreachable(const struct trouble *trouble);

#endif
