/*
 * What this candidate is, and what it knows: who leads, since when and until when, what comes next,
 * what is wrong. Folds the notes of the election, the events of the connection and the messages of
 * the keeper into values; what is shown to anybody is worded from these. Pure: the time is passed
 * in, in nanoseconds of CLOCK_BOOTTIME.
 */
#ifndef LEADERWRAP_WRAPPER_STATUS_H
#define LEADERWRAP_WRAPPER_STATUS_H

#include <stdbool.h>
#include <stdint.h>

#include "leaderwrap/election/election.h"
#include "leaderwrap/keeper/protocol.h"

enum status_role {
    STATUS_CANDIDATE,
    STATUS_LEADER,
    STATUS_STOPPING,  /* leads no more, and its command may still be alive */
    STATUS_RELEASING, /* that is dead, and the lease is being given back */
    STATUS_GONE,      /* takes no part any more */
};

/* What is worth a line of its own: the last that was said. */
enum status_news {
    STATUS_NONE,
    STATUS_CUT_OFF,       /* Redis is out of reach; the next try is at next_at_ns */
    STATUS_WAITING,       /* for the holder; the lease may be had at next_at_ns */
    STATUS_LEADING,       /* the command is started at next_at_ns, if it is not yet */
    STATUS_RESTARTING,    /* the same, once more */
    STATUS_STANDING_BACK, /* the lease is asked for again at next_at_ns */
};

enum status_command {
    COMMAND_NONE,
    COMMAND_RUNNING,
    COMMAND_ENDED, /* its own process: what it started may still be alive */
    COMMAND_STUCK, /* something of it cannot be killed */
};

struct status {
    enum status_role role;
    int64_t role_since_ns;
    enum status_news news;
    int64_t news_ns;
    int64_t next_at_ns; /* what is to happen next, as of `news`; INT64_MAX: no matter of time */

    /* The lease, when it was last refused or lost to somebody. */
    struct lease_record record; /* ABSENT, without a token: none was seen */
    struct lease_wish wish;     /* that keeps us from it; NONE: nobody's */
    int64_t record_ns;          /* when; its ages and rests count from then */
    int64_t holder_since_ns;    /* since when it has been this holder's, as far as was seen */

    /* Our own term. */
    uint64_t token; /* 0: there is none */
    struct deadlines deadlines;

    enum status_command command;
    int32_t pid; /* of the command, while it runs */

    /* Redis. */
    char why[LEASE_TEXT_SIZE * 2]; /* why it failed last; empty: it does not answer */
    bool closed;                   /* the connection was lost, and no retry is announced yet */
    bool unheard;                  /* it was made, and nothing has been answered on it yet */
    int64_t well_since_ns;         /* the last useful answer */
    int64_t outage_ns;             /* from the one before to that */

    /* This process. */
    int64_t stall_least_ns;
    int64_t stall_meant_ns; /* when it was to run and did not, the last time that it stood still */
    int64_t stalled_ns;     /* for how long, while what follows from that is told; else 0 */
};

/* `timing` is the candidate's. */
void status_init(struct status *status, const struct timing *timing, int64_t now_ns);

/* A step begins: something has happened, and this process was to run at `meant_ns` at the latest.
 * Returns whether it is news that it did not: it was stopped, or suspended with its host, or had no
 * processor, for the shorter of a second and a renewal's period at least. What falls due in this
 * step is due to that. To be called again in a step does no harm. */
bool status_begin_step(struct status *status, int64_t meant_ns, int64_t now_ns);
void status_end_step(struct status *status);

void status_note(struct status *status, const struct election_note *note, int64_t now_ns);
/* The candidacy is over (ACTION_EXIT). */
void status_exit(struct status *status, int64_t now_ns);

/* The connection was made, which is no news yet: what listens there may never answer. It was
 * lost. */
void status_opened(struct status *status);
void status_closed(struct status *status, const char *why);
/* Redis answered; returns whether that is the first answer of a connection. */
bool status_answered(struct status *status, const struct lease_reply *reply);

void status_keeper(struct status *status, const struct keeper_message *message);

/* Whether `note` is due to an answer that was of use. */
bool status_is_well(const struct election_note *note);
/* Whether the lease is ours, or was until a moment ago. */
bool status_has_term(const struct status *status);

#endif
