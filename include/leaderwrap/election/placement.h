/*
 * Where the present link goes, as the witnesses say: whether it is to the master of the key, for
 * which a majority of them has to name it. Pure; without witnesses nothing of it is used.
 *
 * A server that was replaced may go on serving for long. So no request leaves before the link is
 * *placed* by a poll that was begun on it, and an answer that changes anything is *held back* until
 * a poll that was begun after it names the same placement. Two majorities have a witness in common,
 * and no witness goes back to a placement that it has left; see doc/ARCHITECTURE.md.
 */
#ifndef LEADERWRAP_ELECTION_PLACEMENT_H
#define LEADERWRAP_ELECTION_PLACEMENT_H

#include <stdbool.h>
#include <stdint.h>

#include "leaderwrap/base/lease.h"
#include "leaderwrap/election/timing.h"

#define PLACEMENT_WITNESSES_MAX 1024 /* those beyond have no vote, but count as some who might */
#define PLACEMENT_NAMES_MAX     4    /* different ones in one poll; a fifth wins nothing */

struct placement_name {
    uint64_t placement; /* 0: the entry is free */
    uint64_t epoch;
    bool here;
    unsigned votes;
};

struct placement {
    bool needed;    /* there are witnesses */
    uint64_t here;  /* the placement of the present link; 0: it is not placed */
    uint64_t epoch; /* of that; 0: none */
    uint64_t last;  /* of the last link that was placed; 0: none was */
    /* The poll, of which `number` is the last one's. */
    bool open;
    uint64_t number;
    int64_t again_at_ns; /* it is repeated then, as long as it is open */
    int64_t pause_ms;    /* until the next repetition */
    int64_t begun_ns;    /* when the first of this row began */
    bool told;           /* that nothing comes of it, since the last majority */
    unsigned electorate;
    struct placement_name names[PLACEMENT_NAMES_MAX];
    uint64_t voted[PLACEMENT_WITNESSES_MAX / 64];
    /* An answer that does not count yet. */
    bool holds;
    struct lease_reply held;
};

/* What a vote has come to. */
enum placement_verdict {
    PLACEMENT_UNDECIDED,
    PLACEMENT_HERE,      /* the link goes to the master; the poll is over */
    PLACEMENT_ELSEWHERE, /* it goes to a server that was one; the poll is over */
};

void placement_init(struct placement *placement, bool needed);

/* The link is another one, or none: it is placed nowhere, and what was held back will never count.
 */
void placement_leave(struct placement *placement);

/* A row of polls begins, or goes on. Return the number of the poll that is to be held. */
uint64_t placement_begin(struct placement *placement, const struct timing *timing, int64_t now_ns);
uint64_t placement_repeat(struct placement *placement, const struct timing *timing, int64_t now_ns);
/* It is of no use any more. */
void placement_end(struct placement *placement);

/* Counts `vote`. What a majority names is put into `*name` unless it is undecided. */
enum placement_verdict placement_vote(struct placement *placement, const struct lease_vote *vote,
                                      struct placement_name *name);

/* The link goes to the master under `name`. Returns whether the last link did so under another one.
 */
bool placement_enter(struct placement *placement, const struct placement_name *name);

/* Whether a request may leave on the link. */
bool placement_is_settled(const struct placement *placement);

/* Whether `reply` may change anything, so that it has to be held back; and does so. */
bool placement_matters(const struct placement *placement, const struct lease_reply *reply);
void placement_hold(struct placement *placement, const struct lease_reply *reply);
/* Hands out what was held back, which counts now. */
void placement_let_go(struct placement *placement, struct lease_reply *reply);

/* How many name the same as most do. */
unsigned placement_most_votes(const struct placement *placement);

/* When the poll is to be repeated; INT64_MAX where there is none. */
int64_t placement_wake_at_ns(const struct placement *placement);

#endif
