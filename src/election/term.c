/*
 * A term: from the grant to the release.
 *
 * The deadlines are the keeper's to enforce; they are watched here as well, so that the two of them
 * have to fail at once, and so that the story told is the same.
 */
#include <string.h>

#include "internal.h"
#include "leaderwrap/base/clock.h"

/* How long a keeper that was told to kill is believed to be at it. */
#define KEEPER_PATIENCE_MS 1000

/* How long a release holds up the end of the process, at most. */
#define RELEASE_MOST_MS 5000

static void run_hook(struct election *election, struct election_actions *actions,
                     enum election_hook hook)
{
    if (!election->config.hooks[hook])
        return;
    struct election_action *run = act(actions, ACTION_RUN_HOOK);
    run->hook = hook;
    run->token = election->token;
    run->end = election->end;
    run->before = election->before;
    run->deadlines = election->deadlines;
    election->hooks_left[hook]++;
}

/* Starts the tree, for the first time in this term or again. */
static void begin_run(struct election *election, struct election_actions *actions)
{
    election->run++;
    election->tree = true;
    election->run_began_ns = election->now_ns;
    election->restart_at_ns = INT64_MAX;
    election->runtime_over_ns = INT64_MAX;
    if (election->config.max_runtime_ms > 0)
        election->runtime_over_ns = election->now_ns + ms_to_ns(election->config.max_runtime_ms);
    election->failed = false;
    election->kill_sent = false;
    election->stuck_since_ns = INT64_MAX;
    election->abandon_at_ns = INT64_MAX;

    struct election_action *start = act(actions, ACTION_START);
    start->run = election->run;
    start->token = election->token;
    start->deadlines = election->deadlines;
    memcpy(start->version, election->version, sizeof start->version);
    if (!election->began_run) {
        election->began_run = true;
        election->hook_killed = false;
        run_hook(election, actions, HOOK_ACQUIRE);
    }
}

/* Starts the tree, or lets the term begin without one, for the lock delay. The keeper has nothing
 * to do then, and no last will: where the wrapper is killed meanwhile the lease is left to its TTL.
 */
static void begin_first_run(struct election *election, struct election_actions *actions)
{
    int64_t delay_ns = election->delay_until_ns - election->now_ns;
    bool old_hook_lives = election->hooks_left[HOOK_ACQUIRE] > 0;

    if (delay_ns > 0) {
        election->restart_at_ns = election->delay_until_ns;
        election->runtime_over_ns = INT64_MAX;
    } else {
        begin_run(election, actions);
    }
    struct election_action *note = act(actions, ACTION_TELL);
    note->note = delay_ns > 0 ? NOTE_LOCK_DELAY : NOTE_ELECTED;
    note->token = election->token;
    note->delay_ms = delay_ns > 0 ? delay_ns / NS_PER_MS : 0;
    if (old_hook_lives)
        tell(actions, NOTE_HOOK_ALIVE);
}

void term_begin(struct election *election, struct election_actions *actions, uint64_t token,
                int64_t sent_ns)
{
    election->state = ELECTION_LEADING;
    election->token = token;
    election->used_token = token;
    election->saw_record = true;
    election->seen.version.since_ns = -1;
    election->heard.since_ns = -1;
    election->hinted = false;
    election->renew_at_ns = sent_ns + ms_to_ns(election->config.timing.renew_ms);
    election->end = END_NONE;
    election->restart = (struct restart){0};
    begin_first_run(election, actions);
    if (election->watching) {
        election->watching = false;
        act(actions, ACTION_UNWATCH);
    }
}

/* Whatever the reason for the kill, a hung keeper must be found out before the lease is out. */
static int64_t keeper_patience_ends_ns(const struct election *election)
{
    int64_t margin_ns = ms_to_ns(election->config.timing.margin_ms);
    int64_t kill_at_ns = election->deadlines.kill_at_ns;
    int64_t due_ns = (kill_at_ns > election->now_ns ? kill_at_ns : election->now_ns);

    return min_ns(due_ns + margin_ns * 3 / 4, election->now_ns + ms_to_ns(KEEPER_PATIENCE_MS));
}

static void kill_tree(struct election *election, struct election_actions *actions)
{
    if (election->kill_sent)
        return;
    election->kill_sent = true;
    election->abandon_at_ns = keeper_patience_ends_ns(election);
    act(actions, ACTION_KILL_TREE)->run = election->run;
}

