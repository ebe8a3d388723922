/*
 * Which of many lines about the same thing a person should see. One cause is one line; while it
 * goes on it is told again after 1 min, 2 min, 4 min and so on up to 1 h, with a count. Pure: the
 * time is passed in.
 */
#ifndef LEADERWRAP_BASE_NOISE_H
#define LEADERWRAP_BASE_NOISE_H

#include <stdbool.h>
#include <stdint.h>

/* As many different causes may be live at a time; more are not told, so that a server whose every
 * error differs does not fill the log either. */
#define NOISE_CAUSES 8

struct noise_cause {
    uint64_t hash; /* of its text; 0: none */
    int64_t told_ns;
    int64_t heard_ns;
    int64_t pause_ns; /* from when it was told to when it may be told again */
    uint32_t untold;
};

/* All zeroes: nothing has happened yet. */
struct noise {
    struct noise_cause causes[NOISE_CAUSES];
};

/* What is to be said of one event. */
struct noise_word {
    bool tell;
    uint32_t times;    /* since it was last told, this time included; 1: it is new */
    int64_t within_ms; /* in so long a time; 0 where it is new */
};

/* `cause` happened at `now_ns`, any monotonic clock's. What has not happened for a minute is over:
 * the next time is a new one. */
struct noise_word noise_hear(struct noise *noise, const char *cause, int64_t now_ns);

#endif
