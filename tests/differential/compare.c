/* Has both do the same and tells of any difference, as texts that a person can compare too. */
#include <inttypes.h>
#include <string.h>

#include "differential.h"
#include "leaderwrap/redis/errors.h"
#include "redis/scripts.h"

#define ARGS_MAX 22
#define FIELDS   16

static void expect(struct test *test, const char *what, const char *real, const char *model)
{
    if (test->tracing)
        printf("       %s: %s%s", what, real,
               real[0] == '\0' || strchr(real, '\n') == NULL ? "\n" : "");
    if (test->failed || strcmp(real, model) == 0)
        return;
    test->failed = true;
    printf("DIFFERENCE in %s, seed %" PRIu64 ", step %d\n  after  %s\n  server %s\n  model  %s\n",
           what, test->seed, test->step, test->operation, real, model);
}

/* ---- answers ---- */

static void real_answer_text(const redisReply *reply, char *text)
{
    static const char *const names[FIELDS] = {
        "",      " st=",        " id=",      " name=",    " tok=",    " ver=", " ident=", " ttl=",
        " age=", " hold left=", " foreign=", " warning=", " before=", " cmd=", " hold=",  " wish=",
    };
    size_t used = 0;

    if (reply->type == REDIS_REPLY_ERROR) {
        snprintf(text, TEXT_SIZE, "error of class %d", (int)error_class(reply->str));
        return;
    }
    text[0] = '\0';
    for (size_t i = 0; i < reply->elements && used < TEXT_SIZE; i++) {
        const char *quote = i == 0 ? "" : "'";
        used +=
            (size_t)snprintf(text + used, TEXT_SIZE - used, "%s%s%s%s",
                             i < FIELDS ? names[i] : " and ", quote, reply->element[i]->str, quote);
    }
}

/* Puts the call into the connection's output buffer, word for word as the store does. */
static void append_call(struct test *test, const struct message *request)
{
    const struct script *script = request->kind == MESSAGE_ACQUIRE ? &script_acquire
                                  : request->kind == MESSAGE_RENEW ? &script_renew
                                                                   : &script_release;
    char name[LEASE_NAME_MAX + 1];
    char host[LEASE_NAME_MAX + 1];
    char command[LEASE_COMMAND_SIZE];
    char ttl[NUMBER_SIZE];
    char token[NUMBER_SIZE];
    char hold[NUMBER_SIZE];
    char nonce[LEASE_NONCE_SIZE];
    char epoch[NUMBER_SIZE];
    char version[LEASE_NONCE_SIZE];
    char observed[LEASE_NONCE_SIZE];
    char observed_ms[NUMBER_SIZE];
    char seen_hold[NUMBER_SIZE];

    snprintf(ttl, sizeof ttl, "%" PRId64, request->ttl_ms);
    snprintf(token, sizeof token, "%" PRIu64, request->token);
    snprintf(observed_ms, sizeof observed_ms, "%" PRId64, request->observed_ms);
    snprintf(seen_hold, sizeof seen_hold, "%" PRId64, request->seen_hold_ms);
    snprintf(hold, sizeof hold, "%" PRId64, request->hold_ms);
    version_text(request->nonce, nonce);
    version_text(request->version, version);
    version_text(request->observed_version, observed);
    const char *arguments[ARGS_MAX] = {
        "EVALSHA",
        script->flagged_sha1,
        "3",
        REAL_KEY,
        REAL_TERM,
        REAL_HISTORY,
        REAL_CHANNEL,
        request->server_clock ? "server-clock" : "observed",
        id_text(request->id),
        name_text(request->id, name),
        ttl,
        nonce,
        command_text(request->id, command),
        epoch_text(request->config_epoch, epoch),
        host_text(request->id, host),
        token,
    };
    int count = 16;
    if (request->kind == MESSAGE_ACQUIRE) {
        arguments[count++] = ident_text(test, request->observed_incarnation);
        arguments[count++] = observed;
        arguments[count++] = observed_ms;
        arguments[count++] = seen_hold;
        arguments[count++] = request->assume_fresh ? "1" : "0";
        arguments[count++] = "what it tells";
    } else if (request->kind == MESSAGE_RENEW) {
        arguments[count++] = request->claim ? "1" : "0";
        arguments[count++] = version;
    } else {
        arguments[count++] = hold;
        arguments[count++] = "a reason";
        arguments[count++] = version;
    }
    redisAppendCommandArgv(test->real.commands, count, arguments, NULL);
}

/* ---- data ---- */

