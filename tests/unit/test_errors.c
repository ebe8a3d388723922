/* The table of error replies: classes, and sentences that tell a person what to do. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "leaderwrap/redis/errors.h"

struct row {
    const char *text;
    enum lease_failure failure;
    const char *says; /* must be in the sentence; NULL: nothing but the text */
};

static const struct row rows[] = {
    {"LOADING Redis is loading the dataset in memory", LEASE_FAILURE_TRANSIENT, NULL},
    {"CLUSTERDOWN Hash slot not served", LEASE_FAILURE_TRANSIENT, NULL},
    {"ERR This instance has cluster support disabled", LEASE_FAILURE_CONFIGURATION, NULL},
    {"TRYAGAIN Multiple keys request during rehashing of slot", LEASE_FAILURE_TRANSIENT, NULL},
    {"BUSY Redis is busy running a script.", LEASE_FAILURE_TRANSIENT, NULL},
    {"OOM command not allowed when used memory > 'maxmemory'.", LEASE_FAILURE_TRANSIENT,
     "maxmemory is reached"},
    {"MISCONF Redis is configured to save RDB snapshots", LEASE_FAILURE_TRANSIENT, "cannot save"},
    {"NOREPLICAS Not enough good replicas to write.", LEASE_FAILURE_TRANSIENT, NULL},
    {"ERR max number of clients reached", LEASE_FAILURE_TRANSIENT, "maxclients"},
    {"SOMETHING new", LEASE_FAILURE_TRANSIENT, NULL},
    {"", LEASE_FAILURE_TRANSIENT, NULL},
    {"READONLY You can't write against a read only replica.", LEASE_FAILURE_ROLE, "replica"},
    {"MASTERDOWN Link with MASTER is down", LEASE_FAILURE_ROLE, "replica"},
    {"MOVED 3999 127.0.0.1:6381", LEASE_FAILURE_ROLE, "--cluster"},
    {"ASK 3999 127.0.0.1:6381", LEASE_FAILURE_ROLE, "--cluster"},
    {"NOTMASTER this server is a replica", LEASE_FAILURE_ROLE, NULL},
    {"NOAUTH Authentication required.", LEASE_FAILURE_CONFIGURATION, "--password-file"},
    {"ERR Protocol error: unauthenticated multibulk length", LEASE_FAILURE_CONFIGURATION,
     "--password-file"},
    {"WRONGPASS invalid username-password pair or user is disabled.", LEASE_FAILURE_CONFIGURATION,
     "check the user"},
    {"ERR AUTH <password> called without any password configured for the default user. Are you "
     "sure your configuration is correct?",
     LEASE_FAILURE_CONFIGURATION, "leave the password out"},
    {"WRONGTYPE Operation against a key holding the wrong kind of value (k)",
     LEASE_FAILURE_CONFIGURATION, "another --key"},
    {"DENIED Redis is running in protected mode because protected mode is enabled and no password "
     "is set for the default user. In this mode connections are only accepted from the loopback "
     "interface. If you want to connect from external computers to Redis you may adopt one of the "
     "following solutions: 1) Just disable protected mode",
     LEASE_FAILURE_CONFIGURATION, "set a password"},
    {"NOIDENT the server hides", LEASE_FAILURE_CONFIGURATION, "--takeover server-clock"},
    {"ERR wrong number of arguments for 'hset' command", LEASE_FAILURE_CONFIGURATION, NULL},
    {"ERR unknown command 'EVALSHA', with args beginning with:", LEASE_FAILURE_CONFIGURATION,
     "renamed"},
    {"ERR unknown command `EVALSHA`, with args beginning with: `6fba`, `3`, ",
     LEASE_FAILURE_CONFIGURATION, "`EVALSHA`; leaderwrap needs it"},
    /* as the scripts say it */
    {"NOCOMMAND in script: time: ERR Unknown Redis command called from script",
     LEASE_FAILURE_CONFIGURATION, "called from script; leaderwrap needs it"},
    {"NOCOMMAND in script: info: Unknown Redis command called from Lua script",
     LEASE_FAILURE_CONFIGURATION, "--takeover server-clock"},
    {"NOCOMMAND in script: xadd: ERR Unknown command called from script",
     LEASE_FAILURE_CONFIGURATION, "no history"},
    {"NOCOMMAND in script: publish: ERR This Valkey command is not allowed from script",
     LEASE_FAILURE_CONFIGURATION, "every --retry"},
    {"ERR DB index is out of range", LEASE_FAILURE_CONFIGURATION, "database"},
    /* Redis 6.2, 7.0 */
    {"NOPERM this user has no permissions to run the 'evalsha' command or its subcommand",
     LEASE_FAILURE_CONFIGURATION, "<user> +evalsha"},
    {"NOPERM this user has no permissions to access one of the keys used as arguments",
     LEASE_FAILURE_CONFIGURATION, "<user> ~KEY"},
    {"NOPERM this user has no permissions to access one of the channels used as arguments",
     LEASE_FAILURE_CONFIGURATION, "<user> &{KEY}"},
    /* Redis 7.2 and later */
    {"NOPERM User monkey has no permissions to run the 'subscribe' command",
     LEASE_FAILURE_CONFIGURATION, "<user> +subscribe"},
    {"NOPERM No permissions to access a key", LEASE_FAILURE_CONFIGURATION, "<user> ~KEY"},
    {"NOPERM No permissions to access a channel", LEASE_FAILURE_CONFIGURATION, "<user> &{KEY}"},
    /* from inside the scripts */
    {"NOPERM in script: info: ERR The user executing the script can't run this command or "
     "subcommand",
     LEASE_FAILURE_CONFIGURATION, "<user> +info"},
    {"NOPERM in script: get: The user executing the script can't access at least one of the keys "
     "mentioned in the command arguments",
     LEASE_FAILURE_CONFIGURATION, "<user> ~KEY"},
    {"NOPERM in script: publish: The user executing the script can't publish to the channel "
     "mentioned in the command",
     LEASE_FAILURE_CONFIGURATION, "<user> &{KEY}"},
    {"NOPERM in script: xadd: ERR ACL failure in script: User lw has no permissions to run the "
     "'xadd' command",
     LEASE_FAILURE_CONFIGURATION, "<user> +xadd"},
    {"ERR The user executing the script can't run this command or subcommand",
     LEASE_FAILURE_CONFIGURATION, "doc/REDIS.md lists under Permissions"},
};

