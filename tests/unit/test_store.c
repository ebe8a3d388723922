/* The lease in a real server: every branch of the scripts, and what goes wrong around them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "fake_server.h"
#include "leaderwrap/redis/store.h"
#include "loop_until.h"
#include "redis_server.h"

#define KEY     "job"
#define TERM    "{job}:term"
#define HISTORY "{job}:history"
#define ANNA    "anna#0000000000000001"
#define BERT    "bert#0000000000000002"
#define TTL     10000

static struct redis_server server;

/* One candidate with its store; answers are waited for one at a time. */
struct candidate {
    uv_loop_t loop;
    struct redis_target target;
    struct store_config config;
    struct store *store;
    int opened;
    int closed;
    enum lease_failure failure;
    char why[1024];
    int answers;
    uint64_t requests;
    uint64_t epoch;
    struct lease_reply answer;
    char nonce[LEASE_NONCE_SIZE];
    char version[LEASE_NONCE_SIZE]; /* what it last wrote and knows of */
};

static void on_open(void *context)
{
    ((struct candidate *)context)->opened++;
}

static void on_closed(void *context, enum lease_failure failure, const char *why)
{
    struct candidate *c = context;

    c->closed++;
    c->failure = failure;
    snprintf(c->why, sizeof c->why, "%s", why);
}

static void on_reply(void *context, const struct lease_reply *answer)
{
    struct candidate *c = context;

    c->answers++;
    c->answer = *answer;
}

static bool is_settled(void *context)
{
    struct candidate *c = context;

    return c->opened + c->closed > 0;
}

static bool is_closed(void *context)
{
    return ((struct candidate *)context)->closed > 0;
}

static bool is_answered(void *context)
{
    struct candidate *c = context;

    return c->answers + c->closed > 0;
}

static void prepare(struct candidate *c, const char *id)
{
    memset(c, 0, sizeof *c);
    assert_int_equal(uv_loop_init(&c->loop), 0);
    c->target.url.is_unix = true;
    c->target.url.path = strdup(server.socket);
    c->config = (struct store_config){
        .loop = &c->loop,
        .target = &c->target,
        .key = KEY,
        .id = id,
        .name = strcmp(id, ANNA) == 0 ? "anna" : "bert",
        .command = strcmp(id, ANNA) == 0 ? "a0a0" : NULL,
        .about = "{\"host\":\"h1\"}",
        .ttl_ms = TTL,
        .callbacks = {.on_open = on_open, .on_closed = on_closed, .on_reply = on_reply},
        .context = c,
    };
}

static void connect_up(struct candidate *c)
{
    if (c->store == NULL)
        assert_int_equal(store_new(&c->store, &c->config), 0);
    c->opened = c->closed = 0;
    store_open(c->store);
    loop_until(&c->loop, is_settled, c);
}

static void start(struct candidate *c, const char *id)
{
    prepare(c, id);
    connect_up(c);
    assert_int_equal(c->opened, 1);
}

static void finish(struct candidate *c)
{
    store_free(c->store);
    loop_end(&c->loop);
    redis_target_clear(&c->target);
}

static const char *fresh_nonce(struct candidate *c)
{
    static unsigned counter;

    snprintf(c->nonce, sizeof c->nonce, "%016x", ++counter);
    return c->nonce;
}

static void await(struct candidate *c)
{
    c->answers = 0;
    loop_until(&c->loop, is_answered, c);
    if (c->answers == 0)
        fail_msg("closed: %s", c->why);
    assert_int_equal(c->answers, 1);
    assert_true(c->answer.request == c->requests);
    if (c->answer.verdict == LEASE_GRANTED || c->answer.verdict == LEASE_RENEWED)
        memcpy(c->version, c->answer.record.version, sizeof c->version);
}

/* What is asked for: as struct lease_acquire, with borrowed texts. */
struct wish {
    uint64_t floor_token;
    bool never_saw_record;
    const char *observed_incarnation;
    const char *observed_version;
    int64_t observed_ms;
    int64_t hold_left_ms;
};

static struct lease_request new_request(struct candidate *c, enum lease_request_kind kind)
{
    struct lease_request request = {.kind = kind, .number = ++c->requests, .epoch = c->epoch};

    snprintf(request.nonce, sizeof request.nonce, "%s", fresh_nonce(c));
    return request;
}

static void send_acquire(struct candidate *c, const struct wish *wish)
{
    struct lease_request request = new_request(c, LEASE_ACQUIRE);
    struct lease_acquire *acquire = &request.acquire;

    acquire->floor_token = wish->floor_token;
    acquire->never_saw_record = wish->never_saw_record;
    acquire->observed_ms = wish->observed_ms;
    acquire->hold_left_ms = wish->hold_left_ms;
    if (wish->observed_incarnation != NULL)
        snprintf(acquire->observed_incarnation, sizeof acquire->observed_incarnation, "%s",
                 wish->observed_incarnation);
    if (wish->observed_version != NULL)
        snprintf(acquire->observed_version, sizeof acquire->observed_version, "%s",
                 wish->observed_version);
    store_send(c->store, &request);
}

static void send_renew(struct candidate *c, uint64_t token, bool claim)
{
    struct lease_request request = new_request(c, LEASE_RENEW);

    request.renew.token = token;
    request.renew.claim = claim;
    store_send(c->store, &request);
}

/* What is observed has been so for the TTL, where nothing else is said. */
static enum lease_verdict acquire_with(struct candidate *c, struct wish wish)
{
    if (wish.observed_ms == 0)
        wish.observed_ms = TTL;
    send_acquire(c, &wish);
    await(c);
    return c->answer.verdict;
}

/* As one who has seen nothing yet. */
static enum lease_verdict acquire(struct candidate *c)
{
    return acquire_with(c, (struct wish){0});
}

/* As one who has seen the present record unchanged for long enough. */
static enum lease_verdict acquire_observed(struct candidate *c)
{
    struct lease_record seen;

    if (acquire(c) == LEASE_GRANTED)
        return LEASE_GRANTED;
    seen = c->answer.record;
    return acquire_with(c, (struct wish){.observed_incarnation = seen.incarnation,
                                         .observed_version = seen.version,
                                         .hold_left_ms = seen.hold_left_ms});
}

static uint64_t take(struct candidate *c)
{
    assert_int_equal(acquire_observed(c), LEASE_GRANTED);
    return c->answer.record.token;
}

static enum lease_verdict renew(struct candidate *c, uint64_t token)
{
    send_renew(c, token, false);
    await(c);
    return c->answer.verdict;
}

/* Takes up a grant whose answer was lost. */
static enum lease_verdict claim(struct candidate *c, uint64_t token)
{
    send_renew(c, token, true);
    await(c);
    return c->answer.verdict;
}

static enum lease_verdict release_held(struct candidate *c, uint64_t token, int64_t hold_ms)
{
    struct lease_request request = new_request(c, LEASE_RELEASE);

    request.release.token = token;
    request.release.hold_ms = hold_ms;
    request.release.reason = "stopped";
    memcpy(request.release.version, c->version, sizeof request.release.version);
    store_send(c->store, &request);
    await(c);
    return c->answer.verdict;
}

#define release(c, token) release_held(c, token, 0)
#define ask(...)          redis_server_ask(&server, __VA_ARGS__)

static void assert_text(const char *text, const char *part)
{
    if (strstr(text, part) == NULL)
        fail_msg("\"%s\" lacks \"%s\"", text, part);
}

static void assert_field(const char *field, const char *value)
{
    assert_string_equal(ask("HGET %s %s", TERM, field), value);
}

/* Changes the record behind everybody's back. */
static void set_field(const char *field, const char *value)
{
    ask("HSET %s %s %s", TERM, field, value);
}

static int setup(void **state)
{
    struct candidate *pair = calloc(2, sizeof *pair);

    assert_non_null(pair);
    ask("FLUSHALL");
    start(&pair[0], ANNA);
    start(&pair[1], BERT);
    *state = pair;
    return 0;
}

static int teardown(void **state)
{
    struct candidate *pair = *state;

    finish(&pair[0]);
    finish(&pair[1]);
    free(pair);
    return 0;
}

/* Where nothing is told there is nothing left of what another holder told. */
static void carries_a_fingerprint_of_the_command(void **state)
{
    struct candidate *c = *state;

    uint64_t token = take(&c[0]);
    assert_field("cmd", "a0a0");
    acquire(&c[1]);
    assert_string_equal(c[1].answer.record.command, "a0a0");
    assert_int_equal(release(&c[0], token), LEASE_RELEASED);
    take(&c[1]);
    assert_field("cmd", "");
    acquire(&c[0]);
    assert_string_equal(c[0].answer.record.command, "");
}

/* ---- acquire ---- */

