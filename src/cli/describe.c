/* The table as JSON. */
#include "leaderwrap/cli/describe.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

static const char *const kinds[] = {
    [CLI_NOTHING] = "nothing", [CLI_TEXT] = "text",         [CLI_TEXTS] = "texts",
    [CLI_FLAG] = "flag",       [CLI_CONSTANT] = "constant", [CLI_EITHER] = "word",
    [CLI_WORD] = "word",       [CLI_DURATION] = "duration", [CLI_COUNT] = "number",
    [CLI_NUMBER] = "number",
};

static void print_text(const char *text, FILE *stream)
{
    if (text == NULL) {
        fputs("null", stream);
        return;
    }
    fputc('"', stream);
    for (; *text != '\0'; text++) {
        if (strchr("\"\\", *text) != NULL)
            fputc('\\', stream);
        fputc(*text, stream);
    }
    fputc('"', stream);
}

static void print_field(const char *name, const char *text, FILE *stream)
{
    fprintf(stream, "\"%s\": ", name);
    print_text(text, stream);
    fputs(", ", stream);
}

static void print_words(const struct cli_word *words, FILE *stream)
{
    fputs("\"words\": [", stream);
    for (size_t i = 0; words != NULL && words[i].word != NULL; i++) {
        /* Another name of the word before it is taken, and not told. */
        if (i > 0 && words[i].value == words[i - 1].value)
            continue;
        fputs(i > 0 ? ", " : "", stream);
        print_text(words[i].word, stream);
    }
    fputs("], ", stream);
}

static void print_owners(const struct cli_table *table, uint32_t commands, FILE *stream)
{
    const char *between = "";

    fputs("\"commands\": [", stream);
    for (size_t i = 0; i < table->command_count; i++) {
        if ((commands >> i & 1) == 0)
            continue;
        fputs(between, stream);
        print_text(table->commands[i].word, stream);
        between = ", ";
    }
    fputs("]}", stream);
}

static void print_option(const struct cli_table *table, size_t number, FILE *stream)
{
    const struct cli_option *option = &table->options[number];
    const char letter[] = {option->letter, '\0'};
    char variable[CLI_VARIABLE_SIZE];

    cli_variable(table, number, variable, sizeof variable);
    fputs("{", stream);
    print_field("section", option->section, stream);
    print_field("name", option->name, stream);
    print_field("letter", option->letter != 0 ? letter : NULL, stream);
    print_field("argument", option->argument, stream);
    print_field("help", option->help, stream);
    print_field("default", cli_default(option), stream);
    print_field("variable", option->line_only ? NULL : variable, stream);
    print_field("kind", kinds[option->value.kind], stream);
    fprintf(stream, "\"above_0\": %s, \"forever\": %s, ", option->value.above_0 ? "true" : "false",
            option->value.forever ? "true" : "false");
    fprintf(stream, "\"least\": %" PRId32 ", \"most\": %" PRId32 ", ", option->value.least,
            option->value.most);
    print_words(option->value.words, stream);
    print_owners(table, option->commands, stream);
}

static void print_command(const struct cli_command *command, FILE *stream)
{
    fputs("{", stream);
    print_field("word", command->word, stream);
    print_field("arguments", command->arguments, stream);
    fputs("\"help\": ", stream);
    print_text(command->help, stream);
    fputs("}", stream);
}

int cli_describe(const struct cli_table *table, FILE *stream)
{
    fputs("{", stream);
    print_field("program", table->program, stream);
    fputs("\"commands\": [", stream);
    for (size_t i = 0; i < table->command_count; i++) {
        fputs(i > 0 ? ",\n" : "\n", stream);
        print_command(&table->commands[i], stream);
    }
    fputs("],\n\"options\": [", stream);
    for (size_t i = 0; i < table->count; i++) {
        fputs(i > 0 ? ",\n" : "\n", stream);
        print_option(table, i, stream);
    }
    fputs("]}\n", stream);
    if (fflush(stream) != 0 || ferror(stream))
        return errno != 0 ? -errno : -EIO;
    return 0;
}
