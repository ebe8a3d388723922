/* Signals, through a signalfd(2). One descriptor for all: libuv would need five system calls for
 * each of some fifty, before the command can start. */
#include "signals.h"

#include <errno.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "leaderwrap/base/disposition.h"

/* Read at once. More wait for the next turn of the loop, so that a storm of them leaves time for
 * the rest. */
#define BATCH 8

static void on_signal(const struct signals *signals, int number)
{
    switch (disposition_fate(number)) {
    case FATE_CHILD:
        signals->callbacks.on_child(signals->context);
        break;
    case FATE_STOP:
        signals->callbacks.on_stop(signals->context, number);
        break;
    case FATE_HANG_UP:
        if (signals->on_terminal) {
            signals->callbacks.on_stop(signals->context, number);
            break;
        }
        /* fall through */
    case FATE_PASS:
        signals->callbacks.on_forward(signals->context, number);
        break;
    case FATE_IGNORE:
    case FATE_FATAL:
        break; /* not listened to */
    }
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
    const struct signals *signals = poll->data;
    struct signalfd_siginfo infos[BATCH];
    ssize_t length = read(signals->fd, infos, sizeof infos);

    (void)status;
    (void)events;
    for (ssize_t i = 0; i < length / (ssize_t)sizeof infos[0]; i++)
        on_signal(signals, (int)infos[i].ssi_signo);
}

static bool is_listened_to(int number, const struct inherited *inherited)
{
    enum fate fate = disposition_fate(number);

    if (fate == FATE_IGNORE || fate == FATE_FATAL)
        return false;
    return fate == FATE_CHILD || sigismember(&inherited->ignored, number) != 1;
}

static int start_polling(struct signals *signals, uv_loop_t *loop)
{
    int result = uv_poll_init(loop, &signals->poll, signals->fd);

    if (result != 0) {
        close(signals->fd);
        return result;
    }
    signals->poll.data = signals;
    return uv_poll_start(&signals->poll, UV_READABLE, on_readable);
}

int signals_open(struct signals *signals, uv_loop_t *loop, const struct inherited *inherited,
                 const struct signals_callbacks *callbacks, void *context)
{
    sigset_t set;

    signals->poll.data = NULL;
    signals->callbacks = *callbacks;
    signals->context = context;
    signals->on_terminal = isatty(STDERR_FILENO) == 1;

    sigemptyset(&set);
    for (int number = 1; number < NSIG; number++) {
        if (is_listened_to(number, inherited))
            sigaddset(&set, number);
    }
    /* Ignored, SIGCHLD would make the kernel reap by itself. What is blocked is kept for the
     * descriptor, whatever its default action is, for the first process of a container as well. */
    disposition_set(SIGCHLD, false);
    int result = -pthread_sigmask(SIG_BLOCK, &set, NULL);
    if (result != 0)
        return result;
    signals->fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return signals->fd < 0 ? -errno : start_polling(signals, loop);
}

void signals_close(struct signals *signals)
{
    if (signals->poll.data == NULL)
        return;
    uv_close((uv_handle_t *)&signals->poll, NULL);
    close(signals->fd);
}
