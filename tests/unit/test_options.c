/* The command line and its environment: defaults, precedence, and one clear sentence per mistake.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "wrapper/options.h"

#define ARGUMENTS_MAX 24

struct parsed {
    struct options options;
    char error[512];
    int status;
};

/* Parses the words of `line`, which are separated by single spaces. */
static struct parsed parse(const char *line)
{
    static char words[4096];
    static char *argv[ARGUMENTS_MAX + 1];
    struct parsed parsed = {0};
    int argc = 0;

    snprintf(words, sizeof words, "leaderwrap %s", line);
    for (char *at = words; at != NULL && argc < ARGUMENTS_MAX;) {
        argv[argc++] = strsep(&at, " ");
        if (argv[argc - 1][0] == '\0')
            argc--;
    }
    argv[argc] = NULL;
    parsed.status = options_parse(&parsed.options, argc, argv, parsed.error, sizeof parsed.error);
    return parsed;
}

static void assert_refused(const char *line, const char *part)
{
    struct parsed parsed = parse(line);
    if (parsed.status != EXIT_USAGE || strstr(parsed.error, part) == NULL)
        fail_msg("\"%s\": status %d, \"%s\"", line, parsed.status, parsed.error);
    assert_null(strchr(parsed.error, '\n'));
    options_clear(&parsed.options);
}

static struct parsed assert_accepted(const char *line)
{
    struct parsed parsed = parse(line);
    if (parsed.status != 0)
        fail_msg("\"%s\": %s", line, parsed.error);
    return parsed;
}

static int clear_environment(void **state)
{
    static const char *const names[] = {"LEADERWRAP_KEY",
                                        "LEADERWRAP_NAME",
                                        "LEADERWRAP_TTL",
                                        "LEADERWRAP_TOKEN",
                                        "LEADERWRAP_PASSWORD",
                                        "LEADERWRAP_ON_LOST",
                                        "LEADERWRAP_LOCK_DELAY",
                                        "REDIS_URL",
                                        "LEADERWRAP_REDIS",
                                        "LEADERWRAP_ASSUME_FRESH",
                                        "LEADERWRAP_LOG_LEVEL",
                                        "LEADERWRAP_HEALTH_CMD",
                                        "LEADERWRAP_ON_LOSE",
                                        "LEADERWRAP_SENTINEL",
                                        "LEADERWRAP_SENTINEL_PASSWORD"};
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        unsetenv(names[i]);
    return 0;
}

static void defaults(void **state)
{
    (void)state;
    struct parsed parsed = assert_accepted("-- /usr/bin/backup -x");
    assert_string_equal(parsed.options.key, "leaderwrap:backup");
    assert_non_null(strchr(parsed.options.name, ':'));
    assert_int_equal(parsed.options.timing.ttl_ms, 15000);
    assert_string_equal(parsed.options.redis.url.host, "127.0.0.1");
    assert_string_equal(parsed.options.redis.url.port, "6379");
    assert_string_equal(parsed.options.command[1], "-x");
    assert_int_equal(parsed.options.wait_replicas, 0);
    assert_false(parsed.options.exit_on_lost || parsed.options.assume_fresh ||
                 parsed.options.no_release || parsed.options.server_clock);
    options_clear(&parsed.options);
}

static void a_name_that_says_nothing_needs_a_key(void **state)
{
    (void)state;
    assert_refused("sh -c jobA", "such as --key leaderwrap:jobA");
    assert_refused("--once /usr/bin/python3.11 /opt/report.py", "--key leaderwrap:report");
    assert_refused("run.sh", "\"run.sh\" does not tell one job from another");
    assert_refused("--check nice backup", "share the lease leaderwrap:nice");
    struct parsed parsed = assert_accepted("--key mine sh -c jobA");
    assert_string_equal(parsed.options.key, "mine");
    options_clear(&parsed.options);
    setenv("LEADERWRAP_KEY", "mine", 1);
    parsed = assert_accepted("sh -c jobA");
    options_clear(&parsed.options);
    unsetenv("LEADERWRAP_KEY");
    parsed = assert_accepted("./server");
    assert_string_equal(parsed.options.key, "leaderwrap:server");
    options_clear(&parsed.options);
}

