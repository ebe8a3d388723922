/* Text for people, JSON and logfmt for machines. */
#include "log_format.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define PROGRAM "leaderwrap"

static const char *const level_names[] = {"error", "warning", "info", "debug"};

/* LOG_ERR, LOG_WARNING, LOG_INFO, LOG_DEBUG of syslog(3). */
static const int priorities[] = {3, 4, 6, 7};

/* ---- text ---- */

static const char *mark_of(enum log_level level)
{
    return level == LOG_LEVEL_ERROR ? "error: " : level == LOG_LEVEL_WARNING ? "warning: " : "";
}

static size_t format_text(const struct log_entry *entry, char *line, size_t size)
{
    /* Until it is known who speaks. */
    bool nameless = strcmp(entry->name, PROGRAM) == 0;
    int length;

    /* journald puts the time and the program's name there itself. */
    if (entry->marked)
        length = snprintf(line, size - 1, "<%d>%s: %s", priorities[entry->level], entry->name,
                          entry->message);
    else
        length =
            snprintf(line, size - 1, "%s " PROGRAM "%s%s: %s%s", entry->when, nameless ? "" : " ",
                     nameless ? "" : entry->name, mark_of(entry->level), entry->message);
    if (length < 0)
        return 0;
    size_t used = (size_t)length < size - 2 ? (size_t)length : size - 2;
    line[used++] = '\n';
    return used;
}

/* ---- JSON ---- */

static json_t *value_of(const struct log_field *field)
{
    return field->text != NULL ? json_string(field->text) : json_integer((json_int_t)field->number);
}

static json_t *object_of(const struct log_entry *entry, bool whole)
{
    json_t *object =
        json_pack("{s:s, s:s, s:s, s:i, s:s, s:s, s:s}", "time", entry->when, "level",
                  level_names[entry->level], "event", entry->event, "pid", (int)getpid(), "key",
                  entry->key, "name", entry->name, "message", entry->message);

    if (object != NULL && entry->token != 0)
        json_object_set_new(object, "token", json_integer((json_int_t)entry->token));
    for (const struct log_field *at = entry->fields; whole && at->name != NULL; at++)
        json_object_set_new(object, at->name, value_of(at));
    return object;
}

/* `object` goes. */
static size_t dump(json_t *object, char *line, size_t size)
{
    size_t used = object != NULL ? json_dumpb(object, line, size - 1, JSON_COMPACT) : 0;

    json_decref(object);
    /* json_dumpb tells the size it would have needed. */
    if (used == 0 || used > size - 1)
        return 0;
    line[used++] = '\n';
    return used;
}

static size_t format_json(const struct log_entry *entry, char *line, size_t size)
{
    size_t used = dump(object_of(entry, true), line, size);

    return used != 0 ? used : dump(object_of(entry, false), line, size);
}

/* ---- logfmt ---- */

struct text {
    char *bytes;
    size_t size;
    size_t used;
    bool begun; /* there is a pair */
    bool full;
};

static void put(struct text *text, const char *bytes, size_t length)
{
    if (text->size - text->used < length) {
        text->full = true;
        return;
    }
    memcpy(text->bytes + text->used, bytes, length);
    text->used += length;
}

static void put_word(struct text *text, const char *word)
{
    put(text, word, strlen(word));
}

/* In quotes where it would else be no value, or more than one (https://brandur.org/logfmt). */
static void put_value(struct text *text, const char *value)
{
    if (value[0] != '\0' && strpbrk(value, " =\"\\") == NULL) {
        put_word(text, value);
        return;
    }
    put_word(text, "\"");
    for (; *value != '\0'; value++) {
        if (*value == '"' || *value == '\\')
            put_word(text, "\\");
        put(text, value, 1);
    }
    put_word(text, "\"");
}

static void put_pair(struct text *text, const char *name, const char *value)
{
    if (text->begun)
        put_word(text, " ");
    text->begun = true;
    put_word(text, name);
    put_word(text, "=");
    put_value(text, value);
}

static void put_number(struct text *text, const char *name, int64_t number)
{
    char digits[24];

    snprintf(digits, sizeof digits, "%" PRId64, number);
    put_pair(text, name, digits);
}

static size_t format_logfmt(const struct log_entry *entry, char *line, size_t size)
{
    struct text text = {.bytes = line, .size = size - 1};

    if (entry->marked)
        text.used = (size_t)snprintf(line, size, "<%d>", priorities[entry->level]);
    else
        put_pair(&text, "time", entry->when);
    put_pair(&text, "level", level_names[entry->level]);
    put_pair(&text, "event", entry->event);
    put_number(&text, "pid", getpid());
    put_pair(&text, "key", entry->key);
    put_pair(&text, "name", entry->name);
    if (entry->token != 0)
        put_number(&text, "token", (int64_t)entry->token);
    put_pair(&text, "message", entry->message);
    if (text.full)
        return 0;
    for (const struct log_field *at = entry->fields; at->name != NULL; at++) {
        size_t before = text.used;

        if (at->text != NULL)
            put_pair(&text, at->name, at->text);
        else
            put_number(&text, at->name, at->number);
        if (text.full) {
            text.used = before;
            break;
        }
    }
    line[text.used++] = '\n';
    return text.used;
}

size_t log_format(enum log_format format, const struct log_entry *entry, char *line, size_t size)
{
    switch (format) {
    case LOG_FORMAT_TEXT:
        return format_text(entry, line, size);
    case LOG_FORMAT_JSON:
        return format_json(entry, line, size);
    case LOG_FORMAT_LOGFMT:
        return format_logfmt(entry, line, size);
    }
    return 0;
}
