/* What goes wrong. Each schedule has its own choice of faults, so that each of them also meets the
 * others in small company. */
#include "world.h"

#define SERVING_NS (12000 * NS_PER_MS) /* how long an old master goes on after a failover */
#define TRIES      20

const char *const fault_names[FAULTS] = {
    [FAULT_RESTART_KEPT] = "server restart, data kept",
    [FAULT_RESTART_EMPTY] = "server restart, data lost",
    [FAULT_RESTART_ROLLED_BACK] = "server restart, data rolled back",
    [FAULT_PROMOTION] = "promotion of a lagging replica",
    [FAULT_PROMOTION_SERVING] = "promotion, old master serving",
    [FAULT_FAIL_BACK] = "fail-back to an old master",
    [FAULT_NEW_EPOCH] = "new epoch, same master",
    [FAULT_WITNESSES_DOWN] = "witnesses down",
    [FAULT_WITNESSES_CUT] = "witnesses cut off from a host",
    [FAULT_REPROMOTION] = "demotion and promotion",
    [FAULT_NEW_REPLID] = "new replid, same data",
    [FAULT_SERVER_FREEZE] = "server frozen",
    [FAULT_CLIENT_PAUSE] = "CLIENT PAUSE",
    [FAULT_CLOCK_FORWARD] = "server clock stepped forward",
    [FAULT_CLOCK_BACK] = "server clock stepped back",
    [FAULT_FLUSHALL] = "FLUSHALL",
    [FAULT_DEL_HOLDER] = "DEL of K",
    [FAULT_DEL_TERM] = "DEL of the record",
    [FAULT_FOREIGN_HOLDER] = "foreign value in K",
    [FAULT_ERRORS] = "error replies",
    [FAULT_HANGS_UP] = "server hangs up each time",
    [FAULT_PARTITION_DROPS] = "network cut, packets lost",
    [FAULT_PARTITION_DELAYS] = "network cut, packets delayed",
    [FAULT_CONNECTION_CLOSED] = "connection closed",
    [FAULT_ELECTOR_KILLED] = "elector killed",
    [FAULT_BOTH_KILLED] = "elector and keeper killed",
    [FAULT_HOST_CRASH] = "host crash",
    [FAULT_ELECTOR_FROZEN] = "elector frozen",
    [FAULT_ELECTOR_STALL] = "elector frozen in mid-step",
    [FAULT_KEEPER_FROZEN] = "keeper frozen",
    [FAULT_KEEPER_KILLED] = "keeper killed",
    [FAULT_SUSPEND] = "host suspended",
    [FAULT_STOP] = "clean stop",
    [FAULT_STOP_TWICE] = "stop, and stop again",
    [FAULT_PAUSE] = "paused, or resumed",
    [FAULT_STEP_DOWN] = "a leader asked to step down",
    [FAULT_CORDON] = "a host cordoned, or uncordoned",
    [FAULT_REQUEST_LOST] = "request lost",
    [FAULT_REPLY_LOST] = "reply lost",
    [FAULT_REQUEST_DELAYED] = "request delayed",
    [FAULT_REPLY_DELAYED] = "reply delayed",
    [FAULT_REPLY_STALE] = "reply of a connection given up",
    [FAULT_PUSH_LOST] = "push lost",
    [FAULT_PUSH_DELAYED] = "push delayed",
    [FAULT_PUSH_REPEATED] = "push repeated",
    [FAULT_PUSH_FORGED] = "push forged",
    [FAULT_COMMAND_ENDS] = "command ends by itself",
    [FAULT_COMMAND_SLOW] = "command slow to end",
    [FAULT_COMMAND_DEAF] = "command ignores TERM",
    [FAULT_COMMAND_FORKS] = "command leaves descendants",
    [FAULT_COMMAND_STUCK] = "command survives KILL",
    [FAULT_COMMAND_UNHEALTHY] = "command unhealthy",
    [FAULT_HOOK_STUCK] = "hook survives KILL",
    [FAULT_CHECK_OUTLIVES] = "health check outlives command",
    [FAULT_EXEC_FAILS] = "command cannot be executed",
    [FAULT_FORK_FAILS] = "no process for the command",
};

void count_fault(struct world *world, enum fault fault)
{
    world->statistics->faults[fault]++;
}

static struct server *master_of(struct world *world)
{
    return &world->servers[world->master];
}

