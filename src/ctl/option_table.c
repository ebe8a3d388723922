/* leaderctl's options and commands. */
#include "option_table.h"

#define FOR(command) (1U << (command))

/* One row; of what follows after the help, what has to be said is named. */
#define ROW(section_, name_, letter_, takes_, help_, ...)                                          \
    {                                                                                              \
        .section = (section_), .name = (name_), .letter = (letter_), takes_, .help = (help_),      \
        __VA_ARGS__                                                                                \
    }

static const struct cli_option rows[OPTION_COUNT] = {
    ACCESS_ROWS(OPTION_REDIS),
    [OPTION_REQUEST_TIMEOUT] =
        ROW(NULL, "request-timeout", 0, CLI_TAKES_TIME_ABOVE_0("TIME"),
            "how long the connection, and each answer, is waited for", .initial = "5s"),
    [OPTION_JSON] =
        ROW("Output", "json", 'j', CLI_IS_FLAG,
            "one JSON document instead of text; times in ms since 1970", .line_only = true),
    [OPTION_LAST] = ROW(NULL, "last", 0, CLI_TAKES_COUNT("N", 1, OPTIONS_LAST_MOST),
                        "history: how many terms are shown, at most 100", .initial = "20",
                        .commands = FOR(CTL_HISTORY), .line_only = true),
    [OPTION_AT_LEAST] = ROW(NULL, "at-least", 0, CLI_TAKES_TIME("TIME"),
                            "holding: for how long the term has to be good", .initial = "0",
                            .commands = FOR(CTL_HOLDING), .line_only = true),
    [OPTION_ALL] = ROW(
        "Acts", "all", 0, CLI_IS_FLAG, "pause, resume, cordon, uncordon: all leases that there are",
        .commands = FOR(CTL_PAUSE) | FOR(CTL_RESUME) | FOR(CTL_CORDON) | FOR(CTL_UNCORDON),
        .line_only = true),
    [OPTION_FOR] =
        ROW(NULL, "for", 0, CLI_TAKES_TIME_ABOVE_0("TIME"),
            "pause: ends by itself after that; step-down: how long it is wished, and others kept "
            "out with --to",
            .fallback = "60s for step-down", .commands = FOR(CTL_PAUSE) | FOR(CTL_STEP_DOWN),
            .line_only = true),
    [OPTION_REASON] = ROW(NULL, "reason", 0, CLI_TAKES_TEXT("TEXT"),
                          "pause: shown to whoever wonders, at most 128 bytes",
                          .commands = FOR(CTL_PAUSE), .line_only = true),
    [OPTION_TO] = ROW(NULL, "to", 0, CLI_TAKES_TEXT("NAME"),
                      "step-down: the candidate, or host, that is to lead next",
                      .commands = FOR(CTL_STEP_DOWN), .line_only = true),
    [OPTION_WAIT] = ROW(NULL, "wait", 0, CLI_IS_FLAG,
                        "step-down: until another one leads; tells how long each step took",
                        .commands = FOR(CTL_STEP_DOWN), .line_only = true),
    [OPTION_FORCE] = ROW(NULL, "force", 0, CLI_IS_FLAG,
                         "release: break a lease whose leader cannot be reached; asks first",
                         .commands = FOR(CTL_RELEASE), .line_only = true),
    [OPTION_YES] = ROW(NULL, "yes", 'y', CLI_IS_FLAG, "release --force: do not ask",
                       .commands = FOR(CTL_RELEASE), .line_only = true),
    [OPTION_LISTEN] = ROW("Page", "listen", 0, CLI_TAKES_TEXT("ADDRESS"),
                          "serve: where, ADDRESS:PORT or unix:PATH", .initial = "127.0.0.1:8080",
                          .commands = FOR(CTL_SERVE), .line_only = true),
    [OPTION_ALLOW_CONTROL] =
        ROW(NULL, "allow-control", 0, CLI_IS_FLAG,
            "serve: whoever has the token, which is printed at the start, may pause, resume and "
            "step down from the page",
            .commands = FOR(CTL_SERVE), .line_only = true),
    [OPTION_TOKEN_FILE] = ROW(NULL, "token-file", 0, CLI_TAKES_TEXT("PATH"),
                              "serve --allow-control: the token is the first line of that file",
                              .commands = FOR(CTL_SERVE), .line_only = true),
    [OPTION_COUNTER_KEY] =
        ROW(NULL, "counter-key", 0, CLI_TAKES_TEXT("KEY"),
            "serve: shows that counter's value, as of leaderwrap without a command",
            .commands = FOR(CTL_SERVE), .line_only = true),
    [OPTION_HELP] = ROW("More", "help", 'h', CLI_IS_ONE_OF_SEVERAL, "print this text"),
    [OPTION_VERSION] = ROW(NULL, "version", 'V', CLI_IS_ONE_OF_SEVERAL, "print the version"),
};

static const struct cli_command commands[CTL_HELP] = {
    [CTL_LS] = {"ls", NULL, "all leases of the server, or of all masters of the cluster"},
    [CTL_STATUS] = {"status", "KEY",
                    "one lease: its leader, what is left, who stands by, and what is odd"},
    [CTL_HISTORY] = {"history", "KEY", "its terms, the newest first, and why each ended"},
    [CTL_WATCH] = {"watch", "[KEY]",
                   "how the lease is, or each, and each change until it is interrupted"},
    [CTL_DOCTOR] = {"doctor", "[KEY]", "what could hurt the lease, or any"},
    [CTL_SERVE] = {"serve", NULL, "shows all leases to browsers, live"},
    [CTL_HOLDING] = {"holding", NULL,
                     "for what runs under leaderwrap --lease-page: whether its term is still good, "
                     "asked without Redis"},
    [CTL_PAUSE] = {"pause", "KEY", "ends the term, and nobody leads until resume"},
    [CTL_RESUME] = {"resume", "KEY", "ends a pause"},
    [CTL_STEP_DOWN] = {"step-down", "KEY", "ends the term for another candidate to lead"},
    [CTL_CORDON] = {"cordon", "NAME KEY",
                    "keeps that candidate, or all of that host, from leading until uncordon"},
    [CTL_UNCORDON] = {"uncordon", "NAME KEY", "takes that back"},
    [CTL_RELEASE] = {"release", "KEY", "ends what --hold left: a job may run again"},
    [CTL_RM] = {"rm", "KEY", "deletes a lease that nobody holds, and its history"},
};

const struct cli_table ctl_options_table = {
    .program = "leaderctl",
    .prefix = "LEADERWRAP_",
    .options = rows,
    .count = OPTION_COUNT,
    .commands = commands,
    .command_count = CTL_HELP,
    .usage = "Usage: leaderctl [OPTION]... COMMAND [ARGUMENT]...\n"
             "Shows leases of leaderwrap, and has their leaders pause or step down. KEY is the "
             "whole key,\n"
             "such as leaderwrap:server. From pause on the commands act; the others change "
             "nothing in Redis.\n",
    .notes = "\n"
             "Each option about Redis has an environment variable, as leaderwrap's.\n"
             "\n"
             "Exit status:\n"
             "  0    the lease is led; of ls, one of them at least; of history, there is one;\n"
             "       of holding, the term is good; of watch, it was interrupted\n"
             "  1    it was not done: somebody leads, or the question was not answered with yes\n"
             "  3    nobody leads; of history, there is none; of holding, the term is not good\n"
             "  64   usage: a bad option, value, URL or key\n"
             "  69   Redis could not be reached, or did not answer\n"
             "  77   Redis refuses it: a password, a missing right\n"
             "  125  leaderctl itself failed\n",
};
