/*
 * Who stands by for a lease, as each tells of itself (acquire.lua, src/wrapper/about.c). Anybody
 * may have written it. Pure.
 */
#ifndef LEADERWRAP_CTL_CANDIDATE_H
#define LEADERWRAP_CTL_CANDIDATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "leaderwrap/base/lease.h"

#define CANDIDATE_CELL_SIZE 80
#define CANDIDATES_MOST     100

struct ctl_candidate {
    char id[LEASE_ID_SIZE];
    char name[LEASE_NAME_MAX + 1];
    char host[CANDIDATE_CELL_SIZE]; /* empty where it is not told, as the next two */
    char version[CANDIDATE_CELL_SIZE];
    char command[CANDIDATE_CELL_SIZE];
    int64_t pid; /* 0: not told */
    int64_t ttl_ms;
    int64_t seen_ms;  /* when it asked last, by the server's clock */
    int64_t since_ms; /* since when it runs, by its own; 0: not told */
    int64_t retry_ms; /* how often it asks at least; 0: not told */
    /* The pause that it says is lost. */
    int64_t lost_ms;      /* since when, by its own clock; 0: there is none */
    int64_t lost_over_ms; /* when it would be over; 0: never by itself */
    char lost_by[LEASE_BY_SIZE];
    char lost_reason[LEASE_WISH_SIZE];
};

/* Reads one field of the hash. Returns whether it is one. */
bool candidate_read(struct ctl_candidate *candidate, const char *id, const char *text);

/* Whether it is still there at `now_ms`: it has asked within three times the time in which it has
 * to. */
bool candidate_is_there(const struct ctl_candidate *candidate, int64_t now_ms);
/* Whether it is not late. One that was started anew has left an entry behind that is not. */
bool candidate_is_fresh(const struct ctl_candidate *candidate, int64_t now_ms);

#endif
