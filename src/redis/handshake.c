/* AUTH, SELECT and ROLE, sent in one go and answered in order. */
#include "handshake.h"

#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "leaderwrap/base/check.h"
#include "leaderwrap/redis/errors.h"
#include "leaderwrap/redis/password.h"

#define ARGUMENTS_MAX 3

/* RESP that grows command by command. */
struct words {
    char *bytes;
    size_t length;
};

/* Appends one command. Returns 0, or -1 when out of memory. */
static int say(struct words *words, int argc, const char *const *argv)
{
    size_t lengths[ARGUMENTS_MAX];
    char *command = NULL;
    char *both = NULL;

    for (int i = 0; i < argc; i++)
        lengths[i] = strlen(argv[i]);
    long long length =
        redisFormatCommandArgv(&command, argc, (const char **)(uintptr_t)argv, lengths);
    if (length >= 0)
        both = malloc(words->length + (size_t)length);
    if (both != NULL) {
        if (words->length > 0)
            memcpy(both, words->bytes, words->length);
        memcpy(both + words->length, command, (size_t)length);
        handshake_free_words(words->bytes, words->length);
        words->bytes = both;
        words->length += (size_t)length;
    }
    if (length >= 0) {
        explicit_bzero(command, (size_t)length);
        redisFreeCommand(command);
    }
    return both != NULL ? 0 : -1;
}

static void expect(struct handshake *handshake, const char *what, bool hinted)
{
    CHECK(handshake->count < HANDSHAKE_STEPS_MAX);
    handshake->steps[handshake->count].what = what;
    handshake->steps[handshake->count].hinted = hinted;
    handshake->count++;
}

/* A user without a password may be one that needs none. */
static int say_auth(struct handshake *handshake, const struct redis_target *target,
                    const char *password, struct words *words)
{
    const char *argv[ARGUMENTS_MAX] = {"AUTH"};
    int argc = 1;

    if (password == NULL && target->url.user == NULL)
        return 0;
    if (password != NULL)
        password_hint(password, redis_target_password_from(target), handshake->hint,
                      sizeof handshake->hint);
    if (target->url.user != NULL)
        argv[argc++] = target->url.user;
    argv[argc++] = password != NULL ? password : "";
    expect(handshake, "password", password != NULL);
    return say(words, argc, argv);
}

static int say_select(struct handshake *handshake, const struct redis_target *target,
                      struct words *words)
{
    char number[16];
    const char *argv[] = {"SELECT", number};

    if (target->url.database == 0)
        return 0;
    snprintf(number, sizeof number, "%d", target->url.database);
    expect(handshake, "database", false);
    return say(words, 2, argv);
}

/* A sentinel names a server that is one no more, or not yet
 * (https://redis.io/docs/latest/develop/reference/sentinel-clients/). */
static int say_role(struct handshake *handshake, const struct redis_target *target,
                    struct words *words)
{
    const char *argv[] = {"ROLE"};

    if (target->kind != REDIS_SENTINELS)
        return 0;
    expect(handshake, "role", false);
    handshake->steps[handshake->count - 1].is_role = true;
    return say(words, 1, argv);
}

int handshake_begin(struct handshake *handshake, const struct redis_target *target, char **bytes,
                    size_t *length, struct handshake_refusal *refusal)
{
    struct words words = {0};
    char *from_file = NULL;

    memset(handshake, 0, sizeof *handshake);
    if (target->password_file != NULL &&
        password_read(target->password_file, &from_file, refusal->why, sizeof refusal->why) != 0) {
        refusal->failure = LEASE_FAILURE_CONFIGURATION;
        return -1;
    }
    int result =
        say_auth(handshake, target, from_file != NULL ? from_file : target->url.password, &words);
    if (result == 0)
        result = say_select(handshake, target, &words);
    if (result == 0)
        result = say_role(handshake, target, &words);
    password_free(from_file);
    if (result != 0) {
        handshake_free_words(words.bytes, words.length);
        refusal->failure = LEASE_FAILURE_TRANSIENT;
        snprintf(refusal->why, sizeof refusal->why, "cannot greet redis: out of memory");
        return -1;
    }
    *bytes = words.bytes;
    *length = words.length;
    return 0;
}

void handshake_free_words(char *words, size_t length)
{
    if (words != NULL)
        explicit_bzero(words, length);
    free(words);
}

/* What is wrong with the server is none of the password's fault. */
static void refuse(const char *what, const char *hint, const char *error, const char *where,
                   struct handshake_refusal *refusal)
{
    char text[LEASE_TEXT_SIZE];

    refusal->failure = error_class(error);
    bool ours = refusal->failure == LEASE_FAILURE_CONFIGURATION;
    snprintf(refusal->why, sizeof refusal->why, "redis at %s refused the %s: %s%s%s", where,
             ours ? what : "connection", error_explain(error, text, sizeof text),
             ours && *hint != '\0' ? "; " : "", ours ? hint : "");
}

/* The first word of an answer to ROLE; NULL for anything else
 * (https://redis.io/docs/latest/commands/role/). */
static const char *role_of(const redisReply *reply)
{
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements == 0 || reply->element[0] == NULL ||
        reply->element[0]->type != REDIS_REPLY_STRING)
        return NULL;
    return reply->element[0]->str;
}

/* Returns 0 for a master. */
static int hear_role(const redisReply *reply, const char *where, struct handshake_refusal *refusal)
{
    const char *role = role_of(reply);

    if (role != NULL && strcmp(role, "master") == 0)
        return 0;
    refusal->failure = role != NULL ? LEASE_FAILURE_ROLE : LEASE_FAILURE_TRANSIENT;
    if (role != NULL)
        snprintf(refusal->why, sizeof refusal->why,
                 "redis at %s is not the master that the sentinels name it as, but a %.40s", where,
                 strcmp(role, "slave") == 0 ? "replica" : role);
    else
        snprintf(refusal->why, sizeof refusal->why,
                 "protocol error: redis at %s answered something that is no role", where);
    return -1;
}

int handshake_hear(struct handshake *handshake, const redisReply *reply, const char *where,
                   struct handshake_refusal *refusal)
{
    CHECK(!handshake_is_over(handshake));
    const char *what = handshake->steps[handshake->heard].what;
    const char *hint = handshake->steps[handshake->heard].hinted ? handshake->hint : "";
    bool is_role = handshake->steps[handshake->heard].is_role;

    handshake->heard++;
    if (is_role && reply->type != REDIS_REPLY_ERROR)
        return hear_role(reply, where, refusal);
    if (reply->type == REDIS_REPLY_STATUS)
        return 0;
    if (reply->type == REDIS_REPLY_ERROR) {
        refuse(what, hint, reply->str, where, refusal);
        return -1;
    }
    refusal->failure = LEASE_FAILURE_TRANSIENT;
    snprintf(refusal->why, sizeof refusal->why,
             "protocol error: redis at %s answered the %s with something else than OK", where,
             what);
    return -1;
}

bool handshake_is_over(const struct handshake *handshake)
{
    return handshake->heard == handshake->count;
}
