/* Limits around hiredis's reader. */
#include "reader.h"

#include <errno.h>
#include <hiredis/hiredis.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* More than any reply that leaderwrap asks for. */
#define REPLY_ELEMENTS_MAX 131072 /* of all arrays in it together */
#define REPLY_DEPTH_MAX    4
#define REPLY_BYTES_MAX    ((size_t)1024 * 1024)

/* Of what a peer says that is no Redis. */
#define FIRST_WORDS_SIZE 32

#if HIREDIS_MAJOR >= 1
typedef size_t element_count;
#else
typedef int element_count;
#endif

struct reader {
    redisReader *parser;
    redisReplyObjectFunctions functions;
    void *(*create_array)(const redisReadTask *, element_count);
    bool broken; /* a feed failed */
    bool oversized;
    size_t reply_bytes; /* since the last complete reply */
    size_t elements;    /* announced since then */
    bool has_replied;
    char first_words[FIRST_WORDS_SIZE]; /* what it said first, as far as it fits */
    bool speaks_tls;
    char why[FIRST_WORDS_SIZE + 96];
};

/* hiredis asks here before it makes an array: the one place to stop an absurd one before memory is
 * set aside for it. Aggregates that RESP2 does not have are refused too. */
static void *create_array(const redisReadTask *task, element_count elements)
{
    struct reader *reader = task->privdata;
    const redisReadTask *parent = task->parent;
    int depth = 1;

    for (; parent != NULL; parent = parent->parent)
        depth++;
    if (task->type != REDIS_REPLY_ARRAY || depth > REPLY_DEPTH_MAX ||
        (size_t)elements > REPLY_ELEMENTS_MAX - reader->elements) {
        reader->oversized = true;
        return NULL;
    }
    reader->elements += (size_t)elements;
    return reader->create_array(task, elements);
}

int reader_new(struct reader **out)
{
    struct reader *reader = calloc(1, sizeof *reader);

    if (reader == NULL)
        return -ENOMEM;
    reader->parser = redisReaderCreate();
    if (reader->parser == NULL) {
        free(reader);
        return -ENOMEM;
    }
    reader->functions = *reader->parser->fn;
    reader->create_array = reader->functions.createArray;
    reader->functions.createArray = create_array;
    reader->parser->fn = &reader->functions;
    reader->parser->privdata = reader;
    *out = reader;
    return 0;
}

/* Keeps the beginning of the first line, fit to be shown. */
static void note_first_words(struct reader *reader, const char *bytes, size_t length)
{
    if (reader->has_replied || reader->reply_bytes > 0)
        return;
    /* An alert, to a client that does not (RFC 8446, 5.1 and 6). */
    reader->speaks_tls = length > 1 && bytes[0] == 0x15 && bytes[1] == 0x03;
    for (size_t i = 0; i < length && i < FIRST_WORDS_SIZE - 1; i++) {
        if (bytes[i] == '\r' || bytes[i] == '\n')
            break;
        reader->first_words[i] = bytes[i];
        if (bytes[i] < ' ' || bytes[i] > '~')
            reader->first_words[i] = '.';
    }
}

void reader_feed(struct reader *reader, const char *bytes, size_t length)
{
    note_first_words(reader, bytes, length);
    reader->reply_bytes += length;
    reader->broken = redisReaderFeed(reader->parser, bytes, length) != REDIS_OK || reader->broken;
}

/* Whether the peer began with something that no Redis says. */
static bool is_no_redis(const struct reader *reader)
{
    return !reader->has_replied && reader->first_words[0] != '\0' &&
           strchr("+-:$*", reader->first_words[0]) == NULL;
}

static const char *what_is_wrong(struct reader *reader)
{
    if (is_no_redis(reader)) {
        snprintf(reader->why, sizeof reader->why, "that is no Redis: it says \"%s\"%s",
                 reader->first_words,
                 reader->speaks_tls ? ", which is TLS: write rediss:// for it" : "");
        return reader->why;
    }
    return reader->oversized ? "protocol error: a reply larger than any that was asked for"
                             : reader->parser->errstr;
}

int reader_next(struct reader *reader, redisReply **reply, const char **why)
{
    void *next = NULL;

    if (reader->broken || redisReaderGetReply(reader->parser, &next) != REDIS_OK) {
        *why = what_is_wrong(reader);
        return -1;
    }
    if (next != NULL) {
        reader->reply_bytes = 0;
        reader->elements = 0;
        reader->has_replied = true;
        *reply = next;
        return 1;
    }
    if (reader->reply_bytes <= REPLY_BYTES_MAX)
        return 0;
    reader->oversized = true;
    *why = what_is_wrong(reader);
    return -1;
}

void reader_free_reply(redisReply *reply)
{
    freeReplyObject(reply);
}

void reader_free(struct reader *reader)
{
    if (reader == NULL)
        return;
    redisReaderFree(reader->parser);
    free(reader);
}
