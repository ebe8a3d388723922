/*
 * A term: from the grant until nothing of the tree is left, nor of a health check beside it.
 *
 * The deadlines are the keeper's to enforce; they are watched here as well, so that the two of them
 * have to fail at once, and so that the story told is the same.
 */
#include <stdio.h>
#include <string.h>

#include "internal.h"

/* How long a keeper that was told to kill is believed to be at it. */
#define KEEPER_PATIENCE_MS 1000

void term_init(struct term *term)
{
    term->runtime_over_ns = INT64_MAX;
    term->restart_at_ns = INT64_MAX;
}

static bool is_pausing(const struct term *term)
{
    return term->restart_at_ns != INT64_MAX;
}

/* How long no command may run under a lease that was granted on a record in the state `before`.
 * What a lost answer said is not known. */
static int64_t lock_delay_ns(const struct election *election, enum lease_state before)
{
    bool released = before == LEASE_FREE || before == LEASE_CLOSED;
    return released ? 0 : ms_to_ns(election->config.lock_delay_ms);
}

void term_granted(struct election *election, const struct lease_reply *reply, int64_t sent_ns)
{
    struct term *term = &election->term;

    term->token = reply->record.token;
    term->granted_ns = election->now_ns;
    term->before = reply->before;
    term->delay_until_ns = election->now_ns + lock_delay_ns(election, reply->before);
    term->deadlines = timing_deadlines(&election->config.timing, sent_ns);
    term->renew_at_ns = sent_ns + ms_to_ns(election->config.timing.renew_ms);
    memcpy(term->version, reply->record.version, sizeof term->version);
}

void term_inherit(struct term *term, const struct election_legacy *legacy)
{
    term->token = legacy->token;
    snprintf(term->version, sizeof term->version, "%s", legacy->version);
    term->granted_ns = legacy->begun_ns;
    term->deadlines.expires_at_ns = legacy->valid_until_ns;
    term->run = 1;
}

static void tell_run(const struct election *election, struct election_actions *actions,
                     enum election_action_kind kind)
{
    const struct term *term = &election->term;
    struct election_run *run = &action_add(actions, kind)->run;

    run->number = term->run;
    run->token = term->token;
    run->deadlines = term->deadlines;
    memcpy(run->version, term->version, sizeof run->version);
}

/* Starts the tree, for the first time in this term or again. */
static enum term_next begin_run(struct election *election, struct election_actions *actions)
{
    int64_t max_runtime_ms = election->config.max_runtime_ms;
    struct term *term = &election->term;

    term->run++;
    term->tree = true;
    term->run_began_ns = election->now_ns;
    term->restart_at_ns = INT64_MAX;
    term->runtime_over_ns =
        max_runtime_ms > 0 ? election->now_ns + ms_to_ns(max_runtime_ms) : INT64_MAX;
    term->failed = false;
    term->kill_sent = false;
    term->stuck_since_ns = INT64_MAX;
    term->abandon_at_ns = INT64_MAX;
    tell_run(election, actions, ACTION_START);
    if (term->began_run)
        return TERM_ON;
    term->began_run = true;
    return TERM_BEGUN;
}

static void tell_grant(const struct election *election, struct election_actions *actions,
                       enum election_note_kind kind)
{
    const struct term *term = &election->term;

    action_tell(actions, kind)->grant = (struct election_grant){
        .token = term->token, .deadlines = term->deadlines, .start_at_ns = term->restart_at_ns};
}

/* Starts the tree, or lets the term begin without one, for the lock delay. The keeper has nothing
 * to do then, and no last will: where the wrapper is killed meanwhile the lease is left to its TTL.
 */
static enum term_next begin_first_run(struct election *election, struct election_actions *actions)
{
    struct term *term = &election->term;
    int64_t delay_ns = term->delay_until_ns - election->now_ns;
    bool old_hook_lives = election->release.hooks_left[HOOK_ACQUIRE] > 0;
    enum term_next next = TERM_ON;

    if (delay_ns > 0) {
        term->restart_at_ns = term->delay_until_ns;
        term->runtime_over_ns = INT64_MAX;
    } else {
        next = begin_run(election, actions);
    }
    tell_grant(election, actions, delay_ns > 0 ? NOTE_LOCK_DELAY : NOTE_ELECTED);
    if (old_hook_lives)
        action_tell(actions, NOTE_HOOK_ALIVE);
    return next;
}

