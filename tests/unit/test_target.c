/* One address or several: which servers, sentinels and nodes they name, and which do not fit
 * together. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "leaderwrap/redis/target.h"

struct good {
    enum redis_target_kind kind; /* before and after; sentinels may be found by the address alone */
    const char *text;
    const char *shown;
    const char *user;
    const char *password;
    int database;
};

static const struct good good[] = {
    {REDIS_SERVER, "redis://me:pw@h:1/2", "h:1", "me", "pw", 2},
    {REDIS_SERVER, "redis://:a,b@h", "h:6379", NULL, "a,b", 0},
    {REDIS_SERVER, "unix:///run/a,b", "/run/a,b", NULL, NULL, 0},
    {REDIS_CLUSTER, "redis://a", "the cluster at a:6379", NULL, NULL, 0},
    {REDIS_CLUSTER, "redis://me:pw@a:1,redis://b:2", "the cluster at a:1, b:2", "me", "pw", 0},
    {REDIS_CLUSTER, "redis://a \n\tREDIS://:pw@[::1]", "the cluster at a:6379, [::1]:6379", NULL,
     "pw", 0},
    {REDIS_CLUSTER, "redis://me:p,w@a,[::1]:7,c/0", "the cluster at a:6379, [::1]:7, c:6379", "me",
     "p,w", 0},
    {REDIS_SENTINELS, "redis+sentinel://a/lab", "lab of the sentinels at a:26379", NULL, NULL, 0},
    {REDIS_SENTINELS, "redis+sentinel://u%40:p%2Cw@a,[::1],c:6379/my.lab/7",
     "my.lab of the sentinels at a:26379, [::1]:26379, c:6379", "u@", "p,w", 7},
    {REDIS_SENTINELS, "redis+sentinel://a/lab,redis+sentinel://b/lab/3 redis://u@c",
     "lab of the sentinels at a:26379, b:26379, c:26379", "u", NULL, 3},
};

static void same_text(const char *actual, const char *expected)
{
    if (expected == NULL)
        assert_null(actual);
    else
        assert_string_equal(actual, expected);
}

static void takes_addresses_that_fit_together(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        struct redis_target target = {.kind = good[i].kind == REDIS_CLUSTER ? REDIS_CLUSTER
                                                                            : REDIS_SERVER};
        char error[300] = "";
        char shown[REDIS_SHOWN_SIZE];
        int result = redis_target_add(&target, good[i].text, error, sizeof error);

        if (result != 0)
            fail_msg("%s: %s", good[i].text, error);
        assert_int_equal(target.kind, good[i].kind);
        assert_string_equal(redis_target_show(&target, shown, sizeof shown), good[i].shown);
        same_text(target.url.user, good[i].user);
        same_text(target.url.password, good[i].password);
        assert_int_equal(target.url.database, good[i].database);
        redis_target_clear(&target);
        redis_target_clear(&target);
    }
}

static void a_port_that_is_not_given_is_that_of_sentinels(void **state)
{
    struct redis_target target = {.kind = REDIS_SENTINELS, .service = strdup("lab")};
    char error[300];

    (void)state;
    assert_int_equal(redis_target_add(&target, "redis://:pw@a", error, sizeof error), 0);
    assert_int_equal(redis_target_add(&target, "redis://b:6379", error, sizeof error), 0);
    assert_int_equal(redis_target_add(&target, "redis+sentinel://c/lab", error, sizeof error), 0);
    assert_int_equal(redis_target_add(&target, "redis+sentinel://d", error, sizeof error), 0);
    assert_int_equal(target.seed_count, 4);
    assert_string_equal(target.url.port, "26379");
    assert_string_equal(target.seeds[0].port, "26379");
    assert_string_equal(target.seeds[1].port, "6379");
    assert_string_equal(target.seeds[2].port, "26379");
    assert_string_equal(target.seeds[3].host, "d");
    assert_string_equal(target.service, "lab");
    redis_target_clear(&target);
}

