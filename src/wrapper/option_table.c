/* The options. */
#include "option_table.h"

#include "leaderwrap/access/redis_options.h"
#include "leaderwrap/base/log.h"
#include "leaderwrap/election/restart.h"

#define COUNT_MOST    1000000
#define STATUS_MOST   255
#define REPLICAS_MOST 100

static const struct cli_word lost_words[] = {{"wait", false}, {"exit", true}, {NULL, 0}};

static const struct cli_word restart_words[] = {
    {"no", RESTART_NO}, {"on-failure", RESTART_ON_FAILURE}, {"always", RESTART_ALWAYS}, {NULL, 0}};

static const struct cli_word stop_words[] = {{"group", false}, {"main", true}, {NULL, 0}};

static const struct cli_word takeover_words[] = {
    {"observed", false}, {"server-clock", true}, {NULL, 0}};

static const struct cli_word format_words[] = {
    {"text", LOG_FORMAT_TEXT}, {"json", LOG_FORMAT_JSON}, {"logfmt", LOG_FORMAT_LOGFMT}, {NULL, 0}};

static const struct cli_word level_words[] = {{"error", LOG_LEVEL_ERROR},
                                              {"warning", LOG_LEVEL_WARNING},
                                              {"warn", LOG_LEVEL_WARNING}, /* as many call it */
                                              {"info", LOG_LEVEL_INFO},
                                              {"debug", LOG_LEVEL_DEBUG},
                                              {NULL, 0}};

/* One row; of what follows after the help, what has to be said is named. */
#define ROW(section_, name_, letter_, takes_, help_, ...)                                          \
    {                                                                                              \
        .section = (section_), .name = (name_), .letter = (letter_), takes_, .help = (help_),      \
        __VA_ARGS__                                                                                \
    }

