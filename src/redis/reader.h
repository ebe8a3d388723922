/*
 * Bytes in, whole RESP2 replies out: hiredis's reader with limits on what it accepts, and a word on
 * a peer that is no Redis. It knows no socket: what comes through TLS is fed to it as well.
 */
#ifndef LEADERWRAP_REDIS_READER_H
#define LEADERWRAP_REDIS_READER_H

#include <stddef.h>

struct redisReply;
struct reader;

/* Returns 0 or -ENOMEM; free with reader_free. */
int reader_new(struct reader **out);

/* Takes what has come in. */
void reader_feed(struct reader *reader, const char *bytes, size_t length);

/* The next reply that is complete. Returns 1 and hands `*reply` over (reader_free_reply); 0 where
 * more bytes are needed; or -1 where the peer does not keep to the protocol, with a phrase in
 * `*why` that lives as long as the reader: it is good for nothing then. */
int reader_next(struct reader *reader, struct redisReply **reply, const char **why);

void reader_free_reply(struct redisReply *reply);

/* NULL is fine. */
void reader_free(struct reader *reader);

#endif
