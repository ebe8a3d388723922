/*
 * One thing that a server says, taken by itself: the first byte of the input chooses between a
 * reply (verdict_parse), the payload of an event (event_parse), the text of an error (error_class,
 * error_explain) and an answer of a sentinel or a node
 * (sentinel_ask.h, cluster_ask.h, masters.h).
 *
 * Oracle: a reply has a verdict if and only if a second, strict reader of the bytes (answers.h)
 * finds the documented answer of that script in them, with the same fields; a refused reply leaves
 * the answer untouched. An event that is accepted, written out again, reads the same. An
 * explanation fits its buffer, and its advice is whole wherever there is room for it.
 */
#include "fuzz.h"

#include <hiredis/hiredis.h>
#include <inttypes.h>

#include "answers.h"
#include "leaderwrap/base/duration.h"
#include "leaderwrap/base/lease.h"
#include "leaderwrap/redis/errors.h"
#include "leaderwrap/redis/masters.h"
#include "redis/cluster_ask.h"
#include "redis/cluster_nodes.h"
#include "redis/event.h"
#include "redis/redirection.h"
#include "redis/sentinel_ask.h"
#include "redis/verdict.h"

#define ELEMENTS_MOST 64
#define ADVICE_ROOM   512

#if HIREDIS_MAJOR >= 1
typedef size_t element_count;
#else
typedef int element_count;
#endif

static void *(*real_create_array)(const redisReadTask *, element_count);

/* As the transport does; else two bytes of input are gigabytes of memory. */
static void *create_array(const redisReadTask *task, element_count elements)
{
    return elements > ELEMENTS_MOST ? NULL : real_create_array(task, elements);
}

static redisReply *read_reply(const uint8_t *data, size_t size)
{
    redisReader *reader = redisReaderCreate();
    redisReplyObjectFunctions functions;
    void *reply = NULL;

    if (reader == NULL)
        abort();
    functions = *reader->fn;
    real_create_array = functions.createArray;
    functions.createArray = create_array;
    reader->fn = &functions;
    if (redisReaderFeed(reader, (const char *)data, size) != REDIS_OK ||
        redisReaderGetReply(reader, &reply) != REDIS_OK)
        reply = NULL;
    redisReaderFree(reader);
    return reply;
}

static bool is_of(const struct answer *answer, enum verdict_of of)
{
    static const char *const verdicts[][2] = {
        [VERDICT_OF_ACQUIRE] = {"GRANTED", "REFUSED"},
        [VERDICT_OF_RENEW] = {"RENEWED", "LOST"},
        [VERDICT_OF_RELEASE] = {"RELEASED", "NOT_HELD"},
    };
    bool holds = answer_is(answer, ANSWER_VERDICT, "GRANTED") ||
                 answer_is(answer, ANSWER_VERDICT, "RENEWED");

    if (holds && (answer->token == 0 || !answer_is(answer, ANSWER_STATE, "held")))
        return false;
    return answer_is(answer, ANSWER_VERDICT, verdicts[of][0]) ||
           answer_is(answer, ANSWER_VERDICT, verdicts[of][1]);
}

/* `got` is the field cut to `size`, with a mark for each NUL byte. */
static void check_text(const struct answer_text *field, const char *got, size_t size)
{
    size_t length = field->length < size - 1 ? field->length : size - 1;

    ORACLE(strlen(got) == length);
    for (size_t i = 0; i < length; i++)
        ORACLE((uint8_t)got[i] == field->text[i] || (field->text[i] == 0 && got[i] == '?'));
}

static const char *const states[] = {[LEASE_ABSENT] = "",
                                     [LEASE_FREE] = "free",
                                     [LEASE_HELD] = "held",
                                     [LEASE_CLOSED] = "hold",
                                     [LEASE_VACANT] = "vacant"};

static void check_record(const struct answer *answer, const struct lease_record *record)
{
    ORACLE(record->token == answer->token);
    ORACLE(record->ttl_ms == (int64_t)answer->ttl_ms);
    ORACLE(record->age_ms == (int64_t)answer->age_ms);
    ORACLE(record->hold_left_ms == (int64_t)answer->hold_left_ms);
    check_text(&answer->field[ANSWER_ID], record->id, sizeof record->id);
    check_text(&answer->field[ANSWER_NAME], record->name, sizeof record->name);
    check_text(&answer->field[ANSWER_VERSION], record->version, sizeof record->version);
    check_text(&answer->field[ANSWER_IDENT], record->incarnation, sizeof record->incarnation);
    check_text(&answer->field[ANSWER_FOREIGN], record->foreign, sizeof record->foreign);
}