static void missing_record_becomes_vacant(void **state)
{
    struct candidate *anna = *state;

    assert_int_equal(acquire(anna), LEASE_REFUSED);
    assert_int_equal(anna->answer.record.state, LEASE_VACANT);
    assert_string_equal(anna->answer.record.version, anna->nonce);
    assert_int_equal(strlen(anna->answer.record.incarnation), 40);
    assert_int_equal(anna->answer.record.ttl_ms, TTL);
    assert_int_equal(anna->answer.record.token, 0);
    assert_string_equal(anna->answer.record.id, "");
    assert_field("st", "vacant");
    assert_string_equal(ask("EXISTS %s", KEY), "0");
    assert_string_equal(ask("TTL %s", TERM), "-1");
}

static void vacant_record_is_written_once(void **state)
{
    struct candidate *anna = *state;
    struct candidate *bert = anna + 1;

    acquire(anna);
    assert_int_equal(acquire(bert), LEASE_REFUSED);
    assert_int_equal(bert->answer.record.state, LEASE_VACANT);
    assert_string_equal(bert->answer.record.version, anna->nonce);
    assert_string_equal(bert->answer.record.incarnation, anna->answer.record.incarnation);
}

static void vacant_record_keeps_the_longer_ttl_and_the_floor(void **state)
{
    struct candidate *anna = *state;

    set_field("ttl", "20000");
    set_field("tok", "100");
    acquire_with(anna, (struct wish){.floor_token = 50});
    assert_int_equal(anna->answer.record.ttl_ms, 20000);
    assert_int_equal(anna->answer.record.token, 100);
    ask("DEL %s", TERM);
    acquire_with(anna, (struct wish){.floor_token = 50});
    assert_int_equal(anna->answer.record.ttl_ms, TTL);
    assert_int_equal(anna->answer.record.token, 50);
}

static void observed_record_is_granted(void **state)
{
    struct candidate *anna = *state;
    long ttl;

    assert_int_equal(acquire_observed(anna), LEASE_GRANTED);
    assert_int_equal(anna->answer.record.state, LEASE_HELD);
    assert_string_equal(anna->answer.record.id, ANNA);
    assert_string_equal(anna->answer.record.name, "anna");
    assert_string_equal(anna->answer.record.version, anna->nonce);
    assert_int_equal(anna->answer.record.ttl_ms, TTL);
    assert_string_equal(anna->answer.warning, "");
    /* server time in microseconds */
    assert_true(anna->answer.record.token > UINT64_C(1600000000000000));
    assert_string_equal(ask("GET %s", KEY), ANNA);
    ttl = strtol(ask("PTTL %s", KEY), NULL, 10);
    assert_true(ttl > TTL / 2 && ttl <= TTL);
    assert_text(ask("XRANGE %s - +", HISTORY), "event begin token ");
    assert_text(ask("XRANGE %s - +", HISTORY), "name anna id " ANNA " at ");
}

static void other_versions_and_incarnations_are_refused(void **state)
{
    struct candidate *anna = *state;
    struct lease_record seen;

    acquire(anna);
    seen = anna->answer.record;
    assert_int_equal(acquire_with(anna, (struct wish){.observed_incarnation = seen.incarnation,
                                                      .observed_version = "ffff"}),
                     LEASE_REFUSED);
    assert_int_equal(acquire_with(anna, (struct wish){.observed_incarnation = "-",
                                                      .observed_version = seen.version}),
                     LEASE_REFUSED);
    assert_int_equal(acquire_with(anna, (struct wish){.observed_version = seen.version}),
                     LEASE_REFUSED);
    assert_int_equal(acquire_with(anna, (struct wish){.observed_incarnation = seen.incarnation,
                                                      .observed_version = ""}),
                     LEASE_REFUSED);
    assert_int_equal(acquire_with(anna, (struct wish){.observed_incarnation = seen.incarnation,
                                                      .observed_version = seen.version}),
                     LEASE_GRANTED);
}

/* The longer of both TTLs counts, whatever the asker took for it. */
static void an_observation_must_be_long_enough(void **state)
{
    struct candidate *anna = *state;
    struct candidate *bert = anna + 1;
    struct wish observed = {0};
    struct lease_record seen;

    take(anna);
    acquire(bert);
    seen = bert->answer.record;
    observed.observed_incarnation = seen.incarnation;
    observed.observed_version = seen.version;
    observed.observed_ms = TTL - 1;
    assert_int_equal(acquire_with(bert, observed), LEASE_REFUSED);
    set_field("ttl", "90000");
    observed.observed_ms = 89999;
    assert_int_equal(acquire_with(bert, observed), LEASE_REFUSED);
    observed.observed_ms = 90000;
    assert_int_equal(acquire_with(bert, observed), LEASE_GRANTED);
}

static void held_lease_is_refused_to_others(void **state)
{
    struct candidate *anna = *state;
    struct candidate *bert = anna + 1;
    uint64_t token = take(anna);

    assert_int_equal(acquire(bert), LEASE_REFUSED);
    assert_int_equal(bert->answer.record.state, LEASE_HELD);
    assert_string_equal(bert->answer.record.id, ANNA);
    assert_string_equal(bert->answer.record.name, "anna");
    assert_true(bert->answer.record.token == token);
    assert_string_equal(bert->answer.record.foreign, "");
    assert_true(bert->answer.record.age_ms < TTL);
}

static void unknown_outcome_shows_in_the_record(void **state)
{
    struct candidate *anna = *state;
    uint64_t token = take(anna);
    char nonce[LEASE_NONCE_SIZE];

    memcpy(nonce, anna->nonce, sizeof nonce);
    assert_int_equal(acquire(anna), LEASE_REFUSED);
    assert_string_equal(anna->answer.record.id, ANNA);
    assert_string_equal(anna->answer.record.version, nonce);
    assert_int_equal(claim(anna, token), LEASE_RENEWED);
}

static void takeover_ends_the_term_before_it_in_the_history(void **state)
{
    struct candidate *anna = *state;
    struct candidate *bert = anna + 1;
    uint64_t first = take(anna);
    uint64_t second = take(bert);

    assert_true(second > first);
    assert_string_equal(ask("GET %s", KEY), BERT);
    assert_string_equal(ask("XLEN %s", HISTORY), "3");
    assert_text(ask("XRANGE %s - +", HISTORY), "event end");
    assert_text(ask("XRANGE %s - +", HISTORY), "reason expired term 1 lasted ");
    assert_text(ask("XRANGE %s - +", HISTORY), "reason expired term 2 gap ");
}

static void token_is_above_the_record_and_the_floor(void **state)
{
    struct candidate *anna = *state;

    acquire(anna);
    set_field("tok", "8000000000000000");
    assert_true(take(anna) == UINT64_C(8000000000000001));
    ask("DEL %s", KEY);
    release(anna, UINT64_C(8000000000000001));
    assert_int_equal(acquire_with(anna, (struct wish){.floor_token = UINT64_C(8999999999999998)}),
                     LEASE_GRANTED);
    assert_true(anna->answer.record.token == UINT64_C(8999999999999999));
    assert_field("tok", "8999999999999999");
}

static void assume_fresh_needs_an_unseen_and_empty_key(void **state)
{
    struct candidate *anna = *state;
    const struct wish fresh = {.never_saw_record = true};

    /* not asked for */
    assert_int_equal(acquire_with(anna, fresh), LEASE_REFUSED);
    finish(anna);
    ask("FLUSHALL");
    prepare(anna, ANNA);
    anna->config.assume_fresh = true;
    connect_up(anna);
    /* saw a record once */
    assert_int_equal(acquire(anna), LEASE_REFUSED);
    assert_int_equal(anna->answer.record.state, LEASE_VACANT);
    /* there is a record */
    assert_int_equal(acquire_with(anna, fresh), LEASE_REFUSED);
    /* somebody is in K */
    ask("FLUSHALL");
    ask("SET %s %s", KEY, BERT);
    assert_int_equal(acquire_with(anna, fresh), LEASE_REFUSED);
    assert_int_equal(anna->answer.record.state, LEASE_VACANT);
    assert_string_equal(anna->answer.record.foreign, BERT);
    ask("FLUSHALL");
    assert_int_equal(acquire_with(anna, fresh), LEASE_GRANTED);
    assert_int_equal(anna->answer.before, LEASE_FREE);
}

static void foreign_value_in_the_key_blocks(void **state)
{
    struct candidate *anna = *state;

    acquire(anna);
    ask("SET %s intruder", KEY);
    assert_int_equal(acquire_observed(anna), LEASE_REFUSED);
    assert_string_equal(anna->answer.record.foreign, "intruder");
    ask("SET %s %s", KEY, "");
    assert_int_equal(acquire_observed(anna), LEASE_REFUSED);
    assert_string_equal(anna->answer.record.foreign, "(empty)");
    ask("SET %s %b", KEY, "a\0b", (size_t)3);
    assert_int_equal(acquire_observed(anna), LEASE_REFUSED);
    assert_string_equal(anna->answer.record.foreign, "a?b");
    ask("DEL %s", KEY);
    assert_int_equal(acquire_observed(anna), LEASE_GRANTED);
}

