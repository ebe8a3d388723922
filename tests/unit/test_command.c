/* Commands: whose names say nothing, which key is proposed for them, and fingerprints. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "wrapper/command.h"

#define WORDS_MAX 16

/* Splits `line` at single blanks; the words are kept until the next call. */
static char *const *split(const char *line)
{
    static char text[256];
    static char *words[WORDS_MAX + 1];
    size_t count = 0;

    snprintf(text, sizeof text, "%s", line);
    for (char *at = text; at != NULL && count < WORDS_MAX;)
        words[count++] = strsep(&at, " ");
    words[count] = NULL;
    return words;
}

static const char *const silent[] = {
    "sh",
    "/bin/sh",
    "bash",
    "bash5",
    "zsh",
    "python",
    "python3",
    "python3.11",
    "/usr/bin/python3.11",
    "pypy3",
    "perl",
    "perl5.36.0",
    "ruby",
    "ruby3.1",
    "node",
    "node18",
    "java",
    "php8.2",
    "php-8.2",
    "lua5.4",
    "deno",
    "bun",
    "Rscript",
    "env",
    "nice",
    "ionice",
    "nohup",
    "timeout",
    "time",
    "sudo",
    "su",
    "doas",
    "setpriv",
    "setsid",
    "stdbuf",
    "xargs",
    "chroot",
    "unshare",
    "nsenter",
    "taskset",
    "chrt",
    "flock",
    "gosu",
    "su-exec",
    "tini",
    "dumb-init",
    "busybox",
    "docker",
    "podman",
    "npm",
    "npx",
    "yarn",
    "pnpm",
    "make",
    "uv",
    "pipenv",
    "poetry",
    "bundle",
    "run-parts",
    "cronic",
    "chronic",
    "leaderwrap",
    "run",
    "run.sh",
    "./run.sh",
    "/a/b/main.py",
    "start.sh",
    "main",
    "job",
    "job.sh",
    "script.sh",
    "index.js",
    "entrypoint.sh",
    "docker-entrypoint.sh",
    "manage.py",
};

static void names_that_say_nothing(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof silent / sizeof silent[0]; i++)
        if (!command_is_nameless(split(silent[i])))
            fail_msg("%s", silent[i]);
}

static void names_that_say_something(void **state)
{
    static const char *const lines[] = {
        "server",   "./server",   "/usr/local/bin/newsletter",
        "backup",   "backup.sh",  "pg_dump",
        "rsync",    "nginx",      "runner",
        "shell",    "pythonista", "report2.py",
        "nodectl",  "main-db",    "jobs.d",
        "sh/",      "",           "/",
        "env.prod", "x",
    };
    (void)state;
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
        if (command_is_nameless(split(lines[i])))
            fail_msg("%s", lines[i]);
}

static void keys_that_are_proposed(void **state)
{
    static const struct {
        const char *line;
        const char *key;
    } cases[] = {
        {"sh -c jobA", "leaderwrap:jobA"},
        {"python3 -u /opt/reports/daily.py --all", "leaderwrap:daily"},
        {"env A=b nice -n 5 /usr/local/bin/backup now", "leaderwrap:backup"},
        {"timeout 5m ionice -c3 backup.sh", "leaderwrap:backup"},
        {"sudo", "leaderwrap:nightly-report"},
        {"run.sh -x 17 .", "leaderwrap:nightly-report"},
        {"env a=secret b{ $c", "leaderwrap:nightly-report"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char key[96];
        assert_string_equal(command_propose_key(split(cases[i].line), key, sizeof key),
                            cases[i].key);
    }
    char sh[] = "sh", c[] = "-c", script[] = "cd /x && make";
    char *const quoted[] = {sh, c, script, NULL};
    char key[96];
    assert_string_equal(command_propose_key(quoted, key, sizeof key), "leaderwrap:nightly-report");
}

static void fingerprints_tell_commands_apart(void **state)
{
    static const char *const lines[] = {"sh -c jobA",      "sh -c jobB", "sh -cjobA", "sh -c job A",
                                        "/bin/sh -c jobA", "sh",         "sh ",       "s h"};
    enum {
        LINES = sizeof lines / sizeof lines[0]
    };
    char found[LINES + 1][LEASE_COMMAND_SIZE];
    char again[LEASE_COMMAND_SIZE];
    (void)state;
    for (size_t i = 0; i < LINES; i++) {
        command_fingerprint(split(lines[i]), found[i]);
        command_fingerprint(split(lines[i]), again);
        assert_string_equal(found[i], again);
    }
    command_fingerprint(NULL, found[LINES]);
    for (size_t i = 0; i <= LINES; i++) {
        assert_int_equal(strspn(found[i], "0123456789abcdef"), 8);
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(found[i], found[j]);
    }
    /* The same in every build there will be: candidates of several versions compare them. FNV-1a of
     * "a" with the NUL behind it. */
    command_fingerprint(split("a"), again);
    assert_string_equal(again, "2b24d044");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_that_say_nothing),
        cmocka_unit_test(names_that_say_something),
        cmocka_unit_test(keys_that_are_proposed),
        cmocka_unit_test(fingerprints_tell_commands_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
