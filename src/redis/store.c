/*
 * The lease in one Redis server: turns requests into script calls and replies into verdicts, and
 * deals with what is no business of the election: scripts that the server does not know yet, and
 * servers that cannot read the first line of a script.
 */
#include "leaderwrap/redis/store.h"

#include <errno.h>
#include <hiredis/hiredis.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "leaderwrap/redis/connection.h"
#include "leaderwrap/redis/errors.h"
#include "route.h"
#include "scripts.h"
#include "verdict.h"
#include "witnesses.h"
#include "words.h"

#define KEY_MAX     512
#define NUMBER_SIZE 24
#define ARGS_MAX    20
#define SHOWN_SIZE  256

enum {
    KEY_HOLDER,
    KEY_TERM,
    KEY_HISTORY,
    KEYS
};

/* One request on its way; the connection has it until it is answered or lost. It keeps its
 * arguments, because a server that does not know the script gets them a second time. */
struct request {
    struct store *store;
    const struct script *script; /* NULL: not a script */
    enum verdict_of of;
    bool whole; /* sent with the script's text */
    bool plain; /* sent without, or for one without, its first line */
    uint64_t number;
    int argc;
    int reply_type; /* of a command that is no script */
    size_t lengths[ARGS_MAX];
    const char *argv[ARGS_MAX]; /* from EVALSHA's third word on, into `text` */
    char text[];
};

struct store {
    struct store_config config;
    struct connection *connection;
    struct witnesses *witnesses; /* NULL: there are none */
    uint64_t newest;             /* the number of the last request: those before it are given up */
    /* What was learnt of the server. It may be another one on the next connection, so it is kept no
     * longer than a connection; but where that ended with the lesson the next one begins with it,
     * or a server that hangs up behind each answer would never get as far as to run a script. */
    bool plain;  /* it cannot read the first line of the scripts */
    bool whole;  /* it does not know the last script yet */
    bool served; /* it has run one */
    char *keys[KEYS];
    char *channel;
};

/* Whether Redis hashes only a part of `key`: from the first '{' to the next '}', if that is not
 * empty (https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/). */
static bool has_hash_tag(const char *key)
{
    const char *open = strchr(key, '{');
    const char *close = open != NULL ? strchr(open, '}') : NULL;

    return close != NULL && close > open + 1;
}

static bool ends_with(const char *text, const char *end)
{
    size_t length = strlen(text);

    return length >= strlen(end) && strcmp(text + length - strlen(end), end) == 0;
}

const char *store_check_key(const char *key)
{
    size_t length = strlen(key);

    if (length == 0)
        return "it is empty";
    if (length > KEY_MAX)
        return "it is longer than 512 bytes";
    if (strpbrk(key, "{}") != NULL && !has_hash_tag(key))
        return "braces in a key must form a hash tag such as {name}";
    if (has_hash_tag(key) && (ends_with(key, ":term") || ends_with(key, ":history")))
        return "so is called what belongs to another key";
    return NULL;
}

/* Writes the name of what belongs to `key`, in the same hash slot. The two forms keep what belongs
 * to "a" and to "{a}" apart. */
static void sibling(const char *key, const char *suffix, char *buffer, size_t size)
{
    snprintf(buffer, size, has_hash_tag(key) ? "%s::%s" : "{%s}:%s", key, suffix);
}

/* A message reaches the subscribers of all databases, so the channel has to tell them apart
 * (https://redis.io/docs/latest/develop/interact/pubsub/). */
char *store_channel(const char *key, int database, char *buffer, size_t size)
{
    sibling(key, "events", buffer, size);
    if (database != 0) {
        size_t used = strlen(buffer);

        snprintf(buffer + used, size - used, ":%d", database);
    }
    return buffer;
}

char *store_term_key(const char *key, char *buffer, size_t size)
{
    sibling(key, "term", buffer, size);
    return buffer;
}

static char *sibling_new(const char *key, const char *suffix)
{
    char name[STORE_KEY_SIZE];

    sibling(key, suffix, name, sizeof name);
    return strdup(name);
}

static char *channel_new(const char *key, int database)
{
    char name[STORE_KEY_SIZE];

    return strdup(store_channel(key, database, name, sizeof name));
}

