/* One schedule: a random world, its faults, then quiet, and a leader within the bound. */
#include <stdio.h>
#include <string.h>

#include "world.h"

#define EVENTS_MOST     400000
#define BIT(fault)      (UINT64_C(1) << (fault))
#define OPERATOR_FAULTS (BIT(FAULT_PAUSE) | BIT(FAULT_STEP_DOWN) | BIT(FAULT_CORDON))
#define PLACEMENT_FAULTS                                                                           \
    (BIT(FAULT_PROMOTION) | BIT(FAULT_PROMOTION_SERVING) | BIT(FAULT_FAIL_BACK) |                  \
     BIT(FAULT_NEW_EPOCH) | BIT(FAULT_WITNESSES_DOWN) | BIT(FAULT_WITNESSES_CUT) |                 \
     BIT(FAULT_CONNECTION_CLOSED) | BIT(FAULT_ELECTOR_KILLED) | BIT(FAULT_PARTITION_DROPS) |       \
     BIT(FAULT_PARTITION_DELAYS))

const char *const violation_names[VIOLATIONS] = {
    [VIOLATION_NONE] = "none",
    [VIOLATION_OVERLAP] = "two trees alive at once",
    [VIOLATION_TOKEN] = "token does not grow",
    [VIOLATION_RELEASE] = "release before the tree is gone",
    [VIOLATION_UNKNOWN] = "led without a granted request",
    [VIOLATION_DELAY] = "started within a lock delay",
    [VIOLATION_HOLD] = "started within a hold",
    [VIOLATION_LEFT] = "record left behind",
    [VIOLATION_LOST] = "term given up without proof",
    [VIOLATION_ASKED] = "an operator's wish not heeded",
    [VIOLATION_HASTE] = "killed without grace by an echo",
    [VIOLATION_LIVENESS] = "no leader after the faults ended",
    [VIOLATION_FLOOD] = "too many connections, requests or notes",
    [VIOLATION_RUNAWAY] = "runaway",
    [VIOLATION_BROKEN] = "the election is broken",
};

bool violate(struct world *world, enum violation violation)
{
    if (world->violation != VIOLATION_NONE)
        return false;
    world->violation = violation;
    return true;
}

void trace_violation(const struct world *world)
{
    TRACE(world, NULL, "VIOLATION: %s: %s", violation_names[world->violation],
          world->violation_text);
}

/* ---- a random world ---- */

static int64_t maybe(struct world *world, int64_t low, int64_t high)
{
    return chance(world, 300000) ? between(world, low, high) : -1;
}

static void random_timing(struct world *world, int64_t ttl_ms, struct timing *timing)
{
    char error[256];
    struct timing_request request = {
        .ttl_ms = ttl_ms,
        .renew_ms = maybe(world, ttl_ms / 6, ttl_ms / 2),
        .grace_ms = maybe(world, 0, ttl_ms / 3),
        .margin_ms = maybe(world, 50, 500),
        .retry_ms = maybe(world, 500, ttl_ms < 5000 ? ttl_ms : 5000),
        .request_timeout_ms = maybe(world, 400, ttl_ms / 4),
    };
    const struct timing_request plain = timing_request_of(ttl_ms);

    if (timing_derive(&request, timing, error, sizeof error) != 0)
        (void)timing_derive(&plain, timing, error, sizeof error);
}

static void random_host(struct world *world, struct host *host, int64_t ttl_ms)
{
    memset(host, 0, sizeof *host);
    host->clock_ns = between(world, 1, 1000000) * NS_PER_MS;
    host->rate_ppm = chance(world, 500000) ? between(world, -5000, 5000)
                                           : (chance(world, 500000) ? 5000 : -5000);
    host->latency_ns = between(world, 30000, chance(world, 800000) ? 1000000 : 20000000);
    host->process = NOBODY;
    host->no_release = chance(world, 100000);
    host->exit_on_lost = chance(world, 200000);
    host->assume_fresh = world->plan.wild_clock && chance(world, 300000);
    host->server_clock = world->plan.steady_clock && chance(world, 700000);
    host->hold_ms = chance(world, 100000) ? between(world, 1, 4 * ttl_ms) : 0;
    host->max_runtime_ms = chance(world, 100000) ? between(world, 1, 3 * ttl_ms) : 0;
    /* One host goes on standing by, or there might be no leader when there has to be one. */
    host->once = host != &world->hosts[0] && chance(world, 150000);
    host->exit_on_lost = host->exit_on_lost || host->once;
    host->wait_ms = chance(world, 300000) ? INT64_MAX : between(world, -ttl_ms, ttl_ms);
    if (host->wait_ms < 0)
        host->wait_ms = 0;
    if (!host->once && host != &world->hosts[0] && chance(world, 300000)) {
        host->restart = chance(world, 500000) ? RESTART_ALWAYS : RESTART_ON_FAILURE;
        host->max_restarts = between(world, 0, 3);
    }
    host->may_not_set = host != &world->hosts[0] && chance(world, 50000);
    host->checks_health = !host->once && host != &world->hosts[0] && chance(world, 200000);
    for (int i = 0; i < ELECTION_HOOKS; i++)
        host->hooks[i] = chance(world, 250000);
    random_timing(world, ttl_ms, &host->timing);
}

