/*
 * Reads the payload of a message: 1|state|incarnation|version|token|ttl|listeners|name.
 */
#include "event.h"

#include <string.h>

#include "leaderwrap/base/duration.h"
#include "words.h"

enum {
    PART_FORMAT,
    PART_STATE,
    PART_IDENT,
    PART_VERSION,
    PART_TOKEN,
    PART_TTL,
    PART_LISTENERS,
    PART_NAME,
    PARTS
};

struct part {
    const char *text;
    size_t length;
};

/* Splits at the first bars; a name may contain more of them. */
static int split(const char *payload, size_t length, struct part *parts)
{
    for (int i = 0; i < PARTS - 1; i++) {
        const char *bar = memchr(payload, '|', length);

        if (bar == NULL)
            return -1;
        parts[i].text = payload;
        parts[i].length = (size_t)(bar - payload);
        length -= parts[i].length + 1;
        payload = bar + 1;
    }
    parts[PARTS - 1].text = payload;
    parts[PARTS - 1].length = length;
    return 0;
}

static int copy_part(const struct part *part, char *buffer, size_t size)
{
    if (part->length >= size || memchr(part->text, '\0', part->length) != NULL)
        return -1;
    memcpy(buffer, part->text, part->length);
    buffer[part->length] = '\0';
    return 0;
}

static int parse_listeners(const struct part *part, int64_t *listeners)
{
    if (part->length == 2 && memcmp(part->text, "-1", 2) == 0) {
        *listeners = -1;
        return 0;
    }
    return number_parse(part->text, part->length, INT32_MAX, listeners);
}

int event_parse(const char *payload, size_t length, struct lease_event *event)
{
    struct part parts[PARTS];
    struct lease_event parsed = {0};
    int64_t token;

    if (split(payload, length, parts) != 0 || parts[PART_FORMAT].length != 1 ||
        parts[PART_FORMAT].text[0] != '1')
        return -1;
    if (state_parse(parts[PART_STATE].text, parts[PART_STATE].length, &parsed.state) != 0 ||
        parsed.state == LEASE_ABSENT ||
        number_parse(parts[PART_TOKEN].text, parts[PART_TOKEN].length, TOKEN_MAX, &token) != 0 ||
        number_parse(parts[PART_TTL].text, parts[PART_TTL].length, DURATION_MAX_MS,
                     &parsed.ttl_ms) != 0 ||
        parse_listeners(&parts[PART_LISTENERS], &parsed.listeners) != 0 ||
        copy_part(&parts[PART_IDENT], parsed.incarnation, sizeof parsed.incarnation) != 0 ||
        copy_part(&parts[PART_VERSION], parsed.version, sizeof parsed.version) != 0 ||
        copy_part(&parts[PART_NAME], parsed.name, sizeof parsed.name) != 0)
        return -1;
    parsed.token = (uint64_t)token;
    *event = parsed;
    return 0;
}