static struct request *request_new(struct store *store, uint64_t number, int argc,
                                   const char *const *argv)
{
    struct request *request;
    size_t size = 0;
    char *text;

    for (int i = 0; i < argc; i++)
        size += strlen(argv[i]) + 1;
    request = calloc(1, sizeof *request + size);
    if (request == NULL)
        return NULL;
    text = request->text;
    for (int i = 0; i < argc; i++) {
        request->lengths[i] = strlen(argv[i]);
        request->argv[i] = memcpy(text, argv[i], request->lengths[i] + 1);
        text += request->lengths[i] + 1;
    }
    request->store = store;
    request->number = store->newest = number;
    request->argc = argc;
    return request;
}

/* Ends `request` and hands `answer` out. The owner may do anything then, so nothing is touched
 * afterwards. */
static void finish(struct request *request, struct lease_reply *answer)
{
    struct store *store = request->store;

    answer->request = request->number;
    free(request);
    store->config.callbacks.on_reply(store->config.context, answer);
}

static void finish_failed(struct request *request, enum lease_failure failure, const char *text)
{
    struct lease_reply answer = {.verdict = LEASE_FAILED, .failure = failure};

    snprintf(answer.text, sizeof answer.text, "%s", text);
    finish(request, &answer);
}

static void finish_error(struct request *request, const char *error)
{
    char text[LEASE_TEXT_SIZE];

    finish_failed(request, error_class(error), error_explain(error, text, sizeof text));
}

static void finish_strange(struct request *request)
{
    char where[SHOWN_SIZE];
    char text[LEASE_TEXT_SIZE];

    redis_url_show(&request->store->config.target->url, where, sizeof where);
    snprintf(text, sizeof text, "redis at %.180s answered something that is no lease record",
             where);
    finish_failed(request, LEASE_FAILURE_TRANSIENT, text);
}

static void send_script(struct request *request, bool whole);

/* Whether the server could not read the script's first line: before Redis 7 that is no Lua. */
static bool is_about_flags(const char *error)
{
    return strstr(error, "compiling script") != NULL || strstr(error, "shebang") != NULL;
}

/* The server takes the scripts as they are sent. */
static void note_service(struct store *store)
{
    store->served = true;
    store->whole = false;
}

/* A request that is given up, since a newer one was sent, is not sent again: it would be executed
 * behind that. */
static bool is_given_up(const struct request *request)
{
    return request->number != request->store->newest;
}

static void answer_error(struct request *request, const char *error)
{
    struct store *store = request->store;
    bool unknown = strncmp(error, "NOSCRIPT", 8) == 0 && !request->whole;
    bool flags = !unknown && !request->plain && is_about_flags(error);

    if (unknown) {
        store->whole = true;
    } else if (flags) {
        store->plain = true;
        store->whole = false;
    } else {
        note_service(store);
    }
    if ((unknown || flags) && !is_given_up(request))
        send_script(request, unknown);
    else
        finish_error(request, error);
}

static void on_script_reply(void *context, const redisReply *reply)
{
    struct request *request = context;
    struct store *store = request->store;
    struct lease_reply answer = {0};

    if (reply == NULL) {
        free(request);
        return;
    }
    if (reply->type == REDIS_REPLY_ERROR) {
        answer_error(request, reply->str);
        return;
    }
    note_service(store);
    if (verdict_parse(reply, request->of, &answer) == 0)
        finish(request, &answer);
    else
        finish_strange(request);
}

/* DEL answers a number, PING a status. */
static void on_plain_reply(void *context, const redisReply *reply)
{
    struct request *request = context;
    struct lease_reply answer = {.verdict = LEASE_RELEASED};

    if (reply == NULL) {
        free(request);
        return;
    }
    if (reply->type == REDIS_REPLY_ERROR)
        finish_error(request, reply->str);
    else if (reply->type == request->reply_type)
        finish(request, &answer);
    else
        finish_strange(request);
}

static void send_script(struct request *request, bool whole)
{
    const struct script *script = request->script;
    bool plain = request->store->plain;
    const char *argv[ARGS_MAX + 2];
    size_t lengths[ARGS_MAX + 2];

    request->whole = whole;
    request->plain = plain;
    argv[0] = whole ? "EVAL" : "EVALSHA";
    if (whole)
        argv[1] = plain ? script->text + script->flags_length : script->text;
    else
        argv[1] = plain ? script->plain_sha1 : script->flagged_sha1;
    for (int i = 0; i < 2; i++)
        lengths[i] = strlen(argv[i]);
    for (int i = 0; i < request->argc; i++) {
        argv[i + 2] = request->argv[i];
        lengths[i + 2] = request->lengths[i];
    }
    /* A request that cannot be sent is one without an answer: the owner's time-out finds it. */
    if (connection_send(request->store->connection, request->argc + 2, argv, lengths,
                        on_script_reply, request) != 0)
        free(request);
}

