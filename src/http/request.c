/* What http-parser says of a request, and the bounds of it. */
#include "request.h"

#include <stdint.h>
#include <string.h>
#include <strings.h>

#define HOST_SIZE 262 /* a name, a colon, a port */

static const struct {
    const char *name;
    size_t size; /* of its value, with a NUL */
} kept[REQUEST_HEADERS] = {
    [REQUEST_HOST] = {"Host", HOST_SIZE},
    [REQUEST_ORIGIN] = {"Origin", REQUEST_VALUE_SIZE},
    [REQUEST_AUTHORIZATION] = {"Authorization", REQUEST_VALUE_SIZE},
    [REQUEST_CONTENT_TYPE] = {"Content-Type", REQUEST_VALUE_SIZE},
};

/* To be returned to the parser, which then stops for good, whatever it has asked. */
static int end_with(struct request *request, int status)
{
    request->status = status;
    return -1;
}

static int on_target(http_parser *parser, const char *at, size_t length)
{
    struct request *request = parser->data;

    if (request->target_length + length >= sizeof request->target)
        return end_with(request, 414);
    memcpy(request->target + request->target_length, at, length);
    request->target_length += length;
    return 0;
}

/* The name of a header may come in pieces. One that is too long is nobody's. */
static int on_name(http_parser *parser, const char *at, size_t length)
{
    struct request *request = parser->data;

    if (request->in_value)
        request->name_length = 0;
    request->in_value = false;
    for (size_t i = 0; i < length && request->name_length < sizeof request->name; i++)
        request->name[request->name_length++] = at[i];
    return 0;
}

static enum request_header header_of(const struct request *request)
{
    enum request_header header = REQUEST_HOST;

    while (header < REQUEST_HEADERS &&
           (request->name_length != strlen(kept[header].name) ||
            strncasecmp(request->name, kept[header].name, request->name_length) != 0))
        header++;
    return header;
}

static int on_value(http_parser *parser, const char *at, size_t length)
{
    struct request *request = parser->data;
    enum request_header header = header_of(request);
    bool begins = !request->in_value;

    request->in_value = true;
    /* Behind a body come headers of no weight: whoever made the body made them. */
    if (header == REQUEST_HEADERS || request->headers_ended)
        return 0;
    struct request_value *value = &request->values[header];
    value->times += begins;
    size_t room = kept[header].size - 1 - value->length;
    value->is_cut = value->is_cut || length > room;
    memcpy(value->text + value->length, at, length < room ? length : room);
    value->length += length < room ? length : room;
    return 0;
}

/* Cuts the target down to its path. Returns NULL where it has none. */
static const char *path_of(struct request *request)
{
    struct http_parser_url url;
    char *target = request->target;

    /* The server as a whole. */
    if (strcmp(target, "*") == 0 && request->parser.method == HTTP_OPTIONS)
        return "*";
    http_parser_url_init(&url);
    if (http_parser_parse_url(target, request->target_length, 0, &url) != 0 ||
        (url.field_set & (1 << UF_PATH)) == 0 || target[url.field_data[UF_PATH].off] != '/')
        return NULL;
    target[url.field_data[UF_PATH].off + url.field_data[UF_PATH].len] = '\0';
    return target + url.field_data[UF_PATH].off;
}

static bool takes(const struct request *request, unsigned method)
{
    return method == HTTP_GET || method == HTTP_HEAD || method == HTTP_OPTIONS ||
           (method == HTTP_POST && request->takes_posts);
}

/* Only a POST's body is waited for; and that is not where it says that it will be too long. */
static int on_headers(http_parser *parser)
{
    struct request *request = parser->data;

    request->headers_ended = true;
    if (!takes(request, parser->method))
        return end_with(request, 405);
    request->path = path_of(request);
    if (request->path == NULL)
        return end_with(request, 400);
    if (parser->method != HTTP_POST)
        return end_with(request, 200);
    /* The largest number stands for no length. */
    if (parser->content_length != UINT64_MAX && parser->content_length > HTTP_BODY_MOST)
        return end_with(request, 413);
    return 0;
}

static int on_body(http_parser *parser, const char *at, size_t length)
{
    struct request *request = parser->data;

    if (length > HTTP_BODY_MOST - request->body_length)
        return end_with(request, 413);
    memcpy(request->body + request->body_length, at, length);
    request->body_length += length;
    return 0;
}

static int on_end(http_parser *parser)
{
    return end_with(parser->data, 200);
}

void request_begin(struct request *request, bool takes_posts)
{
    memset(request, 0, sizeof *request);
    http_parser_init(&request->parser, HTTP_REQUEST);
    request->parser.data = request;
    request->takes_posts = takes_posts;
}

int request_take(struct request *request, const char *bytes, size_t length)
{
    static const http_parser_settings settings = {.on_url = on_target,
                                                  .on_header_field = on_name,
                                                  .on_header_value = on_value,
                                                  .on_headers_complete = on_headers,
                                                  .on_body = on_body,
                                                  .on_message_complete = on_end};

    request->received += length;
    (void)http_parser_execute(&request->parser, &settings, bytes, length);
    enum http_errno problem = HTTP_PARSER_ERRNO(&request->parser);
    if (request->status != 0)
        return request->status;
    if (problem == HPE_HEADER_OVERFLOW || request->received >= HTTP_REQUEST_MOST)
        request->status = request->headers_ended ? 413 : 431;
    else if (problem != HPE_OK)
        request->status = 400;
    return request->status;
}

unsigned request_method(const struct request *request)
{
    /* Before there is a target the parser's is a guess. */
    return request->target_length > 0 ? request->parser.method : HTTP_GET;
}

static const char *text_of(const struct request *request, enum request_header header)
{
    const struct request_value *value = &request->values[header];
    /* A name that is too long stays one that nobody has. */
    bool is_whole = !value->is_cut || header == REQUEST_HOST;

    return value->times == 1 && is_whole ? value->text : "";
}

void request_tell(const struct request *request, struct http_request *out)
{
    *out = (struct http_request){.path = request->path,
                                 .host = text_of(request, REQUEST_HOST),
                                 .origin = text_of(request, REQUEST_ORIGIN),
                                 .authorization = text_of(request, REQUEST_AUTHORIZATION),
                                 .content_type = text_of(request, REQUEST_CONTENT_TYPE),
                                 .is_post = request->parser.method == HTTP_POST,
                                 .body = request->body,
                                 .body_length = request->body_length};
}

void request_clear(struct request *request)
{
    explicit_bzero(request->values, sizeof request->values);
    explicit_bzero(request->body, sizeof request->body);
}
