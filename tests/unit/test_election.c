/* The election: every transition and boundary, with time made by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "candidate.h"

static void a_grant_starts_the_tree_with_deadlines_from_the_send(void **state)
{
    (void)state;
    struct candidate candidate = fresh();
    candidate.now_ms += 300;
    is_granted(&candidate, 100);
    const struct election_run *start = &expect(&candidate, ACTION_START)->run;
    assert_int_equal(start->number, 1);
    assert_int_equal(start->token, 100);
    assert_int_equal(start->deadlines.stop_at_ns, (1000000 + 11348) * NS_PER_MS);
    assert_int_equal(start->deadlines.kill_at_ns, (1000000 + 14348) * NS_PER_MS);
    assert_true(was_told(&candidate, NOTE_ELECTED));
    assert_int_equal(wake_ms(&candidate), 1005000);
}

/* A proxy that mixes up its clients: a good answer, but to somebody else's question. */
static void a_grant_of_somebody_else_starts_nothing(void **state)
{
    const struct {
        const char *id;
        const char *version;
    } others[] = {{OTHER, NULL}, {ME, "0123456789abcdef"}, {OTHER, "0123456789abcdef"}};

    (void)state;
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        struct candidate candidate = fresh();
        const char *version = others[i].version;
        replies(&candidate,
                answer(&candidate, LEASE_GRANTED, LEASE_HELD, others[i].id, 100,
                       version != NULL ? version : candidate.election.session.pending.nonce));
        expect_none(&candidate, ACTION_START);
        assert_true(was_told(&candidate, NOTE_ASK_FAILED));
        assert_int_equal(candidate.election.state, ELECTION_FOLLOWING);
        at(&candidate, wake_ms(&candidate));
        expect(&candidate, ACTION_OPEN);
    }
}

static void a_renewal_of_somebody_else_extends_nothing(void **state)
{
    (void)state;
    struct candidate candidate = leader();
    candidate.now_ms += 5000;
    happens(&candidate, EVENT_TICK);
    expect_request(&candidate, LEASE_RENEW);
    replies(&candidate, answer(&candidate, LEASE_RENEWED, LEASE_HELD, ME, 101,
                               candidate.election.session.pending.nonce));
    expect_none(&candidate, ACTION_EXTEND);
    assert_true(was_told(&candidate, NOTE_RENEWAL_FAILED));
    assert_int_equal(candidate.election.state, ELECTION_LEADING);
    at(&candidate, wake_ms(&candidate));
    expect(&candidate, ACTION_OPEN);
}

static void a_refusal_makes_it_watch_and_wait(void **state)
{
    (void)state;
    struct candidate candidate = fresh();
    is_refused(&candidate, "v1");
    expect(&candidate, ACTION_WATCH);
    assert_true(was_told(&candidate, NOTE_WAITING));
    assert_int_equal(candidate.election.state, ELECTION_FOLLOWING);
    assert_in_range(wake_ms(&candidate), 1000000 + 4500, 1000000 + 5500);
}

static void follower_asks_every_retry_without_grounds(void **state)
{
    (void)state;
    struct candidate candidate = fresh();
    is_refused(&candidate, "v1");
    at(&candidate, wake_ms(&candidate) + 1);
    assert_in_range(expect_request(&candidate, LEASE_ACQUIRE)->acquire.observed_ms, 4500, 5501);
}

static void observation_ripens_exactly_at_the_ttl(void **state)
{
    (void)state;
    struct candidate candidate = fresh();
    assert_string_equal(find_request(&candidate, LEASE_ACQUIRE)->acquire.observed_version, "");
    candidate.now_ms += 5; /* counted from the answer, not from the question */
    is_refused(&candidate, "v1");
    wait_until(&candidate, "v1", 1000005 + 14999);
    assert_int_equal(wake_ms(&candidate), 1000005 + 15000);
    at(&candidate, 1000005 + 15000);
    expect_observed(&candidate, "v1", 15000);
    const struct lease_request *acquire = expect_request(&candidate, LEASE_ACQUIRE);
    assert_string_equal(acquire->acquire.observed_incarnation, IDENT);
    assert_int_equal(acquire->acquire.floor_token, 7);
}

static void another_version_starts_the_observation_anew(void **state)
{
    (void)state;
    struct candidate candidate = fresh();
    is_refused(&candidate, "v1");
    wait_until(&candidate, "v1", 1000000 + 14000);
    at(&candidate, 1000000 + 15000);
    expect_observed(&candidate, "v1", 15000);
    is_refused(&candidate, "v2");
    wait_until(&candidate, "v2", 1000000 + 15000 + 14999);
    at(&candidate, 1000000 + 15000 + 15000);
    expect_observed(&candidate, "v2", 15000);
}

static void the_same_version_again_does_not(void **state)
{
    (void)state;
    struct candidate candidate = fresh();
    is_refused(&candidate, "v1");
    wait_until(&candidate, "v1", 1000000 + 10000);
    is_pushed(&candidate, LEASE_HELD, "v1", -1);
    wait_until(&candidate, "v1", 1000000 + 14999);
    at(&candidate, 1000000 + 15000);
    expect_observed(&candidate, "v1", 15000);
}

static void a_longer_ttl_on_record_is_waited_out(void **state)
{
    (void)state;
    struct candidate candidate = fresh();
    struct lease_reply reply = answer(&candidate, LEASE_REFUSED, LEASE_VACANT, "", 7, "v1");
    reply.record.ttl_ms = 20000;
    replies(&candidate, reply);
    while (candidate.now_ms < 1000000 + 19999) {
        int64_t next_ms = wake_ms(&candidate) + 1;
        at(&candidate, next_ms < 1000000 + 19999 ? next_ms : 1000000 + 19999);
        if (find_request(&candidate, LEASE_ACQUIRE) != NULL) {
            assert_false(candidate.election.follow.asked_with_observation);
            reply.request = candidate.election.session.last_request;
            replies(&candidate, reply);
        }
    }
    at(&candidate, 1000000 + 20000);
    expect_observed(&candidate, "v1", 20000);
    assert_true(candidate.election.follow.asked_with_observation);
}

static void a_free_record_is_never_ripe(void **state)
{
    (void)state;
    struct candidate candidate = fresh();
    struct lease_reply reply = answer(&candidate, LEASE_REFUSED, LEASE_FREE, OTHER, 7, "v1");
    snprintf(reply.record.foreign, sizeof reply.record.foreign, "somebody");
    replies(&candidate, reply);
    for (int64_t now_ms = 1000000; now_ms < 1000000 + 40000; now_ms += 500) {
        at(&candidate, now_ms);
        if (find_request(&candidate, LEASE_ACQUIRE) != NULL) {
            assert_false(candidate.election.follow.asked_with_observation);
            reply.request = candidate.election.session.last_request;
            replies(&candidate, reply);
        }
    }
}

/* ---- pushes are hints ---- */

static void a_pushed_release_is_answered_at_once(void **state)
{
    (void)state;
    struct candidate candidate = fresh();
    is_refused(&candidate, "v1");
    is_pushed(&candidate, LEASE_FREE, "v2", 1);
    if (find_request(&candidate, LEASE_ACQUIRE) == NULL)
        at(&candidate, candidate.now_ms + 1);
    expect_request(&candidate, LEASE_ACQUIRE);
}

