/* That the assertions at the end of a step can fail, each of them. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "candidate.h"

/* Whether a step of `candidate` ends its process with SIGABRT. */
static bool aborts(struct candidate candidate)
{
    int status;
    pid_t child = fork();

    assert_true(child >= 0);
    if (child == 0) {
        static const struct rlimit none = {0, 0};
        signal(SIGABRT, SIG_DFL);
        (void)setrlimit(RLIMIT_CORE, &none);
        (void)close(STDERR_FILENO);
        happens(&candidate, EVENT_TICK);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

static struct candidate stopping(void)
{
    struct candidate candidate = leader();
    happens(&candidate, EVENT_STOP);
    assert_int_equal(candidate.election.state, ELECTION_STOPPING);
    return candidate;
}

static struct candidate releasing(void)
{
    struct candidate candidate = stopping();
    happens(&candidate, EVENT_TREE_DEAD);
    assert_int_equal(candidate.election.state, ELECTION_RELEASING);
    return candidate;
}

static void nothing_is_wrong_with_a_good_candidate(void **state)
{
    (void)state;
    assert_false(aborts(fresh()));
    assert_false(aborts(leader()));
    assert_false(aborts(stopping()));
    assert_false(aborts(releasing()));
}

static void a_tree_without_a_term_is_found(void **state)
{
    (void)state;
    struct candidate candidate = fresh();
    candidate.election.term.tree = true;
    assert_true(aborts(candidate));
    candidate = releasing();
    candidate.election.term.tree = true;
    assert_true(aborts(candidate));
}

static void a_check_without_a_term_is_found(void **state)
{
    (void)state;
    struct candidate candidate = releasing();
    candidate.election.term.check = true;
    assert_true(aborts(candidate));
}

static void a_term_without_a_tree_is_found(void **state)
{
    (void)state;
    struct candidate candidate = leader();
    candidate.election.term.tree = false;
    assert_true(aborts(candidate));
}

static void a_term_without_a_token_of_its_own_is_found(void **state)
{
    (void)state;
    struct candidate candidate = leader();
    candidate.election.term.token = 0;
    candidate.election.follow.used_token = 0;
    assert_true(aborts(candidate));
    candidate = stopping();
    candidate.election.follow.used_token++;
    assert_true(aborts(candidate));
}

static void deadlines_out_of_order_are_found(void **state)
{
    (void)state;
    struct candidate candidate = leader();
    candidate.election.term.deadlines.kill_at_ns = candidate.election.term.deadlines.expires_at_ns;
    assert_true(aborts(candidate));
    candidate = leader();
    candidate.election.term.deadlines.stop_at_ns = candidate.election.term.deadlines.kill_at_ns + 1;
    assert_true(aborts(candidate));
}

static void a_request_that_does_not_fit_is_found(void **state)
{
    static const enum session_request wrong_for_leaders[] = {REQUEST_ACQUIRE, REQUEST_CLAIM,
                                                             REQUEST_RELEASE};
    (void)state;
    for (size_t i = 0; i < sizeof wrong_for_leaders / sizeof *wrong_for_leaders; i++) {
        struct candidate candidate = leader();
        candidate.election.session.pending.kind = wrong_for_leaders[i];
        candidate.election.session.pending.sent_ns = candidate.election.now_ns;
        assert_true(aborts(candidate));
    }
    struct candidate candidate = fresh();
    candidate.election.session.pending.kind = REQUEST_RENEW;
    assert_true(aborts(candidate));
    candidate = releasing();
    candidate.election.session.pending.kind = REQUEST_ACQUIRE;
    assert_true(aborts(candidate));
    candidate = fresh();
    candidate.election.session.link = LINK_DOWN;
    assert_true(aborts(candidate));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_wrong_with_a_good_candidate),
        cmocka_unit_test(a_tree_without_a_term_is_found),
        cmocka_unit_test(a_check_without_a_term_is_found),
        cmocka_unit_test(a_term_without_a_tree_is_found),
        cmocka_unit_test(a_term_without_a_token_of_its_own_is_found),
        cmocka_unit_test(deadlines_out_of_order_are_found),
        cmocka_unit_test(a_request_that_does_not_fit_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