/* As a rule, what a hook does is done before another leader's begins. */
static int64_t hooks_end_ns(const struct election *election)
{
    bool some = election->hooks_left[HOOK_ACQUIRE] > 0 || election->hooks_left[HOOK_LOSE] > 0;
    int64_t grace_ns = ms_to_ns(election->config.timing.grace_ms);

    if (!some || election->end == END_LOST)
        return election->now_ns;
    return min_ns(election->now_ns + grace_ns, election->deadlines.kill_at_ns);
}

static void term_over(struct election *election, struct election_actions *actions)
{
    struct election_action *note = act(actions, ACTION_TELL);
    note->note = NOTE_TERM_OVER;
    note->end = election->end;
    election->restart_at_ns = INT64_MAX;
    if (election->began_run)
        run_hook(election, actions, HOOK_LOSE);
    election->hooks_until_ns = hooks_end_ns(election);
    election->hook_killed = false;
    release_begin(election, actions);
}

static bool wants_restart(const struct election *election)
{
    return restart_is_wanted(election->config.restart, election->failed);
}

/* Ends the term for the reason `end`. That a command ended by itself, and for good, stays the
 * reason, whatever happens while its leftovers are swept: its status is the wrapper's. */
void term_end(struct election *election, struct election_actions *actions, enum election_end end)
{
    bool at_once = end == END_LOST;

    bool ended_by_itself = election->end == END_COMMAND && !wants_restart(election);

    if (!ended_by_itself && (election->state == ELECTION_LEADING || end == END_KEEPER)) {
        election->end = end;
        struct election_action *note = act(actions, ACTION_TELL);
        note->note = NOTE_TERM_ENDING;
        note->end = end;
    }
    election->state = ELECTION_STOPPING;
    if (election->restart_at_ns != INT64_MAX && end != END_KEEPER) {
        /* In the pause before a start there is no tree to end. */
        term_over(election, actions);
    } else if (end == END_KEEPER) {
        election->restart_at_ns = INT64_MAX;
        /* The wrapper is sweeping already; there is no keeper to talk to. */
        election->kill_sent = true;
        election->abandon_at_ns = INT64_MAX;
    } else if (at_once) {
        kill_tree(election, actions);
    } else {
        act(actions, ACTION_STOP_TREE)->run = election->run;
    }
}

void term_check_deadlines(struct election *election, struct election_actions *actions)
{
    if (election->state == ELECTION_LEADING && election->now_ns >= election->deadlines.stop_at_ns)
        term_end(election, actions, END_DEADLINE);
    if (election->state == ELECTION_LEADING && election->now_ns >= election->runtime_over_ns)
        term_end(election, actions, END_RUNTIME);
    if (election->state != ELECTION_STOPPING)
        return;
    if (election->now_ns >= election->deadlines.kill_at_ns)
        kill_tree(election, actions);
    if (election->now_ns >= election->abandon_at_ns) {
        election->abandon_at_ns = INT64_MAX;
        /* A keeper that reports what it cannot kill is not hung, and nobody could do better. */
        if (election->stuck_since_ns == INT64_MAX)
            act(actions, ACTION_ABANDON_KEEPER);
    }
}

/* A renewal was granted while the term was good. Its version is the one that a release may end. */
static void note_version(struct election *election)
{
    if (election->now_ns < election->deadlines.expires_at_ns)
        memcpy(election->version, election->pending.nonce, sizeof election->version);
}

static void renewed(struct election *election, struct election_actions *actions, int64_t sent_ns)
{
    election->deadlines = timing_deadlines(&election->config.timing, sent_ns);
    election->renew_at_ns = sent_ns + ms_to_ns(election->config.timing.renew_ms);

    struct election_action *extend = act(actions, ACTION_EXTEND);
    extend->run = election->run;
    extend->deadlines = election->deadlines;
    memcpy(extend->version, election->version, sizeof extend->version);
    tell(actions, NOTE_RENEWED);
}

void term_reply(struct election *election, struct election_actions *actions,
                const struct lease_reply *reply, int64_t sent_ns)
{
    if (election->restoring) {
        restore_reply(election, actions, reply->verdict);
        return;
    }
    switch (reply->verdict) {
    case LEASE_RENEWED:
        note_version(election);
        if (election->state == ELECTION_LEADING)
            renewed(election, actions, sent_ns);
        break;
    case LEASE_LOST:
        if (election->state == ELECTION_LEADING || election->state == ELECTION_STOPPING)
            term_end(election, actions, END_LOST);
        break;
    case LEASE_FAILED:
    case LEASE_GRANTED:
    case LEASE_REFUSED:
    case LEASE_RELEASED:
    case LEASE_NOT_HELD:
        if (election->state != ELECTION_LEADING)
            break;
        tell(actions, NOTE_RENEWAL_FAILED);
        election->renew_at_ns = election->now_ns + ms_to_ns(election->config.timing.renew_retry_ms);
        break;
    }
}

