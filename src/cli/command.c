/* The names of commands, in sentences. */
#include <stdio.h>

#include "leaderwrap/cli/option.h"

void cli_name_commands(const struct cli_table *table, uint32_t commands, const char *and,
                       char *buffer, size_t size)
{
    size_t used = 0;

    buffer[0] = '\0';
    for (size_t i = 0; i < table->command_count && used < size; i++) {
        uint32_t behind = i + 1 < CLI_COMMANDS_MOST ? commands >> (i + 1) : 0;
        const char *between = used == 0 ? "" : behind != 0 ? ", " : and;

        if ((commands >> i & 1) != 0)
            used += (size_t)snprintf(buffer + used, size - used, "%s%s", between,
                                     table->commands[i].word);
    }
}
