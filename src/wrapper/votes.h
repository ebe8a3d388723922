/*
 * How the witnesses vote, counted for people (--check). Pure.
 */
#ifndef LEADERWRAP_WRAPPER_VOTES_H
#define LEADERWRAP_WRAPPER_VOTES_H

#include <stdbool.h>
#include <stddef.h>

#include "leaderwrap/base/lease.h"

#define VOTES_WITNESSES_MAX 256

/* Zeroed: nobody has voted. */
struct votes {
    unsigned electorate; /* the most that anybody told of */
    unsigned here;       /* for the server that we are connected to */
    unsigned elsewhere;
    unsigned none; /* they know no master */
    bool voted[VOTES_WITNESSES_MAX];
};

/* A second vote of one witness does not count. */
void votes_count(struct votes *votes, const struct lease_vote *vote);

bool votes_are_all(const struct votes *votes);
bool votes_are_a_majority(const struct votes *votes);

/* Writes what they came to: "2 of 3 name it, 1 does not answer". Returns `buffer`. */
char *votes_show(const struct votes *votes, char *buffer, size_t size);

#endif
