/* Connections, their bounds, and one answer for each. */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "leaderwrap/http/http.h"
#include "request.h"

#define BACKLOG   128
#define HEAD_SIZE 1024

enum stage {
    STAGE_REQUEST,
    STAGE_ANSWER,
    STAGE_LINGER,
    STAGE_STREAM,
    STAGE_CLOSING
};

union stream {
    uv_handle_t handle;
    uv_stream_t stream;
    uv_tcp_t tcp;
    uv_pipe_t pipe;
};

struct connection {
    union stream socket;
    struct http *http;
    struct connection *next; /* a younger one */
    enum stage stage;
    uint64_t until_ms; /* of the loop's clock */
    size_t received;
    struct request request;
    bool ended; /* the client sends no more */
    uv_write_t write;
    uv_shutdown_t shutdown;
    char head[HEAD_SIZE];
    char *body;
};

/* Freed with the last handle of it that is closed. */
struct http {
    union stream listener;
    uv_timer_t timer;
    struct http_config config;
    struct connection *oldest;  /* all have the same patience: the first is due first */
    struct connection *streams; /* which have none */
    unsigned stream_count;
    unsigned connections;
    unsigned handles;
    bool closing;
};

static void let_go(struct http *http)
{
    if (--http->handles == 0)
        free(http);
}

static void on_handle_closed(uv_handle_t *handle)
{
    let_go(handle->data);
}

static void arm(struct http *http);

static void on_closed(uv_handle_t *handle)
{
    struct connection *connection = handle->data;

    request_clear(&connection->request);
    free(connection->body);
    let_go(connection->http);
    free(connection);
}

static void unlist(struct connection *connection)
{
    struct http *http = connection->http;
    bool is_stream = connection->stage == STAGE_STREAM;
    struct connection **at = is_stream ? &http->streams : &http->oldest;

    while (*at != connection)
        at = &(*at)->next;
    *at = connection->next;
    if (is_stream)
        http->stream_count--;
    else
        http->connections--;
}

static void drop(struct connection *connection)
{
    struct http *http = connection->http;

    if (connection->stage == STAGE_CLOSING)
        return;
    unlist(connection);
    connection->stage = STAGE_CLOSING;
    uv_close(&connection->socket.handle, on_closed);
    arm(http);
}

static void on_timer(uv_timer_t *timer)
{
    struct http *http = timer->data;

    while (http->oldest != NULL && http->oldest->until_ms <= uv_now(http->config.loop))
        drop(http->oldest);
    arm(http);
}

static void arm(struct http *http)
{
    uint64_t now_ms = uv_now(http->config.loop);

    if (http->closing)
        return;
    if (http->oldest == NULL) {
        (void)uv_timer_stop(&http->timer);
        return;
    }
    uint64_t until_ms = http->oldest->until_ms;
    (void)uv_timer_start(&http->timer, on_timer, until_ms > now_ms ? until_ms - now_ms : 0, 0);
}

