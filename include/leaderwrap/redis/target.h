/*
 * Where a Redis is and how to get in: all that a connection has to be told of it. What more there
 * is to know (certificates, sentinels, nodes of a cluster) is added here and read by the module
 * that needs it; whoever is between hands the target on as it is.
 */
#ifndef LEADERWRAP_REDIS_TARGET_H
#define LEADERWRAP_REDIS_TARGET_H

#include "leaderwrap/redis/url.h"

struct redis_target {
    struct redis_url url;
    char *password_file;       /* absolute, read at each connect; NULL: the URL's password */
    const char *password_from; /* the setting that the URL's is from; static; NULL: the URL */
};

/* The setting or file that the password is from, for messages. */
const char *redis_target_password_from(const struct redis_target *target);

/* Wipes the password and frees the strings. A zeroed target is fine. */
void redis_target_clear(struct redis_target *target);

#endif
