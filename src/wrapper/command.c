/* Names that say nothing, and fingerprints. */
#include "command.h"

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define FNV_OFFSET UINT32_C(2166136261)
#define FNV_PRIME  UINT32_C(16777619)
#define KEY_WORD   48 /* the longest word that becomes a key */

/* Also with a version: python3, python3.11, lua5.4, php-8.2. */
static const char *const interpreters[] = {
    "sh",     "ash",   "bash",    "csh",  "dash",   "elvish",      "fish",    "ksh",     "mksh",
    "nu",     "pwsh",  "rbash",   "tcsh", "xonsh",  "yash",        "zsh",     "awk",     "gawk",
    "mawk",   "nawk",  "bun",     "deno", "elixir", "erl",         "escript", "expect",  "guile",
    "java",   "julia", "jruby",   "lua",  "luajit", "micropython", "mono",    "node",    "nodejs",
    "octave", "perl",  "php",     "pypy", "python", "R",           "raku",    "Rscript", "ruby",
    "scala",  "tclsh", "ts-node", "wish",
};

/* What they start is named behind them. */
static const char *const launchers[] = {
    "ansible-playbook",
    "bundle",
    "busybox",
    "bwrap",
    "cargo",
    "caffeinate",
    "catatonit",
    "chpst",
    "chronic",
    "chroot",
    "chrt",
    "command",
    "composer",
    "cpulimit",
    "cronic",
    "cronitor",
    "daemon",
    "daemonize",
    "dbus-run-session",
    "doas",
    "docker",
    "dotnet",
    "dumb-init",
    "env",
    "eval",
    "exec",
    "fakeroot",
    "firejail",
    "flock",
    "gosu",
    "gradle",
    "ionice",
    "just",
    "kubectl",
    "leaderwrap",
    "make",
    "mvn",
    "ninja",
    "nerdctl",
    "nice",
    "nohup",
    "npm",
    "npx",
    "nsenter",
    "numactl",
    "parallel",
    "pdm",
    "pipenv",
    "pipx",
    "pkexec",
    "pnpm",
    "podman",
    "poetry",
    "prlimit",
    "proot",
    "rake",
    "run-parts",
    "runuser",
    "s6-setuidgid",
    "script",
    "setarch",
    "setpriv",
    "setsid",
    "softlimit",
    "ssh",
    "start-stop-daemon",
    "stdbuf",
    "strace",
    "su",
    "su-exec",
    "sudo",
    "systemd-cat",
    "systemd-inhibit",
    "systemd-run",
    "task",
    "taskset",
    "tee",
    "time",
    "timeout",
    "tini",
    "tox",
    "unbuffer",
    "unshare",
    "uv",
    "uvx",
    "valgrind",
    "watch",
    "xargs",
    "yarn",
};

/* Also with the ending of a script. */
static const char *const scripts[] = {
    "cmd",        "cron",    "cronjob", "docker-entrypoint",
    "entrypoint", "index",   "job",     "launch",
    "main",       "manage",  "run",     "script",
    "start",      "wrapper",
};

static const char *const endings[] = {".sh",  ".bash", ".py", ".rb", ".pl",
                                      ".php", ".js",   ".ts", ".lua"};

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

const char *command_base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash != NULL && slash[1] != '\0' ? slash + 1 : path;
}

static bool is_one_of(const char *name, size_t length, const char *const *list, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (strlen(list[i]) == length && memcmp(list[i], name, length) == 0)
            return true;
    return false;
}

static size_t length_without_ending(const char *name)
{
    size_t length = strlen(name);

    for (size_t i = 0; i < COUNT(endings); i++) {
        size_t ending = strlen(endings[i]);
        if (length > ending && strcmp(name + length - ending, endings[i]) == 0)
            return length - ending;
    }
    return length;
}

static size_t length_without_version(const char *name)
{
    size_t length = strlen(name);

    while (length > 1 && strchr("0123456789.-", name[length - 1]) != NULL)
        length--;
    return length;
}

static bool says_nothing(const char *name)
{
    return is_one_of(name, length_without_version(name), interpreters, COUNT(interpreters)) ||
           is_one_of(name, strlen(name), launchers, COUNT(launchers)) ||
           is_one_of(name, length_without_ending(name), scripts, COUNT(scripts));
}

bool command_is_nameless(char *const *command)
{
    return says_nothing(command_base_name(command[0]));
}

/* Options, settings, numbers, things with blanks in them and what else could be no name. */
static bool could_be_name(const char *word)
{
    const char *name = command_base_name(word);
    size_t length = strlen(name);

    return word[0] != '-' && length > 1 && length <= KEY_WORD &&
           strspn(word, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-/") ==
               strlen(word) &&
           strspn(name, "0123456789.") == 0 && !says_nothing(name);
}

char *command_propose_key(char *const *command, char *buffer, size_t size)
{
    for (char *const *word = command + 1; *word != NULL; word++) {
        const char *name = command_base_name(*word);
        if (!could_be_name(*word))
            continue;
        snprintf(buffer, size, "leaderwrap:%.*s", (int)length_without_ending(name), name);
        return buffer;
    }
    snprintf(buffer, size, "leaderwrap:nightly-report");
    return buffer;
}

void command_fingerprint(char *const *command, char buffer[LEASE_COMMAND_SIZE])
{
    uint32_t hash = FNV_OFFSET;

    for (char *const *word = command; word != NULL && *word != NULL; word++) {
        const char *at = *word;
        /* With the NUL behind it, so that the words do not run together. */
        do
            hash = (hash ^ (unsigned char)*at) * FNV_PRIME;
        while (*at++ != '\0');
    }
    snprintf(buffer, LEASE_COMMAND_SIZE, "%08" PRIx32, hash);
}
