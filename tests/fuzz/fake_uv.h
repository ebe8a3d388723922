/*
 * A stand-in for the part of libuv that the program's sockets and timers use, put in its place by
 * the linker (--wrap). Nothing in it touches the system: time is a number, a stream is what the
 * target says it is, and the same input always gives the same run. As in libuv, callbacks come
 * from the loop only, and a closed handle is given back after its pending requests were cancelled.
 */
#ifndef LEADERWRAP_TEST_FAKE_UV_H
#define LEADERWRAP_TEST_FAKE_UV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

/* What becomes of the next writes. */
enum fake_write {
    FAKE_WRITE_ALL,
    FAKE_WRITE_PART,  /* half of it at once, the rest through uv_write */
    FAKE_WRITE_AGAIN, /* nothing at once */
    FAKE_WRITE_BROKEN,
};

struct fake_uv_hooks {
    /* `length` bytes left on `stream`, now or queued. */
    void (*on_written)(unsigned serial, const char *data, size_t length);
};

/* Begins anew at `now_ms`; there must be no handles left. */
void fake_uv_reset(int64_t now_ms, const struct fake_uv_hooks *hooks);

void fake_uv_set_write(enum fake_write mode);

/* Moves the clock on. Nothing is called. */
void fake_uv_set_time(int64_t now_ms);

/* When the first timer is due; INT64_MAX: none. */
int64_t fake_uv_wake_ms(void);

/* Runs everything that is due, until nothing is. */
void fake_uv_run(void);

/* How many handles there are that were not given back. */
int fake_uv_handles(void);

/* Streams are numbered in the order of their making, from 1. The latest `back` from the end that is
 * still open; 0 if there is none. */
unsigned fake_uv_stream(unsigned back);

/* Ends the connecting of a stream. False if it is not connecting. */
bool fake_uv_connect(unsigned serial, int status);

/* Hands `length` bytes to the reader in pieces of at most `piece`; fewer if it closes meanwhile.
 * Returns how many were taken. `before` is told of each piece before the reader sees it. */
size_t fake_uv_feed(unsigned serial, const uint8_t *data, size_t length, size_t piece,
                    void (*before)(unsigned serial, const uint8_t *data, size_t length));

/* Ends the reading with a libuv error (UV_EOF). False if nobody reads. */
bool fake_uv_end(unsigned serial, int error);

/* A descriptor of a poll handle is ready: 0-based in the order of their making. False if it is not
 * polled. */
bool fake_uv_poll(int index, int status, int events);

#endif
