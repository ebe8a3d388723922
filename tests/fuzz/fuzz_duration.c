/*
 * Durations: duration_parse, duration_format.
 *
 * Oracle: a second reader, in 128 bits, accepts the same texts with the same values; a refusal
 * leaves the value alone. What was accepted, shown to a person and read back, is the same to the
 * precision that is shown (1 ms, 10 ms, 1 s, 1 min); a small buffer cuts it and is not overrun.
 */
#include "fuzz.h"

#include <inttypes.h>

#include "leaderwrap/base/duration.h"

#define UNTOUCHED INT64_C(-77)

typedef __int128 wide;

/* The length of a unit in milliseconds, its place from the longest to the shortest and the length
 * of its name; 0 for what is none. */
static wide unit_ms(const char *text, int *place, size_t *length)
{
    size_t letters = 0;

    while ((text[letters] | 0x20) >= 'a' && (text[letters] | 0x20) <= 'z')
        letters++;
    *length = letters;
    *place = letters == 2 && memcmp(text, "ms", 2) == 0 ? 5
             : letters != 1                             ? 0
             : *text == 's'                             ? 4
             : *text == 'm'                             ? 3
             : *text == 'h'                             ? 2
             : *text == 'd'                             ? 1
                                                        : 0;
    static const wide lengths[] = {0, 86400000, 3600000, 60000, 1000, 1};
    return lengths[*place];
}

/* Reads one number with its unit at `*text`, in thousandths of a millisecond. Digits behind the
 * third place are dropped, as are fractions of a millisecond. Returns -1 for what is none. */
static wide reference_part(const char **text, int *last)
{
    const wide most = (wide)DURATION_MAX_MS * 1000;
    size_t whole = strspn(*text, "0123456789");
    wide thousandths = 0;
    size_t length;
    int place;

    for (size_t i = 0; i < whole && thousandths <= most; i++)
        thousandths = thousandths * 10 + ((*text)[i] - '0') * 1000;
    *text += whole;
    if (whole == 0 || thousandths > most)
        return -1;
    if (**text == '.') {
        size_t places = strspn(++*text, "0123456789");
        int weight = 100;

        if (places == 0)
            return -1;
        for (size_t i = 0; i < places && i < 3; i++, weight /= 10)
            thousandths += ((*text)[i] - '0') * weight;
        *text += places;
    }
    wide unit = unit_ms(*text, &place, &length);
    *text += length;
    if (place <= *last)
        return -1;
    *last = place;
    return thousandths * unit > most ? -1 : thousandths * unit / 1000;
}

/* Returns -1 for what is no duration. */
static wide reference(const char *text)
{
    wide total = 0;
    int last = 0;

    if (*text != '\0' && text[strspn(text, "0")] == '\0')
        return 0;
    do {
        wide part = reference_part(&text, &last);
        if (part < 0)
            return -1;
        total += part;
    } while (*text != '\0');
    return total <= DURATION_MAX_MS ? total : -1;
}

/* Reads what duration_format wrote; `*resolution` is the precision of the form it chose. */
static int64_t read_back(const char *shown, int64_t *resolution)
{
    int64_t total = 0;

    *resolution = 1;
    while (*shown != '\0') {
        int64_t whole = 0, fraction = 0, weight = 1000;
        char unit[4] = "";
        int used = 0;

        for (; *shown >= '0' && *shown <= '9'; shown++)
            whole = whole * 10 + (*shown - '0');
        if (*shown == '.')
            for (shown++; *shown >= '0' && *shown <= '9'; shown++)
                fraction += (*shown - '0') * (weight /= 10);
        ORACLE(sscanf(shown, " %3[a-z]%n", unit, &used) == 1);
        shown += used;
        int64_t ms = strcmp(unit, "ms") == 0    ? 1
                     : strcmp(unit, "s") == 0   ? 1000
                     : strcmp(unit, "min") == 0 ? 60000
                     : strcmp(unit, "h") == 0   ? 3600000
                                                : 0;
        ORACLE(ms != 0 && (fraction == 0 || ms == 1000));
        *resolution = ms == 3600000 ? 60000 : total == 0 && ms == 60000 ? 1000 : *resolution;
        if (total == 0 && ms == 1000)
            *resolution = 10;
        total += whole * ms + fraction * ms / 1000;
        if (*shown == ' ')
            shown++;
    }
    return total;
}

static void check_format(int64_t ms)
{
    char shown[40];
    char *small = malloc(6);
    int64_t resolution;

    ORACLE(duration_format(shown, sizeof shown, ms) == shown);
    int64_t back = read_back(shown, &resolution);
    ORACLE(back - ms < resolution && ms - back < resolution);
    if (small == NULL)
        abort();
    duration_format(small, 6, ms);
    ORACLE(memchr(small, '\0', 6) != NULL);
    free(small);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = input_text(data, size);
    int64_t ms = UNTOUCHED;
    wide expected = reference(text);
    const char *problem = duration_parse(text, &ms);

    if (problem == NULL) {
        ORACLE(ms == expected && ms >= 0 && ms <= DURATION_MAX_MS);
        check_format(ms);
    } else {
        ORACLE(expected == -1 && ms == UNTOUCHED);
        ORACLE(problem[0] != '\0' && is_printable(problem));
    }
    free(text);
    return 0;
}
