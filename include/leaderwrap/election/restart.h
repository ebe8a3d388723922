/*
 * What becomes of a command that ended by itself: the policy of --restart, and its memory of the
 * ends of one term. Pure: durations in, a decision out.
 *
 * The pause before the next run is 1 s, 2 s, 4 s, ... up to 30 s as long as runs end within 60 s; a
 * run that lasted so long was healthy, and makes the pause and the failures start anew.
 */
#ifndef LEADERWRAP_ELECTION_RESTART_H
#define LEADERWRAP_ELECTION_RESTART_H

#include <stdbool.h>
#include <stdint.h>

enum restart_policy {
    RESTART_NO, /* we end with the command */
    RESTART_ON_FAILURE,
    RESTART_ALWAYS,
};

/* Of one term; all zero as it begins. */
struct restart {
    int64_t quick_ends; /* in a row: runs that were too short to be healthy */
    int64_t failures;   /* in a row */
};

/* Whether a command that ended, or is to be ended because it is of no use, starts again; `failed`:
 * by a signal, with another status than 0, or unhealthy. */
bool restart_is_wanted(enum restart_policy policy, bool failed);

/* Counts a run that is over; `well_ms` is for how long it was of use. Returns false if `most`
 * failures in a row are reached; 0: no limit. */
bool restart_count(struct restart *restart, int64_t well_ms, bool failed, int64_t most);

/* The pause before the next run, in milliseconds. */
int64_t restart_pause_ms(const struct restart *restart);

#endif