static uint32_t one_of(struct world *world, uint32_t few, uint32_t many)
{
    int64_t choice = between(world, 0, 9);
    return choice < 5 ? 0 : choice < 8 ? few : many;
}

/* Each schedule has its own subset of the faults, small or large. */
static uint64_t random_faults(struct world *world)
{
    uint32_t ppm = (uint32_t)between(world, 50000, 700000);
    uint64_t faults = 0;

    for (int i = 0; i < FAULTS_INJECTED; i++) {
        bool drawn = chance(world, ppm);
        if (drawn && !(world->plan.wild_clock && loses_data((enum fault)i)))
            faults |= UINT64_C(1) << i;
    }
    return faults;
}

static void random_plan(struct world *world, bool serving_without_wait)
{
    struct plan *plan = &world->plan;
    int64_t clocks = between(world, 0, 9);

    memset(plan, 0, sizeof *plan);
    plan->serving_without_wait = serving_without_wait;
    plan->hosts = (int)between(world, 2, HOSTS_MAX);
    plan->wait_replicas = !serving_without_wait && chance(world, 250000);
    if (!serving_without_wait && !plan->wait_replicas && chance(world, 400000))
        plan->witnesses = (int)between(world, 1, WITNESSES_MAX);
    plan->wild_clock = !serving_without_wait && clocks < 2;
    plan->steady_clock = clocks >= 8;
    plan->stale_replies = chance(world, 300000);
    plan->stalls = chance(world, 300000);
    plan->faults = random_faults(world);
    /* Most worlds have no operator, who would leave them nothing to do. */
    if (chance(world, plan->witnesses > 0 ? 900000 : 700000))
        plan->faults &= ~OPERATOR_FAULTS;
    plan->last_pause = chance(world, 50000);
    /* What is about the master alone is rare among everything else. */
    if (plan->witnesses > 0 && chance(world, 300000))
        plan->faults &= PLACEMENT_FAULTS;
    if (plan->witnesses > 0 && !plan->wild_clock && chance(world, 700000))
        plan->faults |= UINT64_C(1) << FAULT_PROMOTION_SERVING | UINT64_C(1) << FAULT_FAIL_BACK;
    plan->replica_lag_ns = between(world, 1, 300) * NS_PER_MS;
    plan->loss_ppm = one_of(world, 2000, 30000);
    plan->delay_ppm = one_of(world, 5000, 80000);
    plan->push_trouble_ppm = one_of(world, 100000, 800000);
    plan->command_end_ppm = one_of(world, 200000, 700000);
    plan->command_trouble_ppm = one_of(world, 200000, 600000);
}

