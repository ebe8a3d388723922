/*
 * Small pieces of what the scripts say, read strictly: used for answers and for events.
 */
#ifndef LEADERWRAP_REDIS_WORDS_H
#define LEADERWRAP_REDIS_WORDS_H

#include <stddef.h>
#include <stdint.h>

#include "leaderwrap/base/lease.h"

/* The largest token that Lua's doubles carry exactly. */
#define TOKEN_MAX ((INT64_C(1) << 53) - 1)

/* Reads `length` digits, at least one, as a number of at most `max`. Returns 0 or -1. */
int number_parse(const char *text, size_t length, int64_t max, int64_t *value);

/* Reads the `st` of a record; no text at all is LEASE_ABSENT. Returns 0 or -1. */
int state_parse(const char *text, size_t length, enum lease_state *state);

#endif
