/*
 * The frame of the election: events to the parts whose matter they are, and what follows from what
 * those return. The state is changed here and nowhere else.
 */
#include "leaderwrap/election/election.h"

#include <string.h>

#include "internal.h"

static void finish(struct election *election, struct election_actions *actions,
                   enum election_end end)
{
    election->state = ELECTION_DONE;
    election->end = end;
    session_give_up(&election->session);
    placement_end(&election->placement);
    action_add(actions, ACTION_EXIT)->end = end;
}

static void stand_by(struct election *election, int64_t ask_at_ns)
{
    election->state = ELECTION_FOLLOWING;
    follow_from(election, ask_at_ns);
}

static void after_release(struct election *election, struct election_actions *actions,
                          enum release_next next)
{
    if (next == RELEASE_ON)
        return;
    if (term_is_the_last(election)) {
        finish(election, actions, term_final_end(election));
        return;
    }
    int64_t penalty_ms = term_penalty_ms(election, actions);
    if (penalty_ms > 0)
        follow_stand_back(election, actions, penalty_ms);
    stand_by(election, election->now_ns);
}

static void give_back(struct election *election, struct election_actions *actions, bool ran)
{
    election->state = ELECTION_RELEASING;
    follow_use_token(election);
    enum release_next next = release_begin(election, actions, ran);
    if (term_is_the_last(election))
        release_hurry(election);
    after_release(election, actions, next);
}

static void after_term(struct election *election, struct election_actions *actions,
                       enum term_next next)
{
    switch (next) {
    case TERM_ON:
        break;
    case TERM_BEGUN:
        release_run_hook(election, actions, HOOK_ACQUIRE);
        break;
    case TERM_STOPS:
        election->state = ELECTION_STOPPING;
        break;
    case TERM_OVER:
        if (election->term.began_run)
            release_run_hook(election, actions, HOOK_LOSE);
        give_back(election, actions, true);
        break;
    }
}

static void lead(struct election *election, struct election_actions *actions)
{
    election->state = ELECTION_LEADING;
    follow_use_token(election);
    after_term(election, actions, term_begin(election, actions));
    follow_end(election, actions);
}

/* Takes up a grant whose own send is forgotten or too long ago: the deadline counts from a
 * renewal's. */
static void claim(struct election *election, struct election_actions *actions, uint64_t token)
{
    term_claim(election, token);
    request_send(election, actions, REQUEST_CLAIM);
    election->state = ELECTION_ACQUIRING;
}

/* The lease is ours by a request sent at `sent_ns`: lead, or give it back if nobody wants it now.
 */
static void granted(struct election *election, struct election_actions *actions,
                    const struct lease_reply *reply, int64_t sent_ns)
{
    term_granted(election, reply, sent_ns);
    if (election->stop_asked) {
        election->end = END_STOPPED;
        give_back(election, actions, false);
    } else if (reply->wish.kind != LEASE_WISH_NONE) {
        election->end = term_end_of_wish(&reply->wish);
        give_back(election, actions, false);
    } else if (election->now_ns >= election->term.deadlines.stop_at_ns) {
        claim(election, actions, reply->record.token);
    } else {
        lead(election, actions);
    }
}

static void after_question(struct election *election, struct election_actions *actions,
                           enum follow_next next)
{
    switch (next) {
    case FOLLOW_ON:
        election->state = ELECTION_FOLLOWING;
        break;
    case FOLLOW_ASKED:
        election->state = ELECTION_ACQUIRING;
        break;
    case FOLLOW_BUSY:
        finish(election, actions, END_BUSY);
        break;
    case FOLLOW_FOREIGN:
        finish(election, actions, END_FOREIGN);
        break;
    case FOLLOW_UNREACHABLE:
        finish(election, actions, END_UNREACHABLE);
        break;
    case FOLLOW_REFUSED_US:
        finish(election, actions, END_CONFIGURATION);
        break;
    }
}

static void answered(struct election *election, struct election_actions *actions,
                     const struct lease_reply *reply, enum session_request kind, int64_t sent_ns)
{
    switch (follow_grant(election, reply, kind)) {
    case GRANT_OURS:
        granted(election, actions, reply, sent_ns);
        break;
    case GRANT_UNHEARD:
        claim(election, actions, reply->record.token);
        break;
    case GRANT_NONE:
        after_question(election, actions, follow_reply(election, actions, reply));
        break;
    }
}

