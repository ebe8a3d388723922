/* The addresses that a connection is led to, with look-ups that end as the test wants them to. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <cmocka.h>

#include "redis/resolver.h"
#include "redis/route.h"

/* ---- the look-ups, in the place of libuv's (the linker's --wrap) ---- */

static struct {
    uv_getaddrinfo_t *request; /* in flight */
    uv_getaddrinfo_cb callback;
    char asked[128]; /* the last one: host and port */
    int begun;
    int cancelled;
    int freed;
    int error; /* of the next beginning */
} lookups;

int __wrap_uv_getaddrinfo(uv_loop_t *loop, uv_getaddrinfo_t *request, uv_getaddrinfo_cb callback,
                          const char *host, const char *port, const struct addrinfo *hints);
int __wrap_uv_cancel(uv_req_t *request);
void __wrap_uv_freeaddrinfo(struct addrinfo *list);

int __wrap_uv_getaddrinfo(uv_loop_t *loop, uv_getaddrinfo_t *request, uv_getaddrinfo_cb callback,
                          const char *host, const char *port, const struct addrinfo *hints)
{
    (void)loop;
    assert_int_equal(hints->ai_socktype, SOCK_STREAM);
    assert_null(lookups.request);
    if (lookups.error != 0)
        return lookups.error;
    lookups.request = request;
    lookups.callback = callback;
    lookups.begun++;
    snprintf(lookups.asked, sizeof lookups.asked, "%s %s", host, port);
    return 0;
}

int __wrap_uv_cancel(uv_req_t *request)
{
    assert_ptr_equal(request, lookups.request);
    lookups.cancelled++;
    return UV_EBUSY;
}

void __wrap_uv_freeaddrinfo(struct addrinfo *list)
{
    (void)list;
    lookups.freed++;
}

/* Ends the look-up with these addresses, NULL at the end; "?" is one of no family we know. */
static void found(int status, const char *const *numbers)
{
    struct addrinfo list[16];
    struct sockaddr_in6 addresses[16];
    uv_getaddrinfo_t *request = lookups.request;
    int count = 0;

    memset(list, 0, sizeof list);
    memset(addresses, 0, sizeof addresses);
    for (; numbers != NULL && numbers[count] != NULL; count++) {
        struct addrinfo *one = &list[count];

        one->ai_addr = (struct sockaddr *)&addresses[count];
        one->ai_next = numbers[count + 1] != NULL ? one + 1 : NULL;
        if (uv_ip4_addr(numbers[count], 6379, (struct sockaddr_in *)one->ai_addr) == 0)
            one->ai_addrlen = sizeof(struct sockaddr_in);
        else if (uv_ip6_addr(numbers[count], 6379, &addresses[count]) == 0)
            one->ai_addrlen = sizeof(struct sockaddr_in6);
        one->ai_family = one->ai_addrlen > 0 ? one->ai_addr->sa_family : AF_UNIX;
    }
    assert_non_null(request);
    lookups.request = NULL;
    lookups.callback(request, status, count > 0 ? list : NULL);
}

#define FOUND(...) found(0, (const char *const[]){__VA_ARGS__, NULL})

/* ---- the route ---- */

struct journey {
    struct redis_target target;
    struct route *route;
    struct route_hop hop;
    struct route_problem problem;
    int ready;
};

static void on_ready(void *context)
{
    ((struct journey *)context)->ready++;
}

static void set_out(struct journey *j, const char *url)
{
    const struct route_config config = {.target = &j->target, .on_ready = on_ready, .context = j};
    char error[256];

    memset(j, 0, sizeof *j);
    memset(&lookups, 0, sizeof lookups);
    assert_int_equal(redis_url_parse(url, &j->target.url, error, sizeof error), 0);
    assert_int_equal(route_new(&j->route, &config), 0);
}

static void arrive(struct journey *j)
{
    route_free(j->route);
    redis_target_clear(&j->target);
}

static enum route_step next(struct journey *j)
{
    return route_next(j->route, &j->hop, &j->problem);
}

/* The next address is this one. */
static void assert_hop(struct journey *j, const char *number)
{
    char shown[INET6_ADDRSTRLEN];

    assert_int_equal(next(j), ROUTE_HOP);
    if (j->hop.address.any.sa_family == AF_INET)
        uv_ip4_name(&j->hop.address.v4, shown, sizeof shown);
    else
        uv_ip6_name(&j->hop.address.v6, shown, sizeof shown);
    assert_string_equal(shown, number);
    assert_int_equal(ntohs(j->hop.address.v4.sin_port), 6379);
}

