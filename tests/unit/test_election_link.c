/* The election and its connection: whatever fails, connections, requests and notes have a bound. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "candidate.h"

struct effort {
    int opens;
    int requests;
    int notes;
    bool opened; /* in the last step, as is `asked` */
    bool asked;
};

static bool is_request(const struct election_action *action)
{
    return action->kind == ACTION_SEND;
}

/* Adds what the last step did. */
static void count(struct effort *effort, const struct candidate *candidate)
{
    effort->opened = effort->asked = false;
    for (size_t i = 0; i < candidate->actions.count; i++) {
        const struct election_action *action = &candidate->actions.list[i];
        effort->opened = effort->opened || action->kind == ACTION_OPEN;
        effort->asked = effort->asked || is_request(action);
        effort->opens += action->kind == ACTION_OPEN;
        effort->requests += is_request(action);
        effort->notes += action->kind == ACTION_TELL;
    }
}

/* What a server, or something before it, does to each connection. */
struct fault {
    void (*answers)(struct candidate *candidate); /* NULL: not at all */
    bool hangs_up;
};

/* Lets it suffer from that for so long, without any delay of the network. */
static struct effort suffer(struct candidate *candidate, int64_t ms, const struct fault *fault)
{
    struct effort effort = {0};
    int64_t until_ms = candidate->now_ms + ms;

    for (int steps = 0; candidate->now_ms < until_ms && steps < 100000; steps++) {
        bool mute = fault->answers == NULL;
        bool asked;

        if (effort.opened) {
            happens(candidate, EVENT_OPENED);
            count(&effort, candidate);
        }
        asked = effort.asked;
        if (asked && !mute) {
            fault->answers(candidate);
            count(&effort, candidate);
        }
        if (fault->hangs_up && !effort.opened &&
            (asked || (mute && candidate->election.session.link == LINK_OPEN))) {
            happens(candidate, EVENT_CLOSED);
            count(&effort, candidate);
        }
        if (!effort.opened && !effort.asked) {
            int64_t next_ms = wake_ms(candidate) + 1;
            at(candidate, next_ms < until_ms ? next_ms : until_ms);
            count(&effort, candidate);
        }
    }
    return effort;
}

static void refuses(struct candidate *candidate)
{
    is_refused(candidate, "v1");
}

static void errs(struct candidate *candidate)
{
    fails(candidate, LEASE_FAILURE_TRANSIENT);
}

static void is_replica(struct candidate *candidate)
{
    fails(candidate, LEASE_FAILURE_ROLE);
}

static const struct fault vanishes = {NULL, true};
static const struct fault renews_and_hangs_up = {is_renewed, true};
static const struct fault refuses_and_hangs_up = {refuses, true};

static const struct fault faults[] = {
    {NULL, true}, {errs, false}, {errs, true}, {is_replica, false}, {is_replica, true},
};

#define FAULT_COUNT (sizeof faults / sizeof *faults)

static void check_patience(const struct fault *fault)
{
    struct candidate candidate = fresh();

    is_refused(&candidate, "v1");
    struct effort effort = suffer(&candidate, 20000, fault);
    assert_in_range(effort.opens + effort.requests, 3, 25);
    /* By now every 5 s. */
    effort = suffer(&candidate, 60000, fault);
    assert_in_range(effort.opens + effort.requests, 10, 26);
    assert_in_range(effort.notes, 10, 40);
}

static void a_follower_tries_ever_more_seldom(void **state)
{
    (void)state;
    for (size_t i = 0; i < FAULT_COUNT; i++)
        check_patience(&faults[i]);
    check_patience(&refuses_and_hangs_up);
}

static void a_leader_tries_until_its_deadline_and_not_in_a_loop(void **state)
{
    (void)state;
    for (size_t i = 0; i < FAULT_COUNT; i++) {
        struct candidate candidate = leader();
        (void)suffer(&candidate, 5000, &vanishes);
        struct effort effort = suffer(&candidate, 6000, &faults[i]);
        /* Every second, each of which may be its last chance. */
        assert_in_range(effort.requests, 5, 8);
        assert_in_range(effort.opens + effort.requests, 5, 16);
        assert_int_equal(candidate.election.state, ELECTION_LEADING);
    }
}

