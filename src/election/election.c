/* The election's frame: events to their rooms, the connection, one request at a time. */
#include "leaderwrap/election/election.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "internal.h"
#include "leaderwrap/base/check.h"

#define BACKOFF_FIRST_MS 100
#define BACKOFF_MOST_MS  5000
/* Only a link that was good for so long is made again at once when it is lost. */
#define LINK_PROVEN_MS 2000

/* Whatever makes us ask: so many requests in a row, then one each time. */
#define REQUESTS_IN_A_ROW 10
#define REQUEST_EVERY_MS  100

/* A link is given up at so many time-outs in a row, at the latest: it may be merely slow. */
#define UNANSWERED_MOST 2

struct election_action *act(struct election_actions *actions, enum election_action_kind kind)
{
    CHECK(actions->count < ELECTION_ACTIONS_MAX);
    struct election_action *action = &actions->list[actions->count++];
    memset(action, 0, sizeof *action);
    action->kind = kind;
    return action;
}

void tell(struct election_actions *actions, enum election_note note)
{
    act(actions, ACTION_TELL)->note = note;
}

/* SplitMix64 (Steele, Lea, Flood 2014), for jitter alone: whoever sees one number knows the next.
 */
static uint64_t next_random(struct election *election)
{
    uint64_t z = election->random += UINT64_C(0x9E3779B97F4A7C15);
    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return z ^ (z >> 31);
}

uint64_t random_below(struct election *election, uint64_t limit)
{
    return limit == 0 ? 0 : next_random(election) % limit;
}

/* The name of the version that the next request writes. All who listen learn it, and none may be
 * able to tell the one after it: a candidate takes a version for as old as its first push. */
static void make_nonce(struct election *election, char nonce[LEASE_NONCE_SIZE])
{
    uint64_t number = ++election->last_nonce;
    uint64_t value = siphash(election->config.nonce_key, &number, sizeof number);

    snprintf(nonce, LEASE_NONCE_SIZE, "%016" PRIx64, value);
}

static int64_t request_every_ns(const struct election *election)
{
    return min_ns(ms_to_ns(REQUEST_EVERY_MS), ms_to_ns(election->config.timing.renew_retry_ms));
}

/* No request before this. */
static int64_t may_send_at_ns(const struct election *election)
{
    int64_t allowed_ns =
        election->paid_until_ns - (REQUESTS_IN_A_ROW - 1) * request_every_ns(election);

    return max_ns(election->retry_at_ns, allowed_ns);
}

bool can_send(const struct election *election)
{
    return election->link == LINK_OPEN && election->pending.kind == REQUEST_NONE &&
           election->now_ns >= may_send_at_ns(election);
}

struct election_action *send_request(struct election *election, struct election_actions *actions,
                                     enum election_request kind)
{
    static const enum election_action_kind action_of[] = {
        [REQUEST_ACQUIRE] = ACTION_ACQUIRE,
        [REQUEST_CLAIM] = ACTION_RENEW,
        [REQUEST_RENEW] = ACTION_RENEW,
        [REQUEST_RELEASE] = ACTION_RELEASE,
    };
    struct election_action *action = act(actions, action_of[kind]);

    election->pending.kind = kind;
    election->pending.number = ++election->last_request;
    election->pending.sent_ns = election->now_ns;
    election->paid_until_ns =
        max_ns(election->paid_until_ns, election->now_ns) + request_every_ns(election);
    action->request = election->pending.number;
    action->token = election->token;
    action->claim = kind == REQUEST_CLAIM;
    make_nonce(election, action->nonce);
    memcpy(election->pending.nonce, action->nonce, sizeof election->pending.nonce);
    return action;
}

static void open_now(struct election *election, struct election_actions *actions)
{
    election->link = LINK_OPENING;
    election->link_good = false;
    election->unanswered = 0;
    election->open_since_ns = election->now_ns;
    act(actions, ACTION_OPEN);
}

void reopen(struct election *election, struct election_actions *actions, int64_t delay_ms)
{
    election->pending.kind = REQUEST_NONE;
    election->link = LINK_DOWN;
    election->open_at_ns = election->now_ns + ms_to_ns(delay_ms);
    if (delay_ms == 0)
        open_now(election, actions);
}

void finish(struct election *election, struct election_actions *actions, enum election_end end)
{
    election->state = ELECTION_DONE;
    election->end = end;
    election->pending.kind = REQUEST_NONE;
    act(actions, ACTION_EXIT)->end = end;
}