static void a_release_pushed_while_asking_is_not_forgotten(void **state)
{
    (void)state;
    struct candidate candidate = fresh();
    is_pushed(&candidate, LEASE_FREE, "v2", 1);
    is_refused(&candidate, "v1");
    if (find_request(&candidate, LEASE_ACQUIRE) == NULL)
        at(&candidate, candidate.now_ms);
    expect_request(&candidate, LEASE_ACQUIRE);
}

/* What a push says becomes an observation with the reply that confirms it, and counts from when it
 * was heard. */
static void a_version_that_was_heard_counts_once_it_is_confirmed(void **state)
{
    (void)state;
    struct candidate candidate = fresh();
    is_refused(&candidate, "v1");
    candidate.now_ms += 3000;
    is_pushed(&candidate, LEASE_HELD, "v2", -1);
    assert_string_equal(candidate.election.observation.seen.version, "v1");
    at(&candidate, wake_ms(&candidate) + 1);
    expect_observed(&candidate, "v1", candidate.now_ms - 1000000);
    is_refused(&candidate, "v2");
    wait_until(&candidate, "v2", 1000000 + 3000 + 14999);
    at(&candidate, 1000000 + 3000 + 15000);
    expect_observed(&candidate, "v2", 15000);
}

static void a_push_neither_begins_nor_ends_an_observation(void **state)
{
    (void)state;
    struct candidate candidate = fresh();
    is_refused(&candidate, "v1");
    candidate.now_ms += 1000;
    is_pushed(&candidate, LEASE_HELD, "forged", -1);
    is_pushed(&candidate, LEASE_VACANT, "forged too", -1);
    wait_until(&candidate, "v1", 1000000 + 14999);
    at(&candidate, 1000000 + 15000);
    expect_observed(&candidate, "v1", 15000);
}

static void a_push_changes_neither_ttl_nor_token(void **state)
{
    (void)state;
    struct candidate candidate = fresh();
    struct lease_reply reply = answer(&candidate, LEASE_REFUSED, LEASE_HELD, OTHER, 7, "v1");
    struct lease_event push = {.state = LEASE_HELD, .token = 9000000000000000, .ttl_ms = 100};
    reply.record.ttl_ms = 30000;
    replies(&candidate, reply);
    snprintf(push.incarnation, sizeof push.incarnation, "%s", IDENT);
    snprintf(push.version, sizeof push.version, "v1");
    step(&candidate, (struct election_event){.kind = EVENT_PUSH, .push = &push});
    at(&candidate, 1000000 + 15001);
    assert_int_equal(expect_request(&candidate, LEASE_ACQUIRE)->acquire.floor_token, 7);
    assert_false(candidate.election.follow.asked_with_observation);
}

static void a_new_term_is_asked_about_within_one_renewal(void **state)
{
    (void)state;
    for (uint64_t token = 7; token <= 8; token++) {
        int64_t latest_ms = 0;
        for (uint64_t seed = 0; seed < 50; seed++) {
            struct candidate candidate = fresh();
            struct lease_event push = {.state = LEASE_HELD, .token = token, .ttl_ms = 15000};
            candidate.election.jitter.state = seed;
            is_refused(&candidate, "v1");
            at(&candidate, candidate.now_ms + 100);
            snprintf(push.incarnation, sizeof push.incarnation, "%s", IDENT);
            snprintf(push.version, sizeof push.version, "v2");
            step(&candidate, (struct election_event){.kind = EVENT_PUSH, .push = &push});
            int64_t wait_ms = wake_ms(&candidate) - candidate.now_ms;
            if (candidate.election.state == ELECTION_FOLLOWING && wait_ms > latest_ms)
                latest_ms = wait_ms;
        }
        /* A mere renewal spares the question. */
        assert_int_equal(latest_ms > 5000, token == 7);
    }
}

/* Renewals that are heard spare questions, but not for ever: nobody can say who sent them. */
static void pushes_postpone_a_question_by_no_more_than_a_ttl(void **state)
{
    static const enum lease_state states[] = {LEASE_HELD, LEASE_VACANT, LEASE_CLOSED, LEASE_FREE};
    (void)state;
    for (size_t i = 0; i < sizeof states / sizeof states[0]; i++) {
        struct candidate candidate = fresh();
        struct lease_reply reply = answer(&candidate, LEASE_REFUSED, states[i], OTHER, 7, "v1");
        int64_t answered_ms = candidate.now_ms;
        int questions = 0;
        snprintf(reply.record.foreign, sizeof reply.record.foreign, "somebody");
        reply.record.hold_left_ms = states[i] == LEASE_CLOSED ? 600000 : 0;
        replies(&candidate, reply);
        while (candidate.now_ms < 1000000 + 60000) {
            char version[LEASE_NONCE_SIZE];
            snprintf(version, sizeof version, "p%d", (int)(candidate.now_ms % 100000));
            candidate.now_ms += 2000;
            is_pushed(&candidate, LEASE_HELD, version, -1);
            if (find_request(&candidate, LEASE_ACQUIRE) != NULL) {
                questions++;
                answered_ms = candidate.now_ms;
                reply.request = candidate.election.session.last_request;
                replies(&candidate, reply);
            }
            assert_true(candidate.now_ms - answered_ms <= 17000);
        }
        assert_in_range(questions, 3, 61);
    }
}

static void renewals_that_are_heard_spare_questions(void **state)
{
    (void)state;
    struct candidate candidate = fresh();
    int questions = 0;
    is_refused(&candidate, "v0");
    for (int i = 1; i <= 12; i++) {
        char version[LEASE_NONCE_SIZE];
        snprintf(version, sizeof version, "v%d", i);
        for (int64_t next_ms = candidate.now_ms + 5000; candidate.now_ms < next_ms;) {
            int64_t due_ms = wake_ms(&candidate) + 1;
            at(&candidate, due_ms < next_ms ? due_ms : next_ms);
            if (find_request(&candidate, LEASE_ACQUIRE) != NULL) {
                questions++;
                snprintf(version, sizeof version, "v%d", i - 1);
                is_refused(&candidate, version);
            }
        }
        snprintf(version, sizeof version, "v%d", i);
        is_pushed(&candidate, LEASE_HELD, version, -1);
    }
    assert_in_range(questions, 3, 4);
}

static void a_flood_of_hints_is_answered_by_few_questions(void **state)
{
    static const enum lease_state states[] = {LEASE_FREE, LEASE_HELD, LEASE_VACANT, LEASE_CLOSED};
    (void)state;
    struct candidate candidate = fresh();
    int questions = 0;
    is_refused(&candidate, "v1");
    for (int i = 0; i < 10000; i++) {
        candidate.now_ms += 1;
        is_pushed(&candidate, states[i / 7 % 4], i % 2 == 0 ? "p1" : "p2", 0);
        if (i % 3 == 0 && find_request(&candidate, LEASE_ACQUIRE) == NULL)
            happens(&candidate, EVENT_LISTENING);
        if (find_request(&candidate, LEASE_ACQUIRE) != NULL) {
            questions++;
            is_pushed(&candidate, LEASE_FREE, "p3", 0);
            is_refused(&candidate, "v1");
            questions += find_request(&candidate, LEASE_ACQUIRE) != NULL;
        }
    }
    assert_in_range(questions, 2, 13);
}