void term_not_started(struct election *election)
{
    if (election->state == ELECTION_LEADING && election->end == END_NONE)
        election->end = END_NOT_STARTED;
}

void term_child_exit(struct election *election, struct election_actions *actions, bool failed)
{
    /* Leftovers may still be at work: the term, and its renewals, go on until the tree is dead. */
    if (election->state == ELECTION_LEADING && election->end == END_NONE) {
        election->end = END_COMMAND;
        election->failed = failed;
        struct election_action *note = act(actions, ACTION_TELL);
        note->note = NOTE_TERM_ENDING;
        note->end = END_COMMAND;
    }
}

/* Stops the command, and nothing else as yet: the term may go on with another run. */
void term_unhealthy(struct election *election, struct election_actions *actions,
                    int64_t well_until_ns)
{
    if (election->state != ELECTION_LEADING || election->end != END_NONE ||
        election->restart_at_ns != INT64_MAX)
        return;
    election->end = END_UNHEALTHY;
    election->failed = true;
    election->well_until_ns = well_until_ns;
    struct election_action *note = act(actions, ACTION_TELL);
    note->note = NOTE_TERM_ENDING;
    note->end = END_UNHEALTHY;
    act(actions, ACTION_STOP_TREE)->run = election->run;
}

/* What is to be ended and cannot be must not keep the lease for ever: after a TTL nothing more is
 * renewed. The keeper reports it again and again. */
void term_stuck(struct election *election)
{
    int64_t ttl_ns = ms_to_ns(election->config.timing.ttl_ms);

    if (election->stuck_since_ns == INT64_MAX)
        election->stuck_since_ns = election->now_ns;
    if (election->state != ELECTION_LEADING || election->end == END_NONE ||
        election->now_ns - election->stuck_since_ns < ttl_ns)
        return;
    if (wants_restart(election))
        election->end = END_FAILED;
    election->state = ELECTION_STOPPING;
}

static bool is_to_be_restarted(const struct election *election)
{
    return election->state == ELECTION_LEADING &&
           (election->end == END_COMMAND || election->end == END_UNHEALTHY) &&
           wants_restart(election);
}

/* Counts the run that is over, and the failures in a row. Returns false if those are too many. */
static bool may_go_on(struct election *election)
{
    int64_t well_until_ns =
        election->end == END_UNHEALTHY ? election->well_until_ns : election->now_ns;
    int64_t well_ms = (well_until_ns - election->run_began_ns) / NS_PER_MS;

    return restart_count(&election->restart, well_ms, election->failed,
                         election->config.max_restarts);
}

/* The term goes on without a tree for a while. */
static void pause_run(struct election *election, struct election_actions *actions)
{
    struct election_action *note = act(actions, ACTION_TELL);

    note->note = NOTE_RESTART;
    note->delay_ms = restart_pause_ms(&election->restart);
    election->end = END_NONE;
    election->runtime_over_ns = INT64_MAX;
    election->restart_at_ns = election->now_ns + ms_to_ns(note->delay_ms);
}

void term_tree_dead(struct election *election, struct election_actions *actions)
{
    election->tree = false;
    if ((election->state != ELECTION_LEADING && election->state != ELECTION_STOPPING) ||
        election->restart_at_ns != INT64_MAX)
        return;
    if (is_to_be_restarted(election)) {
        if (may_go_on(election)) {
            pause_run(election, actions);
            return;
        }
        election->end = END_FAILED;
    }
    /* A tree that died without a word of its main process missed its start or its deadline. */
    if (election->end == END_NONE)
        election->end = END_DEADLINE;
    term_over(election, actions);
}

/* A release is sent at once, and done even where its answer is not waited for. */
static int64_t release_limit_ns(const struct election *election)
{
    int64_t limit_ms = 2 * election->config.timing.request_timeout_ms;

    return max_ns(election->now_ns, election->hooks_until_ns) +
           min_ns(ms_to_ns(limit_ms), ms_to_ns(RELEASE_MOST_MS));
}

void term_stop(struct election *election, struct election_actions *actions, bool at_once)
{
    switch (election->state) {
    case ELECTION_LEADING:
        term_end(election, actions, END_STOPPED);
        break;
    case ELECTION_STOPPING:
        if (at_once)
            kill_tree(election, actions);
        break;
    default:
        if (election->release_until_ns == INT64_MAX)
            election->release_until_ns = release_limit_ns(election);
        break;
    }
}

