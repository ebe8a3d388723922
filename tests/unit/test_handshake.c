/* What is said first on a connection, and what its answers mean. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <hiredis/hiredis.h>

#include "redis/handshake.h"

#define WHERE "h:6379"

struct greeting {
    struct redis_target target;
    struct handshake handshake;
    struct handshake_refusal refusal;
    char *words;
    size_t length;
};

static void assert_begins(struct greeting *g, const char *words)
{
    handshake_free_words(g->words, g->length);
    g->words = NULL;
    g->length = 0;
    assert_int_equal(handshake_begin(&g->handshake, &g->target, &g->words, &g->length, &g->refusal),
                     0);
    assert_int_equal(g->length, strlen(words));
    if (*words == '\0')
        assert_null(g->words);
    else
        assert_memory_equal(g->words, words, g->length);
    assert_int_equal(handshake_is_over(&g->handshake), *words == '\0');
}

static void end(struct greeting *g)
{
    handshake_free_words(g->words, g->length);
}

static int hear(struct greeting *g, int type, const char *text)
{
    const redisReply reply = {.type = type, .str = (char *)(uintptr_t)text, .len = strlen(text)};

    return handshake_hear(&g->handshake, &reply, WHERE, &g->refusal);
}

static void assert_accepted(struct greeting *g)
{
    assert_false(handshake_is_over(&g->handshake));
    assert_int_equal(hear(g, REDIS_REPLY_STATUS, "OK"), 0);
}

static void assert_refused(struct greeting *g, int type, const char *text,
                           enum lease_failure failure, const char *why)
{
    assert_int_equal(hear(g, type, text), -1);
    assert_int_equal(g->refusal.failure, failure);
    assert_string_equal(g->refusal.why, why);
}

static void there_may_be_nothing_to_say(void **state)
{
    struct greeting g = {0};

    (void)state;
    assert_begins(&g, "");
}

static void all_of_it_is_said_at_once(void **state)
{
    struct greeting g = {
        .target.url = {.user = (char *)"me", .password = (char *)"pw", .database = 3}};

    (void)state;
    assert_begins(&g, "*3\r\n$4\r\nAUTH\r\n$2\r\nme\r\n$2\r\npw\r\n"
                      "*2\r\n$6\r\nSELECT\r\n$1\r\n3\r\n");
    assert_accepted(&g);
    assert_accepted(&g);
    assert_true(handshake_is_over(&g.handshake));
    end(&g);
}

static void each_part_may_be_missing(void **state)
{
    struct greeting g = {0};

    (void)state;
    g.target.url.password = (char *)"pw";
    assert_begins(&g, "*2\r\n$4\r\nAUTH\r\n$2\r\npw\r\n");
    g.target.url.password = NULL;
    g.target.url.user = (char *)"me";
    assert_begins(&g, "*3\r\n$4\r\nAUTH\r\n$2\r\nme\r\n$0\r\n\r\n");
    g.target.url.user = NULL;
    g.target.url.database = 15;
    assert_begins(&g, "*2\r\n$6\r\nSELECT\r\n$2\r\n15\r\n");
    assert_accepted(&g);
    assert_true(handshake_is_over(&g.handshake));
    end(&g);
}

static int hear_role(struct greeting *g, const char *role)
{
    redisReply word = {.type = REDIS_REPLY_STRING, .str = (char *)(uintptr_t)role};
    redisReply *words[] = {&word};
    const redisReply reply = {.type = REDIS_REPLY_ARRAY, .elements = 1, .element = words};

    return handshake_hear(&g->handshake, &reply, WHERE, &g->refusal);
}

static void whom_sentinels_name_has_to_be_a_master(void **state)
{
    static const char role[] = "*1\r\n$4\r\nROLE\r\n";
    struct greeting g = {.target = {.kind = REDIS_SENTINELS}};

    (void)state;
    assert_begins(&g, role);
    assert_int_equal(hear_role(&g, "master"), 0);
    assert_true(handshake_is_over(&g.handshake));
    assert_begins(&g, role);
    assert_int_equal(hear_role(&g, "slave"), -1);
    assert_int_equal(g.refusal.failure, LEASE_FAILURE_ROLE);
    assert_string_equal(g.refusal.why, "redis at " WHERE " is not the master that the sentinels "
                                       "name it as, but a replica");
    assert_begins(&g, role);
    assert_refused(&g, REDIS_REPLY_STATUS, "OK", LEASE_FAILURE_TRANSIENT,
                   "protocol error: redis at " WHERE " answered something that is no role");
    assert_begins(&g, role);
    assert_int_equal(hear(&g, REDIS_REPLY_ERROR,
                          "NOPERM this user has no permissions to run the "
                          "'role' command"),
                     -1);
    assert_int_equal(g.refusal.failure, LEASE_FAILURE_CONFIGURATION);
    assert_non_null(strstr(g.refusal.why, "refused the role"));
    g.target.url.password = (char *)"pw";
    g.target.url.database = 2;
    assert_begins(&g, "*2\r\n$4\r\nAUTH\r\n$2\r\npw\r\n*2\r\n$6\r\nSELECT\r\n$1\r\n2\r\n"
                      "*1\r\n$4\r\nROLE\r\n");
    assert_accepted(&g);
    assert_accepted(&g);
    assert_false(handshake_is_over(&g.handshake));
    assert_int_equal(hear_role(&g, "master"), 0);
    end(&g);
}

static void the_file_is_read_anew_and_comes_before_the_url(void **state)
{
    char path[] = "/tmp/leaderwrap-test-XXXXXX";
    int file = mkstemp(path);
    struct greeting g = {.target = {.url.password = (char *)"other", .password_file = path}};

    (void)state;
    assert_true(file >= 0);
    assert_int_equal(pwrite(file, "one\n", 4, 0), 4);
    assert_begins(&g, "*2\r\n$4\r\nAUTH\r\n$3\r\none\r\n");
    assert_int_equal(pwrite(file, "two\n", 4, 0), 4);
    assert_begins(&g, "*2\r\n$4\r\nAUTH\r\n$3\r\ntwo\r\n");
    end(&g);
    close(file);
    unlink(path);
    assert_int_equal(handshake_begin(&g.handshake, &g.target, &g.words, &g.length, &g.refusal), -1);
    assert_int_equal(g.refusal.failure, LEASE_FAILURE_CONFIGURATION);
    assert_non_null(strstr(g.refusal.why, path));
}

static void a_refused_password_is_told_with_where_it_came_from(void **state)
{
    struct greeting g = {
        .target = {.url.password = (char *)"pw ", .password_from = "LEADERWRAP_PASSWORD"}};

    (void)state;
    assert_begins(&g, "*2\r\n$4\r\nAUTH\r\n$3\r\npw \r\n");
    assert_refused(&g, REDIS_REPLY_ERROR, "WRONGPASS invalid", LEASE_FAILURE_CONFIGURATION,
                   "redis at " WHERE " refused the password: WRONGPASS invalid; check the user and "
                   "the password; it came from LEADERWRAP_PASSWORD and ends in a blank");
    end(&g);
}

static void a_refused_database_is_no_matter_of_the_password(void **state)
{
    struct greeting g = {.target.url = {.password = (char *)"pw", .database = 99}};

    (void)state;
    assert_begins(&g, "*2\r\n$4\r\nAUTH\r\n$2\r\npw\r\n*2\r\n$6\r\nSELECT\r\n$2\r\n99\r\n");
    assert_accepted(&g);
    assert_refused(&g, REDIS_REPLY_ERROR, "ERR DB index is out of range",
                   LEASE_FAILURE_CONFIGURATION,
                   "redis at " WHERE " refused the database: ERR DB index is out of range; check "
                   "the database in the URL");
    end(&g);
}

static void what_the_server_suffers_from_is_not_the_passwords_fault(void **state)
{
    struct greeting g = {.target.url.password = (char *)"pw "};

    (void)state;
    assert_begins(&g, "*2\r\n$4\r\nAUTH\r\n$3\r\npw \r\n");
    assert_refused(&g, REDIS_REPLY_ERROR, "LOADING dataset", LEASE_FAILURE_TRANSIENT,
                   "redis at " WHERE " refused the connection: LOADING dataset");
    end(&g);
}

static void any_other_answer_is_a_protocol_error(void **state)
{
    struct greeting g = {.target.url.password = (char *)"pw"};

    (void)state;
    assert_begins(&g, "*2\r\n$4\r\nAUTH\r\n$2\r\npw\r\n");
    assert_refused(&g, REDIS_REPLY_STRING, "OK", LEASE_FAILURE_TRANSIENT,
                   "protocol error: redis at " WHERE
                   " answered the password with something else than OK");
    end(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(there_may_be_nothing_to_say),
        cmocka_unit_test(all_of_it_is_said_at_once),
        cmocka_unit_test(each_part_may_be_missing),
        cmocka_unit_test(whom_sentinels_name_has_to_be_a_master),
        cmocka_unit_test(the_file_is_read_anew_and_comes_before_the_url),
        cmocka_unit_test(a_refused_password_is_told_with_where_it_came_from),
        cmocka_unit_test(a_refused_database_is_no_matter_of_the_password),
        cmocka_unit_test(what_the_server_suffers_from_is_not_the_passwords_fault),
        cmocka_unit_test(any_other_answer_is_a_protocol_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