static void key_that_still_has_the_holder_of_the_record_does_not_block(void **state)
{
    struct candidate *anna = *state;
    struct candidate *bert = anna + 1;

    take(anna);
    /* as after a step back of the server's clock */
    ask("PERSIST %s", KEY);
    assert_int_equal(acquire_observed(bert), LEASE_GRANTED);
    /* one's own id, with somebody else on record */
    ask("SET %s %s", KEY, ANNA);
    assert_int_equal(acquire_observed(anna), LEASE_GRANTED);
}

static void server_clock_ends_a_lease_by_itself(void **state)
{
    struct candidate *anna = *state;
    struct candidate *bert = anna + 1;

    take(anna);
    finish(bert);
    prepare(bert, BERT);
    bert->config.server_clock = true;
    connect_up(bert);
    assert_int_equal(acquire(bert), LEASE_REFUSED);
    /* 10 s + 1 % + 10 ms have not passed in the first case, and have in the second; K is there all
     * the while, with the holder on record. */
    ask("EVAL %s 1 %s 10050",
        "local t = redis.call('TIME') redis.call('HSET', KEYS[1], 'at', "
        "string.format('%.0f', t[1] * 1000 + math.floor(t[2] / 1000) - ARGV[1]))",
        TERM);
    assert_int_equal(acquire(bert), LEASE_REFUSED);
    ask("EVAL %s 1 %s 10200",
        "local t = redis.call('TIME') redis.call('HSET', KEYS[1], 'at', "
        "string.format('%.0f', t[1] * 1000 + math.floor(t[2] / 1000) - ARGV[1]))",
        TERM);
    assert_int_equal(acquire(anna), LEASE_REFUSED);
    assert_int_equal(acquire(bert), LEASE_GRANTED);
    assert_int_equal(strlen(bert->answer.record.incarnation), 40);
}

static void server_clock_waits_out_a_vacancy_too(void **state)
{
    struct candidate *anna = *state;

    finish(anna);
    prepare(anna, ANNA);
    anna->config.server_clock = true;
    connect_up(anna);
    assert_int_equal(acquire(anna), LEASE_REFUSED);
    assert_int_equal(acquire(anna), LEASE_REFUSED);
    set_field("at", "1000");
    assert_int_equal(acquire(anna), LEASE_GRANTED);
}

static void broken_records_are_survived(void **state)
{
    static const char *const broken[][2] = {
        {"st", "nonsense"},
        {"st", ""},
        {"ver", ""},
        {"ver", "a|b"},
        {"ver", "00000000000000000000000000000000"},
        {"ident", "x"},
        {"tok", "nonsense"},
        {"tok", "1e300"},
        {"tok", "-5"},
        {"tok", "nan"},
        {"tok", "inf"},
        {"ttl", "1e300"},
        {"ttl", "x"},
        {"at", "x"},
        {"at", "-1e300"},
        {"until", "x"},
    };
    struct candidate *anna = *state;
    struct candidate *bert = anna + 1;

    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
        uint64_t token;

        ask("FLUSHALL");
        token = take(anna);
        set_field(broken[i][0], broken[i][1]);
        assert_int_equal(renew(anna, token), LEASE_RENEWED);
        set_field(broken[i][0], broken[i][1]);
        assert_int_equal(acquire_observed(bert), LEASE_GRANTED);
        ask("HDEL %s %s", TERM, broken[i][0]);
        assert_int_equal(acquire_observed(anna), LEASE_GRANTED);
    }
}

/* ---- renew ---- */

static void renewal_writes_a_new_version(void **state)
{
    struct candidate *anna = *state;
    uint64_t token = take(anna);
    char before[LEASE_NONCE_SIZE];

    memcpy(before, anna->nonce, sizeof before);
    ask("PEXPIRE %s 5000", KEY);
    assert_int_equal(renew(anna, token), LEASE_RENEWED);
    assert_true(anna->answer.record.token == token);
    assert_string_equal(anna->answer.record.version, anna->nonce);
    assert_string_not_equal(anna->nonce, before);
    assert_field("ver", anna->nonce);
    assert_true(strtol(ask("PTTL %s", KEY), NULL, 10) > 5000);
    assert_string_equal(ask("XLEN %s", HISTORY), "1");
}

static void lost_data_is_written_again(void **state)
{
    static const char *const losses[] = {"DEL " KEY, "DEL " TERM, "FLUSHALL", "DEL " HISTORY};
    struct candidate *anna = *state;
    uint64_t token = take(anna);

    for (size_t i = 0; i < sizeof losses / sizeof losses[0]; i++) {
        ask(losses[i]);
        assert_int_equal(renew(anna, token), LEASE_RENEWED);
        assert_string_equal(ask("GET %s", KEY), ANNA);
        assert_field("st", "held");
        assert_field("id", ANNA);
    }
}

static void vacant_record_is_taken_back(void **state)
{
    struct candidate *anna = *state;
    struct candidate *bert = anna + 1;
    uint64_t token = take(anna);

    ask("DEL %s", TERM);
    assert_int_equal(acquire_with(bert, (struct wish){.floor_token = token}), LEASE_REFUSED);
    assert_int_equal(bert->answer.record.state, LEASE_VACANT);
    assert_int_equal(renew(anna, token), LEASE_RENEWED);
    assert_int_equal(acquire(bert), LEASE_REFUSED);
    assert_int_equal(bert->answer.record.state, LEASE_HELD);
    /* with a token above mine somebody else has led since */
    ask("DEL %s", TERM);
    acquire_with(bert, (struct wish){.floor_token = token + 1});
    assert_int_equal(renew(anna, token), LEASE_LOST);
    assert_true(anna->answer.record.token == token + 1);
}

static void record_of_another_incarnation_is_taken_back(void **state)
{
    struct candidate *anna = *state;
    uint64_t token = take(anna);

    set_field("ident", "another");
    assert_int_equal(renew(anna, token), LEASE_RENEWED);
    assert_int_equal(strlen(anna->answer.record.incarnation), 40);
    set_field("ident", "another");
    set_field("tok", "8000000000000000");
    assert_int_equal(renew(anna, token), LEASE_LOST);
}

/* A server that is master again has not been a replica in between, as a rule; but where it was cut
 * off, it was not told so. What it was left with is as old as that of a restarted one. */
static void record_of_another_epoch_is_of_another_incarnation(void **state)
{
    struct candidate *anna = *state;
    struct candidate *bert = anna + 1;
    size_t length;

    anna->epoch = bert->epoch = 5;
    uint64_t token = take(anna);
    length = strlen(anna->answer.record.incarnation);
    assert_string_equal(anna->answer.record.incarnation + length - 2, "/5");
    assert_int_equal(release(anna, token), LEASE_RELEASED);
    bert->epoch = UINT64_MAX;
    assert_int_equal(acquire(bert), LEASE_REFUSED);
    assert_int_equal(bert->answer.record.state, LEASE_VACANT);
    length = strlen(bert->answer.record.incarnation);
    assert_true(length == LEASE_INCARNATION_SIZE - 1);
    assert_int_equal(renew(bert, token + 1), LEASE_RENEWED);
    assert_int_equal(renew(anna, token + 1), LEASE_LOST);
}

static void older_term_on_record_is_overwritten(void **state)
{
    struct candidate *anna = *state;
    struct candidate *bert = anna + 1;
    uint64_t first = take(bert);
    uint64_t token = take(anna);
    char text[32];

    /* rolled back to the term before */
    snprintf(text, sizeof text, "%llu", (unsigned long long)first);
    set_field("tok", text);
    set_field("id", BERT);
    ask("SET %s %s", KEY, BERT);
    assert_int_equal(renew(anna, token), LEASE_RENEWED);
    assert_string_equal(ask("GET %s", KEY), ANNA);
    set_field("tok", text);
    set_field("id", BERT);
    set_field("st", "free");
    assert_int_equal(renew(anna, token), LEASE_RENEWED);
}

static void higher_token_is_a_loss(void **state)
{
    struct candidate *anna = *state;
    struct candidate *bert = anna + 1;
    uint64_t token = take(anna);
    uint64_t higher = take(bert);

    assert_int_equal(renew(anna, token), LEASE_LOST);
    assert_string_equal(anna->answer.record.id, BERT);
    assert_string_equal(anna->answer.record.name, "bert");
    assert_true(anna->answer.record.token == higher);
    assert_int_equal(renew(bert, higher), LEASE_RENEWED);
    /* however it looks otherwise */
    release(bert, higher);
    assert_int_equal(renew(anna, token), LEASE_LOST);
}

static void same_token_of_another_is_a_loss(void **state)
{
    struct candidate *anna = *state;
    uint64_t token = take(anna);

    set_field("id", BERT);
    ask("DEL %s", KEY);
    assert_int_equal(renew(anna, token), LEASE_LOST);
    set_field("ident", "another");
    assert_int_equal(renew(anna, token), LEASE_LOST);
    set_field("st", "vacant");
    assert_int_equal(renew(anna, token), LEASE_RENEWED);
}

