/*
 * What an error reply of Redis means for a lease, and what a person can do about it: one table.
 */
#include "leaderwrap/redis/errors.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define SHOWN_MOST 96 /* bytes of an error that has an advice behind it */

static const char advice_keys[] = "grant the keys: ACL SETUSER <user> ~KEY ~{KEY}:*";
static const char advice_channel[] = "grant the channel: ACL SETUSER <user> &{KEY}:*";
static const char advice_everything[] = "grant what doc/REDIS.md lists under Permissions";
static const char advice_give_password[] = "give a password in the URL or with --password-file";
static const char advice_password[] = "check the user and the password";
static const char advice_command[] =
    "leaderwrap needs it; it is disabled or renamed, or Redis is older than 6.2";
static const char advice_cluster[] = "it is a node of a cluster, whose nodes --cluster finds";
static const char advice_no_info[] =
    "where the provider hides INFO, --takeover server-clock works without it";

struct row {
    const char *start; /* how the text begins */
    enum lease_failure failure;
    const char *advice; /* NULL: the text says it all */
};

/* The first match counts. Where the error is one word, its space keeps longer words apart. */
static const struct row table[] = {
    {"READONLY ", LEASE_FAILURE_ROLE, "it is a replica"},
    {"MASTERDOWN ", LEASE_FAILURE_ROLE, "it is a replica without its master"},
    {"MOVED ", LEASE_FAILURE_ROLE, advice_cluster},
    {"ASK ", LEASE_FAILURE_ROLE, advice_cluster},
    {"NOTMASTER ", LEASE_FAILURE_ROLE, NULL},

    {"NOAUTH ", LEASE_FAILURE_CONFIGURATION, advice_give_password},
    /* What a client without a password hears where its first command is a long one. */
    {"ERR Protocol error: unauthenticated", LEASE_FAILURE_CONFIGURATION, advice_give_password},
    {"WRONGPASS ", LEASE_FAILURE_CONFIGURATION, advice_password},
    {"ERR invalid password", LEASE_FAILURE_CONFIGURATION, advice_password},
    {"ERR operation not permitted", LEASE_FAILURE_CONFIGURATION, advice_password},
    {"ERR AUTH ", LEASE_FAILURE_CONFIGURATION, "leave the password out, or give a user too"},
    {"ERR Client sent AUTH", LEASE_FAILURE_CONFIGURATION, "leave the password out"},
    {"NOPERM ", LEASE_FAILURE_CONFIGURATION, advice_everything},
    {"ERR ACL failure in script", LEASE_FAILURE_CONFIGURATION, advice_everything},
    {"ERR The user executing the script can't", LEASE_FAILURE_CONFIGURATION, advice_everything},
    {"DENIED ", LEASE_FAILURE_CONFIGURATION,
     "set a password or an address to bind to on the server"},
    {"NOCOMMAND ", LEASE_FAILURE_CONFIGURATION, advice_command},
    {"NOIDENT ", LEASE_FAILURE_CONFIGURATION, advice_no_info},
    {"WRONGTYPE ", LEASE_FAILURE_CONFIGURATION,
     "something else lives under this key: choose another --key, or delete it"},
    {"CROSSSLOT ", LEASE_FAILURE_CONFIGURATION, NULL},
    {"ERR wrong number of arguments", LEASE_FAILURE_CONFIGURATION, NULL},
    {"ERR syntax error", LEASE_FAILURE_CONFIGURATION, NULL},
    {"ERR unknown command", LEASE_FAILURE_CONFIGURATION, advice_command},
    {"ERR Unknown command", LEASE_FAILURE_CONFIGURATION, advice_command},
    {"ERR invalid DB index", LEASE_FAILURE_CONFIGURATION, "check the database in the URL"},
    {"ERR DB index is out of range", LEASE_FAILURE_CONFIGURATION, "check the database in the URL"},
    {"ERR SELECT is not allowed", LEASE_FAILURE_CONFIGURATION, "leave the database out of the URL"},
    {"ERR This instance has cluster support disabled", LEASE_FAILURE_CONFIGURATION, NULL},

    {"LOADING ", LEASE_FAILURE_TRANSIENT, NULL},
    {"CLUSTERDOWN ", LEASE_FAILURE_TRANSIENT, NULL},
    {"TRYAGAIN ", LEASE_FAILURE_TRANSIENT, NULL},
    {"BUSY ", LEASE_FAILURE_TRANSIENT, NULL},
    {"OOM ", LEASE_FAILURE_TRANSIENT, "the server's maxmemory is reached"},
    {"MISCONF ", LEASE_FAILURE_TRANSIENT, "the server cannot save its data and refuses writes"},
    {"NOREPLICAS ", LEASE_FAILURE_TRANSIENT, NULL},
    {"NOSCRIPT ", LEASE_FAILURE_TRANSIENT, NULL},
    {"ERR max number of clients", LEASE_FAILURE_TRANSIENT, "raise maxclients on the server"},
};

