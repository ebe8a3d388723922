/*
 * Random numbers that spread candidates over time. They keep no secret: whoever sees one
 * knows the next.
 */
#ifndef LEADERWRAP_ELECTION_JITTER_H
#define LEADERWRAP_ELECTION_JITTER_H

#include <stdint.h>

struct jitter {
    uint64_t state; /* the seed, at first */
};

/* SplitMix64: a full-period sequence for each seed. (Steele, Lea, Flood: Fast Splittable
 * Pseudorandom Number Generators, 2014) */
static inline uint64_t jitter_next(struct jitter *jitter)
{
    uint64_t z = jitter->state += UINT64_C(0x9E3779B97F4A7C15);
    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return z ^ (z >> 31);
}

/* One of 0 .. limit - 1; 0 where `limit` is 0. */
static inline uint64_t jitter_below(struct jitter *jitter, uint64_t limit)
{
    return limit == 0 ? 0 : jitter_next(jitter) % limit;
}

#endif
