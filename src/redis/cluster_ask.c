/* Questions to the nodes of a cluster. */
#include "cluster_ask.h"

#include <errno.h>
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <string.h>

#include "cluster_nodes.h"
#include "leaderwrap/base/log.h"
#include "leaderwrap/redis/errors.h"
#include "leaderwrap/redis/store.h"
#include "question.h"
#include "redirection.h"
#include "route.h"

struct owner_question {
    struct master_question master; /* first; its answer says why there is no owner */
    unsigned slot;
    bool has_owner;
    struct slot_owner owner;
};

static const char *own_host(const struct question *question)
{
    return connection_hop(question->connection)->host;
}

/* ---- the owner ---- */

static void read_error(const redisReply *reply, const char *host, struct witness_answer *answer)
{
    switch (redirection_parse(reply->str, host, &answer->place)) {
    case REDIRECTION_MOVED:
        if (answer->place.host[0] != '\0') {
            answer->says = WITNESS_NAMES;
            return;
        }
        break;
    case REDIRECTION_ASK:
        answer->says = WITNESS_ITSELF;
        return;
    case REDIRECTION_NONE:
        /* It has the key, and no lease is in it, which is somebody else's trouble. */
        if (strncmp(reply->str, "WRONGTYPE ", 10) == 0) {
            answer->says = WITNESS_ITSELF;
            return;
        }
        break;
    }
    answer->failure = error_class(reply->str);
    error_explain(reply->str, answer->text, sizeof answer->text);
}

void cluster_read_answer(const redisReply *reply, const char *host, struct witness_answer *answer)
{
    memset(answer, 0, sizeof *answer);
    answer->says = WITNESS_REFUSES;
    if (reply->type == REDIS_REPLY_STRING || reply->type == REDIS_REPLY_NIL) {
        answer->says = WITNESS_ITSELF;
    } else if (reply->type == REDIS_REPLY_ERROR) {
        read_error(reply, host, answer);
    } else {
        answer->failure = LEASE_FAILURE_TRANSIENT;
        snprintf(answer->text, sizeof answer->text, "it answered something that no node says");
    }
}

static void refuse(struct witness_answer *answer, const char *why)
{
    memset(answer, 0, sizeof *answer);
    answer->says = WITNESS_REFUSES;
    answer->failure = LEASE_FAILURE_TRANSIENT;
    snprintf(answer->text, sizeof answer->text, "%s", why);
}

int cluster_read_owner(const redisReply *reply, unsigned slot, struct slot_owner *owner,
                       struct witness_answer *answer)
{
    bool text = reply->type == REDIS_REPLY_STRING;

    if (text && slot_owner_read(reply->str, reply->len, slot, owner) == 0)
        return 0;
    refuse(answer, "it answered to CLUSTER NODES what no node says");
    if (reply->type == REDIS_REPLY_ERROR) {
        answer->failure = error_class(reply->str);
        error_explain(reply->str, answer->text, sizeof answer->text);
    }
    return -1;
}

void cluster_add_epoch(const struct slot_owner *owner, const char *host,
                       struct witness_answer *answer)
{
    bool itself = answer->says == WITNESS_ITSELF;

    if (answer->says != WITNESS_NAMES && !itself)
        return;
    if (owner->found && owner->myself == itself &&
        (itself || slot_owner_is_at(owner, &answer->place, host)))
        answer->epoch = owner->epoch;
    else
        refuse(answer, "the slot of the key went to another node while it was asked");
}

static void on_nodes(void *context, const redisReply *reply)
{
    struct owner_question *question = context;

    if (reply != NULL)
        question->has_owner = cluster_read_owner(reply, question->slot, &question->owner,
                                                 &question->master.answer) == 0;
    question_heard(context);
}

static void on_get(void *context, const redisReply *reply)
{
    struct owner_question *question = context;
    const char *host = own_host(context);
    struct witness_answer answer;

    if (reply == NULL) {
        question_heard(context);
        return;
    }
    cluster_read_answer(reply, host, &answer);
    if (question->has_owner)
        cluster_add_epoch(&question->owner, host, &answer);
    else if (answer.says != WITNESS_REFUSES)
        answer = question->master.answer;
    question_end(&question->master, &answer);
}

int cluster_ask(struct connection *connection, const char *key, witness_answer_fn *function,
                void *context)
{
    const struct question_part parts[2] = {{{"CLUSTER", "NODES"}, on_nodes},
                                           {{"GET", key}, on_get}};
    struct owner_question *question = question_new(sizeof *question, connection, context);

    if (question == NULL)
        return -ENOMEM;
    question->master.answered = function;
    question->slot = store_slot(key);
    return question_send(&question->master.question, parts);
}

