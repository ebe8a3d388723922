/*
 * The socket of a connection. Between it and the reader, in on_read and transport_write, is where a
 * layer that encrypts belongs.
 */
#include "transport.h"

#include <hiredis/hiredis.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "reader.h"

#define INPUT_SIZE        4096
#define KEEPALIVE_SECONDS 15

struct transport {
    union {
        uv_handle_t handle;
        uv_stream_t stream;
        uv_tcp_t tcp;
        uv_pipe_t pipe;
    } uv;
    uv_connect_t connect;
    const struct transport_callbacks *callbacks; /* NULL once dropped */
    void *context;
    struct reader *reader;
    char input[INPUT_SIZE];
};

struct output {
    uv_write_t request;
    size_t length;
    char data[];
};

static struct transport *transport_new(const struct transport_callbacks *callbacks, void *context)
{
    struct transport *transport = calloc(1, sizeof *transport);

    if (transport == NULL)
        return NULL;
    transport->callbacks = callbacks;
    transport->context = context;
    transport->connect.data = transport;
    return transport;
}

static void on_closed(uv_handle_t *handle)
{
    struct transport *transport = handle->data;

    reader_free(transport->reader);
    free(transport);
}

void transport_drop(struct transport *transport)
{
    transport->callbacks = NULL;
    uv_close(&transport->uv.handle, on_closed);
}

static void on_connect(uv_connect_t *request, int status)
{
    struct transport *transport = request->data;

    if (transport->callbacks != NULL)
        transport->callbacks->on_connect(transport->context, status);
}

static void set_tcp_options(uv_tcp_t *tcp, unsigned timeout_ms)
{
    uv_os_fd_t fd;

    /* All of these only make a dead peer known sooner, so a refusal does not matter. */
    uv_tcp_nodelay(tcp, 1);
    uv_tcp_keepalive(tcp, 1, KEEPALIVE_SECONDS);
    if (uv_fileno((const uv_handle_t *)tcp, &fd) == 0)
        (void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout_ms, sizeof timeout_ms);
}

static int begin_tcp(struct transport *transport, const struct sockaddr *address,
                     unsigned user_timeout_ms)
{
    set_tcp_options(&transport->uv.tcp, user_timeout_ms);
    return uv_tcp_connect(&transport->connect, &transport->uv.tcp, address, on_connect);
}

static void begin_unix(struct transport *transport, const struct sockaddr *address)
{
    const struct sockaddr_un *local = (const struct sockaddr_un *)(const void *)address;

    uv_pipe_connect(&transport->connect, &transport->uv.pipe, local->sun_path, on_connect);
}

int transport_connect(struct transport **out, uv_loop_t *loop, const struct sockaddr *address,
                      unsigned user_timeout_ms, const struct transport_callbacks *callbacks,
                      void *context)
{
    struct transport *transport = transport_new(callbacks, context);
    bool is_unix = address->sa_family == AF_UNIX;
    int error;

    if (transport == NULL)
        return UV_ENOMEM;
    /* With the address family given a TCP socket exists at once and takes options. */
    error = is_unix ? uv_pipe_init(loop, &transport->uv.pipe, 0)
                    : uv_tcp_init_ex(loop, &transport->uv.tcp, address->sa_family);
    if (error != 0) {
        free(transport);
        return error;
    }
    transport->uv.handle.data = transport;
    if (is_unix)
        begin_unix(transport, address);
    else
        error = begin_tcp(transport, address, user_timeout_ms);
    if (error != 0) {
        transport_drop(transport);
        return error;
    }
    *out = transport;
    return 0;
}

static void end(struct transport *transport, const char *why)
{
    transport->callbacks->on_end(transport->context, why);
}

/* Hands out every complete reply. Each callback may drop the transport; then nobody wants the
 * rest. */
static void deliver(struct transport *transport)
{
    while (transport->callbacks != NULL) {
        const char *why;
        redisReply *reply;
        int result = reader_next(transport->reader, &reply, &why);

        if (result < 0)
            end(transport, why);
        if (result <= 0)
            return;
        transport->callbacks->on_reply(transport->context, reply);
        reader_free_reply(reply);
    }
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
    struct transport *transport = handle->data;

    (void)suggested;
    *buffer = uv_buf_init(transport->input, sizeof transport->input);
}

static void on_read(uv_stream_t *stream, ssize_t length, const uv_buf_t *buffer)
{
    struct transport *transport = stream->data;
    char text[128];

    if (transport->callbacks == NULL || length == 0)
        return;
    if (length == UV_EOF) {
        end(transport, "the server closed it");
    } else if (length < 0) {
        end(transport, uv_strerror_r((int)length, text, sizeof text));
    } else {
        reader_feed(transport->reader, buffer->base, (size_t)length);
        deliver(transport);
    }
}

int transport_start_reading(struct transport *transport)
{
    int error = reader_new(&transport->reader);

    if (error != 0)
        return error;
    return uv_read_start(&transport->uv.stream, on_alloc, on_read);
}

static void on_written(uv_write_t *request, int status)
{
    struct output *output = request->data;

    /* A socket that cannot be written to ends the reading as well, and that is reported. */
    (void)status;
    explicit_bzero(output->data, output->length);
    free(output);
}

int transport_write(struct transport *transport, const char *data, size_t length)
{
    uv_buf_t buffer = uv_buf_init((char *)(uintptr_t)data, (unsigned)length);
    int written = uv_try_write(&transport->uv.stream, &buffer, 1);
    struct output *output;
    int error;

    if (written == UV_EAGAIN)
        written = 0;
    if (written < 0)
        return written;
    if ((size_t)written == length)
        return 0;
    length -= (size_t)written;
    output = malloc(sizeof *output + length);
    if (output == NULL)
        return UV_ENOMEM;
    output->request.data = output;
    output->length = length;
    memcpy(output->data, data + written, length);
    buffer = uv_buf_init(output->data, (unsigned)length);
    error = uv_write(&output->request, &transport->uv.stream, &buffer, 1, on_written);
    if (error != 0) {
        explicit_bzero(output->data, length);
        free(output);
    }
    return error;
}