static void a_leader_whose_answers_end_its_connections_leads_on(void **state)
{
    (void)state;
    struct candidate candidate = leader();
    struct effort effort = suffer(&candidate, 60000, &renews_and_hangs_up);
    assert_int_equal(candidate.election.state, ELECTION_LEADING);
    assert_in_range(effort.requests, 11, 12);
    assert_in_range(effort.opens, 10, 13);
}

static void a_release_is_tried_every_second_and_not_in_a_loop(void **state)
{
    (void)state;
    for (size_t i = 0; i < FAULT_COUNT; i++) {
        struct candidate candidate = leader();
        at(&candidate, 1000000 + 14348);
        happens(&candidate, EVENT_TREE_DEAD);
        assert_int_equal(candidate.election.state, ELECTION_RELEASING);
        happens(&candidate, EVENT_CLOSED);
        struct effort effort = suffer(&candidate, 60000, &faults[i]);
        assert_in_range(effort.requests, 55, 65);
        assert_in_range(effort.opens + effort.requests, 55, 130);
        assert_in_range(effort.notes, 55, 200);
    }
}

static void a_link_that_was_good_for_a_while_is_made_again_at_once(void **state)
{
    (void)state;
    struct candidate candidate = fresh();
    is_refused(&candidate, "v1");
    for (int i = 0; i < 10; i++) {
        happens(&candidate, EVENT_CLOSED);
        at(&candidate, wake_ms(&candidate) + 1);
    }
    happens(&candidate, EVENT_OPENED);
    is_refused(&candidate, "v1");
    candidate.now_ms += 1999;
    struct candidate young = candidate;
    happens(&young, EVENT_CLOSED);
    expect_none(&young, ACTION_OPEN);
    candidate.now_ms += 1;
    happens(&candidate, EVENT_CLOSED);
    expect(&candidate, ACTION_OPEN);
    happens(&candidate, EVENT_CLOSED);
    expect_none(&candidate, ACTION_OPEN);
    assert_in_range(wake_ms(&candidate) - candidate.now_ms, 100, 110);
}

static void errors_are_no_proof_of_a_good_link(void **state)
{
    (void)state;
    struct candidate candidate = fresh();
    for (int i = 0; i < 10; i++) {
        fails(&candidate, LEASE_FAILURE_TRANSIENT);
        at(&candidate, wake_ms(&candidate) + 1);
        expect_request(&candidate, LEASE_ACQUIRE);
    }
    fails(&candidate, LEASE_FAILURE_TRANSIENT);
    assert_in_range(wake_ms(&candidate) - candidate.now_ms, 5000, 5500);
    happens(&candidate, EVENT_CLOSED);
    expect_none(&candidate, ACTION_OPEN);
}

static void a_new_connection_does_not_shorten_the_pause_of_an_error(void **state)
{
    (void)state;
    struct candidate candidate = fresh();
    fails(&candidate, LEASE_FAILURE_TRANSIENT);
    happens(&candidate, EVENT_CLOSED);
    at(&candidate, candidate.now_ms + 500);
    happens(&candidate, EVENT_OPENED);
    expect_none_request(&candidate, LEASE_ACQUIRE);
    at(&candidate, candidate.now_ms + 499);
    expect_none_request(&candidate, LEASE_ACQUIRE);
    at(&candidate, candidate.now_ms + 1);
    expect_request(&candidate, LEASE_ACQUIRE);
}

/* Not even where each of them turns out to have been about something. */
static void pushes_without_end_do_not_make_it_ask_without_end(void **state)
{
    (void)state;
    struct candidate candidate = fresh();
    int requests = 0;
    is_refused(&candidate, "v1");
    for (int i = 0; i < 10000; i++) {
        is_pushed(&candidate, LEASE_FREE, "v2", 0);
        requests += find_request(&candidate, LEASE_ACQUIRE) != NULL;
        if (candidate.election.state == ELECTION_ACQUIRING) {
            is_refused(&candidate, requests % 2 == 0 ? "v1" : "v2");
            requests += find_request(&candidate, LEASE_ACQUIRE) != NULL;
        }
        candidate.now_ms += 1;
    }
    assert_in_range(requests, 50, 111);
}

