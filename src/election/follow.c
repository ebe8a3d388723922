/*
 * Following: which version of the record was seen since when, and when to ask for the lease.
 *
 * A candidate asks at once when it connects and when a release is pushed, at the moment its
 * observation ripens, and every --retry in any case. Asking costs one request; the grounds
 * are checked by the server, in the same atomic step that grants.
 */
#include <stdio.h>
#include <string.h>

#include "internal.h"
#include "leaderwrap/base/duration.h"

#define RELEASE_JITTER_MOST_MS 50
#define JITTER_PER_LISTENER_NS INT64_C(50000) /* about what a server needs for one acquire */
#define SERVER_CLOCK_MARGIN_MS 10

void follow(struct election *election, int64_t ask_at_ns)
{
    election->state = ELECTION_FOLLOWING;
    election->ask_at_ns = ask_at_ns;
}

/* Silence is given as long as a request may take, whatever --wait says, and counts from when it
 * began: a link that breaks while something else is waited out is made again. */
int64_t follow_until_ns(const struct election *election)
{
    const struct election_config *config = &election->config;
    int64_t over_ns = election->began_ns + ms_to_ns(config->wait_ms);
    int64_t timeout_ns = ms_to_ns(config->timing.request_timeout_ms);

    if (!config->once || config->wait_ms == INT64_MAX || election->obstacle == OBSTACLE_DOUBT)
        return INT64_MAX;
    if (election->obstacle == OBSTACLE_SILENCE)
        return max_ns(over_ns, election->silence_since_ns + timeout_ns);
    return over_ns;
}

static void give_up(struct election *election, struct election_actions *actions)
{
    static const enum election_end ends[] = {
        [OBSTACLE_SILENCE] = END_UNREACHABLE,
        [OBSTACLE_DOUBT] = END_UNREACHABLE,
        [OBSTACLE_HOLDER] = END_BUSY,
        [OBSTACLE_FOREIGN] = END_FOREIGN,
    };
    enum election_end end = ends[election->obstacle];

    if (end != END_UNREACHABLE) {
        struct election_action *action = act(actions, ACTION_TELL);
        action->note = NOTE_BUSY;
        action->end = end;
    }
    finish(election, actions, end);
}

static int64_t observation_ns(const struct election *election)
{
    return ms_to_ns(timing_observation_ms(&election->config.timing, election->seen.ttl_ms));
}

static bool is_version(const struct lease_version *version, const char *ident, const char *nonce)
{
    return version->since_ns >= 0 && strcmp(version->ident, ident) == 0 &&
           strcmp(version->nonce, nonce) == 0;
}

static void note_version(struct lease_version *version, const char *ident, const char *nonce,
                         int64_t since_ns)
{
    version->since_ns = since_ns;
    snprintf(version->ident, sizeof version->ident, "%s", ident);
    snprintf(version->nonce, sizeof version->nonce, "%s", nonce);
}

/* When there may be grounds to ask, according to what was seen; INT64_MAX if not by waiting. The
 * script decides; this only says when it is worth a question. */
static int64_t ripe_at_ns(const struct election *election)
{
    int64_t since_ns = election->seen.version.since_ns;

    if (since_ns < 0)
        return INT64_MAX;
    switch (election->seen.state) {
    case LEASE_HELD:
    case LEASE_VACANT:
        return max_ns(since_ns + observation_ns(election), election->seen.hold_until_ns);
    case LEASE_HOLD:
        return election->seen.hold_until_ns;
    case LEASE_FREE:
    case LEASE_ABSENT:
        break;
    }
    return INT64_MAX;
}

static bool observation_is_ripe(const struct election *election)
{
    return election->now_ns >= ripe_at_ns(election);
}

/* When the hold of a version that is new to us ends, by our own clock: whole if we heard of it as
 * it began, else what the server says is left. From here on no step of the server's clock matters.
 */
static int64_t hold_until_ns(const struct election *election, const struct lease_record *record,
                             bool heard)
{
    int64_t left_ms = min_ns(record->hold_left_ms, DURATION_MAX_MS);

    return heard ? election->heard.since_ns + ms_to_ns(record->hold_ms)
                 : election->now_ns + ms_to_ns(left_ms);
}

/* Notes the version that a reply has shown, received now. Only a change starts the observation
 * anew; one that was heard of before, and is confirmed now, has been there since then: whoever
 * forges a push cannot know a nonce before it is written. Returns whether it is another one. */
