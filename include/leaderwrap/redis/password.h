/*
 * Passwords: the file that one is read from, anew at each connect so that a rotated password is
 * found, and what can be told of a refused one without telling it.
 */
#ifndef LEADERWRAP_REDIS_PASSWORD_H
#define LEADERWRAP_REDIS_PASSWORD_H

#include <stdbool.h>
#include <stddef.h>

#define PASSWORD_SIZE_MAX ((size_t)64 * 1024)

/* Whether `path` is a file that can be read again and again: a regular one, by whatever links, and
 * by no descriptor of this process; and whether a password is in it now. Never blocks on a pipe.
 * Returns NULL, or what is wrong with it; static, or as strerror(3) has it. */
const char *password_check_file(const char *path);

/* Reads the first line of the file `path` into `*password`, which belongs to the caller
 * (password_free). Returns 0, or -1 with a sentence in `error`. Never blocks on a pipe. */
int password_read(const char *path, char **password, char *error, size_t error_size);

/* Writes where a password is from (`from`: "LEADERWRAP_PASSWORD") and what looks like a mistake in
 * it, if anything does, into `buffer`: "it came from LEADERWRAP_PASSWORD and ends in a line break".
 * Nothing of the password itself. Returns `buffer`. */
char *password_hint(const char *password, const char *from, char *buffer, size_t size);

/* Wipes and frees. NULL is fine. */
void password_free(char *password);

#endif