static void check_reply(const struct answer *answer, const struct lease_reply *reply)
{
    check_record(answer, &reply->record);
    ORACLE((reply->wish.kind != LEASE_WISH_NONE) == (answer->field[ANSWER_WISH].length > 0));
    ORACLE(reply->wish.left_ms == (int64_t)answer->wish_left_ms);
    ORACLE((reply->wish.by[0] != '\0') == (reply->wish.kind != LEASE_WISH_NONE));
    ORACLE(reply->before <= LEASE_VACANT &&
           answer_is(answer, ANSWER_BEFORE, states[reply->before]));
}

static void fuzz_reply(const uint8_t *data, size_t size)
{
    redisReply *reply = read_reply(data, size);
    struct answer answer;

    if (reply == NULL)
        return;
    bool documented = answer_read(data, reply_length(data, size), &answer);
    for (int of = VERDICT_OF_ACQUIRE; of <= VERDICT_OF_RELEASE; of++) {
        struct lease_reply got;
        struct lease_reply before;

        memset(&got, 0x5A, sizeof got);
        before = got;
        bool accepted = verdict_parse(reply, (enum verdict_of)of, &got) == 0;
        ORACLE(accepted == (documented && is_of(&answer, (enum verdict_of)of)));
        if (accepted)
            check_reply(&answer, &got);
        else
            ORACLE(memcmp(&got, &before, sizeof got) == 0);
    }
    freeReplyObject(reply);
}

static void fuzz_event(const uint8_t *data, size_t size)
{
    struct lease_event event;
    struct lease_event again;
    char text[LEASE_INCARNATION_SIZE + LEASE_NONCE_SIZE + LEASE_NAME_MAX + 96];
    char *payload = malloc(size + 1); /* not terminated: a read behind its end is seen */

    if (payload == NULL)
        abort();
    memcpy(payload, data, size);
    if (event_parse(payload, size, &event) == 0) {
        ORACLE(event.state >= LEASE_FREE && event.state <= LEASE_VACANT);
        ORACLE(event.token < UINT64_C(1) << 53 && event.listeners >= -1);
        ORACLE(event.ttl_ms >= 0 && event.ttl_ms <= DURATION_MAX_MS);
        int length =
            snprintf(text, sizeof text, "1|%s|%s|%s|%" PRIu64 "|%" PRId64 "|%" PRId64 "|%s",
                     states[event.state], event.incarnation, event.version, event.token,
                     event.ttl_ms, event.listeners, event.name);
        ORACLE(event_parse(text, (size_t)length, &again) == 0);
        ORACLE(again.state == event.state && again.token == event.token &&
               again.ttl_ms == event.ttl_ms && again.listeners == event.listeners &&
               strcmp(again.incarnation, event.incarnation) == 0 &&
               strcmp(again.version, event.version) == 0 && strcmp(again.name, event.name) == 0);
    }
    free(payload);
}

/* Of an unknown command what the server repeats behind it is left out: a script, or a password. */
static size_t shown_length(const char *text)
{
    static const char *const starts[] = {"ERR unknown command", "ERR Unknown command",
                                         "NOCOMMAND "};
    const char *arguments = NULL;

    for (size_t i = 0; i < sizeof starts / sizeof starts[0]; i++) {
        if (strncmp(text, starts[i], strlen(starts[i])) == 0)
            arguments = strstr(text, ", with args beginning with");
    }
    return arguments != NULL ? (size_t)(arguments - text) : strlen(text);
}