static bool observe(struct election *election, const struct lease_record *record)
{
    const char *ident = record->ident;
    const char *nonce = record->version;
    bool heard = is_version(&election->heard, ident, nonce);
    int64_t watched_ns = election->seen.hold_until_ns;

    election->seen.state = record->state;
    election->seen.ttl_ms = record->ttl_ms;
    if (is_version(&election->seen.version, ident, nonce))
        return false;
    note_version(&election->seen.version, ident, nonce,
                 heard ? election->heard.since_ns : election->now_ns);
    election->seen.hold_until_ns = hold_until_ns(election, record, heard);
    /* A vacancy ends no hold, and what it says is left of one is by the server's clock, which may
     * have been set on meanwhile: who has watched it knows better. */
    if (record->state == LEASE_VACANT)
        election->seen.hold_until_ns = max_ns(election->seen.hold_until_ns, watched_ns);
    return true;
}

/* Now plus --retry, spread by a tenth so that candidates do not ask in step. */
static int64_t next_retry_ns(struct election *election)
{
    int64_t retry_ns = ms_to_ns(election->config.timing.retry_ms);
    int64_t spread_ns = retry_ns / 10;
    return election->now_ns + retry_ns - spread_ns +
           (int64_t)random_below(election, (uint64_t)(2 * spread_ns) + 1);
}

/* The same by the server's clock, for --takeover server-clock. */
static int64_t server_ripe_at_ns(const struct election *election, const struct lease_record *record)
{
    int64_t ttl_ms = timing_observation_ms(&election->config.timing, record->ttl_ms);
    int64_t left_ms = ttl_ms + ttl_ms / 100 + SERVER_CLOCK_MARGIN_MS + 1 - record->age_ms;

    if (!election->config.server_clock ||
        (record->state != LEASE_HELD && record->state != LEASE_VACANT) || left_ms < 0)
        return INT64_MAX;
    return max_ns(election->now_ns + ms_to_ns(left_ms), election->seen.hold_until_ns);
}

int64_t election_takeover_at_ns(const struct election *election, const struct lease_record *record)
{
    return min_ns(ripe_at_ns(election), server_ripe_at_ns(election, record));
}

/* When to ask again after a refusal that came with `record`. */
static int64_t next_ask_ns(struct election *election, const struct lease_record *record)
{
    int64_t ask_ns = next_retry_ns(election);
    int64_t ripe_ns = ripe_at_ns(election);

    /* A ripe observation that was refused all the same will not be granted by asking in a loop; one
     * that ripened while the request was on its way has not been tried yet. */
    if (ripe_ns > election->now_ns || !election->asked_with_observation)
        ask_ns = min_ns(ask_ns, ripe_ns);
    ask_ns = min_ns(ask_ns, server_ripe_at_ns(election, record));
    return ask_ns;
}

/* A record with our id and a token that we never used: a grant whose answer was lost. One that
 * assumed that there was no earlier leader must not be taken up late: there may have been one in
 * the meantime, whose record was lost; it is waited out as if it were somebody else's. */
static bool is_unclaimed_grant(const struct election *election, const struct lease_record *record)
{
    return !election->fresh_in_doubt && record->state == LEASE_HELD &&
           record->token > election->used_token && strcmp(record->id, election->config.id) == 0;
}

/* Takes up such a grant. Its own send is forgotten, so the deadline counts from a renewal's. */
static void claim(struct election *election, struct election_actions *actions, uint64_t token)
{
    election->token = token;
    send_request(election, actions, REQUEST_CLAIM);
    election->state = ELECTION_ACQUIRING;
}

/* How long no command may run under a lease that was granted on a record in the state `before`.
 * What a lost answer said is not known. */
static int64_t lock_delay_ns(const struct election *election, enum lease_state before)
{
    bool released = before == LEASE_FREE || before == LEASE_HOLD;
    return released ? 0 : ms_to_ns(election->config.lock_delay_ms);
}

/* The lease is ours by a request sent at `sent_ns`: lead, or give it back if nobody wants it now.
 */
static void granted(struct election *election, struct election_actions *actions,
                    const struct lease_reply *reply, int64_t sent_ns)
{
    struct deadlines deadlines = timing_deadlines(&election->config.timing, sent_ns);
    uint64_t token = reply->record.token;

    election->token = token;
    election->granted_ns = election->now_ns;
    election->before = reply->before;
    election->delay_until_ns = election->now_ns + lock_delay_ns(election, reply->before);
    election->deadlines = deadlines;
    memcpy(election->version, election->pending.nonce, sizeof election->version);
    if (election->stop_asked) {
        election->end = END_STOPPED;
        release_begin(election, actions);
    } else if (election->now_ns >= deadlines.stop_at_ns) {
        claim(election, actions, token);
    } else {
        term_begin(election, actions, token, sent_ns);
    }
}

