/*
 * The next step of a sequence: mostly a call, at a time that matters to it, now and then something
 * that happens to a server. What is slow (a restart) is rare.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#include "differential.h"

#define HOUR_US      INT64_C(3600000000)
#define CORDONS_MOST ((1 << CANDIDATES) - 1)

static bool one_in(struct test *test, int64_t number)
{
    return between(test->world, 1, number) == 1;
}

void note(struct test *test, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(test->operation, sizeof test->operation, format, arguments);
    va_end(arguments);
    if (test->tracing)
        printf("%5d  %" PRId64 " us  %s\n", test->step, model_now_us(test), test->operation);
}

/* Most often that token; else another one. */
static uint64_t beside_token(struct test *test, uint64_t token)
{
    return one_in(test, 5) ? token + 1 : token;
}

/* ---- time ---- */

/* The first ms at which the asker may have it by the server's clock, less one. */
static int64_t threshold_ms(const struct test *test, const struct message *request)
{
    const struct record *record = &test->server->data.record;
    int64_t ttl_ms = record->ttl_ms > request->ttl_ms ? record->ttl_ms : request->ttl_ms;

    return (record->at_ms * 100 + ttl_ms * 101 + 1000) / 100;
}

/* A moment at which a rule changes its mind, or a microsecond or a millisecond beside it. */
static int64_t draw_moment(struct test *test, const struct message *request)
{
    static const int64_t beside_us[] = {-1000, -1, 0, 1, 999, 1000, 1001, 2000};
    const struct data *data = &test->server->data;
    int64_t moment_ms = 0;

    switch (between(test->world, 0, 2)) {
    case 0:
        if (data->holder != 0 && data->holder_expires_ms != FOREIGN_TTL_NONE)
            moment_ms = data->holder_expires_ms;
        break;
    case 1:
        moment_ms = data->record.hold_until_ms;
        break;
    default:
        if (!data->record.missing)
            moment_ms = threshold_ms(test, request);
        break;
    }
    if (moment_ms == 0)
        return model_now_us(test) + between(test->world, 0, 2000000);
    return moment_ms * 1000 + beside_us[between(test->world, 0, 7)];
}

static void let_time_pass(struct test *test, const struct message *request)
{
    int64_t now_us = model_now_us(test);
    int64_t moment_us = draw_moment(test, request);

    /* A way back of a few seconds is a step as good as any; a long way on makes all else old. */
    bool near = moment_us < now_us + 20000000 || one_in(test, 10);
    if (near && one_in(test, 3) && moment_us > now_us - 5000000)
        model_go_to(test, moment_us);
    else
        model_go_to(test, now_us + between(test->world, 0, 3000));
}

static void step_clock(struct test *test)
{
    bool back = one_in(test, 2);
    int64_t most_us = one_in(test, 4) ? 2 * HOUR_US : 4000000;
    int64_t step_us = between(test->world, 1, most_us);

    note(test, "the clock is stepped by %s%" PRId64 " us", back ? "-" : "", step_us);
    test->server->wall_us += back ? -step_us : step_us;
    model_show_clock(test);
    cover(test, back ? CLOCK_STEPPED_BACK : CLOCK_STEPPED_FORWARD);
}

/* ---- calls ---- */

static void see(struct test *test, const struct record *record)
{
    test->seen[test->seen_count++ % SEEN] = (struct seen){
        .incarnation = record->incarnation,
        .version = record->version,
        .token = record->token,
        .id = record->id,
    };
}

static void call(struct test *test)
{
    struct message request;
    char text[TEXT_SIZE];

    draw_request(test, &request);
    let_time_pass(test, &request);
    request_text(test, &request, text);
    note(test, "%s", text);
    const struct data before = test->server->data;
    struct message answer = request;
    compare_call(test, &answer);
    test->calls++;
    cover_call(test, &before, &request, &answer);
    if (answer.verdict != LEASE_FAILED && !answer.record.missing)
        see(test, &answer.record);
}

/* ---- what happens to data ---- */

static void set_foreign(struct test *test)
{
    static const uint32_t others[FOREIGN_VALUES] = {FOREIGN_ID, FOREIGN_EMPTY, FOREIGN_LONG};
    struct data *data = &test->server->data;
    uint32_t holder = one_in(test, 4) ? (uint32_t)between(test->world, 1, CANDIDATES)
                                      : others[between(test->world, 0, FOREIGN_VALUES - 1)];
    int64_t ttl_ms = between(test->world, 1, 2000);
    bool expires = !one_in(test, 8);

    note(test, "K is set to '%s' for %" PRId64 " ms", id_text(holder), expires ? ttl_ms : -1);
    const char *value = id_text(holder);
    if (expires)
        real_do(&test->real, "SET %s %b PX %lld", REAL_KEY, value, strlen(value),
                (long long)ttl_ms);
    else
        real_do(&test->real, "SET %s %b", REAL_KEY, value, strlen(value));
    data->holder = holder;
    data->holder_expires_ms = expires ? model_now_us(test) / 1000 + ttl_ms : FOREIGN_TTL_NONE;
    cover(test, FOREIGN_SET);
}

