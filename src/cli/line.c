/* Splitting a command line. */
#include "line.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "near.h"

#define SHOWN_NAME     40 /* of a word that is no option */
#define LETTERS_IN_ANY "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"

void cli_line_begin(struct cli_line *line, const struct cli_table *table, int argc, char **argv)
{
    *line = (struct cli_line){.table = table, .argc = argc, .argv = argv, .at = argc > 0 ? 1 : 0};
}

static bool find_name(const struct cli_table *table, const char *name, size_t length,
                      size_t *number)
{
    for (size_t i = 0; i < table->count; i++) {
        if (strlen(table->options[i].name) == length &&
            memcmp(table->options[i].name, name, length) == 0) {
            *number = i;
            return true;
        }
    }
    return false;
}

static bool find_letter(const struct cli_table *table, char letter, size_t *number)
{
    for (size_t i = 0; i < table->count; i++) {
        if (table->options[i].letter != 0 && table->options[i].letter == letter) {
            *number = i;
            return true;
        }
    }
    return false;
}

void cli_show_long(const struct cli_table *table, size_t number, char *text, size_t size)
{
    snprintf(text, size, "--%s", table->options[number].name);
}

/* Only what can be a part of a name is shown of it: behind that a secret may begin. */
static int refuse_unknown(const struct cli_table *table, const char *dashes, const char *name,
                          char *error, size_t size)
{
    char near[256];
    size_t length = strspn(name, LETTERS_IN_ANY);
    bool cut = length > SHOWN_NAME || (name[length] != '\0' && name[length] != '=');
    int shown = length < SHOWN_NAME ? (int)length : SHOWN_NAME;
    size_t number;

    if (find_name(table, name, length, &number))
        snprintf(near, sizeof near, "; did you mean --%.*s?", (int)length, name);
    else
        cli_suggest(table, name, length, cli_show_long, near, sizeof near);
    if (near[0] == '\0')
        snprintf(near, sizeof near, "; see %s --help", table->program);
    snprintf(error, size, "%s%.*s%s is no option%s", dashes, shown, name, cut ? "..." : "", near);
    return -1;
}

/* Whether a word is an option rather than the value that an option waits for. */
static bool is_option(const struct cli_table *table, const char *word)
{
    size_t number;

    if (word[0] != '-' || word[1] == '\0')
        return false;
    return word[1] == '-' || (word[2] == '\0' && find_letter(table, word[1], &number));
}

/* What the option that was found shows its value as; NULL: it takes none. */
static const char *argument_of(const struct cli_line *line, const struct cli_found *found)
{
    return line->table->options[found->number].argument;
}

/* Takes the next word as the value of the option that is shown as `option`. */
static int take_value(struct cli_line *line, struct cli_found *found, const char *option,
                      char *error, size_t size)
{
    const char *next = line->at < line->argc ? line->argv[line->at] : NULL;

    if (next == NULL || is_option(line->table, next)) {
        snprintf(error, size, "%s needs a value: %s %s", option, option, argument_of(line, found));
        return -1;
    }
    found->value = line->argv[line->at++];
    return 1;
}

static int next_letter(struct cli_line *line, struct cli_found *found, char *error, size_t size)
{
    char option[] = {'-', *line->letters++, '\0'};
    char *rest = line->argv[line->at] + (line->letters - line->argv[line->at]);

    if (!find_letter(line->table, option[1], &found->number))
        return refuse_unknown(line->table, "-", (const char[]){option[1], '\0'}, error, size);
    bool more = *rest != '\0';
    if (argument_of(line, found) == NULL) {
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
                 argument_of(line, found));
        return -1;
    }
    found->value = rest;
    return 1;
}

static int next_long(struct cli_line *line, struct cli_found *found, char *error, size_t size)
{
    char option[CLI_NAME_MOST + 4];
    char *name = line->argv[line->at++] + 2;
    size_t length = strcspn(name, "=");

    if (!find_name(line->table, name, length, &found->number))
        return refuse_unknown(line->table, "--", name, error, size);
    cli_show_long(line->table, found->number, option, sizeof option);
    if (name[length] == '=' && argument_of(line, found) == NULL) {
        snprintf(error, size, "%s takes no value", option);
        return -1;
    }
    if (name[length] == '=')
        found->value = name + length + 1;
    else if (argument_of(line, found) != NULL)
        return take_value(line, found, option, error, size);
    return 1;
}

int cli_line_next(struct cli_line *line, struct cli_found *found, char *error, size_t error_size)
{
    size_t number;

    *found = (struct cli_found){0};
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
    if (find_name(line->table, word + 1, strcspn(word + 1, "="), &number))
        return refuse_unknown(line->table, "-", word + 1, error, error_size);
    line->letters = word + 1;
    return next_letter(line, found, error, error_size);
}
