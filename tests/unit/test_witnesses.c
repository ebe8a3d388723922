/* Witnesses that are asked together, and what their votes say. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fake_sentinel.h"
#include "loop_until.h"
#include "redis/placements.h"
#include "redis/witnesses.h"

#define SENTINELS 3

struct fixture {
    uv_loop_t loop;
    struct fake_sentinel sentinels[SENTINELS];
    struct redis_target target;
    struct witnesses *witnesses;
    struct route_hop hop;
    uint64_t poll; /* whose votes are counted */
    int count;     /* of them */
    int wanted;    /* as many are waited for */
    struct lease_vote votes[16];
    bool frees;
};

static void on_vote(void *context, const struct lease_vote *vote)
{
    struct fixture *f = context;

    assert_true(vote->witness < vote->electorate);
    assert_int_equal(vote->poll, f->poll);
    assert_true(f->count < 16);
    f->votes[f->count++] = *vote;
    if (f->frees) {
        witnesses_free(f->witnesses);
        f->witnesses = NULL;
    }
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    assert_non_null(f);
    assert_int_equal(uv_loop_init(&f->loop), 0);
    for (int i = 0; i < SENTINELS; i++)
        fake_sentinel_start(&f->sentinels[i], &f->loop, (char)('1' + i));
    for (int i = 0; i < SENTINELS; i++)
        for (int j = 0, n = 0; j < SENTINELS; j++)
            if (j != i)
                f->sentinels[i].peers[n++] = &f->sentinels[j];
    snprintf(f->hop.host, sizeof f->hop.host, "127.0.0.1");
    snprintf(f->hop.port, sizeof f->hop.port, "6379");
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    witnesses_free(f->witnesses);
    for (int i = 0; i < SENTINELS; i++)
        fake_server_stop(&f->sentinels[i].server);
    loop_end(&f->loop);
    redis_target_clear(&f->target);
    free(f);
    return 0;
}

/* With the first `count` of them configured. */
static void begin(struct fixture *f, int count)
{
    const struct witnesses_config config = {.loop = &f->loop,
                                            .target = &f->target,
                                            .timeout_ms = 300,
                                            .on_vote = on_vote,
                                            .context = f};
    char text[128], error[300];

    for (int i = 0; i < count; i++) {
        snprintf(text, sizeof text, "redis+sentinel://127.0.0.1:%d/lab",
                 f->sentinels[i].server.port);
        assert_int_equal(redis_target_add(&f->target, text, error, sizeof error), 0);
    }
    assert_int_equal(witnesses_new(&f->witnesses, &config), 0);
    witnesses_link(f->witnesses, &f->hop);
    witnesses_start(f->witnesses);
    witnesses_start(f->witnesses);
}

static bool has_votes(void *context)
{
    const struct fixture *f = context;

    return f->count >= f->wanted;
}

static void poll(struct fixture *f, int wanted)
{
    f->poll++;
    f->count = 0;
    f->wanted = wanted;
    witnesses_poll(f->witnesses, f->poll);
    loop_until(&f->loop, has_votes, f);
}

static void all_that_are_told_of_are_asked(void **state)
{
    struct fixture *f = *state;
    unsigned voted = 0;

    begin(f, 1);
    poll(f, 3);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(f->votes[i].electorate, 3);
        assert_true(f->votes[i].here);
        assert_int_equal(f->votes[i].epoch, 1);
        assert_int_equal(f->votes[i].placement, f->votes[0].placement);
        voted |= 1U << f->votes[i].witness;
    }
    assert_int_equal(voted, 7);
    assert_true(f->votes[0].placement != 0);
    /* On the connections that there are. */
    poll(f, 3);
    for (int i = 0; i < SENTINELS; i++) {
        assert_int_equal(f->sentinels[i].server.accepted, 1);
        assert_int_equal(f->sentinels[i].questions, 2);
    }
}

static void an_address_is_another_placement_in_another_epoch(void **state)
{
    struct fixture *f = *state;
    uint64_t first;

    begin(f, 3);
    poll(f, 3);
    first = f->votes[0].placement;
    for (int i = 0; i < SENTINELS; i++)
        f->sentinels[i].epoch = 2;
    poll(f, 3);
    assert_true(f->votes[0].placement != first && f->votes[0].here);
    assert_int_equal(f->votes[0].epoch, 2);
    for (int i = 0; i < SENTINELS; i++)
        f->sentinels[i].host = "127.0.0.2";
    poll(f, 3);
    assert_false(f->votes[0].here);
    assert_true(f->votes[0].placement != 0);
    for (int i = 0; i < SENTINELS; i++) {
        f->sentinels[i].host = "127.0.0.1";
        f->sentinels[i].epoch = 1;
    }
    poll(f, 3);
    assert_int_equal(f->votes[2].placement, first);
}

