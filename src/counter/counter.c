/* The fenced counter: one connection, one timer, one script. */
#include "leaderwrap/counter/counter.h"

#include <hiredis/hiredis.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#include "leaderwrap/base/loop.h"
#include "leaderwrap/redis/connection.h"
#include "leaderwrap/redis/errors.h"
#include "leaderwrap/redis/script.h"
#include "leaderwrap/redis/store.h"

#define TICK_MS    1000
#define TIMEOUT_MS 2000

extern const struct script script_increment;

struct counter {
    const struct counter_config *config;
    const char *token;
    char term_key[STORE_KEY_SIZE];
    uv_loop_t loop;
    uv_timer_t tick;
    uv_signal_t term;
    uv_signal_t interrupt;
    struct connection *connection;
    bool asked;        /* an answer is due */
    uint64_t asked_ms; /* of the loop's clock: since then, or since the connection was begun */
    bool trouble;      /* told already */
    int status;
};

/* One write(2) per line, so that lines of several programs never mix. */
static void say(const char *format, const char *a, const char *b, const char *c, const char *d)
{
    char line[1024];
    int length = snprintf(line, sizeof line, format, a, b, c, d);
    if (length < 0)
        return;
    if ((size_t)length >= sizeof line)
        length = sizeof line - 1;
    /* Nobody to read it is no reason to stop counting. */
    ssize_t written = write(STDOUT_FILENO, line, (size_t)length);
    (void)written;
}

static void complain(const char *what, const char *detail)
{
    fprintf(stderr, "leaderwrap counter: %s%s\n", what, detail);
}

static void end(struct counter *counter, int status)
{
    counter->status = status;
    uv_stop(&counter->loop);
}

static bool is_text(const redisReply *reply, const char *text)
{
    return reply->type == REDIS_REPLY_STRING && strcmp(reply->str, text) == 0;
}

static void open_connection(struct counter *counter)
{
    counter->asked = false;
    counter->asked_ms = uv_now(&counter->loop);
    connection_open(counter->connection);
}

static void on_reply(void *context, const struct redisReply *reply)
{
    struct counter *counter = context;
    char why[LEASE_TEXT_SIZE];

    counter->asked = false;
    if (reply == NULL)
        return;
    counter->trouble = false;
    if (reply->type == REDIS_REPLY_ERROR) {
        complain("", error_explain(reply->str, why, sizeof why));
        if (error_class(reply->str) == LEASE_FAILURE_CONFIGURATION)
            end(counter, EXIT_FAILURE);
        else if (counter->config->target->kind == REDIS_CLUSTER)
            open_connection(counter); /* the key may be with another node now */
    } else if (reply->type == REDIS_REPLY_ARRAY && reply->elements == 2 &&
               reply->element[1]->type == REDIS_REPLY_STRING) {
        const char *value = reply->element[1]->str;
        if (is_text(reply->element[0], "OK")) {
            say("%s = %s (%s, token %s)\n", counter->config->counter_key, value,
                counter->config->name, counter->token);
        } else {
            complain("stopping: our token is not the newest any more; the newest is ", value);
            end(counter, EXIT_FAILURE);
        }
    }
}

static void increment(struct counter *counter)
{
    const char *arguments[] = {"EVAL",
                               script_increment.text + script_increment.flags_length,
                               "2",
                               counter->config->counter_key,
                               counter->term_key,
                               counter->token};
    if (connection_send(counter->connection, 6, arguments, NULL, on_reply, counter) == 0) {
        counter->asked = true;
        counter->asked_ms = uv_now(&counter->loop);
    }
}

static void on_tick(uv_timer_t *timer)
{
    struct counter *counter = timer->data;
    bool open = connection_is_open(counter->connection);
    bool waiting = counter->asked || !open;

    if (!waiting)
        increment(counter);
    else if (uv_now(&counter->loop) - counter->asked_ms >= TIMEOUT_MS)
        open_connection(counter);
}

static void on_open(void *context)
{
    struct counter *counter = context;

    if (!uv_is_active((uv_handle_t *)&counter->tick))
        uv_timer_start(&counter->tick, on_tick, 0, TICK_MS);
}

static void on_closed(void *context, enum lease_failure failure, const char *why)
{
    struct counter *counter = context;

    if (!counter->trouble)
        complain(why, failure == LEASE_FAILURE_CONFIGURATION ? "" : "; trying again");
    counter->trouble = true;
    if (failure == LEASE_FAILURE_CONFIGURATION)
        end(counter, EXIT_FAILURE);
    counter->asked = false;
    counter->asked_ms = uv_now(&counter->loop) - TIMEOUT_MS; /* the next tick tries again */
    if (!uv_is_active((uv_handle_t *)&counter->tick))
        uv_timer_start(&counter->tick, on_tick, TICK_MS, TICK_MS);
}

static void on_signal(uv_signal_t *handle, int number)
{
    (void)number;
    end(handle->data, EXIT_SUCCESS);
}

static int open_all(struct counter *counter)
{
    struct connection_config connection = {
        .loop = &counter->loop,
        .target = counter->config->target,
        .key = counter->config->lease_key,
        .callbacks = {.on_open = on_open, .on_closed = on_closed},
        .context = counter,
    };
    int result = connection_new(&counter->connection, &connection);
    if (result != 0)
        return result;
    uv_timer_init(&counter->loop, &counter->tick);
    uv_signal_init(&counter->loop, &counter->term);
    uv_signal_init(&counter->loop, &counter->interrupt);
    counter->tick.data = counter->term.data = counter->interrupt.data = counter;
    result = uv_signal_start(&counter->term, on_signal, SIGTERM);
    return result == 0 ? uv_signal_start(&counter->interrupt, on_signal, SIGINT) : result;
}

static void close_all(struct counter *counter)
{
    connection_free(counter->connection);
    uv_close((uv_handle_t *)&counter->tick, NULL);
    uv_close((uv_handle_t *)&counter->term, NULL);
    uv_close((uv_handle_t *)&counter->interrupt, NULL);
    loop_finish(&counter->loop, counter->status);
}

int counter_run(const struct counter_config *config)
{
    struct counter counter = {.config = config, .status = EXIT_FAILURE};

    counter.token = getenv("LEADERWRAP_TOKEN");
    if (counter.token == NULL) {
        complain("there is no LEADERWRAP_TOKEN in the environment", "");
        return EXIT_FAILURE;
    }
    /* libuv writes with write(2): a broken connection is an error, not the end; so is a log that
     * is full. */
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
    store_term_key(config->lease_key, counter.term_key, sizeof counter.term_key);
    int result = uv_loop_init(&counter.loop);
    if (result == 0)
        result = open_all(&counter);
    if (result != 0) {
        complain("cannot start: ", strerror(-result));
        return EXIT_FAILURE;
    }
    open_connection(&counter);
    uv_run(&counter.loop, UV_RUN_DEFAULT);
    close_all(&counter);
    return counter.status;
}
