/*
 * One connection to one Redis server: where to connect, the handshake, and which reply answers
 * which request. The socket and everything that libuv still holds on to after a close live in a
 * transport of their own, so that dropping a connection is one step.
 */
#include "leaderwrap/redis/connection.h"

#include <errno.h>
#include <hiredis/hiredis.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "handshake.h"
#include "leaderwrap/redis/errors.h"
#include "route.h"
#include "tls_filter.h"
#include "transport.h"

#define WHY_SIZE 1024

#define UNACKNOWLEDGED_LEAST_MS 5000
#define UNACKNOWLEDGED_MOST_MS  3600000

enum connection_state {
    CONNECTION_CLOSED,
    CONNECTION_RESOLVING,
    CONNECTION_CONNECTING,
    CONNECTION_GREETING, /* AUTH or SELECT is not answered yet */
    CONNECTION_OPEN,
    CONNECTION_BROKEN, /* nobody reads what is sent; what was said before may still come in */
    CONNECTION_FAILED, /* on_closed is due, from the loop */
};

struct request {
    struct request *next;
    connection_reply_fn *reply;
    void *context;
};

struct connection {
    struct connection_config config;
    uv_idle_t later; /* runs only to make a failure known from the loop */
    enum connection_state state;
    struct route *route;
    struct route_hop hop; /* the latest */
    struct transport *transport;
    struct tls_memory *memory; /* of TLS, from one transport to the next; NULL: none */
    struct request *first;
    struct request **last;
    struct handshake handshake;
    bool may_not_be_named; /* the server has refused it */
    enum lease_failure late_failure;
    char late_why[WHY_SIZE];
};

static const char *error_text(int error, char *buffer, size_t size)
{
    /* uv_strerror() would leak memory for a code that libuv does not know. */
    return uv_strerror_r(error, buffer, size);
}

static void drop_transport(struct connection *connection)
{
    struct transport *transport = connection->transport;

    if (transport == NULL)
        return;
    connection->transport = NULL;
    transport_drop(transport);
}

/* Back to closed. */
static void drop(struct connection *connection)
{
    struct request *request = connection->first;

    drop_transport(connection);
    connection->first = NULL;
    connection->last = &connection->first;
    connection->state = CONNECTION_CLOSED;
    uv_idle_stop(&connection->later);
    while (request != NULL) {
        struct request *next = request->next;

        request->reply(request->context, NULL);
        free(request);
        request = next;
    }
}

/* Drops the connection and tells the owner, who may do anything then, free it included: the caller
 * must not touch it afterwards. */
__attribute__((format(printf, 3, 4))) static void
fail(struct connection *connection, enum lease_failure failure, const char *format, ...)
{
    char why[WHY_SIZE];
    va_list args;

    va_start(args, format);
    vsnprintf(why, sizeof why, format, args);
    va_end(args);
    drop(connection);
    connection->config.callbacks.on_closed(connection->config.context, failure, why);
}

static void on_later(uv_idle_t *idle)
{
    struct connection *connection = idle->data;
    char why[WHY_SIZE];

    memcpy(why, connection->late_why, sizeof why);
    fail(connection, connection->late_failure, "%s", why);
}

/* As fail, but from the loop: for what goes wrong inside a call of the owner. */
__attribute__((format(printf, 3, 4))) static void
fail_later(struct connection *connection, enum lease_failure failure, const char *format, ...)
{
    va_list args;

    if (connection->state == CONNECTION_FAILED)
        return;
    va_start(args, format);
    vsnprintf(connection->late_why, sizeof connection->late_why, format, args);
    va_end(args);
    connection->late_failure = failure;
    connection->state = CONNECTION_FAILED;
    uv_idle_start(&connection->later, on_later);
}

static void lost_write(struct connection *connection, int error)
{
    char text[128];

    /* Whoever has hung up may have said why: the reading brings that, and the end behind it. */
    if (error == UV_EPIPE || error == UV_ECONNRESET) {
        connection->state = CONNECTION_BROKEN;
        return;
    }
    fail_later(connection, LEASE_FAILURE_TRANSIENT, "lost the connection to redis at %s: %s",
               connection->hop.where, error_text(error, text, sizeof text));
}

/* Remembers who gets the answer. Without a `reply` the answer is a message. */
static int expect(struct connection *connection, connection_reply_fn *reply, void *context)
{
    struct request *request;

    if (reply == NULL)
        return 0;
    request = calloc(1, sizeof *request);
    if (request == NULL)
        return -ENOMEM;
    request->reply = reply;
    request->context = context;
    *connection->last = request;
    connection->last = &request->next;
    return 0;
}