static void released_term_is_not_revived(void **state)
{
    struct candidate *anna = *state;
    uint64_t token = take(anna);

    release(anna, token);
    assert_int_equal(renew(anna, token), LEASE_LOST);
    assert_field("st", "free");
    assert_string_equal(ask("EXISTS %s", KEY), "0");
    token = take(anna);
    release_held(anna, token, 60000);
    assert_int_equal(renew(anna, token), LEASE_LOST);
    assert_field("st", "hold");
}

static void foreign_value_in_the_key_is_a_loss(void **state)
{
    struct candidate *anna = *state;
    uint64_t token = take(anna);

    ask("SET %s intruder", KEY);
    assert_int_equal(renew(anna, token), LEASE_LOST);
    assert_string_equal(anna->answer.record.foreign, "intruder");
    assert_string_equal(ask("GET %s", KEY), "intruder");
    ask("DEL %s", TERM);
    assert_int_equal(renew(anna, token), LEASE_LOST);
    assert_int_equal(anna->answer.record.state, LEASE_ABSENT);
}

static void claim_needs_the_record_as_the_grant_left_it(void **state)
{
    struct candidate *anna = *state;
    struct candidate *bert = anna + 1;
    uint64_t token = take(anna);
    char incarnation[LEASE_INCARNATION_SIZE];

    memcpy(incarnation, anna->answer.record.incarnation, sizeof incarnation);
    assert_int_equal(claim(anna, token + 1), LEASE_LOST);
    assert_int_equal(claim(anna, token - 1), LEASE_LOST);
    assert_int_equal(claim(bert, token), LEASE_LOST);
    set_field("ident", "another");
    assert_int_equal(claim(anna, token), LEASE_LOST);
    set_field("ident", incarnation);
    set_field("st", "vacant");
    assert_int_equal(claim(anna, token), LEASE_LOST);
    set_field("st", "held");
    assert_int_equal(claim(anna, token), LEASE_RENEWED);
    ask("DEL %s", TERM);
    assert_int_equal(claim(anna, token), LEASE_LOST);
    assert_string_equal(ask("EXISTS %s", TERM), "0");
}

/* ---- release ---- */

static void released_lease_is_granted_at_once(void **state)
{
    struct candidate *anna = *state;
    struct candidate *bert = anna + 1;
    uint64_t token = take(anna);

    assert_int_equal(release(anna, token), LEASE_RELEASED);
    assert_int_equal(anna->answer.record.state, LEASE_FREE);
    assert_string_equal(anna->answer.record.version, anna->nonce);
    assert_string_equal(ask("EXISTS %s", KEY), "0");
    assert_text(ask("XRANGE %s - +", HISTORY), "reason first term 1 gap  ");
    assert_text(ask("XRANGE %s - +", HISTORY), "reason stopped term 1 lasted ");
    assert_int_equal(acquire(bert), LEASE_GRANTED);
    assert_true(bert->answer.record.token > token);
    assert_text(ask("XRANGE %s - +", HISTORY), "reason released term 2 gap ");
    /* no second end: the term had one */
    assert_string_equal(ask("XLEN %s", HISTORY), "3");
}

/* A script of before has granted the present term: only the number of terms goes on. */
static void terms_of_others_are_not_measured(void **state)
{
    struct candidate *anna = *state;
    uint64_t token = take(anna);

    set_field("term", "41 7 1");
    assert_int_equal(release(anna, token), LEASE_RELEASED);
    assert_string_equal(strstr(ask("XREVRANGE %s + - COUNT 1", HISTORY), "reason"),
                        "reason stopped term 41 lasted ");
    set_field("term", "nonsense");
    assert_int_equal(acquire(anna), LEASE_GRANTED);
    assert_text(ask("XREVRANGE %s + - COUNT 1", HISTORY), "reason released term 1 gap ");
}

static void release_of_what_is_not_held_does_nothing(void **state)
{
    struct candidate *anna = *state;
    struct candidate *bert = anna + 1;
    uint64_t token;

    assert_int_equal(release(anna, 5), LEASE_NOT_HELD);
    assert_int_equal(anna->answer.record.state, LEASE_ABSENT);
    token = take(anna);
    assert_int_equal(release(anna, token - 1), LEASE_NOT_HELD);
    assert_int_equal(release(anna, token + 1), LEASE_NOT_HELD);
    assert_int_equal(release(bert, token), LEASE_NOT_HELD);
    set_field("ident", "another");
    assert_int_equal(release(anna, token), LEASE_NOT_HELD);
    assert_int_equal(renew(anna, token), LEASE_RENEWED);
    assert_int_equal(release(anna, token), LEASE_RELEASED);
    assert_int_equal(release(anna, token), LEASE_NOT_HELD);
    assert_string_equal(ask("XLEN %s", HISTORY), "2");
}

static void release_of_a_version_that_is_not_ours_does_nothing(void **state)
{
    struct candidate *anna = *state;
    uint64_t token = take(anna);
    char version[LEASE_NONCE_SIZE];

    memcpy(version, anna->answer.record.version, sizeof version);
    /* A renewal that was held up has written the dead term again. */
    set_field("ver", "ffff");
    assert_int_equal(release(anna, token), LEASE_NOT_HELD);
    assert_field("st", "held");
    assert_string_equal(ask("GET %s", KEY), ANNA);
    set_field("ver", version);
    assert_int_equal(release(anna, token), LEASE_RELEASED);
}

static void release_leaves_a_foreign_key_alone(void **state)
{
    struct candidate *anna = *state;
    uint64_t token = take(anna);

    ask("SET %s intruder", KEY);
    assert_int_equal(release(anna, token), LEASE_RELEASED);
    assert_string_equal(anna->answer.record.foreign, "intruder");
    assert_string_equal(ask("GET %s", KEY), "intruder");
}

static void hold_keeps_everybody_out_until_it_is_over(void **state)
{
    struct candidate *anna = *state;
    struct candidate *bert = anna + 1;
    uint64_t token = take(anna);

    assert_int_equal(release_held(anna, token, 60000), LEASE_RELEASED);
    assert_int_equal(anna->answer.record.state, LEASE_CLOSED);
    assert_int_equal(anna->answer.record.hold_left_ms, 60000);
    assert_string_equal(ask("EXISTS %s", KEY), "0");
    assert_int_equal(acquire_observed(bert), LEASE_REFUSED);
    assert_int_equal(bert->answer.record.state, LEASE_CLOSED);
    assert_in_range(bert->answer.record.hold_left_ms, 1, 60000);
    assert_int_equal(acquire_observed(anna), LEASE_REFUSED);
    set_field("until", "1000");
    assert_int_equal(acquire(bert), LEASE_GRANTED);
    assert_field("until", "0");
}

/* Whoever has watched it goes by his own count; whoever has not, by the server's clock. */
static void hold_that_was_watched_is_counted_by_the_asker(void **state)
{
    struct candidate *anna = *state;
    struct candidate *bert = anna + 1;
    struct wish watched = {0};
    struct lease_record seen;

    release_held(anna, take(anna), 60000);
    assert_int_equal(anna->answer.record.hold_ms, 60000);
    acquire(bert);
    seen = bert->answer.record;
    watched.observed_incarnation = seen.incarnation;
    watched.observed_version = seen.version;
    watched.hold_left_ms = 1;
    set_field("until", "1000");
    assert_int_equal(acquire_with(bert, watched), LEASE_REFUSED);
    set_field("until", "8999999999999999");
    assert_int_equal(acquire(bert), LEASE_REFUSED);
    assert_int_equal(bert->answer.record.hold_left_ms, 60000);
    watched.hold_left_ms = 0;
    assert_int_equal(acquire_with(bert, watched), LEASE_GRANTED);
}

/* What is left of it is as long as before for those who come, and the vacancy is waited out too. */
static void hold_outlives_the_incarnation(void **state)
{
    struct candidate *anna = *state;
    struct candidate *bert = anna + 1;
    struct wish ripe = {0};
    struct lease_record seen;

    release_held(anna, take(anna), 60000);
    set_field("ident", "another");
    assert_int_equal(acquire(bert), LEASE_REFUSED);
    seen = bert->answer.record;
    assert_int_equal(seen.state, LEASE_VACANT);
    assert_in_range(seen.hold_left_ms, 50000, 60000);
    assert_int_equal(seen.hold_ms, seen.hold_left_ms);
    ripe.observed_incarnation = seen.incarnation;
    ripe.observed_version = seen.version;
    ripe.hold_left_ms = 1;
    assert_int_equal(acquire_with(bert, ripe), LEASE_REFUSED);
    ripe.hold_left_ms = 0;
    ripe.observed_ms = TTL - 1;
    assert_int_equal(acquire_with(bert, ripe), LEASE_REFUSED);
    ripe.observed_ms = TTL;
    assert_int_equal(acquire_with(bert, ripe), LEASE_GRANTED);
    assert_field("hold", "0");
}

/* A renewal that arrives late must not end a hold, nor write a term again that has been released,
 * whatever has become of the server meanwhile. */
