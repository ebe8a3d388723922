/* Addresses of servers, compared. */
#include "place.h"

#include <arpa/inet.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "words.h"

#define PORT_MAX 65535

/* Whether `text` is made of what can be in a host's name or number. */
static bool is_host(const char *text, size_t length)
{
    if (length == 0 || length >= PLACE_HOST_SIZE)
        return false;
    for (size_t i = 0; i < length; i++)
        if ((unsigned char)text[i] <= ' ' || text[i] == 0x7F)
            return false;
    return true;
}

int place_set(struct place *place, const char *host, size_t host_length, const char *port,
              size_t port_length)
{
    int64_t number;

    memset(place, 0, sizeof *place);
    if (!is_host(host, host_length) || number_parse(port, port_length, PORT_MAX, &number) != 0 ||
        number == 0)
        return -1;
    memcpy(place->host, host, host_length);
    snprintf(place->port, sizeof place->port, "%hu", (unsigned short)number);
    return 0;
}

/* Reads a number of either family. Returns its family, 0 for a name. */
static int read_number(const char *host, unsigned char *bytes)
{
    if (inet_pton(AF_INET, host, bytes) == 1)
        return AF_INET;
    return inet_pton(AF_INET6, host, bytes) == 1 ? AF_INET6 : 0;
}

bool place_is_same(const struct place *a, const struct place *b)
{
    unsigned char bytes[2][sizeof(struct in6_addr)] = {{0}, {0}};
    int family = read_number(a->host, bytes[0]);

    if (a->host[0] == '\0' || strcmp(a->port, b->port) != 0 ||
        read_number(b->host, bytes[1]) != family)
        return false;
    return family != 0 ? memcmp(bytes[0], bytes[1], sizeof bytes[0]) == 0
                       : strcasecmp(a->host, b->host) == 0;
}

char *place_show(const struct place *place, char *buffer, size_t size)
{
    bool brackets = strchr(place->host, ':') != NULL;

    snprintf(buffer, size, "%s%s%s:%s", brackets ? "[" : "", place->host, brackets ? "]" : "",
             place->port);
    return buffer;
}
