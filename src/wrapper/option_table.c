/* The options. */
#include "option_table.h"

#include "leaderwrap/access/redis_options.h"

/* One row; of what follows after the help, what has to be said is named. */
#define ROW(section_, name_, letter_, argument_, help_, ...)                                       \
    {                                                                                              \
        .section = (section_), .name = (name_), .letter = (letter_), .argument = (argument_),      \
        .help = (help_), __VA_ARGS__                                                               \
    }

static const struct cli_option rows[OPTION_COUNT] = {
    [OPTION_KEY] = ROW("Lease", "key", 'k', "KEY",
                       "the lease's key in Redis; default leaderwrap:<basename of COMMAND>, where "
                       "that says what it does"),
    [OPTION_NAME] = ROW(NULL, "name", 'n', "NAME", "who we are, shown to people; default host:pid"),
    [OPTION_TTL] =
        ROW(NULL, "ttl", 't', "TIME", "how long the lease lives without a renewal; default 15s"),
    [OPTION_RENEW] = ROW(NULL, "renew", 'r', "TIME", "from one renewal to the next; default ttl/3"),
    [OPTION_GRACE] =
        ROW(NULL, "grace", 'g', "TIME", "from TERM to KILL; default ttl/5, at most 10s"),
    [OPTION_MARGIN] = ROW(
        NULL, "margin", 0, "TIME",
        "the tree is dead this long before the lease can expire; default ttl/30, 50ms to 500ms"),
    [OPTION_RETRY] = ROW(
        NULL, "retry", 0, "TIME",
        "how often a follower asks that hears no renewals; default 5s, or ttl if that is shorter"),
    [OPTION_LOCK_DELAY] =
        ROW(NULL, "lock-delay", 0, "TIME",
            "where the last leader did not release the lease: how long the next one "
            "waits before it starts the command; default 0"),

    [OPTION_ON_LOST] = ROW("Service", "on-lost", 0, "wait|exit",
                           "after a lost lease: stand by again (default), or exit with 79"),
    [OPTION_RESTART] =
        ROW(NULL, "restart", 0, "no|on-failure|always",
            "what becomes of a command that ends by itself: exit as it does (default), "
            "or start it again in the same term, after 1s, 2s, 4s, ... 30s"),
    [OPTION_MAX_RESTARTS] =
        ROW(NULL, "max-restarts", 0, "N",
            "after so many failures in a row release the lease, so that another node may try"),
    [OPTION_PENALTY] =
        ROW(NULL, "penalty", 0, "TIME",
            "how long this node stands back then, or after an unhealthy command; default 2 * ttl"),
    [OPTION_HEALTH_CMD] = ROW(NULL, "health-cmd", 0, "CMD",
                              "checks the command, by the shell: where it fails, the command is "
                              "stopped, and by --restart started again, or another node may try"),
    [OPTION_HEALTH_INTERVAL] =
        ROW(NULL, "health-interval", 0, "TIME",
            "from the start to the first check, and from one to the next; default 30s"),
    [OPTION_HEALTH_TIMEOUT] =
        ROW(NULL, "health-timeout", 0, "TIME", "a check that takes longer has failed; default 30s"),
    [OPTION_HEALTH_RETRIES] =
        ROW(NULL, "health-retries", 0, "N",
            "so many failures in a row make the command unhealthy; default 3"),
    [OPTION_HEALTH_START_PERIOD] = ROW(
        NULL, "health-start-period", 0, "TIME",
        "failures do not count so soon after the start, until a check has succeeded; default 0"),
    [OPTION_ON_ACQUIRE] =
        ROW(NULL, "on-acquire", 0, "CMD", "run by the shell beside the command, once in each term"),
    [OPTION_ON_LOSE] =
        ROW(NULL, "on-lose", 0, "CMD", "run by the shell when a term is over and the command dead"),
    [OPTION_HOOK_TIMEOUT] =
        ROW(NULL, "hook-timeout", 0, "TIME", "a hook that takes longer is killed; default 30s"),
    [OPTION_STOP_TO] = ROW(NULL, "stop-to", 0, "group|main",
                           "who gets TERM: the whole tree (default) or the command's own process; "
                           "KILL is for the tree"),
    [OPTION_NO_RELEASE] =
        ROW(NULL, "no-release", 0, NULL,
            "leave the lease to its TTL on a stop, as a crash would; for experiments"),
    [OPTION_COUNTER_KEY] = ROW(NULL, "counter-key", 0, "KEY",
                               "what the built-in counter increments; default global_counter"),

    [OPTION_ONCE] =
        ROW("Cron", "once", 0, NULL,
            "run COMMAND once if the lease can be had, and leave; by the server's clock, "
            "and silent unless something is wrong"),
    [OPTION_WAIT] =
        ROW(NULL, "wait", 0, "0|TIME|forever", "how long --once waits for the lease; default 0"),
    [OPTION_HOLD] =
        ROW(NULL, "hold", 0, "TIME",
            "keep the lease for at least that long after it was acquired, without staying: one run "
            "per tick, whatever the hosts' clocks say; default 30s, with --wait 0"),
    [OPTION_MAX_RUNTIME] =
        ROW(NULL, "max-runtime", 0, "TIME",
            "then the command gets TERM, the grace and KILL, and the exit status is 124"),
    [OPTION_CONFLICT_EXIT_CODE] =
        ROW(NULL, "conflict-exit-code", 'E', "CODE",
            "where another has the lease; default 75, and 0 suits cron and timers"),

    ACCESS_ROWS(OPTION_REDIS),
    [OPTION_REQUEST_TIMEOUT] = ROW(NULL, "request-timeout", 0, "TIME",
                                   "how long an answer is waited for; at the second in a row the "
                                   "connection is made anew; default ttl/6, 100ms to 10s"),
    [OPTION_WAIT_REPLICAS] =
        ROW(NULL, "wait-replicas", 0, "N",
            "a grant or a renewal counts only when so many replicas have it, too"),
    [OPTION_TAKEOVER] = ROW(NULL, "takeover", 0, "observed|server-clock",
                            "how an expired lease is recognised: by own observation (default), or "
                            "faster but trusting the server's clock"),
    [OPTION_ASSUME_FRESH] =
        ROW(NULL, "assume-fresh", 0, NULL,
            "there can be no earlier leader: take a lease that has no record at "
            "once, not after a TTL"),

    [OPTION_LOG_FORMAT] =
        ROW("Operation", "log-format", 0, "text|json|logfmt", "of the log on standard error"),
    [OPTION_LOG_LEVEL] = ROW(NULL, "log-level", 0, "error|warning|info|debug",
                             "default info; debug shows each renewal and each wait"),
    [OPTION_HTTP] = ROW(NULL, "http", 0, "ADDRESS",
                        "where to answer /livez, /readyz, /leader, /follower, /status and "
                        "/metrics: 127.0.0.1:8008, or unix:PATH"),
    [OPTION_METRICS_FILE] =
        ROW(NULL, "metrics-file", 0, "FILE",
            "write the metrics there, for the node_exporter's textfile collector"),
    [OPTION_LEASE_PAGE] =
        ROW(NULL, "lease-page", 0, NULL,
            "hand the command a page of memory, $LEADERWRAP_LEASE, that says how long its term is "
            "still good"),
    [OPTION_PASS_NOTIFY] =
        ROW(NULL, "pass-notify", 0, NULL,
            "hand systemd's NOTIFY_SOCKET on to the command; else it is leaderwrap's own"),
    [OPTION_CHECK] =
        ROW(NULL, "check", 0, NULL,
            "try everything on a scratch key, print the derived numbers, start nothing",
            .line_only = true),
    [OPTION_HELP] = ROW(NULL, "help", 'h', NULL, "print this text", .line_only = true),
    [OPTION_VERSION] = ROW(NULL, "version", 'V', NULL, "print the version", .line_only = true),
};

