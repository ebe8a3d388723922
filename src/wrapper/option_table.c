/* The options. */
#include "option_table.h"

#include <ctype.h>
#include <stdio.h>

#define IN_RAW(field)     .offset = offsetof(struct raw, field), .raw = true
#define IN_OPTIONS(field) .offset = offsetof(struct options, field)

const struct option_spec option_specs[] = {
    {"Lease", "key", 'k', OPTION_TEXT, "KEY",
     "the lease's key in Redis; default leaderwrap:<basename of COMMAND>, where that "
     "says what it does",
     IN_RAW(key)},
    {NULL, "name", 'n', OPTION_TEXT, "NAME", "who we are, shown to people; default host:pid",
     IN_RAW(name)},
    {NULL, "ttl", 't', OPTION_DURATION, "TIME",
     "how long the lease lives without a renewal; default 15s", IN_RAW(timing.ttl_ms),
     .positive = true},
    {NULL, "renew", 'r', OPTION_DURATION, "TIME", "from one renewal to the next; default ttl/3",
     IN_RAW(timing.renew_ms), .positive = true},
    {NULL, "grace", 'g', OPTION_DURATION, "TIME", "from TERM to KILL; default ttl/5, at most 10s",
     IN_RAW(timing.grace_ms)},
    {NULL, "margin", 0, OPTION_DURATION, "TIME",
     "the tree is dead this long before the lease can expire; default ttl/30, 50ms to 500ms",
     IN_RAW(timing.margin_ms)},
    {NULL, "retry", 0, OPTION_DURATION, "TIME",
     "a follower asks at least this often; default 5s, or ttl if that is shorter",
     IN_RAW(timing.retry_ms), .positive = true},
    {NULL, "lock-delay", 0, OPTION_DURATION, "TIME",
     "where the last leader did not release the lease: how long the next one waits before it "
     "starts "
     "the command; default 0",
     IN_OPTIONS(lock_delay_ms)},

    {"Service", "on-lost", 0, OPTION_CHOICE, "wait|exit",
     "after a lost lease: stand by again (default), or exit with 79", IN_OPTIONS(exit_on_lost),
     .choices = {"wait", "exit"}},
    {NULL, "restart", 0, OPTION_RESTART, "no|on-failure|always",
     "what becomes of a command that ends by itself: exit as it does (default), or start it again "
     "in the same term, after 1s, 2s, 4s, ... 30s",
     IN_OPTIONS(restart)},
    {NULL, "max-restarts", 0, OPTION_COUNT, "N",
     "after so many failures in a row release the lease, so that another node may try",
     IN_OPTIONS(max_restarts)},
    {NULL, "penalty", 0, OPTION_DURATION, "TIME",
     "how long this node stands back then, or after an unhealthy command; default 2 * ttl",
     IN_OPTIONS(penalty_ms), .positive = true},
    {NULL, "health-cmd", 0, OPTION_TEXT, "CMD",
     "checks the command, by the shell: where it fails, the command is stopped, and by --restart "
     "started again, or another node may try",
     IN_OPTIONS(health_cmd)},
    {NULL, "health-interval", 0, OPTION_DURATION, "TIME",
     "from the start to the first check, and from one to the next; default 30s",
     IN_OPTIONS(health.interval_ms), .positive = true},
    {NULL, "health-timeout", 0, OPTION_DURATION, "TIME",
     "a check that takes longer has failed; default 30s", IN_OPTIONS(health.timeout_ms),
     .positive = true},
    {NULL, "health-retries", 0, OPTION_COUNT, "N",
     "so many failures in a row make the command unhealthy; default 3", IN_OPTIONS(health.retries)},
    {NULL, "health-start-period", 0, OPTION_DURATION, "TIME",
     "failures do not count so soon after the start, until a check has succeeded; default 0",
     IN_OPTIONS(health.start_period_ms)},
    {NULL, "on-acquire", 0, OPTION_TEXT, "CMD",
     "run by the shell beside the command, once in each term", IN_OPTIONS(hooks[HOOK_ACQUIRE])},
    {NULL, "on-lose", 0, OPTION_TEXT, "CMD",
     "run by the shell when a term is over and the command dead", IN_OPTIONS(hooks[HOOK_LOSE])},
    {NULL, "hook-timeout", 0, OPTION_DURATION, "TIME",
     "a hook that takes longer is killed; default 30s", IN_OPTIONS(hook_timeout_ms),
     .positive = true},
    {NULL, "stop-to", 0, OPTION_CHOICE, "group|main",
     "who gets TERM: the whole tree (default) or the command's own process; KILL is for the tree",
     IN_OPTIONS(stop_main_only), .choices = {"group", "main"}},
    {NULL, "no-release", 0, OPTION_FLAG, NULL,
     "leave the lease to its TTL on a stop, as a crash would; for experiments",
     IN_OPTIONS(no_release)},
    {NULL, "counter-key", 0, OPTION_TEXT, "KEY",
     "what the built-in counter increments; default global_counter", IN_OPTIONS(counter_key)},

    {"Cron", "once", 0, OPTION_FLAG, NULL,
     "run COMMAND once if the lease can be had, and leave; by the server's clock, and silent "
     "unless "
     "something is wrong",
     IN_OPTIONS(once)},
    {NULL, "wait", 0, OPTION_PATIENCE, "0|TIME|forever",
     "how long --once waits for the lease; default 0", IN_OPTIONS(wait_ms)},
    {NULL, "hold", 0, OPTION_DURATION, "TIME",
     "keep the lease for at least that long after it was acquired, without staying: one run per "
     "tick, whatever the hosts' clocks say; default 30s, with --wait 0",
     IN_OPTIONS(hold_ms)},
    {NULL, "max-runtime", 0, OPTION_DURATION, "TIME",
     "then the command gets TERM, the grace and KILL, and the exit status is 124",
     IN_OPTIONS(max_runtime_ms)},
    {NULL, "conflict-exit-code", 'E', OPTION_STATUS, "CODE",
     "where another has the lease; default 75, and 0 suits cron and timers",
     IN_OPTIONS(conflict_exit_code)},

    {"Redis", "redis", 'u', OPTION_REDIS, "URL",
     "redis://[user:password@]host[:port][/db] or unix:///path[?db=N]; default $REDIS_URL, then "
     "redis://127.0.0.1:6379/0",
     IN_RAW(redis)},
    {NULL, "password-file", 0, OPTION_TEXT, "FILE",
     "the password is the file's first line, read again at each connect", IN_RAW(password_file)},
    {NULL, "request-timeout", 0, OPTION_DURATION, "TIME",
     "how long an answer is waited for; at the second in a row the connection is made anew; "
     "default "
     "ttl/6, 100ms to 10s",
     IN_RAW(timing.request_timeout_ms), .positive = true},
    {NULL, "takeover", 0, OPTION_CHOICE, "observed|server-clock",
     "how an expired lease is recognised: by own observation (default), or faster but trusting "
     "the server's clock",
     IN_OPTIONS(server_clock), .choices = {"observed", "server-clock"}},
    {NULL, "assume-fresh", 0, OPTION_FLAG, NULL,
     "there can be no earlier leader: take a lease that has no record at once, not after a TTL",
     IN_OPTIONS(assume_fresh)},

    {"Operation", "log-format", 0, OPTION_FORMAT, "text|json", "of the log on standard error",
     IN_OPTIONS(log_format)},
    {NULL, "log-level", 0, OPTION_LEVEL, "error|warning|info|debug",
     "default info; debug shows each renewal and each wait", IN_OPTIONS(log_level)},
    {NULL, "pass-notify", 0, OPTION_FLAG, NULL,
     "hand systemd's NOTIFY_SOCKET on to the command; else it is leaderwrap's own",
     IN_OPTIONS(pass_notify)},
    {NULL, "check", 0, OPTION_MODE, NULL,
     "try everything on a scratch key, print the derived numbers, start nothing",
     .mode = MODE_CHECK},
    {NULL, "help", 'h', OPTION_MODE, NULL, "print this text", .mode = MODE_HELP},
    {NULL, "version", 'V', OPTION_MODE, NULL, "print the version", .mode = MODE_VERSION},
};

const size_t option_count = sizeof option_specs / sizeof option_specs[0];

_Static_assert(sizeof option_specs / sizeof option_specs[0] <= OPTIONS_MOST, "too many options");

void option_variable(const struct option_spec *spec, char *buffer, size_t size)
{
    snprintf(buffer, size, "LEADERWRAP_%s", spec->name);
    for (char *at = buffer; *at != '\0'; at++)
        *at = *at == '-' ? '_' : (char)toupper((unsigned char)*at);
}