static void no_command_is_the_counter(void **state)
{
    (void)state;
    struct parsed parsed = assert_accepted("--ttl 3s --");
    assert_null(parsed.options.command);
    assert_string_equal(parsed.options.key, "leaderwrap:counter");
    assert_string_equal(parsed.options.counter_key, "global_counter");
    options_clear(&parsed.options);
}

static void options_of_the_command_are_its_own(void **state)
{
    (void)state;
    struct parsed parsed = assert_accepted("-t 20s backup --ttl 1s --bogus");
    assert_int_equal(parsed.options.timing.ttl_ms, 20000);
    assert_string_equal(parsed.options.command[0], "backup");
    assert_string_equal(parsed.options.command[3], "--bogus");
    options_clear(&parsed.options);
}

static void the_command_line_wins_over_the_environment(void **state)
{
    (void)state;
    setenv("LEADERWRAP_TTL", "30s", 1);
    setenv("LEADERWRAP_ON_LOST", "exit", 1);
    setenv("LEADERWRAP_ASSUME_FRESH", "yes", 1);
    setenv("REDIS_URL", "redis://r.example:1", 1);
    struct parsed parsed = assert_accepted("backup");
    assert_int_equal(parsed.options.timing.ttl_ms, 30000);
    assert_true(parsed.options.exit_on_lost);
    assert_true(parsed.options.assume_fresh);
    assert_string_equal(parsed.options.redis.url.host, "r.example");
    options_clear(&parsed.options);
    setenv("LEADERWRAP_REDIS", "redis://s.example", 1);
    parsed = assert_accepted("--ttl 20s --on-lost wait backup");
    assert_int_equal(parsed.options.timing.ttl_ms, 20000);
    assert_false(parsed.options.exit_on_lost);
    assert_string_equal(parsed.options.redis.url.host, "s.example");
    options_clear(&parsed.options);
}

static void a_bad_environment_names_its_variable(void **state)
{
    (void)state;
    setenv("LEADERWRAP_TTL", "30", 1);
    assert_refused("backup", "LEADERWRAP_TTL: 30 has no unit");
    setenv("LEADERWRAP_TTL", "30s", 1);
    setenv("LEADERWRAP_ASSUME_FRESH", "maybe", 1);
    assert_refused("backup", "LEADERWRAP_ASSUME_FRESH: maybe is neither 1 nor 0");
}

static void once_has_defaults_of_its_own(void **state)
{
    (void)state;
    struct parsed parsed = assert_accepted("--once backup");
    assert_true(parsed.options.once && parsed.options.exit_on_lost && parsed.options.server_clock);
    assert_int_equal(parsed.options.log_level, LOG_LEVEL_WARNING);
    assert_int_equal(parsed.options.conflict_exit_code, 75);
    assert_true(parsed.options.wait_ms == 0 && parsed.options.hold_ms == 30000);
    assert_true(parsed.options.max_runtime_ms == 0);
    options_clear(&parsed.options);

    parsed = assert_accepted("--once --takeover observed --log-level info --wait forever "
                             "--hold 50s --max-runtime 1h -E 0 backup");
    assert_false(parsed.options.server_clock);
    assert_int_equal(parsed.options.log_level, LOG_LEVEL_INFO);
    assert_true(parsed.options.wait_ms == INT64_MAX);
    assert_int_equal(parsed.options.hold_ms, 50000);
    assert_int_equal(parsed.options.max_runtime_ms, 3600000);
    assert_int_equal(parsed.options.conflict_exit_code, 0);
    options_clear(&parsed.options);

    parsed = assert_accepted("--once --wait 0 --conflict-exit-code 255 backup");
    assert_int_equal(parsed.options.wait_ms, 0);
    assert_int_equal(parsed.options.conflict_exit_code, 255);
    options_clear(&parsed.options);
    /* Who waits wants a lock. */
    parsed = assert_accepted("--once --wait 90s backup");
    assert_int_equal(parsed.options.wait_ms, 90000);
    assert_int_equal(parsed.options.hold_ms, 0);
    options_clear(&parsed.options);
    parsed = assert_accepted("--once --wait 90s --hold 5s backup");
    assert_int_equal(parsed.options.hold_ms, 5000);
    options_clear(&parsed.options);
    parsed = assert_accepted("--once --hold 0 backup");
    assert_int_equal(parsed.options.hold_ms, 0);
    options_clear(&parsed.options);
    parsed = assert_accepted("backup");
    assert_int_equal(parsed.options.hold_ms, 0);
    options_clear(&parsed.options);
}

