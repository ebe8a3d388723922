/* The names of what belongs to a lease (leaderwrap/redis/store.h), and their slots. */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "leaderwrap/redis/store.h"

#define KEY_MAX 512
#define SLOTS   16384

/* Whether Redis hashes only a part of `key`: from the first '{' to the next '}', if that is not
 * empty (https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/). */
static bool has_hash_tag(const char *key)
{
    const char *open = strchr(key, '{');
    const char *close = open != NULL ? strchr(open, '}') : NULL;

    return close != NULL && close > open + 1;
}

static bool ends_with(const char *text, const char *end)
{
    size_t length = strlen(text);

    return length >= strlen(end) && strcmp(text + length - strlen(end), end) == 0;
}

const char *store_check_key(const char *key)
{
    size_t length = strlen(key);

    if (length == 0)
        return "it is empty";
    if (length > KEY_MAX)
        return "it is longer than 512 bytes";
    if (strpbrk(key, "{}") != NULL && !has_hash_tag(key))
        return "braces in a key must form a hash tag such as {name}";
    if (has_hash_tag(key) && (ends_with(key, ":term") || ends_with(key, ":history")))
        return "so is called what belongs to another key";
    return NULL;
}

/* Writes the name of what belongs to `key`, in the same hash slot. The two forms keep what belongs
 * to "a" and to "{a}" apart. */
char *store_sibling(const char *key, const char *suffix, char *buffer, size_t size)
{
    snprintf(buffer, size, has_hash_tag(key) ? "%s::%s" : "{%s}:%s", key, suffix);
    return buffer;
}

/* A message reaches the subscribers of all databases, so the channel has to tell them apart
 * (https://redis.io/docs/latest/develop/interact/pubsub/). */
char *store_channel(const char *key, int database, char *buffer, size_t size)
{
    if (key != NULL)
        store_sibling(key, "events", buffer, size);
    else
        snprintf(buffer, size, "*:events");
    if (database != 0) {
        size_t used = strlen(buffer);

        snprintf(buffer + used, size - used, ":%d", database);
    }
    return buffer;
}

char *store_term_key(const char *key, char *buffer, size_t size)
{
    store_sibling(key, "term", buffer, size);
    return buffer;
}

char *store_key_of(const char *name, const char *suffix)
{
    char again[STORE_KEY_SIZE];
    size_t length = strlen(name);
    size_t end = strlen(suffix) + 1; /* with the colon in front */

    if (length <= end + 1 || length >= sizeof again || name[length - end] != ':' ||
        strcmp(name + length - end + 1, suffix) != 0)
        return NULL;
    length -= end;
    /* "{K}" where K has no hash tag, "K:" where it has one. */
    char *key = name[length - 1] == '}' ? strndup(name + 1, length - 2) : strndup(name, length - 1);
    if (key != NULL && store_check_key(key) == NULL &&
        strcmp(store_sibling(key, suffix, again, sizeof again), name) == 0)
        return key;
    free(key);
    return NULL;
}

/* CRC-16/XMODEM, as the specification of the cluster has it. */
static uint16_t crc16(const char *bytes, size_t length)
{
    uint16_t crc = 0;

    for (size_t i = 0; i < length; i++) {
        crc ^= (uint16_t)((unsigned char)bytes[i] << 8);
        for (int bit = 0; bit < 8; bit++)
            crc = (uint16_t)((crc & 0x8000) != 0 ? crc << 1 ^ 0x1021 : crc << 1);
    }
    return crc;
}

unsigned store_slot(const char *key)
{
    size_t length = strlen(key);

    if (has_hash_tag(key)) {
        key = strchr(key, '{') + 1;
        length = strcspn(key, "}");
    }
    return crc16(key, length) % SLOTS;
}

const char *store_check_name(const char *name)
{
    if (name[0] == '\0')
        return "is empty";
    if (strlen(name) > LEASE_NAME_MAX)
        return "is longer than 64 bytes";
    for (const char *at = name; *at != '\0'; at++)
        if (*at == '#' || (unsigned char)*at < 0x20 || *at == 0x7F)
            return "may not contain # or control characters";
    return NULL;
}

/* Behind the digits, of which there must be some, and a blank; NULL where it is not so. */
static const char *skip_number(const char *text)
{
    size_t length = strspn(text, "0123456789");

    return length > 0 && text[length] == ' ' ? text + length + 1 : NULL;
}

bool store_is_pause_sign(const char *value, const char *pause)
{
    static const char start[] = "paused by ";
    const char *span = skip_number(pause);
    const char *by = span != NULL ? skip_number(span) : NULL;
    size_t length = by != NULL ? strcspn(by, " ") : 0;

    if (length == 0 || strncmp(value, start, strlen(start)) != 0)
        return false;
    value += strlen(start);
    if (strncmp(value, by, length) != 0)
        return false;
    value += length;
    const char *reason = by + length + (by[length] == ' ');
    return reason[0] == '\0' ? value[0] == '\0'
                             : strncmp(value, ": ", 2) == 0 && strcmp(value + 2, reason) == 0;
}
