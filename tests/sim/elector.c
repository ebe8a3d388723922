/* The process around the election: events in, actions out, and its own freezes and ends. */
#include <string.h>

#include "leaderwrap/keeper/protocol.h"
#include "world.h"

/* A retry every 100 ms at most for whoever has a deadline (no TTL here is shorter than 3 s), some
 * more in a row, and two or three notes for each. */
#define OPENS_MOST    20
#define REQUESTS_MOST 30
#define NOTES_MOST    80

int64_t process_margin_ns(const struct world *world, const struct process *process)
{
    return world->hosts[process->host].timing.margin_ms * NS_PER_MS;
}

/* ---- numbers as the election's texts ---- */

static void write_hex(char *text, uint64_t number)
{
    if (number == 0) {
        text[0] = '\0';
        return;
    }
    for (int i = 15; i >= 0; i--) {
        text[i] = "0123456789abcdef"[number & 15];
        number >>= 4;
    }
    text[16] = '\0';
}

uint64_t read_hex(const char *text)
{
    uint64_t number = 0;

    for (; *text != '\0'; text++)
        number = number << 4 | (uint64_t)(*text <= '9' ? *text - '0' : *text - 'a' + 10);
    return number;
}

static void write_id(char *text, uint32_t id)
{
    if (id == 0) {
        text[0] = '\0';
        return;
    }
    memcpy(text, "c#", 2);
    write_hex(text + 2, id);
}

/* ---- freezes ---- */

void elector_freeze(struct world *world, struct process *process, int64_t until)
{
    int64_t late = process_margin_ns(world, process) / 16;

    for (int i = 0; i < CHANNELS; i++) {
        int64_t ready_at = until + between(world, 1, late);
        if (process->ready_at[i] < ready_at)
            process->ready_at[i] = ready_at;
    }
}

static int64_t awake_since(const struct process *process)
{
    int64_t since = 0;

    for (int i = 0; i < CHANNELS; i++) {
        if (process->ready_at[i] > since)
            since = process->ready_at[i];
    }
    return since;
}

bool elector_may_freeze(const struct world *world, const struct process *process)
{
    return process->elector && process->keeper.alive && process->link.state == LINK_UP &&
           world->now >= process->keeper.ready_at + process_margin_ns(world, process);
}

bool keeper_may_freeze(const struct world *world, const struct process *process)
{
    return process->elector && process->keeper.alive &&
           world->now >= awake_since(process) + process_margin_ns(world, process);
}

/* ---- actions ---- */

static void fill_in(struct message *message, const struct host *host,
                    const struct lease_request *request)
{
    switch (request->kind) {
    case LEASE_ACQUIRE:
        message->token = request->acquire.floor_token;
        message->assume_fresh = host->assume_fresh && request->acquire.never_saw_record;
        if (request->acquire.observed_version[0] == '\0')
            break;
        message->observed_incarnation = read_hex(request->acquire.observed_incarnation);
        message->observed_version = read_hex(request->acquire.observed_version);
        message->observed_ms = request->acquire.observed_ms;
        message->seen_hold_ms = request->acquire.hold_left_ms;
        break;
    case LEASE_RENEW:
        message->token = request->renew.token;
        message->version = read_hex(request->renew.version);
        message->claim = request->renew.claim;
        break;
    case LEASE_RELEASE:
        message->token = request->release.token;
        message->version = read_hex(request->release.version);
        message->hold_ms = request->release.hold_ms;
        break;
    }
}

static void send_request(struct world *world, struct process *process,
                         const struct lease_request *request)
{
    static const enum message_kind kinds[] = {
        [LEASE_ACQUIRE] = MESSAGE_ACQUIRE,
        [LEASE_RENEW] = MESSAGE_RENEW,
        [LEASE_RELEASE] = MESSAGE_RELEASE,
    };
    enum message_kind kind = kinds[request->kind];
    struct host *host = &world->hosts[process->host];
    int64_t at = network_arrival(world, host, &process->connection, OUT);

    /* Hooks and checks have keepers of their own, which kill them when the elector dies; the last
     * will does not wait for that. */
    bool beside = (hook_acquire_lives(process) || process->probe.alive) && !process->is_will;

    if (kind == MESSAGE_RELEASE && (tree_alive(&process->tree) || beside))
        VIOLATE(world, VIOLATION_RELEASE, "c%u releases while its command, hook or check is alive",
                process->id);
    if (at < 0) {
        TRACE(world, process, "its request is lost");
        return;
    }
    uint16_t number = message_new(world, kind);
    struct message *message = &world->messages[number];
    message->process = process_number(world, process);
    message->serial = process->serial;
    message->epoch = process->connection.epoch;
    message->instance = process->connection.instance;
    message->request = request->number;
    message->nonce = read_hex(request->nonce);
    message->config_epoch = request->epoch;
    message->id = process->id;
    message->ttl_ms = host->timing.ttl_ms;
    message->server_clock = host->server_clock;
    fill_in(message, host, request);
    message->may_not_set = host->may_not_set;
    message->name = process->host;
    queue_message(world, at, HAPPEN_EXECUTE, NOBODY, number);
}

