/*
 * What the files of the election share.
 *
 *     election.c     the frame: events in, the state, what follows from what the parts return
 *     link.c         the link: made, made again, placed
 *     session.c      its state, and its one request
 *     observation.c  versions of the record
 *     placement.c    what the witnesses say of the link
 *     follow.c       standing by and asking
 *     term.c         leading and stopping; restart.c: the policy of --restart
 *     release.c      giving back
 *     actions.c      what goes out
 *     invariants.c   what holds after each step
 *
 * The parts never call the frame or each other, but for session, observation, placement, restart
 * and actions, which call nothing: they return what happened. Only the frame changes the state; a
 * part is written by its own file, through its functions.
 */
#ifndef LEADERWRAP_ELECTION_INTERNAL_H
#define LEADERWRAP_ELECTION_INTERNAL_H

#include "leaderwrap/base/clock.h"
#include "leaderwrap/election/election.h"

/* actions.c */

/* Returns the new one at the end of the list, all zero but for its kind. */
struct election_action *action_add(struct election_actions *actions,
                                   enum election_action_kind kind);
struct election_note *action_tell(struct election_actions *actions, enum election_note_kind kind);
/* The same of a request that came to nothing: `reply` is an answer of no use, NULL: there is none
 * that counts. */
void action_tell_failure(const struct election *election, struct election_actions *actions,
                         enum election_note_kind kind, const struct lease_reply *reply);
/* Whether a request may leave now; and one of `kind`, which then is under way: all but what only
 * its sender knows is filled in. */
bool request_can_leave(const struct election *election);
struct election_send *request_send(struct election *election, struct election_actions *actions,
                                   enum session_request kind);

/* link.c */

/* How pressing an answer is in the present state. */
struct session_need link_need(const struct election *election);
void link_open(struct election *election, struct election_actions *actions);
/* Drop the link and make a new one: in `delay_ms`; after the pause that a failure has set; as soon
 * as the last attempt is a moment old. */
void link_reopen(struct election *election, struct election_actions *actions, int64_t delay_ms);
void link_reopen_after_failure(struct election *election, struct election_actions *actions);
void link_reopen_soon(struct election *election, struct election_actions *actions);
/* Asks the witnesses where the master is. */
void link_poll(struct election *election, struct election_actions *actions);
/* Asks them again, if that is due. */
void link_check_poll(struct election *election, struct election_actions *actions);
/* The link goes to the master under `name`. */
void link_place(struct election *election, const struct placement_name *name);

/* follow.c */

enum follow_next {
    FOLLOW_ON,    /* standing by */
    FOLLOW_ASKED, /* a question is on its way */
    /* No more waiting: the lease is somebody's; the key is; nobody answers; we are not let in. */
    FOLLOW_BUSY,
    FOLLOW_FOREIGN,
    FOLLOW_UNREACHABLE,
    FOLLOW_REFUSED_US,
};

/* Whether an answer says that the lease is ours. */
enum follow_grant {
    GRANT_NONE,
    GRANT_OURS,    /* by this request */
    GRANT_UNHEARD, /* by an earlier one whose answer was lost */
};

void follow_init(struct follow *follow, int64_t now_ns);
/* Standing by begins, or goes on; the next question is due at `ask_at_ns`. */
void follow_from(struct election *election, int64_t ask_at_ns);
/* What any answer shows, to whichever request. */
void follow_note_reply(struct election *election, const struct lease_reply *reply);
/* The answer to a question, of which `kind` it was; and one that grants nothing. */
enum follow_grant follow_grant(const struct election *election, const struct lease_reply *reply,
                               enum session_request kind);
enum follow_next follow_reply(struct election *election, struct election_actions *actions,
                              const struct lease_reply *reply);
/* There will be no answer to it: it may have been executed, or may be later. */
void follow_unanswered(struct election *election, struct election_actions *actions);
/* Redis does not answer, for whatever reason. */
void follow_silence(struct election *election);
void follow_push(struct election *election, const struct lease_event *push);
void follow_listening(struct election *election);
enum follow_next follow_advance(struct election *election, struct election_actions *actions);
/* When a --once that still stands by gives up; INT64_MAX for never. */
int64_t follow_until_ns(const struct election *election);
/* The present term's token: no grant with it is accepted any more. */
void follow_use_token(struct election *election);
/* Others go first: no question for `penalty_ms` from now; after END_ASKED none until another leads,
 * at most. */