static int64_t random_lag(struct world *world)
{
    if (world->plan.wait_replicas)
        return world->plan.replica_lag_ns;
    return chance(world, 500000) ? between(world, 0, 1000 * NS_PER_MS)
                                 : between(world, 0, 4 * world->plan.ttl_ns);
}

/* ---- servers ---- */

static void server_dies(struct world *world, struct server *server)
{
    server->up = false;
    network_server_gone(world, server->instance);
}

static bool restart(struct world *world, enum fault fault)
{
    struct server *server = master_of(world);

    if (!server->up)
        return false;
    if (fault == FAULT_RESTART_EMPTY)
        server->data = (struct data){.record.missing = true};
    if (fault == FAULT_RESTART_ROLLED_BACK)
        server->data = server_data_before(world, random_lag(world));
    server_dies(world, server);
    server_note_write(world, server);
    queue_event(world, until_at_most(world, world->plan.ttl_ns), HAPPEN_SERVER_UP,
                (uint8_t)world->master, server->instance);
    return true;
}

static bool promote(struct world *world, enum fault fault)
{
    struct server *old = master_of(world);
    struct server *new = &world->servers[1 - world->master];

    if (fault == FAULT_PROMOTION_SERVING && !world->plan.wait_replicas &&
        world->plan.witnesses == 0 && !world->plan.serving_without_wait)
        return false;
    if (!old->up)
        return false;
    if (new->up)
        server_dies(world, new);
    new->data = server_data_before(world, random_lag(world));
    server_start(world, new, false);
    world->master = 1 - world->master;
    witnesses_fail_over(world);
    server_note_write(world, new);
    old->detached = true;
    if (fault == FAULT_PROMOTION)
        server_dies(world, old);
    else
        queue_event(world, until_at_most(world, SERVING_NS), HAPPEN_SERVER_DEATH,
                    (uint8_t)(1 - world->master), old->instance);
    return true;
}

/* Nobody has told it that it was replaced, so that it has kept its incarnation and its data. */
static bool fail_back(struct world *world)
{
    struct server *old = master_of(world);
    struct server *new = &world->servers[1 - world->master];

    if (world->plan.witnesses == 0 || !old->up || !new->up)
        return false;
    world->master = 1 - world->master;
    witnesses_fail_over(world);
    new->detached = false;
    old->detached = true;
    server_note_write(world, new);
    queue_event(world, until_at_most(world, SERVING_NS), HAPPEN_SERVER_DEATH,
                (uint8_t)(1 - world->master), old->instance);
    return true;
}

/* As the owner of a slot does to whom another one is moved. */
static bool take_epoch(struct world *world)
{
    if (world->plan.witnesses == 0)
        return false;
    witnesses_fail_over(world);
    return true;
}

static bool repromote(struct world *world, enum fault fault)
{
    struct server *server = master_of(world);

    if (!server->up)
        return false;
    if (fault == FAULT_REPROMOTION) {
        server->data = server_data_before(world, random_lag(world));
        server->errors = ERROR_ROLE;
        server->errors_until = until_at_most(world, world->plan.ttl_ns / 4);
    }
    server_start(world, server, true);
    server_note_write(world, server);
    return true;
}

static bool freeze_server(struct world *world)
{
    struct server *server = &world->servers[between(world, 0, 1)];

    if (!server->up)
        return false;
    server->frozen_until = until_at_most(world, 2 * world->plan.ttl_ns);
    return true;
}

/* Data and clock may not both go back, or nobody can know which tokens there were. */
static bool step_clock(struct world *world, enum fault fault)
{
    const int64_t hours_us = INT64_C(7200000000);
    struct server *server = master_of(world);
    int64_t most_us = world->plan.wild_clock
                          ? hours_us
                          : SIM_WALL_US + world->plan.clock_window_us - server->wall_us;
    int64_t least_us = world->plan.wild_clock
                           ? hours_us
                           : server->wall_us - SIM_WALL_US + world->plan.clock_window_us;

    if (world->plan.steady_clock)
        return false;
    if (fault == FAULT_CLOCK_FORWARD)
        server->wall_us += between(world, 0, most_us);
    else
        server->wall_us -= between(world, 0, least_us);
    return true;
}

