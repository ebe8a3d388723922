/* A timerfd, see timerfd_create(2). */
#include "waker.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "leaderwrap/base/clock.h"

static void on_readable(uv_poll_t *poll, int status, int events)
{
    const struct waker *waker = poll->data;
    uint64_t expirations;

    (void)status;
    (void)events;
    /* Setting it makes the count go away: there may be nothing to read. */
    if (read(waker->fd, &expirations, sizeof expirations) < 0 && errno != EAGAIN)
        abort();
    waker->on_wake(waker->context);
}

int waker_open(struct waker *waker, uv_loop_t *loop, void (*on_wake)(void *context), void *context)
{
    int fd = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);

    *waker = WAKER_CLOSED;
    if (fd < 0)
        return -errno;
    int result = uv_poll_init(loop, &waker->poll, fd);
    if (result != 0) {
        close(fd);
        return result;
    }
    waker->fd = fd;
    waker->on_wake = on_wake;
    waker->context = context;
    waker->poll.data = waker;
    return uv_poll_start(&waker->poll, UV_READABLE, on_readable);
}

void waker_close(struct waker *waker)
{
    if (waker->fd < 0)
        return;
    uv_close((uv_handle_t *)&waker->poll, NULL);
    close(waker->fd);
    waker->fd = -1;
}

void waker_set(struct waker *waker, int64_t at_ns)
{
    waker->at_ns = at_ns;
    if (clock_arm_timer(waker->fd, at_ns) != 0)
        abort();
}