static void random_hosts(struct world *world)
{
    struct plan *plan = &world->plan;
    int64_t ttl_ms = between(world, 30, chance(world, 500000) ? 60 : 150) * 100;
    /* Who has lost the record cannot know that somebody has a longer TTL than himself. */
    bool same = !plan->wild_clock || chance(world, 400000);
    int64_t shortest_ms = ttl_ms;
    int64_t longest_ms = ttl_ms;
    int64_t timeout_ms = 0;
    int64_t hold_ms = 0;
    int64_t delay_ms = chance(world, 400000) ? between(world, 1, 2 * ttl_ms) : 0;

    for (int i = 0; i < plan->hosts; i++) {
        int64_t own_ms = same ? ttl_ms : between(world, 30, 150) * 100;
        random_host(world, &world->hosts[i], own_ms);
        /* With one delay for all it can be told what the others have to wait for. */
        world->hosts[i].lock_delay_ms = plan->steady_clock ? delay_ms : between(world, 0, delay_ms);
        if (world->hosts[i].timing.request_timeout_ms > timeout_ms)
            timeout_ms = world->hosts[i].timing.request_timeout_ms;
        if (world->hosts[i].hold_ms > hold_ms)
            hold_ms = world->hosts[i].hold_ms;
        longest_ms = own_ms > longest_ms ? own_ms : longest_ms;
        shortest_ms = own_ms < shortest_ms ? own_ms : shortest_ms;
    }
    plan->ttl_ns = longest_ms * NS_PER_MS;
    plan->clock_window_us = shortest_ms * 1000 / 6;
    plan->quiet_at = plan->ttl_ns / 4 * between(world, 12, 40);
    plan->fault_every_ns = plan->quiet_at / between(world, 1, 12);
    if (chance(world, 150000))
        plan->stranger_every_ns = between(world, 1, plan->ttl_ns / 4);
    plan->stranger_renews = chance(world, 500000);
    plan->stranger_guesses = chance(world, 200000);
    if (chance(world, 200000))
        plan->onlookers = between(world, 1, 2000);
    /* Two TTLs, a hold, a lock delay, two time-outs of a link that lost a packet, what a host
     * stands back for that was asked to go, and a second, by clocks of which none is more than 1 %
     * off. */
    int64_t longest_ns = 2 * plan->ttl_ns + (hold_ms + delay_ms + 2 * timeout_ms) * NS_PER_MS;
    if ((plan->faults >> FAULT_STEP_DOWN & 1) != 0)
        longest_ns += 2 * plan->ttl_ns;
    /* Whoever has not heard of a new epoch when he asks begins the record, and its TTL, anew. */
    if (plan->witnesses > 0)
        longest_ns += plan->ttl_ns;
    /* In a crowd it takes a moment longer to ask. */
    if (plan->onlookers > 0)
        longest_ns += plan->ttl_ns / 10;
    plan->bound_ns = longest_ns + longest_ns / 100 + 1000 * NS_PER_MS;
    plan->led_from = plan->last_pause ? plan->quiet_at + plan->bound_ns : plan->quiet_at;
}

static void random_servers(struct world *world)
{
    for (int i = 0; i < 2; i++) {
        struct server *server = &world->servers[i];
        memset(server, 0, sizeof *server);
        server->wall_us =
            SIM_WALL_US + between(world, -world->plan.clock_window_us, world->plan.clock_window_us);
        server->rate_ppm = between(world, -5000, 5000);
        server->data.record.missing = true;
    }
    world->master = 0;
    server_start(world, &world->servers[0], false);
    server_note_write(world, &world->servers[0]);
}

static void reset(struct world *world, uint64_t seed, bool tracing)
{
    queue_reset(world);
    /* Neighbouring seeds must not give overlapping sequences. */
    world->random = seed * UINT64_C(0xD1342543DE82EF95) ^ UINT64_C(0x5851F42D4C957F2D);
    world->random = draw(world);
    world->now = 0;
    world->tracing = tracing;
    world->over = false;
    world->last_instance = world->last_replid = 0;
    world->last_process = 0;
    world->highest_token = 0;
    world->last_leader = 0;
    world->leader_at = NEVER;
    world->delayed_until = 0;
    world->held_until = 0;
    world->held_token = 0;
    world->asked_count = 0;
    world->event_count = 0;
    world->snapshot_count = 0;
    world->violation = VIOLATION_NONE;
    for (int i = 0; i < PROCESSES_MAX; i++)
        world->processes[i].used = world->processes[i].elector = false;
}

static void set_up(struct world *world, bool serving_without_wait)
{
    random_plan(world, serving_without_wait);
    witnesses_reset(world);
    random_hosts(world);
    random_servers(world);
    for (int i = 0; i < world->plan.hosts; i++)
        host_start_later(world, (uint8_t)i, chance(world, 500000) ? 0 : world->plan.ttl_ns);
    queue_event(world, between(world, 0, world->plan.ttl_ns), HAPPEN_FAULT, NOBODY, 0);
    if (world->plan.stranger_every_ns > 0)
        queue_event(world, 1, HAPPEN_STRANGER, NOBODY, 0);
    queue_event(world, world->plan.quiet_at, HAPPEN_QUIET, NOBODY, 0);
    queue_event(world, world->plan.led_from + world->plan.bound_ns, HAPPEN_END, NOBODY, 0);
}

/* ---- events to whom they concern ---- */

