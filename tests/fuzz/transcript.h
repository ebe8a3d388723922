/*
 * What was said on one connection, both ways, as bytes; and which reply answers which request.
 */
#ifndef LEADERWRAP_TEST_TRANSCRIPT_H
#define LEADERWRAP_TEST_TRANSCRIPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct side {
    uint8_t *bytes;
    size_t length;
    size_t size;
};

struct transcript {
    struct side sent;
    struct side heard;
};

void side_append(struct side *side, const void *bytes, size_t length);

/* Whether the request with `nonce` was answered by `verdict` for `token`, naming `id` and the
 * nonce: the answer to a command is the reply with its number. */
bool was_answered(const struct transcript *said, const char *id, const char *nonce,
                  const char *verdict, uint64_t token);

#endif