/* What was asked may have been executed, and nobody will say. */
static void give_up_request(struct election *election, struct election_actions *actions)
{
    switch (session_give_up(&election->session)) {
    case REQUEST_NONE:
        break;
    case REQUEST_ACQUIRE:
    case REQUEST_CLAIM:
        follow_unanswered(election, actions);
        election->state = ELECTION_FOLLOWING;
        break;
    case REQUEST_RENEW:
        term_unanswered(election, actions);
        break;
    case REQUEST_RELEASE:
        release_unanswered(election, actions);
        break;
    }
    placement_end(&election->placement);
}

static void handle_opened(struct election *election, struct election_actions *actions)
{
    session_opened(&election->session, election->now_ns);
    if (election->placement.needed)
        link_poll(election, actions);
    if (election->state == ELECTION_FOLLOWING)
        follow_from(election, election->now_ns);
}

/* The link is of no use, as `note` tells; the next one is made after a pause. */
static void give_up_link(struct election *election, struct election_actions *actions,
                         enum election_note_kind note)
{
    give_up_request(election, actions);
    follow_silence(election);
    int64_t delay_ms =
        session_backoff_ms(&election->session, &election->config.timing, link_need(election).urgent,
                           &election->jitter, election->now_ns);
    action_tell(actions, note)->delay_ms = delay_ms;
    link_reopen(election, actions, delay_ms);
}

static void handle_closed(struct election *election, struct election_actions *actions,
                          enum lease_failure failure)
{
    if (failure == LEASE_FAILURE_CONFIGURATION && !election->session.answered) {
        finish(election, actions, END_CONFIGURATION);
        return;
    }
    give_up_link(election, actions, NOTE_RETRY);
}

/* A grant and a renewal say whose the record is now and carry the request's own nonce. One that
 * does not was meant for somebody else: a proxy has mixed up its clients, or their order. */
static bool answers_another(const struct election *election, const struct lease_reply *reply)
{
    const struct lease_record *record = &reply->record;

    if (reply->verdict != LEASE_GRANTED && reply->verdict != LEASE_RENEWED)
        return false;
    return strcmp(record->id, election->config.id) != 0 ||
           strcmp(record->version, election->session.pending.nonce) != 0 ||
           (reply->verdict == LEASE_RENEWED && record->token != election->term.token);
}

/* The answer to the request under way, which counts. */
static void take_reply(struct election *election, struct election_actions *actions,
                       const struct lease_reply *reply)
{
    int64_t sent_ns = election->session.pending.sent_ns;
    enum session_request kind = session_take_reply(&election->session, reply, election->now_ns);

    follow_note_reply(election, reply);
    switch (kind) {
    case REQUEST_NONE:
        break;
    case REQUEST_ACQUIRE:
    case REQUEST_CLAIM:
        answered(election, actions, reply, kind, sent_ns);
        break;
    case REQUEST_RENEW:
        if (election->state == ELECTION_RELEASING && election->release.restoring)
            after_release(election, actions, release_restored(election, actions, reply));
        else
            after_term(election, actions, term_reply(election, actions, reply, sent_ns));
        break;
    case REQUEST_RELEASE:
        after_release(election, actions, release_reply(election, actions, reply));
        break;
    }
    bool elsewhere =
        reply->failure == LEASE_FAILURE_ROLE || reply->failure == LEASE_FAILURE_CONFIGURATION;
    if (reply->verdict == LEASE_FAILED && elsewhere && election->state != ELECTION_DONE)
        link_reopen_after_failure(election, actions);
}

static void handle_reply(struct election *election, struct election_actions *actions,
                         const struct lease_reply *reply)
{
    struct placement *placement = &election->placement;

    if (!session_awaits(&election->session, reply) || placement->holds)
        return;
    if (answers_another(election, reply)) {
        /* What became of our own request is unknown, and this connection is good for nothing. */
        give_up_request(election, actions);
        session_pause(&election->session, &election->config.timing, link_need(election).urgent,
                      LEASE_FAILURE_TRANSIENT, &election->jitter, election->now_ns);
        link_reopen_after_failure(election, actions);
    } else if (placement_matters(placement, reply)) {
        placement_hold(placement, reply);
        link_poll(election, actions);
    } else {
        take_reply(election, actions, reply);
    }
}