/* Whoever has a deadline to meet, or something that others wait for, does not wait for long. */
static bool is_urgent(const struct election *election)
{
    return election->state == ELECTION_LEADING || election->state == ELECTION_STOPPING ||
           election->state == ELECTION_RELEASING;
}

/* A server that answers and hangs up each time is as good as one that hangs up at once: answers
 * alone do not make failures forgotten. */
static void forgive_if_proven(struct election *election)
{
    if (election->link == LINK_OPEN && election->link_good &&
        election->now_ns - election->opened_ns >= ms_to_ns(LINK_PROVEN_MS))
        election->backoff_ms = 0;
}

/* The pause after one more failure: none after the first, then doubled each time, short where it is
 * urgent, spread by a tenth where it is not. */
static int64_t next_backoff_ms(struct election *election)
{
    const struct timing *timing = &election->config.timing;
    bool urgent = is_urgent(election);
    /* A server that is back must not stay unnoticed for longer than a short lease lasts. */
    int64_t patient_ms =
        timing->ttl_ms / 2 < BACKOFF_MOST_MS ? timing->ttl_ms / 2 : BACKOFF_MOST_MS;
    int64_t most_ms = urgent ? timing->renew_retry_ms : patient_ms;
    int64_t delay_ms = election->backoff_ms;

    election->backoff_ms = delay_ms == 0 ? BACKOFF_FIRST_MS : delay_ms * 2;
    if (election->backoff_ms > BACKOFF_MOST_MS)
        election->backoff_ms = BACKOFF_MOST_MS;
    if (delay_ms > most_ms)
        delay_ms = most_ms;
    if (!urgent)
        delay_ms += (int64_t)random_below(election, (uint64_t)delay_ms / 10 + 1);
    return delay_ms;
}

/* How long a failure that a person must mend is left alone. */
static int64_t patience_ms(const struct election *election)
{
    const struct timing *timing = &election->config.timing;
    return timing->retry_ms < timing->ttl_ms ? timing->retry_ms : timing->ttl_ms;
}

void pause_requests(struct election *election, enum lease_failure failure)
{
    int64_t pause_ms = election->config.timing.renew_retry_ms;

    election->link_good = false;
    if (!is_urgent(election)) {
        int64_t backoff_ms = next_backoff_ms(election);
        if (failure == LEASE_FAILURE_CONFIGURATION)
            pause_ms = patience_ms(election);
        else if (backoff_ms > pause_ms)
            pause_ms = backoff_ms;
    }
    election->retry_at_ns = election->now_ns + ms_to_ns(pause_ms);
}

static void note_unanswered(struct election *election, struct election_actions *actions)
{
    switch (election->pending.kind) {
    case REQUEST_NONE:
        break;
    case REQUEST_ACQUIRE:
    case REQUEST_CLAIM:
        tell(actions, NOTE_ASK_FAILED);
        follow_doubt(election);
        follow_silence(election);
        follow(election, election->now_ns);
        break;
    case REQUEST_RENEW:
        tell(actions, NOTE_RENEWAL_FAILED);
        election->renew_at_ns = election->now_ns;
        break;
    case REQUEST_RELEASE:
        election->release_in_doubt = true;
        tell(actions, NOTE_RELEASE_FAILED);
        break;
    }
    election->pending.kind = REQUEST_NONE;
}

static void handle_closed(struct election *election, struct election_actions *actions,
                          enum lease_failure failure)
{
    if (failure == LEASE_FAILURE_CONFIGURATION && !election->answered) {
        finish(election, actions, END_CONFIGURATION);
        return;
    }
    note_unanswered(election, actions);
    follow_silence(election);
    forgive_if_proven(election);
    int64_t delay_ms = next_backoff_ms(election);
    struct election_action *action = act(actions, ACTION_TELL);
    action->note = NOTE_RETRY;
    action->delay_ms = delay_ms;
    reopen(election, actions, delay_ms);
}

/* A fresh connection resolves the name and reads the password again. */
static void reopen_after_failure(struct election *election, struct election_actions *actions)
{
    int64_t least_ms = election->config.timing.renew_retry_ms;
    int64_t pause_ms = (election->retry_at_ns - election->now_ns) / NS_PER_MS;

    reopen(election, actions, pause_ms > least_ms ? pause_ms : least_ms);
}

