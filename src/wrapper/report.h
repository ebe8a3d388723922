/*
 * The story for people: turns what the election and the keeper say into log lines, and into the one
 * line that says what we are doing. It only words what is in a note and in the status, which has
 * taken up that note; a line that would only repeat the last one is kept for --log-level debug.
 */
#ifndef LEADERWRAP_WRAPPER_REPORT_H
#define LEADERWRAP_WRAPPER_REPORT_H

#include <stdbool.h>
#include <stdint.h>

#include "holder.h"
#include "leaderwrap/election/election.h"
#include "leaderwrap/keeper/protocol.h"
#include "options.h"
#include "status.h"
#include "trouble.h"

struct report {
    const struct options *options; /* borrowed, as the next two */
    const struct status *status;
    struct holder_observer observer;
    struct trouble trouble;
    char told_waiting[LEASE_ID_SIZE + 128]; /* whom we said we are waiting for */
    char told_command_of[LEASE_ID_SIZE];    /* the holder with another command that was told last */
    struct noise noise;                     /* of what Redis lets us do, but not all of it */
    char doing[256];                        /* what we are doing, in one line */
};

void report_init(struct report *report, const struct options *options, const char *id,
                 const struct status *status);

/* The first line: what is going to happen, with the derived numbers. */
void report_start(struct report *report);

/* Tells a note of the election. */
void report_note(struct report *report, const struct election_note *note, int64_t now_ns);

/* Tells what an answer says about the server, whatever it says about the lease; `first`: it is the
 * first one of its connection. */
void report_answer(struct report *report, const struct lease_reply *reply, bool first,
                   int64_t now_ns);

/* Tells that this process has stood still. */
void report_stall(struct report *report, int64_t now_ns);

/* Tells what the keeper says. */
void report_keeper(struct report *report, const struct keeper_message *message);

/* The last line, and why no command was run where Redis was the reason. */
void report_end(const struct report *report, enum election_end end, int exit_status);

/* Text for people: what a wait status means. Returns `buffer`. */
char *report_wait_status(int wait_status, char *buffer, size_t size);

#endif
