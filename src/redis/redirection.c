/* "MOVED 3999 127.0.0.1:6381", "ASK 3999 :6381", "MOVED 3999 fd00::1:6381". */
#include "redirection.h"

#include <string.h>

#define DIGITS "0123456789"

int redirection_place(const char *host, size_t length, const char *own, const char *port,
                      size_t port_length, struct place *place)
{
    /* cluster-preferred-endpoint-type hostname, and the node has none. */
    if (length == 1 && host[0] == '?')
        return place_set(place, "", 0, port, port_length);
    if (length == 0) {
        host = own;
        length = strlen(own);
    }
    return place_set(place, host, length, port, port_length);
}

enum redirection_kind redirection_parse(const char *error, const char *host, struct place *place)
{
    enum redirection_kind kind = REDIRECTION_NONE;

    memset(place, 0, sizeof *place);
    if (strncmp(error, "MOVED ", 6) == 0) {
        kind = REDIRECTION_MOVED;
        error += 6;
    } else if (strncmp(error, "ASK ", 4) == 0) {
        kind = REDIRECTION_ASK;
        error += 4;
    } else {
        return kind;
    }
    size_t slot = strspn(error, DIGITS);
    const char *colon = strrchr(error, ':');
    if (slot == 0 || error[slot] != ' ' || colon == NULL || colon < error + slot + 1)
        return kind;
    error += slot + 1;
    (void)redirection_place(error, (size_t)(colon - error), host, colon + 1, strlen(colon + 1),
                            place);
    return kind;
}
