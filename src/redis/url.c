/* Parses and shows the address of a Redis server: what its parts mean. */
#include "leaderwrap/redis/url.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "uri.h"

#define DEFAULT_PORT "6379"
#define DATABASE_MAX 1000000

/* What is wrong with an address follows on it: "ADDRESS has no redis:// in front". */
static const char no_memory[] = "cannot be read: out of memory";

static const char bad_port[] = "has a port that is no number from 1 to 65535";

static int hex_value(char digit)
{
    return digit <= '9' ? digit - '0' : (digit | 0x20) - 'a' + 10;
}

/* Decodes percent-escapes in place and ends the text. Returns its end. */
static char *unescape(char *text)
{
    static const char digits[] = "0123456789abcdefABCDEF";
    char *end = text;

    for (const char *at = text; *at != '\0'; at++) {
        *end = *at;
        if (*at == '%' && strspn(at + 1, digits) >= 2) {
            *end = (char)(hex_value(at[1]) << 4 | hex_value(at[2]));
            at += 2;
        }
        end++;
    }
    *end = '\0';
    return end;
}

char *redis_url_decode(const char *first, const char *after, const char **why)
{
    char *text = strndup(first, (size_t)(after - first));
    const char *end;

    if (text == NULL) {
        *why = no_memory;
        return NULL;
    }
    end = unescape(text);
    if (strlen(text) != (size_t)(end - text)) {
        explicit_bzero(text, (size_t)(end - text));
        free(text);
        *why = "has a %00 in it, which no address can contain";
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

static const char *take_user_info(const struct uri_part *part, struct redis_url *url)
{
    const char *why = NULL;
    const char *colon;
    const char *user_end;

    if (part->first == NULL)
        return NULL;
    colon = memchr(part->first, ':', (size_t)(part->after - part->first));
    user_end = colon != NULL ? colon : part->after;
    if (user_end > part->first) {
        url->user = redis_url_decode(part->first, user_end, &why);
        if (url->user == NULL)
            return why;
    }
    if (colon != NULL && colon + 1 < part->after) {
        url->password = redis_url_decode(colon + 1, part->after, &why);
        if (url->password == NULL)
            return why;
    }
    return NULL;
}

static const char *take_database(const char *first, const char *after, struct redis_url *url)
{
    long database = parse_number(first, after, DATABASE_MAX);

    if (database < 0)
        return "has a database that is no number such as 0";
    url->database = (int)database;
    return NULL;
}

/* `path` begins with a slash. */
static const char *take_database_path(const struct uri_part *path, struct redis_url *url)
{
    const char *first = path->first + 1;

    if (first == path->after)
        return NULL;
    if (memchr(first, '/', (size_t)(path->after - first)) != NULL)
        return "has more behind its host than /db, the number of the database";
    return take_database(first, path->after, url);
}

static const char *take_tcp(const struct uri *uri, struct redis_url *url)
{
    const char *why = NULL;
    long port;

    url->is_tls = uri_part_is(uri->scheme, "rediss");
    if (!uri_part_is_empty(uri->query))
        return "has options behind a '?', which only unix:// addresses take";
    /* A variable that was empty must not make each machine ask a server of its own. */
    if (uri_part_is_empty(uri->host))
        return "has no host: write redis://127.0.0.1 where it is this machine";
    url->host = redis_url_decode(uri->host.first, uri->host.after, &why);
    if (url->host == NULL)
        return why;
    strcpy(url->port, DEFAULT_PORT);
    if (!uri_part_is_empty(uri->port)) {
        port = parse_number(uri->port.first, uri->port.after, 65535);
        if (port < 1)
            return bad_port;
        url->has_port = true;
        snprintf(url->port, sizeof url->port, "%hu", (unsigned short)port);
    }
    return uri->path.first != NULL ? take_database_path(&uri->path, url) : NULL;
}

static const char *take_unix(const struct uri *uri, struct redis_url *url)
{
    static const char option[] = "db=";
    const char *path = uri->path.first;
    const char *why = NULL;

    if (!uri_part_is_empty(uri->host) || !uri_part_is_empty(uri->port))
        return "has a host, but a unix:// address needs three slashes: write "
               "unix:///run/redis.sock";
    if (path == NULL || path + 1 == uri->path.after || path[1] == '/')
        return "has no path of a socket: write unix:///run/redis.sock";
    url->is_unix = true;
    url->path = redis_url_decode(path, uri->path.after, &why);
    if (url->path == NULL || uri_part_is_empty(uri->query))
        return why;
    if (strncmp(uri->query.first, option, strlen(option)) != 0)
        return "has an option that is not ?db=N";
    return take_database(uri->query.first + strlen(option), uri->query.after, url);
}

static const char *take_all(const struct uri *uri, struct redis_url *url)
{
    const char *why;

    why = take_user_info(&uri->user_info, url);
    if (why != NULL)
        return why;
    return uri_part_is(uri->scheme, "unix") ? take_unix(uri, url) : take_tcp(uri, url);
}

static bool begins(const char *text, const char *with)
{
    return strncasecmp(text, with, strlen(with)) == 0;
}

/* What is wrong with the beginning of an address, NULL if nothing. */
static const char *check_scheme(const char *text)
{
    const char *slashes = strstr(text, "://");

    if (*text == '\0')
        return "is empty: write redis://host[:port][/db] or unix:///path[?db=N]";
    if (begins(text, "redis://") || begins(text, "unix://"))
        return NULL;
    if (begins(text, "rediss://"))
        return LEADERWRAP_TLS ? NULL : "asks for TLS (rediss://), which this build does not have";
    if (*text == '/')
        return "is a path: write unix:// in front of it";
    if (begins(text, "redis:") || begins(text, "rediss:") || begins(text, "unix:"))
        return "does not have two slashes behind its first colon: write redis://host";
    if (slashes != NULL && strcspn(text, ":@/?#[") == (size_t)(slashes - text))
        return "begins with neither redis:// nor unix://";
    return "has no redis:// in front";
}

/* What is wrong with the characters of an address, or else with its host. */
static const char *check_characters(const char *authority)
{
    const char *at = strrchr(authority, '@');
    const char *host = at != NULL ? at + 1 : authority;
    size_t length = strcspn(host, "/?#");

    for (const char *letter = authority; *letter != '\0'; letter++) {
        if ((unsigned char)*letter <= ' ' || *letter == 0x7F)
            return "has a blank or a control character in it: a blank is written %20";
        if (*letter == '%' && strspn(letter + 1, "0123456789abcdefABCDEF") < 2)
            return "has a % in it that begins no percent-escape: write %25";
    }
    if (at != NULL && strcspn(authority, "/?#") < (size_t)(at - authority))
        return "has a / ? or # in its user or password: write %2F, %3F or %23";
    if (strchr(host, '#') != NULL)
        return "has a # in it: in a password write %23";
    if (at != NULL && strchr(authority, '@') != at)
        return "has more than one @ in it: in a password write %40";
    if (*host == '[')
        return "has something else than an IPv6 address in its brackets";
    const char *colon = memchr(host, ':', length);
    if (colon == NULL)
        return "has a character in it that must be written as a percent-escape";
    return memchr(colon + 1, ':', length - (size_t)(colon + 1 - host)) != NULL
               ? "has an IPv6 address without brackets: write redis://[::1]:6379"
               : bad_port;
}

/* Whether an address can be shown: one with a user or a password, or that might be one itself, is
 * not. */
static bool is_harmless(const char *text)
{
    size_t host = strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-");
    const char *port = text[host] == ':' ? text + host + 1 : text + host;
    size_t digits = strspn(port, "0123456789");

    return host > 0 && host < 64 && digits < 8 && port[digits] == '\0' &&
           (digits > 0 || memchr(text, '.', host) != NULL || strcmp(text, "localhost") == 0);
}

int redis_url_parse(const char *text, struct redis_url *url, char *error, size_t error_size)
{
    struct uri uri;
    const char *why = check_scheme(text);

    memset(url, 0, sizeof *url);
    if (why == NULL)
        why =
            uri_split(text, &uri) ? take_all(&uri, url) : check_characters(strstr(text, "://") + 3);
    if (why == NULL)
        return 0;
    snprintf(error, error_size, "%s %s", is_harmless(text) ? text : "the address", why);
    redis_url_clear(url);
    return -1;
}

/* Masks what `authority`, behind the slashes of an address, holds. Returns the end of it. */
static char *mask_authority(char *authority)
{
    char *end = authority + strcspn(authority, "/?#");
    char *at = memrchr(authority, '@', (size_t)(end - authority));

    if (at == NULL)
        return end;
    char *colon = memchr(authority, ':', (size_t)(at - authority));
    /* A user alone may be a password that lacks its colon. */
    if (colon != NULL)
        authority = colon + 1;
    memset(authority, '*', (size_t)(at - authority));
    return at;
}

void redis_url_mask(char *text)
{
    size_t scheme = strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ+");
    char *slashes = strstr(text, "://");

    if (scheme == 0 || text + scheme != slashes)
        return;
    while (slashes != NULL)
        slashes = strstr(mask_authority(slashes + 3), "://");
}

void redis_url_clear(struct redis_url *url)
{
    if (url->password != NULL)
        explicit_bzero(url->password, strlen(url->password));
    free(url->password);
    free(url->user);
    free(url->host);
    free(url->path);
    memset(url, 0, sizeof *url);
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
