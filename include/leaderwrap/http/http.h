/*
 * A small HTTP server on the event loop, for load balancers, probes and scrapers: each connection
 * asks once for one of a few short texts, or, where that is taken, posts a short one.
 *
 * It is a shared object of its own (leaderwrap-http.so), loaded only where it is asked for;
 * requests are parsed by http-parser. What it costs is bounded whatever its clients do:
 * connections, bytes of a request and the time that one may take. Where there are too many
 * connections the oldest one makes room, so that slow clients shut nobody out. An answer may be a
 * stream of server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html),
 * which has bounds of its own.
 */
#ifndef LEADERWRAP_HTTP_HTTP_H
#define LEADERWRAP_HTTP_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>
#include <uv.h>

#define HTTP_CONNECTIONS_MOST 64
#define HTTP_REQUEST_MOST     8192 /* bytes of a request, its body with it */
#define HTTP_BODY_MOST        2048 /* bytes of a POST's body */
#define HTTP_PATIENCE_MS      5000 /* from the connection to the end of the answer */
#define HTTP_STREAMS_MOST     32
#define HTTP_STREAM_QUEUE     (4U << 20) /* bytes that a stream's client may be late by */

/* Where to listen. */
struct http_address {
    struct sockaddr_storage socket;
    const char *path; /* of a Unix socket; NULL: `socket` is meant. Borrowed from the text */
};

/* Reads "127.0.0.1:8008", "[::1]:8008" or "unix:PATH". Returns NULL, or what is wrong with it. */
const char *http_address_parse(struct http_address *address, const char *text);

/* All of it is good until the answer is there. What was secret is wiped then. */
struct http_request {
    const char *path;   /* without what follows a question mark */
    const char *host;   /* what the client calls us, with a port if it names one; "" if it does not,
                           or twice */
    const char *origin; /* header Origin; "" where there is none, it comes twice, or is too long */
    const char *authorization; /* header Authorization, likewise */
    const char *content_type;  /* header Content-Type, likewise */
    bool is_post;              /* or else a GET, or what is answered as one */
    const char *body;          /* of a POST, with a NUL behind it; "" otherwise */
    size_t body_length;
};

struct http_answer {
    int status;          /* 404 until somebody says otherwise */
    const char *type;    /* of the body; static, as the next */
    const char *headers; /* further ones, each with its end of line; NULL: none */
    char *body;          /* of malloc(3), handed over; NULL: the status in words */
    bool is_stream;      /* what is published follows the body, until the client goes */
};

struct http;

struct http_config {
    uv_loop_t *loop;
    const struct http_address *address; /* borrowed until it is closed */
    bool takes_posts;                   /* or else a POST is answered with 405 */
    /* Answers a GET, or as one; and a whole POST. */
    void (*on_request)(void *context, const struct http_request *request,
                       struct http_answer *answer);
    void *context;
};

/* What the shared object offers. */
struct http_backend {
    const char *version;
    /* Begins to listen. Returns 0, or -errno with `*out` NULL. */
    int (*open)(struct http **out, const struct http_config *config);
    /* Closes all connections. Memory is freed as the loop goes on. NULL is fine. */
    void (*close)(struct http *http);
    /* Sends a text to all streams; whose client is too far behind loses its connection. */
    void (*publish)(struct http *http, const char *text);
    unsigned (*count_streams)(const struct http *http);
};

/* Loads it. Returns NULL with a sentence in `error`, which begins with `user`, where that is not
 * possible. */
const struct http_backend *http_load(const char *user, char *error, size_t error_size);

#endif