/* When the one whom `event` concerns can take it; not later than now: at once. */
static int64_t ready_at(const struct world *world, const struct event *event,
                        const struct process *process)
{
    switch ((enum happening)event->kind) {
    case HAPPEN_WAKE:
        return process->ready_at[CHANNEL_TIMER];
    case HAPPEN_OPENED:
    case HAPPEN_CLOSED:
    case HAPPEN_REPLY:
    case HAPPEN_VOTE:
        return process->ready_at[CHANNEL_SERVER];
    case HAPPEN_PUSH:
    case HAPPEN_SUBSCRIBE:
        return process->ready_at[CHANNEL_WATCH];
    case HAPPEN_REPORT:
    case HAPPEN_KEEPER_LOST:
    case HAPPEN_SWEPT:
    case HAPPEN_UNHEALTHY:
    case HAPPEN_HOOK_OVER:
    case HAPPEN_PROBE:
    case HAPPEN_PROBE_OVER:
        return process->ready_at[CHANNEL_KEEPER];
    case HAPPEN_ACK_DUE:
        /* Before it judges the keeper it reads what the keeper has said. */
        return process->ready_at[CHANNEL_KEEPER] + 1;
    case HAPPEN_STOP:
        return process->ready_at[CHANNEL_SIGNAL];
    case HAPPEN_REQUEST:
    case HAPPEN_HANGUP:
        return process->keeper.ready_at;
    case HAPPEN_KEEPER_WAKE:
        return process->keeper.ready_at + 1;
    case HAPPEN_MAIN_EXIT:
    case HAPPEN_REST_EXIT:
    case HAPPEN_KILLED:
    case HAPPEN_HOOK_EXIT:
    case HAPPEN_PROBE_EXIT:
    case HAPPEN_WILL:
        return world->hosts[process->host].suspended_until;
    default:
        return 0;
    }
}

static void handle_elector(struct world *world, struct process *process, const struct event *event)
{
    struct election_event closed = {.kind = EVENT_CLOSED, .failure = LEASE_FAILURE_TRANSIENT};

    switch ((enum happening)event->kind) {
    case HAPPEN_WAKE:
        if (event->at == process->armed_at)
            elector_tick(world, process);
        break;
    case HAPPEN_OPENED:
        network_opened(world, process, event->value);
        break;
    case HAPPEN_CLOSED:
        if (event->value != process->connection.epoch)
            break;
        TRACE(world, process, "connection closed");
        process->connection.open = false;
        process->connection.epoch++;
        elector_feed(world, process, &closed);
        break;
    case HAPPEN_REPLY:
        elector_reply(world, process, event->message);
        break;
    case HAPPEN_VOTE:
        witness_vote(world, process, event->message);
        break;
    case HAPPEN_PUSH:
        elector_push(world, process, event->message);
        break;
    case HAPPEN_SUBSCRIBE:
        network_subscribe(world, process);
        break;
    case HAPPEN_REPORT:
        link_report(world, process, event->value >> 24, event->value & 0xFFFFFF);
        break;
    case HAPPEN_ACK_DUE:
        link_check_ack(world, process);
        break;
    case HAPPEN_KEEPER_LOST:
        link_lost(world, process);
        break;
    case HAPPEN_SWEPT:
        link_swept(world, process);
        break;
    case HAPPEN_STOP:
        elector_stop(world, process);
        break;
    case HAPPEN_UNSTALL:
        elector_unstall(world, process);
        break;
    case HAPPEN_UNHEALTHY:
        if (event->value == process->tree.serial)
            elector_unhealthy(world, process);
        break;
    case HAPPEN_HOOK_OVER:
        hook_over(world, process, event->value);
        break;
    case HAPPEN_PROBE:
        if (event->value == process->tree.serial)
            probe_begin(world, process);
        break;
    case HAPPEN_PROBE_OVER:
        probe_over(world, process, event->value);
        break;
    default:
        break;
    }
}