static redisReply *next_reply(struct test *test)
{
    redisReply *reply = NULL;

    if (redisGetReply(test->real.commands, (void **)&reply) != REDIS_OK)
        give_up("no reply: %s; %s/log may say why", test->real.commands->errstr,
                test->real.directory);
    return reply;
}

/* What K and the record are, asked in one go. */
static void append_data(struct test *test)
{
    redisContext *commands = test->real.commands;

    redisAppendCommand(commands, "HLEN %s", REAL_TERM);
    redisAppendCommand(
        commands,
        "HMGET %s st id name tok ver ident ttl at until hold cmd base term pause ask cordon",
        REAL_TERM);
    redisAppendCommand(commands, "GET %s", REAL_KEY);
    redisAppendCommand(commands, "PTTL %s", REAL_KEY);
}

static bool has_no_record(const redisReply *fields, size_t compared)
{
    for (size_t i = 0; i < compared; i++)
        if (fields->element[i]->str != NULL)
            return false;
    return true;
}

static size_t real_record_text(const redisReply *length, const redisReply *fields, char *text)
{
    static const char *const names[] = {"st",   " id", " name",  " tok",  " ver", " ident",
                                        " ttl", " at", " until", " hold", " cmd", " base"};
    const size_t compared = sizeof names / sizeof names[0];
    size_t used = 0;
    size_t known = 0;

    for (size_t i = 0; i < fields->elements; i++)
        known += fields->element[i]->str != NULL;
    if (has_no_record(fields, compared))
        used = (size_t)snprintf(text, TEXT_SIZE, "no record");
    else
        for (size_t i = 0; i < compared && used < TEXT_SIZE; i++)
            used += (size_t)snprintf(text + used, TEXT_SIZE - used, "%s='%s'", names[i],
                                     fields->element[i]->str != NULL ? fields->element[i]->str
                                                                     : "(none)");
    /* Behind them is the field that is only for the history, and then the wishes. */
    if (length->integer != (long long)known)
        used += (size_t)snprintf(text + used, TEXT_SIZE - used, " and other fields");
    used += (size_t)snprintf(text + used, TEXT_SIZE - used, ", wishes");
    for (size_t i = compared + 1; i < fields->elements && used < TEXT_SIZE; i++)
        used += (size_t)snprintf(text + used, TEXT_SIZE - used, " '%s'",
                                 fields->element[i]->str != NULL ? fields->element[i]->str : "");
    return used;
}

static void read_data(struct test *test, char *text)
{
    redisReply *length = next_reply(test);
    redisReply *fields = next_reply(test);
    redisReply *holder = next_reply(test);
    redisReply *left = next_reply(test);
    size_t used = real_record_text(length, fields, text);

    if (holder->type == REDIS_REPLY_NIL && left->integer == -2)
        snprintf(text + used, TEXT_SIZE - used, ", no holder");
    else
        snprintf(text + used, TEXT_SIZE - used, ", holder='%s' for %lld ms",
                 holder->str != NULL ? holder->str : "(none)", left->integer);
    freeReplyObject(length);
    freeReplyObject(fields);
    freeReplyObject(holder);
    freeReplyObject(left);
}

/* ---- both ---- */

void compare_call(struct test *test, struct message *request)
{
    char real[TEXT_SIZE];
    char model[TEXT_SIZE];
    char heard[LISTENERS_MAX][TEXT_SIZE];

    append_call(test, request);
    append_data(test);
    model_execute(test, request, heard);
    redisReply *reply = next_reply(test);
    if (test->tracing && reply->type == REDIS_REPLY_ERROR)
        printf("       the error: %s\n", reply->str);
    real_answer_text(reply, real);
    freeReplyObject(reply);
    /* To the model it is any error, in mid-script; here it is a missing right. */
    if (test->set_refused && request->verdict == LEASE_FAILED)
        request->failure = LEASE_FAILURE_CONFIGURATION;
    answer_text(test, request, model);
    expect(test, "the answer", real, model);
    read_data(test, real);
    model_expire(test);
    data_text(test, model);
    expect(test, "the data", real, model);
    for (int i = 0; i < test->real.listening; i++) {
        real_heard(&test->real, i, real);
        expect(test, "what was published", real, heard[i]);
    }
}

void compare_data(struct test *test)
{
    char real[TEXT_SIZE];
    char model[TEXT_SIZE];

    append_data(test);
    read_data(test, real);
    model_expire(test);
    data_text(test, model);
    expect(test, "the data", real, model);
}
