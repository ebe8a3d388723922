/*
 * What a node of a cluster says of a key that it does not have: MOVED or ASK, with the node that
 * has it. Pure, and fit for whatever a server may send.
 * https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/
 */
#ifndef LEADERWRAP_REDIS_REDIRECTION_H
#define LEADERWRAP_REDIS_REDIRECTION_H

#include <stddef.h>

#include "place.h"

enum redirection_kind {
    REDIRECTION_NONE,  /* it is another error */
    REDIRECTION_MOVED, /* the key's slot is that node's */
    REDIRECTION_ASK,   /* the slot is on its way there, and the key has arrived */
};

/* Reads an error. `host` is that of the node that sent it, which is the other one's as well where
 * the error names none. `*place` is nowhere where the node does not know the other's address ('?'),
 * or says something that is none. */
enum redirection_kind redirection_parse(const char *error, const char *host, struct place *place);

/* The host that a node means by `host`, of `length` bytes: none at all is the node's own, `own`;
 * one that it does not know is nowhere. Takes it with `port` into `*place`. Returns as place_set.
 */
int redirection_place(const char *host, size_t length, const char *own, const char *port,
                      size_t port_length, struct place *place);

#endif