static void assert_hops(struct journey *j, const char *const *numbers)
{
    for (; *numbers != NULL; numbers++)
        assert_hop(j, *numbers);
    assert_int_equal(next(j), ROUTE_OVER);
    assert_int_equal(next(j), ROUTE_OVER);
}

#define HOPS(j, ...) assert_hops(j, (const char *const[]){__VA_ARGS__, NULL})

static void begin_and_wait(struct journey *j)
{
    route_begin(j->route);
    assert_int_equal(next(j), ROUTE_WAITS);
    assert_int_equal(next(j), ROUTE_WAITS);
}

static void a_numeric_address_is_known(void **state)
{
    static const char *const urls[][3] = {{"redis://10.0.0.7", "10.0.0.7", "10.0.0.7:6379"},
                                          {"redis://[fd00::7]", "fd00::7", "[fd00::7]:6379"}};
    struct journey j;

    (void)state;
    for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++) {
        set_out(&j, urls[i][0]);
        for (int round = 0; round < 2; round++) {
            route_begin(j.route);
            HOPS(&j, urls[i][1]);
            assert_string_equal(j.hop.where, urls[i][2]);
            assert_string_equal(j.hop.number, "");
        }
        arrive(&j);
    }
    assert_int_equal(lookups.begun, 0);
}

static void a_path_is_an_address(void **state)
{
    struct journey j;

    (void)state;
    set_out(&j, "unix:///run/redis.sock?db=3");
    for (int round = 0; round < 2; round++) {
        route_begin(j.route);
        assert_int_equal(next(&j), ROUTE_HOP);
        assert_int_equal(j.hop.address.any.sa_family, AF_UNIX);
        assert_string_equal(j.hop.address.local.sun_path, "/run/redis.sock");
        assert_string_equal(j.hop.where, "/run/redis.sock");
        assert_int_equal(next(&j), ROUTE_OVER);
    }
    arrive(&j);
}

static void a_path_that_is_too_long_is_no_address(void **state)
{
    struct journey j;
    char url[200];

    (void)state;
    for (int length = 107; length <= 108; length++) {
        snprintf(url, sizeof url, "unix:///%0*d", length - 1, 0);
        set_out(&j, url);
        route_begin(j.route);
        assert_int_equal(next(&j), length == 107 ? ROUTE_HOP : ROUTE_LOST);
        if (length == 107)
            assert_int_equal(strlen(j.hop.address.local.sun_path), length);
        else
            assert_int_equal(j.problem.failure, LEASE_FAILURE_CONFIGURATION);
        arrive(&j);
    }
    assert_non_null(strstr(j.problem.why, "too long: at most 107 bytes"));
}

static void all_addresses_of_a_name_are_tried_in_turn(void **state)
{
    struct journey j;

    (void)state;
    set_out(&j, "redis://r.example");
    begin_and_wait(&j);
    assert_string_equal(lookups.asked, "r.example 6379");
    assert_int_equal(j.ready, 0);
    FOUND("10.0.0.1", "?", "fd00::2", "10.0.0.3");
    assert_int_equal(j.ready, 1);
    HOPS(&j, "10.0.0.1", "fd00::2", "10.0.0.3");
    assert_string_equal(j.hop.where, "r.example:6379");
    assert_string_equal(j.hop.number, "10.0.0.3");
    assert_int_equal(lookups.freed, 1);
    arrive(&j);
}

static void a_round_begins_where_the_one_before_stopped(void **state)
{
    struct journey j;

    (void)state;
    set_out(&j, "redis://r.example");
    begin_and_wait(&j);
    FOUND("10.0.0.1", "10.0.0.2", "10.0.0.3");
    assert_hop(&j, "10.0.0.1");
    begin_and_wait(&j);
    FOUND("10.0.0.1", "10.0.0.2", "10.0.0.3");
    HOPS(&j, "10.0.0.2", "10.0.0.3", "10.0.0.1");
    assert_int_equal(lookups.begun, 2);
    arrive(&j);
}

