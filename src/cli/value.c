/* The values of options. */
#include "value.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "leaderwrap/base/duration.h"

#define SHOWN_VALUE 80

/* Writes `value` as messages show it into `buffer`: cut, in quotes where its end could not be told
 * otherwise. */
static char *show_value(const char *value, char *buffer, size_t size)
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

static bool read_word(const char *text, const struct cli_word *words, unsigned *word)
{
    for (; words->word != NULL; words++) {
        if (strcmp(text, words->word) == 0) {
            *word = words->value;
            return true;
        }
    }
    return false;
}

static bool read_number(const char *text, const struct cli_value *rule, int64_t *number)
{
    int64_t value = 0;

    if (*text == '\0')
        return false;
    for (; *text != '\0'; text++) {
        if (!isdigit((unsigned char)*text) || value > rule->most)
            return false;
        value = value * 10 + (*text - '0');
    }
    *number = value;
    return value >= rule->least && value <= rule->most;
}

/* Returns NULL, or what is wrong. */
static const char *read_duration(const char *text, const struct cli_value *rule, int64_t *ms)
{
    int64_t value = INT64_MAX;

    if (rule->forever && strcmp(text, "forever") == 0) {
        *ms = value;
        return NULL;
    }
    const char *problem = duration_parse(text, &value);
    if (problem == NULL && rule->above_0 && value == 0)
        problem = "is too short: it must be longer than 0";
    if (problem == NULL)
        *ms = value;
    return problem;
}

static const char *store_number(const char *text, const struct cli_value *rule,
                                const struct cli_place *place, char *problem, size_t size)
{
    int64_t number;

    if (!read_number(text, rule, &number)) {
        snprintf(problem, size, "is no number from %" PRId32 " to %" PRId32, rule->least,
                 rule->most);
        return problem;
    }
    if (place->kind == CLI_COUNT)
        *place->to.count = number;
    else
        *place->to.number = (int)number;
    return NULL;
}

static const char *add_text(const char *text, struct cli_texts *texts)
{
    if (texts->count == CLI_TEXTS_MOST)
        return "is one too many: at most 32 may be given";
    texts->list[texts->count++] = text;
    return NULL;
}

/* Stores a value that was given. Returns NULL, or what is wrong with it, perhaps in `problem`. */
static const char *store_text(const struct cli_option *option, const struct cli_place *place,
                              const char *value, char *problem, size_t size)
{
    const struct cli_value *rule = &option->value;
    unsigned word = 0;
    bool fits = false;

    switch (rule->kind) {
    case CLI_TEXT:
        *place->to.text = value;
        return NULL;
    case CLI_TEXTS:
        return add_text(value, place->to.texts);
    case CLI_DURATION:
        return read_duration(value, rule, place->to.ms);
    case CLI_FLAG:
        return read_flag(value, place->to.flag) ? NULL : "is neither 1 nor 0";
    case CLI_COUNT:
    case CLI_NUMBER:
        return store_number(value, rule, place, problem, size);
    case CLI_EITHER:
        fits = read_word(value, rule->words, &word);
        if (fits)
            *place->to.flag = word != 0;
        break;
    case CLI_WORD:
        fits = read_word(value, rule->words, place->to.word);
        break;
    case CLI_CONSTANT: /* has no values */
    case CLI_NOTHING:
        break;
    }
    snprintf(problem, size, "is none of %s", option->argument != NULL ? option->argument : "");
    return fits ? NULL : problem;
}

int cli_store(const struct cli_option *option, const struct cli_place *place, const char *value,
              char *error, size_t error_size)
{
    char space[96], shown[SHOWN_VALUE + 8];

    if (value == NULL && place->kind == CLI_CONSTANT) {
        *place->to.word = place->constant;
        return 0;
    }
    if (value == NULL) {
        *place->to.flag = true;
        return 0;
    }
    const char *problem = store_text(option, place, value, space, sizeof space);
    if (problem == NULL)
        return 0;
    snprintf(error, error_size, "%s %s", show_value(value, shown, sizeof shown), problem);
    return -1;
}
