/* What sentinels say of a fail-over: a hint, heard from one of them. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fake_server.h"
#include "loop_until.h"
#include "redis/switch.h"

#define SUBSCRIBED "*3\r\n$9\r\nsubscribe\r\n$14\r\n+switch-master\r\n:1\r\n"
#define NEWS       "*3\r\n$7\r\nmessage\r\n$14\r\n+switch-master\r\n$18\r\nlab h 6379 i 6380x\r\n"
#define WORD       "*3\r\n$7\r\nmessage\r\n$14\r\n+switch-master\r\n$17\r\nlab h 6379 i 6380\r\n"

struct fixture {
    uv_loop_t loop;
    struct fake_server sentinels[2];
    struct redis_target target;
    struct switch_listener *listener;
    int heard;
    struct place place;
    bool frees;
};

static void on_switch(void *context, const struct place *place)
{
    struct fixture *f = context;

    f->heard++;
    f->place = *place;
    if (f->frees) {
        switch_free(f->listener);
        f->listener = NULL;
    }
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    const struct switch_config config = {.loop = &f->loop,
                                         .target = &f->target,
                                         .timeout_ms = 300,
                                         .on_switch = on_switch,
                                         .context = f};
    char text[128], error[300];

    assert_non_null(f);
    assert_int_equal(uv_loop_init(&f->loop), 0);
    for (int i = 0; i < 2; i++)
        fake_server_start(&f->sentinels[i], &f->loop);
    snprintf(text, sizeof text, "redis+sentinel://127.0.0.1:%d,127.0.0.1:%d/lab",
             f->sentinels[0].port, f->sentinels[1].port);
    assert_int_equal(redis_target_add(&f->target, text, error, sizeof error), 0);
    assert_int_equal(switch_new(&f->listener, &config), 0);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    switch_free(f->listener);
    for (int i = 0; i < 2; i++)
        fake_server_stop(&f->sentinels[i]);
    loop_end(&f->loop);
    redis_target_clear(&f->target);
    free(f);
    return 0;
}

static bool has_heard(void *context)
{
    return ((struct fixture *)context)->heard > 0;
}

static bool has_heard_twice(void *context)
{
    return ((struct fixture *)context)->heard > 1;
}

static bool is_asked_of_the_second(void *context)
{
    return ((struct fixture *)context)->sentinels[1].commands > 0;
}

static void reads_what_is_about_our_master(void **state)
{
    static const char *const bad[] = {
        "",
        "lab",
        "lab h 6379 i",
        "lab h 6379 i ",
        "lab h 6379 i 6380 ",
        "lab h 6379 i 6380 x",
        "lab  h 6379 i 6380",
        "lab2 h 6379 i 6380",
        "la h 6379 i 6380",
        "lab h 6379 i 0",
        "lab h 6379 i x",
        " lab h 6379 i 6380",
    };
    struct place place;

    (void)state;
    assert_int_equal(switch_read("lab 10.0.0.1 6379 redis-2 6380", "lab", &place), 0);
    assert_string_equal(place.host, "redis-2");
    assert_string_equal(place.port, "6380");
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (switch_read(bad[i], "lab", &place) == 0)
            fail_msg("taken: %s", bad[i]);
}

/* Others than ours are passed over, and what follows at once is not told again. */
static void tells_of_one_switch_at_a_time(void **state)
{
    struct fixture *f = *state;

    f->sentinels[0].answers[0] = SUBSCRIBED NEWS WORD WORD;
    switch_start(f->listener);
    switch_start(f->listener);
    loop_until(&f->loop, has_heard, f);
    assert_string_equal(f->sentinels[0].last, "SUBSCRIBE +switch-master");
    assert_string_equal(f->place.host, "i");
    assert_string_equal(f->place.port, "6380");
    assert_false(loop_wait(&f->loop, has_heard_twice, f, 50));
    assert_int_equal(f->sentinels[0].accepted, 1);
}

static void listens_to_another_where_one_is_lost(void **state)
{
    struct fixture *f = *state;

    f->sentinels[0].answers[0] = "";
    f->sentinels[1].answers[0] = SUBSCRIBED WORD;
    switch_start(f->listener);
    loop_until(&f->loop, has_heard, f);
    assert_int_equal(f->sentinels[0].accepted, 1);
}

static void does_not_wait_for_one_that_is_mute(void **state)
{
    struct fixture *f = *state;

    switch_start(f->listener);
    loop_until(&f->loop, is_asked_of_the_second, f);
    assert_int_equal(f->sentinels[0].commands, 1);
}

static void whoever_hears_may_let_it_go(void **state)
{
    struct fixture *f = *state;

    f->sentinels[0].answers[0] = SUBSCRIBED WORD WORD;
    f->frees = true;
    switch_start(f->listener);
    loop_until(&f->loop, has_heard, f);
    assert_null(f->listener);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_what_is_about_our_master),
        cmocka_unit_test_setup_teardown(tells_of_one_switch_at_a_time, setup, teardown),
        cmocka_unit_test_setup_teardown(listens_to_another_where_one_is_lost, setup, teardown),
        cmocka_unit_test_setup_teardown(does_not_wait_for_one_that_is_mute, setup, teardown),
        cmocka_unit_test_setup_teardown(whoever_hears_may_let_it_go, setup, teardown),
    };

    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests_name("switch", tests, NULL, NULL);
}