/* Wishes go with it, unless an operator makes them anew. */
static void delete_record(struct test *test)
{
    struct data *data = &test->server->data;
    bool with_wishes = one_in(test, 2);

    note(test, "DEL of the record%s", with_wishes ? "" : ", but for wishes");
    if (with_wishes) {
        real_do(&test->real, "DEL %s", REAL_TERM);
        data->wishes = (struct wishes){0};
    } else {
        real_do(&test->real, "HDEL %s st id name tok ver ident ttl at until hold cmd base term",
                REAL_TERM);
    }
    data->record = (struct record){.missing = true};
    cover(test, TERM_DELETED);
}

static void spoil_data(struct test *test)
{
    struct data *data = &test->server->data;

    switch (between(test->world, 0, 6)) {
    case 0:
    case 1:
        note(test, "DEL of K");
        real_do(&test->real, "DEL %s", REAL_KEY);
        data->holder = 0;
        cover(test, HOLDER_DELETED);
        break;
    case 2:
        delete_record(test);
        break;
    case 3:
        note(test, "FLUSHALL");
        real_do(&test->real, "FLUSHALL");
        *data = (struct data){.record.missing = true};
        cover(test, FLUSHED);
        break;
    default:
        set_foreign(test);
        break;
    }
}

/* ---- what an operator wishes ---- */

static void write_wish(struct test *test, const char *field, const char *text)
{
    note(test, "the wish '%s' is '%s'", field, text);
    if (text[0] != '\0')
        real_do(&test->real, "HSET %s %s %s", REAL_TERM, field, text);
    else
        real_do(&test->real, "HDEL %s %s", REAL_TERM, field);
}

/* Begins at a time of the server, perhaps of before its clock was stepped. */
static int64_t draw_wish_begin(struct test *test)
{
    int64_t now_ms = model_now_us(test) / 1000;

    return one_in(test, 5) ? now_ms + between(test->world, -3000, 3000) : now_ms;
}

static void change_wishes(struct test *test)
{
    struct wishes *wishes = &test->server->data.wishes;
    const struct record *record = &test->server->data.record;
    char pause[TEXT_SIZE];
    char ask[TEXT_SIZE];
    char cordon[TEXT_SIZE];
    int64_t kind = between(test->world, 0, 2);

    if (kind == 0) {
        wishes->pause = !wishes->pause;
        wishes->pause_at_ms = draw_wish_begin(test);
        wishes->pause_ms = one_in(test, 3) ? 0 : between(test->world, 1, 3000);
    } else if (kind == 1) {
        bool asks = one_in(test, 5) ? false : !record->missing;
        wishes->ask_token = asks ? beside_token(test, record->token) : 0;
        wishes->ask_at_ms = draw_wish_begin(test);
        wishes->ask_ms = between(test->world, 1, 5000);
        wishes->ask_to = one_in(test, 3) ? NO_NAME : (uint8_t)between(test->world, 1, CANDIDATES);
    } else {
        wishes->cordons =
            one_in(test, 2) ? 0 : (uint32_t)between(test->world, 1, CORDONS_MOST) << 1;
    }
    wishes_text(wishes, pause, ask, cordon);
    if (kind == 0)
        write_wish(test, "pause", pause);
    else if (kind == 1)
        write_wish(test, "ask", ask);
    else
        write_wish(test, "cordon", cordon);
    cover(test, WISHED);
}

/* ---- what happens to servers ---- */

static void dump(struct test *test)
{
    char name[16];
    int number =
        test->dump_count < DUMPS ? test->dump_count++ : (int)between(test->world, 0, DUMPS - 1);

    snprintf(name, sizeof name, "%d.rdb", number);
    note(test, "data are dumped as number %d", number);
    real_dump(&test->real, name);
    test->dumps[number] = test->server->data;
    cover(test, DUMPED);
}

static void learn_ident(struct test *test)
{
    char *text = test->idents[test->ident_count];

    real_ident(&test->real, text);
    for (int i = 0; i < test->ident_count; i++) {
        if (strcmp(test->idents[i], text) == 0)
            give_up("the server has an ident that it had before");
    }
    test->ident_numbers[test->ident_count++] = test->server->incarnation;
}

/* Whether a key in its last ms is loaded differs from server to server. */
static void leave_last_ms(struct test *test, const struct data *data)
{
    if (data->holder != 0 && data->holder_expires_ms == model_now_us(test) / 1000)
        model_go_to(test, model_now_us(test) + 1000);
}