/* A server that shows another version of our record at each release. */
static void a_release_that_always_comes_too_late_is_no_loop(void **state)
{
    (void)state;
    struct candidate candidate = leader();
    int requests = 0;
    happens(&candidate, EVENT_CHILD_EXIT);
    happens(&candidate, EVENT_TREE_DEAD);
    for (int i = 0; i < 1000 && candidate.election.state == ELECTION_RELEASING; i++) {
        char version[LEASE_NONCE_SIZE];
        if (find_request(&candidate, LEASE_RELEASE) != NULL) {
            requests++;
            snprintf(version, sizeof version, "v%d", i);
            replies(&candidate, answer(&candidate, LEASE_NOT_HELD, LEASE_HELD, ME, 100, version));
        } else {
            at(&candidate, wake_ms(&candidate) + 1);
        }
    }
    assert_int_equal(candidate.election.state, ELECTION_DONE);
    assert_in_range(requests, 10, 62);
}

/* ---- a connection that is merely slow ---- */

static void a_slow_connection_is_asked_again_and_given_up_at_the_second_time_out(void **state)
{
    (void)state;
    struct candidate candidate = leader();
    at(&candidate, 1000000 + 5000);
    expect_request(&candidate, LEASE_RENEW);
    at(&candidate, 1000000 + 7500);
    assert_true(was_told(&candidate, NOTE_RENEWAL_FAILED));
    expect_none(&candidate, ACTION_OPEN);
    expect_request(&candidate, LEASE_RENEW);
    /* The second time there is less time left: half of the 3848 ms until it has to stop. */
    at(&candidate, 1000000 + 9423);
    expect_none(&candidate, ACTION_OPEN);
    at(&candidate, 1000000 + 9424);
    expect(&candidate, ACTION_OPEN);
    expect_none_request(&candidate, LEASE_RENEW);
    happens(&candidate, EVENT_OPENED);
    expect_request(&candidate, LEASE_RENEW);
}

/* It stood still for 4 s and is well again: what was asked last counts, from when it was sent. */
static void the_answer_to_the_second_request_extends_from_its_send(void **state)
{
    (void)state;
    struct candidate candidate = leader();
    at(&candidate, 1000000 + 5000);
    struct lease_reply first = answer(&candidate, LEASE_RENEWED, LEASE_HELD, ME, 100,
                                      expect_request(&candidate, LEASE_RENEW)->nonce);
    at(&candidate, 1000000 + 7500);
    expect_request(&candidate, LEASE_RENEW);
    candidate.now_ms = 1000000 + 9400;
    replies(&candidate, first);
    expect_none(&candidate, ACTION_EXTEND);
    assert_string_not_equal(candidate.election.term.version, first.record.version);
    is_renewed(&candidate);
    assert_int_equal(expect(&candidate, ACTION_EXTEND)->run.deadlines.stop_at_ns,
                     (1007500 + 11348) * NS_PER_MS);
    assert_int_equal(wake_ms(&candidate), 1012500);
}

static void an_answer_makes_an_earlier_time_out_forgotten(void **state)
{
    (void)state;
    struct candidate candidate = leader();
    for (int64_t ms = 1005000; ms < 1060000; ms += 7500) {
        at(&candidate, ms);
        expect_request(&candidate, LEASE_RENEW);
        at(&candidate, ms + 2500);
        expect_none(&candidate, ACTION_OPEN);
        expect_request(&candidate, LEASE_RENEW);
        is_renewed(&candidate);
    }
}

/* Executed in the order in which they were sent, so the release finds what the renewal wrote. */
static void a_release_goes_out_behind_an_unanswered_renewal(void **state)
{
    (void)state;
    struct candidate candidate = leader();
    at(&candidate, 1000000 + 5000);
    expect_request(&candidate, LEASE_RENEW);
    happens(&candidate, EVENT_STOP);
    happens(&candidate, EVENT_TREE_DEAD);
    expect_none_request(&candidate, LEASE_RELEASE);
    /* In no hurry, since somebody else is to lead: the process lives on. */
    candidate.election.release.until_ns = INT64_MAX;
    at(&candidate, 1000000 + 7500);
    expect_none(&candidate, ACTION_OPEN);
    expect_request(&candidate, LEASE_RELEASE);
    assert_false(candidate.election.release.in_doubt);
}

/* ---- a connection that is dead, and does not say so ---- */