/* ---- the nodes ---- */

static bool is_id(const redisReply *reply)
{
    return reply != NULL && reply->type == REDIS_REPLY_STRING &&
           reply->len == WITNESS_ID_SIZE - 1 &&
           strspn(reply->str, "0123456789abcdef") == reply->len;
}

int cluster_read_node(const redisReply *reply, const char *host, struct witness_peer *peer)
{
    char port[24];

    if (reply == NULL || reply->type != REDIS_REPLY_ARRAY || reply->elements < 3 ||
        reply->element[1]->type != REDIS_REPLY_INTEGER || !is_id(reply->element[2]))
        return -1;
    const redisReply *name = reply->element[0];
    bool named = name->type == REDIS_REPLY_STRING;
    if (!named && name->type != REDIS_REPLY_NIL)
        return -1;
    int length = snprintf(port, sizeof port, "%lld", reply->element[1]->integer);
    memcpy(peer->id, reply->element[2]->str, WITNESS_ID_SIZE);
    /* A node whose address is not known cannot be asked, but it counts. */
    (void)redirection_place(named ? name->str : "", named ? name->len : 0, host, port,
                            (size_t)length, &peer->place);
    return 0;
}

/* Adds what is new. Returns 0, or -1 where there is no room for it. */
static int note_node(struct witness_peers *peers, const struct witness_peer *peer)
{
    if (strcmp(peers->id, peer->id) == 0) {
        peers->place = peer->place;
        peers->has_vote = peers->has_vote || peer->has_vote;
        return 0;
    }
    for (size_t i = 0; i < peers->count; i++)
        if (strcmp(peers->list[i].id, peer->id) == 0)
            return 0;
    if (peers->count == WITNESS_PEERS_MAX)
        return -1;
    peers->list[peers->count++] = *peer;
    return 0;
}

/* Takes the master or the replicas of a range of slots. Masters must all be counted. */
static int note_range(const redisReply *range, bool masters, const char *own,
                      struct witness_peers *peers)
{
    if (range == NULL || range->type != REDIS_REPLY_ARRAY || range->elements < 3)
        return -1;
    size_t first = masters ? 2 : 3, end = masters ? 3 : range->elements;

    for (size_t i = first; i < end; i++) {
        struct witness_peer peer = {.has_vote = masters};

        if (cluster_read_node(range->element[i], own, &peer) != 0)
            return -1;
        if (note_node(peers, &peer) != 0 && masters)
            return -1;
    }
    return 0;
}

int cluster_read_peers(const redisReply *reply, const char *host, struct witness_peers *peers)
{
    if (reply->type != REDIS_REPLY_ARRAY)
        return -1;
    peers->has_vote = false;
    peers->count = 0;
    memset(&peers->place, 0, sizeof peers->place);
    for (int replicas = 0; replicas < 2; replicas++)
        for (size_t i = 0; i < reply->elements; i++)
            if (note_range(reply->element[i], replicas == 0, host, peers) != 0)
                return -1;
    return 0;
}

static void complain(const redisReply *reply)
{
    char text[LEASE_TEXT_SIZE];

    if (reply->type == REDIS_REPLY_ERROR)
        log_line(LOG_LEVEL_DEBUG, "cluster", "a node does not say which nodes there are: %s",
                 error_explain(reply->str, text, sizeof text));
}

static void on_id(void *context, const redisReply *reply)
{
    struct peers_question *question = context;

    if (reply != NULL && is_id(reply))
        memcpy(question->peers.id, reply->str, WITNESS_ID_SIZE);
    else if (reply != NULL)
        complain(reply);
    question_heard(context);
}

static void on_slots(void *context, const redisReply *reply)
{
    struct peers_question *question = context;

    if (reply == NULL) {
        question_heard(context);
        return;
    }
    bool told = question->peers.id[0] != '\0' &&
                cluster_read_peers(reply, own_host(context), &question->peers) == 0;
    if (!told)
        complain(reply);
    question_end_peers(question, told);
}

int cluster_ask_peers(struct connection *connection, const char *key, witness_peers_fn *function,
                      void *context)
{
    const struct question_part parts[2] = {{{"CLUSTER", "MYID"}, on_id},
                                           {{"CLUSTER", "SLOTS"}, on_slots}};
    struct peers_question *question = question_new(sizeof *question, connection, context);

    (void)key;
    if (question == NULL)
        return -ENOMEM;
    question->told = function;
    return question_send(&question->question, parts);
}
