/*
 * What leaderwrap was started with and the command is to find again: signal mask, ignored
 * signals, priority, and which of descriptors 0, 1, 2 were closed.
 */
#ifndef LEADERWRAP_BASE_INHERITED_H
#define LEADERWRAP_BASE_INHERITED_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

struct inherited {
    sigset_t mask;    /* blocked signals */
    sigset_t ignored; /* signals set to SIG_IGN */
    /* The same for those that the C library keeps for itself and does not take into a sigset_t: bit
     * n - 1 for signal n. */
    uint64_t reserved_ignored;
    int priority;   /* as getpriority(2) gives it */
    bool closed[3]; /* standard descriptors that were not open */
};

/* Notes all of that, then opens /dev/null on each closed standard descriptor, so that no socket of
 * ours ever becomes somebody's standard error. To be called first thing in main. Returns 0 or
 * -errno. */
int inherited_capture(struct inherited *inherited);

/* Has signal `number` ignored by whoever gets it all back. */
void inherited_ignore(struct inherited *inherited, int number);

/* Puts it all back in the calling process, which is about to exec. Async-signal-safe. Every signal
 * that was not ignored gets its default action; closed descriptors are closed again. */
void inherited_restore(const struct inherited *inherited);

#endif