void term_claim(struct election *election, uint64_t token)
{
    election->term.token = token;
}

enum term_next term_begin(struct election *election, struct election_actions *actions)
{
    election->term.restart = (struct restart){0};
    election->term.began_run = false;
    election->end = END_NONE;
    return begin_first_run(election, actions);
}

/* Whatever the reason for the kill, a hung keeper must be found out before the lease is out. */
static int64_t keeper_patience_ends_ns(const struct election *election)
{
    int64_t margin_ns = ms_to_ns(election->config.timing.margin_ms);
    int64_t due_ns = max_ns(election->term.deadlines.kill_at_ns, election->now_ns);

    return min_ns(due_ns + margin_ns * 3 / 4, election->now_ns + ms_to_ns(KEEPER_PATIENCE_MS));
}

void term_kill_tree(struct election *election, struct election_actions *actions)
{
    struct term *term = &election->term;

    if (term->kill_sent)
        return;
    term->kill_sent = true;
    term->abandon_at_ns = keeper_patience_ends_ns(election);
    action_add(actions, ACTION_KILL_TREE)->run.number = term->run;
}

static enum term_next over(struct election *election, struct election_actions *actions)
{
    action_tell(actions, NOTE_TERM_OVER)->end = election->end;
    election->term.restart_at_ns = INT64_MAX;
    return TERM_OVER;
}

static bool wants_restart(const struct election *election)
{
    return restart_is_wanted(election->config.restart, election->term.failed);
}

/* Ends the term for the reason `end`; of END_LOST and of an operator's wish `reply` says more. That
 * a command ended by itself, and for good, stays the reason, whatever happens while its leftovers
 * are swept: its status is the wrapper's. */
static enum term_next end_term(struct election *election, struct election_actions *actions,
                               enum election_end end, const struct lease_reply *reply)
{
    struct term *term = &election->term;
    bool ended_by_itself = election->end == END_COMMAND && !wants_restart(election);

    if (!ended_by_itself && (election->state == ELECTION_LEADING || end == END_KEEPER)) {
        election->end = end;
        struct election_note *note = action_tell(actions, NOTE_TERM_ENDING);
        note->end = end;
        if (end == END_LOST)
            note->record = reply->record;
        else if (reply != NULL)
            note->wish = reply->wish;
    }
    if (is_pausing(term) && end != END_KEEPER) {
        /* In the pause before a start there is no tree to end. */
        return over(election, actions);
    } else if (end == END_KEEPER) {
        /* The wrapper is sweeping already; there is no keeper to talk to. */
        term->restart_at_ns = INT64_MAX;
        term->kill_sent = true;
        term->abandon_at_ns = INT64_MAX;
    } else if (end == END_LOST) {
        term_kill_tree(election, actions);
    } else {
        action_add(actions, ACTION_STOP_TREE)->run.number = term->run;
    }
    return TERM_STOPS;
}

enum term_next term_end(struct election *election, struct election_actions *actions,
                        enum election_end end)
{
    return end_term(election, actions, end, NULL);
}

static void check_kill(struct election *election, struct election_actions *actions)
{
    struct term *term = &election->term;

    if (election->now_ns >= term->deadlines.kill_at_ns)
        term_kill_tree(election, actions);
    if (election->now_ns >= term->abandon_at_ns) {
        term->abandon_at_ns = INT64_MAX;
        /* A keeper that reports what it cannot kill is not hung, and nobody could do better. */
        if (term->stuck_since_ns == INT64_MAX)
            action_add(actions, ACTION_ABANDON_KEEPER);
    }
}

enum term_next term_check_deadlines(struct election *election, struct election_actions *actions)
{
    const struct term *term = &election->term;
    enum term_next next = TERM_ON;

    if (election->state == ELECTION_LEADING) {
        if (election->now_ns >= term->deadlines.stop_at_ns)
            next = term_end(election, actions, END_DEADLINE);
        else if (election->now_ns >= term->runtime_over_ns)
            next = term_end(election, actions, END_RUNTIME);
    }
    if (next == TERM_STOPS || election->state == ELECTION_STOPPING)
        check_kill(election, actions);
    return next;
}

/* A renewal was granted while the term was good. Its version is the one that a release may end. */
static void note_version(struct election *election, const struct lease_record *record)
{
    struct term *term = &election->term;

    if (election->now_ns < term->deadlines.expires_at_ns)
        memcpy(term->version, record->version, sizeof term->version);
}

