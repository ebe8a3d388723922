/*
 * Numbers for Prometheus: counts what the election tells, and writes all of it in the text format
 * (https://prometheus.io/docs/instrumenting/exposition_formats/). Pure: both times are passed in,
 * nanoseconds of CLOCK_BOOTTIME and seconds since 1970.
 */
#ifndef LEADERWRAP_WRAPPER_METRICS_H
#define LEADERWRAP_WRAPPER_METRICS_H

#include <stdbool.h>
#include <stdint.h>

#include "leaderwrap/election/election.h"
#include "leaderwrap/keeper/protocol.h"
#include "leaderwrap/lease_page.h"
#include "options.h"
#include "status.h"

#define METRICS_BUCKETS 8

struct metrics {
    bool answered;       /* Redis has, ever */
    int64_t answered_ns; /* when it did so last, to some use */
    double term_start;   /* seconds since 1970; 0: there was none */
    double last_renewal;
    double takeover;               /* seconds; < 0: there was none to measure */
    uint64_t elected;              /* terms that were begun */
    uint64_t ended[ELECTION_ENDS]; /* and ended, by the reason */
    uint64_t renewal_failures;
    uint64_t restarts;
    uint64_t renewals;
    double renewal_sum;
    uint64_t renewal_buckets[METRICS_BUCKETS]; /* each counts what is in no smaller one */
    char version[LEASE_NONCE_SIZE]; /* of the record, as the last holder wrote it, and when that */
    int64_t version_ns;             /* was first seen */
    int exit_status;                /* of the command that ended last; -1: none has */
    double last_success;            /* when one ended with 0; 0: none has */
};

void metrics_init(struct metrics *metrics);
void metrics_note(struct metrics *metrics, const struct election_note *note,
                  const struct timing *timing, int64_t now_ns, double unix_s);
/* The command's own process ended; `exit_status` as a shell would show it. */
void metrics_exit(struct metrics *metrics, int exit_status, double unix_s);

/* Whether Redis has answered within the TTL, or within the pace of a follower that asks less often,
 * and the time that an answer may take. */
bool metrics_redis_is_up(const struct metrics *metrics, const struct timing *timing,
                         int64_t now_ns);

struct metrics_view {
    const struct options *options;
    const struct status *status;
    int64_t left_ns; /* of our own term; 0: we do not lead */
    int healthy;     /* of the command; -1: nobody checks */
    int64_t now_ns;
};

/* Returns a text of malloc(3), or NULL when memory ran out. */
char *metrics_text(const struct metrics *metrics, const struct metrics_view *view);

#endif
