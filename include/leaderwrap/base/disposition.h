/*
 * What becomes of each signal: one table for all processes of leaderwrap, the one that
 * doc/OPTIONS.md shows.
 *
 * Nothing that leaderwrap does itself (writing its log to a full file, its own use of the
 * processor) may end a term. What a person or a manager sends and is not for leaderwrap is passed
 * on to the command. The elector acts on it; the keeper has all signals blocked.
 */
#ifndef LEADERWRAP_BASE_DISPOSITION_H
#define LEADERWRAP_BASE_DISPOSITION_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

enum fate {
    FATE_STOP,    /* the command is stopped with it */
    FATE_HANG_UP, /* the same on a terminal that went away; passed on else */
    FATE_PASS,    /* passed on to the command */
    FATE_IGNORE,
    FATE_CHILD, /* the end of a child */
    FATE_FATAL, /* a fault, or not ours to decide */
};

/* The fate of signal `number`; FATE_IGNORE for what is none. Pure. */
enum fate disposition_fate(int number);

/* Whether `number` is ignored by this process. */
bool disposition_is_ignored(int number);

/* Gives `number` its default action, or has it ignored; also where the C library keeps the number
 * for itself and sigaction(2) refuses it. Async-signal-safe. */
void disposition_set(int number, bool ignored);

/* Ignores all that FATE_IGNORE says, from now on and in the children to come. */
void disposition_ignore_strays(void);

#endif