int connection_send(struct connection *connection, int argc, const char *const *argv,
                    const size_t *lengths, connection_reply_fn *reply, void *context)
{
    char *command = NULL;
    long long length;
    int unwritten;
    int error;

    if (connection->state != CONNECTION_OPEN)
        return -ENOTCONN;
    length = redisFormatCommandArgv(&command, argc, (const char **)(uintptr_t)argv, lengths);
    if (length < 0)
        return -ENOMEM;
    error = expect(connection, reply, context);
    /* Else answers and requests would not match any more. */
    if (error == 0 &&
        (unwritten = transport_write(connection->transport, command, (size_t)length)) != 0)
        lost_write(connection, unwritten);
    explicit_bzero(command, (size_t)length);
    redisFreeCommand(command);
    return error;
}

static void on_named(void *context, const redisReply *reply)
{
    struct connection *connection = context;

    if (reply != NULL && reply->type == REDIS_REPLY_ERROR &&
        error_class(reply->str) == LEASE_FAILURE_CONFIGURATION)
        connection->may_not_be_named = true;
}

/* https://redis.io/docs/latest/commands/client-setname/ In front of the first request, which waits
 * for no answer to it. */
static void introduce(struct connection *connection)
{
    const char *const argv[] = {"CLIENT", "SETNAME", connection->config.client_name};

    if (argv[2] != NULL && !connection->may_not_be_named)
        (void)connection_send(connection, 3, argv, NULL, on_named, connection);
}

/* The owner may do anything then. */
static void become_open(struct connection *connection)
{
    connection->state = CONNECTION_OPEN;
    introduce(connection);
    connection->config.callbacks.on_open(connection->config.context);
}

static void hear_handshake(struct connection *connection, const redisReply *reply)
{
    struct handshake_refusal refusal;

    if (handshake_hear(&connection->handshake, reply, connection->hop.where, &refusal) != 0)
        fail(connection, refusal.failure, "%s", refusal.why);
    else if (handshake_is_over(&connection->handshake))
        become_open(connection);
}

static void begin_handshake(struct connection *connection)
{
    struct handshake_refusal refusal;
    char *words = NULL;
    size_t length = 0;
    int error = 0;

    if (handshake_begin(&connection->handshake, connection->config.target, &words, &length,
                        &refusal) != 0) {
        fail(connection, refusal.failure, "%s", refusal.why);
        return;
    }
    connection->state = CONNECTION_GREETING;
    if (words != NULL)
        error = transport_write(connection->transport, words, length);
    handshake_free_words(words, length);
    if (error != 0)
        lost_write(connection, error);
    else if (handshake_is_over(&connection->handshake))
        become_open(connection);
}

static bool is_message(const struct connection *connection, const redisReply *reply)
{
    static const char *const kinds[] = {"message",  "subscribe",  "unsubscribe",
                                        "pmessage", "psubscribe", "pong"};
    const redisReply *kind;

    if (connection->config.callbacks.on_message == NULL || connection->state != CONNECTION_OPEN ||
        reply->type != REDIS_REPLY_ARRAY || reply->elements == 0)
        return false;
    kind = reply->element[0];
    if (kind == NULL || kind->type != REDIS_REPLY_STRING)
        return false;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (strcmp(kind->str, kinds[i]) == 0)
            return true;
    }
    return false;
}

static void fail_unasked(struct connection *connection, const redisReply *reply)
{
    char text[LEASE_TEXT_SIZE];

    if (reply->type == REDIS_REPLY_ERROR)
        fail(connection, error_class(reply->str), "redis at %s %s: %s", connection->hop.where,
             error_hangs_up(reply->str) ? "refused the connection" : "says",
             error_explain(reply->str, text, sizeof text));
    else
        fail(connection, LEASE_FAILURE_TRANSIENT,
             "protocol error: redis at %s sent a reply that nobody had asked for",
             connection->hop.where);
}

static void on_reply(void *owner, const redisReply *reply)
{
    struct connection *connection = owner;
    struct request *request = connection->first;
    connection_reply_fn *function;
    void *context;

    if (is_message(connection, reply)) {
        connection->config.callbacks.on_message(connection->config.context, reply);
        return;
    }
    if (reply->type == REDIS_REPLY_ERROR && error_hangs_up(reply->str)) {
        fail_unasked(connection, reply);
        return;
    }
    /* There may be requests in the list that were never sent. */
    if (connection->state == CONNECTION_BROKEN)
        return;
    if (connection->state == CONNECTION_GREETING) {
        hear_handshake(connection, reply);
        return;
    }
    if (request == NULL) {
        fail_unasked(connection, reply);
        return;
    }
    connection->first = request->next;
    if (connection->first == NULL)
        connection->last = &connection->first;
    function = request->reply;
    context = request->context;
    free(request);
    function(context, reply);
}

static void on_end(void *owner, enum lease_failure failure, const char *why)
{
    struct connection *connection = owner;

    fail(connection, failure, "lost the connection to redis at %s: %s", connection->hop.where, why);
}

/* How long the kernel waits for the peer to acknowledge what was sent. */
static unsigned unacknowledged_ms(const struct connection *connection)
{
    int64_t ms = connection->config.timeout_ms;

    if (ms >= UNACKNOWLEDGED_MOST_MS / 2)
        return UNACKNOWLEDGED_MOST_MS;
    return ms > UNACKNOWLEDGED_LEAST_MS / 2 ? (unsigned)ms * 2 : UNACKNOWLEDGED_LEAST_MS;
}

