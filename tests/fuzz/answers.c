/* Replies and answers, read for the oracles. */
#include "answers.h"

#include <string.h>

#define DEPTH_MOST 8
#define TOKEN_MOST ((UINT64_C(1) << 53) - 1)
#define TTL_MOST   (UINT64_C(30) * 24 * 3600 * 1000)
#define MS_MOST    (INT64_MAX / 1000000)
#define WISH_MOST  255

/* The length of the line at `data` without its end, or -1 where it is not complete. */
static long line_length(const uint8_t *data, size_t size)
{
    for (size_t i = 0; i + 1 < size; i++) {
        if (data[i] == '\r' && data[i + 1] == '\n')
            return (long)i;
    }
    return -1;
}

/* A canonical decimal number, which may be -1. Returns false for anything else. */
static bool read_count(const uint8_t *text, long length, long *count)
{
    *count = 0;
    if (length == 2 && memcmp(text, "-1", 2) == 0) {
        *count = -1;
        return true;
    }
    if (length < 1 || length > 9 || (text[0] == '0' && length > 1))
        return false;
    for (long i = 0; i < length; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        *count = *count * 10 + (text[i] - '0');
    }
    return true;
}

static size_t length_at_depth(const uint8_t *data, size_t size, int depth)
{
    long line = size > 0 ? line_length(data + 1, size - 1) : -1;
    long count;

    if (line < 0 || depth == 0)
        return 0;
    size_t used = (size_t)line + 3;
    if (data[0] == '+' || data[0] == '-' || data[0] == ':')
        return used;
    if ((data[0] != '$' && data[0] != '*') || !read_count(data + 1, line, &count))
        return 0;
    if (count < 0)
        return used;
    if (data[0] == '$') {
        /* hiredis does not look at the two bytes behind a string either. */
        return (size_t)count + 2 <= size - used ? used + (size_t)count + 2 : 0;
    }
    for (long i = 0; i < count; i++) {
        size_t element = length_at_depth(data + used, size - used, depth - 1);

        if (element == 0)
            return 0;
        used += element;
    }
    return used;
}

size_t reply_length(const uint8_t *data, size_t size)
{
    return length_at_depth(data, size, DEPTH_MOST);
}

static bool read_number(const struct answer_text *field, uint64_t most, uint64_t *value)
{
    unsigned __int128 number = 0;

    if (field->length == 0)
        return false;
    for (size_t i = 0; i < field->length; i++) {
        if (field->text[i] < '0' || field->text[i] > '9')
            return false;
        number = number * 10 + (unsigned)(field->text[i] - '0');
        if (number > most)
            return false;
    }
    *value = (uint64_t)number;
    return true;
}

bool answer_is(const struct answer *answer, enum answer_field field, const char *text)
{
    return answer->field[field].length == strlen(text) &&
           memcmp(answer->field[field].text, text, strlen(text)) == 0;
}

static bool is_one_of(const struct answer *answer, enum answer_field field,
                      const char *const *words)
{
    for (; *words != NULL; words++) {
        if (answer_is(answer, field, *words))
            return true;
    }
    return false;
}

/* Cuts the first word off, and the blank behind it. */
static struct answer_text take_word(struct answer_text *rest)
{
    struct answer_text word = {.text = rest->text};

    while (word.length < rest->length && rest->text[word.length] != ' ')
        word.length++;
    size_t taken = word.length + (word.length < rest->length);
    rest->text += taken;
    rest->length -= taken;
    return word;
}

/* "kind left by rest", of which no more than 255 bytes count; or nothing. */
static bool read_wish(struct answer *answer)
{
    static const char *const kinds[] = {"paused", "cordoned", "step-down"};
    struct answer_text rest = answer->field[ANSWER_WISH];
    bool known = false;

    answer->wish_left_ms = 0;
    if (rest.length == 0)
        return true;
    if (rest.length > WISH_MOST)
        rest.length = WISH_MOST;
    struct answer_text kind = take_word(&rest);
    struct answer_text left = take_word(&rest);
    struct answer_text by = take_word(&rest);
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        known = known ||
                (kind.length == strlen(kinds[i]) && memcmp(kind.text, kinds[i], kind.length) == 0);
    return known && by.length > 0 && read_number(&left, TTL_MOST, &answer->wish_left_ms) &&
           (answer_is(answer, ANSWER_VERDICT, "REFUSED") ||
            answer_is(answer, ANSWER_VERDICT, "RENEWED"));
}

bool answer_read(const uint8_t *reply, size_t size, struct answer *answer)
{
    static const char head[] = "*16\r\n";
    static const char *const verdicts[] = {"GRANTED",  "REFUSED",  "RENEWED", "LOST",
                                           "RELEASED", "NOT_HELD", NULL};
    static const char *const states[] = {"", "free", "held", "hold", "vacant", NULL};
    size_t used = strlen(head);

    if (size < used || memcmp(reply, head, used) != 0)
        return false;
    for (int i = 0; i < ANSWER_FIELDS; i++) {
        size_t length = reply_length(reply + used, size - used);
        long count;

        if (length == 0 || reply[used] != '$')
            return false;
        long line = line_length(reply + used + 1, size - used - 1);
        if (!read_count(reply + used + 1, line, &count) || count < 0)
            return false;
        answer->field[i].text = reply + used + line + 3;
        answer->field[i].length = (size_t)count;
        used += length;
    }
    return used == size && is_one_of(answer, ANSWER_VERDICT, verdicts) &&
           is_one_of(answer, ANSWER_STATE, states) && is_one_of(answer, ANSWER_BEFORE, states) &&
           answer_is(answer, ANSWER_VERDICT, "GRANTED") != answer_is(answer, ANSWER_BEFORE, "") &&
           answer->field[ANSWER_VERSION].length <= 16 && answer->field[ANSWER_IDENT].length <= 61 &&
           read_number(&answer->field[ANSWER_TOKEN], TOKEN_MOST, &answer->token) &&
           read_number(&answer->field[ANSWER_TTL], TTL_MOST, &answer->ttl_ms) &&
           read_number(&answer->field[ANSWER_AGE], MS_MOST, &answer->age_ms) &&
           read_number(&answer->field[ANSWER_HOLD_LEFT], MS_MOST, &answer->hold_left_ms) &&
           read_number(&answer->field[ANSWER_HOLD], TTL_MOST, &answer->hold_ms) &&
           read_wish(answer);
}

bool answer_holds(const uint8_t *reply, size_t size, const char *verdict, uint64_t token)
{
    struct answer answer;

    return answer_read(reply, size, &answer) && answer_is(&answer, ANSWER_VERDICT, verdict) &&
           answer_is(&answer, ANSWER_STATE, "held") && answer.token == token && token > 0;
}
