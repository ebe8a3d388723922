/* What the files of the election share: see each file's head for its part. */
#ifndef LEADERWRAP_ELECTION_INTERNAL_H
#define LEADERWRAP_ELECTION_INTERNAL_H

#include "leaderwrap/base/clock.h"
#include "leaderwrap/election/election.h"

/* election.c: actions, random numbers, requests */
struct election_action *act(struct election_actions *actions, enum election_action_kind kind);
void tell(struct election_actions *actions, enum election_note note);
uint64_t random_below(struct election *election, uint64_t limit);
struct election_action *send_request(struct election *election, struct election_actions *actions,
                                     enum election_request kind);
/* Whether a request may leave now. */
bool can_send(const struct election *election);
/* Drops the connection and makes a new one at `delay_ms` from now. */
void reopen(struct election *election, struct election_actions *actions, int64_t delay_ms);
/* No request leaves for a while after this failure; where nothing is urgent the while grows, and a
 * person has time to mend the configuration. */
void pause_requests(struct election *election, enum lease_failure failure);
void finish(struct election *election, struct election_actions *actions, enum election_end end);

/* follow.c: watching the record and asking for the lease */
void follow(struct election *election, int64_t ask_at_ns);
void follow_reply(struct election *election, struct election_actions *actions,
                  const struct lease_reply *reply, enum election_request kind, int64_t sent_ns);
void follow_push(struct election *election, const struct lease_event *push);
void follow_listening(struct election *election);
/* A question got no verdict: it may have been executed, or may be later. */
void follow_doubt(struct election *election);
/* Redis does not answer, for whatever reason. */
void follow_silence(struct election *election);
void follow_advance(struct election *election, struct election_actions *actions);
/* When a --once that still stands by gives up; INT64_MAX for never. */
int64_t follow_until_ns(const struct election *election);

/* term.c: leading, stopping, releasing */
/* For a lease whose deadlines and version the election has noted. */
void term_begin(struct election *election, struct election_actions *actions, uint64_t token,
                int64_t sent_ns);
void term_check_deadlines(struct election *election, struct election_actions *actions);
void term_end(struct election *election, struct election_actions *actions, enum election_end end);
void term_reply(struct election *election, struct election_actions *actions,
                const struct lease_reply *reply, int64_t sent_ns);
void term_not_started(struct election *election);
void term_child_exit(struct election *election, struct election_actions *actions, bool failed);
void term_unhealthy(struct election *election, struct election_actions *actions,
                    int64_t well_until_ns);
void term_stuck(struct election *election);
void term_tree_dead(struct election *election, struct election_actions *actions);
void term_stop(struct election *election, struct election_actions *actions, bool at_once);
void term_advance(struct election *election, struct election_actions *actions);
/* Enters RELEASING for a lease that no tree runs under. */
void release_begin(struct election *election, struct election_actions *actions);
/* The keeper is gone and the process must end: the release is tried for a bounded time. */
void release_without_keeper(struct election *election);
void release_reply(struct election *election, struct election_actions *actions,
                   const struct lease_reply *reply);
/* The same for a renewal that was sent to write the record again, so that it can be released. */
void restore_reply(struct election *election, struct election_actions *actions,
                   enum lease_verdict verdict);
void release_advance(struct election *election, struct election_actions *actions);
/* Until when it waits for hooks: now for not at all. */
int64_t release_waits_until_ns(const struct election *election);

/* invariants.c */
void check_invariants(const struct election *election, const struct election_actions *actions);

/* timing helper */
static inline int64_t ms_to_ns(int64_t ms)
{
    return ms * INT64_C(1000000);
}

#endif
