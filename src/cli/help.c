/* The help text, made from the table of options. */
#include "leaderwrap/cli/help.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#define HELP_INDENT 26
#define HELP_WIDTH  96
#define HELP_SIZE   512 /* of the text of one option */

/* Prints `text` from HELP_INDENT on, in lines that end before HELP_WIDTH. */
static void print_wrapped(const char *text, int column, FILE *stream)
{
    column += fprintf(stream, "%*s", HELP_INDENT - column, "");
    for (bool first = true; *text != '\0'; first = false) {
        int length = (int)strcspn(text, " ");
        if (!first && column + 1 + length > HELP_WIDTH)
            column = fprintf(stream, "\n%*s", HELP_INDENT, "") - 1;
        else if (!first)
            column += fprintf(stream, " ");
        column += fprintf(stream, "%.*s", length, text);
        text += length;
        text += strspn(text, " ");
    }
    fputc('\n', stream);
}

const char *cli_default(const struct cli_option *option)
{
    return option->fallback != NULL ? option->fallback : option->initial;
}

static void print_meaning(const struct cli_option *option, int column, FILE *stream)
{
    char text[HELP_SIZE];
    const char *value = cli_default(option);

    snprintf(text, sizeof text, "%s%s%s", option->help, value != NULL ? "; default " : "",
             value != NULL ? value : "");
    print_wrapped(text, column, stream);
}

static void print_option(const struct cli_option *option, FILE *stream)
{
    int used = option->letter != 0 ? fprintf(stream, "  -%c, ", option->letter)
                                   : fprintf(stream, "      ");

    used += fprintf(stream, "--%s", option->name);
    if (option->argument != NULL)
        used += fprintf(stream, " %s", option->argument);
    if (used + 2 > HELP_INDENT) {
        fputc('\n', stream);
        used = 0;
    }
    print_meaning(option, used, stream);
}

static void print_command(const struct cli_command *command, FILE *stream)
{
    int used = fprintf(stream, "  %s", command->word);

    if (command->arguments != NULL)
        used += fprintf(stream, " %s", command->arguments);
    print_wrapped(command->help, used, stream);
}

int cli_print_help(const struct cli_table *table, FILE *stream)
{
    fputs(table->usage, stream);
    if (table->command_count > 0)
        fputs("\nCommands:\n", stream);
    for (size_t i = 0; i < table->command_count; i++)
        print_command(&table->commands[i], stream);
    for (size_t i = 0; i < table->count; i++) {
        if (table->options[i].section != NULL)
            fprintf(stream, "\n%s:\n", table->options[i].section);
        print_option(&table->options[i], stream);
    }
    fputs(table->notes, stream);
    /* What did not fit into the buffer was written earlier. */
    if (fflush(stream) != 0 || ferror(stream))
        return errno != 0 ? -errno : -EIO;
    return 0;
}
