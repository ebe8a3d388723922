/*
 * A candidate to be tested by hand: what happens to it, and what it does about it.
 */
#ifndef LEADERWRAP_TEST_CANDIDATE_H
#define LEADERWRAP_TEST_CANDIDATE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "leaderwrap/base/clock.h"
#include "leaderwrap/election/election.h"

#define ME    "me#0000000000000001"
#define OTHER "other#0000000000000002"
#define IDENT "run/repl"

/* A candidate with a TTL of 15 s: renew 5 s, time-out 2.5 s, stop 11.348 s, kill 14.348 s. */
struct candidate {
    struct election election;
    struct election_actions actions;
    int64_t now_ms;
};

static inline void step(struct candidate *candidate, struct election_event event)
{
    event.now_ns = candidate->now_ms * NS_PER_MS;
    election_step(&candidate->election, &event, &candidate->actions);
}

static inline void happens(struct candidate *candidate, enum election_event_kind kind)
{
    step(candidate, (struct election_event){.kind = kind, .run = candidate->election.term.run});
}

static inline void at(struct candidate *candidate, int64_t now_ms)
{
    candidate->now_ms = now_ms;
    happens(candidate, EVENT_TICK);
}

static inline const struct election_action *find(const struct candidate *candidate,
                                                 enum election_action_kind kind)
{
    for (size_t i = 0; i < candidate->actions.count; i++)
        if (candidate->actions.list[i].kind == kind)
            return &candidate->actions.list[i];
    return NULL;
}

static inline const struct election_action *expect(const struct candidate *candidate,
                                                   enum election_action_kind kind)
{
    const struct election_action *action = find(candidate, kind);
    if (action == NULL) {
        fail_msg("action %d was expected, %zu others came", kind, candidate->actions.count);
        abort(); /* fail_msg does not return, which compilers cannot know */
    }
    return action;
}

static inline const struct election_send *find_send(const struct candidate *candidate,
                                                    enum lease_request_kind kind)
{
    const struct election_action *action = find(candidate, ACTION_SEND);
    return action != NULL && action->send.request.kind == kind ? &action->send : NULL;
}

static inline const struct lease_request *find_request(const struct candidate *candidate,
                                                       enum lease_request_kind kind)
{
    const struct election_send *send = find_send(candidate, kind);
    return send != NULL ? &send->request : NULL;
}

static inline const struct election_send *expect_send(const struct candidate *candidate,
                                                      enum lease_request_kind kind)
{
    const struct election_send *send = find_send(candidate, kind);
    if (send == NULL) {
        fail_msg("request %d was expected, %zu other actions came", kind, candidate->actions.count);
        abort();
    }
    return send;
}

static inline const struct lease_request *expect_request(const struct candidate *candidate,
                                                         enum lease_request_kind kind)
{
    return &expect_send(candidate, kind)->request;
}

static inline void expect_none_request(const struct candidate *candidate,
                                       enum lease_request_kind kind)
{
    if (find_send(candidate, kind) != NULL)
        fail_msg("request %d came", kind);
}

/* A question that brings along `version`, seen unchanged for `observed_ms`. */
static inline void expect_observed(const struct candidate *candidate, const char *version,
                                   int64_t observed_ms)
{
    const struct lease_acquire *acquire = &expect_request(candidate, LEASE_ACQUIRE)->acquire;
    assert_string_equal(acquire->observed_version, version);
    assert_int_equal(acquire->observed_ms, observed_ms);
}

static inline void expect_none(const struct candidate *candidate, enum election_action_kind kind)
{
    if (find(candidate, kind) != NULL)
        fail_msg("action %d came", kind);
}

static inline bool was_told(const struct candidate *candidate, enum election_note_kind note)
{
    for (size_t i = 0; i < candidate->actions.count; i++)
        if (candidate->actions.list[i].kind == ACTION_TELL &&
            candidate->actions.list[i].note.kind == note)
            return true;
    return false;
}

static inline const struct election_note *expect_note(const struct candidate *candidate,
                                                      enum election_note_kind note)
{
    for (size_t i = 0; i < candidate->actions.count; i++)
        if (candidate->actions.list[i].kind == ACTION_TELL &&
            candidate->actions.list[i].note.kind == note)
            return &candidate->actions.list[i].note;
    fail_msg("note %d was expected", note);
    abort();
}

static inline struct lease_reply answer(const struct candidate *candidate,
                                        enum lease_verdict verdict, enum lease_state state,
                                        const char *id, uint64_t token, const char *version)
{
    struct lease_reply reply = {.request = candidate->election.session.last_request,
                                .verdict = verdict,
                                .record = {.state = state, .token = token, .ttl_ms = 15000}};
    snprintf(reply.record.id, sizeof reply.record.id, "%s", id);
    snprintf(reply.record.incarnation, sizeof reply.record.incarnation, "%s", IDENT);
    snprintf(reply.record.version, sizeof reply.record.version, "%s", version);
    return reply;
}

static inline void replies(struct candidate *candidate, struct lease_reply reply)
{
    step(candidate, (struct election_event){.kind = EVENT_REPLY, .reply = &reply});
}

static inline void is_refused(struct candidate *candidate, const char *version)
{
    replies(candidate, answer(candidate, LEASE_REFUSED, LEASE_HELD, OTHER, 7, version));
}

static inline void is_granted(struct candidate *candidate, uint64_t token)
{
    replies(candidate, answer(candidate, LEASE_GRANTED, LEASE_HELD, ME, token,
                              candidate->election.session.pending.nonce));
}