static void where_to_serve_is_checked_at_once(void **state)
{
    struct parsed parsed = assert_accepted("--http [::1]:8008 --metrics-file /run/m backup");
    (void)state;
    assert_string_equal(parsed.options.http, "[::1]:8008");
    assert_int_equal(parsed.options.http_address.socket.ss_family, AF_INET6);
    assert_string_equal(parsed.options.metrics_file, "/run/m");
    assert_false(parsed.options.lease_page);
    options_clear(&parsed.options);
    parsed = assert_accepted("--http unix:/run/h --lease-page backup");
    assert_string_equal(parsed.options.http_address.path, "/run/h");
    assert_true(parsed.options.lease_page);
    options_clear(&parsed.options);
    assert_refused("--http localhost:80 backup",
                   "--http: cannot listen on \"localhost:80\": write");
    assert_refused("--http 127.0.0.1:0 backup", "the port is a number from 1 to 65535");
    assert_refused("--metrics-file= backup", "--metrics-file: the path is empty");
}

static void a_lock_delay_is_a_duration_or_0(void **state)
{
    (void)state;
    struct parsed parsed = assert_accepted("backup");
    assert_int_equal(parsed.options.lock_delay_ms, 0);
    options_clear(&parsed.options);
    setenv("LEADERWRAP_LOCK_DELAY", "30s", 1);
    parsed = assert_accepted("backup");
    assert_int_equal(parsed.options.lock_delay_ms, 30000);
    options_clear(&parsed.options);
    parsed = assert_accepted("--lock-delay 0 backup");
    assert_int_equal(parsed.options.lock_delay_ms, 0);
    options_clear(&parsed.options);
    assert_refused("--lock-delay 5 backup", "--lock-delay: 5 has no unit");
    assert_refused("--lock-delay forever backup", "--lock-delay: forever is no time");
    assert_refused("--lock-delay -1s backup", "--lock-delay: -1s is negative");
}

static void what_is_for_once_is_for_once(void **state)
{
    (void)state;
    assert_refused("--wait 3s backup", "--wait is for --once");
    assert_refused("--hold 3s backup", "--hold is for --once");
    assert_refused("--max-runtime 3s backup", "--max-runtime is for --once");
    assert_refused("-E 0 backup", "--conflict-exit-code is for --once");
    assert_refused("--once", "--once needs a command");
    setenv("LEADERWRAP_HOLD", "5s", 1);
    assert_refused("backup", "LEADERWRAP_HOLD is for --once");
    unsetenv("LEADERWRAP_HOLD");
    setenv("LEADERWRAP_ONCE", "1", 1);
    assert_refused("", "LEADERWRAP_ONCE needs a command");
    assert_refused("--restart always backup", "--restart is not for --once");
    unsetenv("LEADERWRAP_ONCE");
    assert_refused("--once --wait 5 backup", "--wait: 5 has no unit");
    assert_refused("--once --wait never backup", "--wait: never is no time");
    assert_refused("--once -E 256 backup", "is no number from 0 to 255");
    assert_refused("--once -E -1 backup", "is no number from 0 to 255");
    assert_refused("--once -E 99999999999 backup", "is no number from 0 to 255");
    assert_refused("--once -E x backup", "is no number from 0 to 255");
    setenv("LEADERWRAP_CONFLICT_EXIT_CODE", "", 1);
    assert_refused("--once backup", "LEADERWRAP_CONFLICT_EXIT_CODE: \"\" is no number");
    unsetenv("LEADERWRAP_CONFLICT_EXIT_CODE");
}

