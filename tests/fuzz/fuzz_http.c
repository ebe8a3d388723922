/*
 * Requests to --http: the real server on a real socket, what anybody may send in pieces of any
 * size.
 *
 * Oracle: what is asked for is a path, without a query and not longer than there is room for, and
 * of one connection no second one. What is answered is one whole answer of a known status, whose
 * body is as long as it says, or missing after HEAD. When the client is gone nothing of it is left.
 */
#include "fuzz.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "leaderwrap/http/http.h"

#define PATH_ROOM   1024
#define HOST_ROOM   262
#define TURNS_MOST  64
#define ANSWER_MOST 8192

extern const struct http_backend leaderwrap_http_backend;

static uv_loop_t loop;
static struct http_address address;
static char path[64];
static char place[80];
static unsigned asked;

static void on_request(void *context, const struct http_request *request,
                       struct http_answer *answer)
{
    const char *wanted = request->path;

    (void)context;
    ORACLE(strlen(request->host) < HOST_ROOM);
    ORACLE(strpbrk(request->host, "\r\n") == NULL);
    asked++;
    ORACLE(asked == 1);
    ORACLE(wanted[0] == '/' && strlen(wanted) < PATH_ROOM);
    ORACLE(strchr(wanted, '?') == NULL && strchr(wanted, '#') == NULL);
    *answer = (struct http_answer){.status = 200, .type = "text/plain", .body = strdup(wanted)};
}

static void remove_socket(void)
{
    (void)unlink(path);
}

static void begin(void)
{
    static struct http *http;
    const struct http_config config = {
        .loop = &loop, .address = &address, .on_request = on_request};

    snprintf(path, sizeof path, "/tmp/lw-fuzz-http-%d", (int)getpid());
    snprintf(place, sizeof place, "unix:%s", path);
    ORACLE(uv_loop_init(&loop) == 0);
    ORACLE(http_address_parse(&address, place) == NULL);
    ORACLE(leaderwrap_http_backend.open(&http, &config) == 0);
    atexit(remove_socket);
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
    ORACLE(status == 200 || status == 400 || status == 405 || status == 414 || status == 431);
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
    size_t piece = take_byte(&input) * 16U + 1;

    if (!begun)
        begin();
    begun = true;
    asked = 0;
    int idle = handles();
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
    snprintf(peer.sun_path, sizeof peer.sun_path, "%s", path);
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