static bool spoil_data(struct world *world, enum fault fault)
{
    struct server *server = master_of(world);
    int64_t now_ms = server_us(world, server) / 1000;

    if (!server->up)
        return false;
    if (fault == FAULT_FLUSHALL || fault == FAULT_DEL_TERM) {
        server->data.record = (struct record){.missing = true};
        server->data.wishes = (struct wishes){0};
    }
    if (fault == FAULT_FLUSHALL || fault == FAULT_DEL_HOLDER)
        server->data.holder = 0;
    if (fault == FAULT_FOREIGN_HOLDER) {
        server->data.holder = FOREIGN_ID;
        server->data.holder_expires_ms =
            now_ms + between(world, 0, world->plan.ttl_ns / NS_PER_MS * 2);
    }
    server_note_write(world, server);
    return true;
}

static bool answer_errors(struct world *world)
{
    struct server *server = master_of(world);

    server->errors = (enum error_kind)between(world, 0, ERROR_KINDS - 1);
    server->errors_until = until_at_most(world, world->plan.ttl_ns);
    return true;
}

/* Half of the time it answers errors as well. */
static bool hang_up(struct world *world)
{
    struct server *server = master_of(world);

    server->hangs_up_until = until_at_most(world, 2 * world->plan.ttl_ns);
    server->hangs_up_at_once = chance(world, 300000);
    return chance(world, 500000) || answer_errors(world);
}

/* ---- the network ---- */

static bool cut(struct world *world, enum fault fault)
{
    struct host *host = &world->hosts[between(world, 0, world->plan.hosts - 1)];
    int64_t until = until_at_most(world, 3 * world->plan.ttl_ns);
    int64_t directions = between(world, 1, 3);

    host->drops = fault == FAULT_PARTITION_DROPS;
    if ((directions & 1) != 0)
        host->blocked_until[OUT] = until;
    if ((directions & 2) != 0)
        host->blocked_until[BACK] = until;
    return true;
}

/* ---- processes ---- */

/* Any process, but rather one that leads. */
static struct process *pick(struct world *world, uint8_t *number)
{
    bool leader = chance(world, 600000);
    uint32_t first = (uint32_t)draw(world) % PROCESSES_MAX;

    for (uint32_t i = 0; i < PROCESSES_MAX; i++) {
        *number = (uint8_t)((first + i) % PROCESSES_MAX);
        struct process *process = &world->processes[*number];
        if (process->used && process->elector && (!leader || tree_alive(&process->tree)) &&
            world->hosts[process->host].suspended_until <= world->now)
            return process;
    }
    return NULL;
}

static bool kill_both(struct world *world, struct process *process)
{
    TRACE(world, process, "elector and keeper killed");
    tree_vanish(world, process);
    process->keeper.alive = false;
    elector_die(world, process);
    return true;
}

static bool crash_host(struct world *world, const struct process *process)
{
    uint8_t host = process->host;

    host_crash(world, host);
    host_start_later(world, host, world->plan.ttl_ns);
    return true;
}

static bool freeze_elector(struct world *world, struct process *process)
{
    int64_t until = until_at_most(world, 2 * world->plan.ttl_ns);

    if (!elector_may_freeze(world, process))
        return false;
    TRACE(world, process, "elector frozen for %.3f s", (double)(until - world->now) / 1e9);
    elector_freeze(world, process, until);
    return true;
}

static bool kill_elector(struct world *world, struct process *process)
{
    if (!elector_may_freeze(world, process))
        return false;
    TRACE(world, process, "elector killed");
    elector_die(world, process);
    return true;
}

static bool hurt_keeper(struct world *world, struct process *process, enum fault fault)
{
    if (!keeper_may_freeze(world, process))
        return false;
    if (fault == FAULT_KEEPER_KILLED) {
        TRACE(world, process, "keeper killed");
        link_lose(world, process);
    } else {
        int64_t until = until_at_most(world, 2 * world->plan.ttl_ns);
        /* A longer freeze goes on. */
        if (process->keeper.ready_at < until)
            process->keeper.ready_at = until;
        TRACE(world, process, "keeper frozen for %.3f s",
              (double)(process->keeper.ready_at - world->now) / 1e9);
    }
    return true;
}

static bool stop(struct world *world, const struct process *process, uint8_t number,
                 enum fault fault)
{
    int64_t grace_ns = world->hosts[process->host].timing.grace_ms * NS_PER_MS;

    /* By a parent that hands a signal on, or by somebody who will not wait. */
    int64_t later_ns =
        chance(world, 500000) ? between(world, 0, 20 * NS_PER_MS) : between(world, 0, grace_ns);

    queue_event(world, world->now, HAPPEN_STOP, number, 0);
    if (fault == FAULT_STOP_TWICE)
        queue_event(world, world->now + later_ns, HAPPEN_STOP, number, 0);
    return true;
}

