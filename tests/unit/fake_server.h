/*
 * A server that says what the test tells it to, on loopback, in the test's own loop. It greets,
 * then gives one answer to each command that comes in, whatever the command.
 */
#ifndef LEADERWRAP_TEST_FAKE_SERVER_H
#define LEADERWRAP_TEST_FAKE_SERVER_H

#include <hiredis/hiredis.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#define FAKE_ANSWERS_MAX 8

struct fake_server {
    uv_tcp_t listener;
    uv_tcp_t *client; /* the latest; NULL if none */
    int port;
    int accepted;
    redisReader *reader;
    int commands;  /* seen from the present client */
    int reads;     /* how many pieces they came in */
    char last[64]; /* first words of the last command */
    const char *greeting;
    const char *answers[FAKE_ANSWERS_MAX]; /* NULL: none; "": close */
    /* Answers in their place, to `last`. */
    const char *(*respond)(struct fake_server *fake);
    bool hangs_up; /* behind each answer */
    char input[65536];
};

struct fake_output {
    uv_write_t request;
    char *data;
};

static inline void fake_on_written(uv_write_t *request, int status)
{
    struct fake_output *output = request->data;

    (void)status;
    free(output->data);
    free(output);
}

static inline void fake_server_say_bytes(struct fake_server *fake, const char *data, size_t length)
{
    struct fake_output *output = malloc(sizeof *output);
    uv_buf_t buffer;

    output->data = malloc(length);
    memcpy(output->data, data, length);
    output->request.data = output;
    buffer = uv_buf_init(output->data, (unsigned)length);
    if (uv_write(&output->request, (uv_stream_t *)fake->client, &buffer, 1, fake_on_written) != 0)
        fake_on_written(&output->request, -1);
}

static inline void fake_server_say(struct fake_server *fake, const char *text)
{
    fake_server_say_bytes(fake, text, strlen(text));
}

static inline void fake_on_closed(uv_handle_t *handle)
{
    free(handle);
}

static inline void fake_server_hang_up(struct fake_server *fake)
{
    if (fake->client != NULL)
        uv_close((uv_handle_t *)fake->client, fake_on_closed);
    fake->client = NULL;
    if (fake->reader != NULL)
        redisReaderFree(fake->reader);
    fake->reader = NULL;
}

static inline void fake_on_alloc(uv_handle_t *handle, size_t size, uv_buf_t *buffer)
{
    struct fake_server *fake = handle->data;

    (void)size;
    *buffer = uv_buf_init(fake->input, sizeof fake->input);
}

static inline void fake_answer(struct fake_server *fake, const redisReply *command)
{
    const char *answer = NULL;
    size_t used = 0;

    fake->last[0] = '\0';
    for (size_t i = 0; i < command->elements && used < sizeof fake->last - 1; i++) {
        snprintf(fake->last + used, sizeof fake->last - used, "%s%s", i > 0 ? " " : "",
                 command->element[i]->str);
        used += strlen(fake->last + used);
    }
    if (fake->respond != NULL)
        answer = fake->respond(fake);
    else if (fake->commands < FAKE_ANSWERS_MAX)
        answer = fake->answers[fake->commands];
    fake->commands++;
    if (answer != NULL && answer[0] != '\0')
        fake_server_say(fake, answer);
    if (answer != NULL && (answer[0] == '\0' || fake->hangs_up))
        fake_server_hang_up(fake);
}

static inline void fake_on_read(uv_stream_t *stream, ssize_t length, const uv_buf_t *buffer)
{
    struct fake_server *fake = stream->data;
    void *command = NULL;

    if (stream != (uv_stream_t *)fake->client)
        return;
    if (length < 0) {
        fake_server_hang_up(fake);
        return;
    }
    fake->reads++;
    redisReaderFeed(fake->reader, buffer->base, (size_t)length);
    while (fake->client != NULL && redisReaderGetReply(fake->reader, &command) == REDIS_OK &&
           command != NULL) {
        fake_answer(fake, command);
        freeReplyObject(command);
        command = NULL;
    }
}

static inline void fake_on_client(uv_stream_t *listener, int status)
{
    struct fake_server *fake = listener->data;

    if (status != 0)
        return;
    fake_server_hang_up(fake);
    fake->client = malloc(sizeof *fake->client);
    assert_non_null(fake->client);
    assert_int_equal(uv_tcp_init(listener->loop, fake->client), 0);
    fake->client->data = fake;
    assert_int_equal(uv_accept(listener, (uv_stream_t *)fake->client), 0);
    fake->accepted++;
    fake->commands = 0;
    fake->reads = 0;
    fake->reader = redisReaderCreate();
    uv_read_start((uv_stream_t *)fake->client, fake_on_alloc, fake_on_read);
    if (fake->greeting != NULL)
        fake_server_say(fake, fake->greeting);
}

/* Listens on a free port of 127.0.0.1. */
static inline void fake_server_start(struct fake_server *fake, uv_loop_t *loop)
{
    struct sockaddr_in address;
    int size = sizeof address;

    memset(fake, 0, sizeof *fake);
    assert_int_equal(uv_tcp_init(loop, &fake->listener), 0);
    fake->listener.data = fake;
    uv_ip4_addr("127.0.0.1", 0, &address);
    assert_int_equal(uv_tcp_bind(&fake->listener, (struct sockaddr *)&address, 0), 0);
    assert_int_equal(uv_listen((uv_stream_t *)&fake->listener, 8, fake_on_client), 0);
    assert_int_equal(uv_tcp_getsockname(&fake->listener, (struct sockaddr *)&address, &size), 0);
    fake->port = ntohs(address.sin_port);
}

/* The loop must run once more before `fake` goes. */
static inline void fake_server_stop(struct fake_server *fake)
{
    fake_server_hang_up(fake);
    if (!uv_is_closing((uv_handle_t *)&fake->listener))
        uv_close((uv_handle_t *)&fake->listener, NULL);
}

#endif
