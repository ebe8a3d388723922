/*
 * A reply as hiredis would hand it over, read from its wire form.
 */
#ifndef LEADERWRAP_TEST_PARSED_H
#define LEADERWRAP_TEST_PARSED_H

#include <hiredis/hiredis.h>
#include <string.h>

/* What a server may send. Freed by the caller. */
static inline redisReply *parsed(const char *text)
{
    redisReader *reader = redisReaderCreate();
    void *reply = NULL;

    assert_non_null(reader);
    assert_int_equal(redisReaderFeed(reader, text, strlen(text)), REDIS_OK);
    assert_int_equal(redisReaderGetReply(reader, &reply), REDIS_OK);
    redisReaderFree(reader);
    assert_non_null(reply);
    return reply;
}

#endif
