/*
 * The guard: a process between elector and keeper that does nothing, and sweeps the keeper's tree
 * should the keeper die.
 *
 * When the elector and the keeper are killed at one instant, nobody else is left who would: the
 * kernel's death signal reaches the command itself only, and not even that if it has changed its
 * credentials (prctl(2), PR_SET_PDEATHSIG). The guard is a subreaper above the keeper, so all that
 * loses its parent comes to it. While the keeper lives it has nothing to do, holds no descriptor
 * but standard error, and wakes up for nothing.
 */
#ifndef LEADERWRAP_KEEPER_GUARD_H
#define LEADERWRAP_KEEPER_GUARD_H

#include <stdbool.h>
#include <sys/types.h>

/* Prepares the calling process, which has all signals blocked, for guard_watch: its own session,
 * a subreaper. Returns whether it could. */
bool guard_prepare(void);

/* Waits for the end of `keeper`, the only child; sweeps what it leaves, and then ends the way it
 * did. Where `elector`, our parent, is dead as well, nobody else can tell of it: that is logged. */
_Noreturn void guard_watch(pid_t keeper, pid_t elector);

#endif
