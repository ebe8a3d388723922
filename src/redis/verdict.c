/*
 * Reads the flat array of strings that every script answers. The server is not trusted: types,
 * count, lengths and digits are checked, and nothing half-read leaves this file.
 */
#include "verdict.h"

#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "leaderwrap/base/clock.h"
#include "leaderwrap/base/duration.h"
#include "leaderwrap/redis/errors.h"
#include "words.h"

enum field {
    FIELD_VERDICT,
    FIELD_STATE,
    FIELD_ID,
    FIELD_NAME,
    FIELD_TOKEN,
    FIELD_VERSION,
    FIELD_IDENT,
    FIELD_TTL,
    FIELD_AGE,
    FIELD_HOLD_LEFT,
    FIELD_FOREIGN,
    FIELD_WARNING,
    FIELD_BEFORE,
    FIELD_COMMAND,
    FIELD_HOLD,
    FIELD_WISH,
    FIELDS,
};

struct word {
    const char *text;
    int value;
    enum verdict_of of; /* for verdicts only */
};

static const struct word verdicts[] = {
    {"GRANTED", LEASE_GRANTED, VERDICT_OF_ACQUIRE},
    {"REFUSED", LEASE_REFUSED, VERDICT_OF_ACQUIRE},
    {"RENEWED", LEASE_RENEWED, VERDICT_OF_RENEW},
    {"LOST", LEASE_LOST, VERDICT_OF_RENEW},
    {"RELEASED", LEASE_RELEASED, VERDICT_OF_RELEASE},
    {"NOT_HELD", LEASE_NOT_HELD, VERDICT_OF_RELEASE},
};

/* Copies a text, cut to `size`; a NUL byte inside becomes a question mark. */
static void copy_text(const redisReply *field, char *buffer, size_t size)
{
    size_t length = field->len < size - 1 ? field->len : size - 1;

    for (size_t i = 0; i < length; i++)
        buffer[i] = field->str[i] != '\0' ? field->str[i] : '?';
    buffer[length] = '\0';
}

static int parse_verdict(const redisReply *field, enum verdict_of of, enum lease_verdict *verdict)
{
    for (size_t i = 0; i < sizeof verdicts / sizeof verdicts[0]; i++) {
        if (verdicts[i].of == of && strlen(verdicts[i].text) == field->len &&
            memcmp(verdicts[i].text, field->str, field->len) == 0) {
            *verdict = (enum lease_verdict)verdicts[i].value;
            return 0;
        }
    }
    return -1;
}

static int parse_number(const redisReply *field, int64_t max, int64_t *value)
{
    return number_parse(field->str, field->len, max, value);
}

static int parse_record(redisReply *const *field, struct lease_record *record)
{
    const int64_t max_ms = INT64_MAX / NS_PER_MS;
    int64_t token;

    if (state_parse(field[FIELD_STATE]->str, field[FIELD_STATE]->len, &record->state) != 0 ||
        parse_number(field[FIELD_TOKEN], TOKEN_MAX, &token) != 0 ||
        parse_number(field[FIELD_TTL], DURATION_MAX_MS, &record->ttl_ms) != 0 ||
        parse_number(field[FIELD_AGE], max_ms, &record->age_ms) != 0 ||
        parse_number(field[FIELD_HOLD_LEFT], max_ms, &record->hold_left_ms) != 0 ||
        parse_number(field[FIELD_HOLD], DURATION_MAX_MS, &record->hold_ms) != 0)
        return -1;
    /* A cut version or incarnation would compare unequal for ever. */
    if (field[FIELD_VERSION]->len >= sizeof record->version ||
        field[FIELD_IDENT]->len >= sizeof record->incarnation)
        return -1;
    record->token = (uint64_t)token;
    copy_text(field[FIELD_ID], record->id, sizeof record->id);
    copy_text(field[FIELD_NAME], record->name, sizeof record->name);
    copy_text(field[FIELD_VERSION], record->version, sizeof record->version);
    copy_text(field[FIELD_IDENT], record->incarnation, sizeof record->incarnation);
    copy_text(field[FIELD_COMMAND], record->command, sizeof record->command);
    copy_text(field[FIELD_FOREIGN], record->foreign, sizeof record->foreign);
    return 0;
}

/* Takes the next word of a text that has one, and the blank behind it. */
static void take_word(const char **text, char *buffer, size_t size)
{
    size_t length = strcspn(*text, " ");

    snprintf(buffer, size, "%.*s", (int)length, *text);
    *text += length + ((*text)[length] == ' ');
}

/* "kind left by rest", or empty. */
static int parse_wish(const redisReply *field, struct lease_wish *wish)
{
    static const struct {
        const char *word;
        enum lease_wish_kind kind;
    } kinds[] = {
        {"paused", LEASE_WISH_PAUSED},
        {"cordoned", LEASE_WISH_CORDONED},
        {"step-down", LEASE_WISH_STEP_DOWN},
    };
    char text[LEASE_TEXT_SIZE];
    char word[LEASE_TEXT_SIZE];
    const char *rest = text;

    memset(wish, 0, sizeof *wish);
    copy_text(field, text, sizeof text);
    if (text[0] == '\0')
        return 0;
    take_word(&rest, word, sizeof word);
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (strcmp(word, kinds[i].word) == 0)
            wish->kind = kinds[i].kind;
    take_word(&rest, word, sizeof word);
    take_word(&rest, wish->by, sizeof wish->by);
    snprintf(wish->text, sizeof wish->text, "%s", rest);
    return wish->kind != LEASE_WISH_NONE && wish->by[0] != '\0'
               ? number_parse(word, strlen(word), DURATION_MAX_MS, &wish->left_ms)
               : -1;
}

int verdict_parse(const redisReply *reply, enum verdict_of of, struct lease_reply *answer)
{
    struct lease_record record = {0};
    struct lease_wish wish;
    enum lease_verdict verdict;
    enum lease_state before;
    char warning[LEASE_TEXT_SIZE];

    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != FIELDS)
        return -1;
    for (size_t i = 0; i < FIELDS; i++) {
        if (reply->element[i] == NULL || reply->element[i]->type != REDIS_REPLY_STRING)
            return -1;
    }
    if (parse_verdict(reply->element[FIELD_VERDICT], of, &verdict) != 0 ||
        parse_record(reply->element, &record) != 0 ||
        state_parse(reply->element[FIELD_BEFORE]->str, reply->element[FIELD_BEFORE]->len,
                    &before) != 0 ||
        parse_wish(reply->element[FIELD_WISH], &wish) != 0)
        return -1;
    /* Each grant ends a state of the record, and nothing else does. */
    if ((verdict == LEASE_GRANTED) != (before != LEASE_ABSENT))
        return -1;
    /* Only these two can do as is wished. */
    if (wish.kind != LEASE_WISH_NONE && verdict != LEASE_REFUSED && verdict != LEASE_RENEWED)
        return -1;
    /* A term that begins or goes on without a token, or with nobody's record, is none. */
    if ((verdict == LEASE_GRANTED || verdict == LEASE_RENEWED) &&
        (record.token == 0 || record.state != LEASE_HELD))
        return -1;
    answer->verdict = verdict;
    answer->record = record;
    answer->wish = wish;
    answer->before = before;
    copy_text(reply->element[FIELD_WARNING], warning, sizeof warning);
    answer->warning[0] = '\0';
    if (warning[0] != '\0')
        error_explain(warning, answer->warning, sizeof answer->warning);
    return 0;
}
