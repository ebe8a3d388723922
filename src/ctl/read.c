/* Reading leases. */
#include "read.h"

#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "leaderwrap/redis/script.h"
#include "leaderwrap/redis/store.h"

#define DAY_MS (INT64_C(24) * 3600 * 1000)

extern const struct script script_read;

static const char *text_of(const redisReply *reply)
{
    return reply->type == REDIS_REPLY_STRING ? reply->str : NULL;
}

static bool is_array(const redisReply *reply, size_t least)
{
    return reply->type == REDIS_REPLY_ARRAY && reply->elements >= least;
}

/* An entry of a stream: its id, and names and values by turns. */
static bool read_entry(const redisReply *reply, struct ctl_entry *entry)
{
    const char *event = NULL;

    memset(entry, 0, sizeof *entry);
    entry->span_ms = -1;
    if (!is_array(reply, 2) || reply->element[1]->type != REDIS_REPLY_ARRAY)
        return false;
    const redisReply *pairs = reply->element[1];
    for (size_t i = 0; i + 1 < pairs->elements; i += 2) {
        const char *name = text_of(pairs->element[i]);
        const char *value = text_of(pairs->element[i + 1]);
        if (name == NULL || value == NULL)
            return false;
        if (strcmp(name, "event") == 0)
            event = value;
        else if (strcmp(name, "token") == 0)
            entry->token = (uint64_t)ctl_number(value);
        else if (strcmp(name, "at") == 0)
            entry->at_ms = ctl_number(value);
        else if (strcmp(name, "term") == 0)
            entry->number = ctl_number(value);
        else if ((strcmp(name, "gap") == 0 || strcmp(name, "lasted") == 0) && value[0] != '\0')
            entry->span_ms = ctl_number(value);
        else if (strcmp(name, "name") == 0)
            ctl_copy(entry->name, value);
        else if (strcmp(name, "reason") == 0)
            ctl_copy(entry->reason, value);
    }
    entry->begins = event != NULL && strcmp(event, "begin") == 0;
    return entry->begins || (event != NULL && strcmp(event, "end") == 0);
}

/* Where it may not be read, the lease is shown without it. */
static void read_history(const redisReply *reply, struct ctl_lease *lease)
{
    size_t count = reply->type == REDIS_REPLY_ARRAY ? reply->elements : 0;

    for (size_t i = 0; i < count && lease->entry_count < LEASE_ENTRIES; i++) {
        struct ctl_entry *entry = &lease->entries[lease->entry_count];
        if (!read_entry(reply->element[i], entry))
            continue;
        lease->entry_count++;
        if (lease->last_success_ms == 0 && !entry->begins && strcmp(entry->reason, "exit 0") == 0)
            lease->last_success_ms = entry->at_ms;
    }
}

/* The one that leads stood by once. */
static void read_candidates(const redisReply *reply, struct ctl_lease *lease)
{
    lease->candidates_are_known = reply->type == REDIS_REPLY_ARRAY;
    for (size_t i = 0; lease->candidates_are_known && i + 1 < reply->elements; i += 2) {
        const char *id = text_of(reply->element[i]);
        const char *text = text_of(reply->element[i + 1]);
        struct ctl_candidate *candidate = &lease->candidates[lease->candidate_count];
        if (lease->candidate_count < CANDIDATES_MOST && id != NULL && text != NULL &&
            candidate_read(candidate, id, text) && candidate_is_there(candidate, lease->now_ms))
            lease->candidate_count++;
    }
}

/* After a day, or the time that it was for, it matters no more. */
static bool is_old_news(const struct ctl_candidate *candidate, int64_t now_ms)
{
    return now_ms - candidate->lost_ms > DAY_MS ||
           (candidate->lost_over_ms != 0 && now_ms > candidate->lost_over_ms);
}

void read_lost_pause(struct ctl_lease *lease)
{
    struct ctl_wish *lost = &lease->lost_pause;

    for (size_t i = 0; i < lease->candidate_count && !lease->pause.there; i++) {
        const struct ctl_candidate *candidate = &lease->candidates[i];
        if (candidate->lost_ms <= lost->at_ms || is_old_news(candidate, lease->now_ms))
            continue;
        lost->there = true;
        lost->at_ms = candidate->lost_ms;
        ctl_copy(lost->by, candidate->lost_by);
        ctl_copy(lost->text, candidate->lost_reason);
    }
}

static void forget_leader(struct ctl_lease *lease)
{
    size_t kept = 0;

    for (size_t i = 0; i < lease->candidate_count; i++)
        if (lease->state != CTL_LED || strcmp(lease->candidates[i].id, lease->id) != 0)
            lease->candidates[kept++] = lease->candidates[i];
    lease->candidate_count = kept;
}

