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

#include "arguments.h"
#include "detour.h"
#include "leaderwrap/redis/connection.h"
#include "leaderwrap/redis/errors.h"
#include "leaderwrap/redis/script.h"
#include "redirection.h"
#include "route.h"
#include "verdict.h"
#include "witnesses.h"
#include "words.h"

#define SHOWN_SIZE 256

static const char asked_epoch[] = "asked";

/* One request on its way; the connection has it until it is answered or lost. It keeps its
 * arguments, because a server that does not know the script gets them a second time. */
struct request {
    struct store *store;
    const struct script *script; /* NULL: not a script */
    enum verdict_of of;
    bool whole; /* sent with the script's text */
    bool plain; /* sent without, or for one without, its first line */
    bool asks;  /* it goes by the detour */
    uint64_t number;
    int argc;
    int reply_type; /* of a command that is no script */
    size_t lengths[ARGUMENTS_MAX];
    const char *argv[ARGUMENTS_MAX]; /* from EVALSHA's third word on, into `text` */
    char text[];
};

struct store {
    struct store_config config;
    struct connection *connection;
    struct detour *detour;       /* NULL: it is no cluster */
    struct request *waiting;     /* for the detour; NULL: none does */
    struct witnesses *witnesses; /* NULL: there are none */
    uint64_t newest;             /* the number of the last request: those before it are given up */
    /* What was learnt of the server. It may be another one on the next connection, so it is kept no
     * longer than a connection; but where that ended with the lesson the next one begins with it,
     * or a server that hangs up behind each answer would never get as far as to run a script. */
    bool plain;  /* it cannot read the first line of the scripts */
    bool whole;  /* it does not know the last script yet */
    bool served; /* it has run one */
    char *keys[ARGUMENTS_KEYS];
    char *channel;
};

static char *sibling_new(const char *key, const char *suffix)
{
    char name[STORE_KEY_SIZE];

    return strdup(store_sibling(key, suffix, name, sizeof name));
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

/* A node that is not the key's master, or does not know whether it is, is left: the request was not
 * executed, but only a link that the witnesses have placed may take it again. Nothing of the store
 * is touched afterwards. */
static void leave(struct store *store, enum lease_failure failure, const char *why)
{
    store_close(store);
    store->config.callbacks.on_closed(store->config.context, failure, why);
}

/* What only a node of a cluster says, and what ends the connection. Returns whether `error`, which
 * belongs to `request`, was that; the request is gone then. */
static bool is_turned_away(struct request *request, const char *error)
{
    struct store *store = request->store;
    const struct route_hop *hop = connection_hop(store->connection);
    struct place place;
    char shown[ROUTE_WHERE_SIZE], why[LEASE_TEXT_SIZE + 2 * ROUTE_WHERE_SIZE];

    if (store->detour == NULL || request->asks)
        return false;
    if (redirection_parse(error, hop->host, &place) == REDIRECTION_MOVED) {
        bool known = place.host[0] != '\0';

        if (known)
            connection_moved(store->connection, &place);
        snprintf(why, sizeof why, "redis at %s says that the key is at %s now", hop->where,
                 known ? place_show(&place, shown, sizeof shown) : "a node without an address");
        free(request);
        leave(store, LEASE_FAILURE_ROLE, why);
        return true;
    }
    if (strncmp(error, "CLUSTERDOWN ", 12) != 0)
        return false;
    snprintf(why, sizeof why, "redis at %s says: %.200s", hop->where, error);
    free(request);
    /* Others may have a majority where this one has none. */
    leave(store, LEASE_FAILURE_TRANSIENT, why);
    return true;
}

static void send_waiting(struct store *store)
{
    struct request *request = store->waiting;

    store->waiting = NULL;
    if (request != NULL && is_given_up(request)) {
        free(request);
    } else if (request != NULL) {
        request->asks = true;
        send_script(request, request->whole);
    }
}

/* Sends a request once more, by the detour, where a slot is on its way and its keys have arrived
 * already. Returns whether `error` said so.
 *
 * Why that is safe: the placement is the node that said ASK. It owns the slot until all of it has
 * arrived, all witnesses name it, and it is its answer that leads here; so whoever is placed there,
 * or is held back until it is confirmed, is led to the same keys. Of each key there is one, here or
 * there (MIGRATE, which blocks both), and a script that would find some of them here and others
 * there is answered TRYAGAIN. What was written there is of another incarnation here, hence vacant
 * or written again. Once the slot has arrived, MOVED makes it another placement. */
static bool is_on_its_way(struct request *request, const char *error)
{
    struct store *store = request->store;
    struct place place;

    if (store->detour == NULL || request->asks || is_given_up(request) ||
        redirection_parse(error, connection_hop(store->connection)->host, &place) !=
            REDIRECTION_ASK ||
        place.host[0] == '\0')
        return false;
    free(store->waiting);
    store->waiting = request;
    int open = detour_to(store->detour, &place);
    if (open == 1) {
        send_waiting(store);
    } else if (open < 0) {
        store->waiting = NULL;
        finish_failed(request, LEASE_FAILURE_TRANSIENT, strerror(-open));
    }
    return true;
}

static void answer_error(struct request *request, const char *error)
{
    struct store *store = request->store;
    bool unknown = strncmp(error, "NOSCRIPT", 8) == 0 && !request->whole;
    bool flags = !unknown && !request->plain && is_about_flags(error);
    struct place place;

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
    /* Once, and no further: the owner is asked again where to. */
    else if (request->asks && redirection_parse(error, "", &place) != REDIRECTION_NONE)
        finish_failed(request, LEASE_FAILURE_TRANSIENT, error);
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
        if (!is_turned_away(request, reply->str) && !is_on_its_way(request, reply->str))
            answer_error(request, reply->str);
        return;
    }
    note_service(store);
    /* The slot stays after all, or has been given up. */
    if (!request->asks)
        detour_close(store->detour);
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
    if (reply->type == REDIS_REPLY_ERROR && is_turned_away(request, reply->str))
        return;
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
    const char *argv[ARGUMENTS_MAX + 2];
    size_t lengths[ARGUMENTS_MAX + 2];

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
    if (request->asks) {
        argv[ARGUMENTS_EPOCH + 2] = asked_epoch;
        lengths[ARGUMENTS_EPOCH + 2] = strlen(asked_epoch);
    }
    /* A request that cannot be sent is one without an answer: the owner's time-out finds it. */
    int error = request->asks ? detour_send(request->store->detour, request->argc + 2, argv,
                                            lengths, on_script_reply, request)
                              : connection_send(request->store->connection, request->argc + 2, argv,
                                                lengths, on_script_reply, request);
    if (error != 0)
        free(request);
}

