/*
 * What a candidate may ask. Half of it is what a candidate in its right mind would ask now, so that
 * each rule is met from inside and from outside; the rest is late, mistaken or out of the blue.
 */
#include "differential.h"

#include "leaderwrap/base/duration.h"

static bool one_in(struct test *test, int64_t number)
{
    return between(test->world, 1, number) == 1;
}

static const struct seen *draw_seen(struct test *test)
{
    uint32_t known = test->seen_count < SEEN ? test->seen_count : SEEN;
    uint32_t back = one_in(test, 2) ? 1 : (uint32_t)between(test->world, 1, known);
    static const struct seen none;

    return known == 0 ? &none : &test->seen[(test->seen_count - back) % SEEN];
}

static uint32_t draw_id(struct test *test)
{
    return (uint32_t)between(test->world, 1, CANDIDATES);
}

static int64_t draw_ttl(struct test *test)
{
    static const int64_t usual[] = {100, 1000, 3000, 15000, INT64_C(2592000000)};

    if (one_in(test, 3))
        return between(test->world, 1, 5000);
    return usual[between(test->world, 0, one_in(test, 20) ? 4 : 3)];
}

static uint64_t beside(struct test *test, uint64_t token)
{
    int64_t moved = (int64_t)token + between(test->world, -1, 1);
    return moved > 0 ? (uint64_t)moved : 0;
}

static uint64_t draw_floor(struct test *test)
{
    int64_t now_us = model_now_us(test);

    switch (between(test->world, 0, 5)) {
    case 0:
        return beside(test, (uint64_t)now_us);
    case 1:
        return (uint64_t)(now_us + between(test->world, 0, INT64_C(3600000000)));
    case 2:
        return beside(test, test->server->data.record.token);
    case 3:
        return draw_seen(test)->token;
    default:
        return 0;
    }
}

/* Most often for long enough; else a ms beside one of the ttls. */
static int64_t draw_observed_ms(struct test *test, const struct message *request)
{
    int64_t record_ms = test->server->data.record.ttl_ms;
    int64_t longer_ms = record_ms > request->ttl_ms ? record_ms : request->ttl_ms;
    int64_t shorter_ms = record_ms > request->ttl_ms ? request->ttl_ms : record_ms;
    int64_t ms = one_in(test, 4) ? shorter_ms : longer_ms;

    if (one_in(test, 2))
        return longer_ms + between(test->world, 0, 100000);
    ms += between(test->world, -1, 1);
    return ms > 0 ? ms : 0;
}

/* Now and then of more than any hold has, or of less than nothing. */
static int64_t draw_seen_hold_ms(struct test *test)
{
    if (!one_in(test, 4))
        return between(test->world, 1, 3000);
    return one_in(test, 2) ? DURATION_MAX_MS + between(test->world, 0, 1)
                           : -between(test->world, 1, 1000);
}

static void draw_observation(struct test *test, struct message *request)
{
    const struct record *record = &test->server->data.record;
    const struct seen *seen = draw_seen(test);

    if (one_in(test, 3))
        return;
    request->observed_incarnation = record->incarnation;
    request->observed_version = record->version;
    request->observed_ms = draw_observed_ms(test, request);
    if (one_in(test, 3))
        request->seen_hold_ms = draw_seen_hold_ms(test);
    if (one_in(test, 6)) {
        request->observed_incarnation = seen->incarnation;
        request->observed_version = seen->version;
    } else if (one_in(test, 8)) {
        request->observed_incarnation = seen->incarnation;
    } else if (one_in(test, 8)) {
        request->observed_version = seen->version;
    }
}

/* A renewal or a release, most often by the one that has the lease. */
static void draw_term(struct test *test, struct message *request)
{
    const struct record *record = &test->server->data.record;
    const struct seen *seen = draw_seen(test);
    bool past = one_in(test, 4);

    request->id = past ? seen->id : record->id;
    request->token = past ? seen->token : record->token;
    request->version = past ? seen->version : record->version;
    if (request->id < 1 || request->id > CANDIDATES || one_in(test, 7))
        request->id = draw_id(test);
    if (one_in(test, 6))
        request->token = beside(test, request->token);
    if (request->token == 0)
        request->token = (uint64_t)model_now_us(test);
    if (record->base != 0 && one_in(test, 2))
        request->version = record->base;
    if (one_in(test, 6))
        request->version = seen->version;
}

/* Most often that of the record. */
static uint64_t draw_epoch(struct test *test)
{
    const struct record *record = &test->server->data.record;

    if (record->missing || one_in(test, 10))
        return one_in(test, 2) ? (uint64_t)between(test->world, 1, 3) : 0;
    return incarnation_epoch(record->incarnation);
}

/* The first acquire ends what an earlier incarnation wrote, so that others go first there. */
static enum message_kind draw_kind(struct test *test)
{
    const struct record *record = &test->server->data.record;
    bool certain =
        record->missing || incarnation_base(record->incarnation) == test->server->incarnation;
    int64_t kind = between(test->world, 0, 9);

    if (kind < (certain ? 5 : 2))
        return MESSAGE_ACQUIRE;
    return kind < 8 ? MESSAGE_RENEW : MESSAGE_RELEASE;
}

void draw_request(struct test *test, struct message *request)
{
    *request = (struct message){
        .kind = draw_kind(test),
        .ttl_ms = draw_ttl(test),
        .nonce = ++test->last_nonce,
        .server_clock = one_in(test, 3),
        .config_epoch = draw_epoch(test),
    };
    if (request->kind == MESSAGE_ACQUIRE) {
        request->id = draw_id(test);
        request->token = draw_floor(test);
        request->assume_fresh = one_in(test, 3);
        request->name = (uint8_t)request->id;
        draw_observation(test, request);
        return;
    }
    draw_term(test, request);
    request->name = (uint8_t)request->id;
    if (request->kind == MESSAGE_RENEW)
        request->claim = one_in(test, 3);
    else if (one_in(test, 2))
        request->hold_ms = between(test->world, 1, 3000);
}