/* A grant and a renewal say whose the record is now and carry the request's own nonce. One that
 * does not was meant for somebody else: a proxy has mixed up its clients, or their order. */
static bool answers_another(const struct election *election, const struct lease_reply *reply)
{
    const struct lease_record *record = &reply->record;

    if (reply->verdict != LEASE_GRANTED && reply->verdict != LEASE_RENEWED)
        return false;
    return strcmp(record->id, election->config.id) != 0 ||
           strcmp(record->version, election->pending.nonce) != 0 ||
           (reply->verdict == LEASE_RENEWED && record->token != election->token);
}

static void handle_reply(struct election *election, struct election_actions *actions,
                         const struct lease_reply *reply)
{
    enum election_request kind = election->pending.kind;
    int64_t sent_ns = election->pending.sent_ns;

    /* An answer to something given up long ago proves nothing about now. */
    if (kind == REQUEST_NONE || reply->request != election->pending.number)
        return;
    if (answers_another(election, reply)) {
        /* What became of our own request is unknown, and this connection is good for nothing. */
        note_unanswered(election, actions);
        pause_requests(election, LEASE_FAILURE_TRANSIENT);
        reopen_after_failure(election, actions);
        return;
    }
    election->pending.kind = REQUEST_NONE;
    election->unanswered = 0;
    election->link_good = reply->verdict != LEASE_FAILED;
    election->answered_ns = election->now_ns;
    election->answering_ns = election->now_ns - sent_ns;
    if (reply->verdict != LEASE_FAILED)
        election->answered = true;
    forgive_if_proven(election);
    if (reply->record.token > election->floor_token)
        election->floor_token = reply->record.token;

    switch (kind) {
    case REQUEST_NONE:
        break;
    case REQUEST_ACQUIRE:
    case REQUEST_CLAIM:
        follow_reply(election, actions, reply, kind, sent_ns);
        break;
    case REQUEST_RENEW:
        term_reply(election, actions, reply, sent_ns);
        break;
    case REQUEST_RELEASE:
        release_reply(election, actions, reply);
        break;
    }
    bool elsewhere =
        reply->failure == LEASE_FAILURE_ROLE || reply->failure == LEASE_FAILURE_CONFIGURATION;
    if (reply->verdict == LEASE_FAILED && elsewhere && election->state != ELECTION_DONE)
        reopen_after_failure(election, actions);
}

static bool is_asked_again(const struct election *election)
{
    return election->stop_asked &&
           election->now_ns - election->stop_asked_ns >= ms_to_ns(ELECTION_STOP_ECHO_MS);
}

static void handle_stop(struct election *election, struct election_actions *actions)
{
    bool first = !election->stop_asked;
    bool at_once = is_asked_again(election);

    if (first)
        election->stop_asked_ns = election->now_ns;
    election->stop_asked = true;
    /* Where nothing but a hook is left, there is nothing else to be patient with. */
    if (at_once || (first && election->state == ELECTION_DONE))
        act(actions, ACTION_KILL_HOOKS);
    switch (election->state) {
    case ELECTION_FOLLOWING:
        finish(election, actions, END_STOPPED);
        break;
    case ELECTION_ACQUIRING:
        /* Its answer is awaited, or its time-out, so that a grant can be given back. */
        if (at_once)
            finish(election, actions, END_STOPPED);
        break;
    case ELECTION_LEADING:
    case ELECTION_STOPPING:
    case ELECTION_RELEASING:
        term_stop(election, actions, at_once);
        break;
    case ELECTION_DONE:
        break;
    }
}

static void handle_keeper_lost(struct election *election, struct election_actions *actions)
{
    switch (election->state) {
    case ELECTION_FOLLOWING:
    case ELECTION_ACQUIRING:
        finish(election, actions, END_KEEPER);
        break;
    case ELECTION_LEADING:
    case ELECTION_STOPPING:
        term_end(election, actions, END_KEEPER);
        break;
    case ELECTION_RELEASING:
        release_without_keeper(election);
        break;
    case ELECTION_DONE:
        break;
    }
}

