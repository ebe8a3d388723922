/*
 * One table that says what each error reply of Redis means for a lease.
 */
#ifndef LEADERWRAP_REDIS_ERRORS_H
#define LEADERWRAP_REDIS_ERRORS_H

#include <stdbool.h>
#include <stddef.h>

#include "leaderwrap/base/lease.h"

/* The class of the error reply `text` ("WRONGPASS invalid username-password pair ..."). Anything
 * unknown is transient. */
enum lease_failure error_class(const char *text);

/* Whether the server says `text` instead of an answer to anything, and hangs up behind it: the
 * connection is refused (maxclients, protected mode). */
bool error_hangs_up(const char *text);

/* Writes a sentence for a person: the error verbatim and, where it is known, what to do about it
 * ("... ; grant it with ACL SETUSER ... +info"). Returns `buffer`. */
char *error_explain(const char *text, char *buffer, size_t size);

#endif