static void renewed(struct election *election, struct election_actions *actions, int64_t sent_ns)
{
    const struct timing *timing = &election->config.timing;

    election->term.deadlines = timing_deadlines(timing, sent_ns);
    election->term.renew_at_ns = sent_ns + ms_to_ns(timing->renew_ms);
    tell_run(election, actions, ACTION_EXTEND);
    tell_grant(election, actions, NOTE_RENEWED);
}

enum election_end term_end_of_wish(const struct lease_wish *wish)
{
    switch (wish->kind) {
    case LEASE_WISH_NONE:
        break;
    case LEASE_WISH_PAUSED:
        return END_PAUSED;
    case LEASE_WISH_CORDONED:
        return END_CORDONED;
    case LEASE_WISH_STEP_DOWN:
        return END_ASKED;
    }
    return END_NONE;
}

void term_unanswered(struct election *election, struct election_actions *actions)
{
    action_tell_failure(election, actions, NOTE_RENEWAL_FAILED, NULL);
    election->term.renew_at_ns = election->now_ns;
}

enum term_next term_reply(struct election *election, struct election_actions *actions,
                          const struct lease_reply *reply, int64_t sent_ns)
{
    int64_t again_ms = election->config.timing.renew_retry_ms;
    bool leading = election->state == ELECTION_LEADING;

    switch (reply->verdict) {
    case LEASE_RENEWED:
        note_version(election, &reply->record);
        if (leading)
            renewed(election, actions, sent_ns);
        if (leading && reply->wish.kind != LEASE_WISH_NONE)
            return end_term(election, actions, term_end_of_wish(&reply->wish), reply);
        break;
    case LEASE_LOST:
        if (leading || election->state == ELECTION_STOPPING)
            return end_term(election, actions, END_LOST, reply);
        break;
    case LEASE_FAILED:
    case LEASE_GRANTED:
    case LEASE_REFUSED:
    case LEASE_RELEASED:
    case LEASE_NOT_HELD:
        if (!leading)
            break;
        action_tell_failure(election, actions, NOTE_RENEWAL_FAILED, reply);
        election->term.renew_at_ns = election->now_ns + ms_to_ns(again_ms);
        break;
    }
    return TERM_ON;
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
        election->term.failed = failed;
        action_tell(actions, NOTE_TERM_ENDING)->end = END_COMMAND;
    }
}

/* Stops the command, and nothing else as yet: the term may go on with another run. */
void term_unhealthy(struct election *election, struct election_actions *actions,
                    int64_t well_until_ns)
{
    struct term *term = &election->term;

    if (election->state != ELECTION_LEADING || election->end != END_NONE || is_pausing(term))
        return;
    election->end = END_UNHEALTHY;
    term->failed = true;
    term->well_until_ns = well_until_ns;
    action_tell(actions, NOTE_TERM_ENDING)->end = END_UNHEALTHY;
    action_add(actions, ACTION_STOP_TREE)->run.number = term->run;
}

/* What is to be ended and cannot be must not keep the lease for ever: after a TTL nothing more is
 * renewed. The keeper reports it again and again. */
enum term_next term_stuck(struct election *election)
{
    int64_t ttl_ns = ms_to_ns(election->config.timing.ttl_ms);
    struct term *term = &election->term;

    if (term->stuck_since_ns == INT64_MAX)
        term->stuck_since_ns = election->now_ns;
    if (election->state != ELECTION_LEADING || election->end == END_NONE ||
        election->now_ns - term->stuck_since_ns < ttl_ns)
        return TERM_ON;
    if (wants_restart(election))
        election->end = END_FAILED;
    return TERM_STOPS;
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
    struct term *term = &election->term;
    int64_t well_until_ns = election->end == END_UNHEALTHY ? term->well_until_ns : election->now_ns;
    int64_t well_ms = (well_until_ns - term->run_began_ns) / NS_PER_MS;

    return restart_count(&term->restart, well_ms, term->failed, election->config.max_restarts);
}

/* The term goes on without a tree for a while. */
static void pause_run(struct election *election, struct election_actions *actions)
{
    struct term *term = &election->term;
    int64_t pause_ms = restart_pause_ms(&term->restart);

    action_tell(actions, NOTE_RESTART)->delay_ms = pause_ms;
    election->end = END_NONE;
    term->runtime_over_ns = INT64_MAX;
    term->restart_at_ns = election->now_ns + ms_to_ns(pause_ms);
}