static const char *words_of(int status)
{
    static const struct {
        int status;
        const char *words;
    } known[] = {
        {200, "OK"},
        {202, "Accepted"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {409, "Conflict"},
        {413, "Payload Too Large"},
        {414, "URI Too Long"},
        {415, "Unsupported Media Type"},
        {421, "Misdirected Request"},
        {422, "Unprocessable Content"},
        {429, "Too Many Requests"},
        {431, "Request Header Fields Too Large"},
        {502, "Bad Gateway"},
        {503, "Service Unavailable"},
        {504, "Gateway Timeout"},
    };

    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (known[i].status == status)
            return known[i].words;
    return "Internal Server Error";
}

static void on_shut(uv_shutdown_t *request, int status)
{
    struct connection *connection = request->data;

    if (status != 0)
        drop(connection);
}

/* What the client still sends is read before the end: else the kernel would answer it with a reset,
 * and that might overtake the answer. */
static void on_written(uv_write_t *request, int status)
{
    struct connection *connection = request->data;

    if (connection->stage == STAGE_CLOSING)
        return;
    if (connection->stage == STAGE_STREAM) {
        if (status != 0 || connection->ended)
            drop(connection);
        return;
    }
    connection->shutdown.data = connection;
    connection->stage = STAGE_LINGER;
    if (status != 0 || connection->ended ||
        uv_shutdown(&connection->shutdown, &connection->socket.stream, on_shut) != 0)
        drop(connection);
}

/* From the list of those that have to be done soon to the other one. */
static void be_stream(struct connection *connection)
{
    struct http *http = connection->http;

    unlist(connection);
    connection->stage = STAGE_STREAM;
    connection->next = http->streams;
    http->streams = connection;
    http->stream_count++;
    arm(http);
}

/* What may be asked, in an answer that has to say so. */
static const char *allow_line(const struct connection *connection, int status)
{
    if (status != 405 && request_method(&connection->request) != HTTP_OPTIONS)
        return "";
    return connection->http->config.takes_posts ? "Allow: GET, HEAD, OPTIONS, POST\r\n"
                                                : "Allow: GET, HEAD, OPTIONS\r\n";
}

static void send_answer(struct connection *connection, struct http_answer *answer)
{
    bool with_body = request_method(&connection->request) != HTTP_HEAD;
    char line[64];
    uv_buf_t buffers[2];

    snprintf(line, sizeof line, "%s\n", words_of(answer->status));
    if (answer->body == NULL) {
        answer->body = strdup(line);
        answer->type = "text/plain; charset=utf-8";
    }
    connection->body = answer->body;
    size_t length = answer->body != NULL ? strlen(answer->body) : 0;
    if (!answer->is_stream)
        snprintf(line, sizeof line, "Content-Length: %zu\r\n", length);
    else
        line[0] = '\0';
    int head = snprintf(connection->head, sizeof connection->head,
                        "HTTP/1.1 %d %s\r\nContent-Type: %s\r\n%s"
                        "%s%sCache-Control: no-store\r\nConnection: close\r\n\r\n",
                        answer->status, words_of(answer->status), answer->type, line,
                        allow_line(connection, answer->status),
                        answer->headers != NULL ? answer->headers : "");
    buffers[0] = uv_buf_init(connection->head, (unsigned)head);
    buffers[1] = uv_buf_init(connection->body, with_body ? (unsigned)length : 0);
    if (answer->is_stream)
        be_stream(connection);
    else
        connection->stage = STAGE_ANSWER;
    connection->write.data = connection;
    if (uv_write(&connection->write, &connection->socket.stream, buffers, 2, on_written) != 0)
        drop(connection);
}

/* Where there is none, one whose client does not read makes room. */
static bool has_room_for_stream(struct http *http)
{
    if (http->stream_count < HTTP_STREAMS_MOST)
        return true;
    for (struct connection *each = http->streams; each != NULL; each = each->next)
        if (uv_stream_get_write_queue_size(&each->socket.stream) > 0) {
            drop(each);
            return true;
        }
    return false;
}

static void ask(struct connection *connection, struct http_answer *answer)
{
    const struct http_config *config = &connection->http->config;
    struct http_request request;

    request_tell(&connection->request, &request);
    if (strcmp(request.path, "*") == 0)
        answer->status = 200;
    else
        config->on_request(config->context, &request, answer);
    if (answer->is_stream && !has_room_for_stream(connection->http)) {
        free(answer->body);
        *answer = (struct http_answer){.status = 503};
    }
    answer->is_stream = answer->is_stream && request_method(&connection->request) == HTTP_GET;
}

static void take(struct connection *connection, const char *bytes, size_t length)
{
    int status = request_take(&connection->request, bytes, length);
    struct http_answer answer = {.status = status};

    if (status == 0)
        return;
    if (status == 200) {
        answer.status = 404;
        ask(connection, &answer);
    }
    request_clear(&connection->request);
    send_answer(connection, &answer);
}

/* One for all: what was read is used up at once. */
static void on_room(uv_handle_t *handle, size_t wish, uv_buf_t *buffer)
{
    static char room[4096];

    (void)handle;
    (void)wish;
    *buffer = uv_buf_init(room, sizeof room);
}

static void on_read(uv_stream_t *stream, ssize_t length, const uv_buf_t *buffer)
{
    struct connection *connection = stream->data;

    if (length == 0)
        return;
    /* A client that has only closed its half is still to be answered. */
    if (length < 0) {
        connection->ended = true;
        if (connection->stage != STAGE_ANSWER)
            drop(connection);
        return;
    }
    connection->received += (size_t)length;
    if (connection->stage == STAGE_REQUEST)
        take(connection, buffer->base, (size_t)length);
    else if (connection->received > (size_t)2 * HTTP_REQUEST_MOST)
        drop(connection);
    /* It may have been a secret. */
    explicit_bzero(buffer->base, (size_t)length);
}

static int init_stream(uv_loop_t *loop, union stream *stream, bool local)
{
    return local ? uv_pipe_init(loop, &stream->pipe, 0) : uv_tcp_init(loop, &stream->tcp);
}

static void append(struct http *http, struct connection *connection)
{
    struct connection **at = &http->oldest;

    while (*at != NULL)
        at = &(*at)->next;
    *at = connection;
    http->connections++;
}

static void on_connection(uv_stream_t *listener, int status)
{
    struct http *http = listener->data;
    struct connection *connection = status == 0 ? calloc(1, sizeof *connection) : NULL;

    if (connection == NULL || init_stream(http->config.loop, &connection->socket,
                                          http->config.address->path != NULL) != 0) {
        free(connection);
        return;
    }
    connection->socket.handle.data = connection;
    connection->http = http;
    http->handles++;
    request_begin(&connection->request, http->config.takes_posts);
    connection->until_ms = uv_now(http->config.loop) + HTTP_PATIENCE_MS;
    append(http, connection);
    if (http->connections > HTTP_CONNECTIONS_MOST)
        drop(http->oldest);
    arm(http);
    if (uv_accept(listener, &connection->socket.stream) != 0 ||
        uv_read_start(&connection->socket.stream, on_room, on_read) != 0)
        drop(connection);
}

/* A socket file that nobody listens on any more was left by a process that was killed. What is no
 * socket refuses a connection as well, and is somebody's. */
static void remove_stale(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct stat status;

    if (lstat(path, &status) != 0 || !S_ISSOCK(status.st_mode))
        return;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0)
        return;
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    if (connect(fd, (const struct sockaddr *)&address, sizeof address) != 0 &&
        errno == ECONNREFUSED)
        (void)unlink(path);
    close(fd);
}