/* Whoever still waits for the end of its lock delay leads nothing yet. */
static void note_leader(struct world *world, const struct process *process)
{
    bool waits = process->election.now_ns < process->election.term.delay_until_ns;

    if (world->now >= world->plan.led_from && world->leader_at == NEVER && !waits) {
        world->leader_at = world->now;
        uint64_t waited_ms = (uint64_t)((world->now - world->plan.led_from) / NS_PER_MS);
        if (waited_ms > world->statistics->longest_wait_ms)
            world->statistics->longest_wait_ms = waited_ms;
    }
}

static void start_tree(struct world *world, struct process *process,
                       const struct election_action *action)
{
    if (action->kind == ACTION_START && action->run.token != process->confirmed_token)
        VIOLATE(world, VIOLATION_UNKNOWN, "c%u starts with token %llu that it was never granted",
                process->id, (unsigned long long)action->run.token);
    if (action->kind == ACTION_EXTEND)
        world->statistics->renewals++;
    note_leader(world, process);
    link_send(world, process, action->kind == ACTION_START ? KEEPER_START : KEEPER_EXTEND, action);
}

/* Only a foreign holder or a higher token may unseat a leader before its deadline. */
static void check_lost(struct world *world, const struct process *process,
                       const struct election_note *note)
{
    if (note->kind != NOTE_TERM_ENDING || note->end != END_LOST)
        return;
    if (note->record.foreign[0] == '\0' && note->record.token <= process->tree.token)
        VIOLATE(world, VIOLATION_LOST, "c%u gives its term up for nothing", process->id);
}

/* Whoever ends in time, and never asked for a release without hearing what came of it, gives back
 * what he has, even where the server lost it. */
static void check_left(struct world *world, struct process *process,
                       const struct election_note *note)
{
    const struct election *election = &process->election;

    if (note->kind == NOTE_TERM_ENDING)
        process->lost = note->end == END_LOST;
    if (note->kind != NOTE_NOT_HELD || election->release.in_doubt || process->lost ||
        election->now_ns >= election->term.deadlines.expires_at_ns)
        return;
    if (note->record.foreign[0] == '\0' && note->record.token <= election->term.token)
        VIOLATE(world, VIOLATION_LEFT, "c%u leaves its record behind", process->id);
}

/* What it does in a second has a bound in every state, whatever fails. */
static void check_pace(struct world *world, struct process *process,
                       const struct election_action *action)
{
    struct pace *pace = &process->pace;

    if (world->now - pace->since >= 1000 * NS_PER_MS)
        *pace = (struct pace){.since = world->now};
    pace->opens += action->kind == ACTION_OPEN;
    pace->requests += action->kind == ACTION_SEND;
    pace->notes += action->kind == ACTION_TELL;
    if (pace->opens > OPENS_MOST || pace->requests > REQUESTS_MOST || pace->notes > NOTES_MOST)
        VIOLATE(world, VIOLATION_FLOOD, "c%u: %d connections, %d requests, %d notes in a second",
                process->id, pace->opens, pace->requests, pace->notes);
}