static void a_released_term_is_not_renewed_in_another_incarnation(void **state)
{
    struct candidate *anna = *state;

    for (int64_t hold_ms = 0; hold_ms <= 60000; hold_ms += 60000) {
        uint64_t token = take(anna);
        release_held(anna, token, hold_ms);
        set_field("ident", "another");
        assert_int_equal(renew(anna, token), LEASE_LOST);
        assert_field("st", hold_ms > 0 ? "hold" : "free");
        set_field("st", "vacant");
        assert_int_equal(renew(anna, token), LEASE_RENEWED);
        release_held(anna, token, 0);
    }
}

/* To what was written in the server's future the clock has been set back since. */
static void a_clock_that_was_set_back_closes_nothing_for_long(void **state)
{
    struct candidate *anna = *state;
    struct candidate *bert = anna + 1;

    release_held(anna, take(anna), 3000);
    set_field("at", "8999999999990000");
    set_field("until", "8999999999993000");
    assert_int_equal(acquire(bert), LEASE_REFUSED);
    assert_in_range(bert->answer.record.hold_left_ms, 1, 3000);
    /* From here on it is counted as ever. */
    for (int tries = 0; tries < 3000 && acquire(bert) != LEASE_GRANTED; tries++)
        usleep(5000);
    assert_int_equal(bert->answer.verdict, LEASE_GRANTED);
}

static void grant_says_what_it_has_ended(void **state)
{
    struct candidate *anna = *state;
    struct candidate *bert = anna + 1;

    take(anna);
    assert_int_equal(anna->answer.before, LEASE_VACANT);
    uint64_t token = take(bert);
    assert_int_equal(bert->answer.before, LEASE_HELD);
    release(bert, token);
    assert_int_equal(bert->answer.before, LEASE_ABSENT);
    take(anna);
    assert_int_equal(anna->answer.before, LEASE_FREE);
    set_field("st", "hold");
    set_field("until", "1");
    take(bert);
    assert_int_equal(bert->answer.before, LEASE_CLOSED);
}

static void short_hold_ends_by_itself(void **state)
{
    struct candidate *anna = *state;

    release_held(anna, take(anna), 50);
    for (int tries = 0; tries < 3000 && acquire(anna) != LEASE_GRANTED; tries++)
        usleep(5000);
    assert_int_equal(anna->answer.verdict, LEASE_GRANTED);
}

static void erase_leaves_nothing(void **state)
{
    struct candidate *anna = *state;

    take(anna);
    store_send_erase(anna->store, ++anna->requests);
    await(anna);
    assert_int_equal(anna->answer.verdict, LEASE_RELEASED);
    assert_string_equal(ask("DBSIZE"), "0");
}

#define CANDIDATES_KEY "{" KEY "}:candidates"

static void who_stands_by_can_be_seen(void **state)
{
    struct candidate *anna = *state;

    assert_int_equal(acquire(anna), LEASE_REFUSED);
    const char *seen = ask("HGET %s %s", CANDIDATES_KEY, ANNA);
    long long at_ms = strtoll(seen, NULL, 10);
    assert_in_range(at_ms, (long long)time(NULL) * 1000 - 60000,
                    (long long)time(NULL) * 1000 + 60000);
    assert_string_equal(strchr(seen, ' '), " 10000 {\"host\":\"h1\"}");
    assert_string_equal(ask("HGET %s #", CANDIDATES_KEY), "1");
    assert_int_equal(acquire(anna), LEASE_REFUSED);
    assert_string_equal(ask("HGET %s #", CANDIDATES_KEY), "1");
}

static void the_list_of_candidates_stays_short(void **state)
{
    struct candidate *anna = *state;

    ask("HSET %s old x # 100", CANDIDATES_KEY);
    assert_int_equal(acquire(anna), LEASE_REFUSED);
    assert_string_equal(ask("HLEN %s", CANDIDATES_KEY), "2");
    assert_string_equal(ask("HGET %s #", CANDIDATES_KEY), "1");
    /* Whatever somebody has made of it. */
    ask("SET %s text", CANDIDATES_KEY);
    assert_int_equal(acquire_observed(anna), LEASE_GRANTED);
}

static void a_wish_of_another_form_counts_as_nothing(void **state)
{
    static const char *const broken[][2] = {
        {"pause", "x"},
        {"pause", "1 2"},
        {"pause", "1 99999999999999 op@adm why"},
        {"pause", "1 -1 op@adm why"},
        {"pause", "1 1.5 op@adm why"},
        {"cordon", "anna"},
        {"cordon", "1 op@adm"},
        {"cordon", "1 op@adm ann\n2 op@adm anna2"},
        {"ask", "7"},
        {"ask", "x 1 2 op@adm bert"},
    };
    struct candidate *anna = *state;

    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
        ask("FLUSHALL");
        ask("HSET %s %s %s", TERM, broken[i][0], broken[i][1]);
        uint64_t token = take(anna);
        assert_int_equal(anna->answer.wish.kind, LEASE_WISH_NONE);
        assert_int_equal(renew(anna, token), LEASE_RENEWED);
        assert_int_equal(anna->answer.wish.kind, LEASE_WISH_NONE);
        memcpy(anna->version, anna->answer.record.version, sizeof anna->version);
        release(anna, token);
    }
}

static void history_stays_short(void **state)
{
    struct candidate *anna = *state;

    for (int i = 0; i < 700; i++) {
        assert_int_equal(acquire_observed(anna), LEASE_GRANTED);
        release(anna, anna->answer.record.token);
    }
    assert_in_range(strtol(ask("XLEN %s", HISTORY), NULL, 10), 1000, 1200);
}

static void keys_with_a_hash_tag_of_their_own(void **state)
{
    struct candidate *anna = *state;

    finish(anna);
    prepare(anna, ANNA);
    anna->config.key = "a{b}c";
    connect_up(anna);
    take(anna);
    assert_string_equal(ask("EXISTS %s %s %s", "a{b}c", "a{b}c::term", "a{b}c::history"), "3");
}

static void a_key_and_its_hash_tag_are_two_leases(void **state)
{
    struct candidate *pair = *state;

    for (int i = 0; i < 2; i++) {
        finish(&pair[i]);
        prepare(&pair[i], i == 0 ? ANNA : BERT);
        pair[i].config.key = i == 0 ? "a" : "{a}";
        connect_up(&pair[i]);
        take(&pair[i]);
    }
    assert_int_equal(renew(&pair[0], pair[0].answer.record.token), LEASE_RENEWED);
    assert_int_equal(renew(&pair[1], pair[1].answer.record.token), LEASE_RENEWED);
}

/* ---- trouble ---- */

static void forgotten_scripts_are_sent_again(void **state)
{
    struct candidate *anna = *state;
    uint64_t token;

    ask("SCRIPT FLUSH");
    token = take(anna);
    ask("SCRIPT FLUSH");
    assert_int_equal(renew(anna, token), LEASE_RENEWED);
    ask("SCRIPT FLUSH");
    assert_int_equal(release(anna, token), LEASE_RELEASED);
}

static void wrong_types_are_named(void **state)
{
    struct candidate *anna = *state;
    uint64_t token = take(anna);

    ask("DEL %s", HISTORY);
    ask("SET %s x", HISTORY);
    assert_int_equal(renew(anna, token), LEASE_RENEWED);
    assert_string_equal(anna->answer.warning, "");
    assert_int_equal(release(anna, token), LEASE_RELEASED);
    assert_text(anna->answer.warning, "WRONGTYPE");
    ask("DEL %s", KEY);
    ask("LPUSH %s x", KEY);
    assert_int_equal(acquire(anna), LEASE_FAILED);
    assert_int_equal(anna->answer.failure, LEASE_FAILURE_CONFIGURATION);
    assert_text(anna->answer.text, "(" KEY ")");
    ask("DEL %s %s", KEY, TERM);
    ask("SET %s x", TERM);
    assert_int_equal(renew(anna, token), LEASE_FAILED);
    assert_text(anna->answer.text, "(" TERM ")");
    assert_text(anna->answer.text, "--key");
}

static void full_server_does_not_unseat_a_leader(void **state)
{
    struct candidate *anna = *state;
    uint64_t token = take(anna);
    bool old = strstr(ask("INFO server"), "redis_version:6") != NULL;

    ask("CONFIG SET maxmemory 1");
    if (old) {
        /* no flags for scripts yet */
        assert_int_equal(renew(anna, token), LEASE_FAILED);
        assert_int_equal(anna->answer.failure, LEASE_FAILURE_TRANSIENT);
        assert_text(anna->answer.text, "maxmemory is reached");
    } else {
        assert_int_equal(renew(anna, token), LEASE_RENEWED);
        assert_int_equal(release(anna, token), LEASE_RELEASED);
        assert_int_equal(acquire(anna), LEASE_GRANTED);
    }
    ask("CONFIG SET maxmemory 0");
}

static void paused_server_answers_late(void **state)
{
    struct candidate *anna = *state;
    uint64_t token = take(anna);

    ask("CLIENT PAUSE 300 WRITE");
    assert_int_equal(renew(anna, token), LEASE_RENEWED);
}