void term_advance(struct election *election, struct election_actions *actions)
{
    if (election->state == ELECTION_LEADING && election->now_ns >= election->restart_at_ns)
        begin_run(election, actions);
    if (election->state != ELECTION_LEADING || election->now_ns < election->renew_at_ns ||
        !can_send(election))
        return;
    send_request(election, actions, REQUEST_RENEW);
}

static void release_failed(struct election *election, struct election_actions *actions)
{
    tell(actions, NOTE_RELEASE_FAILED);
    election->retry_at_ns = election->now_ns + ms_to_ns(election->config.timing.renew_retry_ms);
}

/* Whether this process ends after the term, or stands by again. */
static bool ends_after_term(const struct election *election)
{
    switch (election->end) {
    case END_DEADLINE:
    case END_LOST:
        return election->config.exit_on_lost || election->stop_asked;
    case END_NOT_STARTED:
        return election->config.once || election->stop_asked;
    case END_FAILED:
    case END_UNHEALTHY:
        return election->stop_asked;
    case END_NONE:
    case END_COMMAND:
    case END_STOPPED:
    case END_KEEPER:
    case END_CONFIGURATION:
    case END_RUNTIME:
    case END_BUSY:
    case END_FOREIGN:
    case END_UNREACHABLE:
        return true;
    }
    return true;
}

/* Why the process ends, now that the term is over. */
static enum election_end final_end(const struct election *election)
{
    switch (election->end) {
    case END_DEADLINE:
    case END_LOST:
        return election->config.exit_on_lost ? election->end : END_STOPPED;
    case END_NOT_STARTED:
    case END_FAILED:
    case END_UNHEALTHY:
        return election->stop_asked ? END_STOPPED : election->end;
    case END_NONE:
    case END_COMMAND:
    case END_STOPPED:
    case END_KEEPER:
    case END_CONFIGURATION:
    case END_RUNTIME:
    case END_BUSY:
    case END_FOREIGN:
    case END_UNREACHABLE:
        return election->end;
    }
    return election->end;
}

/* A host that cannot make processes, or on which the command fails again and again, lets the others
 * go first. */
static void stand_back(struct election *election, struct election_actions *actions)
{
    if (election->end == END_NOT_STARTED) {
        election->stand_back_until_ns =
            election->now_ns + ms_to_ns(election->config.timing.retry_ms);
    } else if (election->end == END_FAILED || election->end == END_UNHEALTHY) {
        struct election_action *note = act(actions, ACTION_TELL);
        note->note = NOTE_STAND_BACK;
        note->end = election->end;
        note->delay_ms = election->config.penalty_ms;
        election->stand_back_until_ns = election->now_ns + ms_to_ns(election->config.penalty_ms);
    }
}

static void release_over(struct election *election, struct election_actions *actions)
{
    election->began_run = false;
    election->restoring = false;
    if (ends_after_term(election)) {
        finish(election, actions, final_end(election));
        return;
    }
    election->release_until_ns = INT64_MAX;
    stand_back(election, actions);
    follow(election, election->now_ns);
}

void release_begin(struct election *election, struct election_actions *actions)
{
    election->state = ELECTION_RELEASING;
    election->used_token = election->token;
    election->retry_at_ns = election->now_ns;
    election->release_in_doubt = false;
    election->restoring = false;
    election->release_until_ns = ends_after_term(election) ? release_limit_ns(election) : INT64_MAX;
    if (election->config.no_release && election->end == END_STOPPED) {
        tell(actions, NOTE_LEFT);
        release_over(election, actions);
    }
}

void release_without_keeper(struct election *election)
{
    if (ends_after_term(election))
        return;
    election->end = END_KEEPER;
    election->release_until_ns = release_limit_ns(election);
}

bool election_is_unheard_renewal(const struct lease_record *record, const char *id, uint64_t token,
                                 const char *version)
{
    return record->state == LEASE_HELD && record->token == token && strcmp(record->id, id) == 0 &&
           strcmp(record->version, version) != 0;
}

bool election_may_restore(const struct lease_record *record, const char *id, uint64_t token)
{
    bool mine = record->state == LEASE_HELD && strcmp(record->id, id) == 0;

    if (record->foreign[0] != '\0' || record->token > token)
        return false;
    return record->token < token || record->state == LEASE_VACANT || mine;
}

/* Nobody else can have led since this term was last known to be good. */
static bool nobody_can_have_led(const struct election *election)
{
    return !election->release_in_doubt && election->now_ns < election->deadlines.expires_at_ns;
}

static bool is_unheard_renewal(const struct election *election, const struct lease_record *record)
{
    return election_is_unheard_renewal(record, election->config.id, election->token,
                                       election->version) &&
           nobody_can_have_led(election);
}

