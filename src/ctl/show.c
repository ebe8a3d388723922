/* Texts, spans, times and tables for people. */
#include "show.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define SECOND_MS INT64_C(1000)
#define MINUTE_MS (60 * SECOND_MS)
#define HOUR_MS   (60 * MINUTE_MS)
#define DAY_MS    (24 * HOUR_MS)
#define GAP       2 /* blanks between two columns */
#define LEAST     8 /* a column is not made narrower */
#define MOST_MS   INT64_C(9000000000000)

char *show_text(const char *text, char *buffer, size_t size)
{
    size_t used = 0;

    for (; *text != '\0'; text++) {
        unsigned char byte = (unsigned char)*text;
        char piece[5] = {(char)byte, '\0'};
        if (byte < 0x20 || byte > 0x7E)
            snprintf(piece, sizeof piece, "\\x%02x", byte);
        else if (byte == '\\')
            snprintf(piece, sizeof piece, "\\\\");
        size_t length = strlen(piece);
        if (used + length >= size)
            break;
        memcpy(buffer + used, piece, length);
        used += length;
    }
    buffer[used] = '\0';
    return buffer;
}

char *show_span(int64_t ms, char *buffer, size_t size)
{
    if (ms < 0)
        snprintf(buffer, size, "-");
    else if (ms < 10 * SECOND_MS)
        snprintf(buffer, size, "%" PRId64 ".%" PRId64 "s", ms / SECOND_MS, ms % SECOND_MS / 100);
    else if (ms < 2 * MINUTE_MS)
        snprintf(buffer, size, "%" PRId64 "s", ms / SECOND_MS);
    else if (ms < 2 * HOUR_MS)
        snprintf(buffer, size, "%" PRId64 "m", ms / MINUTE_MS);
    else if (ms < 2 * DAY_MS)
        snprintf(buffer, size, "%" PRId64 "h", ms / HOUR_MS);
    else
        snprintf(buffer, size, "%" PRId64 "d", ms / DAY_MS);
    return buffer;
}

char *show_time(int64_t ms, char *buffer, size_t size)
{
    time_t seconds = (time_t)(ms / SECOND_MS);
    struct tm parts;

    if (ms <= 0 || ms > MOST_MS || gmtime_r(&seconds, &parts) == NULL ||
        strftime(buffer, size, "%Y-%m-%d %H:%M:%SZ", &parts) == 0)
        snprintf(buffer, size, "-");
    return buffer;
}

void show_fit(const struct show_row *rows, size_t count, size_t columns, size_t width,
              size_t widths[SHOW_COLUMNS])
{
    size_t total = GAP * (columns - 1);

    for (size_t column = 0; column < columns; column++) {
        widths[column] = 0;
        for (size_t i = 0; i < count; i++) {
            size_t length = strlen(rows[i].cells[column]);
            if (length > widths[column])
                widths[column] = length;
        }
        total += widths[column];
    }
    while (width != 0 && total > width) {
        size_t widest = 0;
        for (size_t column = 1; column < columns; column++)
            if (widths[column] > widths[widest])
                widest = column;
        if (widths[widest] <= LEAST)
            break;
        widths[widest]--;
        total--;
    }
}

char *show_row(const struct show_row *row, size_t columns, const size_t widths[SHOW_COLUMNS],
               char *buffer, size_t size)
{
    size_t used = 0;

    buffer[0] = '\0';
    for (size_t column = 0; column < columns && used < size; column++) {
        const char *cell = row->cells[column];
        int wide = (int)widths[column];
        bool cut = strlen(cell) > widths[column];
        int length = snprintf(buffer + used, size - used, "%-*.*s%s%*s", cut ? wide - 1 : wide,
                              cut ? wide - 1 : wide, cell, cut ? "~" : "", GAP, "");
        used += length > 0 ? (size_t)length : 0;
    }
    used = strlen(buffer);
    while (used > 0 && buffer[used - 1] == ' ')
        buffer[--used] = '\0';
    return buffer;
}