static void confirmed(struct election *election, struct election_actions *actions,
                      const struct placement_name *name)
{
    struct placement *placement = &election->placement;
    bool moved = name->placement != placement->here;

    if (placement->holds && !moved) {
        struct lease_reply reply;

        placement_let_go(placement, &reply);
        take_reply(election, actions, &reply);
        return;
    }
    /* The answer was given under a placement that was left since. */
    if (placement->holds)
        give_up_request(election, actions);
    link_place(election, name);
}

static void handle_vote(struct election *election, struct election_actions *actions,
                        const struct lease_vote *vote)
{
    struct placement_name name;

    switch (placement_vote(&election->placement, vote, &name)) {
    case PLACEMENT_UNDECIDED:
        break;
    case PLACEMENT_HERE:
        confirmed(election, actions, &name);
        break;
    case PLACEMENT_ELSEWHERE:
        /* It is the master no more, or is not yet one for the most. */
        give_up_link(election, actions, NOTE_ELSEWHERE);
        break;
    }
}

/* A request or a connection that takes too long is given up; its outcome is unknown. On a link that
 * has time left the next one is sent behind it: they are executed in this order, and what is still
 * answered to the first is not heard any more. */
static void check_session(struct election *election, struct election_actions *actions)
{
    struct session_need need = link_need(election);

    switch (session_check(&election->session, &election->config.timing, &need, election->now_ns)) {
    case SESSION_NOTHING:
        break;
    case SESSION_UNANSWERED:
        give_up_request(election, actions);
        break;
    case SESSION_DEAD:
        give_up_request(election, actions);
        link_reopen_soon(election, actions);
        break;
    case SESSION_OPEN_LATE:
        action_tell(actions, NOTE_RETRY);
        link_reopen_soon(election, actions);
        break;
    case SESSION_OPEN_DUE:
        link_open(election, actions);
        break;
    }
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
        action_add(actions, ACTION_KILL_HOOKS);
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
        after_term(election, actions, term_end(election, actions, END_STOPPED));
        break;
    case ELECTION_STOPPING:
        if (at_once)
            term_kill_tree(election, actions);
        break;
    case ELECTION_RELEASING:
        release_hurry(election);
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
        after_term(election, actions, term_end(election, actions, END_KEEPER));
        break;
    case ELECTION_RELEASING:
        if (term_is_the_last(election))
            break;
        election->end = END_KEEPER;
        release_hurry(election);
        break;
    case ELECTION_DONE:
        break;
    }
}

static void handle_run(struct election *election, struct election_actions *actions,
                       const struct election_event *event)
{
    if (event->run != election->term.run)
        return;
    switch (event->kind) {
    case EVENT_NOT_STARTED:
        term_not_started(election);
        break;
    case EVENT_CHILD_EXIT:
        term_child_exit(election, actions, event->failed);
        break;
    case EVENT_TREE_DEAD:
        after_term(election, actions, term_tree_dead(election, actions));
        break;
    case EVENT_TREE_STUCK:
        after_term(election, actions, term_stuck(election));
        break;
    case EVENT_UNHEALTHY:
        term_unhealthy(election, actions, event->well_until_ns);
        break;
    case EVENT_CHECK_STARTED:
        term_check_started(election);
        break;
    case EVENT_CHECK_DEAD:
        after_term(election, actions, term_check_dead(election, actions));
        break;
    case EVENT_CHECK_STUCK:
        after_term(election, actions, term_check_stuck(election));
        break;
    default: /* not about a run */
        break;
    }
}

