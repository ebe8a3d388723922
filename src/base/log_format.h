/*
 * What a line of the log looks like, in each format. Pure.
 */
#ifndef LEADERWRAP_BASE_LOG_FORMAT_H
#define LEADERWRAP_BASE_LOG_FORMAT_H

#include "leaderwrap/base/log.h"

/* One event. Texts are borrowed and fit to be shown (log_sanitize), those of the fields too. */
struct log_entry {
    const char *when;
    enum log_level level;
    bool marked; /* the level goes in front, as journald reads it (sd-daemon(3)) */
    const char *event;
    const char *key;
    const char *name;
    uint64_t token; /* 0: none */
    const char *message;
    const struct log_field *fields; /* ended by one without a name */
};

/* Writes the line with its newline, no NUL, into `size` bytes. What does not fit is cut in text,
 * and makes the others leave out fields. Returns its length, 0 where not even that is enough. */
size_t log_format(enum log_format format, const struct log_entry *entry, char *line, size_t size);

#endif
