/*
 * Passwords on the command line, which everybody on the host can read.
 */
#ifndef LEADERWRAP_WRAPPER_SECRETS_H
#define LEADERWRAP_WRAPPER_SECRETS_H

/* Overwrites with stars, in place, the password of each address among the options in `argv`, a
 * copy of which has been taken: the words up to `command`, which is not looked at, or all. */
void secrets_wipe_line(char **argv, char *const *command);

#endif