static inline void is_renewed(struct candidate *candidate)
{
    replies(candidate,
            answer(candidate, LEASE_RENEWED, LEASE_HELD, ME, candidate->election.term.token,
                   candidate->election.session.pending.nonce));
}

static inline void fails(struct candidate *candidate, enum lease_failure failure)
{
    struct lease_reply reply = answer(candidate, LEASE_FAILED, LEASE_ABSENT, "", 0, "");
    reply.failure = failure;
    replies(candidate, reply);
}

static inline void is_pushed_of(struct candidate *candidate, enum lease_state state,
                                const char *version, uint64_t token, int64_t listeners)
{
    struct lease_event push = {
        .state = state, .token = token, .ttl_ms = 15000, .listeners = listeners};
    snprintf(push.incarnation, sizeof push.incarnation, "%s", IDENT);
    snprintf(push.version, sizeof push.version, "%s", version);
    step(candidate, (struct election_event){.kind = EVENT_PUSH, .push = &push});
}

static inline void is_pushed(struct candidate *candidate, enum lease_state state,
                             const char *version, int64_t listeners)
{
    is_pushed_of(candidate, state, version, 7, listeners);
}

/* One whose link has just come up. */
static inline struct candidate opened_timed(struct election_config config,
                                            struct timing_request request)
{
    struct candidate candidate = {.now_ms = 1000000};
    char error[256];

    assert_int_equal(timing_derive(&request, &config.timing, error, sizeof error), 0);
    snprintf(config.id, sizeof config.id, "%s", ME);
    config.seed = 42;
    election_init(&candidate.election, &config, candidate.now_ms * NS_PER_MS);
    happens(&candidate, EVENT_TICK);
    expect(&candidate, ACTION_OPEN);
    happens(&candidate, EVENT_OPENED);
    return candidate;
}

static inline struct candidate fresh_timed(struct election_config config,
                                           struct timing_request request)
{
    struct candidate candidate = opened_timed(config, request);

    expect_request(&candidate, LEASE_ACQUIRE);
    assert_int_equal(candidate.election.state, ELECTION_ACQUIRING);
    return candidate;
}

static inline struct candidate fresh_with(struct election_config config)
{
    return fresh_timed(config, timing_request_of(15000));
}

static inline struct candidate fresh(void)
{
    return fresh_with((struct election_config){0});
}

static inline struct candidate leader_with(struct election_config config)
{
    struct candidate candidate = fresh_with(config);
    candidate.now_ms += 10;
    is_granted(&candidate, 100);
    assert_int_equal(candidate.election.state, ELECTION_LEADING);
    return candidate;
}

static inline struct candidate leader(void)
{
    return leader_with((struct election_config){0});
}

static inline int64_t wake_ms(const struct candidate *candidate)
{
    return election_wake_at_ns(&candidate->election) / NS_PER_MS;
}

/* The command ends, and nothing of it is left. */
static inline void ends(struct candidate *candidate, bool failed)
{
    step(candidate, (struct election_event){.kind = EVENT_CHILD_EXIT,
                                            .run = candidate->election.term.run,
                                            .failed = failed});
    happens(candidate, EVENT_TREE_DEAD);
}

/* Renews as often as is due until the tree is started; returns that action. */
static inline const struct election_action *wait_for_start(struct candidate *candidate)
{
    for (;;) {
        at(candidate, wake_ms(candidate));
        if (find(candidate, ACTION_START) != NULL)
            return find(candidate, ACTION_START);
        expect_request(candidate, LEASE_RENEW);
        is_renewed(candidate);
    }
}

/* What holds of a leader whose tree is not there, because it pauses or has not begun. */
static inline void check_lost_without_a_tree(struct candidate candidate)
{
    at(&candidate, wake_ms(&candidate));
    expect_request(&candidate, LEASE_RENEW);
    replies(&candidate, answer(&candidate, LEASE_LOST, LEASE_HELD, OTHER, 101, "v9"));
    expect_none(&candidate, ACTION_KILL_TREE);
    expect_none(&candidate, ACTION_START);
    expect_request(&candidate, LEASE_RELEASE);
    replies(&candidate, answer(&candidate, LEASE_NOT_HELD, LEASE_HELD, OTHER, 101, "v9"));
    assert_int_equal(candidate.election.state, ELECTION_ACQUIRING);
}

static inline void check_deadline_without_a_tree(struct candidate candidate)
{
    happens(&candidate, EVENT_CLOSED);
    /* The machine sleeps beyond all of it. */
    at(&candidate, candidate.now_ms + 60000);
    expect_none(&candidate, ACTION_START);
    assert_int_equal(candidate.election.end, END_DEADLINE);
    assert_int_equal(candidate.election.state, ELECTION_RELEASING);
}

static inline void check_keeper_lost_without_a_tree(struct candidate candidate)
{
    happens(&candidate, EVENT_KEEPER_LOST);
    expect_none_request(&candidate, LEASE_RELEASE);
    happens(&candidate, EVENT_TREE_DEAD);
    assert_int_equal(expect_send(&candidate, LEASE_RELEASE)->end, END_KEEPER);
}

/* Refuses with `version` until just before `until_ms`. */
static inline void wait_until(struct candidate *candidate, const char *version, int64_t until_ms)
{
    while (candidate->now_ms < until_ms) {
        int64_t next_ms = wake_ms(candidate) + 1;
        at(candidate, next_ms < until_ms ? next_ms : until_ms);
        if (find_request(candidate, LEASE_ACQUIRE) != NULL) {
            assert_true(expect_request(candidate, LEASE_ACQUIRE)->acquire.observed_ms < 15000);
            is_refused(candidate, version);
        }
    }
}

#endif
