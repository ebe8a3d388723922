/*
 * Durations as people write them: 500ms, 15s, 5m, 1h30m, 1d. A bare number is refused, because half
 * of the readers would take it for seconds and the other half for milliseconds.
 */
#ifndef LEADERWRAP_BASE_DURATION_H
#define LEADERWRAP_BASE_DURATION_H

#include <stddef.h>
#include <stdint.h>

/* The longest duration accepted: 30 days. */
#define DURATION_MAX_MS (INT64_C(30) * 24 * 3600 * 1000)

/* Parses `text` (digits with an optional fraction, then d, h, m, s or ms, once or more from
 * the longest unit to the shortest; or a plain 0) into milliseconds. Returns NULL, or a static
 * sentence that says what is wrong with `text`; then
 * `*ms` is untouched. */
const char *duration_parse(const char *text, int64_t *ms);

/* Writes `ms` milliseconds as a person would say them ("350 ms", "11.35 s", "2 min 5 s") into
 * `buffer`, cut to `size`. Returns `buffer`. */
char *duration_format(char *buffer, size_t size, int64_t ms);

#endif