static void a_name_that_is_not_found_is_lost(void **state)
{
    static const struct {
        int status;
        const char *numbers[2];
        const char *why;
    } cases[] = {
        {UV_EAI_NONAME, {NULL}, "unknown node or service"},
        {0, {NULL}, "no address"},
        {0, {"?"}, "no address"},
    };
    struct journey j;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        set_out(&j, "redis://r.example");
        begin_and_wait(&j);
        found(cases[i].status, cases[i].numbers);
        assert_int_equal(j.ready, 1);
        assert_int_equal(next(&j), ROUTE_LOST);
        assert_int_equal(j.problem.failure, LEASE_FAILURE_TRANSIENT);
        assert_non_null(
            strstr(j.problem.why, "cannot find the address of redis at r.example:6379: "));
        assert_non_null(strstr(j.problem.why, cases[i].why));
        /* The next round asks anew. */
        begin_and_wait(&j);
        FOUND("10.0.0.1");
        HOPS(&j, "10.0.0.1");
        arrive(&j);
    }
}

static void a_look_up_that_cannot_begin_is_lost(void **state)
{
    struct journey j;

    (void)state;
    set_out(&j, "redis://r.example");
    lookups.error = UV_ENOMEM;
    route_begin(j.route);
    assert_int_equal(next(&j), ROUTE_LOST);
    assert_non_null(strstr(j.problem.why, "not enough memory"));
    lookups.error = 0;
    begin_and_wait(&j);
    assert_int_equal(j.ready, 0);
    arrive(&j);
    /* It is free by the time the look-up ends. */
    FOUND("10.0.0.1");
    assert_int_equal(lookups.cancelled, 1);
    assert_int_equal(lookups.freed, 1);
}

static void the_last_good_list_outlives_look_ups_that_fail_or_hang(void **state)
{
    struct journey j;

    (void)state;
    set_out(&j, "redis://r.example");
    begin_and_wait(&j);
    FOUND("10.0.0.1");
    HOPS(&j, "10.0.0.1");
    begin_and_wait(&j);
    found(UV_EAI_AGAIN, NULL);
    HOPS(&j, "10.0.0.1");
    /* This one hangs: the round that needs it waits, the next goes on with what is known. */
    begin_and_wait(&j);
    route_begin(j.route);
    HOPS(&j, "10.0.0.1");
    assert_int_equal(lookups.begun, 3);
    /* That it has come is nobody's news, but its list counts from now on. */
    int ready = j.ready;
    FOUND("10.0.0.9");
    assert_int_equal(j.ready, ready);
    assert_int_equal(next(&j), ROUTE_OVER);
    begin_and_wait(&j);
    found(UV_EAI_AGAIN, NULL);
    HOPS(&j, "10.0.0.9");
    arrive(&j);
}

static void one_look_up_serves_the_rounds_that_wait_for_it(void **state)
{
    struct journey j;

    (void)state;
    set_out(&j, "redis://r.example");
    begin_and_wait(&j);
    begin_and_wait(&j);
    assert_int_equal(lookups.begun, 1);
    FOUND("10.0.0.1");
    assert_int_equal(j.ready, 1);
    HOPS(&j, "10.0.0.1");
    arrive(&j);
}

static void a_long_list_is_cut(void **state)
{
    struct journey j;

    (void)state;
    set_out(&j, "redis://r.example");
    begin_and_wait(&j);
    FOUND("10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.5", "10.0.0.6", "10.0.0.7",
          "10.0.0.8", "10.0.0.9");
    HOPS(&j, "10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.5", "10.0.0.6", "10.0.0.7",
         "10.0.0.8");
    arrive(&j);
    assert_int_equal(RESOLVER_ADDRESSES_MAX, 8);
    route_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_numeric_address_is_known),
        cmocka_unit_test(a_path_is_an_address),
        cmocka_unit_test(a_path_that_is_too_long_is_no_address),
        cmocka_unit_test(all_addresses_of_a_name_are_tried_in_turn),
        cmocka_unit_test(a_round_begins_where_the_one_before_stopped),
        cmocka_unit_test(a_name_that_is_not_found_is_lost),
        cmocka_unit_test(a_look_up_that_cannot_begin_is_lost),
        cmocka_unit_test(the_last_good_list_outlives_look_ups_that_fail_or_hang),
        cmocka_unit_test(one_look_up_serves_the_rounds_that_wait_for_it),
        cmocka_unit_test(a_long_list_is_cut),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
