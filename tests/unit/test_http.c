/* The HTTP server: requests whole and in pieces, what is no request, and the bounds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include "http/request.h"
#include "leaderwrap/http/http.h"

extern const struct http_backend leaderwrap_http_backend;

struct server {
    uv_loop_t loop;
    struct http_address address;
    struct http *http;
    char path[64];
    char place[80];
    unsigned asked;
    char last[256];
    bool takes_posts;
    /* What else the last request was. */
    char origin[2048];
    char authorization[2048];
    char content_type[2048];
    char body[HTTP_BODY_MOST + 1];
    size_t body_length;
    bool is_post;
};

static void note(struct server *server, const struct http_request *request)
{
    snprintf(server->origin, sizeof server->origin, "%s", request->origin);
    snprintf(server->authorization, sizeof server->authorization, "%s", request->authorization);
    snprintf(server->content_type, sizeof server->content_type, "%s", request->content_type);
    assert_true(request->body_length <= HTTP_BODY_MOST);
    assert_int_equal(request->body[request->body_length], '\0');
    memcpy(server->body, request->body, request->body_length + 1);
    server->body_length = request->body_length;
    server->is_post = request->is_post;
}

static void answer(void *context, const struct http_request *request, struct http_answer *answer)
{
    struct server *server = context;
    const char *path = request->path;

    server->asked++;
    note(server, request);
    snprintf(server->last, sizeof server->last, "%s", path);
    if (strcmp(path, "/yes") == 0)
        answer->status = 200;
    else if (strcmp(path, "/no") == 0)
        answer->status = 503;
    else if (strcmp(path, "/text") == 0)
        *answer = (struct http_answer){
            .status = 200, .type = "application/json", .body = strdup("{\"a\":1}")};
    else if (strcmp(path, "/host") == 0)
        *answer = (struct http_answer){.status = 200,
                                       .type = "text/plain",
                                       .headers = "X-More: yes\r\n",
                                       .body = strdup(request->host)};
    else if (strcmp(path, "/stream") == 0)
        *answer = (struct http_answer){.status = 200,
                                       .type = "text/event-stream",
                                       .body = strdup("data: 0\n\n"),
                                       .is_stream = true};
}

static int open_server(struct server *server)
{
    const struct http_config config = {.loop = &server->loop,
                                       .address = &server->address,
                                       .takes_posts = server->takes_posts,
                                       .on_request = answer,
                                       .context = server};

    return leaderwrap_http_backend.open(&server->http, &config);
}

static void turn(struct server *server)
{
    uv_run(&server->loop, UV_RUN_NOWAIT);
}

static int begin_server(void **state, bool takes_posts)
{
    static struct server server;

    memset(&server, 0, sizeof server);
    server.takes_posts = takes_posts;
    assert_int_equal(uv_loop_init(&server.loop), 0);
    snprintf(server.path, sizeof server.path, "/tmp/lw-test-http-%d", (int)getpid());
    snprintf(server.place, sizeof server.place, "unix:%s", server.path);
    assert_null(http_address_parse(&server.address, server.place));
    assert_int_equal(open_server(&server), 0);
    *state = &server;
    return 0;
}

static int begin(void **state)
{
    return begin_server(state, false);
}

static int begin_with_posts(void **state)
{
    return begin_server(state, true);
}

static int end(void **state)
{
    struct server *server = *state;

    leaderwrap_http_backend.close(server->http);
    for (int i = 0; i < 20; i++)
        turn(server);
    assert_int_equal(uv_loop_close(&server->loop), 0);
    assert_int_equal(access(server->path, F_OK), -1);
    return 0;
}

