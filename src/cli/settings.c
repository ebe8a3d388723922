/* Reading the environment and the command line, by the table of options. */
#include "leaderwrap/cli/settings.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "leaderwrap/base/check.h"
#include "line.h"
#include "near.h"
#include "value.h"

/* What the program has wrong in its table. */
static void check_row(const struct cli_option *option, const struct cli_place *place)
{
    enum cli_kind kind = option->value.kind;

    CHECK(option->name != NULL && option->help != NULL);
    CHECK(kind != CLI_NOTHING && kind == place->kind);
    CHECK((option->argument == NULL) == (kind == CLI_FLAG || kind == CLI_CONSTANT));
    CHECK((option->value.words != NULL) == (kind == CLI_WORD || kind == CLI_EITHER));
    CHECK(option->line_only || kind != CLI_CONSTANT);
    CHECK(option->initial == NULL || (option->argument != NULL && kind != CLI_TEXTS));
}

void cli_begin(struct cli_settings *settings, const struct cli_table *table,
               const struct cli_place *places)
{
    char problem[256];

    CHECK(table->count <= CLI_OPTIONS_MOST && table->command_count <= CLI_COMMANDS_MOST);
    for (size_t i = 0; i < table->count; i++) {
        const struct cli_option *option = &table->options[i];

        check_row(option, &places[i]);
        CHECK(option->initial == NULL ||
              cli_store(option, &places[i], option->initial, problem, sizeof problem) == 0);
    }
    *settings = (struct cli_settings){.table = table, .places = places};
}

enum cli_source cli_source(const struct cli_settings *settings, size_t number)
{
    return (enum cli_source)settings->sources[number];
}

bool cli_is_given(const struct cli_settings *settings, size_t number)
{
    return settings->sources[number] != CLI_NOT_GIVEN;
}

const char *cli_show(const struct cli_settings *settings, size_t number, char *buffer, size_t size)
{
    if (settings->sources[number] == CLI_ENVIRONMENT)
        cli_variable(settings->table, number, buffer, size);
    else
        cli_show_long(settings->table, number, buffer, size);
    return buffer;
}

void cli_complain(const struct cli_settings *settings, size_t number, char *error,
                  size_t error_size, const char *format, ...)
{
    char shown[CLI_VARIABLE_SIZE];
    va_list arguments;
    int used = 0;

    if (cli_is_given(settings, number))
        used = snprintf(error, error_size, "%s: ", cli_show(settings, number, shown, sizeof shown));
    if ((size_t)used >= error_size)
        return;
    va_start(arguments, format);
    vsnprintf(error + used, error_size - (size_t)used, format, arguments);
    va_end(arguments);
}

int cli_refuse_given(const struct cli_settings *settings, const unsigned *numbers, size_t count,
                     const char *what_for, char *error, size_t error_size)
{
    for (size_t i = 0; i < count; i++) {
        if (cli_is_given(settings, numbers[i])) {
            char shown[CLI_VARIABLE_SIZE];
            snprintf(error, error_size, "%s is for %s",
                     cli_show(settings, numbers[i], shown, sizeof shown), what_for);
            return -1;
        }
    }
    return 0;
}

/* Stores what was said about an option, and where. */
static int store(struct cli_settings *settings, size_t number, enum cli_source source,
                 const char *value, char *error, size_t size)
{
    char problem[256];

    /* A list is of one source. */
    if (settings->places[number].kind == CLI_TEXTS && cli_source(settings, number) != source)
        settings->places[number].to.texts->count = 0;
    settings->sources[number] = (unsigned char)source;
    if (cli_store(&settings->table->options[number], &settings->places[number], value, problem,
                  sizeof problem) == 0)
        return 0;
    cli_complain(settings, number, error, size, "%s", problem);
    return -1;
}

int cli_read_environment(struct cli_settings *settings, char *error, size_t error_size)
{
    for (size_t i = 0; i < settings->table->count; i++) {
        char variable[CLI_VARIABLE_SIZE];
        if (settings->table->options[i].line_only)
            continue;
        cli_variable(settings->table, i, variable, sizeof variable);
        const char *value = getenv(variable);
        if (value != NULL && store(settings, i, CLI_ENVIRONMENT, value, error, error_size) != 0)
            return -1;
    }
    return 0;
}

int cli_read_line(struct cli_settings *settings, int argc, char **argv, int *rest, char *error,
                  size_t error_size)
{
    struct cli_line line;
    struct cli_found found;
    int more;

    cli_line_begin(&line, settings->table, argc, argv);
    while ((more = cli_line_next(&line, &found, error, error_size)) == 1) {
        const struct cli_option *option = &settings->table->options[found.number];

        if (option->single != NULL && cli_source(settings, found.number) == CLI_LINE) {
            snprintf(error, error_size, "--%s was given twice: %s", option->name, option->single);
            return -1;
        }
        if (store(settings, found.number, CLI_LINE, found.value, error, error_size) != 0)
            return -1;
    }
    *rest = line.at;
    return more;
}

void cli_mask_values(const struct cli_table *table, int argc, char **argv,
                     void (*mask)(char *value))
{
    struct cli_line line;
    struct cli_found found;
    char error[512];

    cli_line_begin(&line, table, argc, argv);
    while (cli_line_next(&line, &found, error, sizeof error) == 1)
        if (found.value != NULL)
            mask(found.value);
}