static void restarts(void **state)
{
    (void)state;
    struct parsed parsed = assert_accepted("--ttl 20s backup");
    assert_int_equal(parsed.options.restart, RESTART_NO);
    options_clear(&parsed.options);

    parsed = assert_accepted("--ttl 20s --restart on-failure backup");
    assert_int_equal(parsed.options.restart, RESTART_ON_FAILURE);
    assert_true(parsed.options.max_restarts == 0 && parsed.options.penalty_ms == 40000);
    options_clear(&parsed.options);

    parsed = assert_accepted("--restart always --max-restarts 3 --penalty 5s backup");
    assert_int_equal(parsed.options.restart, RESTART_ALWAYS);
    assert_true(parsed.options.max_restarts == 3 && parsed.options.penalty_ms == 5000);
    options_clear(&parsed.options);

    assert_refused("--restart sometimes backup",
                   "--restart: sometimes is none of no|on-failure|always");
    assert_refused("--restart always --max-restarts 0 backup", "is no number from 1 to 1000000");
    assert_refused("--max-restarts 3 backup", "--max-restarts is for --restart");
    assert_refused("--penalty 3s backup", "--penalty is for --restart");
    assert_refused("--once --restart always backup", "--restart is not for --once");
}

static void checks_health(void **state)
{
    (void)state;
    struct parsed parsed = assert_accepted("backup");
    assert_null(parsed.options.health_cmd);
    options_clear(&parsed.options);

    parsed = assert_accepted("--health-cmd check backup");
    assert_string_equal(parsed.options.health_cmd, "check");
    const struct health_config *health = &parsed.options.health;
    assert_true(health->interval_ms == 30000 && health->timeout_ms == 30000);
    assert_true(health->retries == 3 && health->start_period_ms == 0);
    options_clear(&parsed.options);

    parsed = assert_accepted("--health-cmd c --health-interval 1s --health-timeout 2s "
                             "--health-retries 4 --health-start-period 5s --penalty 6s backup");
    assert_true(health->interval_ms == 1000 && health->timeout_ms == 2000);
    assert_true(health->retries == 4 && health->start_period_ms == 5000);
    assert_true(parsed.options.penalty_ms == 6000);
    options_clear(&parsed.options);

    assert_refused("--health-retries 2 backup", "--health-retries is for --health-cmd");
    assert_refused("--health-start-period 2s backup", "--health-start-period is for --health-cmd");
    assert_refused("--health-cmd c --health-retries 0 backup", "is no number from 1 to");
    assert_refused("--health-cmd c --health-timeout 5 backup", "--health-timeout: 5 has");
    assert_refused("--once --health-cmd c backup", "--health-cmd is not for --once");
    assert_refused("--health-cmd c --health-timeout 0 backup", "--health-timeout: 0 is too short");
    assert_refused("--health-cmd c --health-interval 0s backup",
                   "--health-interval: 0s is too short");
    assert_refused("--on-lose l --hook-timeout 0 backup", "--hook-timeout: 0 is too short");
    setenv("LEADERWRAP_HEALTH_CMD", " \t", 1);
    assert_refused("backup", "LEADERWRAP_HEALTH_CMD: the command is empty");
}

static void runs_hooks(void **state)
{
    (void)state;
    struct parsed parsed = assert_accepted("--on-acquire a --on-lose l backup");
    assert_string_equal(parsed.options.hooks[HOOK_ACQUIRE], "a");
    assert_string_equal(parsed.options.hooks[HOOK_LOSE], "l");
    assert_true(parsed.options.hook_timeout_ms == 30000);
    options_clear(&parsed.options);

    parsed = assert_accepted("--once --on-lose l --hook-timeout 1s backup");
    assert_null(parsed.options.hooks[HOOK_ACQUIRE]);
    assert_true(parsed.options.hook_timeout_ms == 1000);
    options_clear(&parsed.options);

    assert_refused("--hook-timeout 1s backup", "--hook-timeout is for --on-acquire and --on-lose");
    setenv("LEADERWRAP_ON_LOSE", "", 1);
    assert_refused("backup", "LEADERWRAP_ON_LOSE: the command is empty");
}

