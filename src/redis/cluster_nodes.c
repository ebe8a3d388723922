/* "<id> <ip>:<port>@<bus>[,<name>] <flags> <master> <ping> <pong> <epoch> <link> <slots> ..." */
#include "cluster_nodes.h"

#include <string.h>
#include <strings.h>

#include "words.h"

#define SLOT_LAST 16383

enum field {
    FIELD_ID,
    FIELD_PLACE,
    FIELD_FLAGS,
    FIELD_EPOCH = 6,
    FIELD_LINK,
    FIELDS
};

struct word {
    const char *text;
    size_t length;
};

/* Takes the next word off a line. Returns whether there was one. */
static bool next_word(struct word *line, struct word *word)
{
    const char *blank;

    while (line->length > 0 && *line->text == ' ') {
        line->text++;
        line->length--;
    }
    if (line->length == 0)
        return false;
    blank = memchr(line->text, ' ', line->length);
    *word = (struct word){line->text, blank != NULL ? (size_t)(blank - line->text) : line->length};
    line->text += word->length;
    line->length -= word->length;
    return true;
}

/* Whether a range has the slot in it; -1: it is none. Slots in brackets are on their way and are
 * said of the node that has them until they have arrived. */
static int has_slot(const struct word *range, unsigned slot)
{
    const char *dash = memchr(range->text, '-', range->length);
    size_t length = dash != NULL ? (size_t)(dash - range->text) : range->length;
    int64_t first, last;

    if (*range->text == '[')
        return 0;
    if (number_parse(range->text, length, SLOT_LAST, &first) != 0)
        return -1;
    last = first;
    if (dash != NULL && number_parse(dash + 1, range->length - length - 1, SLOT_LAST, &last) != 0)
        return -1;
    return slot >= first && slot <= last;
}

static bool has_flag(const struct word *flags, const char *flag)
{
    size_t size = strlen(flag);

    for (size_t at = 0; at + size <= flags->length; at++) {
        bool begins = at == 0 || flags->text[at - 1] == ',';
        bool ends = at + size == flags->length || flags->text[at + size] == ',';

        if (begins && ends && memcmp(flags->text + at, flag, size) == 0)
            return true;
    }
    return false;
}

/* What is no address is one that the node does not know. */
static void read_place(const struct word *word, struct slot_owner *owner)
{
    const char *comma = memchr(word->text, ',', word->length);
    size_t length = comma != NULL ? (size_t)(comma - word->text) : word->length;
    const char *bus = memchr(word->text, '@', length);
    size_t end = bus != NULL ? (size_t)(bus - word->text) : length;
    const char *colon = memrchr(word->text, ':', end);

    if (colon == NULL)
        return;
    size_t host = (size_t)(colon - word->text), port = end - host - 1;
    (void)place_set(&owner->place, word->text, host, colon + 1, port);
    if (comma == NULL)
        return;
    const char *name = comma + 1, *after = word->text + word->length;
    const char *more = memchr(name, ',', (size_t)(after - name));
    (void)place_set(&owner->named, name, (size_t)((more != NULL ? more : after) - name), colon + 1,
                    port);
}

/* Returns 1 where the line is the owner's, 0 where it is not, -1 where it is no such line. */
static int read_line(struct word line, unsigned slot, struct slot_owner *owner)
{
    struct word fields[FIELDS], range;
    int64_t epoch;

    for (int i = 0; i < FIELDS; i++)
        if (!next_word(&line, &fields[i]))
            return -1;
    if (number_parse(fields[FIELD_EPOCH].text, fields[FIELD_EPOCH].length, INT64_MAX, &epoch) != 0)
        return -1;
    while (next_word(&line, &range)) {
        int has = has_slot(&range, slot);

        if (has < 0)
            return -1;
        if (has == 0)
            continue;
        owner->found = true;
        owner->myself = has_flag(&fields[FIELD_FLAGS], "myself");
        owner->epoch = (uint64_t)epoch;
        read_place(&fields[FIELD_PLACE], owner);
        return 1;
    }
    return 0;
}

int slot_owner_read(const char *text, size_t length, unsigned slot, struct slot_owner *owner)
{
    const char *end = text + length;

    memset(owner, 0, sizeof *owner);
    if (length == 0)
        return -1;
    while (text < end) {
        const char *newline = memchr(text, '\n', (size_t)(end - text));
        struct word line = {text, (size_t)((newline != NULL ? newline : end) - text)};
        int is = read_line(line, slot, owner);

        if (is != 0)
            return is < 0 ? -1 : 0;
        text = newline != NULL ? newline + 1 : end;
    }
    return 0;
}

bool slot_owner_is_at(const struct slot_owner *owner, const struct place *place, const char *own)
{
    if (place_is_same(&owner->place, place) || place_is_same(&owner->named, place))
        return true;
    return strcasecmp(place->host, own) == 0 && strcmp(owner->place.port, place->port) == 0;
}
