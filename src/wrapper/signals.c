/* Signals, through libuv. */
#include "signals.h"

#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "leaderwrap/base/disposition.h"

static void on_signal(uv_signal_t *handle, int number)
{
    struct signals *signals = handle->data;

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

static bool is_listened_to(int number, const struct inherited *inherited)
{
    enum fate fate = disposition_fate(number);

    if (fate == FATE_IGNORE || fate == FATE_FATAL)
        return false;
    return fate == FATE_CHILD || sigismember(&inherited->ignored, number) != 1;
}

static int listen_to(struct signals *signals, uv_loop_t *loop, int number)
{
    uv_signal_t *handle = &signals->handles[signals->count];
    int result = uv_signal_init(loop, handle);

    if (result != 0)
        return result;
    handle->data = signals;
    signals->count++;
    return uv_signal_start(handle, on_signal, number);
}

int signals_open(struct signals *signals, uv_loop_t *loop, const struct inherited *inherited,
                 const struct signals_callbacks *callbacks, void *context)
{
    sigset_t set;
    int result = 0;

    signals->count = 0;
    signals->callbacks = *callbacks;
    signals->context = context;
    signals->on_terminal = isatty(STDERR_FILENO) == 1;

    sigemptyset(&set);
    for (int number = 1; number < NSIG && result == 0; number++) {
        if (!is_listened_to(number, inherited))
            continue;
        sigaddset(&set, number);
        result = listen_to(signals, loop, number);
    }
    return result == 0 ? -pthread_sigmask(SIG_UNBLOCK, &set, NULL) : result;
}

/* libuv gives a signal its default action back, which for most is the end of the process: with
 * another status than the one that it is about to leave with. A thread of libuv's has them
 * unblocked as well. */
void signals_close(struct signals *signals)
{
    sigset_t set;

    sigemptyset(&set);
    for (int i = 0; i < signals->count; i++)
        sigaddset(&set, signals->handles[i].signum);
    (void)pthread_sigmask(SIG_BLOCK, &set, NULL);
    for (int i = 0; i < signals->count; i++)
        uv_close((uv_handle_t *)&signals->handles[i], NULL);
    for (int number = 1; number < NSIG; number++) {
        if (sigismember(&set, number) == 1 && disposition_fate(number) != FATE_CHILD)
            (void)signal(number, SIG_IGN);
    }
    signals->count = 0;
}