static int dial(const struct server *server)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);

    assert_true(fd >= 0);
    snprintf(address.sun_path, sizeof address.sun_path, "%s", server->path);
    assert_int_equal(connect(fd, (const struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

/* Reads until the server hangs up, for which it may take `turns`. Returns how much; -1: it did
 * not. */
static ssize_t hear(struct server *server, int fd, char *text, size_t size, int turns)
{
    size_t used = 0;

    for (int i = 0; i < turns; i++) {
        turn(server);
        ssize_t length = recv(fd, text + used, size - 1 - used, 0);
        if (length > 0)
            used += (size_t)length;
        if (length == 0 || (length < 0 && errno != EAGAIN)) {
            text[used] = '\0';
            return (ssize_t)used;
        }
    }
    text[used] = '\0';
    return -1;
}

/* The answer to `request`, which is sent in pieces of `piece` bytes. */
static const char *ask_in_pieces(struct server *server, const char *request, size_t length,
                                 size_t piece)
{
    static char text[4096];
    int fd = dial(server);

    for (size_t at = 0; at < length; at += piece) {
        size_t part = length - at < piece ? length - at : piece;
        if (send(fd, request + at, part, MSG_NOSIGNAL) < 0)
            break;
        turn(server);
    }
    assert_true(hear(server, fd, text, sizeof text, 100) >= 0);
    close(fd);
    turn(server);
    return text;
}

static const char *ask(struct server *server, const char *request)
{
    return ask_in_pieces(server, request, strlen(request), SIZE_MAX);
}

static int status_of(const char *text)
{
    static const char version[] = "HTTP/1.1 ";

    assert_int_equal(strncmp(text, version, strlen(version)), 0);
    return (int)strtol(text + strlen(version), NULL, 10);
}

static const char *body_of(const char *text)
{
    const char *body = strstr(text, "\r\n\r\n");

    assert_non_null(body);
    return body + 4;
}

static void get_head_and_options_have_one_status(void **state)
{
    struct server *server = *state;
    const char *text = ask(server, "GET /text HTTP/1.1\r\nHost: a\r\n\r\n");

    assert_int_equal(status_of(text), 200);
    assert_non_null(strstr(text, "Content-Type: application/json\r\n"));
    assert_non_null(strstr(text, "Content-Length: 7\r\n"));
    assert_string_equal(body_of(text), "{\"a\":1}");
    text = ask(server, "HEAD /text HTTP/1.1\r\n\r\n");
    assert_int_equal(status_of(text), 200);
    assert_non_null(strstr(text, "Content-Length: 7\r\n"));
    assert_string_equal(body_of(text), "");
    assert_int_equal(status_of(ask(server, "HEAD /no HTTP/1.0\r\n\r\n")), 503);
    text = ask(server, "OPTIONS /no HTTP/1.0\r\n\r\n");
    assert_int_equal(status_of(text), 503);
    assert_non_null(strstr(text, "Allow: GET, HEAD, OPTIONS\r\n"));
    unsigned asked = server->asked;
    assert_int_equal(status_of(ask(server, "OPTIONS * HTTP/1.1\r\n\r\n")), 200);
    assert_int_equal(server->asked, asked);
}

static void each_target_is_cut_to_its_path(void **state)
{
    struct server *server = *state;

    assert_int_equal(status_of(ask(server, "GET /yes?a=b&c HTTP/1.1\r\n\r\n")), 200);
    assert_string_equal(server->last, "/yes");
    assert_int_equal(status_of(ask(server, "GET http://h:1/no?x HTTP/1.1\r\n\r\n")), 503);
    assert_string_equal(server->last, "/no");
    assert_int_equal(status_of(ask(server, "GET /other HTTP/1.1\r\n\r\n")), 404);
}

static void a_request_may_come_byte_by_byte(void **state)
{
    static const char request[] = "GET /yes HTTP/1.1\r\nHost: a\r\nX: y\r\n\r\n";

    assert_int_equal(status_of(ask_in_pieces(*state, request, strlen(request), 1)), 200);
}

static void other_methods_and_what_is_no_request_are_refused(void **state)
{
    static const struct {
        const char *request;
        int status;
    } cases[] = {
        {"POST /yes HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc", 405},
        {"DELETE /yes HTTP/1.1\r\n\r\n", 405},
        {"CONNECT a:1 HTTP/1.1\r\n\r\n", 405},
        {"\x16\x03\x01 hello TLS\r\n\r\n", 400},
        {"PING\r\n", 400},
        {"GET /yes\x01 HTTP/1.1\r\n\r\n", 400},
        {"GET yes HTTP/1.1\r\n\r\n", 400},
        {"GET * HTTP/1.1\r\n\r\n", 400},
        {"GET http://h HTTP/1.1\r\n\r\n", 400},
        {"GET /yes HTTP/1.1\r\nContent-Length: x\r\n\r\n", 400},
    };
    struct server *server = *state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_int_equal(status_of(ask(server, cases[i].request)), cases[i].status);
    assert_int_equal(server->asked, 0);
}

static void what_is_too_long_is_refused(void **state)
{
    static char request[4 * HTTP_REQUEST_MOST];
    struct server *server = *state;

    memset(request, 'a', 3000);
    request[3000] = '\0';
    char *target = strdup(request);
    assert_non_null(target);
    snprintf(request, sizeof request, "GET /%s HTTP/1.1\r\n\r\n", target);
    free(target);
    assert_int_equal(status_of(ask(server, request)), 414);
    int head = snprintf(request, sizeof request, "GET /yes HTTP/1.1\r\nX: ");
    memset(request + head, 'a', HTTP_REQUEST_MOST);
    request[head + HTTP_REQUEST_MOST] = '\0';
    assert_int_equal(status_of(ask_in_pieces(server, request, strlen(request), 4096)), 431);
}

static void the_host_is_told_and_headers_are_sent(void **state)
{
    static const char request[] =
        "GET /host HTTP/1.1\r\nHosts: b\r\nhOST: a.b:80\r\nHos: c\r\n\r\n";
    static char longest[4096];
    struct server *server = *state;

    const char *text = ask_in_pieces(server, request, strlen(request), 1);
    assert_string_equal(body_of(text), "a.b:80");
    assert_non_null(strstr(text, "\r\nX-More: yes\r\n"));
    assert_string_equal(body_of(ask(server, "GET /host HTTP/1.0\r\n\r\n")), "");
    assert_string_equal(body_of(ask(server, "GET /host HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n")),
                        "");
    int head = snprintf(longest, sizeof longest, "GET /host HTTP/1.1\r\nHost: ");
    memset(longest + head, 'a', 2000);
    memcpy(longest + head + 2000, "\r\n\r\n", 5);
    assert_int_equal(strlen(body_of(ask(server, longest))), 261);
}

/* ---- POST ---- */

/* Asks with a POST of `length` bytes, after `headers`, each with its end of line. */
static int post(struct server *server, const char *headers, const char *body, size_t length,
                size_t piece)
{
    static char request[4 * HTTP_REQUEST_MOST];
    int head = snprintf(request, sizeof request,
                        "POST /yes?a HTTP/1.1\r\n%sContent-Length: %zu\r\n\r\n", headers, length);

    assert_true((size_t)head + length < sizeof request);
    memcpy(request + head, body, length);
    return status_of(ask_in_pieces(server, request, (size_t)head + length, piece));
}

static void a_post_is_told_whole_however_it_comes(void **state)
{
    static const char headers[] = "Host: h\r\nOrigin: http://h:1\r\nauthorization: Bearer a b\r\n"
                                  "Origins: x\r\nCONTENT-TYPE: application/json\r\nX: y\r\n";
    static const size_t pieces[] = {SIZE_MAX, 1, 2, 7, 50};
    struct server *server = *state;

    for (size_t i = 0; i < sizeof pieces / sizeof pieces[0]; i++) {
        assert_int_equal(post(server, headers, "{\"a\":1}", 7, pieces[i]), 200);
        assert_int_equal(server->asked, i + 1);
        assert_true(server->is_post);
        assert_string_equal(server->last, "/yes");
        assert_string_equal(server->origin, "http://h:1");
        assert_string_equal(server->authorization, "Bearer a b");
        assert_string_equal(server->content_type, "application/json");
        assert_int_equal(server->body_length, 7);
        assert_string_equal(server->body, "{\"a\":1}");
    }
    assert_int_equal(post(server, "", "", 0, SIZE_MAX), 200);
    assert_int_equal(server->body_length, 0);
    assert_int_equal(status_of(ask(server, "POST /no HTTP/1.1\r\n\r\n")), 503);
    assert_true(server->is_post);
    assert_string_equal(server->body, "");
}

static void a_post_may_come_in_chunks(void **state)
{
    static const char request[] = "POST /yes HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
                                  "3\r\nabc\r\n1;x=y\r\nd\r\n0\r\nOrigin: late\r\n\r\n";
    struct server *server = *state;

    for (size_t piece = 1; piece <= sizeof request; piece++) {
        assert_int_equal(status_of(ask_in_pieces(server, request, strlen(request), piece)), 200);
        assert_int_equal(server->body_length, 4);
        assert_string_equal(server->body, "abcd");
        /* What follows a body is not a header of weight. */
        assert_string_equal(server->origin, "");
    }
}

/* The status of a POST of `length` bytes in chunks of `chunk`. */
static int post_in_chunks(struct server *server, size_t length, size_t chunk)
{
    static char request[64 * HTTP_BODY_MOST];
    size_t used = (size_t)snprintf(request, sizeof request,
                                   "POST /yes HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n");

    for (size_t at = 0; at < length; at += chunk) {
        size_t part = length - at < chunk ? length - at : chunk;
        used += (size_t)snprintf(request + used, sizeof request - used, "%zx\r\n%0*d\r\n", part,
                                 (int)part, 1);
    }
    used += (size_t)snprintf(request + used, sizeof request - used, "0\r\n\r\n");
    return status_of(ask_in_pieces(server, request, used, 1024));
}

static void a_body_has_a_bound(void **state)
{
    static char body[2 * HTTP_REQUEST_MOST];
    struct server *server = *state;

    memset(body, 'b', sizeof body);
    assert_int_equal(post(server, "", body, HTTP_BODY_MOST, 1000), 200);
    assert_int_equal(server->body_length, HTTP_BODY_MOST);
    assert_int_equal(strlen(server->body), HTTP_BODY_MOST);
    assert_int_equal(post_in_chunks(server, HTTP_BODY_MOST, 1500), 200);
    assert_int_equal(server->body_length, HTTP_BODY_MOST);
    assert_int_equal(post_in_chunks(server, HTTP_BODY_MOST, HTTP_BODY_MOST), 200);
    unsigned asked = server->asked;
    assert_int_equal(post(server, "", body, HTTP_BODY_MOST + 1, 1000), 413);
    assert_int_equal(post(server, "", body, sizeof body, SIZE_MAX), 413);
    /* What is announced is not waited for. */
    assert_int_equal(status_of(ask(server, "POST /yes HTTP/1.1\r\nContent-Length: 2049\r\n\r\n")),
                     413);
    assert_int_equal(post_in_chunks(server, HTTP_BODY_MOST + 1, 1500), 413);
    assert_int_equal(post_in_chunks(server, HTTP_BODY_MOST + 1, HTTP_BODY_MOST + 1), 413);
    /* A short one may be long in what it takes to say it. */
    assert_int_equal(post_in_chunks(server, HTTP_BODY_MOST, 1), 413);
    assert_int_equal(server->asked, asked);
    assert_int_equal(status_of(ask(server, "GET /yes HTTP/1.1\r\n\r\n")), 200);
}

static void a_body_may_have_any_bytes(void **state)
{
    static const char body[] = "a\0b\r\n\r\nGET /no HTTP/1.1\r\n\r\n\0";
    struct server *server = *state;

    assert_int_equal(post(server, "", body, sizeof body, SIZE_MAX), 200);
    assert_int_equal(server->body_length, sizeof body);
    assert_memory_equal(server->body, body, sizeof body);
    assert_int_equal(post(server, "", body, sizeof body, 1), 200);
    assert_memory_equal(server->body, body, sizeof body);
    assert_int_equal(server->asked, 2);
}

static void a_post_without_its_end_is_not_told(void **state)
{
    static const char request[] = "POST /yes HTTP/1.1\r\nContent-Length: 3\r\n\r\nab";
    struct server *server = *state;
    char text[256];
    int fd = dial(server);

    assert_int_equal(send(fd, request, strlen(request), MSG_NOSIGNAL), strlen(request));
    assert_int_equal(hear(server, fd, text, sizeof text, 10), -1);
    shutdown(fd, SHUT_WR);
    assert_int_equal(hear(server, fd, text, sizeof text, 10), 0);
    close(fd);
    assert_int_equal(server->asked, 0);
}

static void a_header_counts_once_and_whole(void **state)
{
    static const char *const names[] = {"Origin", "Authorization", "Content-Type"};
    static char value[REQUEST_VALUE_SIZE + 1];
    static char headers[4096];
    struct server *server = *state;
    const char *const told[] = {server->origin, server->authorization, server->content_type};

    memset(value, 'v', sizeof value - 1);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        /* Too long by one byte, and then not. */
        snprintf(headers, sizeof headers, "%s: %s\r\n", names[i], value);
        assert_int_equal(post(server, headers, "x", 1, 1), 200);
        assert_string_equal(told[i], "");
        assert_int_equal(post(server, headers, "x", 1, 4096), 200);
        assert_string_equal(told[i], "");
        snprintf(headers, sizeof headers, "%s: %s\r\n", names[i], value + 1);
        assert_int_equal(post(server, headers, "x", 1, 1), 200);
        assert_string_equal(told[i], value + 1);
        snprintf(headers, sizeof headers, "%s: a\r\nX: y\r\n%s: a\r\n", names[i], names[i]);
        assert_int_equal(post(server, headers, "x", 1, SIZE_MAX), 200);
        assert_string_equal(told[i], "");
        snprintf(headers, sizeof headers, "%s:\r\n%s: a\r\n", names[i], names[i]);
        assert_int_equal(post(server, headers, "x", 1, 1), 200);
        assert_string_equal(told[i], "");
        snprintf(headers, sizeof headers, "%s: a\r\n%s:\r\n", names[i], names[i]);
        assert_int_equal(post(server, headers, "x", 1, 3), 200);
        assert_string_equal(told[i], "");
        snprintf(headers, sizeof headers, "%.5s: a\r\n%ss: b\r\n", names[i], names[i]);
        assert_int_equal(post(server, headers, "x", 1, 1), 200);
        assert_string_equal(told[i], "");
    }
}

static void what_is_no_post_is_refused(void **state)
{
    static const struct {
        const char *request;
        int status;
    } cases[] = {
        {"PUT /yes HTTP/1.1\r\nContent-Length: 1\r\n\r\na", 405},
        {"POST yes HTTP/1.1\r\n\r\n", 400},
        {"POST * HTTP/1.1\r\n\r\n", 400},
        {"POST /yes HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400},
        {"POST /yes HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na", 400},
        {"POST /yes HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n", 400},
        {"POST /yes HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\nabc", 400},
        {"POST /yes HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n", 400},
        {"POST /yes HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n", 400},
    };
    static const char with_nul[] = "POST /yes HTTP/1.1\r\nOrigin: a\0b\r\n\r\n";
    struct server *server = *state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_int_equal(status_of(ask(server, cases[i].request)), cases[i].status);
    assert_int_equal(status_of(ask_in_pieces(server, with_nul, sizeof with_nul - 1, SIZE_MAX)),
                     400);
    assert_int_equal(server->asked, 0);
}

static void other_methods_do_not_change_with_posts(void **state)
{
    struct server *server = *state;
    const char *text =
        ask(server, "GET /text HTTP/1.1\r\nOrigin: o\r\nContent-Length: 3\r\n\r\nabc");

    assert_int_equal(status_of(text), 200);
    assert_false(server->is_post);
    assert_string_equal(server->origin, "o");
    assert_string_equal(server->body, "");
    assert_int_equal(server->body_length, 0);
    assert_int_equal(post(server, "", "abc", 3, 1), 200);
    /* A body that is not there is not waited for, whatever its length. */
    text = ask(server, "GET /text HTTP/1.1\r\nContent-Length: 99999\r\n\r\n");
    assert_int_equal(status_of(text), 200);
    assert_int_equal(server->body_length, 0);
    text = ask(server, "OPTIONS /no HTTP/1.1\r\n\r\n");
    assert_int_equal(status_of(text), 503);
    assert_non_null(strstr(text, "\r\nAllow: GET, HEAD, OPTIONS, POST\r\n"));
    text = ask(server, "DELETE /yes HTTP/1.1\r\n\r\n");
    assert_int_equal(status_of(text), 405);
    assert_non_null(strstr(text, "\r\nAllow: GET, HEAD, OPTIONS, POST\r\n"));
    /* No answer to a POST is a stream. */
    text = ask(server, "POST /stream HTTP/1.1\r\n\r\n");
    assert_string_equal(body_of(text), "data: 0\n\n");
    assert_int_equal(leaderwrap_http_backend.count_streams(server->http), 0);
}

static void a_post_that_nobody_takes_is_refused(void **state)
{
    struct server *server = *state;
    const char *text = ask(server, "POST /yes HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc");

    assert_int_equal(status_of(text), 405);
    assert_non_null(strstr(text, "\r\nAllow: GET, HEAD, OPTIONS\r\n"));
    assert_int_equal(server->asked, 0);
    assert_int_equal(status_of(ask(server, "GET /yes HTTP/1.1\r\nAuthorization: a\r\n\r\n")), 200);
    assert_string_equal(server->authorization, "a");
}

static void no_secret_stays_in_a_request(void **state)
{
    static const char bytes[] =
        "POST /a HTTP/1.1\r\nAuthorization: s3cret\r\nContent-Length: 6\r\n\r\ns3cret";
    static struct request request;
    struct http_request told;

    (void)state;
    request_begin(&request, true);
    assert_int_equal(request_take(&request, bytes, strlen(bytes)), 200);
    request_tell(&request, &told);
    assert_string_equal(told.authorization, "s3cret");
    assert_string_equal(told.body, "s3cret");
    request_clear(&request);
    assert_null(memmem(&request, sizeof request, "s3cret", 6));
    assert_int_equal(request_method(&request), HTTP_POST);
}

/* Reads what there is by now. */
static const char *heard(struct server *server, int fd)
{
    static char text[4096];
    size_t used = 0;

    for (int i = 0; i < 10; i++) {
        turn(server);
        ssize_t length = recv(fd, text + used, sizeof text - 1 - used, 0);
        used += length > 0 ? (size_t)length : 0;
    }
    text[used] = '\0';
    return text;
}

static int open_stream(struct server *server)
{
    static const char request[] = "GET /stream HTTP/1.1\r\n\r\n";
    int fd = dial(server);

    assert_int_equal(send(fd, request, strlen(request), MSG_NOSIGNAL), strlen(request));
    return fd;
}

static void a_stream_hears_what_is_published(void **state)
{
    struct server *server = *state;
    int one = open_stream(server);
    const char *text = heard(server, one);

    assert_int_equal(status_of(text), 200);
    assert_null(strstr(text, "Content-Length"));
    assert_string_equal(body_of(text), "data: 0\n\n");
    int other = open_stream(server);
    (void)heard(server, other);
    assert_int_equal(leaderwrap_http_backend.count_streams(server->http), 2);
    leaderwrap_http_backend.publish(server->http, "data: 1\n\n");
    assert_string_equal(heard(server, one), "data: 1\n\n");
    assert_string_equal(heard(server, other), "data: 1\n\n");
    close(one);
    turn(server);
    turn(server);
    assert_int_equal(leaderwrap_http_backend.count_streams(server->http), 1);
    /* Others are answered as ever, and HEAD is no stream. */
    assert_int_equal(status_of(ask(server, "HEAD /stream HTTP/1.1\r\n\r\n")), 200);
    assert_int_equal(status_of(ask(server, "GET /yes HTTP/1.1\r\n\r\n")), 200);
    close(other);
    turn(server);
}

/* It blocks nobody, and is let go when it is too far behind. */
static void a_stream_that_nobody_reads_is_let_go(void **state)
{
    static char large[1U << 20];
    struct server *server = *state;
    int deaf = open_stream(server);
    int other = open_stream(server);

    (void)heard(server, other);
    memset(large, 'x', sizeof large - 1);
    for (int i = 0; i < 20 && leaderwrap_http_backend.count_streams(server->http) == 2; i++) {
        leaderwrap_http_backend.publish(server->http, large);
        for (int j = 0; j < 400; j++) {
            static char room[65536];
            turn(server);
            (void)recv(other, room, sizeof room, 0);
        }
    }
    assert_int_equal(leaderwrap_http_backend.count_streams(server->http), 1);
    close(deaf);
    close(other);
    turn(server);
}

static void streams_have_a_bound(void **state)
{
    struct server *server = *state;
    int streams[HTTP_STREAMS_MOST];

    for (size_t i = 0; i < HTTP_STREAMS_MOST; i++) {
        streams[i] = open_stream(server);
        (void)heard(server, streams[i]);
    }
    assert_int_equal(status_of(ask(server, "GET /stream HTTP/1.1\r\n\r\n")), 503);
    assert_int_equal(status_of(ask(server, "GET /yes HTTP/1.1\r\n\r\n")), 200);
    for (size_t i = 0; i < HTTP_STREAMS_MOST; i++)
        close(streams[i]);
    turn(server);
}

static void one_connection_has_one_answer(void **state)
{
    struct server *server = *state;
    const char *text = ask(server, "GET /yes HTTP/1.1\r\n\r\nGET /no HTTP/1.1\r\n\r\n");

    assert_int_equal(server->asked, 1);
    assert_null(strstr(text, "503"));
}

/* More than there is room for do not shut out the next one. */
static void silent_clients_make_room(void **state)
{
    struct server *server = *state;
    int silent[HTTP_CONNECTIONS_MOST + 10];
    char text[16];

    for (size_t i = 0; i < sizeof silent / sizeof silent[0]; i++) {
        silent[i] = dial(server);
        assert_int_equal(send(silent[i], "GET /ye", 7, MSG_NOSIGNAL), 7);
        turn(server);
    }
    assert_int_equal(status_of(ask(server, "GET /yes HTTP/1.1\r\n\r\n")), 200);
    /* The oldest were hung up on, and the youngest were not. */
    assert_true(hear(server, silent[0], text, sizeof text, 10) == 0);
    assert_true(hear(server, silent[sizeof silent / sizeof silent[0] - 1], text, sizeof text, 10) <
                0);
    for (size_t i = 0; i < sizeof silent / sizeof silent[0]; i++)
        close(silent[i]);
    turn(server);
}

static void a_client_that_is_slow_is_hung_up_on(void **state)
{
    struct server *server = *state;
    int fd = dial(server);
    char text[16];

    turn(server);
    turn(server);
    uint64_t begun_ms = uv_hrtime() / 1000000;
    while (hear(server, fd, text, sizeof text, 1) < 0) {
        uv_run(&server->loop, UV_RUN_ONCE);
        assert_true(uv_hrtime() / 1000000 - begun_ms < 4UL * HTTP_PATIENCE_MS);
    }
    assert_true(uv_hrtime() / 1000000 - begun_ms >= HTTP_PATIENCE_MS - 100);
    close(fd);
}

/* Whatever comes, it is answered or hung up on, and the next one is served. */
static void noise_does_no_harm(void **state)
{
    static const char *const seeds[] = {
        "GET /yes HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody",
        "HEAD http://[::1]:80/no?q HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n",
        "OPTIONS * HTTP/1.1\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
    };
    struct server *server = *state;
    unsigned random = 12345;
    char text[1024];

    for (int i = 0; i < 3000; i++) {
        char request[256];
        size_t length = strlen(seeds[i % 3]);
        memcpy(request, seeds[i % 3], length);
        for (int j = 0; j < i % 5; j++) {
            random = random * 1103515245 + 12345;
            request[(random >> 8) % length] = (char)(random >> 20);
        }
        int fd = dial(server);
        size_t cut = (random >> 4) % (length + 1);
        if (send(fd, request, cut, MSG_NOSIGNAL) >= 0 && i % 2 == 0) {
            turn(server);
            (void)send(fd, request + cut, length - cut, MSG_NOSIGNAL);
        }
        if (i % 3 == 0)
            shutdown(fd, SHUT_WR);
        (void)hear(server, fd, text, sizeof text, 3);
        close(fd);
    }
    assert_int_equal(status_of(ask(server, "GET /yes HTTP/1.1\r\n\r\n")), 200);
}

static void a_socket_in_use_is_refused_and_a_stale_one_replaced(void **state)
{
    struct server *server = *state;
    const struct http_config again = {.loop = &server->loop, .address = &server->address};
    struct http *http;
    char path[80];

    assert_int_equal(leaderwrap_http_backend.open(&http, &again), -EADDRINUSE);
    assert_null(http);
    assert_int_equal(status_of(ask(server, "GET /yes HTTP/1.1\r\n\r\n")), 200);

    /* As a killed process leaves it. */
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(path, sizeof path, "%s-2", server->path);
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof address), 0);
    close(fd);
    struct http_address place = {.path = path};
    const struct http_config config = {.loop = &server->loop, .address = &place};
    assert_int_equal(leaderwrap_http_backend.open(&http, &config), 0);
    leaderwrap_http_backend.close(http);
    turn(server);
    /* What is no socket is left alone. */
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fclose(file);
    assert_true(leaderwrap_http_backend.open(&http, &config) < 0);
    assert_int_equal(unlink(path), 0);
}

static void addresses_are_read_or_refused(void **state)
{
    static const char *const bad[] = {
        "",         "8008",      ":8008",          "localhost:8008", "127.0.0.1:",
        "1.2.3:80", "1.2.3.4:0", "1.2.3.4:65536",  "1.2.3.4:-1",     "::1:8008",
        "[::1]",    "[]:1",      "1.2.3.4:999999", "unix:",          "http://1.2.3.4:80"};
    struct http_address address;
    char deep[160] = "unix:/";

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_non_null(http_address_parse(&address, bad[i]));
    memset(deep + 6, 'a', 120);
    assert_non_null(http_address_parse(&address, deep));
    assert_null(http_address_parse(&address, "127.0.0.1:8008"));
    assert_int_equal(((struct sockaddr_in *)&address.socket)->sin_port, htons(8008));
    assert_null(address.path);
    assert_null(http_address_parse(&address, "[::1]:65535"));
    assert_int_equal(address.socket.ss_family, AF_INET6);
    assert_null(http_address_parse(&address, "unix:/run/x"));
    assert_string_equal(address.path, "/run/x");
}

int main(void)
{
#define WITH_SERVER(test) cmocka_unit_test_setup_teardown(test, begin, end)
#define WITH_POSTS(test)  cmocka_unit_test_setup_teardown(test, begin_with_posts, end)
    const struct CMUnitTest tests[] = {
        WITH_SERVER(get_head_and_options_have_one_status),
        WITH_SERVER(each_target_is_cut_to_its_path),
        WITH_SERVER(a_request_may_come_byte_by_byte),
        WITH_SERVER(other_methods_and_what_is_no_request_are_refused),
        WITH_SERVER(what_is_too_long_is_refused),
        WITH_SERVER(the_host_is_told_and_headers_are_sent),
        WITH_POSTS(a_post_is_told_whole_however_it_comes),
        WITH_POSTS(a_post_may_come_in_chunks),
        WITH_POSTS(a_body_has_a_bound),
        WITH_POSTS(a_body_may_have_any_bytes),
        WITH_POSTS(a_post_without_its_end_is_not_told),
        WITH_POSTS(a_header_counts_once_and_whole),
        WITH_POSTS(what_is_no_post_is_refused),
        WITH_POSTS(other_methods_do_not_change_with_posts),
        WITH_SERVER(a_post_that_nobody_takes_is_refused),
        cmocka_unit_test(no_secret_stays_in_a_request),
        WITH_SERVER(a_stream_hears_what_is_published),
        WITH_SERVER(a_stream_that_nobody_reads_is_let_go),
        WITH_SERVER(streams_have_a_bound),
        WITH_SERVER(one_connection_has_one_answer),
        WITH_SERVER(silent_clients_make_room),
        WITH_SERVER(a_client_that_is_slow_is_hung_up_on),
        WITH_SERVER(noise_does_no_harm),
        WITH_SERVER(a_socket_in_use_is_refused_and_a_stale_one_replaced),
        cmocka_unit_test(addresses_are_read_or_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
