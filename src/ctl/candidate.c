/* "at ttl {json}" */
#include "candidate.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "lease.h"

#define LEAST_MS 10000 /* one that asks more often than that may have been busy */

static void copy(char *to, size_t size, const json_t *text)
{
    snprintf(to, size, "%s", json_is_string(text) ? json_string_value(text) : "");
}

static int64_t number(const json_t *value)
{
    return json_is_integer(value) && json_integer_value(value) > 0 ? json_integer_value(value) : 0;
}

/* What is missing, or no JSON, is not told. */
static void read_about(struct ctl_candidate *candidate, const char *text)
{
    json_t *about = json_loads(text, JSON_REJECT_DUPLICATES, NULL);

    copy(candidate->host, sizeof candidate->host, json_object_get(about, "host"));
    copy(candidate->version, sizeof candidate->version, json_object_get(about, "version"));
    copy(candidate->command, sizeof candidate->command, json_object_get(about, "command"));
    candidate->pid = number(json_object_get(about, "pid"));
    candidate->since_ms = number(json_object_get(about, "since_ms"));
    candidate->retry_ms = number(json_object_get(about, "retry_ms"));
    const json_t *lost = json_object_get(about, "pause_lost");
    candidate->lost_ms = number(json_object_get(lost, "at_ms"));
    candidate->lost_over_ms = number(json_object_get(lost, "over_ms"));
    copy(candidate->lost_by, sizeof candidate->lost_by, json_object_get(lost, "by"));
    copy(candidate->lost_reason, sizeof candidate->lost_reason, json_object_get(lost, "reason"));
    json_decref(about);
}

bool candidate_read(struct ctl_candidate *candidate, const char *id, const char *text)
{
    const char *mark = strchr(id, '#');
    char at[24], ttl[24];
    int used = 0;

    memset(candidate, 0, sizeof *candidate);
    /* "#" alone is their count. */
    if (mark == NULL || mark == id || strlen(id) >= sizeof candidate->id ||
        (size_t)(mark - id) >= sizeof candidate->name ||
        sscanf(text, "%23[0-9] %23[0-9] %n", at, ttl, &used) != 2 || used == 0)
        return false;
    snprintf(candidate->id, sizeof candidate->id, "%s", id);
    snprintf(candidate->name, sizeof candidate->name, "%.*s", (int)(mark - id), id);
    candidate->seen_ms = ctl_number(at);
    candidate->ttl_ms = ctl_number(ttl);
    read_about(candidate, text + used);
    return true;
}

/* In which it has to ask again. */
static int64_t every_ms(const struct ctl_candidate *candidate)
{
    return candidate->ttl_ms > candidate->retry_ms ? candidate->ttl_ms : candidate->retry_ms;
}

bool candidate_is_there(const struct ctl_candidate *candidate, int64_t now_ms)
{
    int64_t most_ms = 3 * every_ms(candidate);

    return now_ms - candidate->seen_ms <= (most_ms > LEAST_MS ? most_ms : LEAST_MS);
}

bool candidate_is_fresh(const struct ctl_candidate *candidate, int64_t now_ms)
{
    int64_t most_ms = every_ms(candidate);

    return now_ms - candidate->seen_ms <= most_ms + most_ms / 5;
}