/* Puts the script's own arguments behind those that all scripts have, and sends it. */
static void start_script(struct store *store, const struct lease_request *asked,
                         const struct script *script, enum verdict_of of, int argc,
                         const char *const *own)
{
    char ttl[NUMBER_SIZE];
    char epoch[NUMBER_SIZE] = "";
    const char *argv[ARGS_MAX] = {
        "3",
        store->keys[KEY_HOLDER],
        store->keys[KEY_TERM],
        store->keys[KEY_HISTORY],
        store->channel,
        store->config.server_clock ? "server-clock" : "observed",
        store->config.id,
        store->config.name,
        ttl,
        asked->nonce,
        store->config.command != NULL ? store->config.command : "",
        epoch,
    };
    const int common = 12;
    struct request *request;

    snprintf(ttl, sizeof ttl, "%" PRId64, store->config.ttl_ms);
    if (asked->epoch != 0)
        snprintf(epoch, sizeof epoch, "%" PRIu64, asked->epoch);
    for (int i = 0; i < argc; i++)
        argv[common + i] = own[i];
    request = request_new(store, asked->number, common + argc, argv);
    if (request == NULL)
        return;
    request->script = script;
    request->of = of;
    send_script(request, store->whole);
}

static void send_acquire(struct store *store, const struct lease_request *asked)
{
    const struct lease_acquire *acquire = &asked->acquire;
    const bool observed =
        acquire->observed_incarnation[0] != '\0' && acquire->observed_version[0] != '\0';
    const bool fresh = store->config.assume_fresh && acquire->never_saw_record;
    char floor_token[NUMBER_SIZE];
    char observed_ms[NUMBER_SIZE];
    char hold_left[NUMBER_SIZE];
    const char *own[] = {
        floor_token,
        observed ? acquire->observed_incarnation : "",
        observed ? acquire->observed_version : "",
        observed_ms,
        hold_left,
        fresh ? "1" : "0",
    };

    snprintf(floor_token, sizeof floor_token, "%" PRIu64, acquire->floor_token);
    snprintf(observed_ms, sizeof observed_ms, "%" PRId64, observed ? acquire->observed_ms : 0);
    snprintf(hold_left, sizeof hold_left, "%" PRId64, observed ? acquire->hold_left_ms : 0);
    start_script(store, asked, &script_acquire, VERDICT_OF_ACQUIRE, 6, own);
}

static void send_renew(struct store *store, const struct lease_request *asked)
{
    const struct lease_renew *renew = &asked->renew;
    char token[NUMBER_SIZE];
    const char *own[] = {token, renew->claim ? "1" : "0", renew->version};

    snprintf(token, sizeof token, "%" PRIu64, renew->token);
    start_script(store, asked, &script_renew, VERDICT_OF_RENEW, 3, own);
}

static void send_release(struct store *store, const struct lease_request *asked)
{
    const struct lease_release *release = &asked->release;
    char token[NUMBER_SIZE];
    char hold[NUMBER_SIZE];
    const char *own[] = {token, hold, release->reason != NULL ? release->reason : "",
                         release->version};

    snprintf(token, sizeof token, "%" PRIu64, release->token);
    snprintf(hold, sizeof hold, "%" PRId64, release->hold_ms);
    start_script(store, asked, &script_release, VERDICT_OF_RELEASE, 4, own);
}

void store_send(struct store *store, const struct lease_request *request)
{
    switch (request->kind) {
    case LEASE_ACQUIRE:
        send_acquire(store, request);
        break;
    case LEASE_RENEW:
        send_renew(store, request);
        break;
    case LEASE_RELEASE:
        send_release(store, request);
        break;
    }
}

void store_poll(struct store *store, uint64_t poll)
{
    if (store->witnesses != NULL)
        witnesses_poll(store->witnesses, poll);
}

/* https://redis.io/docs/latest/commands/info/ */
static void on_replication(void *context, const redisReply *reply)
{
    static const char name[] = "\nconnected_slaves:";
    const struct store *store = context;
    const char *line;
    int64_t count;

    if (reply == NULL || reply->type != REDIS_REPLY_STRING)
        return;
    line = strstr(reply->str, name);
    if (line == NULL)
        return;
    line += strlen(name);
    if (number_parse(line, strspn(line, "0123456789"), INT32_MAX, &count) == 0)
        store->config.callbacks.on_replicas(store->config.context, count);
}

