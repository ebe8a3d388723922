/*
 * The log: one line per event on standard error, for people (text) or for machines (JSON, logfmt).
 * Where standard error is journald's (JOURNAL_STREAM, systemd.exec(5)), lines that are no JSON have
 * their priority in front and no time of their own.
 *
 * A line leaves in one write(2) no longer than PIPE_BUF, so lines of several processes never mix.
 * A reader that has stopped reading never holds up leaderwrap: a line that would block is dropped,
 * and the next one that fits says how many were lost.
 *
 * This is process-wide state on purpose: it is plumbing, set up once in main.
 */
#ifndef LEADERWRAP_BASE_LOG_H
#define LEADERWRAP_BASE_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum log_level {
    LOG_LEVEL_ERROR,
    LOG_LEVEL_WARNING,
    LOG_LEVEL_INFO,
    LOG_LEVEL_DEBUG,
};

enum log_format {
    LOG_FORMAT_TEXT,
    LOG_FORMAT_JSON,
    LOG_FORMAT_LOGFMT,
};

/* What a message says, for machines: a text, or a number where `text` is NULL. Names have their
 * unit at the end ("ttl_ms") and mean the same in each event; doc/LOG.md lists them. */
struct log_field {
    const char *name; /* NULL: the last one was the one before */
    const char *text;
    int64_t number;
};

#define LOG_FIELDS_MAX 8

/* The fields of one event, as an argument for log_event. */
#define LOG_TEXT(name_, text_)                                                                     \
    {                                                                                              \
        .name = (name_), .text = (text_)                                                           \
    }
#define LOG_NUMBER(name_, number_)                                                                 \
    {                                                                                              \
        .name = (name_), .number = (number_)                                                       \
    }
#define LOG_FIELDS(...) ((const struct log_field[]){__VA_ARGS__, {.name = NULL}})

struct log_config {
    enum log_level level;
    enum log_format format;
    const char *name; /* who speaks; copied; NULL: leaderwrap */
    const char *key;  /* the lease key; copied; NULL: none */
};

/* Sets how later lines look and which are written. Until then: text, info, no name. */
void log_configure(const struct log_config *config);

/* Makes a way of our own to standard error that never blocks, for the process that has deadlines to
 * keep. A write to a terminal may block although poll(2) said that there is room, and O_NONBLOCK on
 * the shared description would be the command's too; a description of our own (proc(5),
 * /proc/self/fd) to the same pipe or terminal is not. Where there is none, standard error is used
 * as it is. */
void log_unblock(void);

/* Sets the fencing token that lines for machines carry from now on; 0 for none. */
void log_set_token(uint64_t token);

/* Whether a line of `level` would be written. */
bool log_enabled(enum log_level level);

/* Writes one line. `event` is a short stable word for machines ("elected"); the formatted message
 * is for people. Control characters and broken UTF-8 in the message are shown escaped, so that
 * nothing that came over the network can forge a line. Errors of the write are ignored: there is no
 * other place to report them. Keeps errno. */
void log_line(enum log_level level, const char *event, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The same with fields, at most LOG_FIELDS_MAX of them; text lines do not show them. */
void log_event(enum log_level level, const char *event, const struct log_field *fields,
               const char *format, ...) __attribute__((format(printf, 4, 5)));

/* Copies `text` into `target`, cut to `size`, with control characters and broken UTF-8 escaped. */
void log_sanitize(char *target, size_t size, const char *text);

#endif