static void an_observation_that_ripens_under_way_is_tried_at_once(void **state)
{
    (void)state;
    struct candidate candidate = fresh();
    is_refused(&candidate, "v1");
    candidate.now_ms += 14990;
    happens(&candidate, EVENT_CLOSED);
    happens(&candidate, EVENT_OPENED);
    expect_observed(&candidate, "v1", 14990);
    candidate.now_ms += 20;
    is_refused(&candidate, "v1");
    expect_observed(&candidate, "v1", 15010);
    /* Refused with it, there is no use in asking in a loop. */
    candidate.now_ms += 20;
    is_refused(&candidate, "v1");
    expect_none_request(&candidate, LEASE_ACQUIRE);
    assert_true(wake_ms(&candidate) - candidate.now_ms >= 4500);
}

static void a_lost_grant_is_claimed_by_a_renewal(void **state)
{
    (void)state;
    struct candidate candidate = fresh();
    at(&candidate, 1000000 + 2500); /* no answer */
    expect_request(&candidate, LEASE_ACQUIRE);
    candidate.now_ms += 20;
    replies(&candidate, answer(&candidate, LEASE_REFUSED, LEASE_HELD, ME, 100, "n"));
    const struct lease_request *renew = expect_request(&candidate, LEASE_RENEW);
    assert_int_equal(renew->renew.token, 100);
    expect_none(&candidate, ACTION_START);
    candidate.now_ms += 30;
    is_renewed(&candidate);
    assert_int_equal(expect(&candidate, ACTION_START)->run.deadlines.stop_at_ns,
                     (1002520 + 11348) * NS_PER_MS);
}

/* By then there may have been a leader whose record was lost. */
static void a_lost_grant_that_assumed_no_leader_is_waited_out(void **state)
{
    (void)state;
    struct candidate candidate = fresh_with((struct election_config){.assume_fresh = true});
    assert_true(find_request(&candidate, LEASE_ACQUIRE)->acquire.never_saw_record);
    happens(&candidate, EVENT_CLOSED);
    happens(&candidate, EVENT_OPENED);
    replies(&candidate, answer(&candidate, LEASE_REFUSED, LEASE_HELD, ME, 100, "n"));
    expect_none_request(&candidate, LEASE_RENEW);
    assert_int_equal(candidate.election.state, ELECTION_FOLLOWING);
    while (candidate.now_ms < 1000000 + 14999) {
        int64_t next_ms = wake_ms(&candidate) + 1;
        at(&candidate, next_ms < 1000000 + 14999 ? next_ms : 1000000 + 14999);
        expect_none_request(&candidate, LEASE_RENEW);
        if (find_request(&candidate, LEASE_ACQUIRE) != NULL)
            replies(&candidate, answer(&candidate, LEASE_REFUSED, LEASE_HELD, ME, 100, "n"));
    }
    at(&candidate, 1000000 + 15000);
    expect_observed(&candidate, "n", 15000);
    is_granted(&candidate, 101);
    expect(&candidate, ACTION_START);
}

static void a_record_of_an_earlier_term_is_not_claimed(void **state)
{
    (void)state;
    struct candidate candidate = leader();
    at(&candidate, 1000000 + 11348);
    at(&candidate, 1000000 + 14848);
    happens(&candidate, EVENT_TREE_DEAD);
    happens(&candidate, EVENT_OPENED);
    candidate.now_ms += 1;
    happens(&candidate, EVENT_TICK);
    replies(&candidate, answer(&candidate, LEASE_NOT_HELD, LEASE_VACANT, ME, 100, "x"));
    at(&candidate, candidate.now_ms);
    if (find_request(&candidate, LEASE_ACQUIRE) == NULL)
        at(&candidate, candidate.now_ms + 1);
    replies(&candidate, answer(&candidate, LEASE_REFUSED, LEASE_HELD, ME, 100, "x"));
    expect_none_request(&candidate, LEASE_RENEW);
    assert_int_equal(candidate.election.state, ELECTION_FOLLOWING);
}

static void a_grant_that_came_too_late_is_renewed_first(void **state)
{
    (void)state;
    struct candidate candidate = fresh();
    /* Only a time-out longer than the lease could let this happen; the rule holds without it. */
    candidate.election.config.timing.request_timeout_ms = 60000;
    candidate.now_ms += 11348;
    is_granted(&candidate, 100);
    expect_none(&candidate, ACTION_START);
    expect_request(&candidate, LEASE_RENEW);
}

static void a_repeated_token_is_not_led_on(void **state)
{
    (void)state;
    struct candidate candidate = leader();
    at(&candidate, wake_ms(&candidate));
    expect_request(&candidate, LEASE_RENEW);
    replies(&candidate, answer(&candidate, LEASE_LOST, LEASE_HELD, OTHER, 101, "v9"));
    happens(&candidate, EVENT_TREE_DEAD);
    replies(&candidate, answer(&candidate, LEASE_NOT_HELD, LEASE_HELD, OTHER, 101, "v9"));
    expect_request(&candidate, LEASE_ACQUIRE);
    is_granted(&candidate, 100);
    expect_none(&candidate, ACTION_START);
}

static void answers_to_other_questions_are_dropped(void **state)
{
    (void)state;
    struct candidate candidate = fresh();
    struct lease_reply reply = answer(&candidate, LEASE_GRANTED, LEASE_HELD, ME, 100, "v");
    reply.request--;
    replies(&candidate, reply);
    expect_none(&candidate, ACTION_START);
    at(&candidate, 1000000 + 2500);
    expect_request(&candidate, LEASE_ACQUIRE);
    reply.request++; /* the answer to the question that was given up, on the same connection */
    replies(&candidate, reply);
    expect_none(&candidate, ACTION_START);
}

static void every_nonce_is_fresh(void **state)
{
    (void)state;
    struct candidate candidate = fresh();
    char last[LEASE_NONCE_SIZE] = "";
    for (int i = 0; i < 100; i++) {
        is_refused(&candidate, "v1");
        at(&candidate, wake_ms(&candidate) + 1);
        const char *nonce = expect_request(&candidate, LEASE_ACQUIRE)->nonce;
        assert_int_equal(strlen(nonce), 16);
        assert_string_not_equal(nonce, last);
        memcpy(last, nonce, sizeof last);
    }
}

static void renewals_go_out_on_time_and_extend(void **state)
{
    (void)state;
    struct candidate candidate = leader();
    at(&candidate, 1000000 + 4999);
    expect_none_request(&candidate, LEASE_RENEW);
    at(&candidate, 1000000 + 5000);
    assert_int_equal(expect_request(&candidate, LEASE_RENEW)->renew.token, 100);
    candidate.now_ms += 700;
    is_renewed(&candidate);
    const struct election_run *extend = &expect(&candidate, ACTION_EXTEND)->run;
    assert_int_equal(extend->deadlines.kill_at_ns, (1005000 + 14348) * NS_PER_MS);
    assert_int_equal(wake_ms(&candidate), 1010000);
}

