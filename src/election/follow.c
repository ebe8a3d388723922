/*
 * Following: when to ask for the lease, and what to make of the answers.
 *
 * A candidate asks at once when it connects and when a release is pushed, at the moment its
 * observation ripens, and every --retry in any case. Asking costs one request; the grounds
 * are checked by the server, in the same atomic step that grants.
 */
#include <string.h>

#include "internal.h"
#include "leaderwrap/base/duration.h"

#define RELEASE_JITTER_MOST_MS 50
#define JITTER_PER_LISTENER_NS INT64_C(50000) /* about what a server needs for one acquire */
/* More than so many candidates do not all ask. */
#define CROWD 20
/* Of a span of so much for each, the first one is asked for after about as much; and the news that
 * he has the lease reaches the others within some more. */
#define CROWD_PER_LISTENER_NS NS_PER_MS

void follow_init(struct follow *follow, int64_t now_ns)
{
    follow->stand_back_until_ns = now_ns;
    follow->began_ns = now_ns;
    follow->silence_since_ns = now_ns;
    follow->ask_at_ns = now_ns;
    follow->answered_ns = now_ns;
    follow->hints_from_ns = now_ns;
    follow->listeners = -1;
}

void follow_from(struct election *election, int64_t ask_at_ns)
{
    election->follow.ask_at_ns = ask_at_ns;
}

void follow_use_token(struct election *election)
{
    election->follow.used_token = election->term.token;
}

static void watch(struct election *election, struct election_actions *actions)
{
    if (election->follow.watching)
        return;
    election->follow.watching = true;
    action_add(actions, ACTION_WATCH);
}

/* Who was asked to go goes for whoever comes, and listens for that; who failed is of no use for a
 * while, whoever leads. */
void follow_stand_back(struct election *election, struct election_actions *actions,
                       int64_t penalty_ms)
{
    election->follow.stand_back_until_ns = election->now_ns + ms_to_ns(penalty_ms);
    election->follow.stands_back_for_anybody = election->end == END_ASKED;
    if (election->follow.stands_back_for_anybody)
        watch(election, actions);
}

void follow_end(struct election *election, struct election_actions *actions)
{
    election->follow.saw_record = true;
    election->follow.hinted = false;
    observation_forget(&election->observation);
    if (election->follow.watching) {
        election->follow.watching = false;
        action_add(actions, ACTION_UNWATCH);
    }
}

/* Silence is given as long as a request may take, whatever --wait says, and counts from when it
 * began: a link that breaks while something else is waited out is made again. */
int64_t follow_until_ns(const struct election *election)
{
    const struct election_config *config = &election->config;
    const struct follow *follow = &election->follow;
    int64_t over_ns = follow->began_ns + ms_to_ns(config->wait_ms);
    int64_t timeout_ns = ms_to_ns(config->timing.request_timeout_ms);

    if (!config->once || config->wait_ms == INT64_MAX || follow->obstacle == OBSTACLE_DOUBT)
        return INT64_MAX;
    if (follow->obstacle == OBSTACLE_SILENCE)
        return max_ns(over_ns, follow->silence_since_ns + timeout_ns);
    return over_ns;
}

static int64_t ripe_at_ns(const struct election *election)
{
    return observation_ripe_at_ns(&election->observation, &election->config.timing);
}

static int64_t server_ripe_at_ns(const struct election *election, const struct lease_record *record)
{
    return election->config.server_clock
               ? observation_server_ripe_at_ns(&election->observation, &election->config.timing,
                                               record, election->now_ns)
               : INT64_MAX;
}

/* When a wish ends by itself; INT64_MAX: it is taken back, at a time that nobody can know. */
static int64_t wish_over_at_ns(const struct election *election, const struct lease_wish *wish)
{
    return wish->left_ms > 0 ? election->now_ns + ms_to_ns(wish->left_ms) : INT64_MAX;
}

