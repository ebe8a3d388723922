/* Which names are near to one that is none. */
#include "near.h"

#include <stdio.h>
#include <string.h>

#define NEAR_MOST  6 /* so many are proposed */
#define SHORT_NAME 4 /* one wrong letter makes another name of those */

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* How many letters have to be put in, left out or changed, or swapped with their neighbours, to
 * make `b` of the first `length` bytes of `a` (the optimal string alignment distance). */
static size_t distance(const char *a, size_t length, const char *b)
{
    size_t rows[3][CLI_NAME_MOST + 1];
    size_t width = strlen(b);

    if (length > CLI_NAME_MOST || width > CLI_NAME_MOST)
        return CLI_NAME_MOST;
    for (size_t j = 0; j <= width; j++)
        rows[0][j] = j;
    for (size_t i = 1; i <= length; i++) {
        size_t *row = rows[i % 3];
        const size_t *above = rows[(i + 2) % 3];
        const size_t *before = rows[(i + 1) % 3];

        row[0] = i;
        for (size_t j = 1; j <= width; j++) {
            row[j] = least(above[j - 1] + (a[i - 1] != b[j - 1]), least(above[j], row[j - 1]) + 1);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                row[j] = least(row[j], before[j - 2] + 1);
        }
    }
    return rows[length % 3][width];
}

/* A name that was cut short, or has more behind it ("redis-url"). */
static bool begins_like(const char *name, size_t length, const char *known)
{
    size_t width = strlen(known);

    return length < width ? length > 0 && strncmp(name, known, length) == 0
                          : length > width && name[width] == '-' && memcmp(name, known, width) == 0;
}

static size_t collect(const struct cli_table *table, const char *name, size_t length, size_t *near)
{
    size_t nearest = length <= SHORT_NAME ? 1 : 2;
    size_t count = 0;

    for (size_t i = 0; i < table->count; i++)
        if (begins_like(name, length, table->options[i].name) && count < NEAR_MOST)
            near[count++] = i;
    if (count > 0)
        return count;
    for (size_t i = 0; i < table->count; i++) {
        size_t steps = distance(name, length, table->options[i].name);
        if (steps < nearest) {
            nearest = steps;
            count = 0;
        }
        if (steps == nearest && count < NEAR_MOST)
            near[count++] = i;
    }
    return count;
}

void cli_suggest(const struct cli_table *table, const char *name, size_t length,
                 void (*show)(const struct cli_table *table, size_t number, char *text,
                              size_t size),
                 char *buffer, size_t size)
{
    size_t near[NEAR_MOST];
    size_t count = collect(table, name, length, near);
    size_t used = 0;

    buffer[0] = '\0';
    for (size_t i = 0; i < count && used < size; i++) {
        char text[64];
        show(table, near[i], text, sizeof text);
        used += (size_t)snprintf(buffer + used, size - used, "%s%s%s",
                                 i == 0           ? "; did you mean "
                                 : i + 1 == count ? " or "
                                                  : ", ",
                                 text, i + 1 == count ? "?" : "");
    }
}
