/* A connection that is waited for. */
#include "session.h"

#include <hiredis/hiredis.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "leaderwrap/base/loop.h"
#include "leaderwrap/redis/connection.h"
#include "leaderwrap/redis/errors.h"
#include "options.h"
#include "show.h"

#define SHOWN_SIZE 160 /* of a key */

struct session {
    uv_loop_t loop;
    uv_timer_t timer;
    struct connection *connection;
    const struct redis_target *target;
    int64_t timeout_ms;
    bool done;
    int status;
    char why[LEASE_TEXT_SIZE];
    char about[SHOWN_SIZE]; /* the lease, of a cluster; empty: none */
    session_read_fn *read;  /* of the question that is open */
    void *context;
};

static void end(struct session *session, int status, const char *why)
{
    if (session->done)
        return;
    session->done = true;
    session->status = status;
    snprintf(session->why, sizeof session->why, "%s", why);
    uv_stop(&session->loop);
}

static int status_of(enum lease_failure failure)
{
    return failure == LEASE_FAILURE_CONFIGURATION ? EXIT_REFUSED : EXIT_UNREACHABLE;
}

int session_refuse(const char *text, char *error, size_t size)
{
    error_explain(text, error, size);
    return status_of(error_class(text));
}

/* A node says so of a slot that has left it, or is about to. */
static bool is_elsewhere(const char *text)
{
    return strncmp(text, "MOVED ", 6) == 0 || strncmp(text, "ASK ", 4) == 0 ||
           strncmp(text, "TRYAGAIN ", 9) == 0;
}

static int refuse(const struct session *session, const char *text, char *error, size_t size)
{
    if (session->about[0] == '\0' || !is_elsewhere(text))
        return session_refuse(text, error, size);
    snprintf(error, size,
             "%s: its slot is on its way to another node of the cluster; again in a moment",
             session->about);
    return EXIT_UNREACHABLE;
}

static void on_open(void *context)
{
    end(context, 0, "");
}

static void on_closed(void *context, enum lease_failure failure, const char *why)
{
    end(context, status_of(failure), why);
}

static void on_time_out(uv_timer_t *timer)
{
    struct session *session = timer->data;
    char where[REDIS_SHOWN_SIZE];
    char why[LEASE_TEXT_SIZE];

    snprintf(why, sizeof why, "no answer from redis at %.160s within %" PRId64 " ms",
             redis_target_show(session->target, where, sizeof where), session->timeout_ms);
    end(session, EXIT_UNREACHABLE, why);
}

static void on_reply(void *context, const struct redisReply *reply)
{
    struct session *session = context;
    char why[LEASE_TEXT_SIZE];

    /* Of a connection that is lost on_closed tells, and of one that is freed nobody needs to. */
    if (reply == NULL || session->done)
        return;
    if (reply->type == REDIS_REPLY_ERROR) {
        int status = refuse(session, reply->str, why, sizeof why);
        end(session, status, why);
    } else if (session->read(session->context, reply) != 0) {
        end(session, EXIT_UNREACHABLE, "the server answered something that no Redis says");
    } else {
        end(session, 0, "");
    }
}

/* Runs the loop until something has ended it. */
static int wait(struct session *session, char *error, size_t size)
{
    uv_update_time(&session->loop);
    uv_timer_start(&session->timer, on_time_out, (uint64_t)session->timeout_ms, 0);
    while (!session->done)
        uv_run(&session->loop, UV_RUN_DEFAULT);
    uv_timer_stop(&session->timer);
    if (session->status != 0)
        snprintf(error, size, "%s", session->why);
    return session->status;
}

int session_open(struct session **out, const struct redis_target *target, const char *key,
                 int64_t timeout_ms, char *error, size_t size)
{
    struct session *session = calloc(1, sizeof *session);
    int result = session != NULL ? uv_loop_init(&session->loop) : UV_ENOMEM;

    if (result != 0) {
        snprintf(error, size, "cannot start: %s", strerror(-result));
        free(session);
        return EXIT_OWN_FAILURE;
    }
    struct connection_config config = {
        .loop = &session->loop,
        .target = target,
        .key = key != NULL ? key : "leaderwrap", /* a cluster is asked for the node of one */
        .timeout_ms = timeout_ms,
        .callbacks = {.on_open = on_open, .on_closed = on_closed},
        .context = session,
    };
    session->target = target;
    session->timeout_ms = timeout_ms;
    if (key != NULL && target->kind == REDIS_CLUSTER)
        session_about(session, key);
    uv_timer_init(&session->loop, &session->timer);
    session->timer.data = session;
    result = connection_new(&session->connection, &config);
    int status = EXIT_OWN_FAILURE;
    if (result == 0) {
        connection_open(session->connection);
        status = wait(session, error, size);
    } else {
        snprintf(error, size, "cannot start: %s", strerror(-result));
    }
    if (status != 0)
        session_free(session);
    else
        *out = session;
    return status;
}

void session_about(struct session *session, const char *key)
{
    show_text(key, session->about, sizeof session->about);
}

int session_ask(struct session *session, int argc, const char *const *argv, session_read_fn *read,
                void *context, char *error, size_t size)
{
    session->done = false;
    session->read = read;
    session->context = context;
    int result = connection_send(session->connection, argc, argv, NULL, on_reply, session);
    if (result != 0) {
        snprintf(error, size, "the connection to redis is lost: %s", strerror(-result));
        return EXIT_UNREACHABLE;
    }
    return wait(session, error, size);
}

static int hear_pong(void *context, const struct redisReply *reply)
{
    (void)context;
    return reply->type == REDIS_REPLY_STATUS ? 0 : -1;
}

int session_ping(struct session *session, char *error, size_t size)
{
    const char *const ping[] = {"PING"};

    return session_ask(session, 1, ping, hear_pong, NULL, error, size);
}

void session_free(struct session *session)
{
    if (session == NULL)
        return;
    session->done = true;
    connection_free(session->connection);
    uv_close((uv_handle_t *)&session->timer, NULL);
    loop_finish(&session->loop, session->status);
    free(session);
}
