/* Bytes from a peer as replies, and what is none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <hiredis/hiredis.h>

#include "redis/reader.h"

static struct reader *fresh(void)
{
    struct reader *reader;

    assert_int_equal(reader_new(&reader), 0);
    return reader;
}

static void feed(struct reader *reader, const char *text)
{
    reader_feed(reader, text, strlen(text));
}

static void assert_reply(struct reader *reader, int type, const char *text)
{
    const char *why;
    redisReply *reply = NULL;

    assert_int_equal(reader_next(reader, &reply, &why), 1);
    assert_int_equal(reply->type, type);
    if (text != NULL)
        assert_string_equal(reply->str, text);
    reader_free_reply(reply);
}

static void assert_nothing(struct reader *reader)
{
    const char *why;
    redisReply *reply;

    assert_int_equal(reader_next(reader, &reply, &why), 0);
}

/* It is good for nothing, now and later. */
static void assert_broken(struct reader *reader, const char *part)
{
    const char *why = NULL;
    redisReply *reply;

    for (int i = 0; i < 2; i++) {
        assert_int_equal(reader_next(reader, &reply, &why), -1);
        if (strstr(why, part) == NULL)
            fail_msg("\"%s\" lacks \"%s\"", why, part);
    }
    reader_free(reader);
}

static void replies_come_whole(void **state)
{
    static const char text[] = "+OK\r\n$5\r\nhello\r\n*2\r\n:1\r\n$-1\r\n-ERR no\r\n";
    struct reader *reader = fresh();
    int complete = 0;

    (void)state;
    assert_nothing(reader);
    for (const char *letter = text; *letter != '\0'; letter++) {
        const char *why;
        redisReply *reply;

        reader_feed(reader, letter, 1);
        if (reader_next(reader, &reply, &why) == 1) {
            complete++;
            reader_free_reply(reply);
        }
    }
    assert_int_equal(complete, 4);
    feed(reader, text);
    assert_reply(reader, REDIS_REPLY_STATUS, "OK");
    assert_reply(reader, REDIS_REPLY_STRING, "hello");
    assert_reply(reader, REDIS_REPLY_ARRAY, NULL);
    assert_reply(reader, REDIS_REPLY_ERROR, "ERR no");
    assert_nothing(reader);
    reader_free(reader);
    reader_free(NULL);
}

static void what_is_larger_or_deeper_than_any_answer_is_refused(void **state)
{
    static const char *const texts[] = {
        "*131073\r\n",
        "*100000\r\n*31073\r\n",
        "*2147483647\r\n",
        "*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n",
    };
    struct reader *reader;
    char much[4096];

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        reader = fresh();
        feed(reader, texts[i]);
        assert_broken(reader, "larger than any");
    }
    reader = fresh();
    feed(reader, "*131072\r\n");
    assert_nothing(reader);
    reader_free(reader);
    /* As much as comes before a reply is complete. */
    memset(much, 'x', sizeof much);
    reader = fresh();
    feed(reader, "$2000000\r\n");
    for (size_t bytes = sizeof much; bytes < 1024 * 1024 - 16; bytes += sizeof much) {
        reader_feed(reader, much, sizeof much);
        assert_nothing(reader);
    }
    reader_feed(reader, much, sizeof much);
    assert_broken(reader, "larger than any");
}

static void a_reply_makes_room_for_the_next(void **state)
{
    struct reader *reader = fresh();
    char much[4096];

    (void)state;
    memset(much, 'x', sizeof much);
    for (int i = 0; i < 2; i++) {
        feed(reader, "$1000000\r\n");
        for (int left = 1000000; left > 0; left -= (int)sizeof much)
            reader_feed(reader, much, left < (int)sizeof much ? (size_t)left : sizeof much);
        feed(reader, "\r\n");
        assert_reply(reader, REDIS_REPLY_STRING, NULL);
    }
    reader_free(reader);
}

static void what_is_no_redis_is_shown(void **state)
{
    static const char *const texts[][2] = {
        {"HTTP/1.1 400 Bad Request\r\nx", "that is no Redis: it says \"HTTP/1.1 400 Bad Request\""},
        {"SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3\r\n",
         "that is no Redis: it says \"SSH-2.0-OpenSSH_9.2p1 Debian-2+\""},
        {"\x15\x03\x01", "that is no Redis: it says \"...\""},
        {"%2147483647\r\n", "that is no Redis: it says \"%2147483647\""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct reader *reader = fresh();

        feed(reader, texts[i][0]);
        assert_broken(reader, texts[i][1]);
    }
}

static void a_redis_may_be_in_disorder(void **state)
{
    struct reader *reader = fresh();

    (void)state;
    feed(reader, "+OK\r\nHTTP/1.1\r\n");
    assert_reply(reader, REDIS_REPLY_STATUS, "OK");
    assert_broken(reader, "Protocol error, got \"H\"");
    reader = fresh();
    feed(reader, "$-2\r\n");
    assert_broken(reader, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(replies_come_whole),
        cmocka_unit_test(what_is_larger_or_deeper_than_any_answer_is_refused),
        cmocka_unit_test(a_reply_makes_room_for_the_next),
        cmocka_unit_test(what_is_no_redis_is_shown),
        cmocka_unit_test(a_redis_may_be_in_disorder),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