static void refuses_what_does_not_fit_together(void **state)
{
    static const struct {
        enum redis_target_kind kind;
        const char *text;
        const char *part; /* of the sentence */
    } bad[] = {
        {REDIS_CLUSTER, "unix:///run/s", "cannot be reached by unix://"},
        {REDIS_SERVER, "unix:///run/s redis://h", "stands alone"},
        {REDIS_SERVER, "redis://h,unix:///run/s", "stands alone"},
        {REDIS_CLUSTER, "redis://:s3cr3t@a redis://:s3cr3t2@b", "different users or passwords"},
        {REDIS_CLUSTER, "redis://s3cr3t@a redis://s3cr3t2@b", "different users or passwords"},
        {REDIS_CLUSTER, "redis://a/1,redis://b/2", "different databases"},
        {REDIS_CLUSTER, "redis://a,,b", "has no host"},
        {REDIS_CLUSTER, "redis://a,", "has no host"},
        {REDIS_CLUSTER, "redis://a,b:x", "a port that is no number"},
        {REDIS_CLUSTER, "redis://a b", "a blank"},
        {REDIS_CLUSTER, "redis://a,redis://", "has no host"},
        {REDIS_CLUSTER, "redis://a,http://b", "neither redis:// nor unix://"},
        {REDIS_CLUSTER, "redis+sentinel://a/lab", "which a cluster has not"},
        {REDIS_SERVER, "redis://h,redis+sentinel://a/lab", "cannot stand beside others"},
        {REDIS_SERVER, "unix:///h redis+sentinel://a/lab", "cannot stand beside others"},
        {REDIS_SERVER, "redis+sentinel://a/one redis+sentinel://a/two", "one is enough"},
        {REDIS_SERVER, "redis+sentinel://a/lab/x", "a database that is no number"},
        {REDIS_SERVER, "redis+sentinel://a/lab/1/2", "more behind its host"},
        {REDIS_SERVER, "redis+sentinel://a//1", "has no name for the master"},
        {REDIS_SERVER, "redis+sentinel://:s3cr3t@a/lab%20", "a blank or a control character"},
        {REDIS_SERVER, "redis+sentinel://:s3cr3t@a/lab%00", "%00"},
        {REDIS_SERVER, "redis+sentinel://a/lab?db=1", "behind a '?'"},
        {REDIS_SERVER, "redis+sentinel://a/lab#1", "a # in it"},
        {REDIS_SERVER, "redis+sentinel:///lab", "has no host"},
        {REDIS_SERVER, "unix+sentinel:///lab", "has no path of a socket"},
        {REDIS_SERVER, "redis+sentinel://:s3cr3t/@a/lab", "in its user or password"},
        {REDIS_SERVER, "http+sentinel://a/lab", "neither redis:// nor unix://"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct redis_target target = {.kind = bad[i].kind};
        char error[300] = "";

        if (redis_target_add(&target, bad[i].text, error, sizeof error) == 0)
            fail_msg("accepted: %s", bad[i].text);
        if (strstr(error, bad[i].part) == NULL)
            fail_msg("%s: \"%s\" does not say \"%s\"", bad[i].text, error, bad[i].part);
        assert_null(strstr(error, "s3cr3t"));
        redis_target_clear(&target);
    }
}

static void there_is_an_end_to_seeds(void **state)
{
    struct redis_target target = {.kind = REDIS_CLUSTER};
    char error[300];

    (void)state;
    for (int i = 0; i < REDIS_SEEDS_MAX; i++)
        assert_int_equal(redis_target_add(&target, "redis://a", error, sizeof error), 0);
    assert_int_equal(redis_target_add(&target, "redis://a", error, sizeof error), -1);
    assert_non_null(strstr(error, "more than 32"));
    char shown[40];
    assert_int_equal(strlen(redis_target_show(&target, shown, sizeof shown)), sizeof shown - 1);
    redis_target_clear(&target);
}

static void one_of_them_has_the_user_that_it_is_for(void **state)
{
    struct redis_target target = {.sentinel_user = strdup("watcher"),
                                  .sentinel_password = strdup("spw"),
                                  .password_file = strdup("/p"),
                                  .sentinel_password_from = "S"};
    struct redis_target one;
    char error[300], shown[REDIS_SHOWN_SIZE];

    (void)state;
    assert_int_equal(
        redis_target_add(&target, "redis+sentinel://me:pw@a/lab/4", error, sizeof error), 0);
    assert_true(redis_target_has_witnesses(&target));
    assert_int_equal(redis_target_one(&target, REDIS_AS_SENTINEL, "::1", "7", &one), 0);
    assert_false(redis_target_has_witnesses(&one));
    assert_string_equal(redis_target_show(&one, shown, sizeof shown), "[::1]:7");
    assert_string_equal(one.url.user, "watcher");
    assert_string_equal(one.url.password, "spw");
    assert_string_equal(redis_target_password_from(&one), "S");
    assert_int_equal(one.url.database, 0);
    redis_target_clear(&one);
    assert_int_equal(redis_target_one(&target, REDIS_AS_SERVER, "h", "6379", &one), 0);
    assert_string_equal(one.url.user, "me");
    assert_string_equal(one.url.password, "pw");
    assert_string_equal(one.password_file, "/p");
    assert_int_equal(one.url.database, 4);
    redis_target_clear(&one);
    redis_target_clear(&target);
}

/* What is told of a refused password: the file comes before whatever set the URL's. */
static void a_target_says_where_its_password_is_from(void **state)
{
    struct redis_target target = {0};

    (void)state;
    assert_string_equal(redis_target_password_from(&target), "the URL");
    target.password_from = "REDIS_URL";
    assert_string_equal(redis_target_password_from(&target), "REDIS_URL");
    target.password_file = strdup("/run/secrets/redis");
    assert_string_equal(redis_target_password_from(&target), "/run/secrets/redis");
    redis_target_clear(&target);
    redis_target_clear(&target);
    assert_string_equal(redis_target_password_from(&target), "the URL");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_addresses_that_fit_together),
        cmocka_unit_test(a_port_that_is_not_given_is_that_of_sentinels),
        cmocka_unit_test(refuses_what_does_not_fit_together),
        cmocka_unit_test(there_is_an_end_to_seeds),
        cmocka_unit_test(one_of_them_has_the_user_that_it_is_for),
        cmocka_unit_test(a_target_says_where_its_password_is_from),
    };

    return cmocka_run_group_tests_name("target", tests, NULL, NULL);
}