static void perform(struct world *world, struct process *process,
                    const struct election_action *action)
{
    if (world->tracing)
        trace_action(world, process, action);
    check_pace(world, process, action);
    switch (action->kind) {
    case ACTION_OPEN:
        network_open(world, process);
        break;
    case ACTION_SEND:
        if (process->election.session.pending.kind == REQUEST_CLAIM)
            world->statistics->claims++;
        send_request(world, process, &action->send.request);
        break;
    case ACTION_POLL:
        witnesses_poll(world, process, action->poll);
        break;
    case ACTION_WATCH:
        process->watching = true;
        queue_event(world, world->now + world->hosts[process->host].latency_ns * 4,
                    HAPPEN_SUBSCRIBE, process_number(world, process), 0);
        break;
    case ACTION_UNWATCH:
        process->watching = false;
        process->subscribed = 0;
        break;
    case ACTION_START:
    case ACTION_EXTEND:
        start_tree(world, process, action);
        break;
    case ACTION_STOP_TREE:
        link_send(world, process, KEEPER_STOP, action);
        break;
    case ACTION_KILL_TREE:
        link_send(world, process, KEEPER_KILL, action);
        break;
    case ACTION_ABANDON_KEEPER:
        world->statistics->abandoned++;
        link_lose(world, process);
        break;
    case ACTION_RUN_HOOK:
        hook_run(world, process, action->hook.hook);
        break;
    case ACTION_KILL_HOOK:
        hook_kill(world, process);
        break;
    case ACTION_KILL_HOOKS:
        hook_kill_all(world, process);
        break;
    case ACTION_TELL:
        check_lost(world, process, &action->note);
        check_left(world, process, &action->note);
        operator_check_end(world, process, &action->note);
        if (action->note.kind == NOTE_LOCK_DELAY)
            world->statistics->delays++;
        if (action->note.kind == NOTE_RELEASED)
            world->statistics->releases++;
        break;
    case ACTION_EXIT:
        elector_die(world, process);
        break;
    }
}

/* Between a decision and its execution a process may be stopped like anywhere else. */
static bool stall(struct world *world, struct process *process,
                  const struct election_actions *actions, size_t from)
{
    if (!world->plan.stalls || world->now >= world->plan.quiet_at || !chance(world, 1500) ||
        !elector_may_freeze(world, process))
        return false;
    int64_t until = until_at_most(world, world->plan.ttl_ns * 3 / 2);

    count_fault(world, FAULT_ELECTOR_STALL);
    TRACE(world, process, "elector frozen in mid-step for %.3f s",
          (double)(until - world->now) / 1e9);
    process->stalled = *actions;
    process->stalled_from = from;
    elector_freeze(world, process, until);
    queue_event(world, until, HAPPEN_UNSTALL, process_number(world, process), 0);
    return true;
}

static void perform_all(struct world *world, struct process *process,
                        const struct election_actions *actions, size_t from)
{
    for (size_t i = from; i < actions->count && process->elector; i++) {
        if (actions->list[i].kind != ACTION_TELL && stall(world, process, actions, i))
            return;
        perform(world, process, &actions->list[i]);
    }
}

/* ---- events ---- */

static void arm(struct world *world, struct process *process)
{
    int64_t wake_ns = election_wake_at_ns(&process->election);

    if (!process->elector || wake_ns == INT64_MAX)
        return;
    int64_t at = host_when(world, &world->hosts[process->host], wake_ns);
    if (process->armed_at <= at)
        return;
    /* No timer fires at once. */
    at += between(world, 1000, process_margin_ns(world, process) / 16);
    process->armed_at = at;
    queue_event(world, at, HAPPEN_WAKE, process_number(world, process), 0);
}

void elector_feed(struct world *world, struct process *process, struct election_event *event)
{
    struct election_actions actions;

    if (!process->elector)
        return;
    event->now_ns = host_clock(world, &world->hosts[process->host]);
    election_step(&process->election, event, &actions);
    world->statistics->steps++;
    if (actions.count == ELECTION_ACTIONS_MAX)
        VIOLATE(world, VIOLATION_RUNAWAY, "c%u: no room for its actions", process->id);
    perform_all(world, process, &actions, 0);
    arm(world, process);
}

void elector_unstall(struct world *world, struct process *process)
{
    struct election_actions actions = process->stalled;

    TRACE(world, process, "elector goes on");
    perform_all(world, process, &actions, process->stalled_from);
    arm(world, process);
}

void elector_tick(struct world *world, struct process *process)
{
    struct election_event event = {.kind = EVENT_TICK};

    process->armed_at = NEVER;
    if (election_wake_at_ns(&process->election) > host_clock(world, &world->hosts[process->host])) {
        arm(world, process);
        return;
    }
    elector_feed(world, process, &event);
}

