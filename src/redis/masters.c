/* Ranges of slots, each with its master in front of its replicas. */
#include "leaderwrap/redis/masters.h"

#include <hiredis/hiredis.h>
#include <limits.h>
#include <stdbool.h>
#include <string.h>

#include "cluster_ask.h"

_Static_assert(MASTERS_MAX == WITNESS_PEERS_MAX + 1,
               "one of them answers, the others are its peers");
_Static_assert(sizeof((struct master *)0)->id == sizeof((struct witness_peer *)0)->id &&
                   sizeof((struct master *)0)->host == sizeof((struct place *)0)->host &&
                   sizeof((struct master *)0)->port == sizeof((struct place *)0)->port,
               "all texts fit");
_Static_assert(MASTERS_MAX <= UCHAR_MAX, "a place in the list fits into a byte");

/* Returns its place in the list, from 1; or 0 where there is no room for it. */
static unsigned char note_master(struct masters *masters, const struct witness_peer *peer)
{
    size_t at = 0;

    while (at < masters->count && strcmp(masters->list[at].id, peer->id) != 0)
        at++;
    if (at == MASTERS_MAX)
        return 0;
    if (at == masters->count) {
        struct master *master = &masters->list[masters->count++];
        memcpy(master->id, peer->id, sizeof master->id);
        memcpy(master->host, peer->place.host, sizeof master->host);
        memcpy(master->port, peer->place.port, sizeof master->port);
    }
    return (unsigned char)(at + 1);
}

static bool is_slot(const redisReply *reply)
{
    return reply != NULL && reply->type == REDIS_REPLY_INTEGER && reply->integer >= 0 &&
           reply->integer < MASTERS_SLOTS;
}

static int read_range(const redisReply *range, const char *host, struct masters *masters)
{
    struct witness_peer peer;

    if (range == NULL || range->type != REDIS_REPLY_ARRAY || range->elements < 3 ||
        !is_slot(range->element[0]) || !is_slot(range->element[1]) ||
        range->element[0]->integer > range->element[1]->integer ||
        cluster_read_node(range->element[2], host, &peer) != 0)
        return -1;
    unsigned char owner = note_master(masters, &peer);
    if (owner == 0)
        return -1;
    for (long long slot = range->element[0]->integer; slot <= range->element[1]->integer; slot++) {
        if (masters->owners[slot] != 0)
            return -1;
        masters->owners[slot] = owner;
    }
    return 0;
}

int masters_read(const redisReply *reply, const char *host, struct masters *masters)
{
    memset(masters, 0, sizeof *masters);
    if (reply->type != REDIS_REPLY_ARRAY)
        return -1;
    for (size_t i = 0; i < reply->elements; i++)
        if (read_range(reply->element[i], host, masters) != 0)
            return -1;
    return 0;
}

const struct master *masters_of(const struct masters *masters, unsigned slot)
{
    size_t owner = slot < MASTERS_SLOTS ? masters->owners[slot] : 0;

    return owner != 0 ? &masters->list[owner - 1] : NULL;
}