int read_lease_reply(void *context, const redisReply *reply)
{
    struct ctl_lease *lease = context;
    const char *fields[LEASE_KEPT_FIELDS];

    if (!is_array(reply, 5) || !is_array(reply->element[0], LEASE_KEPT_FIELDS) ||
        !is_array(reply->element[2], 2))
        return -1;
    const redisReply *value = reply->element[1];
    const redisReply *time = reply->element[2];
    for (size_t i = 0; i < LEASE_KEPT_FIELDS; i++)
        fields[i] = text_of(reply->element[0]->element[i]);
    lease->now_ms =
        ctl_number(text_of(time->element[0])) * 1000 + ctl_number(text_of(time->element[1])) / 1000;
    read_history(reply->element[3], lease);
    read_candidates(reply->element[4], lease);
    ctl_judge(lease, fields,
              value->type == REDIS_REPLY_ERROR ? "(cannot be read)" : text_of(value));
    read_lost_pause(lease);
    forget_leader(lease);
    return 0;
}

int read_lease(struct session *session, const char *key, size_t entries, struct ctl_lease *lease,
               char *error, size_t size)
{
    char term[STORE_KEY_SIZE];
    char history[STORE_KEY_SIZE];
    char candidates[STORE_KEY_SIZE];
    char count[24];
    const char *const arguments[] = {
        "EVAL", script_read.text + script_read.flags_length, "4", key, term, history, candidates,
        count,
    };

    store_term_key(key, term, sizeof term);
    store_sibling(key, "history", history, sizeof history);
    store_sibling(key, "candidates", candidates, sizeof candidates);
    snprintf(count, sizeof count, "%zu", entries);
    return session_ask(session, sizeof arguments / sizeof arguments[0], arguments, read_lease_reply,
                       lease, error, size);
}

int read_lease_alone(const struct ctl_options *options, const char *key, size_t entries,
                     struct ctl_lease *lease, char *error, size_t size)
{
    struct session *session;
    int status = session_open(&session, &options->redis, key, options->timeout_ms, error, size);

    if (status != 0)
        return status;
    memset(lease, 0, sizeof *lease);
    status = read_lease(session, key, entries, lease, error, size);
    session_free(session);
    return status;
}

/* A SCAN may name a key twice. Takes `key` over. */
static void add(struct read_keys *keys, char *key)
{
    size_t at = 0;

    while (at < keys->count && strcmp(keys->list[at], key) < 0)
        at++;
    if (at < keys->count && strcmp(keys->list[at], key) == 0) {
        free(key);
        return;
    }
    char **list = realloc(keys->list, (keys->count + 1) * sizeof *list);
    if (list == NULL) {
        free(key);
        keys->failed = true;
        return;
    }
    memmove(list + at + 1, list + at, (keys->count - at) * sizeof *list);
    list[at] = key;
    keys->list = list;
    keys->count++;
}

int read_scan_reply(void *context, const redisReply *reply)
{
    struct read_keys *keys = context;

    if (!is_array(reply, 2) || text_of(reply->element[0]) == NULL ||
        !is_array(reply->element[1], 0))
        return -1;
    snprintf(keys->cursor, sizeof keys->cursor, "%s", reply->element[0]->str);
    for (size_t i = 0; i < reply->element[1]->elements; i++) {
        const char *term = text_of(reply->element[1]->element[i]);
        char *key = term != NULL ? store_key_of(term, "term") : NULL;
        if (key != NULL)
            add(keys, key);
    }
    return 0;
}

int read_keys(struct session *session, struct read_keys *keys, char *error, size_t size)
{
    const char *const arguments[] = {"SCAN",  keys->cursor, "MATCH", "*:term",
                                     "COUNT", "1000",       "TYPE",  "hash"};

    snprintf(keys->cursor, sizeof keys->cursor, "0");
    do {
        int status = session_ask(session, 8, arguments, read_scan_reply, keys, error, size);
        if (status == 0 && keys->failed) {
            snprintf(error, size, "out of memory");
            status = EXIT_OWN_FAILURE;
        }
        if (status != 0)
            return status;
    } while (strcmp(keys->cursor, "0") != 0);
    return 0;
}

void read_drop(struct read_keys *keys, size_t at)
{
    free(keys->list[at]);
    keys->count--;
    memmove(keys->list + at, keys->list + at + 1, (keys->count - at) * sizeof *keys->list);
}

void read_free(struct read_keys *keys)
{
    for (size_t i = 0; i < keys->count; i++)
        free(keys->list[i]);
    free(keys->list);
}
