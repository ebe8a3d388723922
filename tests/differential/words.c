/* The model's numbers as the texts that the scripts make of the same. */
#include <inttypes.h>
#include <string.h>

#include "differential.h"

#define ANSWER_CUT 81 /* of a foreign value, by the scripts */
#define OPERATOR   "op@adm"
#define REASON     "a reason, in words"

static const char *const ids[CANDIDATES + 1] = {
    "",
    "one#0000000000000001",
    "two:2#0000000000000002",
    "three|3#0000000000000003",
    "four-four-four-four-four-four-four-four-four-four-four-four-four#0000000000000004",
};

const char *id_text(uint32_t id)
{
    switch (id) {
    case FOREIGN_ID:
        return "somebody";
    case FOREIGN_EMPTY:
        return "";
    case PAUSE_SIGN:
        return "paused by " OPERATOR ": " REASON;
    case FOREIGN_LONG:
        return "a value that is longer than the id of any candidate could ever be, by far, and is "
               "cut where it is shown";
    default:
        return ids[id];
    }
}

const char *name_text(uint32_t id, char name[LEASE_NAME_MAX + 1])
{
    snprintf(name, LEASE_NAME_MAX + 1, "%.*s", (int)strcspn(id_text(id), "#"), id_text(id));
    return name;
}

const char *command_text(uint32_t id, char command[LEASE_COMMAND_SIZE])
{
    command[0] = '\0';
    if (id > 1)
        snprintf(command, LEASE_COMMAND_SIZE, "%08" PRIx32, id);
    return command;
}

const char *host_text(uint32_t id, char host[LEASE_NAME_MAX + 1])
{
    snprintf(host, LEASE_NAME_MAX + 1, "host-%" PRIu32, id);
    return host;
}

const char *meant_text(uint32_t id, char name[LEASE_NAME_MAX + 1])
{
    return id % 2 == 0 ? host_text(id, name) : name_text(id, name);
}

static const char *to_text(uint8_t to, char name[LEASE_NAME_MAX + 1])
{
    name[0] = '\0';
    return to != NO_NAME ? meant_text(to, name) : name;
}

void wishes_text(const struct wishes *wishes, char pause[TEXT_SIZE], char ask[TEXT_SIZE],
                 char cordon[TEXT_SIZE])
{
    char name[LEASE_NAME_MAX + 1];
    size_t used = 0;

    pause[0] = ask[0] = cordon[0] = '\0';
    if (wishes->pause)
        snprintf(pause, TEXT_SIZE, "%" PRId64 " %" PRId64 " " OPERATOR " " REASON,
                 wishes->pause_at_ms, wishes->pause_ms);
    if (wishes->ask_token != 0)
        snprintf(ask, TEXT_SIZE, "%" PRIu64 " %" PRId64 " %" PRId64 " " OPERATOR " %s",
                 wishes->ask_token, wishes->ask_at_ms, wishes->ask_ms,
                 to_text(wishes->ask_to, name));
    for (uint32_t id = 1; id <= CANDIDATES; id++)
        if ((wishes->cordons >> id & 1) != 0)
            used += (size_t)snprintf(cordon + used, TEXT_SIZE - used, "%d " OPERATOR " %s\n", 7,
                                     meant_text(id, name));
}

static const char *wish_text(const struct test *test, const struct message *answer,
                             char text[LEASE_TEXT_SIZE])
{
    char name[LEASE_NAME_MAX + 1];

    text[0] = '\0';
    switch (answer->wish) {
    case LEASE_WISH_NONE:
        break;
    case LEASE_WISH_PAUSED:
        snprintf(text, LEASE_TEXT_SIZE, "paused %" PRId64 " " OPERATOR " " REASON,
                 answer->wish_left_ms);
        break;
    case LEASE_WISH_CORDONED:
        snprintf(text, LEASE_TEXT_SIZE, "cordoned 0 " OPERATOR " ");
        break;
    case LEASE_WISH_STEP_DOWN:
        snprintf(text, LEASE_TEXT_SIZE, "step-down %" PRId64 " " OPERATOR " %s",
                 answer->wish_left_ms, to_text(test->server->data.wishes.ask_to, name));
        break;
    }
    return text;
}

