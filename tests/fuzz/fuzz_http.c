/*
 * Requests to --http: the real server on a real socket, what anybody may send in pieces of any
 * size. The first byte says of what size, and whether posts are taken.
 *
 * Oracle: what is asked for is a path, without a query and not longer than there is room for, and
 * of one connection no second one. A header that is told stands in the head once, and with all that
 * it says; a body is a POST's, and within its bound. What is answered is one whole answer of a
 * known status, whose body is as long as it says, or missing after HEAD. When the client is gone
 * nothing of it is left.
 */
#include "fuzz.h"

#include <strings.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "leaderwrap/http/http.h"

#define PATH_ROOM   1024
#define HOST_ROOM   262
#define VALUE_ROOM  1024
#define TURNS_MOST  64
#define ANSWER_MOST 8192

extern const struct http_backend leaderwrap_http_backend;

static uv_loop_t loop;
static struct server {
    struct http *http;
    struct http_address address;
    bool takes_posts;
    char path[64];
    char place[80];
} servers[2];
static unsigned asked;
static struct input sent; /* all that the client sends */

/* Finds the header in the head of what was sent. Returns how often it is there; `*at` is behind
 * the last one's colon. */
static unsigned find_header(const char *name, const char **at)
{
    const char *text = (const char *)sent.at;
    const char *end = text + sent.left;
    unsigned found = 0;

    /* A parser forgives empty lines before it. */
    while (text < end && (*text == '\r' || *text == '\n'))
        text++;
    while ((text = memchr(text, '\n', (size_t)(end - text))) != NULL) {
        text++;
        if (text == end || *text == '\r' || *text == '\n')
            break;
        if ((size_t)(end - text) <= strlen(name) || text[strlen(name)] != ':' ||
            strncasecmp(text, name, strlen(name)) != 0)
            continue;
        *at = text + strlen(name) + 1;
        found++;
    }
    return found;
}

/* A parser may take a carriage return and any byte for the end of a line: then it is up to it where
 * a header begins. */
static bool has_plain_lines(void)
{
    for (size_t i = 0; i + 1 < sent.left; i++)
        if (sent.at[i] == '\r' && sent.at[i + 1] != '\n')
            return false;
    return true;
}

static void check_header(const char *name, const char *told)
{
    const char *end = (const char *)sent.at + sent.left;
    const char *at = NULL;

    ORACLE(strlen(told) < VALUE_ROOM && strpbrk(told, "\r\n") == NULL);
    if (!has_plain_lines())
        return;
    unsigned found = find_header(name, &at);
    if (found != 1) {
        ORACLE(told[0] == '\0');
        return;
    }
    while (at < end && (*at == ' ' || *at == '\t'))
        at++;
    const char *line_end = at;
    while (line_end < end && *line_end != '\r' && *line_end != '\n')
        line_end++;
    const char *next = memchr(line_end, '\n', (size_t)(end - line_end));
    /* An old way to go on in the next line. */
    if (next != NULL && next + 1 < end && (next[1] == ' ' || next[1] == '\t'))
        return;
    size_t length = (size_t)(line_end - at);
    bool is_text = length < VALUE_ROOM && memchr(at, '\0', length) == NULL;
    ORACLE(is_text ? strlen(told) == length && memcmp(told, at, length) == 0 : told[0] == '\0');
}

static void check_body(const struct server *server, const struct http_request *request)
{
    ORACLE(!request->is_post || server->takes_posts);
    ORACLE(request->is_post || request->body_length == 0);
    ORACLE(request->body_length <= HTTP_BODY_MOST);
    ORACLE(request->body_length < sent.left);
    ORACLE(request->body[request->body_length] == '\0');
    ORACLE(strlen(request->body) <= request->body_length);
}

static void on_request(void *context, const struct http_request *request,
                       struct http_answer *answer)
{
    const char *wanted = request->path;

    ORACLE(strlen(request->host) < HOST_ROOM);
    ORACLE(strpbrk(request->host, "\r\n") == NULL);
    check_header("Origin", request->origin);
    check_header("Authorization", request->authorization);
    check_header("Content-Type", request->content_type);
    check_body(context, request);
    asked++;
    ORACLE(asked == 1);
    ORACLE(wanted[0] == '/' && strlen(wanted) < PATH_ROOM);
    ORACLE(strchr(wanted, '?') == NULL && strchr(wanted, '#') == NULL);
    *answer = (struct http_answer){.status = 200, .type = "text/plain", .body = strdup(wanted)};
}

