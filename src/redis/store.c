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
#include "request.h"
#include "route.h"
#include "verdict.h"
#include "witnesses.h"
#include "words.h"

#define SHOWN_SIZE 256

static const char asked_epoch[] = "asked";

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
    bool plain;     /* it cannot read the first line of the scripts */
    bool whole;     /* it does not know the last script yet */
    bool served;    /* it has run one */
    unsigned known; /* those that it has run: a bit for each verdict_of */
    struct names names;
};

static struct request *new_request(struct store *store, uint64_t number, int argc,
                                   const char *const *argv)
{
    struct request *request = request_new(number, argc, argv);

    if (request == NULL)
        return NULL;
    request->store = store;
    request->on_answer = store->config.callbacks.on_reply;
    request->context = store->config.context;
    store->newest = number;
    return request;
}

static void finish_strange(struct request *request)
{
    char where[SHOWN_SIZE];
    char text[LEASE_TEXT_SIZE];

    redis_url_show(&request->store->config.target->url, where, sizeof where);
    snprintf(text, sizeof text, "redis at %.180s answered something that is no lease record",
             where);
    request_fail(request, LEASE_FAILURE_TRANSIENT, text);
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
        request_drop(request);
        leave(store, LEASE_FAILURE_ROLE, why);
        return true;
    }
    if (strncmp(error, "CLUSTERDOWN ", 12) != 0)
        return false;
    snprintf(why, sizeof why, "redis at %s says: %.200s", hop->where, error);
    request_drop(request);
    /* Others may have a majority where this one has none. */
    leave(store, LEASE_FAILURE_TRANSIENT, why);
    return true;
}