static void handle_event(struct election *election, struct election_actions *actions,
                         const struct election_event *event)
{
    switch (event->kind) {
    case EVENT_TICK:
        break;
    case EVENT_OPENED:
        handle_opened(election, actions);
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
    case EVENT_VOTE:
        handle_vote(election, actions, event->vote);
        break;
    case EVENT_LISTENING:
        follow_listening(election);
        break;
    case EVENT_NOT_STARTED:
    case EVENT_CHILD_EXIT:
    case EVENT_TREE_DEAD:
    case EVENT_TREE_STUCK:
    case EVENT_UNHEALTHY:
    case EVENT_CHECK_STARTED:
    case EVENT_CHECK_DEAD:
    case EVENT_CHECK_STUCK:
        handle_run(election, actions, event);
        break;
    case EVENT_KEEPER_LOST:
        handle_keeper_lost(election, actions);
        break;
    case EVENT_HOOK_OVER:
        release_hook_over(&election->release, event->hook);
        break;
    case EVENT_STOP:
        handle_stop(election, actions);
        break;
    }
}

/* What is due now. */
static void advance(struct election *election, struct election_actions *actions)
{
    if (election->state != ELECTION_DONE) {
        check_session(election, actions);
        link_check_poll(election, actions);
    }
    switch (election->state) {
    case ELECTION_FOLLOWING:
        if (election->stop_asked)
            finish(election, actions, END_STOPPED);
        else
            after_question(election, actions, follow_advance(election, actions));
        break;
    case ELECTION_LEADING:
        after_term(election, actions, term_advance(election, actions));
        break;
    case ELECTION_RELEASING:
        after_release(election, actions, release_advance(election, actions));
        break;
    case ELECTION_ACQUIRING:
    case ELECTION_STOPPING:
    case ELECTION_DONE:
        break;
    }
}

/* A person is told of a change when all of it has happened. */
static void date_notes(const struct election *election, struct election_actions *actions)
{
    for (size_t i = 0; i < actions->count; i++)
        if (actions->list[i].kind == ACTION_TELL)
            actions->list[i].note.state = election->state;
}

void election_init(struct election *election, const struct election_config *config, int64_t now_ns)
{
    memset(election, 0, sizeof *election);
    election->config = *config;
    election->state = ELECTION_FOLLOWING;
    election->now_ns = now_ns;
    election->jitter.state = config->seed;
    session_init(&election->session, now_ns);
    placement_init(&election->placement, config->witnesses);
    observation_init(&election->observation);
    follow_init(&election->follow, now_ns);
    term_init(&election->term);
    release_init(&election->release);
}

void election_inherit(struct election *election, const struct election_config *config,
                      const struct election_legacy *legacy, int64_t now_ns)
{
    election_init(election, config, now_ns);
    election->state = ELECTION_RELEASING;
    election->end = END_KILLED;
    term_inherit(&election->term, legacy);
    release_inherit(election);
}

void election_step(struct election *election, const struct election_event *event,
                   struct election_actions *actions)
{
    actions->count = 0;
    election->now_ns = max_ns(election->now_ns, event->now_ns);
    if (election->state == ELECTION_DONE) {
        if (event->kind == EVENT_STOP)
            handle_stop(election, actions);
        return;
    }
    after_term(election, actions, term_check_deadlines(election, actions));
    handle_event(election, actions, event);
    advance(election, actions);
    date_notes(election, actions);
    invariants_check(election, actions);
}

int64_t election_wake_at_ns(const struct election *election)
{
    struct session_need need = link_need(election);
    int64_t wake_ns = INT64_MAX;
    int64_t due_ns = INT64_MAX; /* the next request */

    switch (election->state) {
    case ELECTION_FOLLOWING:
        wake_ns = follow_until_ns(election);
        due_ns = max_ns(election->follow.ask_at_ns, election->follow.stand_back_until_ns);
        break;
    case ELECTION_ACQUIRING:
        break;
    case ELECTION_LEADING:
        wake_ns = term_wake_at_ns(election);
        due_ns = election->term.renew_at_ns;
        break;
    case ELECTION_STOPPING:
        wake_ns = term_wake_at_ns(election);
        break;
    case ELECTION_RELEASING:
        wake_ns = release_wake_at_ns(election);
        due_ns = release_waits_until_ns(election);
        break;
    case ELECTION_DONE:
        return INT64_MAX;
    }
    /* Nothing leaves on a link that is placed nowhere. */
    if (!placement_is_settled(&election->placement))
        due_ns = INT64_MAX;
    wake_ns = min_ns(wake_ns, placement_wake_at_ns(&election->placement));
    return min_ns(wake_ns,
                  session_wake_at_ns(&election->session, &election->config.timing, &need, due_ns));
}
