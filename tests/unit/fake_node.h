/*
 * A node of a cluster that says what the test tells it to: who owns the key's slot, which nodes
 * there are, and what becomes of scripts.
 */
#ifndef LEADERWRAP_TEST_FAKE_NODE_H
#define LEADERWRAP_TEST_FAKE_NODE_H

#include <inttypes.h>
#include <stdio.h>

#include "fake_server.h"

#define FAKE_NODES_MAX 4

struct fake_node {
    struct fake_server server; /* first */
    char digit;                /* of which its id is made */
    const char *host;          /* as it is announced; NULL: nil */
    const struct fake_node *owner;
    uint64_t epoch;     /* of the owner, as this one knows it */
    const char *nodes;  /* what CLUSTER NODES is answered instead; NULL: nothing */
    const char *error;  /* what GET is answered instead; NULL: nothing */
    const char *script; /* what a script is answered; NULL: no answer */
    bool mute;
    bool is_alone; /* it is in no cluster */
    int questions; /* for the key, answered or not */
    int scripts;
    int waits;
    bool holds_wait; /* it is not answered */
    int asking;      /* scripts with ASKING in front of them */
    bool asked;      /* ASKING was the last command */
    struct fake_node *masters[FAKE_NODES_MAX];
    struct fake_node *replica; /* of the first of them */
    char answer[2048];
};

static inline size_t fake_node_write(const struct fake_node *node, char *text, size_t size)
{
    if (node->host == NULL)
        return (size_t)snprintf(text, size, "*3\r\n$-1\r\n:%d\r\n$40\r\n%040d\r\n",
                                node->server.port, node->digit - '0');
    return (size_t)snprintf(text, size, "*4\r\n$%zu\r\n%s\r\n:%d\r\n$40\r\n%040d\r\n*0\r\n",
                            strlen(node->host), node->host, node->server.port, node->digit - '0');
}

static inline const char *fake_node_slots(struct fake_node *fake)
{
    size_t used;
    int count = 0;

    while (count < FAKE_NODES_MAX && fake->masters[count] != NULL)
        count++;
    used = (size_t)snprintf(fake->answer, sizeof fake->answer, "*%d\r\n", count);
    for (int i = 0; i < count; i++) {
        bool followed = i == 0 && fake->replica != NULL;

        used += (size_t)snprintf(fake->answer + used, sizeof fake->answer - used,
                                 "*%d\r\n:%d\r\n:%d\r\n", followed ? 4 : 3, i * 100, i * 100 + 99);
        used += fake_node_write(fake->masters[i], fake->answer + used, sizeof fake->answer - used);
        if (followed)
            used += fake_node_write(fake->replica, fake->answer + used, sizeof fake->answer - used);
    }
    return fake->answer;
}

/* The owner has all slots; the others are of no interest. */
static inline const char *fake_node_nodes(struct fake_node *fake)
{
    const struct fake_node *owner = fake->owner;
    bool named = owner->host != NULL;
    char line[512];
    int length =
        snprintf(line, sizeof line,
                 "%040d 127.0.0.1:%d@%d%s%s %smaster - 0 0 %" PRIu64 " connected 0-16383\n",
                 owner->digit - '0', owner->server.port, owner->server.port + 1, named ? "," : "",
                 named ? owner->host : "", owner == fake ? "myself," : "", fake->epoch);

    snprintf(fake->answer, sizeof fake->answer, "$%d\r\n%s\r\n", length, line);
    return fake->answer;
}

/* -MOVED or another word with the place of `to`. */
static inline const char *fake_node_lead(struct fake_node *fake, const char *word,
                                         const struct fake_node *to)
{
    snprintf(fake->answer, sizeof fake->answer, "-%s 42 %s:%d\r\n", word,
             to->host != NULL ? to->host : "", to->server.port);
    return fake->answer;
}

static inline const char *fake_node_respond(struct fake_server *server)
{
    struct fake_node *fake = (struct fake_node *)server;
    bool asked = fake->asked;

    fake->asked = strcmp(server->last, "ASKING") == 0;
    if (strncmp(server->last, "GET ", 4) == 0)
        fake->questions++;
    if (fake->mute)
        return NULL;
    if (fake->asked)
        return "+OK\r\n";
    if (strncmp(server->last, "CLUSTER ", 8) == 0 && fake->is_alone)
        return "-ERR This instance has cluster support disabled\r\n";
    if (strcmp(server->last, "CLUSTER MYID") == 0) {
        snprintf(fake->answer, sizeof fake->answer, "$40\r\n%040d\r\n", fake->digit - '0');
        return fake->answer;
    }
    if (strcmp(server->last, "CLUSTER SLOTS") == 0)
        return fake_node_slots(fake);
    if (strcmp(server->last, "CLUSTER NODES") == 0)
        return fake->nodes != NULL ? fake->nodes : fake_node_nodes(fake);
    if (strncmp(server->last, "GET ", 4) == 0) {
        if (fake->error != NULL)
            return fake->error;
        return fake->owner == fake ? "$-1\r\n" : fake_node_lead(fake, "MOVED", fake->owner);
    }
    if (strncmp(server->last, "WAIT ", 5) == 0) {
        fake->waits++;
        return fake->holds_wait ? NULL : ":1\r\n";
    }
    fake->scripts++;
    fake->asking += asked;
    return fake->script;
}

/* Of the id that `digit` makes, on 127.0.0.1, and the owner of the key. */
static inline void fake_node_start(struct fake_node *fake, uv_loop_t *loop, char digit)
{
    fake_server_start(&fake->server, loop);
    fake->server.respond = fake_node_respond;
    fake->digit = digit;
    fake->host = "127.0.0.1";
    fake->owner = fake;
}

#endif
