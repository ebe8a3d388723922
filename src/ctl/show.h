/*
 * What a person sees: texts of Redis made harmless, spans, times, tables. Pure.
 */
#ifndef LEADERWRAP_CTL_SHOW_H
#define LEADERWRAP_CTL_SHOW_H

#include <stddef.h>
#include <stdint.h>

#define SHOW_CELL_SIZE 512 /* with its NUL */
#define SHOW_COLUMNS   8

/* Writes `text` so that no terminal obeys it: all but printable ASCII becomes \xNN, and a backslash
 * two. Cut to `size`, never inside of an escape. Returns `buffer`. */
char *show_text(const char *text, char *buffer, size_t size);

/* Writes a span in the largest unit that says enough: "1.2s", "45s", "12m", "9h", "3d"; "-" for one
 * that is below 0. Returns `buffer`. */
char *show_span(int64_t ms, char *buffer, size_t size);

/* Writes ms since 1970 as "2026-11-25 22:14:03Z"; "-" for 0 or what is no time. Returns `buffer`.
 */
char *show_time(int64_t ms, char *buffer, size_t size);

/* One line of a table. */
struct show_row {
    char cells[SHOW_COLUMNS][SHOW_CELL_SIZE];
};

/* Chooses how wide the `columns` columns are, so that a line has at most `width` bytes: the widest
 * ones give way, but none below 8. `width` 0: no limit. */
void show_fit(const struct show_row *rows, size_t count, size_t columns, size_t width,
              size_t widths[SHOW_COLUMNS]);

/* Writes one line, without blanks or a newline at its end; a cell that is cut ends with "~".
 * Returns `buffer`, for which (SHOW_CELL_SIZE + 2) * SHOW_COLUMNS is enough. */
char *show_row(const struct show_row *row, size_t columns, const size_t widths[SHOW_COLUMNS],
               char *buffer, size_t size);

#endif
