/* Prints the table of options as JSON, for doc/texts. */
#include "leaderwrap/cli/describe.h"
#include "option_table.h"

int main(void)
{
    return cli_describe(&options_table, stdout) == 0 ? 0 : 1;
}
