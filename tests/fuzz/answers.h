/*
 * A second reader of what a server says, which shares no code with the program: written from the
 * protocol (https://redis.io/docs/latest/develop/reference/protocol-spec/, RESP2) and from the
 * answer that src/redis/scripts/prelude.lua documents. The oracles compare the program with it.
 */
#ifndef LEADERWRAP_TEST_ANSWERS_H
#define LEADERWRAP_TEST_ANSWERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ANSWER_FIELDS 16

enum answer_field {
    ANSWER_VERDICT,
    ANSWER_STATE,
    ANSWER_ID,
    ANSWER_NAME,
    ANSWER_TOKEN,
    ANSWER_VERSION,
    ANSWER_IDENT,
    ANSWER_TTL,
    ANSWER_AGE,
    ANSWER_HOLD_LEFT,
    ANSWER_FOREIGN,
    ANSWER_WARNING,
    ANSWER_BEFORE,
    ANSWER_COMMAND,
    ANSWER_HOLD,
    ANSWER_WISH,
};

struct answer_text {
    const uint8_t *text;
    size_t length;
};

struct answer {
    struct answer_text field[ANSWER_FIELDS];
    uint64_t token;
    uint64_t ttl_ms;
    uint64_t age_ms;
    uint64_t hold_left_ms;
    uint64_t hold_ms;
    uint64_t wish_left_ms;
};

/* The length of the one reply that `data` begins with; 0 where it is not complete or no RESP2. */
size_t reply_length(const uint8_t *data, size_t size);

/* Whether `reply`, a complete one, is an answer that a script gives. Fills `*answer`, whose texts
 * point into `reply`. */
bool answer_read(const uint8_t *reply, size_t size, struct answer *answer);

bool answer_is(const struct answer *answer, enum answer_field field, const char *text);

/* Whether the reply is the answer of a script with this verdict, about a term that is held with
 * `token`. Only such a one may begin a term or go on with it. */
bool answer_holds(const uint8_t *reply, size_t size, const char *verdict, uint64_t token);

#endif
