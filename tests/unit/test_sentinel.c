/* The way to a master by sentinels that are asked in turn. */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fake_sentinel.h"
#include "loop_until.h"
#include "redis/place.h"
#include "redis/route.h"
#include "redis/sentinel.h"
#include "redis/sentinel_ask.h"

#define SENTINELS 3

struct fixture {
    uv_loop_t loop;
    struct fake_sentinel sentinels[SENTINELS];
    struct redis_target target;
    struct route *route;
    struct route_hop hop;
    struct route_problem problem;
    int ready;
};

static void on_ready(void *context)
{
    ((struct fixture *)context)->ready++;
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    const struct route_config config = {
        .loop = &f->loop, .target = &f->target, .on_ready = on_ready, .context = f};
    char text[128], error[300];

    assert_non_null(f);
    assert_int_equal(uv_loop_init(&f->loop), 0);
    for (int i = 0; i < SENTINELS; i++)
        fake_sentinel_start(&f->sentinels[i], &f->loop, (char)('1' + i));
    snprintf(text, sizeof text, "redis+sentinel://127.0.0.1:%d,127.0.0.1:%d,127.0.0.1:%d/lab/3",
             f->sentinels[0].server.port, f->sentinels[1].server.port, f->sentinels[2].server.port);
    assert_int_equal(redis_target_add(&f->target, text, error, sizeof error), 0);
    f->target.sentinel_password_from = "S";
    assert_int_equal(route_new(&f->route, &config), 0);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    route_free(f->route);
    for (int i = 0; i < SENTINELS; i++)
        fake_server_stop(&f->sentinels[i].server);
    loop_end(&f->loop);
    redis_target_clear(&f->target);
    free(f);
    return 0;
}

static bool is_ready(void *context)
{
    return ((struct fixture *)context)->ready > 0;
}

/* Begins a round and waits until there is an answer. */
static enum route_step go(struct fixture *f)
{
    f->ready = 0;
    route_begin(f->route);
    assert_int_equal(route_next(f->route, &f->hop, &f->problem), ROUTE_WAITS);
    loop_until(&f->loop, is_ready, f);
    return route_next(f->route, &f->hop, &f->problem);
}

static void the_first_one_that_answers_says_where_the_master_is(void **state)
{
    struct fixture *f = *state;

    f->sentinels[0].host = "127.0.0.7";
    f->sentinels[0].port = 7000;
    assert_int_equal(go(f), ROUTE_HOP);
    assert_string_equal(f->hop.where, "127.0.0.7:7000");
    assert_string_equal(f->hop.host, "127.0.0.7");
    assert_string_equal(f->hop.port, "7000");
    assert_int_equal(ntohs(f->hop.address.v4.sin_port), 7000);
    assert_int_equal(route_next(f->route, &f->hop, &f->problem), ROUTE_OVER);
    assert_int_equal(f->sentinels[0].questions, 1);
    assert_int_equal(f->sentinels[1].questions + f->sentinels[2].questions, 0);
}

/* A sentinel that is cut off from the others may name an old master for ever. */
static void whoever_led_to_what_did_not_last_is_asked_last(void **state)
{
    struct fixture *f = *state;

    f->sentinels[0].port = 7000;
    f->sentinels[1].host = "::1";
    assert_int_equal(go(f), ROUTE_HOP);
    assert_string_equal(f->hop.where, "127.0.0.1:7000");
    assert_int_equal(go(f), ROUTE_HOP);
    assert_string_equal(f->hop.where, "[::1]:6379");
    assert_int_equal(go(f), ROUTE_HOP);
    assert_int_equal(f->sentinels[2].questions, 1);
    assert_int_equal(go(f), ROUTE_HOP);
    assert_string_equal(f->hop.where, "127.0.0.1:7000");
}

static void one_that_is_mute_is_passed_over(void **state)
{
    struct fixture *f = *state;

    f->sentinels[0].mute = true;
    f->sentinels[1].host = NULL;
    assert_int_equal(go(f), ROUTE_HOP);
    assert_int_equal(f->sentinels[0].questions, 1);
    assert_int_equal(f->sentinels[1].questions, 1);
    assert_int_equal(f->sentinels[2].questions, 1);
}

