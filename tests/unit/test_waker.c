/* The timer of the loop: it fires when it was last set to, once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "leaderwrap/base/clock.h"
#include "wrapper/waker.h"

struct fixture {
    uv_loop_t loop;
    struct waker waker;
    int fired;
    int64_t fired_ns;
    int64_t again_ns; /* what it is set to when it fires */
};

static void on_wake(void *context)
{
    struct fixture *f = context;

    f->fired++;
    f->fired_ns = clock_boottime_ns();
    waker_set(&f->waker, f->again_ns);
    if (f->again_ns == INT64_MAX)
        waker_close(&f->waker);
    f->again_ns = INT64_MAX;
}

static void begin(struct fixture *f, int64_t again_ns)
{
    *f = (struct fixture){.again_ns = again_ns};
    assert_int_equal(uv_loop_init(&f->loop), 0);
    assert_int_equal(waker_open(&f->waker, &f->loop, on_wake, f), 0);
}

static void end(struct fixture *f)
{
    assert_int_equal(uv_run(&f->loop, UV_RUN_DEFAULT), 0);
    assert_int_equal(uv_loop_close(&f->loop), 0);
}

static void it_fires_when_it_was_last_set_to(void **state)
{
    struct fixture f;
    int64_t began_ns = clock_boottime_ns();

    (void)state;
    begin(&f, INT64_MAX);
    waker_set(&f.waker, INT64_MAX);
    waker_set(&f.waker, began_ns + INT64_C(3600) * 1000 * NS_PER_MS);
    waker_set(&f.waker, began_ns + 50 * NS_PER_MS);
    assert_int_equal(f.waker.at_ns, began_ns + 50 * NS_PER_MS);
    end(&f);
    assert_int_equal(f.fired, 1);
    assert_true(f.fired_ns >= began_ns + 50 * NS_PER_MS);
}

static void what_is_past_fires_at_once(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, clock_boottime_ns() - 1);
    waker_set(&f.waker, 1);
    end(&f);
    assert_int_equal(f.fired, 2);
}

static void one_that_is_not_open_can_be_closed(void **state)
{
    struct waker waker = WAKER_CLOSED;

    (void)state;
    waker_close(&waker);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_fires_when_it_was_last_set_to),
        cmocka_unit_test(what_is_past_fires_at_once),
        cmocka_unit_test(one_that_is_not_open_can_be_closed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
