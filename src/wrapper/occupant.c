/* The rule is that of foreign_value in the scripts' prelude: the key holds nothing, or the id of
 * the holder on record, or the sign of a pause, or somebody else's value. */
#include "occupant.h"

#include <errno.h>
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "leaderwrap/redis/connection.h"
#include "leaderwrap/redis/errors.h"
#include "leaderwrap/redis/store.h"

#define SHOWN_MOST 40

struct occupant {
    const struct options *options;
    occupant_fn *done;
    void *context;
    struct connection *connection;
    char term_key[STORE_KEY_SIZE];
    char *value; /* of the key; NULL: there is none */
};

static void answer(const struct occupant *occupant, enum lease_failure failure, const char *text)
{
    struct occupant_answer told = {.failure = failure};

    snprintf(told.text, sizeof told.text, "%s", text);
    occupant->done(occupant->context, &told);
}

static void answer_error(const struct occupant *occupant, const redisReply *reply)
{
    char text[LEASE_TEXT_SIZE];

    if (reply->type == REDIS_REPLY_ERROR)
        answer(occupant, error_class(reply->str), error_explain(reply->str, text, sizeof text));
    else
        answer(occupant, LEASE_FAILURE_TRANSIENT, "redis answered something that is no string");
}

static bool is_string_or_nil(const redisReply *reply)
{
    return reply->type == REDIS_REPLY_STRING || reply->type == REDIS_REPLY_NIL;
}

static const char *text_of(const redisReply *reply)
{
    return reply->type == REDIS_REPLY_STRING ? reply->str : "";
}

static void on_record(void *context, const redisReply *reply)
{
    const struct occupant *occupant = context;
    const char *value = occupant->value;
    char text[LEASE_TEXT_SIZE], advice[160];

    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2 ||
        !is_string_or_nil(reply->element[0]) || !is_string_or_nil(reply->element[1])) {
        answer_error(occupant, reply);
        return;
    }
    if (value == NULL || store_is_pause_sign(value, text_of(reply->element[1])) ||
        (value[0] != '\0' && strcmp(value, text_of(reply->element[0])) == 0)) {
        answer(occupant, LEASE_FAILURE_NONE, "");
        return;
    }
    snprintf(text, sizeof text,
             "nobody can lead: the key holds \"%.*s%s\", which no leaderwrap wrote; %s", SHOWN_MOST,
             value, strlen(value) > SHOWN_MOST ? "..." : "",
             occupant_advice(occupant->options, advice, sizeof advice));
    answer(occupant, LEASE_FAILURE_NONE, text);
}

static void on_value(void *context, const redisReply *reply)
{
    struct occupant *occupant = context;
    const char *argv[] = {"HMGET", occupant->term_key, "id", "pause"};

    if (!is_string_or_nil(reply)) {
        answer_error(occupant, reply);
        return;
    }
    if (reply->type == REDIS_REPLY_STRING)
        occupant->value = strdup(reply->str);
    if ((reply->type == REDIS_REPLY_STRING && occupant->value == NULL) ||
        connection_send(occupant->connection, 4, argv, NULL, on_record, occupant) != 0)
        answer(occupant, LEASE_FAILURE_TRANSIENT, strerror(ENOMEM));
}

static void on_open(void *context)
{
    struct occupant *occupant = context;
    const char *argv[] = {"GET", occupant->options->key};

    if (connection_send(occupant->connection, 2, argv, NULL, on_value, occupant) != 0)
        answer(occupant, LEASE_FAILURE_TRANSIENT, strerror(ENOMEM));
}

static void on_closed(void *context, enum lease_failure failure, const char *why)
{
    answer(context, failure, why);
}

int occupant_ask(struct occupant **out, uv_loop_t *loop, const struct options *options,
                 occupant_fn *done, void *context)
{
    struct occupant *occupant = calloc(1, sizeof *occupant);
    const struct connection_config connection = {
        .loop = loop,
        .target = &options->redis,
        .key = options->key,
        .timeout_ms = options->timing.request_timeout_ms,
        .callbacks = {.on_open = on_open, .on_closed = on_closed},
        .context = occupant,
    };

    if (occupant == NULL)
        return -ENOMEM;
    occupant->options = options;
    occupant->done = done;
    occupant->context = context;
    store_term_key(options->key, occupant->term_key, sizeof occupant->term_key);
    int result = connection_new(&occupant->connection, &connection);
    if (result != 0) {
        free(occupant);
        return result;
    }
    connection_open(occupant->connection);
    *out = occupant;
    return 0;
}

void occupant_free(struct occupant *occupant)
{
    if (occupant == NULL)
        return;
    connection_free(occupant->connection);
    free(occupant->value);
    free(occupant);
}

char *occupant_advice(const struct options *options, char *buffer, size_t size)
{
    char database[32] = "";

    if (options->redis.url.database != 0)
        snprintf(database, sizeof database, "-n %d ", options->redis.url.database);
    snprintf(buffer, size, "if nobody needs it: redis-cli %sDEL \"%.80s\"", database, options->key);
    return buffer;
}