const char *epoch_text(uint64_t config_epoch, char text[NUMBER_SIZE])
{
    text[0] = '\0';
    if (config_epoch != 0)
        snprintf(text, NUMBER_SIZE, "%" PRIu64, config_epoch);
    return text;
}

const char *ident_text(const struct test *test, uint64_t incarnation)
{
    if (incarnation == 0)
        return "";
    static char texts[4][LEASE_INCARNATION_SIZE + 1];
    static int turn;
    char epoch[NUMBER_SIZE];
    uint64_t config_epoch = incarnation_epoch(incarnation);

    for (int i = 0; i < test->ident_count; i++) {
        if (incarnation_under(test->ident_numbers[i], config_epoch) != incarnation)
            continue;
        char *text = texts[turn++ % 4];
        snprintf(text, sizeof texts[0], "%s%s%s", test->idents[i], config_epoch != 0 ? "/" : "",
                 epoch_text(config_epoch, epoch));
        return text;
    }
    return "(an ident that no server had)";
}

const char *state_text(enum lease_state state)
{
    static const char *const words[] = {
        [LEASE_ABSENT] = "",     [LEASE_FREE] = "free",     [LEASE_HELD] = "held",
        [LEASE_CLOSED] = "hold", [LEASE_VACANT] = "vacant",
    };
    return words[state];
}

void version_text(uint64_t version, char text[LEASE_NONCE_SIZE])
{
    if (version == 0)
        text[0] = '\0';
    else
        snprintf(text, LEASE_NONCE_SIZE, "%016" PRIx64, version);
}

static const char *verdict_text(enum lease_verdict verdict)
{
    static const char *const words[] = {
        [LEASE_GRANTED] = "GRANTED", [LEASE_REFUSED] = "REFUSED",   [LEASE_RENEWED] = "RENEWED",
        [LEASE_LOST] = "LOST",       [LEASE_RELEASED] = "RELEASED", [LEASE_NOT_HELD] = "NOT_HELD",
        [LEASE_FAILED] = "an error",
    };
    return words[verdict];
}

static const char *foreign_text(uint32_t holder)
{
    return holder == FOREIGN_EMPTY ? "(empty)" : id_text(holder);
}

void answer_text(const struct test *test, const struct message *answer, char *text)
{
    const struct record *record = &answer->record;
    char version[LEASE_NONCE_SIZE];
    char name[LEASE_NAME_MAX + 1];
    char command[LEASE_COMMAND_SIZE];
    char wish[LEASE_TEXT_SIZE];

    if (answer->verdict == LEASE_FAILED) {
        snprintf(text, TEXT_SIZE, "error of class %d", (int)answer->failure);
        return;
    }
    version_text(record->version, version);
    snprintf(
        text, TEXT_SIZE,
        "%s st='%s' id='%s' name='%s' tok='%" PRIu64 "' ver='%s' ident='%s' ttl='%" PRId64
        "' age='%" PRId64 "' hold left='%" PRId64
        "' foreign='%.*s' warning='' before='%s' cmd='%s' hold='%" PRId64 "' wish='%s'",
        verdict_text(answer->verdict), state_text(record->state), id_text(record->id),
        name_text(record->id, name), record->token, version, ident_text(test, record->incarnation),
        record->ttl_ms, answer->age_ms, answer->hold_left_ms, ANSWER_CUT,
        answer->foreign ? foreign_text(test->server->data.holder) : "", state_text(answer->before),
        command_text(record->id, command), record->hold_ms, wish_text(test, answer, wish));
}