/* A place is only where the words say so: "WORD slot host:port", and nothing else. */
static void check_redirection(const char *text)
{
    static const char *const words[] = {
        [REDIRECTION_NONE] = "", [REDIRECTION_MOVED] = "MOVED ", [REDIRECTION_ASK] = "ASK "};
    struct place place;
    enum redirection_kind kind = redirection_parse(text, "own", &place);

    ORACLE((kind == REDIRECTION_MOVED) == (strncmp(text, "MOVED ", 6) == 0));
    ORACLE((kind == REDIRECTION_ASK) == (strncmp(text, "ASK ", 4) == 0));
    ORACLE((place.host[0] == '\0') == (place.port[0] == '\0'));
    if (place.host[0] == '\0')
        return;
    ORACLE(kind != REDIRECTION_NONE);
    const char *at = text + strlen(words[kind]);
    size_t digits = strspn(at, "0123456789");
    ORACLE(digits > 0 && at[digits] == ' ');
    at += digits + 1;
    const char *port = strrchr(at, ':');
    ORACLE(port != NULL);
    size_t host = (size_t)(port - at);
    ORACLE(host == 0 ? strcmp(place.host, "own") == 0
                     : strlen(place.host) == host && memcmp(place.host, at, host) == 0);
    ORACLE(strcmp(place.host, "?") != 0 && strpbrk(place.host, " \t\r\n") == NULL);
    port++;
    ORACLE(strspn(port, "0123456789") == strlen(port));
    long number = strtol(place.port, NULL, 10);
    ORACLE(number >= 1 && number <= 65535 && strtol(port, NULL, 10) == number);
}

#define ERROR_SHOWN 96 /* bytes, as in errors.c */

static void fuzz_error(const uint8_t *data, size_t size)
{
    size_t room = size > 0 ? data[0] : 0;
    char *text = input_text(data + (size > 0), size - (size > 0));
    char *small = malloc(room + 1);
    char *large = malloc(size + ADVICE_ROOM);
    enum lease_failure failure = error_class(text);

    check_redirection(text);
    if (small == NULL || large == NULL)
        abort();
    ORACLE(failure >= LEASE_FAILURE_TRANSIENT && failure <= LEASE_FAILURE_CONFIGURATION);
    ORACLE(error_explain(text, small, room + 1) == small && strlen(small) <= room);
    ORACLE(error_explain(text, large, size + ADVICE_ROOM) == large);
    /* The error verbatim, but for full stops and spaces at its end. */
    size_t length = shown_length(text);
    while (length > 0 && (text[length - 1] == '.' || text[length - 1] == ' '))
        length--;
    /* A long one is cut where there is an advice behind it. */
    bool cut = length > ERROR_SHOWN && strncmp(large + ERROR_SHOWN, "...; ", 5) == 0;
    ORACLE(strncmp(large, text, cut ? ERROR_SHOWN : length) == 0);
    ORACLE(cut || large[length] == '\0' || strncmp(large + length, "; ", 2) == 0);
    free(large);
    free(small);
    free(text);
}

/* Whether it is one that can be connected to, and that is read again as it is shown. */
static bool is_place(const struct place *place)
{
    struct place again;
    char shown[PLACE_HOST_SIZE + 16];
    long port = strtol(place->port, NULL, 10);
    const char *colon = strrchr(place_show(place, shown, sizeof shown), ':');

    for (const char *letter = place->host; *letter != '\0'; letter++)
        if ((unsigned char)*letter <= ' ' || *letter == 0x7F)
            return false;
    return port >= 1 && port <= 65535 && place->host[0] != '\0' &&
           place_set(&again, place->host, strlen(place->host), colon + 1, strlen(colon + 1)) == 0 &&
           place_is_same(&again, place);
}

static bool is_id(const char *id)
{
    return strlen(id) == WITNESS_ID_SIZE - 1 && strspn(id, "0123456789abcdef") == strlen(id);
}

static void check_peers(const redisReply *reply)
{
    static struct witness_peers peers;

    if (sentinel_read_peers(reply, &peers) != 0)
        return;
    ORACLE(peers.count <= reply->elements && peers.count <= WITNESS_PEERS_MAX);
    for (size_t i = 0; i < peers.count; i++)
        ORACLE(is_id(peers.list[i].id) && is_place(&peers.list[i].place));
}

/* A node tells each other one once, and only its own kind of places. */
static void check_nodes(const redisReply *reply)
{
    static struct witness_peers peers;
    size_t masters = 0;

    memset(&peers, 0, sizeof peers);
    memset(peers.id, '1', sizeof peers.id - 1);
    if (cluster_read_peers(reply, "own", &peers) != 0)
        return;
    ORACLE(reply->type == REDIS_REPLY_ARRAY && peers.count <= WITNESS_PEERS_MAX);
    for (size_t i = 0; i < peers.count; i++) {
        ORACLE(is_id(peers.list[i].id) && strcmp(peers.list[i].id, peers.id) != 0);
        ORACLE(peers.list[i].place.host[0] == '\0' || is_place(&peers.list[i].place));
        masters += peers.list[i].has_vote;
        for (size_t j = 0; j < i; j++)
            ORACLE(strcmp(peers.list[i].id, peers.list[j].id) != 0);
    }
    ORACLE(masters + peers.has_vote <= reply->elements);
}