struct dead_link {
    int64_t ttl_ms;
    int64_t renew_ms; /* -1: the default, as for the other two */
    int64_t grace_ms;
    int64_t request_timeout_ms;
};

/* From the first renewal on nothing comes through; a fresh connection would do. */
static void check_dead_link(const struct dead_link *link)
{
    struct timing_request request = timing_request_of(link->ttl_ms);
    request.renew_ms = link->renew_ms;
    request.grace_ms = link->grace_ms;
    request.request_timeout_ms = link->request_timeout_ms;
    struct candidate candidate = fresh_timed((struct election_config){0}, request);
    const struct timing *timing = &candidate.election.config.timing;
    int64_t stop_ms = candidate.now_ms + timing->stop_after_ms;
    candidate.now_ms += 1;
    is_granted(&candidate, 100);

    at(&candidate, wake_ms(&candidate));
    const struct lease_request *renew = expect_request(&candidate, LEASE_RENEW);
    assert_in_range(wake_ms(&candidate) - candidate.now_ms, renew->patience_ms,
                    renew->patience_ms + 1);
    while (find(&candidate, ACTION_OPEN) == NULL && candidate.election.state == ELECTION_LEADING)
        at(&candidate, wake_ms(&candidate) + 1);
    expect(&candidate, ACTION_OPEN);
    /* A quarter of the time that there was is left, or a request's time-out. */
    int64_t left_ms = stop_ms - candidate.now_ms;
    if (left_ms < timing->request_timeout_ms)
        assert_true(left_ms >= timing->tolerated_outage_ms / 4);
    happens(&candidate, EVENT_OPENED);
    expect_request(&candidate, LEASE_RENEW);
    is_renewed(&candidate);
    expect(&candidate, ACTION_EXTEND);
}

static void a_dead_link_costs_no_term(void **state)
{
    static const struct dead_link links[] = {
        {15000, -1, -1, -1},      {15000, -1, 5000, -1}, {15000, -1, 7000, -1},
        {15000, 7000, -1, -1},    {15000, -1, 0, 6000},  {30000, -1, 10000, -1},
        {60000, -1, 20000, -1},   {60000, -1, -1, -1},   {300000, -1, 180000, -1},
        {3000, -1, -1, -1},       {1000, -1, -1, -1},    {15000, -1, -1, 6000},
        {86400000, -1, 1000, -1},
    };
    (void)state;
    for (size_t i = 0; i < sizeof links / sizeof *links; i++)
        check_dead_link(&links[i]);
}

static void a_link_that_is_known_to_be_slow_is_not_given_up_early(void **state)
{
    (void)state;
    struct timing_request request = timing_request_of(15000);
    request.grace_ms = 5000;
    struct candidate candidate = fresh_timed((struct election_config){0}, request);
    candidate.now_ms += 2200;
    is_granted(&candidate, 100);
    at(&candidate, wake_ms(&candidate));
    expect_request(&candidate, LEASE_RENEW);
    assert_int_equal(wake_ms(&candidate), 1000000 + 5000 + 2500);
}

/* The process ends: what is left of its time is shared out among three connections at least. */
static void a_release_at_a_stop_gets_a_fresh_connection_in_time(void **state)
{
    (void)state;
    struct candidate candidate = leader();
    happens(&candidate, EVENT_STOP);
    happens(&candidate, EVENT_TREE_DEAD);
    expect_request(&candidate, LEASE_RELEASE);
    int64_t began_ms = candidate.now_ms;
    at(&candidate, wake_ms(&candidate) + 1);
    assert_in_range(candidate.now_ms - began_ms, 1000, 5000 / 3 + 2);
    expect(&candidate, ACTION_OPEN);
    happens(&candidate, EVENT_OPENED);
    expect_request(&candidate, LEASE_RELEASE);
    at(&candidate, wake_ms(&candidate) + 1);
    expect(&candidate, ACTION_OPEN);
    assert_in_range(candidate.now_ms - began_ms, 2000, 3500);
    happens(&candidate, EVENT_OPENED);
    replies(&candidate, answer(&candidate, LEASE_RELEASED, LEASE_FREE, ME, 100, "v9"));
    assert_int_equal(expect(&candidate, ACTION_EXIT)->end, END_STOPPED);
}

