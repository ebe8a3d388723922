/*
 * One table describes every option: its name, its environment variable (LEADERWRAP_ and the name in
 * capitals), how its value is read, and its line of help.
 */
#ifndef LEADERWRAP_WRAPPER_OPTION_TABLE_H
#define LEADERWRAP_WRAPPER_OPTION_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "leaderwrap/options.h"

/* What the options say before anything is derived from it. */
struct raw {
    const char *key;
    const char *name;
    const char *redis;
    const char *password_file;
    bool redis_from_line;
    uint64_t given; /* a bit for each option that something was said about, by its place in specs */
    struct timing_request timing;
};

enum option_kind {
    OPTION_TEXT,
    OPTION_DURATION,
    OPTION_CHOICE, /* one of two words; the second one sets the flag */
    OPTION_FLAG,
    OPTION_LEVEL,
    OPTION_FORMAT,
    OPTION_MODE,
    OPTION_REDIS,
    OPTION_PATIENCE, /* a duration or "forever" */
    OPTION_STATUS,
    OPTION_COUNT,
    OPTION_RESTART,
};

struct option_spec {
    const char *section; /* first of a section: its title */
    const char *name;
    char letter;
    enum option_kind kind;
    const char *argument; /* as help shows it; NULL: takes none */
    const char *help;
    size_t offset; /* of the value: in struct raw for those marked `raw`, else in struct options */
    bool raw;
    const char *choices[2];
    enum options_mode mode;
};

extern const struct option_spec option_specs[];
extern const size_t option_count;

#define OPTIONS_MOST 64 /* a bit for each in raw.given */

#endif
