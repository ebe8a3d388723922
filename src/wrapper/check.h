/*
 * --check: tries everything that leading needs, on a scratch key beside the real one, and prints
 * what the options come to. Starts nothing.
 */
#ifndef LEADERWRAP_WRAPPER_CHECK_H
#define LEADERWRAP_WRAPPER_CHECK_H

#include "leaderwrap/keeper/tree.h"
#include "options.h"

/* Prints to standard output. Returns leaderwrap's exit status: 0, EXIT_UNREACHABLE, or
 * EXIT_OWN_FAILURE where Redis refuses something, or EXIT_NOT_FOUND or EXIT_NOT_EXECUTABLE for the
 * command. */
int check_run(const struct options *options, const char *id);

/* What it means that a server has replicas where nobody is asked who is master. */
extern const char check_unwatched[];

/* What there is to say about `reach`, a sentence; NULL: nothing. */
const char *check_reach(enum tree_reach reach);

#endif