static void lost_connection_ends_the_wait_and_may_have_been_executed(void **state)
{
    struct candidate *anna = *state;
    struct candidate *bert = anna + 1;
    uint64_t token = take(anna);

    ask("CLIENT PAUSE 200 WRITE");
    send_renew(anna, token, false);
    /* Give it the time to leave, but not to be answered. */
    uv_run(&anna->loop, UV_RUN_NOWAIT);
    ask("CLIENT KILL TYPE normal SKIPME yes");
    loop_until(&anna->loop, is_closed, anna);
    assert_int_equal(anna->failure, LEASE_FAILURE_TRANSIENT);
    assert_text(anna->why, server.socket);
    anna->answers = 0;
    connect_up(anna);
    assert_int_equal(anna->opened, 1);
    assert_int_equal(anna->answers, 0);
    ask("CLIENT UNPAUSE");
    assert_int_equal(renew(anna, token), LEASE_RENEWED);
    loop_until(&bert->loop, is_closed, bert);
}

static void close_with_requests_pending(void **state)
{
    struct candidate *anna = *state;
    uint64_t token = take(anna);

    send_renew(anna, token, false);
    send_renew(anna, token, false);
    store_send_ping(anna->store, ++anna->requests);
    store_close(anna->store);
    anna->answers = 0;
    /* While it is closed nothing is sent, and nothing is kept. */
    store_send_ping(anna->store, ++anna->requests);
    send_renew(anna, token, false);
    connect_up(anna);
    assert_int_equal(anna->answers, 0);
    store_send_ping(anna->store, ++anna->requests);
    await(anna);
    assert_int_equal(anna->answer.verdict, LEASE_RELEASED);
    assert_int_equal(renew(anna, token), LEASE_RENEWED);
    send_renew(anna, token, false);
}

static void replica_is_no_place_for_a_lease(void **state)
{
    struct candidate *anna = *state;
    uint64_t token = take(anna);

    ask("REPLICAOF 127.0.0.1 1");
    assert_int_equal(renew(anna, token), LEASE_FAILED);
    assert_int_equal(anna->answer.failure, LEASE_FAILURE_ROLE);
    assert_int_equal(acquire(anna), LEASE_FAILED);
    assert_int_equal(anna->answer.failure, LEASE_FAILURE_ROLE);
    ask("REPLICAOF NO ONE");
    /* The same process, but another incarnation. */
    assert_int_equal(acquire(anna + 1), LEASE_REFUSED);
    assert_int_equal(anna[1].answer.record.state, LEASE_VACANT);
    assert_string_equal(anna[1].answer.record.id, ANNA);
    assert_int_equal(renew(anna, token), LEASE_RENEWED);
}

static void restart_makes_the_record_vacant(void **state)
{
    struct candidate *anna = *state;
    struct candidate *bert = anna + 1;
    uint64_t token = take(anna);
    char incarnation[LEASE_INCARNATION_SIZE];

    memcpy(incarnation, anna->answer.record.incarnation, sizeof incarnation);
    ask("SAVE");
    redis_server_kill(&server);
    loop_until(&anna->loop, is_closed, anna);
    redis_server_run(&server);
    connect_up(bert);
    assert_int_equal(acquire(bert), LEASE_REFUSED);
    assert_int_equal(bert->answer.record.state, LEASE_VACANT);
    assert_string_not_equal(bert->answer.record.incarnation, incarnation);
    assert_true(bert->answer.record.token == token);
    assert_string_equal(bert->answer.record.id, ANNA);
    /* K was kept, with the id on record: no obstacle after the observation. */
    assert_string_equal(ask("GET %s", KEY), ANNA);
    assert_int_equal(acquire_observed(bert), LEASE_GRANTED);
    assert_true(bert->answer.record.token > token);
    connect_up(anna);
    assert_int_equal(renew(anna, token), LEASE_LOST);
}

static void empty_restart_is_survived_by_the_leader(void **state)
{
    struct candidate *anna = *state;
    uint64_t token = take(anna);

    ask("FLUSHALL");
    ask("SAVE");
    redis_server_kill(&server);
    loop_until(&anna->loop, is_closed, anna);
    redis_server_run(&server);
    connect_up(anna);
    assert_int_equal(renew(anna, token), LEASE_RENEWED);
    assert_string_equal(ask("GET %s", KEY), ANNA);
}

/* ---- rights ---- */

static void log_in(struct candidate *c, const char *user, const char *password)
{
    finish(c);
    prepare(c, ANNA);
    c->target.url.user = user != NULL ? strdup(user) : NULL;
    c->target.url.password = strdup(password);
    connect_up(c);
}

#define RIGHTS                                                                                     \
    "+evalsha +eval +info +time +get +set +del +hmget +hset +xadd +publish +subscribe +ping"

/* Makes the user "lw" with all rights that leaderwrap needs, then `change`. */
static void make_user(const char *change)
{
    char command[512];

    snprintf(command, sizeof command,
             "ACL SETUSER lw reset on >pw ~job ~{job}:* &{job}:* " RIGHTS " %s", change);
    assert_string_equal(ask(command), "OK");
}

static void named_rights_are_enough(void **state)
{
    struct candidate *anna = *state;
    uint64_t token;

    make_user("");
    log_in(anna, "lw", "pw");
    ask("SCRIPT FLUSH");
    token = take(anna);
    assert_string_equal(anna->answer.warning, "");
    assert_int_equal(renew(anna, token), LEASE_RENEWED);
    assert_int_equal(release(anna, token), LEASE_RELEASED);
    assert_string_equal(anna->answer.warning, "");
    assert_int_equal(acquire(anna), LEASE_GRANTED);
    store_send_erase(anna->store, ++anna->requests);
    await(anna);
    assert_int_equal(anna->answer.verdict, LEASE_RELEASED);
}

/* Goes through a term with whatever rights there are; returns the first refusal. */
static const char *first_refusal(struct candidate *c)
{
    uint64_t token;

    ask("SCRIPT FLUSH");
    if (acquire_observed(c) == LEASE_FAILED)
        return c->answer.text;
    if (c->answer.warning[0] != '\0')
        return c->answer.warning;
    token = c->answer.record.token;
    if (renew(c, token) == LEASE_FAILED || release(c, token) == LEASE_FAILED)
        return c->answer.text;
    return c->answer.warning;
}

static void missing_right_is_named(void **state)
{
    static const char *const needed[] = {"evalsha", "eval", "info",  "time", "get",
                                         "set",     "del",  "hmget", "hset"};
    static const char *const wanted[] = {"xadd", "publish"};
    struct candidate *anna = *state;
    char change[32];
    char says[32];

    for (size_t i = 0; i < sizeof needed / sizeof needed[0]; i++) {
        ask("FLUSHALL");
        snprintf(change, sizeof change, "-%s", needed[i]);
        snprintf(says, sizeof says, "SETUSER <user> +%s", needed[i]);
        make_user(change);
        log_in(anna, "lw", "pw");
        assert_text(first_refusal(anna), says);
        assert_int_equal(anna->answer.verdict, LEASE_FAILED);
        assert_int_equal(anna->answer.failure, LEASE_FAILURE_CONFIGURATION);
    }
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
        ask("FLUSHALL");
        snprintf(change, sizeof change, "-%s", wanted[i]);
        snprintf(says, sizeof says, "SETUSER <user> +%s", wanted[i]);
        make_user(change);
        log_in(anna, "lw", "pw");
        assert_text(first_refusal(anna), says);
        assert_int_equal(anna->answer.verdict, LEASE_GRANTED);
    }
}

/* The record and the key, in `text`. */
static void read_data(char *text, size_t size)
{
    size_t used = (size_t)snprintf(text, size, "%s|", ask("HGETALL %s", TERM));

    snprintf(text + used, size - used, "%s", ask("GET %s", KEY));
}

static void a_refused_write_leaves_nothing_behind(void **state)
{
    static const char *const needed[] = {"set", "hset"};
    const struct wish fresh = {.never_saw_record = true};
    struct candidate *pair = *state;

    for (size_t i = 0; i < sizeof needed / sizeof needed[0]; i++) {
        char change[32], before[1024], after[1024];

        /* No record, or a free one: the grant is refused in the middle. */
        snprintf(change, sizeof change, "-%s", needed[i]);
        for (int free = 0; free < 2; free++) {
            make_user("");
            ask("FLUSHALL");
            if (free == 1)
                release(&pair[0], take(&pair[0]));
            make_user(change);
            finish(&pair[1]);
            prepare(&pair[1], BERT);
            pair[1].config.assume_fresh = true;
            pair[1].target.url.user = strdup("lw");
            pair[1].target.url.password = strdup("pw");
            connect_up(&pair[1]);
            read_data(before, sizeof before);
            assert_int_equal(acquire_with(&pair[1], fresh), LEASE_FAILED);
            read_data(after, sizeof after);
            assert_string_equal(after, before);
        }
    }
    /* A release that may not delete the key frees nothing. */
    make_user("");
    log_in(&pair[0], "lw", "pw");
    take(&pair[0]);
    make_user("-del");
    assert_int_equal(release(&pair[0], pair[0].answer.record.token), LEASE_FAILED);
    assert_field("st", "held");
    assert_string_equal(ask("GET %s", KEY), ANNA);
}

