/* --wait-replicas: an answer counts when WAIT, right behind the script, has said enough. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fake_server.h"
#include "leaderwrap/redis/store.h"
#include "loop_until.h"
#include "script_answer.h"

#define TIMEOUT_MS  900
#define PATIENCE_MS 500

struct fixture {
    struct fake_server server; /* first */
    uv_loop_t loop;
    struct redis_target target;
    struct store *store;
    bool opened;
    int answers;
    int closed;
    struct lease_reply answer;
    uint64_t requests;
    /* What the server says; NULL: nothing. */
    const char *script;
    const char *whole; /* to EVAL */
    const char *wait;
    int evals;
    int waits;
    char asked[64]; /* the last WAIT */
};

static const char *respond(struct fake_server *server)
{
    struct fixture *f = (struct fixture *)server;

    if (strncmp(server->last, "WAIT ", 5) == 0) {
        f->waits++;
        snprintf(f->asked, sizeof f->asked, "%s", server->last);
        return f->wait;
    }
    bool whole = strncmp(server->last, "EVAL ", 5) == 0;

    f->evals += whole;
    return whole && f->whole != NULL ? f->whole : f->script;
}

static void on_open(void *context)
{
    ((struct fixture *)context)->opened = true;
}

static void on_closed(void *context, enum lease_failure failure, const char *why)
{
    (void)failure;
    (void)why;
    ((struct fixture *)context)->closed++;
}

static void on_reply(void *context, const struct lease_reply *answer)
{
    struct fixture *f = context;

    f->answers++;
    f->answer = *answer;
}

static bool is_open(void *context)
{
    return ((struct fixture *)context)->opened;
}

static bool is_answered(void *context)
{
    struct fixture *f = context;

    return f->answers + f->closed > 0;
}

static bool has_waited(void *context)
{
    return ((struct fixture *)context)->waits > 0;
}

static int setup_for(void **state, int replicas)
{
    struct fixture *f = calloc(1, sizeof *f);
    char url[64], error[256];

    assert_non_null(f);
    assert_int_equal(uv_loop_init(&f->loop), 0);
    fake_server_start(&f->server, &f->loop);
    f->server.respond = respond;
    snprintf(url, sizeof url, "redis://127.0.0.1:%d", f->server.port);
    assert_int_equal(redis_target_add(&f->target, url, error, sizeof error), 0);
    const struct store_config config = {
        .loop = &f->loop,
        .target = &f->target,
        .key = "job",
        .id = "anna#0000000000000001",
        .name = "anna",
        .ttl_ms = 1000,
        .timeout_ms = TIMEOUT_MS,
        .wait_replicas = replicas,
        .callbacks = {.on_open = on_open, .on_closed = on_closed, .on_reply = on_reply},
        .context = f,
    };
    assert_int_equal(store_new(&f->store, &config), 0);
    store_open(f->store);
    loop_until(&f->loop, is_open, f);
    *state = f;
    return 0;
}

static int setup(void **state)
{
    return setup_for(state, 2);
}

static int setup_without(void **state)
{
    return setup_for(state, 0);
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    store_free(f->store);
    fake_server_stop(&f->server);
    loop_end(&f->loop);
    redis_target_clear(&f->target);
    free(f);
    return 0;
}

static void send_off(struct fixture *f, enum lease_request_kind kind)
{
    const struct lease_request request = {.kind = kind,
                                          .number = ++f->requests,
                                          .nonce = "0123456789abcdef",
                                          .patience_ms = PATIENCE_MS};

    f->answers = f->waits = 0;
    store_send(f->store, &request);
}

static void ask(struct fixture *f, enum lease_request_kind kind)
{
    send_off(f, kind);
    loop_until(&f->loop, is_answered, f);
    assert_int_equal(f->answers, 1);
    assert_int_equal(f->answer.request, f->requests);
}

static void enough_replicas_make_it_count(void **state)
{
    struct fixture *f = *state;
    char expected[64];

    f->script = SCRIPT_GRANTED;
    f->wait = ":2\r\n";
    ask(f, LEASE_ACQUIRE);
    assert_int_equal(f->answer.verdict, LEASE_GRANTED);
    assert_int_equal(f->answer.before, LEASE_FREE);
    snprintf(expected, sizeof expected, "WAIT 2 %d", PATIENCE_MS / 2);
    assert_string_equal(f->asked, expected);
    f->script = SCRIPT_RENEWED;
    f->wait = ":3\r\n";
    ask(f, LEASE_RENEW);
    assert_int_equal(f->answer.verdict, LEASE_RENEWED);
    assert_int_equal(f->answer.record.token, 7);
}

static void too_few_replicas_make_it_a_failure(void **state)
{
    struct fixture *f = *state;

    f->wait = ":1\r\n";
    for (int kind = LEASE_ACQUIRE; kind <= LEASE_RENEW; kind++) {
        f->script = kind == LEASE_ACQUIRE ? SCRIPT_GRANTED : SCRIPT_RENEWED;
        ask(f, (enum lease_request_kind)kind);
        assert_int_equal(f->answer.verdict, LEASE_FAILED);
        assert_int_equal(f->answer.failure, LEASE_FAILURE_TRANSIENT);
        assert_string_equal(f->answer.text, "only 1 of the 2 replicas that --wait-replicas asks "
                                            "for have the lease");
    }
}

