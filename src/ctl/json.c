/* What is no UTF-8, or not known, is shown as such. */
#include "json.h"

#include <inttypes.h>
#include <stdio.h>

#include "show.h"

/* What is no UTF-8 is shown as in text. */
static json_t *json_text(const char *text)
{
    char shown[4 * LEASE_CELL_SIZE];
    json_t *value = json_string(text);

    return value != NULL ? value : json_string(show_text(text, shown, sizeof shown));
}

/* A number, or null for what is not known. */
static json_t *json_known(int64_t value, bool known)
{
    return known ? json_integer(value) : json_null();
}

static json_t *json_token(uint64_t token)
{
    return json_known((int64_t)token, token != 0);
}

/* NULL where there is none: JSON's null. */
static json_t *wish_json(const struct ctl_wish *wish, const char *text_name)
{
    if (!wish->there)
        return json_null();
    return json_pack("{so so sI so}", "by", json_text(wish->by), text_name, json_text(wish->text),
                     "since_ms", (json_int_t)wish->at_ms, "left_ms",
                     json_known(wish->left_ms, wish->left_ms != 0));
}

static json_t *lost_json(const struct ctl_wish *lost)
{
    if (!lost->there)
        return json_null();
    return json_pack("{so so sI}", "by", json_text(lost->by), "reason", json_text(lost->text),
                     "lost_ms", (json_int_t)lost->at_ms);
}

static json_t *cordons_json(const struct ctl_lease *lease)
{
    json_t *list = json_array();

    for (size_t i = 0; i < lease->cordon_count; i++)
        json_array_append_new(list, wish_json(&lease->cordons[i], "name"));
    return list;
}

static json_t *candidate_json(const struct ctl_candidate *candidate)
{
    return json_pack("{so so so so so so sI sI so}", "name", json_text(candidate->name), "id",
                     json_text(candidate->id), "host", json_text(candidate->host), "version",
                     json_text(candidate->version), "command", json_text(candidate->command), "pid",
                     json_known(candidate->pid, candidate->pid != 0), "ttl_ms",
                     (json_int_t)candidate->ttl_ms, "seen_ms", (json_int_t)candidate->seen_ms,
                     "since_ms", json_known(candidate->since_ms, candidate->since_ms != 0));
}

static json_t *candidates_json(const struct ctl_lease *lease)
{
    json_t *list = lease->candidates_are_known ? json_array() : json_null();

    for (size_t i = 0; i < lease->candidate_count; i++)
        json_array_append_new(list, candidate_json(&lease->candidates[i]));
    return list;
}

json_t *ctl_json_lease(const char *key, const struct ctl_lease *lease)
{
    const char *warnings[LEASE_WARNINGS];
    size_t count = ctl_warnings(lease, warnings);
    bool has_leader = lease->state == CTL_LED || lease->state == CTL_EXPIRED;
    json_t *list = json_array();

    for (size_t i = 0; i < count; i++)
        json_array_append_new(list, json_string(warnings[i]));
    return json_pack(
        "{so ss so so so so so sI so sI so so so so so so so so}", "key", json_text(key), "state",
        ctl_state_word(lease->state), "leader", has_leader ? json_text(lease->name) : json_null(),
        "id", has_leader ? json_text(lease->id) : json_null(), "term",
        json_known(lease->number, lease->number != 0), "token", json_token(lease->token),
        "since_ms", json_known(lease->since_ms, lease->since_ms != 0), "ttl_ms",
        (json_int_t)lease->ttl_ms, "renewed_ms",
        json_known(lease->renewed_ms, lease->renewed_ms != 0), "left_ms",
        (json_int_t)lease->left_ms, "foreign",
        lease->foreign[0] != '\0' ? json_text(lease->foreign) : json_null(), "warnings", list,
        "paused", wish_json(&lease->pause, "reason"), "pause_lost", lost_json(&lease->lost_pause),
        "asked", wish_json(&lease->ask, "to"), "cordoned", cordons_json(lease), "candidates",
        candidates_json(lease), "last_success_ms",
        json_known(lease->last_success_ms, lease->last_success_ms != 0));
}

json_t *ctl_json_term(const struct ctl_term *term)
{
    return json_pack("{so so so sI so so so so so so}", "term",
                     json_known(term->number, term->number != 0), "token", json_token(term->token),
                     "leader", json_text(term->name), "from_ms", (json_int_t)term->from_ms, "to_ms",
                     json_known(term->to_ms, term->to_ms != 0), "lasted_ms",
                     json_known(term->to_ms - term->from_ms, term->to_ms != 0), "gap_ms",
                     json_known(term->gap_ms, term->gap_ms >= 0), "reason", json_text(term->reason),
                     "exit_status", json_known(term->exit_status, term->exit_status >= 0), "signal",
                     json_known(term->signal, term->signal > 0));
}

int ctl_json_print(json_t *value, size_t flags)
{
    int result = value != NULL ? json_dumpf(value, stdout, flags | JSON_ENSURE_ASCII) : -1;

    json_decref(value);
    if (result == 0)
        putchar('\n');
    return result;
}
