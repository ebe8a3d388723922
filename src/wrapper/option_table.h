/*
 * One table describes every option: its name, its environment variable (LEADERWRAP_ and the name in
 * capitals), how its value is read, and its line of help.
 */
#ifndef LEADERWRAP_WRAPPER_OPTION_TABLE_H
#define LEADERWRAP_WRAPPER_OPTION_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "options.h"

#define OPTIONS_MOST 64

/* Where something was said about an option. */
enum option_source {
    SOURCE_NONE,
    SOURCE_ENVIRONMENT,
    SOURCE_LINE,
};

/* What the options say before anything is derived from it. */
struct raw {
    const char *key;
    const char *name;
    const char *redis;
    const char *password_file;
    bool redis_from_line;
    unsigned char sources[OPTIONS_MOST]; /* enum option_source, by the place in option_specs */
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
    bool positive; /* a duration that cannot be 0 */
    const char *choices[2];
    enum options_mode mode;
};

extern const struct option_spec option_specs[];
extern const size_t option_count;

/* Writes the name of an option's environment variable, "LEADERWRAP_TTL", into `buffer`. */
void option_variable(const struct option_spec *spec, char *buffer, size_t size);

#endif