void elector_reply(struct world *world, struct process *process, uint16_t number)
{
    const struct message *message = &world->messages[number];
    struct lease_reply *reply = &world->reply;
    struct lease_record *record = &reply->record;
    struct election_event event = {.kind = EVENT_REPLY, .reply = reply};
    bool stale = message->epoch != process->connection.epoch || !process->connection.open;

    if (stale && !world->plan.stale_replies)
        return;
    if (stale)
        count_fault(world, FAULT_REPLY_STALE);
    memset(record, 0, sizeof *record);
    reply->request = message->request;
    reply->verdict = message->verdict;
    reply->failure = message->failure;
    reply->before = message->before;
    reply->wish = (struct lease_wish){.kind = message->wish, .left_ms = message->wish_left_ms};
    if (message->verdict != LEASE_FAILED) {
        record->state = message->record.state;
        record->token = message->record.token;
        record->ttl_ms = message->record.ttl_ms;
        record->age_ms = message->age_ms;
        record->hold_left_ms = message->hold_left_ms;
        record->hold_ms = message->record.hold_ms;
        write_id(record->id, message->record.id);
        write_hex(record->incarnation, message->record.incarnation);
        write_hex(record->version, message->record.version);
        if (message->foreign)
            strcpy(record->foreign, "somebody else");
    }
    if ((message->verdict == LEASE_GRANTED || message->verdict == LEASE_RENEWED) &&
        message->request == process->election.session.pending.number)
        process->confirmed_token = record->token;
    elector_feed(world, process, &event);
}

void elector_push(struct world *world, struct process *process, uint16_t number)
{
    const struct message *message = &world->messages[number];
    struct lease_event *push = &world->push;
    struct election_event event = {.kind = EVENT_PUSH, .push = push};

    if (!process->watching)
        return;
    push->state = message->record.state;
    push->token = message->record.token;
    push->ttl_ms = message->record.ttl_ms;
    push->listeners = message->listeners;
    write_hex(push->incarnation, message->record.incarnation);
    write_hex(push->version, message->record.version);
    elector_feed(world, process, &event);
}

void elector_stop(struct world *world, struct process *process)
{
    struct election_event event = {.kind = EVENT_STOP};
    int64_t now_ns = host_clock(world, &world->hosts[process->host]);
    bool killed = process->election.term.kill_sent;

    TRACE(world, process, "asked to stop");
    elector_feed(world, process, &event);
    if (process->stopped_ns == 0)
        process->stopped_ns = now_ns;
    if (now_ns - process->stopped_ns < ELECTION_STOP_ECHO_MS * NS_PER_MS && !killed &&
        process->election.term.kill_sent && now_ns < process->election.term.deadlines.kill_at_ns)
        VIOLATE(world, VIOLATION_HASTE, "c%u kills what it has just asked to end", process->id);
}

void elector_unhealthy(struct world *world, struct process *process)
{
    struct election_event event = {.kind = EVENT_UNHEALTHY, .run = process->election.term.run};

    TRACE(world, process, "command is unhealthy");
    elector_feed(world, process, &event);
}

/* The kernel closes its sockets; its keeper hears of it, and somebody starts it again. */
void elector_die(struct world *world, struct process *process)
{
    if (!process->elector)
        return;
    process->elector = false;
    process->watching = false;
    process->subscribed = 0;
    if (process->is_will) {
        process->used = false;
        return;
    }
    hook_kill_all(world, process);
    probe_orphan(world, process);
    if (process->keeper.alive)
        queue_event(world, world->now + 50000, HAPPEN_HANGUP, process_number(world, process), 0);
    else if (!tree_alive(&process->tree))
        process->used = false;
    host_start_later(world, process->host, world->plan.ttl_ns);
}

void elector_inherit(struct world *world, struct process *process)
{
    struct election_config config = process->election.config;
    struct election_event tick = {.kind = EVENT_TICK};
    char version[LEASE_NONCE_SIZE];
    const struct host *host = &world->hosts[process->host];
    const struct election_legacy legacy = {
        .token = process->keeper.token,
        .version = version,
        .begun_ns = process->keeper.begun_ns,
        .valid_until_ns = process->keeper.kill_at_ns,
    };

    if (tree_alive(&process->tree))
        VIOLATE(world, VIOLATION_RELEASE, "the last will of c%u, whose command is alive",
                process->id);
    TRACE(world, process, "last will");
    world->statistics->wills++;
    write_hex(version, process->keeper.version);
    for (size_t i = 0; i < sizeof config.nonce_key; i++)
        config.nonce_key[i] = (uint8_t)draw(world);
    process->elector = process->is_will = true;
    process->armed_at = NEVER;
    election_inherit(&process->election, &config, &legacy, host_clock(world, host));
    elector_feed(world, process, &tick);
}
