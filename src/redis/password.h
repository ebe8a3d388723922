/*
 * The password file: its first line, read anew at each connect so that a rotated password is found.
 */
#ifndef LEADERWRAP_SRC_PASSWORD_H
#define LEADERWRAP_SRC_PASSWORD_H

#include <stddef.h>

#define PASSWORD_SIZE_MAX ((size_t)64 * 1024)

/* Reads the first line of the file `path` into `*password`, which belongs to the caller
 * (password_free). Returns 0, or -1 with a sentence in `error`. Never blocks on a pipe. */
int password_read(const char *path, char **password, char *error, size_t error_size);

/* Wipes and frees. NULL is fine. */
void password_free(char *password);

#endif
