/*
 * The arithmetic of the lease: pure functions from a TTL to deadlines.
 *
 * All deadlines count from the moment the granted request was *sent*, never from its reply: the
 * server starts the TTL when it executes, which is after the send and before the reply.
 *
 *     expires = sent + ttl - drift      drift  = 1 % of ttl + 2 ms   (two clocks' rates)
 *     kill_at = expires - margin        margin = clamp(ttl/30, 50 ms, 500 ms)
 *     stop_at = kill_at - grace         grace  = ttl/5, at most 10 s
 *
 * A request has ttl/6, at least 100 ms and at most 10 s, so that a lease with a long TTL is not
 * lost, nor never won, over a long round trip; but no more than fits between a renewal and stop_at,
 * as long as that leaves it 2 s.
 *
 * The drift is the one that client libraries of Redlock use
 * (https://redis.io/docs/latest/develop/use/patterns/distributed-locks/).
 */
#ifndef LEADERWRAP_ELECTION_TIMING_H
#define LEADERWRAP_ELECTION_TIMING_H

#include <stddef.h>
#include <stdint.h>

/* What the user asked for; -1 where nothing was said. */
struct timing_request {
    int64_t ttl_ms; /* required */
    int64_t renew_ms;
    int64_t grace_ms;
    int64_t margin_ms;
    int64_t retry_ms;
    int64_t request_timeout_ms;
};

/* Nothing was said but the TTL. */
static inline struct timing_request timing_request_of(int64_t ttl_ms)
{
    return (struct timing_request){.ttl_ms = ttl_ms,
                                   .renew_ms = -1,
                                   .grace_ms = -1,
                                   .margin_ms = -1,
                                   .retry_ms = -1,
                                   .request_timeout_ms = -1};
}

/* Less would mean nothing: a timer is late by a scheduler's tick or two (4 ms each on many
 * kernels), and a tree takes some milliseconds to be killed and reaped. */
#define TIMING_MARGIN_LEAST_MS          10
#define TIMING_REQUEST_TIMEOUT_LEAST_MS 10

/* What follows from it. Durations, in milliseconds, all >= 0; the three `_after_ms` count from a
 * send. */
struct timing {
    int64_t ttl_ms;
    int64_t renew_ms;           /* from one renewal's send to the next */
    int64_t renew_retry_ms;     /* from a failed renewal to the next try */
    int64_t request_timeout_ms; /* for a request, and for a connection with its handshake; a
                                   connection is given up at the second in a row,
                                   or sooner where time runs out */
    int64_t retry_ms;           /* a follower that hears nothing asks this often */
    int64_t grace_ms;
    int64_t margin_ms;
    int64_t drift_ms;
    int64_t stop_after_ms;
    int64_t kill_after_ms;
    int64_t expire_after_ms;
    int64_t tolerated_outage_ms; /* an outage that begins when a renewal falls due is ridden out
                                    for this long */
    int64_t worst_failover_ms;   /* from a leader's crash to the next leader's start, at worst; in
                                    a crowd up to a fifteenth of the TTL more */
};

/* Points on CLOCK_BOOTTIME in nanoseconds. */
struct deadlines {
    int64_t stop_at_ns;
    int64_t kill_at_ns;
    int64_t expires_at_ns;
};

/* Works out every number from `request`. Returns 0; or -1 where the arithmetic cannot hold, with a
 * sentence in `error` that names the smallest TTL that would do with the other values as they are
 * (or the value that no TTL can repair). */
int timing_derive(const struct timing_request *request, struct timing *timing, char *error,
                  size_t error_size);

/* The deadlines of a lease that was granted or renewed by a request sent at `sent_ns`. */
struct deadlines timing_deadlines(const struct timing *timing, int64_t sent_ns);

/* How long a record with a TTL of `record_ttl_ms` must be seen unchanged before it may be taken
 * over: the longer of its TTL and ours, in milliseconds. */
int64_t timing_observation_ms(const struct timing *timing, int64_t record_ttl_ms);

#endif
