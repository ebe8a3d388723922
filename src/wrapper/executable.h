/*
 * Whether a command can be executed, found out before anything is led: where execvp(3) would find
 * it, and whether the interpreter that its first line names is there, too.
 */
#ifndef LEADERWRAP_WRAPPER_EXECUTABLE_H
#define LEADERWRAP_WRAPPER_EXECUTABLE_H

#include <stddef.h>

/* Enough for what executable_problem writes. */
#define EXECUTABLE_TEXT_SIZE 512

/* Looks for `command` as execvp(3) would. Returns 0; or ENOENT, EACCES or another errno that says
 * why it could not be executed. Then `interpreter` holds the path of the interpreter that is the
 * reason, cut to `size`, or is empty. What may not be read is believed to be executable. */
int executable_find(const char *command, char *interpreter, size_t size);

/* Whether the command `argv` can be executed: returns 0, or the exit status for it, and then writes
 * what keeps it from that, and what to do, into `text` (EXECUTABLE_TEXT_SIZE). NULL, the built-in
 * counter, always can. */
int executable_problem(char *const *argv, char *text, size_t size);

/* The exit status for a command that could not be executed because of `error`, as the shell has it.
 */
int executable_exit_status(int error);

#endif