static bool hurt_process(struct world *world, enum fault fault)
{
    uint8_t number;
    struct process *process = pick(world, &number);

    if (process == NULL)
        return false;
    switch (fault) {
    case FAULT_CONNECTION_CLOSED:
        queue_event(world, world->now, HAPPEN_CLOSED, number, process->connection.epoch);
        return true;
    case FAULT_ELECTOR_KILLED:
        return kill_elector(world, process);
    case FAULT_BOTH_KILLED:
        return kill_both(world, process);
    case FAULT_HOST_CRASH:
        return crash_host(world, process);
    case FAULT_ELECTOR_FROZEN:
        return freeze_elector(world, process);
    case FAULT_KEEPER_FROZEN:
    case FAULT_KEEPER_KILLED:
        return hurt_keeper(world, process, fault);
    case FAULT_SUSPEND:
        host_suspend(world, process->host, until_at_most(world, 2 * world->plan.ttl_ns));
        return true;
    default:
        return stop(world, process, number, fault);
    }
}

static bool inject(struct world *world, enum fault fault)
{
    switch (fault) {
    case FAULT_RESTART_KEPT:
    case FAULT_RESTART_EMPTY:
    case FAULT_RESTART_ROLLED_BACK:
        return restart(world, fault);
    case FAULT_PROMOTION:
    case FAULT_PROMOTION_SERVING:
        return promote(world, fault);
    case FAULT_FAIL_BACK:
        return fail_back(world);
    case FAULT_NEW_EPOCH:
        return take_epoch(world);
    case FAULT_WITNESSES_DOWN:
        return witnesses_go_down(world);
    case FAULT_WITNESSES_CUT:
        return witnesses_cut(world);
    case FAULT_REPROMOTION:
    case FAULT_NEW_REPLID:
        return repromote(world, fault);
    case FAULT_SERVER_FREEZE:
    case FAULT_CLIENT_PAUSE:
        return freeze_server(world);
    case FAULT_CLOCK_FORWARD:
    case FAULT_CLOCK_BACK:
        return step_clock(world, fault);
    case FAULT_FLUSHALL:
    case FAULT_DEL_HOLDER:
    case FAULT_DEL_TERM:
    case FAULT_FOREIGN_HOLDER:
        return spoil_data(world, fault);
    case FAULT_ERRORS:
        return answer_errors(world);
    case FAULT_HANGS_UP:
        return hang_up(world);
    case FAULT_PARTITION_DROPS:
    case FAULT_PARTITION_DELAYS:
        return cut(world, fault);
    case FAULT_PAUSE:
    case FAULT_STEP_DOWN:
    case FAULT_CORDON:
        return operator_acts(world, fault);
    case FAULT_ELECTOR_STALL:
        world->plan.stalls = true;
        return false;
    default:
        return hurt_process(world, fault);
    }
}

bool loses_data(enum fault fault)
{
    switch (fault) {
    case FAULT_RESTART_EMPTY:
    case FAULT_RESTART_ROLLED_BACK:
    case FAULT_PROMOTION:
    case FAULT_PROMOTION_SERVING:
    case FAULT_FAIL_BACK:
    case FAULT_REPROMOTION:
    case FAULT_FLUSHALL:
    case FAULT_DEL_TERM:
        return true;
    default:
        return false;
    }
}

void faults_inject(struct world *world)
{
    int64_t next = world->now + between(world, 0, 2 * world->plan.fault_every_ns);

    for (int i = 0; i < TRIES; i++) {
        enum fault fault = (enum fault)between(world, 0, FAULTS_INJECTED - 1);
        if ((world->plan.faults >> fault & 1) == 0)
            continue;
        TRACE(world, NULL, "FAULT: %s", fault_names[fault]);
        if (inject(world, fault)) {
            count_fault(world, fault);
            if (loses_data(fault))
                world->held_until = 0;
            break;
        }
    }
    if (next < world->plan.quiet_at)
        queue_event(world, next, HAPPEN_FAULT, NOBODY, 0);
}

/* All else has been limited to end by now. */
void faults_end(struct world *world)
{
    struct server *server = master_of(world);

    TRACE(world, NULL, "the faults end; a leader is due within %.1f s",
          (double)world->plan.bound_ns / 1e9);
    if (world->servers[1 - world->master].up)
        server_dies(world, &world->servers[1 - world->master]);
    if (server->data.holder == FOREIGN_ID)
        server->data.holder = 0;
    operator_ends(world);
}