/* A connection may give a round up sooner than a sentinel. */
static void a_round_that_was_cut_short_goes_on_with_the_next(void **state)
{
    struct fixture *f = *state;

    f->sentinels[0].mute = true;
    route_begin(f->route);
    assert_int_equal(route_next(f->route, &f->hop, &f->problem), ROUTE_WAITS);
    assert_int_equal(go(f), ROUTE_HOP);
    assert_int_equal(f->sentinels[1].questions, 1);
}

static void a_name_that_none_knows_is_a_mistake(void **state)
{
    struct fixture *f = *state;
    char where[64];

    for (int i = 0; i < SENTINELS; i++)
        f->sentinels[i].host = NULL;
    assert_int_equal(go(f), ROUTE_LOST);
    assert_int_equal(f->problem.failure, LEASE_FAILURE_CONFIGURATION);
    snprintf(where, sizeof where, "the sentinel at 127.0.0.1:%d knows no master called lab",
             f->sentinels[2].server.port);
    assert_non_null(strstr(f->problem.why, where));
}

static void while_one_is_silent_nothing_is_known_to_be_a_mistake(void **state)
{
    struct fixture *f = *state;

    f->sentinels[0].host = f->sentinels[1].host = NULL;
    f->sentinels[2].mute = true;
    assert_int_equal(go(f), ROUTE_LOST);
    assert_int_equal(f->problem.failure, LEASE_FAILURE_TRANSIENT);
    assert_non_null(strstr(f->problem.why, "none of 3 sentinels says where lab is"));
    assert_non_null(strstr(f->problem.why, "does not answer within 300 ms"));
}

static const char *refuse(struct fake_server *fake)
{
    (void)fake;
    return "-NOAUTH Authentication required.\r\n";
}

static const char *serve(struct fake_server *fake)
{
    (void)fake;
    return "-ERR unknown command 'SENTINEL', with args beginning with: 'MASTER'\r\n";
}

static void who_is_refused_is_told_by_whom(void **state)
{
    struct fixture *f = *state;

    for (int i = 0; i < SENTINELS; i++)
        f->sentinels[i].server.respond = refuse;
    assert_int_equal(go(f), ROUTE_LOST);
    assert_int_equal(f->problem.failure, LEASE_FAILURE_CONFIGURATION);
    assert_non_null(strstr(f->problem.why, "the sentinel at 127.0.0.1:"));
    assert_non_null(strstr(f->problem.why, "NOAUTH"));
    assert_non_null(strstr(f->problem.why, "--sentinel-password-file"));
    for (int i = 0; i < SENTINELS; i++)
        f->sentinels[i].server.respond = serve;
    assert_int_equal(go(f), ROUTE_LOST);
    assert_int_equal(f->problem.failure, LEASE_FAILURE_CONFIGURATION);
    assert_non_null(strstr(f->problem.why, "a server and no sentinel"));
}

static void a_host_by_name_is_resolved(void **state)
{
    struct fixture *f = *state;

    f->sentinels[0].host = "localhost";
    enum route_step step = go(f);
    /* The look-up takes a while, or none. */
    if (step == ROUTE_WAITS) {
        f->ready = 0;
        loop_until(&f->loop, is_ready, f);
        step = route_next(f->route, &f->hop, &f->problem);
    }
    assert_int_equal(step, ROUTE_HOP);
    assert_string_equal(f->hop.where, "localhost:6379");
    assert_string_equal(f->hop.host, "localhost");
    assert_true(f->hop.number[0] != '\0');
}

static void one_that_hangs_up_is_passed_over(void **state)
{
    struct fixture *f = *state;

    f->sentinels[0].server.hangs_up = true;
    f->sentinels[0].mute = true;
    f->sentinels[0].server.respond = NULL;
    f->sentinels[0].server.answers[0] = "";
    assert_int_equal(go(f), ROUTE_HOP);
    assert_int_equal(f->sentinels[1].questions, 1);
}

static void a_route_goes_while_it_asks(void **state)
{
    struct fixture *f = *state;

    route_begin(f->route);
    route_free(f->route);
    f->route = NULL;
}

/* ---- addresses, and answers taken apart ---- */

static bool same(const char *host, const char *port, const char *other_host, const char *other_port)
{
    struct place a, b;

    (void)place_set(&a, host, strlen(host), port, strlen(port));
    (void)place_set(&b, other_host, strlen(other_host), other_port, strlen(other_port));
    return place_is_same(&a, &b) && place_is_same(&b, &a);
}

