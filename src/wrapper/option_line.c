/* Splitting a command line, and the options that somebody may have meant. */
#include "option_line.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define NAME_MOST      32 /* of an option, and of what is compared with one */
#define SHOWN_NAME     40 /* of a word that is no option */
#define NEAR_MOST      6  /* so many are proposed */
#define SHORT_NAME     4  /* one wrong letter makes another name of those */
#define LETTERS_IN_ANY "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"

void option_line_begin(struct option_line *line, int argc, char **argv)
{
    *line = (struct option_line){.argc = argc, .argv = argv, .at = argc > 0 ? 1 : 0};
}

static const struct option_spec *find_name(const char *name, size_t length)
{
    for (size_t i = 0; i < option_count; i++)
        if (strlen(option_specs[i].name) == length &&
            memcmp(option_specs[i].name, name, length) == 0)
            return &option_specs[i];
    return NULL;
}

static const struct option_spec *find_letter(char letter)
{
    for (size_t i = 0; i < option_count; i++)
        if (option_specs[i].letter != 0 && option_specs[i].letter == letter)
            return &option_specs[i];
    return NULL;
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* How many letters have to be put in, left out or changed, or swapped with their neighbours, to
 * make `b` of the first `length` bytes of `a` (the optimal string alignment distance). */
static size_t distance(const char *a, size_t length, const char *b)
{
    size_t rows[3][NAME_MOST + 1];
    size_t width = strlen(b);

    if (length > NAME_MOST || width > NAME_MOST)
        return NAME_MOST;
    for (size_t j = 0; j <= width; j++)
        rows[0][j] = j;
    for (size_t i = 1; i <= length; i++) {
        size_t *row = rows[i % 3];
        const size_t *above = rows[(i + 2) % 3];
        const size_t *before = rows[(i + 1) % 3];

        row[0] = i;
        for (size_t j = 1; j <= width; j++) {
            row[j] = least(above[j - 1] + (a[i - 1] != b[j - 1]), least(above[j], row[j - 1]) + 1);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                row[j] = least(row[j], before[j - 2] + 1);
        }
    }
    return rows[length % 3][width];
}

/* A name that was cut short, or has more behind it ("redis-url"). */
static bool begins_like(const char *name, size_t length, const char *known)
{
    size_t width = strlen(known);

    return length < width ? length > 0 && strncmp(name, known, length) == 0
                          : length > width && name[width] == '-' && memcmp(name, known, width) == 0;
}

static size_t collect(const char *name, size_t length, const struct option_spec **near)
{
    size_t nearest = length <= SHORT_NAME ? 1 : 2;
    size_t count = 0;

    for (size_t i = 0; i < option_count; i++)
        if (begins_like(name, length, option_specs[i].name) && count < NEAR_MOST)
            near[count++] = &option_specs[i];
    if (count > 0)
        return count;
    for (size_t i = 0; i < option_count; i++) {
        size_t steps = distance(name, length, option_specs[i].name);
        if (steps < nearest) {
            nearest = steps;
            count = 0;
        }
        if (steps == nearest && count < NEAR_MOST)
            near[count++] = &option_specs[i];
    }
    return count;
}

void option_suggest(const char *name, size_t length,
                    void (*show)(const struct option_spec *spec, char *text, size_t size),
                    char *buffer, size_t size)
{
    const struct option_spec *near[NEAR_MOST];
    size_t count = collect(name, length, near);
    size_t used = 0;

    buffer[0] = '\0';
    for (size_t i = 0; i < count && used < size; i++) {
        char text[64];
        show(near[i], text, sizeof text);
        used += (size_t)snprintf(buffer + used, size - used, "%s%s%s",
                                 i == 0           ? "; did you mean "
                                 : i + 1 == count ? " or "
                                                  : ", ",
                                 text, i + 1 == count ? "?" : "");
    }
}

static void show_long(const struct option_spec *spec, char *text, size_t size)
{
    snprintf(text, size, "--%s", spec->name);
}

/* Only what can be a part of a name is shown of it: behind that a secret may begin. */
static int refuse_unknown(const char *dashes, const char *name, char *error, size_t size)
{
    char near[256];
    size_t length = strspn(name, LETTERS_IN_ANY);
    bool cut = length > SHOWN_NAME || (name[length] != '\0' && name[length] != '=');

    if (find_name(name, length) != NULL)
        snprintf(near, sizeof near, "; did you mean --%.*s?", (int)length, name);
    else
        option_suggest(name, length, show_long, near, sizeof near);
    snprintf(error, size, "%s%.*s%s is no option%s", dashes, (int)least(length, SHOWN_NAME), name,
             cut ? "..." : "", near[0] != '\0' ? near : "; see leaderwrap --help");
    return -1;
}

/* Whether a word is an option rather than the value that an option waits for. */
static bool is_option(const char *word)
{
    if (word[0] != '-' || word[1] == '\0')
        return false;
    return word[1] == '-' || (word[2] == '\0' && find_letter(word[1]) != NULL);
}

/* Takes the next word as the value of the option that is shown as `option`. */
static int take_value(struct option_line *line, struct option_found *found, const char *option,
                      char *error, size_t size)
{
    const char *next = line->at < line->argc ? line->argv[line->at] : NULL;

    if (next == NULL || is_option(next)) {
        snprintf(error, size, "%s needs a value: %s %s", option, option, found->spec->argument);
        return -1;
    }
    found->value = line->argv[line->at++];
    return 1;
}

static int next_letter(struct option_line *line, struct option_found *found, char *error,
                       size_t size)
{
    char option[] = {'-', *line->letters++, '\0'};
    char *rest = line->argv[line->at] + (line->letters - line->argv[line->at]);

    found->spec = find_letter(option[1]);
    if (found->spec == NULL)
        return refuse_unknown("-", (const char[]){option[1], '\0'}, error, size);
    bool more = *rest != '\0';
    if (found->spec->argument == NULL) {
        if (!more) {
            line->letters = NULL;
            line->at++;
        }
        return 1;
    }
    line->letters = NULL;
    line->at++;
    if (!more)
        return take_value(line, found, option, error, size);
    if (*rest == '=') {
        snprintf(error, size, "%s takes its value without a = : %s %s", option, option,
                 found->spec->argument);
        return -1;
    }
    found->value = rest;
    return 1;
}

static int next_long(struct option_line *line, struct option_found *found, char *error, size_t size)
{
    char option[NAME_MOST + 4];
    char *name = line->argv[line->at++] + 2;
    size_t length = strcspn(name, "=");

    found->spec = find_name(name, length);
    if (found->spec == NULL)
        return refuse_unknown("--", name, error, size);
    show_long(found->spec, option, sizeof option);
    if (name[length] == '=' && found->spec->argument == NULL) {
        snprintf(error, size, "%s takes no value", option);
        return -1;
    }
    if (name[length] == '=')
        found->value = name + length + 1;
    else if (found->spec->argument != NULL)
        return take_value(line, found, option, error, size);
    return 1;
}

int option_line_next(struct option_line *line, struct option_found *found, char *error,
                     size_t error_size)
{
    *found = (struct option_found){0};
    if (line->letters != NULL)
        return next_letter(line, found, error, error_size);
    const char *word = line->at < line->argc ? line->argv[line->at] : NULL;
    if (word == NULL || word[0] != '-' || word[1] == '\0')
        return 0;
    if (strcmp(word, "--") == 0) {
        line->at++;
        return 0;
    }
    if (word[1] == '-')
        return next_long(line, found, error, error_size);
    /* "-ttl" is no -t with the value "tl". */
    if (find_name(word + 1, strcspn(word + 1, "=")) != NULL)
        return refuse_unknown("-", word + 1, error, error_size);
    line->letters = word + 1;
    return next_letter(line, found, error, error_size);
}
