/*
 * What a candidate tells of itself while it stands by, for `leaderctl status`: what it is, and the
 * pause that it has heard of and the server has lost.
 */
#ifndef LEADERWRAP_WRAPPER_PRESENCE_H
#define LEADERWRAP_WRAPPER_PRESENCE_H

#include "about.h"
#include "leaderwrap/base/lease.h"
#include "leaderwrap/redis/store.h"
#include "pause.h"

/* Zeroed at first. */
struct presence {
    const struct about *about; /* borrowed, like the store */
    struct store *store;
    struct pause pause;
    char *text; /* what the store tells */
};

/* Has the store tell it from now on. */
void presence_begin(struct presence *presence, struct store *store, const struct about *about);

/* Takes an answer of the server at `now_ns`, on CLOCK_BOOTTIME. */
void presence_hear(struct presence *presence, const struct lease_reply *reply, int64_t now_ns);

/* The store is gone, or tells nobody any more. */
void presence_end(struct presence *presence);

#endif