static void names_are_never_abbreviated(void **state)
{
    (void)state;
    assert_refused("--bogus backup", "--bogus is no option; see leaderwrap --help");
    assert_refused("--bogus=5 backup", "--bogus is no option; see leaderwrap --help");
    assert_refused("-x backup", "-x is no option");
    assert_refused("--tll 5s backup", "--tll is no option; did you mean --ttl?");
    assert_refused("--titl 5s backup", "--titl is no option; did you mean");
    assert_refused("--margni 5s backup", "did you mean --margin?");
    assert_refused("-ttl 5s backup", "-ttl is no option; did you mean --ttl?");
    assert_refused("--on exit backup", "--on is no option; did you mean --on-lost, --on-acquire, "
                                       "--on-lose or --once?");
    assert_refused("--onc backup", "did you mean --once?");
    assert_refused("--re 1s backup",
                   "did you mean --renew, --retry, --restart, --redis or --request-timeout?");
    assert_refused("--TTL 5s backup", "--TTL is no option");
    assert_refused("--- backup", "--- is no option");
    assert_refused("--=5 backup", "-- is no option");
}

static void what_may_be_a_secret_is_not_told(void **state)
{
    static const char *const lines[] = {
        "--password s3cret backup",
        "--password=s3cret backup",
        "--redis-url=redis://:s3cret@h j",
        "--redis-url redis://:s3cret@h j",
        "--redis://:s3cret@h j",
        "--redsi=redis://:s3cret@h j",
        "-u=redis://:s3cret@h j",
        "-redis=redis://:s3cret@h j",
        "redis://:s3cret@h j",
        "-- REDIS://:s3cret@h",
        "--help=s3cret j",
        "--redis :s3cret@h backup",
        "redis://:s3cret@h backup",
        "-- redis://:s3cret@h",
        "--ttl redis://:s3cret@h backup",
        "--takeover redis://:s3cret@h backup",
        "--redis redis://:s3cret@h --redis redis://:s3cret@h backup",
        "--redis redis://:s3cret@h,redis://:s3cret2@i backup",
        "--redis redis+sentinel://:s3cret@h backup",
        "redis+sentinel://:s3cret@h/lab backup",
        "--redis redis://:s3cret@h --wrong backup",
        "--redis redis://:s3cret@h:port backup",
        "--redis redis://:s3c/s3cret@h backup",
    };
    (void)state;
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        struct parsed parsed = parse(lines[i]);
        assert_int_equal(parsed.status, EXIT_USAGE);
        if (strstr(parsed.error, "s3cret") != NULL)
            fail_msg("\"%s\": %s", lines[i], parsed.error);
        options_clear(&parsed.options);
    }
    assert_refused("unix://:s3cret@/run/s backup", "an address is no command");
    assert_refused(lines[0], "--password is no option; did you mean --password-file?");
    assert_refused(lines[2], "--redis-url is no option; did you mean --redis?");
    assert_refused(lines[4], "--redis... is no option; did you mean --redis?");
}

static void a_missing_value_is_no_word_of_the_command(void **state)
{
    (void)state;
    assert_refused("--ttl", "--ttl needs a value: --ttl TIME");
    assert_refused("-t", "-t needs a value: -t TIME");
    assert_refused("--ttl -- backup", "--ttl needs a value");
    assert_refused("-k -t 5s backup", "-k needs a value");
    assert_refused("--key --ttl 5s backup", "--key needs a value");
    assert_refused("-t=5s backup", "-t takes its value without a =");
    assert_refused("--assume-fresh=1 backup", "--assume-fresh takes no value");
    assert_refused("--ttl= backup", "--ttl: \"\" is empty");
    struct parsed parsed = assert_accepted("--key=--ttl -t20s --name=-k backup");
    assert_string_equal(parsed.options.key, "--ttl");
    assert_string_equal(parsed.options.name, "-k");
    assert_int_equal(parsed.options.timing.ttl_ms, 20000);
    options_clear(&parsed.options);
    parsed = assert_accepted("-hV");
    assert_int_equal(parsed.options.mode, MODE_VERSION);
    options_clear(&parsed.options);
    parsed = assert_accepted("-t 20s -");
    assert_string_equal(parsed.options.command[0], "-");
    options_clear(&parsed.options);
}

