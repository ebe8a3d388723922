/* Durations, from text and to text. */
#include "leaderwrap/duration.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define MINUTE_MS INT64_C(60000)
#define HOUR_MS   INT64_C(3600000)

struct unit {
    const char *suffix;
    int64_t ms;
};

static const struct unit units[] = {{"ms", 1}, {"s", 1000}, {"m", MINUTE_MS}, {"h", HOUR_MS}};

static const struct unit *find_unit(const char *suffix)
{
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
        if (strcmp(suffix, units[i].suffix) == 0)
            return &units[i];
    return NULL;
}

/* Reads decimal digits at `*cursor` into a number of thousandths ("1.5" is 1500) and moves the
 * cursor behind them. Returns false where there is no digit or the number is beyond any duration.
 */
static bool read_thousandths(const char **cursor, int64_t *value)
{
    const char *at = *cursor;
    int64_t thousandths = 0;
    if (*at < '0' || *at > '9')
        return false;
    for (; *at >= '0' && *at <= '9'; at++) {
        thousandths = thousandths * 10 + (*at - '0') * INT64_C(1000);
        if (thousandths > DURATION_MAX_MS * 1000)
            return false;
    }
    if (*at == '.') {
        at++;
        if (*at < '0' || *at > '9')
            return false;
        for (int64_t weight = 100; *at >= '0' && *at <= '9'; at++, weight /= 10)
            thousandths += (*at - '0') * weight;
    }
    *cursor = at;
    *value = thousandths;
    return true;
}

const char *duration_parse(const char *text, int64_t *ms)
{
    const char *cursor = text;
    int64_t thousandths;

    if (!read_thousandths(&cursor, &thousandths))
        return "is not a duration such as 500ms, 15s, 5m or 1h (at most 30 days)";
    if (*cursor == '\0') {
        if (thousandths != 0)
            return "has no unit: write 500ms, 15s, 5m or 1h";
        *ms = 0;
        return NULL;
    }
    const struct unit *unit = find_unit(cursor);
    if (unit == NULL)
        return "has an unknown unit: write 500ms, 15s, 5m or 1h";
    if (thousandths > DURATION_MAX_MS * 1000 / unit->ms)
        return "is longer than 30 days";
    *ms = thousandths * unit->ms / 1000;
    return NULL;
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
