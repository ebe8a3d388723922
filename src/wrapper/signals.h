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

struct signals_callbacks {
    void (*on_stop)(void *context, int signal);
    void (*on_forward)(void *context, int signal);
    void (*on_child)(void *context); /* SIGCHLD */
};

/* In the owner's hands until signals_close has been called and the loop has run. */
struct signals {
    uv_poll_t poll; /* its data is NULL while it is closed */
    int fd;
    bool on_terminal;
    struct signals_callbacks callbacks;
    void *context;
};

/* Begins to listen, and has the signals blocked: to be called before there is another thread, which
 * then has them blocked as well. Callbacks run from the loop. Returns 0 or -errno (then
 * signals_close is still due). */
int signals_open(struct signals *signals, uv_loop_t *loop, const struct inherited *inherited,
                 const struct signals_callbacks *callbacks, void *context);

/* Closes the handle; the loop must run once more. The signals stay blocked, so that none ends the
 * process with another status than the one that it is about to leave with. */
void signals_close(struct signals *signals);

#endif
