/*
 * What a candidate tells of itself while it stands by: for `leaderctl status`.
 */
#ifndef LEADERWRAP_WRAPPER_ABOUT_H
#define LEADERWRAP_WRAPPER_ABOUT_H

#include <stdint.h>

#include "pause.h"

#define ABOUT_MOST 600 /* bytes */

struct about {
    const char *host;    /* borrowed, like the next */
    const char *command; /* its first word, of which the base name counts; NULL: there is none */
    int64_t retry_ms;    /* how often it asks at least */
    int64_t since_ms;    /* since when it has been there, since 1970 */
};

/* Makes one line of JSON of it, with process and version, and the `pause` where that was lost.
 * Returns NULL where there is no memory; to be freed. */
char *about_make(const struct about *about, const struct pause *pause);

/* What the candidate's connections are called: "leaderwrap:NAME", each byte of the name that CLIENT
 * SETNAME does not take an underscore. Returns NULL where there is no memory; to be freed. */
char *about_client(const char *name);

#endif