/* With a time-out of 10 ms. */
static void connections_that_are_not_made_in_time_are_no_loop(void **state)
{
    (void)state;
    struct timing_request request = timing_request_of(15000);
    request.request_timeout_ms = 10;
    struct candidate candidate = fresh_timed((struct election_config){0}, request);
    int opens = 0;
    is_refused(&candidate, "v1");
    happens(&candidate, EVENT_CLOSED);
    for (int64_t until_ms = candidate.now_ms + 10000; candidate.now_ms < until_ms;) {
        at(&candidate, wake_ms(&candidate) + 1);
        opens += find(&candidate, ACTION_OPEN) != NULL;
    }
    assert_in_range(opens, 50, 101);
}

/* From then on no version but the known one may be released. */
static void an_unanswered_release_is_in_doubt_on_the_same_connection_too(void **state)
{
    (void)state;
    struct candidate candidate = leader();
    at(&candidate, 1000000 + 11348);
    happens(&candidate, EVENT_TREE_DEAD);
    expect_request(&candidate, LEASE_RELEASE);
    at(&candidate, 1000000 + 11348 + 2500);
    expect_none(&candidate, ACTION_OPEN);
    expect_request(&candidate, LEASE_RELEASE);
    assert_true(candidate.election.release.in_doubt);
    replies(&candidate, answer(&candidate, LEASE_NOT_HELD, LEASE_HELD, ME, 100, "v9"));
    assert_true(was_told(&candidate, NOTE_NOT_HELD));
}

/* The kernel repeats a lost packet after 1 s, 3 s, 7 s: too seldom for what is left. */
static void a_leader_connects_the_more_often_the_less_time_it_has(void **state)
{
    (void)state;
    struct candidate candidate = leader();
    int64_t longest_ms = 0;
    int opens = 0;

    happens(&candidate, EVENT_CLOSED);
    candidate.now_ms += 2;
    happens(&candidate, EVENT_OPENED);
    at(&candidate, 1000000 + 5000);
    at(&candidate, 1000000 + 7500);
    at(&candidate, 1000000 + 10000);
    expect(&candidate, ACTION_OPEN);
    for (int64_t last_ms = candidate.now_ms; candidate.election.state == ELECTION_LEADING;) {
        at(&candidate, wake_ms(&candidate) + 1);
        if (find(&candidate, ACTION_OPEN) == NULL)
            continue;
        opens++;
        if (last_ms >= 1000000 + 10800 && candidate.now_ms - last_ms > longest_ms)
            longest_ms = candidate.now_ms - last_ms;
        last_ms = candidate.now_ms;
    }
    assert_in_range(longest_ms, 100, 145);
    assert_in_range(opens, 5, 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_follower_tries_ever_more_seldom),
        cmocka_unit_test(a_leader_tries_until_its_deadline_and_not_in_a_loop),
        cmocka_unit_test(a_leader_whose_answers_end_its_connections_leads_on),
        cmocka_unit_test(a_release_is_tried_every_second_and_not_in_a_loop),
        cmocka_unit_test(a_link_that_was_good_for_a_while_is_made_again_at_once),
        cmocka_unit_test(errors_are_no_proof_of_a_good_link),
        cmocka_unit_test(a_new_connection_does_not_shorten_the_pause_of_an_error),
        cmocka_unit_test(pushes_without_end_do_not_make_it_ask_without_end),
        cmocka_unit_test(a_release_that_always_comes_too_late_is_no_loop),
        cmocka_unit_test(a_slow_connection_is_asked_again_and_given_up_at_the_second_time_out),
        cmocka_unit_test(the_answer_to_the_second_request_extends_from_its_send),
        cmocka_unit_test(an_answer_makes_an_earlier_time_out_forgotten),
        cmocka_unit_test(a_release_goes_out_behind_an_unanswered_renewal),
        cmocka_unit_test(a_dead_link_costs_no_term),
        cmocka_unit_test(a_link_that_is_known_to_be_slow_is_not_given_up_early),
        cmocka_unit_test(a_release_at_a_stop_gets_a_fresh_connection_in_time),
        cmocka_unit_test(connections_that_are_not_made_in_time_are_no_loop),
        cmocka_unit_test(an_unanswered_release_is_in_doubt_on_the_same_connection_too),
        cmocka_unit_test(a_leader_connects_the_more_often_the_less_time_it_has),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
