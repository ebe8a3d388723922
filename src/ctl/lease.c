/* What a record and a history say. */
#include "lease.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "leaderwrap/redis/store.h"

#define MOST_NUMBER (INT64_C(1) << 53)

void ctl_copy(char *to, const char *from)
{
    snprintf(to, LEASE_CELL_SIZE, "%s", from != NULL ? from : "");
}

int64_t ctl_number(const char *text)
{
    if (text == NULL || text[0] == '\0' || strspn(text, "0123456789") != strlen(text))
        return 0;
    errno = 0;
    long long value = strtoll(text, NULL, 10);
    return errno == 0 && value <= MOST_NUMBER ? value : 0;
}

static int64_t between_0_and(int64_t most, int64_t value)
{
    return value < 0 ? 0 : value > most ? most : value;
}

/* The digits, then the words, of a wish; what has another form is none. */
static bool read_wish(struct ctl_wish *wish, const char *text, int64_t now_ms, bool has_span)
{
    char at[24], span[24] = "0";
    int used = 0;
    int count = has_span ? sscanf(text, "%23[0-9] %23[0-9] %255s%n", at, span, wish->by, &used)
                         : sscanf(text, "%23[0-9] %255s%n", at, wish->by, &used);

    if (count != (has_span ? 3 : 2))
        return false;
    ctl_copy(wish->text, text + used + (text[used] == ' '));
    wish->at_ms = ctl_number(at);
    int64_t span_ms = ctl_number(span);
    wish->left_ms = between_0_and(span_ms, wish->at_ms + span_ms - now_ms);
    wish->there = span_ms == 0 || wish->left_ms > 0;
    return wish->there;
}

static void judge_ask(struct ctl_lease *lease, const char *token, const char *ask)
{
    size_t length = strcspn(ask, " ");

    if (token != NULL && length == strlen(token) && strncmp(ask, token, length) == 0 &&
        ask[length] == ' ' && read_wish(&lease->ask, ask + length + 1, lease->now_ms, true))
        lease->ask.there = lease->ask.left_ms > 0;
}

static void judge_cordons(struct ctl_lease *lease, const char *text)
{
    char line[LEASE_CELL_SIZE];

    while (*text != '\0' && lease->cordon_count < LEASE_CORDONS) {
        size_t length = strcspn(text, "\n");
        snprintf(line, sizeof line, "%.*s", (int)length, text);
        text += length + (text[length] == '\n');
        struct ctl_wish *cordon = &lease->cordons[lease->cordon_count];
        if (read_wish(cordon, line, lease->now_ms, false) && cordon->text[0] != '\0')
            lease->cordon_count++;
    }
}

static void judge_wishes(struct ctl_lease *lease, const char *const fields[LEASE_KEPT_FIELDS])
{
    if (fields[9] != NULL)
        read_wish(&lease->pause, fields[9], lease->now_ms, true);
    if (fields[10] != NULL)
        judge_ask(lease, fields[3], fields[10]);
    if (fields[11] != NULL)
        judge_cordons(lease, fields[11]);
}

static enum ctl_state judge(const struct ctl_lease *lease, const char *state, int64_t hold_left_ms)
{
    if (strcmp(state, "held") == 0)
        return lease->left_ms > 0 ? CTL_LED : CTL_EXPIRED;
    if (strcmp(state, "free") == 0)
        return CTL_FREE;
    if (strcmp(state, "hold") == 0)
        return hold_left_ms > 0 ? CTL_CLOSED : CTL_FREE;
    return strcmp(state, "vacant") == 0 && hold_left_ms > 0 ? CTL_CLOSED : CTL_VACANT;
}

/* The field is "number token begin"; what the record says of another token is of another term. */
static void judge_term(struct ctl_lease *lease, const char *token, const char *field)
{
    char parts[3][24];
    char more;

    if (field == NULL || token == NULL ||
        sscanf(field, "%23[0-9] %23[0-9] %23[0-9]%c", parts[0], parts[1], parts[2], &more) != 3 ||
        strcmp(parts[1], token) != 0)
        return;
    lease->number = ctl_number(parts[0]);
    if (lease->state == CTL_LED || lease->state == CTL_EXPIRED)
        lease->since_ms = ctl_number(parts[2]);
}

