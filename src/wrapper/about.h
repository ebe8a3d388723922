/*
 * What a candidate tells of itself while it stands by: for `leaderctl status`.
 */
#ifndef LEADERWRAP_WRAPPER_ABOUT_H
#define LEADERWRAP_WRAPPER_ABOUT_H

#include <stdint.h>

#define ABOUT_MOST 240 /* bytes */

/* Makes one line of JSON: host, pid, version, the command's first word, how often it asks at least,
 * and since when it has been there, in ms since 1970. Of `command`, which may be NULL, the base
 * name counts. Returns NULL where there is no memory; to be freed. */
char *about_make(const char *host, const char *command, int64_t retry_ms, int64_t since_ms);

#endif