static enum term_next run_over(struct election *election, struct election_actions *actions)
{
    if (is_to_be_restarted(election)) {
        if (may_go_on(election)) {
            pause_run(election, actions);
            return TERM_ON;
        }
        election->end = END_FAILED;
    }
    /* A tree that died without a word of its main process missed its start or its deadline. */
    if (election->end == END_NONE)
        election->end = END_DEADLINE;
    return over(election, actions);
}

enum term_next term_tree_dead(struct election *election, struct election_actions *actions)
{
    struct term *term = &election->term;

    if ((election->state != ELECTION_LEADING && election->state != ELECTION_STOPPING) ||
        is_pausing(term))
        return TERM_ON;
    term->tree = false;
    return term->check ? TERM_ON : run_over(election, actions);
}

void term_check_started(struct election *election)
{
    if (election->term.tree)
        election->term.check = true;
}

/* Whether nothing but the check is left of the run. */
static bool waits_for_check(const struct term *term)
{
    return term->check && !term->tree;
}

enum term_next term_check_dead(struct election *election, struct election_actions *actions)
{
    bool waited_for = waits_for_check(&election->term);

    election->term.check = false;
    return waited_for ? run_over(election, actions) : TERM_ON;
}

enum term_next term_check_stuck(struct election *election)
{
    return waits_for_check(&election->term) ? term_stuck(election) : TERM_ON;
}

enum term_next term_advance(struct election *election, struct election_actions *actions)
{
    enum term_next next = TERM_ON;

    if (election->now_ns >= election->term.restart_at_ns)
        next = begin_run(election, actions);
    if (election->now_ns >= election->term.renew_at_ns && request_can_leave(election))
        request_send(election, actions, REQUEST_RENEW);
    return next;
}

int64_t term_wake_at_ns(const struct election *election)
{
    const struct term *term = &election->term;

    if (election->state == ELECTION_LEADING)
        return min_ns(term->deadlines.stop_at_ns,
                      min_ns(term->runtime_over_ns, term->restart_at_ns));
    return term->kill_sent ? term->abandon_at_ns : term->deadlines.kill_at_ns;
}

/* Whether the process ends for this reason, even where nobody asks it to. */
static bool ends_the_process(const struct election *election)
{
    switch (election->end) {
    case END_DEADLINE:
    case END_LOST:
        return election->config.exit_on_lost;
    case END_NOT_STARTED:
    case END_PAUSED:
    case END_CORDONED:
    case END_ASKED:
        return election->config.once;
    case END_FAILED:
    case END_UNHEALTHY:
        return false;
    case END_NONE:
    case END_COMMAND:
    case END_STOPPED:
    case END_KEEPER:
    case END_CONFIGURATION:
    case END_RUNTIME:
    case END_BUSY:
    case END_FOREIGN:
    case END_UNREACHABLE:
    case END_KILLED:
        return true;
    }
    return true;
}

bool term_is_the_last(const struct election *election)
{
    return election->stop_asked || ends_the_process(election);
}

enum election_end term_final_end(const struct election *election)
{
    /* That there was no process for the command is no reason any more once a stop was asked for. */
    bool stopped =
        election->stop_asked && (!ends_the_process(election) || election->end == END_NOT_STARTED);

    return stopped ? END_STOPPED : election->end;
}

/* A host that cannot make processes, or on which the command fails again and again, or whose term
 * was asked to end, lets the others go first. */
int64_t term_penalty_ms(const struct election *election, struct election_actions *actions)
{
    switch (election->end) {
    case END_NOT_STARTED:
        return election->config.timing.retry_ms;
    case END_FAILED:
    case END_UNHEALTHY:
    case END_ASKED: {
        struct election_note *note = action_tell(actions, NOTE_STAND_BACK);
        note->end = election->end;
        note->delay_ms = election->config.penalty_ms;
        return election->config.penalty_ms;
    }
    case END_NONE:
    case END_COMMAND:
    case END_STOPPED:
    case END_DEADLINE:
    case END_LOST:
    case END_KEEPER:
    case END_CONFIGURATION:
    case END_RUNTIME:
    case END_PAUSED:
    case END_CORDONED:
    case END_BUSY:
    case END_FOREIGN:
    case END_UNREACHABLE:
    case END_KILLED:
        break;
    }
    return 0;
}
