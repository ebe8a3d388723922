/*
 * One request, from its bytes, which come in pieces of any size: what is kept of it, and what it is
 * refused for. Pure: no sockets and no clock.
 */
#ifndef LEADERWRAP_HTTP_REQUEST_H
#define LEADERWRAP_HTTP_REQUEST_H

#include <http_parser.h>
#include <stdbool.h>
#include <stddef.h>

#include "leaderwrap/http/http.h"

#define REQUEST_TARGET_SIZE 1024
#define REQUEST_VALUE_SIZE  1024 /* room for what a header says */
#define REQUEST_NAME_SIZE   16   /* for its name; enough to know those that are kept from others */

enum request_header {
    REQUEST_HOST,
    REQUEST_ORIGIN,
    REQUEST_AUTHORIZATION,
    REQUEST_CONTENT_TYPE,
    REQUEST_HEADERS /* any other one */
};

struct request_value {
    char text[REQUEST_VALUE_SIZE];
    size_t length;
    unsigned times; /* that the header came */
    bool is_cut;
};

/* All in place: it owns nothing, and may not be moved, as the parser points to it. */
struct request {
    http_parser parser;
    bool takes_posts;
    int status; /* as request_take says */
    bool headers_ended;
    size_t received;
    size_t target_length;
    char target[REQUEST_TARGET_SIZE];
    const char *path;             /* in `target`, known with the headers' end */
    char name[REQUEST_NAME_SIZE]; /* of the header that is being read */
    size_t name_length;
    bool in_value;
    struct request_value values[REQUEST_HEADERS];
    char body[HTTP_BODY_MOST + 1];
    size_t body_length;
};

void request_begin(struct request *request, bool takes_posts);

/* Takes its next bytes. Returns 0: more is to come; 200: it is whole, and what may follow is not
 * read; else the status that it is refused with. Nothing is taken after that. */
int request_take(struct request *request, const char *bytes, size_t length);

/* One of enum http_method; HTTP_GET before it is known. */
unsigned request_method(const struct request *request);

/* Tells what a whole one is. `*out` points into it, until it is cleared. */
void request_tell(const struct request *request, struct http_request *out);

/* Wipes what may be secret. The method is still known. */
void request_clear(struct request *request);

#endif
