/* --help, made from the table of options. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "option_table.h"
#include "options.h"

#define HELP_INDENT 26
#define HELP_WIDTH  96

/* Prints `text` from HELP_INDENT on, in lines that end before HELP_WIDTH. */
static void print_wrapped(const char *text, int column)
{
    column += printf("%*s", HELP_INDENT - column, "");
    for (bool first = true; *text != '\0'; first = false) {
        int length = (int)strcspn(text, " ");
        if (!first && column + 1 + length > HELP_WIDTH)
            column = printf("\n%*s", HELP_INDENT, "") - 1;
        else if (!first)
            column += printf(" ");
        column += printf("%.*s", length, text);
        text += length;
        text += strspn(text, " ");
    }
    putchar('\n');
}

static void print_option(const struct option_spec *spec)
{
    int used = spec->letter != 0 ? printf("  -%c, ", spec->letter) : printf("      ");

    used += printf("--%s", spec->name);
    if (spec->argument != NULL)
        used += printf(" %s", spec->argument);
    if (used + 2 > HELP_INDENT) {
        putchar('\n');
        used = 0;
    }
    print_wrapped(spec->help, used);
}

int options_print_help(void)
{
    fputs("Usage: leaderwrap [OPTION]... [--] [COMMAND [ARG]...]\n"
          "Run COMMAND on exactly one of many machines: on the one that holds a lease in Redis.\n"
          "Without a COMMAND a built-in counter runs, which only the leader may increment.\n",
          stdout);
    for (size_t i = 0; i < option_count; i++) {
        if (option_specs[i].section != NULL)
            printf("\n%s:\n", option_specs[i].section);
        print_option(&option_specs[i]);
    }
    fputs("\n"
          "Each long option has an environment variable (LEADERWRAP_TTL=15s); the command line "
          "wins.\n"
          "LEADERWRAP_PASSWORD is the password for a URL that has none. Times: 500ms 15s 5m 1h30m "
          "1d.\n"
          "\n"
          "COMMAND finds LEADERWRAP_KEY, _ID, _NAME, _TTL_MS and _TOKEN in its environment. The "
          "token\n"
          "only ever grows: a resource that remembers the highest one it saw can refuse a leader "
          "that a\n"
          "frozen machine brought back.\n"
          "\n"
          "Exit status:\n"
          "  the command's own, or 128+n if signal n ended it, whenever it ran to its end;\n"
          "  128+n if leaderwrap was stopped by signal n while no command ran;\n"
          "  64   usage: a bad option, value or URL\n"
          "  69   Redis could not be reached, with --once or --check\n"
          "  75   another one has the lease, with --once (-E says another number)\n"
          "  79   the lease was lost, with --once or --on-lost exit\n"
          "  124  --max-runtime was over\n"
          "  125  leaderwrap itself failed, or Redis refuses it\n"
          "  126  COMMAND cannot be executed\n"
          "  127  COMMAND was not found\n"
          "\n"
          "The guarantee: no two trees of one lease run at the same time, as long as the clock "
          "rates of\n"
          "two hosts differ by less than 1 % and the kernel lets leaderwrap or its keeper run "
          "within the\n"
          "margin. What that leaves open, a whole machine frozen and thawed, the token covers.\n",
          stdout);
    /* What did not fit into the buffer was written earlier. */
    if (fflush(stdout) != 0 || ferror(stdout))
        return errno != 0 ? -errno : -EIO;
    return 0;
}