static void each_mistake_names_its_setting(void **state)
{
    (void)state;
    assert_refused("--ttl 15 backup", "--ttl: 15 has no unit");
    assert_refused("-t 15 backup", "--ttl: 15 has no unit");
    assert_refused("--ttl 5y backup", "unknown unit");
    assert_refused("--ttl -5s backup", "--ttl: -5s is negative");
    assert_refused("--ttl 0 backup", "--ttl: 0 is too short");
    assert_refused("--renew 0s backup", "--renew: 0s is too short");
    assert_refused("--restart always --penalty 0 backup", "--penalty: 0 is too short");
    assert_refused("--ttl 100ms backup", "--ttl: a TTL of 100 ms is too short");
    assert_refused("--ttl 100ms backup", "the smallest TTL that would do is");
    assert_refused("--grace 20s backup", "--grace: a TTL of 15 s is too short");
    assert_refused("--on-lost maybe backup", "--on-lost: maybe is none of wait|exit");
    assert_refused("--stop-to all backup", "none of group|main");
    assert_refused("--wait-replicas 0 backup", "--wait-replicas: 0 is no number from 1 to 100");
    assert_refused("--takeover force backup", "none of observed|server-clock");
    assert_refused("--log-level loud backup", "none of error|warning|info|debug");
    assert_refused("--log-format xml backup", "none of text|json");
    assert_refused("--redis redis://a --redis redis://b backup",
                   "--redis: several addresses are those of sentinels, with --sentinel NAME, or of "
                   "the nodes of a cluster, with --cluster");
    assert_refused("--redis http://a backup", "--redis: the address begins with neither");
    assert_refused("--key {a backup", "--key: cannot use the lease key");
    assert_refused("--name a#b backup", "--name: the name \"a#b\" may not contain #");
    assert_refused("--password-file /nonexistent/file backup",
                   "--password-file: cannot read the password file");
    assert_refused("--password-file /dev/null backup", "it is no regular file");
    assert_refused("--password-file /tmp backup", "it is a directory");
    assert_refused("--password-file /dev/stdin backup", "it is an open descriptor");
    assert_refused("--password-file /dev/fd/0 backup", "it is an open descriptor");
    assert_refused("--counter-key k backup", "--counter-key is for the built-in counter");
    setenv("REDIS_URL", "localhost:6379", 1);
    assert_refused("backup", "REDIS_URL: localhost:6379 has no redis:// in front");
    setenv("LEADERWRAP_REDIS", "redis://h:x", 1);
    assert_refused("backup", "LEADERWRAP_REDIS: the address has a port");
    assert_refused("-u redis://h/x backup", "--redis: the address has a database");
    setenv("LEADERWRAP_TTL", "100ms", 1);
    assert_refused("--redis redis://h backup", "LEADERWRAP_TTL: a TTL of 100 ms");
    setenv("LEADERWRAP_NAME", "", 1);
    assert_refused("backup", "LEADERWRAP_NAME: the name \"\" is empty");
    setenv("LEADERWRAP_KEY", "", 1);
    assert_refused("backup", "LEADERWRAP_KEY: cannot use the lease key");
}

static void other_words_for_the_same(void **state)
{
    (void)state;
    struct parsed parsed = assert_accepted("--log-level warn --ttl 1h30m --lock-delay 1d backup");
    assert_int_equal(parsed.options.log_level, LOG_LEVEL_WARNING);
    assert_int_equal(parsed.options.timing.ttl_ms, 5400000);
    assert_int_equal(parsed.options.lock_delay_ms, 86400000);
    options_clear(&parsed.options);
}