/* Each has a slot, and each slot that is somebody's is one's of them. */
static void check_masters(const redisReply *reply)
{
    static struct masters masters;
    bool has_slot[MASTERS_MAX] = {false};

    if (masters_read(reply, "own", &masters) != 0)
        return;
    ORACLE(reply->type == REDIS_REPLY_ARRAY);
    ORACLE(masters.count <= MASTERS_MAX && masters.count <= reply->elements);
    for (unsigned slot = 0; slot < MASTERS_SLOTS; slot++) {
        const struct master *master = masters_of(&masters, slot);
        if (master == NULL)
            continue;
        size_t at = (size_t)(master - masters.list);
        ORACLE(at < masters.count);
        has_slot[at] = true;
    }
    for (size_t i = 0; i < masters.count; i++) {
        const struct master *master = &masters.list[i];
        struct place place = {{0}};
        memcpy(place.host, master->host, sizeof place.host);
        memcpy(place.port, master->port, sizeof place.port);
        ORACLE(has_slot[i] && is_id(master->id));
        ORACLE(place.host[0] == '\0' || is_place(&place));
        for (size_t j = 0; j < i; j++)
            ORACLE(strcmp(master->id, masters.list[j].id) != 0);
    }
}

static void check_owner(const redisReply *reply)
{
    struct witness_answer answer;

    cluster_read_answer(reply, "own", &answer);
    ORACLE(answer.epoch == 0 && answer.says != WITNESS_UNAWARE);
    ORACLE(answer.says != WITNESS_NAMES ||
           (reply->type == REDIS_REPLY_ERROR && strncmp(reply->str, "MOVED ", 6) == 0 &&
            is_place(&answer.place)));
    if (reply->type == REDIS_REPLY_ERROR && answer.says == WITNESS_ITSELF)
        ORACLE(strncmp(reply->str, "ASK ", 4) == 0 || strncmp(reply->str, "WRONGTYPE ", 10) == 0);
    ORACLE((answer.says == WITNESS_REFUSES) == (answer.failure != LEASE_FAILURE_NONE));
}

/* Nothing is said of an owner who is not found. */
static void check_owner_epoch(const redisReply *reply)
{
    struct slot_owner owner;
    struct witness_answer answer;

    if (cluster_read_owner(reply, 42, &owner, &answer) != 0) {
        ORACLE(answer.says == WITNESS_REFUSES && answer.failure != LEASE_FAILURE_NONE);
        return;
    }
    ORACLE(reply->type == REDIS_REPLY_STRING && owner.epoch <= INT64_MAX);
    ORACLE(owner.found || (!owner.myself && owner.epoch == 0 && owner.place.host[0] == '\0' &&
                           owner.named.host[0] == '\0'));
    ORACLE(owner.place.host[0] == '\0' ||
           (is_place(&owner.place) && slot_owner_is_at(&owner, &owner.place, "own")));
    ORACLE(owner.named.host[0] == '\0' ||
           (is_place(&owner.named) && slot_owner_is_at(&owner, &owner.named, "own")));
}

static void fuzz_witness(const uint8_t *data, size_t size)
{
    redisReply *reply = read_reply(data, size);
    struct place place;
    char id[WITNESS_ID_SIZE];
    uint64_t epoch;

    if (reply == NULL)
        return;
    if (sentinel_read_address(reply, &place) == 0)
        ORACLE(reply->elements == 2 && is_place(&place));
    if (sentinel_read_id(reply, id) == 0)
        ORACLE(is_id(id));
    if (sentinel_read_epoch(reply, &epoch) == 0)
        ORACLE(epoch <= INT64_MAX && reply->elements >= 2);
    check_peers(reply);
    check_nodes(reply);
    check_masters(reply);
    check_owner(reply);
    check_owner_epoch(reply);
    freeReplyObject(reply);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const parts[])(const uint8_t *, size_t) = {fuzz_reply, fuzz_event, fuzz_error,
                                                             fuzz_witness};

    if (size > 0)
        parts[data[0] % 4](data + 1, size - 1);
    return 0;
}