static int64_t takeover_at_ns(const struct election *election, const struct lease_reply *reply)
{
    if (reply->wish.kind != LEASE_WISH_NONE)
        return wish_over_at_ns(election, &reply->wish);
    return min_ns(ripe_at_ns(election), server_ripe_at_ns(election, &reply->record));
}

/* Tells of a refusal by `reply`; NULL: it was told before, and is still the last word. */
static struct election_note *tell_refusal(const struct election *election,
                                          struct election_actions *actions,
                                          enum election_note_kind kind,
                                          const struct lease_reply *reply)
{
    struct election_note *note = action_tell(actions, kind);

    if (reply != NULL) {
        note->refusal.answered = true;
        note->refusal.record = reply->record;
        note->refusal.wish = reply->wish;
        note->refusal.takeover_at_ns = takeover_at_ns(election, reply);
    }
    return note;
}

static enum follow_next give_up(struct election *election, struct election_actions *actions,
                                const struct lease_reply *reply)
{
    switch (election->follow.obstacle) {
    case OBSTACLE_SILENCE:
    case OBSTACLE_DOUBT:
        break;
    case OBSTACLE_HOLDER:
        tell_refusal(election, actions, NOTE_BUSY, reply)->end = END_BUSY;
        return FOLLOW_BUSY;
    case OBSTACLE_FOREIGN:
        tell_refusal(election, actions, NOTE_BUSY, reply)->end = END_FOREIGN;
        return FOLLOW_FOREIGN;
    }
    return FOLLOW_UNREACHABLE;
}

/* What a crowd asks for at one time, when a TTL is over or the lease was released, is spread so
 * that whoever is still to ask hears of the new leader first. Nobody else waits for that. */
static int64_t crowd_span_ns(const struct election *election)
{
    int64_t listeners = election->follow.listeners;
    int64_t most_ns = ms_to_ns(election->config.timing.ttl_ms) / 15;

    return listeners <= CROWD ? 0 : min_ns((listeners - CROWD) * CROWD_PER_LISTENER_NS, most_ns);
}

/* Some time from then on, as the followers are many. */
static int64_t in_a_crowd_ns(struct election *election, int64_t at_ns)
{
    int64_t span_ns = crowd_span_ns(election);

    if (span_ns == 0 || at_ns == INT64_MAX)
        return at_ns;
    return at_ns + (int64_t)jitter_below(&election->jitter, (uint64_t)span_ns + 1);
}

/* Now plus --retry, spread by a tenth so that candidates do not ask in step. */
static int64_t next_retry_ns(struct election *election)
{
    int64_t retry_ns = ms_to_ns(election->config.timing.retry_ms);
    int64_t spread_ns = retry_ns / 10;
    return election->now_ns + retry_ns - spread_ns +
           (int64_t)jitter_below(&election->jitter, (uint64_t)(2 * spread_ns) + 1);
}

/* When to ask again after a refusal. */
static int64_t next_ask_ns(struct election *election, const struct lease_reply *reply)
{
    int64_t ask_ns = next_retry_ns(election);
    int64_t ripe_ns = ripe_at_ns(election);

    /* Before that is over nothing else matters. */
    if (reply->wish.kind != LEASE_WISH_NONE)
        return min_ns(ask_ns, in_a_crowd_ns(election, wish_over_at_ns(election, &reply->wish)));

    /* A ripe observation that was refused all the same will not be granted by asking in a loop; one
     * that ripened while the request was on its way has not been tried yet. */
    if (ripe_ns > election->now_ns || !election->follow.asked_with_observation)
        ask_ns = min_ns(ask_ns, in_a_crowd_ns(election, ripe_ns));
    return min_ns(ask_ns, in_a_crowd_ns(election, server_ripe_at_ns(election, &reply->record)));
}

/* A record with our id and a token that we never used: a grant whose answer was lost. One that
 * assumed that there was no earlier leader must not be taken up late: there may have been one in
 * the meantime, whose record was lost; it is waited out as if it were somebody else's. */
static bool is_unclaimed_grant(const struct election *election, const struct lease_record *record)
{
    return !election->follow.fresh_in_doubt && record->state == LEASE_HELD &&
           record->token > election->follow.used_token &&
           strcmp(record->id, election->config.id) == 0;
}

