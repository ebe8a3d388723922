/*
 * leaderctl's options and commands: their numbers, and the table that describes them. Where the
 * values of options go is in options.c.
 */
#ifndef LEADERWRAP_CTL_OPTION_TABLE_H
#define LEADERWRAP_CTL_OPTION_TABLE_H

#include "leaderwrap/access/redis_options.h"
#include "leaderwrap/cli/option.h"

#define OPTIONS_LAST_MOST 100 /* terms that history shows */

/* In the order of the help text. */
enum ctl_command {
    CTL_LS,
    CTL_STATUS,
    CTL_HISTORY,
    CTL_WATCH,
    CTL_DOCTOR,
    CTL_SERVE,
    CTL_HOLDING,
    CTL_PAUSE, /* from here on they act */
    CTL_RESUME,
    CTL_STEP_DOWN,
    CTL_CORDON,
    CTL_UNCORDON,
    CTL_RELEASE,
    CTL_RM,
    CTL_HELP, /* by their options; no words */
    CTL_VERSION,
};

#define CTL_ALL_COMMANDS ((1U << CTL_HELP) - 1)

/* In the order of the help text. */
enum option_id {
    OPTION_REDIS,
    OPTION_REQUEST_TIMEOUT = OPTION_REDIS + ACCESS_COUNT,
    OPTION_JSON,
    OPTION_LAST,
    OPTION_AT_LEAST,
    OPTION_ALL,
    OPTION_FOR,
    OPTION_REASON,
    OPTION_TO,
    OPTION_WAIT,
    OPTION_FORCE,
    OPTION_YES,
    OPTION_LISTEN,
    OPTION_ALLOW_CONTROL,
    OPTION_TOKEN_FILE,
    OPTION_COUNTER_KEY,
    OPTION_HELP,
    OPTION_VERSION,
    OPTION_COUNT,
};

extern const struct cli_table ctl_options_table;

#endif
