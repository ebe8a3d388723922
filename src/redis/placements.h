/*
 * Numbers that stand for placements, an address with its epoch, as far as they are remembered: the
 * same number is always the same placement. One that was forgotten has another number when it is
 * met again. Pure.
 */
#ifndef LEADERWRAP_REDIS_PLACEMENTS_H
#define LEADERWRAP_REDIS_PLACEMENTS_H

#include <stdint.h>

#include "place.h"

#define PLACEMENTS_KEPT 16

/* Zeroed: none is known. */
struct placements {
    uint64_t last; /* the highest number that was given */
    struct {
        uint64_t number; /* 0: none */
        uint64_t used;   /* when it was last asked for */
        struct place place;
        uint64_t epoch;
    } list[PLACEMENTS_KEPT];
    uint64_t uses;
};

/* The number of a placement; never 0. */
uint64_t placements_number(struct placements *placements, const struct place *place,
                           uint64_t epoch);

#endif