static void try_next(struct connection *connection);

/* A failed try: the reason is kept, and reported where it was the last one. */
static void note_failure(struct connection *connection, enum lease_failure failure, const char *why)
{
    const char *number = connection->hop.number;

    connection->late_failure = failure;
    snprintf(connection->late_why, sizeof connection->late_why,
             "cannot connect to redis at %s%s%s%s: %s", connection->hop.where,
             number[0] != '\0' ? " (" : "", number, number[0] != '\0' ? ")" : "", why);
}

static void on_connect(void *owner, enum lease_failure failure, const char *why)
{
    struct connection *connection = owner;

    if (failure == LEASE_FAILURE_NONE) {
        begin_handshake(connection);
        return;
    }
    drop_transport(connection);
    note_failure(connection, failure, why);
    try_next(connection);
}

static const struct transport_callbacks transport_callbacks = {
    .on_connect = on_connect,
    .on_reply = on_reply,
    .on_end = on_end,
};

/* Makes the layer for the hop, NULL where connections are plain. Returns whether that worked. */
static bool begin_tls(struct connection *connection, struct tls **tls)
{
    const struct tls_files *files = &connection->config.target->tls;
    struct tls_problem problem;

    *tls = NULL;
    if (files->backend == NULL ||
        tls_new(tls, files, connection->hop.host, &connection->memory, &problem) == 0)
        return true;
    note_failure(connection, problem.failure, problem.why);
    return false;
}

/* Returns whether it is being tried. */
static bool try_hop(struct connection *connection)
{
    char text[128];
    struct tls *tls;
    int error;

    connection->state = CONNECTION_CONNECTING;
    if (!begin_tls(connection, &tls))
        return false;
    error = transport_connect(&connection->transport, connection->config.loop,
                              &connection->hop.address.any, unacknowledged_ms(connection), tls,
                              &transport_callbacks, connection);
    /* No error of connect(2) is certain to be for good: a firewall says EPERM, and a server makes
     * its socket before it opens it to others. */
    if (error != 0)
        note_failure(connection, LEASE_FAILURE_TRANSIENT, error_text(error, text, sizeof text));
    return error == 0;
}

/* Goes to the next address of this round. */
static void try_next(struct connection *connection)
{
    struct route_problem problem;

    for (;;) {
        switch (route_next(connection->route, &connection->hop, &problem)) {
        case ROUTE_HOP:
            if (try_hop(connection))
                return;
            break;
        case ROUTE_WAITS:
            connection->state = CONNECTION_RESOLVING;
            return;
        case ROUTE_OVER:
            connection->state = CONNECTION_FAILED;
            uv_idle_start(&connection->later, on_later);
            return;
        case ROUTE_LOST:
            fail_later(connection, problem.failure, "%s", problem.why);
            return;
        }
    }
}

static void on_route_ready(void *context)
{
    struct connection *connection = context;

    if (connection->state == CONNECTION_RESOLVING)
        try_next(connection);
}

int connection_new(struct connection **out, const struct connection_config *config)
{
    struct connection *connection = calloc(1, sizeof *connection);
    const struct route_config route = {.loop = config->loop,
                                       .target = config->target,
                                       .key = config->key,
                                       .on_ready = on_route_ready,
                                       .context = connection};
    int error;

    if (connection == NULL)
        return -ENOMEM;
    connection->config = *config;
    connection->last = &connection->first;
    error = route_new(&connection->route, &route);
    if (error == 0)
        error = uv_idle_init(config->loop, &connection->later);
    if (error != 0) {
        route_free(connection->route);
        free(connection);
        return error;
    }
    connection->later.data = connection;
    *out = connection;
    return 0;
}

void connection_open(struct connection *connection)
{
    drop(connection);
    route_begin(connection->route);
    try_next(connection);
}

void connection_close(struct connection *connection)
{
    drop(connection);
}

bool connection_is_open(const struct connection *connection)
{
    return connection->state == CONNECTION_OPEN;
}

const struct route_hop *connection_hop(const struct connection *connection)
{
    return &connection->hop;
}

void connection_moved(struct connection *connection, const struct place *place)
{
    route_moved(connection->route, place);
}

bool connection_describe(const struct connection *connection, struct tls_peer *peer)
{
    return connection->state == CONNECTION_OPEN && transport_describe(connection->transport, peer);
}

static void on_connection_closed(uv_handle_t *handle)
{
    free(handle->data);
}

void connection_free(struct connection *connection)
{
    if (connection == NULL)
        return;
    drop(connection);
    route_free(connection->route);
    connection->route = NULL;
    tls_forget(&connection->config.target->tls, connection->memory);
    connection->memory = NULL;
    uv_close((uv_handle_t *)&connection->later, on_connection_closed);
}