static void a_link_by_name_goes_to_what_was_found_for_the_name(void **state)
{
    struct fixture *f = *state;

    snprintf(f->hop.host, sizeof f->hop.host, "Master");
    snprintf(f->hop.number, sizeof f->hop.number, "127.0.0.1");
    begin(f, 1);
    poll(f, 3);
    assert_true(f->votes[0].here);
    for (int i = 0; i < SENTINELS; i++)
        f->sentinels[i].host = "master";
    poll(f, 3);
    assert_true(f->votes[0].here);
    witnesses_link(f->witnesses, NULL);
    poll(f, 3);
    assert_false(f->votes[0].here);
}

static void one_that_knows_nothing_says_so(void **state)
{
    struct fixture *f = *state;

    begin(f, 3);
    f->sentinels[1].host = NULL;
    poll(f, 3);
    int silent = 0;
    for (int i = 0; i < 3; i++)
        silent += f->votes[i].placement == 0 && !f->votes[i].here;
    assert_int_equal(silent, 1);
}

static void those_that_are_configured_count_though_they_are_down(void **state)
{
    struct fixture *f = *state;

    for (int i = 0; i < SENTINELS; i++)
        f->sentinels[i].peers[0] = NULL;
    fake_server_stop(&f->sentinels[1].server);
    fake_server_stop(&f->sentinels[2].server);
    begin(f, 3);
    poll(f, 1);
    assert_int_equal(f->votes[0].electorate, 3);
}

/* Two addresses of one sentinel are one witness. */
static void one_that_is_configured_twice_counts_once(void **state)
{
    struct fixture *f = *state;

    f->sentinels[1].digit = f->sentinels[0].digit;
    for (int i = 0; i < SENTINELS; i++)
        f->sentinels[i].peers[0] = NULL;
    begin(f, 2);
    poll(f, 2);
    poll(f, 2);
    assert_int_equal(f->votes[0].electorate, 1);
    assert_int_equal(f->votes[1].witness, f->votes[0].witness);
}

static bool has_voted_thrice(void *context)
{
    return ((struct fixture *)context)->count >= 3;
}

static void one_that_comes_back_answers_the_latest_poll(void **state)
{
    struct fixture *f = *state;

    begin(f, 3);
    poll(f, 3);
    f->sentinels[2].mute = true;
    fake_server_hang_up(&f->sentinels[2].server);
    poll(f, 2);
    poll(f, 2);
    assert_false(loop_wait(&f->loop, has_voted_thrice, f, 50));
    f->sentinels[2].mute = false;
    loop_until(&f->loop, has_voted_thrice, f);
    assert_int_equal(f->votes[2].electorate, 3);
    assert_true(f->sentinels[2].server.accepted > 1);
}

/* What was asked before a poll says nothing about it: on_vote would see the wrong number. */
static void an_answer_to_an_earlier_poll_is_asked_for_again(void **state)
{
    struct fixture *f = *state;

    for (int i = 0; i < SENTINELS; i++)
        f->sentinels[i].peers[0] = NULL;
    begin(f, 1);
    poll(f, 1);
    witnesses_poll(f->witnesses, ++f->poll);
    poll(f, 1);
    assert_int_equal(f->votes[0].poll, 3);
    assert_false(loop_wait(&f->loop, has_voted_thrice, f, 30));
    assert_int_equal(f->count, 1);
    assert_int_equal(f->sentinels[0].questions, 3);
}

static void whoever_hears_a_vote_may_let_them_go(void **state)
{
    struct fixture *f = *state;

    begin(f, 3);
    f->frees = true;
    poll(f, 1);
    assert_null(f->witnesses);
}

static void a_placement_that_was_forgotten_is_a_new_one(void **state)
{
    struct placements placements = {0};
    struct place place = {.host = "h", .port = "1"};
    uint64_t first = placements_number(&placements, &place, 1);

    (void)state;
    assert_true(first != 0);
    for (uint64_t epoch = 2; epoch <= PLACEMENTS_KEPT; epoch++)
        assert_true(placements_number(&placements, &place, epoch) == epoch);
    assert_true(placements_number(&placements, &place, 1) == first);
    assert_true(placements_number(&placements, &place, 0) == PLACEMENTS_KEPT + 1);
    /* The one that was not met for longest is gone. */
    assert_true(placements_number(&placements, &place, 2) == PLACEMENTS_KEPT + 2);
    assert_true(placements_number(&placements, &place, 1) == first);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(all_that_are_told_of_are_asked, setup, teardown),
        cmocka_unit_test_setup_teardown(an_address_is_another_placement_in_another_epoch, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_link_by_name_goes_to_what_was_found_for_the_name, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(one_that_knows_nothing_says_so, setup, teardown),
        cmocka_unit_test_setup_teardown(those_that_are_configured_count_though_they_are_down, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(one_that_is_configured_twice_counts_once, setup, teardown),
        cmocka_unit_test_setup_teardown(one_that_comes_back_answers_the_latest_poll, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(an_answer_to_an_earlier_poll_is_asked_for_again, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(whoever_hears_a_vote_may_let_them_go, setup, teardown),
        cmocka_unit_test(a_placement_that_was_forgotten_is_a_new_one),
    };

    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests_name("witnesses", tests, NULL, NULL);
}
