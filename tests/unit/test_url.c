/* The address of a server: what is accepted, what is refused, and that no secret leaks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "leaderwrap/url.h"

/* struct redis_url, but with constant texts. */
struct expected {
    bool is_unix;
    const char *host;
    const char *port;
    const char *path;
    const char *user;
    const char *password;
    int database;
};

struct good {
    const char *text;
    struct expected url;
    const char *shown;
};

static const struct good good[] = {
    {"redis://10.0.0.3", {.host = "10.0.0.3", .port = "6379"}, "10.0.0.3:6379"},
    {"redis://redis.example:7000/",
     {.host = "redis.example", .port = "7000"},
     "redis.example:7000"},
    {"REDIS://h:1/15", {.host = "h", .port = "1", .database = 15}, "h:1"},
    {"redis://:pass@h", {.host = "h", .port = "6379", .password = "pass"}, "h:6379"},
    {"redis://me@h", {.host = "h", .port = "6379", .user = "me"}, "h:6379"},
    {"redis://me:a:b@h", {.host = "h", .port = "6379", .user = "me", .password = "a:b"}, "h:6379"},
    {"redis://m%40e:p%2Fa%3fs%23s%25@h",
     {.host = "h", .port = "6379", .user = "m@e", .password = "p/a?s#s%"},
     "h:6379"},
    {"redis://[::1]:6380/3", {.host = "::1", .port = "6380", .database = 3}, "[::1]:6380"},
    {"redis://[2001:db8::7]", {.host = "2001:db8::7", .port = "6379"}, "[2001:db8::7]:6379"},
    {"redis://", {.host = "127.0.0.1", .port = "6379"}, "127.0.0.1:6379"},
    {"redis:///2", {.host = "127.0.0.1", .port = "6379", .database = 2}, "127.0.0.1:6379"},
    {"unix:///run/redis.sock", {.is_unix = true, .path = "/run/redis.sock"}, "/run/redis.sock"},
    {"unix:///run/my%20redis/s?db=4",
     {.is_unix = true, .path = "/run/my redis/s", .database = 4},
     "/run/my redis/s"},
    {"unix://me:secret@/run/s",
     {.is_unix = true, .path = "/run/s", .user = "me", .password = "secret"},
     "/run/s"},
    {"unix://:secret@/run/s", {.is_unix = true, .path = "/run/s", .password = "secret"}, "/run/s"},
};

static void same_text(const char *actual, const char *expected)
{
    if (expected == NULL)
        assert_null(actual);
    else
        assert_string_equal(actual, expected);
}

static void parses_good_addresses(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        struct redis_url url;
        char error[256] = "";
        char shown[128];

        if (redis_url_parse(good[i].text, &url, error, sizeof(error)) != 0)
            fail_msg("%s: %s", good[i].text, error);
        assert_int_equal(url.is_unix, good[i].url.is_unix);
        same_text(url.host, good[i].url.host);
        assert_string_equal(url.port, good[i].url.port != NULL ? good[i].url.port : "");
        same_text(url.path, good[i].url.path);
        same_text(url.user, good[i].url.user);
        same_text(url.password, good[i].url.password);
        assert_int_equal(url.database, good[i].url.database);
        assert_string_equal(redis_url_show(&url, shown, sizeof(shown)), good[i].shown);
        redis_url_clear(&url);
        redis_url_clear(&url);
    }
}

static void refuses_bad_addresses(void **state)
{
    static const char *const bad[] = {
        "",
        "localhost",
        "localhost:6379",
        "127.0.0.1:6379",
        "http://h",
        "rediss://:s3cr3t@h",
        "redis://:s3cr3t@h:0",
        "redis://:s3cr3t@h:65536",
        "redis://:s3cr3t@h:abc",
        "redis://:s3cr3t@h:99999999999999999999",
        "redis://:s3cr3t@h/x",
        "redis://:s3cr3t@h/-1",
        "redis://:s3cr3t@h/99999999999999999999",
        "redis://:s3cr3t@h/1/2",
        "redis://:s3cr3t@h?db=1",
        "redis://:s3cr3t@h#x",
        "redis://:s3cr3t%zz@h",
        "redis://:s3cr3t%00@h",
        "redis://%00:s3cr3t@h",
        "redis://:s3cr3t/more@h",
        "redis://:s3cr3t#more@h",
        "redis://:s3cr3t@[::1",
        "redis://:s3cr3t@[nonsense]",
        "redis://:s3cr3t@h\n",
        "unix://:s3cr3t@",
        "unix://",
        "unix:///",
        "unix://run/redis.sock",
        "unix://:s3cr3t@host:1/x",
        "unix:///run/%00",
        "unix:///run/s?db=x",
        "unix:///run/s?db=",
        "unix:///run/s?database=1",
        "unix:///run/s#1",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct redis_url url;
        char error[512] = "";

        if (redis_url_parse(bad[i], &url, error, sizeof(error)) == 0)
            fail_msg("accepted: %s", bad[i]);
        assert_true(strlen(error) > 10);
        assert_null(strstr(error, "s3cr3t"));
        assert_null(url.host);
        assert_null(url.password);
    }
}

static void cuts_what_does_not_fit(void **state)
{
    struct redis_url url;
    char error[8];
    char shown[4];

    (void)state;
    assert_int_equal(redis_url_parse("nonsense", &url, error, sizeof(error)), -1);
    assert_int_equal(strlen(error), sizeof(error) - 1);
    assert_int_equal(redis_url_parse("redis://host", &url, error, sizeof(error)), 0);
    assert_string_equal(redis_url_show(&url, shown, sizeof(shown)), "hos");
    redis_url_clear(&url);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parses_good_addresses),
        cmocka_unit_test(refuses_bad_addresses),
        cmocka_unit_test(cuts_what_does_not_fit),
    };

    return cmocka_run_group_tests_name("url", tests, NULL, NULL);
}
