/*
 * leaderctl's command line and its environment variables.
 */
#ifndef LEADERWRAP_CTL_OPTIONS_H
#define LEADERWRAP_CTL_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "leaderwrap/access/redis_options.h"
#include "option_table.h"

/* Exit statuses beside those of redis_options.h. */
#define EXIT_NOT_DONE     1
#define EXIT_NOBODY_LEADS 3
#define EXIT_REFUSED      77 /* EX_NOPERM of sysexits.h */

#define OPTIONS_STEP_DOWN_MS 60000 /* for which a step-down is wished, where nothing is said */

#define OPTIONS_SEGMENTS 5 /* of a command line: options, word, options, word, ... */

struct ctl_options {
    enum ctl_command command;
    const char *key;         /* borrowed from argv, as all texts; NULL for ls, holding and --all */
    const char *name;        /* of cordon and uncordon */
    const char *reason;      /* of pause; NULL: none */
    const char *to;          /* of step-down; NULL: anybody */
    const char *listen;      /* of serve, like the next */
    const char *token_file;  /* NULL: a token is drawn */
    const char *counter_key; /* NULL: none is shown */
    struct redis_target redis;
    int64_t timeout_ms;
    int64_t last;
    int64_t at_least_ms; /* of holding */
    int64_t span_ms;     /* of pause (0: until further notice) and step-down */
    bool json;
    bool all; /* leases, rather than that of `key` */
    bool wait;
    bool force;
    bool yes;
    bool allow_control;
    int segments[OPTIONS_SEGMENTS]; /* where each begins in argv, with a word in front */
    size_t segment_count;
};

/* What it is called on the command line. */
const char *ctl_command_word(enum ctl_command command);

/* Reads the environment, then the command line. Returns 0; or an exit status, with a sentence in
 * `error`. To be cleared in both cases. */
int ctl_options_parse(struct ctl_options *options, int argc, char **argv, char *error, size_t size);

/* Whether a pause can have that reason. Returns 0; or an exit status, with a sentence in `error`.
 */
int ctl_check_reason(const char *reason, char *error, size_t size);

void ctl_options_clear(struct ctl_options *options);

/* Overwrites the passwords in `argv`, which ctl_options_parse took. */
void ctl_options_mask_line(const struct ctl_options *options, int argc, char **argv);

/* Writes the help text to standard output. Returns 0 or -errno. */
int ctl_options_print_help(void);

#endif
