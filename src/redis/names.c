/* Names, made once. */
#include "names.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "leaderwrap/redis/store.h"

int names_make(struct names *names, const char *key, int database)
{
    static const char *const suffixes[] = {
        [KEY_TERM] = "term", [KEY_HISTORY] = "history", [KEY_CANDIDATES] = "candidates"};
    char name[STORE_KEY_SIZE];
    bool made = true;

    for (int i = 0; i < KEY_COUNT; i++) {
        names->keys[i] =
            strdup(i == KEY_HOLDER ? key : store_sibling(key, suffixes[i], name, sizeof name));
        made = made && names->keys[i] != NULL;
    }
    names->channel = strdup(store_channel(key, database, name, sizeof name));
    return made && names->channel != NULL ? 0 : -ENOMEM;
}

void names_clear(struct names *names)
{
    for (int i = 0; i < KEY_COUNT; i++)
        free(names->keys[i]);
    free(names->channel);
}
