/*
 * The story for people: turns what the election and the keeper say into log lines. A line that
 * would only repeat the last one is kept for --log-level debug.
 */
#ifndef LEADERWRAP_REPORT_H
#define LEADERWRAP_REPORT_H

#include <stdbool.h>
#include <stdint.h>

#include "leaderwrap/election.h"
#include "leaderwrap/options.h"
#include "leaderwrap/protocol.h"

struct report {
    const struct options *options;     /* borrowed */
    char server[128];                  /* where Redis is, for people */
    char trouble[LEASE_TEXT_SIZE * 2]; /* why the connection failed last */
    char told_trouble[LEASE_TEXT_SIZE * 2];
    int64_t told_trouble_ns;
    int64_t told_delay_ms;
    char told_waiting[LEASE_ID_SIZE + 64]; /* whom we said we are waiting for */
    bool told_warning;
    char status[256]; /* what we are doing, in one line */
};

void report_init(struct report *report, const struct options *options);

/* The first line: what is going to happen, with the derived numbers. */
void report_start(struct report *report);

/* Remembers why the connection was lost; it is told with the next attempt. */
void report_trouble(struct report *report, const char *why);

/* There was no answer from Redis, and there is no more waiting for one. */
void report_unreachable(const struct report *report);

/* The connection works (again). */
void report_opened(struct report *report);

/* Tells `action`, an ACTION_TELL. `reply` is the answer that led to it, NULL if none did. */
void report_note(struct report *report, const struct election *election,
                 const struct election_action *action, const struct lease_reply *reply);

/* Tells what the keeper reported. */
void report_keeper(struct report *report, const struct keeper_report *keeper);

/* Text for people: what a wait status or an exec error means. Returns `buffer`. */
char *report_status(int wait_status, char *buffer, size_t size);

#endif
