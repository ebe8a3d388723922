/* Durations, from text and to text. */
#include "leaderwrap/base/duration.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define MINUTE_MS INT64_C(60000)
#define HOUR_MS   INT64_C(3600000)
#define DAY_MS    INT64_C(86400000)

struct unit {
    const char *suffix;
    int64_t ms;
};

/* From the longest to the shortest, as a duration of several names them. */
static const struct unit units[] = {
    {"d", DAY_MS}, {"h", HOUR_MS}, {"m", MINUTE_MS}, {"s", 1000}, {"ms", 1}};

#define UNITS (sizeof units / sizeof units[0])

static const char too_long[] = "is longer than 30 days";

static bool is_digit(char letter)
{
    return letter >= '0' && letter <= '9';
}

/* Reads decimal digits at `*cursor` into a number of thousandths ("1.5" is 1500) and moves the
 * cursor behind them. Returns NULL, or what is wrong. */
static const char *read_thousandths(const char **cursor, int64_t *value)
{
    const char *at = *cursor;
    int64_t thousandths = 0;

    if (*at == '.')
        return "has no digit before the point: write 0.5s";
    for (; is_digit(*at); at++) {
        thousandths = thousandths * 10 + (*at - '0') * INT64_C(1000);
        if (thousandths > DURATION_MAX_MS * 1000)
            return too_long;
    }
    if (*at == '.') {
        at++;
        if (!is_digit(*at))
            return "has no digit behind the point: write 1.5s";
        for (int64_t weight = 100; is_digit(*at); at++, weight /= 10)
            thousandths += (*at - '0') * weight;
    }
    *cursor = at;
    *value = thousandths;
    return NULL;
}

/* Finds the unit at `*cursor`, one of those from `*next` on, and moves both behind it. Returns
 * NULL, or what is wrong. */
static const char *read_unit(const char **cursor, size_t *next, int64_t *unit_ms)
{
    size_t length = strspn(*cursor, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ");

    if (**cursor == '\0')
        return *next > 0 ? "has no unit at its end: write 1h30m"
                         : "has no unit: write 500ms, 15s, 5m, 1h or 1d";
    if (**cursor == ' ')
        return "has a blank in it: write 15s, not 15 s";
    for (size_t i = 0; i < UNITS; i++) {
        if (length != strlen(units[i].suffix) || memcmp(*cursor, units[i].suffix, length) != 0)
            continue;
        if (i < *next)
            return "must name each unit once, the longest first: write 1h30m";
        *cursor += length;
        *next = i + 1;
        *unit_ms = units[i].ms;
        return NULL;
    }
    return "has an unknown unit: ms, s, m, h and d are known";
}

const char *duration_parse(const char *text, int64_t *ms)
{
    const char *cursor = text;
    const char *problem = NULL;
    size_t next = 0;
    int64_t total_ms = 0;

    if (*text == '\0')
        return "is empty: write a time such as 15s";
    if (*text == '-' && (is_digit(text[1]) || text[1] == '.'))
        return "is negative: a time is 0 or longer";
    if (!is_digit(*text) && *text != '.')
        return "is no time: write 500ms, 15s, 5m, 1h30m or 1d";
    /* Nothing is nothing in any unit. */
    if (text[strspn(text, "0")] == '\0')
        cursor = "";
    while (problem == NULL && *cursor != '\0') {
        int64_t thousandths, unit_ms;
        problem = read_thousandths(&cursor, &thousandths);
        if (problem == NULL)
            problem = read_unit(&cursor, &next, &unit_ms);
        if (problem != NULL)
            break;
        if (thousandths > DURATION_MAX_MS * 1000 / unit_ms)
            return too_long;
        total_ms += thousandths * unit_ms / 1000;
        if (total_ms > DURATION_MAX_MS)
            return too_long;
        if (*cursor != '\0' && !is_digit(*cursor) && *cursor != '.')
            problem = *cursor == ' ' ? "has a blank in it: write 1h30m"
                                     : "has something behind its unit: write 15s or 1h30m";
    }
    if (problem == NULL)
        *ms = total_ms;
    return problem;
}

char *duration_format(char *buffer, size_t size, int64_t ms)
{
    const char *sign = ms < 0 ? "-" : "";
    if (ms < 0)
        ms = -ms;
    if (ms < 1000) {
        snprintf(buffer, size, "%s%" PRId64 " ms", sign, ms);
    } else if (ms < MINUTE_MS) {
        int64_t hundredths = (ms + 5) / 10;
        snprintf(buffer, size, "%s%" PRId64 ".%02" PRId64, sign, hundredths / 100,
                 hundredths % 100);
        /* 15.00 and 1.50 read better as 15 and 1.5. */
        size_t length = strlen(buffer);
        while (length > 0 && buffer[length - 1] == '0')
            buffer[--length] = '\0';
        if (length > 0 && buffer[length - 1] == '.')
            buffer[--length] = '\0';
        snprintf(buffer + length, size - length, " s");
    } else if (ms < HOUR_MS) {
        int64_t seconds = ms / 1000;
        if (seconds % 60 == 0)
            snprintf(buffer, size, "%s%" PRId64 " min", sign, seconds / 60);
        else
            snprintf(buffer, size, "%s%" PRId64 " min %" PRId64 " s", sign, seconds / 60,
                     seconds % 60);
    } else {
        int64_t minutes = ms / MINUTE_MS;
        if (minutes % 60 == 0)
            snprintf(buffer, size, "%s%" PRId64 " h", sign, minutes / 60);
        else
            snprintf(buffer, size, "%s%" PRId64 " h %" PRId64 " min", sign, minutes / 60,
                     minutes % 60);
    }
    return buffer;
}
