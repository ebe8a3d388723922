/*
 * A server's address as others tell it: sentinels, and nodes of a cluster. Pure.
 */
#ifndef LEADERWRAP_REDIS_PLACE_H
#define LEADERWRAP_REDIS_PLACE_H

#include <stdbool.h>
#include <stddef.h>

#define PLACE_HOST_SIZE 256

struct place {
    char host[PLACE_HOST_SIZE]; /* a name or a number, no brackets; empty: nowhere */
    char port[6];
};

/* Takes what was told, `host_length` and `port_length` bytes. Returns 0, or -1 and leaves `*place`
 * nowhere for what can be no address. */
int place_set(struct place *place, const char *host, size_t host_length, const char *port,
              size_t port_length);

/* Whether both are the same: numbers by their value, names without their case. A number is never
 * the same as a name. */
bool place_is_same(const struct place *a, const struct place *b);

/* Writes "10.0.0.3:6379" or "[::1]:6379". Returns `buffer`. */
char *place_show(const struct place *place, char *buffer, size_t size);

#endif