static void classifies(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (error_class(rows[i].text) != rows[i].failure)
            fail_msg("class of: %s", rows[i].text);
    }
}

static void explains(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char buffer[LEASE_TEXT_SIZE];
        const char *said = error_explain(rows[i].text, buffer, sizeof buffer);

        assert_ptr_equal(said, buffer);
        assert_int_equal(strncmp(said, rows[i].text, strcspn(rows[i].text, " ")), 0);
        if (rows[i].says != NULL && strstr(said, rows[i].says) == NULL)
            fail_msg("%s\nlacks: %s", said, rows[i].says);
        if (rows[i].says == NULL)
            assert_null(strstr(said, ";"));
    }
}

static void a_long_error_is_cut_in_front_of_its_advice(void **state)
{
    char buffer[LEASE_TEXT_SIZE], long_text[400] = "DENIED ";

    (void)state;
    memset(long_text + 7, 'x', sizeof long_text - 8);
    error_explain(long_text, buffer, sizeof buffer);
    assert_true(strlen(buffer) < 200);
    assert_non_null(strstr(buffer, "xxx...; set a password"));
}

static void knows_what_is_said_instead_of_an_answer(void **state)
{
    (void)state;
    assert_true(error_hangs_up("ERR max number of clients reached"));
    assert_true(error_hangs_up("DENIED Redis is running in protected mode"));
    assert_false(error_hangs_up("ERR max"));
    assert_false(error_hangs_up("LOADING Redis is loading the dataset in memory"));
    assert_false(error_hangs_up(""));
}

/* The server repeats them: a script of 8 kB, or a password. */
static void leaves_out_the_arguments_of_an_unknown_command(void **state)
{
    static const char *const errors[] = {
        "ERR unknown command 'AUTH', with args beginning with: 'secret' ",
        "ERR unknown command `AUTH`, with args beginning with: `secret`, ",
        "ERR unknown command 'EVAL', with args beginning with: '#!lua flags=allow-oom secret",
    };
    char buffer[LEASE_TEXT_SIZE];

    (void)state;
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++) {
        error_explain(errors[i], buffer, sizeof buffer);
        assert_null(strstr(buffer, "secret"));
        assert_non_null(strstr(buffer, "leaderwrap needs it"));
    }
}

static void fits_any_buffer(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        for (size_t size = 1; size < 300; size++) {
            char buffer[301];

            memset(buffer, 'x', sizeof buffer);
            error_explain(rows[i].text, buffer, size);
            assert_true(strlen(buffer) < size);
            assert_int_equal(buffer[size], 'x');
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(classifies),
        cmocka_unit_test(explains),
        cmocka_unit_test(a_long_error_is_cut_in_front_of_its_advice),
        cmocka_unit_test(knows_what_is_said_instead_of_an_answer),
        cmocka_unit_test(leaves_out_the_arguments_of_an_unknown_command),
        cmocka_unit_test(fits_any_buffer),
    };

    return cmocka_run_group_tests_name("errors", tests, NULL, NULL);
}
