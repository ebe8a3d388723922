/*
 * Signals of the elector, by the table of disposition.h.
 *
 * HUP asks to stop where leaderwrap was started from a terminal that went away. TSTP, TTIN and TTOU
 * are ignored: a leader paused by ctrl-Z would lose its lease. A signal that was ignored when
 * leaderwrap was started stays ignored, as nohup(1) needs it.
 */
#ifndef LEADERWRAP_WRAPPER_SIGNALS_H
#define LEADERWRAP_WRAPPER_SIGNALS_H

#include <stdbool.h>
#include <uv.h>

#include "leaderwrap/base/inherited.h"

#define SIGNALS_MOST 64 /* as many as there are */

struct signals_callbacks {
    void (*on_stop)(void *context, int signal);
    void (*on_forward)(void *context, int signal);
    void (*on_child)(void *context); /* SIGCHLD */
};

/* In the owner's hands until signals_close has been called and the loop has run. */
struct signals {
    uv_signal_t handles[SIGNALS_MOST];
    int count;
    bool on_terminal;
    struct signals_callbacks callbacks;
    void *context;
};

/* Begins to listen. Callbacks run from the loop. Returns 0 or -errno (then signals_close is still
 * due). */
int signals_open(struct signals *signals, uv_loop_t *loop, const struct inherited *inherited,
                 const struct signals_callbacks *callbacks, void *context);

/* Closes the handles; the loop must run once more. From here on nothing that comes is obeyed: it is
 * for a process that is about to leave. */
void signals_close(struct signals *signals);

#endif
