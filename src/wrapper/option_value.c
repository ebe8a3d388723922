/* The values of options. */
#include "option_value.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "leaderwrap/base/duration.h"

#define SHOWN_VALUE 80
#define STATUS_MOST 255
#define COUNT_MOST  1000000

char *option_show_value(const char *value, char *buffer, size_t size)
{
    size_t length = strlen(value);
    bool plain = length > 0;

    /* An address that got to the wrong place may hold a password, and no other value has these. */
    if (strchr(value, '@') != NULL || strstr(value, "://") != NULL) {
        snprintf(buffer, size, "its value");
        return buffer;
    }
    for (const char *at = value; *at != '\0'; at++)
        plain = plain && *at > ' ' && *at < 0x7F && *at != '"';
    snprintf(buffer, size, "%s%.*s%s%s", plain ? "" : "\"", SHOWN_VALUE, value,
             length > SHOWN_VALUE ? "..." : "", plain ? "" : "\"");
    return buffer;
}

static bool read_flag(const char *text, bool *flag)
{
    static const char *const words[2][5] = {{"0", "no", "false", "off", ""},
                                            {"1", "yes", "true", "on", "1"}};
    for (int value = 0; value < 2; value++) {
        for (int i = 0; i < 5; i++) {
            if (strcasecmp(text, words[value][i]) == 0) {
                *flag = value == 1;
                return true;
            }
        }
    }
    return false;
}

static bool read_number(const char *text, int64_t least, int64_t most, int64_t *number)
{
    int64_t value = 0;

    if (*text == '\0')
        return false;
    for (; *text != '\0'; text++) {
        if (!isdigit((unsigned char)*text) || value > most)
            return false;
        value = value * 10 + (*text - '0');
    }
    *number = value;
    return value >= least && value <= most;
}

static bool read_status(const char *text, int *status)
{
    int64_t value;

    if (!read_number(text, 0, STATUS_MOST, &value))
        return false;
    *status = (int)value;
    return true;
}

static bool read_restart(const char *text, enum restart_policy *policy)
{
    static const char *const words[] = {
        [RESTART_NO] = "no", [RESTART_ON_FAILURE] = "on-failure", [RESTART_ALWAYS] = "always"};

    for (int i = RESTART_NO; i <= RESTART_ALWAYS; i++) {
        if (strcmp(text, words[i]) == 0) {
            *policy = (enum restart_policy)i;
            return true;
        }
    }
    return false;
}

static bool read_choice(const char *text, const char *const *choices, bool *second)
{
    for (int i = 0; i < 2; i++) {
        if (strcmp(text, choices[i]) == 0) {
            *second = i == 1;
            return true;
        }
    }
    return false;
}

/* Returns NULL, or what is wrong. */
static const char *read_duration(const struct option_spec *spec, const char *text, int64_t *ms)
{
    if (spec->kind == OPTION_PATIENCE && strcmp(text, "forever") == 0) {
        *ms = INT64_MAX;
        return NULL;
    }
    const char *problem = duration_parse(text, ms);
    return problem == NULL && spec->positive && *ms == 0 ? "is too short: it must be longer than 0"
                                                         : problem;
}

/* Stores a value that was given. Returns NULL, or what is wrong with it. */
static const char *store_text(const struct option_spec *spec, const char *value, void *field,
                              char *choices, size_t size)
{
    bool fits = false;

    switch (spec->kind) {
    case OPTION_TEXT:
    case OPTION_REDIS:
        *(const char **)field = value;
        return NULL;
    case OPTION_DURATION:
    case OPTION_PATIENCE:
        return read_duration(spec, value, field);
    case OPTION_FLAG:
        return read_flag(value, field) ? NULL : "is neither 1 nor 0";
    case OPTION_COUNT:
        return read_number(value, 1, COUNT_MOST, field) ? NULL : "is no number from 1 to 1000000";
    case OPTION_STATUS:
        return read_status(value, field) ? NULL : "is no number from 0 to 255";
    case OPTION_CHOICE:
        fits = read_choice(value, spec->choices, field);
        break;
    case OPTION_LEVEL:
        fits = log_level_parse(value, field);
        break;
    case OPTION_FORMAT:
        fits = log_format_parse(value, field);
        break;
    case OPTION_RESTART:
        fits = read_restart(value, field);
        break;
    case OPTION_MODE: /* has no values */
        break;
    }
    snprintf(choices, size, "is none of %s", spec->argument != NULL ? spec->argument : "");
    return fits ? NULL : choices;
}

int option_store(const struct option_spec *spec, const char *value, struct options *options,
                 struct raw *raw, char *error, size_t error_size)
{
    void *field = (char *)(spec->raw ? (void *)raw : (void *)options) + spec->offset;
    char choices[96], shown[SHOWN_VALUE + 8];

    if (value == NULL && spec->kind == OPTION_MODE) {
        options->mode = spec->mode;
        return 0;
    }
    if (value == NULL) {
        *(bool *)field = true;
        return 0;
    }
    const char *problem = store_text(spec, value, field, choices, sizeof choices);
    if (problem == NULL)
        return 0;
    snprintf(error, error_size, "%s %s", option_show_value(value, shown, sizeof shown), problem);
    return -1;
}
