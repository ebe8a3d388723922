/* Hosts: their clocks, suspends and crashes, and the processes that are started on them. */
#include <stdio.h>
#include <string.h>

#include "world.h"

int64_t host_clock(const struct world *world, const struct host *host)
{
    int64_t boottime_ns = host->clock_ns + world->now + world->now / 1000 * host->rate_ppm / 1000;
    return boottime_ns;
}

int64_t host_when(const struct world *world, const struct host *host, int64_t clock_ns)
{
    int64_t left_ns = clock_ns - host_clock(world, host);

    if (left_ns <= 0)
        return world->now;
    /* Two microseconds too late rather than a nanosecond too early. */
    return world->now + left_ns / 1000 * 1000000 / (1000000 + host->rate_ppm) * 1000 + 2000;
}

int64_t until_at_most(struct world *world, int64_t most_ns)
{
    int64_t until = world->now + between(world, 0, most_ns);
    return until < world->plan.quiet_at ? until : world->plan.quiet_at;
}

static bool runs_on(const struct process *process, uint8_t host)
{
    return process->used && process->host == host;
}

void host_suspend(struct world *world, uint8_t number, int64_t until)
{
    struct host *host = &world->hosts[number];

    host->suspended_until = until;
    host->slept_ns += until - world->now;
    for (int i = 0; i < PROCESSES_MAX; i++) {
        struct process *process = &world->processes[i];
        if (!runs_on(process, number))
            continue;
        int64_t late = process_margin_ns(world, process) / 8;
        if (process->elector)
            elector_freeze(world, process, until);
        int64_t ready_at = until + between(world, 0, late);
        if (process->keeper.ready_at < ready_at)
            process->keeper.ready_at = ready_at;
        TRACE(world, process, "host suspended for %.3f s", (double)(until - world->now) / 1e9);
    }
    queue_event(world, until, HAPPEN_RESUME, number, 0);
}

/* What ought to be dead by now is killed first thing, which takes a moment. */
void host_resume(struct world *world, uint8_t number)
{
    for (int i = 0; i < PROCESSES_MAX; i++) {
        struct process *process = &world->processes[i];
        if (!runs_on(process, number))
            continue;
        TRACE(world, process, "host resumes");
        process->tree.exempt_until = world->now + 2 * process_margin_ns(world, process);
        queue_event(world, process->tree.exempt_until, HAPPEN_CHECK, NOBODY, 0);
    }
}

void host_crash(struct world *world, uint8_t number)
{
    struct host *host = &world->hosts[number];

    for (int i = 0; i < PROCESSES_MAX; i++) {
        struct process *process = &world->processes[i];
        if (!runs_on(process, number))
            continue;
        TRACE(world, process, "host crashes");
        tree_vanish(world, process);
        process->keeper.alive = false;
        process->elector = false;
        process->used = false;
    }
    host->process = NOBODY;
}

void host_start_later(struct world *world, uint8_t number, int64_t most_ns)
{
    struct host *host = &world->hosts[number];

    host->process = NOBODY;
    if (host->start_due)
        return;
    host->start_due = true;
    /* A job comes at its next tick, whether faults are over or not. */
    int64_t at = host->once
                     ? world->now + between(world, world->plan.ttl_ns / 4, world->plan.ttl_ns)
                     : until_at_most(world, most_ns);
    queue_event(world, at, HAPPEN_PROCESS, number, 0);
}

static struct process *free_process(struct world *world, uint8_t *number)
{
    for (uint8_t i = 0; i < PROCESSES_MAX; i++) {
        if (!world->processes[i].used) {
            *number = i;
            return &world->processes[i];
        }
    }
    return NULL;
}

static void process_init(struct world *world, struct process *process, uint8_t host_number)
{
    const struct host *host = &world->hosts[host_number];
    uint32_t serial = process->serial + 1;
    struct election_config config = {
        .timing = host->timing,
        .server_clock = host->server_clock,
        .witnesses = world->plan.witnesses > 0,
        .exit_on_lost = host->exit_on_lost,
        .assume_fresh = host->assume_fresh,
        .no_release = host->no_release,
        .once = host->once,
        .wait_ms = host->wait_ms,
        .hold_ms = host->hold_ms,
        .max_runtime_ms = host->max_runtime_ms,
        .lock_delay_ms = host->lock_delay_ms,
        .restart = host->restart,
        .max_restarts = host->max_restarts,
        .penalty_ms = 2 * host->timing.ttl_ms,
        .hooks = {host->hooks[HOOK_ACQUIRE], host->hooks[HOOK_LOSE]},
        .seed = draw(world),
    };

    memset(process, 0, sizeof *process);
    process->used = true;
    process->elector = true;
    process->host = host_number;
    process->serial = serial;
    process->id = ++world->last_process;
    process->armed_at = NEVER;
    process->keeper.alive = true;
    process->keeper.armed_at = NEVER;
    snprintf(config.id, sizeof config.id, "c#%016x", process->id);
    for (size_t i = 0; i < sizeof config.nonce_key; i++)
        config.nonce_key[i] = (uint8_t)draw(world);
    election_init(&process->election, &config, host_clock(world, host));
}

void host_start_process(struct world *world, uint8_t number)
{
    struct host *host = &world->hosts[number];
    struct election_event tick = {.kind = EVENT_TICK};
    uint8_t at;

    host->start_due = false;
    if (host->process != NOBODY)
        return;
    if (host->suspended_until > world->now) {
        host->start_due = true;
        queue_event(world, host->suspended_until, HAPPEN_PROCESS, number, 0);
        return;
    }
    struct process *process = free_process(world, &at);
    if (process == NULL) {
        VIOLATE(world, VIOLATION_RUNAWAY, "no room for one more process");
        return;
    }
    process_init(world, process, number);
    host->process = at;
    TRACE(world, process, "starts on host %d, ttl %.1f s, rate %+.2f %%", number,
          (double)host->timing.ttl_ms / 1e3, (double)host->rate_ppm / 1e4);
    elector_feed(world, process, &tick);
}