static void handle_keeper(struct world *world, struct process *process, const struct event *event)
{
    switch ((enum happening)event->kind) {
    case HAPPEN_REQUEST:
        keeper_request(world, process, event->message);
        break;
    case HAPPEN_HANGUP:
        keeper_hangup(world, process);
        break;
    case HAPPEN_KEEPER_WAKE:
        if (event->value == 1 && event->at == process->keeper.armed_at)
            process->keeper.armed_at = NEVER;
        keeper_wake(world, process);
        break;
    case HAPPEN_MAIN_EXIT:
        if (event->value == process->tree.serial)
            tree_main_exit(world, process);
        break;
    case HAPPEN_REST_EXIT:
        if (event->value == process->tree.serial)
            tree_rest_exit(world, process);
        break;
    case HAPPEN_KILLED:
        tree_killed(world, process, event->value);
        break;
    case HAPPEN_PROBE_EXIT:
        if (event->value == process->probe.serial && process->probe.alive)
            probe_exit(world, process);
        break;
    case HAPPEN_HOOK_EXIT:
        if (event->value == process->hooks.serial && process->hooks.busy)
            hook_exit(world, process);
        break;
    case HAPPEN_WILL:
        elector_inherit(world, process);
        break;
    default:
        break;
    }
}

/* Takes an event about a process, or puts it off while the process is frozen. */
static void handle_process(struct world *world, const struct event *event)
{
    struct process *process = &world->processes[event->process];
    int64_t ready = ready_at(world, event, process);

    if (event->serial != process->serial || !process->used) {
        message_free(world, event->message);
        return;
    }
    if (ready > world->now) {
        if (event->kind == HAPPEN_WAKE && event->at == process->armed_at)
            process->armed_at = ready;
        if (event->kind == HAPPEN_KEEPER_WAKE && event->value == 1 &&
            event->at == process->keeper.armed_at)
            process->keeper.armed_at = ready;
        queue_again(world, event, ready);
        return;
    }
    if (event->kind >= HAPPEN_REQUEST)
        handle_keeper(world, process, event);
    else if (process->elector)
        handle_elector(world, process, event);
    message_free(world, event->message);
}

static void server_event(struct world *world, const struct event *event)
{
    struct server *server = &world->servers[event->process];

    if (server->instance != event->value)
        return;
    if (event->kind == HAPPEN_SERVER_UP) {
        server_start(world, server, false);
        TRACE(world, NULL, "server %d is up again", event->process);
    } else if (server->up && server->detached) {
        server->up = false;
        network_server_gone(world, server->instance);
        TRACE(world, NULL, "server %d is gone", event->process);
    }
}

static void handle(struct world *world, const struct event *event)
{
    switch ((enum happening)event->kind) {
    case HAPPEN_EXECUTE:
        server_execute(world, event);
        break;
    case HAPPEN_ACKNOWLEDGED:
        server_acknowledged(world, event->message);
        break;
    case HAPPEN_ASKED:
        witness_asked(world, event->message);
        break;
    case HAPPEN_LEARNED:
        witness_learned(world, event->value);
        break;
    case HAPPEN_SERVER_UP:
    case HAPPEN_SERVER_DEATH:
        server_event(world, event);
        break;
    case HAPPEN_PROCESS:
        host_start_process(world, event->process);
        break;
    case HAPPEN_RESUME:
        host_resume(world, event->process);
        break;
    case HAPPEN_CHECK:
        tree_check_overlaps(world);
        break;
    case HAPPEN_STRANGER:
        network_publish_forged(world);
        break;
    case HAPPEN_LIFTED:
        operator_lifts(world);
        break;
    case HAPPEN_FAULT:
        faults_inject(world);
        break;
    case HAPPEN_QUIET:
        faults_end(world);
        break;
    case HAPPEN_END:
        world->over = true;
        break;
    default:
        handle_process(world, event);
        break;
    }
}

void schedule_run(struct world *world, uint64_t seed, bool serving_without_wait, bool tracing)
{
    struct event event;

    reset(world, seed, tracing);
    set_up(world, serving_without_wait);
    while (world->violation == VIOLATION_NONE && !world->over && queue_next(world, &event)) {
        world->now = event.at;
        if (++world->event_count > EVENTS_MOST)
            VIOLATE(world, VIOLATION_RUNAWAY, "more than %d events", EVENTS_MOST);
        handle(world, &event);
        /* Once somebody leads after the last fault, nothing new can happen. */
        if (world->leader_at != NEVER)
            world->over = true;
    }
    if (world->violation == VIOLATION_NONE && world->leader_at == NEVER)
        VIOLATE(world, VIOLATION_LIVENESS, "nobody leads %.1f s after the last fault",
                (double)world->plan.bound_ns / 1e9);
    world->statistics->schedules++;
    world->statistics->simulated_ms += (uint64_t)(world->now / NS_PER_MS);
    world->statistics->events += world->event_count;
}
