/*
 * Where a Redis server is: redis://[user[:password]@]host[:port][/db], rediss:// for TLS, or
 * unix://[user:password@]/path[?db=N]. Percent-escapes are decoded, [IPv6] literals unwrapped.
 */
#ifndef LEADERWRAP_REDIS_URL_H
#define LEADERWRAP_REDIS_URL_H

#include <stdbool.h>
#include <stddef.h>

struct redis_url {
    bool is_unix;
    bool is_tls;
    char *host; /* TCP: name or address, no brackets */
    char port[6];
    bool has_port;  /* it was given, and is not the usual one that was put there */
    char *path;     /* unix: the socket */
    char *user;     /* NULL: none */
    char *password; /* NULL: none */
    int database;
};

/* Parses `text`. Returns 0 and fills `*url`, whose strings belong to the caller (redis_url_clear);
 * or -1 with a sentence in `error`, one for each kind of mistake, which never contains a secret. */
int redis_url_parse(const char *text, struct redis_url *url, char *error, size_t error_size);

/* Wipes the password and frees the strings. A zeroed url is fine. */
void redis_url_clear(struct redis_url *url);

/* Copies [first, after) with its percent-escapes decoded; the caller frees it. NULL when out of
 * memory or where a NUL byte was hidden in an escape; `*why` says which, as "has a %00 in it". */
char *redis_url_decode(const char *first, const char *after, const char **why);

/* Overwrites with stars, in place, what may be a password in `text`, if that is an address with
 * one, or several with something between them; a user without one counts as such. */
void redis_url_mask(char *text);

/* Writes where the server is, without any secret: "127.0.0.1:6379", "[::1]:6379",
 * "/run/redis.sock". Returns `buffer`. */
char *redis_url_show(const struct redis_url *url, char *buffer, size_t size);

#endif