/* A holder that does not renew any more may be dead, and is not worth to give up for: its time is
 * out in a moment. */
static enum election_obstacle obstacle_of(const struct election *election,
                                          const struct lease_reply *reply)
{
    const struct lease_record *record = &reply->record;
    bool wished = reply->wish.kind != LEASE_WISH_NONE;
    bool watched =
        record->state == LEASE_VACANT && election->now_ns < election->observation.hold_until_ns;
    bool alive = record->state == LEASE_CLOSED || record->hold_left_ms > 0 || watched ||
                 (record->state == LEASE_HELD && record->age_ms < record->ttl_ms);
    if (record->foreign[0] != '\0')
        return OBSTACLE_FOREIGN;
    return alive || wished ? OBSTACLE_HOLDER : OBSTACLE_DOUBT;
}

/* A push is only a hint, and anybody can send one: it may bring a question forward, and after two
 * in a row that were about nothing the next has to wait. */
static void ask_sooner(struct follow *follow, int64_t at_ns)
{
    at_ns = max_ns(at_ns, follow->hints_from_ns);
    if (at_ns < follow->ask_at_ns) {
        follow->ask_at_ns = at_ns;
        follow->hinted = true;
    }
}

static void note_hint(struct election *election, bool changed)
{
    struct follow *follow = &election->follow;

    if (changed)
        follow->idle_hints = 0;
    else if (follow->hinted && ++follow->idle_hints > 1)
        follow->hints_from_ns = election->now_ns + ms_to_ns(election->config.timing.renew_retry_ms);
    follow->hinted = false;
}

static enum follow_next refused(struct election *election, struct election_actions *actions,
                                const struct lease_reply *reply)
{
    struct follow *follow = &election->follow;
    const struct lease_record *record = &reply->record;
    bool changed = record->version[0] != '\0' &&
                   observation_see(&election->observation, record, election->now_ns);
    bool ask_again = follow->free_hint;

    follow->saw_record = follow->saw_record || record->state != LEASE_ABSENT;
    follow->free_hint = false;
    note_hint(election, changed);
    /* What was observed was another version. */
    if (changed)
        follow->asked_with_observation = false;
    follow->ask_at_ns = next_ask_ns(election, reply);
    follow->obstacle = obstacle_of(election, reply);
    if (ask_again && election->now_ns >= follow->hints_from_ns) {
        ask_sooner(follow, election->now_ns);
        follow->obstacle = OBSTACLE_DOUBT;
    }
    if (election->now_ns >= follow_until_ns(election))
        return give_up(election, actions, reply);
    tell_refusal(election, actions, NOTE_WAITING, reply);
    watch(election, actions);
    return FOLLOW_ON;
}

static void doubt(struct election *election)
{
    if (election->config.assume_fresh && !election->follow.saw_record)
        election->follow.fresh_in_doubt = true;
}

void follow_silence(struct election *election)
{
    struct follow *follow = &election->follow;

    if (follow->obstacle != OBSTACLE_SILENCE)
        follow->silence_since_ns = election->now_ns;
    follow->obstacle = OBSTACLE_SILENCE;
}

static void ask_in_vain(struct election *election, struct election_actions *actions,
                        const struct lease_reply *reply)
{
    action_tell_failure(election, actions, NOTE_ASK_FAILED, reply);
    doubt(election);
    follow_silence(election);
    election->follow.ask_at_ns = election->now_ns;
}

void follow_unanswered(struct election *election, struct election_actions *actions)
{
    ask_in_vain(election, actions, NULL);
}

static enum follow_next failed(struct election *election, struct election_actions *actions,
                               const struct lease_reply *reply, enum lease_failure failure)
{
    if (failure == LEASE_FAILURE_CONFIGURATION && !election->session.answered) {
        doubt(election);
        return FOLLOW_REFUSED_US;
    }
    ask_in_vain(election, actions, reply);
    session_pause(&election->session, &election->config.timing, false, failure, &election->jitter,
                  election->now_ns);
    return FOLLOW_ON;
}