static void send_waiting(struct store *store)
{
    struct request *request = store->waiting;

    store->waiting = NULL;
    if (request != NULL && is_given_up(request)) {
        request_drop(request);
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
    request_drop(store->waiting);
    store->waiting = request;
    int open = detour_to(store->detour, &place);
    if (open == 1) {
        send_waiting(store);
    } else if (open < 0) {
        store->waiting = NULL;
        request_fail(request, LEASE_FAILURE_TRANSIENT, strerror(-open));
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
        request_fail(request, LEASE_FAILURE_TRANSIENT, error);
    else
        request_finish_error(request, error);
}

/* ---- replicas that have to have it (--wait-replicas) ---- */

static bool waits(const struct request *request)
{
    return request->store->config.wait_replicas > 0 && request->of != VERDICT_OF_RELEASE;
}

/* What was refused counts however many replicas have heard of it, but a server that does not let us
 * wait has to be told of at the first question. What was lost counts at once. */
static bool is_waited_for(const struct request *request, const struct lease_reply *answer)
{
    return waits(request) && answer->verdict != LEASE_LOST;
}

static void keep_answer(struct request *request, const struct lease_reply *answer)
{
    request->is_kept = true;
    request->kept = *answer;
    request_drop(request);
}

static void fail_unreplicated(struct request *request, long long count)
{
    char text[LEASE_TEXT_SIZE];

    snprintf(text, sizeof text,
             "only %lld of the %d replicas that --wait-replicas asks for have the lease", count,
             request->store->config.wait_replicas);
    request_fail(request, LEASE_FAILURE_TRANSIENT, text);
}

static void hear_wait(struct request *request, const redisReply *reply)
{
    struct lease_reply answer = request->kept;

    if (reply == NULL || !request->is_kept)
        request_drop(request);
    else if (reply->type == REDIS_REPLY_ERROR)
        request_finish_error(request, reply->str);
    else if (reply->type != REDIS_REPLY_INTEGER)
        finish_strange(request);
    else if (answer.verdict == LEASE_REFUSED ||
             reply->integer >= request->store->config.wait_replicas)
        request_finish(request, &answer);
    else
        fail_unreplicated(request, reply->integer);
}

/* Of a request that went by the detour afterwards it says nothing: the script was not run here. */
static void on_wait_reply(void *context, const redisReply *reply)
{
    struct request *request = context;

    hear_wait(request, request->asks ? NULL : reply);
}

static void on_detour_wait_reply(void *context, const redisReply *reply)
{
    hear_wait(context, reply);
}

static int send_by(struct request *request, int argc, const char *const *argv,
                   const size_t *lengths, connection_reply_fn *reply)
{
    struct store *store = request->store;

    return request->asks ? detour_send(store->detour, argc, argv, lengths, reply, request)
                         : connection_send(store->connection, argc, argv, lengths, reply, request);
}

/* Behind the script, on its connection, which is what it counts for. It is over before the owner
 * gives the request up (https://redis.io/docs/latest/commands/wait/; the server looks only ten
 * times a second whether it is), and 0 would be for ever. */
static void send_wait(struct request *request)
{
    int64_t patience_ms = request->patience_ms > 1 ? request->patience_ms / 2 : 1;
    char count[24], patience[24];
    const char *const argv[] = {"WAIT", count, patience};

    snprintf(count, sizeof count, "%d", request->store->config.wait_replicas);
    snprintf(patience, sizeof patience, "%" PRId64, patience_ms);
    if (send_by(request_keep(request), 3, argv, NULL,
                request->asks ? on_detour_wait_reply : on_wait_reply) != 0)
        request_drop(request);
}

/* A WAIT behind a script that the server does not know holds up the one that is sent again, by the
 * whole of its time. So what is waited for is sent whole until it has been run. */
static bool is_sent_whole(const struct store *store, const struct request *request)
{
    bool known = (store->known >> request->of & 1) != 0;

    return store->whole || (waits(request) && !known);
}

static void on_script_reply(void *context, const redisReply *reply)
{
    struct request *request = context;
    struct store *store = request->store;
    struct lease_reply answer = {0};

    if (reply == NULL) {
        request_drop(request);
        return;
    }
    if (reply->type == REDIS_REPLY_ERROR) {
        if (!is_turned_away(request, reply->str) && !is_on_its_way(request, reply->str))
            answer_error(request, reply->str);
        return;
    }
    note_service(store);
    if (!request->asks)
        store->known |= 1U << request->of;
    /* The slot stays after all, or has been given up. */
    if (!request->asks)
        detour_close(store->detour);
    if (verdict_parse(reply, request->of, &answer) != 0)
        finish_strange(request);
    else if (is_waited_for(request, &answer))
        keep_answer(request, &answer);
    else
        request_finish(request, &answer);
}

/* DEL answers a number, PING a status. */
static void on_plain_reply(void *context, const redisReply *reply)
{
    struct request *request = context;
    struct lease_reply answer = {.verdict = LEASE_RELEASED};

    if (reply == NULL) {
        request_drop(request);
        return;
    }
    if (reply->type == REDIS_REPLY_ERROR && is_turned_away(request, reply->str))
        return;
    if (reply->type == REDIS_REPLY_ERROR)
        request_finish_error(request, reply->str);
    else if (reply->type == request->reply_type)
        request_finish(request, &answer);
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
    if (send_by(request, request->argc + 2, argv, lengths, on_script_reply) != 0)
        request_drop(request);
    else if (waits(request))
        send_wait(request);
}

void store_send(struct store *store, const struct lease_request *request)
{
    struct arguments arguments;
    struct request *sent;

    arguments_make(&arguments, &store->config, &store->names, request);
    sent = new_request(store, request->number, arguments.argc, arguments.argv);
    if (sent == NULL)
        return;
    sent->script = arguments.script;
    sent->of = arguments.of;
    sent->patience_ms = request->patience_ms;
    send_script(sent, is_sent_whole(store, sent));
}

void store_tell(struct store *store, const char *about)
{
    store->config.about = about;
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

const struct route_hop *store_hop(const struct store *store)
{
    return connection_hop(store->connection);
}

static void start_plain(struct store *store, uint64_t number, int argc, const char *const *argv,
                        int reply_type)
{
    struct request *request = new_request(store, number, argc, argv);

    if (request == NULL)
        return;
    request->reply_type = reply_type;
    if (connection_send(store->connection, request->argc, request->argv, request->lengths,
                        on_plain_reply, request) != 0)
        request_drop(request);
}

void store_send_erase(struct store *store, uint64_t request)
{
    char **keys = store->names.keys;
    const char *argv[] = {"DEL", keys[KEY_HOLDER], keys[KEY_TERM], keys[KEY_HISTORY],
                          keys[KEY_CANDIDATES]};

    start_plain(store, request, 5, argv, REDIS_REPLY_INTEGER);
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
    request_drop(store->waiting);
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

    store->known = 0;
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
    names_clear(&store->names);
    free(store);
}

int store_new(struct store **out, const struct store_config *config)
{
    struct store *store = calloc(1, sizeof *store);
    const struct connection_config connection = {
        .loop = config->loop,
        .target = config->target,
        .key = config->key,
        .client_name = config->client,
        .timeout_ms = config->timeout_ms,
        .callbacks = {.on_open = on_open, .on_closed = on_closed},
        .context = store,
    };

    if (store == NULL)
        return -ENOMEM;
    store->config = *config;
    int error = names_make(&store->names, config->key, config->target->url.database);
    if (error == 0)
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