static void no_deadline_moves_without_an_answer(void **state)
{
    (void)state;
    struct candidate candidate = leader();
    at(&candidate, 1000000 + 5000);
    at(&candidate, 1000000 + 11347);
    assert_int_equal(candidate.election.state, ELECTION_LEADING);
    at(&candidate, 1000000 + 11348);
    assert_int_equal(candidate.election.state, ELECTION_STOPPING);
    expect(&candidate, ACTION_STOP_TREE);
    expect_none(&candidate, ACTION_KILL_TREE);
    at(&candidate, 1000000 + 14347);
    expect_none(&candidate, ACTION_KILL_TREE);
    at(&candidate, 1000000 + 14348);
    expect(&candidate, ACTION_KILL_TREE);
}

static void the_deadline_is_looked_at_before_the_answer(void **state)
{
    (void)state;
    struct candidate candidate = leader();
    at(&candidate, 1000000 + 10000);
    expect_request(&candidate, LEASE_RENEW);
    candidate.now_ms = 1000000 + 11348;
    is_renewed(&candidate);
    expect(&candidate, ACTION_STOP_TREE);
    expect_none(&candidate, ACTION_EXTEND);
    assert_int_equal(candidate.election.state, ELECTION_STOPPING);
}

static void a_suspend_past_the_deadline_kills_first(void **state)
{
    (void)state;
    struct candidate candidate = leader();
    at(&candidate, 1000000 + 3600 * 1000);
    assert_int_equal(candidate.actions.list[0].kind, ACTION_TELL);
    expect(&candidate, ACTION_STOP_TREE);
    expect(&candidate, ACTION_KILL_TREE);
    expect_none_request(&candidate, LEASE_RENEW);
}

static void errors_do_not_stop_the_child(void **state)
{
    static const enum lease_failure failures[] = {LEASE_FAILURE_TRANSIENT, LEASE_FAILURE_ROLE,
                                                  LEASE_FAILURE_CONFIGURATION};
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct candidate candidate = leader();
        at(&candidate, 1000000 + 5000);
        fails(&candidate, failures[i]);
        assert_true(was_told(&candidate, NOTE_RENEWAL_FAILED));
        expect_none(&candidate, ACTION_STOP_TREE);
        at(&candidate, 1000000 + 6000);
        if (failures[i] != LEASE_FAILURE_TRANSIENT) {
            /* A new connection resolves the address and reads the password again. */
            expect(&candidate, ACTION_OPEN);
            happens(&candidate, EVENT_OPENED);
        }
        expect_request(&candidate, LEASE_RENEW);
    }
}

static void another_holder_means_kill_without_grace(void **state)
{
    (void)state;
    struct candidate candidate = leader();
    at(&candidate, 1000000 + 5000);
    replies(&candidate, answer(&candidate, LEASE_LOST, LEASE_HELD, OTHER, 101, "v9"));
    expect(&candidate, ACTION_KILL_TREE);
    expect_none(&candidate, ACTION_STOP_TREE);
    expect_none_request(&candidate, LEASE_RELEASE);
    happens(&candidate, EVENT_TREE_DEAD);
    expect_request(&candidate, LEASE_RELEASE);
    replies(&candidate, answer(&candidate, LEASE_NOT_HELD, LEASE_HELD, OTHER, 101, "v9"));
    expect_request(&candidate, LEASE_ACQUIRE); /* and stands by again */
}

static void lost_with_exit_on_lost_ends(void **state)
{
    (void)state;
    struct candidate candidate = leader_with((struct election_config){.exit_on_lost = true});
    at(&candidate, 1000000 + 5000);
    replies(&candidate, answer(&candidate, LEASE_LOST, LEASE_HELD, OTHER, 101, "v9"));
    happens(&candidate, EVENT_TREE_DEAD);
    replies(&candidate, answer(&candidate, LEASE_NOT_HELD, LEASE_HELD, OTHER, 101, "v9"));
    assert_int_equal(expect(&candidate, ACTION_EXIT)->end, END_LOST);
}

static void a_stop_releases_only_after_the_tree_is_dead(void **state)
{
    (void)state;
    struct candidate candidate = leader();
    candidate.now_ms += 1000;
    happens(&candidate, EVENT_STOP);
    expect(&candidate, ACTION_STOP_TREE);
    expect_none_request(&candidate, LEASE_RELEASE);
    happens(&candidate, EVENT_CHILD_EXIT);
    expect_none_request(&candidate, LEASE_RELEASE);
    happens(&candidate, EVENT_TREE_DEAD);
    assert_int_equal(expect_request(&candidate, LEASE_RELEASE)->release.token, 100);
    replies(&candidate, answer(&candidate, LEASE_RELEASED, LEASE_FREE, ME, 100, "v9"));
    assert_int_equal(expect(&candidate, ACTION_EXIT)->end, END_STOPPED);
    assert_int_equal(candidate.election.state, ELECTION_DONE);
}

static void a_second_stop_kills(void **state)
{
    (void)state;
    struct candidate candidate = leader();
    happens(&candidate, EVENT_STOP);
    expect_none(&candidate, ACTION_KILL_TREE);
    candidate.now_ms += ELECTION_STOP_ECHO_MS;
    happens(&candidate, EVENT_STOP);
    expect(&candidate, ACTION_KILL_TREE);
    expect(&candidate, ACTION_KILL_HOOKS);
}

static void the_echoes_of_a_stop_are_the_same_wish(void **state)
{
    (void)state;
    struct candidate candidate = leader();
    for (int i = 0; i < 3; i++) {
        happens(&candidate, EVENT_STOP);
        expect_none(&candidate, ACTION_KILL_TREE);
        expect_none(&candidate, ACTION_KILL_HOOKS);
    }
    candidate.now_ms += ELECTION_STOP_ECHO_MS - 1;
    happens(&candidate, EVENT_STOP);
    assert_int_equal(candidate.actions.count, 0);
    /* Who goes on and on is in a hurry: the time is counted from the first one. */
    candidate.now_ms += 1;
    happens(&candidate, EVENT_STOP);
    expect(&candidate, ACTION_KILL_TREE);
}

static void an_echo_gives_no_answer_up(void **state)
{
    (void)state;
    struct candidate candidate = fresh();
    happens(&candidate, EVENT_STOP);
    happens(&candidate, EVENT_STOP);
    expect_none(&candidate, ACTION_EXIT);
    candidate.now_ms += ELECTION_STOP_ECHO_MS;
    happens(&candidate, EVENT_STOP);
    assert_int_equal(expect(&candidate, ACTION_EXIT)->end, END_STOPPED);
}

static void a_hook_that_is_left_is_killed_by_a_stop_but_not_by_its_echo(void **state)
{
    (void)state;
    struct candidate candidate = fresh();
    is_refused(&candidate, "v1");
    happens(&candidate, EVENT_STOP);
    expect(&candidate, ACTION_EXIT);
    happens(&candidate, EVENT_STOP);
    assert_int_equal(candidate.actions.count, 0);
    candidate.now_ms += ELECTION_STOP_ECHO_MS;
    happens(&candidate, EVENT_STOP);
    assert_int_equal(candidate.actions.count, 1);
    expect(&candidate, ACTION_KILL_HOOKS);

    candidate = leader();
    happens(&candidate, EVENT_CHILD_EXIT);
    happens(&candidate, EVENT_TREE_DEAD);
    replies(&candidate, answer(&candidate, LEASE_RELEASED, LEASE_FREE, ME, 100, "v9"));
    expect(&candidate, ACTION_EXIT);
    happens(&candidate, EVENT_STOP);
    expect(&candidate, ACTION_KILL_HOOKS);
}

