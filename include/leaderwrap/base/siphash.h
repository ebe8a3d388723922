/*
 * SipHash-2-4 (Aumasson, Bernstein: SipHash, a fast short-input PRF; 2012): a keyed function whose
 * values nobody can foretell who does not have the key, however many of them he has seen.
 *
 * Pure: no allocation, no error, any thread.
 */
#ifndef LEADERWRAP_BASE_SIPHASH_H
#define LEADERWRAP_BASE_SIPHASH_H

#include <stddef.h>
#include <stdint.h>

#define SIPHASH_KEY_SIZE 16 /* bytes */

/* The value for `size` bytes at `data` (borrowed; may be NULL where that is 0). */
uint64_t siphash(const uint8_t key[SIPHASH_KEY_SIZE], const void *data, size_t size);

#endif
