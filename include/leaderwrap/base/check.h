/*
 * Assertions that stay in a release build. What they guard is the lease: a process that no longer
 * knows what it does must not go on leading. It ends, and its keeper, which sees that, kills the
 * tree (see keeper.h).
 */
#ifndef LEADERWRAP_BASE_CHECK_H
#define LEADERWRAP_BASE_CHECK_H

/* Ends the process with SIGABRT, and a line on standard error, unless `condition` holds. */
#define CHECK(condition) ((condition) ? (void)0 : check_failed(#condition, __FILE__, __LINE__))

/* Writes "leaderwrap: FILE:LINE: CONDITION does not hold" to standard error and aborts. All three
 * are borrowed. */
_Noreturn void check_failed(const char *condition, const char *file, int line);

#endif