static void long_values_are_cut_in_messages(void **state)
{
    char line[3600];
    char value[3001];
    (void)state;
    memset(value, 'x', sizeof value - 1);
    value[sizeof value - 1] = '\0';
    snprintf(line, sizeof line, "--name %s backup", value);
    assert_refused(line, "longer than 64 bytes");
    snprintf(line, sizeof line, "--key %s backup", value);
    assert_refused(line, "the lease key");
    snprintf(line, sizeof line, "--ttl %s backup", value);
    assert_refused(line, "is no time");
    snprintf(line, sizeof line, "--%s backup", value);
    assert_refused(line, "is no option");
}

static void a_secret_never_gets_into_an_error(void **state)
{
    (void)state;
    struct parsed parsed = parse("--redis redis://u:s3cret@host:99999/0 backup");
    assert_int_equal(parsed.status, EXIT_USAGE);
    assert_null(strstr(parsed.error, "s3cret"));
    options_clear(&parsed.options);
}

static void an_address_that_repeats_names_sentinels_or_nodes(void **state)
{
    (void)state;
    setenv("LEADERWRAP_REDIS", "redis://x,redis://y redis://z", 1);
    assert_refused("backup", "LEADERWRAP_REDIS: several addresses");
    struct parsed parsed = assert_accepted("--cluster backup");
    assert_int_equal(parsed.options.redis.kind, REDIS_CLUSTER);
    assert_int_equal(parsed.options.redis.seed_count, 3);
    options_clear(&parsed.options);
    parsed = assert_accepted("--redis redis://:pw@a --redis=redis://b:7/2 --sentinel lab backup");
    assert_int_equal(parsed.options.redis.kind, REDIS_SENTINELS);
    assert_int_equal(parsed.options.redis.seed_count, 2);
    assert_string_equal(parsed.options.redis.service, "lab");
    assert_string_equal(parsed.options.redis.seeds[0].port, "26379");
    assert_string_equal(parsed.options.redis.seeds[1].port, "7");
    assert_string_equal(parsed.options.redis.url.password, "pw");
    assert_int_equal(parsed.options.redis.url.database, 2);
    options_clear(&parsed.options);
    setenv("LEADERWRAP_SENTINEL", "lab", 1);
    assert_refused("--cluster backup", "leave out one of --sentinel and --cluster");
    assert_refused("-u redis+sentinel://a/other backup", "names another master");
    assert_refused("--sentinel az backup", "--sentinel: the option has a blank");
    assert_refused("--sentinel= backup", "--sentinel: the option has no name");
    parsed = assert_accepted("-u redis+sentinel://a backup");
    assert_string_equal(parsed.options.redis.service, "lab");
    options_clear(&parsed.options);
    unsetenv("LEADERWRAP_SENTINEL");
    assert_refused("-u redis+sentinel://a backup",
                   "redis+sentinel://host/NAME, or give --sentinel");
    assert_refused("-u redis://a/1 --cluster backup", "a cluster has the database 0 only");
    assert_refused("-u unix:///run/s --cluster backup", "cannot be reached by unix://");
}

static void sentinels_have_a_password_of_their_own(void **state)
{
    (void)state;
    setenv("LEADERWRAP_PASSWORD", "pw", 1);
    setenv("LEADERWRAP_SENTINEL_PASSWORD", "spw", 1);
    struct parsed parsed =
        assert_accepted("-u redis+sentinel://me@a/lab --sentinel-user watcher backup");
    assert_string_equal(parsed.options.redis.url.user, "me");
    assert_string_equal(parsed.options.redis.url.password, "pw");
    assert_string_equal(parsed.options.redis.sentinel_user, "watcher");
    assert_string_equal(parsed.options.redis.sentinel_password, "spw");
    options_clear(&parsed.options);
    assert_refused("-u redis+sentinel://a/lab --sentinel-password-file /nonexistent/f backup",
                   "--sentinel-password-file: cannot read the password file");
    assert_refused("--sentinel-user watcher backup", "--sentinel-user is for sentinels");
    assert_refused("--cluster --sentinel-password-file /f backup",
                   "--sentinel-password-file is for sentinels");
}

