/* One function for each source of news. */
#include "status.h"

#include <stdio.h>
#include <string.h>

#include "leaderwrap/base/clock.h"

#define STALL_MOST_MS 1000 /* a longer one is told whatever the timing */

void status_init(struct status *status, const struct timing *timing, int64_t now_ns)
{
    memset(status, 0, sizeof *status);
    status->role_since_ns = now_ns;
    status->news_ns = now_ns;
    status->next_at_ns = INT64_MAX;
    status->well_since_ns = now_ns;
    status->stall_least_ns = ms_to_ns(min_ns(timing->renew_ms, STALL_MOST_MS));
}

bool status_begin_step(struct status *status, int64_t meant_ns, int64_t now_ns)
{
    if (meant_ns == status->stall_meant_ns || meant_ns > now_ns - status->stall_least_ns)
        return false;
    status->stall_meant_ns = meant_ns;
    status->stalled_ns = now_ns - meant_ns;
    /* Nobody else is to blame for that time. */
    status->well_since_ns = min_ns(status->well_since_ns + status->stalled_ns, now_ns);
    return true;
}

void status_end_step(struct status *status)
{
    status->stalled_ns = 0;
}

static enum status_role role_of(enum election_state state)
{
    switch (state) {
    case ELECTION_FOLLOWING:
    case ELECTION_ACQUIRING:
        break;
    case ELECTION_LEADING:
        return STATUS_LEADER;
    case ELECTION_STOPPING:
        return STATUS_STOPPING;
    case ELECTION_RELEASING:
        return STATUS_RELEASING;
    case ELECTION_DONE:
        return STATUS_GONE;
    }
    return STATUS_CANDIDATE;
}

static void take_role(struct status *status, enum status_role role, int64_t now_ns)
{
    if (role == status->role)
        return;
    status->role = role;
    status->role_since_ns = now_ns;
}

static void take_news(struct status *status, enum status_news news, int64_t now_ns,
                      int64_t next_at_ns)
{
    status->news = news;
    status->news_ns = now_ns;
    status->next_at_ns = next_at_ns;
}

static void take_record(struct status *status, const struct lease_record *record, int64_t now_ns)
{
    bool same = record->token == status->record.token && record->state == status->record.state &&
                strcmp(record->id, status->record.id) == 0 &&
                strcmp(record->foreign, status->record.foreign) == 0;

    if (!same)
        status->holder_since_ns = now_ns;
    status->record = *record;
    status->record_ns = now_ns;
}

static void take_grant(struct status *status, const struct election_grant *grant, int64_t now_ns)
{
    status->wish = (struct lease_wish){0};
    status->token = grant->token;
    status->deadlines = grant->deadlines;
    take_news(status, STATUS_LEADING, now_ns,
              grant->start_at_ns > now_ns ? grant->start_at_ns : INT64_MAX);
}

static void end_term(struct status *status)
{
    status->token = 0;
    status->deadlines = (struct deadlines){0};
}

bool status_is_well(const struct election_note *note)
{
    switch (note->kind) {
    case NOTE_WAITING:
    case NOTE_BUSY:
        return note->refusal.answered;
    case NOTE_ELECTED:
    case NOTE_LOCK_DELAY:
    case NOTE_RENEWED:
    case NOTE_RELEASED:
    case NOTE_NOT_HELD:
        return true;
    case NOTE_TERM_ENDING:
        return note->end == END_LOST;
    case NOTE_RENEWAL_FAILED:
    case NOTE_ASK_FAILED:
    case NOTE_RELEASE_FAILED:
    case NOTE_RETRY:
    case NOTE_ELSEWHERE:
    case NOTE_UNPLACED:
    case NOTE_RESTART:
    case NOTE_STAND_BACK:
    case NOTE_TERM_OVER:
    case NOTE_LEFT:
    case NOTE_HOOK_ALIVE:
        break;
    }
    return false;
}