void append_event_text(const struct test *test, const struct message *push, char *text)
{
    const struct record *record = &push->record;
    char version[LEASE_NONCE_SIZE];
    char name[LEASE_NAME_MAX + 1];

    size_t used = strlen(text);
    version_text(record->version, version);
    snprintf(text + used, TEXT_SIZE - used, "1|%s|%s|%s|%" PRIu64 "|%" PRId64 "|%" PRId64 "|%s\n",
             state_text(record->state), ident_text(test, record->incarnation), version,
             record->token, record->ttl_ms, push->listeners, name_text(record->id, name));
}

static int record_text(const struct test *test, char *text)
{
    const struct record *record = &test->server->data.record;
    char version[LEASE_NONCE_SIZE];
    char name[LEASE_NAME_MAX + 1];
    char command[LEASE_COMMAND_SIZE];
    char base[LEASE_NONCE_SIZE];

    if (record->missing)
        return snprintf(text, TEXT_SIZE, "no record");
    version_text(record->version, version);
    version_text(record->base, base);
    return snprintf(text, TEXT_SIZE,
                    "st='%s' id='%s' name='%s' tok='%" PRIu64 "' ver='%s' ident='%s' ttl='%" PRId64
                    "' at='%" PRId64 "' until='%" PRId64 "' hold='%" PRId64 "' cmd='%s' base='%s'",
                    state_text(record->state), id_text(record->id), name_text(record->id, name),
                    record->token, version, ident_text(test, record->incarnation), record->ttl_ms,
                    record->at_ms, record->hold_until_ms, record->hold_ms,
                    command_text(record->id, command), base);
}

void data_text(const struct test *test, char *text)
{
    const struct data *data = &test->server->data;
    int64_t now_ms = model_now_us(test) / 1000;
    int used = record_text(test, text);
    char pause[TEXT_SIZE];
    char ask[TEXT_SIZE];
    char cordon[TEXT_SIZE];

    wishes_text(&data->wishes, pause, ask, cordon);
    used += snprintf(text + used, (size_t)(TEXT_SIZE - used), ", wishes '%s' '%s' '%s'", pause, ask,
                     cordon);

    if (data->holder == 0 || now_ms > data->holder_expires_ms)
        snprintf(text + used, (size_t)(TEXT_SIZE - used), ", no holder");
    else
        snprintf(text + used, (size_t)(TEXT_SIZE - used), ", holder='%s' for %" PRId64 " ms",
                 id_text(data->holder),
                 data->holder_expires_ms == FOREIGN_TTL_NONE ? -1
                                                             : data->holder_expires_ms - now_ms);
}

void request_text(const struct test *test, const struct message *request, char *text)
{
    char version[LEASE_NONCE_SIZE];

    version_text(request->kind == MESSAGE_ACQUIRE ? request->observed_version : request->version,
                 version);
    int used = snprintf(
        text, TEXT_SIZE, "%s by %s, ttl %" PRId64 " ms%s, nonce %016" PRIx64 ", token %" PRIu64,
        request->kind == MESSAGE_ACQUIRE ? "acquire"
        : request->kind == MESSAGE_RENEW ? "renew"
                                         : "release",
        id_text(request->id), request->ttl_ms, request->server_clock ? ", server clock" : "",
        request->nonce, request->token);
    if (request->config_epoch != 0)
        used += snprintf(text + used, (size_t)(TEXT_SIZE - used), ", epoch %" PRIu64,
                         request->config_epoch);
    char *rest = text + used;
    size_t left = (size_t)(TEXT_SIZE - used);

    if (request->kind == MESSAGE_ACQUIRE)
        snprintf(rest, left,
                 ", observed '%s' of '%s' for %" PRId64 " ms, hold left %" PRId64 " ms%s", version,
                 ident_text(test, request->observed_incarnation), request->observed_ms,
                 request->seen_hold_ms, request->assume_fresh ? ", assume fresh" : "");
    else if (request->kind == MESSAGE_RENEW)
        snprintf(rest, left, ", version '%s'%s", version, request->claim ? ", claim" : "");
    else
        snprintf(rest, left, ", version '%s', hold %" PRId64 " ms", version, request->hold_ms);
}