static void handle_event(struct election *election, struct election_actions *actions,
                         const struct election_event *event)
{
    bool this_run = event->run == election->run;

    switch (event->kind) {
    case EVENT_TICK:
        break;
    case EVENT_OPENED:
        election->link = LINK_OPEN;
        election->opened_ns = election->now_ns;
        election->opening_ns = election->now_ns - election->open_since_ns;
        if (election->state == ELECTION_FOLLOWING)
            election->ask_at_ns = election->now_ns;
        break;
    case EVENT_CLOSED:
        handle_closed(election, actions, event->failure);
        break;
    case EVENT_REPLY:
        handle_reply(election, actions, event->reply);
        break;
    case EVENT_PUSH:
        follow_push(election, event->push);
        break;
    case EVENT_LISTENING:
        follow_listening(election);
        break;
    case EVENT_NOT_STARTED:
        if (this_run)
            term_not_started(election);
        break;
    case EVENT_CHILD_EXIT:
        if (this_run)
            term_child_exit(election, actions, event->failed);
        break;
    case EVENT_TREE_DEAD:
        if (this_run)
            term_tree_dead(election, actions);
        break;
    case EVENT_TREE_STUCK:
        if (this_run)
            term_stuck(election);
        break;
    case EVENT_KEEPER_LOST:
        handle_keeper_lost(election, actions);
        break;
    case EVENT_UNHEALTHY:
        if (this_run)
            term_unhealthy(election, actions, event->well_until_ns);
        break;
    case EVENT_HOOK_OVER:
        if (election->hooks_left[event->hook] > 0)
            election->hooks_left[event->hook]--;
        break;
    case EVENT_STOP:
        handle_stop(election, actions);
        break;
    }
}

/* Until when an answer is of use; INT64_MAX where nothing depends on it. */
static int64_t needed_by_ns(const struct election *election)
{
    if (election->state == ELECTION_LEADING)
        return election->deadlines.stop_at_ns;
    return election->state == ELECTION_RELEASING ? election->release_until_ns : INT64_MAX;
}

/* How long an answer, or a connection, may well take, as far as the last ones tell. */
static int64_t usual_ns(const struct election *election)
{
    return 4 * max_ns(election->opening_ns, election->answering_ns);
}

/* What begins at `from_ns` may take as long as any request; but where time runs out, no more than
 * one part in `parts` of what is left, so that there is time for a fresh connection, or several. A
 * link that is known to be slow is given its time all the same. */
static int64_t given_up_ns(const struct election *election, int64_t from_ns, int64_t parts)
{
    int64_t limit_ns = ms_to_ns(election->config.timing.request_timeout_ms);
    int64_t needed_ns = needed_by_ns(election);
    int64_t least_ns = max_ns(ms_to_ns(REQUEST_EVERY_MS), usual_ns(election));

    if (needed_ns != INT64_MAX)
        limit_ns = min_ns(limit_ns, max_ns(least_ns, (needed_ns - from_ns) / parts));
    return from_ns + limit_ns;
}

/* When an attempt to connect is given up. Where packets are lost the kernel tries again ever more
 * seldom, so whoever is near the deadline begins anew himself, the nearer the more often. */
static int64_t opening_ends_ns(const struct election *election)
{
    return given_up_ns(election, election->open_since_ns, 4);
}

/* When a request is. */
static int64_t pending_ends_ns(const struct election *election)
{
    int64_t parts = election->state == ELECTION_RELEASING ? 3 : 2;

    return given_up_ns(election, election->pending.sent_ns, parts);
}

/* Whether a link that owes an answer is asked once more: it may be merely slow. But it may be dead
 * as well, as after a router that has forgotten it; so there has to be time for another one. */
static bool is_asked_once_more(const struct election *election)
{
    const struct timing *timing = &election->config.timing;
    int64_t needed_ns = needed_by_ns(election);
    int64_t connect_ns = max_ns(ms_to_ns(timing->renew_retry_ms), usual_ns(election));

    if (election->unanswered >= UNANSWERED_MOST)
        return false;
    if (needed_ns == INT64_MAX)
        return true;
    return election->state == ELECTION_LEADING &&
           election->now_ns + ms_to_ns(timing->request_timeout_ms) + connect_ns <= needed_ns;
}

/* Makes the connection anew, though not sooner than the last one is a moment old. */
static void reopen_soon(struct election *election, struct election_actions *actions)
{
    int64_t allowed_ns = election->open_since_ns + request_every_ns(election);
    int64_t wait_ns = max_ns(0, allowed_ns - election->now_ns);

    reopen(election, actions, (wait_ns + NS_PER_MS - 1) / NS_PER_MS);
}