static void a_follower_stops_at_once(void **state)
{
    (void)state;
    struct candidate candidate = fresh();
    is_refused(&candidate, "v1");
    happens(&candidate, EVENT_STOP);
    assert_int_equal(expect(&candidate, ACTION_EXIT)->end, END_STOPPED);
}

static void a_grant_after_a_stop_is_given_back(void **state)
{
    (void)state;
    struct candidate candidate = fresh();
    happens(&candidate, EVENT_STOP);
    expect_none(&candidate, ACTION_EXIT);
    is_granted(&candidate, 100);
    expect_none(&candidate, ACTION_START);
    assert_int_equal(expect_request(&candidate, LEASE_RELEASE)->release.token, 100);
    replies(&candidate, answer(&candidate, LEASE_RELEASED, LEASE_FREE, ME, 100, "v9"));
    assert_int_equal(expect(&candidate, ACTION_EXIT)->end, END_STOPPED);
}

static void no_release_leaves_the_lease_on_a_stop(void **state)
{
    (void)state;
    struct candidate candidate = leader_with((struct election_config){.no_release = true});
    happens(&candidate, EVENT_STOP);
    happens(&candidate, EVENT_TREE_DEAD);
    expect_none_request(&candidate, LEASE_RELEASE);
    assert_int_equal(expect(&candidate, ACTION_EXIT)->end, END_STOPPED);
}

static void the_commands_own_end_releases_and_exits(void **state)
{
    (void)state;
    struct candidate candidate = leader();
    happens(&candidate, EVENT_CHILD_EXIT);
    assert_int_equal(candidate.election.state, ELECTION_LEADING);
    /* Leftovers are still alive: the lease is kept. */
    at(&candidate, 1000000 + 5000);
    expect_request(&candidate, LEASE_RENEW);
    is_renewed(&candidate);
    happens(&candidate, EVENT_TREE_DEAD);
    expect_request(&candidate, LEASE_RELEASE);
    replies(&candidate, answer(&candidate, LEASE_RELEASED, LEASE_FREE, ME, 100, "v9"));
    assert_int_equal(expect(&candidate, ACTION_EXIT)->end, END_COMMAND);
}

/* A leader whose renewal is on its way when its tree dies; returns the renewal's nonce. */
static struct candidate stopped_in_mid_renewal(char nonce[LEASE_NONCE_SIZE])
{
    struct candidate candidate = leader();
    at(&candidate, 1000000 + 5000);
    memcpy(nonce, expect_request(&candidate, LEASE_RENEW)->nonce, LEASE_NONCE_SIZE);
    happens(&candidate, EVENT_STOP);
    happens(&candidate, EVENT_TREE_DEAD);
    expect_none_request(&candidate, LEASE_RELEASE);
    return candidate;
}

static void a_release_names_the_version_of_the_last_renewal(void **state)
{
    char nonce[LEASE_NONCE_SIZE];
    (void)state;
    struct candidate candidate = stopped_in_mid_renewal(nonce);
    is_renewed(&candidate);
    assert_string_equal(expect_request(&candidate, LEASE_RELEASE)->release.version, nonce);
}

static void a_renewal_that_fails_leaves_the_version_before(void **state)
{
    char nonce[LEASE_NONCE_SIZE], granted[LEASE_NONCE_SIZE];
    (void)state;
    struct candidate candidate = stopped_in_mid_renewal(nonce);
    memcpy(granted, candidate.election.term.version, sizeof granted);
    fails(&candidate, LEASE_FAILURE_TRANSIENT);
    assert_string_equal(expect_request(&candidate, LEASE_RELEASE)->release.version, granted);
    assert_string_not_equal(granted, nonce);
}

static void an_unanswered_renewal_that_was_executed_is_released_too(void **state)
{
    char nonce[LEASE_NONCE_SIZE];
    (void)state;
    struct candidate candidate = stopped_in_mid_renewal(nonce);
    at(&candidate, wake_ms(&candidate) + 1);
    expect(&candidate, ACTION_OPEN);
    happens(&candidate, EVENT_OPENED);
    expect_request(&candidate, LEASE_RELEASE);
    replies(&candidate, answer(&candidate, LEASE_NOT_HELD, LEASE_HELD, ME, 100, nonce));
    assert_string_equal(expect_request(&candidate, LEASE_RELEASE)->release.version, nonce);
    replies(&candidate, answer(&candidate, LEASE_RELEASED, LEASE_FREE, ME, 100, "v9"));
    expect(&candidate, ACTION_EXIT);
}

/* The first release freed the lease and its answer was lost; another leads, its record is lost too,
 * and only now a renewal of old is executed. */
static void a_version_that_appears_after_a_release_in_doubt_is_not_released(void **state)
{
    (void)state;
    for (int refused = 0; refused <= 1; refused++) {
        struct candidate candidate = leader();
        happens(&candidate, EVENT_CLOSED);
        at(&candidate, 1000000 + 11348);
        happens(&candidate, EVENT_TREE_DEAD);
        happens(&candidate, EVENT_OPENED);
        expect_request(&candidate, LEASE_RELEASE);
        if (refused) {
            fails(&candidate, LEASE_FAILURE_TRANSIENT);
            at(&candidate, wake_ms(&candidate) + 1);
        } else {
            happens(&candidate, EVENT_CLOSED);
            happens(&candidate, EVENT_OPENED);
        }
        expect_request(&candidate, LEASE_RELEASE);
        assert_in_range(candidate.now_ms, 1000000 + 11348, 1000000 + 14847);
        replies(&candidate, answer(&candidate, LEASE_NOT_HELD, LEASE_HELD, ME, 100, "late"));
        expect_none_request(&candidate, LEASE_RELEASE);
        assert_int_equal(candidate.election.state, ELECTION_ACQUIRING);
    }
}

static void a_version_that_appears_after_the_term_is_not_released(void **state)
{
    (void)state;
    struct candidate candidate = leader();
    happens(&candidate, EVENT_CLOSED);
    at(&candidate, 1000000 + 11348);
    happens(&candidate, EVENT_TREE_DEAD);
    candidate.now_ms = 1000000 + 14848;
    happens(&candidate, EVENT_OPENED);
    expect_request(&candidate, LEASE_RELEASE);
    /* A renewal of old that the network held up may have written a dead term again. */
    replies(&candidate, answer(&candidate, LEASE_NOT_HELD, LEASE_HELD, ME, 100, "late"));
    expect_none_request(&candidate, LEASE_RELEASE);
    assert_int_equal(candidate.election.state, ELECTION_ACQUIRING);
}

static void another_holder_found_while_stopping_ends_the_grace(void **state)
{
    (void)state;
    struct candidate candidate = leader();
    at(&candidate, 1000000 + 5000);
    happens(&candidate, EVENT_STOP);
    replies(&candidate, answer(&candidate, LEASE_LOST, LEASE_HELD, OTHER, 101, "v9"));
    expect(&candidate, ACTION_KILL_TREE);
}