static void whoever_asks_first_hears_what_a_term_would_lack(void **state)
{
    static const char *const needed[] = {"set", "hset"};
    struct candidate *pair = *state;
    struct lease_record seen;
    char change[32], says[32], before[1024], after[1024];

    make_user("");
    take(&pair[0]);
    acquire(&pair[1]);
    seen = pair[1].answer.record;
    for (size_t i = 0; i < sizeof needed / sizeof needed[0]; i++) {
        snprintf(change, sizeof change, "-%s", needed[i]);
        snprintf(says, sizeof says, "SETUSER <user> +%s", needed[i]);
        make_user(change);
        log_in(&pair[1], "lw", "pw");
        read_data(before, sizeof before);
        assert_int_equal(acquire(&pair[1]), LEASE_FAILED);
        assert_int_equal(pair[1].answer.failure, LEASE_FAILURE_CONFIGURATION);
        assert_text(pair[1].answer.text, says);
        read_data(after, sizeof after);
        assert_string_equal(after, before);
        /* Who has stood by for a while goes on standing by. */
        assert_int_equal(
            acquire_with(&pair[1], (struct wish){.observed_incarnation = seen.incarnation,
                                                 .observed_version = seen.version,
                                                 .observed_ms = 1}),
            LEASE_REFUSED);
    }
}

static void a_first_ask_changes_no_key(void **state)
{
    struct candidate *pair = *state;
    char before[1024], after[1024];

    /* Free, held, and barred by a foreign value. */
    release(&pair[0], take(&pair[0]));
    ask("HSET %s ident x", TERM);
    acquire(&pair[1]);
    assert_string_equal(ask("EXISTS %s", KEY), "0");
    take(&pair[0]);
    read_data(before, sizeof before);
    acquire(&pair[1]);
    read_data(after, sizeof after);
    assert_string_equal(after, before);
    ask("SET %s intruder", KEY);
    acquire(&pair[1]);
    assert_string_equal(ask("GET %s", KEY), "intruder");
    assert_string_equal(ask("PTTL %s", KEY), "-1");
}

static void missing_keys_and_channels_are_named(void **state)
{
    struct candidate *anna = *state;

    make_user("resetkeys");
    log_in(anna, "lw", "pw");
    assert_text(first_refusal(anna), "~KEY ~{KEY}:*");
    make_user("resetkeys ~job");
    log_in(anna, "lw", "pw");
    assert_text(first_refusal(anna), "~KEY ~{KEY}:*");
    ask("FLUSHALL");
    make_user("resetchannels");
    log_in(anna, "lw", "pw");
    assert_text(first_refusal(anna), "&{KEY}:*");
    assert_int_equal(anna->answer.verdict, LEASE_GRANTED);
}

static void hidden_info_works_by_the_server_clock_only(void **state)
{
    struct candidate *anna = *state;

    make_user("-info");
    log_in(anna, "lw", "pw");
    assert_int_equal(acquire(anna), LEASE_FAILED);
    store_free(anna->store);
    anna->store = NULL;
    anna->config.server_clock = true;
    connect_up(anna);
    assert_int_equal(acquire(anna), LEASE_REFUSED);
    assert_string_equal(anna->answer.record.incarnation, "-");
    set_field("at", "1000");
    assert_int_equal(acquire(anna), LEASE_GRANTED);
    assert_int_equal(renew(anna, anna->answer.record.token), LEASE_RENEWED);
    assert_int_equal(release(anna, anna->answer.record.token), LEASE_RELEASED);
}

static void wrong_password_closes(void **state)
{
    struct candidate *anna = *state;

    make_user("");
    log_in(anna, "lw", "wrong");
    loop_until(&anna->loop, is_closed, anna);
    assert_int_equal(anna->failure, LEASE_FAILURE_CONFIGURATION);
    assert_text(anna->why, "refused the password: WRONGPASS");
    log_in(anna, NULL, "needless");
    loop_until(&anna->loop, is_closed, anna);
    assert_int_equal(anna->failure, LEASE_FAILURE_CONFIGURATION);
}

static void missing_password_is_said(void **state)
{
    struct candidate *anna = *state;

    ask("CONFIG SET requirepass secret");
    finish(anna);
    start(anna, ANNA);
    assert_int_equal(acquire(anna), LEASE_FAILED);
    assert_int_equal(anna->answer.failure, LEASE_FAILURE_CONFIGURATION);
    assert_text(anna->answer.text, "--password-file");
    log_in(anna, NULL, "secret");
    assert_int_equal(acquire(anna), LEASE_REFUSED);
    ask("CONFIG SET requirepass %s", "");
}

static void database_is_selected(void **state)
{
    struct candidate *anna = *state;

    finish(anna);
    prepare(anna, ANNA);
    anna->target.url.database = 3;
    connect_up(anna);
    take(anna);
    assert_string_equal(ask("DBSIZE"), "0");
    ask("SELECT 3");
    assert_string_equal(ask("GET %s", KEY), ANNA);
    ask("SELECT 0");
    finish(anna);
    prepare(anna, ANNA);
    anna->target.url.database = 99;
    connect_up(anna);
    loop_until(&anna->loop, is_closed, anna);
    assert_int_equal(anna->failure, LEASE_FAILURE_CONFIGURATION);
}

/* ---- a server that is none ---- */

struct stage {
    struct candidate anna;
    struct fake_server fake;
};

static int setup_fake(void **state)
{
    struct stage *stage = calloc(1, sizeof *stage);

    assert_non_null(stage);
    prepare(&stage->anna, ANNA);
    fake_server_start(&stage->fake, &stage->anna.loop);
    redis_target_clear(&stage->anna.target);
    stage->anna.target.url.host = strdup("127.0.0.1");
    snprintf(stage->anna.target.url.port, sizeof stage->anna.target.url.port, "%hu",
             (unsigned short)stage->fake.port);
    connect_up(&stage->anna);
    *state = stage;
    return 0;
}

static int teardown_fake(void **state)
{
    struct stage *stage = *state;

    fake_server_stop(&stage->fake);
    finish(&stage->anna);
    free(stage);
    return 0;
}

static void servers_before_7_get_the_plain_scripts(void **state)
{
    static const char no_lua[] =
        "-ERR Error compiling script (new function): user_script:1: unexpected symbol near '#'\r\n";
    struct stage *stage = *state;

    stage->fake.answers[0] = "-NOSCRIPT No matching script. Please use EVAL.\r\n";
    stage->fake.answers[1] = no_lua;
    stage->fake.answers[2] = "-NOSCRIPT No matching script. Please use EVAL.\r\n";
    stage->fake.answers[3] = "-LOADING later\r\n";
    stage->fake.answers[4] = no_lua;
    assert_int_equal(acquire(&stage->anna), LEASE_FAILED);
    assert_text(stage->anna.answer.text, "LOADING later");
    assert_int_equal(stage->fake.commands, 4);
    assert_int_equal(strncmp(stage->fake.last, "EVAL local", 10), 0);
    /* A script that does not compile without the line either is a failure, not a loop. */
    assert_int_equal(acquire(&stage->anna), LEASE_FAILED);
    assert_int_equal(stage->fake.commands, 5);
    assert_int_equal(strncmp(stage->fake.last, "EVALSHA ", 8), 0);
}

/* The first words of the request that a new connection begins with. */
static void begin_anew(struct stage *stage, char *words, size_t size)
{
    connect_up(&stage->anna);
    assert_int_equal(acquire(&stage->anna), LEASE_FAILED);
    snprintf(words, size, "%s", stage->fake.last);
}

/* It may be another server by then, and the first line keeps a full one from unseating a leader. */
static void the_first_line_is_left_out_on_one_connection_only(void **state)
{
    struct stage *stage = *state;
    char first[64], second[64];

    stage->fake.answers[0] = "-LOADING later\r\n";
    begin_anew(stage, first, sizeof first);
    stage->fake.answers[0] = "-ERR Error compiling script (new function): near '#'\r\n";
    stage->fake.answers[1] = stage->fake.answers[2] = "-LOADING later\r\n";
    begin_anew(stage, second, sizeof second);
    assert_string_not_equal(first, second);
    assert_int_equal(acquire(&stage->anna), LEASE_FAILED);
    assert_string_equal(stage->fake.last, second);

    stage->fake.answers[0] = "-LOADING later\r\n";
    begin_anew(stage, second, sizeof second);
    assert_string_equal(first, second);
}

/* A request that one connection cannot carry through is taken up where it ended. */
static void hanging_up_behind_each_answer_keeps_no_script_from_running(void **state)
{
    static const char *const answers[] = {
        "-NOSCRIPT No matching script.\r\n",
        "-ERR Error compiling script (new function): near '#'\r\n",
        "-NOSCRIPT No matching script.\r\n",
    };
    struct stage *stage = *state;

    stage->fake.hangs_up = true;
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
        stage->fake.answers[0] = answers[i];
        connect_up(&stage->anna);
        send_acquire(&stage->anna, &(struct wish){0});
        loop_until(&stage->anna.loop, is_closed, &stage->anna);
    }
    stage->fake.hangs_up = false;
    stage->fake.answers[0] = "-LOADING later\r\n";
    connect_up(&stage->anna);
    assert_int_equal(acquire(&stage->anna), LEASE_FAILED);
    assert_int_equal(strncmp(stage->fake.last, "EVAL local", 10), 0);
}

