/* The environment variables of options. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "leaderwrap/cli/option.h"
#include "line.h"
#include "near.h"

void cli_variable(const struct cli_table *table, size_t number, char *buffer, size_t size)
{
    snprintf(buffer, size, "%s%s", table->prefix, table->options[number].name);
    for (char *at = buffer; *at != '\0'; at++)
        *at = *at == '-' ? '_' : (char)toupper((unsigned char)*at);
}

bool cli_is_variable(const struct cli_table *table, const char *name, size_t length)
{
    for (size_t i = 0; i < table->count; i++) {
        char variable[CLI_VARIABLE_SIZE];
        cli_variable(table, i, variable, sizeof variable);
        if (!table->options[i].line_only && strlen(variable) == length &&
            memcmp(variable, name, length) == 0)
            return true;
    }
    return false;
}

static void show_variable(const struct cli_table *table, size_t number, char *text, size_t size)
{
    if (table->options[number].line_only)
        cli_show_long(table, number, text, size);
    else
        cli_variable(table, number, text, size);
}

void cli_suggest_variables(const struct cli_table *table, const char *name, size_t length,
                           char *buffer, size_t size)
{
    char option[CLI_NAME_MOST + 8]; /* longer than any, so that a long one is near to none */
    size_t used = 0;

    for (size_t i = strlen(table->prefix); i < length && used + 1 < sizeof option; i++)
        option[used++] = name[i] == '_' ? '-' : (char)tolower((unsigned char)name[i]);
    cli_suggest(table, option, used, show_variable, buffer, size);
}