static void places_are_compared_by_what_they_mean(void **state)
{
    struct place place;
    char shown[64];

    (void)state;
    assert_true(same("10.0.0.3", "6379", "10.0.0.3", "06379"));
    assert_false(same("10.0.0.3", "6379", "10.0.0.3", "6380"));
    assert_false(same("10.0.0.3", "6379", "10.0.0.4", "6379"));
    assert_true(same("::1", "1", "0:0::0:1", "1"));
    assert_false(same("::1", "1", "::2", "1"));
    assert_true(same("Redis-1.example", "1", "redis-1.EXAMPLE", "1"));
    assert_false(same("redis-1", "1", "redis-2", "1"));
    assert_false(same("localhost", "1", "127.0.0.1", "1"));
    assert_false(same("", "1", "", "1"));
    assert_int_equal(place_set(&place, "h", 1, "0", 1), -1);
    assert_int_equal(place_set(&place, "h", 1, "65536", 5), -1);
    assert_int_equal(place_set(&place, "h", 1, "", 0), -1);
    assert_int_equal(place_set(&place, "a b", 3, "1", 1), -1);
    assert_int_equal(place_set(&place, "a\0b", 3, "1", 1), -1);
    assert_string_equal(place.host, "");
    assert_int_equal(place_set(&place, "::1", 3, "7", 1), 0);
    assert_string_equal(place_show(&place, shown, sizeof shown), "[::1]:7");
}

static redisReply text(const char *words)
{
    return (redisReply){
        .type = REDIS_REPLY_STRING, .str = (char *)(uintptr_t)words, .len = strlen(words)};
}

static void answers_that_no_sentinel_gives_are_none(void **state)
{
    redisReply name = text("config-epoch"), number = text("12"), word = text("x"), nil = {0};
    redisReply *pair[] = {&name, &number, &word};
    redisReply reply = {.type = REDIS_REPLY_ARRAY, .elements = 2, .element = pair};
    struct witness_peers *peers = calloc(1, sizeof *peers);
    char id[WITNESS_ID_SIZE];
    struct place place;
    uint64_t epoch = 0;

    (void)state;
    nil.type = REDIS_REPLY_NIL;
    assert_int_equal(sentinel_read_epoch(&reply, &epoch), 0);
    assert_int_equal(epoch, 12);
    pair[1] = &word;
    assert_int_equal(sentinel_read_epoch(&reply, &epoch), -1);
    pair[1] = &nil;
    assert_int_equal(sentinel_read_epoch(&reply, &epoch), -1);
    reply.elements = 1;
    assert_int_equal(sentinel_read_epoch(&reply, &epoch), -1);
    assert_int_equal(sentinel_read_epoch(&nil, &epoch), -1);
    assert_int_equal(sentinel_read_address(&reply, &place), -1);
    reply.elements = 2;
    assert_int_equal(sentinel_read_address(&reply, &place), -1);
    assert_int_equal(sentinel_read_address(&nil, &place), -1);
    assert_int_equal(sentinel_read_id(&word, id), -1);
    assert_int_equal(sentinel_read_peers(&word, peers), -1);
    /* One of them that makes no sense is left out. */
    assert_int_equal(sentinel_read_peers(&reply, peers), 0);
    assert_int_equal(peers->count, 0);
    free(peers);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_first_one_that_answers_says_where_the_master_is, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(whoever_led_to_what_did_not_last_is_asked_last, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(one_that_is_mute_is_passed_over, setup, teardown),
        cmocka_unit_test_setup_teardown(a_round_that_was_cut_short_goes_on_with_the_next, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_name_that_none_knows_is_a_mistake, setup, teardown),
        cmocka_unit_test_setup_teardown(while_one_is_silent_nothing_is_known_to_be_a_mistake, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(who_is_refused_is_told_by_whom, setup, teardown),
        cmocka_unit_test_setup_teardown(a_host_by_name_is_resolved, setup, teardown),
        cmocka_unit_test_setup_teardown(one_that_hangs_up_is_passed_over, setup, teardown),
        cmocka_unit_test_setup_teardown(a_route_goes_while_it_asks, setup, teardown),
        cmocka_unit_test(places_are_compared_by_what_they_mean),
        cmocka_unit_test(answers_that_no_sentinel_gives_are_none),
    };

    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests_name("sentinel", tests, NULL, NULL);
}