void ctl_judge(struct ctl_lease *lease, const char *const fields[LEASE_KEPT_FIELDS],
               const char *value)
{
    bool known = false;

    for (size_t i = 0; i < LEASE_KEPT_FIELDS; i++)
        known = known || fields[i] != NULL;
    ctl_copy(lease->id, fields[1]);
    ctl_copy(lease->name, fields[2]);
    lease->token = (uint64_t)ctl_number(fields[3]);
    lease->ttl_ms = ctl_number(fields[4]);
    lease->renewed_ms = ctl_number(fields[5]);
    lease->key_is_missing = value == NULL;
    if (value != NULL && (fields[1] == NULL || strcmp(value, fields[1]) != 0) &&
        (fields[9] == NULL || !store_is_pause_sign(value, fields[9])))
        ctl_copy(lease->foreign, value[0] != '\0' ? value : "(empty)");
    if (!known)
        return;
    /* The clock may have been stepped: never more than the whole of it. */
    int64_t hold_ms = ctl_number(fields[7]);
    int64_t hold_left_ms = between_0_and(hold_ms, ctl_number(fields[6]) - lease->now_ms);
    lease->left_ms =
        between_0_and(lease->ttl_ms, lease->renewed_ms + lease->ttl_ms - lease->now_ms);
    lease->state = judge(lease, fields[0] != NULL ? fields[0] : "", hold_left_ms);
    if (lease->state != CTL_LED)
        lease->left_ms = lease->state == CTL_CLOSED ? hold_left_ms : 0;
    judge_term(lease, fields[3], fields[8]);
    judge_wishes(lease, fields);
    if (lease->pause.there && lease->state != CTL_LED) {
        lease->state = CTL_PAUSED;
        lease->left_ms = lease->pause.left_ms;
        lease->since_ms = lease->pause.at_ms;
    }
    /* A term of an earlier version. */
    for (size_t i = 0; i < lease->entry_count && lease->since_ms == 0; i++)
        if (lease->entries[i].begins && lease->entries[i].token == lease->token &&
            (lease->state == CTL_LED || lease->state == CTL_EXPIRED)) {
            lease->since_ms = lease->entries[i].at_ms;
        }
}

bool ctl_is_nothing(const struct ctl_lease *lease)
{
    return lease->state == CTL_NONE && lease->foreign[0] == '\0' && lease->entry_count == 0 &&
           lease->cordon_count == 0;
}

const char *ctl_state_word(enum ctl_state state)
{
    static const char *const words[] = {
        [CTL_NONE] = "none",     [CTL_LED] = "led",       [CTL_EXPIRED] = "expired",
        [CTL_FREE] = "free",     [CTL_CLOSED] = "closed", [CTL_VACANT] = "vacant",
        [CTL_PAUSED] = "paused",
    };

    return words[state];
}

/* Where the entry that ended the term with this token is, among those newer than `begin`. */
static const struct ctl_entry *end_of(const struct ctl_lease *lease, size_t begin)
{
    for (size_t i = begin; i-- > 0;)
        if (!lease->entries[i].begins && lease->entries[i].token == lease->entries[begin].token)
            return &lease->entries[i];
    return NULL;
}

/* The number behind a word; -1 where the text is another one. */
static int number_behind(const char *text, const char *word)
{
    size_t length = strlen(word);
    bool has = strncmp(text, word, length) == 0 && text[length] != '\0' &&
               strspn(text + length, "0123456789") == strlen(text + length);

    return has && strlen(text + length) <= 3 ? (int)ctl_number(text + length) : -1;
}