static void the_password_of_the_environment_is_for_a_url_without(void **state)
{
    (void)state;
    setenv("LEADERWRAP_PASSWORD", "pw", 1);
    struct parsed parsed = assert_accepted("--redis redis://u@h backup");
    assert_string_equal(parsed.options.redis.url.password, "pw");
    options_clear(&parsed.options);
    parsed = assert_accepted("--redis redis://u:other@h backup");
    assert_string_equal(parsed.options.redis.url.password, "other");
    options_clear(&parsed.options);
}

static void a_password_file_becomes_absolute(void **state)
{
    char path[] = "options-test-XXXXXX";
    char line[64];
    int file = mkstemp(path);
    (void)state;
    assert_true(file >= 0);
    snprintf(line, sizeof line, "--password-file %s backup", path);
    assert_refused(line, "its first line is empty");
    assert_int_equal(write(file, "secret\n", 7), 7);
    struct parsed parsed = assert_accepted(line);
    assert_int_equal(parsed.options.redis.password_file[0], '/');
    assert_int_equal(access(parsed.options.redis.password_file, R_OK), 0);
    options_clear(&parsed.options);
    close(file);
    unlink(path);
}

static void a_nested_wrapper_needs_a_lease_of_its_own(void **state)
{
    (void)state;
    setenv("LEADERWRAP_KEY", "outer", 1);
    setenv("LEADERWRAP_NAME", "outer-name", 1);
    struct parsed parsed = assert_accepted("backup");
    assert_string_equal(parsed.options.key, "outer");
    assert_string_equal(parsed.options.name, "outer-name");
    options_clear(&parsed.options);
    setenv("LEADERWRAP_TOKEN", "1", 1);
    assert_refused("backup", "choose a lease of its own with --key");
    parsed = assert_accepted("--key inner backup");
    assert_string_not_equal(parsed.options.name, "outer-name");
    options_clear(&parsed.options);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(defaults, clear_environment),
        cmocka_unit_test_setup(a_name_that_says_nothing_needs_a_key, clear_environment),
        cmocka_unit_test_setup(no_command_is_the_counter, clear_environment),
        cmocka_unit_test_setup(options_of_the_command_are_its_own, clear_environment),
        cmocka_unit_test_setup(the_command_line_wins_over_the_environment, clear_environment),
        cmocka_unit_test_setup(a_bad_environment_names_its_variable, clear_environment),
        cmocka_unit_test_setup(once_has_defaults_of_its_own, clear_environment),
        cmocka_unit_test_setup(where_to_serve_is_checked_at_once, clear_environment),
        cmocka_unit_test_setup(a_lock_delay_is_a_duration_or_0, clear_environment),
        cmocka_unit_test_setup(what_is_for_once_is_for_once, clear_environment),
        cmocka_unit_test_setup(restarts, clear_environment),
        cmocka_unit_test_setup(checks_health, clear_environment),
        cmocka_unit_test_setup(runs_hooks, clear_environment),
        cmocka_unit_test_setup(names_are_never_abbreviated, clear_environment),
        cmocka_unit_test_setup(what_may_be_a_secret_is_not_told, clear_environment),
        cmocka_unit_test_setup(a_missing_value_is_no_word_of_the_command, clear_environment),
        cmocka_unit_test_setup(each_mistake_names_its_setting, clear_environment),
        cmocka_unit_test_setup(other_words_for_the_same, clear_environment),
        cmocka_unit_test_setup(long_values_are_cut_in_messages, clear_environment),
        cmocka_unit_test_setup(a_secret_never_gets_into_an_error, clear_environment),
        cmocka_unit_test_setup(an_address_that_repeats_names_sentinels_or_nodes, clear_environment),
        cmocka_unit_test_setup(sentinels_have_a_password_of_their_own, clear_environment),
        cmocka_unit_test_setup(the_password_of_the_environment_is_for_a_url_without,
                               clear_environment),
        cmocka_unit_test_setup(a_password_file_becomes_absolute, clear_environment),
        cmocka_unit_test_setup(a_nested_wrapper_needs_a_lease_of_its_own, clear_environment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