static bool may_restore(const struct election *election, const struct lease_record *record)
{
    return election_may_restore(record, election->config.id, election->token) &&
           nobody_can_have_led(election) && election->end != END_LOST;
}

static void not_held(struct election *election, struct election_actions *actions,
                     const struct lease_record *record)
{
    if (is_unheard_renewal(election, record)) {
        memcpy(election->version, record->version, sizeof election->version);
    } else if (may_restore(election, record)) {
        election->restoring = true;
    } else {
        tell(actions, NOTE_NOT_HELD);
        release_over(election, actions);
    }
}

void release_reply(struct election *election, struct election_actions *actions,
                   const struct lease_reply *reply)
{
    if (election->state != ELECTION_RELEASING)
        return;
    switch (reply->verdict) {
    case LEASE_NOT_HELD:
        not_held(election, actions, &reply->record);
        break;
    case LEASE_RELEASED:
        tell(actions, NOTE_RELEASED);
        release_over(election, actions);
        break;
    default:
        election->release_in_doubt = true;
        release_failed(election, actions);
        break;
    }
}

void restore_reply(struct election *election, struct election_actions *actions,
                   enum lease_verdict verdict)
{
    switch (verdict) {
    case LEASE_RENEWED:
        note_version(election);
        election->restoring = false;
        break;
    case LEASE_LOST:
        tell(actions, NOTE_NOT_HELD);
        release_over(election, actions);
        break;
    case LEASE_FAILED:
    case LEASE_GRANTED:
    case LEASE_REFUSED:
    case LEASE_RELEASED:
    case LEASE_NOT_HELD:
        release_failed(election, actions);
        break;
    }
}

/* What is left of --hold. Where the command did not run somebody else may try at once; but not
 * before a lock delay is over, for to him the record will say that the term was released. */
static int64_t hold_left_ms(const struct election *election)
{
    int64_t held_ms = (election->now_ns - election->granted_ns) / NS_PER_MS;
    bool ran = election->run > 0 && election->end != END_NOT_STARTED;

    if (election->now_ns < election->delay_until_ns)
        return (election->delay_until_ns - election->now_ns + NS_PER_MS - 1) / NS_PER_MS;
    return ran && held_ms < election->config.hold_ms ? election->config.hold_ms - held_ms : 0;
}

/* When a hook that does not die is waited for no longer. By then nothing has been renewed for a
 * TTL: the lease has run out, and whoever leads next does so beside that hook, here or elsewhere.
 */
static int64_t hook_is_stuck_at_ns(const struct election *election)
{
    return election->hook_killed_ns + ms_to_ns(election->config.timing.ttl_ms);
}

int64_t release_waits_until_ns(const struct election *election)
{
    bool too_late = election->now_ns >= election->hooks_until_ns;

    if (election->hooks_left[HOOK_ACQUIRE] > 0)
        return too_late && election->hook_killed ? hook_is_stuck_at_ns(election)
                                                 : election->hooks_until_ns;
    return too_late || election->hooks_left[HOOK_LOSE] == 0 ? election->now_ns
                                                            : election->hooks_until_ns;
}

/* What greeted the term has to be gone with it; what mourns it may take its time. */
static bool waits_for_hooks(struct election *election, struct election_actions *actions)
{
    bool too_late = election->now_ns >= election->hooks_until_ns;

    if (election->hooks_left[HOOK_ACQUIRE] > 0 && too_late && !election->hook_killed) {
        election->hook_killed = true;
        election->hook_killed_ns = election->now_ns;
        act(actions, ACTION_KILL_HOOK);
    }
    return release_waits_until_ns(election) > election->now_ns;
}

void release_advance(struct election *election, struct election_actions *actions)
{
    bool hook_lives = election->hooks_left[HOOK_ACQUIRE] > 0;

    if (election->now_ns >= election->release_until_ns ||
        (hook_lives && election->hook_killed &&
         election->now_ns >= hook_is_stuck_at_ns(election))) {
        if (hook_lives)
            tell(actions, NOTE_HOOK_ALIVE);
        tell(actions, NOTE_LEFT);
        release_over(election, actions);
    } else if (waits_for_hooks(election, actions) || !can_send(election)) {
        return;
    } else if (election->restoring && election->now_ns < election->deadlines.expires_at_ns) {
        send_request(election, actions, REQUEST_RENEW);
    } else {
        struct election_action *release = send_request(election, actions, REQUEST_RELEASE);
        release->end = election->end;
        release->hold_ms = hold_left_ms(election);
        memcpy(release->version, election->version, sizeof release->version);
    }
}