void follow_note_reply(struct election *election, const struct lease_reply *reply)
{
    struct follow *follow = &election->follow;

    follow->answered_ns = election->now_ns;
    follow->put_off = false;
    if (reply->record.token > follow->floor_token)
        follow->floor_token = reply->record.token;
}

enum follow_grant follow_grant(const struct election *election, const struct lease_reply *reply,
                               enum session_request kind)
{
    const struct lease_record *record = &reply->record;

    switch (reply->verdict) {
    case LEASE_GRANTED:
        /* A server that repeats a token is broken or hostile: it must not make us lead. */
        if (kind == REQUEST_ACQUIRE && record->token > election->follow.used_token)
            return GRANT_OURS;
        break;
    case LEASE_RENEWED:
        if (kind == REQUEST_CLAIM)
            return GRANT_OURS;
        break;
    case LEASE_REFUSED:
    case LEASE_LOST:
        if (kind == REQUEST_ACQUIRE && is_unclaimed_grant(election, record))
            return GRANT_UNHEARD;
        break;
    case LEASE_FAILED:
    case LEASE_RELEASED:
    case LEASE_NOT_HELD:
        break;
    }
    return GRANT_NONE;
}

enum follow_next follow_reply(struct election *election, struct election_actions *actions,
                              const struct lease_reply *reply)
{
    switch (reply->verdict) {
    case LEASE_REFUSED:
    case LEASE_LOST:
        return refused(election, actions, reply);
    case LEASE_FAILED:
        return failed(election, actions, reply, reply->failure);
    case LEASE_GRANTED:
    case LEASE_RENEWED:
    case LEASE_RELEASED:
    case LEASE_NOT_HELD:
        break;
    }
    return failed(election, actions, reply, LEASE_FAILURE_TRANSIENT);
}

/* A release wakes every follower: they spread over a span that grows with their number. */
static int64_t release_jitter_ns(struct election *election, int64_t listeners)
{
    int64_t most_ns = ms_to_ns(election->config.timing.ttl_ms) / 100;

    most_ns = min_ns(most_ns, ms_to_ns(RELEASE_JITTER_MOST_MS));
    if (listeners >= 0 && listeners < most_ns / JITTER_PER_LISTENER_NS)
        most_ns = listeners * JITTER_PER_LISTENER_NS;
    /* Where the message does not say how many they are, an earlier one may have. */
    most_ns = max_ns(most_ns, crowd_span_ns(election));
    return (int64_t)jitter_below(&election->jitter, (uint64_t)most_ns + 1);
}

/* All hear of a new leader at once and have time to see for themselves; but a job that only waits
 * to know whether there is one has not. */
static int64_t news_jitter_ns(struct election *election)
{
    bool in_a_hurry = election->config.once && election->follow.obstacle == OBSTACLE_DOUBT;
    int64_t most_ms = in_a_hurry ? RELEASE_JITTER_MOST_MS : election->config.timing.renew_ms;

    return (int64_t)jitter_below(&election->jitter, (uint64_t)ms_to_ns(most_ms));
}

/* While renewals are heard there is nothing to ask; but what is heard is not proof, and after a TTL
 * without an answer it is time for one. */
static int64_t ask_after_push_ns(struct election *election)
{
    int64_t retry_ns = ms_to_ns(election->config.timing.retry_ms);
    int64_t ttl_ns = ms_to_ns(election->config.timing.ttl_ms);

    return min_ns(in_a_crowd_ns(election, election->now_ns + retry_ns + retry_ns / 10),
                  election->follow.answered_ns + ttl_ns);
}

/* Somebody else has it now: to ask for it is in vain, and to see that there is time. But once only
 * until there is an answer, for anybody can say so. */
