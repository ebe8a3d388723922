/*
 * What goes wrong between us and Redis, in words: why the connection failed, which requests failed,
 * and that it has lasted. Of what repeats itself `noise` says how much is told; the rest is kept
 * for
 * --log-level debug.
 */
#ifndef LEADERWRAP_WRAPPER_TROUBLE_H
#define LEADERWRAP_WRAPPER_TROUBLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "leaderwrap/base/noise.h"
#include "leaderwrap/election/election.h"
#include "leaderwrap/redis/target.h"

struct trouble {
    char server[REDIS_SHOWN_SIZE]; /* where Redis is, for people */
    bool once;                     /* who leaves soon says why then, and not at each try */
    char why[LEASE_TEXT_SIZE * 2]; /* why the connection failed last; empty: it does not answer */
    bool closed;                   /* it was lost, which the retry will tell */
    bool unheard;                  /* it was made, and nothing has been answered on it yet */
    bool told;                     /* until it works again, which is told, too */
    struct noise noise;
    struct outage outage;
};

void trouble_init(struct trouble *trouble, const struct redis_target *target, bool once,
                  int64_t now_ns);

/* Remembers an error of Redis, or why the connection was lost; it is told later. */
void trouble_remember(struct trouble *trouble, const char *why);
void trouble_closed(struct trouble *trouble, const char *why);

/* Why Redis is out of reach. Returns `buffer`. */
char *trouble_why(const struct trouble *trouble, char *buffer, size_t size);

/* The connection is made, which is no news yet: what listens there may be mute. */
void trouble_opened(struct trouble *trouble);

/* Redis has answered something: the connection works (again). */
void trouble_answered(struct trouble *trouble);

/* A useful answer came at `now_ns`. */
void trouble_over(struct trouble *trouble, int64_t now_ns);

/* There is a new attempt to connect in `delay_ms`. */
void trouble_retry(struct trouble *trouble, const struct election *election, int64_t delay_ms);

/* A request failed: `note` is one of NOTE_*_FAILED. `reply` says how, NULL: without an answer. */
void trouble_failed(struct trouble *trouble, const struct election *election,
                    enum election_note_kind note, const struct lease_reply *reply);

/* There was no answer from Redis, and there is no more waiting for one. */
void trouble_unreachable(const struct trouble *trouble);

#endif