void follow_stand_back(struct election *election, struct election_actions *actions,
                       int64_t penalty_ms);
/* Nothing of this is needed while we lead. */
void follow_end(struct election *election, struct election_actions *actions);

/* term.c */

enum term_next {
    TERM_ON,
    TERM_BEGUN, /* the command is started for the first time in this term */
    TERM_STOPS, /* the tree was told to end, or nothing is renewed any more */
    TERM_OVER,  /* nothing of the tree is left, nor of a check beside it */
};

void term_init(struct term *term);
/* Notes the grant or claim of `reply` to a request sent at `sent_ns`. */
void term_granted(struct election *election, const struct lease_reply *reply, int64_t sent_ns);
/* Takes up a term that was granted with `token`, in an answer that was lost. */
void term_claim(struct election *election, uint64_t token);
/* Leads under it. */
enum term_next term_begin(struct election *election, struct election_actions *actions);
/* Notes the term of another process. */
void term_inherit(struct term *term, const struct election_legacy *legacy);
enum term_next term_check_deadlines(struct election *election, struct election_actions *actions);
enum term_next term_end(struct election *election, struct election_actions *actions,
                        enum election_end end);
enum term_next term_reply(struct election *election, struct election_actions *actions,
                          const struct lease_reply *reply, int64_t sent_ns);
void term_unanswered(struct election *election, struct election_actions *actions);
void term_not_started(struct election *election);
void term_child_exit(struct election *election, struct election_actions *actions, bool failed);
void term_unhealthy(struct election *election, struct election_actions *actions,
                    int64_t well_until_ns);
enum term_next term_stuck(struct election *election);
enum term_next term_tree_dead(struct election *election, struct election_actions *actions);
/* The check beside the tree counts as a part of it: the run is over when both are dead. */
void term_check_started(struct election *election);
enum term_next term_check_dead(struct election *election, struct election_actions *actions);
enum term_next term_check_stuck(struct election *election);
/* At once, if it was not told so already. */
void term_kill_tree(struct election *election, struct election_actions *actions);
enum term_next term_advance(struct election *election, struct election_actions *actions);
int64_t term_wake_at_ns(const struct election *election);
/* What an operator's wish makes of a term. */
enum election_end term_end_of_wish(const struct lease_wish *wish);
/* Whether the process ends after the term, for which reason, and, if it does not, for how long it
 * lets the others go first, in milliseconds. */
bool term_is_the_last(const struct election *election);
enum election_end term_final_end(const struct election *election);
int64_t term_penalty_ms(const struct election *election, struct election_actions *actions);

/* release.c */

enum release_next {
    RELEASE_ON,
    RELEASE_OVER, /* it is given back, was not ours any more, or is left to its TTL */
};

void release_init(struct release *release);
/* Has `hook` run, where there is one: its end is owed. */
void release_run_hook(struct election *election, struct election_actions *actions,
                      enum election_hook hook);
void release_hook_over(struct release *release, enum election_hook hook);
/* Begins for a lease that no tree runs under; `ran`: one did. */
enum release_next release_begin(struct election *election, struct election_actions *actions,
                                bool ran);
/* The same for a term that another process led. */
void release_inherit(struct election *election);
/* It may hold up the end of the process for a bounded time from now. */
void release_hurry(struct election *election);
enum release_next release_reply(struct election *election, struct election_actions *actions,
                                const struct lease_reply *reply);
/* The answer to a renewal that was sent to write the record again, so that it can be released. */
enum release_next release_restored(struct election *election, struct election_actions *actions,
                                   const struct lease_reply *reply);
void release_unanswered(struct election *election, struct election_actions *actions);
enum release_next release_advance(struct election *election, struct election_actions *actions);
int64_t release_wake_at_ns(const struct election *election);
/* Until when it waits for hooks: now for not at all. */
int64_t release_waits_until_ns(const struct election *election);

/* invariants.c */

void invariants_check(const struct election *election, const struct election_actions *actions);

#endif