static const struct cli_option rows[OPTION_COUNT] = {
    [OPTION_KEY] =
        ROW("Lease", "key", 'k', CLI_TAKES_TEXT("KEY"), "the lease's key in Redis",
            .fallback = "leaderwrap:<basename of COMMAND>, where that says what it does"),
    [OPTION_NAME] = ROW(NULL, "name", 'n', CLI_TAKES_TEXT("NAME"), "who we are, shown to people",
                        .fallback = "host:pid"),
    [OPTION_TTL] = ROW(NULL, "ttl", 't', CLI_TAKES_TIME_ABOVE_0("TIME"),
                       "how long the lease lives without a renewal", .initial = "15s"),
    [OPTION_RENEW] = ROW(NULL, "renew", 'r', CLI_TAKES_TIME_ABOVE_0("TIME"),
                         "from one renewal to the next", .fallback = "ttl/3"),
    [OPTION_GRACE] = ROW(NULL, "grace", 'g', CLI_TAKES_TIME("TIME"), "from TERM to KILL",
                         .fallback = "ttl/5, at most 10s"),
    [OPTION_MARGIN] = ROW(NULL, "margin", 0, CLI_TAKES_TIME("TIME"),
                          "the tree is dead this long before the lease can expire",
                          .fallback = "ttl/30, 50ms to 500ms"),
    [OPTION_RETRY] = ROW(NULL, "retry", 0, CLI_TAKES_TIME_ABOVE_0("TIME"),
                         "how often a follower asks that hears no renewals",
                         .fallback = "5s, or ttl if that is shorter"),
    [OPTION_LOCK_DELAY] =
        ROW(NULL, "lock-delay", 0, CLI_TAKES_TIME("TIME"),
            "where the last leader did not release the lease: how long the next one "
            "waits before it starts the command",
            .initial = "0"),

    [OPTION_ON_LOST] =
        ROW("Service", "on-lost", 0, CLI_TAKES_EITHER("wait|exit", lost_words),
            "after a lost lease: stand by again, or exit with 79", .initial = "wait"),
    [OPTION_RESTART] =
        ROW(NULL, "restart", 0, CLI_TAKES_WORD("no|on-failure|always", restart_words),
            "what becomes of a command that ends by itself: exit as it does, "
            "or start it again in the same term, after 1s, 2s, 4s, ... 30s",
            .initial = "no"),
    [OPTION_MAX_RESTARTS] =
        ROW(NULL, "max-restarts", 0, CLI_TAKES_COUNT("N", 1, COUNT_MOST),
            "after so many failures in a row release the lease, so that another node may try",
            .fallback = "no limit"),
    [OPTION_PENALTY] = ROW(NULL, "penalty", 0, CLI_TAKES_TIME_ABOVE_0("TIME"),
                           "how long this node stands back then, or after an unhealthy command",
                           .fallback = "2 * ttl"),
    [OPTION_HEALTH_CMD] = ROW(NULL, "health-cmd", 0, CLI_TAKES_TEXT("CMD"),
                              "checks the command, by the shell: where it fails, the command is "
                              "stopped, and by --restart started again, or another node may try"),
    [OPTION_HEALTH_INTERVAL] =
        ROW(NULL, "health-interval", 0, CLI_TAKES_TIME_ABOVE_0("TIME"),
            "from the start to the first check, and from one to the next", .initial = "30s"),
    [OPTION_HEALTH_TIMEOUT] = ROW(NULL, "health-timeout", 0, CLI_TAKES_TIME_ABOVE_0("TIME"),
                                  "a check that takes longer has failed", .initial = "30s"),
    [OPTION_HEALTH_RETRIES] =
        ROW(NULL, "health-retries", 0, CLI_TAKES_COUNT("N", 1, COUNT_MOST),
            "so many failures in a row make the command unhealthy", .initial = "3"),
    [OPTION_HEALTH_START_PERIOD] =
        ROW(NULL, "health-start-period", 0, CLI_TAKES_TIME("TIME"),
            "failures do not count so soon after the start, until a check has succeeded",
            .initial = "0"),
    [OPTION_ON_ACQUIRE] = ROW(NULL, "on-acquire", 0, CLI_TAKES_TEXT("CMD"),
                              "run by the shell beside the command, once in each term"),
    [OPTION_ON_LOSE] = ROW(NULL, "on-lose", 0, CLI_TAKES_TEXT("CMD"),
                           "run by the shell when a term is over and the command dead"),
    [OPTION_HOOK_TIMEOUT] = ROW(NULL, "hook-timeout", 0, CLI_TAKES_TIME_ABOVE_0("TIME"),
                                "a hook that takes longer is killed", .initial = "30s"),
    [OPTION_STOP_TO] = ROW(NULL, "stop-to", 0, CLI_TAKES_EITHER("group|main", stop_words),
                           "who gets TERM: the whole tree, or the command's own process; "
                           "KILL is for the tree",
                           .initial = "group"),
    [OPTION_NO_RELEASE] =
        ROW(NULL, "no-release", 0, CLI_IS_FLAG,
            "leave the lease to its TTL on a stop, as a crash would; for experiments"),
    [OPTION_COUNTER_KEY] =
        ROW(NULL, "counter-key", 0, CLI_TAKES_TEXT("KEY"), "what the built-in counter increments",
            .initial = "global_counter", .fallback = "global_counter; in a cluster {KEY}:counter"),

    [OPTION_ONCE] =
        ROW("Cron", "once", 0, CLI_IS_FLAG,
            "run COMMAND once if the lease can be had, and leave; by the server's clock, "
            "and silent unless something is wrong"),
    [OPTION_WAIT] = ROW(NULL, "wait", 0, CLI_TAKES_TIME_OR_FOREVER("0|TIME|forever"),
                        "how long --once waits for the lease", .initial = "0"),
    [OPTION_HOLD] =
        ROW(NULL, "hold", 0, CLI_TAKES_TIME("TIME"),
            "keep the lease for at least that long after it was acquired, without staying: one run "
            "per tick, whatever the hosts' clocks say",
            .fallback = "30s; with --wait 0"),
    [OPTION_MAX_RUNTIME] =
        ROW(NULL, "max-runtime", 0, CLI_TAKES_TIME("TIME"),
            "then the command gets TERM, the grace and KILL, and the exit status is 124",
            .fallback = "no limit"),
    [OPTION_CONFLICT_EXIT_CODE] = ROW(
        NULL, "conflict-exit-code", 'E', CLI_TAKES_NUMBER("CODE", 0, STATUS_MOST),
        "the exit status where another has the lease; 0 suits cron and timers", .initial = "75"),

    ACCESS_ROWS(OPTION_REDIS),
    [OPTION_REQUEST_TIMEOUT] = ROW(NULL, "request-timeout", 0, CLI_TAKES_TIME_ABOVE_0("TIME"),
                                   "how long an answer is waited for; at the second in a row the "
                                   "connection is made anew",
                                   .fallback = "ttl/6, 100ms to 10s"),
    [OPTION_WAIT_REPLICAS] =
        ROW(NULL, "wait-replicas", 0, CLI_TAKES_NUMBER("N", 1, REPLICAS_MOST),
            "a grant or a renewal counts only when so many replicas have it, too",
            .fallback = "none are waited for"),
    [OPTION_TAKEOVER] =
        ROW(NULL, "takeover", 0, CLI_TAKES_EITHER("observed|server-clock", takeover_words),
            "how an expired lease is recognised: by own observation, or "
            "faster but trusting the server's clock",
            .initial = "observed", .fallback = "observed; with --once server-clock"),
    [OPTION_ASSUME_FRESH] =
        ROW(NULL, "assume-fresh", 0, CLI_IS_FLAG,
            "there can be no earlier leader: take a lease that has no record at "
            "once, not after a TTL"),

    [OPTION_LOG_FORMAT] =
        ROW("Operation", "log-format", 0, CLI_TAKES_WORD("text|json|logfmt", format_words),
            "of the log on standard error", .initial = "text"),
    [OPTION_LOG_LEVEL] =
        ROW(NULL, "log-level", 0, CLI_TAKES_WORD("error|warning|info|debug", level_words),
            "what is logged; debug shows each renewal and each wait", .initial = "info",
            .fallback = "info; with --once warning"),
    [OPTION_HTTP] = ROW(NULL, "http", 0, CLI_TAKES_TEXT("ADDRESS"),
                        "where to answer /livez, /readyz, /leader, /follower, /status and "
                        "/metrics: 127.0.0.1:8008, or unix:PATH"),
    [OPTION_METRICS_FILE] =
        ROW(NULL, "metrics-file", 0, CLI_TAKES_TEXT("FILE"),
            "write the metrics there, for the node_exporter's textfile collector"),
    [OPTION_LEASE_PAGE] =
        ROW(NULL, "lease-page", 0, CLI_IS_FLAG,
            "hand the command a page of memory, $LEADERWRAP_LEASE, that says how long its term is "
            "still good"),
    [OPTION_PASS_NOTIFY] =
        ROW(NULL, "pass-notify", 0, CLI_IS_FLAG,
            "hand systemd's NOTIFY_SOCKET on to the command; else it is leaderwrap's own"),
    [OPTION_CHECK] =
        ROW(NULL, "check", 0, CLI_IS_ONE_OF_SEVERAL,
            "try everything on a scratch key, print the derived numbers, start nothing"),
    [OPTION_HELP] = ROW(NULL, "help", 'h', CLI_IS_ONE_OF_SEVERAL, "print this text"),
    [OPTION_VERSION] = ROW(NULL, "version", 'V', CLI_IS_ONE_OF_SEVERAL, "print the version"),
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
