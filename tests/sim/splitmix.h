/*
 * What comes next out of a SplitMix64 generator (Steele, Lea, Flood 2014), told from one number
 * that came out of it: each of its steps can be undone.
 */
#ifndef LEADERWRAP_SIM_SPLITMIX_H
#define LEADERWRAP_SIM_SPLITMIX_H

#include <stdint.h>

static inline uint64_t splitmix_next(uint64_t number)
{
    uint64_t z = number;

    z = z ^ z >> 31 ^ z >> 62;
    z *= UINT64_C(0x319642b2d24d8ec3); /* the inverse of the second factor, modulo 2^64 */
    z = z ^ z >> 27 ^ z >> 54;
    z *= UINT64_C(0x96de1b173f119089); /* and of the first */
    z = z ^ z >> 30 ^ z >> 60;
    z += UINT64_C(0x9E3779B97F4A7C15);
    z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
    return z ^ z >> 31;
}

#endif