void store_send(struct store *store, const struct lease_request *request)
{
    struct arguments arguments;
    struct request *sent;

    arguments_make(&arguments, &store->config, (const char *const *)store->keys, store->channel,
                   request);
    sent = request_new(store, request->number, arguments.argc, arguments.argv);
    if (sent == NULL)
        return;
    sent->script = arguments.script;
    sent->of = arguments.of;
    send_script(sent, store->whole);
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

/* The detour is part of the connection. */
static void close_detour(struct store *store)
{
    detour_close(store->detour);
    free(store->waiting);
    store->waiting = NULL;
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
    close_detour(store);
    store->config.callbacks.on_closed(store->config.context, failure, why);
}

static void on_detour_open(void *context)
{
    send_waiting(context);
}

/* What was sent by it may be executed, before or behind what is sent from now on: as on any
 * connection that is lost. */
static void on_detour_closed(void *context, enum lease_failure failure, const char *why)
{
    leave(context, failure, why);
}

static int make_detour(struct store *store)
{
    const struct detour_config config = {
        .loop = store->config.loop,
        .target = store->config.target,
        .timeout_ms = store->config.timeout_ms,
        .callbacks = {.on_open = on_detour_open, .on_closed = on_detour_closed},
        .context = store,
    };

    return store->config.target->kind == REDIS_CLUSTER ? detour_new(&store->detour, &config) : 0;
}

static void on_vote(void *context, const struct lease_vote *vote)
{
    struct store *store = context;

    store->config.callbacks.on_vote(store->config.context, vote);
}

/* The owner opens it again, and asks for the way to what is the master then. */
static void on_hint(void *context)
{
    struct store *store = context;

    connection_close(store->connection);
    on_closed(store, LEASE_FAILURE_ROLE, "a sentinel says that another redis is the master now");
}

static int make_witnesses(struct store *store)
{
    const struct witnesses_config config = {.loop = store->config.loop,
                                            .target = store->config.target,
                                            .key = store->config.key,
                                            .timeout_ms = store->config.timeout_ms,
                                            .on_vote = on_vote,
                                            .on_hint = on_hint,
                                            .context = store};

    if (!redis_target_has_witnesses(store->config.target) ||
        store->config.callbacks.on_vote == NULL)
        return 0;
    return witnesses_new(&store->witnesses, &config);
}

static void store_clear(struct store *store)
{
    for (int i = 0; i < ARGUMENTS_KEYS; i++)
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
        .key = config->key,
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
        error = make_detour(store);
    if (error == 0)
        error = make_witnesses(store);
    if (error != 0) {
        detour_free(store->detour);
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
    close_detour(store);
    if (store->witnesses != NULL)
        witnesses_start(store->witnesses);
    connection_open(store->connection);
}

void store_close(struct store *store)
{
    unlink_witnesses(store);
    close_detour(store);
    connection_close(store->connection);
}

bool store_describe(const struct store *store, struct tls_peer *peer)
{
    return connection_describe(store->connection, peer);
}

void store_free(struct store *store)
{
    if (store == NULL)
        return;
    /* Nothing of the store is touched from the loop after this. */
    close_detour(store);
    detour_free(store->detour);
    connection_free(store->connection);
    witnesses_free(store->witnesses);
    store_clear(store);
}
