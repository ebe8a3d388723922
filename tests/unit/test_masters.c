/* The masters of a cluster, as a node tells them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <hiredis/hiredis.h>

#include "leaderwrap/redis/masters.h"
#include "parsed.h"

#define ID(digit) "$40\r\n000000000000000000000000000000000000000" digit "\r\n"
#define RANGE(first, last, host, port, digit)                                                      \
    "*3\r\n:" first "\r\n:" last "\r\n*3\r\n" host ":" port "\r\n" ID(digit)

static void each_slot_has_a_master(void **state)
{
    static const char text[] =
        "*4\r\n" RANGE("0", "9", "$1\r\na\r\n", "1", "1") RANGE("11", "11", "$-1\r\n", "2", "2")
            RANGE("20", "16383", "$0\r\n\r\n", "3", "3") RANGE("12", "19", "$1\r\na\r\n", "1", "1");
    static const struct {
        unsigned slot;
        const char *host;
        const char *port;
    } cases[] = {{0, "a", "1"},       {9, "a", "1"},    {11, "own", "2"},
                 {12, "a", "1"},      {19, "a", "1"},   {20, "own", "3"},
                 {16383, "own", "3"}, {10, NULL, NULL}, {16384, NULL, NULL}};
    static struct masters masters;
    redisReply *reply = parsed(text);

    (void)state;
    memset(&masters, 0x5A, sizeof masters);
    assert_int_equal(masters_read(reply, "own", &masters), 0);
    assert_int_equal(masters.count, 3);
    assert_string_equal(masters.list[1].id, "0000000000000000000000000000000000000002");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct master *master = masters_of(&masters, cases[i].slot);

        assert_int_equal(master == NULL, cases[i].host == NULL);
        if (master != NULL) {
            assert_string_equal(master->host, cases[i].host);
            assert_string_equal(master->port, cases[i].port);
        }
    }
    freeReplyObject(reply);
}

static void masters_may_be_none_or_nowhere(void **state)
{
    static struct masters masters;
    redisReply *none = parsed("*0\r\n");
    redisReply *nowhere = parsed("*1\r\n" RANGE("0", "9", "$1\r\n?\r\n", "1", "1"));

    (void)state;
    assert_int_equal(masters_read(none, "own", &masters), 0);
    assert_int_equal(masters.count, 0);
    assert_null(masters_of(&masters, 0));
    assert_int_equal(masters_read(nowhere, "own", &masters), 0);
    assert_string_equal(masters_of(&masters, 0)->host, "");
    freeReplyObject(none);
    freeReplyObject(nowhere);
}

static void what_is_no_list_of_masters_is_refused(void **state)
{
    static const char *const texts[] = {
        "-ERR This instance has cluster support disabled\r\n",
        "$1\r\na\r\n",
        "*1\r\n:1\r\n",
        "*1\r\n*2\r\n:0\r\n:9\r\n",
        "*1\r\n*3\r\n$1\r\n0\r\n:9\r\n*3\r\n$1\r\na\r\n:1\r\n" ID("1"),
        "*1\r\n*3\r\n:0\r\n:9\r\n*3\r\n$1\r\na\r\n:1\r\n$3\r\nabc\r\n",
        "*1\r\n" RANGE("0", "16384", "$1\r\na\r\n", "1", "1"),
        "*1\r\n" RANGE("-1", "9", "$1\r\na\r\n", "1", "1"),
        "*1\r\n" RANGE("9", "0", "$1\r\na\r\n", "1", "1"),
        /* A slot has one owner. */
        "*2\r\n" RANGE("0", "9", "$1\r\na\r\n", "1", "1") RANGE("9", "10", "$1\r\na\r\n", "2", "2"),
    };
    static struct masters masters;

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        redisReply *reply = parsed(texts[i]);

        if (masters_read(reply, "own", &masters) != -1)
            fail_msg("text %zu is taken", i);
        freeReplyObject(reply);
    }
}

static void more_masters_than_can_be_are_refused(void **state)
{
    static struct masters masters;
    char text[128 * 128];

    (void)state;
    for (int count = MASTERS_MAX; count <= MASTERS_MAX + 1; count++) {
        size_t used = (size_t)sprintf(text, "*%d\r\n", count);
        for (int i = 0; i < count; i++)
            used += (size_t)sprintf(text + used,
                                    "*3\r\n:%d\r\n:%d\r\n*3\r\n$1\r\na\r\n:%d\r\n$40\r\n%040d\r\n",
                                    i, i, i + 1, i);
        redisReply *reply = parsed(text);

        assert_int_equal(masters_read(reply, "own", &masters), count == MASTERS_MAX ? 0 : -1);
        freeReplyObject(reply);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_slot_has_a_master),
        cmocka_unit_test(masters_may_be_none_or_nowhere),
        cmocka_unit_test(what_is_no_list_of_masters_is_refused),
        cmocka_unit_test(more_masters_than_can_be_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