/* A request or a connection that takes too long is given up; its outcome is unknown. On a link that
 * has time left the next one is sent behind it: they are executed in this order, and what is still
 * answered to the first is not heard any more. */
static void check_timeouts(struct election *election, struct election_actions *actions)
{
    if (election->pending.kind != REQUEST_NONE && election->now_ns >= pending_ends_ns(election)) {
        note_unanswered(election, actions);
        election->unanswered++;
        if (!is_asked_once_more(election))
            reopen_soon(election, actions);
    } else if (election->link == LINK_OPENING && election->now_ns >= opening_ends_ns(election)) {
        struct election_action *action = act(actions, ACTION_TELL);
        action->note = NOTE_RETRY;
        reopen_soon(election, actions);
    } else if (election->link == LINK_DOWN && election->now_ns >= election->open_at_ns) {
        open_now(election, actions);
    }
}

static void advance(struct election *election, struct election_actions *actions)
{
    if (election->state == ELECTION_DONE)
        return;
    check_timeouts(election, actions);
    switch (election->state) {
    case ELECTION_FOLLOWING:
    case ELECTION_ACQUIRING:
        follow_advance(election, actions);
        break;
    case ELECTION_LEADING:
    case ELECTION_STOPPING:
        term_advance(election, actions);
        break;
    case ELECTION_RELEASING:
        release_advance(election, actions);
        break;
    case ELECTION_DONE:
        break;
    }
}

void election_init(struct election *election, const struct election_config *config, int64_t now_ns)
{
    memset(election, 0, sizeof *election);
    election->config = *config;
    election->state = ELECTION_FOLLOWING;
    election->now_ns = now_ns;
    election->began_ns = now_ns;
    election->silence_since_ns = now_ns;
    election->runtime_over_ns = INT64_MAX;
    election->restart_at_ns = INT64_MAX;
    election->stand_back_until_ns = now_ns;
    election->random = config->seed;
    election->link = LINK_DOWN;
    election->open_at_ns = now_ns;
    election->ask_at_ns = now_ns;
    election->seen.version.since_ns = -1;
    election->heard.since_ns = -1;
    election->answered_ns = now_ns;
    election->hints_from_ns = now_ns;
    election->retry_at_ns = now_ns;
    election->paid_until_ns = now_ns;
    election->release_until_ns = INT64_MAX;
}

void election_step(struct election *election, const struct election_event *event,
                   struct election_actions *actions)
{
    actions->count = 0;
    if (event->now_ns > election->now_ns)
        election->now_ns = event->now_ns;
    if (election->state == ELECTION_DONE) {
        if (event->kind == EVENT_STOP)
            handle_stop(election, actions);
        return;
    }
    term_check_deadlines(election, actions);
    handle_event(election, actions, event);
    advance(election, actions);
    check_invariants(election, actions);
}

int64_t election_wake_at_ns(const struct election *election)
{
    int64_t wake_ns = INT64_MAX;
    int64_t due_ns = INT64_MAX; /* the next request */

    switch (election->state) {
    case ELECTION_FOLLOWING:
        wake_ns = follow_until_ns(election);
        due_ns = max_ns(election->ask_at_ns, election->stand_back_until_ns);
        break;
    case ELECTION_ACQUIRING:
        break;
    case ELECTION_LEADING:
        wake_ns = min_ns(election->deadlines.stop_at_ns,
                         min_ns(election->runtime_over_ns, election->restart_at_ns));
        due_ns = election->renew_at_ns;
        break;
    case ELECTION_STOPPING:
        wake_ns = election->kill_sent ? election->abandon_at_ns : election->deadlines.kill_at_ns;
        break;
    case ELECTION_RELEASING:
        due_ns = release_waits_until_ns(election);
        wake_ns = due_ns > election->now_ns ? min_ns(election->release_until_ns, due_ns)
                                            : election->release_until_ns;
        break;
    case ELECTION_DONE:
        return INT64_MAX;
    }
    if (election->pending.kind != REQUEST_NONE)
        wake_ns = min_ns(wake_ns, pending_ends_ns(election));
    else if (election->link == LINK_OPENING)
        wake_ns = min_ns(wake_ns, opening_ends_ns(election));
    else if (election->link == LINK_DOWN)
        wake_ns = min_ns(wake_ns, election->open_at_ns);
    else if (due_ns != INT64_MAX)
        wake_ns = min_ns(wake_ns, max_ns(due_ns, may_send_at_ns(election)));
    return wake_ns;
}