static void restart(struct test *test)
{
    int64_t kind = between(test->world, 0, 3);
    int number = (int)between(test->world, 0, test->dump_count - 1);
    char name[16];

    if (kind == 0 || (kind > 1 && test->dump_count == 0)) {
        leave_last_ms(test, &test->server->data);
        note(test, "restart, data kept");
        real_dump(&test->real, "kept.rdb");
        real_restart(&test->real, "kept.rdb");
        cover(test, RESTARTED_KEPT);
    } else if (kind > 1) {
        leave_last_ms(test, &test->dumps[number]);
        note(test, "restart, data as of dump %d", number);
        snprintf(name, sizeof name, "%d.rdb", number);
        real_restart(&test->real, name);
        test->server->data = test->dumps[number];
        cover(test, RESTARTED_ROLLED_BACK);
    } else {
        note(test, "restart, data lost");
        real_restart(&test->real, NULL);
        test->server->data = (struct data){.record.missing = true};
        cover(test, RESTARTED_EMPTY);
    }
    test->restarts++;
    model_expire(test);
    model_new_ident(test, false);
    model_listen(test, 0);
    learn_ident(test);
}

static void change_role(struct test *test)
{
    /* A node of a cluster is told by CLUSTER commands whose replica it is, and needs another one.
     */
    if (test->real.kind == REAL_CLUSTER)
        return;
    note(test, test->demoted ? "promotion" : "demotion");
    if (test->demoted) {
        real_do(&test->real, "REPLICAOF NO ONE");
        model_new_ident(test, true);
        learn_ident(test);
        test->server->errors_until = 0;
        cover(test, PROMOTED);
    } else {
        test->writable = one_in(test, 2);
        real_do(&test->real, "CONFIG SET replica-read-only %s", test->writable ? "no" : "yes");
        /* Nobody listens on that port. */
        real_do(&test->real, "REPLICAOF 127.0.0.1 1");
        test->server->errors = ERROR_ROLE;
        test->server->errors_until = NEVER;
    }
    test->demoted = !test->demoted;
}

static void change_rights(struct test *test)
{
    note(test, test->set_refused ? "SET is allowed again" : "SET is refused");
    real_do(&test->real, "ACL SETUSER default %s", test->set_refused ? "+set" : "-set");
    test->server->errors = ERROR_SET_REFUSED;
    test->server->errors_until = test->set_refused ? 0 : NEVER;
    test->set_refused = !test->set_refused;
}

static void change_listeners(struct test *test)
{
    int listeners = (int)between(test->world, 0, LISTENERS_MAX);

    note(test, "%d listen", listeners);
    real_listen(&test->real, listeners);
    model_listen(test, listeners);
}

/* ---- a step ---- */

static void begin(struct test *test)
{
    real_listen(&test->real, 0);
    if (test->demoted)
        real_do(&test->real, "REPLICAOF NO ONE");
    if (test->set_refused)
        real_do(&test->real, "ACL SETUSER default +set");
    test->demoted = test->set_refused = false;
    real_do(&test->real, "FLUSHALL");
    model_begin(test);
    model_show_clock(test);
    test->last_nonce = 0;
    test->seen_count = 0;
    test->dump_count = 0;
    test->ident_count = 0;
    learn_ident(test);
    real_listen(&test->real, 1);
    model_listen(test, 1);
}

/* How often each happens, of all steps on a healthy master. */
static const struct {
    int weight;
    void (*happen)(struct test *);
} happenings[] = {
    {1740, call},        {120, spoil_data},   {60, step_clock},
    {60, change_wishes}, {26, change_role},   {20, change_listeners},
    {12, dump},          {10, change_rights}, {2, restart},
};

static void happen(struct test *test)
{
    int64_t most = 0;

    for (size_t i = 0; i < sizeof happenings / sizeof happenings[0]; i++)
        most += happenings[i].weight;
    int64_t drawn = between(test->world, 1, most);
    size_t i = 0;
    while (drawn > happenings[i].weight)
        drawn -= happenings[i++].weight;
    happenings[i].happen(test);
}

/* Where data can hardly be changed from outside. */
static void happen_restricted(struct test *test)
{
    if (one_in(test, 20))
        step_clock(test);
    else if (!test->demoted && one_in(test, 10))
        delete_record(test);
    else if (!one_in(test, 4))
        call(test);
    else if (test->demoted)
        change_role(test);
    else
        change_rights(test);
}

void generate_step(struct test *test)
{
    uint64_t calls = test->calls;

    if (test->step == 0)
        begin(test);
    if (test->demoted || test->set_refused)
        happen_restricted(test);
    else
        happen(test);
    /* A call has been compared; to look is to let K expire, so that it is not always done. */
    if (test->calls == calls && one_in(test, 2))
        compare_data(test);
}