void store_ask_replicas(struct store *store)
{
    static const char *const argv[] = {"INFO", "replication"};
    static const size_t lengths[] = {4, 11};

    /* One that cannot be sent is not answered. */
    (void)connection_send(store->connection, 2, argv, lengths, on_replication, store);
}

const char *store_where(const struct store *store)
{
    return connection_hop(store->connection)->where;
}

static void start_plain(struct store *store, uint64_t number, int argc, const char *const *argv,
                        int reply_type)
{
    struct request *request = request_new(store, number, argc, argv);

    if (request == NULL)
        return;
    request->reply_type = reply_type;
    if (connection_send(store->connection, request->argc, request->argv, request->lengths,
                        on_plain_reply, request) != 0)
        free(request);
}

void store_send_erase(struct store *store, uint64_t request)
{
    const char *argv[] = {"DEL", store->keys[KEY_HOLDER], store->keys[KEY_TERM],
                          store->keys[KEY_HISTORY]};

    start_plain(store, request, 4, argv, REDIS_REPLY_INTEGER);
}

void store_send_ping(struct store *store, uint64_t request)
{
    const char *argv[] = {"PING"};

    start_plain(store, request, 1, argv, REDIS_REPLY_STATUS);
}

/* The connection goes nowhere. */
static void unlink_witnesses(struct store *store)
{
    if (store->witnesses != NULL)
        witnesses_link(store->witnesses, NULL);
}

static void on_open(void *context)
{
    struct store *store = context;

    if (store->served)
        store->plain = store->whole = store->served = false;
    if (store->witnesses != NULL)
        witnesses_link(store->witnesses, connection_hop(store->connection));
    store->config.callbacks.on_open(store->config.context);
}

static void on_closed(void *context, enum lease_failure failure, const char *why)
{
    struct store *store = context;

    unlink_witnesses(store);
    store->config.callbacks.on_closed(store->config.context, failure, why);
}

static void on_vote(void *context, const struct lease_vote *vote)
{
    struct store *store = context;

    store->config.callbacks.on_vote(store->config.context, vote);
}

static int make_witnesses(struct store *store)
{
    const struct witnesses_config config = {.loop = store->config.loop,
                                            .target = store->config.target,
                                            .timeout_ms = store->config.timeout_ms,
                                            .on_vote = on_vote,
                                            .context = store};

    if (!redis_target_has_witnesses(store->config.target) ||
        store->config.callbacks.on_vote == NULL)
        return 0;
    return witnesses_new(&store->witnesses, &config);
}

static void store_clear(struct store *store)
{
    for (int i = 0; i < KEYS; i++)
        free(store->keys[i]);
    free(store->channel);
    free(store);
}

int store_new(struct store **out, const struct store_config *config)
{
    struct store *store = calloc(1, sizeof *store);
    const struct connection_config connection = {
        .loop = config->loop,
        .target = config->target,
        .timeout_ms = config->timeout_ms,
        .callbacks = {.on_open = on_open, .on_closed = on_closed},
        .context = store,
    };
    int error = -ENOMEM;

    if (store == NULL)
        return -ENOMEM;
    store->config = *config;
    store->keys[KEY_HOLDER] = strdup(config->key);
    store->keys[KEY_TERM] = sibling_new(config->key, "term");
    store->keys[KEY_HISTORY] = sibling_new(config->key, "history");
    store->channel = channel_new(config->key, config->target->url.database);
    if (store->keys[KEY_HOLDER] != NULL && store->keys[KEY_TERM] != NULL &&
        store->keys[KEY_HISTORY] != NULL && store->channel != NULL)
        error = connection_new(&store->connection, &connection);
    if (error == 0)
        error = make_witnesses(store);
    if (error != 0) {
        connection_free(store->connection);
        store_clear(store);
        return error;
    }
    *out = store;
    return 0;
}

void store_open(struct store *store)
{
    unlink_witnesses(store);
    if (store->witnesses != NULL)
        witnesses_start(store->witnesses);
    connection_open(store->connection);
}

void store_close(struct store *store)
{
    unlink_witnesses(store);
    connection_close(store->connection);
}

void store_free(struct store *store)
{
    if (store == NULL)
        return;
    /* Nothing of the store is touched from the loop after this. */
    connection_free(store->connection);
    witnesses_free(store->witnesses);
    store_clear(store);
}
