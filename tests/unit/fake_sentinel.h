/*
 * A sentinel that knows what the test tells it to.
 */
#ifndef LEADERWRAP_TEST_FAKE_SENTINEL_H
#define LEADERWRAP_TEST_FAKE_SENTINEL_H

#include <stdio.h>

#include "fake_server.h"

struct fake_sentinel {
    struct fake_server server; /* first */
    char digit;                /* of which its id is made */
    const char *host;          /* of the master; NULL: it knows none */
    int port;
    int epoch;
    bool mute;
    int questions; /* about the master, answered or not */
    const struct fake_sentinel *peers[4];
    char answer[1024];
};

static inline const char *fake_sentinel_respond(struct fake_server *server)
{
    struct fake_sentinel *fake = (struct fake_sentinel *)server;
    size_t used;
    int count = 0;

    fake->questions += strstr(server->last, "GET-MASTER") != NULL;
    if (fake->mute)
        return NULL;
    if (strcmp(server->last, "SENTINEL MYID") == 0) {
        snprintf(fake->answer, sizeof fake->answer, "$40\r\n%040d\r\n", fake->digit - '0');
    } else if (strcmp(server->last, "SENTINEL SENTINELS lab") == 0) {
        while (count < 4 && fake->peers[count] != NULL)
            count++;
        used = (size_t)snprintf(fake->answer, sizeof fake->answer, "*%d\r\n", count);
        for (int i = 0; i < count; i++)
            used +=
                (size_t)snprintf(fake->answer + used, sizeof fake->answer - used,
                                 "*6\r\n$2\r\nip\r\n$9\r\n127.0.0.1\r\n$4\r\nport\r\n$5\r\n%05d\r\n"
                                 "$5\r\nrunid\r\n$40\r\n%040d\r\n",
                                 fake->peers[i]->server.port, fake->peers[i]->digit - '0');
    } else if (strcmp(server->last, "SENTINEL GET-MASTER-ADDR-BY-NAME lab") == 0) {
        snprintf(fake->answer, sizeof fake->answer, "*2\r\n$%zu\r\n%s\r\n$5\r\n%05d\r\n",
                 strlen(fake->host != NULL ? fake->host : ""), fake->host, fake->port);
        if (fake->host == NULL)
            return "*-1\r\n";
    } else if (strcmp(server->last, "SENTINEL MASTER lab") == 0) {
        snprintf(fake->answer, sizeof fake->answer,
                 "*4\r\n$4\r\nname\r\n$3\r\nlab\r\n$12\r\nconfig-epoch\r\n$5\r\n%05d\r\n",
                 fake->epoch);
        if (fake->host == NULL)
            return "-ERR No such master with that name\r\n";
    } else {
        return "-ERR unknown subcommand\r\n";
    }
    return fake->answer;
}

/* Of the id that `digit` makes, naming 127.0.0.1:6379 in epoch 1. */
static inline void fake_sentinel_start(struct fake_sentinel *fake, uv_loop_t *loop, char digit)
{
    fake_server_start(&fake->server, loop);
    fake->server.respond = fake_sentinel_respond;
    fake->digit = digit;
    fake->host = "127.0.0.1";
    fake->port = 6379;
    fake->epoch = 1;
}

#endif
