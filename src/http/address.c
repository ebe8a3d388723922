/* Where to listen, and the loading of what does. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "leaderwrap/base/module.h"
#include "leaderwrap/http/http.h"

#define UNIX_PREFIX "unix:"

static const char form[] = "write ADDRESS:PORT with a numeric address, such as 127.0.0.1:8008 or "
                           "[::1]:8008, or unix:PATH";

static const char *parse_path(struct http_address *address, const char *path)
{
    const struct sockaddr_un *sizes = NULL;

    if (path[0] == '\0')
        return form;
    if (strlen(path) >= sizeof sizes->sun_path)
        return "the path is too long for a Unix socket: 107 bytes are the most";
    address->path = path;
    return NULL;
}

static int parse_port(const char *text)
{
    if (text[0] == '\0' || strspn(text, "0123456789") != strlen(text) || strlen(text) > 5)
        return -1;
    int port = (int)strtol(text, NULL, 10);
    return port >= 1 && port <= 65535 ? port : -1;
}

const char *http_address_parse(struct http_address *address, const char *text)
{
    const char *colon = strrchr(text, ':');
    char host[INET6_ADDRSTRLEN + 2] = "";
    int result;

    memset(address, 0, sizeof *address);
    if (strncmp(text, UNIX_PREFIX, strlen(UNIX_PREFIX)) == 0)
        return parse_path(address, text + strlen(UNIX_PREFIX));
    if (colon == NULL || (size_t)(colon - text) >= sizeof host)
        return form;
    memcpy(host, text, (size_t)(colon - text));
    size_t length = strlen(host);
    int port = parse_port(colon + 1);
    if (port < 0)
        return "the port is a number from 1 to 65535";
    if (host[0] == '[' && host[length - 1] == ']') {
        host[length - 1] = '\0';
        result = uv_ip6_addr(host + 1, port, (struct sockaddr_in6 *)&address->socket);
    } else {
        result = uv_ip4_addr(host, port, (struct sockaddr_in *)&address->socket);
    }
    return result == 0 ? NULL : form;
}

const struct http_backend *http_load(const char *user, char *error, size_t error_size)
{
    return module_load("leaderwrap-http.so", "leaderwrap_http_backend", user, error, error_size);
}