const struct cli_table options_table = {
    .program = "leaderwrap",
    .prefix = "LEADERWRAP_",
    .options = rows,
    .count = OPTION_COUNT,
    .usage =
        "Usage: leaderwrap [OPTION]... [--] [COMMAND [ARG]...]\n"
        "Run COMMAND on exactly one of many machines: on the one that holds a lease in Redis.\n"
        "Without a COMMAND a built-in counter runs, which only the leader may increment.\n",
    .notes =
        "\n"
        "Each long option has an environment variable (LEADERWRAP_TTL=15s); the command line "
        "wins.\n"
        "LEADERWRAP_PASSWORD is the password for a URL that has none, "
        "LEADERWRAP_SENTINEL_PASSWORD\n"
        "that for sentinels. Times: 500ms 15s 5m 1h30m 1d.\n"
        "\n"
        "COMMAND finds LEADERWRAP_KEY, _ID, _NAME, _TTL_MS and _TOKEN in its environment. The "
        "token\n"
        "only ever grows: a resource that remembers the highest one it saw can refuse a leader "
        "that a\n"
        "frozen machine brought back.\n"
        "\n"
        "leaderctl shows who leads, pauses a lease and has its leader step down: leaderctl "
        "--help.\n"
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
        "The guarantee: no two trees of one lease run at the same time, as long as the clock rates "
        "of\n"
        "two hosts differ by less than 1 % and the kernel lets leaderwrap or its keeper run within "
        "the\n"
        "margin. What that leaves open, a whole machine frozen and thawed, the token covers.\n",
};
