/* What an operator wishes: who leads ends the term by itself, who stands by lets it be. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "candidate.h"

#define PENALTY_MS 30000

static const struct {
    enum lease_wish_kind wish;
    enum election_end end;
} wishes[] = {
    {LEASE_WISH_PAUSED, END_PAUSED},
    {LEASE_WISH_CORDONED, END_CORDONED},
    {LEASE_WISH_STEP_DOWN, END_ASKED},
};

#define WISHES (sizeof wishes / sizeof wishes[0])

static void is_renewed_with(struct candidate *candidate, enum lease_wish_kind wish)
{
    struct lease_reply reply =
        answer(candidate, LEASE_RENEWED, LEASE_HELD, ME, candidate->election.term.token,
               candidate->election.session.pending.nonce);

    reply.wish.kind = wish;
    replies(candidate, reply);
}

static void is_refused_with(struct candidate *candidate, enum lease_wish_kind wish, int64_t left_ms)
{
    struct lease_reply reply = answer(candidate, LEASE_REFUSED, LEASE_FREE, OTHER, 7, "v1");

    reply.wish = (struct lease_wish){.kind = wish, .left_ms = left_ms};
    replies(candidate, reply);
}

static struct candidate leader_whose_command_ended_for(enum lease_wish_kind wish,
                                                       struct election_config config)
{
    struct candidate candidate = leader_with(config);

    at(&candidate, wake_ms(&candidate));
    expect_request(&candidate, LEASE_RENEW);
    is_renewed_with(&candidate, wish);
    happens(&candidate, EVENT_TREE_DEAD);
    return candidate;
}

static void is_released(struct candidate *candidate)
{
    expect_request(candidate, LEASE_RELEASE);
    replies(candidate, answer(candidate, LEASE_RELEASED, LEASE_FREE, ME, 100, "v9"));
}

/* The renewal counts: what is left of the term is a whole one, for the command to end in. */
static void a_leader_ends_its_term_by_itself(void **state)
{
    (void)state;
    for (size_t i = 0; i < WISHES; i++) {
        struct candidate candidate = leader();
        at(&candidate, wake_ms(&candidate));
        is_renewed_with(&candidate, wishes[i].wish);
        expect(&candidate, ACTION_EXTEND);
        expect(&candidate, ACTION_STOP_TREE);
        assert_int_equal(expect_note(&candidate, NOTE_TERM_ENDING)->end, wishes[i].end);
        assert_int_equal(expect_note(&candidate, NOTE_TERM_ENDING)->wish.kind, wishes[i].wish);
        happens(&candidate, EVENT_TREE_DEAD);
        assert_int_equal(expect_send(&candidate, LEASE_RELEASE)->end, wishes[i].end);
        is_released(&candidate);
        expect_none(&candidate, ACTION_EXIT);
    }
}

static void a_job_that_was_stopped_so_is_over(void **state)
{
    (void)state;
    for (size_t i = 0; i < WISHES; i++) {
        struct candidate candidate = leader_whose_command_ended_for(
            wishes[i].wish, (struct election_config){.once = true, .wait_ms = 60000});
        is_released(&candidate);
        assert_int_equal(expect(&candidate, ACTION_EXIT)->end, wishes[i].end);
    }
}

static void the_grace_goes_on_whatever_else_is_heard(void **state)
{
    (void)state;
    struct candidate candidate = leader();
    at(&candidate, wake_ms(&candidate));
    is_renewed_with(&candidate, LEASE_WISH_PAUSED);
    assert_int_equal(candidate.election.state, ELECTION_STOPPING);
    happens(&candidate, EVENT_TICK);
    expect_none(&candidate, ACTION_KILL_TREE);
    happens(&candidate, EVENT_STOP);
    assert_int_equal(candidate.election.end, END_PAUSED);
    happens(&candidate, EVENT_TREE_DEAD);
    is_released(&candidate);
    assert_int_equal(expect(&candidate, ACTION_EXIT)->end, END_STOPPED);
}

static void who_is_paused_or_cordoned_asks_on(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct candidate candidate = leader_whose_command_ended_for(
            wishes[i].wish, (struct election_config){.penalty_ms = PENALTY_MS});
        is_released(&candidate);
        expect_request(&candidate, LEASE_ACQUIRE);
        is_refused_with(&candidate, wishes[i].wish, 0);
        assert_int_equal(expect_note(&candidate, NOTE_WAITING)->refusal.wish.kind, wishes[i].wish);
        expect_none_request(&candidate, LEASE_ACQUIRE);
        assert_in_range(wake_ms(&candidate) - candidate.now_ms, 4500, 5500);
        is_pushed(&candidate, LEASE_FREE, "v2", -1);
        at(&candidate, candidate.now_ms + 51);
        expect_request(&candidate, LEASE_ACQUIRE);
    }
}

static void who_stepped_down_lets_another_one_lead(void **state)
{
    (void)state;
    struct candidate candidate = leader_whose_command_ended_for(
        LEASE_WISH_STEP_DOWN, (struct election_config){.penalty_ms = PENALTY_MS});
    is_released(&candidate);
    expect(&candidate, ACTION_WATCH);
    assert_int_equal(expect_note(&candidate, NOTE_STAND_BACK)->delay_ms, PENALTY_MS);
    expect_none_request(&candidate, LEASE_ACQUIRE);
    int64_t back_ms = candidate.now_ms + PENALTY_MS;
    is_pushed(&candidate, LEASE_FREE, "v2", -1);
    at(&candidate, back_ms - 1);
    expect_none_request(&candidate, LEASE_ACQUIRE);
    at(&candidate, back_ms);
    expect_request(&candidate, LEASE_ACQUIRE);
}