/* A holder that does not renew any more may be dead, and is not worth to give up for: its time is
 * out in a moment. */
static enum election_obstacle obstacle_of(const struct election *election,
                                          const struct lease_record *record)
{
    bool watched = record->state == LEASE_VACANT && election->now_ns < election->seen.hold_until_ns;
    bool alive = record->state == LEASE_HOLD || record->hold_left_ms > 0 || watched ||
                 (record->state == LEASE_HELD && record->age_ms < record->ttl_ms);
    if (record->foreign[0] != '\0')
        return OBSTACLE_FOREIGN;
    return alive ? OBSTACLE_HOLDER : OBSTACLE_DOUBT;
}

/* A push is only a hint, and anybody can send one: it may bring a question forward, and after two
 * in a row that were about nothing the next has to wait. */
static void ask_sooner(struct election *election, int64_t at_ns)
{
    at_ns = max_ns(at_ns, election->hints_from_ns);
    if (at_ns < election->ask_at_ns) {
        election->ask_at_ns = at_ns;
        election->hinted = true;
    }
}

static void note_hint(struct election *election, bool changed)
{
    if (changed)
        election->idle_hints = 0;
    else if (election->hinted && ++election->idle_hints > 1)
        election->hints_from_ns =
            election->now_ns + ms_to_ns(election->config.timing.renew_retry_ms);
    election->hinted = false;
}

static void refused(struct election *election, struct election_actions *actions,
                    const struct lease_record *record)
{
    bool changed = record->version[0] != '\0' && observe(election, record);
    bool ask_again = election->free_hint;

    election->saw_record = election->saw_record || record->state != LEASE_ABSENT;
    election->free_hint = false;
    note_hint(election, changed);
    /* What was observed was another version. */
    if (changed)
        election->asked_with_observation = false;
    follow(election, next_ask_ns(election, record));
    election->obstacle = obstacle_of(election, record);
    if (ask_again && election->now_ns >= election->hints_from_ns) {
        ask_sooner(election, election->now_ns);
        election->obstacle = OBSTACLE_DOUBT;
    }
    if (election->now_ns >= follow_until_ns(election)) {
        give_up(election, actions);
        return;
    }
    tell(actions, NOTE_WAITING);
    if (!election->watching) {
        election->watching = true;
        act(actions, ACTION_WATCH);
    }
}

void follow_doubt(struct election *election)
{
    if (election->config.assume_fresh && !election->saw_record)
        election->fresh_in_doubt = true;
}

void follow_silence(struct election *election)
{
    if (election->obstacle != OBSTACLE_SILENCE)
        election->silence_since_ns = election->now_ns;
    election->obstacle = OBSTACLE_SILENCE;
}

static void failed(struct election *election, struct election_actions *actions,
                   enum lease_failure failure)
{
    follow_doubt(election);
    if (failure == LEASE_FAILURE_CONFIGURATION && !election->answered) {
        finish(election, actions, END_CONFIGURATION);
        return;
    }
    tell(actions, NOTE_ASK_FAILED);
    follow_silence(election);
    follow(election, election->now_ns);
    pause_requests(election, failure);
}

void follow_reply(struct election *election, struct election_actions *actions,
                  const struct lease_reply *reply, enum election_request kind, int64_t sent_ns)
{
    const struct lease_record *record = &reply->record;

    switch (reply->verdict) {
    case LEASE_GRANTED:
        /* A server that repeats a token is broken or hostile: it must not make us lead. */
        if (kind == REQUEST_ACQUIRE && record->token > election->used_token)
            granted(election, actions, reply, sent_ns);
        else
            failed(election, actions, LEASE_FAILURE_TRANSIENT);
        break;
    case LEASE_RENEWED:
        if (kind == REQUEST_CLAIM && record->token == election->token)
            granted(election, actions, reply, sent_ns);
        else
            failed(election, actions, LEASE_FAILURE_TRANSIENT);
        break;
    case LEASE_REFUSED:
    case LEASE_LOST:
        if (kind == REQUEST_ACQUIRE && is_unclaimed_grant(election, record))
            claim(election, actions, record->token);
        else
            refused(election, actions, record);
        break;
    case LEASE_FAILED:
        failed(election, actions, reply->failure);
        break;
    case LEASE_RELEASED:
    case LEASE_NOT_HELD:
        failed(election, actions, LEASE_FAILURE_TRANSIENT);
        break;
    }
}

