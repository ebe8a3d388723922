/*
 * A lease as an operator sees it: its record and its history, read from texts that anybody may have
 * written. Pure.
 */
#ifndef LEADERWRAP_CTL_LEASE_H
#define LEADERWRAP_CTL_LEASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "candidate.h"

#define LEASE_CELL_SIZE   256 /* of a text of the record or the history, cut to fit */
#define LEASE_ENTRIES     400 /* of the history, at most */
#define LEASE_WARNINGS    8
#define LEASE_KEPT_FIELDS 12
#define LEASE_CORDONS     16 /* that are shown, at most */

/* What a lease is, by the server's clock. */
enum ctl_state {
    CTL_NONE,    /* there is no record */
    CTL_LED,     /* held, and not run out */
    CTL_EXPIRED, /* held, but not renewed for a TTL */
    CTL_FREE,
    CTL_CLOSED, /* a hold keeps everybody out */
    CTL_VACANT, /* nobody knows whether an earlier leader still runs */
    CTL_PAUSED, /* nobody leads, for an operator wishes so */
};

/* What an operator wishes (src/redis/scripts/prelude.lua). */
struct ctl_wish {
    bool there;
    int64_t at_ms;
    int64_t left_ms; /* 0: until it is taken back */
    char by[LEASE_CELL_SIZE];
    char text[LEASE_CELL_SIZE]; /* why, who is to lead next, or who is not to */
};

struct ctl_entry {
    bool begins; /* or else ends */
    uint64_t token;
    int64_t number; /* of the term; 0: not told, as by an earlier version */
    int64_t at_ms;
    int64_t span_ms; /* the gap before a begin, or how long what ends has lasted; -1: not told */
    char name[LEASE_CELL_SIZE];
    char reason[LEASE_CELL_SIZE];
};

struct ctl_lease {
    enum ctl_state state;
    uint64_t token; /* 0: none */
    int64_t number; /* of the term, or the last one; 0: not known */
    int64_t now_ms; /* the server's time, as all below */
    int64_t ttl_ms;
    int64_t renewed_ms; /* when the record was written; 0: never */
    int64_t left_ms;    /* of the lease or the hold; 0: nothing */
    int64_t since_ms;   /* when the term began; 0: not known */
    char id[LEASE_CELL_SIZE];
    char name[LEASE_CELL_SIZE];    /* of the leader, or the last one */
    char foreign[LEASE_CELL_SIZE]; /* what K has in it that is nobody's of the record */
    bool key_is_missing;           /* there is no K */
    struct ctl_wish pause;
    struct ctl_wish lost_pause; /* that the server forgot, as candidates say: at_ms is when */
    struct ctl_wish ask;        /* that the present term ends */
    size_t cordon_count;
    struct ctl_wish cordons[LEASE_CORDONS];
    bool candidates_are_known; /* or else they may not be read */
    size_t candidate_count;
    struct ctl_candidate candidates[CANDIDATES_MOST]; /* that stand by and have been heard of */
    int64_t last_success_ms; /* of the history: when a command last ended with 0; 0: never */
    size_t entry_count;
    struct ctl_entry entries[LEASE_ENTRIES]; /* newest first */
};

/* A term, put together from what began and ended it. */
struct ctl_term {
    uint64_t token;
    int64_t number; /* as of an entry */
    int64_t from_ms;
    int64_t to_ms; /* 0: it goes on, or nobody knows */
    int64_t
        gap_ms; /* in which nobody led, from the last renewal or release before; -1: not known */
    char name[LEASE_CELL_SIZE];
    char reason[LEASE_CELL_SIZE]; /* why it ended */
    int exit_status;              /* of the command, where it ended by itself; -1: not so */
    int signal;                   /* that ended it then; -1: none */
};

/* Copies a text, cut to LEASE_CELL_SIZE. NULL is empty. */
void ctl_copy(char *to, const char *from);

/* A whole number from 0 to 2^53; 0 for what is none. */
int64_t ctl_number(const char *text);

/* Takes the fields st, id, name, tok, ttl, at, until, hold, term, pause, ask, cordon (NULL: there
 * is none) and the value of K into `lease`, whose entries, candidates and time have been filled in.
 */
void ctl_judge(struct ctl_lease *lease, const char *const fields[LEASE_KEPT_FIELDS],
               const char *value);

const char *ctl_state_word(enum ctl_state state);

/* Whether nothing is left of it, or never was: no record, no foreign value, no history, no wish. */
bool ctl_is_nothing(const struct ctl_lease *lease);

/* Puts the terms of the history, newest first, into `terms`. Returns how many there are, `most` at
 * most. */
size_t ctl_terms(const struct ctl_lease *lease, struct ctl_term *terms, size_t most);

/* What an operator should hear of the lease: sentences without a stop, static. Returns how many. */
size_t ctl_warnings(const struct ctl_lease *lease, const char *warnings[LEASE_WARNINGS]);

#endif
