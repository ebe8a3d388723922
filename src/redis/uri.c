/* Splitting an address: RFC 3986, section 3. */
#include "uri.h"

#include <arpa/inet.h>
#include <string.h>

#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS  "0123456789"

/* What may stand in each part as it is ("unreserved" and "sub-delims"), and what else in some. */
#define NAME_LETTERS  LETTERS DIGITS "-._~!$&'()*+,;="
#define USER_LETTERS  NAME_LETTERS ":"
#define PATH_LETTERS  NAME_LETTERS ":@/"
#define QUERY_LETTERS PATH_LETTERS "?"

#define HEX_DIGITS DIGITS "abcdefABCDEF"

/* Whether the part is made of `letters` and percent-escapes alone. */
static bool is_made_of(struct uri_part part, const char *letters)
{
    const char *at = part.first;

    while (at < part.after) {
        size_t plain = strspn(at, letters);

        if (plain == 0 && (*at != '%' || strspn(at + 1, HEX_DIGITS) < 2))
            return false;
        at += plain > 0 ? plain : 3;
    }
    return true;
}

static bool is_number(struct uri_part part)
{
    return part.first == NULL || part.first + strspn(part.first, DIGITS) >= part.after;
}

static bool is_ipv6(struct uri_part part)
{
    char text[INET6_ADDRSTRLEN];
    struct in6_addr address;
    size_t length = (size_t)(part.after - part.first);

    if (length >= sizeof text)
        return false;
    memcpy(text, part.first, length);
    text[length] = '\0';
    return inet_pton(AF_INET6, text, &address) == 1;
}

/* `at` begins with the host, which with its port ends before `after`. */
static bool split_host(const char *at, const char *after, struct uri *uri)
{
    bool is_literal = *at == '[';

    if (is_literal)
        at++;
    size_t length = is_literal ? strcspn(at, "]") : strcspn(at, ":/?");
    uri->host = (struct uri_part){at, at + length};
    if (uri->host.after > after || (is_literal && *uri->host.after != ']'))
        return false;
    at = is_literal ? uri->host.after + 1 : uri->host.after;
    if (at < after && *at == ':')
        uri->port = (struct uri_part){at + 1, after};
    else if (at != after)
        return false;
    return is_literal ? is_ipv6(uri->host) : is_made_of(uri->host, NAME_LETTERS);
}

static bool split_authority(struct uri_part authority, struct uri *uri)
{
    const char *host = authority.first;
    const char *at = memchr(host, '@', (size_t)(authority.after - host));

    if (at != NULL) {
        uri->user_info = (struct uri_part){host, at};
        host = at + 1;
    }
    return split_host(host, authority.after, uri) && is_made_of(uri->user_info, USER_LETTERS) &&
           is_number(uri->port);
}

bool uri_split(const char *text, struct uri *uri)
{
    const char *slashes = strstr(text, "://");
    struct uri_part authority;

    memset(uri, 0, sizeof *uri);
    if (slashes == NULL)
        return false;
    uri->scheme = (struct uri_part){text, slashes};
    authority.first = slashes + 3;
    authority.after = authority.first + strcspn(authority.first, "/?");
    const char *at = authority.after;
    if (*at == '/') {
        uri->path = (struct uri_part){at, at + strcspn(at, "?")};
        at = uri->path.after;
    }
    if (*at == '?')
        uri->query = (struct uri_part){at + 1, at + strlen(at)};
    return split_authority(authority, uri) && is_made_of(uri->path, PATH_LETTERS) &&
           is_made_of(uri->query, QUERY_LETTERS);
}

bool uri_part_is_empty(struct uri_part part)
{
    return part.first == part.after;
}

bool uri_part_is(struct uri_part part, const char *text)
{
    size_t length = strlen(text);

    return part.first != NULL && (size_t)(part.after - part.first) == length &&
           strncasecmp(part.first, text, length) == 0;
}
