/*
 * A timer of CLOCK_BOOTTIME on the loop: libuv's own do not count a suspended host.
 */
#ifndef LEADERWRAP_WRAPPER_WAKER_H
#define LEADERWRAP_WRAPPER_WAKER_H

#include <stdint.h>
#include <uv.h>

struct waker {
    uv_poll_t poll;
    int fd;        /* of the timer; -1: it is not open */
    int64_t at_ns; /* when it is to fire; INT64_MAX: never */
    void (*on_wake)(void *context);
    void *context;
};

/* Not open, as waker_close wants it at least. */
#define WAKER_CLOSED ((struct waker){.fd = -1, .at_ns = INT64_MAX})

/* `waker` stays where it is until the loop has run after waker_close. Returns 0 or -errno. */
int waker_open(struct waker *waker, uv_loop_t *loop, void (*on_wake)(void *context), void *context);
void waker_close(struct waker *waker);

/* Fires at `at_ns`, once, and not at what was set before. Aborts where that cannot be done: without
 * it this process would sleep past its deadlines. */
void waker_set(struct waker *waker, int64_t at_ns);

#endif
