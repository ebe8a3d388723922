/* Signals, through libuv. */
#include "leaderwrap/signals.h"

#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

static const int handled[SIGNALS_MOST] = {SIGTERM, SIGINT,   SIGQUIT, SIGHUP, SIGUSR1,
                                          SIGUSR2, SIGWINCH, SIGCONT, SIGCHLD};
static const int ignored[] = {SIGTSTP, SIGTTIN, SIGTTOU, SIGPIPE};

static void on_signal(uv_signal_t *handle, int number)
{
    struct signals *signals = handle->data;

    switch (number) {
    case SIGCHLD:
        signals->callbacks.on_child(signals->context);
        break;
    case SIGTERM:
    case SIGINT:
    case SIGQUIT:
        signals->callbacks.on_stop(signals->context, number);
        break;
    case SIGHUP:
        if (signals->on_terminal) {
            signals->callbacks.on_stop(signals->context, number);
            break;
        }
        /* fall through */
    default:
        signals->callbacks.on_forward(signals->context, number);
        break;
    }
}

static int unblock(void)
{
    sigset_t set;

    sigemptyset(&set);
    for (int i = 0; i < SIGNALS_MOST; i++)
        sigaddset(&set, handled[i]);
    return -pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

int signals_open(struct signals *signals, uv_loop_t *loop, const struct inherited *inherited,
                 const struct signals_callbacks *callbacks, void *context)
{
    signals->count = 0;
    signals->callbacks = *callbacks;
    signals->context = context;
    signals->on_terminal = isatty(STDERR_FILENO) == 1;

    for (size_t i = 0; i < sizeof ignored / sizeof ignored[0]; i++)
        signal(ignored[i], SIG_IGN);
    for (int i = 0; i < SIGNALS_MOST; i++) {
        bool keep_ignored =
            handled[i] != SIGCHLD && sigismember(&inherited->ignored, handled[i]) == 1;
        if (keep_ignored)
            continue;
        uv_signal_t *handle = &signals->handles[signals->count];
        int result = uv_signal_init(loop, handle);
        if (result != 0)
            return result;
        handle->data = signals;
        signals->count++;
        result = uv_signal_start(handle, on_signal, handled[i]);
        if (result != 0)
            return result;
    }
    return unblock();
}

void signals_close(struct signals *signals)
{
    for (int i = 0; i < signals->count; i++)
        uv_close((uv_handle_t *)&signals->handles[i], NULL);
    signals->count = 0;
}