static void nothing_counts_before_they_have_said_so(void **state)
{
    struct fixture *f = *state;

    f->script = SCRIPT_GRANTED;
    f->wait = NULL;
    send_off(f, LEASE_ACQUIRE);
    loop_until(&f->loop, has_waited, f);
    assert_false(loop_wait(&f->loop, is_answered, f, 50));
    /* Of a connection that is given up nothing comes any more. */
    store_close(f->store);
    assert_false(loop_wait(&f->loop, is_answered, f, 50));
}

static void what_changes_nothing_needs_none(void **state)
{
    struct fixture *f = *state;

    f->script = SCRIPT_REFUSED;
    f->wait = ":0\r\n";
    ask(f, LEASE_ACQUIRE);
    assert_int_equal(f->answer.verdict, LEASE_REFUSED);
    f->script = SCRIPT_LOST;
    f->wait = NULL;
    ask(f, LEASE_RENEW);
    assert_int_equal(f->answer.verdict, LEASE_LOST);
}

static void a_release_waits_for_nobody(void **state)
{
    struct fixture *f = *state;

    f->script = SCRIPT_RELEASED;
    ask(f, LEASE_RELEASE);
    assert_int_equal(f->answer.verdict, LEASE_RELEASED);
    assert_int_equal(f->waits, 0);
}

/* Whoever may not wait can never lead, and hears it with the first answer. */
static void a_refused_wait_is_told_at_once(void **state)
{
    struct fixture *f = *state;

    f->script = SCRIPT_REFUSED;
    f->wait = "-NOPERM this user has no permissions to run the 'wait' command\r\n";
    ask(f, LEASE_ACQUIRE);
    assert_int_equal(f->answer.verdict, LEASE_FAILED);
    assert_int_equal(f->answer.failure, LEASE_FAILURE_CONFIGURATION);
    assert_non_null(strstr(f->answer.text, "+wait"));
    f->wait = "+OK\r\n";
    ask(f, LEASE_ACQUIRE);
    assert_int_equal(f->answer.failure, LEASE_FAILURE_TRANSIENT);
    assert_non_null(strstr(f->answer.text, "no lease record"));
}

/* Else a WAIT behind what is not run would take all the time that there is. */
static void each_script_is_sent_whole_until_it_was_run(void **state)
{
    struct fixture *f = *state;

    f->wait = ":2\r\n";
    f->script = SCRIPT_GRANTED;
    ask(f, LEASE_ACQUIRE);
    assert_int_equal(f->evals, 1);
    ask(f, LEASE_ACQUIRE);
    assert_int_equal(f->evals, 1);
    f->script = "-LOADING Redis is loading the dataset in memory\r\n";
    ask(f, LEASE_RENEW);
    assert_int_equal(f->evals, 2);
    f->script = SCRIPT_RENEWED;
    ask(f, LEASE_RENEW);
    assert_int_equal(f->evals, 3);
    ask(f, LEASE_RENEW);
    assert_int_equal(f->evals, 3);
    f->script = SCRIPT_RELEASED;
    ask(f, LEASE_RELEASE);
    assert_int_equal(f->evals, 3);
}

/* The first WAIT is of a script that was not run: the server has forgotten it. */
static void a_script_that_is_sent_twice_is_waited_for_twice(void **state)
{
    struct fixture *f = *state;

    f->script = SCRIPT_REFUSED;
    f->wait = ":2\r\n";
    ask(f, LEASE_ACQUIRE);
    f->script = "-NOSCRIPT No matching script.\r\n";
    f->whole = SCRIPT_GRANTED;
    f->wait = ":2\r\n";
    ask(f, LEASE_ACQUIRE);
    assert_int_equal(f->answer.verdict, LEASE_GRANTED);
    assert_int_equal(f->waits, 2);
    f->whole = NULL;
    f->wait = ":0\r\n";
    f->script = SCRIPT_RENEWED;
    ask(f, LEASE_RENEW);
    assert_int_equal(f->answer.verdict, LEASE_FAILED);
    assert_int_equal(f->waits, 1);
}

static void an_error_is_one_without_waiting(void **state)
{
    struct fixture *f = *state;

    f->script = "-READONLY You can't write against a read only replica.\r\n";
    f->wait = NULL;
    ask(f, LEASE_ACQUIRE);
    assert_int_equal(f->answer.failure, LEASE_FAILURE_ROLE);
}

static void nobody_waits_unasked(void **state)
{
    struct fixture *f = *state;

    f->script = SCRIPT_GRANTED;
    ask(f, LEASE_ACQUIRE);
    assert_int_equal(f->answer.verdict, LEASE_GRANTED);
    assert_int_equal(f->waits, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(enough_replicas_make_it_count),
        TEST(too_few_replicas_make_it_a_failure),
        TEST(nothing_counts_before_they_have_said_so),
        TEST(what_changes_nothing_needs_none),
        TEST(a_release_waits_for_nobody),
        TEST(a_refused_wait_is_told_at_once),
        TEST(each_script_is_sent_whole_until_it_was_run),
        TEST(a_script_that_is_sent_twice_is_waited_for_twice),
        TEST(an_error_is_one_without_waiting),
        cmocka_unit_test_setup_teardown(nobody_waits_unasked, setup_without, teardown),
    };

    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
