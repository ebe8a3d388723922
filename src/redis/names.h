/*
 * The keys and the channel of a lease, by their names (leaderwrap/redis/store.h).
 */
#ifndef LEADERWRAP_REDIS_NAMES_H
#define LEADERWRAP_REDIS_NAMES_H

/* In the order in which the scripts get those that they do. */
enum {
    KEY_HOLDER,
    KEY_TERM,
    KEY_HISTORY,
    KEYS_OF_SCRIPTS,
    KEY_CANDIDATES = KEYS_OF_SCRIPTS, /* which acquire.lua names itself */
    KEY_COUNT,
};

struct names {
    char *keys[KEY_COUNT];
    char *channel;
};

/* Makes them for a key in a database. Returns 0 or -ENOMEM. Free with names_clear. */
int names_make(struct names *names, const char *key, int database);

/* Frees what is there of them. */
void names_clear(struct names *names);

#endif