/* A release wakes every follower: they spread over a span that grows with their number. */
static int64_t release_jitter_ns(struct election *election, int64_t listeners)
{
    int64_t most_ns = ms_to_ns(election->config.timing.ttl_ms) / 100;

    most_ns = min_ns(most_ns, ms_to_ns(RELEASE_JITTER_MOST_MS));
    if (listeners >= 0 && listeners < most_ns / JITTER_PER_LISTENER_NS)
        most_ns = listeners * JITTER_PER_LISTENER_NS;
    return (int64_t)random_below(election, (uint64_t)most_ns + 1);
}

/* While renewals are heard there is nothing to ask; but what is heard is not proof, and after a TTL
 * without an answer it is time for one. */
static int64_t ask_after_push_ns(const struct election *election)
{
    int64_t retry_ns = ms_to_ns(election->config.timing.retry_ms);
    int64_t ttl_ns = ms_to_ns(election->config.timing.ttl_ms);

    return min_ns(election->now_ns + retry_ns + retry_ns / 10, election->answered_ns + ttl_ns);
}

void follow_push(struct election *election, const struct lease_event *push)
{
    if (election->state != ELECTION_FOLLOWING && election->state != ELECTION_ACQUIRING)
        return;
    bool knows_better = push->state == LEASE_VACANT && push->token < election->floor_token;
    bool is_news = election->seen.version.since_ns < 0 || push->state != election->seen.state ||
                   push->token > election->floor_token;
    /* All hear of a new leader at once and have time to see for themselves; but a job that only
     * waits to know whether there is one has not. */
    bool in_a_hurry = election->config.once && election->obstacle == OBSTACLE_DOUBT;
    int64_t spread_ns =
        ms_to_ns(in_a_hurry ? RELEASE_JITTER_MOST_MS : election->config.timing.renew_ms);

    if (!is_version(&election->heard, push->ident, push->version))
        note_version(&election->heard, push->ident, push->version, election->now_ns);
    /* A record that forgot our token is told of it before anybody can be granted a lower one. */
    if (push->state == LEASE_FREE || knows_better) {
        election->free_hint = election->state == ELECTION_ACQUIRING;
        ask_sooner(election, election->now_ns + release_jitter_ns(election, push->listeners));
    } else if (is_news) {
        ask_sooner(election,
                   election->now_ns + (int64_t)random_below(election, (uint64_t)spread_ns));
    } else if (!election->hinted && election->ask_at_ns > election->now_ns) {
        /* What is ripe already has been asked about: it must not be again at each push. */
        int64_t ripe_ns = observation_is_ripe(election) ? INT64_MAX : ripe_at_ns(election);
        election->ask_at_ns = min_ns(ask_after_push_ns(election), ripe_ns);
    }
}

/* A release may have been announced just before, to nobody: look once more. */
void follow_listening(struct election *election)
{
    if (election->state == ELECTION_FOLLOWING)
        ask_sooner(election, election->now_ns);
    else if (election->state == ELECTION_ACQUIRING)
        election->free_hint = true;
}

void follow_advance(struct election *election, struct election_actions *actions)
{
    if (election->stop_asked) {
        if (election->state == ELECTION_FOLLOWING)
            finish(election, actions, END_STOPPED);
        return;
    }
    if (election->state == ELECTION_FOLLOWING && election->now_ns >= follow_until_ns(election)) {
        give_up(election, actions);
        return;
    }
    if (election->state != ELECTION_FOLLOWING || election->now_ns < election->ask_at_ns ||
        election->now_ns < election->stand_back_until_ns || !can_send(election))
        return;

    election->state = ELECTION_ACQUIRING;
    election->free_hint = false;
    struct election_action *action = send_request(election, actions, REQUEST_ACQUIRE);
    action->token = election->floor_token;
    action->never_saw_record = !election->saw_record;
    election->asked_with_observation = observation_is_ripe(election);
    action->observed = election->seen.version;
    if (action->observed.since_ns >= 0)
        action->observed_ms = (election->now_ns - action->observed.since_ns) / NS_PER_MS;
    if (election->now_ns < election->seen.hold_until_ns)
        action->hold_ms = min_ns((election->seen.hold_until_ns - election->now_ns) / NS_PER_MS + 1,
                                 DURATION_MAX_MS);
}
