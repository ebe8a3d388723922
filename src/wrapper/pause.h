/*
 * The pause that a candidate has heard of, so that its loss is told: a server that loses its data
 * forgets what an operator wished, and would let somebody lead again without a word. Whoever stood
 * by meanwhile says so in the log, and to `leaderctl status` in what it tells of itself.
 *
 * Pure but for the log.
 */
#ifndef LEADERWRAP_WRAPPER_PAUSE_H
#define LEADERWRAP_WRAPPER_PAUSE_H

#include <stdbool.h>
#include <stdint.h>

#include "leaderwrap/base/lease.h"

/* Zeroed at first. */
struct pause {
    bool heard;      /* and neither taken back nor over since then */
    bool lost;       /* until there is a pause again */
    int64_t lost_ms; /* since 1970 */
    struct lease_wish wish;
    int64_t over_ns; /* on CLOCK_BOOTTIME; 0: it lasts until it is taken back */
    int64_t over_ms; /* the same since 1970 */
    /* Of the record that it stood beside. */
    char incarnation[LEASE_INCARNATION_SIZE];
    char version[LEASE_NONCE_SIZE];
};

/* Takes what the server said at `now_ns`, on CLOCK_BOOTTIME, which is `now_ms` since 1970. Returns
 * whether the pause was lost or found by that. */
bool pause_hear(struct pause *pause, const struct lease_reply *reply, int64_t now_ns,
                int64_t now_ms);

/* Tells that it is lost. */
void pause_tell_loss(const struct pause *pause);

#endif
