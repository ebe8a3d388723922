/*
 * Giving the lease back: after nothing of the tree, and of --on-acquire's hook, is left.
 *
 * A release that got no answer may have been executed; one that the server refuses may have met a
 * renewal of the same term that was not heard of.
 */
#include <string.h>

#include "internal.h"

/* How long a release holds up the end of the process, at most. */
#define RELEASE_MOST_MS 5000

void release_init(struct release *release)
{
    release->until_ns = INT64_MAX;
}

void release_run_hook(struct election *election, struct election_actions *actions,
                      enum election_hook hook)
{
    if (!election->config.hooks[hook])
        return;
    action_add(actions, ACTION_RUN_HOOK)->hook = (struct election_hook_run){
        .hook = hook,
        .token = election->term.token,
        .before = election->term.before,
        .end = election->end,
        .deadlines = election->term.deadlines,
    };
    election->release.hooks_left[hook]++;
    if (hook == HOOK_ACQUIRE)
        election->release.hook_killed = false;
}

void release_hook_over(struct release *release, enum election_hook hook)
{
    if (release->hooks_left[hook] > 0)
        release->hooks_left[hook]--;
}

/* A release is sent at once, and done even where its answer is not waited for. */
static int64_t limit_ns(const struct election *election)
{
    int64_t limit_ms = 2 * election->config.timing.request_timeout_ms;

    return max_ns(election->now_ns, election->release.hooks_until_ns) +
           min_ns(ms_to_ns(limit_ms), ms_to_ns(RELEASE_MOST_MS));
}

void release_hurry(struct election *election)
{
    if (election->release.until_ns == INT64_MAX)
        election->release.until_ns = limit_ns(election);
}

/* As a rule, what a hook does is done before another leader's begins. */
static int64_t hooks_end_ns(const struct election *election)
{
    const struct release *release = &election->release;
    bool some = release->hooks_left[HOOK_ACQUIRE] > 0 || release->hooks_left[HOOK_LOSE] > 0;
    int64_t grace_ns = ms_to_ns(election->config.timing.grace_ms);

    if (!some || election->end == END_LOST)
        return election->now_ns;
    return min_ns(election->now_ns + grace_ns, election->term.deadlines.kill_at_ns);
}

void release_inherit(struct election *election)
{
    int64_t most_ms = min_ns(election->config.timing.ttl_ms, RELEASE_MOST_MS);

    election->release.until_ns = election->now_ns + ms_to_ns(most_ms);
}

enum release_next release_begin(struct election *election, struct election_actions *actions,
                                bool ran)
{
    struct release *release = &election->release;

    if (ran) {
        release->hooks_until_ns = hooks_end_ns(election);
        release->hook_killed = false;
    }
    session_retry_at(&election->session, election->now_ns);
    release->in_doubt = false;
    release->restoring = false;
    release->until_ns = INT64_MAX;
    if (election->config.no_release && election->end == END_STOPPED) {
        action_tell(actions, NOTE_LEFT);
        return RELEASE_OVER;
    }
    return RELEASE_ON;
}

/* As long as the term has not expired, and no earlier release of it may have been executed, nobody
 * else can have led since it was last known to be good. */
static bool nobody_can_have_led(const struct election *election)
{
    return !election->release.in_doubt && election->now_ns < election->term.deadlines.expires_at_ns;
}

static bool is_of_this_term(const struct election *election, const struct lease_record *record)
{
    return record->token == election->term.token && strcmp(record->id, election->config.id) == 0;
}

/* The record is this term's after all, written by a renewal whose answer was lost. Whenever that
 * ran, it ran in time, and what it wrote may be released instead; else it might have been written
 * over the lost record of a later holder. */
static bool is_unheard_renewal(const struct election *election, const struct lease_record *record)
{
    return record->state == LEASE_HELD && is_of_this_term(election, record) &&
           strcmp(record->version, election->term.version) != 0 && nobody_can_have_led(election);
}

/* The record has to be written again before it can be released, for --hold and whoever waits to see
 * it: Redis was restarted, or has lost data, since the last renewal. */
static bool may_restore(const struct election *election, const struct lease_record *record)
{
    uint64_t token = election->term.token;
    bool uncertain = record->token < token || record->state == LEASE_VACANT;
    bool held = record->state == LEASE_HELD && is_of_this_term(election, record);

    if (record->foreign[0] != '\0' || record->token > token || election->end == END_LOST)
        return false;
    return (uncertain || held) && nobody_can_have_led(election);
}

static bool is_released(const struct election *election, const struct lease_record *record)
{
    return (record->state == LEASE_FREE || record->state == LEASE_CLOSED) &&
           is_of_this_term(election, record);
}

/* The version that the next release may end. */
static void take_version(struct election *election, const struct lease_record *record)
{
    memcpy(election->term.version, record->version, sizeof election->term.version);
}

static enum release_next not_held(struct election *election, struct election_actions *actions,
                                  const struct lease_record *record)
{
    if (is_unheard_renewal(election, record)) {
        take_version(election, record);
    } else if (may_restore(election, record)) {
        election->release.restoring = true;
    } else if (is_released(election, record)) {
        /* By an earlier release of this term that was executed. */
        action_tell(actions, NOTE_RELEASED);
        return RELEASE_OVER;
    } else {
        action_tell(actions, NOTE_NOT_HELD)->record = *record;
        return RELEASE_OVER;
    }
    return RELEASE_ON;
}