static void only_a_claim_is_marked_as_one(void **state)
{
    (void)state;
    struct candidate candidate = fresh();
    replies(&candidate, answer(&candidate, LEASE_REFUSED, LEASE_HELD, ME, 100, "n"));
    assert_true(expect_request(&candidate, LEASE_RENEW)->renew.claim);
    is_renewed(&candidate);
    at(&candidate, 1000000 + 5000);
    assert_false(expect_request(&candidate, LEASE_RENEW)->renew.claim);
}

static void the_commands_end_stays_the_reason_past_the_deadline(void **state)
{
    (void)state;
    struct candidate candidate = leader();
    happens(&candidate, EVENT_CHILD_EXIT);
    at(&candidate, 1000000 + 15000);
    expect(&candidate, ACTION_KILL_TREE);
    happens(&candidate, EVENT_TREE_DEAD);
    assert_int_equal(candidate.election.end, END_COMMAND);
}

static void an_unreachable_redis_does_not_hold_up_the_exit(void **state)
{
    (void)state;
    struct candidate candidate = leader();
    happens(&candidate, EVENT_CLOSED);
    happens(&candidate, EVENT_CHILD_EXIT);
    happens(&candidate, EVENT_TREE_DEAD);
    expect_none(&candidate, ACTION_EXIT);
    for (int i = 0; i < 100 && candidate.election.state != ELECTION_DONE; i++) {
        at(&candidate, wake_ms(&candidate) + 1);
        if (find(&candidate, ACTION_OPEN) != NULL)
            happens(&candidate, EVENT_CLOSED);
    }
    assert_int_equal(candidate.election.state, ELECTION_DONE);
    assert_in_range(candidate.now_ms, 1000000 + 5000, 1000000 + 5200);
}

static void after_a_deadline_it_releases_late_and_follows_again(void **state)
{
    (void)state;
    struct candidate candidate = leader();
    happens(&candidate, EVENT_CLOSED);
    at(&candidate, 1000000 + 11348);
    happens(&candidate, EVENT_TREE_DEAD);
    assert_int_equal(candidate.election.state, ELECTION_RELEASING);
    candidate.now_ms += 60000;
    happens(&candidate, EVENT_OPENED);
    expect_request(&candidate, LEASE_RELEASE);
    replies(&candidate, answer(&candidate, LEASE_RELEASED, LEASE_FREE, ME, 100, "v9"));
    assert_int_equal(candidate.election.state, ELECTION_ACQUIRING);
    is_granted(&candidate, 200);
    assert_int_equal(expect(&candidate, ACTION_START)->run.number, 2);
}

static void a_lost_keeper_ends_the_term_and_the_process(void **state)
{
    (void)state;
    struct candidate candidate = leader();
    happens(&candidate, EVENT_KEEPER_LOST);
    expect_none_request(&candidate, LEASE_RELEASE);
    happens(&candidate, EVENT_TREE_DEAD);
    expect_request(&candidate, LEASE_RELEASE);
    replies(&candidate, answer(&candidate, LEASE_RELEASED, LEASE_FREE, ME, 100, "v9"));
    assert_int_equal(expect(&candidate, ACTION_EXIT)->end, END_KEEPER);
}

static void a_keeper_lost_while_following_ends_the_process(void **state)
{
    (void)state;
    struct candidate candidate = fresh();
    happens(&candidate, EVENT_KEEPER_LOST);
    assert_int_equal(expect(&candidate, ACTION_EXIT)->end, END_KEEPER);
}

static void a_keeper_that_misses_the_kill_is_abandoned_once(void **state)
{
    (void)state;
    struct candidate candidate = leader();
    at(&candidate, 1000000 + 14348);
    expect(&candidate, ACTION_KILL_TREE);
    at(&candidate, 1000000 + 14348 + 374);
    expect_none(&candidate, ACTION_ABANDON_KEEPER);
    at(&candidate, 1000000 + 14348 + 375);
    expect(&candidate, ACTION_ABANDON_KEEPER);
    at(&candidate, 1000000 + 20000);
    expect_none(&candidate, ACTION_ABANDON_KEEPER);
}

/* The lease is out at 14848: a hung keeper must be found out before, whatever the kill was for. */
static void a_hung_keeper_is_abandoned_before_the_lease_is_out(void **state)
{
    (void)state;
    struct candidate candidate = leader();
    at(&candidate, 1000000 + 11300);
    happens(&candidate, EVENT_STOP);
    at(&candidate, 1000000 + 14348);
    expect(&candidate, ACTION_KILL_TREE);
    at(&candidate, 1000000 + 14348 + 375);
    expect(&candidate, ACTION_ABANDON_KEEPER);

    candidate = leader();
    at(&candidate, 1000000 + 11300);
    happens(&candidate, EVENT_STOP);
    at(&candidate, 1000000 + 14000);
    happens(&candidate, EVENT_STOP);
    expect(&candidate, ACTION_KILL_TREE);
    at(&candidate, 1000000 + 14348 + 375);
    expect(&candidate, ACTION_ABANDON_KEEPER);
}

static void a_keeper_has_a_second_where_there_is_time(void **state)
{
    (void)state;
    struct candidate candidate = leader();
    at(&candidate, 1000000 + 2000 - ELECTION_STOP_ECHO_MS);
    happens(&candidate, EVENT_STOP);
    at(&candidate, 1000000 + 2000);
    happens(&candidate, EVENT_STOP);
    expect(&candidate, ACTION_KILL_TREE);
    at(&candidate, 1000000 + 2999);
    expect_none(&candidate, ACTION_ABANDON_KEEPER);
    at(&candidate, 1000000 + 3000);
    expect(&candidate, ACTION_ABANDON_KEEPER);
}

static void a_stuck_tree_is_neither_abandoned_nor_released(void **state)
{
    (void)state;
    struct candidate candidate = leader();
    at(&candidate, 1000000 + 14348);
    happens(&candidate, EVENT_TREE_STUCK);
    at(&candidate, 1000000 + 60000);
    expect_none(&candidate, ACTION_ABANDON_KEEPER);
    expect_none_request(&candidate, LEASE_RELEASE);
    assert_int_equal(candidate.election.state, ELECTION_STOPPING);
}

static void news_of_another_run_is_ignored(void **state)
{
    (void)state;
    struct candidate candidate = leader();
    step(&candidate, (struct election_event){.kind = EVENT_TREE_DEAD, .run = 0});
    step(&candidate, (struct election_event){.kind = EVENT_CHILD_EXIT, .run = 2});
    assert_int_equal(candidate.election.state, ELECTION_LEADING);
    assert_int_equal(candidate.election.end, END_NONE);
}

static void a_tree_that_never_started_ends_the_term(void **state)
{
    (void)state;
    struct candidate candidate = leader();
    happens(&candidate, EVENT_TREE_DEAD);
    expect_request(&candidate, LEASE_RELEASE);
    replies(&candidate, answer(&candidate, LEASE_RELEASED, LEASE_FREE, ME, 100, "v9"));
    expect_none(&candidate, ACTION_EXIT);
}