static const struct row *find(const char *text)
{
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        if (strncmp(text, table[i].start, strlen(table[i].start)) == 0)
            return &table[i];
    }
    return NULL;
}

enum lease_failure error_class(const char *text)
{
    const struct row *row = find(text);

    return row != NULL ? row->failure : LEASE_FAILURE_TRANSIENT;
}

bool error_hangs_up(const char *text)
{
    static const char *const starts[] = {"DENIED ", "ERR max number of clients"};

    for (size_t i = 0; i < sizeof starts / sizeof starts[0]; i++) {
        if (strncmp(text, starts[i], strlen(starts[i])) == 0)
            return true;
    }
    return false;
}

/* The command that our own scripts name, as in "NOPERM in script: info: ...". Returns its length, 0
 * if none is named. */
static size_t scripts_command(const char *text, const char **command)
{
    static const char ours[] = " in script: ";
    size_t word = strcspn(text, " ");

    if (strncmp(text + word, ours, strlen(ours)) != 0)
        return 0;
    *command = text + word + strlen(ours);
    return strcspn(*command, ":");
}

/* The command that a refusal names: "... run the 'info' command" of the server, or one of our
 * scripts does. Returns its length, 0 if none is named. */
static int refused_command(const char *text, const char **command)
{
    static const char quoted[] = " run the '";
    const char *place;
    size_t length;

    if ((place = strstr(text, quoted)) != NULL) {
        *command = place + strlen(quoted);
        length = strcspn(*command, "'");
    } else {
        length = scripts_command(text, command);
    }
    return length < 32 ? (int)length : 0;
}

static bool names_key(const char *text)
{
    return strstr(text, "one of the keys") != NULL || strstr(text, "access a key") != NULL ||
           strstr(text, "access the key") != NULL;
}

static bool names_channel(const char *text)
{
    return strstr(text, "one of the channels") != NULL ||
           strstr(text, "access a channel") != NULL ||
           strstr(text, "publish to the channel") != NULL;
}

/* Makes the advice for a missing permission more exact where the text allows it. */
static const char *permission_advice(const char *text, char *buffer, size_t size)
{
    const char *command = NULL;
    int length;

    if (names_key(text))
        return advice_keys;
    if (names_channel(text))
        return advice_channel;
    length = refused_command(text, &command);
    if (length == 0)
        return advice_everything;
    snprintf(buffer, size, "grant it: ACL SETUSER <user> +%.*s", length, command);
    return buffer;
}

/* What is lost without the command, or how to do without it, where that is known. */
static const char *command_advice(const char *text)
{
    static const struct {
        const char *command;
        const char *advice;
    } known[] = {
        {"info", advice_no_info},
        {"xadd", "this server has it disabled or renamed: there will be no history"},
        {"publish", "this server has it disabled or renamed: followers learn of a release only by "
                    "asking, every --retry"},
    };
    const char *command = NULL;
    size_t length = scripts_command(text, &command);

    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (strlen(known[i].command) == length && memcmp(known[i].command, command, length) == 0)
            return known[i].advice;
    }
    return advice_command;
}

/* How much of `text` is fit to be shown. Behind an unknown command the server repeats what came
 * with it: a whole script, or a password. */
static size_t shown_length(const char *text, const char *advice)
{
    const char *arguments =
        advice == advice_command ? strstr(text, ", with args beginning with") : NULL;
    size_t length = arguments != NULL ? (size_t)(arguments - text) : strlen(text);

    while (length > 0 && (text[length - 1] == '.' || text[length - 1] == ' '))
        length--;
    return length;
}

char *error_explain(const char *text, char *buffer, size_t size)
{
    char permission[80];
    const struct row *row = find(text);
    const char *advice = row != NULL ? row->advice : NULL;
    size_t length = shown_length(text, advice);
    size_t room;

    if (size == 0)
        return buffer;
    if (advice == advice_everything)
        advice = permission_advice(text, permission, sizeof permission);
    else if (advice == advice_command)
        advice = command_advice(text);
    if (advice == NULL) {
        snprintf(buffer, size, "%.*s", (int)length, text);
        return buffer;
    }
    /* A long error text must not push the advice out of the buffer, nor out of sight. */
    room = size > strlen(advice) + 6 ? size - strlen(advice) - 6 : 0;
    if (room > SHOWN_MOST)
        room = SHOWN_MOST;
    if (length <= room)
        snprintf(buffer, size, "%.*s; %s", (int)length, text, advice);
    else
        snprintf(buffer, size, "%.*s...; %s", (int)room, text, advice);
    return buffer;
}