static int bind_listener(struct http *http)
{
    const struct http_address *address = http->config.address;

    if (address->path == NULL)
        return uv_tcp_bind(&http->listener.tcp, (const struct sockaddr *)&address->socket, 0);
    remove_stale(address->path);
    return uv_pipe_bind(&http->listener.pipe, address->path);
}

/* ---- streams ---- */

/* What is sent to one of them. */
struct piece {
    uv_write_t write;
    struct connection *connection;
    char text[];
};

/* A connection lives until all that was written to it is accounted for. */
static void on_piece_written(uv_write_t *write, int status)
{
    struct piece *piece = write->data;

    if (status != 0)
        drop(piece->connection);
    free(piece);
}

static void send_piece(struct connection *connection, const char *text, size_t length)
{
    size_t late = uv_stream_get_write_queue_size(&connection->socket.stream);
    struct piece *piece = late <= HTTP_STREAM_QUEUE ? malloc(sizeof *piece + length + 1) : NULL;

    if (piece == NULL) {
        drop(connection);
        return;
    }
    memcpy(piece->text, text, length + 1);
    piece->write.data = piece;
    piece->connection = connection;
    uv_buf_t buffer = uv_buf_init(piece->text, (unsigned)length);
    if (uv_write(&piece->write, &connection->socket.stream, &buffer, 1, on_piece_written) != 0) {
        free(piece);
        drop(connection);
    }
}

static void http_publish(struct http *http, const char *text)
{
    size_t length = strlen(text);
    struct connection *next;

    for (struct connection *each = http->streams; each != NULL; each = next) {
        next = each->next;
        send_piece(each, text, length);
    }
}

static unsigned http_count_streams(const struct http *http)
{
    return http->stream_count;
}

static void http_close(struct http *http)
{
    if (http == NULL)
        return;
    http->closing = true;
    while (http->oldest != NULL)
        drop(http->oldest);
    while (http->streams != NULL)
        drop(http->streams);
    uv_close(&http->listener.handle, on_handle_closed);
    uv_close((uv_handle_t *)&http->timer, on_handle_closed);
}

static int http_open(struct http **out, const struct http_config *config)
{
    struct http *http = calloc(1, sizeof *http);
    int result;

    *out = NULL;
    if (http == NULL)
        return -ENOMEM;
    http->config = *config;
    /* Neither takes anything from the system as yet; only the first might say no. */
    result = init_stream(config->loop, &http->listener, config->address->path != NULL);
    if (result == 0)
        result = uv_timer_init(config->loop, &http->timer);
    if (result != 0) {
        free(http);
        return result;
    }
    http->timer.data = http->listener.handle.data = http;
    http->handles = 2;
    result = bind_listener(http);
    /* TCP's bind(2) tells an address in use only here. */
    if (result == 0)
        result = uv_listen(&http->listener.stream, BACKLOG, on_connection);
    if (result != 0)
        http_close(http);
    else
        *out = http;
    return result;
}

extern const struct http_backend leaderwrap_http_backend;
__attribute__((visibility("default")))
const struct http_backend leaderwrap_http_backend = {.version = LEADERWRAP_VERSION,
                                                     .open = http_open,
                                                     .close = http_close,
                                                     .publish = http_publish,
                                                     .count_streams = http_count_streams};
