/*
 * Durations: duration_parse, duration_format.
 *
 * Oracle: a second reader, in 128 bits, accepts the same texts with the same values; a refusal
 * leaves the value alone. What was accepted, shown to a person and read back, is the same to the
 * precision that is shown (1 ms, 10 ms, 1 s, 1 min); a small buffer cuts it and is not overrun.
 */
#include "fuzz.h"

#include <inttypes.h>

#include "leaderwrap/duration.h"

#define UNTOUCHED INT64_C(-77)

typedef __int128 wide;

static wide unit_ms(const char *suffix)
{
    return strcmp(suffix, "ms") == 0  ? 1
           : strcmp(suffix, "s") == 0 ? 1000
           : strcmp(suffix, "m") == 0 ? 60000
           : strcmp(suffix, "h") == 0 ? 3600000
                                      : -1;
}

/* Digits behind the third place are dropped, as are fractions of a millisecond. Returns -1 for what
 * is no duration. */
static wide reference(const char *text)
{
    const wide most = (wide)DURATION_MAX_MS * 1000;
    size_t whole = strspn(text, "0123456789");
    wide thousandths = 0;

    if (whole == 0)
        return -1;
    for (size_t i = 0; i < whole; i++) {
        thousandths = thousandths * 10 + (text[i] - '0') * 1000;
        if (thousandths > most)
            return -1;
    }
    text += whole;
    if (*text == '.') {
        size_t places = strspn(++text, "0123456789");
        int weight = 100;

        if (places == 0)
            return -1;
        for (size_t i = 0; i < places && i < 3; i++, weight /= 10)
            thousandths += (text[i] - '0') * weight;
        text += places;
    }
    if (*text == '\0')
        return thousandths == 0 ? 0 : -1;
    wide unit = unit_ms(text);
    return unit < 0 || thousandths * unit > most ? -1 : thousandths * unit / 1000;
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
