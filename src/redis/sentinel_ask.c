/* Questions to sentinels. */
#include "sentinel_ask.h"

#include <errno.h>
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <string.h>

#include "leaderwrap/redis/errors.h"
#include "question.h"
#include "words.h"

static bool is_text(const redisReply *reply)
{
    return reply != NULL && reply->type == REDIS_REPLY_STRING;
}

int sentinel_read_address(const redisReply *reply, struct place *place)
{
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2 || !is_text(reply->element[0]) ||
        !is_text(reply->element[1]))
        return -1;
    return place_set(place, reply->element[0]->str, reply->element[0]->len, reply->element[1]->str,
                     reply->element[1]->len);
}

/* The value of `name` in names and values by turns; NULL where there is none. */
static const redisReply *value_of(const redisReply *reply, const char *name)
{
    if (reply == NULL || reply->type != REDIS_REPLY_ARRAY)
        return NULL;
    for (size_t i = 0; i + 1 < reply->elements; i += 2)
        if (is_text(reply->element[i]) && strcmp(reply->element[i]->str, name) == 0)
            return is_text(reply->element[i + 1]) ? reply->element[i + 1] : NULL;
    return NULL;
}

int sentinel_read_epoch(const redisReply *reply, uint64_t *epoch)
{
    const redisReply *value = value_of(reply, "config-epoch");
    int64_t number;

    if (value == NULL || number_parse(value->str, value->len, INT64_MAX, &number) != 0)
        return -1;
    *epoch = (uint64_t)number;
    return 0;
}

int sentinel_read_id(const redisReply *reply, char *id)
{
    if (!is_text(reply) || reply->len != WITNESS_ID_SIZE - 1 ||
        strspn(reply->str, "0123456789abcdef") != reply->len)
        return -1;
    memcpy(id, reply->str, WITNESS_ID_SIZE);
    return 0;
}

static int read_peer(const redisReply *reply, struct witness_peer *peer)
{
    const redisReply *host = value_of(reply, "ip");
    const redisReply *port = value_of(reply, "port");
    const redisReply *id = value_of(reply, "runid");

    if (host == NULL || port == NULL || id == NULL || sentinel_read_id(id, peer->id) != 0)
        return -1;
    peer->has_vote = true;
    return place_set(&peer->place, host->str, host->len, port->str, port->len);
}

int sentinel_read_peers(const redisReply *reply, struct witness_peers *peers)
{
    if (reply->type != REDIS_REPLY_ARRAY)
        return -1;
    peers->count = 0;
    for (size_t i = 0; i < reply->elements && peers->count < WITNESS_PEERS_MAX; i++)
        if (read_peer(reply->element[i], &peers->list[peers->count]) == 0)
            peers->count++;
    return 0;
}

static void fail(struct witness_answer *answer, const redisReply *reply)
{
    static const char unknown[] = "ERR unknown command";

    answer->says = WITNESS_REFUSES;
    if (reply->type == REDIS_REPLY_ERROR && strncmp(reply->str, unknown, sizeof unknown - 1) == 0) {
        answer->failure = LEASE_FAILURE_CONFIGURATION;
        snprintf(answer->text, sizeof answer->text,
                 "it is a server and no sentinel; sentinels have the port 26379, as a rule");
    } else if (reply->type == REDIS_REPLY_ERROR && strncmp(reply->str, "NOAUTH", 6) == 0) {
        answer->failure = LEASE_FAILURE_CONFIGURATION;
        snprintf(answer->text, sizeof answer->text,
                 "%.80s it wants a password: give it with --sentinel-password-file", reply->str);
    } else if (reply->type == REDIS_REPLY_ERROR) {
        answer->failure = error_class(reply->str);
        error_explain(reply->str, answer->text, sizeof answer->text);
    } else {
        answer->failure = LEASE_FAILURE_TRANSIENT;
        snprintf(answer->text, sizeof answer->text,
                 "it answered something that no sentinel says to SENTINEL");
    }
}

static void on_address(void *context, const redisReply *reply)
{
    struct master_question *question = context;

    if (reply != NULL && reply->type == REDIS_REPLY_NIL)
        question->answer.says = WITNESS_UNAWARE;
    else if (reply != NULL && sentinel_read_address(reply, &question->answer.place) != 0)
        fail(&question->answer, reply);
    question_heard(context);
}

static void on_master(void *context, const redisReply *reply)
{
    struct master_question *question = context;
    struct witness_answer *answer = &question->answer;

    if (reply == NULL) {
        question_heard(context);
        return;
    }
    if (answer->says == WITNESS_NAMES && sentinel_read_epoch(reply, &answer->epoch) != 0)
        fail(answer, reply);
    question_end(question, answer);
}

static void on_id(void *context, const redisReply *reply)
{
    struct peers_question *question = context;

    if (reply != NULL && sentinel_read_id(reply, question->peers.id) != 0)
        question->peers.id[0] = '\0';
    question_heard(context);
}

static void on_peers(void *context, const redisReply *reply)
{
    struct peers_question *question = context;

    if (reply == NULL) {
        question_heard(context);
        return;
    }
    bool told = question->peers.id[0] != '\0' && sentinel_read_peers(reply, &question->peers) == 0;
    question->peers.has_vote = told;
    question_end_peers(question, told);
}

int sentinel_ask(struct connection *connection, const char *service, witness_answer_fn *function,
                 void *context)
{
    const struct question_part parts[2] = {
        {{"SENTINEL", "GET-MASTER-ADDR-BY-NAME", service}, on_address},
        {{"SENTINEL", "MASTER", service}, on_master}};
    struct master_question *question = question_new(sizeof *question, connection, context);

    if (question == NULL)
        return -ENOMEM;
    question->answered = function;
    return question_send(&question->question, parts);
}

int sentinel_ask_peers(struct connection *connection, const char *service,
                       witness_peers_fn *function, void *context)
{
    const struct question_part parts[2] = {{{"SENTINEL", "MYID"}, on_id},
                                           {{"SENTINEL", "SENTINELS", service}, on_peers}};
    struct peers_question *question = question_new(sizeof *question, connection, context);

    if (question == NULL)
        return -ENOMEM;
    question->told = function;
    return question_send(&question->question, parts);
}