static enum release_next failed(struct election *election, struct election_actions *actions,
                                const struct lease_reply *reply)
{
    action_tell_failure(election, actions, NOTE_RELEASE_FAILED, reply);
    session_retry_at(&election->session,
                     election->now_ns + ms_to_ns(election->config.timing.renew_retry_ms));
    return RELEASE_ON;
}

void release_unanswered(struct election *election, struct election_actions *actions)
{
    election->release.in_doubt = true;
    action_tell_failure(election, actions, NOTE_RELEASE_FAILED, NULL);
}

enum release_next release_reply(struct election *election, struct election_actions *actions,
                                const struct lease_reply *reply)
{
    switch (reply->verdict) {
    case LEASE_NOT_HELD:
        return not_held(election, actions, &reply->record);
    case LEASE_RELEASED:
        action_tell(actions, NOTE_RELEASED);
        return RELEASE_OVER;
    case LEASE_FAILED:
    case LEASE_GRANTED:
    case LEASE_REFUSED:
    case LEASE_RENEWED:
    case LEASE_LOST:
        break;
    }
    election->release.in_doubt = true;
    return failed(election, actions, reply);
}

enum release_next release_restored(struct election *election, struct election_actions *actions,
                                   const struct lease_reply *reply)
{
    switch (reply->verdict) {
    case LEASE_RENEWED:
        if (election->now_ns < election->term.deadlines.expires_at_ns)
            take_version(election, &reply->record);
        election->release.restoring = false;
        return RELEASE_ON;
    case LEASE_LOST:
        action_tell(actions, NOTE_NOT_HELD)->record = reply->record;
        return RELEASE_OVER;
    case LEASE_FAILED:
    case LEASE_GRANTED:
    case LEASE_REFUSED:
    case LEASE_RELEASED:
    case LEASE_NOT_HELD:
        break;
    }
    return failed(election, actions, reply);
}

/* What is left of --hold. Where the command did not run somebody else may try at once; but not
 * before a lock delay is over, for to him the record will say that the term was released. */
static int64_t hold_left_ms(const struct election *election)
{
    const struct term *term = &election->term;
    int64_t held_ms = (election->now_ns - term->granted_ns) / NS_PER_MS;
    bool ran = term->run > 0 && election->end != END_NOT_STARTED;

    if (election->now_ns < term->delay_until_ns)
        return (term->delay_until_ns - election->now_ns + NS_PER_MS - 1) / NS_PER_MS;
    return ran && held_ms < election->config.hold_ms ? election->config.hold_ms - held_ms : 0;
}

/* When a hook that does not die is waited for no longer. By then nothing has been renewed for a
 * TTL: the lease has run out, and whoever leads next does so beside that hook, here or elsewhere.
 */
static int64_t hook_is_stuck_at_ns(const struct election *election)
{
    return election->release.hook_killed_ns + ms_to_ns(election->config.timing.ttl_ms);
}

int64_t release_waits_until_ns(const struct election *election)
{
    const struct release *release = &election->release;
    bool too_late = election->now_ns >= release->hooks_until_ns;

    if (release->hooks_left[HOOK_ACQUIRE] > 0)
        return too_late && release->hook_killed ? hook_is_stuck_at_ns(election)
                                                : release->hooks_until_ns;
    return too_late || release->hooks_left[HOOK_LOSE] == 0 ? election->now_ns
                                                           : release->hooks_until_ns;
}

int64_t release_wake_at_ns(const struct election *election)
{
    int64_t until_ns = election->release.until_ns;
    int64_t due_ns = release_waits_until_ns(election);

    return due_ns > election->now_ns ? min_ns(until_ns, due_ns) : until_ns;
}

/* HOOK_ACQUIRE has to be dead before the release; HOOK_LOSE is waited for no longer than until
 * `hooks_until_ns`. */
static bool waits_for_hooks(struct election *election, struct election_actions *actions)
{
    struct release *release = &election->release;
    bool too_late = election->now_ns >= release->hooks_until_ns;

    if (release->hooks_left[HOOK_ACQUIRE] > 0 && too_late && !release->hook_killed) {
        release->hook_killed = true;
        release->hook_killed_ns = election->now_ns;
        action_add(actions, ACTION_KILL_HOOK);
    }
    return release_waits_until_ns(election) > election->now_ns;
}

enum release_next release_advance(struct election *election, struct election_actions *actions)
{
    const struct release *release = &election->release;
    bool hook_lives = release->hooks_left[HOOK_ACQUIRE] > 0;

    if (election->now_ns >= release->until_ns ||
        (hook_lives && release->hook_killed && election->now_ns >= hook_is_stuck_at_ns(election))) {
        if (hook_lives)
            action_tell(actions, NOTE_HOOK_ALIVE);
        action_tell(actions, NOTE_LEFT);
        return RELEASE_OVER;
    }
    if (waits_for_hooks(election, actions) || !request_can_leave(election))
        return RELEASE_ON;
    if (release->restoring && election->now_ns < election->term.deadlines.expires_at_ns) {
        request_send(election, actions, REQUEST_RENEW);
    } else {
        request_send(election, actions, REQUEST_RELEASE)->request.release.hold_ms =
            hold_left_ms(election);
    }
    return RELEASE_ON;
}
