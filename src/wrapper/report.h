/*
 * The story for people: turns what the election and the keeper say into log lines. A line that
 * would only repeat the last one is kept for --log-level debug.
 */
#ifndef LEADERWRAP_WRAPPER_REPORT_H
#define LEADERWRAP_WRAPPER_REPORT_H

#include <stdbool.h>
#include <stdint.h>

#include "leaderwrap/election/election.h"
#include "leaderwrap/keeper/protocol.h"
#include "options.h"
#include "trouble.h"

struct report {
    const struct options *options; /* borrowed */
    struct trouble trouble;
    char told_waiting[LEASE_ID_SIZE + 128]; /* whom we said we are waiting for */
    char told_command_of[LEASE_ID_SIZE];    /* the holder with another command that was told last */
    struct noise noise;                     /* of what Redis lets us do, but not all of it */
    char status[256];                       /* what we are doing, in one line */
};

void report_init(struct report *report, const struct options *options, int64_t now_ns);

/* The first line: what is going to happen, with the derived numbers. */
void report_start(struct report *report);

/* Tells `action`, an ACTION_TELL. `reply` is the answer that led to it, NULL if none did. */
void report_note(struct report *report, const struct election *election,
                 const struct election_note *note, const struct lease_reply *reply);

/* Tells what the keeper reported. */
void report_keeper(struct report *report, const struct keeper_message *keeper);

/* Text for people: what a wait status or an exec error means. Returns `buffer`. */
char *report_status(int wait_status, char *buffer, size_t size);

#endif
