/* leaderctl: what leases there are, who leads, who has led; and what an operator does about it. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "commands.h"
#include "leaderwrap/base/log.h"
#include "options.h"
#include "show.h"

static int act(const struct ctl_options *options, char *error, size_t size)
{
    if (options->command == CTL_HELP)
        return ctl_options_print_help() == 0 ? EXIT_SUCCESS : EXIT_OWN_FAILURE;
    if (options->command == CTL_VERSION)
        return puts("leaderctl " LEADERWRAP_VERSION) >= 0 && fflush(stdout) == 0 ? EXIT_SUCCESS
                                                                                 : EXIT_OWN_FAILURE;
    return ctl_run(options, error, size);
}

int main(int argc, char **argv)
{
    struct ctl_options options;
    char error[512] = "";
    char shown[2048];
    const struct log_config log = {.level = LOG_LEVEL_ERROR};

    /* A connection that breaks is an error like any other. */
    signal(SIGPIPE, SIG_IGN);
    log_configure(&log);
    int status = ctl_options_parse(&options, argc, argv, error, sizeof error);
    if (status == 0) {
        ctl_options_mask_line(&options, argc, argv);
        status = act(&options, error, sizeof error);
    }
    if (error[0] != '\0')
        fprintf(stderr, "leaderctl: %s\n", show_text(error, shown, sizeof shown));
    ctl_options_clear(&options);
    return status;
}
