/*
 * The Lua scripts of the lease as constants; their texts are in scripts/. Each comes in two forms,
 * with and without its first line, which servers before Redis 7 cannot read.
 */
#ifndef LEADERWRAP_SRC_SCRIPTS_H
#define LEADERWRAP_SRC_SCRIPTS_H

#include <stddef.h>

struct script {
    const char *flagged_sha1; /* of `text` */
    const char *plain_sha1;   /* of `text + flags_length` */
    size_t flags_length;
    const char *text;
};

extern const struct script script_acquire;
extern const struct script script_renew;
extern const struct script script_release;

#endif