static void server_that_never_knows_the_script_is_no_endless_loop(void **state)
{
    struct stage *stage = *state;

    stage->fake.answers[0] = "-NOSCRIPT No matching script.\r\n";
    stage->fake.answers[1] = "-NOSCRIPT No matching script.\r\n";
    assert_int_equal(acquire(&stage->anna), LEASE_FAILED);
    assert_int_equal(stage->anna.answer.failure, LEASE_FAILURE_TRANSIENT);
}

static bool has_two_answers(void *context)
{
    return ((struct candidate *)context)->answers == 2;
}

/* It would be executed behind the one that took its place. */
static void a_request_that_was_given_up_is_not_sent_again(void **state)
{
    static const char *const unknown[] = {
        "-NOSCRIPT No matching script.\r\n",
        "-ERR Error compiling script (new function): near '#'\r\n",
    };
    struct stage *stage = *state;
    struct candidate *anna = &stage->anna;

    for (size_t i = 0; i < sizeof unknown / sizeof unknown[0]; i++) {
        stage->fake.answers[0] = stage->fake.answers[1] = unknown[i];
        stage->fake.answers[2] = stage->fake.answers[3] = "-LOADING later\r\n";
        connect_up(anna);
        anna->answers = 0;
        for (int again = 0; again < 2; again++)
            send_acquire(anna, &(struct wish){0});
        loop_until(&anna->loop, has_two_answers, anna);
        assert_int_equal(stage->fake.commands, 3);
        assert_int_equal(anna->answer.request, anna->requests);
        assert_text(anna->answer.text, "LOADING later");
    }
}

static void strange_answers_are_failures(void **state)
{
    struct stage *stage = *state;
    int64_t hold = 0;

    stage->fake.answers[0] = "+OK\r\n";
    stage->fake.answers[1] = "*1\r\n$7\r\nRENEWED\r\n";
    stage->fake.answers[2] = "$-1\r\n";
    stage->fake.answers[3] = "+OK\r\n";
    assert_int_equal(acquire(&stage->anna), LEASE_FAILED);
    assert_int_equal(stage->anna.answer.failure, LEASE_FAILURE_TRANSIENT);
    assert_text(stage->anna.answer.text, "answered something that is no lease record");
    assert_int_equal(renew(&stage->anna, 1), LEASE_FAILED);
    assert_int_equal(release_held(&stage->anna, 1, hold), LEASE_FAILED);
    store_send_erase(stage->anna.store, ++stage->anna.requests);
    await(&stage->anna);
    assert_int_equal(stage->anna.answer.verdict, LEASE_FAILED);
}

/* ---- keys ---- */

static void checks_keys(void **state)
{
    static const char *const good[] = {"k",     "leaderwrap:job", "a{b}c", "{b}",
                                       "a{b}}", "a{{b}c",         "a:term"};
    static const char *const bad[] = {"",      "a{",       "a}",           "a{}b",      "a}b{c",
                                      "{}{b}", "{a}:term", "{a}::history", "a{b}::term"};
    char key[600];
    char channel[64];
    char longest[STORE_KEY_SIZE];

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        assert_null(store_check_key(good[i]));
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_non_null(store_check_key(bad[i]));
    memset(key, 'k', sizeof key);
    key[513] = '\0';
    assert_non_null(store_check_key(key));
    key[512] = '\0';
    assert_null(store_check_key(key));
    assert_string_equal(store_channel("job", 0, channel, sizeof channel), "{job}:events");
    assert_string_equal(store_channel("job", 15, channel, sizeof channel), "{job}:events:15");
    assert_string_equal(store_channel("{job}", 0, channel, sizeof channel), "{job}::events");
    assert_string_equal(store_channel("a{b}", 1, channel, sizeof channel), "a{b}::events:1");
    assert_string_equal(store_term_key("job", channel, sizeof channel), TERM);
    memset(key, 'k', 512);
    assert_int_equal(strlen(store_term_key(key, longest, sizeof longest)), 512 + strlen("{}:term"));
    store_free(NULL);
}

static int start_server(void **state)
{
    (void)state;
    /* As the program does: a write to a peer that is gone is an error, no end. */
    signal(SIGPIPE, SIG_IGN);
    redis_server_start(&server);
    return 0;
}

static int stop_server(void **state)
{
    (void)state;
    redis_server_stop(&server);
    return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
#define FAKE(name) cmocka_unit_test_setup_teardown(name, setup_fake, teardown_fake)

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(checks_keys),
    TEST(missing_record_becomes_vacant),
    TEST(vacant_record_is_written_once),
    TEST(vacant_record_keeps_the_longer_ttl_and_the_floor),
    TEST(observed_record_is_granted),
    TEST(other_versions_and_incarnations_are_refused),
    TEST(carries_a_fingerprint_of_the_command),
    TEST(an_observation_must_be_long_enough),
    TEST(held_lease_is_refused_to_others),
    TEST(unknown_outcome_shows_in_the_record),
    TEST(takeover_ends_the_term_before_it_in_the_history),
    TEST(token_is_above_the_record_and_the_floor),
    TEST(assume_fresh_needs_an_unseen_and_empty_key),
    TEST(foreign_value_in_the_key_blocks),
    TEST(key_that_still_has_the_holder_of_the_record_does_not_block),
    TEST(server_clock_ends_a_lease_by_itself),
    TEST(server_clock_waits_out_a_vacancy_too),
    TEST(broken_records_are_survived),
    TEST(renewal_writes_a_new_version),
    TEST(lost_data_is_written_again),
    TEST(vacant_record_is_taken_back),
    TEST(record_of_another_incarnation_is_taken_back),
    TEST(record_of_another_epoch_is_of_another_incarnation),
    TEST(older_term_on_record_is_overwritten),
    TEST(higher_token_is_a_loss),
    TEST(same_token_of_another_is_a_loss),
    TEST(released_term_is_not_revived),
    TEST(foreign_value_in_the_key_is_a_loss),
    TEST(claim_needs_the_record_as_the_grant_left_it),
    TEST(released_lease_is_granted_at_once),
    TEST(terms_of_others_are_not_measured),
    TEST(release_of_what_is_not_held_does_nothing),
    TEST(release_of_a_version_that_is_not_ours_does_nothing),
    TEST(release_leaves_a_foreign_key_alone),
    TEST(hold_keeps_everybody_out_until_it_is_over),
    TEST(hold_that_was_watched_is_counted_by_the_asker),
    TEST(hold_outlives_the_incarnation),
    TEST(a_released_term_is_not_renewed_in_another_incarnation),
    TEST(a_clock_that_was_set_back_closes_nothing_for_long),
    TEST(grant_says_what_it_has_ended),
    TEST(short_hold_ends_by_itself),
    TEST(erase_leaves_nothing),
    TEST(who_stands_by_can_be_seen),
    TEST(the_list_of_candidates_stays_short),
    TEST(a_wish_of_another_form_counts_as_nothing),
    TEST(history_stays_short),
    TEST(keys_with_a_hash_tag_of_their_own),
    TEST(a_key_and_its_hash_tag_are_two_leases),
    TEST(forgotten_scripts_are_sent_again),
    TEST(wrong_types_are_named),
    TEST(full_server_does_not_unseat_a_leader),
    TEST(paused_server_answers_late),
    TEST(lost_connection_ends_the_wait_and_may_have_been_executed),
    TEST(close_with_requests_pending),
    TEST(replica_is_no_place_for_a_lease),
    TEST(restart_makes_the_record_vacant),
    TEST(empty_restart_is_survived_by_the_leader),
    TEST(named_rights_are_enough),
    TEST(missing_right_is_named),
    TEST(a_refused_write_leaves_nothing_behind),
    TEST(whoever_asks_first_hears_what_a_term_would_lack),
    TEST(a_first_ask_changes_no_key),
    TEST(missing_keys_and_channels_are_named),
    TEST(hidden_info_works_by_the_server_clock_only),
    TEST(wrong_password_closes),
    TEST(missing_password_is_said),
    TEST(database_is_selected),
    FAKE(servers_before_7_get_the_plain_scripts),
    FAKE(the_first_line_is_left_out_on_one_connection_only),
    FAKE(hanging_up_behind_each_answer_keeps_no_script_from_running),
    FAKE(server_that_never_knows_the_script_is_no_endless_loop),
    FAKE(a_request_that_was_given_up_is_not_sent_again),
    FAKE(strange_answers_are_failures),
};

int main(void)
{
    if (!redis_server_is_installed()) {
        puts("skipped: redis-server is not installed");
        return 77;
    }
    return cmocka_run_group_tests_name("store", tests, start_server, stop_server);
}