static void remove_sockets(void)
{
    for (size_t i = 0; i < 2; i++)
        (void)unlink(servers[i].path);
}

static void begin(void)
{
    ORACLE(uv_loop_init(&loop) == 0);
    for (size_t i = 0; i < 2; i++) {
        struct server *server = &servers[i];
        const struct http_config config = {.loop = &loop,
                                           .address = &server->address,
                                           .takes_posts = i == 1,
                                           .on_request = on_request,
                                           .context = server};
        server->takes_posts = config.takes_posts;
        snprintf(server->path, sizeof server->path, "/tmp/lw-fuzz-http-%d-%zu", (int)getpid(), i);
        snprintf(server->place, sizeof server->place, "unix:%s", server->path);
        ORACLE(http_address_parse(&server->address, server->place) == NULL);
        ORACLE(leaderwrap_http_backend.open(&server->http, &config) == 0);
    }
    atexit(remove_sockets);
}

static void count(uv_handle_t *handle, void *context)
{
    (void)handle;
    ++*(int *)context;
}

static int handles(void)
{
    int found = 0;

    uv_walk(&loop, count, &found);
    return found;
}

static void check_answer(const char *text, bool may_be_head, bool is_head)
{
    static const char length_name[] = "\r\nContent-Length: ";
    const char *body = strstr(text, "\r\n\r\n");
    const char *length = strstr(text, length_name);
    static const char version[] = "HTTP/1.1 ";

    ORACLE(strncmp(text, version, strlen(version)) == 0);
    long status = strtol(text + strlen(version), NULL, 10);
    ORACLE(status == 200 || status == 400 || status == 405 || status == 413 || status == 414 ||
           status == 431);
    ORACLE(body != NULL && length != NULL && length < body);
    ORACLE(strstr(text, "\r\nConnection: close\r\n") != NULL);
    size_t said = strtoul(length + strlen(length_name), NULL, 10);
    ORACLE(strlen(body + 4) == said || (may_be_head && body[4] == '\0'));
    ORACLE(!is_head || body[4] == '\0');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static bool begun;
    struct sockaddr_un peer = {.sun_family = AF_UNIX};
    struct input input = {data, size};
    char text[ANSWER_MOST + 1];
    size_t used = 0;
    uint8_t way = take_byte(&input);
    size_t piece = way * 16U + 1;
    const struct server *server = &servers[way % 2];

    if (!begun)
        begin();
    begun = true;
    asked = 0;
    sent = input;
    int idle = handles();
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
    snprintf(peer.sun_path, sizeof peer.sun_path, "%s", server->path);
    ORACLE(fd >= 0 && connect(fd, (const struct sockaddr *)&peer, sizeof peer) == 0);
    bool is_head = input.left >= 6 && memcmp(input.at, "HEAD /", 6) == 0;
    while (input.left > 0) {
        size_t length = piece;
        const uint8_t *bytes = take_bytes(&input, &length);
        /* It may have hung up already. */
        (void)!send(fd, bytes, length, MSG_NOSIGNAL);
        uv_run(&loop, UV_RUN_NOWAIT);
    }
    shutdown(fd, SHUT_WR);
    for (int i = 0; i < TURNS_MOST; i++) {
        uv_run(&loop, UV_RUN_NOWAIT);
        ssize_t length = recv(fd, text + used, ANSWER_MOST - used, 0);
        if (length == 0)
            break;
        if (length > 0)
            used += (size_t)length;
    }
    text[used] = '\0';
    /* A parser may forgive an empty line before it. */
    if (used > 0)
        check_answer(text, memmem(data, size, "HEAD", 4) != NULL, is_head && asked > 0);
    close(fd);
    for (int i = 0; i < TURNS_MOST && handles() > idle; i++)
        uv_run(&loop, UV_RUN_NOWAIT);
    ORACLE(handles() == idle);
    return 0;
}
