/* The record of a connection, for the oracle. */
#include "transcript.h"

#include "answers.h"
#include "fuzz.h"

#define FIRST_WORD 2 /* of a script's own arguments, behind the command and its hash */
#define NONCE_WORD (FIRST_WORD + 9)

void side_append(struct side *side, const void *bytes, size_t length)
{
    if (side->length + length > side->size) {
        side->size = 2 * (side->length + length);
        side->bytes = realloc(side->bytes, side->size);
        if (side->bytes == NULL)
            abort();
    }
    memcpy(side->bytes + side->length, bytes, length);
    side->length += length;
}

/* Finds the next word of a command at `*at` and moves behind it. */
static struct answer_text next_word(const uint8_t *bytes, size_t size, size_t *at)
{
    size_t length = reply_length(bytes + *at, size - *at);
    struct answer_text word = {0};

    ORACLE(length > 0 && bytes[*at] == '$');
    const uint8_t *line = memchr(bytes + *at, '\n', length);
    word.text = line + 1;
    word.length = length - (size_t)(line + 1 - (bytes + *at)) - 2;
    *at += length;
    return word;
}

/* Whether the command at `at` is a script call with this nonce. */
static bool has_nonce(const struct side *sent, size_t at, size_t length, const char *nonce)
{
    const uint8_t *bytes = sent->bytes + at;
    size_t inside = (size_t)((const uint8_t *)memchr(bytes, '\n', length) + 1 - bytes);
    struct answer_text word = {0};
    int index = 0;

    for (; inside < length && index <= NONCE_WORD; index++)
        word = next_word(bytes, length, &inside);
    return index == NONCE_WORD + 1 && word.length == strlen(nonce) &&
           memcmp(word.text, nonce, word.length) == 0;
}

bool was_answered(const struct transcript *said, const char *id, const char *nonce,
                  const char *verdict, uint64_t token)
{
    size_t heard = 0;
    size_t command;
    size_t reply;

    for (size_t at = 0; at < said->sent.length; at += command, heard += reply) {
        command = reply_length(said->sent.bytes + at, said->sent.length - at);
        reply = reply_length(said->heard.bytes + heard, said->heard.length - heard);
        if (command == 0 || reply == 0)
            return false;
        if (!has_nonce(&said->sent, at, command, nonce))
            continue;
        struct answer answer;
        const uint8_t *bytes = said->heard.bytes + heard;
        if (answer_holds(bytes, reply, verdict, token) && answer_read(bytes, reply, &answer) &&
            answer_is(&answer, ANSWER_ID, id) && answer_is(&answer, ANSWER_VERSION, nonce))
            return true;
    }
    return false;
}
