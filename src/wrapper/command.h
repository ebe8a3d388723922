/*
 * What the words of a command tell: whether its name says what it does, and whether it is the same
 * as somebody else's.
 */
#ifndef LEADERWRAP_WRAPPER_COMMAND_H
#define LEADERWRAP_WRAPPER_COMMAND_H

#include <stdbool.h>
#include <stddef.h>

#include "leaderwrap/base/lease.h"

/* Where a path's last part begins; the whole of it where it ends with a slash. */
const char *command_base_name(const char *path);

/* Whether the name of the program says nothing about the job: a shell, an interpreter (with a
 * version or without), a program that starts others, or a script that is called "run.sh" or so. */
bool command_is_nameless(char *const *command);

/* Writes a key that would do for a nameless command into `buffer`: made of the first of its words
 * that says something, or a mere example. Returns `buffer`. */
char *command_propose_key(char *const *command, char *buffer, size_t size);

/* Writes a fingerprint of the command's words as they are given, the path of the program included,
 * into `buffer`; that of the built-in counter where `command` is NULL. The words do not follow from
 * it, but few words could be guessed: it is 32 bits of FNV-1a. */
void command_fingerprint(char *const *command, char buffer[LEASE_COMMAND_SIZE]);

#endif