static void a_host_that_cannot_start_it_lets_others_go_first(void **state)
{
    (void)state;
    struct candidate candidate = leader();
    happens(&candidate, EVENT_NOT_STARTED);
    happens(&candidate, EVENT_TREE_DEAD);
    expect_request(&candidate, LEASE_RELEASE);
    replies(&candidate, answer(&candidate, LEASE_RELEASED, LEASE_FREE, ME, 100, "v9"));
    expect_none(&candidate, ACTION_EXIT);
    expect_none_request(&candidate, LEASE_ACQUIRE);
    at(&candidate, candidate.now_ms + 5000);
    expect_request(&candidate, LEASE_ACQUIRE);
}

static void configuration_is_fatal_at_the_start_only(void **state)
{
    (void)state;
    struct candidate candidate = fresh();
    fails(&candidate, LEASE_FAILURE_CONFIGURATION);
    assert_int_equal(expect(&candidate, ACTION_EXIT)->end, END_CONFIGURATION);

    candidate = fresh();
    step(&candidate,
         (struct election_event){.kind = EVENT_CLOSED, .failure = LEASE_FAILURE_CONFIGURATION});
    assert_int_equal(expect(&candidate, ACTION_EXIT)->end, END_CONFIGURATION);

    candidate = fresh();
    is_refused(&candidate, "v1");
    step(&candidate,
         (struct election_event){.kind = EVENT_CLOSED, .failure = LEASE_FAILURE_CONFIGURATION});
    expect_none(&candidate, ACTION_EXIT);
}

static void reconnects_back_off_up_to_a_cap(void **state)
{
    (void)state;
    struct candidate candidate = fresh();
    int64_t longest_ms = 0, shortest_ms = INT64_MAX;
    is_refused(&candidate, "v1");
    for (int i = 0; i < 12; i++) {
        happens(&candidate, EVENT_CLOSED);
        int64_t wait_ms =
            find(&candidate, ACTION_OPEN) != NULL ? 0 : wake_ms(&candidate) - candidate.now_ms;
        longest_ms = wait_ms > longest_ms ? wait_ms : longest_ms;
        shortest_ms = wait_ms < shortest_ms ? wait_ms : shortest_ms;
        at(&candidate, wake_ms(&candidate) + 1);
    }
    assert_int_equal(shortest_ms, 0);
    assert_in_range(longest_ms, 5000, 5500);
}

static void a_short_lease_is_not_left_alone_for_long(void **state)
{
    (void)state;
    struct candidate candidate = fresh();
    candidate.election.config.timing.ttl_ms = 3000;
    is_refused(&candidate, "v1");
    for (int i = 0; i < 12; i++) {
        happens(&candidate, EVENT_CLOSED);
        assert_true(find(&candidate, ACTION_OPEN) != NULL ||
                    wake_ms(&candidate) - candidate.now_ms <= 1650);
        at(&candidate, wake_ms(&candidate) + 1);
    }
    happens(&candidate, EVENT_OPENED);
    expect_request(&candidate, LEASE_ACQUIRE);
    fails(&candidate, LEASE_FAILURE_CONFIGURATION);
    assert_int_equal(wake_ms(&candidate) - candidate.now_ms, 3000);
}

static void a_leader_reconnects_at_least_every_second(void **state)
{
    (void)state;
    struct candidate candidate = leader();
    while (candidate.now_ms < 1000000 + 11000) {
        happens(&candidate, EVENT_CLOSED);
        assert_true(wake_ms(&candidate) - candidate.now_ms <= 1000 ||
                    find(&candidate, ACTION_OPEN) != NULL);
        at(&candidate, wake_ms(&candidate) + 1);
    }
}

static void a_connection_that_hangs_is_made_anew(void **state)
{
    (void)state;
    struct candidate candidate = leader();
    happens(&candidate, EVENT_CLOSED);
    expect(&candidate, ACTION_OPEN);
    at(&candidate, candidate.now_ms + 2499);
    expect_none(&candidate, ACTION_OPEN);
    at(&candidate, candidate.now_ms + 1);
    expect(&candidate, ACTION_OPEN);
}

static void a_fresh_connection_asks_at_once(void **state)
{
    (void)state;
    struct candidate candidate = fresh();
    is_refused(&candidate, "v1");
    happens(&candidate, EVENT_CLOSED);
    happens(&candidate, EVENT_OPENED);
    expect_request(&candidate, LEASE_ACQUIRE);
}

static void a_fresh_subscription_looks_once_more(void **state)
{
    (void)state;
    struct candidate candidate = fresh();
    is_refused(&candidate, "v1");
    happens(&candidate, EVENT_LISTENING);
    expect_request(&candidate, LEASE_ACQUIRE);
    happens(&candidate, EVENT_LISTENING);
    is_refused(&candidate, "v1");
    expect_request(&candidate, LEASE_ACQUIRE);
    is_refused(&candidate, "v1");
    expect_none_request(&candidate, LEASE_ACQUIRE);
}

static void the_servers_clock_wakes_where_it_is_trusted(void **state)
{
    (void)state;
    struct candidate candidate = fresh_with((struct election_config){.server_clock = true});
    struct lease_reply reply = answer(&candidate, LEASE_REFUSED, LEASE_HELD, OTHER, 7, "v1");
    reply.record.age_ms = 14000;
    replies(&candidate, reply);
    assert_int_equal(wake_ms(&candidate), 1000000 + 15000 + 150 + 11 - 14000);
}

static void a_hold_is_asked_for_when_it_ends(void **state)
{
    (void)state;
    struct candidate candidate = fresh();
    struct lease_reply reply = answer(&candidate, LEASE_REFUSED, LEASE_CLOSED, OTHER, 7, "v1");
    reply.record.hold_left_ms = 1234;
    replies(&candidate, reply);
    assert_int_equal(wake_ms(&candidate), 1000000 + 1234);
    at(&candidate, 1000000 + 1233);
    expect_none_request(&candidate, LEASE_ACQUIRE);
    at(&candidate, 1000000 + 1234);
    assert_int_equal(expect_request(&candidate, LEASE_ACQUIRE)->acquire.hold_left_ms, 0);
}

/* Whoever has seen how much of a hold is left, or has heard it begin, counts by his own clock. */
static void a_hold_that_was_watched_is_counted_out(void **state)
{
    (void)state;
    for (int heard = 0; heard < 2; heard++) {
        struct candidate candidate = fresh();
        struct lease_reply reply = answer(&candidate, LEASE_REFUSED, LEASE_CLOSED, OTHER, 7, "v2");
        reply.record.hold_ms = 20000;
        reply.record.hold_left_ms = 19000;
        int64_t end_ms = candidate.now_ms + 1000 + 19000;
        if (heard == 1) {
            is_refused(&candidate, "v1");
            is_pushed(&candidate, LEASE_CLOSED, "v2", -1);
            end_ms = candidate.now_ms + 20000;
            at(&candidate, wake_ms(&candidate) + 1);
        } else {
            candidate.now_ms += 1000;
        }
        reply.request = candidate.election.session.last_request;
        replies(&candidate, reply);
        /* The server's clock is set on by an hour, and then back. */
        for (int64_t left_ms = 0; candidate.now_ms < end_ms - 1; left_ms = 3600000) {
            int64_t next_ms = wake_ms(&candidate) + 1;
            at(&candidate, next_ms < end_ms - 1 ? next_ms : end_ms - 1);
            if (find_request(&candidate, LEASE_ACQUIRE) != NULL) {
                assert_int_equal(find_request(&candidate, LEASE_ACQUIRE)->acquire.hold_left_ms,
                                 end_ms - candidate.now_ms + 1);
                reply.request = candidate.election.session.last_request;
                reply.record.hold_left_ms = left_ms;
                replies(&candidate, reply);
            }
        }
        at(&candidate, end_ms);
        assert_int_equal(expect_request(&candidate, LEASE_ACQUIRE)->acquire.hold_left_ms, 0);
    }
}

