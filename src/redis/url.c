/*
 * Parses and shows the address of a Redis server. uriparser splits the text; what the parts mean
 * is decided here.
 */
#include "leaderwrap/url.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <uriparser/Uri.h>

#define DEFAULT_HOST "127.0.0.1"
#define DEFAULT_PORT "6379"
#define DATABASE_MAX 1000000

static const char usage[] =
    "an address is redis://[user[:password]@]host[:port][/db] or unix:///path/to/socket[?db=N]; in "
    "a password write characters such as / ? # @ % as percent-escapes";
static const char no_memory[] = "out of memory";

static bool range_is(const UriTextRangeA *range, const char *text)
{
    size_t length = strlen(text);

    return range->first != NULL && (size_t)(range->afterLast - range->first) == length &&
           strncasecmp(range->first, text, length) == 0;
}

static bool range_is_empty(const UriTextRangeA *range)
{
    return range->first == NULL || range->first == range->afterLast;
}

/* Copies [first, after) with its percent-escapes decoded. NULL when out of memory or where a NUL
 * byte was hidden in an escape; `*why` says which. */
static char *decode(const char *first, const char *after, const char **why)
{
    char *text = strndup(first, (size_t)(after - first));
    const char *end;

    if (text == NULL) {
        *why = no_memory;
        return NULL;
    }
    end = uriUnescapeInPlaceExA(text, URI_FALSE, URI_BR_DONT_TOUCH);
    if (strlen(text) != (size_t)(end - text)) {
        explicit_bzero(text, (size_t)(end - text));
        free(text);
        *why = "an address cannot contain %00";
        return NULL;
    }
    return text;
}

/* Digits only, from 0 to `max`; -1 for anything else. */
static long parse_number(const char *first, const char *after, long max)
{
    long value = 0;

    if (first == NULL || first == after)
        return -1;
    for (; first < after; first++) {
        if (*first < '0' || *first > '9')
            return -1;
        value = value * 10 + (*first - '0');
        if (value > max)
            return -1;
    }
    return value;
}

static const char *take_user_info(const UriTextRangeA *range, struct redis_url *url)
{
    const char *why = NULL;
    const char *colon;
    const char *user_end;

    if (range->first == NULL)
        return NULL;
    colon = memchr(range->first, ':', (size_t)(range->afterLast - range->first));
    user_end = colon != NULL ? colon : range->afterLast;
    if (user_end > range->first) {
        url->user = decode(range->first, user_end, &why);
        if (url->user == NULL)
            return why;
    }
    if (colon != NULL && colon + 1 < range->afterLast) {
        url->password = decode(colon + 1, range->afterLast, &why);
        if (url->password == NULL)
            return why;
    }
    return NULL;
}

static const char *take_database(const char *first, const char *after, struct redis_url *url)
{
    long database = parse_number(first, after, DATABASE_MAX);

    if (database < 0)
        return "the database in an address is a number such as 0";
    url->database = (int)database;
    return NULL;
}

static const char *take_tcp(const UriUriA *uri, struct redis_url *url)
{
    const UriPathSegmentA *path = uri->pathHead;
    const char *why = NULL;
    long port;

    if (!range_is_empty(&uri->query))
        return "a redis:// address takes no options after '?'";
    url->host = range_is_empty(&uri->hostText)
                    ? strdup(DEFAULT_HOST)
                    : decode(uri->hostText.first, uri->hostText.afterLast, &why);
    if (url->host == NULL)
        return why != NULL ? why : no_memory;
    strcpy(url->port, DEFAULT_PORT);
    if (!range_is_empty(&uri->portText)) {
        port = parse_number(uri->portText.first, uri->portText.afterLast, 65535);
        if (port < 1)
            return "the port in an address is a number from 1 to 65535";
        snprintf(url->port, sizeof(url->port), "%hu", (unsigned short)port);
    }
    if (path == NULL || (path->next == NULL && range_is_empty(&path->text)))
        return NULL;
    if (path->next != NULL)
        return "after the host an address has at most /db, the number of the database";
    return take_database(path->text.first, path->text.afterLast, url);
}

/* Joins the decoded segments with slashes into url->path. */
static const char *take_path(const UriPathSegmentA *head, struct redis_url *url)
{
    const UriPathSegmentA *segment;
    const char *why = NULL;
    size_t size = 1;
    size_t length = 0;

    for (segment = head; segment != NULL; segment = segment->next)
        size += 1 + (size_t)(segment->text.afterLast - segment->text.first);
    url->path = malloc(size);
    if (url->path == NULL)
        return no_memory;
    url->path[0] = '\0';
    for (segment = head; segment != NULL; segment = segment->next) {
        char *text = decode(segment->text.first, segment->text.afterLast, &why);

        if (text == NULL)
            return why;
        length += (size_t)snprintf(url->path + length, size - length, "/%s", text);
        free(text);
    }
    return NULL;
}

static const char *take_unix(const UriUriA *uri, struct redis_url *url)
{
    static const char option[] = "db=";
    const char *why;

    if (!range_is_empty(&uri->hostText) || !range_is_empty(&uri->portText))
        return "a unix:// address has no host: write three slashes, as in unix:///run/redis.sock";
    if (uri->pathHead == NULL || range_is_empty(&uri->pathHead->text))
        return "a unix:// address needs the path of the socket, as in unix:///run/redis.sock";
    url->is_unix = true;
    why = take_path(uri->pathHead, url);
    if (why != NULL || range_is_empty(&uri->query))
        return why;
    if (strncmp(uri->query.first, option, strlen(option)) != 0)
        return "the only option of a unix:// address is ?db=N";
    return take_database(uri->query.first + strlen(option), uri->query.afterLast, url);
}

static const char *take_all(const UriUriA *uri, struct redis_url *url)
{
    const char *why;

    if (range_is(&uri->scheme, "rediss"))
        return "rediss:// (TLS) is not supported by this build";
    if (!range_is(&uri->scheme, "redis") && !range_is(&uri->scheme, "unix"))
        return usage;
    if (uri->fragment.first != NULL)
        return usage;
    why = take_user_info(&uri->userInfo, url);
    if (why != NULL)
        return why;
    return range_is(&uri->scheme, "unix") ? take_unix(uri, url) : take_tcp(uri, url);
}

int redis_url_parse(const char *text, struct redis_url *url, char *error, size_t error_size)
{
    UriUriA uri;
    const char *why;

    memset(url, 0, sizeof(*url));
    if (uriParseSingleUriA(&uri, text, NULL) == URI_SUCCESS) {
        why = take_all(&uri, url);
        uriFreeUriMembersA(&uri);
    } else {
        why = usage;
    }
    if (why == NULL)
        return 0;
    snprintf(error, error_size, "%s", why);
    redis_url_clear(url);
    return -1;
}

void redis_url_clear(struct redis_url *url)
{
    if (url->password != NULL)
        explicit_bzero(url->password, strlen(url->password));
    free(url->password);
    free(url->user);
    free(url->host);
    free(url->path);
    memset(url, 0, sizeof(*url));
}

char *redis_url_show(const struct redis_url *url, char *buffer, size_t size)
{
    if (url->is_unix)
        snprintf(buffer, size, "%s", url->path);
    else if (strchr(url->host, ':') != NULL)
        snprintf(buffer, size, "[%s]:%s", url->host, url->port);
    else
        snprintf(buffer, size, "%s:%s", url->host, url->port);
    return buffer;
}
