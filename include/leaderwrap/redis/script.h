/*
 * A Lua script as a constant. It comes in two forms, with and without its first line, which servers
 * before Redis 7 cannot read.
 */
#ifndef LEADERWRAP_REDIS_SCRIPT_H
#define LEADERWRAP_REDIS_SCRIPT_H

#include <stddef.h>

struct script {
    const char *flagged_sha1; /* of `text` */
    const char *plain_sha1;   /* of `text + flags_length` */
    size_t flags_length;
    const char *text;
};

#endif