static void see_for_itself(struct election *election, const struct lease_event *push)
{
    struct follow *follow = &election->follow;
    int64_t at_ns = election->now_ns + news_jitter_ns(election);
    bool taken = push->state == LEASE_HELD && push->token > follow->floor_token;

    if (!taken || follow->put_off || election->config.once) {
        ask_sooner(follow, at_ns);
        return;
    }
    follow->put_off = true;
    follow->hinted = true;
    at_ns = max_ns(at_ns, follow->hints_from_ns);
    follow->ask_at_ns =
        min_ns(at_ns, follow->answered_ns + ms_to_ns(election->config.timing.ttl_ms));
}

void follow_push(struct election *election, const struct lease_event *push)
{
    struct follow *follow = &election->follow;
    const struct observation *observation = &election->observation;

    if (election->state != ELECTION_FOLLOWING && election->state != ELECTION_ACQUIRING)
        return;
    bool knows_better = push->state == LEASE_VACANT && push->token < follow->floor_token;
    bool is_news = observation->seen.since_ns < 0 || push->state != observation->state ||
                   push->token > follow->floor_token;

    if (follow->stands_back_for_anybody && push->state == LEASE_HELD &&
        push->token > follow->used_token)
        follow->stand_back_until_ns = election->now_ns;
    observation_hear(&election->observation, push, election->now_ns);
    if (push->listeners >= 0)
        follow->listeners = push->listeners;
    /* A record that forgot our token is told of it before anybody can be granted a lower one. */
    if (push->state == LEASE_FREE || knows_better) {
        follow->free_hint = election->state == ELECTION_ACQUIRING;
        ask_sooner(follow, election->now_ns + release_jitter_ns(election, push->listeners));
    } else if (is_news) {
        see_for_itself(election, push);
    } else if (!follow->hinted && follow->ask_at_ns > election->now_ns) {
        /* What is ripe already has been asked about, and must not be again at each push; and what
         * seems to be overtaken is worth no question of its own. */
        int64_t ripe_ns = observation_is_overtaken(observation) ? INT64_MAX : ripe_at_ns(election);
        follow->ask_at_ns =
            min_ns(ask_after_push_ns(election),
                   in_a_crowd_ns(election, ripe_ns > election->now_ns ? ripe_ns : INT64_MAX));
    }
}

/* A release may have been announced just before, to nobody: look once more. */
void follow_listening(struct election *election)
{
    if (election->state == ELECTION_FOLLOWING)
        ask_sooner(&election->follow, election->now_ns);
    else if (election->state == ELECTION_ACQUIRING)
        election->follow.free_hint = true;
}

static void ask(struct election *election, struct election_actions *actions)
{
    const struct observation *observation = &election->observation;
    struct follow *follow = &election->follow;
    struct lease_acquire *acquire =
        &request_send(election, actions, REQUEST_ACQUIRE)->request.acquire;
    int64_t now_ns = election->now_ns;

    follow->free_hint = false;
    follow->asked_with_observation = now_ns >= ripe_at_ns(election);
    acquire->floor_token = follow->floor_token;
    acquire->never_saw_record = !follow->saw_record;
    if (observation->seen.since_ns >= 0) {
        memcpy(acquire->observed_incarnation, observation->seen.incarnation,
               sizeof acquire->observed_incarnation);
        memcpy(acquire->observed_version, observation->seen.version,
               sizeof acquire->observed_version);
        acquire->observed_ms = (now_ns - observation->seen.since_ns) / NS_PER_MS;
    }
    if (now_ns < observation->hold_until_ns)
        acquire->hold_left_ms =
            min_ns((observation->hold_until_ns - now_ns) / NS_PER_MS + 1, DURATION_MAX_MS);
}

enum follow_next follow_advance(struct election *election, struct election_actions *actions)
{
    const struct follow *follow = &election->follow;

    if (election->now_ns >= follow_until_ns(election))
        return give_up(election, actions, NULL);
    if (election->now_ns < follow->ask_at_ns || election->now_ns < follow->stand_back_until_ns ||
        !request_can_leave(election))
        return FOLLOW_ON;
    ask(election, actions);
    return FOLLOW_ASKED;
}
