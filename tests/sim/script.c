/*
 * What the Lua scripts in src/redis/scripts do, rule by rule and under the same names. Here they
 * run on a struct instead of three keys.
 */
#include "world.h"

#define MOST_TTL_MS INT64_C(2592000000)

struct call {
    struct world *world;
    struct server *server;
    struct message *message;
    struct record record;
    uint64_t incarnation;
    int64_t now_ms;
    uint64_t microseconds;
    bool foreign;
    bool wrote;
    bool set_refused;
};

static int64_t longer(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static uint64_t higher(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static void look_around(struct call *call)
{
    struct data *data = &call->server->data;

    call->incarnation = incarnation_under(call->server->incarnation, call->message->config_epoch);
    call->microseconds = (uint64_t)server_us(call->world, call->server);
    call->now_ms = (int64_t)(call->microseconds / 1000);
    if (data->holder != 0 && call->now_ms > data->holder_expires_ms)
        data->holder = 0;
}

static bool is_certain(const struct call *call)
{
    return !call->record.missing && call->record.incarnation == call->incarnation;
}

static bool foreign_value(const struct call *call)
{
    uint32_t value = call->server->data.holder;

    if (value == PAUSE_SIGN && call->server->data.wishes.pause)
        return false;
    return value != 0 && (call->record.missing || value != call->record.id) &&
           value != call->message->id;
}

static void save(struct call *call)
{
    call->record.missing = false;
    call->server->data.record = call->record;
    call->wrote = true;
}

static void stamp(struct call *call, enum lease_state state)
{
    call->record.state = state;
    call->record.version = call->message->nonce;
    call->record.incarnation = call->incarnation;
    call->record.at_ms = call->now_ms;
    call->record.hold_until_ms = 0;
    call->record.hold_ms = 0;
    call->record.base = 0;
}

/* Returns false where the script ends with an error, having done nothing. */
static bool own(struct call *call, uint64_t token, uint64_t base)
{
    if (call->set_refused)
        return false;
    stamp(call, LEASE_HELD);
    call->record.id = call->message->id;
    call->record.token = token;
    call->record.ttl_ms = call->message->ttl_ms;
    call->record.base = base;
    save(call);
    call->server->data.holder = call->message->id;
    call->server->data.holder_expires_ms = call->now_ms + call->message->ttl_ms;
    return true;
}

static int64_t left_of(const struct call *call, int64_t span_ms, int64_t over_at_ms)
{
    int64_t left_ms = over_at_ms - call->now_ms;

    return longer(0, left_ms < span_ms ? left_ms : span_ms);
}

static int64_t hold_left_ms(const struct call *call)
{
    return left_of(call, call->record.hold_ms, call->record.hold_until_ms);
}

/* ---- what an operator wishes ---- */

static int64_t pause_left_ms(const struct call *call)
{
    const struct wishes *wishes = &call->server->data.wishes;

    return left_of(call, wishes->pause_ms, wishes->pause_at_ms + wishes->pause_ms);
}

static bool is_paused(const struct call *call)
{
    const struct wishes *wishes = &call->server->data.wishes;

    return wishes->pause && (wishes->pause_ms == 0 || pause_left_ms(call) > 0);
}

static bool is_cordoned(const struct call *call)
{
    return (call->server->data.wishes.cordons >> call->message->name & 1) != 0;
}

/* In milliseconds; 0: the record's term is not asked to end. */
static int64_t ask_left_ms(const struct call *call)
{
    const struct wishes *wishes = &call->server->data.wishes;

    if (wishes->ask_token == 0 || wishes->ask_token != call->record.token)
        return 0;
    return left_of(call, wishes->ask_ms, wishes->ask_at_ms + wishes->ask_ms);
}

/* Returns whether there is one. */
static bool wish(struct call *call, bool holds)
{
    struct message *message = call->message;
    uint8_t to = call->server->data.wishes.ask_to;
    bool to_another = to != NO_NAME && to != message->name;

    message->wish = LEASE_WISH_NONE;
    message->wish_left_ms = 0;
    if (is_paused(call)) {
        message->wish = LEASE_WISH_PAUSED;
        message->wish_left_ms = pause_left_ms(call);
    } else if (is_cordoned(call)) {
        message->wish = LEASE_WISH_CORDONED;
    } else if (ask_left_ms(call) > 0 && (holds || to_another)) {
        message->wish = LEASE_WISH_STEP_DOWN;
        message->wish_left_ms = ask_left_ms(call);
    }
    return message->wish != LEASE_WISH_NONE;
}

static void show_pause(struct call *call)
{
    struct data *data = &call->server->data;
    int64_t left_ms = pause_left_ms(call);
    int64_t most_ms = 3 * call->message->ttl_ms;

    if (!is_paused(call) || (data->holder != 0 && data->holder != PAUSE_SIGN) || call->set_refused)
        return;
    data->holder = PAUSE_SIGN;
    data->holder_expires_ms = call->now_ms + (left_ms > 0 && left_ms < most_ms ? left_ms : most_ms);
    call->wrote = true;
}

static int64_t count_listeners(const struct call *call)
{
    int64_t count = call->world->plan.onlookers;

    for (int i = 0; i < PROCESSES_MAX; i++) {
        const struct process *process = &call->world->processes[i];
        if (process->used && process->subscribed == call->server->instance)
            count++;
    }
    return count;
}

static void announce(struct call *call, int64_t listeners)
{
    struct message push = *call->message;

    push.record = call->record;
    push.listeners = listeners;
    network_publish(call->world, call->server, &push);
}

static void answer(struct call *call, enum lease_verdict verdict)
{
    struct message *message = call->message;
    const struct record *record = &call->record;

    message->verdict = verdict;
    message->before = LEASE_ABSENT;
    message->record = *record;
    if (record->missing)
        message->record.state = LEASE_ABSENT;
    message->foreign = call->foreign;
    message->age_ms = longer(0, call->now_ms - record->at_ms);
    message->hold_left_ms = record->missing ? 0 : hold_left_ms(call);
}

static void fail(struct call *call)
{
    call->message->verdict = LEASE_FAILED;
    call->message->failure = LEASE_FAILURE_TRANSIENT;
}

/* ---- acquire ---- */

static void vacate(struct call *call)
{
    struct record *record = &call->record;
    int64_t left_ms = record->missing ? 0 : hold_left_ms(call);

    stamp(call, LEASE_VACANT);
    if (left_ms > 0) {
        record->hold_until_ms = call->now_ms + left_ms;
        record->hold_ms = left_ms;
    }
    record->token = higher(record->token, call->message->token);
    record->ttl_ms = longer(record->ttl_ms, call->message->ttl_ms);
    save(call);
    announce(call, -1);
}

static void raise_token(struct call *call)
{
    struct record *record = &call->record;

    if (record->state == LEASE_VACANT && record->token < call->message->token) {
        record->token = call->message->token;
        save(call);
    }
}

static void follow_clock(struct call *call)
{
    struct record *record = &call->record;

    if (record->at_ms <= call->now_ms)
        return;
    record->at_ms = call->now_ms;
    record->hold_until_ms = record->hold_ms > 0 ? call->now_ms + record->hold_ms : 0;
    save(call);
}

static bool is_seen(const struct call *call)
{
    const struct message *message = call->message;

    return message->observed_version != 0 && message->observed_incarnation == call->incarnation &&
           message->observed_version == call->record.version;
}

static bool is_hold_over(const struct call *call)
{
    if (is_seen(call))
        return call->message->seen_hold_ms == 0;
    return hold_left_ms(call) == 0;
}

static bool is_released(const struct call *call)
{
    return call->record.state == LEASE_FREE ||
           (call->record.state == LEASE_CLOSED && is_hold_over(call));
}

static bool is_observed(const struct call *call)
{
    const struct message *message = call->message;

    return is_seen(call) && message->observed_ms >= longer(call->record.ttl_ms, message->ttl_ms);
}

static bool is_out_by_server_clock(const struct call *call)
{
    int64_t ttl_ms = longer(call->record.ttl_ms, call->message->ttl_ms);
    return call->message->server_clock &&
           call->now_ms * 100 > call->record.at_ms * 100 + ttl_ms * 101 + 1000;
}

static bool may_have_it(const struct call *call)
{
    if (is_released(call))
        return true;
    return (call->record.state == LEASE_HELD || call->record.state == LEASE_VACANT) &&
           is_hold_over(call) && (is_observed(call) || is_out_by_server_clock(call));
}

static void follow_clock_of(struct call *call, bool there, int64_t *at_ms)
{
    if (!there || *at_ms <= call->now_ms)
        return;
    *at_ms = call->now_ms;
    call->wrote = true;
}

static void acquire(struct call *call)
{
    struct record *record = &call->record;

    call->foreign = foreign_value(call);
    if (call->set_refused && call->message->observed_version == 0) {
        fail(call);
        return;
    }
    struct wishes *wishes = &call->server->data.wishes;
    follow_clock_of(call, wishes->pause, &wishes->pause_at_ms);
    follow_clock_of(call, wishes->ask_token != 0, &wishes->ask_at_ms);
    bool wished = wish(call, false);
    if (record->missing && call->message->assume_fresh && call->server->data.holder == 0 && !wished)
        record->state = LEASE_FREE;
    else if (!is_certain(call))
        vacate(call);
    else
        follow_clock(call);
    raise_token(call);
    if (call->foreign || wished || !may_have_it(call)) {
        show_pause(call);
        answer(call, LEASE_REFUSED);
        return;
    }
    enum lease_state before = record->state;
    uint64_t token = higher(record->token + 1, call->message->token + 1);
    token = higher(token, call->microseconds);
    if (!own(call, token, 0)) {
        fail(call);
        return;
    }
    announce(call, -1);
    answer(call, LEASE_GRANTED);
    call->message->before = before;
}

/* ---- renew ---- */

static bool is_lost(const struct call *call)
{
    const struct record *record = &call->record;
    uint64_t token = call->message->token;
    bool mine = record->id == call->message->id && record->token == token;

    if (call->message->claim)
        return !(is_certain(call) && record->state == LEASE_HELD && mine);
    if (record->missing || record->token < token)
        return false;
    if (record->token > token)
        return true;
    return record->state == LEASE_FREE || record->state == LEASE_CLOSED ||
           (record->state == LEASE_HELD && !mine);
}

static uint64_t base_of(const struct call *call)
{
    const struct record *record = &call->record;
    uint64_t known = call->message->version;
    bool mine = is_certain(call) && record->state == LEASE_HELD &&
                record->id == call->message->id && record->token == call->message->token;

    return mine && (record->version == known || record->base == known) ? known : 0;
}

static void renew(struct call *call)
{
    call->foreign = foreign_value(call);
    if (call->foreign || is_lost(call)) {
        answer(call, LEASE_LOST);
        return;
    }
    if (!own(call, call->message->token, base_of(call))) {
        fail(call);
        return;
    }
    announce(call, count_listeners(call));
    wish(call, true);
    answer(call, LEASE_RENEWED);
}

/* ---- release ---- */

static bool is_known(const struct call *call)
{
    const struct record *record = &call->record;
    uint64_t version = call->message->version;

    return version != 0 && (record->version == version || record->base == version);
}

static void release(struct call *call)
{
    struct record *record = &call->record;
    const struct message *message = call->message;

    call->foreign = foreign_value(call);
    if (record->missing || record->state != LEASE_HELD || record->id != message->id ||
        record->token != message->token || record->incarnation != call->incarnation ||
        !is_known(call)) {
        answer(call, LEASE_NOT_HELD);
        return;
    }
    stamp(call, message->hold_ms > 0 ? LEASE_CLOSED : LEASE_FREE);
    record->hold_ms = message->hold_ms;
    if (message->hold_ms > 0)
        record->hold_until_ms = call->now_ms + message->hold_ms;
    save(call);
    if (call->server->data.holder == message->id)
        call->server->data.holder = 0;
    announce(call, count_listeners(call));
    answer(call, LEASE_RELEASED);
}

void script_run(struct world *world, struct server *server, struct message *message)
{
    struct call call = {
        .world = world, .server = server, .message = message, .record = server->data.record};

    call.set_refused = message->may_not_set ||
                       (server->errors_until > world->now && server->errors == ERROR_SET_REFUSED);
    message->failure = LEASE_FAILURE_NONE;
    message->wish = LEASE_WISH_NONE;
    message->wish_left_ms = 0;
    look_around(&call);
    switch (message->kind) {
    case MESSAGE_ACQUIRE:
        acquire(&call);
        break;
    case MESSAGE_RENEW:
        renew(&call);
        break;
    default:
        release(&call);
        break;
    }
    if (call.wrote)
        server_note_write(world, server);
}