/* From "exit 3", "signal 9", "failed: exit 3". */
static void judge_exit(struct ctl_term *term)
{
    const char *text = term->reason;

    if (strncmp(text, "failed: ", 8) == 0)
        text += 8;
    term->exit_status = number_behind(text, "exit ");
    term->signal = number_behind(text, "signal ");
}

size_t ctl_terms(const struct ctl_lease *lease, struct ctl_term *terms, size_t most)
{
    size_t count = 0;
    /* One more is looked at, for the gap. */
    struct ctl_term *later = NULL;

    for (size_t i = 0; i < lease->entry_count; i++) {
        const struct ctl_entry *entry = &lease->entries[i];
        if (!entry->begins)
            continue;
        const struct ctl_entry *end = end_of(lease, i);
        if (later != NULL && later->gap_ms < 0 && end != NULL && later->from_ms >= end->at_ms)
            later->gap_ms = later->from_ms - end->at_ms;
        if (count == most)
            break;
        struct ctl_term *term = &terms[count++];
        memset(term, 0, sizeof *term);
        term->token = entry->token;
        term->from_ms = entry->at_ms;
        term->number = entry->number;
        /* An end that nobody told was noticed later than it was. */
        if (end != NULL)
            term->to_ms = end->span_ms >= 0 ? entry->at_ms + end->span_ms : end->at_ms;
        term->gap_ms = entry->span_ms;
        ctl_copy(term->name, entry->name);
        ctl_copy(term->reason, end != NULL ? end->reason : "");
        judge_exit(term);
        later = term;
    }
    return count;
}

static bool has_other_ttl(const struct ctl_lease *lease)
{
    for (size_t i = 0; i < lease->candidate_count; i++)
        if (lease->candidates[i].ttl_ms != lease->candidates[0].ttl_ms ||
            (lease->state == CTL_LED && lease->candidates[i].ttl_ms != lease->ttl_ms))
            return true;
    return false;
}

/* One that was started anew is no twin of itself. */
static bool has_twins(const struct ctl_lease *lease)
{
    for (size_t i = 0; i < lease->candidate_count; i++) {
        const char *name = lease->candidates[i].name;
        if (!candidate_is_fresh(&lease->candidates[i], lease->now_ms))
            continue;
        if (lease->state == CTL_LED && strcmp(name, lease->name) == 0)
            return true;
        for (size_t j = 0; j < i; j++)
            if (strcmp(name, lease->candidates[j].name) == 0 &&
                candidate_is_fresh(&lease->candidates[j], lease->now_ms))
                return true;
    }
    return false;
}

static size_t warn_of_candidates(const struct ctl_lease *lease, const char **warnings)
{
    size_t count = 0;

    if (has_other_ttl(lease))
        warnings[count++] = "candidates differ in their TTL: give all of a lease the same";
    if (has_twins(lease))
        warnings[count++] = "two candidates have the same name: give each one its own (--name)";
    if (lease->state == CTL_LED && lease->candidates_are_known && lease->candidate_count == 0)
        warnings[count++] = "nobody stands by: when the leader dies nobody takes over";
    return count;
}

size_t ctl_warnings(const struct ctl_lease *lease, const char *warnings[LEASE_WARNINGS])
{
    size_t count = 0;

    if (lease->foreign[0] != '\0')
        warnings[count++] = "the key has a value in it that no leaderwrap of this record wrote: it "
                            "keeps all candidates out";
    if (lease->state == CTL_EXPIRED)
        warnings[count++] = "the leader has not renewed for a whole TTL, and nobody has taken over";
    if (lease->state == CTL_VACANT)
        warnings[count++] = "nobody knows whether an earlier leader still runs; a candidate waits "
                            "for one TTL before it leads";
    if (lease->state == CTL_LED && lease->key_is_missing)
        warnings[count++] = "the key is gone while its lease is held: a DEL or an eviction";
    if (lease->lost_pause.there)
        warnings[count++] = "the server has lost a pause with its data: pause again where it still "
                            "matters";
    count += warn_of_candidates(lease, warnings + count);
    return count;
}