bool status_has_term(const struct status *status)
{
    return status->role == STATUS_LEADER || status->role == STATUS_STOPPING ||
           status->role == STATUS_RELEASING;
}

static void note_kind(struct status *status, const struct election_note *note, int64_t now_ns)
{
    switch (note->kind) {
    case NOTE_WAITING:
        take_record(status, &note->refusal.record, now_ns);
        status->wish = note->refusal.wish;
        take_news(status, STATUS_WAITING, now_ns, note->refusal.takeover_at_ns);
        break;
    case NOTE_BUSY:
        if (!note->refusal.answered)
            break;
        take_record(status, &note->refusal.record, now_ns);
        status->wish = note->refusal.wish;
        break;
    case NOTE_ELECTED:
    case NOTE_LOCK_DELAY:
    case NOTE_RENEWED:
        take_grant(status, &note->grant, now_ns);
        break;
    case NOTE_RENEWAL_FAILED:
    case NOTE_ASK_FAILED:
    case NOTE_RELEASE_FAILED:
        if (!note->failure.answered && !status->closed)
            status->why[0] = '\0';
        break;
    case NOTE_RETRY:
        if (!status->closed)
            status->why[0] = '\0';
        status->closed = false;
        take_news(status, STATUS_CUT_OFF, now_ns, now_ns + ms_to_ns(note->delay_ms));
        break;
    case NOTE_RESTART:
        take_news(status, STATUS_RESTARTING, now_ns, now_ns + ms_to_ns(note->delay_ms));
        break;
    case NOTE_STAND_BACK:
        take_news(status, STATUS_STANDING_BACK, now_ns, now_ns + ms_to_ns(note->delay_ms));
        break;
    case NOTE_TERM_ENDING:
        if (note->end == END_LOST)
            take_record(status, &note->record, now_ns);
        break;
    case NOTE_NOT_HELD:
        take_record(status, &note->record, now_ns);
        end_term(status);
        break;
    case NOTE_RELEASED:
    case NOTE_LEFT:
        end_term(status);
        break;
    case NOTE_ELSEWHERE:
    case NOTE_UNPLACED:
    case NOTE_TERM_OVER:
    case NOTE_HOOK_ALIVE:
        break;
    }
}

void status_note(struct status *status, const struct election_note *note, int64_t now_ns)
{
    take_role(status, role_of(note->state), now_ns);
    if (status_is_well(note)) {
        status->outage_ns = now_ns - status->well_since_ns;
        status->well_since_ns = now_ns;
    }
    note_kind(status, note, now_ns);
}

void status_exit(struct status *status, int64_t now_ns)
{
    take_role(status, STATUS_GONE, now_ns);
}

void status_opened(struct status *status)
{
    status->unheard = true;
    status->closed = false;
}

static void remember(struct status *status, const char *why)
{
    snprintf(status->why, sizeof status->why, "%s", why);
}

void status_closed(struct status *status, const char *why)
{
    remember(status, why);
    status->closed = true;
}

bool status_answered(struct status *status, const struct lease_reply *reply)
{
    bool first = status->unheard;

    status->unheard = false;
    if (first)
        status->why[0] = '\0';
    if (reply->verdict == LEASE_FAILED)
        remember(status, reply->text);
    return first;
}

void status_keeper(struct status *status, const struct keeper_message *message)
{
    switch ((enum keeper_message_kind)message->kind) {
    case KEEPER_STARTED:
        status->command = COMMAND_RUNNING;
        status->pid = message->value;
        return;
    case KEEPER_EXEC_FAILED:
    case KEEPER_CHILD_EXIT:
        status->command = COMMAND_ENDED;
        break;
    case KEEPER_STUCK:
        status->command = COMMAND_STUCK;
        break;
    case KEEPER_NOT_STARTED:
    case KEEPER_TREE_DEAD:
        status->command = COMMAND_NONE;
        break;
    case KEEPER_ACK:
    case KEEPER_STOPPING:
        return;
    }
    status->pid = 0;
}
