/*
 * Splits an address into its parts, by the characters that RFC 3986 allows in each. What the parts
 * mean is for others. Pure.
 */
#ifndef LEADERWRAP_REDIS_URI_H
#define LEADERWRAP_REDIS_URI_H

#include <stdbool.h>

/* From `first` up to, but without, `after`. `first` is NULL where the part is missing; it may also
 * be there and empty. */
struct uri_part {
    const char *first;
    const char *after;
};

struct uri {
    struct uri_part scheme;
    struct uri_part user_info; /* what is before the @ */
    struct uri_part host;      /* an IPv6 address without its brackets; never missing */
    struct uri_part port;
    struct uri_part path; /* with its leading slash */
    struct uri_part query;
};

/* Splits `text`, which has to be of the form scheme://[user_info@]host[:port][/path][?query]. The
 * parts are of `text`, with their percent-escapes, each of which is complete. Returns false where
 * something is of another form, holds a character that it must not hold, or has a fragment. */
bool uri_split(const char *text, struct uri *uri);

bool uri_part_is_empty(struct uri_part part);

/* Whether it is there and `text`, in letters of either case. */
bool uri_part_is(struct uri_part part, const char *text);

#endif