static void a_vacancy_with_a_hold_waits_for_both(void **state)
{
    (void)state;
    struct candidate candidate = fresh();
    struct lease_reply reply = answer(&candidate, LEASE_REFUSED, LEASE_VACANT, OTHER, 7, "v1");
    reply.record.hold_left_ms = reply.record.hold_ms = 40000;
    replies(&candidate, reply);
    while (candidate.now_ms < 1000000 + 39999) {
        int64_t next_ms = wake_ms(&candidate) + 1;
        at(&candidate, next_ms < 1000000 + 39999 ? next_ms : 1000000 + 39999);
        if (find_request(&candidate, LEASE_ACQUIRE) != NULL) {
            assert_false(candidate.election.follow.asked_with_observation);
            reply.request = candidate.election.session.last_request;
            replies(&candidate, reply);
        }
    }
    at(&candidate, 1000000 + 40000);
    expect_observed(&candidate, "v1", 40000);
    assert_true(candidate.election.follow.asked_with_observation);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_grant_starts_the_tree_with_deadlines_from_the_send),
        cmocka_unit_test(a_grant_of_somebody_else_starts_nothing),
        cmocka_unit_test(a_renewal_of_somebody_else_extends_nothing),
        cmocka_unit_test(a_refusal_makes_it_watch_and_wait),
        cmocka_unit_test(follower_asks_every_retry_without_grounds),
        cmocka_unit_test(observation_ripens_exactly_at_the_ttl),
        cmocka_unit_test(another_version_starts_the_observation_anew),
        cmocka_unit_test(the_same_version_again_does_not),
        cmocka_unit_test(a_longer_ttl_on_record_is_waited_out),
        cmocka_unit_test(a_free_record_is_never_ripe),
        cmocka_unit_test(a_pushed_release_is_answered_at_once),
        cmocka_unit_test(a_release_pushed_while_asking_is_not_forgotten),
        cmocka_unit_test(a_version_that_was_heard_counts_once_it_is_confirmed),
        cmocka_unit_test(a_push_neither_begins_nor_ends_an_observation),
        cmocka_unit_test(a_push_changes_neither_ttl_nor_token),
        cmocka_unit_test(a_new_term_is_asked_about_within_one_renewal),
        cmocka_unit_test(pushes_postpone_a_question_by_no_more_than_a_ttl),
        cmocka_unit_test(renewals_that_are_heard_spare_questions),
        cmocka_unit_test(a_flood_of_hints_is_answered_by_few_questions),
        cmocka_unit_test(an_observation_that_ripens_under_way_is_tried_at_once),
        cmocka_unit_test(a_lost_grant_is_claimed_by_a_renewal),
        cmocka_unit_test(a_lost_grant_that_assumed_no_leader_is_waited_out),
        cmocka_unit_test(a_record_of_an_earlier_term_is_not_claimed),
        cmocka_unit_test(a_grant_that_came_too_late_is_renewed_first),
        cmocka_unit_test(a_repeated_token_is_not_led_on),
        cmocka_unit_test(answers_to_other_questions_are_dropped),
        cmocka_unit_test(every_nonce_is_fresh),
        cmocka_unit_test(renewals_go_out_on_time_and_extend),
        cmocka_unit_test(no_deadline_moves_without_an_answer),
        cmocka_unit_test(the_deadline_is_looked_at_before_the_answer),
        cmocka_unit_test(a_suspend_past_the_deadline_kills_first),
        cmocka_unit_test(errors_do_not_stop_the_child),
        cmocka_unit_test(another_holder_means_kill_without_grace),
        cmocka_unit_test(lost_with_exit_on_lost_ends),
        cmocka_unit_test(a_stop_releases_only_after_the_tree_is_dead),
        cmocka_unit_test(a_second_stop_kills),
        cmocka_unit_test(the_echoes_of_a_stop_are_the_same_wish),
        cmocka_unit_test(an_echo_gives_no_answer_up),
        cmocka_unit_test(a_hook_that_is_left_is_killed_by_a_stop_but_not_by_its_echo),
        cmocka_unit_test(a_follower_stops_at_once),
        cmocka_unit_test(a_grant_after_a_stop_is_given_back),
        cmocka_unit_test(no_release_leaves_the_lease_on_a_stop),
        cmocka_unit_test(the_commands_own_end_releases_and_exits),
        cmocka_unit_test(a_release_names_the_version_of_the_last_renewal),
        cmocka_unit_test(a_renewal_that_fails_leaves_the_version_before),
        cmocka_unit_test(an_unanswered_renewal_that_was_executed_is_released_too),
        cmocka_unit_test(a_version_that_appears_after_a_release_in_doubt_is_not_released),
        cmocka_unit_test(a_version_that_appears_after_the_term_is_not_released),
        cmocka_unit_test(another_holder_found_while_stopping_ends_the_grace),
        cmocka_unit_test(only_a_claim_is_marked_as_one),
        cmocka_unit_test(the_commands_end_stays_the_reason_past_the_deadline),
        cmocka_unit_test(an_unreachable_redis_does_not_hold_up_the_exit),
        cmocka_unit_test(after_a_deadline_it_releases_late_and_follows_again),
        cmocka_unit_test(a_lost_keeper_ends_the_term_and_the_process),
        cmocka_unit_test(a_keeper_lost_while_following_ends_the_process),
        cmocka_unit_test(a_keeper_that_misses_the_kill_is_abandoned_once),
        cmocka_unit_test(a_hung_keeper_is_abandoned_before_the_lease_is_out),
        cmocka_unit_test(a_keeper_has_a_second_where_there_is_time),
        cmocka_unit_test(a_stuck_tree_is_neither_abandoned_nor_released),
        cmocka_unit_test(news_of_another_run_is_ignored),
        cmocka_unit_test(a_tree_that_never_started_ends_the_term),
        cmocka_unit_test(a_host_that_cannot_start_it_lets_others_go_first),
        cmocka_unit_test(configuration_is_fatal_at_the_start_only),
        cmocka_unit_test(reconnects_back_off_up_to_a_cap),
        cmocka_unit_test(a_short_lease_is_not_left_alone_for_long),
        cmocka_unit_test(a_leader_reconnects_at_least_every_second),
        cmocka_unit_test(a_connection_that_hangs_is_made_anew),
        cmocka_unit_test(a_fresh_connection_asks_at_once),
        cmocka_unit_test(a_fresh_subscription_looks_once_more),
        cmocka_unit_test(the_servers_clock_wakes_where_it_is_trusted),
        cmocka_unit_test(a_hold_is_asked_for_when_it_ends),
        cmocka_unit_test(a_hold_that_was_watched_is_counted_out),
        cmocka_unit_test(a_vacancy_with_a_hold_waits_for_both),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
