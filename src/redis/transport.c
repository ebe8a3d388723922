/* The socket of a connection. Between it and the reader, in on_read and transport_write, is TLS. */
#include "transport.h"

#include <hiredis/hiredis.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "reader.h"
#include "tls_filter.h"

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
    struct tls *tls; /* NULL: none */
    bool ready;      /* told of by on_connect */
    bool is_unix;
    bool heard; /* something came in */
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
    if (reader_new(&transport->reader) != 0) {
        free(transport);
        return NULL;
    }
    transport->callbacks = callbacks;
    transport->context = context;
    transport->connect.data = transport;
    return transport;
}

static void transport_free(struct transport *transport)
{
    reader_free(transport->reader);
    tls_free(transport->tls);
    free(transport);
}

static void on_closed(uv_handle_t *handle)
{
    transport_free(handle->data);
}

/* Of use only where the socket takes it at once. */
static void say_good_bye(struct transport *transport)
{
    char bytes[128];
    size_t length;

    tls_close(transport->tls);
    while ((length = tls_take(transport->tls, bytes, sizeof bytes)) > 0) {
        uv_buf_t buffer = uv_buf_init(bytes, (unsigned)length);
        (void)uv_try_write(&transport->uv.stream, &buffer, 1);
    }
}

void transport_drop(struct transport *transport)
{
    transport->callbacks = NULL;
    if (transport->tls != NULL && transport->ready)
        say_good_bye(transport);
    uv_close(&transport->uv.handle, on_closed);
}

static void fail(struct transport *transport, enum lease_failure failure, const char *why)
{
    if (transport->ready)
        transport->callbacks->on_end(transport->context, failure, why);
    else
        transport->callbacks->on_connect(transport->context, failure, why);
}

static void fail_with(struct transport *transport, int error)
{
    char text[128];

    fail(transport, LEASE_FAILURE_TRANSIENT, uv_strerror_r(error, text, sizeof text));
}

/* The owner may do anything then. */
static void become_ready(struct transport *transport)
{
    transport->ready = true;
    transport->callbacks->on_connect(transport->context, LEASE_FAILURE_NONE, NULL);
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

/* Hands out every complete reply. Each callback may drop the transport; then nobody wants the
 * rest. */
static void deliver(struct transport *transport)
{
    while (transport->callbacks != NULL) {
        const char *why;
        redisReply *reply;
        int result = reader_next(transport->reader, &reply, &why);

        if (result < 0)
            fail(transport, LEASE_FAILURE_TRANSIENT, why);
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

static void on_written(uv_write_t *request, int status)
{
    struct output *output = request->data;

    /* A socket that cannot be written to ends the reading as well, and that is reported. */
    (void)status;
    explicit_bzero(output->data, output->length);
    free(output);
}

/* Writes at once what the socket takes and leaves the rest to the loop. */
static int write_raw(struct transport *transport, const char *data, size_t length)
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

/* Sends what TLS has to say. Returns 0 or a libuv error. */
static int write_taken(struct transport *transport)
{
    char bytes[INPUT_SIZE];
    size_t length;
    int error = 0;

    while (error == 0 && (length = tls_take(transport->tls, bytes, sizeof bytes)) > 0)
        error = write_raw(transport, bytes, length);
    return error;
}

int transport_write(struct transport *transport, const char *data, size_t length)
{
    if (transport->tls == NULL)
        return write_raw(transport, data, length);
    return tls_write(transport->tls, data, length) == 0 ? write_taken(transport) : UV_ENOMEM;
}

/* Carries TLS on, after something came in or before anything has; and hands out replies. */
static void decrypt(struct transport *transport)
{
    struct tls_problem problem;
    char bytes[INPUT_SIZE];
    int length;

    while ((length = tls_read(transport->tls, bytes, sizeof bytes, &problem)) > 0)
        reader_feed(transport->reader, bytes, (size_t)length);
    /* A socket that cannot be written to ends the reading as well, which may tell more. */
    (void)write_taken(transport);
    if (!transport->ready && tls_is_open(transport->tls))
        become_ready(transport);
    deliver(transport);
    if (length < 0 && transport->callbacks != NULL)
        fail(transport, problem.failure, problem.why);
}

/* What it means that the socket has come to its end. */
static void fail_ended(struct transport *transport, const char *how)
{
    struct tls_problem problem = {.failure = LEASE_FAILURE_TRANSIENT};
    bool mute = !transport->heard && !transport->is_unix;

    if (transport->tls != NULL)
        tls_ended(transport->tls, how, &problem);
    else
        snprintf(problem.why, sizeof problem.why, "%s%s", how,
                 mute ? " without a word: is it a port for TLS, rediss://?" : "");
    fail(transport, problem.failure, problem.why);
}

static void on_read(uv_stream_t *stream, ssize_t length, const uv_buf_t *buffer)
{
    struct transport *transport = stream->data;
    char text[128];

    if (transport->callbacks == NULL || length == 0)
        return;
    transport->heard = transport->heard || length > 0;
    if (length == UV_EOF) {
        fail_ended(transport, "the server closed it");
    } else if (length < 0) {
        fail_ended(transport, uv_strerror_r((int)length, text, sizeof text));
    } else if (transport->tls != NULL) {
        tls_feed(transport->tls, buffer->base, (size_t)length);
        decrypt(transport);
    } else {
        reader_feed(transport->reader, buffer->base, (size_t)length);
        deliver(transport);
    }
}

static void on_connect(uv_connect_t *request, int status)
{
    struct transport *transport = request->data;

    if (transport->callbacks == NULL)
        return;
    if (status == 0)
        status = uv_read_start(&transport->uv.stream, on_alloc, on_read);
    if (status != 0)
        fail_with(transport, status);
    else if (transport->tls != NULL)
        decrypt(transport);
    else
        become_ready(transport);
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
                      unsigned user_timeout_ms, struct tls *tls,
                      const struct transport_callbacks *callbacks, void *context)
{
    struct transport *transport = transport_new(callbacks, context);
    int error;

    if (transport == NULL) {
        tls_free(tls);
        return UV_ENOMEM;
    }
    transport->tls = tls;
    transport->is_unix = address->sa_family == AF_UNIX;
    /* With the address family given a TCP socket exists at once and takes options. */
    error = transport->is_unix ? uv_pipe_init(loop, &transport->uv.pipe, 0)
                               : uv_tcp_init_ex(loop, &transport->uv.tcp, address->sa_family);
    if (error != 0) {
        transport_free(transport);
        return error;
    }
    transport->uv.handle.data = transport;
    if (transport->is_unix)
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

bool transport_describe(const struct transport *transport, struct tls_peer *peer)
{
    if (transport->tls != NULL)
        tls_describe(transport->tls, peer);
    return transport->tls != NULL;
}