static void is_pushed_with(struct candidate *candidate, uint64_t token)
{
    struct lease_event push = {
        .state = LEASE_HELD, .token = token, .ttl_ms = 15000, .listeners = -1};

    step(candidate, (struct election_event){.kind = EVENT_PUSH, .push = &push});
}

/* From then on it is one candidate among others. Its own term, heard of late, is none. */
static void when_another_one_leads_nobody_stands_back(void **state)
{
    (void)state;
    struct candidate candidate = leader_whose_command_ended_for(
        LEASE_WISH_STEP_DOWN, (struct election_config){.penalty_ms = INT64_C(10) * PENALTY_MS});
    is_released(&candidate);
    is_pushed_with(&candidate, 100);
    at(&candidate, candidate.now_ms + PENALTY_MS);
    expect_none_request(&candidate, LEASE_ACQUIRE);
    is_pushed_with(&candidate, 101);
    for (int i = 0; i < 3 && find_request(&candidate, LEASE_ACQUIRE) == NULL; i++)
        at(&candidate, wake_ms(&candidate));
    expect_request(&candidate, LEASE_ACQUIRE);
}

/* Else a command that fails here would be started here again, as soon as another one has failed. */
static void who_failed_stands_back_whoever_leads(void **state)
{
    (void)state;
    struct candidate candidate = leader_with((struct election_config){
        .penalty_ms = PENALTY_MS, .restart = RESTART_ALWAYS, .max_restarts = 1});
    ends(&candidate, true);
    is_released(&candidate);
    int64_t back_ms = candidate.now_ms + PENALTY_MS;
    is_pushed_with(&candidate, 101);
    at(&candidate, back_ms - 1);
    expect_none_request(&candidate, LEASE_ACQUIRE);
}

static void what_ends_by_itself_is_asked_about_then(void **state)
{
    (void)state;
    struct candidate candidate = fresh();
    is_refused_with(&candidate, LEASE_WISH_STEP_DOWN, 1234);
    assert_int_equal(expect_note(&candidate, NOTE_WAITING)->refusal.takeover_at_ns,
                     (candidate.now_ms + 1234) * NS_PER_MS);
    at(&candidate, candidate.now_ms + 1233);
    expect_none_request(&candidate, LEASE_ACQUIRE);
    at(&candidate, candidate.now_ms + 1);
    expect_request(&candidate, LEASE_ACQUIRE);
}

/* The observation ripens meanwhile, and each question carries it; nobody is granted anything. */
static void a_pause_is_no_loop_of_questions(void **state)
{
    (void)state;
    struct candidate candidate = fresh_with((struct election_config){.server_clock = true});
    int questions = 0;
    int64_t until_ms = candidate.now_ms + 150000;

    while (candidate.now_ms < until_ms) {
        if (find_request(&candidate, LEASE_ACQUIRE) != NULL) {
            questions++;
            struct lease_reply reply =
                answer(&candidate, LEASE_REFUSED, LEASE_HELD, OTHER, 7, "v1");
            reply.record.age_ms = 60000;
            reply.wish.kind = LEASE_WISH_PAUSED;
            replies(&candidate, reply);
        }
        at(&candidate, wake_ms(&candidate) + 1);
    }
    assert_in_range(questions, 27, 34);
}

static void a_job_does_not_wait_for_a_pause_to_end(void **state)
{
    (void)state;
    struct candidate candidate = fresh_with((struct election_config){.once = true});
    is_refused_with(&candidate, LEASE_WISH_PAUSED, 0);
    assert_int_equal(expect(&candidate, ACTION_EXIT)->end, END_BUSY);
    assert_int_equal(expect_note(&candidate, NOTE_BUSY)->refusal.wish.kind, LEASE_WISH_PAUSED);
}

/* A grant whose answer was lost is found again when nobody is to lead any more. */
static void what_is_claimed_under_a_wish_is_given_back(void **state)
{
    (void)state;
    struct candidate candidate = fresh();
    is_refused(&candidate, "v1");
    at(&candidate, wake_ms(&candidate) + 1);
    expect_request(&candidate, LEASE_ACQUIRE);
    replies(&candidate, answer(&candidate, LEASE_REFUSED, LEASE_HELD, ME, 50, "v2"));
    expect_request(&candidate, LEASE_RENEW);
    struct lease_reply reply = answer(&candidate, LEASE_RENEWED, LEASE_HELD, ME, 50,
                                      candidate.election.session.pending.nonce);
    reply.wish.kind = LEASE_WISH_PAUSED;
    replies(&candidate, reply);
    expect_none(&candidate, ACTION_START);
    assert_int_equal(expect_send(&candidate, LEASE_RELEASE)->end, END_PAUSED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_leader_ends_its_term_by_itself),
        cmocka_unit_test(a_job_that_was_stopped_so_is_over),
        cmocka_unit_test(the_grace_goes_on_whatever_else_is_heard),
        cmocka_unit_test(who_is_paused_or_cordoned_asks_on),
        cmocka_unit_test(who_stepped_down_lets_another_one_lead),
        cmocka_unit_test(when_another_one_leads_nobody_stands_back),
        cmocka_unit_test(who_failed_stands_back_whoever_leads),
        cmocka_unit_test(what_ends_by_itself_is_asked_about_then),
        cmocka_unit_test(a_pause_is_no_loop_of_questions),
        cmocka_unit_test(a_job_does_not_wait_for_a_pause_to_end),
        cmocka_unit_test(what_is_claimed_under_a_wish_is_given_back),
    };

    return cmocka_run_group_tests_name("election_wishes", tests, NULL, NULL);
}
