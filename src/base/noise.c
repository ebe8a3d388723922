/* Causes are told apart by a hash of their text: a collision costs a line of log. */
#include "leaderwrap/base/noise.h"

#include <stddef.h>

#include "leaderwrap/base/clock.h"

#define FIRST_PAUSE_NS (60 * MS_PER_SEC * NS_PER_MS)
#define LAST_PAUSE_NS  (60 * FIRST_PAUSE_NS)
#define SILENCE_NS     FIRST_PAUSE_NS

/* FNV-1a (http://www.isthe.com/chongo/tech/comp/fnv/). Never 0. */
static uint64_t hash_of(const char *text)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);

    for (; *text != '\0'; text++)
        hash = (hash ^ (unsigned char)*text) * UINT64_C(0x100000001b3);
    return hash != 0 ? hash : 1;
}

static bool is_over(const struct noise_cause *cause, int64_t now_ns)
{
    return cause->hash == 0 || now_ns - cause->heard_ns > SILENCE_NS;
}

/* The place of `hash`, or one for it; NULL where none is left. */
static struct noise_cause *find(struct noise *noise, uint64_t hash, int64_t now_ns)
{
    struct noise_cause *place = NULL;

    for (size_t i = 0; i < NOISE_CAUSES; i++) {
        struct noise_cause *cause = &noise->causes[i];

        if (cause->hash == hash && !is_over(cause, now_ns))
            return cause;
        if (place == NULL && is_over(cause, now_ns))
            place = cause;
    }
    if (place != NULL)
        *place = (struct noise_cause){.hash = hash};
    return place;
}

struct noise_word noise_hear(struct noise *noise, const char *cause, int64_t now_ns)
{
    struct noise_cause *place = find(noise, hash_of(cause), now_ns);
    struct noise_word word = {.times = 1};

    if (place == NULL)
        return word;
    bool fresh = place->pause_ns == 0;
    place->heard_ns = now_ns;
    place->untold++;
    word.tell = fresh || now_ns - place->told_ns >= place->pause_ns;
    word.times = place->untold;
    word.within_ms = fresh ? 0 : (now_ns - place->told_ns) / NS_PER_MS;
    if (word.tell) {
        place->told_ns = now_ns;
        place->untold = 0;
        place->pause_ns = fresh ? FIRST_PAUSE_NS : min_ns(2 * place->pause_ns, LAST_PAUSE_NS);
    }
    return word;
}
