/*
 * What is said before anything begins about settings that leaderwrap can live with and that look
 * like a mistake.
 */
#ifndef LEADERWRAP_WRAPPER_ADVICE_H
#define LEADERWRAP_WRAPPER_ADVICE_H

#include "options.h"

/* Logs a warning for each variable LEADERWRAP_* of the environment that means nothing (its name,
 * not its value), one for a password file that others may read, and one where there is no command
 * to run. */
void advice_give(const struct options *options);

#endif
