/* The address of a server: what is accepted, what is refused, and that no secret leaks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "leaderwrap/redis/url.h"
#include "redis/uri.h"

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
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        struct redis_url url;
        char error[256] = "";
        char shown[128];

        if (redis_url_parse(good[i].text, &url, error, sizeof error) != 0)
            fail_msg("%s: %s", good[i].text, error);
        assert_int_equal(url.is_unix, good[i].url.is_unix);
        same_text(url.host, good[i].url.host);
        assert_string_equal(url.port, good[i].url.port != NULL ? good[i].url.port : "");
        same_text(url.path, good[i].url.path);
        same_text(url.user, good[i].url.user);
        same_text(url.password, good[i].url.password);
        assert_int_equal(url.database, good[i].url.database);
        assert_string_equal(redis_url_show(&url, shown, sizeof shown), good[i].shown);
        redis_url_clear(&url);
        redis_url_clear(&url);
    }
}

static void refuses_bad_addresses(void **state)
{
    static const struct {
        const char *text;
        const char *part; /* of the sentence */
    } bad[] = {
        {"", "the address is empty: write redis://"},
        {"localhost", "localhost has no redis:// in front"},
        {"localhost:6379", "localhost:6379 has no redis:// in front"},
        {"127.0.0.1:6379", "127.0.0.1:6379 has no redis:// in front"},
        {"redis.example", "redis.example has no redis:// in front"},
        {"s3cr3t", "the address has no redis:// in front"},
        {":s3cr3t@localhost:6379", "the address has no redis:// in front"},
        {"/run/redis.sock", "is a path: write unix://"},
        {"redis:localhost", "two slashes"},
        {"unix:/run/redis.sock", "two slashes"},
        {"http://h", "neither redis:// nor unix://"},
        {"rediss:localhost", "two slashes"},
        {"redis://", "has no host: write redis://127.0.0.1"},
        {"redis:///2", "has no host"},
        {"redis://:6379", "has no host"},
        {"redis://:s3cr3t@", "has no host"},
        {"redis://:s3cr3t@h:0", "a port that is no number"},
        {"redis://:s3cr3t@h:65536", "a port that is no number"},
        {"redis://:s3cr3t@h:abc", "a port that is no number"},
        {"redis://:s3cr3t@h:99999999999999999999", "a port that is no number"},
        {"redis://:s3cr3t@h/x", "a database that is no number"},
        {"redis://:s3cr3t@h/-1", "a database that is no number"},
        {"redis://:s3cr3t@h/99999999999999999999", "a database that is no number"},
        {"redis://:s3cr3t@h/1/2", "more behind its host"},
        {"redis://:s3cr3t@h?db=1", "only unix:// addresses"},
        {"redis://:s3cr3t@h#x", "a # in it"},
        {"redis://:s3cr3t%zz@h", "a % in it"},
        {"redis://:s3cr3t%2@h", "a % in it"},
        {"redis://:s3cr3t%00@h", "%00"},
        {"redis://%00:s3cr3t@h", "%00"},
        {"redis://:s3cr3t/more@h", "write %2F, %3F or %23"},
        {"redis://:s3cr3t?more@h", "write %2F, %3F or %23"},
        {"redis://:s3cr3t#more@h", "write %2F, %3F or %23"},
        {"redis://:s3c@r3t@h", "write %40"},
        {"redis://:s3cr3t@[::1", "brackets"},
        {"redis://:s3cr3t@[nonsense]", "brackets"},
        {"redis://:s3cr3t@[v1.a]", "brackets"},
        {"redis://:s3cr3t@[0:0:0:0:0:0:0:0:0:0:0:0:0:0:0:0:0:0:0:0:0:0:0:0:0:0]", "brackets"},
        {"redis://:s3cr3t@[::1]x", "brackets"},
        {"redis://:s3cr3t@::1", "an IPv6 address without brackets"},
        {"redis://::1", "an IPv6 address without brackets"},
        {"redis://:s3cr3t@h\n", "a blank or a control character"},
        {"redis://a b", "a blank or a control character"},
        {"redis://a^b", "a character in it"},
        {"unix://:s3cr3t@", "no path of a socket"},
        {"unix://", "no path of a socket"},
        {"unix:///", "no path of a socket"},
        {"unix://run/redis.sock", "needs three slashes"},
        {"unix://:s3cr3t@host:1/x", "needs three slashes"},
        {"unix:///run/%00", "%00"},
        {"unix:///run/s?db=x", "a database that is no number"},
        {"unix:///run/s?db=", "a database that is no number"},
        {"unix:///run/s?database=1", "?db=N"},
        {"unix:///run/s#1", "a # in it"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct redis_url url;
        char error[512] = "";

        if (redis_url_parse(bad[i].text, &url, error, sizeof error) == 0)
            fail_msg("accepted: %s", bad[i].text);
        if (strstr(error, bad[i].part) == NULL)
            fail_msg("%s: \"%s\" does not say \"%s\"", bad[i].text, error, bad[i].part);
        assert_null(strstr(error, "s3cr3t"));
        assert_null(strstr(error, "r3t@"));
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
    assert_int_equal(redis_url_parse("nonsense", &url, error, sizeof error), -1);
    assert_int_equal(strlen(error), sizeof error - 1);
    assert_int_equal(redis_url_parse("redis://host", &url, error, sizeof error), 0);
    assert_string_equal(redis_url_show(&url, shown, sizeof shown), "hos");
    redis_url_clear(&url);
}

static void splits_only_what_has_a_scheme(void **state)
{
    struct uri uri;

    (void)state;
    assert_false(uri_split("nonsense", &uri));
    assert_true(uri_split("Redis://h", &uri));
    assert_true(uri_part_is(uri.scheme, "redis"));
    assert_false(uri_part_is(uri.scheme, "rediss"));
    assert_true(uri_part_is_empty(uri.path));
}

static void assert_masked(const char *text, const char *masked)
{
    char copy[128];

    snprintf(copy, sizeof copy, "%s", text);
    redis_url_mask(copy);
    assert_string_equal(copy, masked);
}

static void passwords_are_masked_in_place(void **state)
{
    (void)state;
    assert_masked("redis://:pw@h:1/2", "redis://:**@h:1/2");
    assert_masked("redis://me:p:w@h", "redis://me:***@h");
    assert_masked("redis://:p@w@h", "redis://:***@h");
    assert_masked("redis://pw@h", "redis://**@h");
    assert_masked("unix://:pw@/run/s", "unix://:**@/run/s");
    assert_masked("unix:///run/a@b/s", "unix:///run/a@b/s");
    assert_masked("redis://h:1/0", "redis://h:1/0");
    assert_masked("redis://@h", "redis://@h");
    assert_masked("redis://:@h", "redis://:@h");
    assert_masked("echo redis://:pw@h", "echo redis://:pw@h");
    assert_masked("://:pw@h", "://:pw@h");
    assert_masked("redis+sentinel://me:pw@a,b/lab", "redis+sentinel://me:**@a,b/lab");
    assert_masked("redis://:pw@a,redis://b/1 redis://:pw@c",
                  "redis://:**@a,redis://b/1 redis://:**@c");
    assert_masked("", "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parses_good_addresses),         cmocka_unit_test(refuses_bad_addresses),
        cmocka_unit_test(splits_only_what_has_a_scheme), cmocka_unit_test(cuts_what_does_not_fit),
        cmocka_unit_test(passwords_are_masked_in_place),
    };

    return cmocka_run_group_tests_name("url", tests, NULL, NULL);
}
